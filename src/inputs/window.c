/* Reads the attributes that place a window. */
#include "inputs/window.h"

#include <string.h>

/* Larger than any; sums and products of these are far from an overflow. */
#define LIMIT ((int64_t)1 << 20)

/* Element k of a list; where there is no list, what the operator has by default. */
static int64_t element_of(const Oq__Pb__NodeProto *node, const char *name, size_t k,
                          int64_t otherwise)
{
    const Oq__Pb__AttributeProto *attribute = oq_node_attribute(node, name);
    if (attribute == NULL)
        return otherwise;
    return k < attribute->n_ints ? attribute->ints[k] : -1;
}

static bool is_auto_pad(const Oq__Pb__NodeProto *node, const char *value)
{
    const Oq__Pb__AttributeProto *attribute = oq_node_attribute(node, "auto_pad");
    size_t length = strlen(value);
    return attribute != NULL && attribute->has_s && attribute->s.len >= length &&
           memcmp(attribute->s.data, value, length) == 0;
}

/* On both sides of the axis; -1: what is there is no list of pads. */
static int64_t pads_of(const Oq__Pb__NodeProto *node, size_t axis)
{
    const Oq__Pb__AttributeProto *attribute = oq_node_attribute(node, "pads");
    if (attribute == NULL || is_auto_pad(node, "VALID"))
        return 0;
    size_t n = attribute->n_ints / 2;
    bool fits = axis < n && attribute->ints[axis] >= 0 && attribute->ints[axis] < LIMIT &&
                attribute->ints[n + axis] >= 0 && attribute->ints[n + axis] < LIMIT;
    return fits ? attribute->ints[axis] + attribute->ints[n + axis] : -1;
}

static bool is_length(int64_t value)
{
    return value >= 1 && value < LIMIT;
}

bool oq_window_read(struct oq_window *window, const Oq__Pb__NodeProto *node, size_t axis,
                    int64_t kernel)
{
    int64_t stride = element_of(node, "strides", axis, 1);
    int64_t dilation = element_of(node, "dilations", axis, 1), pads = pads_of(node, axis);
    kernel = element_of(node, "kernel_shape", axis, kernel);
    if (!is_length(kernel) || !is_length(stride) || !is_length(dilation) || pads < 0)
        return false;
    *window = (struct oq_window){stride - 1, stride};
    if (is_auto_pad(node, "SAME_"))
        return true;
    window->shift = pads + stride - ((kernel - 1) * dilation + 1);
    if (oq_node_int(node, "ceil_mode", 0) != 0)
        window->shift += stride - 1;
    return true;
}
