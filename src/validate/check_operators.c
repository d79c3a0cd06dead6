/*
 * The operators that are known: those that quantize, and those around them that
 * hand types on. Types are the bits of a mask; slots with the same number have
 * the same type.
 */
#include "base/checked.h"
#include "validate/checker.h"
#include "wire/data_type.h"

#define BIT(name)    (UINT64_C(1) << OQ_TYPE(name))
#define ANY          UINT64_MAX
#define F32          BIT(FLOAT)
#define FLOATS       (F32 | BIT(FLOAT16) | BIT(BFLOAT16) | BIT(DOUBLE))
#define BYTES        (BIT(INT8) | BIT(UINT8))
#define INDICES      (BIT(INT32) | BIT(INT64))
#define HALF_BYTES   (BIT(INT4) | BIT(UINT4))
#define QUARTERS     (BIT(INT2) | BIT(UINT2))
#define WIDE         (BIT(INT16) | BIT(UINT16))
#define FLOAT8       (BIT(FLOAT8E4M3FN) | BIT(FLOAT8E4M3FNUZ) | BIT(FLOAT8E5M2) | BIT(FLOAT8E5M2FNUZ))
#define FLOAT6       (BIT(FLOAT6E2M3) | BIT(FLOAT6E3M2))
#define QUANTIZED    (BYTES | WIDE | HALF_BYTES | QUARTERS | FLOAT8 | FLOAT6 | BIT(FLOAT4E2M1))
#define NARROW       (F32 | BIT(FLOAT16) | BIT(BFLOAT16))
#define NUMBERS      (ANY & ~(BIT(BOOL) | BIT(STRING)))
#define SIGNED       (FLOATS | BIT(INT8) | BIT(INT16) | INDICES)
#define MAX_VARIABLE 4

struct operand_slot {
    uint64_t allowed; /* 0: whatever it is */
    unsigned same;    /* number of a type that several slots share; 0: its own */
};

struct known_operator {
    enum oq_operator_id id;
    int64_t form_since; /* before that version it was another; 0: it never was */
    unsigned min_in, max_in, min_out, max_out;
    unsigned optional;    /* bits of the first min_in inputs that may be left out all the same */
    bool is_variadic;     /* the last input occurs any number of times */
    const char *needs[4]; /* attributes that are integers */
    struct operand_slot in[12], out[5];
    struct oq_channels channels; /* operands[0] 0: none */
    oq_operands_fn check;        /* or NULL */
    /* The type of output 0 where slots do not tell it, 0: not known; or NULL. */
    int32_t (*type_of)(const struct oq_checker *checker, const struct oq_problem_place *place);
};

/* --- types that attributes tell --- */

static int32_t int_type(const struct oq_problem_place *place, const char *attribute)
{
    int64_t type = oq_node_int(place->node, attribute, 0);
    return type > 0 && type <= INT32_MAX ? (int32_t)type : 0;
}

static int32_t type_of_cast(const struct oq_checker *checker, const struct oq_problem_place *place)
{
    (void)checker;
    return int_type(place, "to");
}

static int32_t type_of_constant(const struct oq_checker *checker,
                                const struct oq_problem_place *place)
{
    const Oq__Pb__NodeProto *node = place->node;
    const Oq__Pb__AttributeProto *value = oq_node_attribute(node, "value");
    (void)checker;
    if (value != NULL && value->t != NULL)
        return value->t->data_type;
    if (oq_node_attribute(node, "value_float") != NULL ||
        oq_node_attribute(node, "value_floats") != NULL)
        return OQ_TYPE(FLOAT);
    if (oq_node_attribute(node, "value_int") != NULL ||
        oq_node_attribute(node, "value_ints") != NULL)
        return OQ_TYPE(INT64);
    return 0;
}

/* Zero point, attribute, or uint8. */
static int32_t type_of_quantized(const struct oq_checker *checker,
                                 const struct oq_problem_place *place)
{
    const char *zero_point = oq_node_input(place->node, 2);
    int32_t type = int_type(place, "output_dtype");
    if (zero_point[0] != '\0')
        return oq_fact_of(checker, place->graph, zero_point).data_type;
    return type != 0 ? type : OQ_TYPE(UINT8);
}

/* Attribute, or scale. */
static int32_t type_of_dequantized(const struct oq_checker *checker,
                                   const struct oq_problem_place *place)
{
    int32_t type = int_type(place, "output_dtype");
    const char *scale = oq_node_input(place->node, 1);
    return type != 0 ? type : oq_fact_of(checker, place->graph, scale).data_type;
}

/* Rank of a constant, or of an input of the model; -1: others may be declared wrongly. */
static int sure_rank(const struct oq_problem_place *place, const char *name)
{
    const struct oq_value *value = oq_graph_find(place->graph, name);
    const Oq__Pb__TensorProto *tensor = value == NULL ? NULL : oq_value_tensor(value);
    if (tensor != NULL)
        return tensor->n_dims <= OQ_MAX_RANK ? (int)tensor->n_dims : -1;
    return value != NULL && value->origin == OQ_ORIGIN_INPUT && value->graph->parent == NULL
               ? oq_graph_rank(value->graph, name)
               : -1;
}

static void check_transpose(struct oq_checker *checker, const struct oq_problem_place *place,
                            int64_t version)
{
    const Oq__Pb__AttributeProto *perm = oq_node_attribute(place->node, "perm");
    const size_t n = perm == NULL ? 0 : perm->n_ints;
    const int rank = sure_rank(place, oq_node_input(place->node, 0));
    bool is_there[OQ_MAX_RANK] = {false};
    (void)version;
    if (n == 0 || n > OQ_MAX_RANK)
        return; /* turned around */
    if (rank >= 0 && (size_t)rank != n)
        oq_problem(checker, place, "", "perm has %zu axes, its input %d", n, rank);
    for (size_t i = 0; i < n; i++) {
        const int64_t axis = perm->ints[i];
        if (axis < 0 || (uint64_t)axis >= n || is_there[axis]) {
            oq_problem(checker, place, "", "perm has axis %lld, expected each of %zu once",
                       (long long)axis, n);
            return;
        }
        is_there[axis] = true;
    }
}

static void check_cast(struct oq_checker *checker, const struct oq_problem_place *place,
                       int64_t version)
{
    int64_t to;
    (void)version;
    if (oq_attribute_int(oq_node_attribute(place->node, "to"), &to) &&
        (to < 0 || to > INT32_MAX || oq_dtype_find((int32_t)to) == NULL))
        oq_problem(checker, place, "", "casts to type %lld, which is none", (long long)to);
}

/* --- the table --- */

/* How many inputs (outputs) there are, and the types of each. */
#define IN(least, most, ...)  .min_in = (least), .max_in = (most), .in = {__VA_ARGS__}
#define OUT(least, most, ...) .min_out = (least), .max_out = (most), .out = {__VA_ARGS__}

#define ROW(domain, name, ...)                                                                     \
    {                                                                                              \
        .id = OQ_##domain##_##name, __VA_ARGS__                                                    \
    }

/* What takes and gives values of one type, which is one of `types`. */
#define UNIFORM(name, n_min, n_max, types)                                                         \
    ROW(ONNX, name, IN(n_min, n_max, {types, 1}, {types, 1}, {types, 1}), OUT(1, 1, {types, 1}))

/* The same of any number of them. */
#define VARIADIC(name, types)                                                                      \
    ROW(ONNX, name, IN(1, 1, {types, 1}), OUT(1, 1, {types, 1}), .is_variadic = true)

/* Axes are an input in later versions. */
#define REDUCING(name)                                                                             \
    ROW(ONNX, name, IN(1, 2, {ANY & ~BIT(STRING), 1}, {BIT(INT64), 0}),                            \
        OUT(1, 1, {ANY & ~BIT(STRING), 1}))

/* What arranges the elements of input 0 as integers say. */
#define ARRANGING(name, n_max, integers)                                                           \
    ROW(ONNX, name,                                                                                \
        IN(1, n_max, {ANY, 1}, {integers, 2}, {integers, 2}, {integers, 2}, {integers, 2}),        \
        OUT(1, 1, {ANY, 1}))

/* Both domains have the two. */
#define QUANTIZE(domain)                                                                           \
    ROW(domain, QuantizeLinear,                                                                    \
        IN(2, 3, {NARROW | BIT(INT32), 0}, {NARROW | BIT(INT32) | BIT(FLOAT8E8M0), 0},             \
           {QUANTIZED, 1}),                                                                        \
        OUT(1, 1, {QUANTIZED, 1}), .check = oq_check_linear, .type_of = type_of_quantized)
#define DEQUANTIZE(domain)                                                                         \
    ROW(domain, DequantizeLinear,                                                                  \
        IN(2, 3, {QUANTIZED | BIT(INT32), 1}, {NARROW | BIT(FLOAT8E8M0), 0}, {ANY, 1}),            \
        OUT(1, 1, {FLOATS, 0}), .check = oq_check_linear, .type_of = type_of_dequantized)

static const struct known_operator operators[] = {
    /* integers and scales */
    ROW(ONNX, DynamicQuantizeLinear, IN(1, 1, {F32, 0}),
        OUT(3, 3, {BIT(UINT8), 0}, {F32, 0}, {BIT(UINT8), 0})),
    ROW(ONNX, MatMulInteger, IN(2, 4, {BYTES, 1}, {BYTES, 2}, {BYTES, 1}, {BYTES, 2}),
        OUT(1, 1, {BIT(INT32), 0}), .channels = {1, false, {3}}),
    ROW(ONNX, ConvInteger, IN(2, 4, {BYTES, 1}, {BYTES, 2}, {BYTES, 1}, {BYTES, 2}),
        OUT(1, 1, {BIT(INT32), 0}), .channels = {1, true, {3}}),
    ROW(ONNX, QLinearMatMul,
        IN(8, 8, {BYTES | FLOAT8, 1}, {NARROW, 4}, {BYTES | FLOAT8, 1}, {BYTES | FLOAT8, 2},
           {NARROW, 4}, {BYTES | FLOAT8, 2}, {NARROW, 4}, {BYTES | FLOAT8, 3}),
        OUT(1, 1, {BYTES | FLOAT8, 3})),
    ROW(ONNX, QLinearConv,
        IN(8, 9, {BYTES, 1}, {F32, 0}, {BYTES, 1}, {BYTES, 2}, {F32, 0}, {BYTES, 2}, {F32, 0},
           {BYTES, 3}, {BIT(INT32), 0}),
        OUT(1, 1, {BYTES, 3}), .channels = {3, true, {4, 5}}),
    QUANTIZE(ONNX),
    QUANTIZE(MS),
    DEQUANTIZE(ONNX),
    DEQUANTIZE(MS),
    ROW(MS, DynamicQuantizeMatMul, IN(3, 5, {F32, 0}, {BYTES, 1}, {F32, 0}, {BYTES, 1}, {F32, 0}),
        OUT(1, 1, {F32, 0}), .channels = {1, false, {2, 3}}),
    ROW(MS, MatMulIntegerToFloat,
        IN(4, 7, {BYTES, 1}, {BYTES, 2}, {FLOATS, 3}, {FLOATS, 3}, {BYTES, 1}, {BYTES, 2},
           {FLOATS, 3}),
        OUT(1, 1, {FLOATS, 3}), .channels = {1, false, {3, 5}}),
    ROW(MS, QAttention,
        IN(5, 9, {BYTES, 1}, {BYTES, 2}, {FLOATS, 3}, {FLOATS, 3}, {FLOATS, 3}, {BIT(INT32), 0},
           {BYTES, 1}, {BYTES, 2}, {FLOATS, 3}),
        OUT(1, 2, {FLOATS, 3}, {FLOATS, 3}), .needs = {"num_heads"},
        .channels = {1, false, {2, 4, 7}}),
    ROW(MS, DynamicQuantizeLSTM,
        IN(12, 12, {F32, 0}, {BYTES, 1}, {BYTES, 2}, {F32, 0}, {BIT(INT32), 0}, {F32, 0}, {F32, 0},
           {F32, 0}, {F32, 0}, {BYTES, 1}, {F32, 0}, {BYTES, 2}),
        OUT(0, 3, {F32, 0}, {F32, 0}, {F32, 0}), .optional = 0xf8 /* from bias to P */,
        .needs = {"hidden_size"}, .check = oq_check_lstm),
    ROW(MS, MatMulNBits,
        IN(3, 6, {FLOATS, 1}, {BIT(UINT8) | BIT(INT32), 0}, {FLOATS, 1},
           {BIT(UINT8) | BIT(INT32) | FLOATS, 0}, {BIT(INT32), 0}, {FLOATS, 1}),
        OUT(1, 1, {FLOATS, 1}), .needs = {"K", "N", "block_size"}, .check = oq_check_nbits),
    ROW(MS, MatMulBnb4, IN(3, 3, {FLOATS, 1}, {BIT(UINT8), 0}, {FLOATS, 1}), OUT(1, 1, {FLOATS, 1}),
        .needs = {"K", "N", "block_size", "quant_type"}, .check = oq_check_bnb4),
    ROW(MS, GatherBlockQuantized,
        IN(3, 4, {BYTES | HALF_BYTES | QUARTERS, 1}, {INDICES, 0}, {FLOATS, 2}, {ANY, 1}),
        OUT(1, 1, {FLOATS, 2}), .check = oq_check_gather_blocks),
    /* floats that were, or become, integers */
    UNIFORM(MatMul, 2, 2, NUMBERS),
    UNIFORM(Gemm, 2, 3, NUMBERS),
    UNIFORM(Conv, 2, 3, FLOATS),
    UNIFORM(ConvTranspose, 2, 3, FLOATS),
    ROW(ONNX, GRU,
        IN(3, 6, {FLOATS, 1}, {FLOATS, 1}, {FLOATS, 1}, {FLOATS, 1}, {BIT(INT32), 0}, {FLOATS, 1}),
        OUT(0, 2, {FLOATS, 1}, {FLOATS, 1})),
    ROW(ONNX, LSTM,
        IN(3, 8, {FLOATS, 1}, {FLOATS, 1}, {FLOATS, 1}, {FLOATS, 1}, {BIT(INT32), 0}, {FLOATS, 1},
           {FLOATS, 1}, {FLOATS, 1}),
        OUT(0, 3, {FLOATS, 1}, {FLOATS, 1}, {FLOATS, 1})),
    ROW(MS, Attention,
        IN(2, 7, {FLOATS, 1}, {FLOATS, 1}, {FLOATS, 1}, {BIT(INT32), 0}, {FLOATS, 1}, {FLOATS, 1},
           {BIT(INT32), 0}),
        OUT(1, 2, {FLOATS, 1}, {FLOATS, 1}), .needs = {"num_heads"}),
    /* what hands types on */
    ROW(ONNX, Cast, IN(1, 1, {0}), OUT(1, 1, {0}), .form_since = 6, .needs = {"to"},
        .check = check_cast, .type_of = type_of_cast),
    ROW(ONNX, Constant, IN(0, 0, {0}), OUT(1, 1, {0}), .type_of = type_of_constant),
    ROW(ONNX, Gather, IN(2, 2, {ANY, 1}, {INDICES, 0}), OUT(1, 1, {ANY, 1})),
    ROW(ONNX, Where, IN(3, 3, {BIT(BOOL), 0}, {ANY, 1}, {ANY, 1}), OUT(1, 1, {ANY, 1})),
    ROW(ONNX, Concat, IN(1, 1, {ANY, 1}), OUT(1, 1, {ANY, 1}), .form_since = 4, .is_variadic = true,
        .needs = {"axis"}),
    VARIADIC(Einsum, NUMBERS),
    VARIADIC(Max, NUMBERS),
    VARIADIC(Mean, FLOATS),
    VARIADIC(Min, NUMBERS),
    VARIADIC(Sum, FLOATS),
    UNIFORM(Add, 2, 2, NUMBERS),
    UNIFORM(Sub, 2, 2, NUMBERS),
    UNIFORM(Mul, 2, 2, NUMBERS),
    UNIFORM(Div, 2, 2, NUMBERS),
    UNIFORM(PRelu, 2, 2, NUMBERS),
    UNIFORM(Erf, 1, 1, NUMBERS),
    UNIFORM(Identity, 1, 1, ANY),
    UNIFORM(Neg, 1, 1, SIGNED),
    UNIFORM(Relu, 1, 1, SIGNED),
    UNIFORM(Sigmoid, 1, 1, FLOATS),
    UNIFORM(Softmax, 1, 1, FLOATS),
    UNIFORM(Sqrt, 1, 1, FLOATS),
    UNIFORM(Tanh, 1, 1, FLOATS),
    UNIFORM(LogSoftmax, 1, 1, FLOATS),
    UNIFORM(LeakyRelu, 1, 1, FLOATS),
    UNIFORM(Elu, 1, 1, FLOATS),
    UNIFORM(HardSigmoid, 1, 1, FLOATS),
    UNIFORM(AveragePool, 1, 1, FLOATS),
    UNIFORM(GlobalAveragePool, 1, 1, FLOATS),
    UNIFORM(GlobalMaxPool, 1, 1, FLOATS),
    UNIFORM(InstanceNormalization, 3, 3, FLOATS),
    ROW(ONNX, BatchNormalization,
        IN(5, 5, {FLOATS, 1}, {FLOATS, 2}, {FLOATS, 2}, {FLOATS, 3}, {FLOATS, 3}),
        OUT(1, 5, {FLOATS, 1}, {FLOATS, 3}, {FLOATS, 3}, {FLOATS, 3}, {FLOATS, 3}),
        .form_since = 7),
    ROW(ONNX, Clip, IN(1, 3, {NUMBERS, 1}, {NUMBERS, 1}, {NUMBERS, 1}), OUT(1, 1, {NUMBERS, 1}),
        .form_since = 11),
    REDUCING(ReduceL1),
    REDUCING(ReduceL2),
    REDUCING(ReduceMax),
    REDUCING(ReduceMean),
    REDUCING(ReduceMin),
    REDUCING(ReduceProd),
    REDUCING(ReduceSum),
    ROW(ONNX, Transpose, IN(1, 1, {ANY, 1}), OUT(1, 1, {ANY, 1}), .check = check_transpose),
    UNIFORM(Flatten, 1, 1, ANY),
    ARRANGING(Reshape, 2, BIT(INT64)),
    ARRANGING(Squeeze, 2, BIT(INT64)),
    ARRANGING(Unsqueeze, 2, BIT(INT64)),
    ARRANGING(Slice, 5, INDICES),
};

static const struct known_operator *find_operator(enum oq_operator_id id)
{
    for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++)
        if (operators[i].id == id)
            return &operators[i];
    return NULL;
}

/* --- arity and attributes --- */

static void check_count(struct oq_checker *checker, const struct oq_problem_place *place,
                        const char *what, size_t found, size_t least, size_t most)
{
    if (found < least || found > most)
        oq_problem(checker, place, "", "has %zu %s, expected %zu to %zu", found, what, least, most);
}

static const struct needed {
    enum oq_operator_id id;
    int64_t since;
    size_t n;
} needed[] = {
#define NEEDS(name, since, n) {OQ_ONNX_##name, since, n},
#include "validate/needed_inputs.h"
};

static size_t count_needed(enum oq_operator_id id, int64_t version)
{
    const struct known_operator *op = find_operator(id);
    size_t n = 1;
    if (id == OQ_UNKNOWN_OPERATOR || oq_operators[id].domain[0] != '\0' ||
        version > OQ_OPERATORS_OPSET)
        return op == NULL || version < op->form_since ? 0 : op->min_in;
    for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
        if (needed[i].id == id && needed[i].since <= version)
            n = needed[i].n;
    return n;
}

/* What goes into bodies may be left out. */
bool oq_needs_input(enum oq_operator_id id, int64_t version, size_t input)
{
    const struct known_operator *op = find_operator(id);
    const unsigned optional = op == NULL ? 0 : op->optional;
    return input < count_needed(id, version) && (input >= 32 || (optional >> input & 1) == 0) &&
           !oq_operator_has(&oq_operators[id], OQ_HAS_BODIES);
}

/* `op` is NULL where no more is known of it. */
static void check_arity(struct oq_checker *checker, const struct oq_problem_place *place,
                        enum oq_operator_id id, const struct known_operator *op, int64_t version)
{
    const Oq__Pb__NodeProto *node = place->node;
    const size_t least = count_needed(id, version);
    if (op != NULL && !op->is_variadic)
        check_count(checker, place, "inputs", node->n_input, least, op->max_in);
    else if (node->n_input < least)
        oq_problem(checker, place, "", "has %zu inputs, expected at least %zu", node->n_input,
                   least);
    if (op != NULL)
        check_count(checker, place, "outputs", node->n_output, op->min_out, op->max_out);
    for (size_t i = 0; i < least && i < node->n_input; i++)
        if (node->input[i][0] == '\0' && oq_needs_input(id, version, i))
            oq_problem(checker, place, "", "input %zu is left out, but needed", i);
}

/* An attribute that refers to one of the function's own is there, whatever it holds. */
static void check_needs(struct oq_checker *checker, const struct oq_problem_place *place,
                        const struct known_operator *op)
{
    for (size_t i = 0; i < sizeof(op->needs) / sizeof(op->needs[0]) && op->needs[i] != NULL; i++) {
        const Oq__Pb__AttributeProto *attribute = oq_node_attribute(place->node, op->needs[i]);
        int64_t value;
        if (attribute == NULL)
            oq_problem(checker, place, "", "attribute \"%s\" is missing", op->needs[i]);
        else if (!oq_attribute_int(attribute, &value) && attribute->ref_attr_name == NULL)
            oq_problem(checker, place, "", "attribute \"%s\" is no integer", op->needs[i]);
    }
}

/* --- types --- */

/* The types that slots share, as far as they are found. */
struct variables {
    int32_t data_type[MAX_VARIABLE + 1];
    const char *name[MAX_VARIABLE + 1]; /* of the value that has told it */
};

static bool is_allowed(uint64_t allowed, int32_t data_type)
{
    return allowed == 0 || allowed == ANY || (allowed >> data_type & 1) != 0;
}

static void check_input_type(struct oq_checker *checker, const struct oq_problem_place *place,
                             const struct operand_slot *slot, size_t input,
                             struct variables *variables)
{
    const char *name = oq_node_input(place->node, input);
    int32_t data_type = oq_fact_of(checker, place->graph, name).data_type;
    if (oq_dtype_find(data_type) == NULL)
        return;
    if (!is_allowed(slot->allowed, data_type)) {
        oq_problem(checker, place, name, "is %s, which the operator does not take as input %zu",
                   oq_type_name(data_type), input);
    } else if (slot->same != 0 && variables->data_type[slot->same] == 0) {
        variables->data_type[slot->same] = data_type;
        variables->name[slot->same] = name;
    } else if (slot->same != 0 && variables->data_type[slot->same] != data_type) {
        oq_problem(checker, place, name, "is %s, expected %s as \"%.80s\" is",
                   oq_type_name(data_type), oq_type_name(variables->data_type[slot->same]),
                   variables->name[slot->same]);
    }
}

static void check_input_types(struct oq_checker *checker, const struct oq_problem_place *place,
                              const struct known_operator *op, struct variables *variables)
{
    for (size_t i = 0; i < place->node->n_input; i++) {
        size_t last = op->max_in == 0 ? 0 : op->max_in - 1;
        if (i > last && !op->is_variadic)
            return;
        check_input_type(checker, place, &op->in[i < last ? i : last], i, variables);
    }
}

/* The only type that is allowed, or 0. */
static int32_t only_type(uint64_t allowed)
{
    bool is_one = allowed != 0 && (allowed & (allowed - 1)) == 0;
    return is_one ? (int32_t)__builtin_ctzll(allowed) : 0;
}

static void set_output_type(struct oq_checker *checker, const struct oq_problem_place *place,
                            size_t output, int32_t data_type)
{
    const char *name = place->node->output[output];
    const struct oq_value *value = oq_graph_find(place->graph, name);
    if (value == NULL || data_type == 0)
        return;
    struct oq_fact *fact = &checker->facts[value->ordinal]; /* so far what is declared */
    if (fact->data_type != 0 && fact->data_type != data_type)
        oq_problem(checker, place, name, "is %s, but declared as %s", oq_type_name(data_type),
                   oq_type_name(fact->data_type));
    fact->data_type = data_type;
}

static void set_output_types(struct oq_checker *checker, const struct oq_problem_place *place,
                             const struct known_operator *op, const struct variables *variables)
{
    for (size_t i = 0; i < place->node->n_output && i < op->max_out; i++) {
        const struct operand_slot *slot = &op->out[i];
        int32_t data_type =
            slot->same != 0 ? variables->data_type[slot->same] : only_type(slot->allowed);
        if (op->type_of != NULL)
            data_type = op->type_of(checker, place);
        set_output_type(checker, place, i, data_type);
    }
}

/* A Constant is as good as an initializer. */
static void learn_constant(struct oq_checker *checker, const struct oq_problem_place *place)
{
    const Oq__Pb__AttributeProto *attribute = oq_node_attribute(place->node, "value");
    const struct oq_value *value = oq_graph_find(place->graph, place->node->output[0]);
    if (attribute != NULL && attribute->t != NULL && value != NULL)
        checker->facts[value->ordinal].tensor = oq_model_tensor(checker->model, attribute->t);
}

bool oq_knows_operator(enum oq_operator_id id)
{
    return find_operator(id) != NULL;
}

void oq_check_operator(struct oq_checker *checker, const struct oq_problem_place *place,
                       int64_t version)
{
    struct variables variables = {0};
    enum oq_operator_id id = oq_operator_id_of(place->node);
    if (checker->is_local[id])
        return;
    if (version < oq_operators[id].since)
        oq_problem(checker, place, "", "the operator needs opset %d, not %lld",
                   oq_operators[id].since, (long long)version);
    const struct known_operator *op = find_operator(id);
    if (op != NULL && version < op->form_since)
        op = NULL;
    check_arity(checker, place, id, op, version);
    if (op == NULL)
        return;
    check_needs(checker, place, op);
    check_input_types(checker, place, op, &variables);
    set_output_types(checker, place, op, &variables);
    if (op->type_of == type_of_constant && place->node->n_output > 0)
        learn_constant(checker, place);
    if (op->channels.operands[0] != 0)
        oq_check_channels(checker, place, &op->channels);
    if (op->check != NULL)
        op->check(checker, place, version);
}
