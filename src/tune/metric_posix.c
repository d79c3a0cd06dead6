/* A program of the user's that judges a model: it is run by the shell, and prints a number. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "tune/tuning.h"

#define MAX_NUMBER 64 /* longest word that is read as one */

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

/* Whether the last word of what it prints is a number, however long its lines are. */
static bool read_number(FILE *stream, double *value)
{
    static const char spaces[] = " \t\r\n";
    char word[MAX_NUMBER + 1] = "", *end;
    size_t n = 0; /* of the word, which may be longer than there is room for */
    bool is_over = true;
    for (int c; (c = getc(stream)) != EOF;) {
        const bool is_space = c == '\0' || strchr(spaces, c) != NULL;
        if (!is_space && is_over)
            n = 0;
        if (!is_space && n < MAX_NUMBER)
            word[n] = (char)c;
        n += !is_space;
        is_over = is_space;
    }
    word[n < MAX_NUMBER ? n : MAX_NUMBER] = '\0';
    *value = strtod(word, &end);
    return n > 0 && n <= MAX_NUMBER && *end == '\0' && !isnan(*value);
}

bool oq_metric_run(const struct oq_tuning *tuning, const char *path, double *value,
                   onnxq_error *error)
{
    const char *command = tuning->options->metric_command;
    struct oq_arena arena;
    oq_arena_init(&arena, (size_t)1 << 20);
    const char *line = make_line(&arena, command, path);
    FILE *stream = line == NULL ? NULL : popen(line, "r");
    bool ok =
        stream != NULL || (line == NULL ? oq_fail_memory(error)
                                        : oq_fail_errno(error, ONNXQ_ERROR_MEMORY, errno,
                                                        "cannot start the command of the metric"));
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
