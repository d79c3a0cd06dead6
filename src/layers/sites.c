/* Finds common values, cones and their differences. */
#include "layers/sites.h"

#include <stdlib.h>

#include "layers/same.h"
#include "model/source.h"
#include "wire/data_type.h"

/* Marks of nodes that one walk has been to; a new walk takes the next number. */
struct site_walk {
    size_t *marks;    /* [nodes] */
    size_t *partners; /* [nodes]: of the node in the other model that it was compared with */
    size_t number;
    size_t *stack;
    size_t n_stack;
};

struct site_finder {
    struct oq_scope reference, candidate;
    struct site_walk reference_walk, candidate_walk, constants_walk;
    struct oq_same same;
    struct oq_strmap seen; /* name -> the list that it was last added to */
    struct oq_layer_sites *sites;
    struct oq_arena *arena;
    onnxq_error *error;
};

static bool out_of_memory(const struct site_finder *finder)
{
    return oq_arena_fail(finder->arena, finder->error);
}

static const Oq__Pb__NodeProto *node_at(const struct oq_scope *scope, size_t index)
{
    return scope->graph->proto->node[index];
}

/* Adds a copy of a name that the list lacks: sites outlive the models. */
static bool add_name(struct site_finder *finder, struct oq_name_list *names, const char *name)
{
    void **place = oq_strmap_place(&finder->seen, name);
    if (place == NULL)
        return out_of_memory(finder);
    if (*place == names)
        return true;
    const char *copy = oq_arena_strdup(finder->arena, name);
    *place = names;
    return (copy != NULL && oq_name_list_add(names, copy, finder->arena)) || out_of_memory(finder);
}

/* --- common values --- */

/* Computed in both models while they run, or given to both. */
static bool is_common(const struct site_finder *finder, const char *name)
{
    const struct oq_value *a = oq_scope_find(&finder->reference, name);
    const struct oq_value *b = oq_scope_find(&finder->candidate, name);
    return a != NULL && b != NULL && a->origin == b->origin &&
           !oq_scope_is_constant(&finder->reference, a) &&
           !oq_scope_is_constant(&finder->candidate, b);
}

/* --- whether two cones are the same --- */

static void begin_walk(struct site_walk *walk)
{
    walk->number++;
    walk->n_stack = 0;
}

/* True where the walk comes to the node for the first time. */
static bool visit(struct site_walk *walk, size_t node)
{
    if (walk->marks[node] == walk->number)
        return false;
    walk->marks[node] = walk->number;
    walk->stack[walk->n_stack++] = node;
    return true;
}

/* Two nodes are to be the same; the candidate's is on the stack until they were compared. */
static bool pair(struct site_finder *finder, size_t a, size_t b)
{
    struct site_walk *walk = &finder->candidate_walk;
    if (!visit(walk, b))
        return walk->partners[b] == a;
    walk->partners[b] = a;
    return true;
}

static bool compare_constants(struct site_finder *finder, const struct oq_value *a,
                              const struct oq_value *b, bool *equal)
{
    const Oq__Pb__TensorProto *left = oq_scope_tensor(&finder->reference, a);
    const Oq__Pb__TensorProto *right = oq_scope_tensor(&finder->candidate, b);
    if (left != NULL && right != NULL)
        return oq_same_tensors(&finder->same, left, right, equal, finder->error);
    *equal = a->origin == OQ_ORIGIN_NODE && b->origin == OQ_ORIGIN_NODE &&
             pair(finder, a->index, b->index);
    return true;
}

/* Position of a value among the outputs of the node that makes it. */
static size_t output_number(const struct oq_scope *scope, const struct oq_value *value)
{
    const Oq__Pb__NodeProto *node = node_at(scope, value->index);
    size_t k = 0;
    while (k < node->n_output && strcmp(node->output[k], value->name) != 0)
        k++;
    return k;
}

static bool compare_reads(struct site_finder *finder, const char *left, const char *right,
                          bool *equal)
{
    const struct oq_value *a = oq_scope_find(&finder->reference, left);
    const struct oq_value *b = oq_scope_find(&finder->candidate, right);
    *equal = (a == NULL) == (b == NULL);
    if (a == NULL || !*equal)
        return true;
    if (is_common(finder, right)) {
        *equal = strcmp(left, right) == 0;
        return true;
    }
    *equal =
        oq_scope_is_constant(&finder->reference, a) == oq_scope_is_constant(&finder->candidate, b);
    if (*equal && oq_scope_is_constant(&finder->reference, a))
        return compare_constants(finder, a, b, equal);
    *equal = *equal && !is_common(finder, left) && a->origin == OQ_ORIGIN_NODE &&
             b->origin == OQ_ORIGIN_NODE &&
             output_number(&finder->reference, a) == output_number(&finder->candidate, b) &&
             pair(finder, a->index, b->index);
    return true;
}

static bool compare_nodes(struct site_finder *finder, size_t a, size_t b, bool *equal)
{
    size_t count = oq_scope_n_reads(&finder->reference, a);
    if (!oq_same_operators(&finder->same, node_at(&finder->reference, a),
                           node_at(&finder->candidate, b), equal, finder->error))
        return false;
    *equal = *equal && count == oq_scope_n_reads(&finder->candidate, b);
    for (size_t k = 0; *equal && k < count; k++)
        if (!compare_reads(finder, oq_scope_read(&finder->reference, a, k),
                           oq_scope_read(&finder->candidate, b, k), equal))
            return false;
    return true;
}

/* *equal: both models compute the common value in the same way from the same. */
static bool compare_cones(struct site_finder *finder, const char *name, bool *equal)
{
    const struct oq_value *a = oq_scope_find(&finder->reference, name);
    const struct oq_value *b = oq_scope_find(&finder->candidate, name);
    struct site_walk *walk = &finder->candidate_walk;
    begin_walk(walk);
    *equal = output_number(&finder->reference, a) == output_number(&finder->candidate, b) &&
             pair(finder, a->index, b->index);
    while (*equal && walk->n_stack > 0) {
        size_t node = walk->stack[--walk->n_stack];
        if (!compare_nodes(finder, walk->partners[node], node, equal))
            return false;
    }
    return true;
}

/* --- what belongs to a cone ------------------------------------------------------- */

typedef bool (*node_fn)(struct site_finder *finder, struct oq_layer_site *site, size_t node);
typedef bool (*read_fn)(struct site_finder *finder, struct oq_layer_site *site, const char *name);

/* Calls fns for the nodes that make the site's values, and what those read from outside. */
static bool walk_cone(struct site_finder *finder, const struct oq_scope *scope,
                      struct site_walk *walk, struct oq_layer_site *site, node_fn on_node,
                      read_fn on_read)
{
    begin_walk(walk);
    for (size_t i = 0; i < site->values.count; i++)
        visit(walk, oq_scope_find(scope, site->values.list[i])->index);
    while (walk->n_stack > 0) {
        size_t node = walk->stack[--walk->n_stack];
        if (!on_node(finder, site, node))
            return false;
        for (size_t k = 0; k < oq_scope_n_reads(scope, node); k++) {
            const char *name = oq_scope_read(scope, node, k);
            const struct oq_value *value = oq_scope_find(scope, name);
            bool is_outside =
                is_common(finder, name) || (value != NULL && value->origin == OQ_ORIGIN_INPUT);
            if (is_outside && !on_read(finder, site, name))
                return false;
            if (!is_outside && value != NULL && value->origin == OQ_ORIGIN_NODE)
                visit(walk, value->index);
        }
    }
    return true;
}

static bool add_node(struct site_finder *finder, struct oq_layer_site *site, size_t node)
{
    if (!oq_arena_grow(finder->arena, &site->nodes.list, site->nodes.count, &site->nodes.capacity,
                       sizeof(*site->nodes.list)))
        return out_of_memory(finder);
    site->nodes.list[site->nodes.count++] = node;
    return true;
}

static bool add_input(struct site_finder *finder, struct oq_layer_site *site, const char *name)
{
    if (!is_common(finder, name))
        site->unobservable = "it reads an input that the reference lacks";
    return add_name(finder, &site->inputs, name);
}

/* --- what selects a site --------------------------------------------------------- */

/* A matrix of floats or more: what quantize takes for a weight. */
static bool is_weight(const Oq__Pb__TensorProto *tensor)
{
    const struct oq_dtype *dtype = tensor == NULL ? NULL : oq_dtype_find(tensor->data_type);
    return dtype != NULL && dtype->is_float && tensor->n_dims > 1;
}

static void visit_maker(struct site_walk *walk, const struct oq_value *value)
{
    if (value != NULL && value->origin == OQ_ORIGIN_NODE)
        visit(walk, value->index);
}

/* The names of the weights that a constant was made of. */
static bool add_weights_behind(struct site_finder *finder, struct oq_layer_site *site,
                               const struct oq_value *constant)
{
    const struct oq_scope *scope = &finder->reference;
    struct site_walk *walk = &finder->constants_walk;
    begin_walk(walk);
    visit_maker(walk, constant);
    while (walk->n_stack > 0) {
        size_t node = walk->stack[--walk->n_stack];
        for (size_t k = 0; k < oq_scope_n_reads(scope, node); k++) {
            const struct oq_value *value = oq_scope_find(scope, oq_scope_read(scope, node, k));
            if (value != NULL && is_weight(oq_scope_tensor(scope, value)) &&
                !add_name(finder, &site->weights, value->name))
                return false;
            visit_maker(walk, value);
        }
    }
    return true;
}

static bool add_weights_of(struct site_finder *finder, struct oq_layer_site *site, size_t node)
{
    const struct oq_scope *scope = &finder->reference;
    const Oq__Pb__NodeProto *proto = node_at(scope, node);
    if (scope->is_constant[node])
        return true;
    for (size_t k = 0; k < proto->n_input; k++) {
        const struct oq_value *value = oq_scope_find(scope, proto->input[k]);
        if (value == NULL || !oq_scope_is_constant(scope, value))
            continue;
        const Oq__Pb__TensorProto *tensor = oq_scope_tensor(scope, value);
        if (tensor == NULL && !add_weights_behind(finder, site, value))
            return false;
        if (is_weight(tensor) && !add_name(finder, &site->weights, oq_node_label(proto)))
            return false;
    }
    return true;
}

/*
 * Nodes of a body that have weights, be it of the body or of a graph around it; the weight
 * where quantize sees through the node to a later one.
 */
static bool add_weights_in(struct site_finder *finder, struct oq_layer_site *site,
                           const struct oq_graph *body)
{
    for (size_t i = 0; i < body->proto->n_node; i++) {
        const Oq__Pb__NodeProto *node = body->proto->node[i];
        for (size_t k = 0; k < node->n_input; k++) {
            const struct oq_value *value = oq_graph_find(body, node->input[k]);
            const struct oq_scope scope = {.graph = value == NULL ? NULL : value->graph};
            if (value != NULL && is_weight(oq_scope_tensor(&scope, value)) &&
                !add_name(finder, &site->weights,
                          oq_source_sees_through(node) ? value->name : oq_node_label(node)))
                return false;
        }
    }
    return true;
}

static bool add_weights_inside(struct site_finder *finder, struct oq_layer_site *site)
{
    const struct oq_scope *scope = &finder->reference;
    const struct site_walk *walk = &finder->reference_walk;
    for (size_t g = 1; g < scope->model->graphs.count; g++)
        if (walk->marks[scope->owners[g]] == walk->number &&
            !add_weights_in(finder, site, scope->model->graphs.list[g]))
            return false;
    return true;
}

static bool ignore_input(struct site_finder *finder, struct oq_layer_site *site, const char *name)
{
    (void)finder, (void)site, (void)name;
    return true;
}

/* --- what a site is called --- */

static bool is_narrow(const Oq__Pb__TensorProto *tensor)
{
    const struct oq_dtype *dtype = tensor == NULL ? NULL : oq_dtype_find(tensor->data_type);
    return dtype != NULL && !dtype->is_float && dtype->nbits > 0 && dtype->nbits <= 16 &&
           tensor->data_type != OQ_TYPE(BOOL);
}

/* The narrow integers that a node reads, or NULL. */
static const Oq__Pb__TensorProto *narrow_read(const struct oq_scope *scope,
                                              const Oq__Pb__NodeProto *node)
{
    for (size_t k = 0; k < node->n_input; k++) {
        const struct oq_value *value = oq_scope_find(scope, node->input[k]);
        const Oq__Pb__TensorProto *tensor = value == NULL ? NULL : oq_scope_tensor(scope, value);
        if (is_narrow(tensor))
            return tensor;
    }
    return NULL;
}

static bool is_quantized_operator(const Oq__Pb__NodeProto *node)
{
    return oq_operator_has(oq_operator_of(node), OQ_QUANTIZED);
}

/* How much an operator says about a form; the one that says most names it. */
static int telling(const Oq__Pb__NodeProto *node)
{
    if (!is_quantized_operator(node))
        return 0;
    if (OQ_NODE_IS(node, "DynamicQuantizeLinear", "QuantizeLinear"))
        return 1;
    return oq_node_is(node, "", "DequantizeLinear") ? 2 : 3;
}

/* Where no operator says it: what became of the constants. */
static const char *form_of_constants(const struct site_finder *finder,
                                     const struct oq_layer_site *site)
{
    const struct oq_scope *scope = &finder->candidate;
    for (size_t i = 0; i < site->nodes.count; i++) {
        const Oq__Pb__NodeProto *node = node_at(scope, site->nodes.list[i]);
        const Oq__Pb__TensorProto *tensor = narrow_read(scope, node);
        if (tensor == NULL)
            continue;
        const char *how = oq_node_is(node, "", "Gather") ? "rows" : "folded";
        return oq_arena_printf(finder->arena, "%s %s", oq_dtype_find(tensor->data_type)->name, how);
    }
    return site->n_inside > 0 ? "in its bodies" : "other weights or operators";
}

static bool name_form(struct site_finder *finder, struct oq_layer_site *site)
{
    const Oq__Pb__NodeProto *best = NULL;
    for (size_t i = 0; i < site->nodes.count; i++) {
        const Oq__Pb__NodeProto *node = node_at(&finder->candidate, site->nodes.list[i]);
        if (telling(node) > (best == NULL ? 0 : telling(best)))
            best = node;
    }
    site->form = best != NULL ? oq_arena_strdup(finder->arena, best->op_type)
                              : form_of_constants(finder, site);
    return site->form != NULL || out_of_memory(finder);
}

/* --- bodies --- */

/* An integer operator, or stored integers that are taken back to floats. */
static bool is_quantized_in(const struct oq_graph *body, const Oq__Pb__NodeProto *node)
{
    if (telling(node) > 1)
        return true;
    const struct oq_value *value =
        oq_node_is(node, "", "Cast") ? oq_graph_find(body, oq_node_input(node, 0)) : NULL;
    if (value == NULL)
        return false;
    const struct oq_scope scope = {.graph = value->graph};
    return is_narrow(oq_scope_tensor(&scope, value));
}

static void count_inside(const struct site_finder *finder, struct oq_layer_site *site)
{
    const struct oq_scope *scope = &finder->candidate;
    const struct oq_graphs *graphs = &scope->model->graphs;
    for (size_t g = 1; g < graphs->count; g++) {
        const struct oq_graph *body = graphs->list[g];
        if (finder->candidate_walk.marks[scope->owners[g]] != finder->candidate_walk.number)
            continue;
        for (size_t i = 0; i < body->proto->n_node; i++)
            site->n_inside += is_quantized_in(body, body->proto->node[i]);
    }
}

/* --- sites --- */

static int compare_indices(const void *a, const void *b)
{
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return (x > y) - (x < y);
}

static bool describe(struct site_finder *finder, struct oq_layer_site *site)
{
    if (!walk_cone(finder, &finder->candidate, &finder->candidate_walk, site, add_node, add_input))
        return false;
    qsort(site->nodes.list, site->nodes.count, sizeof(*site->nodes.list), compare_indices);
    count_inside(finder, site);
    return name_form(finder, site) &&
           walk_cone(finder, &finder->reference, &finder->reference_walk, site, add_weights_of,
                     ignore_input) &&
           add_weights_inside(finder, site);
}

static bool add_site(struct site_finder *finder, const Oq__Pb__NodeProto *node,
                     const struct oq_name_list *values)
{
    struct oq_layer_sites *sites = finder->sites;
    if (!oq_arena_grow(finder->arena, &sites->list, sites->count, &sites->capacity,
                       sizeof(*sites->list)))
        return out_of_memory(finder);
    struct oq_layer_site *site = &sites->list[sites->count++];
    *site = (struct oq_layer_site){
        .name = oq_arena_strdup(finder->arena, oq_node_label(node)),
        .op_type = oq_arena_strdup(finder->arena, node->op_type == NULL ? "" : node->op_type),
        .values = *values};
    return site->name == NULL || site->op_type == NULL ? out_of_memory(finder)
                                                       : describe(finder, site);
}

/* The values of one node of the reference that the candidate computes in another way. */
static bool look_at(struct site_finder *finder, size_t index)
{
    const Oq__Pb__NodeProto *node = node_at(&finder->reference, index);
    struct oq_name_list values = {0};
    for (size_t k = 0; k < node->n_output; k++) {
        bool equal = true;
        if (!is_common(finder, node->output[k]))
            continue;
        finder->sites->n_common++;
        if (!compare_cones(finder, node->output[k], &equal))
            return false;
        if (!equal && !add_name(finder, &values, node->output[k]))
            return false;
    }
    return values.count == 0 || add_site(finder, node, &values);
}

static bool init_walk(struct site_finder *finder, struct site_walk *walk,
                      const struct oq_scope *scope)
{
    size_t n = scope->graph->proto->n_node + 1;
    walk->marks = oq_arena_array(finder->arena, n, sizeof(*walk->marks));
    walk->partners = oq_arena_array(finder->arena, n, sizeof(*walk->partners));
    walk->stack = oq_arena_array(finder->arena, n, sizeof(*walk->stack));
    return (walk->marks != NULL && walk->partners != NULL && walk->stack != NULL) ||
           out_of_memory(finder);
}

static bool find(struct site_finder *finder)
{
    oq_strmap_init(&finder->seen, finder->arena);
    if (!init_walk(finder, &finder->reference_walk, &finder->reference) ||
        !init_walk(finder, &finder->constants_walk, &finder->reference) ||
        !init_walk(finder, &finder->candidate_walk, &finder->candidate))
        return false;
    for (size_t i = 0; i < finder->reference.graph->proto->n_node; i++)
        if (!look_at(finder, i))
            return false;
    return true;
}

bool oq_layer_sites_find(struct oq_layer_sites *sites, const onnxq_model *reference,
                         const onnxq_model *candidate, struct oq_arena *arena, onnxq_error *error)
{
    struct site_finder finder = {.sites = sites, .arena = arena, .error = error};
    *sites = (struct oq_layer_sites){0};
    bool ok = oq_scope_init(&finder.reference, reference, arena, error) &&
              oq_scope_init(&finder.candidate, candidate, arena, error) &&
              oq_same_init(&finder.same, reference, candidate, error) && find(&finder);
    oq_same_fini(&finder.same);
    return ok;
}
