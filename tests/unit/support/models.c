#include "support/models.h"

#include "quantize/plan/plan.h"
#include "validate/validate.h"

#include <stdlib.h>
#include <string.h>

static void free_builder(void *thing)
{
    builder_fini(thing);
}

static void close_model(void *thing)
{
    onnxq_model_close(thing);
}

static void destroy_plan(void *thing)
{
    onnxq_plan_destroy(thing);
}

struct builder *test_builder(const char *text)
{
    struct builder *builder = test_alloc(sizeof(*builder));
    text_parse(builder, text);
    test_defer(free_builder, builder);
    return builder;
}

onnxq_model *test_open_path(const char *path)
{
    onnxq_error error;
    onnxq_model *model = onnxq_model_open(path, &error);
    if (model == NULL)
        fail_msg("%s", test_error_text(&error));
    test_defer(close_model, model);
    return model;
}

onnxq_model *test_open(struct builder *builder)
{
    const char *path = test_path("model.onnx");
    assert_true(builder_write(builder, path));
    return test_open_path(path);
}

onnxq_model *test_model(const char *text)
{
    return test_open(test_builder(text));
}

const char *test_open_error(const char *path)
{
    onnxq_error error;
    onnxq_model *model = onnxq_model_open(path, &error);
    if (model != NULL)
        test_defer(close_model, model);
    assert_null(model);
    assert_int_not_equal(error.status, ONNXQ_OK);
    return test_error_text(&error);
}

onnxq_options test_options(void)
{
    onnxq_options options;
    onnxq_options_init(&options);
    options.min_elements = 1;
    return options;
}

onnxq_plan *test_plan(const onnxq_model *model, const onnxq_options *options)
{
    onnxq_error error;
    onnxq_plan *plan = onnxq_plan_create(model, options, &error);
    if (plan == NULL)
        fail_msg("%s", test_error_text(&error));
    test_defer(destroy_plan, plan);
    return plan;
}

onnxq_plan *test_estimate(const onnxq_model *model, const onnxq_options *options)
{
    onnxq_error error;
    onnxq_plan *plan = onnxq_plan_estimate(model, options, &error);
    if (plan == NULL)
        fail_msg("%s", test_error_text(&error));
    test_defer(destroy_plan, plan);
    return plan;
}

void test_check_output(const onnxq_model *model, const char *path)
{
    onnxq_error error;
    oq_error_init(&error);
    if (oq_validate(model, &error) && !oq_validate(test_open_path(path), &error))
        fail_msg("%s is not valid: %s", path, test_error_text(&error));
}

const char *test_write_as(const onnxq_plan *plan, const char *name)
{
    onnxq_error error;
    const char *path = test_path(name);
    if (onnxq_plan_write(plan, path, &error) != ONNXQ_OK)
        fail_msg("%s", test_error_text(&error));
    test_check_output(plan->model, path);
    return path;
}

const char *test_write(const onnxq_plan *plan)
{
    return test_write_as(plan, "out.onnx");
}

const char *test_plan_text(const onnxq_plan *plan)
{
    static const char *const actions[] = {"keep", "dynamic", "fold", "drop"};
    const char *text = "";
    for (size_t i = 0; i < onnxq_plan_count(plan); i++) {
        const onnxq_weight *weight = onnxq_plan_get(plan, i);
        for (size_t k = 0; k < weight->n_uses; k++) {
            const onnxq_use *use = &weight->uses[k];
            bool has_reason = use->reason[0] != '\0';
            text = test_printf("%s%s%s: %s%s%s.%zu %s%s%s%s%s%s", text, i + k > 0 ? "\n" : "",
                               weight->name, use->domain, use->domain[0] != '\0' ? "::" : "",
                               use->op_type, use->input, actions[use->action],
                               use->form[0] != '\0' ? " " : "", use->form, has_reason ? " (" : "",
                               use->reason, has_reason ? ")" : "");
        }
    }
    return text;
}

/* --- outputs --- */

static void *allocate(void *data, size_t nbytes)
{
    (void)data;
    return malloc(nbytes);
}

static void release(void *data, void *memory)
{
    (void)data;
    free(memory);
}

static ProtobufCAllocator allocator = {allocate, release, NULL};

static void free_message(void *thing)
{
    oq__pb__model_proto__free_unpacked(thing, &allocator);
}

Oq__Pb__ModelProto *test_read_model(const char *path)
{
    size_t nbytes;
    const uint8_t *bytes = test_read_file(path, &nbytes);
    Oq__Pb__ModelProto *model = oq__pb__model_proto__unpack(&allocator, nbytes, bytes);
    assert_non_null(model);
    test_defer(free_message, model);
    return model;
}

const Oq__Pb__TensorProto *test_tensor(const Oq__Pb__GraphProto *graph, const char *name)
{
    for (size_t i = 0; i < graph->n_initializer; i++)
        if (strcmp(graph->initializer[i]->name, name) == 0)
            return graph->initializer[i];
    fail_msg("there is no initializer \"%s\"", name);
    return NULL;
}

const Oq__Pb__NodeProto *test_node(const Oq__Pb__GraphProto *graph, const char *output)
{
    for (size_t i = 0; i < graph->n_node; i++)
        for (size_t k = 0; k < graph->node[i]->n_output; k++)
            if (strcmp(graph->node[i]->output[k], output) == 0)
                return graph->node[i];
    fail_msg("there is no node with output \"%s\"", output);
    return NULL;
}

static const char *external_entry(const Oq__Pb__TensorProto *tensor, const char *key)
{
    for (size_t i = 0; i < tensor->n_external_data; i++)
        if (strcmp(tensor->external_data[i]->key, key) == 0)
            return tensor->external_data[i]->value;
    fail_msg("external_data has no %s", key);
    return NULL;
}

const void *test_elements(const char *path, const Oq__Pb__TensorProto *tensor, size_t *nbytes)
{
    if (tensor->has_raw_data) {
        *nbytes = tensor->raw_data.len;
        return tensor->raw_data.data;
    }
    size_t side_nbytes;
    int folder_length = (int)(strrchr(path, '/') - path);
    const char *side_path =
        test_printf("%.*s/%s", folder_length, path, external_entry(tensor, "location"));
    const uint8_t *side = test_read_file(side_path, &side_nbytes);
    size_t offset = strtoul(external_entry(tensor, "offset"), NULL, 10);
    *nbytes = strtoul(external_entry(tensor, "length"), NULL, 10);
    assert_compare(offset + *nbytes, <=, side_nbytes);
    return side + offset;
}

const char *test_graph_text(const Oq__Pb__GraphProto *graph)
{
    return text_from_graph(test_builder(""), graph);
}
