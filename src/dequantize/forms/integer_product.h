/* A product in integers that both scales are multiplied to. */
#ifndef OQ_DEQUANTIZE_FORMS_INTEGER_PRODUCT_H
#define OQ_DEQUANTIZE_FORMS_INTEGER_PRODUCT_H

#include "dequantize/undo.h"

/* What the pattern consists of. */
struct oq_product {
    struct oq_place integers; /* MatMulInteger or ConvInteger */
    struct oq_place added;    /* an Add to these integers, or none */
    const char *activation;   /* NULL: the integers are rows of a table */
    const char *activation_scale;
    const char *scale; /* of the weight, seen from .. */
    const struct oq_graph *scale_graph;
    struct oq_place
        turned; /* a Transpose between the quantized activation and the product, or none */
};

/* Finds the product that `mul` completes; op_type is MatMulInteger or ConvInteger. */
bool oq_find_integer_product(onnxq_dequantization *undo, const struct oq_place *mul,
                             const char *op_type, struct oq_product *product);

#endif
