#include "values/feed.h"

static bool read_files(struct oq_input_sets *sets, const struct oq_feed_options *options,
                       onnxq_error *error)
{
    for (size_t i = 0; i < options->n_paths; i++) {
        if (!oq_input_sets_read(sets, options->paths[i], error))
            return false;
    }
    return true;
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

bool oq_feed_make(struct oq_input_sets *sets, const onnxq_model *const *models, size_t n_models,
                  const struct oq_signature *signature, const struct oq_feed_options *options,
                  onnxq_error *error)
{
    bool made = options->n_paths > 0 ? read_files(sets, options, error)
                                     : draw(sets, models, n_models, signature, options, error);
    if (!made)
        return false;
    for (size_t i = 0; i < sets->count; i++) {
        if (!oq_signature_bind(signature, &sets->list[i], error)) {
            oq_error_file(error, sets->list[i].label);
            return false;
        }
    }
    return true;
}
