/*
 * Any bytes as a model, whose inputs are drawn at random, with sizes from its
 * field FUZZ_OPTIONS. What must hold: the inputs are those that the model
 * declares, by type, rank and known dims; none holds NaN; they take no more
 * memory than they may; they bind to the model; and the same numbers come again.
 */
#include <math.h>
#include <string.h>

#include "fuzz/support.h"
#include "inputs/feed.h"

/* Of all inputs: what is larger only takes time. */
#define MAX_NBYTES (256 << 10)

static char *input;

static const struct oq_parameter *find_input(const struct oq_signature *signature, const char *name)
{
    for (size_t i = 0; i < signature->n_inputs; i++)
        if (strcmp(signature->inputs[i].name, name) == 0)
            return &signature->inputs[i];
    return NULL;
}

static void check_input(const struct oq_signature *signature, const struct oq_array *array)
{
    const struct oq_parameter *parameter = find_input(signature, array->name);
    CHECK(parameter && !parameter->has_default && parameter->data_type == array->data_type);
    CHECK(!parameter->has_rank || parameter->n_dims == array->n_dims);
    for (size_t k = 0; parameter->has_rank && k < array->n_dims; k++) {
        CHECK(array->dims[k] >= 0);
        CHECK(parameter->dims[k].size < 0 || parameter->dims[k].size == array->dims[k]);
    }
    for (uint64_t i = 0; oq_array_is_numeric(array) && i < array->nelem; i++) {
        double element;
        oq_array_read_doubles(array, i, 1, &element);
        CHECK(isfinite(element));
    }
}

static bool is_same(const struct oq_array *a, const struct oq_array *b)
{
    return strcmp(a->name, b->name) == 0 && a->data_type == b->data_type &&
           a->nbytes == b->nbytes &&
           (a->data_type == OQ__PB__TENSOR_PROTO__DATA_TYPE__STRING ||
            memcmp(a->data, b->data, (size_t)a->nbytes) == 0);
}

static void check_sets(const struct oq_signature *signature, struct oq_input_sets *sets,
                       const struct oq_input_sets *again)
{
    onnxq_error error = {0};
    CHECK(sets->count == again->count);
    for (size_t s = 0; s < sets->count; s++) {
        const struct oq_arrays *inputs = &sets->list[s].inputs;
        CHECK(inputs->count == again->list[s].inputs.count);
        for (size_t i = 0; i < inputs->count; i++) {
            check_input(signature, &inputs->list[i]);
            CHECK(is_same(&inputs->list[i], &again->list[s].inputs.list[i]));
        }
        bool binds = oq_signature_bind(signature, &sets->list[s], &error);
        if (!binds)
            fprintf(stderr, "%s: %s\n", error.place, error.message);
        CHECK(binds);
    }
}

/* A size for the first symbol that has a name, a range for the first input. */
static void set_sizes(const struct oq_signature *signature, struct fuzz_bytes field,
                      struct oq_draw_options *options, struct oq_dim_setting *dim,
                      struct oq_range_setting *range)
{
    options->seed = fuzz_byte(field, 0);
    if (fuzz_byte(field, 1) == 0 || signature->n_inputs == 0)
        return;
    for (size_t k = 0; k < signature->inputs[0].n_dims && options->n_dims == 0; k++) {
        if (signature->inputs[0].dims[k].size >= 0 || signature->inputs[0].dims[k].name[0] == '\0')
            continue;
        *dim = (struct oq_dim_setting){signature->inputs[0].dims[k].name, fuzz_byte(field, 2) % 9};
        options->dims = dim;
        options->n_dims = 1;
    }
    if (fuzz_byte(field, 3) == 0)
        return;
    *range = (struct oq_range_setting){signature->inputs[0].name, fuzz_byte(field, 4) - 128.0,
                                       fuzz_byte(field, 5) * 1e30};
    options->ranges = range;
    options->n_ranges = 1;
}

static void draw(const onnxq_model *model, const struct oq_signature *signature,
                 struct fuzz_bytes field)
{
    struct oq_dim_setting dim;
    struct oq_range_setting range;
    struct oq_draw_options options = {.max_nbytes = MAX_NBYTES};
    set_sizes(signature, field, &options, &dim, &range);
    struct oq_input_sets sets = {0}, again = {0};
    onnxq_error error = {0};
    bool ok = true;
    for (int i = 0; ok && i < 2; i++)
        ok = oq_draw_inputs(&model, 1, signature, &options, &sets, &error);
    if (ok) {
        for (int i = 0; i < 2; i++)
            CHECK(oq_draw_inputs(&model, 1, signature, &options, &again, &error));
        check_sets(signature, &sets, &again);
    } else {
        fuzz_check_error(&error);
    }
    oq_input_sets_fini(&sets);
    oq_input_sets_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes)
{
    struct oq_signature signature;
    struct oq_arena arena;
    onnxq_error error = {0};
    if (!input)
        input = fuzz_path("in.onnx");
    onnxq_model *model = fuzz_open(input, data, nbytes);
    if (!model)
        return 0;
    oq_arena_init(&arena, oq_model_budget(model));
    if (!oq_signature_init(&signature, model, &arena, &error))
        fuzz_check_error(&error);
    else
        draw(model, &signature, fuzz_find_field(data, nbytes, FUZZ_OPTIONS));
    oq_arena_fini(&arena);
    onnxq_model_close(model);
    return 0;
}
