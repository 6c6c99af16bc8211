#include "kernels/shim/fibre.h"

#include <stdint.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define KB_ASAN
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define KB_ASAN
#endif

/* --- what sanitizers want to know --- */

#if defined(KB_ASAN)

#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>

static thread_local struct kb_fibre *left, *running;

static void announce_made(struct kb_fibre *f)
{
    f->sanitizer = nullptr;
    __asan_unpoison_memory_region(f->stack, f->stack_bytes); /* an abandoned fibre leaves its frames' marks */
}
static void announce_adopted(struct kb_fibre *f)
{
    f->sanitizer = nullptr;
}
static void announce_leaving(struct kb_fibre *from, struct kb_fibre *to)
{
    left = from;
    running = to;
    __sanitizer_start_switch_fiber(&from->sanitizer, to->stack, to->stack_bytes);
}
static void announce_entered()
{
    __sanitizer_finish_switch_fiber(running->sanitizer, &left->stack, &left->stack_bytes);
}
void kb_fibre_free(struct kb_fibre *)
{
}
void kb_fibre_release(void *)
{
}
void kb_fibre_acquire(void *)
{
}
void kb_fibre_reads(const void *, size_t)
{
}
void kb_fibre_writes(void *, size_t)
{
}
bool kb_fibre_sees_races()
{
    return false;
}
bool kb_fibre_forbid(const void *at, size_t bytes)
{
    __asan_poison_memory_region(at, bytes);
    return true;
}
void kb_fibre_permit(const void *at, size_t bytes)
{
    __asan_unpoison_memory_region(at, bytes);
}

#elif defined(KB_TSAN)

#include <sanitizer/tsan_interface.h>

/* In every runtime, in no header. */
extern "C" void __tsan_read_range(void *at, size_t bytes);
extern "C" void __tsan_write_range(void *at, size_t bytes);

static void announce_made(struct kb_fibre *f)
{
    if (f->sanitizer) __tsan_destroy_fiber(f->sanitizer);
    f->sanitizer = __tsan_create_fiber(0);
}
static void announce_adopted(struct kb_fibre *f)
{
    f->sanitizer = __tsan_get_current_fiber();
}
static void announce_leaving(struct kb_fibre *, struct kb_fibre *to)
{
    __tsan_switch_to_fiber(to->sanitizer, __tsan_switch_to_fiber_no_sync);
}
static void announce_entered()
{
}
void kb_fibre_free(struct kb_fibre *f)
{
    if (f->sanitizer) __tsan_destroy_fiber(f->sanitizer);
}
void kb_fibre_release(void *at)
{
    __tsan_release(at);
}
void kb_fibre_acquire(void *at)
{
    __tsan_acquire(at);
}
void kb_fibre_reads(const void *at, size_t bytes)
{
    __tsan_read_range((void *)at, bytes);
}
void kb_fibre_writes(void *at, size_t bytes)
{
    __tsan_write_range(at, bytes);
}
bool kb_fibre_sees_races()
{
    return true;
}
bool kb_fibre_forbid(const void *, size_t)
{
    return false;
}
void kb_fibre_permit(const void *, size_t)
{
}

#else

static void announce_made(struct kb_fibre *)
{
}
static void announce_adopted(struct kb_fibre *)
{
}
static void announce_leaving(struct kb_fibre *, struct kb_fibre *)
{
}
static void announce_entered()
{
}
void kb_fibre_free(struct kb_fibre *)
{
}
void kb_fibre_release(void *)
{
}
void kb_fibre_acquire(void *)
{
}
void kb_fibre_reads(const void *, size_t)
{
}
void kb_fibre_writes(void *, size_t)
{
}
bool kb_fibre_sees_races()
{
    return false;
}
bool kb_fibre_forbid(const void *, size_t)
{
    return false;
}
void kb_fibre_permit(const void *, size_t)
{
}

#endif

void kb_fibre_entered()
{
    announce_entered();
}

void kb_fibre_adopt(struct kb_fibre *f)
{
    announce_adopted(f);
}

/* --- the switch --- */

#if defined(__x86_64__)

/* Keeps what the System V ABI says a call preserves; rounding and exception modes are the same in all fibres. */
extern "C" void kb_fibre_swap(void **keep_stack_pointer, void *stack_pointer);
asm(".text\n"
    ".globl kb_fibre_swap\n"
    ".hidden kb_fibre_swap\n"
    ".type kb_fibre_swap, @function\n"
    "kb_fibre_swap:\n"
    "    pushq %rbp\n    pushq %rbx\n    pushq %r12\n    pushq %r13\n    pushq %r14\n    pushq %r15\n"
    "    movq %rsp, (%rdi)\n"
    "    movq %rsi, %rsp\n"
    "    popq %r15\n    popq %r14\n    popq %r13\n    popq %r12\n    popq %rbx\n    popq %rbp\n"
    "    ret\n"
    ".size kb_fibre_swap, . - kb_fibre_swap\n");

void kb_fibre_make(struct kb_fibre *f, void *stack, size_t bytes, void (*entry)())
{
    f->stack = stack;
    f->stack_bytes = bytes;
    announce_made(f);
    uintptr_t top = ((uintptr_t)stack + bytes) & ~(uintptr_t)15;
    uintptr_t *frame = (uintptr_t *)top - 8; /* six registers, entry's address, where entry would return to */
    for (int i = 0; i < 8; i++) frame[i] = 0;
    frame[6] = (uintptr_t)entry;
    f->stack_pointer = frame;
}

void kb_fibre_switch(struct kb_fibre *from, struct kb_fibre *to)
{
    announce_leaving(from, to);
    kb_fibre_swap(&from->stack_pointer, to->stack_pointer);
    announce_entered();
}

#else

void kb_fibre_make(struct kb_fibre *f, void *stack, size_t bytes, void (*entry)())
{
    f->stack = stack;
    f->stack_bytes = bytes;
    announce_made(f);
    getcontext(&f->context);
    f->context.uc_stack.ss_sp = stack;
    f->context.uc_stack.ss_size = bytes;
    f->context.uc_link = nullptr;
    makecontext(&f->context, entry, 0);
}

void kb_fibre_switch(struct kb_fibre *from, struct kb_fibre *to)
{
    announce_leaving(from, to);
    swapcontext(&from->context, &to->context);
    announce_entered();
}

#endif
