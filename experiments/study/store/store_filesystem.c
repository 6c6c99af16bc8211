#include "experiments/study/store/store_parts.h"

#include <errno.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "sim/memory.h"

enum {
    FUSE = 0x65735546,
    SMALLEST = 512 /* bytes of a database; sqlite takes a few bytes for an empty one and writes over them */
};

/* Processes share a write-ahead log by mapped memory, which machines do not share. */
static const struct {
    unsigned type;
    const char *name;
} networks[] = {
    {0x6969, "NFS"},          {0xff534d42, "CIFS"},  {0xfe534d42, "SMB"},    {0x517b, "SMB"},
    {0x0bd00bd0, "Lustre"},   {0x47504653, "GPFS"},  {0x5346414f, "AFS"},    {0x6b414653, "AFS"},
    {0x73757245, "Coda"},     {0x00c36400, "Ceph"},  {0x19830326, "BeeGFS"}, {0x01021997, "9P"},
    {0x20030528, "OrangeFS"}, {0xaad7aaea, "PanFS"}, {0x7461636f, "OCFS2"},  {0x01161970, "GFS2"},
};

const char *exp_network_filesystem(long f_type)
{
    for (size_t i = 0; i < sizeof networks / sizeof *networks; i++)
        if (networks[i].type == (unsigned)f_type) return networks[i].name;
    return NULL;
}

/* FUSE is one type for local and remote file systems; the mount table has their names: "36 35 0:61 / /mnt rw - fuse.sshfs". */
const char *exp_fuse_network(FILE *mountinfo, unsigned major_number, unsigned minor_number)
{
    static const char *const remote[] = {"sshfs",   "glusterfs", "ceph",   "s3fs",   "gcsfuse", "rclone",
                                         "juicefs", "davfs",     "beegfs", "goofys", "moosefs", "curlftpfs"};
    char *line = NULL;
    size_t size = 0;
    const char *found = NULL;
    while (!found && getline(&line, &size, mountinfo) > 0) {
        unsigned a, b;
        const char *type = strstr(line, " - fuse.");
        if (!type || sscanf(line, "%*s %*s %u:%u", &a, &b) != 2 || a != major_number || b != minor_number)
            continue;
        for (size_t i = 0; i < sizeof remote / sizeof *remote; i++)
            if (strncmp(type + strlen(" - fuse."), remote[i], strlen(remote[i])) == 0) found = remote[i];
    }
    free(line);
    return found;
}

static const char *network_of(const char *path)
{
    struct statfs fs;
    struct stat is;
    if (statfs(path, &fs) != 0 || stat(path, &is) != 0) return NULL;
    const char *name = exp_network_filesystem((long)fs.f_type);
    FILE *mounts = name || (unsigned)fs.f_type != FUSE ? NULL : fopen("/proc/self/mountinfo", "r");
    if (!mounts) return name;
    name = exp_fuse_network(mounts, major(is.st_dev), minor(is.st_dev));
    fclose(mounts);
    return name;
}

/* A folder that is there and, to write, may be written: the log lies beside the file. */
static bool folder_is_fit(const char *path, const char *folder, bool write, struct sim_status *st)
{
    struct stat is;
    if (stat(folder, &is) != 0)
        return sim_fail(st, "%s: its folder %s cannot be used (%s); make it or name another place", path,
                        folder, strerror(errno));
    if (!S_ISDIR(is.st_mode))
        return sim_fail(st, "%s: %s is not a directory; name another place", path, folder);
    if (write && access(folder, W_OK | X_OK) != 0)
        return sim_fail(st, "%s: its folder %s cannot be written (%s); name a file in one that can", path,
                        folder, strerror(errno));
    return true;
}

static bool file_is_fit(const char *path, bool write, struct sim_status *st)
{
    struct stat is;
    if (stat(path, &is) != 0) {
        if (errno == ENOENT && write) return true;
        return sim_fail(st, "%s: cannot be read (%s), expected the file that `kvsim sweep --db` wrote", path,
                        strerror(errno));
    }
    if (!S_ISREG(is.st_mode))
        return sim_fail(st, "%s: is %s, expected a file of a study's points; name a file", path,
                        S_ISDIR(is.st_mode) ? "a directory" : "no regular file");
    if (is.st_size > 0 && is.st_size < SMALLEST)
        return sim_fail(st, "%s: is no SQLite file, expected a study's points; name another file", path);
    if (access(path, write ? R_OK | W_OK : R_OK) != 0)
        return sim_fail(st, "%s: cannot be %s (%s); change its mode or name another file", path,
                        write ? "written" : "read", strerror(errno));
    return true;
}

bool exp_store_place(const char *path, enum exp_store_mode mode, const char **network, struct sim_status *st)
{
    bool write = mode != EXP_STORE_READ;
    if (!path[0])
        return sim_fail_as(st, SIM_EXIT_USAGE, "the name of the file of points is empty; name a file");
    char *copy = sim_strdup(path);
    const char *folder = dirname(copy);
    bool fit = folder_is_fit(path, folder, write, st) && file_is_fit(path, write, st);
    *network = fit ? network_of(access(path, F_OK) == 0 ? path : folder) : NULL;
    free(copy);
    if (fit && *network && mode == EXP_STORE_WRITE)
        return sim_fail(
            st,
            "%s: lies on a network file system (%s), where several machines cannot share one file; give --db "
            "a local file, or let each process write its own with --shard K/N and --merge them",
            path, *network);
    return fit;
}
