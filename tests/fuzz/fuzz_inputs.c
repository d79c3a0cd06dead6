/*
 * Any bytes as a file of inputs: a .npz, .npy or .pb, as its first byte has it.
 * What must hold for all of them:
 *
 *  - a failure has a status and a message, and is never "a bug in onnxq";
 *  - a success gives arrays whose sizes agree, whose strings lie in their
 *    blocks, and that are the same when the file is read again.
 */
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "fuzz/support.h"
#include "onnx.pb-c.h"
#include "arrays/input_files.h"

static char *paths[3], *path;

/* The first byte of a format says which one it is. */
static void write_file(const uint8_t *data, size_t nbytes)
{
    static const char *const names[] = {"in.npz", "in.npy", "in.pb"};
    for (int i = 0; i < 3 && !paths[i]; i++)
        paths[i] = fuzz_path(names[i]);
    if (path)
        unlink(path);
    path = paths[nbytes > 0 && data[0] == 'P' ? 0 : nbytes > 0 && data[0] == 0x93 ? 1 : 2];
    fuzz_write(path, data, nbytes);
}

static void check_strings(const struct oq_array *array)
{
    const char *const *strings = array->data;
    const char *block = array->data, *end = block + array->nbytes;
    for (uint64_t i = 0; i < array->nelem; i++) {
        CHECK(strings[i] >= block + array->nelem * sizeof(*strings) && strings[i] < end);
        CHECK(memchr(strings[i], '\0', (size_t)(end - strings[i])));
    }
}

static void check_array(const struct oq_array *array)
{
    uint64_t nelem = 1;
    CHECK(array->name && array->data && array->name[0] != '\0');
    for (size_t i = 0; i < array->n_dims; i++) {
        CHECK(array->dims[i] >= 0);
        nelem *= (uint64_t)array->dims[i];
    }
    CHECK(array->nelem == nelem && array->nbytes <= OQ_ARRAY_MAX_NBYTES);
    if (array->data_type == OQ__PB__TENSOR_PROTO__DATA_TYPE__STRING)
        check_strings(array);
    double element;
    if (oq_array_is_numeric(array) && nelem > 0)
        oq_array_read_doubles(array, nelem - 1, 1, &element);
}

static void check_same(const struct oq_array *a, const struct oq_array *b)
{
    CHECK(strcmp(a->name, b->name) == 0 && a->data_type == b->data_type);
    CHECK(a->nbytes == b->nbytes && a->nelem == b->nelem && a->n_dims == b->n_dims);
    if (a->data_type != OQ__PB__TENSOR_PROTO__DATA_TYPE__STRING) {
        CHECK(memcmp(a->data, b->data, (size_t)a->nbytes) == 0);
        return;
    }
    for (uint64_t i = 0; i < a->nelem; i++)
        CHECK(strcmp(((char **)a->data)[i], ((char **)b->data)[i]) == 0);
}

static bool read_sets(struct oq_input_sets *sets)
{
    onnxq_error error;
    oq_error_init(&error);
    if (oq_input_sets_read(sets, path, &error))
        return true;
    CHECK(error.status == ONNXQ_ERROR_INPUT || error.status == ONNXQ_ERROR_MEMORY);
    CHECK(strcmp(error.file, path) == 0);
    fuzz_check_error(&error);
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes)
{
    struct oq_input_sets sets = {0}, again = {0};
    write_file(data, nbytes);
    bool ok = read_sets(&sets);
    CHECK(read_sets(&again) == ok && sets.count == again.count);
    if (ok) {
        const struct oq_arrays *arrays = &sets.list[0].inputs;
        CHECK(sets.count == 1 && arrays->count == again.list[0].inputs.count);
        for (size_t i = 0; i < arrays->count; i++) {
            check_array(&arrays->list[i]);
            check_same(&arrays->list[i], &again.list[0].inputs.list[i]);
        }
    }
    oq_input_sets_fini(&sets);
    oq_input_sets_fini(&again);
    return 0;
}
