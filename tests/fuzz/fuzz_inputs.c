/*
 * Any bytes as a file of inputs: a .npz, .npy or .pb, as its first byte has it.
 * What must hold for all of them:
 *
 *  - a failure has a status and a message, and is never "a bug in onnxq";
 *  - a success gives arrays whose sizes agree, whose strings lie in their
 *    blocks, and that are the same when the file is read again.
 */
#define _POSIX_C_SOURCE 200809L
#include <onnxq/onnxq.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "onnx.pb-c.h"
#include "values/input_files.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes);

/* Not assert(): it has to hold in every build. */
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: CHECK(%s)\n", __FILE__, __LINE__, #condition);                 \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static char root[4096];
static char path[sizeof(root) + 16];

static void tear_down(void)
{
    unlink(path);
    rmdir(root);
}

static void set_up(void)
{
    const char *temporary = getenv("TMPDIR");
    snprintf(root, sizeof(root), "%s/onnxq-fuzz-XXXXXX",
             temporary && *temporary ? temporary : "/tmp");
    CHECK(mkdtemp(root));
    atexit(tear_down);
}

/* A new file each time: some file systems wait for the disk when an old one was truncated. */
static void write_file(const uint8_t *data, size_t nbytes)
{
    const char *ending = nbytes > 0 && data[0] == 'P'    ? "npz"
                         : nbytes > 0 && data[0] == 0x93 ? "npy"
                                                         : "pb";
    unlink(path);
    snprintf(path, sizeof(path), "%s/in.%s", root, ending);
    FILE *file = fopen(path, "wb");
    CHECK(file && fwrite(data, 1, nbytes, file) == nbytes && fclose(file) == 0);
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
    CHECK(error.message[0] != '\0' && strcmp(error.file, path) == 0);
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes)
{
    struct oq_input_sets sets = {0}, again = {0};
    if (root[0] == '\0')
        set_up();
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
