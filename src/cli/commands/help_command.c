/* `onnxq help`. */
#include "cli/command.h"
#include "cli/terminal/messages.h"

static int run_help(void *settings, int n_operands, char **operands)
{
    if (n_operands > 1)
        return cli_usage(settings, NULL, "help is about one command at a time");
    const cli_command *command = n_operands == 0 ? &cli_program : cli_find_command(operands[0]);
    if (command == NULL)
        return cli_fail_command(settings, operands[0]);
    return cli_print_help(command, stdout);
}

const cli_command cli_help = {.name = "help",
                              .summary = "Says what a command does and which options it takes.",
                              .usage = "help [COMMAND]",
                              .options = {{cli_help_option, NULL}},
                              .operands = CLI_COMMAND_OPERANDS,
                              .settings_nbytes = sizeof(cli_common),
                              .run = run_help};
