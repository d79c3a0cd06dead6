/* The manual page, made from the tables of options: `onnxq help --man`. */
#define _POSIX_C_SOURCE 200809L
#include "cli/man.h"

#include <string.h>

#include "cli/terminal/messages.h"

/* Text of which nothing is a request or an escape of roff; `upper`: in capitals. */
static void put_text(const char *text, size_t length, bool upper, FILE *stream)
{
    bool at_start = true;
    for (size_t i = 0; i < length; i++) {
        char c = upper && text[i] >= 'a' && text[i] <= 'z' ? (char)(text[i] - 'a' + 'A') : text[i];
        if (at_start && (c == '.' || c == '\''))
            fputs("\\&", stream);
        if (c == '\\')
            fputs("\\e", stream);
        else if (c == '-')
            fputs("\\-", stream);
        else
            putc(c, stream);
        at_start = c == '\n';
    }
}

static void put(const char *text, FILE *stream)
{
    put_text(text, strlen(text), false, stream);
}

/* Lines as they are, those of tables and examples included. */
static void put_lines(const char *text, FILE *stream)
{
    fputs(".nf\n", stream);
    put(text, stream);
    fputs("\n.fi\n", stream);
}

static void put_usage(const char *usage, FILE *stream)
{
    while (*usage != '\0') {
        size_t length = strcspn(usage, "\n");
        fputs(".br\n.B onnxq\n", stream);
        put_text(usage, length, false, stream);
        putc('\n', stream);
        usage += length + (usage[length] != '\0');
    }
}

/* --- options ------------------------------------------------------------------ */

static void put_value(const cli_option *option, FILE *stream)
{
    char words[CLI_WORDS_CAPACITY];
    cli_value_words(option, words);
    if (words[0] == '\0')
        return;
    fputs(option->implied != NULL ? "[=\\fI" : " \\fI", stream);
    put(words, stream);
    fputs(option->implied != NULL ? "\\fR]" : "\\fR", stream);
}

static void put_option(const cli_option *option, const void *settings, FILE *stream)
{
    char words[CLI_WORDS_CAPACITY];
    cli_default_words(option, settings, words);
    fputs(".TP\n", stream);
    if (option->letter != 0)
        fprintf(stream, "\\fB\\-%c\\fR, ", option->letter);
    fprintf(stream, "\\fB\\-\\-%s", option->negated != NULL ? "[no\\-]" : "");
    put(option->name, stream);
    fputs("\\fR", stream);
    put_value(option, stream);
    putc('\n', stream);
    put(option->help, stream);
    fprintf(stream, ".%s%s%s\n", words[0] != '\0' ? " Default: " : "", words,
            words[0] != '\0' ? "." : "");
}

static void put_options(const cli_command *command, const void *settings, FILE *stream)
{
    const cli_option *option = NULL;
    while ((option = cli_next_option(&command->options, option)) != NULL) {
        if (option->kind == CLI_HEADING) {
            fputs(".SS ", stream);
            put(option->help, stream);
            putc('\n', stream);
        } else {
            put_option(option, settings, stream);
        }
    }
}

/* --- the page ------------------------------------------------------------------ */

static void put_command(const cli_command *command, const void *settings, FILE *stream)
{
    fputs(".SH ONNXQ ", stream);
    put_text(command->name, strlen(command->name), true, stream);
    putc('\n', stream);
    put(command->summary, stream);
    putc('\n', stream);
    put_usage(command->usage, stream);
    if (command->notes != NULL) {
        fputs(".PP\n", stream);
        put_lines(command->notes, stream);
    }
    put_options(command, settings, stream);
}

static void put_overview(FILE *stream)
{
    fprintf(stream, ".TH ONNXQ 1 \"\" \"onnxq %s\" \"User Commands\"\n", onnxq_version());
    fputs(".SH NAME\nonnxq \\- quantize ONNX models, check and measure the result\n.SH SYNOPSIS\n",
          stream);
    for (const cli_command *const *command = cli_commands; *command != NULL; command++)
        put_usage((*command)->usage, stream);
    fputs(".SH DESCRIPTION\n", stream);
    put(cli_program.summary, stream);
    putc('\n', stream);
}

static const char rest[] =
    ".SH EXIT STATUS\n"
    ".TP\n0\nDone.\n"
    ".TP\n1\nThe answer is no: a tolerance of check, the speed that bench was asked for, or the\n"
    "budget and limits of tune.\n"
    ".TP\n2\nWrong usage.\n"
    ".TP\n3\nThe input cannot be read, or is no valid model.\n"
    ".TP\n4\nThe output cannot be written.\n"
    ".TP\n5\nThere is nothing to do; no file was written.\n"
    ".TP\n6\nONNX Runtime was not found, or cannot be used.\n"
    ".TP\n70, 71\nA bug in onnxq; out of memory.\n"
    ".TP\n128+N\nStopped by signal N.\n"
    ".SH ENVIRONMENT\n"
    ".TP\n.B ONNXQ_ORT_LIB\nThe library of ONNX Runtime, or a folder that has it.\n"
    ".TP\n.B VIRTUAL_ENV, CONDA_PREFIX\nPython environments in which it is looked for.\n";

int cli_print_man(FILE *stream)
{
    put_overview(stream);
    for (const cli_command *const *command = cli_commands; *command != NULL; command++) {
        void *settings = cli_settings_new(*command);
        if (settings == NULL)
            return cli_memory_error(&(cli_common){0});
        put_command(*command, settings, stream);
        cli_settings_free(*command, settings);
    }
    fputs(rest, stream);
    return CLI_EXIT_OK;
}
