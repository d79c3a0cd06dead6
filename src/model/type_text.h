/* Declared types of values, and how people write them. */
#ifndef OQ_MODEL_TYPE_TEXT_H
#define OQ_MODEL_TYPE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "onnx.pb-c.h"

/* "tensor", "sparse tensor", "sequence", "map", "optional" or "opaque"; "" where none is declared.
 */
const char *oq_type_kind(const Oq__Pb__TypeProto *type);

/* Of a tensor, sparse or not; false for any other type. *shape is NULL where the rank is open. */
bool oq_type_tensor(const Oq__Pb__TypeProto *type, int32_t *data_type,
                    const Oq__Pb__TensorShapeProto **shape);

/* Length of a dimension, -1 where it is not fixed; *name is its symbol or "". */
int64_t oq_dim_size(const Oq__Pb__TensorShapeProto__Dimension *dim, const char **name);

/*
 * "float32 [batch,3,224,224]", "sequence of map int64 -> float32 []": a
 * dimension without number and name is `?`, "[...]" is any rank. NULL is no
 * type. Into text[0..capacity), NUL-terminated; returns the length that the
 * whole text has, as snprintf() does. Symbols are not escaped.
 */
size_t oq_type_text(const Oq__Pb__TypeProto *type, char *text, size_t capacity);

#endif
