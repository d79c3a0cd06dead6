/* Opens a model and says what was wrong with it under the name that was given. */
#define _POSIX_C_SOURCE 200809L
#include "cli/files/model_input.h"

#include <errno.h>
#include <string.h>

#include "cli/terminal/interrupt.h"
#include "cli/terminal/messages.h"

int cli_model_input_open(const cli_common *common, cli_input *input, const char *path)
{
    switch (cli_input_open(input, path)) {
    case CLI_INPUT_OK:
        return CLI_EXIT_OK;
    case CLI_INPUT_NOT_READ:
        cli_error(common, "standard input: cannot read: %s", strerror(errno));
        return CLI_EXIT_INPUT;
    case CLI_INPUT_NOT_SPOOLED:
        cli_error(common, "standard input: cannot keep a copy: %s", strerror(errno));
        cli_hint(common, "TMPDIR names the folder for it");
        return CLI_EXIT_OUTPUT;
    case CLI_INPUT_INTERRUPTED:
        break;
    }
    return 128 + cli_interrupt_signal();
}

int cli_model_input_fail(const cli_common *common, const cli_input *input, const char *path,
                         onnxq_error *error)
{
    if (error->status == ONNXQ_ERROR_CANCELLED && cli_interrupt_signal() != 0)
        return 128 + cli_interrupt_signal();
    /* The descriptor that stands for standard input says nothing to a person. */
    if (input->path != path && strcmp(error->file, input->path) == 0)
        snprintf(error->file, sizeof(error->file), "standard input");
    return cli_library_error(common, error);
}
