/*
 * Runs a model through src/engine as it is told, for tests/ort/test_engine.py.
 *
 *   engine_probe [OPTION...] [MODEL [INPUT...] [-- OUTPUT...]]
 *
 * INPUT is NAME TYPE DIMS FILE: a number of TensorProto.DataType, sizes as in "2,3" ("" is a
 * scalar), and a file with the elements as in raw_data, or strings that each end with a NUL.
 * Without a model it prints the engine's version and path. Else a line for each output: its name,
 * type, sizes, and elements in hexadecimal digits. Exits with the status of the error.
 */
#define _POSIX_C_SOURCE 200809L
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "engine/session.h"
#include "onnx.pb-c.h"

#define STRING        OQ__PB__TENSOR_PROTO__DATA_TYPE__STRING
#define MAX_ARGUMENTS 256

struct task {
    const char *ort_lib, *model, *folder; /* folder: open from memory, external data there */
    const char *provider_names[8];
    struct oq_session_options options;
    unsigned long runs;
    char **inputs, **outputs;
    int n_inputs, n_outputs;
};

static char *read_file(const char *path, size_t *nbytes)
{
    onnxq_error error;
    struct oq_file file;
    oq_error_init(&error);
    assert(oq_file_open(&file, path, &error));
    *nbytes = (size_t)file.nbytes;
    char *bytes = calloc(1, *nbytes + 1);
    assert(bytes != NULL && oq_file_read(&file, 0, bytes, *nbytes, &error));
    oq_file_close(&file);
    return bytes;
}

/* --- arguments ----------------------------------------------------------------- */

static bool read_option(struct task *task, const char *name, const char *value)
{
    if (strcmp(name, "--ort-lib") == 0)
        task->ort_lib = value;
    else if (strcmp(name, "--ep") == 0)
        task->provider_names[task->options.n_providers++] = value;
    else if (strcmp(name, "--opt-level") == 0)
        task->options.opt_level = (enum oq_opt_level)atoi(value);
    else if (strcmp(name, "--threads") == 0)
        task->options.threads = (unsigned)atoi(value);
    else if (strcmp(name, "--profile") == 0)
        task->options.profile_prefix = value;
    else if (strcmp(name, "--bytes") == 0)
        task->folder = value;
    else if (strcmp(name, "--runs") == 0)
        task->runs = strtoul(value, NULL, 10);
    else
        return false;
    return true;
}

static void read_arguments(struct task *task, int argc, char **argv)
{
    int i = 1, end;
    for (; i + 1 < argc && read_option(task, argv[i], argv[i + 1]); i += 2)
        continue;
    if (i < argc)
        task->model = argv[i++];
    for (end = i; end < argc && strcmp(argv[end], "--") != 0; end++)
        continue;
    task->inputs = argv + i;
    task->n_inputs = (end - i) / 4;
    task->outputs = argv + end + 1;
    task->n_outputs = end < argc ? argc - end - 1 : 0;
}

static size_t read_dims(char *text, int64_t dims[8])
{
    size_t n = 0;
    for (char *part = strtok(text, ","); part != NULL; part = strtok(NULL, ","))
        dims[n++] = strtoll(part, NULL, 10);
    return n;
}

static bool read_strings(struct oq_array *array, char **input, const int64_t *dims, size_t n_dims,
                         onnxq_error *error)
{
    const char *strings[MAX_ARGUMENTS];
    size_t nbytes, n = 0;
    char *text = read_file(input[3], &nbytes);
    for (char *next = text; next < text + nbytes; next += strlen(next) + 1)
        strings[n++] = next;
    bool ok = oq_array_init_strings(array, input[0], strings, dims, n_dims, error);
    free(text);
    return ok;
}

static bool read_input(struct oq_array *array, char **input, onnxq_error *error)
{
    int64_t dims[8];
    size_t n_dims = read_dims(input[2], dims), nbytes;
    int32_t type = (int32_t)atoi(input[1]);
    if (type == STRING)
        return read_strings(array, input, dims, n_dims, error);
    if (!oq_array_init(array, input[0], type, dims, n_dims, error))
        return false;
    char *bytes = read_file(input[3], &nbytes);
    assert(nbytes == array->nbytes);
    memcpy(array->data, bytes, nbytes);
    free(bytes);
    return true;
}

/* --- results ------------------------------------------------------------------- */

static void print_bytes(const void *bytes, size_t nbytes)
{
    for (size_t i = 0; i < nbytes; i++)
        printf("%02x", ((const unsigned char *)bytes)[i]);
}

static void print_array(const struct oq_array *array)
{
    printf("%s\t%" PRId32 "\t", array->name, array->data_type);
    for (size_t i = 0; i < array->n_dims; i++)
        printf("%s%" PRId64, i > 0 ? "," : "", array->dims[i]);
    printf("\t");
    if (array->data_type == STRING) {
        for (uint64_t i = 0; i < array->nelem; i++)
            print_bytes(((char **)array->data)[i], strlen(((char **)array->data)[i]) + 1);
    } else {
        print_bytes(array->data, (size_t)array->nbytes);
    }
    printf("\n");
}

static bool print_outputs(const struct oq_session *session, int n, onnxq_error *error)
{
    for (int i = 0; i < n; i++) {
        struct oq_array array;
        bool ok = oq_session_get_output(session, (size_t)i, &array, error);
        if (ok)
            print_array(&array);
        oq_array_fini(&array);
        if (!ok)
            return false;
    }
    return true;
}

static bool print_profile(const struct task *task, struct oq_session *session, onnxq_error *error)
{
    if (task->options.profile_prefix == NULL)
        return true;
    char *path = oq_session_end_profile(session, error);
    if (path != NULL)
        printf("%s\n", path);
    free(path);
    return path != NULL;
}

/* --- the run ------------------------------------------------------------------- */

static bool run_session(const struct task *task, struct oq_session *session, onnxq_error *error)
{
    struct oq_array inputs[MAX_ARGUMENTS] = {0};
    bool ok = true;
    for (int i = 0; ok && i < task->n_inputs; i++)
        ok = read_input(&inputs[i], task->inputs + 4 * i, error);
    ok = ok && oq_session_set_inputs(session, inputs, (size_t)task->n_inputs, error) &&
         oq_session_set_outputs(session, (const char *const *)task->outputs,
                                (size_t)task->n_outputs, error);
    for (unsigned long k = 0; ok && k < task->runs; k++)
        ok = oq_session_run(session, error);
    ok =
        ok && print_outputs(session, task->n_outputs, error) && print_profile(task, session, error);
    oq_session_close(session);
    for (int i = 0; i < task->n_inputs; i++)
        oq_array_fini(&inputs[i]);
    return ok;
}

static struct oq_session *open_session(const struct task *task, struct oq_engine *engine,
                                       onnxq_error *error)
{
    size_t nbytes;
    if (task->folder == NULL)
        return oq_session_open(engine, task->model, &task->options, error);
    char *bytes = read_file(task->model, &nbytes);
    struct oq_session *session = oq_session_open_bytes(engine, bytes, nbytes, task->folder,
                                                       task->model, &task->options, error);
    memset(bytes, 0xff, nbytes); /* it may go */
    free(bytes);
    return session;
}

static bool run(struct task *task, struct oq_engine *engine, onnxq_error *error)
{
    task->options.providers = task->provider_names;
    if (task->model == NULL) {
        printf("%s\n%s\n", oq_engine_version(engine), oq_engine_path(engine));
        return true;
    }
    struct oq_session *session = open_session(task, engine, error);
    return session != NULL && run_session(task, session, error);
}

int main(int argc, char **argv)
{
    struct task task = {.options.opt_level = OQ_OPT_ALL, .options.threads = 1, .runs = 1};
    char text[2048];
    onnxq_error error;
    oq_error_init(&error);
    assert(argc < MAX_ARGUMENTS);
    read_arguments(&task, argc, argv);
    struct oq_engine *engine = oq_engine_open(task.ort_lib, &error);
    bool ok = engine != NULL && run(&task, engine, &error);
    oq_engine_close(engine);
    if (ok)
        return 0;
    onnxq_error_format(&error, text, sizeof(text));
    fprintf(stderr, "%s\n%s\n", text, error.hint);
    return (int)error.status;
}
