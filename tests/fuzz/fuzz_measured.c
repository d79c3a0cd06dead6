/* Any bytes as measurements of an earlier search. What is refused is refused in one line. */
#include "fuzz/support.h"
#include "tune/tune_cache.h"

static char *path;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes)
{
    onnxq_error error = {0};
    struct oq_tune_cache cache;
    struct oq_arena arena;
    const struct oq_tune_origin origin = {
        .model = {.hash = 1, .n_values = 2}, .onnxq = "1", .engine = "2", .machine = "3"};
    if (!path)
        path = fuzz_path("measured.json");
    fuzz_write(path, data, nbytes);
    oq_arena_init(&arena, (size_t)64 << 20);
    if (!oq_tune_cache_open(&cache, path, &arena, &origin, &error)) {
        fuzz_check_error(&error);
        CHECK(error.status == ONNXQ_ERROR_INPUT || error.status == ONNXQ_ERROR_MEMORY);
    }
    oq_arena_fini(&arena);
    return 0;
}
