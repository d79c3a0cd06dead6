/* Names of outputs, before anything is read or written. */
#define _POSIX_C_SOURCE 200809L
#include "cli/files/named_output.h"

#include <string.h>

#include "base/os.h"
#include "cli/files/file_paths.h"
#include "cli/terminal/messages.h"
#include "model/model.h"

int cli_output_choose(const cli_common *common, const char *model, const char *named,
                      const char *suffix, const char *ending, cli_named_output *output)
{
    output->is_derived = named == NULL || cli_names_folder(named);
    output->path =
        output->is_derived ? cli_derive_path(model, named, NULL, suffix, ending) : strdup(named);
    if (output->path == NULL)
        return cli_memory_error(common);
    if (!oq_is_standard_output(output->path) && cli_is_same_file(output->path, model))
        return cli_usage(common, NULL, "%s is the model", output->path);
    return CLI_EXIT_OK;
}

int cli_output_check_free(const cli_common *common, const char *output, const char *hint)
{
    if (oq_is_standard_output(output) || !cli_path_exists(output))
        return CLI_EXIT_OK;
    cli_error(common, "%s: it exists and is kept", output);
    cli_hint(common, "%s", hint);
    return CLI_EXIT_OUTPUT;
}

/* A float model that could be quantized itself, and that no earlier run has written. */
static bool is_original(const char *path)
{
    struct oq_file_status status;
    onnxq_options options;
    onnxq_options_init(&options);
    onnxq_model *model = oq_os_status(path, &status) && status.type == OQ_FILE_REGULAR
                             ? onnxq_model_open(path, NULL)
                             : NULL;
    onnxq_plan *plan = model != NULL && !oq_model_is_ours(model)
                           ? onnxq_plan_estimate(model, &options, NULL)
                           : NULL;
    const onnxq_summary *summary = plan != NULL ? onnxq_plan_get_summary(plan) : NULL;
    bool is = summary != NULL && summary->n_quantized > 0 && summary->n_quantized_before == 0;
    onnxq_plan_destroy(plan);
    onnxq_model_close(model);
    return is;
}

int cli_output_check_original(const cli_common *common, const char *output)
{
    if (oq_is_standard_output(output) || !is_original(output))
        return CLI_EXIT_OK;
    cli_error(common, "%s: a float model is there, and is kept", output);
    cli_hint(common, "-f replaces it, and so does -o FILE");
    return CLI_EXIT_OUTPUT;
}
