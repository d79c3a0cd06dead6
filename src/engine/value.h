/* Between arrays and the engine's values. */
#ifndef OQ_ENGINE_VALUE_H
#define OQ_ENGINE_VALUE_H

#include "engine/runtime.h"
#include "arrays/array.h"

/* A value over the array's data, which it borrows; strings are copied. */
bool oq_value_make(const struct oq_engine *engine, const struct oq_array *array,
                   struct ort_value **value, onnxq_error *error);

/* A copy as oq_session_get_output() says. Release the array after a failure, too. */
bool oq_value_read(const struct oq_engine *engine, const struct ort_value *value, const char *name,
                   struct oq_array *array, onnxq_error *error);

/*
 * The elements of a float32 tensor, where the engine has them; the value has to
 * outlive their use. data is NULL for a value of any other kind, or of none.
 */
struct oq_floats {
    const float *data;
    int64_t *dims; /* to be freed */
    size_t n_dims;
    uint64_t nelem;
};
bool oq_value_borrow(const struct oq_engine *engine, const struct ort_value *value,
                     struct oq_floats *floats, onnxq_error *error);

#endif
