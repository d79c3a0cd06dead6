/*
 * What holds for nodes whatever their operators do: names, attributes, the bodies
 * of If, Loop and Scan, calls of local functions.
 */
#include <stdlib.h>

#include "model/cycles.h"
#include "validate/checker.h"

/* From here on attributes say of which type they are. */
#define IR_VERSION_ATTRIBUTE_TYPES 2
/* From here on Scan has no lengths of sequences as its first input. */
#define VERSION_SCAN 9

/* True where the map has `owner` for that name already, which it has from now on. */
static bool is_second(struct oq_checker *checker, struct oq_strmap *owners, const char *name,
                      const void *owner)
{
    void **place = oq_strmap_place(owners, name);
    if (place == NULL)
        return oq_arena_fail(checker->arena, checker->error);
    const bool second = *place == owner;
    *place = (void *)(uintptr_t)owner;
    return second;
}

static void check_name(struct oq_checker *checker, const struct oq_problem_place *place)
{
    const char *name = oq_text_or_empty(place->node->name);
    if (name[0] != '\0' && is_second(checker, &checker->node_names, name, place->graph))
        oq_problem(checker, place, "", "another node of the graph has its name");
}

/* --- attributes --- */

static const char *const type_names[] = {
    "none",           "float",      "int",        "string",  "tensor", "graph",
    "floats",         "ints",       "strings",    "tensors", "graphs", "sparse tensor",
    "sparse tensors", "type proto", "type protos"};

static const char *type_name(int type)
{
    const int n = sizeof(type_names) / sizeof(type_names[0]);
    return type >= 0 && type < n ? type_names[type] : "unknown";
}

static const struct typed {
    const char *name;
    Oq__Pb__AttributeProto__AttributeType type;
} typed[] = {
#define TYPED(kind, name) {#name, OQ__PB__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__##kind},
#include "validate/attributes.h"
#include "wire/data_type.h"
};

static int compare_names(const void *name, const void *row)
{
    return strcmp(name, ((const struct typed *)row)->name);
}

static void check_type(struct oq_checker *checker, const struct oq_problem_place *place,
                       const Oq__Pb__AttributeProto *attribute)
{
    const struct typed *row = bsearch(attribute->name, typed, sizeof(typed) / sizeof(typed[0]),
                                      sizeof(typed[0]), compare_names);
    const struct oq_operator *op = oq_operator_of(place->node);
    if (row == NULL &&
        (oq_operator_has(op, OQ_HAS_BODIES) || oq_knows_operator(oq_operator_id(op))))
        oq_problem(checker, place, "", "no operator of ai.onnx has attribute \"%.80s\"",
                   attribute->name);
    else if (row != NULL && row->type != 0 && attribute->type != row->type)
        oq_problem(checker, place, "", "attribute \"%s\" is of type %s, expected %s", row->name,
                   type_name((int)attribute->type), type_name((int)row->type));
}

/* Something besides, or in place of, what its type says. */
static bool holds_another(const Oq__Pb__AttributeProto *attribute)
{
    const bool holds[] = {
        false,
        attribute->has_f,
        attribute->has_i,
        attribute->has_s,
        attribute->t != NULL,
        attribute->g != NULL,
        attribute->n_floats > 0,
        attribute->n_ints > 0,
        attribute->n_strings > 0,
        attribute->n_tensors > 0,
        attribute->n_graphs > 0,
    };
    for (size_t i = 0; i < sizeof(holds) / sizeof(holds[0]); i++)
        if (holds[i] && i != (size_t)attribute->type)
            return true;
    return false;
}

static void check_tensor(struct oq_checker *checker, const struct oq_problem_place *place,
                         const Oq__Pb__AttributeProto *attribute)
{
    if (attribute->t != NULL && oq_dtype_find(attribute->t->data_type) == NULL)
        oq_problem(checker, place, "", "attribute \"%.80s\" has elements of type %d, which is none",
                   attribute->name, (int)attribute->t->data_type);
}

/* `is_known`: of an operator of ai.onnx. */
static void check_attributes(struct oq_checker *checker, const struct oq_problem_place *place,
                             bool is_known)
{
    const bool have_types = checker->model->proto->ir_version >= IR_VERSION_ATTRIBUTE_TYPES;
    for (size_t i = 0; i < place->node->n_attribute; i++) {
        const Oq__Pb__AttributeProto *attribute = place->node->attribute[i];
        if (oq_text_or_empty(attribute->name)[0] == '\0')
            oq_problem(checker, place, "", "an attribute has no name");
        else if (is_second(checker, &checker->attribute_names, attribute->name, place->node))
            oq_problem(checker, place, "", "attribute \"%.80s\" is there a second time",
                       attribute->name);
        else if (have_types && (!attribute->has_type || attribute->type == 0))
            oq_problem(checker, place, "", "attribute \"%.80s\" has no type", attribute->name);
        else if (have_types && is_known)
            check_type(checker, place, attribute);
        if (have_types && attribute->type != 0 && holds_another(attribute))
            oq_problem(checker, place, "",
                       "attribute \"%.80s\" holds more than a value of its type",
                       oq_text_or_empty(attribute->name));
        check_tensor(checker, place, attribute);
    }
}

/* --- bodies --- */

static void check_count(struct oq_checker *checker, const struct oq_problem_place *place,
                        const char *body, const char *what, size_t found, size_t expected)
{
    if (found != expected)
        oq_problem(checker, place, "", "its %s has %zu %s, expected %zu", body, found, what,
                   expected);
}

static void check_body(struct oq_checker *checker, const struct oq_problem_place *place,
                       const char *name, size_t n_inputs, size_t n_outputs)
{
    const Oq__Pb__AttributeProto *attribute = oq_node_attribute(place->node, name);
    if (attribute == NULL || attribute->g == NULL) {
        if (attribute == NULL || attribute->ref_attr_name == NULL)
            oq_problem(checker, place, "", "attribute \"%s\" is missing", name);
        return;
    }
    if (oq_text_or_empty(attribute->g->name)[0] == '\0')
        oq_problem(checker, place, "", "its %s has no name", name);
    check_count(checker, place, name, "inputs", attribute->g->n_input, n_inputs);
    check_count(checker, place, name, "outputs", attribute->g->n_output, n_outputs);
}

/* What is known to be of another type than the only one that the operator takes. */
static void expect_type(struct oq_checker *checker, const struct oq_problem_place *place,
                        size_t input, int32_t data_type)
{
    const char *name = oq_node_input(place->node, input);
    const int32_t found = oq_fact_of(checker, place->graph, name).data_type;
    if (found != 0 && found != data_type)
        oq_problem(checker, place, name, "is %s, expected %s", oq_type_name(found),
                   oq_type_name(data_type));
}

static void check_scan(struct oq_checker *checker, const struct oq_problem_place *place)
{
    const Oq__Pb__NodeProto *node = place->node;
    int64_t n = 0;
    check_body(checker, place, "body", node->n_input, node->n_output);
    if (!oq_attribute_int(oq_node_attribute(node, "num_scan_inputs"), &n) || n < 1 ||
        (uint64_t)n > node->n_input)
        oq_problem(checker, place, "", "num_scan_inputs is %lld, expected 1 to %zu", (long long)n,
                   node->n_input);
}

static void check_bodies(struct oq_checker *checker, const struct oq_problem_place *place,
                         int64_t version)
{
    const Oq__Pb__NodeProto *node = place->node;
    switch (oq_operator_id_of(node)) {
    case OQ_ONNX_If:
        if (oq_node_input(node, 0)[0] == '\0')
            oq_problem(checker, place, "", "it has no condition");
        expect_type(checker, place, 0, OQ_TYPE(BOOL));
        check_body(checker, place, "then_branch", 0, node->n_output);
        check_body(checker, place, "else_branch", 0, node->n_output);
        break;
    case OQ_ONNX_Loop: /* the condition comes before its outputs */
        expect_type(checker, place, 0, OQ_TYPE(INT64));
        expect_type(checker, place, 1, OQ_TYPE(BOOL));
        check_body(checker, place, "body", node->n_input, node->n_output + 1);
        break;
    case OQ_ONNX_Scan:
        if (version >= VERSION_SCAN)
            check_scan(checker, place);
        break;
    default:
        break;
    }
}

/* --- local functions --- */

struct local_function {
    const Oq__Pb__FunctionProto *proto;
    bool *needs; /* by input; NULL: not looked for yet */
};

static bool add_function(struct oq_checker *checker, const Oq__Pb__FunctionProto *proto,
                         void **place)
{
    struct local_function *function = oq_arena_alloc(checker->arena, sizeof(*function));
    if (function != NULL)
        *function = (struct local_function){proto, NULL};
    *place = function;
    return function != NULL;
}

/* `needs` has a flag for each name. What functions that are called need is not looked at. */
static void note_needs(struct oq_checker *checker, const struct oq_strmap *needs,
                       Oq__Pb__NodeProto *const *nodes, size_t n_nodes, int64_t version)
{
    for (size_t i = 0; i < n_nodes; i++) {
        const Oq__Pb__NodeProto *node = nodes[i];
        const enum oq_operator_id id = oq_operator_id_of(node);
        for (size_t k = 0; k < node->n_input && !checker->is_local[id]; k++) {
            bool *flag = oq_strmap_find(needs, node->input[k]);
            if (flag != NULL && oq_needs_input(id, version, k))
                *flag = true;
        }
        for (size_t k = 0; k < node->n_attribute; k++)
            if (node->attribute[k]->g != NULL)
                note_needs(checker, needs, node->attribute[k]->g->node,
                           node->attribute[k]->g->n_node, version);
    }
}

static bool find_needs(struct oq_checker *checker, struct local_function *function)
{
    const Oq__Pb__FunctionProto *proto = function->proto;
    struct oq_strmap needs;
    int64_t version = 0;
    oq_strmap_init(&needs, checker->arena);
    function->needs = oq_arena_array(checker->arena, proto->n_input + 1, sizeof(bool));
    for (size_t i = 0; i < proto->n_input; i++) {
        void **place = function->needs == NULL ? NULL : oq_strmap_place(&needs, proto->input[i]);
        if (place == NULL)
            return oq_arena_fail(checker->arena, checker->error);
        *place = &function->needs[i];
    }
    for (size_t i = 0; i < proto->n_opset_import; i++)
        if (oq_domain(proto->opset_import[i]->domain)[0] == '\0')
            version = proto->opset_import[i]->version;
    note_needs(checker, &needs, proto->node, proto->n_node, version);
    return function->needs != NULL;
}

bool oq_note_functions(struct oq_checker *checker)
{
    const Oq__Pb__ModelProto *model = checker->model->proto;
    oq_strmap_init(&checker->functions, checker->arena);
    for (size_t i = 0; i < model->n_functions; i++) {
        Oq__Pb__FunctionProto *function = model->functions[i];
        const char *key =
            oq_function_key(checker->arena, function->domain, function->name, function->overload);
        void **place = key == NULL ? NULL : oq_strmap_place(&checker->functions, key);
        if (place == NULL)
            return oq_arena_fail(checker->arena, checker->error);
        if (*place != NULL)
            oq_problem(checker, &(struct oq_problem_place){NULL, NULL}, "",
                       "function \"%.80s\" is there a second time",
                       oq_text_or_empty(function->name));
        if (!add_function(checker, function, place))
            return oq_arena_fail(checker->arena, checker->error);
    }
    const Oq__Pb__FunctionProto *recursive;
    if (!oq_find_recursion(checker->model, checker->arena, &recursive, checker->error))
        return false;
    if (recursive != NULL)
        oq_problem(checker, &(struct oq_problem_place){NULL, NULL}, "",
                   "function \"%.80s\" calls itself", oq_text_or_empty(recursive->name));
    return true;
}

static struct local_function *find_function(struct oq_checker *checker,
                                            const Oq__Pb__NodeProto *node)
{
    if (checker->model->proto->n_functions == 0)
        return NULL;
    const char *key = oq_function_key(checker->arena, node->domain, node->op_type, node->overload);
    return key == NULL ? NULL : oq_strmap_find(&checker->functions, key);
}

static void check_call(struct oq_checker *checker, const struct oq_problem_place *place,
                       struct local_function *function)
{
    const Oq__Pb__NodeProto *node = place->node;
    const Oq__Pb__FunctionProto *proto = function->proto;
    if (node->n_input > proto->n_input || node->n_output > proto->n_output)
        oq_problem(checker, place, "",
                   "has %zu inputs and %zu outputs, but the function %zu and %zu", node->n_input,
                   node->n_output, proto->n_input, proto->n_output);
    for (size_t i = 0; i < proto->n_input; i++) {
        if (oq_node_input(node, i)[0] != '\0')
            continue;
        if (function->needs == NULL && !find_needs(checker, function))
            return;
        if (function->needs[i])
            oq_problem(checker, place, "", "input %zu is left out, but the function needs it", i);
    }
}

/* --- operators of ai.onnx --- */

static void check_onnx(struct oq_checker *checker, const struct oq_problem_place *place,
                       int64_t version)
{
    const struct oq_operator *op = oq_operator_of(place->node);
    const size_t n_inputs = strlen(op->inputs);
    if (version > OQ_OPERATORS_OPSET)
        return;
    if (oq_operator_id(op) == OQ_UNKNOWN_OPERATOR)
        oq_problem(checker, place, "", "ai.onnx has no such operator up to opset %d",
                   OQ_OPERATORS_OPSET);
    else if (place->node->n_input > n_inputs && strchr(op->inputs, '*') == NULL &&
             !oq_knows_operator(oq_operator_id(op)))
        oq_problem(checker, place, "", "has %zu inputs, expected at most %zu", place->node->n_input,
                   n_inputs);
}

/* All its attributes are ways to say its value. */
static void check_constant(struct oq_checker *checker, const struct oq_problem_place *place)
{
    const size_t n = place->node->n_attribute;
    if (oq_node_is(place->node, "", "Constant") && n != 1)
        oq_problem(checker, place, "", "has %zu values, expected one", n);
}

/* --- all together --- */

void oq_check_node(struct oq_checker *checker, const struct oq_problem_place *place,
                   int64_t version)
{
    struct local_function *function = find_function(checker, place->node);
    const bool is_onnx = oq_domain(place->node->domain)[0] == '\0' && function == NULL;
    check_name(checker, place);
    check_attributes(checker, place, is_onnx);
    if (function != NULL)
        check_call(checker, place, function);
    else
        check_bodies(checker, place, version);
    if (is_onnx) {
        check_onnx(checker, place, version);
        check_constant(checker, place);
    }
}
