/* What a model says of itself: read from its structure, without a look at the weights. */
#include <stdlib.h>

#include "model/model.h"
#include "model/needs.h"
#include "model/type_text.h"

struct inspection {
    onnxq_inspection facts; /* first: what the caller has */
    struct oq_arena arena;
    const onnxq_model *model;
    struct oq_strmap domains;    /* domain -> struct oq_strmap: op_type -> struct op_counter */
    struct op_counter *counters; /* list */
    onnxq_error *error;
};

struct op_counter {
    onnxq_operator_count count;
    struct op_counter *next;
};

static const char *text_or_empty(const char *text)
{
    return text == NULL ? "" : text;
}

/* --- what the model is --- */

static void *allocate(struct inspection *inspection, size_t count, size_t size)
{
    void *memory = oq_arena_array(&inspection->arena, count + 1, size);
    if (memory == NULL)
        oq_arena_fail(&inspection->arena, inspection->error);
    return memory;
}

static void set_origin(struct inspection *inspection)
{
    const Oq__Pb__ModelProto *proto = inspection->model->proto;
    onnxq_inspection *facts = &inspection->facts;
    facts->struct_size = sizeof(*facts);
    facts->model_version = proto->model_version;
    facts->domain = text_or_empty(proto->domain);
    facts->doc = text_or_empty(proto->doc_string);
    facts->graph = inspection->model->graphs.list[0]->name;
    facts->n_subgraphs = inspection->model->graphs.count - 1;
    facts->n_external_files = inspection->model->external.count;
    facts->info = onnxq_model_get_info(inspection->model);
}

static bool set_opsets(struct inspection *inspection)
{
    const Oq__Pb__ModelProto *proto = inspection->model->proto;
    onnxq_opset *opsets = allocate(inspection, proto->n_opset_import, sizeof(*opsets));
    for (size_t i = 0; opsets != NULL && i < proto->n_opset_import; i++)
        opsets[i] = (onnxq_opset){oq_domain(proto->opset_import[i]->domain),
                                  proto->opset_import[i]->version};
    inspection->facts.opsets = opsets;
    inspection->facts.n_opsets = proto->n_opset_import;
    return opsets != NULL;
}

static bool set_metadata(struct inspection *inspection)
{
    const Oq__Pb__ModelProto *proto = inspection->model->proto;
    onnxq_metadata *entries = allocate(inspection, proto->n_metadata_props, sizeof(*entries));
    for (size_t i = 0; entries != NULL && i < proto->n_metadata_props; i++)
        entries[i] = (onnxq_metadata){text_or_empty(proto->metadata_props[i]->key),
                                      text_or_empty(proto->metadata_props[i]->value)};
    inspection->facts.metadata = entries;
    inspection->facts.n_metadata = proto->n_metadata_props;
    return entries != NULL;
}

/* --- what it takes and returns --- */

static bool set_dims(struct inspection *inspection, onnxq_parameter *parameter,
                     const Oq__Pb__TypeProto *type)
{
    int32_t data_type;
    const Oq__Pb__TensorShapeProto *shape;
    if (!oq_type_tensor(type, &data_type, &shape))
        return true;
    const struct oq_dtype *dtype = oq_dtype_find(data_type);
    parameter->dtype = dtype == NULL ? "unknown" : dtype->name;
    parameter->has_rank = shape != NULL;
    if (shape == NULL)
        return true;
    onnxq_dim *dims = allocate(inspection, shape->n_dim, sizeof(*dims));
    for (size_t i = 0; dims != NULL && i < shape->n_dim; i++)
        dims[i].size = oq_dim_size(shape->dim[i], &dims[i].name);
    parameter->dims = dims;
    parameter->n_dims = shape->n_dim;
    return dims != NULL;
}

static const char *type_text(struct inspection *inspection, const Oq__Pb__TypeProto *type)
{
    size_t capacity = oq_type_text(type, NULL, 0) + 1;
    char *text = allocate(inspection, capacity, 1);
    if (text != NULL)
        oq_type_text(type, text, capacity);
    return text;
}

static bool has_default(const struct inspection *inspection, const char *name)
{
    const struct oq_value *value = oq_graph_find(inspection->model->graphs.list[0], name);
    return value != NULL && value->is_graph_input && value->origin != OQ_ORIGIN_INPUT;
}

static bool set_parameter(struct inspection *inspection, onnxq_parameter *parameter,
                          const Oq__Pb__ValueInfoProto *info)
{
    *parameter = (onnxq_parameter){.name = text_or_empty(info->name),
                                   .type = type_text(inspection, info->type),
                                   .kind = oq_type_kind(info->type),
                                   .dtype = ""};
    return parameter->type != NULL && set_dims(inspection, parameter, info->type);
}

static bool set_parameters(struct inspection *inspection, Oq__Pb__ValueInfoProto *const *infos,
                           size_t n, bool are_inputs, const onnxq_parameter **result)
{
    onnxq_parameter *parameters = allocate(inspection, n, sizeof(*parameters));
    *result = parameters;
    for (size_t i = 0; parameters != NULL && i < n; i++) {
        if (!set_parameter(inspection, &parameters[i], infos[i]))
            return false;
        parameters[i].has_default = are_inputs && has_default(inspection, parameters[i].name);
    }
    return parameters != NULL;
}

static bool set_signature(struct inspection *inspection)
{
    const Oq__Pb__GraphProto *graph = inspection->model->proto->graph;
    onnxq_inspection *facts = &inspection->facts;
    facts->n_inputs = graph->n_input;
    facts->n_outputs = graph->n_output;
    return set_parameters(inspection, graph->input, graph->n_input, true, &facts->inputs) &&
           set_parameters(inspection, graph->output, graph->n_output, false, &facts->outputs);
}

/* --- operators --- */

static struct oq_strmap *operators_of(struct inspection *inspection, const char *domain)
{
    void **place = oq_strmap_place(&inspection->domains, domain);
    if (place != NULL && *place == NULL) {
        *place = oq_arena_alloc(&inspection->arena, sizeof(struct oq_strmap));
        if (*place != NULL)
            oq_strmap_init(*place, &inspection->arena);
    }
    return place == NULL ? NULL : *place;
}

static struct op_counter *add_counter(struct inspection *inspection, const char *domain,
                                      const char *op_type)
{
    struct op_counter *counter = oq_arena_alloc(&inspection->arena, sizeof(*counter));
    if (counter == NULL)
        return NULL;
    counter->count.domain = domain;
    counter->count.op_type = op_type;
    counter->next = inspection->counters;
    inspection->counters = counter;
    inspection->facts.n_operators++;
    return counter;
}

/* The counter of a node's operator; NULL where memory is out. */
static onnxq_operator_count *count_of(struct inspection *inspection, const Oq__Pb__NodeProto *node)
{
    const char *domain = oq_domain(node->domain), *op_type = text_or_empty(node->op_type);
    struct oq_strmap *operators = operators_of(inspection, domain);
    void **place = operators == NULL ? NULL : oq_strmap_place(operators, op_type);
    if (place != NULL && *place == NULL)
        *place = add_counter(inspection, domain, op_type);
    struct op_counter *counter = place == NULL ? NULL : *place;
    if (counter == NULL)
        oq_arena_fail(&inspection->arena, inspection->error);
    return counter == NULL ? NULL : &counter->count;
}

static bool count_graphs(struct inspection *inspection)
{
    const struct oq_graphs *graphs = &inspection->model->graphs;
    for (size_t g = 0; g < graphs->count; g++) {
        const Oq__Pb__GraphProto *proto = graphs->list[g]->proto;
        for (size_t i = 0; i < proto->n_node; i++) {
            onnxq_operator_count *count = count_of(inspection, proto->node[i]);
            if (count == NULL)
                return false;
            count->n_nodes++;
        }
    }
    return true;
}

static bool count_in_function(void *context, const struct oq_message_path *path, onnxq_error *error)
{
    struct inspection *inspection = context;
    (void)error; /* it is the inspection's */
    onnxq_operator_count *count = count_of(inspection, (const Oq__Pb__NodeProto *)path->message);
    if (count == NULL)
        return false;
    count->n_in_functions++;
    inspection->facts.n_nodes_in_functions++;
    return true;
}

/* Bodies in bodies, too: no index of graphs knows those. */
static bool count_functions(struct inspection *inspection)
{
    const Oq__Pb__ModelProto *proto = inspection->model->proto;
    onnxq_function *functions = allocate(inspection, proto->n_functions, sizeof(*functions));
    for (size_t i = 0; functions != NULL && i < proto->n_functions; i++) {
        Oq__Pb__FunctionProto *function = proto->functions[i];
        size_t before = inspection->facts.n_nodes_in_functions;
        if (!oq_message_visit(&function->base, &oq__pb__node_proto__descriptor, count_in_function,
                              inspection, inspection->error))
            return false;
        functions[i] = (onnxq_function){oq_domain(function->domain), text_or_empty(function->name),
                                        inspection->facts.n_nodes_in_functions - before};
    }
    inspection->facts.functions = functions;
    inspection->facts.n_functions = proto->n_functions;
    return functions != NULL;
}

static int compare_counts(const void *left, const void *right)
{
    const onnxq_operator_count *a = left, *b = right;
    size_t n_a = a->n_nodes + a->n_in_functions, n_b = b->n_nodes + b->n_in_functions;
    int order = (n_a < n_b) - (n_a > n_b);
    if (order == 0)
        order = strcmp(a->op_type, b->op_type);
    return order != 0 ? order : strcmp(a->domain, b->domain);
}

static bool set_operators(struct inspection *inspection)
{
    oq_strmap_init(&inspection->domains, &inspection->arena);
    if (!count_graphs(inspection) || !count_functions(inspection))
        return false;
    size_t n = 0;
    onnxq_operator_count *counts =
        allocate(inspection, inspection->facts.n_operators, sizeof(*counts));
    for (const struct op_counter *c = inspection->counters; counts != NULL && c != NULL;
         c = c->next)
        counts[n++] = c->count;
    if (counts != NULL)
        qsort(counts, n, sizeof(*counts), compare_counts);
    inspection->facts.operators = counts;
    return counts != NULL;
}

/* --- the engine that it needs --- */

static bool set_requirements(struct inspection *inspection)
{
    struct oq_engine_needs needs;
    if (!oq_needs_find(&needs, inspection->model->proto, &inspection->arena, inspection->error))
        return false;
    onnxq_requirement *requirements = allocate(inspection, needs.count, sizeof(*requirements));
    for (size_t i = 0; requirements != NULL && i < needs.count; i++) {
        const char *ort =
            oq_arena_strdup(&inspection->arena, oq_engine_text(needs.list[i].minor).text);
        if (ort == NULL)
            return oq_arena_fail(&inspection->arena, inspection->error);
        requirements[i] = (onnxq_requirement){ort, needs.list[i].what};
    }
    inspection->facts.requirements = requirements;
    inspection->facts.n_requirements = needs.count;
    return requirements != NULL;
}

/* --- for the caller --- */

onnxq_inspection *onnxq_inspection_create(const onnxq_model *model, onnxq_error *error)
{
    onnxq_error ignored;
    error = oq_error_start(error, &ignored);
    struct inspection *inspection = calloc(1, sizeof(*inspection));
    if (inspection == NULL) {
        oq_fail_memory(error);
        return NULL;
    }
    oq_arena_init(&inspection->arena, OQ_STRUCTURE_BUDGET);
    inspection->model = model;
    inspection->error = error;
    set_origin(inspection);
    if (set_opsets(inspection) && set_metadata(inspection) && set_signature(inspection) &&
        set_operators(inspection) && set_requirements(inspection)) {
        inspection->error = NULL;
        return &inspection->facts;
    }
    oq_error_file(error, model->file.path);
    onnxq_inspection_destroy(&inspection->facts);
    return NULL;
}

void onnxq_inspection_destroy(onnxq_inspection *facts)
{
    struct inspection *inspection = (struct inspection *)facts;
    if (inspection == NULL)
        return;
    oq_arena_fini(&inspection->arena);
    free(inspection);
}
