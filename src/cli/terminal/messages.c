/* Errors and hints, escaped, colored where a terminal takes it. */
#include "cli/terminal/messages.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/flags.h"
#include "base/os.h"
#include "cli/terminal/terminal.h"

#define MESSAGE_CAPACITY 2048

static bool is_set(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0';
}

static bool is_dumb_terminal(void)
{
    const char *term = getenv("TERM");
    return term == NULL || strcmp(term, "dumb") == 0;
}

bool cli_is_plain_environment(void)
{
    return is_set("CI") || is_set("NO_COLOR") || is_dumb_terminal();
}

bool cli_use_color(cli_when when, FILE *stream)
{
    if (when != CLI_AUTO)
        return when == CLI_ALWAYS;
    return oq_os_is_terminal(stream) && !is_set("NO_COLOR") && !is_dumb_terminal();
}

/* As setlocale() would look it up, without making numbers depend on it. */
static bool is_utf8_locale(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    size_t i = 0;
    while (i < 2 && !is_set(names[i]))
        i++;
    const char *value = is_set(names[i]) ? getenv(names[i]) : "";
    return strstr(value, "UTF-8") != NULL || strstr(value, "utf8") != NULL ||
           strstr(value, "utf-8") != NULL;
}

bool cli_use_unicode(FILE *stream)
{
    return oq_os_is_terminal(stream) && !is_dumb_terminal() && is_utf8_locale();
}

void cli_print_escaped(FILE *stream, const char *text)
{
    char buffer[MESSAGE_CAPACITY];
    size_t length = onnxq_escape(text, buffer, sizeof(buffer));
    char *whole = length < sizeof(buffer) ? NULL : malloc(length + 1);
    if (whole != NULL)
        onnxq_escape(text, whole, length + 1);
    fputs(whole != NULL ? whole : buffer, stream);
    free(whole);
}

/* One line of standard error: the label, in color where that is wanted, and the text as it is. */
static void print_line(const cli_common *common, const char *color, const char *label,
                       const char *text)
{
    bool colored = cli_use_color(common->color, stderr);
    cli_flush_text(); /* both may go to one place: what was said before stands before */
    fprintf(stderr, "%s%s%s %s\n", colored ? color : "", label, colored ? "\033[0m" : "", text);
}

static void print_error(const cli_common *common, const char *text)
{
    print_line(common, "\033[1;31m", "onnxq:", text);
}

CLI_PRINTF(4, 0)
static void print_formatted(const cli_common *common, const char *color, const char *label,
                            const char *format, va_list args)
{
    char text[MESSAGE_CAPACITY], escaped[MESSAGE_CAPACITY];
    vsnprintf(text, sizeof(text), format, args);
    onnxq_escape(text, escaped, sizeof(escaped));
    print_line(common, color, label, escaped);
}

void cli_error(const cli_common *common, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    print_formatted(common, "\033[1;31m", "onnxq:", format, args);
    va_end(args);
}

void cli_hint(const cli_common *common, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    print_formatted(common, "\033[1;36m", "  hint:", format, args);
    va_end(args);
}

int cli_usage(const cli_common *common, const char *hint, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    print_formatted(common, "\033[1;31m", "onnxq:", format, args);
    va_end(args);
    if (hint != NULL)
        cli_hint(common, "%s", hint);
    return CLI_EXIT_USAGE;
}

int cli_memory_error(const cli_common *common)
{
    print_error(common, "out of memory");
    return ONNXQ_ERROR_MEMORY;
}

int cli_write_error(const cli_common *common, const char *path)
{
    int reason = errno;
    cli_error(common, "%s: cannot write: %s", path, strerror(reason));
    return reason == ENOMEM ? (int)ONNXQ_ERROR_MEMORY : CLI_EXIT_OUTPUT;
}

int cli_library_error(const cli_common *common, const onnxq_error *error)
{
    char text[MESSAGE_CAPACITY];
    onnxq_error shown = *error;
    snprintf(shown.message, sizeof(shown.message), "%s", oq_flags_text(error->message).text);
    onnxq_error_format(&shown, text, sizeof(text));
    print_error(common, text);
    if (error->hint[0] != '\0')
        cli_hint(common, "%s", oq_flags_text(error->hint).text);
    return (int)error->status;
}
