/* The help texts, made from the tables of options. */
#define _POSIX_C_SOURCE 200809L
#include "cli/command.h"

#include <string.h>

#include "cli/terminal/messages.h"
#include "cli/terminal/terminal.h"

#define HELP_COLUMN   34
#define NARROW_COLUMN 10 /* of texts below their options, in lines of less than NARROW */
#define NARROW        72
#define LINE_COLUMNS  80
#define USAGE_COLUMN  7
#define LEFT_CAPACITY 160
#define HELP_CAPACITY 256

static void append(char *left, const char *text)
{
    size_t used = strlen(left);
    snprintf(left + used, LEFT_CAPACITY - used, "%s", text);
}

/* " int8|uint8", or what may stand behind `=`; nothing where it takes none. */
static void append_value(char *left, const cli_option *option)
{
    char value[CLI_WORDS_CAPACITY];
    cli_value_words(option, value);
    if (value[0] == '\0')
        return;
    append(left, option->implied != NULL ? "[=" : " ");
    append(left, value);
    append(left, option->implied != NULL ? "]" : "");
}

/* 80, or what a narrower terminal has. */
static size_t line_columns(FILE *stream)
{
    int columns = cli_terminal_columns(stream);
    return columns > 0 && columns < LINE_COLUMNS ? (size_t)columns : LINE_COLUMNS;
}

/* From `indent` on; `column` columns of the line are taken. Returns the column. */
static size_t print_words(const char *text, size_t length, size_t indent, size_t column,
                          FILE *stream)
{
    size_t width = line_columns(stream);
    for (size_t i = 0; i < length;) {
        size_t n = strcspn(text + i, " \n");
        n = n < length - i ? n : length - i;
        bool is_first = column == indent;
        if (!is_first && column + 1 + n > width) {
            fprintf(stream, "\n%*s", (int)indent, "");
            column = indent;
            is_first = true;
        }
        fprintf(stream, "%s%.*s", is_first ? "" : " ", (int)n, text + i);
        column += n + !is_first;
        i += n + strspn(text + i + n, " ");
    }
    return column;
}

static void print_wrapped(const char *text, size_t indent, FILE *stream)
{
    print_words(text, strlen(text), indent, indent, stream);
    putc('\n', stream);
}

/* Lines are those of the source; where one ends a sentence, so does it here. */
static void print_notes(const char *notes, FILE *stream)
{
    size_t column = 0;
    putc('\n', stream);
    while (*notes != '\0') {
        size_t length = strcspn(notes, "\n");
        column = print_words(notes, length, 0, column, stream);
        if (length == 0 || notes[length - 1] == '.' || notes[length] == '\0') {
            putc('\n', stream);
            column = 0;
        }
        notes += length + (notes[length] != '\0');
    }
}

static void print_option(const cli_option *option, const void *settings, FILE *stream)
{
    char left[LEFT_CAPACITY] = "      ", help[HELP_CAPACITY], words[CLI_WORDS_CAPACITY];
    cli_default_words(option, settings, words);
    snprintf(help, sizeof(help), "%s%s%s%s", option->help, words[0] != '\0' ? " (default: " : "",
             words, words[0] != '\0' ? ")" : "");
    if (option->letter != 0)
        snprintf(left, sizeof(left), "  -%c, ", option->letter);
    append(left, option->negated != NULL ? "--[no-]" : "--");
    append(left, option->name);
    append_value(left, option);
    int column = line_columns(stream) < NARROW ? NARROW_COLUMN : HELP_COLUMN;
    /* What is too long for its column has a line of its own. */
    if (strlen(left) + 2 > (size_t)column)
        fprintf(stream, "%s\n%*s", left, column, "");
    else
        fprintf(stream, "%-*s", column, left);
    print_wrapped(help, (size_t)column, stream);
}

static void print_options(const cli_command *command, const void *settings, FILE *stream)
{
    const cli_option *option = NULL;
    while ((option = cli_next_option(&command->options, option)) != NULL) {
        if (option->kind != CLI_HEADING) {
            print_option(option, settings, stream);
            continue;
        }
        putc('\n', stream);
        print_wrapped(option->help, 0, stream);
    }
}

static void print_usage(const char *usage, FILE *stream)
{
    const char *label = "Usage:";
    while (*usage != '\0') {
        size_t length = strcspn(usage, "\n");
        fprintf(stream, "%-6s onnxq", label);
        print_words(usage, length, USAGE_COLUMN, USAGE_COLUMN + strlen("onnxq"), stream);
        putc('\n', stream);
        label = "";
        usage += length + (usage[length] != '\0');
    }
}

static void print_commands(FILE *stream)
{
    fputs("\nCommands\n", stream);
    for (const cli_command *const *command = cli_commands; *command != NULL; command++) {
        fprintf(stream, "  %-12s", (*command)->name);
        print_wrapped((*command)->summary, 14, stream);
    }
}

int cli_print_help(const cli_command *command, FILE *stream)
{
    void *settings = cli_settings_new(command);
    if (settings == NULL)
        return cli_memory_error(&(cli_common){0});
    print_usage(command->usage, stream);
    putc('\n', stream);
    print_wrapped(command->summary, 0, stream);
    if (command->notes != NULL)
        print_notes(command->notes, stream);
    if (command == &cli_program)
        print_commands(stream);
    print_options(command, settings, stream);
    cli_settings_free(command, settings);
    return CLI_EXIT_OK;
}
