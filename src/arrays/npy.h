/* Arrays as numpy.save() writes them: .npy files, and the entries of .npz files. */
#ifndef OQ_ARRAYS_NPY_H
#define OQ_ARRAYS_NPY_H

#include "arrays/array.h"
#include "arrays/stream.h"

/*
 * Reads the array that the whole stream is: versions 1 to 3, either order of
 * bytes and of dimensions. Numbers go straight into the array; strings, which
 * are padded in the file, take twice as much while they are read.
 */
bool oq_npy_read(struct oq_array *array, const char *name, struct oq_stream *stream,
                 onnxq_error *error);

#endif
