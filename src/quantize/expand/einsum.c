/*
 * Einsum (ai.onnx, 12) that is a product: "bsh,hd->bsd" and its kin. The activation is turned so
 * that the axes that are summed up come last, those and the weight's others are joined to one each,
 * a MatMul multiplies, and what comes out is parted and turned as it is wanted.
 */
#include "quantize/expand/expander.h"
#include "wire/data_type.h"

/* Letters of an operand, or of some of its axes. */
struct letters {
    char of[OQ_MAX_RANK];
    size_t n;
    bool has_more; /* axes in front that "..." stands for */
};

struct equation {
    struct letters operands[2], result;
};

static bool contains_letter(const struct letters *letters, char letter)
{
    return memchr(letters->of, letter, letters->n) != NULL;
}

static bool is_equal(const struct letters *a, const struct letters *b)
{
    return a->n == b->n && memcmp(a->of, b->of, a->n) == 0 && a->has_more == b->has_more;
}

static void append(struct letters *to, const struct letters *more)
{
    to->has_more |= more->has_more;
    for (size_t i = 0; i < more->n && to->n < OQ_MAX_RANK; i++)
        to->of[to->n++] = more->of[i];
}

/* --- the equation --- */

/* Letters up to what is none; no letter twice, and "..." in front alone. */
static const char *parse_operand(const char *text, struct letters *letters)
{
    if (strncmp(text, "...", 3) == 0) {
        letters->has_more = true;
        text += 3;
    }
    for (; (*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z'); text++) {
        if (letters->n == OQ_MAX_RANK || contains_letter(letters, *text))
            return NULL;
        letters->of[letters->n++] = *text;
    }
    return text;
}

/* Where none is given: letters of one operand alone, by the alphabet. */
static void imply_result(struct equation *equation)
{
    const struct letters *a = &equation->operands[0], *b = &equation->operands[1];
    struct letters *result = &equation->result;
    result->has_more = a->has_more || b->has_more;
    for (int i = 'A'; i <= 'z'; i++) {
        const char letter = (char)i;
        if (contains_letter(a, letter) != contains_letter(b, letter) && result->n < OQ_MAX_RANK)
            result->of[result->n++] = letter;
    }
}

static bool parse(const char *text, struct equation *equation)
{
    text = parse_operand(text, &equation->operands[0]);
    if (text == NULL || *text != ',')
        return false;
    text = parse_operand(text + 1, &equation->operands[1]);
    if (text != NULL && *text == '\0') {
        imply_result(equation);
        return true;
    }
    if (text == NULL || strncmp(text, "->", 2) != 0)
        return false;
    text = parse_operand(text + 2, &equation->result);
    return text != NULL && *text == '\0';
}

#define MAX_TEXT 256

static bool read_equation(const Oq__Pb__NodeProto *node, struct equation *equation)
{
    const Oq__Pb__AttributeProto *attribute = oq_node_attribute(node, "equation");
    char text[MAX_TEXT];
    size_t n = 0;
    if (attribute == NULL || attribute->s.len >= MAX_TEXT)
        return false;
    for (size_t i = 0; i < attribute->s.len; i++)
        if (attribute->s.data[i] != ' ')
            text[n++] = (char)attribute->s.data[i];
    text[n] = '\0';
    *equation = (struct equation){0};
    return parse(text, equation);
}

/* --- what it is as a product --- */

struct einsum_product {
    struct letters rows;    /* of the activation, in the order in which the result has them */
    struct letters sums;    /* in the order in which the weight has them */
    struct letters columns; /* of the weight, likewise */
    bool is_turned;         /* the weight's last axis is summed up: columns in front */
    struct letters matrix;  /* its axes in that order, in which the last one stays the last */
    struct letters x, y;    /* what a MatMul takes and gives: rows and sums, rows and columns */
};

/* Those of `of` that are, or are not, in both others. */
static void pick(struct letters *to, const struct letters *of, const struct letters *in, bool is_in)
{
    for (size_t i = 0; i < of->n; i++)
        if (contains_letter(in, of->of[i]) == is_in)
            to->of[to->n++] = of->of[i];
}

static bool find_product(const struct equation *equation, size_t weight,
                         struct einsum_product *product)
{
    const struct letters *w = &equation->operands[weight], *x = &equation->operands[1 - weight];
    const struct letters *y = &equation->result;
    struct letters straight = {0}, turned = {0};
    *product = (struct einsum_product){0};
    pick(&product->sums, w, x, true);
    pick(&product->columns, w, x, false);
    pick(&product->rows, y, x, true);
    product->rows.has_more = x->has_more;
    append(&straight, &product->sums);
    append(&straight, &product->columns);
    append(&turned, &product->columns);
    append(&turned, &product->sums);
    product->is_turned = w->n > 0 && contains_letter(x, w->of[w->n - 1]);
    product->matrix = product->is_turned ? turned : straight;
    append(&product->x, &product->rows);
    append(&product->x, &product->sums);
    append(&product->y, &product->rows);
    append(&product->y, &product->columns);
    /* All of x is either summed up or a row, all of the result a row or a column. */
    for (size_t i = 0; i < product->rows.n; i++)
        if (contains_letter(&product->sums, product->rows.of[i]))
            return false;
    for (size_t i = 0; i < y->n; i++)
        if (!contains_letter(&product->y, y->of[i]))
            return false;
    return product->sums.n > 0 && product->columns.n > 0 && y->n == product->y.n &&
           x->n == product->x.n && y->has_more == x->has_more;
}

/* --- how it is written --- */

/* output = value with its axes in another order; nothing where that is the same. */
static const char *turn(struct oq_expander *expander, const char *label, const char *value,
                        const struct letters *from, const struct letters *to, const char *output)
{
    int64_t perm[OQ_MAX_RANK];
    if (is_equal(from, to))
        return value;
    for (size_t i = 0; i < to->n; i++)
        perm[i] = (const char *)memchr(from->of, to->of[i], from->n) - from->of;
    oq_edit_permute(&expander->edit, label, value, perm, to->n, output);
    return output;
}

static int64_t size_of(const struct letters *w, const struct oq_source *weight, char letter)
{
    return weight->dims[(const char *)memchr(w->of, letter, w->n) - w->of];
}

/* Rows stay; what is behind them becomes one axis of the sizes of `joined`, or those axes again. */
static const char *reshape(struct oq_expander *expander, const char *label, const char *value,
                           size_t n_rows, const int64_t *sizes, size_t n, const char *output)
{
    int64_t shape[OQ_MAX_RANK + 1] = {0}; /* 0: as it is */
    for (size_t i = 0; i < n && n_rows + i < OQ_MAX_RANK; i++)
        shape[n_rows + i] = sizes[i];
    const char *inputs[] = {value, oq_expand_constant(expander, "shape", shape, n_rows + n, NULL),
                            NULL};
    const char *outputs[] = {output, NULL};
    oq_edit_node(&expander->edit, "", "Reshape", label, inputs, outputs);
    return output;
}

static const char *make_activation(struct oq_expander *expander, const Oq__Pb__NodeProto *node,
                                   const struct equation *equation, size_t weight,
                                   const struct einsum_product *product, int64_t k)
{
    struct oq_edit *edit = &expander->edit;
    const char *label = oq_node_label(node), *x = node->input[1 - weight];
    if (!is_equal(&equation->operands[1 - weight], &product->x))
        x = turn(expander, label, x, &equation->operands[1 - weight], &product->x,
                 oq_edit_name(edit, node->output[0], "_turned"));
    return product->sums.n == 1 ? x
                                : reshape(expander, label, x, product->rows.n, &k, 1,
                                          oq_edit_name(edit, node->output[0], "_joined"));
}

/* As a matrix [sums, columns]. */
static const char *make_weight(struct oq_expander *expander, const Oq__Pb__NodeProto *node,
                               const struct equation *equation, size_t weight,
                               const struct einsum_product *product)
{
    struct oq_edit *edit = &expander->edit;
    const char *w = node->input[weight];
    if (!is_equal(&equation->operands[weight], &product->matrix))
        w = turn(expander, oq_node_label(node), w, &equation->operands[weight], &product->matrix,
                 oq_edit_name(edit, w, "_turned"));
    if (product->sums.n + product->columns.n > 2) {
        const char *matrix = oq_edit_name(edit, w, "_matrix");
        const char *inputs[] = {w, NULL}, *outputs[] = {matrix, NULL};
        size_t axis = product->is_turned ? product->columns.n : product->sums.n;
        oq_edit_add_int(edit,
                        oq_edit_node(edit, "", "Flatten", oq_node_label(node), inputs, outputs),
                        "axis", (int64_t)axis);
        w = matrix;
    }
    return product->is_turned ? oq_edit_transpose(edit, w) : w;
}

static void write_product(struct oq_expander *expander, const Oq__Pb__NodeProto *node,
                          const struct equation *equation, size_t weight,
                          const struct oq_source *source, const struct einsum_product *product)
{
    struct oq_edit *edit = &expander->edit;
    const struct letters *w = &equation->operands[weight];
    const char *label = oq_node_label(node), *y = node->output[0];
    int64_t k = 1, sizes[OQ_MAX_RANK];
    for (size_t i = 0; i < product->sums.n; i++)
        k *= size_of(w, source, product->sums.of[i]); /* their product is in nelem: it fits */
    for (size_t i = 0; i < product->columns.n; i++)
        sizes[i] = size_of(w, source, product->columns.of[i]);
    const bool turns = !is_equal(&product->y, &equation->result);
    const char *parted = turns ? oq_edit_name(edit, y, "_parted") : y;
    const char *made = product->columns.n > 1 ? oq_edit_name(edit, y, "_product") : parted;
    const char *inputs[] = {make_activation(expander, node, equation, weight, product, k),
                            make_weight(expander, node, equation, weight, product), NULL};
    const char *outputs[] = {made, NULL};
    oq_expand_replace(node, oq_edit_node(edit, "", "MatMul", label, inputs, outputs));
    if (product->columns.n > 1)
        reshape(expander, label, made, product->rows.n, sizes, product->columns.n, parted);
    if (turns)
        turn(expander, label, parted, &product->y, &equation->result, y);
}

/* Of what is behind "...", nothing is known but that it comes first: no axis may move there. */
static bool is_writable(const struct equation *equation, size_t weight,
                        const struct einsum_product *product)
{
    return !product->rows.has_more || (product->sums.n == 1 && product->columns.n == 1 &&
                                       is_equal(&equation->operands[1 - weight], &product->x) &&
                                       is_equal(&equation->result, &product->y));
}

/*
 * ONNX Runtime (to 1.32) crashes where it joins a Transpose that moves the first axis and a MatMul
 * of float16, which is what this one may stay.
 */
static bool is_joined_to_crash(const struct oq_expander *expander, const Oq__Pb__NodeProto *node,
                               const struct equation *equation, size_t weight,
                               const struct oq_source *source, const struct einsum_product *product)
{
    const struct oq_value *x = oq_graph_find(expander->graph, node->input[1 - weight]);
    const Oq__Pb__NodeProto *maker = x == NULL ? NULL : oq_value_node(x);
    return source->data_type == OQ_TYPE(FLOAT16) &&
           (!is_equal(&equation->operands[1 - weight], &product->x) ||
            (maker != NULL && OQ_NODE_IS(maker, "Transpose", "Cast")));
}

/* ONNX Runtime (to 1.32) loses an output that a Transpose makes, where it joins that to a Gemm. */
static bool is_turned_to_be_lost(const struct oq_expander *expander, const Oq__Pb__NodeProto *node,
                                 const struct equation *equation,
                                 const struct einsum_product *product)
{
    const struct oq_value *y = oq_graph_find(expander->graph, node->output[0]);
    if (y == NULL || !y->is_graph_output || is_equal(&product->y, &equation->result))
        return false;
    for (const struct oq_use *use = y->uses; use != NULL; use = use->next)
        if (use->node != OQ_NO_NODE)
            return true;
    return false;
}

bool oq_expand_einsum(struct oq_expander *expander, const Oq__Pb__NodeProto *node)
{
    struct equation equation;
    struct einsum_product product;
    struct oq_source weights[2];
    if (!oq_node_is(node, "", "Einsum") || node->n_input != 2 || !read_equation(node, &equation))
        return false;
    const bool is_left = oq_expand_find_weight(expander, node, 0, &weights[0]);
    const bool is_right = oq_expand_find_weight(expander, node, 1, &weights[1]);
    const size_t weight = is_left ? 0 : 1;
    if (is_left == is_right || equation.operands[weight].has_more ||
        weights[weight].n_dims != equation.operands[weight].n ||
        !find_product(&equation, weight, &product) || !is_writable(&equation, weight, &product) ||
        is_joined_to_crash(expander, node, &equation, weight, &weights[weight], &product) ||
        is_turned_to_be_lost(expander, node, &equation, &product))
        return false;
    write_product(expander, node, &equation, weight, &weights[weight], &product);
    return true;
}
