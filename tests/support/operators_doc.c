/* Writes docs/operators.md: the catalogue of operators, with the rules and forms that there are. */
#include <stdio.h>
#include <string.h>

#include "dequantize/undo.h"
#include "operators/operators.h"
#include "quantize/expand/expand.h"
#include "quantize/rules/rules.h"

static const char head[] =
    "# Operators\n"
    "\n"
    "What onnxq does with the constants of each operator, from the rows of "
    "`src/operators/list.h`.\n"
    "`cmake --build DIR --target operators_doc` writes this file; a test asserts that it is "
    "current.\n"
    "\n"
    "* *In integers*: inputs that may be computed, gathered or stored in blocks as integers.\n"
    "* *Folded*: inputs that are stored as integers and become float when the model is loaded. "
    "Where a\n"
    "  node only hands elements on (all inputs in *italics*), what is done with its result "
    "decides.\n"
    "* *Kept*: inputs that stay float, and why: a rounded constant there gives no rounded result. "
    "The\n"
    "  same holds for a constant that gets there through nodes that hand its elements on, through\n"
    "  arithmetic with constants, or through a body. Small integers and scales of what is "
    "quantized\n"
    "  already stay as well.\n"
    "* *dequantize*: whether the way back is known.\n"
    "\n"
    "A local function is written out where a weight meets it, and is in no row. Operators that are "
    "in no\n"
    "row otherwise, of other domains, or with the name of a function of the model keep all of "
    "their\n"
    "constants. Inputs count from 0; … stands for all that follow.\n";

/* --- one row --- */

/* The inputs that the row tells; one that occurs again and again counts once. */
static size_t count_inputs(const struct oq_operator *op)
{
    return strlen(op->inputs) - (strchr(op->inputs, '*') != NULL);
}

static void put_number(const struct oq_operator *op, size_t input, bool is_handed_on)
{
    const char *star = strchr(op->inputs, '*');
    const char *mark = is_handed_on ? "*" : "";
    bool repeats = star != NULL && input >= (size_t)(star - op->inputs);
    printf("%s%zu%s%s", mark, input, repeats ? "…" : "", mark);
}

static bool is_in_integers(const struct oq_operator *op, size_t input)
{
    const struct oq_rule *rule = oq_rule_find(op);
    enum oq_role role = oq_operator_role(op, input);
    bool has_rule = rule != NULL && rule->emit != NULL && rule->is_weight(input) &&
                    (role == OQ_WEIGHT || role == OQ_PASSED);
    return has_rule || oq_expand_takes(op, input);
}

static bool is_folded(const struct oq_operator *op, size_t input)
{
    const struct oq_rule *rule = oq_rule_find(op);
    enum oq_role role = oq_operator_role(op, input);
    return rule != NULL && rule->is_weight(input) && role != OQ_UNSEEN &&
           oq_role_refuses(role) == NULL;
}

static bool is_kept(const struct oq_operator *op, size_t input)
{
    return !oq_operator_has(op, OQ_QUANTIZED) &&
           oq_role_refuses(oq_operator_role(op, input)) != NULL;
}

static void put_inputs(const struct oq_operator *op,
                       bool (*is_one)(const struct oq_operator *op, size_t input))
{
    const char *comma = "";
    printf(" |");
    for (size_t i = 0; i < count_inputs(op); i++) {
        enum oq_role role = oq_operator_role(op, i);
        if (!is_one(op, i))
            continue;
        printf("%s ", comma);
        put_number(op, i, role == OQ_PASSED || role == OQ_CHOSEN);
        comma = ",";
    }
}

/* Inputs of one reason together, in order of the first. */
static void put_kept(const struct oq_operator *op)
{
    const char *separator = " ";
    printf(" |");
    for (size_t i = 0; i < count_inputs(op); i++) {
        const char *reason = oq_role_refuses(oq_operator_role(op, i));
        bool is_first = is_kept(op, i);
        for (size_t k = 0; k < i; k++)
            is_first = is_first && oq_role_refuses(oq_operator_role(op, k)) != reason;
        if (!is_first)
            continue;
        for (size_t k = i; k < count_inputs(op); k++) {
            if (oq_role_refuses(oq_operator_role(op, k)) != reason)
                continue;
            printf("%s", k == i ? separator : " ");
            put_number(op, k, false);
        }
        printf(": %s", reason);
        separator = "; ";
    }
    if (oq_operator_has(op, OQ_QUANTIZED))
        printf(" all: quantized already");
}

static bool has_form(const struct oq_operator *op)
{
    for (const struct oq_form *const *form = oq_forms; *form != NULL; form++)
        if ((*form)->op == oq_operator_id(op) || strstr((*form)->name, op->name) != NULL)
            return true;
    return false;
}

static void put_way_back(const struct oq_operator *op)
{
    if (!oq_operator_has(op, OQ_QUANTIZED))
        printf(" |");
    else if (has_form(op) || op->stays == NULL)
        printf(" | yes");
    else
        printf(" | no: %s", op->stays);
}

static void put_row(const struct oq_operator *op)
{
    printf("| %s | %d", op->name, op->since);
    put_inputs(op, is_in_integers);
    put_inputs(op, is_folded);
    put_kept(op);
    put_way_back(op);
    printf(" |\n");
}

int main(void)
{
    printf("%s", head);
    for (size_t i = 1; i < OQ_N_OPERATORS; i++) {
        const struct oq_operator *op = &oq_operators[i];
        if (i == 1 || strcmp(op->domain, oq_operators[i - 1].domain) != 0)
            printf("\n## %s\n\n"
                   "| operator | since | in integers | folded | kept | dequantize |\n"
                   "|---|---|---|---|---|---|\n",
                   op->domain[0] == '\0' ? "ai.onnx" : op->domain);
        put_row(op);
    }
    return ferror(stdout) != 0;
}
