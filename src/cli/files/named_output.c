/* Names of outputs, before anything is read or written. */
#define _POSIX_C_SOURCE 200809L
#include "cli/files/named_output.h"

#include <string.h>

#include "base/os.h"
#include "cli/files/file_paths.h"
#include "cli/terminal/messages.h"

int cli_output_choose(const cli_common *common, const char *model, const char *named,
                      const char *suffix, const char *ending, char **output)
{
    *output = named != NULL ? strdup(named) : cli_derive_path(model, NULL, NULL, suffix, ending);
    if (*output == NULL)
        return cli_memory_error(common);
    if (!oq_is_standard_output(*output) && cli_is_same_file(*output, model))
        return cli_usage(common, NULL, "%s is the model", *output);
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
