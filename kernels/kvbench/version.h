/* The version that profiles and interrupted runs are stamped with: another version's points are not mixed in. */
#ifndef KVSIM_KERNELS_KVBENCH_VERSION_H
#define KVSIM_KERNELS_KVBENCH_VERSION_H

#define KVB_VERSION "0.1.0"

#endif
