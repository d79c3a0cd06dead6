/*
 * Outliers of activations, found without data. What a LayerNormalization gives has mean beta and
 * deviation gamma in each channel, so that |beta| + 3 |gamma| tells which channels are large; what
 * a product makes of that, and a Gelu or Relu of it, follows from the product's weight.
 * Activations have one scale: beside a few large channels all others are rounded coarsely. So both
 * products of a feed-forward take them divided by a power of their sizes, and the rows of their
 * weights are multiplied by it before they are rounded: the same product, of channels of more
 * equal size. The power is the one for which both roundings together are expected to cost the
 * least (docs/decisions.md).
 */
#include <float.h>
#include <math.h>

#include "base/checked.h"
#include "quantize/decide/steps.h"
#include "quantize/write/rewrite.h"
#include "wire/data_type.h"

/*
 * Deviations from the mean that hardly any activation exceeds; and none in front of a Gelu, where
 * channels are far from normally distributed.
 */
#define DEVIATIONS        3.0f
#define HIDDEN_DEVIATIONS 6.0f

/* What comes out of a Gelu is no smaller than this, whatever its sign. */
#define LEAST_HIDDEN 0.17f

/* Weights that are read as a whole to know what they make of channels. */
#define MAX_FIRST_NELEM ((uint64_t)16 << 20)

/* A channel of next to nothing counts as this part of the largest. */
#define LEAST_PART 0x1p-10f

/* The size of a channel to the power of a step in so many is divided by: how far to go. */
#define N_STRENGTHS 8

/* What is left of the squares of rounding errors, at most, where it is worth a Mul; and where free.
 */
#define WORTH_A_MUL 0.58
#define WORTH_IT    0.9

/* A product that widens so much takes so long that one Mul in front of it does not show. */
#define LEAST_WIDENING 2

/* Columns of the weight that are looked at. */
#define MAX_COLUMNS ((size_t)32)

/* Numbers of a weight's row, 4 KB. */
#define SHORT_ROW ((size_t)1024)

static const struct oq_constant *find_channels(const onnxq_plan *plan, const struct oq_graph *graph,
                                               const char *name, int64_t n)
{
    const struct oq_constant *constant = oq_plan_constant(plan, graph, name);
    bool fits = constant != NULL && !oq_plan_is_overridable(plan, constant) &&
                constant->source.data_type == OQ_TYPE(FLOAT) && constant->source.n_dims == 1 &&
                constant->source.dims[0] == n && n <= (int64_t)OQ_READ_MAX_NELEM;
    return fits ? constant : NULL;
}

/* The value, where an operator of that type in this graph makes it as its first output. */
static const struct oq_value *made_by(const struct oq_graph *graph, const char *name,
                                      const char *op_type)
{
    const struct oq_value *value = oq_graph_find(graph, name);
    const Oq__Pb__NodeProto *node =
        value != NULL && value->graph == graph ? oq_value_node(value) : NULL;
    bool is_made =
        node != NULL && oq_node_is(node, "", op_type) && strcmp(node->output[0], name) == 0;
    return is_made ? value : NULL;
}

static bool has_one_reader(const struct oq_value *value)
{
    return value->n_uses == 1 && !value->is_graph_output && !value->is_named &&
           !value->is_annotated;
}

/* The input of an operator of two that is a constant of channels, or 2. */
static size_t find_operand(const onnxq_plan *plan, const struct oq_value *value, int64_t n)
{
    const Oq__Pb__NodeProto *node = oq_value_node(value);
    size_t k = 0;
    while (k < 2 &&
           (node->n_input != 2 || find_channels(plan, value->graph, node->input[k], n) == NULL))
        k++;
    return k;
}

/* Div(.., Sqrt(..)) * gamma + beta */
static bool find_parts(const onnxq_plan *plan, const struct oq_graph *graph, const char *name,
                       int64_t n, struct oq_norm *norm)
{
    const struct oq_value *add = made_by(graph, name, "Add");
    if (add == NULL || (norm->beta_input = find_operand(plan, add, n)) == 2)
        return false;
    const char *const *terms = (const char *const *)oq_value_node(add)->input;
    const struct oq_value *mul = made_by(graph, terms[1 - norm->beta_input], "Mul");
    if (mul == NULL || (norm->gamma_input = find_operand(plan, mul, n)) == 2)
        return false;
    const char *const *factors = (const char *const *)oq_value_node(mul)->input;
    const struct oq_value *div = made_by(graph, factors[1 - norm->gamma_input], "Div");
    norm->gamma = find_channels(plan, graph, factors[norm->gamma_input], n);
    norm->beta = find_channels(plan, graph, terms[norm->beta_input], n);
    norm->gamma_node = mul->index;
    norm->beta_node = add->index;
    norm->has_one_reader = has_one_reader(add) && has_one_reader(mul);
    return div != NULL && oq_value_node(div)->n_input == 2 &&
           made_by(graph, oq_value_node(div)->input[1], "Sqrt") != NULL;
}

/* The normalization that makes the value, over its last axis of n channels. */
static bool find_norm(const onnxq_plan *plan, const struct oq_graph *graph, const char *name,
                      int64_t n, struct oq_norm *norm)
{
    const struct oq_value *value = made_by(graph, name, "LayerNormalization");
    *norm = (struct oq_norm){.gamma_input = 1, .beta_input = 2};
    if (value == NULL)
        return find_parts(plan, graph, name, n, norm);
    const Oq__Pb__NodeProto *node = oq_value_node(value);
    const char *beta = oq_node_input(node, 2);
    norm->gamma = find_channels(plan, graph, oq_node_input(node, 1), n);
    norm->beta = beta[0] == '\0' ? NULL : find_channels(plan, graph, beta, n);
    norm->gamma_node = norm->beta_node = value->index;
    norm->has_one_reader = has_one_reader(value);
    return oq_node_int(node, "axis", -1) == -1 && norm->gamma != NULL &&
           (beta[0] == '\0' || norm->beta != NULL);
}

/* --- what is between the two products of a feed-forward --- */

/* Where the channels of an activation come from. */
struct origin {
    struct oq_norm norm;
    const struct oq_constant *first, *bias; /* a product behind it, or NULL; its bias, or NULL */
};

/* x of x * (1 + Erf(..)), or NULL. */
static const char *find_gated(const struct oq_graph *graph, const char *name)
{
    const struct oq_value *mul = made_by(graph, name, "Mul");
    const Oq__Pb__NodeProto *node = mul == NULL ? NULL : oq_value_node(mul);
    for (size_t k = 0; node != NULL && node->n_input == 2 && k < 2; k++) {
        const struct oq_value *add = made_by(graph, node->input[k], "Add");
        const Oq__Pb__NodeProto *sum = add == NULL ? NULL : oq_value_node(add);
        for (size_t i = 0; sum != NULL && sum->n_input == 2 && i < 2; i++)
            if (made_by(graph, sum->input[i], "Erf") != NULL)
                return node->input[1 - k];
    }
    return NULL;
}

/* What an operator that is nearly x for large x, and nothing below zero, takes; or NULL. */
static const char *find_before(const struct oq_graph *graph, const char *name)
{
    static const char *const ops[] = {"Gelu", "Relu"};
    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        const struct oq_value *value = made_by(graph, name, ops[i]);
        if (value != NULL)
            return oq_node_input(oq_value_node(value), 0);
    }
    const char *gated = find_gated(graph, name);
    const struct oq_value *half = gated == NULL ? made_by(graph, name, "Mul") : NULL;
    const Oq__Pb__NodeProto *node = half == NULL ? NULL : oq_value_node(half);
    for (size_t k = 0; node != NULL && gated == NULL && node->n_input == 2 && k < 2; k++)
        gated = find_gated(graph, node->input[k]);
    return gated;
}

static bool is_first(const struct oq_constant *constant, int64_t n)
{
    const struct oq_source *w = constant == NULL ? NULL : &constant->source;
    return w != NULL && w->n_dims == 2 && !w->transposed && w->data_type == OQ_TYPE(FLOAT) &&
           (w->factors == NULL || constant->is_smoothed) && w->dims[1] == n &&
           n / LEAST_WIDENING >= w->dims[0] && w->nelem <= MAX_FIRST_NELEM;
}

/* A Gelu of a product that widens what a normalization gives, n channels in the end. */
static bool find_hidden(const onnxq_plan *plan, const struct oq_graph *graph, const char *name,
                        int64_t n, struct origin *origin)
{
    const char *product = find_before(graph, name);
    const struct oq_value *add = product == NULL ? NULL : made_by(graph, product, "Add");
    *origin = (struct origin){0};
    if (add != NULL) {
        const size_t k = find_operand(plan, add, n);
        if (k == 2)
            return false;
        origin->bias = find_channels(plan, graph, oq_value_node(add)->input[k], n);
        product = oq_value_node(add)->input[1 - k];
    }
    const struct oq_value *value = product == NULL ? NULL : made_by(graph, product, "MatMul");
    const Oq__Pb__NodeProto *node = value == NULL ? NULL : oq_value_node(value);
    if (node == NULL || node->n_input != 2)
        return false;
    origin->first = oq_plan_constant(plan, graph, node->input[1]);
    return is_first(origin->first, n) && !oq_plan_is_overridable(plan, origin->first) &&
           find_norm(plan, graph, node->input[0], origin->first->source.dims[0], &origin->norm);
}

/* --- how far to go --- */

/* A product, some columns of its weight, and what is known of the channels. */
struct product_view {
    struct oq_smoothing *smoothing;
    size_t n_columns;
    float *columns;        /* [channels, columns] */
    float *weight_squares; /* [channels]: sums over columns */
    float *size, *squares; /* [channels]: the largest activations, and their mean square */
    int signs;             /* of activations: both, or positive ones only */
    bool one_scale;
};

static float power(const struct product_view *view, size_t channel, unsigned strength)
{
    return powf(view->size[channel], (float)strength / N_STRENGTHS);
}

/* For each column the largest weight: that gives the step of its scale. */
static double sum_steps(const struct product_view *view, const float *factor)
{
    float most[MAX_COLUMNS] = {0}, largest = 0;
    double sum = 0;
    for (size_t i = 0; i < view->smoothing->n; i++)
        for (size_t c = 0; c < view->n_columns; c++) {
            const float x = fabsf(view->columns[i * view->n_columns + c]) * factor[i];
            most[c] = x > most[c] ? x : most[c];
        }
    for (size_t c = 0; c < view->n_columns; c++) {
        sum += (double)most[c] * (double)most[c];
        largest = fmaxf(largest, most[c]);
    }
    return view->one_scale ? (double)largest * (double)largest * (double)view->n_columns : sum;
}

static void square_rows(const struct product_view *view)
{
    for (size_t i = 0; i < view->smoothing->n; i++)
        for (size_t c = 0; c < view->n_columns; c++) {
            const float x = view->columns[i * view->n_columns + c];
            view->weight_squares[i] += x * x;
        }
}

static double sum_squares(const struct product_view *view, const float *factor)
{
    double sum = 0;
    for (size_t i = 0; i < view->smoothing->n; i++)
        sum += (double)(view->weight_squares[i] * factor[i] * factor[i]);
    return sum;
}

/*
 * The squares of what both roundings are expected to cost together, but for what is common to
 * all strengths: activations have 255 steps, weights 127 of each sign.
 */
static double expected_error(const struct product_view *view, unsigned strength)
{
    const struct oq_smoothing *smoothing = view->smoothing;
    float *factor = smoothing->factor, largest = 0;
    double energy = 0;
    for (size_t i = 0; i < smoothing->n; i++) {
        factor[i] = power(view, i, strength);
        largest = fmaxf(largest, view->size[i] / factor[i]);
        energy += (double)(view->squares[i] / (factor[i] * factor[i]));
    }
    const double step = view->signs * (double)largest / 255;
    return step * step * sum_squares(view, factor) +
           energy * sum_steps(view, factor) / (127.0 * 127.0);
}

/* Factors of 1 at most: weights become no larger than they are. */
static void choose_strength(const struct product_view *view)
{
    struct oq_smoothing *smoothing = view->smoothing;
    square_rows(view);
    const double as_it_is = expected_error(view, 0);
    double least = as_it_is;
    unsigned best = 0;
    for (unsigned strength = 1; strength <= N_STRENGTHS; strength++) {
        double error = expected_error(view, strength);
        best = error < least ? strength : best;
        least = error < least ? error : least;
    }
    smoothing->gain = isfinite(as_it_is) && best > 0 ? least / as_it_is : 1;
    for (size_t i = 0; i < smoothing->n; i++)
        smoothing->factor[i] = power(view, i, best);
}

static float *read_channels(const struct oq_constant *constant, struct oq_arena *arena,
                            void *scratch, onnxq_error *error)
{
    const size_t n = (size_t)constant->source.nelem;
    float *x = oq_arena_array(arena, n, sizeof(*x));
    if (x == NULL)
        oq_fail_memory(error);
    return x != NULL && oq_source_read_floats(&constant->source, 0, n, x, scratch, error) ? x
                                                                                          : NULL;
}

/* Short rows are read as a whole: that is faster than to call the system for each. */
static bool read_columns(const struct product_view *view, struct oq_read_room *room,
                         onnxq_error *error)
{
    const struct oq_source source = oq_bare_source(view->smoothing->weight);
    const size_t width = (size_t)source.dims[1], n = view->n_columns;
    struct oq_piece piece = {
        .source = &source, .x = room->x, .scratch = room->scratch, .unit = width};
    for (size_t i = 0; width > SHORT_ROW && i < view->smoothing->n; i++)
        if (!oq_source_read_floats(&source, i * (uint64_t)width, n, view->columns + i * n,
                                   room->scratch, error))
            return false;
    while (width <= SHORT_ROW && oq_source_next(&piece, error))
        for (size_t k = 0; k < piece.n; k += width)
            memcpy(view->columns + ((size_t)piece.first + k) / width * n, piece.x + k,
                   n * sizeof(float));
    return !piece.failed;
}

/* Behind the normalization: mean and deviation are given. */
static void set_norm_sizes(const struct product_view *view, const float *gamma, const float *beta)
{
    for (size_t i = 0; i < view->smoothing->n; i++) {
        const float mean = beta == NULL ? 0 : fabsf(beta[i]), deviation = fabsf(gamma[i]);
        view->size[i] = mean + DEVIATIONS * deviation;
        view->squares[i] = mean * mean + deviation * deviation;
    }
}

/* Sums over the rows of the first product's weight: means of its results, and their variances. */
static bool add_rows(const struct product_view *view, const float *gamma, const float *beta,
                     float *mean, struct oq_piece *piece, onnxq_error *error)
{
    const size_t width = view->smoothing->n;
    while (oq_source_next(piece, error))
        for (size_t k = 0; k < piece->n; k += width) { /* pieces are whole rows */
            const size_t row = (size_t)(piece->first + k) / width;
            const float *x = piece->x + k;
            const float shift = beta == NULL ? 0 : beta[row];
            const float variance = gamma[row] * gamma[row];
            for (size_t i = 0; i < width; i++) {
                mean[i] += x[i] * shift;
                view->squares[i] += x[i] * x[i] * variance;
            }
        }
    return !piece->failed;
}

/* Of a normally distributed number, as far as it is above zero: the largest, and the mean square.
 */
static void set_hidden_sizes(const struct product_view *view, const float *mean)
{
    for (size_t i = 0; i < view->smoothing->n; i++) {
        const float deviation = sqrtf(view->squares[i]) + FLT_MIN, z = mean[i] / deviation;
        const float above = 0.5f * (1 + erff(z * 0.70710678f));
        const float density = expf(-z * z / 2) * 0.39894228f;
        view->size[i] = fmaxf(mean[i] + HIDDEN_DEVIATIONS * deviation, LEAST_HIDDEN);
        view->squares[i] = fmaxf(deviation * deviation * ((z * z + 1) * above + z * density), 0);
    }
}

/* Sizes as parts of the largest. False where they tell nothing. */
static bool normalize_sizes(const struct product_view *view)
{
    const size_t n = view->smoothing->n;
    float largest = 0;
    for (size_t i = 0; i < n; i++)
        largest = view->size[i] <= largest ? largest : view->size[i]; /* NaN stays */
    if (!isnormal(largest) || !isnormal(largest * largest))
        return false;
    for (size_t i = 0; i < n; i++) {
        view->size[i] = fmaxf(view->size[i] / largest, LEAST_PART);
        view->squares[i] /= largest * largest;
    }
    return true;
}

static bool measure_sizes(const struct product_view *view, const struct origin *origin,
                          struct oq_arena *arena, struct oq_read_room *room, onnxq_error *error)
{
    const struct oq_norm *norm = &origin->norm;
    void *scratch = room->scratch;
    struct oq_smoothing *smoothing = view->smoothing;
    float *gamma = read_channels(norm->gamma, arena, scratch, error), *beta = NULL, *mean = NULL;
    if (gamma == NULL ||
        (norm->beta != NULL && (beta = read_channels(norm->beta, arena, scratch, error)) == NULL))
        return false;
    if (origin->first == NULL) {
        for (size_t i = 0; i < smoothing->n; i++) {
            smoothing->gamma_values[i] = gamma[i];
            smoothing->beta_values[i] = beta == NULL ? 0 : beta[i];
        }
        set_norm_sizes(view, gamma, beta);
        return true;
    }
    mean = origin->bias != NULL ? read_channels(origin->bias, arena, scratch, error)
                                : oq_arena_array(arena, smoothing->n, sizeof(*mean));
    const struct oq_source first = oq_bare_source(origin->first);
    struct oq_piece piece = {
        .source = &first, .x = room->x, .scratch = scratch, .unit = smoothing->n};
    if (mean == NULL)
        return oq_fail_memory(error);
    if (!add_rows(view, gamma, beta, mean, &piece, error))
        return false;
    set_hidden_sizes(view, mean);
    return true;
}

static bool find_factors(onnxq_plan *plan, struct oq_smoothing *smoothing,
                         const struct origin *origin, onnxq_error *error)
{
    struct oq_arena arena;
    oq_arena_init(&arena, SIZE_MAX);
    struct product_view view = {.smoothing = smoothing,
                                .signs = origin->first == NULL ? 2 : 1,
                                .one_scale = !plan->options.per_channel};
    view.n_columns = (size_t)oq_min_u64((uint64_t)smoothing->weight->source.dims[1], MAX_COLUMNS);
    view.columns = oq_arena_array(&arena, smoothing->n, view.n_columns * sizeof(float));
    view.weight_squares = oq_arena_array(&arena, smoothing->n, sizeof(float));
    view.size = oq_arena_array(&arena, smoothing->n, sizeof(float));
    view.squares = oq_arena_array(&arena, smoothing->n, sizeof(float));
    struct oq_read_room *room = oq_plan_read_room(plan);
    bool ok = (!arena.failed && room != NULL) || oq_fail_memory(error);
    ok =
        ok && read_columns(&view, room, error) && measure_sizes(&view, origin, &arena, room, error);
    if (ok && normalize_sizes(&view))
        choose_strength(&view);
    oq_arena_fini(&arena);
    return ok;
}

static struct oq_smoothing *add_smoothing(onnxq_plan *plan, const struct origin *origin,
                                          const struct oq_constant *weight)
{
    const size_t n = (size_t)weight->source.dims[0];
    struct oq_smoothing *smoothing = oq_arena_alloc(&plan->arena, sizeof(*smoothing));
    float *room = oq_arena_array(&plan->arena, n, 3 * sizeof(*room));
    if (smoothing == NULL || room == NULL)
        return NULL;
    *smoothing = (struct oq_smoothing){.weight = weight,
                                       .gamma = origin->norm.gamma,
                                       .beta = origin->norm.beta,
                                       .first = origin->first,
                                       .bias = origin->bias,
                                       .gamma_values = room,
                                       .beta_values = room + n,
                                       .factor = room + 2 * n,
                                       .n = n,
                                       .gain = plan->is_estimate ? 0 : 1,
                                       .next = plan->smoothings};
    plan->smoothings = smoothing;
    return smoothing;
}

static bool is_of(const struct oq_smoothing *smoothing, const struct origin *origin,
                  const struct oq_constant *weight)
{
    return smoothing->channels == NULL && smoothing->weight == weight &&
           smoothing->gamma == origin->norm.gamma && smoothing->beta == origin->norm.beta &&
           smoothing->first == origin->first && smoothing->bias == origin->bias;
}

/* That of all products of a weight with activations that come from the same numbers. */
static const struct oq_smoothing *get_smoothing(onnxq_plan *plan, const struct origin *origin,
                                                const struct oq_constant *weight,
                                                onnxq_error *error)
{
    struct oq_smoothing *smoothing = plan->smoothings;
    while (smoothing != NULL && !is_of(smoothing, origin, weight))
        smoothing = smoothing->next;
    if (smoothing != NULL)
        return smoothing;
    if ((smoothing = add_smoothing(plan, origin, weight)) == NULL) {
        oq_arena_fail(&plan->arena, error);
        return NULL;
    }
    /* An estimate reads no numbers. */
    return plan->is_estimate || find_factors(plan, smoothing, origin, error) ? smoothing : NULL;
}

/* --- which products --- */

/* The only integer product of the value. */
static bool is_alone(const onnxq_plan *plan, const struct oq_site *site)
{
    const struct oq_value *x = oq_graph_find(site->graph, site->node->input[0]);
    size_t n_products = 0;
    for (const struct oq_use *use = x == NULL ? NULL : x->uses; use != NULL && n_products < 2;
         use = use->next)
        n_products +=
            use->node != OQ_NO_NODE && plan->products[use->graph->ordinal][use->node] != NULL;
    return n_products == 1;
}

static bool is_candidate(const struct oq_site *site)
{
    const struct oq_source *w = &site->constant->source;
    const struct oq_quantized *q = site->quantized;
    if (site->action != ONNXQ_DYNAMIC || site->input != 1 || q == NULL)
        return false;
    const struct oq_constant *stored = q->ranges->constant;
    return (stored->source.factors == NULL || stored->is_smoothed) &&
           oq_node_is(site->node, "", "MatMul") && w->n_dims == 2 && !w->transposed &&
           !site->transposed && q->blocks == NULL && !q->transposed &&
           w->data_type == OQ_TYPE(FLOAT);
}

static bool find_origin(const onnxq_plan *plan, const struct oq_site *site, struct origin *origin)
{
    const struct oq_source *w = &site->constant->source;
    const char *x = site->node->input[0];
    *origin = (struct origin){0};
    return (w->dims[1] / LEAST_WIDENING >= w->dims[0] &&
            find_norm(plan, site->graph, x, w->dims[0], &origin->norm)) ||
           find_hidden(plan, site->graph, x, w->dims[0], origin);
}

/* All products of the same integers have to want the same factors. */
static void note_smoothing(struct oq_quantized *q, const struct oq_smoothing *smoothing)
{
    if (q->smoothing != NULL && q->smoothing != smoothing)
        return;
    q->smoothing = smoothing;
    q->n_smoothed++;
}

static bool note_chosen(onnxq_plan *plan, const struct oq_site *site, onnxq_error *error)
{
    const struct oq_smoothing *smoothing = oq_plan_smooth_channels(plan, site, error);
    if (smoothing != NULL)
        note_smoothing(site->quantized, smoothing);
    return smoothing != NULL;
}

static bool note_site(onnxq_plan *plan, struct oq_site *site, onnxq_error *error)
{
    struct origin origin;
    struct oq_quantized *q = site->quantized;
    site->norm = NULL;
    if (!is_candidate(site))
        return true;
    if (site->channels != NULL)
        return note_chosen(plan, site, error);
    if (plan->options.no_smooth || !is_alone(plan, site) || !find_origin(plan, site, &origin))
        return true;
    const struct oq_smoothing *smoothing = get_smoothing(plan, &origin, q->ranges->constant, error);
    if (smoothing == NULL)
        return false;
    const bool is_free = origin.first == NULL && origin.norm.has_one_reader;
    if (smoothing->gain > (is_free ? WORTH_IT : WORTH_A_MUL) ||
        (q->smoothing != NULL && q->smoothing != smoothing))
        return true;
    if (is_free && (site->norm = oq_arena_alloc(&plan->round, sizeof(*site->norm))) == NULL)
        return oq_arena_fail(&plan->round, error);
    if (is_free)
        *site->norm = origin.norm;
    note_smoothing(q, smoothing);
    return true;
}

/* Integers that anything else takes stay what they are. */
static bool is_agreed(const struct oq_quantized *q)
{
    const struct oq_constant *constant = q->ranges->constant;
    return q->n_smoothed == q->n_products && constant->fold == NULL && constant->quantized == q &&
           q->next == NULL;
}

static void set_source(struct oq_constant *constant, const struct oq_smoothing *smoothing)
{
    struct oq_source *source = &constant->source;
    source->factors = smoothing == NULL ? NULL : smoothing->factor;
    source->n_factors = smoothing == NULL ? 0 : smoothing->n;
    source->factor_nelem = smoothing == NULL ? 0 : source->nelem / smoothing->n;
    constant->is_smoothed = smoothing != NULL;
    for (struct oq_ranges *r = constant->ranges; r != NULL; r = r->next)
        r->is_measured = r->are_pairs_measured = false;
}

static void settle(struct oq_constant *constant)
{
    const struct oq_smoothing *smoothing = NULL;
    for (struct oq_quantized *q = constant->quantized; q != NULL; q = q->next) {
        if (q->smoothing != NULL && !is_agreed(q))
            q->smoothing = NULL;
        smoothing = q->smoothing != NULL ? q->smoothing : smoothing;
    }
    const float *before = constant->is_smoothed ? constant->source.factors : NULL;
    if (before != (smoothing == NULL ? NULL : smoothing->factor))
        set_source(constant, smoothing);
}

/* What was chosen is told where it came about. */
static bool describe_chosen(onnxq_plan *plan, struct oq_site *site)
{
    const struct oq_quantized *q = site->quantized;
    if (site->action != ONNXQ_DYNAMIC || q == NULL || q->smoothing == NULL ||
        q->smoothing->channels == NULL)
        return true;
    const size_t n = q->smoothing->channels->n_columns;
    site->form = n == 0 ? oq_arena_printf(&plan->arena, "%s, smoothed", site->form)
                        : oq_arena_printf(&plan->arena, "%s, %zu column%s in float", site->form, n,
                                          n == 1 ? "" : "s");
    return site->form != NULL;
}

bool oq_plan_smooth(onnxq_plan *plan, onnxq_error *error)
{
    if (plan->options.method != ONNXQ_METHOD_DYNAMIC ||
        (plan->options.no_smooth && plan->channels == NULL) ||
        plan->model->opset < OQ_OPSET_BROADCAST)
        return true;
    for (size_t i = 0; i < plan->n_constants; i++)
        for (size_t k = 0; k < plan->constants[i].n_sites; k++)
            if (!note_site(plan, &plan->constants[i].sites[k], error))
                return false;
    /* Folded under another name: a view of the same tensor. */
    for (size_t i = 0; i < plan->n_constants; i++)
        if (plan->constants[i].fold != NULL)
            plan->constants[i].fold->smoothing = NULL;
    for (size_t i = 0; i < plan->n_constants; i++)
        settle(&plan->constants[i]);
    for (size_t i = 0; plan->channels != NULL && i < plan->n_constants; i++)
        for (size_t k = 0; k < plan->constants[i].n_sites; k++)
            if (!describe_chosen(plan, &plan->constants[i].sites[k]))
                return oq_arena_fail(&plan->arena, error);
    return true;
}
