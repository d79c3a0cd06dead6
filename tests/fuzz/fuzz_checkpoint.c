/*
 * Any bytes as a checkpoint. What is refused is refused in one line. Of one that is accepted every
 * tensor lies in the file, and every number of every module can be read, and has its bits.
 */
#include <string.h>

#include "checkpoint/unpack.h"
#include "fuzz/support.h"

#define MAX_ROWS    4096 /* of what is read number by number */
#define MAX_COLUMNS 512

static char *path;

static void check_tensors(const onnxq_checkpoint *checkpoint)
{
    for (size_t i = 0; i < checkpoint->stored.count; i++) {
        const struct oq_stored *stored = &checkpoint->stored.items[i];
        CHECK(stored->offset <= stored->file->nbytes &&
              stored->nbytes <= stored->file->nbytes - stored->offset);
    }
}

static void check_numbers(const struct oq_module *module)
{
    struct oq_unpack unpack = {.module = module};
    static uint8_t codes[2][32 * MAX_COLUMNS];
    static float scales[MAX_COLUMNS];
    bool all_in_the_middle, fits;
    onnxq_error error = {0};
    CHECK(oq_unpack_find_zeros(&unpack, &all_in_the_middle, &fits, &error));
    CHECK(fits || !all_in_the_middle);
    const size_t n = (size_t)(module->columns < MAX_COLUMNS ? module->columns : MAX_COLUMNS);
    for (uint64_t row = 0; row < module->rows && row < MAX_ROWS; row += 32) {
        const size_t n_rows = (size_t)(module->rows - row < 32 ? module->rows - row : 32);
        for (int k = 0; k < 2; k++)
            CHECK(oq_unpack_codes(&unpack, row, n_rows, 0, n, codes[k], &error));
        CHECK(memcmp(codes[0], codes[1], n_rows * n) == 0);
        for (size_t i = 0; i < n_rows * n; i++)
            CHECK(codes[0][i] < 1u << module->bits);
    }
    CHECK(oq_unpack_zeros(&unpack, module->n_groups - 1, 0, n, codes[0], &error));
    CHECK(oq_unpack_scales(&unpack, module->n_groups - 1, 0, n, scales, &error));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes)
{
    onnxq_error error = {0};
    if (!path)
        path = fuzz_path("model.safetensors");
    fuzz_write(path, data, nbytes);
    onnxq_checkpoint *checkpoint = onnxq_checkpoint_open(path, &error);
    if (checkpoint == NULL) {
        fuzz_check_error(&error);
        CHECK(error.status == ONNXQ_ERROR_INPUT || error.status == ONNXQ_ERROR_MEMORY);
        return 0;
    }
    check_tensors(checkpoint);
    for (size_t i = 0; i < checkpoint->n_modules; i++)
        if (checkpoint->modules[i].refusal == NULL)
            check_numbers(&checkpoint->modules[i]);
    onnxq_checkpoint_close(checkpoint);
    return 0;
}
