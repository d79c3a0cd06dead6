#include "bench/advice.h"

#include <string.h>

/* --- what is known of operators ------------------------------------------------ */

struct knowledge {
    const char *op_type;
    const char *family; /* the float operator whose work it does */
    const char *advice; /* where it is slower than that one */
};

#define SMALL_PRODUCTS                                                                             \
    "products this small are faster as float: quantize without --force-integer, or --exclude them"
#define STATIC_MODEL "computed in integers throughout: onnxq dequantize, then onnxq quantize"
#define EVERY_RUN                                                                                  \
    "computed in every run, not folded when the model is loaded: onnxq quantize --method weights"

static const struct knowledge table[] = {
    {"FusedConv", "Conv", ""},
    {"NhwcFusedConv", "Conv", ""},
    {"ConvInteger", "Conv",
     "slower on CPU than Conv, with the Cast, Mul and Add around it: onnxq quantize --conv fold"},
    {"QLinearConv", "Conv", STATIC_MODEL},
    {"FusedMatMul", "MatMul", ""},
    {"FusedGemm", "MatMul", ""},
    {"Gemm", "MatMul", ""},
    {"MatMulInteger", "MatMul", SMALL_PRODUCTS},
    {"MatMulIntegerToFloat", "MatMul", SMALL_PRODUCTS},
    {"DynamicQuantizeMatMul", "MatMul", SMALL_PRODUCTS},
    {"QLinearMatMul", "MatMul", STATIC_MODEL},
    {"QGemm", "MatMul", STATIC_MODEL},
    {"MatMulNBits", "MatMul",
     "blocks pay for few rows at a time: for many, onnxq quantize --method dynamic"},
    {"MatMulBnb4", "MatMul",
     "nf4 has no fast kernel on CPU: onnxq quantize --method blocks --bits 4, or 8"},
    {"DynamicQuantizeLSTM", "LSTM", "onnxq quantize --exclude-op-types LSTM"},
    {"QAttention", "Attention", "onnxq quantize --exclude-op-types Attention"},
    {"GatherBlockQuantized", "Gather", "onnxq quantize --exclude-op-types Gather"},
    {"DynamicQuantizeLinear", "DynamicQuantizeLinear",
     "what integer operators cost before they begin: too much where those are small"},
    {"DequantizeLinear", "DequantizeLinear", EVERY_RUN},
    {"QuantizeLinear", "QuantizeLinear", STATIC_MODEL},
};

static const struct knowledge *find_knowledge(const char *op_type)
{
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (strcmp(table[i].op_type, op_type) == 0)
            return &table[i];
    }
    return NULL;
}

static const char *find_family(const char *op_type)
{
    const struct knowledge *knowledge = find_knowledge(op_type);
    return knowledge != NULL ? knowledge->family : op_type;
}

static const char *find_advice(const char *op_type)
{
    const struct knowledge *knowledge = find_knowledge(op_type);
    return knowledge != NULL ? knowledge->advice : "";
}

/* --- comparing ------------------------------------------------------------------ */

/* All operators of the family together; a profile lists the most expensive first. */
static struct oq_blame compare_family(const struct oq_profile *slow, const struct oq_profile *first,
                                      const char *family)
{
    struct oq_blame blame = {.op_type = "", .first_op_type = "", .slowest = "", .advice = ""};
    for (size_t i = 0; i < slow->n_ops; i++) {
        const struct oq_profile_op *op = &slow->ops[i];
        if (strcmp(find_family(op->op_type), family) != 0)
            continue;
        if (blame.op_type[0] == '\0') {
            blame.op_type = op->op_type;
            blame.slowest = op->slowest;
            blame.advice = find_advice(op->op_type);
        }
        blame.n_nodes += op->n_nodes;
        blame.ms += op->ms;
    }
    for (size_t i = 0; i < first->n_ops; i++) {
        const struct oq_profile_op *op = &first->ops[i];
        if (strcmp(find_family(op->op_type), family) != 0)
            continue;
        if (blame.first_op_type[0] == '\0')
            blame.first_op_type = op->op_type;
        blame.first_ms += op->ms;
    }
    return blame;
}

/* Whether an operator before number `index` belongs to the same family. */
static bool is_repeated(const struct oq_profile *profile, size_t index)
{
    const char *family = find_family(profile->ops[index].op_type);
    for (size_t i = 0; i < index; i++) {
        if (strcmp(find_family(profile->ops[i].op_type), family) == 0)
            return true;
    }
    return false;
}

static double difference(const struct oq_blame *blame)
{
    return blame->ms - blame->first_ms;
}

/* Keeps the list sorted; of a full one the last goes. */
static size_t insert(struct oq_blame *blames, size_t n, const struct oq_blame *blame)
{
    size_t place = n;
    while (place > 0 && difference(&blames[place - 1]) < difference(blame))
        place--;
    if (place == OQ_BLAMES_MAX)
        return n;
    if (n < OQ_BLAMES_MAX)
        n++;
    memmove(&blames[place + 1], &blames[place], (n - 1 - place) * sizeof(*blames));
    blames[place] = *blame;
    return n;
}

size_t oq_find_blames(const struct oq_profile *slow, const struct oq_profile *first,
                      struct oq_blame blames[OQ_BLAMES_MAX])
{
    size_t n = 0;
    double sum = 0;
    for (size_t i = 0; i < slow->n_ops; i++) {
        if (is_repeated(slow, i))
            continue;
        struct oq_blame blame = compare_family(slow, first, find_family(slow->ops[i].op_type));
        if (difference(&blame) <= 0)
            continue;
        sum += difference(&blame);
        n = insert(blames, n, &blame);
    }
    while (n > 0 && difference(&blames[n - 1]) < sum / 20)
        n--;
    return n;
}
