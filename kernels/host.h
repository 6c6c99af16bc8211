/* The machine around the device: what host.yaml says of it, where a PCI device hangs, and how much memory may be
 * pinned. Costs of copies and launches come from these, not from the device, so a profile names them. Everything
 * is read from /proc and /sys under a root ("" = this machine; tests give a folder); nothing is ever changed but
 * the processors that the calling thread may run on, when kb_host_bind is asked. */
#ifndef KVSIM_KERNELS_HOST_H
#define KVSIM_KERNELS_HOST_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Text is "" and numbers are 0 where the machine does not tell. */
struct kb_host {
    char processor[128]; /* model name */
    char os[128];        /* PRETTY_NAME of os-release */
    char kernel[128];    /* Linux release */
    char machine[128];   /* vendor and product of the board or of the virtual machine */
    uint32_t cores;      /* online processors */
    uint32_t numa_nodes;
    bool virtual_machine;
    bool iommu; /* IOMMU groups are there: copies may be translated */
    uint64_t memory_bytes, available_bytes;
};
void kb_host_read(const char *root, struct kb_host *out);

/* Where a PCI device hangs. */
struct kb_pci {
    uint32_t generation, lanes; /* of the link as it runs now: an idle link may have stepped down */
    double byte_per_s;          /* encoded rate; 0 = unknown */
    int numa_node;              /* -1 = unknown */
};
/* bus_id: "0000:1a:00.0", either case. False when the machine does not know the device's link; *out then holds
 * what was found. */
bool kb_pci_read(const char *root, const char *bus_id, struct kb_pci *out);

/* Bytes per second of a PCIe link in one direction after line coding: 8b/10b up to generation 2, 128b/130b up to
 * 5, 242 of 256 bytes of a flit in 6. 0 for a generation that is not known.
 *   source  PCI Express Base Specification 6.0, sections 4.2 and 2.2 */
double kb_pcie_byte_per_s(uint32_t generation, uint32_t lanes);

/* Lets the calling thread, and those that it will start, run only on the processors near the device: their first
 * touch then puts buffers on its node. False when the machine does not say which, or forbids it. */
bool kb_host_bind(const char *root, const char *bus_id);

/* Most bytes that may be pinned: a quarter of the available memory, at most 16 GB. */
uint64_t kb_host_pin_limit(const char *root);

double kb_now_s(void); /* monotonic clock, seconds */

#ifdef __cplusplus
}
#endif

#endif
