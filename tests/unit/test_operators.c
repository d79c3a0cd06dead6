/* The catalogue of operators: its order, its letters, and that rules and forms agree with it. */
#include "operators/operators.h"

#include <string.h>

#include "dequantize/undo.h"
#include "quantize/rules/rules.h"
#include "support/models.h"

#define MAX_INPUTS 24 /* more than any row tells */

static void rows_are_sorted_and_found(void **state)
{
    (void)state;
    for (size_t i = 1; i < OQ_N_OPERATORS; i++) {
        const struct oq_operator *op = &oq_operators[i], *before = &oq_operators[i - 1];
        int order = strcmp(before->domain, op->domain);
        if (order > 0 || (order == 0 && strcmp(before->name, op->name) >= 0))
            fail_msg("%s \"%s\" comes after \"%s\"", op->domain, op->name, before->name);
        for (int times = 0; times < 2; times++)
            assert_ptr_equal(oq_operator_find(op->domain, op->name), op);
        assert_int_equal(oq_operator_id(op), i);
    }
    assert_string_equal(oq_operators[OQ_MS_MatMulNBits].name, "MatMulNBits");
}

static void what_is_not_known_has_the_first_row(void **state)
{
    static const char *const unknown[][2] = {{"", "NoSuchOperator"},
                                             {"", ""},
                                             {"", NULL},
                                             {"", "MatMulNBits"},
                                             {"com.microsoft", "MatMul"},
                                             {"custom", "MatMul"}};
    (void)state;
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        const struct oq_operator *op = oq_operator_find(unknown[i][0], unknown[i][1]);
        assert_ptr_equal(op, &oq_operators[OQ_UNKNOWN_OPERATOR]);
        assert_int_equal(oq_operator_role(op, 0), OQ_UNKNOWN_ROLE);
        assert_int_equal(oq_operator_role(op, SIZE_MAX), OQ_UNKNOWN_ROLE);
        assert_non_null(oq_role_refuses(oq_operator_role(op, 3)));
        assert_null(oq_rule_find(op));
    }
    assert_ptr_equal(oq_operator_find("ai.onnx", "MatMul"), &oq_operators[OQ_ONNX_MatMul]);
    assert_ptr_equal(oq_operator_find(NULL, "MatMul"), &oq_operators[OQ_ONNX_MatMul]);
    assert_ptr_equal(oq_operator_named("Gelu"), &oq_operators[OQ_ONNX_Gelu]);
    assert_ptr_equal(oq_operator_named("FastGelu"), &oq_operators[OQ_MS_FastGelu]);
}

static void letters_are_roles(void **state)
{
    (void)state;
    for (size_t i = 0; i < OQ_N_OPERATORS; i++) {
        const struct oq_operator *op = &oq_operators[i];
        const char *again = strchr(op->inputs, '*');
        size_t n = strspn(op->inputs, "wlreopnduycxgitambqsz?*");
        if (op->inputs[n] != '\0')
            fail_msg("%s: %s has a letter that is no role", op->name, op->inputs);
        if (again != NULL && (again[1] == '\0' || strchr(again + 1, '*') != NULL))
            fail_msg("%s: %s repeats nothing, or twice", op->name, op->inputs);
    }
}

static void inputs_after_a_star_occur_again(void **state)
{
    const struct oq_operator *concat = &oq_operators[OQ_MS_QLinearConcat]; /* sz*qsz */
    static const char expected[] = "szqszqszq";
    (void)state;
    for (size_t i = 0; i < sizeof(expected) - 1; i++)
        assert_int_equal(oq_operator_role(concat, i), expected[i]);
    assert_int_equal(oq_operator_role(&oq_operators[OQ_ONNX_Concat], 1000000), OQ_PASSED);
    assert_int_equal(oq_operator_role(&oq_operators[OQ_ONNX_Add], 1), OQ_ELEMENT);
    assert_int_equal(oq_operator_role(&oq_operators[OQ_ONNX_Add], 2), OQ_UNKNOWN_ROLE);
}

/* Whole numbers are asked for where the letter says that they are no quantities. */
static void ranges_are_of_such_inputs(void **state)
{
    size_t n = 0;
    (void)state;
    for (size_t i = 1; i < OQ_N_OPERATORS; i++)
        for (size_t k = 0; k < MAX_INPUTS; k++) {
            const struct oq_range *range = oq_operator_range((enum oq_operator_id)i, k);
            enum oq_role role = oq_operator_role(&oq_operators[i], k);
            if (range == NULL)
                continue;
            n++;
            assert_true(range->id == i && range->input == k && range->low <= range->high);
            bool is_index = range->kind == OQ_RANGE_INDEX || range->kind == OQ_RANGE_INDEX_ANY ||
                            range->kind == OQ_RANGE_CLASS;
            if (strchr(is_index ? "i" : "itcg", (int)role) == NULL)
                fail_msg("%s: input %zu has a range, and the letter %c", oq_operators[i].name, k,
                         (int)role);
        }
    assert_int_equal(n, OQ_N_RANGES); /* each is found, so they are sorted */
    assert_null(oq_operator_range(OQ_UNKNOWN_OPERATOR, 0));
}

static void families_are_operators(void **state)
{
    (void)state;
    for (size_t i = 1; i < OQ_N_OPERATORS; i++) {
        const struct oq_operator *op = &oq_operators[i];
        bool is_its_own = strcmp(op->family, op->name) == 0;
        if (!is_its_own && strcmp(oq_operator_named(op->family)->family, op->family) != 0)
            fail_msg("%s: its family %s is none", op->name, op->family);
    }
}

/* Float operators with a quantized cache or nothing else of the kind. */
static bool may_take_integers(enum oq_operator_id id)
{
    return id == OQ_MS_DynamicSparseAttention || id == OQ_MS_GroupQueryAttention ||
           id == OQ_MS_NhwcMaxPool || id == OQ_MS_PagedAttention ||
           id == OQ_MS_SparsePagedAttention;
}

static void what_takes_integers_says_so(void **state)
{
    (void)state;
    for (size_t i = 1; i < OQ_N_OPERATORS; i++) {
        const struct oq_operator *op = &oq_operators[i];
        bool takes = strpbrk(op->inputs, "qsz") != NULL;
        bool makes = strstr(op->name, "Quantize") != NULL;
        bool says = oq_operator_has(op, OQ_QUANTIZED);
        if (takes && !says && !may_take_integers((enum oq_operator_id)i))
            fail_msg("%s: %s, but it is no INTEGER", op->name, op->inputs);
        if (says && !takes && !makes)
            fail_msg("%s: %s, but it is INTEGER", op->name, op->inputs);
        if (!says && op->stays != NULL)
            fail_msg("%s stays, but it is not quantized", op->name);
        assert_non_null(op->advice);
    }
}

static size_t count_rules(void)
{
    size_t n = 0;
    for (size_t i = 1; i < OQ_N_OPERATORS; i++) {
        const struct oq_rule *rule = oq_rule_find(&oq_operators[i]);
        n += rule != NULL && rule->op != OQ_UNKNOWN_OPERATOR;
    }
    return n;
}

static void rules_take_inputs_that_may_be_rounded(void **state)
{
    (void)state;
    for (size_t i = 1; i < OQ_N_OPERATORS; i++) {
        const struct oq_operator *op = &oq_operators[i];
        const struct oq_rule *rule = oq_rule_find(op);
        if (rule == NULL || rule->op == OQ_UNKNOWN_OPERATOR)
            continue;
        assert_int_equal(rule->op, i);
        for (size_t k = 0; k < MAX_INPUTS; k++)
            if (rule->is_weight(k) && oq_role_refuses(oq_operator_role(op, k)) != NULL &&
                oq_operator_role(op, k) != OQ_UNKNOWN_ROLE)
                fail_msg("%s: input %zu has a rule, but is no weight", op->name, k);
    }
    assert_int_equal(count_rules(), 7);
}

static bool has_form(enum oq_operator_id id)
{
    for (const struct oq_form *const *form = oq_forms; *form != NULL; form++)
        if ((*form)->op == id)
            return true;
    return false;
}

static void what_stays_without_a_reason_has_a_form(void **state)
{
    (void)state;
    for (const struct oq_form *const *form = oq_forms; *form != NULL; form++)
        assert_true((*form)->op > OQ_UNKNOWN_OPERATOR && (*form)->op < OQ_N_OPERATORS);
    for (size_t i = 1; i < OQ_N_OPERATORS; i++) {
        const struct oq_operator *op = &oq_operators[i];
        bool makes = strchr(op->inputs, 'q') == NULL; /* which goes when no one takes it */
        if (oq_operator_has(op, OQ_QUANTIZED) && op->stays == NULL && !makes &&
            !has_form((enum oq_operator_id)i))
            fail_msg("%s: no form, and no reason why it stays", op->name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_sorted_and_found),
        cmocka_unit_test(what_is_not_known_has_the_first_row),
        cmocka_unit_test(letters_are_roles),
        cmocka_unit_test(inputs_after_a_star_occur_again),
        cmocka_unit_test(ranges_are_of_such_inputs),
        cmocka_unit_test(families_are_operators),
        cmocka_unit_test(what_takes_integers_says_so),
        cmocka_unit_test(rules_take_inputs_that_may_be_rounded),
        cmocka_unit_test(what_stays_without_a_reason_has_a_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
