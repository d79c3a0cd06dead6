/*
 * Weights that are float32 already, stored as float16 on request: a node gives each its name and
 * type back, so that nothing else of the model changes, and engines fold it when they load.
 */
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/strmap.h"
#include "dequantize/undo.h"
#include "wire/data_type.h"

/* As of quantization: less is not worth a node. */
#define MIN_NELEM ((uint64_t)1024)

/* Of the norm: twice what rounding to 11 bits may lose. Numbers with fewer bits lose more. */
#define MAX_LOSS (1.0 / 1024)

struct oq_narrowed {
    const struct oq_graph *graph;
    const struct oq_tensor *tensor;
};

/* *fits: float16 has room for all of them, and bits enough. */
static bool check_numbers(onnxq_dequantization *undo, const struct oq_tensor *tensor, bool *fits)
{
    enum { CHUNK_NELEM = 4096 };
    float x[CHUNK_NELEM], back[CHUNK_NELEM];
    uint16_t half[CHUNK_NELEM];
    double norm = 0, loss = 0;
    for (uint64_t at = 0, n; at < tensor->nelem; at += n) {
        n = oq_min_u64(CHUNK_NELEM, tensor->nelem - at);
        if (!oq_tensor_read_floats(tensor, at, (size_t)n, x, undo->scratch, undo->error)) {
            oq_error_place(undo->error, "initializer \"%s\"", tensor->name);
            return false;
        }
        oq_convert_to_half(x, (size_t)n, half);
        oq_convert_from_half(half, (size_t)n, back);
        for (size_t i = 0; i < n; i++) {
            norm += (double)x[i] * x[i];
            loss += ((double)x[i] - back[i]) * ((double)x[i] - back[i]);
        }
    }
    *fits = isfinite(norm) && loss <= MAX_LOSS * MAX_LOSS * norm;
    return true;
}

/* Nobody knows it but nodes that stay as they are. */
static bool is_free(const onnxq_dequantization *undo, const struct oq_value *value)
{
    if (value->n_uses == 0 || value->is_graph_output || value->is_named || value->is_annotated ||
        oq_value_is_hiding(value) || (value->is_graph_input && !undo->freeze_inputs))
        return false;
    for (const struct oq_use *use = value->uses; use != NULL; use = use->next) {
        size_t g = use->graph->ordinal;
        if (use->node == OQ_NO_NODE || undo->matches[g][use->node] != NULL ||
            undo->claimed[g][use->node])
            return false;
    }
    return true;
}

/* Of the quantizer: all that is done with it takes 8 bits. Indices, thresholds, angles do not. */
static bool is_harmless(const onnxq_weight *weight)
{
    bool is_kept = weight->n_uses == 0 || weight->bits > 8;
    for (size_t i = 0; i < weight->n_uses; i++)
        is_kept |= weight->uses[i].action == ONNXQ_KEEP;
    return !is_kept;
}

/* By name: "" where it is not harmless, or there are two of that name. */
static bool index_harmless(const onnxq_plan *plan, struct oq_strmap *harmless)
{
    for (size_t i = 0; i < onnxq_plan_count(plan); i++) {
        const onnxq_weight *weight = onnxq_plan_get(plan, i);
        void **place = oq_strmap_place(harmless, weight->name);
        if (place == NULL)
            return false;
        *place = oq_edit_text(*place == NULL && is_harmless(weight) ? weight->name : "");
    }
    return true;
}

static bool is_listed(const struct oq_strmap *harmless, const char *name)
{
    const char *found = oq_strmap_find(harmless, name);
    return found != NULL && found[0] != '\0';
}

static bool add(onnxq_dequantization *undo, const struct oq_strmap *harmless,
                const struct oq_graph *graph, size_t index)
{
    const Oq__Pb__TensorProto *proto = graph->proto->initializer[index];
    const struct oq_value *value = proto->name == NULL ? NULL : oq_graph_find(graph, proto->name);
    const struct oq_tensor *tensor = oq_model_tensor(undo->model, proto);
    bool fits = false;
    if (value == NULL || value->graph != graph || value->origin != OQ_ORIGIN_INITIALIZER ||
        value->index != index || tensor == NULL || proto->data_type != OQ_TYPE(FLOAT) ||
        tensor->nelem < MIN_NELEM || !is_listed(harmless, proto->name) || !is_free(undo, value))
        return true;
    if (!check_numbers(undo, tensor, &fits))
        return false;
    if (!fits)
        return true;
    if (!oq_arena_grow(&undo->arena, &undo->narrowed, undo->n_narrowed, &undo->narrowed_capacity,
                       sizeof(*undo->narrowed)))
        return oq_arena_fail(&undo->arena, undo->error);
    undo->narrowed[undo->n_narrowed++] = (struct oq_narrowed){graph, tensor};
    return true;
}

static bool find_floats(onnxq_dequantization *undo, const onnxq_plan *plan)
{
    const struct oq_graphs *graphs = &undo->model->graphs;
    struct oq_strmap harmless;
    oq_strmap_init(&harmless, &undo->arena);
    if (!index_harmless(plan, &harmless))
        return oq_arena_fail(&undo->arena, undo->error);
    for (size_t g = 0; g < graphs->count; g++)
        for (size_t i = 0; i < graphs->list[g]->proto->n_initializer; i++)
            if (!add(undo, &harmless, graphs->list[g], i))
                return false;
    return true;
}

bool oq_undo_find_floats(onnxq_dequantization *undo)
{
    onnxq_options options;
    if (!undo->options.narrow_floats)
        return true;
    onnxq_options_init(&options);
    options.method = ONNXQ_METHOD_WEIGHTS;
    options.min_elements = MIN_NELEM;
    options.freeze_inputs = undo->freeze_inputs;
    onnxq_plan *plan = onnxq_plan_estimate(undo->model, &options, undo->error);
    bool ok = plan != NULL && find_floats(undo, plan);
    onnxq_plan_destroy(plan);
    return ok;
}

static bool produce_half(const void *source, uint64_t first, size_t count, uint8_t *dst,
                         void *scratch, onnxq_error *error)
{
    enum { CHUNK_NELEM = 4096 };
    const struct oq_tensor *tensor = source;
    float *x = oq_recipe_floats(scratch);
    uint16_t half[CHUNK_NELEM];
    const uint64_t end = first + count;
    for (uint64_t at = first / 2, n; at * 2 < end; at += n) { /* it may begin inside an element */
        n = oq_min_u64(CHUNK_NELEM, (end + 1) / 2 - at);
        if (!oq_tensor_read_floats(tensor, at, (size_t)n, x, scratch, error)) {
            oq_error_place(error, "initializer \"%s\"", tensor->name);
            return false;
        }
        oq_convert_to_half(x, (size_t)n, half);
        uint64_t from = oq_max_u64(at * 2, first), to = oq_min_u64((at + n) * 2, end);
        memcpy(dst + (from - first), (const uint8_t *)half + (from - at * 2), (size_t)(to - from));
    }
    return true;
}

static bool add_entry_of(onnxq_dequantization *undo, const struct oq_narrowed *narrowed)
{
    const struct oq_tensor *tensor = narrowed->tensor;
    const onnxq_dequantized entry = {.struct_size = sizeof(entry),
                                     .graph = narrowed->graph->name,
                                     .node = tensor->name,
                                     .op_type = "",
                                     .domain = "",
                                     .form = "float32",
                                     .reason = "",
                                     .weight = tensor->name,
                                     .dtype = "float16",
                                     .dims = tensor->dims,
                                     .n_dims = tensor->n_dims,
                                     .nbytes = tensor->nbytes,
                                     .nbytes_after = tensor->nelem * 2};
    undo->summary.n_dequantized++;
    return oq_undo_add_entry(undo, &entry);
}

bool oq_undo_narrow_floats(onnxq_dequantization *undo, struct oq_edit *edit)
{
    for (size_t i = 0; i < undo->n_narrowed; i++) {
        const struct oq_tensor *tensor = undo->narrowed[i].tensor;
        const size_t ordinal = undo->narrowed[i].graph->ordinal;
        const struct oq_recipe recipe = {tensor->nelem * 2, produce_half, tensor};
        oq_edit_enter(edit, ordinal);
        const char *stored = oq_edit_tensor(
            edit, &edit->states[ordinal], oq_edit_name(edit, tensor->name, "_float16"),
            OQ_TYPE(FLOAT16), tensor->dims, tensor->n_dims, &recipe);
        oq_edit_cast(edit, tensor->name, stored, OQ_TYPE(FLOAT), tensor->name);
        if (!oq_edit_drop(edit, ordinal, tensor->name, true) ||
            !add_entry_of(undo, &undo->narrowed[i]))
            return false;
    }
    return true;
}
