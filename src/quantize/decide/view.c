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

/* --- how an operator takes its factors --- */

/* MatMul and what is another name of it, with factors that are transposed and without. */
static bool find_matmul(const struct oq_site *site, struct oq_sides *sides)
{
    const struct oq_operator *op = oq_operator_of(site->node);
    const bool is_left = site->input == 0;
    const bool turns[] = {oq_node_int(site->node, "transA", 0) != 0,
                          oq_node_int(site->node, "transB", 0) != 0};
    if (strcmp(op->family, "MatMul") != 0 || oq_operator_role(op, site->input) != OQ_WEIGHT)
        return false;
    *sides = (struct oq_sides){.is_matrix = true,
                               .is_turned = is_left != turns[is_left ? 0 : 1],
                               .axis = is_left != turns[is_left ? 1 : 0] ? 2 : 1};
    return true;
}

/* Of "ij,jk->ik": an input is the letter that is not in the result. */
static bool find_einsum(const struct oq_site *site, struct oq_sides *sides)
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
    *second++ = *result++ = '\0';
    const char *own = site->input == 0 ? letters : second;
    const char *other = site->input == 0 ? second : letters;
    if (strlen(own) != 2)
        return false;
    const bool is_first_kept = strchr(result, own[0]) != NULL;
    const char *summed = strchr(other, own[is_first_kept ? 1 : 0]);
    const bool is_placed = summed != NULL && strchr(summed, '.') == NULL;
    *sides = (struct oq_sides){.is_matrix = true,
                               .is_turned = is_first_kept,
                               .axis = is_placed ? (unsigned)strlen(summed) : 0};
    return is_first_kept != (strchr(result, own[1]) != NULL);
}

bool oq_sides_find(const struct oq_site *site, struct oq_sides *sides)
{
    *sides = (struct oq_sides){.axis = 0};
    switch (oq_operator_id_of(site->node)) {
    case OQ_ONNX_Einsum:
        return site->input < 2 && find_einsum(site, sides);
    case OQ_MS_Attention:
        *sides = (struct oq_sides){.is_matrix = true, .axis = 1};
        return site->input == 1;
    case OQ_ONNX_LSTM:
    case OQ_ONNX_GRU:
    case OQ_ONNX_RNN:
        *sides = (struct oq_sides){.is_turned = true, .axis = 1};
        return site->input == 1;
    case OQ_ONNX_Conv:
        *sides = (struct oq_sides){.is_turned = true,
                                   .axis = (unsigned)site->constant->source.n_dims - 1};
        return site->input == 1;
    default:
        return find_matmul(site, sides);
    }
}

/* --- what is looked at --- */

static bool find(const struct oq_site *site, struct oq_view *view)
{
    const struct oq_source *source = &site->constant->source;
    struct oq_sides sides;
    if (source->n_dims < 2 || source->nelem == 0 || !oq_sides_find(site, &sides) ||
        (sides.is_matrix ? count_before(source, 2) != 1 : source->transposed))
        return false;
    const bool is_conv = oq_operator_id_of(site->node) == OQ_ONNX_Conv;
    const uint64_t rows = is_conv ? (uint64_t)source->dims[0] : count_before(source, 1);
    const uint64_t columns = source->nelem / rows;
    const bool is_turned = sides.is_turned != source->transposed;
    *view = (struct oq_view){.source = source,
                             .n_inputs = is_turned ? columns : rows,
                             .n_taps = 1,
                             .n_all_outputs = is_turned ? rows : columns,
                             .is_turned = is_turned};
    if (is_conv) {
        view->n_inputs = (uint64_t)source->dims[1];
        view->n_taps = columns / view->n_inputs;
    }
    return !is_conv || oq_node_int(site->node, "group", 1) == 1;
}

bool oq_view_find(const struct oq_site *site, struct oq_view *view)
{
    if (!find(site, view))
        return false;
    view->n_outputs = oq_min_u64(oq_min_u64(view->n_all_outputs, OQ_VIEW_MAX_OUTPUTS),
                                 MAX_ELEMENTS / (view->n_inputs * view->n_taps));
    view->input_stride = view->is_turned ? 1 : view->n_outputs;
    view->output_stride = view->is_turned ? view->n_inputs : 1;
    return view->n_outputs > 0;
}

double oq_sum_squares(const float *x, uint64_t n, uint64_t stride)
{
    double squares = 0;
    for (uint64_t i = 0; i < n; i++)
        squares += (double)x[i * stride] * (double)x[i * stride];
    return squares;
}

/* The norm of each kernel in place of its taps. */
static void sum_up_taps(const struct oq_view *view, float *x)
{
    for (uint64_t i = 0; i < view->n_outputs * view->n_inputs; i++)
        x[i] = (float)sqrt(oq_sum_squares(x + i * view->n_taps, view->n_taps, 1));
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
