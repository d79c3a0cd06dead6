/* The table of commands, standard streams, and the exit code. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <onnxq/onnxq.h>

#include "cli/command.h"
#include "cli/terminal/interrupt.h"
#include "cli/terminal/messages.h"
#include "cli/terminal/terminal.h"

const cli_command *const cli_commands[] = {
    &cli_quantize, &cli_tune,       &cli_calibrate, &cli_inspect,    &cli_check,
    &cli_bench,    &cli_dequantize, &cli_help,      &cli_completion, NULL};

struct program_settings {
    cli_common common; /* first */
    bool version;
};

#define OPTION(kind, letter, name, member, ...)                                                    \
    CLI_OPTION(kind, letter, name, offsetof(struct program_settings, member), __VA_ARGS__)

static const cli_option program_options[] = {
    {.kind = CLI_HEADING, .help = "Options"},
    OPTION(FLAG, 'V', "version", version, .help = "show the version"),
    OPTION(FLAG, 'h', "help", common.help, .help = "show this text"),
    {0}};

static int run_program(void *settings, int n_operands, char **operands)
{
    const struct program_settings *program = settings;
    (void)operands;
    if (n_operands > 0)
        return cli_usage(&program->common, "as in 'onnxq quantize --dry-run model.onnx'",
                         "a command comes first, its options follow");
    if (program->version)
        printf("onnxq %s\n", onnxq_version());
    return program->version ? CLI_EXIT_OK
                            : cli_usage(&program->common, "'onnxq help' lists the commands",
                                        "there is no command");
}

const cli_command cli_program = {
    .name = "onnxq",
    .summary = "Makes ONNX models smaller and faster by storing and computing weights as int8.",
    .usage = "COMMAND [OPTION]... [FILE]...",
    .notes = "'onnxq help COMMAND' has the options of a command.",
    .options = {{program_options, NULL}},
    .operands = CLI_COMMAND_OPERANDS,
    .settings_nbytes = sizeof(struct program_settings),
    .run = run_program};

/* Results that did not arrive are a failure, whatever came before. */
static int close_standard_output(int status)
{
    errno = 0;
    cli_flush_text();
    bool failed = fflush(stdout) != 0 || ferror(stdout) != 0;
    bool is_reader_gone = cli_has_reader_gone(); /* no reason for a message */
    failed = fclose(stdout) != 0 || failed;
    if (!failed)
        return status;
    int reason = errno;
    if (!is_reader_gone)
        cli_error(&(cli_common){0}, "standard output: cannot write%s%s", reason != 0 ? ": " : "",
                  reason != 0 ? strerror(reason) : "");
    return status == CLI_EXIT_OK ? CLI_EXIT_OUTPUT : status;
}

/* The option of all commands that a word begins with, or NULL. */
static const cli_option *find_shared(const char *word)
{
    size_t n = word[1] == '-' ? strcspn(word + 2, "=") : 0;
    for (const cli_option *option = cli_common_options; option->kind != CLI_END; option++) {
        bool is_letter = option->letter != 0 && word[1] == option->letter;
        bool is_name = n > 0 && option->name != NULL && strlen(option->name) == n &&
                       strncmp(word + 2, option->name, n) == 0;
        if (is_letter || is_name)
            return option;
    }
    return NULL;
}

/* Whether the next word is its value: -j 4. */
static bool takes_next_word(const char *word)
{
    bool is_joined = word[1] == '-' ? strchr(word, '=') != NULL : word[2] != '\0';
    return cli_takes_value(find_shared(word)) && !is_joined;
}

/* `onnxq -q quantize ...` is `onnxq quantize -q ...`, as with other programs. */
static void move_command_first(int argc, char **argv)
{
    int i = 1;
    while (i < argc && argv[i][0] == '-' && find_shared(argv[i]) != NULL)
        i += takes_next_word(argv[i]) ? 2 : 1;
    if (i >= argc || cli_find_command(argv[i]) == NULL)
        return;
    char *command = argv[i];
    memmove(argv + 2, argv + 1, (size_t)(i - 1) * sizeof(*argv));
    argv[1] = command;
}

static int run(int argc, char **argv)
{
    if (argc < 2) {
        cli_print_help(&cli_program, stderr);
        return CLI_EXIT_USAGE;
    }
    move_command_first(argc, argv);
    static char version[] = "--version";
    if (strcmp(argv[1], "version") == 0)
        argv[1] = version;
    if (argv[1][0] == '-' && argv[1][1] != '\0')
        return cli_run_command(&cli_program, argc - 1, argv + 1);
    const cli_command *command = cli_find_command(argv[1]);
    if (command == NULL)
        return cli_fail_command(&(cli_common){0}, argv[1]);
    return cli_run_command(command, argc - 2, argv + 2);
}

int main(int argc, char **argv)
{
    cli_open_standard_streams();
    cli_interrupt_install();
    int status = close_standard_output(run(argc, argv));
    if (status > 128 && status == 128 + cli_interrupt_signal())
        cli_interrupt_raise();
    return status;
}
