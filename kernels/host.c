#define _GNU_SOURCE /* sched_setaffinity */
#include "kernels/host.h"

#include <ctype.h>
#include <dirent.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

enum { PATH_ROOM = 512, LINE_ROOM = 4096 };
#define PIN_CEILING_BYTES 16000000000u

double kb_now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* --- reading --- */

/* The line that begins with a key ("" = the first), after its ':' or '='; quotes and spaces at the ends are
 * dropped. */
static bool read_value(const char *path, const char *key, char *out, size_t room)
{
    char line[LINE_ROOM];
    bool found = false;
    FILE *f = fopen(path, "r");
    while (f && !found && fgets(line, sizeof line, f)) {
        if (strncmp(line, key, strlen(key)) != 0) continue;
        const char *p = line + strlen(key);
        if (*key) p += strspn(p, " \t:=");
        p += strspn(p, " \t\"");
        size_t n = strcspn(p, "\"\n");
        while (n > 0 && isspace((unsigned char)p[n - 1])) n--;
        snprintf(out, room, "%.*s", (int)n, p);
        found = true;
    }
    if (f) fclose(f);
    return found;
}

static bool read_under(const char *root, const char *path, const char *key, char *out, size_t room)
{
    char full[PATH_ROOM];
    snprintf(full, sizeof full, "%s%s", root, path);
    return read_value(full, key, out, room);
}

/* Entries of a folder that begin with a prefix and a digit; 0 when it is not there. */
static uint32_t count_entries(const char *root, const char *path, const char *prefix)
{
    char full[PATH_ROOM];
    uint32_t n = 0;
    snprintf(full, sizeof full, "%s%s", root, path);
    DIR *folder = opendir(full);
    for (struct dirent *e; folder && (e = readdir(folder));)
        n += strncmp(e->d_name, prefix, strlen(prefix)) == 0 &&
             isdigit((unsigned char)e->d_name[strlen(prefix)]);
    if (folder) closedir(folder);
    return n;
}

static uint64_t meminfo_bytes(const char *root, const char *key)
{
    char text[64];
    if (!read_under(root, "/proc/meminfo", key, text, sizeof text)) return 0;
    return strtoull(text, NULL, 10) * 1024;
}

uint64_t kb_host_pin_limit(const char *root)
{
    uint64_t quarter = meminfo_bytes(root, "MemAvailable") / 4;
    return quarter < PIN_CEILING_BYTES ? quarter : PIN_CEILING_BYTES;
}

/* --- the machine --- */

/* x86 says it in the processor's flags; elsewhere the board's maker gives it away. */
static bool is_virtual(const char *root, const char *machine)
{
    static const char *const maker[] = {
        "QEMU",       "KVM",      "VMware", "Xen", "Virtual Machine", "VirtualBox", "Google Compute Engine",
        "Amazon EC2", "OpenStack"};
    char flags[LINE_ROOM];
    if (read_under(root, "/proc/cpuinfo", "flags", flags, sizeof flags))
        return strstr(flags, " hypervisor") != NULL;
    for (size_t i = 0; i < sizeof maker / sizeof *maker; i++)
        if (strstr(machine, maker[i])) return true;
    return false;
}

static void read_board(const char *root, struct kb_host *h)
{
    char vendor[60] = "", product[60] = "";
    read_under(root, "/sys/class/dmi/id/sys_vendor", "", vendor, sizeof vendor);
    read_under(root, "/sys/class/dmi/id/product_name", "", product, sizeof product);
    snprintf(h->machine, sizeof h->machine, "%s%s%s", vendor, *vendor && *product ? " " : "", product);
}

void kb_host_read(const char *root, struct kb_host *out)
{
    struct kb_host h = {0};
    struct utsname name;
    if (!read_under(root, "/proc/cpuinfo", "model name", h.processor, sizeof h.processor))
        read_under(root, "/proc/cpuinfo", "Model", h.processor, sizeof h.processor);
    read_under(root, "/etc/os-release", "PRETTY_NAME", h.os, sizeof h.os);
    if (uname(&name) == 0)
        snprintf(h.kernel, sizeof h.kernel, "%.*s", (int)sizeof h.kernel - 1, name.release);
    read_board(root, &h);
    h.cores = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN);
    h.numa_nodes = count_entries(root, "/sys/devices/system/node", "node");
    h.virtual_machine = is_virtual(root, h.machine);
    h.iommu = count_entries(root, "/sys/kernel/iommu_groups", "") > 0;
    h.memory_bytes = meminfo_bytes(root, "MemTotal");
    h.available_bytes = meminfo_bytes(root, "MemAvailable");
    *out = h;
}

/* --- PCI --- */

double kb_pcie_byte_per_s(uint32_t generation, uint32_t lanes)
{
    static const double transfers[] = {0, 2.5e9, 5e9, 8e9, 16e9, 32e9, 64e9};
    if (generation >= sizeof transfers / sizeof *transfers) return 0;
    double coding = generation <= 2 ? 8.0 / 10 : generation <= 5 ? 128.0 / 130 : 242.0 / 256;
    return transfers[generation] * coding / 8 * lanes;
}

static bool pci_value(const char *root, const char *bus_id, const char *what, char *out, size_t room)
{
    char path[PATH_ROOM], id[32];
    size_t n = 0;
    for (; bus_id[n] && n + 1 < sizeof id; n++) id[n] = (char)tolower((unsigned char)bus_id[n]);
    id[n] = 0;
    snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/%s", id, what);
    return read_under(root, path, "", out, room);
}

/* "32.0 GT/s PCIe" */
static uint32_t generation_of(const char *speed)
{
    static const double transfers[] = {2.5, 5, 8, 16, 32, 64};
    double x = strtod(speed, NULL);
    for (uint32_t i = 0; i < sizeof transfers / sizeof *transfers; i++)
        if (x == transfers[i]) return i + 1;
    return 0;
}

bool kb_pci_read(const char *root, const char *bus_id, struct kb_pci *out)
{
    char text[64];
    struct kb_pci p = {.numa_node = -1};
    if (pci_value(root, bus_id, "current_link_speed", text, sizeof text)) p.generation = generation_of(text);
    if (pci_value(root, bus_id, "current_link_width", text, sizeof text))
        p.lanes = (uint32_t)strtoul(text, NULL, 10);
    if (pci_value(root, bus_id, "numa_node", text, sizeof text)) p.numa_node = (int)strtol(text, NULL, 10);
    if (p.generation == 0 || p.lanes > 32) p.lanes = 0; /* 63 and 255 stand for unknown */
    p.byte_per_s = kb_pcie_byte_per_s(p.generation, p.lanes);
    *out = p;
    return p.byte_per_s > 0;
}

/* --- processors --- */

/* "0-15,32-47" */
static bool parse_list(const char *text, cpu_set_t *set)
{
    CPU_ZERO(set);
    for (const char *p = text; isdigit((unsigned char)*p);) {
        char *end;
        unsigned long first = strtoul(p, &end, 10), last = first;
        if (*end == '-') last = strtoul(end + 1, &end, 10);
        for (unsigned long i = first; i <= last && i < CPU_SETSIZE; i++) CPU_SET(i, set);
        p = *end == ',' ? end + 1 : end;
    }
    return CPU_COUNT(set) > 0;
}

bool kb_host_bind(const char *root, const char *bus_id)
{
    char text[LINE_ROOM];
    cpu_set_t near, now;
    if (!pci_value(root, bus_id, "local_cpulist", text, sizeof text) || !parse_list(text, &near))
        return false;
    if (sched_getaffinity(0, sizeof now, &now) != 0) return false;
    CPU_AND(&near, &near, &now);
    return CPU_COUNT(&near) > 0 && sched_setaffinity(0, sizeof near, &near) == 0;
}
