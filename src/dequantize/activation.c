/*
 * Activations that are quantized when the model runs: by DynamicQuantizeLinear,
 * or, below opset 11, by what ONNX Runtime's quantize_dynamic writes in its place:
 *
 *     scale      = Div(Sub(ReduceMax(x), ReduceMin(x)), 255)
 *     zero point = Cast(Floor(Div(Sub(0, ReduceMin(x)), scale)))
 *     quantized  = QuantizeLinear(x, scale, zero point)
 */
#include "dequantize/undo.h"
#include "wire/data_type.h"

#define STEPS 255.0f /* of uint8, which these zero points are for */

static bool is_output(const Oq__Pb__NodeProto *node, size_t k, const char *name)
{
    return k < node->n_output && strcmp(node->output[k], name) == 0;
}

static bool is_same(const struct oq_place *place, size_t input, const struct oq_graph *graph,
                    const char *name)
{
    return place->node != NULL &&
           oq_is_same_value(place->graph, oq_node_input(place->node, input), graph, name);
}

/* One number over all of x. */
static bool is_reduced(const struct oq_place *place, const struct oq_graph *graph, const char *x)
{
    return is_same(place, 0, graph, x) && oq_node_input(place->node, 1)[0] == '\0' &&
           oq_node_attribute(place->node, "axes") == NULL;
}

static bool is_number(onnxq_dequantization *undo, const struct oq_place *place, size_t input,
                      float number)
{
    float value;
    return oq_undo_number(undo, place->graph, oq_node_input(place->node, input), &value, NULL) &&
           value == number;
}

static bool is_scale(onnxq_dequantization *undo, const struct oq_graph *graph, const char *name,
                     const char *x)
{
    const struct oq_place div = oq_producer_of(graph, name, "Div");
    const struct oq_place sub = oq_producer_behind(&div, 0, "Sub");
    const struct oq_place max = oq_producer_behind(&sub, 0, "ReduceMax"),
                          min = oq_producer_behind(&sub, 1, "ReduceMin");
    return is_reduced(&max, graph, x) && is_reduced(&min, graph, x) &&
           is_number(undo, &div, 1, STEPS);
}

static bool is_zero_point(onnxq_dequantization *undo, const struct oq_graph *graph,
                          const char *name, const char *scale, const char *x)
{
    const struct oq_place cast = oq_producer_of(graph, name, "Cast");
    const struct oq_place floor = oq_producer_behind(&cast, 0, "Floor"),
                          div = oq_producer_behind(&floor, 0, "Div");
    const struct oq_place sub = oq_producer_behind(&div, 0, "Sub"),
                          min = oq_producer_behind(&sub, 1, "ReduceMin");
    return is_reduced(&min, graph, x) && is_same(&div, 1, graph, scale) &&
           is_number(undo, &sub, 0, 0) && oq_node_int(cast.node, "to", 0) == OQ_TYPE(UINT8);
}

/* QuantizeLinear over all that x has. */
static struct oq_place find_linear(onnxq_dequantization *undo, const struct oq_graph *graph,
                                   const char *quantized, const char *scale, const char *zero_point)
{
    struct oq_place made = oq_producer_of(graph, quantized, "QuantizeLinear");
    if (!is_same(&made, 1, graph, scale) || !is_same(&made, 2, graph, zero_point) ||
        !is_scale(undo, made.graph, oq_node_input(made.node, 1), oq_node_input(made.node, 0)) ||
        !is_zero_point(undo, made.graph, oq_node_input(made.node, 2), oq_node_input(made.node, 1),
                       oq_node_input(made.node, 0)))
        made.node = NULL;
    return made;
}

static struct oq_place find_dynamic(const struct oq_graph *graph, const char *quantized,
                                    const char *scale, const char *zero_point)
{
    struct oq_place made = oq_producer_of(graph, quantized, "DynamicQuantizeLinear");
    if (made.node != NULL &&
        (!is_output(made.node, 0, quantized) || oq_producer(graph, scale).node != made.node ||
         !is_output(made.node, 1, scale) || oq_producer(graph, zero_point).node != made.node ||
         !is_output(made.node, 2, zero_point)))
        made.node = NULL;
    return made;
}

const char *oq_undo_activation(onnxq_dequantization *undo, const struct oq_graph *graph,
                               const char *quantized, const char *scale, const char *zero_point)
{
    struct oq_place made = find_dynamic(graph, quantized, scale, zero_point);
    if (made.node == NULL)
        made = find_linear(undo, graph, quantized, scale, zero_point);
    if (made.node == NULL)
        return NULL;
    const char *x = oq_node_input(made.node, 0);
    return oq_is_same_value(graph, x, made.graph, x) ? x : NULL;
}
