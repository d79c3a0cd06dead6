/* A product between two Transposes. */
#ifndef OQ_QUANTIZE_RULES_TURNED_H
#define OQ_QUANTIZE_RULES_TURNED_H

#include "quantize/rules/product.h"

/* The orders of axes in which the product is done, and in which it is wanted. */
struct oq_turn {
    const char *suffix;          /* of the activation in that order */
    const int64_t *there, *back; /* [rank]; there NULL: the activation lies that way already */
    size_t rank;
};

/*
 * As oq_matmul_emit(), but for `transposed`. What is turned on the way in has 8
 * bits. From opset 11 on.
 */
bool oq_turned_emit(struct oq_rewrite *rewrite, const struct oq_site *site,
                    const struct oq_matmul *matmul, const struct oq_turn *turn);

#endif
