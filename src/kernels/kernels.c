/* Chooses the variant of the kernels that this processor runs best. */
#include "kernels/kernels.h"

#define OQ_SUFFIX generic
#define OQ_TARGET
#include "kernels/kernels_template.h"

#if defined(__x86_64__) && defined(__GNUC__)
#define OQ_X86 1

#define OQ_SUFFIX avx2
#define OQ_TARGET __attribute__((target("avx2")))
#include "kernels/kernels_template.h"

/* Wide vectors pay here: the loops wait for memory and division, not for frequency. */
#define OQ_SUFFIX avx512
#if defined(__clang__)
#define OQ_TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq")))
#else
#define OQ_TARGET                                                                                  \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,prefer-vector-width=512")))
#endif
#include "kernels/kernels_template.h"
#endif

const struct oq_kernels *const *oq_kernels_available(void)
{
    static const struct oq_kernels *const list[] = {
#if defined(OQ_X86)
        &kernels_avx512,
        &kernels_avx2,
#endif
        &kernels_generic,
        NULL
    };
    size_t first = 0;
#if defined(OQ_X86)
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
        !__builtin_cpu_supports("avx512vl") || !__builtin_cpu_supports("avx512dq"))
        first = __builtin_cpu_supports("avx2") ? 1 : 2;
#endif
    return list + first;
}
