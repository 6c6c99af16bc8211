#include "experiments/folder.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/report/report.h"
#include "sim/memory.h"
#include "sim/outfile.h"

FILE *exp_folder_open(struct exp_folder *f, const char *name, struct sim_status *st)
{
    char *path = sim_printf("%s/%s", f->dir, name);
    struct sim_outfile *file = sim_outfile_open(path, st);
    free(path);
    if (!file) return NULL;
    f->name = sim_realloc(f->name, (size_t)f->n + 1, sizeof *f->name);
    f->open = sim_realloc(f->open, (size_t)f->n + 1, sizeof *f->open);
    f->name[f->n] = sim_strdup(name);
    f->open[f->n++] = file;
    return sim_outfile_stream(file);
}

bool exp_folder_written(struct exp_folder *f, struct sim_status *st)
{
    FILE *out = sim_outfile_stream(f->open[f->n - 1]);
    if (fflush(out) == 0 && !ferror(out)) return true;
    return sim_fail(
        st, "%s/%s: writing failed (%s), nothing was left behind; free some space or name another place",
        f->dir, f->name[f->n - 1], strerror(errno));
}

bool exp_folder_json(struct exp_folder *f, const char *name, json_t *object, size_t flags,
                     struct sim_status *st)
{
    FILE *out = exp_folder_open(f, name, st);
    if (out && json_dumpf(object, out, flags) == 0) fputc('\n', out);
    json_decref(object);
    return out && exp_folder_written(f, st);
}

bool exp_folder_report(struct exp_folder *f, json_t *doc, const char *data_dir, struct sim_status *st)
{
    FILE *json = doc ? exp_folder_open(f, "report.json", st) : NULL;
    if (json) exp_report_json(doc, json);
    FILE *page = json && exp_folder_written(f, st) ? exp_folder_open(f, "report.html", st) : NULL;
    bool ok = page && exp_report_html(doc, EXP_ENGLISH, data_dir, page, st) && exp_folder_written(f, st);
    json_decref(doc);
    return ok;
}

/* Nobody interrupts between the first and the last file that takes its name. */
bool exp_folder_commit(struct exp_folder *f, bool ok,
                       bool (*after)(const struct exp_folder *f, struct sim_status *st),
                       struct sim_status *st)
{
    sigset_t interrupts, before;
    sigemptyset(&interrupts);
    sigaddset(&interrupts, SIGINT);
    sigaddset(&interrupts, SIGTERM);
    sigaddset(&interrupts, SIGHUP);
    sigprocmask(SIG_BLOCK, &interrupts, &before);
    for (int i = 0; i < f->n; i++) {
        if (ok)
            ok = sim_outfile_commit(f->open[i], st);
        else
            sim_outfile_abandon(f->open[i]);
    }
    if (ok && after) ok = after(f, st);
    for (int i = 0; i < f->n; i++) free(f->name[i]);
    free(f->name);
    free(f->open);
    *f = (struct exp_folder){.dir = f->dir};
    sigprocmask(SIG_SETMASK, &before, NULL);
    return ok;
}
