#include "experiments/quality/scores_build.h"

#include <string.h>

/* LongBench's. Names contain underscores, and so do those of methods: only a list tells where a task begins. */
static const char *const tasks[] = {
    "2wikimqa",
    "dureader",
    "gov_report",
    "hotpotqa",
    "lcc",
    "lsht",
    "multi_news",
    "multifieldqa_en",
    "multifieldqa_zh",
    "musique",
    "narrativeqa",
    "passage_count",
    "passage_retrieval_en",
    "passage_retrieval_zh",
    "qasper",
    "qmsum",
    "repobench-p",
    "samsum",
    "trec",
    "triviaqa",
    "vcsum",
};

struct piece {
    const char *text;
    size_t n;
};

static bool ends_with(struct piece p, const char *end)
{
    size_t n = strlen(end);
    return p.n >= n && memcmp(p.text + p.n - n, end, n) == 0;
}

static void drop_end(struct piece *p, const char *end)
{
    if (ends_with(*p, end)) p->n -= strlen(end);
}

/* The last name of a path, or the folder's above it; empty when there is none. */
static struct piece name_at(struct piece path, bool folder)
{
    size_t end = path.n;
    while (folder && end > 0 && path.text[end - 1] != '/') end--;
    while (folder && end > 0 && path.text[end - 1] == '/') end--;
    size_t begin = end;
    while (begin > 0 && path.text[begin - 1] != '/') begin--;
    return (struct piece){path.text + begin, end - begin};
}

/* Takes a task and the underscore before it off the end. */
static const char *take_task(struct piece *p)
{
    for (size_t i = 0; i < sizeof tasks / sizeof tasks[0]; i++) {
        size_t n = strlen(tasks[i]);
        if (!ends_with(*p, tasks[i]) || (p->n > n && p->text[p->n - n - 1] != '_')) continue;
        p->n -= p->n > n ? n + 1 : n;
        return tasks[i];
    }
    return "";
}

static size_t digits_at(struct piece p, size_t at)
{
    size_t n = 0;
    while (at + n < p.n && p.text[at + n] >= '0' && p.text[at + n] <= '9') n++;
    return n;
}

/* Where `_8192_b1` begins, followed by an underscore or nothing, and where it ends; false without. */
static bool find_sizes(struct piece p, size_t *begin, size_t *end)
{
    for (size_t i = 1; i < p.n; i++) {
        size_t n = p.text[i] == '_' ? digits_at(p, i + 1) : 0;
        size_t batch = i + 1 + n;
        if (n == 0 || batch + 2 >= p.n || p.text[batch] != '_' || p.text[batch + 1] != 'b') continue;
        size_t digits = digits_at(p, batch + 2);
        *begin = i;
        *end = batch + 2 + digits;
        if (digits > 0 && (*end == p.n || p.text[*end] == '_')) return true;
    }
    return false;
}

static void copy(char *out, size_t room, struct piece p)
{
    size_t n = p.n < room ? p.n : room - 1;
    memcpy(out, p.text, n);
    out[n] = '\0';
}

/* The model is the last word before the sizes: released names have dashes in it and no underscore. */
static struct piece without_model(struct piece p)
{
    size_t n = p.n;
    while (n > 0 && p.text[n - 1] != '_') n--;
    return n > 1 ? (struct piece){p.text, n - 1} : p;
}

static void split_method(struct piece p, struct exp_scores_name *out)
{
    size_t begin, end;
    if (!find_sizes(p, &begin, &end)) {
        copy(out->alg, sizeof out->alg, p);
        return;
    }
    copy(out->alg, sizeof out->alg, without_model((struct piece){p.text, begin}));
    if (end < p.n) copy(out->params, sizeof out->params, (struct piece){p.text + end + 1, p.n - end - 1});
}

struct exp_scores_name exp_scores_name_of(const char *path)
{
    static const char *const ends[] = {".gz", ".jsonl", ".json", ".csv", "_eval"};
    struct exp_scores_name out = {{0}, {0}, {0}};
    struct piece whole = {path, strlen(path)}, rest = name_at(whole, false);
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) drop_end(&rest, ends[i]);
    const char *task = take_task(&rest);
    copy(out.task, sizeof out.task, (struct piece){task, strlen(task)});
    if (rest.n == 0) rest = name_at(whole, true);
    split_method(rest, &out);
    return out;
}
