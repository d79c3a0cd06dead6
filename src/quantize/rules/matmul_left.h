/*
 * Products with the constant on the left: W . X = (X' . W')'. ONNX Runtime has
 * no fast integer product whose weight comes first.
 */
#ifndef OQ_QUANTIZE_RULES_MATMUL_LEFT_H
#define OQ_QUANTIZE_RULES_MATMUL_LEFT_H

#include "quantize/rules/product.h"

/* Decides on the left factor of a MatMul. */
void oq_matmul_left_decide(const onnxq_plan *plan, struct oq_site *site);

/*
 * Decides on a matrix W that is the left factor of what `emit` writes; is_turned:
 * it is stored as [K, M]. `objection` is what the operator has against it, or NULL.
 */
void oq_left_decide(const onnxq_plan *plan, struct oq_site *site, bool is_turned,
                    const char *objection,
                    bool (*emit)(struct oq_rewrite *rewrite, const struct oq_site *site));

/* The product where X, of that rank, is turned already if matmul->transposed says so. */
bool oq_left_emit(struct oq_rewrite *rewrite, const struct oq_site *site,
                  const struct oq_matmul *matmul, size_t rank);

#endif
