/*
 * What wheels for old systems lack: functions that glibc has had since 2.25 to 2.29, and what clang
 * asks of its runtime library, which ziglang leaves out. tools/wheel links it, nothing else does.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <unistd.h>

#if defined(__GLIBC__)
#include <dlfcn.h>
#include <spawn.h>
#include <sys/syscall.h>

int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags)
{
    return (int)syscall(SYS_renameat2, from_folder, from, to_folder, to, flags);
}

/* At most 256 bytes, as glibc's own: those come in one piece. */
int getentropy(void *dst, size_t nbytes)
{
    return syscall(SYS_getrandom, dst, nbytes, 0) == (long)nbytes ? 0 : -1;
}

/* Of the system's glibc where that has it; else the caller does without. */
int posix_spawn_file_actions_addchdir_np(posix_spawn_file_actions_t *actions, const char *path)
{
    int (*function)(posix_spawn_file_actions_t *, const char *) = NULL;
    *(void **)&function = dlsym(RTLD_NEXT, "posix_spawn_file_actions_addchdir_np");
    return function != NULL ? function(actions, path) : ENOSYS;
}
#endif

#if defined(__x86_64__)
#include <cpuid.h>

/* As __builtin_cpu_supports() reads it; bits are numbered as in libgcc and compiler-rt. */
struct cpu_model {
    unsigned vendor, type, subtype, features[1];
};
__attribute__((visibility("hidden"))) struct cpu_model __cpu_model;
__attribute__((visibility("hidden"))) unsigned __cpu_features2[3];

enum { AVX2 = 10, AVX512F = 15, AVX512VL = 20, AVX512BW = 21, AVX512DQ = 22 };

static unsigned saved_state(void)
{
    unsigned low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

__attribute__((visibility("hidden"))) int __cpu_indicator_init(void)
{
    unsigned a, b, c, d, leaf7, ymm = 0x6, zmm = 0xe6; /* registers that the system saves */
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE) ||
        !__get_cpuid_count(7, 0, &a, &leaf7, &c, &d))
        return 0;
    unsigned state = saved_state(), found = 0;
    if ((state & ymm) == ymm && (leaf7 & bit_AVX2))
        found |= 1u << AVX2;
    if ((state & zmm) == zmm)
        found |= (leaf7 & bit_AVX512F ? 1u << AVX512F : 0) |
                 (leaf7 & bit_AVX512VL ? 1u << AVX512VL : 0) |
                 (leaf7 & bit_AVX512BW ? 1u << AVX512BW : 0) |
                 (leaf7 & bit_AVX512DQ ? 1u << AVX512DQ : 0);
    __cpu_model.features[0] = found;
    return 0;
}

__attribute__((constructor(101))) static void look_at_processor(void)
{
    __cpu_indicator_init();
}
#endif
