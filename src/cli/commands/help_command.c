/* `onnxq help`. */
#include "cli/command.h"
#include "cli/man.h"
#include "cli/terminal/messages.h"

struct help_settings {
    cli_common common; /* first */
    bool man;
};

#define OPTION(kind, letter, name, member, ...)                                                    \
    CLI_OPTION(kind, letter, name, offsetof(struct help_settings, member), __VA_ARGS__)

static const cli_option help_options[] = {
    {.kind = CLI_HEADING, .help = "Options"},
    OPTION(FLAG, 0, "man", man, .help = "the manual page of all commands, for man(1)"),
    {0}};

static int run_help(void *data, int n_operands, char **operands)
{
    const struct help_settings *settings = data;
    if (n_operands > 1 || (n_operands == 1 && settings->man))
        return cli_usage(&settings->common, NULL, "help is about one command at a time");
    if (settings->man)
        return cli_print_man(stdout);
    const cli_command *command = n_operands == 0 ? &cli_program : cli_find_command(operands[0]);
    if (command == NULL)
        return cli_fail_command(&settings->common, operands[0]);
    return cli_print_help(command, stdout);
}

const cli_command cli_help = {.name = "help",
                              .summary = "Says what a command does and which options it takes.",
                              .usage = "help [COMMAND]\nhelp --man",
                              .options = {{help_options, cli_help_option}},
                              .operands = CLI_COMMAND_OPERANDS,
                              .settings_nbytes = sizeof(struct help_settings),
                              .run = run_help};
