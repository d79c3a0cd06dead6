/* Tensors as ONNX test data has them: .pb files that are one TensorProto. */
#ifndef OQ_ARRAYS_TENSOR_FILE_H
#define OQ_ARRAYS_TENSOR_FILE_H

#include "base/file.h"
#include "arrays/array.h"

/*
 * Reads a tensor of any type, in raw_data or the field of its type, under the
 * name that it has in the file. The other things that test data may hold,
 * sequences and optionals, have no mark that tells them from a tensor: they
 * turn out to be tensors without data, which is an error.
 */
bool oq_tensor_file_read(struct oq_array *array, const struct oq_file *file, onnxq_error *error);

#endif
