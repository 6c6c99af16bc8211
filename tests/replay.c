/* A fuzzer's inputs without libFuzzer: runs each file named on the command line, each file of a named folder,
 * and the empty input. Counts what came back; a crash ends the program before it has printed its counts. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct counts {
    int passed, failed;
};

/* The bytes in an allocation of their exact size, so that the address sanitizer sees one byte too many. */
static uint8_t *read_all(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    struct stat is;
    if (!f) return NULL;
    uint8_t *bytes = NULL;
    if (fstat(fileno(f), &is) == 0 && S_ISREG(is.st_mode)) {
        *size = (size_t)is.st_size;
        bytes = malloc(*size ? *size : 1);
        if (bytes && fread(bytes, 1, *size, f) != *size) {
            free(bytes);
            bytes = NULL;
        }
    }
    fclose(f);
    return bytes;
}

static void replay_file(const char *path, struct counts *n)
{
    size_t size = 0;
    uint8_t *bytes = read_all(path, &size);
    printf("%s\n", path); /* before it runs: the last line of a crashed log names the input */
    if (!bytes) {
        printf("%s: cannot be read\n", path);
        n->failed++;
        return;
    }
    LLVMFuzzerTestOneInput(bytes, size);
    free(bytes);
    n->passed++;
}

static void replay_folder(DIR *d, const char *folder, struct counts *n)
{
    char path[4096];
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        if (e->d_name[0] == '.') continue;
        int length = snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        if (length > 0 && (size_t)length < sizeof path) replay_file(path, n);
    }
}

int main(int argc, char **argv)
{
    struct counts n = {0};
    setvbuf(stdout, NULL, _IOLBF, 0);
    LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
    n.passed++;
    for (int i = 1; i < argc; i++) {
        DIR *d = opendir(argv[i]);
        if (d) {
            replay_folder(d, argv[i], &n);
            closedir(d);
        } else {
            replay_file(argv[i], &n);
        }
    }
    printf("%d passed, %d failed, 0 skipped\n", n.passed, n.failed);
    return n.failed ? 1 : 0;
}
