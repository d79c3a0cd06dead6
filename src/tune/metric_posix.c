/* A program of the user's that judges a model: it is run by the shell, and prints a number. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "tune/tuning.h"

#define MAX_LINE 4096

/* command 'path', with the quotes of the path out of the way. */
static char *make_line(struct oq_arena *arena, const char *command, const char *path)
{
    char *quoted = oq_arena_array(arena, 4 * strlen(path) + 1, 1), *end = quoted;
    for (; quoted != NULL && *path != '\0'; path++) {
        size_t n = *path == '\'' ? 4 : 1;
        memcpy(end, *path == '\'' ? "'\\''" : path, n);
        end += n;
    }
    return quoted == NULL ? NULL : oq_arena_printf(arena, "%s '%s'", command, quoted);
}

/* The last word of what it prints. */
static bool read_number(FILE *stream, double *value)
{
    char line[MAX_LINE], last[MAX_LINE] = "";
    while (fgets(line, sizeof(line), stream) != NULL)
        if (strspn(line, " \t\r\n") < strlen(line))
            memcpy(last, line, sizeof(last));
    size_t end = strlen(last);
    while (end > 0 && strchr(" \t\r\n", last[end - 1]) != NULL)
        last[--end] = '\0';
    const char *word = last + end;
    while (word > last && strchr(" \t", word[-1]) == NULL)
        word--;
    char *rest;
    *value = strtod(word, &rest);
    return rest != word && *rest == '\0' && !isnan(*value);
}

bool oq_metric_run(const struct oq_tuning *tuning, const char *path, double *value,
                   onnxq_error *error)
{
    const char *command = tuning->options->metric_command;
    struct oq_arena arena;
    oq_arena_init(&arena, (size_t)1 << 20);
    const char *line = make_line(&arena, command, path);
    FILE *stream = line == NULL ? NULL : popen(line, "r");
    bool ok = stream != NULL || oq_fail_memory(error);
    if (ok) {
        bool is_number = read_number(stream, value);
        int status = pclose(stream);
        ok = status == 0 && is_number;
        if (status != 0)
            oq_fail(error, ONNXQ_ERROR_OPTION, "the command of the metric ended with %s %d: %s",
                    WIFSIGNALED(status) ? "signal" : "status",
                    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), command);
        else if (!ok)
            oq_fail(error, ONNXQ_ERROR_OPTION,
                    "the command of the metric printed no number as its last word: %s", command);
    }
    oq_arena_fini(&arena);
    return ok;
}
