/* Finds a command by its name, parses its options, runs it. */
#define _POSIX_C_SOURCE 200809L
#include "cli/command.h"

#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "cli/terminal/messages.h"

const cli_command *cli_find_command(const char *name)
{
    for (const cli_command *const *command = cli_commands; *command != NULL; command++) {
        if (strcmp((*command)->name, name) == 0)
            return *command;
    }
    return NULL;
}

static bool looks_like_model(const char *name)
{
    return strchr(name, '/') != NULL || strstr(name, ".onnx") != NULL || strcmp(name, "-") == 0;
}

int cli_fail_command(const cli_common *common, const char *name)
{
    struct oq_nearest nearest = {.wanted = name};
    for (const cli_command *const *command = cli_commands; *command != NULL; command++)
        oq_nearest_offer(&nearest, (*command)->name);
    cli_error(common, "'%s' is not a command", name);
    if (nearest.name != NULL)
        cli_hint(common, "did you mean '%s'?", nearest.name);
    else if (looks_like_model(name))
        cli_hint(common, "the command comes first: onnxq quantize %s", name);
    else
        cli_hint(common, "'onnxq help' lists the commands");
    return CLI_EXIT_USAGE;
}

void *cli_settings_new(const cli_command *command)
{
    void *settings = calloc(1, command->settings_nbytes);
    if (settings != NULL && command->defaults != NULL)
        command->defaults(settings);
    return settings;
}

void cli_settings_free(const cli_command *command, void *settings)
{
    if (command->release != NULL)
        command->release(settings);
    free(settings);
}

int cli_run_command(const cli_command *command, int argc, char **argv)
{
    void *settings = cli_settings_new(command);
    if (settings == NULL)
        return cli_memory_error(&(cli_common){0});
    int n_operands = 0, status = cli_parse(&command->options, settings, argc, argv, &n_operands);
    if (status == CLI_EXIT_OK) {
        const cli_common *common = settings;
        status = common->help ? cli_print_help(command, stdout)
                              : command->run(settings, n_operands, argv);
    }
    cli_settings_free(command, settings);
    return status;
}
