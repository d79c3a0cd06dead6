/* The file of a plan, written and read. Nothing in it is believed. */
#include "tune/plan_file.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/json_reader.h"
#include "ranges/calibrated.h"

#define MARK             "onnxq_plan"
#define VERSION          1
#define MAX_FILE_NBYTES  ((uint64_t)256 << 20)
#define PLAN_FILE_BUDGET ((size_t)256 << 20)
#define N_FORMS          (ONNXQ_FORM_BLOCKS_4 + 1)

const char *const oq_form_names[N_FORMS] = {
    [ONNXQ_FORM_FLOAT] = "float",       [ONNXQ_FORM_FOLDED] = "folded",
    [ONNXQ_FORM_INTEGERS] = "integers", [ONNXQ_FORM_BLOCKS_8] = "blocks-8",
    [ONNXQ_FORM_BLOCKS_4] = "blocks-4",
};

bool oq_plan_file_write(const onnxq_model *model, const onnxq_ranges *ranges,
                        const onnxq_choice *choices, size_t n, FILE *stream)
{
    const struct oq_structure_digest digest = oq_structure_digest(model);
    struct oq_json json;
    char text[17];
    snprintf(text, sizeof(text), "%016" PRIx64, digest.hash);
    oq_json_init(&json, stream);
    oq_json_open_object(&json, NULL);
    oq_json_uint(&json, MARK, VERSION);
    oq_json_open_object(&json, "model");
    oq_json_string(&json, "digest", text);
    oq_json_uint(&json, "node_outputs", digest.n_values);
    oq_json_close(&json);
    oq_json_open_array(&json, "weights");
    for (size_t i = 0; i < n; i++) {
        oq_json_open_object(&json, NULL);
        oq_json_string(&json, "node", choices[i].node);
        oq_json_string(&json, "weight", choices[i].weight);
        oq_json_string(&json, "form", oq_form_names[choices[i].form]);
        oq_json_close(&json);
    }
    oq_json_close(&json);
    if (ranges != NULL)
        oq_ranges_write_json(ranges, &json, "ranges");
    oq_json_close(&json);
    return oq_json_finish(&json);
}

/* --- reading ------------------------------------------------------------------------- */

struct plan_reader {
    struct oq_json_reader json;
    struct oq_plan_file *file;
    const char *path;
    onnxq_error *error;
};

static bool read_form(struct plan_reader *reader, onnxq_form *form)
{
    const char *name;
    if (!oq_json_read_string(&reader->json, &name))
        return false;
    for (int i = 0; i < N_FORMS; i++)
        if (strcmp(name, oq_form_names[i]) == 0) {
            *form = (onnxq_form)i;
            return true;
        }
    return oq_json_refuse(&reader->json,
                          "expected a form: float, folded, integers, blocks-8 or blocks-4");
}

static bool read_choice(struct plan_reader *reader)
{
    struct oq_plan_file *file = reader->file;
    onnxq_choice choice = {0};
    bool has_form = false;
    const char *key;
    if (!oq_json_enter_object(&reader->json))
        return false;
    while (oq_json_next_member(&reader->json, &key)) {
        bool ok;
        if (strcmp(key, "node") == 0)
            ok = oq_json_read_string(&reader->json, &choice.node);
        else if (strcmp(key, "weight") == 0)
            ok = oq_json_read_string(&reader->json, &choice.weight);
        else if (strcmp(key, "form") == 0)
            ok = (has_form = read_form(reader, &choice.form));
        else
            ok = oq_json_skip_value(&reader->json);
        if (!ok)
            return false;
    }
    if (reader->json.failed)
        return false;
    if (choice.node == NULL || choice.weight == NULL || !has_form)
        return oq_json_refuse(&reader->json, "\"node\", \"weight\" or \"form\" is missing");
    if (!oq_arena_grow(&file->arena, &file->choices, file->n_choices, &file->capacity,
                       sizeof(choice)))
        return oq_arena_fail(&file->arena, reader->error);
    file->choices[file->n_choices++] = choice;
    return true;
}

static bool read_choices(struct plan_reader *reader)
{
    if (!oq_json_enter_array(&reader->json))
        return false;
    while (oq_json_next_item(&reader->json))
        if (!read_choice(reader))
            return false;
    return !reader->json.failed;
}

static bool read_model(struct plan_reader *reader)
{
    const char *key, *digest = NULL;
    if (!oq_json_enter_object(&reader->json))
        return false;
    while (oq_json_next_member(&reader->json, &key)) {
        bool ok = strcmp(key, "digest") == 0 ? oq_json_read_string(&reader->json, &digest)
                  : strcmp(key, "node_outputs") == 0
                      ? oq_json_read_uint(&reader->json, &reader->file->n_node_outputs)
                      : oq_json_skip_value(&reader->json);
        if (!ok)
            return false;
    }
    if (reader->json.failed)
        return false;
    if (digest == NULL || strlen(digest) != 16 || strspn(digest, "0123456789abcdef") != 16)
        return oq_json_refuse(&reader->json, "expected a digest of 16 hexadecimal digits");
    reader->file->digest = strtoull(digest, NULL, 16);
    return true;
}

static bool read_mark(struct plan_reader *reader)
{
    const char *key = "";
    uint64_t version = 0;
    if (!oq_json_enter_object(&reader->json) || !oq_json_next_member(&reader->json, &key) ||
        strcmp(key, MARK) != 0 || !oq_json_read_uint(&reader->json, &version)) {
        if (reader->error->status == ONNXQ_ERROR_MEMORY)
            return false;
        oq_error_init(reader->error);
        oq_fail(reader->error, ONNXQ_ERROR_INPUT, "not a plan: it does not begin with {\"%s\": %d",
                MARK, VERSION);
        oq_error_hint(reader->error, "onnxq tune --save-plan makes one");
        return false;
    }
    return version == VERSION ||
           oq_json_refuse(&reader->json, "format version %llu; this onnxq reads version %d",
                          (unsigned long long)version, VERSION);
}

static bool read_plan(struct plan_reader *reader)
{
    const char *key;
    bool has_model = false, has_weights = false;
    if (!read_mark(reader))
        return false;
    while (oq_json_next_member(&reader->json, &key)) {
        bool ok;
        if (strcmp(key, "model") == 0)
            ok = (has_model = read_model(reader));
        else if (strcmp(key, "weights") == 0)
            ok = (has_weights = read_choices(reader));
        else if (strcmp(key, "ranges") == 0 && reader->file->ranges == NULL)
            ok = (reader->file->ranges =
                      oq_ranges_read(&reader->json, reader->path, reader->error)) != NULL;
        else
            ok = oq_json_skip_value(&reader->json);
        if (!ok)
            return false;
    }
    if (!reader->json.failed && !(has_model && has_weights))
        return oq_json_refuse(&reader->json, "\"%s\" is missing", has_model ? "weights" : "model");
    return !reader->json.failed && oq_json_reader_finish(&reader->json);
}

static char *read_text(const char *path, size_t *nbytes, onnxq_error *error)
{
    struct oq_file file;
    char *text = NULL;
    if (!oq_file_open(&file, path, error))
        return NULL;
    if (file.nbytes > MAX_FILE_NBYTES)
        oq_fail(error, ONNXQ_ERROR_INPUT, "%" PRIu64 " bytes, expected a plan", file.nbytes);
    else if ((text = calloc((size_t)file.nbytes + 1, 1)) == NULL)
        oq_fail_memory(error);
    *nbytes = (size_t)file.nbytes;
    if (text != NULL && !oq_file_read(&file, 0, text, *nbytes, error)) {
        free(text);
        text = NULL;
    }
    oq_file_close(&file);
    return text;
}

bool oq_plan_file_read(struct oq_plan_file *file, const char *path, onnxq_error *error)
{
    struct plan_reader reader = {.file = file, .path = path, .error = error};
    size_t nbytes = 0;
    *file = (struct oq_plan_file){0};
    oq_arena_init(&file->arena, PLAN_FILE_BUDGET);
    oq_error_init(error);
    char *text = read_text(path, &nbytes, error);
    bool ok = text != NULL;
    if (ok) {
        oq_json_reader_init(&reader.json, text, nbytes, &file->arena, error);
        ok = read_plan(&reader);
    }
    free(text);
    if (!ok)
        oq_error_file(error, path);
    return ok;
}

void oq_plan_file_fini(struct oq_plan_file *file)
{
    onnxq_ranges_close(file->ranges);
    oq_arena_fini(&file->arena);
}

bool oq_plan_file_check(const struct oq_plan_file *file, const char *path, const onnxq_model *model,
                        onnxq_error *error)
{
    const struct oq_structure_digest digest = oq_structure_digest(model);
    if (digest.hash == file->digest && digest.n_values == file->n_node_outputs)
        return true;
    oq_fail(error, ONNXQ_ERROR_INPUT,
            "it is of another model: %" PRIu64 " values, this one has %zu%s", file->n_node_outputs,
            digest.n_values,
            digest.n_values == file->n_node_outputs ? " with other names or operators" : "");
    oq_error_hint(error, "a plan goes with the very graph that it was made for");
    oq_error_file(error, path);
    return false;
}
