/* Finds the products, runs the model for groups of them, and has each weight rounded. */
#include "calibrate/round_sites.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "calibrate/wanted.h"
#include "engine/value.h"
#include "layers/probe.h"
#include "quantize/rounded_plan.h"
#include "wire/data_type.h"

/* How the form begins that the weights have; its bits follow. */
#define FORM "MatMulNBits,"

/* One of so many is held back. */
#define HELD_STEP 4

/* A product whose weight is stored in blocks. */
struct round_site {
    const onnxq_weight *weight; /* of the first plan */
    const struct oq_tensor *tensor;
    size_t value; /* number of its activation */
};

/* An activation that products take, and what was seen of it. */
struct round_value {
    const char *name;
    bool is_input;
    size_t end;         /* nodes that are needed for it */
    uint64_t n;         /* channels */
    float *seen, *held; /* [n, n] sums of products, while it is looked at */
    uint64_t n_seen, n_held;
};

struct round_work {
    const struct oq_round_options *options;
    struct oq_rounding_seen *told;
    struct oq_arena arena;
    struct oq_signature signature;
    struct oq_input_sets sets; /* empty */
    onnxq_plan *plan;          /* as without inputs */
    struct oq_rounding *rounding;
    bool is_sorted;
    struct round_site *sites;
    struct round_value *values;
    struct oq_strmap by_name; /* of values */
    size_t n_sites, n_values;
    uint64_t n_sets, n_done, n_steps;
};

static bool advance(struct round_work *work, onnxq_error *error)
{
    const struct oq_round_options *options = work->options;
    work->n_done++;
    return options->progress == NULL ||
           options->progress(options->progress_data, work->n_done, work->n_steps) ||
           oq_fail(error, ONNXQ_ERROR_CANCELLED, "cancelled");
}

static bool visit(struct round_work *work, struct oq_set_visit *visit, onnxq_error *error)
{
    work->sets.visit = visit;
    bool ok = oq_feed_visit(&work->sets, work->options->model, &work->signature,
                            &work->options->feed, error);
    work->sets.visit = NULL;
    return ok;
}

/* --- which products ------------------------------------------------------------------- */

static bool is_in_blocks(const onnxq_weight *weight)
{
    return weight->n_uses == 1 && weight->n_dims == 2 && weight->bits == 4 &&
           weight->block_size > 0 && weight->uses[0].action == ONNXQ_DYNAMIC &&
           strncmp(weight->uses[0].form, FORM, strlen(FORM)) == 0 && weight->uses[0].input == 1 &&
           weight->uses[0].domain[0] == '\0';
}

/* The product of the main graph that takes the weight itself, or NULL. */
static const Oq__Pb__NodeProto *find_product(const struct oq_graph *graph,
                                             const struct oq_value *weight)
{
    for (const struct oq_use *use = weight->uses; use != NULL; use = use->next) {
        const Oq__Pb__NodeProto *node =
            use->node == OQ_NO_NODE || use->graph != graph ? NULL : graph->proto->node[use->node];
        if (node != NULL && use->input == 1 &&
            (oq_node_is(node, "", "MatMul") ||
             (oq_node_is(node, "", "Gemm") && oq_node_int(node, "transA", 0) == 0)))
            return node;
    }
    return NULL;
}

static const struct oq_tensor *find_tensor(const onnxq_model *model, const struct oq_value *weight)
{
    const Oq__Pb__TensorProto *proto = oq_value_tensor(weight);
    const struct oq_tensor *tensor = proto == NULL ? NULL : oq_model_tensor(model, proto);
    return tensor != NULL && tensor->dtype != NULL && tensor->dtype->is_float ? tensor : NULL;
}

/* The activation, a new one where it is none yet, or NULL; values are in order of nodes. */
static struct round_value *place_value(struct round_work *work, const char *name, uint64_t n)
{
    const struct oq_value *value = oq_graph_find(work->options->model->graphs.list[0], name);
    void **place = oq_strmap_place(&work->by_name, name);
    if (place == NULL || value == NULL ||
        (value->origin != OQ_ORIGIN_NODE && value->origin != OQ_ORIGIN_INPUT))
        return NULL;
    if (*place == NULL) {
        *place = &work->values[work->n_values++];
        *(struct round_value *)*place =
            (struct round_value){.name = value->name,
                                 .is_input = value->origin == OQ_ORIGIN_INPUT,
                                 .end = value->origin == OQ_ORIGIN_NODE ? value->index + 1 : 0,
                                 .n = n};
    }
    struct round_value *placed = *place;
    return placed->n == n ? placed : NULL; /* no engine runs the other one */
}

static void add_site(struct round_work *work, const onnxq_weight *weight)
{
    const onnxq_model *model = work->options->model;
    const struct oq_graph *graph = model->graphs.list[0];
    const struct oq_value *named = oq_graph_find(graph, weight->name);
    const Oq__Pb__NodeProto *node = named == NULL ? NULL : find_product(graph, named);
    const struct oq_tensor *tensor = named == NULL ? NULL : find_tensor(model, named);
    if (node == NULL || tensor == NULL)
        return;
    const struct round_value *value =
        place_value(work, oq_node_input(node, 0), (uint64_t)weight->dims[weight->channel_axis]);
    if (value != NULL)
        work->sites[work->n_sites++] =
            (struct round_site){weight, tensor, (size_t)(value - work->values)};
}

static bool find_sites(struct round_work *work, onnxq_error *error)
{
    const size_t n = onnxq_plan_count(work->plan);
    oq_strmap_init(&work->by_name, &work->arena);
    work->sites = oq_arena_array(&work->arena, n + 1, sizeof(*work->sites));
    work->values = oq_arena_array(&work->arena, n + 1, sizeof(*work->values));
    if (work->sites == NULL || work->values == NULL)
        return oq_arena_fail(&work->arena, error);
    for (size_t i = 0; i < n; i++)
        if (is_in_blocks(onnxq_plan_get(work->plan, i)))
            add_site(work, onnxq_plan_get(work->plan, i));
    return !work->arena.failed || oq_arena_fail(&work->arena, error);
}

/* --- what is seen of activations ----------------------------------------------------- */

struct round_pass {
    struct round_work *work;
    struct round_value *values; /* a group */
    size_t n_values;
    struct oq_session *session; /* NULL: all are inputs */
};

/* Rows of the same number belong together: both halves see different texts, or pictures. */
static bool is_held(const struct round_work *work, const struct oq_floats *floats, uint64_t set,
                    uint64_t row, uint64_t n_rows)
{
    if (floats->n_dims > 2 && floats->dims[0] >= HELD_STEP)
        return row / (n_rows / (uint64_t)floats->dims[0]) % HELD_STEP == HELD_STEP - 1;
    return (work->n_sets >= HELD_STEP ? set : row) % HELD_STEP == HELD_STEP - 1;
}

/* Rows of one half, until there are enough of them to be added. */
struct round_panel {
    float *sums, *rows; /* [n, n], [OQ_PRODUCTS_AT_ONCE, n] */
    size_t count;
};

static void flush_panel(struct round_panel *panel, size_t n)
{
    oq_add_products(panel->sums, panel->rows, panel->count, n);
    panel->count = 0;
}

static bool add_rows(struct round_work *work, struct round_value *value,
                     const struct oq_floats *floats, uint64_t set, onnxq_error *error)
{
    const size_t n = (size_t)value->n, room = OQ_PRODUCTS_AT_ONCE * n;
    const bool fits = floats->data != NULL && floats->n_dims > 0 &&
                      (uint64_t)floats->dims[floats->n_dims - 1] == value->n;
    const uint64_t n_rows = fits ? floats->nelem / value->n : 0;
    float *rows = malloc((2 * room + 1) * sizeof(*rows));
    struct round_panel panels[] = {{value->seen, rows, 0}, {value->held, rows + room, 0}};
    if (rows == NULL)
        return oq_fail_memory(error);
    for (uint64_t r = 0; r < n_rows; r++) {
        const bool held = is_held(work, floats, set, r, n_rows);
        struct round_panel *panel = &panels[held];
        memcpy(panel->rows + panel->count++ * n, floats->data + r * n, n * sizeof(*rows));
        if (panel->count == OQ_PRODUCTS_AT_ONCE)
            flush_panel(panel, n);
        value->n_seen += !held;
        value->n_held += held;
    }
    flush_panel(&panels[0], n);
    flush_panel(&panels[1], n);
    free(rows);
    return true;
}

static bool add_input(struct round_work *work, struct round_value *value,
                      const struct oq_input_set *inputs, uint64_t set, onnxq_error *error)
{
    const struct oq_array *array = oq_arrays_find(&inputs->inputs, value->name);
    if (array == NULL || array->data_type != OQ_TYPE(FLOAT))
        return true;
    const struct oq_floats floats = {array->data, array->dims, array->n_dims, array->nelem};
    return add_rows(work, value, &floats, set, error);
}

static bool run_set(const struct round_pass *pass, const struct oq_input_set *set,
                    onnxq_error *error)
{
    if (pass->session == NULL)
        return true;
    if (!oq_session_set_inputs(pass->session, set->inputs.list, set->inputs.count, error))
        return false;
    if (oq_session_run(pass->session, error))
        return true;
    oq_error_place(error, "%s", set->label);
    return false;
}

static bool take_set(void *data, uint64_t number, struct oq_input_set *set, onnxq_error *error)
{
    const struct round_pass *pass = data;
    bool ok = run_set(pass, set, error);
    for (size_t i = 0, k = 0; ok && i < pass->n_values; i++) {
        struct round_value *value = &pass->values[i];
        struct oq_floats floats;
        if (value->is_input) {
            ok = add_input(pass->work, value, set, number, error);
            continue;
        }
        ok = oq_session_borrow_output(pass->session, k++, &floats, error);
        if (ok)
            ok = add_rows(pass->work, value, &floats, number, error);
        free(floats.dims);
    }
    return ok && advance(pass->work, error);
}

/* The model up to the last of the values, which are its outputs; NULL without an error: none. */
static bool open_session(const struct round_work *work, struct round_pass *pass, onnxq_error *error)
{
    const struct oq_round_options *options = work->options;
    const char **names = calloc(pass->n_values + 1, sizeof(*names));
    struct oq_probe probe;
    size_t n = 0, end = 0;
    if (names == NULL)
        return oq_fail_memory(error);
    for (size_t i = 0; i < pass->n_values; i++) {
        if (!pass->values[i].is_input)
            names[n++] = pass->values[i].name;
        end = pass->values[i].end > end ? pass->values[i].end : end;
    }
    bool ok = true;
    if (n > 0) {
        ok = oq_probe_init(&probe, options->model, error);
        if (ok && work->is_sorted)
            oq_probe_keep_first(&probe, end);
        ok = ok && oq_probe_add_outputs(&probe, names, n, error);
        pass->session =
            ok ? oq_probe_open(&probe, options->engine, &options->session, error) : NULL;
        ok = pass->session != NULL && oq_session_set_outputs(pass->session, names, n, error);
        oq_probe_fini(&probe);
    }
    free(names);
    return ok;
}

/* --- one weight ------------------------------------------------------------------------ */

/* As [inputs, outputs], whichever way it lies. */
static bool read_weight(const struct round_site *site, size_t n_inputs, size_t n_outputs,
                        float *weight, onnxq_error *error)
{
    const uint64_t nelem = site->tensor->nelem;
    const bool is_turned = site->weight->channel_axis == 1;
    void *scratch = malloc(OQ_READ_SCRATCH_NBYTES);
    float *piece = malloc(OQ_READ_MAX_NELEM * sizeof(*piece));
    bool ok = (scratch != NULL && piece != NULL) || oq_fail_memory(error);
    for (uint64_t first = 0; ok && first < nelem; first += OQ_READ_MAX_NELEM) {
        const size_t n = (size_t)oq_min_u64(OQ_READ_MAX_NELEM, nelem - first);
        ok = oq_tensor_read_floats(site->tensor, first, n, piece, scratch, error);
        for (size_t i = 0; ok && i < n; i++) {
            const size_t at = (size_t)first + i;
            weight[is_turned ? at % n_inputs * n_outputs + at / n_inputs : at] = piece[i];
        }
    }
    free(scratch);
    free(piece);
    return ok;
}

static void tell(struct oq_rounding_seen *told, const struct round_value *value)
{
    told->n_weights++;
    if (told->n_weights == 1 || value->n_seen * told->n_inputs < told->fewest_rows * value->n) {
        told->fewest_rows = value->n_seen;
        told->n_inputs = value->n;
    }
}

static bool round_site(struct round_work *work, const struct round_site *site, onnxq_error *error)
{
    const struct round_value *value = &work->values[site->value];
    struct oq_rounded_blocks rounded = {0};
    const size_t n = (size_t)value->n, n_outputs = (size_t)site->tensor->nelem / n;
    float *weight = malloc((size_t)site->tensor->nelem * sizeof(*weight));
    const struct oq_rounding_problem problem = {.n_inputs = n,
                                                .n_outputs = n_outputs,
                                                .block_size = (size_t)site->weight->block_size,
                                                .symmetric =
                                                    work->options->quantize->symmetric == 1,
                                                .weight = weight,
                                                .seen = value->seen,
                                                .held = value->held};
    bool ok = weight != NULL || oq_fail_memory(error);
    ok = ok && read_weight(site, n, n_outputs, weight, error) &&
         (oq_round_blocks(&problem, &rounded) || oq_fail_memory(error)) &&
         oq_rounding_add(work->rounding, site->weight->name, &problem, &rounded, error);
    oq_rounded_blocks_fini(&rounded);
    free(weight);
    if (ok)
        tell(work->told, value);
    return ok && advance(work, error);
}

static bool round_value_sites(struct round_work *work, size_t number, onnxq_error *error)
{
    const struct round_value *value = &work->values[number];
    if (value->n_seen == 0 && value->n_held == 0)
        return true; /* no float32 tensor of that many channels */
    if (value->n_seen == 0 || value->n_held == 0) {
        oq_fail(error, ONNXQ_ERROR_OPTION,
                "inputs give %" PRIu64 " rows of '%s', expected %d or more: a quarter is held back",
                value->n_seen + value->n_held, value->name, HELD_STEP);
        return false;
    }
    for (size_t i = 0; i < work->n_sites; i++)
        if (work->sites[i].value == number && !round_site(work, &work->sites[i], error))
            return false;
    return true;
}

/* --- groups of activations --------------------------------------------------------------- */

static bool allocate_sums(struct round_value *value, onnxq_error *error)
{
    uint64_t nelem;
    bool ok = oq_mul_u64(value->n, value->n, &nelem) && nelem <= SIZE_MAX / sizeof(float);
    value->seen = ok ? calloc((size_t)nelem + 1, sizeof(float)) : NULL;
    value->held = ok ? calloc((size_t)nelem + 1, sizeof(float)) : NULL;
    return (value->seen != NULL && value->held != NULL) || oq_fail_memory(error);
}

static bool run_group(struct round_work *work, size_t first, size_t end, onnxq_error *error)
{
    struct round_pass pass = {
        .work = work, .values = work->values + first, .n_values = end - first};
    struct oq_set_visit all = {.count = UINT64_MAX, .take = take_set, .data = &pass};
    bool ok = true;
    for (size_t i = first; ok && i < end; i++)
        ok = allocate_sums(&work->values[i], error);
    ok = ok && open_session(work, &pass, error) && visit(work, &all, error);
    oq_session_close(pass.session);
    for (size_t i = first; i < end; i++) {
        ok = ok && round_value_sites(work, i, error);
        free(work->values[i].seen);
        free(work->values[i].held);
        work->values[i].seen = work->values[i].held = NULL;
    }
    return ok;
}

/* The end of the group that begins there: as many as fit, one at least. */
static size_t end_of_group(const struct round_work *work, size_t first)
{
    const uint64_t limit = work->options->nbytes != 0 ? work->options->nbytes : OQ_ROUND_NBYTES;
    uint64_t sum = 0;
    size_t end = first;
    for (; end < work->n_values; end++) {
        const uint64_t n = work->values[end].n;
        const uint64_t nbytes = n > UINT32_MAX / 8 ? UINT64_MAX / 2 : 2 * n * n * sizeof(float);
        if (end > first && sum + nbytes > limit)
            break;
        sum += nbytes;
    }
    return end;
}

static bool run_groups(struct round_work *work, onnxq_error *error)
{
    size_t n_groups = 0;
    for (size_t i = 0; i < work->n_values; i = end_of_group(work, i))
        n_groups++;
    work->n_steps = n_groups * work->n_sets + work->n_sites;
    for (size_t i = 0, end; i < work->n_values; i = end) {
        end = end_of_group(work, i);
        if (!run_group(work, i, end, error))
            return false;
    }
    return true;
}

/* --- the whole ------------------------------------------------------------------------------ */

static bool prepare(struct round_work *work, onnxq_error *error)
{
    const onnxq_model *model = work->options->model;
    struct oq_wanted_list wanted;
    struct oq_set_visit none = {.count = 0};
    work->plan = onnxq_plan_create(model, work->options->quantize, error);
    work->rounding = work->plan == NULL ? NULL : oq_rounding_create(error);
    if (work->rounding == NULL ||
        !oq_signature_init(&work->signature, model, &work->arena, error) ||
        !oq_wanted_find(&wanted, model, &work->arena, error) || !visit(work, &none, error))
        return false;
    work->is_sorted = wanted.is_sorted;
    work->n_sets = none.n_sets;
    return work->n_sets > 0 ||
           oq_fail(error, ONNXQ_ERROR_OPTION, "there are no inputs to run the model with");
}

onnxq_plan *oq_round_with_inputs(const struct oq_round_options *options,
                                 struct oq_rounding_seen *seen, onnxq_error *error)
{
    struct round_work work = {.options = options, .told = seen};
    onnxq_plan *plan = NULL;
    *seen = (struct oq_rounding_seen){0};
    oq_arena_init(&work.arena, OQ_STRUCTURE_BUDGET);
    bool ok = prepare(&work, error) && find_sites(&work, error) && run_groups(&work, error);
    if (ok) {
        plan = oq_plan_create_rounded(options->model, options->quantize, work.rounding, error);
        work.rounding = NULL;
    }
    if (!ok)
        oq_error_file(error, options->model->file.path);
    oq_rounding_destroy(work.rounding);
    onnxq_plan_destroy(work.plan);
    oq_input_sets_fini(&work.sets);
    oq_arena_fini(&work.arena);
    return plan;
}
