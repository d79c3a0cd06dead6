/*
 * Weights that a model computes of stored constants (normalized, standardized, masked, merged of
 * two) are stored instead, so that they are weights like any other; users know them as the largest
 * of those constants. Of integers that the model itself has made and scaled, the scales are noted.
 */
#include "model/evaluate.h"
#include "quantize/expand/expander.h"
#include "wire/data_type.h"

/* Operations for each byte of the model, and for small ones; the merging of LoRA takes 16. */
#define WORK_PER_BYTE ((uint64_t)64)
#define LEAST_WORK    ((uint64_t)1 << 20)

/* Numbers that are kept in memory for one model. */
#define MAX_KEPT ((uint64_t)1 << 26)

/* What is computed at once. */
#define SCRATCH_BUDGET ((size_t)1 << 30)

struct computed {
    const struct oq_value *value, *base; /* the one is computed, mostly of the other */
    int64_t dims[OQ_EVALUATED_RANK];
    size_t n_dims;
    uint64_t nelem;
    float *numbers;
    struct oq_made_of *stored; /* the constants of the expression, the base among them */
    size_t n_stored;
    struct oq_made made;
    struct computed *next;
};

struct oq_computed {
    const struct oq_expand_options *options;
    struct computed *list;
};

/* --- finding them --- */

struct computed_search {
    const onnxq_model *model;
    const struct oq_expand_options *options;
    struct oq_arena *arena; /* of what is kept */
    struct oq_arena own;
    struct oq_computed *computed;
    bool *is_constant, *is_seen;   /* [values] */
    const struct oq_value **queue; /* [values] */
    size_t count;
    uint64_t work, n_kept;
    struct oq_evaluation *evaluation;
    void *scratch;
    onnxq_error *error;
};

static bool is_constant(const struct computed_search *search, const struct oq_value *value)
{
    if (value == NULL || (value->is_graph_input && !search->options->freeze_inputs))
        return false;
    return oq_value_tensor(value) != NULL || search->is_constant[value->ordinal];
}

static bool has_constant_inputs(const struct computed_search *search, const struct oq_graph *graph,
                                const Oq__Pb__NodeProto *node)
{
    for (size_t i = 0; i < node->n_input; i++)
        if (node->input[i][0] != '\0' && !is_constant(search, oq_graph_find(graph, node->input[i])))
            return false;
    return node->n_input > 0;
}

static bool rearranges(const Oq__Pb__NodeProto *node)
{
    return oq_source_sees_through(node) || OQ_NODE_IS(node, "Split", "Gather");
}

/* Nodes come in the order in which they are computed. False: there is none. */
static bool mark_constants(struct computed_search *search)
{
    const struct oq_graphs *graphs = &search->model->graphs;
    bool found = false;
    for (size_t g = 0; g < graphs->count; g++) {
        const struct oq_graph *graph = graphs->list[g];
        for (size_t i = 0; i < graph->proto->n_node; i++) {
            const Oq__Pb__NodeProto *node = graph->proto->node[i];
            if (!has_constant_inputs(search, graph, node) ||
                !(oq_evaluate_knows(node) || rearranges(node)))
                continue;
            for (size_t k = 0; k < node->n_output; k++) {
                const struct oq_value *value = oq_strmap_find(&graph->values, node->output[k]);
                if (value != NULL)
                    search->is_constant[value->ordinal] = found = true;
            }
        }
    }
    return found;
}

static bool is_in(const struct oq_evaluation *evaluation, const struct oq_value *value)
{
    for (size_t i = 0; i < evaluation->count; i++)
        if (evaluation->list[i].value == value)
            return true;
    return false;
}

/* More uses of a value, and outputs of a node, than there are within one expression. */
#define MAX_USES 64

/* A node that makes a value of the expression, and nothing that anybody else takes. */
static bool is_inside(const struct oq_evaluation *evaluation, const struct oq_use *use)
{
    const Oq__Pb__NodeProto *node =
        use->node == OQ_NO_NODE ? NULL : use->graph->proto->node[use->node];
    bool found = false;
    if (node == NULL || node->n_output > MAX_USES)
        return false;
    for (size_t i = 0; i < node->n_output; i++) {
        const struct oq_value *output = oq_strmap_find(&use->graph->values, node->output[i]);
        const bool is_one = output != NULL && is_in(evaluation, output);
        if (output != NULL && !is_one && (output->n_uses > 0 || output->is_graph_output))
            return false;
        found |= is_one;
    }
    return found;
}

/* Nothing of an expression is needed beside its result, but for numbers of no size. */
static bool leaves(const struct computed_search *search, const struct oq_evaluation *evaluation)
{
    const struct oq_value *result = evaluation->list[evaluation->count - 1].value;
    for (size_t i = 0; i < evaluation->count; i++) {
        const struct oq_numbers *numbers = &evaluation->list[i];
        const struct oq_value *value = numbers->value;
        if (numbers->is_stored && numbers->nelem < search->options->min_weight)
            continue;
        if (value->is_graph_output || value->is_named || value->is_annotated)
            return false;
        if (value == result)
            continue;
        if (value->n_uses > MAX_USES)
            return false;
        for (const struct oq_use *use = value->uses; use != NULL; use = use->next)
            if (!is_inside(evaluation, use))
                return false;
    }
    return true;
}

/* The largest constant; NULL: the result, which may have to stay float, takes more room than all.
 */
static const struct oq_value *find_base(const struct oq_evaluation *evaluation)
{
    const struct oq_numbers *base = NULL;
    uint64_t nbytes = 0, result = 0;
    for (size_t i = 0; i < evaluation->count; i++) {
        const struct oq_numbers *numbers = &evaluation->list[i];
        uint64_t own = 0;
        if (!numbers->is_stored || numbers->data_type == OQ_TYPE(BOOL) ||
            !oq_dtype_nbytes(oq_dtype_find(numbers->data_type), numbers->nelem, &own))
            continue;
        nbytes += own;
        if (base == NULL || numbers->nelem > base->nelem)
            base = numbers;
    }
    const uint64_t nelem = evaluation->list[evaluation->count - 1].nelem;
    return base == NULL || !oq_dtype_nbytes(oq_dtype_find(OQ_TYPE(FLOAT)), nelem, &result) ||
                   nbytes < result
               ? NULL
               : base->value;
}

static void *copy(struct computed_search *search, const void *items, size_t n, size_t size)
{
    void *memory = oq_arena_array(search->arena, n + 1, size);
    return memory == NULL ? NULL : memcpy(memory, items, n * size);
}

/* The other factor of a Mul of integers: one number, or one for each index of an axis. */
static bool find_steps(struct computed_search *search, const Oq__Pb__NodeProto *node,
                       struct computed *computed)
{
    const struct oq_evaluation *evaluation = search->evaluation;
    const struct oq_graph *graph = computed->value->graph;
    const struct oq_numbers *factor = NULL;
    if (evaluation->rounded == NULL || !oq_node_is(node, "", "Mul"))
        return true;
    for (size_t k = 0; k < 2; k++)
        for (size_t i = 0; i < evaluation->count; i++)
            if (oq_graph_find(graph, node->input[k]) == evaluation->rounded &&
                oq_graph_find(graph, node->input[1 - k]) == evaluation->list[i].value)
                factor = &evaluation->list[i];
    if (factor == NULL || factor->nelem == computed->nelem)
        return true;
    int axis = -1;
    for (size_t i = 0; i < factor->n_dims; i++)
        if (factor->dims[i] > 1) {
            if (axis >= 0)
                return true;
            axis = (int)(computed->n_dims - factor->n_dims + i);
        }
    computed->made.axis = axis;
    computed->made.n_steps = factor->nelem;
    computed->made.steps = copy(search, factor->x, (size_t)factor->nelem, sizeof(*factor->x));
    return computed->made.steps != NULL;
}

/* All constants, and which of them is the base. */
static bool note_stored(struct computed_search *search, struct computed *computed)
{
    const struct oq_evaluation *evaluation = search->evaluation;
    computed->stored = oq_arena_array(search->arena, evaluation->count, sizeof(*computed->stored));
    for (size_t i = 0; computed->stored != NULL && i < evaluation->count; i++)
        if (evaluation->list[i].is_stored) {
            const struct oq_value *value = evaluation->list[i].value;
            computed->stored[computed->n_stored++] =
                (struct oq_made_of){value, oq_model_tensor(search->model, oq_value_tensor(value))};
        }
    computed->made.name = computed->base->name;
    computed->made.base = oq_model_tensor(search->model, oq_value_tensor(computed->base));
    return computed->stored != NULL;
}

static bool keep(struct computed_search *search, const struct oq_value *base)
{
    const struct oq_evaluation *evaluation = search->evaluation;
    const struct oq_numbers *result = &evaluation->list[evaluation->count - 1];
    struct computed *computed = oq_arena_alloc(search->arena, sizeof(*computed));
    if (computed == NULL)
        return oq_arena_fail(search->arena, search->error);
    *computed = (struct computed){.value = result->value,
                                  .base = base,
                                  .n_dims = result->n_dims,
                                  .nelem = result->nelem,
                                  .next = search->computed->list};
    memcpy(computed->dims, result->dims, sizeof(computed->dims));
    computed->numbers = copy(search, result->x, (size_t)result->nelem, sizeof(*result->x));
    if (computed->numbers == NULL || !note_stored(search, computed) ||
        !find_steps(search, oq_value_node(result->value), computed))
        return oq_arena_fail(search->arena, search->error);
    search->computed->list = computed;
    search->n_kept += result->nelem;
    return true;
}

static bool evaluate(struct computed_search *search, const struct oq_value *value)
{
    struct oq_arena scratch;
    oq_arena_init(&scratch, SCRATCH_BUDGET);
    struct oq_evaluator evaluator = {.model = search->model,
                                     .inputs_are_frozen = search->options->freeze_inputs,
                                     .arena = &scratch,
                                     .scratch = search->scratch,
                                     .work = search->work,
                                     .error = search->error};
    const struct oq_evaluation *evaluation = search->evaluation;
    bool found;
    bool ok = oq_evaluate(&evaluator, value->graph, value->name, search->evaluation, &found);
    search->work = evaluator.work;
    if (ok && found) {
        const uint64_t nelem = evaluation->list[evaluation->count - 1].nelem;
        const struct oq_value *base = find_base(evaluation);
        if (base != NULL && nelem >= search->options->min_weight &&
            nelem <= MAX_KEPT - search->n_kept && leaves(search, evaluation))
            ok = keep(search, base);
    }
    oq_arena_fini(&scratch);
    return ok;
}

static void look_at(struct computed_search *search, const struct oq_value *value)
{
    if (value == NULL || !search->is_constant[value->ordinal] || search->is_seen[value->ordinal])
        return;
    search->is_seen[value->ordinal] = true;
    search->queue[search->count++] = value;
}

/* Weights of products; what only rearranges others is left to sources. */
static bool look_behind(struct computed_search *search)
{
    while (search->count > 0) {
        const struct oq_value *value = search->queue[--search->count];
        const Oq__Pb__NodeProto *node = oq_value_node(value);
        const bool joins = oq_node_is(node, "", "Concat");
        struct oq_source source;
        bool found;
        if (!oq_source_find(&source, search->model, value->graph, value->name,
                            search->options->freeze_inputs, &search->own, &found, search->error))
            return false;
        if (found)
            continue;
        if (!rearranges(node)) {
            if (!evaluate(search, value))
                return false;
            continue;
        }
        for (size_t i = 0; i < (joins ? node->n_input : 1); i++)
            look_at(search, oq_graph_find(value->graph, node->input[i]));
    }
    return true;
}

static bool look_at_products(struct computed_search *search)
{
    const struct oq_graphs *graphs = &search->model->graphs;
    for (size_t g = 0; g < graphs->count; g++)
        for (size_t i = 0; i < graphs->list[g]->proto->n_node; i++) {
            const Oq__Pb__NodeProto *node = graphs->list[g]->proto->node[i];
            const struct oq_operator *op = oq_operator_of(node);
            for (size_t k = 0; k < node->n_input; k++)
                if (oq_operator_role(op, k) == OQ_WEIGHT &&
                    !has_constant_inputs(search, graphs->list[g], node))
                    look_at(search, oq_graph_find(graphs->list[g], node->input[k]));
        }
    return look_behind(search);
}

bool oq_expand_find_computed(const onnxq_model *model, const struct oq_expand_options *options,
                             struct oq_arena *arena, const struct oq_computed **computed,
                             onnxq_error *error)
{
    const size_t n = model->graphs.n_values + 1;
    const uint64_t nbytes = model->info.file_nbytes + model->info.external_nbytes;
    struct computed_search search = {
        .model = model, .options = options, .arena = arena, .error = error, .work = LEAST_WORK};
    *computed = NULL;
    search.work += nbytes <= UINT64_MAX / (2 * WORK_PER_BYTE) ? nbytes * WORK_PER_BYTE : 0;
    oq_arena_init(&search.own, SIZE_MAX);
    search.computed = oq_arena_alloc(arena, sizeof(*search.computed));
    search.is_constant = oq_arena_array(&search.own, n, sizeof(bool));
    bool ok = search.computed != NULL && search.is_constant != NULL;
    if (ok && mark_constants(&search)) {
        search.is_seen = oq_arena_array(&search.own, n, sizeof(bool));
        search.queue = oq_arena_array(&search.own, n, sizeof(*search.queue));
        search.evaluation = oq_arena_alloc(&search.own, sizeof(*search.evaluation));
        search.scratch = oq_arena_alloc(&search.own, OQ_READ_SCRATCH_NBYTES);
        ok = search.is_seen != NULL && search.queue != NULL && search.evaluation != NULL &&
             search.scratch != NULL;
        if (ok && !look_at_products(&search)) {
            oq_arena_fini(&search.own);
            return false;
        }
    }
    oq_arena_fini(&search.own);
    if (!ok)
        return oq_fail_memory(error);
    search.computed->options = options;
    *computed = search.computed->list == NULL ? NULL : search.computed;
    return true;
}

/* --- putting them in place --- */

/* An initializer of the value's name. */
static Oq__Pb__TensorProto *add_tensor(struct oq_edit *edit, const struct computed *computed)
{
    struct oq_edit_graph *graph = &edit->states[computed->value->graph->ordinal];
    Oq__Pb__TensorProto *tensor = oq_edit_allocate(edit, 1, sizeof(*tensor));
    int64_t *dims = oq_edit_allocate(edit, computed->n_dims + 1, sizeof(*dims));
    if (edit->failed || !oq_arena_grow(edit->arena, &graph->tensors, graph->n_tensors,
                                       &graph->tensors_capacity, sizeof(Oq__Pb__TensorProto *))) {
        edit->failed = true;
        return NULL;
    }
    memcpy(dims, computed->dims, computed->n_dims * sizeof(*dims));
    oq__pb__tensor_proto__init(tensor);
    tensor->name = oq_edit_text(computed->value->name);
    tensor->has_data_type = true;
    tensor->data_type = OQ_TYPE(FLOAT);
    tensor->dims = dims;
    tensor->n_dims = computed->n_dims;
    tensor->float_data = computed->numbers;
    tensor->n_float_data = (size_t)computed->nelem;
    graph->tensors[graph->n_tensors++] = tensor;
    return tensor;
}

/* All nodes but those that make what is computed now. */
static bool keep_nodes(struct oq_edit *edit, const struct oq_computed *computed)
{
    for (const struct computed *c = computed->list; c != NULL; c = c->next)
        edit->states[c->value->graph->ordinal].proto->node[c->value->index] = NULL;
    for (size_t g = 0; g < edit->graphs->count; g++) {
        const Oq__Pb__GraphProto *proto = edit->states[g].proto;
        oq_edit_enter(edit, g);
        for (size_t i = 0; i < proto->n_node; i++)
            if (proto->node[i] != NULL && !oq_edit_keep(edit, proto->node[i]))
                return false;
    }
    return true;
}

/* Says what a tensor was computed of; a constant of several is told of once. */
static bool note(struct oq_edit *edit, const struct computed *computed, bool *is_told,
                 const Oq__Pb__TensorProto *tensor, struct oq_notes *notes)
{
    struct oq_made *made = oq_edit_allocate(edit, 1, sizeof(*made));
    struct oq_made_of *others = oq_edit_allocate(edit, computed->n_stored, sizeof(*others));
    if (made == NULL || others == NULL)
        return false;
    *made = computed->made;
    made->others = others;
    for (size_t i = 0; i < computed->n_stored; i++) {
        const struct oq_value *value = computed->stored[i].value;
        if (value == computed->base || is_told[value->ordinal] ||
            !oq_edit_is_dropped(edit, value->graph->ordinal, value->name))
            continue;
        is_told[value->ordinal] = true;
        others[made->n_others++] = computed->stored[i];
    }
    return oq_note_made(notes, edit->arena, tensor, made);
}

/* Inputs of the graph that hold a constant by default leave with it; the sweep leaves them. */
static bool drop_inputs(struct oq_edit *edit, const struct computed *computed)
{
    for (size_t i = 0; i < computed->n_stored; i++) {
        const struct oq_value *value = computed->stored[i].value;
        if (value->is_graph_input && edit->n_left[value->ordinal] == 0 &&
            !oq_edit_drop(edit, value->graph->ordinal, value->name, false))
            return false;
    }
    return true;
}

bool oq_expand_place_computed(const onnxq_model *base, const void *context,
                              Oq__Pb__ModelProto *proto, struct oq_arena *arena,
                              struct oq_notes *notes, onnxq_error *error)
{
    const struct oq_computed *computed = context;
    struct oq_draft draft = {.model = base, .arena = arena, .proto = proto};
    struct oq_edit edit;
    const int64_t ir_version = proto->ir_version;
    size_t n = 0;
    if (!oq_edit_init(&edit, &draft, false, error))
        return false;
    for (const struct computed *c = computed->list; c != NULL; c = c->next)
        n++;
    Oq__Pb__TensorProto **tensors = oq_edit_allocate(&edit, n, sizeof(Oq__Pb__TensorProto *));
    bool *is_told = oq_edit_allocate(&edit, base->graphs.n_values, sizeof(*is_told));
    n = 0;
    for (const struct computed *c = computed->list; !edit.failed && c != NULL; c = c->next)
        tensors[n++] = add_tensor(&edit, c);
    edit.keeps_unused = true;
    if (edit.failed || !keep_nodes(&edit, computed) || !oq_edit_sweep(&edit))
        return error->status == ONNXQ_OK ? oq_arena_fail(arena, error) : false;
    n = 0;
    for (const struct computed *c = computed->list; c != NULL; c = c->next)
        if (!drop_inputs(&edit, c) || !note(&edit, c, is_told, tensors[n++], notes))
            return oq_arena_fail(arena, error);
    if (!oq_edit_finish(&edit))
        return false;
    proto->ir_version = ir_version; /* what initializers mean stays as it is */
    return true;
}
