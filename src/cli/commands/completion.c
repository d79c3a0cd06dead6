/* `onnxq completion`: scripts for shells, made from the tables of options. */
#define _POSIX_C_SOURCE 200809L
#include "cli/command.h"

#include <string.h>

#include "cli/terminal/messages.h"

/* What a shell's script is made of. All walk the same tables. */

typedef void (*option_fn)(const cli_command *command, const cli_option *option);

static void each_option(const cli_command *command, option_fn print)
{
    const cli_option *option = NULL;
    while ((option = cli_next_option(&command->options, option)) != NULL) {
        if (option->kind != CLI_HEADING)
            print(command, option);
    }
}

static void each_command(void (*print)(const cli_command *command))
{
    for (const cli_command *const *command = cli_commands; *command != NULL; command++)
        print(*command);
}

static bool takes_some_value(const cli_option *option)
{
    return option->value != NULL || cli_shows_choices(option);
}

/* "int8 uint8": the choices that are shown. */
static void print_choices(const cli_option *option)
{
    const char *space = "";
    for (const cli_choice *choice = option->choices; choice->name != NULL; choice++) {
        if (choice->hidden)
            continue;
        printf("%s%s", space, choice->name);
        space = " ";
    }
}

static void print_command_name(const cli_command *command)
{
    printf("%s ", command->name);
}

static void print_operand_words(const cli_command *command)
{
    if (command->operands == CLI_COMMAND_OPERANDS)
        each_command(print_command_name);
    else
        fputs(command->words, stdout);
}

/* Text inside single quotes, with `escaped` characters behind a backslash. */
static void print_quoted(const char *text, const char *escaped)
{
    for (; *text != '\0'; text++) {
        if (*text == '\'')
            fputs("'\\'", stdout);
        else if (strchr(escaped, *text) != NULL)
            putchar('\\');
        putchar(*text);
    }
}

/* --- bash ------------------------------------------------------------------ */

static void print_bash_names(const cli_command *command, const cli_option *option)
{
    (void)command;
    if (option->letter != 0)
        printf("-%c ", option->letter);
    printf("--%s ", option->name);
    if (option->negated != NULL)
        printf("--no-%s ", option->name);
}

static void print_bash_value(const cli_command *command, const cli_option *option)
{
    if (!takes_some_value(option))
        return;
    fputs("        ", stdout);
    if (option->letter != 0)
        printf("%s:-%c | ", command->name, option->letter);
    /* With an optional value the next word is something else: only after `=` it is completed. */
    printf("%s:--%s%s)\n", command->name, option->name, cli_takes_value(option) ? "" : "=");
    if (option->source != CLI_WORDS)
        printf("            _onnxq_files %s \"$word\"\n",
               option->source == CLI_FILES ? "-f" : "-d");
    if (cli_shows_choices(option)) {
        fputs("            COMPREPLY=($(compgen -W \"", stdout);
        print_choices(option);
        fputs("\" -- \"$word\"))\n", stdout);
    }
    fputs("            return ;;\n", stdout);
}

static void print_bash_command(const cli_command *command)
{
    printf("    %s:-*) COMPREPLY=($(compgen -W \"", command->name);
    each_option(command, print_bash_names);
    fputs("\" -- \"$word\")) ;;\n", stdout);
    printf("    %s:*) ", command->name);
    if (command->operands == CLI_FILE_OPERANDS) {
        fputs("_onnxq_files -f \"$word\" ;;\n", stdout);
        return;
    }
    fputs("COMPREPLY=($(compgen -W \"", stdout);
    print_operand_words(command);
    fputs("\" -- \"$word\")) ;;\n", stdout);
}

static void print_bash_values(const cli_command *command)
{
    each_option(command, print_bash_value);
}

static void print_bash(void)
{
    fputs("# source <(onnxq completion bash)\n"
          "_onnxq_files() {\n"
          "    compopt -o filenames\n"
          "    mapfile -t COMPREPLY < <(compgen \"$1\" -- \"$2\")\n"
          "}\n"
          "_onnxq() {\n"
          "    local word=${COMP_WORDS[COMP_CWORD]} option=${COMP_WORDS[COMP_CWORD - 1]}\n"
          "    local command=${COMP_WORDS[1]} joined=\n"
          "    [[ $word == \"=\" ]] && word= joined=\"=\"\n"
          "    [[ $option == \"=\" ]] && option=${COMP_WORDS[COMP_CWORD - 2]} joined=\"=\"\n"
          "    COMPREPLY=()\n"
          "    if ((COMP_CWORD == 1)); then\n"
          "        COMPREPLY=($(compgen -W \"",
          stdout);
    each_command(print_command_name);
    each_option(&cli_program, print_bash_names);
    fputs("\" -- \"$word\"))\n"
          "        return\n"
          "    fi\n"
          "    for option in \"$option$joined\" \"$option\"; do\n"
          "        case $command:$option in\n",
          stdout);
    each_command(print_bash_values);
    fputs("        esac\n"
          "    done\n"
          "    case $command:$word in\n",
          stdout);
    each_command(print_bash_command);
    fputs("    esac\n"
          "}\n"
          "complete -F _onnxq onnxq\n",
          stdout);
}

/* --- zsh ------------------------------------------------------------------- */

static void print_zsh_summary(const cli_command *command)
{
    printf("            '%s:", command->name);
    print_quoted(command->summary, "");
    fputs("'\n", stdout);
}

/* ":value:(int8 uint8)"; a second colon in front makes it optional. */
static void print_zsh_value(const cli_option *option)
{
    printf("%s:%s:", option->implied != NULL ? ":" : "",
           option->value != NULL ? option->value : "value");
    if (cli_shows_choices(option)) {
        putchar('(');
        print_choices(option);
        putchar(')');
    } else if (option->source != CLI_WORDS) {
        fputs(option->source == CLI_FILES ? "_files" : "_files -/", stdout);
    }
}

static void print_zsh_spec(const char *dashes, const char *name, const char *joint,
                           const cli_option *option)
{
    printf(" \\\n            '*%s%s%s[", dashes, name, joint);
    print_quoted(option->help, "[]");
    putchar(']');
    if (joint[0] != '\0')
        print_zsh_value(option);
    putchar('\'');
}

static void print_zsh_option(const cli_command *command, const cli_option *option)
{
    (void)command;
    bool has_value = takes_some_value(option);
    const char *joint = !has_value ? "" : cli_takes_value(option) ? "=" : "=-";
    char letter[] = {option->letter, '\0'};
    if (option->letter != 0)
        print_zsh_spec("-", letter, has_value ? "+" : "", option);
    print_zsh_spec("--", option->name, joint, option);
    if (option->negated != NULL)
        print_zsh_spec("--no-", option->name, "", option);
}

static void print_zsh_command(const cli_command *command)
{
    printf("    %s)\n        _arguments -s -S", command->name);
    each_option(command, print_zsh_option);
    if (command->operands == CLI_FILE_OPERANDS) {
        fputs(" \\\n            '*:file:_files'", stdout);
    } else {
        fputs(" \\\n            '1:word:(", stdout);
        print_operand_words(command);
        fputs(")'", stdout);
    }
    fputs("\n        ;;\n", stdout);
}

static void print_zsh(void)
{
    fputs("#compdef onnxq\n"
          "# source <(onnxq completion zsh), or save it as _onnxq in a folder of $fpath\n"
          "_onnxq() {\n"
          "    if ((CURRENT == 2)); then\n"
          "        local -a commands=(\n",
          stdout);
    each_command(print_zsh_summary);
    fputs("        )\n"
          "        _describe command commands\n"
          "        return\n"
          "    fi\n"
          "    local command=${words[2]}\n"
          "    shift words\n"
          "    ((CURRENT--))\n"
          "    case $command in\n",
          stdout);
    each_command(print_zsh_command);
    fputs("    esac\n"
          "}\n"
          "if [[ ${funcstack[1]} == _onnxq ]]; then\n"
          "    _onnxq \"$@\"\n"
          "else\n"
          "    compdef _onnxq onnxq\n"
          "fi\n",
          stdout);
}

/* --- fish ------------------------------------------------------------------ */

static void print_fish_name(const cli_command *command, const cli_option *option,
                            const char *prefix)
{
    if (command == &cli_program)
        fputs("complete -c onnxq -n __fish_use_subcommand", stdout);
    else
        printf("complete -c onnxq -n '__fish_seen_subcommand_from %s'", command->name);
    printf(" -l %s%s", prefix, option->name);
}

static void print_fish_option(const cli_command *command, const cli_option *option)
{
    print_fish_name(command, option, "");
    if (option->letter != 0)
        printf(" -s %c", option->letter);
    if (option->source != CLI_WORDS)
        fputs(" -F", stdout);
    else if (takes_some_value(option))
        fputs(" -f", stdout);
    if (cli_takes_value(option))
        fputs(" -r", stdout);
    if (cli_shows_choices(option)) {
        fputs(" -a '", stdout);
        print_choices(option);
        putchar('\'');
    }
    fputs(" -d '", stdout);
    print_quoted(option->help, "\\");
    fputs("'\n", stdout);
    if (option->negated != NULL) {
        print_fish_name(command, option, "no-");
        putchar('\n');
    }
}

static void print_fish_command(const cli_command *command)
{
    printf("complete -c onnxq -n __fish_use_subcommand -a %s -d '", command->name);
    print_quoted(command->summary, "\\");
    fputs("'\n", stdout);
    each_option(command, print_fish_option);
    printf("complete -c onnxq -n '__fish_seen_subcommand_from %s'", command->name);
    if (command->operands == CLI_FILE_OPERANDS) {
        fputs(" -F\n", stdout);
        return;
    }
    fputs(" -a '", stdout);
    print_operand_words(command);
    fputs("'\n", stdout);
}

static void print_fish(void)
{
    fputs("# onnxq completion fish | source\n"
          "complete -c onnxq -f\n",
          stdout);
    each_option(&cli_program, print_fish_option);
    each_command(print_fish_command);
}

/* --- the command ----------------------------------------------------------- */

static int run_completion(void *settings, int n_operands, char **operands)
{
    static const struct {
        const char *name;
        void (*print)(void);
    } shells[] = {{"bash", print_bash}, {"zsh", print_zsh}, {"fish", print_fish}};
    const char *expected = "it is one of bash, zsh, fish";
    if (n_operands != 1)
        return cli_usage(settings, expected, "completion needs the name of one shell");
    for (size_t i = 0; i < sizeof(shells) / sizeof(shells[0]); i++) {
        if (strcmp(shells[i].name, operands[0]) == 0) {
            shells[i].print();
            return CLI_EXIT_OK;
        }
    }
    return cli_usage(settings, expected, "'%s' is not a shell that is known here", operands[0]);
}

const cli_command cli_completion = {
    .name = "completion",
    .summary = "Prints the script that completes commands, options and values in a shell.",
    .usage = "completion bash|zsh|fish",
    .notes = "bash: source <(onnxq completion bash)\n"
             "zsh:  source <(onnxq completion zsh)\n"
             "fish: onnxq completion fish | source",
    .options = {{cli_help_option, NULL}},
    .operands = CLI_WORD_OPERANDS,
    .words = "bash zsh fish",
    .settings_nbytes = sizeof(cli_common),
    .run = run_completion};
