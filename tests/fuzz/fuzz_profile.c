/*
 * Any bytes as a profile of ONNX Runtime. A failure says that it is the engine's;
 * a success gives sorted operators with times that are numbers, of nodes that
 * the sum of which is the whole.
 */
#include "bench/profile.h"

#include <math.h>
#include <string.h>

#include "fuzz/support.h"

/* What memory a file may take: the times of each node in each run. */
#define BUDGET ((size_t)64 << 20)

static char *path;

static void check_profile(const struct oq_profile *profile)
{
    CHECK(profile->n_runs > 0 && profile->n_ops > 0 && !isnan(profile->ms));
    for (size_t i = 0; i < profile->n_ops; i++) {
        const struct oq_profile_op *op = &profile->ops[i];
        CHECK(op->op_type[0] != '\0' && op->slowest && op->n_nodes > 0);
        CHECK(op->ms >= 0 && op->slowest_ms >= 0 && op->slowest_ms <= op->ms);
        CHECK(i == 0 || op->ms <= op[-1].ms);
        CHECK(i == 0 || strcmp(op->op_type, op[-1].op_type) != 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes)
{
    struct oq_profile profile;
    struct oq_arena arena;
    onnxq_error error = {0};
    if (!path)
        path = fuzz_path("profile.json");
    fuzz_write(path, data, nbytes);
    oq_arena_init(&arena, BUDGET);
    if (oq_profile_read(&profile, path, &arena, &error)) {
        check_profile(&profile);
    } else {
        fuzz_check_error(&error);
        CHECK(error.status == ONNXQ_ERROR_ENGINE || error.status == ONNXQ_ERROR_MEMORY);
    }
    oq_arena_fini(&arena);
    return 0;
}
