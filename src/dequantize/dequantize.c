/* The public functions of the way back to float. */
#include <stdlib.h>

#include "dequantize/undo.h"
#include "model/cycles.h"

void onnxq_dequantize_options_init(onnxq_dequantize_options *options)
{
    *options = (onnxq_dequantize_options){.struct_size = sizeof(*options), .output.sync = true};
}

static bool check_options(const onnxq_dequantize_options *options, onnxq_error *error)
{
    if (options->struct_size != sizeof(*options))
        return oq_fail(error, ONNXQ_ERROR_OPTION,
                       "options were not set up with onnxq_dequantize_options_init()");
    if ((unsigned)options->float_type > ONNXQ_FLOAT16)
        return oq_fail(error, ONNXQ_ERROR_OPTION, "options.float_type has a value out of range");
    if ((unsigned)options->output.external_data > ONNXQ_EXTERNAL_NEVER)
        return oq_fail(error, ONNXQ_ERROR_OPTION, "options.external_data has a value out of range");
    if (options->narrow_floats && options->float_type != ONNXQ_FLOAT16)
        return oq_fail(
            error, ONNXQ_ERROR_OPTION,
            "options.narrow_floats=true has no effect without options.float_type=float16");
    return true;
}

static bool summarize(onnxq_dequantization *undo, onnxq_error *error)
{
    struct oq_draft_sizes sizes;
    if (!oq_draft_measure(&undo->draft, &undo->options.output, &sizes, error))
        return false;
    undo->summary.struct_size = sizeof(undo->summary);
    undo->summary.nbytes_before = sizes.before;
    undo->summary.nbytes_after = sizes.after;
    undo->summary.external_nbytes_after = sizes.external_after;
    return true;
}

onnxq_dequantization *onnxq_dequantization_create(const onnxq_model *model,
                                                  const onnxq_dequantize_options *options,
                                                  onnxq_error *error)
{
    onnxq_error ignored;
    onnxq_dequantize_options defaults;
    onnxq_dequantize_options_init(&defaults);
    options = options == NULL ? &defaults : options;
    error = oq_error_start(error, &ignored);
    if (!check_options(options, error))
        return NULL;
    onnxq_dequantization *undo = calloc(1, sizeof(*undo));
    if (undo == NULL) {
        oq_fail_memory(error);
        return NULL;
    }
    oq_arena_init(&undo->arena, oq_model_budget(model));
    undo->model = model;
    undo->options = *options;
    undo->error = error;
    if (oq_refuse_cycles(model, error) && oq_undo_match(undo) && oq_undo_find_floats(undo) &&
        oq_undo_rewrite(undo) && summarize(undo, error)) {
        undo->error = NULL;
        return undo;
    }
    oq_error_file(error, model->file.path);
    onnxq_dequantization_destroy(undo);
    return NULL;
}

void onnxq_dequantization_destroy(onnxq_dequantization *undo)
{
    if (undo == NULL)
        return;
    oq_draft_fini(&undo->draft);
    oq_arena_fini(&undo->arena);
    free(undo);
}

size_t onnxq_dequantization_count(const onnxq_dequantization *undo)
{
    return undo->n_entries;
}

const onnxq_dequantized *onnxq_dequantization_get(const onnxq_dequantization *undo, size_t index)
{
    return &undo->entries[index];
}

size_t onnxq_dequantization_form_count(const onnxq_dequantization *undo)
{
    return undo->n_forms;
}

const onnxq_dequantized_form *onnxq_dequantization_get_form(const onnxq_dequantization *undo,
                                                            size_t index)
{
    return &undo->forms[index];
}

const onnxq_dequantize_summary *onnxq_dequantization_get_summary(const onnxq_dequantization *undo)
{
    return &undo->summary;
}

onnxq_status onnxq_dequantization_get_output_size(const onnxq_dequantization *undo,
                                                  const char *path, uint64_t *model_nbytes,
                                                  uint64_t *external_nbytes, onnxq_error *error)
{
    return oq_draft_get_size(&undo->draft, &undo->options.output, path, model_nbytes,
                             external_nbytes, error);
}

onnxq_status onnxq_dequantization_write(const onnxq_dequantization *undo, const char *path,
                                        onnxq_error *error)
{
    return oq_draft_write(&undo->draft, &undo->options.output, "nothing to dequantize", path,
                          error);
}

onnxq_status onnxq_dequantize_file(const char *input, const char *output,
                                   const onnxq_dequantize_options *options, onnxq_error *error)
{
    onnxq_error ignored;
    error = error == NULL ? &ignored : error;
    onnxq_model *model = onnxq_model_open(input, error);
    onnxq_dequantization *undo =
        model == NULL ? NULL : onnxq_dequantization_create(model, options, error);
    onnxq_status status =
        undo == NULL ? error->status : onnxq_dequantization_write(undo, output, error);
    onnxq_dequantization_destroy(undo);
    onnxq_model_close(model);
    return status;
}
