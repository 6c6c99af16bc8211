#include "experiments/study/store/store_parts.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "sim/memory.h"

/* Start of a process in ticks since the machine's, and whether it runs: field 22 and field 3 of its stat, which are counted
 * behind the program's name, as that may hold blanks and brackets. */
static bool process_started(long pid, unsigned long long *ticks)
{
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    FILE *f = fopen(path, "r");
    if (!f) return false;
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = '\0';
    const char *at = strrchr(text, ')');
    char state;
    return at &&
           sscanf(at + 1, " %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu",
                  &state, ticks) == 2 &&
           !strchr("ZXx", state); /* killed, and its parent has not asked yet */
}

static void one_word(char *out, size_t size, const char *text)
{
    snprintf(out, size, "%s", text);
    for (char *c = out; *c; c++)
        if (isspace((unsigned char)*c)) *c = '_';
}

static void boot_id(char out[64])
{
    char text[64] = "";
    FILE *f = fopen("/proc/sys/kernel/random/boot_id", "r");
    if (f && fscanf(f, "%63s", text) != 1) text[0] = '\0';
    if (f) fclose(f);
    one_word(out, 64, text[0] ? text : "unknown");
}

static void pid_namespace(char out[64])
{
    char text[64];
    ssize_t n = readlink("/proc/self/ns/pid", text, sizeof text - 1);
    text[n > 0 ? n : 0] = '\0';
    one_word(out, 64, n > 0 ? text : "unknown");
}

void exp_process_self(struct exp_process *out)
{
    char boot[64], space[64];
    unsigned long long ticks = 0;
    *out = (struct exp_process){.pid = (long)getpid()};
    if (gethostname(out->host, sizeof out->host - 1) != 0) snprintf(out->host, sizeof out->host, "unknown");
    boot_id(boot);
    pid_namespace(space);
    process_started(out->pid, &ticks);
    snprintf(out->birth, sizeof out->birth, "%s %s %llu", boot, space, ticks);
}

struct birth {
    char boot[64], space[64];
    unsigned long long ticks;
};

static bool read_birth(const char *text, struct birth *out)
{
    return sscanf(text, "%63s %63s %llu", out->boot, out->space, &out->ticks) == 3;
}

enum exp_life exp_process_life(const struct exp_process *self, const struct exp_process *other)
{
    struct birth mine, its;
    unsigned long long ticks;
    if (strcmp(self->host, other->host) != 0 || !read_birth(self->birth, &mine) ||
        !read_birth(other->birth, &its))
        return EXP_LIFE_ELSEWHERE;
    if (strcmp(mine.boot, its.boot) != 0) return EXP_LIFE_REBOOTED;
    if (strcmp(mine.space, its.space) != 0) return EXP_LIFE_ELSEWHERE;
    return process_started(other->pid, &ticks) && ticks == its.ticks ? EXP_LIFE_ALIVE : EXP_LIFE_DEAD;
}

/* The kernel's table of locks. To ask by fcntl would need the file opened here, and closing it would give up the locks
 * that this process itself holds on it. */
long exp_process_locking(const char *path)
{
    char *log = sim_printf("%s-shm", path), *line = NULL;
    struct stat is[2] = {0};
    size_t size = 0;
    long found = 0;
    stat(path, &is[0]);
    stat(log, &is[1]);
    FILE *f = fopen("/proc/locks", "r");
    while (f && !found && getline(&line, &size, f) > 0) {
        long pid;
        unsigned a, b;
        unsigned long long inode;
        if (sscanf(line, "%*s POSIX %*s WRITE %ld %x:%x:%llu", &pid, &a, &b, &inode) != 4) continue;
        for (int i = 0; i < 2; i++)
            if (inode == is[i].st_ino && makedev(a, b) == is[i].st_dev && pid > 0 && pid != (long)getpid())
                found = pid;
    }
    if (f) fclose(f);
    free(line);
    free(log);
    return found;
}
