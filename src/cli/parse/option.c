/* Reads words of the command line into settings, by tables of options. */
#define _POSIX_C_SOURCE 200809L
#include "cli/parse/option.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "cli/parse/file_kind.h"
#include "cli/parse/name_list.h"
#include "cli/terminal/messages.h"

#define NAME_CAPACITY 64 /* of an option as it is spelled */

_Static_assert(sizeof(cli_when) == sizeof(int), "CLI_CHOICE fields are as wide as int");

static const cli_choice when_choices[] = {
    {"auto", CLI_AUTO, false}, {"always", CLI_ALWAYS, false}, {"never", CLI_NEVER, false}, {0}};

static const cli_choice yes_choices[] = {
    {"true", CLI_ALWAYS, true}, {"false", CLI_NEVER, true}, {"auto", CLI_AUTO, true}, {0}};

#define OPTION(kind, letter, name, member, ...)                                                    \
    CLI_OPTION(kind, letter, name, offsetof(cli_common, member), __VA_ARGS__)

const cli_option cli_help_option[] = {{.kind = CLI_HEADING, .help = "Help"},
                                      OPTION(FLAG, 'h', "help", help, .help = "show this text"),
                                      {0}};

const cli_option cli_common_options[] = {
    {.kind = CLI_HEADING, .help = "What is shown"},
    OPTION(COUNT, 'q', "quiet", quiet, .help = "print only the last line; twice: only errors"),
    OPTION(COUNT, 'v', "verbose", verbose,
           .help = "print more: a line for every weight, run or site"),
    OPTION(TEXT, 0, "json", json, .value = "FILE", .source = CLI_FILES, .implied = "-",
           .help = "report as JSON, to FILE or instead of the text"),
    OPTION(CHOICE, 0, "color", color, .choices = when_choices, .help = "use color"),
    OPTION(CHOICE, 0, "progress", progress, .choices = yes_choices, .implied = "true",
           .negated = "false", .help = "progress bar (default: on a terminal)"),
    OPTION(NUMBER, 'j', "threads", threads, .value = "N", .maximum = 1024,
           .help = "number of threads; 0: one per processor"),
    OPTION(FLAG, 'h', "help", help, .help = "show this text"),
    {0}};

const cli_option cli_page_options[] = {
    {.kind = CLI_HEADING, .help = "Pages"},
    OPTION(TEXT, 0, "html", html, .value = "FILE", .source = CLI_FILES,
           .help = "report as a page for a browser, in one file"),
    OPTION(TEXT, 0, "markdown", markdown, .value = "FILE", .source = CLI_FILES, .implied = "-",
           .help = "report as Markdown, as for a CI job's summary"),
    {0}};

const cli_option *cli_next_option(const cli_options *options, const cli_option *option)
{
    bool passed = option == NULL;
    for (size_t i = 0; i < CLI_MAX_TABLES; i++) {
        const cli_option *next = options->tables[i];
        for (; next != NULL && next->kind != CLI_END; next++) {
            if (passed)
                return next;
            passed = next == option;
        }
    }
    return NULL;
}

bool cli_takes_value(const cli_option *option)
{
    return option->kind >= CLI_CHOICE && option->implied == NULL;
}

/* --- for people ------------------------------------------------------------ */

bool cli_shows_choices(const cli_option *option)
{
    return option->choices != NULL && !option->choices[0].hidden;
}

void cli_value_words(const cli_option *option, char words[CLI_WORDS_CAPACITY])
{
    snprintf(words, CLI_WORDS_CAPACITY, "%s", option->value != NULL ? option->value : "");
    if (option->value != NULL || !cli_shows_choices(option))
        return;
    for (const cli_choice *choice = option->choices; choice->name != NULL; choice++) {
        size_t used = strlen(words);
        if (!choice->hidden)
            snprintf(words + used, CLI_WORDS_CAPACITY - used, "%s%s", used > 0 ? "|" : "",
                     choice->name);
    }
}

static const char *shown_name(const cli_option *option, int value)
{
    const cli_choice *choice = option->choices;
    while (choice->name != NULL && (choice->value != value || choice->hidden))
        choice++;
    return choice->name != NULL ? choice->name : "";
}

void cli_default_words(const cli_option *option, const void *settings,
                       char words[CLI_WORDS_CAPACITY])
{
    const char *field = (const char *)settings + option->offset;
    int value;
    uint64_t number;
    double real;
    words[0] = '\0';
    if (option->kind == CLI_FLAG && option->negated != NULL) {
        snprintf(words, CLI_WORDS_CAPACITY, "%s", *(const bool *)field ? "on" : "off");
    } else if (option->kind == CLI_NUMBER) {
        memcpy(&number, field, sizeof(number));
        snprintf(words, CLI_WORDS_CAPACITY, "%" PRIu64, number);
    } else if (option->kind == CLI_REAL) {
        memcpy(&real, field, sizeof(real));
        if (isfinite(real))
            snprintf(words, CLI_WORDS_CAPACITY, "%g", real);
    } else if (option->kind == CLI_CHOICE) {
        memcpy(&value, field, sizeof(value));
        snprintf(words, CLI_WORDS_CAPACITY, "%s", shown_name(option, value));
    }
}

/* --- lookup ---------------------------------------------------------------- */

static bool is_same_name(const char *name, const char *typed, size_t n_typed)
{
    for (size_t i = 0; i < n_typed; i++) {
        char a = name[i] == '_' ? '-' : name[i], b = typed[i] == '_' ? '-' : typed[i];
        if (a == '\0' || a != b)
            return false;
    }
    return name[n_typed] == '\0';
}

static const cli_option *find_long(const cli_options *options, const char *typed, size_t n_typed)
{
    const cli_option *option = NULL;
    while ((option = cli_next_option(options, option)) != NULL) {
        if (option->name != NULL && is_same_name(option->name, typed, n_typed))
            break;
    }
    return option;
}

static const cli_option *find_letter(const cli_options *options, char letter)
{
    const cli_option *option = NULL;
    while ((option = cli_next_option(options, option)) != NULL) {
        if (option->letter == letter)
            break;
    }
    return option;
}

/* --- values ---------------------------------------------------------------- */

struct parser {
    const cli_options *options;
    char *settings;
    const cli_common *common;     /* the same, for messages */
    char **next, **end;           /* what is left of argv */
    char spelling[NAME_CAPACITY]; /* of the option at hand */
    int status;                   /* exit code of what is wrong */
};

static bool fail(const struct parser *parser, const char *hint, const char *message)
{
    cli_usage(parser->common, hint, "%s: %s", parser->spelling, message);
    return false;
}

static bool fail_memory(struct parser *parser)
{
    parser->status = cli_memory_error(parser->common);
    return false;
}

static bool read_flag(const char *value, bool *flag)
{
    static const cli_choice words[] = {{"true", 1, 0}, {"false", 0, 0}, {"yes", 1, 0},
                                       {"no", 0, 0},   {"on", 1, 0},    {"off", 0, 0},
                                       {"1", 1, 0},    {"0", 0, 0},     {0}};
    for (const cli_choice *word = words; word->name != NULL; word++) {
        if (oq_is_same_word(word->name, strlen(word->name), value)) {
            *flag = word->value != 0;
            return true;
        }
    }
    return false;
}

static bool set_flag(struct parser *parser, const cli_option *option, const char *value)
{
    bool *flag = (bool *)(parser->settings + option->offset);
    return read_flag(value, flag) || fail(parser, NULL, "its value must be true or false");
}

static bool raise_count(struct parser *parser, const cli_option *option, const char *value)
{
    int *count = (int *)(void *)(parser->settings + option->offset);
    *count = strcmp(value, "false") == 0 ? 0 : *count + (*count < 100);
    return true;
}

static bool fail_choice(const struct parser *parser, const cli_option *option, const char *value)
{
    char names[128] = "";
    struct oq_nearest nearest = {.wanted = value};
    for (const cli_choice *choice = option->choices; choice->name != NULL; choice++) {
        size_t used = strlen(names);
        if (!choice->hidden)
            snprintf(names + used, sizeof(names) - used, "%s%s", used > 0 ? ", " : "",
                     choice->name);
        oq_nearest_offer(&nearest, choice->name);
    }
    if (names[0] == '\0')
        return fail(parser, NULL, "its value must be true or false");
    cli_error(parser->common, "%s: '%s' is not one of %s", parser->spelling, value, names);
    if (nearest.name != NULL)
        cli_hint(parser->common, "did you mean '%s'?", nearest.name);
    return false;
}

static bool set_choice(struct parser *parser, const cli_option *option, const char *value)
{
    for (const cli_choice *choice = option->choices; choice->name != NULL; choice++) {
        if (oq_is_same_word(choice->name, strlen(choice->name), value)) {
            memcpy(parser->settings + option->offset, &choice->value, sizeof(choice->value));
            return true;
        }
    }
    return fail_choice(parser, option, value);
}

/* What a suffix multiplies with, or 0 where it is none: K is 1000, Ki is 1024. */
static uint64_t read_suffix(const char *suffix)
{
    static const char letters[] = "KMG";
    if (suffix[0] == '\0')
        return 1;
    const char *letter = strchr(letters, toupper((unsigned char)suffix[0]));
    bool is_binary = suffix[1] == 'i';
    if (letter == NULL || suffix[is_binary ? 2 : 1] != '\0')
        return 0;
    uint64_t factor = 1;
    for (const char *step = letters; step <= letter; step++)
        factor *= is_binary ? 1024 : 1000;
    return factor;
}

/* False where it passes the maximum. */
static bool read_number(const char *digits, size_t n_digits, uint64_t factor, uint64_t maximum,
                        uint64_t *number)
{
    *number = 0;
    for (size_t i = 0; i < n_digits; i++) {
        uint64_t digit = (uint64_t)(digits[i] - '0');
        if (digit > maximum || *number > (maximum - digit) / 10)
            return false;
        *number = *number * 10 + digit;
    }
    if (*number > maximum / factor)
        return false;
    *number *= factor;
    return true;
}

static bool set_number(struct parser *parser, const cli_option *option, const char *value)
{
    uint64_t number;
    size_t n_digits = strspn(value, "0123456789");
    uint64_t factor = n_digits > 0 ? read_suffix(value + n_digits) : 0;
    if (factor == 0)
        return fail(parser, "K, M, G stand for thousands and Ki, Mi, Gi for 1024s, as in 64K",
                    "its value must be a whole number");
    if (!read_number(value, n_digits, factor, option->maximum, &number)) {
        cli_usage(parser->common, NULL, "%s: %s is too much, at most %" PRIu64, parser->spelling,
                  value, option->maximum);
        return false;
    }
    memcpy(parser->settings + option->offset, &number, sizeof(number));
    return true;
}

static bool set_real(struct parser *parser, const cli_option *option, const char *value)
{
    char *end;
    double number = strtod(value, &end); /* the locale is "C": nobody sets another */
    if (end == value || *end != '\0' || !(number >= 0) || !isfinite(number))
        return fail(parser, NULL, "its value must be a number, 0 or more, such as 0.05 or 1e-3");
    memcpy(parser->settings + option->offset, &number, sizeof(number));
    return true;
}

static bool set_text(struct parser *parser, const cli_option *option, const char *value)
{
    memcpy(parser->settings + option->offset, &value, sizeof(value));
    return true;
}

static bool append(struct parser *parser, const cli_option *option, const char *value,
                   size_t length)
{
    cli_list *list = (cli_list *)(void *)(parser->settings + option->offset);
    if (length == 0)
        return fail(parser, NULL, "there is an empty name in its value");
    if (!cli_list_add(list, value, length))
        return fail_memory(parser);
    return true;
}

static bool append_whole(struct parser *parser, const cli_option *option, const char *value)
{
    return append(parser, option, value, strlen(value));
}

static bool append_pieces(struct parser *parser, const cli_option *option, const char *value)
{
    for (;;) {
        size_t length = strcspn(value, ",");
        if (!append(parser, option, value, length))
            return false;
        if (value[length] == '\0')
            return true;
        value += length + 1;
    }
}

static bool apply(struct parser *parser, const cli_option *option, const char *value)
{
    static bool (*const setters[])(struct parser *, const cli_option *, const char *) = {
        [CLI_FLAG] = set_flag,     [CLI_COUNT] = raise_count,  [CLI_CHOICE] = set_choice,
        [CLI_NUMBER] = set_number, [CLI_TEXT] = set_text,      [CLI_LIST] = append_pieces,
        [CLI_REAL] = set_real,     [CLI_APPEND] = append_whole};
    if (value[0] == '\0')
        return fail(parser, NULL, "its value is empty");
    return setters[option->kind](parser, option, value);
}

/* The value of an option that stands without one. */
static const char *implied_value(const cli_option *option)
{
    return option->implied != NULL ? option->implied : "true";
}

/* Whether a word would have been the value of an option that takes one behind `=` only. */
static bool looks_like_value(const cli_option *option, const char *word)
{
    bool flag;
    if (option->kind == CLI_FLAG)
        return read_flag(word, &flag);
    if (option->kind == CLI_TEXT)
        return word[0] != '-' && cli_kind_of_name(word) == CLI_OTHER_FILE;
    for (const cli_choice *choice = option->choices; choice != NULL && choice->name != NULL;
         choice++) {
        if (oq_is_same_word(choice->name, strlen(choice->name), word))
            return true;
    }
    return false;
}

/* An option without its value; the next word is an operand, and must not have been meant as it. */
static bool apply_implied(struct parser *parser, const cli_option *option)
{
    if (parser->next < parser->end && option->kind != CLI_COUNT &&
        looks_like_value(option, *parser->next)) {
        cli_usage(parser->common, NULL, "%s: '%s' behind it would be a file of this run",
                  parser->spelling, *parser->next);
        cli_hint(parser->common, "use = for its value: --%s=%s", option->name, *parser->next);
        return false;
    }
    return apply(parser, option, implied_value(option));
}

/* Up to the next option or model: as argparse reads lists. */
static bool apply_more(struct parser *parser, const cli_option *option)
{
    while (parser->next < parser->end && (*parser->next)[0] != '-' &&
           cli_kind_of_name(*parser->next) == CLI_ANY_FILE) {
        if (!apply(parser, option, *parser->next++))
            return false;
    }
    return true;
}

static bool apply_next_word(struct parser *parser, const cli_option *option)
{
    char hint[2 * NAME_CAPACITY];
    if (parser->next == parser->end)
        return fail(parser, NULL, "a value is missing");
    const char *value = *parser->next;
    if (value[0] == '-' && value[1] != '\0') {
        snprintf(hint, sizeof(hint), "a value that begins with '-' is written --%s=VALUE",
                 option->name);
        cli_usage(parser->common, hint, "%s: a value is missing: '%s' looks like an option",
                  parser->spelling, value);
        return false;
    }
    parser->next++;
    return apply(parser, option, value) && (!option->takes_more || apply_more(parser, option));
}

/* --- words ----------------------------------------------------------------- */

static bool fail_unknown(const struct parser *parser, const char *name)
{
    const cli_option *option = NULL;
    char negated[NAME_CAPACITY], best[NAME_CAPACITY];
    struct oq_nearest nearest = {.wanted = name};
    while ((option = cli_next_option(parser->options, option)) != NULL) {
        if (option->name == NULL)
            continue;
        oq_nearest_offer(&nearest, option->name);
        snprintf(negated, sizeof(negated), "no-%s", option->name);
        if (option->negated != NULL)
            oq_nearest_offer(&nearest, negated);
        if (nearest.name == negated) { /* which the next one overwrites */
            memcpy(best, negated, sizeof(best));
            nearest.name = best;
        }
    }
    cli_error(parser->common, "unknown option '%s'", parser->spelling);
    if (nearest.name != NULL)
        cli_hint(parser->common, "did you mean '--%s'?", nearest.name);
    else
        cli_hint(parser->common, "-h lists the options");
    return false;
}

static bool parse_long(struct parser *parser, const char *word)
{
    const char *name = word + 2, *equals = strchr(name, '=');
    size_t n_name = equals != NULL ? (size_t)(equals - name) : strlen(name);
    snprintf(parser->spelling, sizeof(parser->spelling), "--%.*s",
             n_name < sizeof(parser->spelling) ? (int)n_name : (int)sizeof(parser->spelling), name);
    bool is_negated = false;
    const cli_option *option = find_long(parser->options, name, n_name);
    if (option == NULL && n_name > 3 && is_same_name("no-", name, 3)) {
        option = find_long(parser->options, name + 3, n_name - 3);
        is_negated = true;
    }
    if (option == NULL)
        return fail_unknown(parser, parser->spelling + 2);
    bool is_switch = option->kind == CLI_FLAG || option->kind == CLI_COUNT;
    const char *negated = is_switch ? "false" : option->negated;
    if (is_negated && negated == NULL)
        return fail(parser, NULL, "this option has no opposite");
    if (equals != NULL && (is_negated || option->kind == CLI_COUNT))
        return fail(parser, NULL, "it takes no value");
    if (is_negated)
        return apply(parser, option, negated);
    if (equals != NULL)
        return apply(parser, option, equals + 1);
    if (cli_takes_value(option))
        return apply_next_word(parser, option);
    return apply_implied(parser, option);
}

/* One or more letters; the rest of the word belongs to the first that takes a value. */
static bool parse_letters(struct parser *parser, const char *word)
{
    if (word[2] != '\0' && find_long(parser->options, word + 1, strlen(word + 1)) != NULL) {
        cli_usage(parser->common, NULL, "unknown option '%s'", word);
        cli_hint(parser->common, "did you mean '-%s'?", word);
        return false;
    }
    for (const char *letter = word + 1; *letter != '\0'; letter++) {
        snprintf(parser->spelling, sizeof(parser->spelling), "-%c", *letter);
        const cli_option *option = find_letter(parser->options, *letter);
        if (option == NULL) {
            cli_usage(parser->common, "-h lists the options", "unknown option '%s'%s%s",
                      parser->spelling, word[2] != '\0' ? " in " : "", word[2] != '\0' ? word : "");
            return false;
        }
        if (cli_takes_value(option) && letter[1] == '\0')
            return apply_next_word(parser, option);
        if (cli_takes_value(option))
            return apply(parser, option, letter + 1 + (letter[1] == '='));
        if (!apply(parser, option, implied_value(option)))
            return false;
    }
    return true;
}

int cli_parse(const cli_options *options, void *settings, int argc, char **argv, int *n_operands)
{
    struct parser parser = {.options = options,
                            .settings = settings,
                            .common = settings,
                            .next = argv,
                            .end = argv + argc,
                            .status = CLI_EXIT_USAGE};
    bool options_ended = false;
    *n_operands = 0;
    while (parser.next < parser.end) {
        char *word = *parser.next++;
        if (word[0] == '\0')
            return cli_usage(parser.common, "a variable of the shell may be empty",
                             "an empty word stands where a name was expected");
        if (options_ended || word[0] != '-' || word[1] == '\0')
            argv[(*n_operands)++] = word;
        else if (strcmp(word, "--") == 0)
            options_ended = true;
        else if (!(word[1] == '-' ? parse_long(&parser, word) : parse_letters(&parser, word)))
            return parser.status;
    }
    return CLI_EXIT_OK;
}
