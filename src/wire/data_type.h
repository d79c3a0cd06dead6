/* OQ_TYPE(FLOAT): a TensorProto.DataType, by the name that ONNX gives it. */
#ifndef OQ_WIRE_DATA_TYPE_H
#define OQ_WIRE_DATA_TYPE_H

#include "onnx.pb-c.h"

#define OQ_TYPE(name) OQ__PB__TENSOR_PROTO__DATA_TYPE__##name

#endif
