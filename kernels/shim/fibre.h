/* Threads of execution that change places only when told to: a stack and the registers a call preserves. Own
 * switch on x86-64 (some 5 ns), ucontext elsewhere. Sanitizers are told of each switch; to the thread sanitizer
 * the fibres are threads that nothing orders but kb_fibre_release and kb_fibre_acquire: it sees races of a
 * kernel's threads, for which the shim's own files must be built without it and with KB_TSAN. */
#ifndef KVSIM_KERNELS_SHIM_FIBRE_H
#define KVSIM_KERNELS_SHIM_FIBRE_H

#include <stddef.h>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

struct kb_fibre {
#if defined(__x86_64__)
    void *stack_pointer;
#else
    ucontext_t context;
#endif
    const void *stack; /* lowest address */
    size_t stack_bytes;
    void *sanitizer; /* address sanitizer: its saved stack; thread sanitizer: its fibre */
};

/* Prepares a fibre that runs entry on its first switch; entry never returns. A fibre may be made again. */
void kb_fibre_make(struct kb_fibre *f, void *stack, size_t bytes, void (*entry)());
/* The thread that runs now becomes a fibre to come back to. */
void kb_fibre_adopt(struct kb_fibre *f);
void kb_fibre_free(struct kb_fibre *f);
void kb_fibre_switch(struct kb_fibre *from, struct kb_fibre *to);
/* To be called first by entry. */
void kb_fibre_entered();

/* What was done before release(at) has happened for whoever calls acquire(at) later. */
void kb_fibre_release(void *at);
void kb_fibre_acquire(void *at);
/* The fibre that runs reads or writes there, on behalf of an instruction that the shim imitates. */
void kb_fibre_reads(const void *at, size_t bytes);
void kb_fibre_writes(void *at, size_t bytes);
/* Is somebody watching for unordered accesses? */
bool kb_fibre_sees_races();

/* Marks memory that nobody may touch, and takes the mark away; true where somebody watches. */
bool kb_fibre_forbid(const void *at, size_t bytes);
void kb_fibre_permit(const void *at, size_t bytes);

#endif
