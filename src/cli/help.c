/* The help texts, made from the tables of options. */
#define _POSIX_C_SOURCE 200809L
#include "cli/command.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/terminal/messages.h"

#define HELP_COLUMN   34
#define LEFT_CAPACITY 160

static void append(char *left, const char *text)
{
    size_t used = strlen(left);
    snprintf(left + used, LEFT_CAPACITY - used, "%s", text);
}

/* "int8|uint8", or the value's name; "" where it takes none. */
static void append_value(char *left, const cli_option *option)
{
    char value[LEFT_CAPACITY] = "";
    for (const cli_choice *choice = option->choices; choice != NULL && choice->name != NULL;
         choice++) {
        if (choice->hidden)
            continue;
        append(value, value[0] != '\0' ? "|" : "");
        append(value, choice->name);
    }
    if (option->value != NULL)
        append(value, option->value);
    if (value[0] == '\0')
        return;
    append(left, option->implied != NULL ? "[=" : " ");
    append(left, value);
    append(left, option->implied != NULL ? "]" : "");
}

static void print_default(const cli_option *option, const char *settings, FILE *stream)
{
    const char *field = settings + option->offset;
    int value = 0;
    uint64_t number = 0;
    double real = 0;
    if (option->kind == CLI_FLAG && option->negated != NULL) {
        fprintf(stream, " (default: %s)", *(const bool *)field ? "on" : "off");
    } else if (option->kind == CLI_NUMBER) {
        memcpy(&number, field, sizeof(number));
        fprintf(stream, " (default: %" PRIu64 ")", number);
    } else if (option->kind == CLI_REAL) {
        memcpy(&real, field, sizeof(real));
        if (isfinite(real))
            fprintf(stream, " (default: %g)", real);
    } else if (option->kind == CLI_CHOICE) {
        memcpy(&value, field, sizeof(value));
        const cli_choice *choice = option->choices;
        while (choice->name != NULL && (choice->value != value || choice->hidden))
            choice++;
        if (choice->name != NULL)
            fprintf(stream, " (default: %s)", choice->name);
    }
}

static void print_option(const cli_option *option, const char *settings, FILE *stream)
{
    char left[LEFT_CAPACITY] = "      ";
    if (option->letter != 0)
        snprintf(left, sizeof(left), "  -%c, ", option->letter);
    append(left, option->negated != NULL ? "--[no-]" : "--");
    append(left, option->name);
    append_value(left, option);
    /* What is too long for its column has a line of its own. */
    if (strlen(left) + 2 > HELP_COLUMN)
        fprintf(stream, "%s\n%*s%s", left, HELP_COLUMN, "", option->help);
    else
        fprintf(stream, "%-*s%s", HELP_COLUMN, left, option->help);
    print_default(option, settings, stream);
    putc('\n', stream);
}

static void print_options(const cli_command *command, const char *settings, FILE *stream)
{
    const cli_option *option = NULL;
    while ((option = cli_next_option(&command->options, option)) != NULL) {
        if (option->kind == CLI_HEADING)
            fprintf(stream, "\n%s\n", option->help);
        else
            print_option(option, settings, stream);
    }
}

static void print_usage(const char *usage, FILE *stream)
{
    const char *label = "Usage:";
    while (*usage != '\0') {
        size_t length = strcspn(usage, "\n");
        fprintf(stream, "%-6s onnxq %.*s\n", label, (int)length, usage);
        label = "";
        usage += length + (usage[length] != '\0');
    }
}

static void print_commands(FILE *stream)
{
    fputs("\nCommands\n", stream);
    for (const cli_command *const *command = cli_commands; *command != NULL; command++)
        fprintf(stream, "  %-12s%s\n", (*command)->name, (*command)->summary);
}

int cli_print_help(const cli_command *command, FILE *stream)
{
    char *settings = calloc(1, command->settings_nbytes);
    if (settings == NULL)
        return cli_memory_error(&(cli_common){0});
    if (command->defaults != NULL)
        command->defaults(settings);
    print_usage(command->usage, stream);
    fprintf(stream, "\n%s\n", command->summary);
    if (command->notes != NULL)
        fprintf(stream, "\n%s\n", command->notes);
    if (command == &cli_program)
        print_commands(stream);
    print_options(command, settings, stream);
    if (command->release != NULL)
        command->release(settings);
    free(settings);
    return CLI_EXIT_OK;
}
