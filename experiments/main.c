/* kvsim COMMAND [options] ARGS: finds the command, prints its failure, exits with its code. */
#include <argp.h>
#include <errno.h>
#include <gsl/gsl_errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/command.h"
#include "experiments/version.h"
#include "sim/memory.h"

static void print_help(void)
{
    puts("Usage: kvsim COMMAND [options] ARGS\n"
         "\n"
         "Which GPUs, how many, running which KV-cache strategy, meet the service levels of\n"
         "this traffic. Simulates LLM serving clusters on measured GPU operator tables.\n"
         "\n"
         "Commands:");
    for (size_t i = 0; i < exp_command_count(); i++)
        printf("  %-9s %s\n", exp_command_at(i)->name, exp_command_at(i)->help);
    puts("\n"
         "kvsim COMMAND --help explains a command; kvsim --version prints the version.\n"
         "Exit status: 0 done, 1 failed, 2 wrong usage, 3 answered but nothing feasible.");
}

static bool dispatch(int argc, char **argv, struct sim_status *st)
{
    const struct exp_command *command = exp_command_find(argv[1], st);
    if (!command) return false;
    char *name = sim_printf("kvsim %s", command->name);
    char **own = sim_alloc((size_t)argc, sizeof *own);
    own[0] = name;
    for (int i = 2; i < argc; i++) own[i - 1] = argv[i];
    bool ok = command->run(argc - 1, own, st);
    free(own);
    free(name);
    return ok;
}

static bool run(int argc, char **argv, struct sim_status *st)
{
    if (argc < 2) {
        print_help();
        return sim_fail_as(st, SIM_EXIT_USAGE, "kvsim: no command given, expected one of those above");
    }
    if (exp_is_help(argv[1]) && (argc == 2 || argv[1][0] == '-')) {
        print_help();
        return true;
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
        puts(argp_program_version);
        return true;
    }
    if (strcmp(argv[1], "help") == 0) { /* help run: run --help */
        argv[1] = argv[2];
        argv[2] = "--help";
    }
    return dispatch(argc, argv, st);
}

int main(int argc, char **argv)
{
    struct sim_status st = {0};
    gsl_set_error_handler_off();
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error to report */
    argp_err_exit_status = SIM_EXIT_USAGE;
    argp_program_version = "kvsim " EXP_VERSION;
    bool ok = run(argc, argv, &st);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        sim_fail(&st, "standard output: cannot be written (%s); name another place", strerror(errno));
        ok = false;
    }
    if (ok) return SIM_EXIT_OK;
    fprintf(stderr, "%s\n", st.message);
    return st.code ? (int)st.code : SIM_EXIT_FAILURE;
}
