/* Where inputs and outputs of a product are in its weight. */
#include "quantize/decide/view.h"

#include <math.h>

#include "base/checked.h"
#include "operators/operators.h"

/* 4 MB: inputs by outputs. */
#define MAX_ELEMENTS ((uint64_t)1 << 20)

/* What is before the last `n` dimensions. */
static uint64_t count_before(const struct oq_source *source, size_t n)
{
    uint64_t all = 1;
    for (size_t i = 0; i + n < source->n_dims; i++)
        all *= (uint64_t)source->dims[i];
    return all;
}

static bool is_last(const struct oq_source *source, uint64_t rows, bool is_turned,
                    struct oq_view *view)
{
    const uint64_t columns = source->nelem / rows;
    *view = (struct oq_view){.source = source,
                             .n_inputs = is_turned ? columns : rows,
                             .n_taps = 1,
                             .n_all_outputs = is_turned ? rows : columns,
                             .is_turned = is_turned};
    return true;
}

/* Of "ij,jk->ik": an input is the letter that is not in the result. */
static bool is_einsum(const struct oq_site *site, bool *is_turned)
{
    const Oq__Pb__AttributeProto *equation = oq_node_attribute(site->node, "equation");
    if (equation == NULL || equation->s.data == NULL || site->node->n_input != 2)
        return false;
    char letters[64] = {0}, *second, *result; /* one zero is left at least */
    size_t n = 0;
    for (size_t i = 0; i < equation->s.len && n + 1 < sizeof(letters); i++)
        if (equation->s.data[i] != ' ')
            letters[n++] = (char)equation->s.data[i];
    if ((second = strchr(letters, ',')) == NULL || (result = strstr(second, "->")) == NULL)
        return false;
    const char *own = site->input == 0 ? letters : second + 1;
    if (strlen(own) < 2)
        return false;
    const bool is_first_kept = strchr(result, own[0]) != NULL;
    *is_turned = is_first_kept;
    return is_first_kept != (strchr(result, own[1]) != NULL);
}

static bool is_matrix(const struct oq_site *site, bool *is_turned)
{
    const Oq__Pb__NodeProto *node = site->node;
    switch (oq_operator_id_of(node)) {
    case OQ_ONNX_MatMul:
    case OQ_ONNX_Gemm:
    case OQ_MS_FusedGemm:
    case OQ_MS_FusedMatMul:
    case OQ_MS_TransposeMatMul:
        *is_turned = site->input == 0 ? oq_node_int(node, "transA", 0) == 0
                                      : oq_node_int(node, "transB", 0) != 0;
        return site->input < 2;
    case OQ_MS_Attention:
        *is_turned = false;
        return site->input == 1;
    case OQ_ONNX_Einsum:
        return site->input < 2 && site->constant->source.n_dims == 2 && is_einsum(site, is_turned);
    default:
        return false;
    }
}

static bool find(const struct oq_site *site, struct oq_view *view)
{
    const struct oq_source *source = &site->constant->source;
    bool is_turned = false;
    if (source->n_dims < 2 || source->nelem == 0)
        return false;
    if (is_matrix(site, &is_turned))
        return count_before(source, 2) == 1 &&
               is_last(source, count_before(source, 1), is_turned != source->transposed, view);
    if (site->input != 1 || source->transposed)
        return false;
    switch (oq_operator_id_of(site->node)) {
    case OQ_ONNX_LSTM:
    case OQ_ONNX_GRU:
    case OQ_ONNX_RNN:
        return is_last(source, count_before(source, 1), true, view);
    case OQ_ONNX_Conv:
        is_last(source, (uint64_t)source->dims[0], true, view);
        view->n_taps = view->n_inputs / (uint64_t)source->dims[1];
        view->n_inputs = (uint64_t)source->dims[1];
        return oq_node_int(site->node, "group", 1) == 1;
    default:
        return false;
    }
}

bool oq_view_find(const struct oq_site *site, struct oq_view *view)
{
    if (!find(site, view))
        return false;
    view->n_outputs = oq_min_u64(oq_min_u64(view->n_all_outputs, OQ_VIEW_MAX_OUTPUTS),
                                 MAX_ELEMENTS / (view->n_inputs * view->n_taps));
    return view->n_outputs > 0;
}

/* The norm of each kernel in place of its taps. */
static void sum_up_taps(const struct oq_view *view, float *x)
{
    for (uint64_t i = 0; i < view->n_outputs * view->n_inputs; i++) {
        double squares = 0;
        for (uint64_t k = 0; k < view->n_taps; k++)
            squares += (double)x[i * view->n_taps + k] * (double)x[i * view->n_taps + k];
        x[i] = (float)sqrt(squares);
    }
}

bool oq_view_read(const struct oq_view *view, float *x, void *scratch)
{
    const uint64_t all = view->is_turned ? view->n_inputs * view->n_taps : view->n_all_outputs;
    const uint64_t n = view->is_turned ? all : view->n_outputs;
    const uint64_t n_rows = view->is_turned ? view->n_outputs : view->n_inputs;
    onnxq_error ignored;
    for (uint64_t i = 0; i < n_rows; i++)
        if (!oq_source_read_many(view->source, i * all, n, x + i * n, scratch, &ignored))
            return false;
    if (view->n_taps > 1)
        sum_up_taps(view, x);
    return true;
}
