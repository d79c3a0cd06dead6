/* Walks graphs and functions, and checks names, scopes, types and shapes. */
#include "validate/validate.h"

#include <stdlib.h>

#include "validate/checker.h"
#include "wire/data_type.h"

/* Types that came later than the format itself. */
#define IR_VERSION_4_BITS 10
/* From here on initializers need not be graph inputs, and operator sets are imported. */
#define IR_VERSION_FREE_INITIALIZERS 4
#define IR_VERSION_IMPORTS           3

/* --- operator sets --- */

/* Two imports of one domain are one where they agree. */
static bool add_import(struct oq_checker *checker, Oq__Pb__OperatorSetIdProto *import)
{
    const struct oq_problem_place model = {NULL, NULL};
    void **place = oq_strmap_place(&checker->imports, oq_domain(import->domain));
    if (place == NULL)
        return oq_arena_fail(checker->arena, checker->error);
    const Oq__Pb__OperatorSetIdProto *earlier = *place;
    if (import->version < 1)
        oq_problem(checker, &model, "",
                   "domain \"%.80s\" is imported in version %lld, expected 1 or more",
                   oq_domain(import->domain), (long long)import->version);
    if (earlier != NULL && earlier->version != import->version)
        oq_problem(checker, &model, "",
                   "domain \"%.80s\" is imported in versions %lld and %lld, expected one",
                   oq_domain(import->domain), (long long)earlier->version,
                   (long long)import->version);
    if (earlier == NULL)
        *place = import;
    return true;
}

static bool add_imports(struct oq_checker *checker, Oq__Pb__OperatorSetIdProto **imports, size_t n)
{
    static Oq__Pb__OperatorSetIdProto first = {
        .base = PROTOBUF_C_MESSAGE_INIT(&oq__pb__operator_set_id_proto__descriptor), .version = 1};
    oq_strmap_init(&checker->imports, checker->arena);
    for (size_t i = 0; i < n; i++)
        if (!add_import(checker, imports[i]))
            return false;
    /* The oldest models know of no operator sets. */
    return n > 0 || checker->model->proto->ir_version >= IR_VERSION_IMPORTS ||
           add_import(checker, &first);
}

static void check_operator(struct oq_checker *checker, const struct oq_problem_place *place)
{
    const char *domain = oq_domain(place->node->domain);
    const Oq__Pb__OperatorSetIdProto *import = oq_strmap_find(&checker->imports, domain);
    if (oq_text_or_empty(place->node->op_type)[0] == '\0')
        oq_problem(checker, place, "", "the node names no operator");
    else if (import == NULL)
        oq_problem(checker, place, "", "its domain \"%.80s\" is not imported",
                   domain[0] == '\0' ? "ai.onnx" : domain);
    else {
        oq_check_node(checker, place, import->version);
        oq_check_operator(checker, place, import->version);
    }
}

/* --- values --- */

static void learn(struct oq_checker *checker, const struct oq_value *value, struct oq_fact fact)
{
    checker->facts[value->ordinal] = fact;
}

static int32_t declared_type(const Oq__Pb__TypeProto *type)
{
    bool is_tensor = type != NULL && type->value_case == OQ__PB__TYPE_PROTO__VALUE_TENSOR_TYPE;
    return is_tensor && type->tensor_type != NULL ? type->tensor_type->elem_type : 0;
}

/* Of a graph's interface. */
static void check_declared(struct oq_checker *checker, const struct oq_problem_place *place,
                           const Oq__Pb__ValueInfoProto *info)
{
    bool is_tensor =
        info->type != NULL && info->type->value_case == OQ__PB__TYPE_PROTO__VALUE_TENSOR_TYPE;
    if (is_tensor && oq_dtype_find(declared_type(info->type)) == NULL)
        oq_problem(checker, place, oq_text_or_empty(info->name),
                   "is declared with elements of type %d, which is none",
                   (int)declared_type(info->type));
}

static void check_input(struct oq_checker *checker, const struct oq_problem_place *place,
                        const Oq__Pb__ValueInfoProto *info)
{
    const char *name = oq_text_or_empty(info->name);
    if (name[0] == '\0')
        oq_problem(checker, place, "", "an input has no name");
    else if (place->graph == checker->model->graphs.list[0] &&
             (info->type == NULL || info->type->value_case == OQ__PB__TYPE_PROTO__VALUE__NOT_SET))
        oq_problem(checker, place, name, "the input has no type");
    check_declared(checker, place, info);
    const struct oq_value *value = oq_strmap_find(&place->graph->values, name);
    if (value != NULL)
        learn(checker, value, (struct oq_fact){.data_type = declared_type(info->type)});
}

static bool is_4_bits(int32_t data_type)
{
    return data_type == OQ_TYPE(INT4) || data_type == OQ_TYPE(UINT4);
}

/* Dimensions that are no numbers may be any. */
static bool fits_declared(const Oq__Pb__TypeProto *type, const Oq__Pb__TensorProto *proto)
{
    if (declared_type(type) == 0 || type->tensor_type->shape == NULL)
        return true;
    const Oq__Pb__TensorShapeProto *shape = type->tensor_type->shape;
    bool fits = shape->n_dim == proto->n_dims;
    for (size_t i = 0; fits && i < shape->n_dim; i++)
        fits =
            shape->dim[i]->value_case != OQ__PB__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE ||
            shape->dim[i]->dim_value == proto->dims[i];
    return fits;
}

static void check_initializer(struct oq_checker *checker, const struct oq_problem_place *place,
                              const Oq__Pb__TensorProto *proto)
{
    const int64_t ir_version = checker->model->proto->ir_version;
    const char *name = oq_text_or_empty(proto->name);
    const struct oq_value *value = oq_strmap_find(&place->graph->values, name);
    if (name[0] == '\0' || value == NULL) {
        oq_problem(checker, place, "", "an initializer has no name");
        return;
    }
    int32_t declared = declared_type(value->type);
    if (oq_dtype_find(proto->data_type) == NULL)
        oq_problem(checker, place, name, "the initializer has elements of type %d, which is none",
                   (int)proto->data_type);
    else if (!fits_declared(value->type, proto))
        oq_problem(checker, place, name, "the initializer is declared with another shape");
    if (declared != 0 && declared != proto->data_type)
        oq_problem(checker, place, name, "the initializer is %s, but declared as %s",
                   oq_type_name(proto->data_type), oq_type_name(declared));
    if (!value->is_graph_input && ir_version >= 1 && ir_version < IR_VERSION_FREE_INITIALIZERS)
        oq_problem(checker, place, name,
                   "the initializer is no graph input: that needs IR version 4, not %lld",
                   (long long)ir_version);
    if (is_4_bits(proto->data_type) && ir_version < IR_VERSION_4_BITS)
        oq_problem(checker, place, name, "%s needs IR version 10, not %lld",
                   oq_type_name(proto->data_type), (long long)ir_version);
    learn(checker, value,
          (struct oq_fact){proto->data_type, oq_model_tensor(checker->model, proto)});
}

/* True where `value` is there before node `at` of the graph runs, or the nodes around it. */
static bool is_made(const struct oq_graph *graph, size_t at, const struct oq_value *value)
{
    for (; graph != value->graph; graph = graph->parent)
        at = graph->node;
    return value->origin != OQ_ORIGIN_NODE || value->index < at;
}

static void check_used(struct oq_checker *checker, const struct oq_problem_place *place, size_t at,
                       const char *name)
{
    const struct oq_value *value = oq_graph_find(place->graph, name);
    if (name[0] == '\0')
        return; /* an input that is left out */
    if (value == NULL)
        oq_problem(checker, place, name, "is used, but nothing makes it");
    else if (!is_made(place->graph, at, value))
        oq_problem(checker, place, name, "is used before it is made");
}

/* A name of a graph around must not get a second meaning. */
static void check_made(struct oq_checker *checker, const struct oq_problem_place *place,
                       const char *name)
{
    const struct oq_graph *graph = place->graph;
    const struct oq_value *outer = oq_graph_find(graph->parent, name);
    if (outer != NULL && is_made(graph->parent, graph->node, outer))
        oq_problem(checker, place, name, "is made a second time: graph \"%.80s\" has it already",
                   outer->graph->name);
    const struct oq_value *value = oq_strmap_find(&graph->values, name);
    if (value != NULL)
        learn(checker, value, (struct oq_fact){.data_type = declared_type(value->type)});
}

static void check_node(struct oq_checker *checker, const struct oq_graph *graph, size_t index)
{
    const Oq__Pb__NodeProto *node = graph->proto->node[index];
    const struct oq_problem_place place = {graph, node};
    for (size_t i = 0; i < node->n_input; i++)
        check_used(checker, &place, index, node->input[i]);
    for (size_t i = 0; i < node->n_output; i++)
        if (node->output[i][0] != '\0')
            check_made(checker, &place, node->output[i]);
    if (node->n_input + node->n_output == 0)
        oq_problem(checker, &place, "", "the node has neither inputs nor outputs");
    check_operator(checker, &place);
}

static void check_output(struct oq_checker *checker, const struct oq_problem_place *place,
                         const Oq__Pb__ValueInfoProto *info)
{
    const char *name = oq_text_or_empty(info->name);
    check_declared(checker, place, info);
    if (name[0] == '\0')
        oq_problem(checker, place, "", "an output has no name");
    else if (oq_strmap_find(&place->graph->values, name) == NULL)
        oq_problem(checker, place, name, "is an output, but the graph does not make it");
}

static void check_graph(struct oq_checker *checker, const struct oq_graph *graph)
{
    const Oq__Pb__GraphProto *proto = graph->proto;
    const struct oq_problem_place place = {graph, NULL};
    for (size_t i = 0; i < proto->n_input; i++)
        check_input(checker, &place, proto->input[i]);
    for (size_t i = 0; i < proto->n_initializer; i++)
        check_initializer(checker, &place, proto->initializer[i]);
    oq_check_sparse(checker, graph);
    for (size_t i = 0; i < proto->n_node; i++)
        check_node(checker, graph, i);
    for (size_t i = 0; i < proto->n_output; i++)
        check_output(checker, &place, proto->output[i]);
}

/* Both branches of an If make the same types, which are those that are declared. */
static void check_branch(struct oq_checker *checker, const struct oq_graph *graph)
{
    const struct oq_graph *parent = graph->parent;
    const Oq__Pb__NodeProto *node = parent->proto->node[graph->node];
    const struct oq_problem_place place = {parent, node};
    if (oq_operator_id_of(node) != OQ_ONNX_If || checker->is_local[OQ_ONNX_If])
        return;
    for (size_t i = 0; i < node->n_output && i < graph->proto->n_output; i++) {
        const struct oq_value *value = oq_graph_find(parent, node->output[i]);
        const int32_t made =
            oq_fact_of(checker, graph, oq_text_or_empty(graph->proto->output[i]->name)).data_type;
        if (value == NULL || made == 0)
            continue;
        const int32_t expected = checker->facts[value->ordinal].data_type;
        if (expected != 0 && expected != made)
            oq_problem(checker, &place, value->name,
                       "is %s from branch \"%.60s\", expected %s as declared, or from the other",
                       oq_type_name(made), graph->name, oq_type_name(expected));
        learn(checker, value, (struct oq_fact){.data_type = made});
    }
}

/* A graph comes before its bodies: what it knows of its values is known there. */
static bool check_graphs(struct oq_checker *checker, const struct oq_graphs *graphs)
{
    checker->facts = oq_arena_array(checker->arena, graphs->n_values + 1, sizeof(*checker->facts));
    if (checker->facts == NULL)
        return oq_arena_fail(checker->arena, checker->error);
    for (size_t i = 0; i < graphs->count; i++)
        check_graph(checker, graphs->list[i]);
    for (size_t i = graphs->count; i-- > 1;)
        check_branch(checker, graphs->list[i]);
    return checker->error->status == ONNXQ_OK;
}

/* --- local functions --- */

static bool check_function(struct oq_checker *checker, const Oq__Pb__FunctionProto *function)
{
    struct oq_graphs graphs;
    onnxq_error error;
    const Oq__Pb__GraphProto *graph = oq_graph_of_function(function, checker->arena);
    if (graph == NULL)
        return oq_arena_fail(checker->arena, checker->error);
    oq_error_init(&error);
    if (oq_graphs_init(&graphs, graph, checker->arena, &error))
        return add_imports(checker, function->opset_import, function->n_opset_import) &&
               check_graphs(checker, &graphs);
    if (error.status != ONNXQ_ERROR_INPUT)
        return oq_arena_fail(checker->arena, checker->error);
    oq_problem(checker, &(struct oq_problem_place){NULL, NULL}, "", "function \"%.80s\": %.160s",
               oq_text_or_empty(function->name), error.message);
    return true;
}

/* --- side files --- */

static int compare_places(const void *left, const void *right)
{
    const struct oq_tensor *a = *(const struct oq_tensor *const *)left;
    const struct oq_tensor *b = *(const struct oq_tensor *const *)right;
    uintptr_t x = (uintptr_t)a->file, y = (uintptr_t)b->file;
    if (x != y)
        return x < y ? -1 : 1;
    return (a->offset > b->offset) - (a->offset < b->offset);
}

/* Engines refuse what they do not know, and what is empty. */
static void check_keys(struct oq_checker *checker, const struct oq_tensor *tensor)
{
    static const char *const keys[] = {"location", "offset", "length", "checksum"};
    for (size_t i = 0; i < tensor->proto->n_external_data; i++) {
        const Oq__Pb__StringStringEntryProto *entry = tensor->proto->external_data[i];
        const char *key = oq_text_or_empty(entry->key);
        bool is_known = strncmp(key, "prepacked", 9) == 0; /* ONNX Runtime's own */
        for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++)
            is_known = is_known || strcmp(key, keys[k]) == 0;
        if (!is_known || oq_text_or_empty(entry->value)[0] == '\0')
            oq_problem(checker, &(struct oq_problem_place){NULL, NULL}, tensor->name,
                       is_known ? "external data has \"%.60s\" without a value"
                                : "external data has key \"%.60s\", which is none",
                       key);
    }
}

/* Others may let tensors share bytes; what we have written shares none. */
static bool check_side_files(struct oq_checker *checker)
{
    const onnxq_model *model = checker->model;
    const struct oq_tensor **list =
        oq_arena_array(checker->arena, model->n_tensors + 1, sizeof(*list));
    size_t n = 0, n_tensors = oq_model_is_ours(model) ? model->n_tensors : 0;
    if (list == NULL)
        return oq_arena_fail(checker->arena, checker->error);
    for (size_t i = 0; i < model->n_tensors; i++)
        if (model->tensors[i].external)
            check_keys(checker, &model->tensors[i]);
    for (size_t i = 0; i < n_tensors; i++)
        if (model->tensors[i].external && model->tensors[i].nbytes > 0)
            list[n++] = &model->tensors[i];
    qsort(list, n, sizeof(*list), compare_places);
    for (size_t i = 1; i < n; i++)
        if (list[i]->file == list[i - 1]->file &&
            list[i]->offset - list[i - 1]->offset < list[i - 1]->nbytes)
            oq_problem(checker, &(struct oq_problem_place){NULL, NULL}, list[i]->name,
                       "shares bytes of the side file with \"%.80s\"", list[i - 1]->name);
    return true;
}

/* --- the model --- */

static bool check_model(struct oq_checker *checker)
{
    const Oq__Pb__ModelProto *proto = checker->model->proto;
    if (!proto->has_ir_version || proto->ir_version < 1)
        oq_problem(checker, &(struct oq_problem_place){NULL, NULL}, "",
                   "the model has no IR version");
    oq_check_versions(checker);
    oq_operators_note_functions(proto, checker->is_local);
    oq_strmap_init(&checker->node_names, checker->arena);
    oq_strmap_init(&checker->attribute_names, checker->arena);
    if (!oq_note_functions(checker) ||
        !add_imports(checker, proto->opset_import, proto->n_opset_import) ||
        !check_graphs(checker, &checker->model->graphs))
        return false;
    for (size_t i = 0; i < proto->n_functions; i++)
        if (!check_function(checker, proto->functions[i]))
            return false;
    return check_side_files(checker) && checker->error->status == ONNXQ_OK;
}

struct validation {
    onnxq_validation result; /* first: what the caller has */
    struct oq_arena arena;
    onnxq_problem problems[ONNXQ_MAX_PROBLEMS], warnings[ONNXQ_MAX_PROBLEMS];
};

onnxq_validation *onnxq_validation_create(const onnxq_model *model, onnxq_error *error)
{
    onnxq_error ignored;
    error = oq_error_start(error, &ignored);
    struct validation *validation = calloc(1, sizeof(*validation));
    if (validation == NULL) {
        oq_fail_memory(error);
        return NULL;
    }
    oq_arena_init(&validation->arena, oq_model_budget(model));
    struct oq_checker checker = {.model = model,
                                 .arena = &validation->arena,
                                 .error = error,
                                 .problems = validation->problems,
                                 .warnings = validation->warnings};
    if (!check_model(&checker)) {
        oq_error_file(error, model->file.path);
        onnxq_validation_destroy(&validation->result);
        return NULL;
    }
    validation->result = (onnxq_validation){
        .struct_size = sizeof(validation->result),
        .problems = validation->problems,
        .n_problems = checker.n_found < ONNXQ_MAX_PROBLEMS ? checker.n_found : ONNXQ_MAX_PROBLEMS,
        .n_found = checker.n_found,
        .warnings = validation->warnings,
        .n_warnings = checker.n_warnings};
    return &validation->result;
}

void onnxq_validation_destroy(onnxq_validation *result)
{
    struct validation *validation = (struct validation *)result;
    if (validation == NULL)
        return;
    oq_arena_fini(&validation->arena);
    free(validation);
}

bool oq_validate(const onnxq_model *model, onnxq_error *error)
{
    onnxq_validation *validation = onnxq_validation_create(model, error);
    if (validation == NULL)
        return false;
    if (validation->n_found > 0) {
        const onnxq_problem *problem = &validation->problems[0];
        oq_fail(error, ONNXQ_ERROR_INPUT, "%s%.80s%s%s", problem->value[0] != '\0' ? "\"" : "",
                problem->value, problem->value[0] != '\0' ? "\": " : "", problem->message);
        oq_error_place(error, "graph \"%.80s\", node \"%.80s\" (%.40s)", problem->graph,
                       problem->node, problem->op_type);
    }
    onnxq_validation_destroy(validation);
    return error->status == ONNXQ_OK;
}
