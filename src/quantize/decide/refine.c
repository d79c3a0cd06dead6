/*
 * What is only folded is made finer, as that costs nothing at run time: a second factor of its
 * scales for each input channel, which makes no step larger than it was, and rounding that keeps
 * the sums of kernels. Weights that a product computes with have no place for the factor, and for
 * kept sums only where activations are static.
 */
#include "base/checked.h"
#include "base/option_values.h"
#include "base/pipeline.h"
#include "quantize/decide/steps.h"
#include "quantize/numbers/kept_sums.h"
#include "quantize/numbers/scale.h"
#include "quantize/write/rewrite.h"

/*
 * The weight is read once more, and its rounding takes a few nanoseconds for each element. Larger
 * ones are left as they are, so that no model takes twice its time.
 */
#define MAX_NELEM ((uint64_t)2 << 20)

/*
 * A factor is worth its bytes where some input's steps are half of what they were, and where it
 * weighs no more than a sixteenth of the integers.
 */
#define LARGEST_FACTOR 0.5f
#define LEAST_SHARING  64 /* elements of one input channel */

/* An input channel of next to nothing gets no more than as many bits again as float32 has. */
#define LEAST_FACTOR 0x1p-24f

/* --- how an operator sees its weight --- */

/*
 * Axes 0 and 1 are channels and inputs, or the other way round; what follows is a kernel. Where
 * results come back as inputs, kept sums were measured to lose more than they win.
 */
static bool find_view(const struct oq_site *site, struct oq_refinement *view)
{
    const struct oq_source *source = &site->constant->source;
    const enum oq_operator_id op = site->node == NULL ? 0 : oq_operator_id_of(site->node);
    const bool is_conv = op == OQ_ONNX_Conv, is_transposed = op == OQ_ONNX_ConvTranspose;
    const bool is_matrix = (op == OQ_ONNX_MatMul || op == OQ_ONNX_Gemm) && source->n_dims == 2;
    if (site->input != 1 || source->transposed || source->n_dims < 2 ||
        !(is_conv || is_transposed || is_matrix))
        return false;
    *view = (struct oq_refinement){.rows = (uint64_t)source->dims[0],
                                   .kernels = (uint64_t)source->dims[1],
                                   .kernel = oq_nelem(source->dims, 2, source->n_dims),
                                   .axis = site->axis,
                                   .is_grouped = site->batch_axes > 0 && is_transposed,
                                   .keeps_sums = !site->constant->is_recurrent && !is_matrix,
                                   .keeps_row = !site->constant->is_recurrent && site->axis == 0};
    if (site->constant->is_static) /* a bias takes back what the mean of a row moves */
        view->keeps_row = false;
    return (site->axis == 0 || site->axis == 1) &&
           view->kernels * view->kernel <= OQ_REFINED_ROW_MAX;
}

static bool is_same_view(const struct oq_quantized *q, const struct oq_refinement *view)
{
    const struct oq_refinement *first = q->refinement;
    return first->axis == view->axis && first->is_grouped == view->is_grouped &&
           (q->is_wide || first->keeps_sums == view->keeps_sums);
}

static bool can_be_finer(const struct oq_quantized *q)
{
    const struct oq_ranges *ranges = q->ranges;
    bool has_place =
        ranges->constant->is_static ? q->qmax == OQ_KEPT_SUMS_QMAX : q->n_products == 0;
    return has_place && !q->transposed && q->blocks == NULL && !ranges->is_4_bits &&
           ranges->symmetric && !ranges->has_steps && ranges->source->nelem <= MAX_NELEM;
}

/* Without a second factor, and with no sum of more than one element. */
static bool changes_nothing(const struct oq_refinement *view)
{
    bool keeps_kernels = view->keeps_sums && view->kernel > 1;
    bool keeps_row = view->keeps_row && view->kernels > 1;
    return view->input_scale == NULL && !keeps_kernels && !keeps_row;
}

/* The first use of the integers says how they are seen; all others have to agree. */
static bool add_site(onnxq_plan *plan, const struct oq_site *site)
{
    struct oq_quantized *q = site->quantized;
    struct oq_refinement view;
    if (site->action != ONNXQ_FOLD || q == NULL || !can_be_finer(q))
        return true;
    bool is_wanted = find_view(site, &view) && q->ranges->axis == site->axis &&
                     q->ranges->batch_axes == site->batch_axes;
    if (q->refinement != NULL) {
        q->refinement->is_unwanted |= !is_wanted || !is_same_view(q, &view);
        return true;
    }
    q->refinement = oq_arena_alloc(&plan->arena, sizeof(*q->refinement));
    if (q->refinement == NULL)
        return false;
    if (is_wanted)
        *q->refinement = view;
    if (q->is_wide) /* sums are off by next to nothing as it is */
        q->refinement->keeps_sums = q->refinement->keeps_row = false;
    q->refinement->is_unwanted = !is_wanted;
    return true;
}

static bool add_sites(onnxq_plan *plan)
{
    for (size_t i = 0; i < plan->n_constants; i++)
        for (size_t k = 0; k < plan->constants[i].n_sites; k++)
            if (!add_site(plan, &plan->constants[i].sites[k]))
                return false;
    return true;
}

static void drop_refinements(onnxq_plan *plan, bool (*is_useless)(const struct oq_refinement *))
{
    for (size_t i = 0; i < plan->n_constants; i++)
        for (struct oq_quantized *q = plan->constants[i].quantized; q != NULL; q = q->next)
            if (q->refinement != NULL && is_useless(q->refinement))
                q->refinement = NULL;
}

static bool is_unwanted(const struct oq_refinement *view)
{
    return view->is_unwanted;
}

/* --- the second factor --- */

/*
 * A folded weight has scales of inputs as well, where they are unlike; DequantizeLinear has one
 * factor, and of one scale for all nothing is made finer.
 */
bool oq_site_has_input_scales(const onnxq_plan *plan, const struct oq_site *site)
{
    const struct oq_source *source = &site->constant->source;
    const bool is_matrix = OQ_NODE_IS(site->node, "MatMul", "Gemm") && source->n_dims == 2;
    if (!(is_matrix || oq_node_is(site->node, "", "Conv")) || site->input != 1 ||
        site->constant->tensor == NULL || plan->options.method == ONNXQ_METHOD_QDQ ||
        !plan->options.per_channel || !oq_is_symmetric(&plan->options, false))
        return false;
    const bool is_turned = is_matrix && oq_node_int(site->node, "transB", 0) == 0;
    const int64_t inputs = source->n_dims < 2 ? 0 : source->dims[is_turned ? 0 : 1];
    return inputs > 1 && source->nelem <= MAX_NELEM &&
           source->nelem / (uint64_t)inputs >= LEAST_SHARING &&
           source->nelem / (uint64_t)source->dims[0] <= OQ_REFINED_ROW_MAX;
}

struct refine {
    struct oq_quantized **jobs; /* [n_jobs] weights that may have one */
    size_t n_jobs, jobs_capacity;
    size_t most_inputs;
    onnxq_plan *plan;
};

/* DequantizeLinear, where activations are static, has one factor. */
static bool has_room(const struct oq_quantized *q)
{
    const struct oq_refinement *refinement = q->refinement;
    if (q->ranges->constant->is_static)
        return false;
    const uint64_t inputs = oq_refinement_n_inputs(refinement);
    if (refinement->is_grouped || inputs < 2)
        return false;
    for (uint64_t i = 0; i < q->ranges->n_scales; i++)
        if (q->scale[i] * LEAST_FACTOR < FLT_MIN)
            return false;
    return q->ranges->source->nelem / inputs >= LEAST_SHARING;
}

static float find_largest(const float *x, size_t n)
{
    float largest = 0;
    for (size_t i = 0; i < n; i++) {
        float size = fabsf(x[i]);
        largest = size > largest ? size : largest;
    }
    return largest;
}

/* Whole rows: what each input needs of the steps that its channels have. */
static void measure_rows(const struct oq_quantized *q, uint64_t row, uint64_t n, const float *x,
                         float *most)
{
    const struct oq_refinement *refinement = q->refinement;
    const size_t kernel = (size_t)refinement->kernel;
    const bool by_row = refinement->axis == 0;
    const float qmax = q->is_wide ? q->qmax : OQ_KEPT_SUMS_QMAX;
    for (uint64_t end = row + n; row < end; row++)
        for (uint64_t i = 0; i < refinement->kernels; i++, x += kernel) {
            float part = find_largest(x, kernel) / (q->scale[by_row ? row : i] * qmax);
            float *place = &most[by_row ? i : row];
            *place = part > *place ? part : *place;
        }
}

static bool measure(void *context, size_t job, void *buffer, void *scratch, onnxq_error *error)
{
    const struct refine *refine = context;
    const struct oq_quantized *q = refine->jobs[job];
    const uint64_t row_nelem = q->refinement->kernels * q->refinement->kernel;
    struct oq_piece rows = {.source = q->ranges->source,
                            .x = oq_recipe_floats(scratch),
                            .scratch = scratch,
                            .unit = row_nelem};
    memset(buffer, 0, refine->most_inputs * sizeof(float));
    while (oq_source_next(&rows, error))
        measure_rows(q, rows.first / row_nelem, rows.n / row_nelem, rows.x, buffer);
    return !rows.failed;
}

static bool take(void *context, size_t job, const void *buffer, onnxq_error *error)
{
    const struct refine *refine = context;
    struct oq_refinement *refinement = refine->jobs[job]->refinement;
    const size_t n = (size_t)oq_refinement_n_inputs(refinement);
    const float *most = buffer;
    bool pays = false;
    for (size_t i = 0; i < n; i++)
        pays |= most[i] > 0 && most[i] <= LARGEST_FACTOR;
    if (!pays)
        return true;
    refinement->input_scale = oq_arena_array(&refine->plan->arena, n, sizeof(float));
    if (refinement->input_scale == NULL)
        return oq_arena_fail(&refine->plan->arena, error);
    for (size_t i = 0; i < n; i++) /* inputs of zeros keep the scales */
        refinement->input_scale[i] = most[i] > 0 ? fminf(fmaxf(most[i], LEAST_FACTOR), 1) : 1;
    return true;
}

static bool add_job(struct refine *refine, struct oq_quantized *q)
{
    if (!oq_arena_grow(&refine->plan->arena, &refine->jobs, refine->n_jobs, &refine->jobs_capacity,
                       sizeof(*refine->jobs)))
        return false;
    refine->jobs[refine->n_jobs++] = q;
    size_t n = (size_t)oq_refinement_n_inputs(q->refinement);
    refine->most_inputs = n > refine->most_inputs ? n : refine->most_inputs;
    return true;
}

static bool find_factors(onnxq_plan *plan, onnxq_error *error)
{
    struct refine refine = {.plan = plan};
    for (size_t i = 0; i < plan->n_constants; i++)
        for (struct oq_quantized *q = plan->constants[i].quantized; q != NULL; q = q->next)
            if (q->refinement != NULL && has_room(q) && !add_job(&refine, q))
                return oq_arena_fail(&plan->arena, error);
    const struct oq_pipeline pipeline = {.threads = plan->options.output.threads,
                                         .njobs = refine.n_jobs,
                                         .buffer_nbytes = refine.most_inputs * sizeof(float),
                                         .scratch_nbytes = OQ_RECIPE_SCRATCH_NBYTES,
                                         .context = &refine,
                                         .produce = measure,
                                         .consume = take};
    return refine.n_jobs == 0 || oq_pipeline_run(&pipeline, error);
}

bool oq_plan_refine(onnxq_plan *plan, onnxq_error *error)
{
    if (plan->options.method == ONNXQ_METHOD_QDQ) /* DequantizeLinear has one factor */
        return true;
    if (!add_sites(plan))
        return oq_arena_fail(&plan->arena, error);
    drop_refinements(plan, is_unwanted);
    if (!plan->is_estimate && !find_factors(plan, error))
        return false;
    drop_refinements(plan, changes_nothing);
    return true;
}
