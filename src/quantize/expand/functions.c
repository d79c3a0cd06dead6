/*
 * Local functions, written out where they are called: a weight that a function receives, or holds,
 * is then one of the graph's own. Engines do the same when they load a model.
 */
#include "model/constant_nodes.h"
#include "model/cycles.h"
#include "quantize/expand/expander.h"
#include "wire/scan.h"

/*
 * Calls in calls, and nodes and calls of them all: what comes to more is left to the engine. Files
 * are not written out to many times their size; layers are a hundred or so, of as many nodes.
 */
#define MAX_DEPTH      32
#define MAX_NODES      ((size_t)1 << 16)
#define FEW_NODES      ((size_t)1 << 13)
#define NODES_PER_NODE 64

/* A body is three messages deep: what is written may not be nested deeper than what is read. */
#define MAX_BODIES ((OQ_SCAN_MAX_DEPTH - 8) / 3)

struct callee {
    const Oq__Pb__FunctionProto *function;
    const char *key;
    struct callee *next_waiting;
    size_t n_bodies; /* that are nested in it */
    size_t n_own;    /* nodes and calls that one call of it comes to, */
    size_t n_all;    /* and with what these come to; MAX_NODES + 1: more */
    bool is_open;    /* it can be written out */
    bool is_reached, is_written, is_left;
};

/* A call in a function. */
struct inner_call {
    struct callee *from, *to;
};

struct callees {
    struct callee *list; /* those of the model, in its order */
    size_t count;
    struct inner_call *calls;
    size_t n_calls, calls_capacity;
    struct oq_strmap by_key;
    struct oq_arena *arena;
    onnxq_error *error;
};

static struct callee *find_callee(const struct callees *callees, const Oq__Pb__NodeProto *node)
{
    const char *key = oq_function_key(callees->arena, node->domain, node->op_type, node->overload);
    return key == NULL ? NULL : oq_strmap_find(&callees->by_key, key);
}

/* --- which of them can be written out --- */

struct body {
    struct callees *callees;
    struct callee *callee;
    const Oq__Pb__ModelProto *model;
    bool is_foreign; /* has operators of another version than the model's */
};

/*
 * Operators of which, from that version up to NEWEST on, nothing changed but the types that they
 * take: more of them.
 */
static const struct {
    const char *name;
    int64_t since;
} lasting[] = {
    {"Abs", 6},
    {"Add", 14},
    {"Cast", 19},
    {"Clip", 12},
    {"Concat", 13},
    {"Constant", 13},
    {"ConstantOfShape", 9},
    {"Conv", 11},
    {"Div", 14},
    {"Erf", 9},
    {"Exp", 6},
    {"Expand", 8},
    {"Flatten", 11},
    {"Gather", 13},
    {"Gelu", 20},
    {"Gemm", 11},
    {"Identity", 1},
    {"LayerNormalization", 17},
    {"LeakyRelu", 6},
    {"MatMul", 9},
    {"Max", 8},
    {"Min", 8},
    {"Mul", 14},
    {"Neg", 6},
    {"Pow", 12},
    {"ReduceMean", 18},
    {"ReduceSum", 13},
    {"Relu", 6},
    {"Reshape", 14},
    {"Shape", 15},
    {"Sigmoid", 6},
    {"Slice", 13},
    {"Softmax", 13},
    {"Split", 18},
    {"Sqrt", 6},
    {"Squeeze", 13},
    {"Sub", 14},
    {"Tanh", 6},
    {"Transpose", 1},
    {"Unsqueeze", 13},
    {"Where", 9},
};
#define NEWEST 26

/* What an operator does in the function's version, it does in the model's. */
static bool lasts(const Oq__Pb__NodeProto *node, int64_t from, int64_t to)
{
    for (size_t i = 0; i < sizeof(lasting) / sizeof(lasting[0]); i++)
        if (oq_node_is(node, "", lasting[i].name))
            return from >= lasting[i].since && to >= from && to <= NEWEST;
    return false;
}

static void note_inner_call(struct body *body, struct callee *to)
{
    struct callees *callees = body->callees;
    if (oq_arena_grow(callees->arena, &callees->calls, callees->n_calls, &callees->calls_capacity,
                      sizeof(*callees->calls)))
        callees->calls[callees->n_calls++] = (struct inner_call){body->callee, to};
}

static bool look_at_node(void *context, const struct oq_message_path *path, onnxq_error *error)
{
    struct body *body = context;
    const Oq__Pb__NodeProto *node = (const Oq__Pb__NodeProto *)path->message;
    struct callee *callee = find_callee(body->callees, node);
    const char *domain = oq_domain(node->domain);
    const int64_t model = oq_model_opset(body->model, domain);
    const Oq__Pb__FunctionProto *own = body->callee->function;
    const int64_t function = oq_imported_version(own->opset_import, own->n_opset_import, domain);
    (void)error;
    const bool is_imported_then = model == 0 && function == 1 && domain[0] != '\0';
    body->callee->n_own++;
    if (callee != NULL)
        note_inner_call(body, callee);
    else if (!is_imported_then)
        body->is_foreign |= model != function && !lasts(node, function, model);
    return true;
}

static size_t count_bodies(const struct oq_message_path *path)
{
    size_t n = 0;
    for (; path != NULL; path = path->parent)
        n += path->message->descriptor == &oq__pb__graph_proto__descriptor;
    return n;
}

static bool note_body(void *context, const struct oq_message_path *path, onnxq_error *error)
{
    size_t *deepest = context;
    const size_t n = count_bodies(path);
    (void)error;
    *deepest = n > *deepest ? n : *deepest;
    return true;
}

static bool has_bodies(Oq__Pb__AttributeProto *const *attributes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (attributes[i]->g != NULL || attributes[i]->n_graphs > 0)
            return true;
    return false;
}

static bool note_sparse(void *context, const struct oq_message_path *path, onnxq_error *error)
{
    (void)path;
    (void)error;
    *(bool *)context = true;
    return true;
}

static bool check_callee(struct callees *callees, const Oq__Pb__ModelProto *model,
                         struct callee *callee)
{
    const Oq__Pb__FunctionProto *function = callee->function;
    /* Visiting only reads here. */
    ProtobufCMessage *root = (ProtobufCMessage *)(uintptr_t)&function->base;
    struct body body = {callees, callee, model, false};
    bool is_sparse = false;
    callee->n_own = 1 + function->n_output; /* the call, and an Identity for each */
    if (!oq_message_visit(root, &oq__pb__node_proto__descriptor, look_at_node, &body,
                          callees->error) ||
        !oq_message_visit(root, &oq__pb__graph_proto__descriptor, note_body, &callee->n_bodies,
                          callees->error) ||
        !oq_message_visit(root, &oq__pb__sparse_tensor_proto__descriptor, note_sparse, &is_sparse,
                          callees->error))
        return false;
    /* Engines prefer their own kernels to functions of that name. */
    const bool is_known = oq_operator_find(function->domain, function->name)->name[0] != '\0';
    callee->is_open = !body.is_foreign && !is_sparse && !is_known &&
                      !has_bodies(function->attribute_proto, function->n_attribute_proto);
    return true;
}

static size_t cap(size_t n_nodes)
{
    return n_nodes > MAX_NODES ? MAX_NODES + 1 : n_nodes;
}

/*
 * What calls come to, from the innermost outwards, a level of calls each time: what is still not
 * all behind as many as are written out only gets less than it is.
 */
static void count_nodes(struct callees *callees)
{
    size_t *n_all = oq_arena_array(callees->arena, callees->count + 1, sizeof(*n_all));
    bool has_grown = n_all != NULL;
    for (unsigned depth = 0; has_grown && depth <= MAX_DEPTH; depth++) {
        has_grown = false;
        for (size_t i = 0; i < callees->count; i++)
            n_all[i] = cap(callees->list[i].n_own);
        for (size_t i = 0; i < callees->n_calls; i++) {
            const struct inner_call *call = &callees->calls[i];
            size_t *n = &n_all[call->from - callees->list];
            *n = cap(*n + (call->to->is_open ? call->to->n_all : 0));
        }
        for (size_t i = 0; i < callees->count; i++) {
            has_grown |= n_all[i] != callees->list[i].n_all;
            callees->list[i].n_all = n_all[i];
        }
    }
}

static bool find_callees(struct callees *callees, const Oq__Pb__ModelProto *model,
                         struct oq_arena *arena, onnxq_error *error)
{
    *callees = (struct callees){.count = model->n_functions, .arena = arena, .error = error};
    oq_strmap_init(&callees->by_key, arena);
    callees->list = oq_arena_array(arena, model->n_functions + 1, sizeof(*callees->list));
    if (callees->list == NULL)
        return oq_arena_fail(arena, error);
    for (size_t i = 0; i < model->n_functions; i++) {
        struct callee *callee = &callees->list[i];
        callee->function = model->functions[i];
        callee->key = oq_function_key(arena, callee->function->domain, callee->function->name,
                                      callee->function->overload);
        void **place = callee->key == NULL ? NULL : oq_strmap_place(&callees->by_key, callee->key);
        if (place == NULL)
            return oq_arena_fail(arena, error);
        *place = callee;
    }
    for (size_t i = 0; i < callees->count; i++)
        if (!check_callee(callees, model, &callees->list[i]))
            return false;
    count_nodes(callees);
    return !arena->failed || oq_arena_fail(arena, error);
}

/* --- whether a weight meets one --- */

struct call_search {
    struct callees callees;
    const onnxq_model *model;
    const struct oq_expand_options *options;
    struct callee *waiting; /* reached, and not yet looked into */
    bool found;
};

static void reach(struct call_search *search, struct callee *callee)
{
    if (callee == NULL || callee->is_reached || !callee->is_open)
        return;
    callee->is_reached = true;
    callee->next_waiting = search->waiting;
    search->waiting = callee;
}

static bool reach_node(void *context, const struct oq_message_path *path, onnxq_error *error)
{
    struct call_search *search = context;
    (void)error;
    reach(search, find_callee(&search->callees, (const Oq__Pb__NodeProto *)path->message));
    return true;
}

static bool is_weight(const struct call_search *search, const struct oq_dtype *dtype,
                      uint64_t nelem)
{
    return dtype != NULL && dtype->is_float && nelem >= search->options->min_weight;
}

static bool note_weight(void *context, const struct oq_message_path *path, onnxq_error *error)
{
    struct call_search *search = context;
    const struct oq_tensor *tensor =
        oq_model_tensor(search->model, (const Oq__Pb__TensorProto *)path->message);
    (void)error;
    search->found |= is_weight(search, tensor->dtype, tensor->nelem);
    return true;
}

/* The constants that a call is given. */
static bool look_at_inputs(struct call_search *search, const struct oq_graph *graph,
                           const Oq__Pb__NodeProto *node)
{
    for (size_t i = 0; i < node->n_input; i++) {
        struct oq_source source;
        bool found;
        if (!oq_source_find(&source, search->model, graph, node->input[i],
                            search->options->freeze_inputs, search->callees.arena, &found,
                            search->callees.error))
            return false;
        search->found |= found && is_weight(search, source.dtype, source.nelem);
    }
    return true;
}

static bool look_at_calls(struct call_search *search)
{
    const struct oq_graphs *graphs = &search->model->graphs;
    for (size_t g = 0; g < graphs->count; g++)
        for (size_t i = 0; i < graphs->list[g]->proto->n_node; i++) {
            const Oq__Pb__NodeProto *node = graphs->list[g]->proto->node[i];
            struct callee *callee = find_callee(&search->callees, node);
            reach(search, callee);
            if (callee != NULL && callee->is_open && !look_at_inputs(search, graphs->list[g], node))
                return false;
        }
    return true;
}

static bool look_into_bodies(struct call_search *search)
{
    while (search->waiting != NULL) {
        ProtobufCMessage *body =
            (ProtobufCMessage *)(uintptr_t)&search->waiting->function->base; /* is only read */
        search->waiting = search->waiting->next_waiting;
        if (!oq_message_visit(body, &oq__pb__tensor_proto__descriptor, note_weight, search,
                              search->callees.error) ||
            !oq_message_visit(body, &oq__pb__node_proto__descriptor, reach_node, search,
                              search->callees.error))
            return false;
    }
    return true;
}

bool oq_expand_finds_calls(const onnxq_model *model, const struct oq_expand_options *options,
                           bool *found, onnxq_error *error)
{
    struct oq_arena arena;
    struct call_search search = {.model = model, .options = options};
    *found = false;
    if (model->proto->n_functions == 0)
        return true;
    oq_arena_init(&arena, oq_model_budget(model));
    bool ok = find_callees(&search.callees, model->proto, &arena, error) &&
              look_at_calls(&search) && look_into_bodies(&search);
    if (ok && arena.failed)
        ok = oq_arena_fail(&arena, error);
    *found = search.found;
    oq_arena_fini(&arena);
    return ok;
}

/* --- writing them out --- */

struct nodes {
    Oq__Pb__NodeProto **list;
    size_t count, capacity;
};

struct inliner {
    struct callees callees;
    const onnxq_model *base;
    Oq__Pb__ModelProto *proto;
    struct oq_arena *arena;
    struct oq_notes *notes;
    struct oq_strmap taken;   /* names of values and nodes of the model -> number of the next */
    struct oq_strmap hoisted; /* constants of functions -> their name in the main graph */
    Oq__Pb__TensorProto **tensors;
    size_t n_tensors, tensors_capacity;
    size_t n_nodes, max_nodes;
};

/* Where a name of a function means something: its body, or one inside that. */
struct scope {
    const struct scope *parent;
    struct oq_strmap names; /* name -> what it is called from now on */
    const Oq__Pb__NodeProto *call;
    const Oq__Pb__FunctionProto *function;
    const struct oq_node_origin *origin;
    unsigned depth;
    size_t n_bodies; /* that it is in */
};

/* Memory, or NULL; the arena remembers that there was none, and the whole fails at the end. */
static void *copy_bytes(struct inliner *in, const void *bytes, size_t nbytes)
{
    void *copy = oq_arena_alloc(in->arena, nbytes + 1);
    if (copy != NULL && nbytes > 0)
        memcpy(copy, bytes, nbytes);
    return copy;
}

static void take(struct inliner *in, const char *name)
{
    void **place = name == NULL ? NULL : oq_strmap_place(&in->taken, name);
    if (place != NULL && *place == NULL)
        *place = oq_arena_alloc(in->arena, sizeof(unsigned));
}

static char *fresh_name(struct inliner *in, const char *prefix, const char *name)
{
    char *wanted = oq_arena_printf(in->arena, "%s/%s", prefix, name);
    char *fresh = wanted;
    unsigned *number = wanted == NULL ? NULL : oq_strmap_find(&in->taken, wanted);
    while (fresh != NULL && oq_strmap_find(&in->taken, fresh) != NULL)
        fresh = oq_arena_printf(in->arena, "%s_%u", wanted, ++*number);
    take(in, fresh);
    return fresh;
}

static char *resolve(const struct scope *scope, char *name)
{
    char *found = NULL;
    for (; scope != NULL && found == NULL; scope = scope->parent)
        found = oq_strmap_find(&scope->names, name);
    return found == NULL ? name : found;
}

static void bind(struct inliner *in, struct scope *scope, const char *name, char *to)
{
    void **place = to == NULL ? NULL : oq_strmap_place(&scope->names, name);
    (void)in;
    if (place != NULL)
        *place = to;
}

/* A name that the scope gives a value gets one that nothing else has. */
static void define(struct inliner *in, struct scope *scope, const char *name)
{
    if (name != NULL && name[0] != '\0' && oq_strmap_find(&scope->names, name) == NULL)
        bind(in, scope, name, fresh_name(in, oq_node_label(scope->call), name));
}

static Oq__Pb__GraphProto *copy_graph(struct inliner *in, const struct scope *outer,
                                      const Oq__Pb__GraphProto *graph);

static Oq__Pb__TensorProto *copy_tensor(struct inliner *in, const Oq__Pb__TensorProto *tensor)
{
    return copy_bytes(in, tensor, sizeof(*tensor));
}

/* Messages are told apart by their address: each copy has its own. */
static void copy_contents(struct inliner *in, const struct scope *scope,
                          Oq__Pb__AttributeProto *attribute)
{
    if (attribute->t != NULL)
        attribute->t = copy_tensor(in, attribute->t);
    if (attribute->g != NULL)
        attribute->g = copy_graph(in, scope, attribute->g);
    attribute->tensors =
        copy_bytes(in, attribute->tensors, attribute->n_tensors * sizeof(Oq__Pb__TensorProto *));
    attribute->graphs =
        copy_bytes(in, attribute->graphs, attribute->n_graphs * sizeof(Oq__Pb__GraphProto *));
    for (size_t i = 0; attribute->tensors != NULL && i < attribute->n_tensors; i++)
        attribute->tensors[i] = copy_tensor(in, attribute->tensors[i]);
    for (size_t i = 0; attribute->graphs != NULL && i < attribute->n_graphs; i++)
        attribute->graphs[i] = copy_graph(in, scope, attribute->graphs[i]);
}

static const Oq__Pb__AttributeProto *find_default(const Oq__Pb__FunctionProto *function,
                                                  const char *name)
{
    for (size_t i = 0; i < function->n_attribute_proto; i++)
        if (function->attribute_proto[i]->name != NULL &&
            strcmp(function->attribute_proto[i]->name, name) == 0)
            return function->attribute_proto[i];
    return NULL;
}

/* An attribute that refers to one of the call is that, or its default, or left out (NULL). */
static Oq__Pb__AttributeProto *copy_attribute(struct inliner *in, const struct scope *scope,
                                              const Oq__Pb__AttributeProto *attribute)
{
    const Oq__Pb__AttributeProto *from = attribute;
    const char *reference = attribute->ref_attr_name;
    if (reference != NULL && reference[0] != '\0') {
        from = oq_node_attribute(scope->call, reference);
        if (from == NULL)
            from = find_default(scope->function, reference);
    }
    Oq__Pb__AttributeProto *copy = from == NULL ? NULL : copy_bytes(in, from, sizeof(*from));
    if (copy == NULL)
        return NULL;
    copy->name = attribute->name;
    copy->ref_attr_name = NULL;
    copy_contents(in, scope, copy);
    return copy;
}

static Oq__Pb__NodeProto *copy_node(struct inliner *in, const struct scope *scope,
                                    const Oq__Pb__NodeProto *node)
{
    Oq__Pb__NodeProto *copy = copy_bytes(in, node, sizeof(*node));
    if (copy == NULL)
        return NULL;
    copy->input = copy_bytes(in, node->input, node->n_input * sizeof(char *));
    copy->output = copy_bytes(in, node->output, node->n_output * sizeof(char *));
    copy->attribute =
        copy_bytes(in, node->attribute, node->n_attribute * sizeof(Oq__Pb__AttributeProto *));
    if (copy->input == NULL || copy->output == NULL || copy->attribute == NULL)
        return NULL;
    for (size_t i = 0; i < node->n_input; i++)
        copy->input[i] = resolve(scope, node->input[i]);
    for (size_t i = 0; i < node->n_output; i++)
        copy->output[i] = resolve(scope, node->output[i]);
    copy->n_attribute = 0;
    for (size_t i = 0; i < node->n_attribute; i++) {
        Oq__Pb__AttributeProto *attribute = copy_attribute(in, scope, node->attribute[i]);
        if (attribute != NULL)
            copy->attribute[copy->n_attribute++] = attribute;
    }
    copy->name = fresh_name(in, oq_node_label(scope->call), oq_node_label(node));
    return copy;
}

static void append_node(struct inliner *in, struct nodes *nodes, Oq__Pb__NodeProto *node,
                        const struct oq_node_origin *from)
{
    if (node == NULL || !oq_arena_grow(in->arena, &nodes->list, nodes->count, &nodes->capacity,
                                       sizeof(Oq__Pb__NodeProto *)))
        return;
    nodes->list[nodes->count++] = node;
    in->n_nodes++;
    if (from != NULL) {
        struct oq_node_origin origin = *from;
        origin.node = node;
        oq_note_origin(in->notes, in->arena, &origin);
    }
}

/* --- constants --- */

/* A Constant of the body, once for all calls, unless it is what the function returns. */
static bool hoist(struct inliner *in, struct scope *scope, const Oq__Pb__NodeProto *node)
{
    const Oq__Pb__TensorProto *tensor =
        oq_node_is(node, "", "Constant") && node->n_attribute == 1 && node->n_output == 1
            ? node->attribute[0]->t
            : NULL;
    const char *output = node->n_output == 0 ? "" : node->output[0];
    for (size_t i = 0; i < scope->function->n_output; i++)
        if (strcmp(scope->function->output[i], output) == 0)
            return false;
    if (tensor == NULL || output[0] == '\0')
        return false;
    char *key = oq_arena_printf(in->arena, "%p", (const void *)tensor);
    void **place = key == NULL ? NULL : oq_strmap_place(&in->hoisted, key);
    if (place == NULL)
        return false;
    if (*place == NULL) {
        Oq__Pb__TensorProto *copy = copy_tensor(in, tensor);
        char *name =
            fresh_name(in, scope->function->name == NULL ? "" : scope->function->name, output);
        if (copy == NULL || name == NULL ||
            !oq_arena_grow(in->arena, &in->tensors, in->n_tensors, &in->tensors_capacity,
                           sizeof(Oq__Pb__TensorProto *)))
            return false;
        copy->name = name;
        in->tensors[in->n_tensors++] = copy;
        *place = name;
    }
    bind(in, scope, output, *place);
    return true;
}

/* --- calls --- */

/* Where a call is: in how many calls and bodies, and what it is part of. */
struct call_place {
    const struct oq_node_origin *origin;
    unsigned depth;
    size_t n_bodies;
};

static void inline_call(struct inliner *in, const Oq__Pb__NodeProto *call, struct callee *callee,
                        const struct call_place *place, struct nodes *nodes);

/*
 * True where the node is a call that it has written out, and all that it comes to with it. Bodies
 * that a call is given stay with it.
 */
static bool try_call(struct inliner *in, const Oq__Pb__NodeProto *node,
                     const struct call_place *place, struct nodes *nodes)
{
    struct callee *callee = find_callee(&in->callees, node);
    if (callee == NULL)
        return false;
    const bool has_room = place->depth > 0 || (in->n_nodes <= in->max_nodes &&
                                               callee->n_all <= in->max_nodes - in->n_nodes);
    if (callee->is_open && place->depth < MAX_DEPTH && has_room &&
        place->n_bodies + callee->n_bodies <= MAX_BODIES &&
        !has_bodies(node->attribute, node->n_attribute)) {
        inline_call(in, node, callee, place, nodes);
        return true;
    }
    callee->is_left = true;
    return false;
}

/* A node of a body: itself, or what it calls. */
static void append_copy(struct inliner *in, const struct scope *scope,
                        const Oq__Pb__NodeProto *node, struct nodes *nodes)
{
    Oq__Pb__NodeProto *copy = copy_node(in, scope, node);
    const struct call_place place = {scope->origin, scope->depth, scope->n_bodies};
    if (copy != NULL && !try_call(in, copy, &place, nodes))
        append_node(in, nodes, copy, scope->origin);
}

static void define_outputs(struct inliner *in, struct scope *scope, Oq__Pb__NodeProto *const *nodes,
                           size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < nodes[i]->n_output; k++)
            define(in, scope, nodes[i]->output[k]);
}

static void append_identity(struct inliner *in, const struct scope *scope, char *from, char *to,
                            struct nodes *nodes)
{
    static char op_type[] = "Identity";
    Oq__Pb__NodeProto *node = oq_arena_alloc(in->arena, sizeof(*node));
    char **names = oq_arena_array(in->arena, 2, sizeof(*names));
    if (node == NULL || names == NULL)
        return;
    oq__pb__node_proto__init(node);
    names[0] = from;
    names[1] = to;
    node->op_type = op_type;
    node->name = fresh_name(in, oq_node_label(scope->call), op_type);
    node->input = names;
    node->output = names + 1;
    node->n_input = node->n_output = 1;
    append_node(in, nodes, node, scope->origin);
}

/* The result is called as the caller wants it; what is an input as well, or wanted twice, is not.
 */
static void bind_outputs(struct inliner *in, struct scope *scope)
{
    for (size_t i = 0; i < scope->function->n_output && i < scope->call->n_output; i++) {
        char *wanted = scope->call->output[i];
        if (wanted[0] != '\0' && oq_strmap_find(&scope->names, scope->function->output[i]) == NULL)
            bind(in, scope, scope->function->output[i], wanted);
    }
}

static void hand_on_outputs(struct inliner *in, const struct scope *scope, struct nodes *nodes)
{
    for (size_t i = 0; i < scope->function->n_output && i < scope->call->n_output; i++) {
        char *wanted = scope->call->output[i];
        char *made = resolve(scope, scope->function->output[i]);
        if (wanted[0] != '\0' && strcmp(made, wanted) != 0)
            append_identity(in, scope, made, wanted, nodes);
    }
}

static void inline_call(struct inliner *in, const Oq__Pb__NodeProto *call, struct callee *callee,
                        const struct call_place *place, struct nodes *nodes)
{
    static char none[] = "";
    const Oq__Pb__FunctionProto *function = callee->function;
    struct scope scope = {.call = call,
                          .function = function,
                          .origin = place->origin,
                          .depth = place->depth + 1,
                          .n_bodies = place->n_bodies};
    bool *is_hoisted = oq_arena_array(in->arena, function->n_node + 1, sizeof(*is_hoisted));
    if (is_hoisted == NULL)
        return;
    callee->is_written = true;
    in->n_nodes++;
    oq_strmap_init(&scope.names, in->arena);
    for (size_t i = 0; i < function->n_input; i++)
        bind(in, &scope, function->input[i], i < call->n_input ? call->input[i] : none);
    bind_outputs(in, &scope);
    for (size_t i = 0; i < function->n_node; i++)
        is_hoisted[i] = hoist(in, &scope, function->node[i]);
    define_outputs(in, &scope, function->node, function->n_node);
    for (size_t i = 0; i < function->n_node && !in->arena->failed; i++)
        if (!is_hoisted[i])
            append_copy(in, &scope, function->node[i], nodes);
    hand_on_outputs(in, &scope, nodes);
}

/* --- bodies inside functions --- */

static Oq__Pb__ValueInfoProto **copy_infos(struct inliner *in, const struct scope *scope,
                                           Oq__Pb__ValueInfoProto *const *infos, size_t n)
{
    Oq__Pb__ValueInfoProto **list = copy_bytes(in, infos, n * sizeof(*list));
    for (size_t i = 0; list != NULL && i < n; i++) {
        list[i] = copy_bytes(in, infos[i], sizeof(*infos[i]));
        if (list[i] != NULL && list[i]->name != NULL)
            list[i]->name = resolve(scope, list[i]->name);
    }
    return list;
}

/* Bodies are nested no deeper than MAX_BODIES. */
static Oq__Pb__GraphProto *copy_graph(struct inliner *in, const struct scope *outer,
                                      const Oq__Pb__GraphProto *graph)
{
    Oq__Pb__GraphProto *copy = copy_bytes(in, graph, sizeof(*graph));
    struct nodes nodes = {0};
    if (copy == NULL)
        return NULL;
    struct scope scope = {.parent = outer,
                          .call = outer->call,
                          .function = outer->function,
                          .origin = outer->origin,
                          .depth = outer->depth,
                          .n_bodies = outer->n_bodies + 1};
    oq_strmap_init(&scope.names, in->arena);
    for (size_t i = 0; i < graph->n_input; i++)
        define(in, &scope, graph->input[i]->name);
    for (size_t i = 0; i < graph->n_initializer; i++)
        define(in, &scope, graph->initializer[i]->name);
    define_outputs(in, &scope, graph->node, graph->n_node);
    copy->initializer =
        copy_bytes(in, graph->initializer, graph->n_initializer * sizeof(Oq__Pb__TensorProto *));
    for (size_t i = 0; copy->initializer != NULL && i < graph->n_initializer; i++) {
        copy->initializer[i] = copy_tensor(in, graph->initializer[i]);
        if (copy->initializer[i] != NULL && copy->initializer[i]->name != NULL)
            copy->initializer[i]->name = resolve(&scope, copy->initializer[i]->name);
    }
    copy->input = copy_infos(in, &scope, graph->input, graph->n_input);
    copy->output = copy_infos(in, &scope, graph->output, graph->n_output);
    copy->value_info = copy_infos(in, &scope, graph->value_info, graph->n_value_info);
    copy->n_quantization_annotation = 0;
    for (size_t i = 0; i < graph->n_node && !in->arena->failed; i++)
        append_copy(in, &scope, graph->node[i], &nodes);
    copy->node = nodes.list;
    copy->n_node = nodes.count;
    return copy;
}

/* --- the model --- */

static bool take_name(void *context, const struct oq_message_path *path, onnxq_error *error)
{
    struct inliner *in = context;
    const Oq__Pb__NodeProto *node = (const Oq__Pb__NodeProto *)path->message;
    (void)error;
    in->n_nodes++;
    take(in, node->name);
    for (size_t i = 0; i < node->n_input; i++)
        take(in, node->input[i]);
    for (size_t i = 0; i < node->n_output; i++)
        take(in, node->output[i]);
    return true;
}

static void take_graph_names(struct inliner *in, const struct oq_graphs *graphs)
{
    for (size_t g = 0; g < graphs->count; g++) {
        const Oq__Pb__GraphProto *graph = graphs->list[g]->proto;
        for (size_t i = 0; i < graph->n_input; i++)
            take(in, graph->input[i]->name);
        for (size_t i = 0; i < graph->n_output; i++)
            take(in, graph->output[i]->name);
        for (size_t i = 0; i < graph->n_initializer; i++)
            take(in, graph->initializer[i]->name);
        for (size_t i = 0; i < graph->n_sparse_initializer; i++)
            if (graph->sparse_initializer[i]->values != NULL)
                take(in, graph->sparse_initializer[i]->values->name);
    }
}

static void inline_graph(struct inliner *in, Oq__Pb__GraphProto *graph, size_t n_bodies)
{
    struct nodes nodes = {0};
    for (size_t i = 0; i < graph->n_node && !in->arena->failed; i++) {
        Oq__Pb__NodeProto *node = graph->node[i];
        const struct oq_node_origin origin = {.label = oq_node_label(node),
                                              .op_type = node->op_type,
                                              .domain = oq_domain(node->domain),
                                              .is_inside = true};
        const struct call_place place = {&origin, 0, n_bodies};
        if (!try_call(in, node, &place, &nodes))
            append_node(in, &nodes, node, NULL);
    }
    graph->node = nodes.list;
    graph->n_node = nodes.count;
}

struct nested {
    Oq__Pb__GraphProto *graph;
    size_t n_bodies; /* that it is in, itself included */
};

static void add_bodies(const struct nested *outer, struct nested *list, size_t *n)
{
    const Oq__Pb__GraphProto *graph = outer->graph;
    for (size_t i = 0; i < graph->n_node; i++)
        for (size_t k = 0; k < graph->node[i]->n_attribute; k++) {
            const Oq__Pb__AttributeProto *attribute = graph->node[i]->attribute[k];
            if (attribute->g != NULL)
                list[(*n)++] = (struct nested){attribute->g, outer->n_bodies + 1};
            for (size_t j = 0; j < attribute->n_graphs; j++)
                list[(*n)++] = (struct nested){attribute->graphs[j], outer->n_bodies + 1};
        }
}

/* All nodes of the model have been counted, and are from here on as they are written. */
static void limit_nodes(struct inliner *in)
{
    size_t n = in->n_nodes;
    for (size_t i = 0; i < in->callees.count; i++)
        n += in->callees.list[i].n_own;
    in->max_nodes =
        n > (MAX_NODES - FEW_NODES) / NODES_PER_NODE ? MAX_NODES : FEW_NODES + n * NODES_PER_NODE;
    in->n_nodes = 0;
}

/* From the inside out: a call may hold bodies, too. */
static void inline_graphs(struct inliner *in)
{
    struct nested *list = oq_arena_array(in->arena, in->base->graphs.count, sizeof(*list));
    size_t n = 0;
    if (list == NULL)
        return;
    list[n++] = (struct nested){in->proto->graph, 0};
    for (size_t i = 0; i < n; i++)
        add_bodies(&list[i], list, &n);
    while (n-- > 0)
        inline_graph(in, list[n].graph, list[n].n_bodies);
}

static void add_tensors(struct inliner *in)
{
    Oq__Pb__GraphProto *graph = in->proto->graph;
    Oq__Pb__TensorProto **list =
        oq_arena_array(in->arena, graph->n_initializer + in->n_tensors + 1, sizeof(*list));
    if (list == NULL)
        return;
    if (graph->n_initializer > 0)
        memcpy(list, graph->initializer, graph->n_initializer * sizeof(*list));
    if (in->n_tensors > 0)
        memcpy(list + graph->n_initializer, in->tensors, in->n_tensors * sizeof(*list));
    graph->initializer = list;
    graph->n_initializer += in->n_tensors;
}

static bool note_call(void *context, const struct oq_message_path *path, onnxq_error *error)
{
    struct inliner *in = context;
    struct callee *callee = find_callee(&in->callees, (const Oq__Pb__NodeProto *)path->message);
    (void)error;
    if (callee != NULL)
        callee->is_left = true;
    return true;
}

/* What no call is left of leaves; what stays may call others. */
static bool drop_functions(struct inliner *in)
{
    struct callees *callees = &in->callees;
    size_t n = 0;
    for (size_t i = 0; i < callees->count; i++)
        if (!callees->list[i].is_written &&
            !oq_message_visit((ProtobufCMessage *)(uintptr_t)&callees->list[i].function->base,
                              &oq__pb__node_proto__descriptor, note_call, in, callees->error))
            return false;
    for (size_t i = 0; i < in->proto->n_training_info; i++)
        if (!oq_message_visit(&in->proto->training_info[i]->base, &oq__pb__node_proto__descriptor,
                              note_call, in, callees->error))
            return false;
    bool any_left = false;
    for (size_t i = 0; i < callees->count; i++)
        any_left |= callees->list[i].is_written && callees->list[i].is_left;
    for (size_t i = 0; i < callees->count; i++)
        if (any_left || !callees->list[i].is_written)
            in->proto->functions[n++] = in->proto->functions[i];
    in->proto->n_functions = n;
    return true;
}

/* Domains other than ONNX's own, which a function has with version 1 and the model not at all. */
static bool import_domains(struct inliner *in, const Oq__Pb__FunctionProto *function)
{
    Oq__Pb__ModelProto *model = in->proto;
    for (size_t i = 0; i < function->n_opset_import; i++) {
        Oq__Pb__OperatorSetIdProto *import = function->opset_import[i];
        if (oq_model_opset(model, oq_domain(import->domain)) != 0 || import->version != 1)
            continue;
        Oq__Pb__OperatorSetIdProto **list =
            oq_arena_array(in->arena, model->n_opset_import + 1, sizeof(*list));
        if (list == NULL)
            return false;
        if (model->n_opset_import > 0)
            memcpy(list, model->opset_import, model->n_opset_import * sizeof(*list));
        list[model->n_opset_import++] = import;
        model->opset_import = list;
    }
    return true;
}

bool oq_expand_calls(const onnxq_model *base, const void *context, Oq__Pb__ModelProto *proto,
                     struct oq_arena *arena, struct oq_notes *notes, onnxq_error *error)
{
    struct inliner in = {.base = base, .proto = proto, .arena = arena, .notes = notes};
    (void)context;
    oq_strmap_init(&in.taken, arena);
    oq_strmap_init(&in.hoisted, arena);
    if (!find_callees(&in.callees, proto, arena, error) ||
        !oq_message_visit(&proto->graph->base, &oq__pb__node_proto__descriptor, take_name, &in,
                          error))
        return false;
    take_graph_names(&in, &base->graphs);
    limit_nodes(&in);
    inline_graphs(&in);
    add_tensors(&in);
    for (size_t i = 0; i < in.callees.count; i++)
        if (in.callees.list[i].is_written)
            import_domains(&in, in.callees.list[i].function);
    return (!arena->failed || oq_arena_fail(arena, error)) && drop_functions(&in) &&
           oq_constant_nodes_normalize(proto, oq_model_opset(proto, ""), arena, error);
}
