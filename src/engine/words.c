/*
 * The engine's messages are for its developers: they name its source files and
 * functions, and the model that the error names already.
 */
#include <ctype.h>
#include <string.h>

#include "engine/runtime.h"

/* The end of "/a/b.cc:12 " or "b.h:12 ", or NULL. */
static const char *skip_source_line(const char *text)
{
    size_t n = strcspn(text, " :");
    bool is_source = (n > 3 && strncmp(text + n - 3, ".cc", 3) == 0) ||
                     (n > 2 && strncmp(text + n - 2, ".h", 2) == 0);
    if (!is_source || text[n] != ':' || !isdigit((unsigned char)text[n + 1]))
        return NULL;
    text += n + 1;
    while (isdigit((unsigned char)*text))
        text++;
    return *text == ' ' ? text + 1 : NULL;
}

/* The end of the bracket that text begins with. */
static const char *skip_bracket(const char *text)
{
    for (size_t depth = 0; *text != '\0'; text++) {
        if (*text == '(' || *text == '[')
            depth++;
        if ((*text == ')' || *text == ']') && --depth == 0)
            return text + 1;
    }
    return text;
}

/* The end of "int ns::name(type, ns::type) const [with T = int] ". */
static const char *skip_signature(const char *text)
{
    static const char qualifier[] = " const";
    const char *begin = text;
    do {
        text += strcspn(text, "(");
        if (*text == '\0')
            return begin; /* none, after all */
        text = skip_bracket(text);
        text += strcspn(text, " (");
    } while (*text == '('); /* "f(int)::<lambda(int)>" */
    if (strncmp(text, qualifier, strlen(qualifier)) == 0)
        text += strlen(qualifier);
    if (strncmp(text, " [with ", 7) == 0)
        text = skip_bracket(text + 1);
    return *text == ' ' ? text + 1 : text;
}

/* Where the message goes on behind a place in the source and the function's name or signature. */
static const char *skip_place(const char *text)
{
    const char *rest = skip_source_line(text);
    if (rest == NULL)
        return text;
    if (memchr(text, '/', (size_t)(rest - text)) != NULL)
        return skip_signature(rest);
    const char *space = strchr(rest, ' ');
    return space != NULL ? space + 1 : rest;
}

/* Where the message goes on behind "Load model from FILE failed:". */
static const char *skip_model(const char *text)
{
    while (strncmp(text, "Load model ", 11) == 0) {
        const char *failed = strstr(text, " failed");
        if (failed == NULL || (failed[7] != ':' && failed[7] != '.') || failed[8] == '\0')
            return text;
        text = failed + (failed[8] == ' ' ? 9 : 8);
    }
    return text;
}

void oq_engine_clean_message(const char *message, char *text, size_t capacity)
{
    size_t used = 0;
    message = skip_model(message);
    while (*message != '\0' && used + 1 < capacity) {
        bool is_start = used == 0 || text[used - 1] == ' ';
        const char *rest = is_start ? skip_place(message) : message;
        if (rest != message) {
            message = rest;
        } else if (!isspace((unsigned char)*message)) {
            text[used++] = *message++;
        } else {
            if (!is_start)
                text[used++] = ' ';
            message++;
        }
    }
    while (used > 0 && text[used - 1] == ' ')
        used--;
    text[used] = '\0';
}
