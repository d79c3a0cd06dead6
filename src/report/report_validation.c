/* What is wrong with a model, a line for each problem. */
#include <onnxq/onnxq.h>

#include "report/report_text.h"

#define NAME_LIMIT ((size_t)80)

/* `what` and the name in quotes, where there is one. */
static void print_name(FILE *stream, const char *separator, const char *what, const char *name)
{
    fprintf(stream, "%s%s\"", separator, what);
    oq_report_cell(stream, name, 0, NAME_LIMIT);
    fputc('"', stream);
}

static void print_problem(const onnxq_problem *problem, FILE *stream)
{
    const char *separator = "  ";
    if (problem->graph[0] != '\0') {
        print_name(stream, separator, "graph ", problem->graph);
        separator = ", ";
    }
    if (problem->op_type[0] != '\0' || problem->node[0] != '\0') {
        fputs(separator, stream);
        oq_report_cell(stream, problem->op_type, 0, NAME_LIMIT);
        print_name(stream, problem->op_type[0] != '\0' ? " " : "", "", problem->node);
        separator = ", ";
    }
    if (problem->value[0] != '\0') {
        print_name(stream, separator, "value ", problem->value);
        separator = ", ";
    }
    fputs(separator[0] == ',' ? ": " : "  ", stream);
    oq_report_cell(stream, problem->message, 0, OQ_REPORT_NO_LIMIT);
    fputc('\n', stream);
}

static void print_head(const onnxq_validation *validation, FILE *stream)
{
    size_t n = validation->n_warnings;
    if (validation->n_found > 0)
        fprintf(stream, "not valid: %zu problem%s\n", validation->n_found,
                oq_report_plural(validation->n_found));
    else if (n > 0)
        fprintf(stream, "valid, with %zu warning%s\n", n, oq_report_plural(n));
    else
        fputs("valid\n", stream);
}

void onnxq_report_validation(const onnxq_validation *validation, FILE *stream)
{
    print_head(validation, stream);
    for (size_t i = 0; i < validation->n_problems; i++)
        print_problem(&validation->problems[i], stream);
    if (validation->n_found > validation->n_problems)
        fprintf(stream, "  and %zu more\n", validation->n_found - validation->n_problems);
    for (size_t i = 0; i < validation->n_warnings; i++) {
        fputs("  warning: ", stream);
        oq_report_cell(stream, validation->warnings[i].message, 0, OQ_REPORT_NO_LIMIT);
        fputc('\n', stream);
    }
}
