#include "support/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/types.h"

#define MAX_DIMS 8

/* --- reading --- */

struct parser {
    struct builder *builder;
    const char *start, *at;
};

static void die(const struct parser *parser, const char *expected)
{
    fprintf(stderr, "model text: expected %s at: %.60s\n", expected, parser->at);
    abort();
}

/* Newlines end statements, so they are no blanks. */
static void skip_blanks(struct parser *parser)
{
    while (*parser->at == ' ' || *parser->at == '\t')
        parser->at++;
    if (*parser->at == '#')
        parser->at += strcspn(parser->at, "\n");
}

static bool accept(struct parser *parser, const char *token)
{
    size_t n = strlen(token);
    skip_blanks(parser);
    if (strncmp(parser->at, token, n) != 0)
        return false;
    parser->at += n;
    return true;
}

static void expect(struct parser *parser, const char *token)
{
    if (!accept(parser, token))
        die(parser, token);
}

static bool at_end_of_statement(struct parser *parser)
{
    skip_blanks(parser);
    return strchr(";\n}", *parser->at) != NULL; /* or the end of the text */
}

/* A name or a number, or "" where there is none. */
static char *read_word(struct parser *parser)
{
    skip_blanks(parser);
    bool quoted = accept(parser, "\"");
    size_t n = strcspn(parser->at, quoted ? "\"" : " \t\n,(){}[]=;@#\"");
    char *word = builder_alloc(parser->builder, n + 1, 1);
    memcpy(word, parser->at, n);
    parser->at += n;
    if (quoted)
        expect(parser, "\"");
    return word;
}

static char *read_name(struct parser *parser)
{
    char *word = read_word(parser);
    if (word[0] == '\0')
        die(parser, "a name");
    return word;
}

static double read_number(struct parser *parser)
{
    char *end;
    char *word = read_name(parser);
    double value = strtod(word, &end);
    if (*end != '\0')
        die(parser, "a number before this place");
    return value;
}

/* [2,N,3], or nothing: SIZE_MAX. What is no number is -1, and its name goes to names[] if there is
 * one. */
static size_t read_dims(struct parser *parser, int64_t *dims, char **names)
{
    size_t n = 0;
    if (!accept(parser, "["))
        return SIZE_MAX;
    while (!accept(parser, "]")) {
        char *end;
        char *word = read_name(parser);
        if (n == MAX_DIMS)
            die(parser, "fewer dimensions");
        dims[n] = strtoll(word, &end, 10);
        if (*end != '\0')
            dims[n] = -1;
        if (names != NULL)
            names[n] = word;
        n++;
        accept(parser, ",");
    }
    return n;
}

static const struct element_type *read_type(struct parser *parser)
{
    const struct element_type *type = element_type_by_name(read_name(parser));
    if (type == NULL)
        die(parser, "a known element type before this place");
    return type;
}

static Oq__Pb__ValueInfoProto *read_value(struct parser *parser)
{
    int64_t dims[MAX_DIMS];
    char *symbols[MAX_DIMS];
    char *name = read_name(parser);
    const struct element_type *type = read_type(parser);
    size_t n_dims = read_dims(parser, dims, symbols);
    Oq__Pb__ValueInfoProto *value =
        builder_value(parser->builder, name, type->data_type, dims, n_dims);
    for (size_t i = 0; n_dims != SIZE_MAX && i < n_dims; i++) {
        Oq__Pb__TensorShapeProto__Dimension *dim = value->type->tensor_type->shape->dim[i];
        if (dims[i] < 0 && strcmp(symbols[i], "?") == 0)
            dim->value_case = OQ__PB__TENSOR_SHAPE_PROTO__DIMENSION__VALUE__NOT_SET;
        else if (dims[i] < 0)
            dim->dim_param = symbols[i];
    }
    return value;
}

static enum builder_storage read_storage(struct parser *parser)
{
    static const struct {
        const char *name;
        enum builder_storage storage;
    } storages[] = {{"raw", BUILDER_RAW},
                    {"packed", BUILDER_PACKED},
                    {"unpacked", BUILDER_UNPACKED},
                    {"pieces", BUILDER_PIECES},
                    {"external", BUILDER_EXTERNAL}};
    for (size_t i = 0; i < sizeof(storages) / sizeof(storages[0]); i++)
        if (accept(parser, storages[i].name))
            return storages[i].storage;
    return BUILDER_RAW;
}

static bool at_number(struct parser *parser)
{
    skip_blanks(parser);
    return *parser->at != '\0' && strchr("+-.0123456789ni", *parser->at) != NULL;
}

static void read_elements(struct parser *parser, double *values, size_t nelem)
{
    for (size_t i = 0; i < nelem; i++)
        values[i] = builder_random(parser->builder);
    if (accept(parser, "=")) {
        size_t n = 0;
        while (at_number(parser)) {
            double value = read_number(parser);
            if (n < nelem)
                values[n] = value;
            n++;
        }
        if (n == 0)
            die(parser, "numbers");
        for (size_t i = n; i < nelem; i++)
            values[i] = values[i - n];
    }
    while (accept(parser, "@")) {
        size_t index = (size_t)read_number(parser);
        expect(parser, "=");
        double value = read_number(parser);
        if (index >= nelem)
            die(parser, "an index of an element before this place");
        values[index] = value;
    }
}

/* What follows the name of a tensor: float32[2,3] packed = 1 2 3 */
static Oq__Pb__TensorProto *read_tensor(struct parser *parser, const char *name)
{
    struct builder *builder = parser->builder;
    const struct element_type *type = read_type(parser);
    int64_t dims[MAX_DIMS];
    size_t n_dims = read_dims(parser, dims, NULL), nelem = 1;
    for (size_t i = 0; n_dims != SIZE_MAX && i < n_dims; i++)
        nelem *= (size_t)dims[i];
    Oq__Pb__TensorProto *tensor =
        builder_tensor(builder, name, type->data_type, dims, n_dims == SIZE_MAX ? 0 : n_dims);
    enum builder_storage storage = read_storage(parser);
    double *values = builder_alloc(builder, nelem, sizeof(*values));
    read_elements(parser, values, nelem);
    builder_store(builder, tensor, storage, values, nelem);
    return tensor;
}

static void read_statements(struct parser *parser, Oq__Pb__GraphProto *graph);

static Oq__Pb__GraphProto *read_graph(struct parser *parser, const char *name)
{
    Oq__Pb__GraphProto *graph = builder_alloc(parser->builder, 1, sizeof(*graph));
    oq__pb__graph_proto__init(graph);
    graph->name = builder_text(parser->builder, name);
    read_statements(parser, graph);
    expect(parser, "}");
    return graph;
}

static void read_number_attribute(struct parser *parser, Oq__Pb__AttributeProto *attribute)
{
    size_t n = strcspn(parser->at, " \t\n;}");
    bool is_float = strcspn(parser->at, ".en") < n; /* a point, an exponent, nan or inf */
    double value = read_number(parser);
    attribute->has_f = is_float;
    attribute->has_i = !is_float;
    attribute->type = is_float ? OQ__PB__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT
                               : OQ__PB__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT;
    if (is_float)
        attribute->f = (float)value;
    else
        attribute->i = (int64_t)value;
}

static void read_attribute(struct parser *parser, Oq__Pb__NodeProto *node)
{
    struct builder *builder = parser->builder;
    char *name = read_name(parser);
    int64_t dims[MAX_DIMS];
    Oq__Pb__AttributeProto *attribute =
        builder_attribute(builder, node, name, OQ__PB__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
    expect(parser, "=");
    skip_blanks(parser);
    if (*parser->at == '[') {
        attribute->n_ints = read_dims(parser, dims, NULL);
        attribute->ints = builder_alloc(builder, attribute->n_ints, sizeof(*dims));
        memcpy(attribute->ints, dims, attribute->n_ints * sizeof(*dims));
    } else if (accept(parser, "{")) {
        attribute->type = OQ__PB__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPH;
        attribute->g = read_graph(parser, name);
    } else if (*parser->at == '"') {
        attribute->type = OQ__PB__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING;
        attribute->has_s = true;
        attribute->s.data = (uint8_t *)read_word(parser);
        attribute->s.len = strlen((char *)attribute->s.data);
    } else if (strchr("fbuis", *parser->at) != NULL && strncmp(parser->at, "inf", 3) != 0) {
        attribute->type = OQ__PB__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR;
        attribute->t = read_tensor(parser, NULL);
    } else {
        read_number_attribute(parser, attribute);
    }
}

/* A comma-separated list up to `end`; an empty place is the name "". */
static char **read_names(struct parser *parser, const char *end)
{
    char **names = NULL;
    size_t n = 0;
    builder_append(parser->builder, &names, &n, NULL);
    n = 0;
    if (!accept(parser, end)) {
        do {
            builder_append(parser->builder, &names, &n, read_word(parser));
        } while (accept(parser, ","));
        expect(parser, end);
    }
    builder_append(parser->builder, &names, &n, NULL);
    return names;
}

/* The text up to a colon that a blank follows is the node's name. */
static char *read_label(struct parser *parser)
{
    const char *before = parser->at;
    char *word = read_word(parser);
    size_t n = strlen(word);
    if (accept(parser, ":"))
        return word;
    if (n > 0 && word[n - 1] == ':') {
        word[n - 1] = '\0';
        return word;
    }
    parser->at = before;
    return NULL;
}

static void read_node(struct parser *parser, Oq__Pb__GraphProto *graph)
{
    char *label = read_label(parser);
    char **outputs = read_names(parser, "=");
    char *op_type = read_name(parser), *domain = NULL;
    char *colons = strstr(op_type, "::");
    if (colons != NULL) {
        *colons = '\0';
        domain = op_type;
        op_type = colons + 2;
    }
    expect(parser, "(");
    char **inputs = read_names(parser, ")");
    Oq__Pb__NodeProto *node =
        builder_node(parser->builder, graph, op_type, label, (const char *const *)inputs,
                     (const char *const *)outputs);
    node->domain = domain;
    while (!at_end_of_statement(parser))
        read_attribute(parser, node);
}

static void read_opset(struct parser *parser)
{
    char *word = read_name(parser);
    if (at_end_of_statement(parser))
        builder_opset(parser->builder, "", atoll(word));
    else
        builder_opset(parser->builder, word, (int64_t)read_number(parser));
}

static void read_statement(struct parser *parser, Oq__Pb__GraphProto *graph)
{
    struct builder *builder = parser->builder;
    if (accept(parser, "ir ")) {
        builder->model->ir_version = (int64_t)read_number(parser);
    } else if (accept(parser, "opset ")) {
        read_opset(parser);
    } else if (accept(parser, "meta ")) {
        char *key = read_name(parser);
        builder_metadata(builder, key, read_name(parser));
    } else if (accept(parser, "in ")) {
        builder_append(builder, &graph->input, &graph->n_input, read_value(parser));
    } else if (accept(parser, "out ")) {
        builder_append(builder, &graph->output, &graph->n_output, read_value(parser));
    } else if (accept(parser, "info ")) {
        builder_append(builder, &graph->value_info, &graph->n_value_info, read_value(parser));
    } else if (accept(parser, "init ")) {
        char *name = read_name(parser);
        builder_initializer(builder, graph, read_tensor(parser, name));
    } else {
        read_node(parser, graph);
    }
}

static void read_statements(struct parser *parser, Oq__Pb__GraphProto *graph)
{
    while (true) {
        while (accept(parser, "\n") || accept(parser, ";"))
            ;
        skip_blanks(parser);
        if (*parser->at == '\0' || *parser->at == '}')
            return;
        read_statement(parser, graph);
        if (!at_end_of_statement(parser))
            die(parser, "the end of a statement");
    }
}

void text_parse(struct builder *builder, const char *text)
{
    builder_init(builder);
    struct parser parser = {builder, text, text};
    read_statements(&parser, builder->graph);
    if (*parser.at != '\0')
        die(&parser, "a statement");
}

/* --- writing --- */

#define PRINT(bytes, ...)                                                                          \
    do {                                                                                           \
        char piece[512];                                                                           \
        int length = snprintf(piece, sizeof(piece), __VA_ARGS__);                                  \
        if (length < 0 || (size_t)length >= sizeof(piece))                                         \
            abort();                                                                               \
        builder_put((bytes), piece, (size_t)length);                                               \
    } while (0)

static void print_name(struct builder_bytes *out, const char *name)
{
    const char *quote = strpbrk(name, " \t\n,(){}[]=;@#") == NULL ? "" : "\"";
    PRINT(out, "%s%s%s", quote, name, quote);
}

static void print_type(struct builder_bytes *out, int32_t data_type)
{
    const struct element_type *type = element_type_by_number(data_type);
    PRINT(out, "%s", type == NULL ? "unknown" : type->name);
}

static void print_numbers(struct builder_bytes *out, const int64_t *numbers, size_t n)
{
    PRINT(out, "[");
    for (size_t i = 0; i < n; i++)
        PRINT(out, "%s%lld", i > 0 ? "," : "", (long long)numbers[i]);
    PRINT(out, "]");
}

static void print_tensor(struct builder_bytes *out, const Oq__Pb__TensorProto *tensor)
{
    print_type(out, tensor->data_type);
    print_numbers(out, tensor->dims, tensor->n_dims);
}

static void print_value(struct builder_bytes *out, const char *keyword,
                        const Oq__Pb__ValueInfoProto *value, const char *end)
{
    PRINT(out, "%s ", keyword);
    print_name(out, value->name);
    if (value->type != NULL && value->type->value_case == OQ__PB__TYPE_PROTO__VALUE_TENSOR_TYPE) {
        const Oq__Pb__TypeProto__Tensor *tensor = value->type->tensor_type;
        PRINT(out, " ");
        print_type(out, tensor->elem_type);
        for (size_t i = 0; tensor->shape != NULL && i < tensor->shape->n_dim; i++) {
            const Oq__Pb__TensorShapeProto__Dimension *dim = tensor->shape->dim[i];
            PRINT(out, i > 0 ? "," : "[");
            if (dim->value_case == OQ__PB__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE)
                PRINT(out, "%lld", (long long)dim->dim_value);
            else
                PRINT(out, "N");
        }
        if (tensor->shape != NULL)
            PRINT(out, tensor->shape->n_dim > 0 ? "]" : "[]");
    }
    PRINT(out, "%s", end);
}

static void print_names(struct builder_bytes *out, char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        PRINT(out, "%s", i > 0 ? ", " : "");
        print_name(out, names[i]);
    }
}

static void print_graph(struct builder_bytes *out, const Oq__Pb__GraphProto *graph,
                        const char *end);

static void print_attribute(struct builder_bytes *out, const Oq__Pb__AttributeProto *attribute)
{
    PRINT(out, " %s=", attribute->name);
    switch (attribute->type) {
    case OQ__PB__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT:
        PRINT(out, "%lld", (long long)attribute->i);
        break;
    case OQ__PB__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT:
        PRINT(out, "%g%s", (double)attribute->f, attribute->f == floorf(attribute->f) ? ".0" : "");
        break;
    case OQ__PB__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS:
        print_numbers(out, attribute->ints, attribute->n_ints);
        break;
    case OQ__PB__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING:
        PRINT(out, "\"%.*s\"", (int)attribute->s.len, (const char *)attribute->s.data);
        break;
    case OQ__PB__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR:
        print_tensor(out, attribute->t);
        break;
    case OQ__PB__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPH:
        PRINT(out, "{ ");
        print_graph(out, attribute->g, "; ");
        PRINT(out, "}");
        break;
    default:
        PRINT(out, "(type %d)", (int)attribute->type);
    }
}

static void print_node(struct builder_bytes *out, const Oq__Pb__NodeProto *node, const char *end)
{
    print_names(out, node->output, node->n_output);
    PRINT(out, " = ");
    if (node->domain != NULL && node->domain[0] != '\0')
        PRINT(out, "%s::", node->domain);
    PRINT(out, "%s(", node->op_type);
    print_names(out, node->input, node->n_input);
    PRINT(out, ")");
    for (size_t i = 0; i < node->n_attribute; i++)
        print_attribute(out, node->attribute[i]);
    PRINT(out, "%s", end);
}

static void print_graph(struct builder_bytes *out, const Oq__Pb__GraphProto *graph, const char *end)
{
    for (size_t i = 0; i < graph->n_input; i++)
        print_value(out, "in", graph->input[i], end);
    for (size_t i = 0; i < graph->n_initializer; i++) {
        PRINT(out, "init ");
        print_name(out, graph->initializer[i]->name);
        PRINT(out, " ");
        print_tensor(out, graph->initializer[i]);
        PRINT(out, "%s", end);
    }
    for (size_t i = 0; i < graph->n_value_info; i++)
        print_value(out, "info", graph->value_info[i], end);
    for (size_t i = 0; i < graph->n_node; i++)
        print_node(out, graph->node[i], end);
    for (size_t i = 0; i < graph->n_output; i++)
        print_value(out, "out", graph->output[i], end);
}

const char *text_from_graph(struct builder *builder, const Oq__Pb__GraphProto *graph)
{
    struct builder_bytes out = {.builder = builder};
    print_graph(&out, graph, "\n");
    builder_put(&out, "", 1);
    return (const char *)out.bytes;
}
