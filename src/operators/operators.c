/* Finding rows of the catalogue, and reading their columns. */
#include "operators/operators.h"

#include <stdlib.h>
#include <string.h>

#include "base/fnv.h"

/* --- texts of the list --- */

#define ONNX "" /* domains */
#define ML   "ai.onnx.ml"
#define MS   "com.microsoft"

#define SAME     OQ_SAME_SHAPE /* traits */
#define CROSS    OQ_BROADCASTS
#define WHOLE    OQ_KEEPS_WHOLE
#define COMPARES OQ_COMPARES
#define RECURS   OQ_RECURRENT
#define BODIES   OQ_HAS_BODIES
#define CENTERS  OQ_CENTERS
#define POSITIVE OQ_POSITIVE
#define CHANNEL  OQ_BY_CHANNEL

#define GOES       NULL /* why it stays */
#define UNKNOWN    "there is no float form of it here"
#define PATTERN    "it is not in a pattern that is known here"
#define CALIBRATED "its activations are integers, with scales from calibration"

#define NONE "" /* advice */
#define SMALL_PRODUCTS                                                                             \
    "products this small are faster as float: quantize with options.force_integer=false, or "      \
    "exclude them"
#define STATIC        "computed in integers throughout: quantize the float model with onnxq instead"
#define DEQUANTIZE_IT "computed in integers throughout: onnxq dequantize, then onnxq quantize"
#define EVERY_RUN                                                                                  \
    "computed in every run, not folded when the model is loaded: onnxq quantize "                  \
    "options.method=weights"
#define SLOW_ON_CPU                                                                                \
    "slower on CPU than Conv, with the Cast, Mul and Add around it: onnxq quantize "               \
    "options.conv=fold"
#define FIRST_COST "what integer operators cost before they begin: too much where those are small"
#define FEW_ROWS                                                                                   \
    "blocks pay for few rows at a time: for many, onnxq quantize options.method=dynamic"
#define NO_FAST_KERNEL                                                                             \
    "nf4 has no fast kernel on CPU: onnxq quantize options.method=blocks options.bits=4, or 8"
#define EXCLUDE_ATTENTION "onnxq quantize options.exclude_op_types=Attention"
#define EXCLUDE_GATHER    "onnxq quantize options.exclude_op_types=Gather"
#define EXCLUDE_LSTM      "onnxq quantize options.exclude_op_types=LSTM"

/* --- the rows --- */

const struct oq_operator oq_operators[OQ_N_OPERATORS] = {
    {.domain = "", .name = "", .inputs = "*?", .family = "", .advice = ""},
#define OP(domain, name, since, inputs, traits)                                                    \
    {domain, #name, since, traits, inputs, #name, NULL, ""},
#define TWIN(domain, name, since, inputs, traits, family)                                          \
    {domain, #name, since, traits, inputs, #family, NULL, ""},
#define INTEGER(domain, name, since, inputs, traits, family, stays, advice)                        \
    {domain, #name, since, (traits) | OQ_QUANTIZED, inputs, #family, stays, advice},
#include "operators/list.h"
};

/* --- finding one --- */

static int compare(const void *key, const void *element)
{
    const struct oq_operator *wanted = key, *row = element;
    int order = strcmp(wanted->domain, row->domain);
    return order != 0 ? order : strcmp(wanted->name, row->name);
}

#define LONGEST_HASHED 32 /* names of no operator may be very long */

/*
 * Graphs ask for few operators very often: where rows were found. A slot may hold
 * any row, whatever thread wrote it, as who reads it compares it with what is wanted.
 */
static unsigned short *find_slot(const struct oq_operator *wanted)
{
    static unsigned short slots[1024];
    uint64_t hash = OQ_FNV_BASIS ^ (uint64_t)wanted->domain[0];
    for (size_t i = 0; i < LONGEST_HASHED && wanted->name[i] != '\0'; i++)
        hash = oq_fnv1a(hash, &wanted->name[i], 1);
    return &slots[hash % (sizeof(slots) / sizeof(slots[0]))];
}

const struct oq_operator *oq_operator_find(const char *domain, const char *op_type)
{
    const struct oq_operator wanted = {.domain = oq_domain(domain), .name = op_type};
    if (op_type == NULL)
        return &oq_operators[OQ_UNKNOWN_OPERATOR];
    unsigned short *slot = find_slot(&wanted);
    const struct oq_operator *found = &oq_operators[__atomic_load_n(slot, __ATOMIC_RELAXED)];
    if (compare(&wanted, found) == 0)
        return found;
    found = bsearch(&wanted, oq_operators + 1, OQ_N_OPERATORS - 1, sizeof(wanted), compare);
    if (found == NULL)
        return &oq_operators[OQ_UNKNOWN_OPERATOR];
    __atomic_store_n(slot, (unsigned short)oq_operator_id(found), __ATOMIC_RELAXED);
    return found;
}

const struct oq_operator *oq_operator_of(const Oq__Pb__NodeProto *node)
{
    return oq_operator_find(node->domain, node->op_type);
}

const struct oq_operator *oq_operator_named(const char *op_type)
{
    const struct oq_operator *found = oq_operator_find(ONNX, op_type);
    return found->name[0] != '\0' ? found : oq_operator_find(MS, op_type);
}

enum oq_operator_id oq_operator_id(const struct oq_operator *op)
{
    return (enum oq_operator_id)(op - oq_operators);
}

enum oq_operator_id oq_operator_id_of(const Oq__Pb__NodeProto *node)
{
    return oq_operator_id(oq_operator_of(node));
}

void oq_operators_note_functions(const Oq__Pb__ModelProto *model, bool is_local[OQ_N_OPERATORS])
{
    for (size_t i = 0; i < model->n_functions; i++)
        is_local[oq_operator_id(
            oq_operator_find(model->functions[i]->domain, model->functions[i]->name))] = true;
}

const char *oq_domain(const char *domain)
{
    return domain == NULL || strcmp(domain, "ai.onnx") == 0 ? "" : domain;
}

/* --- its inputs --- */

enum oq_role oq_operator_role(const struct oq_operator *op, size_t input)
{
    const char *again = strchr(op->inputs, '*');
    size_t n = again == NULL ? strlen(op->inputs) : (size_t)(again - op->inputs);
    if (input < n)
        return (enum oq_role)op->inputs[input];
    return again == NULL ? OQ_UNKNOWN_ROLE
                         : (enum oq_role)again[1 + (input - n) % strlen(again + 1)];
}

const char *oq_role_refuses(enum oq_role role)
{
    switch (role) {
    case OQ_WEIGHT:
    case OQ_BOUNDED:
    case OQ_NORM:
    case OQ_ELEMENT:
    case OQ_CHOSEN:
    case OQ_PASSED:
    case OQ_UNSEEN:
        return NULL;
    case OQ_DIVISOR:
        return "a divisor";
    case OQ_UNBOUNDED:
        return "rounding has no bounded effect";
    case OQ_ANGLE:
        return "an angle";
    case OQ_COMPARED:
    case OQ_EXACT:
        return "compared, or cut to integers";
    case OQ_COORDINATE:
        return "coordinates";
    case OQ_INDEX:
        return "indices";
    case OQ_SETTING:
    case OQ_AXES:
        return "a setting";
    case OQ_MASK:
        return "a mask";
    case OQ_BITS:
        return "its bits are used";
    case OQ_INTEGERS:
    case OQ_SCALE:
    case OQ_ZERO_POINT:
        return "belongs to a quantized operator";
    case OQ_UNKNOWN_ROLE:
        break;
    }
    return "goes to what is not known here";
}

static const struct oq_range ranges[OQ_N_RANGES] = {
#define BETWEEN(domain, name, input, low, high)                                                    \
    {OQ_##domain##_##name, input, OQ_RANGE_BETWEEN, low, high, 0, 0, NULL},
#define IN_TABLE(domain, name, input, kind, table, axis, attribute)                                \
    {OQ_##domain##_##name, input, OQ_RANGE_##kind, 0, 0, table, axis, attribute},
#include "operators/ranges.h"
};

static int compare_ranges(const void *key, const void *element)
{
    const struct oq_range *wanted = key, *row = element;
    if (wanted->id != row->id)
        return wanted->id < row->id ? -1 : 1;
    return (wanted->input > row->input) - (wanted->input < row->input);
}

const struct oq_range *oq_operator_range(enum oq_operator_id id, size_t input)
{
    struct oq_range wanted = {.id = id, .input = input};
    return bsearch(&wanted, ranges, OQ_N_RANGES, sizeof(wanted), compare_ranges);
}
