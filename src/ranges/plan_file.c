/* The file of a plan, written and read. Nothing in it is believed. */
#include "ranges/plan_file.h"

#include <float.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "base/json_file.h"

static const struct oq_json_format format = {"onnxq_plan", 1, "a plan",
                                             "onnxq tune --save-plan makes one"};

const char *const oq_form_names[OQ_N_PLAIN_FORMS] = {
    [ONNXQ_FORM_FLOAT] = "float",       [ONNXQ_FORM_FOLDED] = "folded",
    [ONNXQ_FORM_INTEGERS] = "integers", [ONNXQ_FORM_BLOCKS_8] = "blocks-8",
    [ONNXQ_FORM_BLOCKS_4] = "blocks-4",
};

static void write_channels(struct oq_json *json, const onnxq_choice *choice)
{
    if (choice->n_divisors > 0) {
        oq_json_open_row(json, "divisors");
        for (size_t i = 0; i < choice->n_divisors; i++)
            oq_json_float(json, NULL, choice->divisors[i]);
        oq_json_close(json);
    }
    if (choice->n_columns > 0) {
        oq_json_open_row(json, "columns");
        for (size_t i = 0; i < choice->n_columns; i++)
            oq_json_uint(json, NULL, choice->columns[i]);
        oq_json_close(json);
    }
}

bool oq_plan_file_write(const onnxq_model *model, const onnxq_ranges *ranges,
                        const onnxq_choice *choices, size_t n, FILE *stream)
{
    const struct oq_structure_digest digest = oq_structure_digest(model);
    struct oq_json json;
    oq_json_init(&json, stream);
    oq_json_open_object(&json, NULL);
    oq_json_uint(&json, format.mark, format.version);
    oq_structure_digest_write(&digest, &json);
    oq_json_open_array(&json, "weights");
    for (size_t i = 0; i < n; i++) {
        oq_json_open_object(&json, NULL);
        oq_json_string(&json, "node", choices[i].node);
        oq_json_string(&json, "weight", choices[i].weight);
        oq_json_string(&json, "form", oq_form_names[choices[i].form]);
        write_channels(&json, &choices[i]);
        oq_json_close(&json);
    }
    oq_json_close(&json);
    if (ranges != NULL)
        oq_ranges_write_json(ranges, &json, "ranges");
    oq_json_close(&json);
    return oq_json_finish(&json);
}

/* --- reading ------------------------------------------------------------------------- */

static onnxq_plan_file *file_of(const struct oq_json_reader *json)
{
    return json->data;
}

static bool read_form(struct oq_json_reader *json, void *into)
{
    const char *name;
    if (!oq_json_read_string(json, &name))
        return false;
    for (int i = 0; i < OQ_N_PLAIN_FORMS; i++)
        if (strcmp(name, oq_form_names[i]) == 0) {
            *(onnxq_form *)into = (onnxq_form)i;
            return true;
        }
    return oq_json_refuse(json, "expected a form: float, folded, integers, blocks-8 or blocks-4");
}

struct divisor_list {
    float *list;
    size_t count, capacity;
};

static bool read_divisors(struct oq_json_reader *json, void *into)
{
    struct divisor_list *divisors = into;
    struct oq_arena *arena = &file_of(json)->arena;
    float value;
    if (!oq_json_enter_array(json))
        return false;
    while (oq_json_next_item(json)) {
        if (!oq_json_read_float(json, &value))
            return false;
        if (!(value >= FLT_MIN))
            return oq_json_refuse(json, "expected a positive number that float32 holds");
        if (!oq_arena_grow(arena, &divisors->list, divisors->count, &divisors->capacity,
                           sizeof(*divisors->list)))
            return oq_arena_fail(arena, json->error);
        divisors->list[divisors->count++] = value;
    }
    return !json->failed;
}

struct column_list {
    uint32_t *list;
    size_t count, capacity;
};

static bool read_columns(struct oq_json_reader *json, void *into)
{
    struct column_list *columns = into;
    struct oq_arena *arena = &file_of(json)->arena;
    uint64_t value;
    if (!oq_json_enter_array(json))
        return false;
    while (oq_json_next_item(json)) {
        if (!oq_json_read_uint(json, &value))
            return false;
        if (value > UINT32_MAX ||
            (columns->count > 0 && value <= columns->list[columns->count - 1]))
            return oq_json_refuse(json, "expected numbers of columns in ascending order");
        if (!oq_arena_grow(arena, &columns->list, columns->count, &columns->capacity,
                           sizeof(*columns->list)))
            return oq_arena_fail(arena, json->error);
        columns->list[columns->count++] = (uint32_t)value;
    }
    return !json->failed;
}

static bool read_choice(struct oq_json_reader *json)
{
    onnxq_plan_file *file = file_of(json);
    onnxq_choice choice = {0};
    struct divisor_list divisors = {0};
    struct column_list columns = {0};
    uint64_t seen;
    const struct oq_json_member members[] = {
        {"node", oq_json_take_text, &choice.node, false},
        {"weight", oq_json_take_text, &choice.weight, false},
        {"form", read_form, &choice.form, false},
        {"divisors", read_divisors, &divisors, true},
        {"columns", read_columns, &columns, true},
    };
    if (!oq_json_read_members(json, members, sizeof(members) / sizeof(members[0]), &seen))
        return false;
    choice.divisors = divisors.list;
    choice.n_divisors = divisors.count;
    choice.columns = columns.list;
    choice.n_columns = columns.count;
    if (!oq_arena_grow(&file->arena, &file->choices, file->n_choices, &file->capacity,
                       sizeof(choice)))
        return oq_arena_fail(&file->arena, json->error);
    file->choices[file->n_choices++] = choice;
    return true;
}

static bool read_choices(struct oq_json_reader *json, void *into)
{
    (void)into;
    return oq_json_read_items(json, read_choice);
}

static bool read_ranges(struct oq_json_reader *json, void *into)
{
    onnxq_ranges **ranges = into;
    *ranges = oq_ranges_read(json, file_of(json)->path, json->error);
    return *ranges != NULL;
}

bool oq_plan_file_read(onnxq_plan_file *file, const char *path, onnxq_error *error)
{
    struct oq_json_reader json;
    size_t nbytes = 0;
    const struct oq_json_member members[] = {
        {"model", oq_structure_digest_read, &file->model, false},
        {"weights", read_choices, NULL, false},
        {"ranges", read_ranges, &file->ranges, true},
    };
    *file = (onnxq_plan_file){0};
    oq_arena_init(&file->arena, OQ_JSON_FILE_MAX_NBYTES);
    oq_error_init(error);
    file->path = oq_arena_printf(&file->arena, "%s", path);
    if (file->path == NULL)
        return oq_arena_fail(&file->arena, error);
    char *text = oq_json_read_file(path, format.what, &nbytes, error);
    bool ok = text != NULL;
    if (ok) {
        oq_json_reader_init(&json, text, nbytes, &file->arena, error);
        json.data = file;
        ok = oq_json_read_marked(&json, &format, members, sizeof(members) / sizeof(members[0])) &&
             oq_json_reader_finish(&json);
    }
    free(text);
    if (!ok)
        oq_error_file(error, path);
    return ok;
}

void oq_plan_file_fini(onnxq_plan_file *file)
{
    onnxq_ranges_close(file->ranges);
    oq_arena_fini(&file->arena);
}

onnxq_plan_file *onnxq_plan_file_open(const char *path, onnxq_error *error)
{
    onnxq_error ignored;
    error = oq_error_start(error, &ignored);
    onnxq_plan_file *file = malloc(sizeof(*file));
    if (file == NULL) {
        oq_fail_memory(error);
        return NULL;
    }
    if (oq_plan_file_read(file, path, error))
        return file;
    onnxq_plan_file_close(file);
    return NULL;
}

void onnxq_plan_file_close(onnxq_plan_file *file)
{
    if (file != NULL)
        oq_plan_file_fini(file);
    free(file);
}

/* --- with a model, with options -------------------------------------------------------- */

bool oq_plan_file_check(const onnxq_plan_file *file, const onnxq_model *model, onnxq_error *error)
{
    const struct oq_structure_digest digest = oq_structure_digest(model);
    if (oq_structure_digest_is(&file->model, &digest))
        return true;
    oq_fail(error, ONNXQ_ERROR_INPUT,
            "it is of another model: %" PRIu64 " values, this one has %zu%s", file->model.n_values,
            digest.n_values,
            digest.n_values == file->model.n_values ? " with other names or operators" : "");
    oq_error_hint(error, "a plan goes with the very graph that it was made for");
    oq_error_file(error, file->path);
    return false;
}

onnxq_options oq_plan_file_resolve(const onnxq_options *options)
{
    onnxq_options resolved = *options;
    const onnxq_plan_file *file = options->plan;
    if (file == NULL)
        return resolved;
    bool has_ranges = file->ranges != NULL && options->ranges == NULL;
    if (has_ranges && options->method == ONNXQ_METHOD_DYNAMIC) /* as nobody asked otherwise */
        resolved.method = ONNXQ_METHOD_STATIC;
    if (has_ranges && resolved.method == ONNXQ_METHOD_STATIC)
        resolved.ranges = file->ranges;
    resolved.choices = file->choices;
    resolved.n_choices = file->n_choices;
    return resolved;
}
