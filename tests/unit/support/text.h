/*
 * Models as text, so that tests are tables: a model goes in as text and what
 * comes out is compared with text. One statement a line (or ended by `;`):
 *
 *     ir 8
 *     opset 17                          # of ai.onnx
 *     opset com.microsoft 1
 *     meta KEY VALUE
 *     in x float32[N,64]                # N: the name of a dimension, ? for one without
 *     init w float32[64,32]             # elements from a fixed random sequence
 *     init b float32[32] packed = 1 2 3 # stored as ..., elements 1 2 3 1 2 3 ...
 *     init c float32[32] @7=nan         # random, but for element 7
 *     info h float32[N,32]              # value_info
 *     label: y, z = custom::Op(x, , w) axis=1 alpha=0.5 perm=[1,0] mode="linear"
 *     k = Constant() value=float32[64,32]
 *     y = If(c) then_branch={ t = MatMul(x, w); out t float32 } else_branch={...}
 *     out y float32[N,32]
 *
 * Storage is one of raw (default), packed, unpacked, pieces and external. A
 * number with a point or an exponent is a float attribute. Names stand in
 * "quotes" where they hold a space or one of ,(){}[]=;@ and may then hold any
 * byte but a quote.
 */
#ifndef SUPPORT_TEXT_H
#define SUPPORT_TEXT_H

#include "support/builder.h"

/* Initializes the builder with the model. A syntax error prints where and aborts. */
void text_parse(struct builder *builder, const char *text);

/*
 * The graph in the same language, in the order in, init, info, nodes, out; one
 * statement a line, bodies on one line. Initializers are without elements, and
 * node names are left out. Memory is the builder's.
 */
const char *text_from_graph(struct builder *builder, const Oq__Pb__GraphProto *graph);

#endif
