/* Takes inputs from files or draws them, run by run. */
#include "inputs/feed.h"

static bool read_files(struct oq_input_sets *sets, const struct oq_signature *signature,
                       const struct oq_feed_options *options, onnxq_error *error)
{
    struct oq_pictures pictures;
    bool ok = true;
    oq_pictures_init(&pictures, signature, &options->pictures);
    sets->pictures = &pictures.maker;
    for (size_t i = 0; ok && i < options->n_paths; i++)
        ok = oq_input_sets_read(sets, options->paths[i], error);
    sets->pictures = NULL;
    return ok && oq_pictures_check(&pictures, error);
}

static bool draw(struct oq_input_sets *sets, const onnxq_model *const *models, size_t n_models,
                 const struct oq_signature *signature, const struct oq_feed_options *options,
                 onnxq_error *error)
{
    for (uint64_t i = 0; i < options->n_random; i++) {
        if (!oq_draw_inputs(models, n_models, signature, &options->draw, sets, error))
            return false;
    }
    return true;
}

static bool bind(const struct oq_signature *signature, struct oq_input_set *set, onnxq_error *error)
{
    if (oq_signature_bind(signature, set, error))
        return true;
    oq_error_file(error, set->label);
    return false;
}

bool oq_feed_make(struct oq_input_sets *sets, const onnxq_model *const *models, size_t n_models,
                  const struct oq_signature *signature, const struct oq_feed_options *options,
                  onnxq_error *error)
{
    bool made = options->n_paths > 0 ? read_files(sets, signature, options, error)
                                     : draw(sets, models, n_models, signature, options, error);
    if (!made)
        return false;
    for (size_t i = 0; i < sets->count; i++)
        if (!bind(signature, &sets->list[i], error))
            return false;
    return true;
}

/* --- one set after the other ---------------------------------------------------- */

/* A visit whose sets are bound before they are taken. */
struct bound_visit {
    const struct oq_signature *signature;
    struct oq_set_visit *wanted;
};

static bool take_bound(void *data, uint64_t number, struct oq_input_set *set, onnxq_error *error)
{
    const struct bound_visit *visit = data;
    return bind(visit->signature, set, error) &&
           visit->wanted->take(visit->wanted->data, number, set, error);
}

static bool visit_drawn(struct oq_input_sets *sets, const onnxq_model *model,
                        const struct oq_signature *signature, const struct oq_feed_options *options,
                        onnxq_error *error)
{
    struct oq_set_visit *visit = sets->visit;
    for (; visit->n_sets < options->n_random; visit->n_sets++) {
        uint64_t number = visit->n_sets;
        if (number < visit->first || number - visit->first >= visit->count)
            continue;
        if (!oq_draw_inputs(&model, 1, signature, &options->draw, sets, error) ||
            !visit->take(visit->data, number, &sets->list[0], error))
            return false;
        oq_input_sets_drop(sets);
    }
    return true;
}

bool oq_feed_visit(struct oq_input_sets *sets, const onnxq_model *model,
                   const struct oq_signature *signature, const struct oq_feed_options *options,
                   onnxq_error *error)
{
    struct oq_set_visit *wanted = sets->visit, bound = *wanted;
    struct bound_visit data = {.signature = signature, .wanted = wanted};
    bound.take = take_bound;
    bound.data = &data;
    sets->visit = &bound;
    bool ok = options->n_paths > 0 ? read_files(sets, signature, options, error)
                                   : visit_drawn(sets, model, signature, options, error);
    sets->visit = wanted;
    wanted->n_sets = bound.n_sets;
    while (sets->count > 0)
        oq_input_sets_drop(sets);
    return ok;
}

/* --- other sizes ------------------------------------------------------------------ */

static void explain(const struct oq_input_sets *sets, bool tries_others, onnxq_error *error)
{
    if (sets->sizes != NULL)
        oq_error_hint(error, "--dim sets other sizes than those that were drawn (%s)%s",
                      sets->sizes, tries_others ? "; other usual ones do not run either" : "");
}

bool oq_feed_try_others(struct oq_feed_options *options, const struct oq_input_sets *sets,
                        onnxq_error *first, onnxq_error *error)
{
    struct oq_draw_options *draw = &options->draw;
    bool is_crash = error->status == ONNXQ_ERROR_ENGINE;
    bool tries_others = sets->sizes != NULL && sets->has_others && !is_crash;
    if (!is_crash && error->status != ONNXQ_ERROR_INPUT)
        return false;
    if (draw->tried == 0) {
        *first = *error;
        explain(sets, tries_others, first);
    }
    *error = *first;
    if (!tries_others || draw->tried + 1 == OQ_DRAW_TRIES)
        return false;
    draw->tried++;
    oq_error_init(error);
    return true;
}
