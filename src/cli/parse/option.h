/*
 * Options as tables. The parser, the help text and the shell completions all
 * read the same table, so that none of them can promise what another lacks.
 */
#ifndef CLI_OPTION_H
#define CLI_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/terminal/common.h"

/* What an option's value is, and the type of the field that takes it. */
typedef enum cli_kind {
    CLI_END = 0, /* ends a table */
    CLI_HEADING, /* `help` is a headline in the help text */
    CLI_FLAG,    /* bool */
    CLI_COUNT,   /* int, raised by one each time */
    CLI_CHOICE,  /* an enum as wide as int: one of `choices` */
    CLI_NUMBER,  /* uint64_t, at most `maximum`; K, M, G and Ki, Mi, Gi behind it multiply */
    CLI_REAL,    /* double, 0 or more; the default is not shown where it is NAN or INFINITY */
    CLI_TEXT,    /* const char *, borrowed from argv */
    CLI_LIST,    /* cli_list: each use adds the values between its commas */
    CLI_APPEND   /* cli_list: each use adds its value */
} cli_kind;

typedef struct cli_choice {
    const char *name; /* NULL ends the list */
    int value;
    bool hidden; /* understood, but not shown: another spelling */
} cli_choice;

/* Of a value in base/option_values.h; a comma is its own. */
#define CLI_CHOICE_OF(name, value) {name, value, false},
#define CLI_ALIAS_OF(name, value)  {name, value, true},

typedef enum cli_value_source { CLI_WORDS = 0, CLI_FILES, CLI_FOLDERS } cli_value_source;

typedef struct cli_option {
    cli_kind kind;
    char letter;             /* 0: none */
    bool takes_more;         /* words behind its value are values, too: CLI_LIST */
    cli_value_source source; /* what a shell completes the value with */
    const char *name;        /* without dashes; `-` and `_` are equal when it is looked up */
    const char *value;       /* the value's name in the help text; choices show themselves */
    const char *implied;     /* value where none is given, then only `--name=value` gives one */
    const char *negated;     /* what --no-name stands for; flags and counts have one anyway */
    const cli_choice *choices;
    uint64_t maximum;
    size_t offset; /* of the field in the settings */
    const char *help;
} cli_option;

/* A line of a table; a file's own OPTION() adds where the field is. The rest names its columns. */
#define CLI_OPTION(kind_, letter_, name_, offset_, ...)                                            \
    {                                                                                              \
        .kind = CLI_##kind_, .letter = letter_, .name = name_, .offset = offset_, __VA_ARGS__      \
    }

/* Tables that are one together; those that are not needed are NULL. */
#define CLI_MAX_TABLES 5
typedef struct cli_options {
    const cli_option *tables[CLI_MAX_TABLES];
} cli_options;

extern const cli_option cli_help_option[];    /* -h, for commands that need nothing else */
extern const cli_option cli_common_options[]; /* what commands that work on models share */
extern const cli_option cli_page_options[];   /* --html and --markdown */

/* Goes through all options, headings included: start with NULL, ends with NULL. */
const cli_option *cli_next_option(const cli_options *options, const cli_option *option);

bool cli_takes_value(const cli_option *option); /* as a word of its own, or joined with `=` */
bool cli_shows_choices(const cli_option *option);

/* What help says of it: "int8|uint8" or "FILE", and "on" or "int8"; "" where there is nothing to.
 */
#define CLI_WORDS_CAPACITY 160
void cli_value_words(const cli_option *option, char words[CLI_WORDS_CAPACITY]);
void cli_default_words(const cli_option *option, const void *settings,
                       char words[CLI_WORDS_CAPACITY]);

/*
 * Reads argv[0..argc) into the settings, which begin with a cli_common, and
 * moves the operands to the front of argv. Returns an exit code, after a message about what is
 * wrong.
 */
int cli_parse(const cli_options *options, void *settings, int argc, char **argv, int *n_operands);

#endif
