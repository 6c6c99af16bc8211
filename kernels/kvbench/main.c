/* kvbench COMMAND [options]: finds the command, prints its failure, exits with its code. */
#include <argp.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernels/kvbench/cli.h"
#include "kernels/kvbench/command.h"
#include "kernels/kvbench/util.h"
#include "kernels/kvbench/version.h"

static void print_help(void)
{
    puts("Usage: kvbench COMMAND [options] ARGS\n"
         "\n"
         "Runs the kernels that serving a language model with a compressed KV cache needs, on this\n"
         "machine's GPU or processor: proves them, times them, and replays simulated batches.\n"
         "\n"
         "Commands:");
    for (const struct kvb_command *c = kvb_commands; c->name; c++) printf("  %-9s %s\n", c->name, c->help);
    puts("\n"
         "kvbench COMMAND --help explains a command; kvbench --version prints the version.\n"
         "Exit status: 0 done, 1 failed, 2 wrong usage.");
}

static const struct kvb_command *find(const char *name)
{
    for (const struct kvb_command *c = kvb_commands; c->name; c++)
        if (strcmp(c->name, name) == 0) return c;
    return NULL;
}

static int dispatch(const struct kvb_command *c, int argc, char **argv)
{
    struct kb_error err = {""};
    char *name = kvb_printf("kvbench %s", c->name);
    argv[0] = name;
    bool ok = c->run(argc, argv, &err);
    if (ok && (fflush(stdout) != 0 || ferror(stdout)))
        ok = kb_fail(&err, "standard output: cannot be written (%s); name another place", strerror(errno));
    if (!ok) fprintf(stderr, "%s\n", err.text);
    free(name);
    return ok ? KVB_EXIT_OK : KVB_EXIT_FAILURE;
}

static bool is_one_of(const char *text, const char *a, const char *b)
{
    return strcmp(text, a) == 0 || strcmp(text, b) == 0;
}

/* OpenMP reads its settings before main. A thread that waits at a barrier for a millisecond and more keeps the one it
 * waits for from running where there are not enough cores, and a kernel then takes a scheduler's slice of 8 ms; so
 * the program starts once more with waits that give up the core after some 50 us. The user's own setting wins. */
static void wait_politely(char **argv)
{
    if (getenv("GOMP_SPINCOUNT") || getenv("OMP_WAIT_POLICY")) return;
    if (setenv("GOMP_SPINCOUNT", "20000", 1) == 0)
        execv("/proc/self/exe", argv); /* where that fails: as it is */
}

int main(int argc, char **argv)
{
    wait_politely(argv);
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error to report */
    argp_err_exit_status = KVB_EXIT_USAGE;
    argp_program_version = "kvbench " KVB_VERSION;
    if (argc < 2) {
        print_help();
        fputs("kvbench: no command given, expected one of those above\n", stderr);
        return KVB_EXIT_USAGE;
    }
    if (is_one_of(argv[1], "--help", "-?") || (argc == 2 && strcmp(argv[1], "help") == 0)) {
        print_help();
        return KVB_EXIT_OK;
    }
    if (is_one_of(argv[1], "--version", "-V")) {
        puts(argp_program_version);
        return KVB_EXIT_OK;
    }
    const struct kvb_command *c = find(argv[1]);
    if (c) return dispatch(c, argc - 1, argv + 1);
    fprintf(stderr, "kvbench: no command `%.40s`, expected list, check, run or replay\n", argv[1]);
    return KVB_EXIT_USAGE;
}
