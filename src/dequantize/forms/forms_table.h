/* The forms that forms.c lists; each is defined in a file of its own. */
#ifndef OQ_DEQUANTIZE_FORMS_FORMS_TABLE_H
#define OQ_DEQUANTIZE_FORMS_FORMS_TABLE_H

#include "dequantize/undo.h"

extern const struct oq_form oq_form_pair, oq_form_pair_contrib;
extern const struct oq_form oq_form_dequantize_linear, oq_form_dequantize_linear_contrib;
extern const struct oq_form oq_form_dequantized_rows;
extern const struct oq_form oq_form_matmul_integer, oq_form_conv_integer;
extern const struct oq_form oq_form_dynamic_quantize_matmul, oq_form_matmul_integer_to_float;
extern const struct oq_form oq_form_turned_product;
extern const struct oq_form oq_form_lstm;
extern const struct oq_form oq_form_attention;
extern const struct oq_form oq_form_gather_block_quantized;
extern const struct oq_form oq_form_rows, oq_form_cast_rows;
extern const struct oq_form oq_form_folded, oq_form_cast_folded;
extern const struct oq_form oq_form_matmul_nbits;
extern const struct oq_form oq_form_matmul_bnb4;

/* rows.c: a table that is gathered as integers. folded.c: a constant that takes the output's name.
 */
bool oq_emit_rows(onnxq_dequantization *undo, struct oq_edit *edit, const struct oq_match *match);
bool oq_emit_constant(onnxq_dequantization *undo, struct oq_edit *edit,
                      const struct oq_match *match);

/* rows.c: rows of a table of integers with one scale, gathered by a node of the same graph. */
bool oq_is_rows(onnxq_dequantization *undo, const struct oq_graph *graph, const char *name);

/* Adds the table to the match; the activation are the indices. NULL, or why not. */
const char *oq_undo_rows(onnxq_dequantization *undo, struct oq_match *match,
                         const struct oq_graph *graph, const char *rows, const char *scale,
                         const char *zero_point, int32_t *data_type);

/* A constant weight that will be known by the output of the replaced node. */
void oq_want_name(const struct oq_match *match);

/*
 * Operands of Mul(Sub(Cast(integers), zero point), scale) as far as they are
 * there: `factor` was made of `integers` by Cast to data_type.
 */
struct oq_scaled {
    const struct oq_graph *graph;
    const char *integers, *zero_point, *scale; /* zero_point may be "" */
    int32_t data_type;
};

/* Reads such a product from a Mul, `side` being the input that the scale is. */
bool oq_find_scaled(const struct oq_place *mul, size_t side, struct oq_scaled *scaled);

/*
 * The Mul that a node is or that it casts to a float type; .node is NULL where
 * it is neither, or where other nodes do the casting.
 */
struct oq_place oq_find_product(onnxq_dequantization *undo, const struct oq_place *place,
                                int32_t *cast_type);

#endif
