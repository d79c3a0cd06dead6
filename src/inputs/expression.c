/* Parses and computes formulas of dimension names. */
#include "inputs/expression.h"

#include <ctype.h>
#include <string.h>

/* Parentheses in each other; bounds the recursion. */
#define MAX_DEPTH 16

struct expression_parser {
    const char *next;
    oq_name_fn fn;
    void *context;
    int depth;
    bool has_operator;
};

static bool is_letter(char c)
{
    return isalpha((unsigned char)c) || c == '_';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The character at the front after spaces; "\0" at the end. */
static char peek(struct expression_parser *parser)
{
    while (*parser->next == ' ')
        parser->next++;
    return *parser->next;
}

static bool take(struct expression_parser *parser, char c)
{
    if (peek(parser) != c)
        return false;
    parser->next++;
    return true;
}

static bool number(struct expression_parser *parser, int64_t *value)
{
    for (*value = 0; is_digit(*parser->next); parser->next++) {
        if (__builtin_mul_overflow(*value, (int64_t)10, value) ||
            __builtin_add_overflow(*value, (int64_t)(*parser->next - '0'), value))
            return false;
    }
    return true;
}

/* Between letters, '-' and '/' are part of a name: "batch-size", "encoder/length". */
static size_t name_length(const char *text)
{
    size_t n = 1;
    while (is_letter(text[n]) || is_digit(text[n]) || text[n] == '.' || text[n] == ':' ||
           ((text[n] == '-' || text[n] == '/') && is_letter(text[n - 1]) && is_letter(text[n + 1])))
        n++;
    return n;
}

static bool sum(struct expression_parser *parser, int64_t *value);

static bool is_function(const char *text, size_t length, const char *name)
{
    if (length != strlen(name))
        return false;
    for (size_t i = 0; i < length; i++) {
        if (tolower((unsigned char)text[i]) != name[i])
            return false;
    }
    return true;
}

/* Behind "NAME(" */
static bool call(struct expression_parser *parser, const char *name, size_t length, int64_t *value)
{
    int64_t other;
    bool is_max = is_function(name, length, "max"), is_min = is_function(name, length, "min");
    parser->has_operator = true;
    if (!is_max && !is_min && !is_function(name, length, "floor"))
        return false;
    if (!sum(parser, value))
        return false;
    while ((is_max || is_min) && take(parser, ',')) {
        if (!sum(parser, &other))
            return false;
        *value = (other > *value) == is_max ? other : *value;
    }
    return take(parser, ')');
}

static bool primary(struct expression_parser *parser, int64_t *value)
{
    char c = peek(parser);
    if (is_digit(c))
        return number(parser, value);
    if (take(parser, '('))
        return sum(parser, value) && take(parser, ')');
    if (!is_letter(c))
        return false;
    const char *name = parser->next;
    size_t length = name_length(name);
    parser->next += length;
    if (take(parser, '('))
        return call(parser, name, length, value);
    return parser->fn(parser->context, name, length, value);
}

static bool divide(int64_t a, int64_t b, int64_t *quotient)
{
    if (b <= 0)
        return false;
    *quotient = a / b - (a % b < 0);
    return true;
}

static bool product(struct expression_parser *parser, int64_t *value)
{
    int64_t other;
    if (!primary(parser, value))
        return false;
    for (;;) {
        bool multiplies = take(parser, '*');
        if (!multiplies && !take(parser, '/'))
            return true;
        if (!multiplies)
            take(parser, '/');
        parser->has_operator = true;
        if (!primary(parser, &other))
            return false;
        if (multiplies ? __builtin_mul_overflow(*value, other, value)
                       : !divide(*value, other, value))
            return false;
    }
}

/* Recursion comes through here, by parentheses. */
static bool sum(struct expression_parser *parser, int64_t *value)
{
    int64_t other;
    if (parser->depth++ == MAX_DEPTH || !product(parser, value))
        return false;
    for (;;) {
        bool adds = take(parser, '+');
        if (!adds && !take(parser, '-'))
            break;
        parser->has_operator = true;
        if (!product(parser, &other))
            return false;
        if (adds ? __builtin_add_overflow(*value, other, value)
                 : __builtin_sub_overflow(*value, other, value))
            return false;
    }
    parser->depth--;
    return true;
}

bool oq_expression_evaluate(const char *text, oq_name_fn fn, void *context, int64_t *value)
{
    struct expression_parser parser = {.next = text, .fn = fn, .context = context};
    return sum(&parser, value) && peek(&parser) == '\0' && parser.has_operator;
}
