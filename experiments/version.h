/* The program's version, printed by --version and written into results. */
#ifndef KVSIM_EXPERIMENTS_VERSION_H
#define KVSIM_EXPERIMENTS_VERSION_H

#define EXP_VERSION "0.1.0"

#endif
