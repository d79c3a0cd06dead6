#include "shapes.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- wire format --- */

static void put_raw(struct bytes *bytes, const void *data, size_t nbytes)
{
    if (bytes->nbytes + nbytes > bytes->capacity) {
        bytes->capacity = (bytes->nbytes + nbytes) * 2;
        bytes->data = realloc(bytes->data, bytes->capacity);
        if (bytes->data == NULL)
            abort();
    }
    if (nbytes > 0)
        memcpy(bytes->data + bytes->nbytes, data, nbytes);
    bytes->nbytes += nbytes;
}

static void put_varint(struct bytes *bytes, uint64_t value)
{
    uint8_t digits[10];
    size_t n = 0;
    for (; value >= 0x80; value >>= 7)
        digits[n++] = (uint8_t)(value | 0x80);
    digits[n++] = (uint8_t)value;
    put_raw(bytes, digits, n);
}

static void put_number(struct bytes *bytes, unsigned field, uint64_t value)
{
    put_varint(bytes, field << 3);
    put_varint(bytes, value);
}

static void put_data(struct bytes *bytes, unsigned field, const void *data, size_t nbytes)
{
    put_varint(bytes, field << 3 | 2);
    put_varint(bytes, nbytes);
    put_raw(bytes, data, nbytes);
}

static void put_text(struct bytes *bytes, unsigned field, const char *text)
{
    put_data(bytes, field, text, strlen(text));
}

/* The message is used up. */
static void put_message(struct bytes *bytes, unsigned field, struct bytes *message)
{
    put_data(bytes, field, message->data, message->nbytes);
    free(message->data);
    *message = (struct bytes){0};
}

static void put_empty(struct bytes *bytes, unsigned field)
{
    put_data(bytes, field, NULL, 0);
}

static const char *numbered(char *buffer, const char *text, size_t n)
{
    snprintf(buffer, 64, "%s%zu", text, n);
    return buffer;
}

/* --- pieces of models --- */

static void put_attribute(struct bytes *node, const char *name, unsigned field, unsigned type,
                          struct bytes *message)
{
    struct bytes attribute = {0};
    put_text(&attribute, 1, name);
    put_message(&attribute, field, message);
    put_number(&attribute, 20, type);
    put_message(node, 5, &attribute);
}

static struct bytes start_node(const char *op_type, const char *first, const char *second,
                               const char *output)
{
    struct bytes node = {0};
    if (first != NULL)
        put_text(&node, 1, first);
    if (second != NULL)
        put_text(&node, 1, second);
    if (output != NULL)
        put_text(&node, 2, output);
    put_text(&node, 4, op_type);
    return node;
}

static void put_int_attribute(struct bytes *node, const char *name, uint64_t value)
{
    struct bytes attribute = {0};
    put_text(&attribute, 1, name);
    put_number(&attribute, 3, value);
    put_number(&attribute, 20, 2);
    put_message(node, 5, &attribute);
}

static void put_node(struct bytes *graph, const char *op_type, const char *first,
                     const char *second, const char *output)
{
    struct bytes node = start_node(op_type, first, second, output);
    put_message(graph, 1, &node);
}

static struct bytes start_tensor(const char *name, uint64_t data_type, uint64_t rows,
                                 uint64_t columns)
{
    struct bytes tensor = {0};
    put_number(&tensor, 1, rows);
    if (columns > 0)
        put_number(&tensor, 1, columns);
    put_number(&tensor, 2, data_type);
    put_text(&tensor, 8, name);
    return tensor;
}

static void put_zeros(struct bytes *graph, const char *name, unsigned data_type, size_t width,
                      const uint64_t *dims, size_t n_dims)
{
    struct bytes tensor = {0};
    size_t nelem = 1;
    for (size_t i = 0; i < n_dims; i++) {
        put_number(&tensor, 1, dims[i]);
        nelem *= dims[i];
    }
    char *zeros = calloc(nelem, width);
    if (zeros == NULL)
        abort();
    put_number(&tensor, 2, data_type);
    put_text(&tensor, 8, name);
    put_data(&tensor, 9, zeros, nelem * width);
    free(zeros);
    put_message(graph, 5, &tensor);
}

/* float32 [2,2] */
static void put_weight(struct bytes *graph, const char *name)
{
    static const float values[] = {1, -2, 3, 0.5F};
    struct bytes tensor = start_tensor(name, 1, 2, 2);
    put_data(&tensor, 9, values, sizeof(values));
    put_message(graph, 5, &tensor);
}

static void put_int64s(struct bytes *graph, const char *name, int64_t a, int64_t b, uint64_t n)
{
    const int64_t values[] = {a, b};
    struct bytes tensor = start_tensor(name, 7, n, 0);
    put_data(&tensor, 9, values, n * sizeof(*values));
    put_message(graph, 5, &tensor);
}

/* float32 [N,2] */
static void put_value(struct bytes *graph, unsigned field, const char *name)
{
    struct bytes rows = {0}, columns = {0}, shape = {0}, tensor = {0}, type = {0}, value = {0};
    put_text(&rows, 2, "N");
    put_number(&columns, 1, 2);
    put_message(&shape, 1, &rows);
    put_message(&shape, 1, &columns);
    put_number(&tensor, 1, 1);
    put_message(&tensor, 2, &shape);
    put_message(&type, 1, &tensor);
    put_text(&value, 1, name);
    put_message(&value, 2, &type);
    put_message(graph, field, &value);
}

/* --- many of one thing --- */

static void repeat_empty(struct bytes *bytes, unsigned field, size_t n)
{
    for (size_t i = 0; i < n; i++)
        put_empty(bytes, field);
}

#define EMPTY(name, part, field)                                                                   \
    static void name(struct parts *parts, size_t n)                                                \
    {                                                                                              \
        repeat_empty(&parts->part, field, n);                                                      \
    }

EMPTY(empty_nodes, graph, 1)
EMPTY(empty_initializers, graph, 5)
EMPTY(empty_inputs, graph, 11)
EMPTY(empty_outputs, graph, 12)
EMPTY(empty_value_infos, graph, 13)
EMPTY(empty_annotations, graph, 14)
EMPTY(empty_sparse_initializers, graph, 15)
EMPTY(empty_imports, model, 8)
EMPTY(empty_metadata, model, 14)
EMPTY(empty_training_info, model, 20)
EMPTY(empty_functions, model, 25)
EMPTY(empty_graphs, model, 7) /* a singular field: they are merged */

/* Nothing but what each must have: with less, more than a thousand are refused. */
static void repeat_least(struct bytes *bytes, unsigned field, unsigned name, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct bytes least = {0};
        put_text(&least, name, "a");
        put_message(bytes, field, &least);
    }
}

#define LEAST(what, part, field, name)                                                             \
    static void what(struct parts *parts, size_t n)                                                \
    {                                                                                              \
        repeat_least(&parts->part, field, name, n);                                                \
    }

LEAST(least_nodes, graph, 1, 4)
LEAST(least_inputs, graph, 11, 1)
LEAST(least_outputs, graph, 12, 1)
LEAST(least_functions, model, 25, 1)

/* No elements. */
static void least_initializers(struct parts *parts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct bytes tensor = start_tensor("", 1, 0, 0);
        put_message(&parts->graph, 5, &tensor);
    }
}

static void least_attributes(struct parts *parts, size_t n)
{
    struct bytes node = start_node("MatMul", "x", "w", "y");
    repeat_least(&node, 5, 1, n);
    put_weight(&parts->graph, "w");
    put_message(&parts->graph, 1, &node);
}

/* One node with n of a field. */
static void in_node(struct parts *parts, unsigned field, size_t n)
{
    struct bytes node = start_node("MatMul", "x", "w", "y");
    repeat_empty(&node, field, n);
    put_weight(&parts->graph, "w");
    put_message(&parts->graph, 1, &node);
}

static void node_inputs(struct parts *parts, size_t n)
{
    in_node(parts, 1, n);
}

static void node_outputs(struct parts *parts, size_t n)
{
    in_node(parts, 2, n);
}

static void node_attributes(struct parts *parts, size_t n)
{
    in_node(parts, 5, n);
}

static void node_names(struct parts *parts, size_t n)
{
    in_node(parts, 3, n);
}

static void attribute_fields(struct parts *parts, unsigned field, unsigned type, bool is_number,
                             size_t n)
{
    struct bytes node = start_node("Constant", NULL, NULL, "w"), attribute = {0};
    put_text(&attribute, 1, "value");
    for (size_t i = 0; i < n; i++) {
        if (is_number)
            put_number(&attribute, field, i & 0x7f);
        else
            put_empty(&attribute, field);
    }
    put_number(&attribute, 20, type);
    put_message(&node, 5, &attribute);
    put_message(&parts->graph, 1, &node);
    put_node(&parts->graph, "MatMul", "x", "w", "y");
}

static void attribute_ints(struct parts *parts, size_t n)
{
    attribute_fields(parts, 8, 7, true, n);
}

static void attribute_strings(struct parts *parts, size_t n)
{
    attribute_fields(parts, 9, 8, false, n);
}

static void attribute_tensors(struct parts *parts, size_t n)
{
    attribute_fields(parts, 10, 9, false, n);
}

static void attribute_graphs(struct parts *parts, size_t n)
{
    attribute_fields(parts, 11, 10, false, n);
}

static void attribute_one_tensor(struct parts *parts, size_t n) /* merged */
{
    attribute_fields(parts, 5, 4, false, n);
}

static void attribute_one_graph(struct parts *parts, size_t n) /* merged */
{
    attribute_fields(parts, 6, 5, false, n);
}

/* One weight with n of something. */
static void in_tensor(struct parts *parts, unsigned field, const void *data, size_t nbytes,
                      size_t n)
{
    struct bytes tensor = start_tensor("w", 1, n, 0);
    for (size_t i = 0; i < n; i++)
        put_data(&tensor, field, data, nbytes);
    put_message(&parts->graph, 5, &tensor);
    put_node(&parts->graph, "MatMul", "x", "w", "y");
}

static void tensor_raw_data(struct parts *parts, size_t n)
{
    in_tensor(parts, 9, "\0\0\200?", 4, n);
}

static void tensor_packed_floats(struct parts *parts, size_t n)
{
    in_tensor(parts, 4, "\0\0\200?", 4, n);
}

static void tensor_empty_floats(struct parts *parts, size_t n)
{
    in_tensor(parts, 4, NULL, 0, n);
}

static void tensor_strings(struct parts *parts, size_t n)
{
    in_tensor(parts, 6, NULL, 0, n);
}

static void tensor_entries(struct parts *parts, size_t n)
{
    in_tensor(parts, 13, NULL, 0, n);
}

static void tensor_names(struct parts *parts, size_t n)
{
    in_tensor(parts, 8, "w", 1, n);
}

static void tensor_unpacked_floats(struct parts *parts, size_t n)
{
    struct bytes tensor = start_tensor("w", 1, n, 0);
    for (size_t i = 0; i < n; i++)
        put_raw(&tensor, "\x25\0\0\200?", 5);
    put_message(&parts->graph, 5, &tensor);
    put_node(&parts->graph, "MatMul", "x", "w", "y");
}

static void tensor_unpacked_halves(struct parts *parts, size_t n)
{
    struct bytes tensor = start_tensor("w", 10, n / 2, 2);
    for (size_t i = 0; i < n / 2 * 2; i++)
        put_number(&tensor, 5, 0x3c00);
    put_message(&parts->graph, 5, &tensor);
    put_node(&parts->graph, "MatMul", "x", "w", "y");
}

static void tensor_dims(struct parts *parts, size_t n)
{
    struct bytes tensor = start_tensor("w", 1, 2, 2);
    for (size_t i = 0; i < n; i++)
        put_number(&tensor, 1, 1);
    put_data(&tensor, 9, "\0\0\200?\0\0\200?\0\0\200?\0\0\200?", 16);
    put_message(&parts->graph, 5, &tensor);
    put_node(&parts->graph, "MatMul", "x", "w", "y");
}

/* Their product is 2^63 * 2^63 * ... */
static void tensor_dims_overflow(struct parts *parts, size_t n)
{
    struct bytes tensor = {0};
    put_text(&tensor, 8, "w");
    put_number(&tensor, 2, 1);
    for (size_t i = 0; i < n; i++)
        put_number(&tensor, 1, INT64_MAX);
    put_message(&parts->graph, 5, &tensor);
    put_node(&parts->graph, "MatMul", "x", "w", "y");
}

/* No elements: dims of any size are allowed then. */
static void tensors_without_elements(struct parts *parts, size_t n)
{
    char name[64];
    for (size_t i = 0; i < n; i++) {
        struct bytes tensor = start_tensor(numbered(name, "w", i), 1, INT64_MAX, INT64_MAX);
        put_number(&tensor, 1, 0);
        put_message(&parts->graph, 5, &tensor);
        put_node(&parts->graph, "MatMul", "x", name, NULL);
    }
}

static void value_dims(struct parts *parts, size_t n)
{
    struct bytes shape = {0}, tensor = {0}, type = {0}, value = {0};
    repeat_empty(&shape, 1, n);
    put_message(&tensor, 2, &shape);
    put_message(&type, 1, &tensor);
    put_text(&value, 1, "x2");
    put_message(&value, 2, &type);
    put_message(&parts->graph, 11, &value);
}

static void unknown_fields(struct parts *parts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        put_number(&parts->graph, 1000, i);
}

/* --- nesting --- */

/* n wrappings: the outermost graph is in a node of the main one. */
static void nested_bodies(struct parts *parts, size_t n)
{
    struct bytes body = {0};
    put_weight(&body, "w");
    put_node(&body, "MatMul", "x", "w", "y");
    for (size_t i = 0; i < n; i++) {
        struct bytes node = start_node("If", "c", NULL, "y");
        put_attribute(&node, "then_branch", 6, 5, &body);
        put_weight(&body, "w");
        put_message(&body, 1, &node);
    }
    put_raw(&parts->graph, body.data, body.nbytes);
    free(body.data);
}

static void nested_types(struct parts *parts, size_t n)
{
    static const unsigned wrappers[] = {4, 9}; /* sequence, optional */
    struct bytes type = {0}, value = {0};
    for (size_t i = 0; i < n; i++) {
        struct bytes inner = {0};
        put_message(&inner, 1, &type);
        put_message(&type, wrappers[i % 2], &inner);
    }
    put_text(&value, 1, "deep");
    put_message(&value, 2, &type);
    put_message(&parts->graph, 11, &value);
}

/* --- many different ones --- */

static void products_of_one_weight(struct parts *parts, size_t n)
{
    char output[64];
    put_weight(&parts->graph, "w");
    for (size_t i = 0; i < n; i++)
        put_node(&parts->graph, "MatMul", "x", "w", numbered(output, "y", i));
}

/* Features of unlike size are looked for in all of it. */
static void first_layers_of_one_weight(struct parts *parts, size_t n)
{
    char output[64];
    put_zeros(&parts->graph, "w", 1, sizeof(float), (const uint64_t[]){n / 4 + 2, 32}, 2);
    for (size_t i = 0; i < n; i++)
        put_node(&parts->graph, "MatMul", "x", "w", numbered(output, "y", i));
}

static void put_call(struct bytes *graph, unsigned field, size_t function, const char *input,
                     const char *output)
{
    char name[64];
    struct bytes node = start_node(numbered(name, "F", function), input, "w", output);
    put_text(&node, 7, "local");
    put_message(graph, field, &node);
}

static void put_function(struct bytes *model, size_t number, size_t n_calls)
{
    char name[64], input[64] = "x", output[64];
    struct bytes function = {0};
    put_text(&function, 1, numbered(name, "F", number));
    put_text(&function, 4, "x");
    put_text(&function, 4, "w");
    put_text(&function, 5, "y");
    for (size_t i = 0; i < n_calls; i++) {
        put_call(&function, 7, number + 1, input,
                 i + 1 == n_calls ? "y" : numbered(output, "t", i));
        memcpy(input, output, sizeof(input));
    }
    put_text(&function, 10, "local");
    put_message(model, 25, &function);
}

/* The last one that is called is none. */
static void calls_that_double(struct parts *parts, size_t n)
{
    put_weight(&parts->graph, "w");
    put_call(&parts->graph, 1, 0, "x", "y");
    for (size_t i = 0; i < n; i++)
        put_function(&parts->model, i, 2);
}

static void many_calls_of_many(struct parts *parts, size_t n)
{
    put_weight(&parts->graph, "w");
    put_call(&parts->graph, 1, 0, "x", "y");
    put_function(&parts->model, 0, n / 2);
    put_function(&parts->model, 1, n / 2);
}

/* Each with a weight of its own, half of them. */
void make_chain_of_products(struct parts *parts, size_t n)
{
    char input[64] = "x", output[64], weight[64] = "";
    for (size_t i = 0; i < n; i++) {
        if (i % 2 == 0)
            put_weight(&parts->graph, numbered(weight, "w", i / 2));
        numbered(output, "h", i);
        put_node(&parts->graph, i % 2 == 0 ? "MatMul" : "Relu", input, i % 2 == 0 ? weight : NULL,
                 output);
        memcpy(input, output, sizeof(input));
    }
    put_value(&parts->graph, 12, input);
}

static void graph_outputs(struct parts *parts, size_t n)
{
    char name[64];
    put_weight(&parts->graph, "w");
    for (size_t i = 0; i < n; i++) {
        numbered(name, "y", i);
        put_node(&parts->graph, "MatMul", "x", "w", name);
        put_value(&parts->graph, 12, name);
    }
}

static void one_output_many_times(struct parts *parts, size_t n)
{
    put_weight(&parts->graph, "w");
    put_node(&parts->graph, "MatMul", "x", "w", "y");
    for (size_t i = 0; i < n; i++)
        put_value(&parts->graph, 12, "y");
}

static void imports_and_nodes(struct parts *parts, size_t n)
{
    char name[64];
    for (size_t i = 0; i < n; i++) {
        struct bytes import = {0};
        put_text(&import, 1, numbered(name, "domain.", i));
        put_number(&import, 2, 1);
        put_message(&parts->model, 8, &import);
        put_weight(&parts->graph, numbered(name, "w", i));
        put_node(&parts->graph, "MatMul", "x", name, NULL);
    }
}

static void metadata(struct parts *parts, size_t n)
{
    char name[64];
    make_chain_of_products(parts, 2);
    for (size_t i = 0; i < n; i++) {
        struct bytes entry = {0};
        put_text(&entry, 1, numbered(name, "key.", i));
        put_text(&entry, 2, name);
        put_message(&parts->model, 14, &entry);
    }
}

static void domains_and_operators(struct parts *parts, size_t n)
{
    char name[64];
    for (size_t i = 0; i < n; i++) {
        struct bytes node = start_node(numbered(name, "Operator", i), "x", "w", NULL);
        put_text(&node, 7, name);
        put_message(&parts->graph, 1, &node);
    }
    put_weight(&parts->graph, "w");
}

/* What would be the name of a result is taken, n times over, in n places. */
static void taken_names(struct parts *parts, size_t n)
{
    char name[64];
    put_weight(&parts->graph, "w");
    put_node(&parts->graph, "MatMul", "x", "w", "y");
    for (size_t i = 0; i < n; i++) {
        struct bytes node = start_node("If", "c", NULL, NULL), body = {0};
        put_node(&parts->graph, "Relu", "x", NULL,
                 i == 0 ? "w_quantized" : numbered(name, "w_quantized_", i));
        put_weight(&body, "w");
        put_node(&body, "MatMul", "x", "w", "z");
        put_value(&body, 12, "z");
        put_attribute(&node, "then_branch", 6, 5, &body);
        put_message(&parts->graph, 1, &node);
    }
}

static void nodes_of_one_name(struct parts *parts, size_t n)
{
    char name[64];
    for (size_t i = 0; i < n; i++) {
        put_weight(&parts->graph, numbered(name, "w", i));
        struct bytes node = start_node("MatMul", "x", name, NULL);
        put_text(&node, 3, "same");
        put_message(&parts->graph, 1, &node);
    }
}

static void bodies(struct parts *parts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct bytes node = start_node("If", "c", NULL, NULL), body = {0};
        put_node(&body, "Relu", NULL, NULL, NULL);
        put_attribute(&node, "then_branch", 6, 5, &body);
        put_message(&parts->graph, 1, &node);
    }
}

/* --- chains to one weight --- */

static void chain(struct parts *parts, const char *op_type, const char *second, size_t n)
{
    char input[64] = "w", output[64];
    put_weight(&parts->graph, "w");
    put_int64s(&parts->graph, "shape", 2, 2, 2);
    for (size_t i = 0; i < n; i++) {
        put_node(&parts->graph, op_type, input, second, numbered(output, "h", i));
        put_node(&parts->graph, "MatMul", "x", output, NULL);
        memcpy(input, output, sizeof(input));
    }
}

static void chain_of_identity(struct parts *parts, size_t n)
{
    chain(parts, "Identity", NULL, n);
}

static void chain_of_transpose(struct parts *parts, size_t n)
{
    chain(parts, "Transpose", NULL, n);
}

static void chain_of_reshape(struct parts *parts, size_t n)
{
    chain(parts, "Reshape", "shape", n);
}

static void chain_of_slice(struct parts *parts, size_t n)
{
    char input[64] = "w", output[64];
    put_weight(&parts->graph, "w");
    put_int64s(&parts->graph, "start", 0, 0, 1);
    put_int64s(&parts->graph, "end", 2, 0, 1);
    for (size_t i = 0; i < n; i++) {
        struct bytes node = start_node("Slice", input, "start", numbered(output, "h", i));
        put_text(&node, 1, "end");
        put_message(&parts->graph, 1, &node);
        memcpy(input, output, sizeof(input));
    }
    put_node(&parts->graph, "MatMul", "x", input, "y");
}

/* Along the rows: a stretch of each weight after the other. */
static struct bytes start_concat(const char *output)
{
    struct bytes node = start_node("Concat", NULL, NULL, output);
    put_int_attribute(&node, "axis", 0);
    return node;
}

/* Each of twice the size of the one before it. */
static void chain_of_concat(struct parts *parts, size_t n)
{
    char input[64] = "w", output[64];
    put_weight(&parts->graph, "w");
    for (size_t i = 0; i < n; i++) {
        struct bytes node = start_concat(numbered(output, "h", i));
        put_text(&node, 1, input);
        put_text(&node, 1, input);
        put_message(&parts->graph, 1, &node);
        put_node(&parts->graph, "MatMul", "x", output, NULL);
        memcpy(input, output, sizeof(input));
    }
}

static void concat_of_many(struct parts *parts, size_t n)
{
    char name[64];
    struct bytes node = start_concat("all");
    for (size_t i = 0; i < n; i++) {
        put_weight(&parts->graph, numbered(name, "w", i));
        put_text(&node, 1, name);
    }
    put_message(&parts->graph, 1, &node);
    put_node(&parts->graph, "MatMul", "x", "all", "y");
}

/* n products of a concatenation of a hundred. */
static void products_of_concat(struct parts *parts, size_t n)
{
    struct bytes node = start_concat("all");
    put_weight(&parts->graph, "w");
    for (size_t i = 0; i < 100; i++)
        put_text(&node, 1, "w");
    put_message(&parts->graph, 1, &node);
    for (size_t i = 0; i < n; i++)
        put_node(&parts->graph, "MatMul", "x", "all", NULL);
}

enum { HIDDEN = 4, GATES = 4 * HIDDEN };

/* float32 [1,16,4], no two of which are the same */
static void put_gates(struct bytes *graph, size_t number, bool is_nan)
{
    char name[64];
    float values[GATES * HIDDEN];
    struct bytes tensor = start_tensor(numbered(name, "w", number), 1, 1, GATES);
    put_number(&tensor, 1, HIDDEN);
    for (size_t k = 0; k < GATES * HIDDEN; k++)
        values[k] = is_nan ? NAN : (float)(k % 7) - 3 + (float)number / (1 << 20);
    put_data(&tensor, 9, values, sizeof(values));
    put_message(graph, 5, &tensor);
}

static void put_lstm(struct bytes *graph, const char *input, size_t w, size_t r, const char *output)
{
    char name[64];
    struct bytes node = start_node("LSTM", input, numbered(name, "w", w), output);
    put_text(&node, 1, numbered(name, "w", r));
    put_int_attribute(&node, "hidden_size", HIDDEN);
    put_message(graph, 1, &node);
}

/*
 * LSTMs in a chain, each of which shares a weight with the next; the first holds NaN. What
 * that means for the second is known once the first is decided, and so on to the last.
 */
static void chain_of_lstm(struct parts *parts, size_t n)
{
    char input[64] = "x", output[64];
    for (size_t i = 0; i <= n; i++)
        put_gates(&parts->graph, i, i == 0);
    for (size_t i = 0; i < n; i++) {
        put_lstm(&parts->graph, input, i, i + 1, numbered(output, "h", i));
        memcpy(input, output, sizeof(input));
    }
}

/* n products, each of another stretch of a concatenation of up to a thousand. */
static void slices_of_wide_concat(struct parts *parts, size_t n)
{
    char output[64];
    concat_of_many(parts, n < 1000 ? n : 1000);
    put_int64s(&parts->graph, "start", 0, 0, 1);
    put_int64s(&parts->graph, "end", 2, 0, 1);
    for (size_t i = 0; i < n; i++) {
        struct bytes node = start_node("Slice", "all", "start", numbered(output, "s", i));
        put_text(&node, 1, "end");
        put_message(&parts->graph, 1, &node);
        put_node(&parts->graph, "MatMul", "x", output, NULL);
    }
}

/* The same of all of it, each time turned round. */
static void turns_of_wide_concat(struct parts *parts, size_t n)
{
    char output[64];
    concat_of_many(parts, n < 1000 ? n : 1000);
    for (size_t i = 0; i < n; i++) {
        put_node(&parts->graph, "Transpose", "all", NULL, numbered(output, "t", i));
        put_node(&parts->graph, "MatMul", "x", output, NULL);
    }
}

/* It is the norm of something large, and of none of them. */
static void weights_over_one_norm(struct parts *parts, size_t n)
{
    char weight[64], output[64];
    const uint64_t dims[] = {2, 16 * n};
    put_zeros(&parts->graph, "large", 1, 4, dims, 2);
    put_int64s(&parts->graph, "axes", 1, 0, 1);
    put_node(&parts->graph, "ReduceL2", "large", "axes", "norm");
    for (size_t i = 0; i < n; i++) {
        numbered(weight, "w", i);
        numbered(output, "d", i);
        put_weight(&parts->graph, weight);
        put_node(&parts->graph, "Div", weight, "norm", output);
        put_node(&parts->graph, "MatMul", "x", output, NULL);
    }
}

/* Each of a channel of its own: as many numbers as there are rows, for each product. */
static void products_of_factors(struct parts *parts, size_t n)
{
    char output[64];
    const uint64_t dims[] = {n < 4096 ? n : 4096, 1};
    put_zeros(&parts->graph, "w", 1, 4, dims, 2);
    put_zeros(&parts->graph, "factors", 1, 4, dims, 2);
    for (size_t i = 0; i < n; i++) {
        put_node(&parts->graph, "Mul", "w", "factors", numbered(output, "h", i));
        put_node(&parts->graph, "MatMul", "x", output, NULL);
    }
}

/* n products of a concatenation of n. */
static void products_of_wide_concat(struct parts *parts, size_t n)
{
    concat_of_many(parts, n);
    for (size_t i = 0; i < n; i++)
        put_node(&parts->graph, "MatMul", "x", "all", NULL);
}

/* The same, of which nothing becomes of integers. */
static void factors_of_wide_concat(struct parts *parts, size_t n)
{
    concat_of_many(parts, n);
    for (size_t i = 0; i < n; i++)
        put_node(&parts->graph, "Mul", "x", "all", NULL);
}

static void put_concat_of_one(struct bytes *graph, size_t n, const char *output)
{
    struct bytes node = start_concat(output);
    for (size_t i = 0; i < n; i++)
        put_text(&node, 1, "w");
    put_message(graph, 1, &node);
}

/* Of a weight whose name means something else around it. */
static void concat_of_hidden(struct parts *parts, size_t n)
{
    struct bytes node = start_node("If", "c", NULL, "y"), body = {0};
    put_weight(&parts->graph, "w");
    put_weight(&body, "w");
    put_concat_of_one(&body, n, "all");
    put_node(&body, "MatMul", "x", "all", "z");
    put_value(&body, 12, "z");
    put_attribute(&node, "then_branch", 6, 5, &body);
    put_message(&parts->graph, 1, &node);
}

/* Rearranged again and again, with a user of each step. */
static void chain_behind_concat(struct parts *parts, size_t n)
{
    char input[64] = "all", output[64];
    concat_of_many(parts, n);
    for (size_t i = 0; i < n; i++) {
        put_node(&parts->graph, "Identity", input, NULL, numbered(output, "h", i));
        put_node(&parts->graph, "MatMul", "x", output, NULL);
        memcpy(input, output, sizeof(input));
    }
}

static void twins(struct parts *parts, size_t n)
{
    char output[64];
    put_weight(&parts->graph, "w");
    for (size_t i = 0; i < n; i++) {
        put_node(&parts->graph, "Identity", "w", NULL, numbered(output, "h", i));
        put_node(&parts->graph, "MatMul", "x", output, NULL);
    }
}

/* As long as it has rows, each another stretch of it. */
static void slices_of_one_weight(struct parts *parts, size_t n)
{
    char name[64], output[64];
    struct bytes tensor = start_tensor("w", 1, n + 1, 1);
    float *zeros = calloc(n + 1, sizeof(*zeros));
    if (zeros == NULL)
        abort();
    put_data(&tensor, 9, zeros, (n + 1) * sizeof(*zeros));
    free(zeros);
    put_message(&parts->graph, 5, &tensor);
    put_int64s(&parts->graph, "n0", 0, 0, 1);
    for (size_t i = 0; i < n; i++) {
        put_int64s(&parts->graph, numbered(name, "n", i + 1), (int64_t)i + 1, 0, 1);
        struct bytes node = start_node("Slice", "w", "n0", numbered(output, "h", i));
        put_text(&node, 1, name);
        put_message(&parts->graph, 1, &node);
        put_node(&parts->graph, "MatMul", "x", output, NULL);
    }
}

/* --- weights that are computed --- */

/* Each of the one before, twice, and multiplied. */
static void sums_that_double(struct parts *parts, size_t n)
{
    char input[64] = "w", output[64];
    const uint64_t dims[] = {32, 32};
    put_zeros(&parts->graph, "w", 1, 4, dims, 2);
    for (size_t i = 0; i < n; i++) {
        put_node(&parts->graph, "Add", input, input, numbered(output, "h", i));
        put_node(&parts->graph, "MatMul", "x", output, NULL);
        memcpy(input, output, sizeof(input));
    }
}

/* n of one constant, which is larger the more there are. */
static void computed_of_one_weight(struct parts *parts, size_t n)
{
    char output[64];
    const uint64_t dims[] = {n / 8 + 8, n < 2048 ? 8 : n / 256};
    put_zeros(&parts->graph, "w", 1, 4, dims, 2);
    for (size_t i = 0; i < n; i++) {
        put_node(&parts->graph, "Exp", "w", NULL, numbered(output, "h", i));
        put_node(&parts->graph, "MatMul", "x", output, NULL);
    }
}

/* Of nothing, each as large as it may be. */
static void expanded_weights(struct parts *parts, size_t n)
{
    char output[64];
    const uint64_t dims[] = {1, 1};
    put_zeros(&parts->graph, "w", 1, 4, dims, 2);
    put_int64s(&parts->graph, "shape", 4096, 4096, 2);
    for (size_t i = 0; i < n; i++) {
        put_node(&parts->graph, "Expand", "w", "shape", numbered(output, "h", i));
        put_node(&parts->graph, "MatMul", "x", output, NULL);
    }
}

/* Products of constants that are as wide as they are high. */
static void products_of_constants(struct parts *parts, size_t n)
{
    char output[64];
    uint64_t side = 1;
    while (side * side < n * 8)
        side++;
    const uint64_t dims[] = {side, side};
    put_zeros(&parts->graph, "w", 1, 4, dims, 2);
    for (size_t i = 0; i < n; i++) {
        put_node(&parts->graph, "MatMul", "w", "w", numbered(output, "h", i));
        put_node(&parts->graph, "MatMul", "x", output, NULL);
    }
}

/* --- operators of one weight --- */

static void lstms_of_one_weight(struct parts *parts, size_t n)
{
    char output[64];
    for (size_t i = 0; i < 2; i++)
        put_gates(&parts->graph, i, false);
    for (size_t i = 0; i < n; i++)
        put_lstm(&parts->graph, "x", 0, 1, numbered(output, "y", i));
}

/* Of a weight that is wider the more there are, each in integers. */
static void products_of_wide_weight(struct parts *parts, size_t n)
{
    char output[64];
    const uint64_t dims[] = {128, n / 10 + 512};
    put_zeros(&parts->graph, "w", 1, 4, dims, 2);
    for (size_t i = 0; i < n; i++)
        put_node(&parts->graph, "MatMul", "x", "w", numbered(output, "y", i));
}

/* One node that takes it n times and makes n values of it. */
static void inputs_and_outputs(struct parts *parts, size_t n)
{
    char output[64];
    struct bytes node = start_node("Unheard", NULL, NULL, NULL);
    put_weight(&parts->graph, "w");
    for (size_t i = 0; i < n; i++) {
        put_text(&node, 1, "w");
        put_text(&node, 2, numbered(output, "h", i));
    }
    put_message(&parts->graph, 1, &node);
    put_node(&parts->graph, "MatMul", "x", output, "y");
}

/* Values that a loop hands from turn to turn. */
static void carried_by_loop(struct parts *parts, size_t n)
{
    char name[64];
    struct bytes node = start_node("Scan", NULL, NULL, NULL), body = {0};
    put_weight(&parts->graph, "w");
    for (size_t i = 0; i < n; i++) {
        put_text(&node, 1, "w");
        put_text(&node, 2, numbered(name, "h", i));
        put_value(&body, 11, numbered(name, "v", i));
        put_value(&body, 12, numbered(name, "v", (i + 1) % n));
    }
    put_attribute(&node, "body", 6, 5, &body);
    put_message(&parts->graph, 1, &node);
    put_node(&parts->graph, "MatMul", "x", numbered(name, "h", n - 1), "y");
}

/* Against the order in which nodes have to be; nobody needs it in the end. */
static void chain_backwards(struct parts *parts, size_t n)
{
    char input[64], output[64];
    struct bytes beta = {0};
    const uint64_t dims[] = {256, 256};
    put_zeros(&parts->graph, "w", 1, 4, dims, 2);
    struct bytes node = start_node("Gemm", "x", "w", "y");
    put_text(&node, 1, "h0");
    put_text(&beta, 1, "beta");
    put_varint(&beta, 2 << 3 | 5);
    put_raw(&beta, "\0\0\0", 4);
    put_number(&beta, 20, 1);
    put_message(&node, 5, &beta);
    put_message(&parts->graph, 1, &node);
    for (size_t i = 0; i < n; i++)
        put_node(&parts->graph, "Relu", i + 1 < n ? numbered(input, "h", i + 1) : "x", NULL,
                 numbered(output, "h", i));
}

/* What all of them return divides. */
static void bodies_and_outputs(struct parts *parts, size_t n)
{
    char name[64];
    struct bytes node = start_node("If", "c", NULL, NULL);
    for (size_t i = 0; i < n; i++) {
        struct bytes body = {0};
        put_node(&body, "Relu", "x", NULL, "z");
        put_text(&node, 2, numbered(name, "y", i));
        put_attribute(&node, "branch", 6, 5, &body);
    }
    put_message(&parts->graph, 1, &node);
    for (size_t i = 0; i < n; i++)
        put_node(&parts->graph, "Div", "x", numbered(name, "y", i), NULL);
}

static void users_of_high_rank(struct parts *parts, size_t n)
{
    char output[64];
    uint64_t *dims = calloc(n + 2, sizeof(*dims)); /* gcc sees no element of malloc() set */
    if (dims == NULL)
        abort();
    for (size_t i = 0; i < n + 2; i++)
        dims[i] = i < n ? 1 : 16;
    put_zeros(&parts->graph, "w", 1, 4, dims, n + 2);
    free(dims);
    for (size_t i = 0; i < n; i++) {
        put_node(&parts->graph, "Flatten", "w", NULL, numbered(output, "h", i));
        put_node(&parts->graph, "MatMul", "x", output, NULL);
        put_node(&parts->graph, "Mul", "x", "w", NULL);
    }
}

/* Of one node. */
static void inputs_and_attributes(struct parts *parts, size_t n)
{
    static const char *const op_types[] = {"Cast", "Concat", "Scan", "LSTM", "Pad"};
    char name[64];
    put_weight(&parts->graph, "w");
    for (size_t k = 0; k < sizeof(op_types) / sizeof(*op_types); k++) {
        struct bytes node = start_node(op_types[k], NULL, NULL, NULL);
        for (size_t i = 0; i < n; i++) {
            put_text(&node, 1, "w");
            put_text(&node, 2, numbered(name, op_types[k], i));
            put_int_attribute(&node, "a", i);
        }
        put_message(&parts->graph, 1, &node);
        put_node(&parts->graph, "Div", "x", numbered(name, op_types[k], 0), NULL);
    }
}

/* --- quantized already --- */

static void pairs(struct parts *parts, size_t n)
{
    char input[64] = "x", output[64];
    struct bytes scale = start_tensor("s", 1, 1, 0), zero = start_tensor("z", 3, 1, 0);
    put_data(&scale, 9, "\0\0\200?", 4);
    put_data(&zero, 9, "", 1);
    put_message(&parts->graph, 5, &scale);
    put_message(&parts->graph, 5, &zero);
    for (size_t i = 0; i < n; i++) {
        struct bytes node = start_node(i % 2 == 0 ? "QuantizeLinear" : "DequantizeLinear", input,
                                       "s", numbered(output, "h", i));
        put_text(&node, 1, "z");
        put_message(&parts->graph, 1, &node);
        memcpy(input, output, sizeof(input));
    }
    put_value(&parts->graph, 12, input);
}

static void dequantized_weights(struct parts *parts, size_t n)
{
    char name[64], output[64];
    struct bytes scale = start_tensor("s", 1, 1, 0);
    put_data(&scale, 9, "\0\0\200?", 4);
    put_message(&parts->graph, 5, &scale);
    for (size_t i = 0; i < n; i++) {
        struct bytes tensor = start_tensor(numbered(name, "q", i), 3, 2, 2);
        put_data(&tensor, 9, "\1\2\3\4", 4);
        put_message(&parts->graph, 5, &tensor);
        put_node(&parts->graph, "DequantizeLinear", name, "s", numbered(output, "w", i));
        put_node(&parts->graph, "MatMul", "x", output, NULL);
    }
}

static void dequantized_many_times(struct parts *parts, size_t n)
{
    char output[64];
    struct bytes scale = start_tensor("s", 1, 1, 0), tensor = start_tensor("q", 3, 2, 2);
    put_data(&scale, 9, "\0\0\200?", 4);
    put_data(&tensor, 9, "\1\2\3\4", 4);
    put_message(&parts->graph, 5, &scale);
    put_message(&parts->graph, 5, &tensor);
    for (size_t i = 0; i < n; i++) {
        put_node(&parts->graph, "DequantizeLinear", "q", "s", numbered(output, "w", i));
        put_node(&parts->graph, "MatMul", "x", output, NULL);
    }
}

static void integer_products(struct parts *parts, size_t n)
{
    char name[64], output[64];
    struct bytes dynamic = start_node("DynamicQuantizeLinear", "x", NULL, "xq");
    put_text(&dynamic, 2, "xs");
    put_text(&dynamic, 2, "xz");
    put_message(&parts->graph, 1, &dynamic);
    for (size_t i = 0; i < n; i++) {
        struct bytes tensor = start_tensor(numbered(name, "q", i), 3, 2, 2);
        put_data(&tensor, 9, "\1\2\3\4", 4);
        put_message(&parts->graph, 5, &tensor);
        struct bytes node = start_node("MatMulInteger", "xq", name, numbered(output, "p", i));
        put_text(&node, 1, "xz");
        put_message(&parts->graph, 1, &node);
        struct bytes cast = start_node("Cast", output, NULL, numbered(name, "c", i));
        put_message(&parts->graph, 1, &cast);
        put_node(&parts->graph, "Mul", name, "xs", NULL);
    }
}

/* The same, of two equal ones, around activations. */
static void pairs_of_wide_scale(struct parts *parts, size_t n)
{
    char input[64] = "x", output[64];
    static const char *const scales[] = {"s", "t"}, *const zeros[] = {"z", "u"};
    float *ones = malloc(n * sizeof(*ones));
    if (ones == NULL)
        abort();
    for (size_t i = 0; i < n; i++)
        ones[i] = 1;
    for (size_t i = 0; i < 2; i++) {
        const uint64_t dims[] = {n};
        struct bytes scale = start_tensor(scales[i], 1, n, 0);
        put_data(&scale, 9, ones, n * sizeof(*ones));
        put_message(&parts->graph, 5, &scale);
        put_zeros(&parts->graph, zeros[i], 3, 1, dims, 1);
    }
    free(ones);
    for (size_t i = 0; i < n; i++) {
        struct bytes node = start_node(i % 2 == 0 ? "QuantizeLinear" : "DequantizeLinear", input,
                                       scales[i % 2], numbered(output, "h", i));
        put_text(&node, 1, zeros[i % 2]);
        put_message(&parts->graph, 1, &node);
        memcpy(input, output, sizeof(input));
    }
    put_value(&parts->graph, 12, input);
}

/* Scales for n channels, read by n nodes. */
static void nodes_of_wide_scale(struct parts *parts, size_t n)
{
    char output[64];
    const uint64_t dims[] = {n, 1};
    float *scales = malloc(n * sizeof(*scales));
    if (scales == NULL)
        abort();
    for (size_t i = 0; i < n; i++)
        scales[i] = i + 1 < n ? 1 : 2;
    put_zeros(&parts->graph, "q", 3, 1, dims, 2);
    struct bytes tensor = start_tensor("s", 1, n, 0);
    put_data(&tensor, 9, scales, n * sizeof(*scales));
    put_message(&parts->graph, 5, &tensor);
    free(scales);
    for (size_t i = 0; i < n; i++) {
        struct bytes node = start_node("DequantizeLinear", "q", "s", numbered(output, "w", i));
        put_int_attribute(&node, "axis", 0);
        put_message(&parts->graph, 1, &node);
        put_node(&parts->graph, "MatMul", "x", output, NULL);
    }
}

/* n floats of one tensor of integers, all different. */
static void scales_of_one_weight(struct parts *parts, size_t n)
{
    char name[64], output[64];
    struct bytes tensor = start_tensor("q", 3, 2, 2);
    put_data(&tensor, 9, "\1\2\3\4", 4);
    put_message(&parts->graph, 5, &tensor);
    for (size_t i = 0; i < n; i++) {
        const float value = 1.0F / (float)(i + 1);
        struct bytes scale = start_tensor(numbered(name, "s", i), 1, 1, 0);
        put_data(&scale, 9, &value, sizeof(value));
        put_message(&parts->graph, 5, &scale);
        put_node(&parts->graph, "DequantizeLinear", "q", name, numbered(output, "w", i));
        put_node(&parts->graph, "MatMul", "x", output, NULL);
    }
}

/* Float, and then n times of another type. */
static void casts_of_product(struct parts *parts, size_t n)
{
    struct bytes scale = start_tensor("s", 1, 1, 0), tensor = start_tensor("q", 3, 2, 2);
    put_data(&scale, 9, "\0\0\200?", 4);
    put_data(&tensor, 9, "\1\2\3\4", 4);
    put_message(&parts->graph, 5, &scale);
    put_message(&parts->graph, 5, &tensor);
    struct bytes cast = start_node("Cast", "q", NULL, "f");
    put_int_attribute(&cast, "to", 1);
    put_message(&parts->graph, 1, &cast);
    put_node(&parts->graph, "Mul", "f", "s", "p");
    for (size_t i = 0; i < n; i++) {
        char output[64];
        struct bytes user = start_node("Cast", "p", NULL, numbered(output, "h", i));
        put_int_attribute(&user, "to", 10);
        put_message(&parts->graph, 1, &user);
        put_node(&parts->graph, "MatMul", "x", output, NULL);
    }
}

/* --- long ones --- */

static void long_names(struct parts *parts, size_t n)
{
    char *text = malloc(n + 1);
    if (text == NULL)
        abort();
    memset(text, '\033', n);
    text[n] = '\0';
    put_weight(&parts->graph, text);
    struct bytes node = start_node("MatMul", "x", text, "y");
    put_text(&node, 3, text);
    put_message(&parts->graph, 1, &node);
    node = start_node(text, "x", text, "y2");
    put_text(&node, 7, text);
    put_message(&parts->graph, 1, &node);
    put_value(&parts->graph, 11, text);
    struct bytes entry = {0}, import = {0};
    put_text(&entry, 1, text);
    put_text(&entry, 2, text);
    put_message(&parts->model, 14, &entry);
    put_text(&import, 1, text);
    put_message(&parts->model, 8, &import);
    put_text(&parts->model, 2, text);
    put_text(&parts->model, 3, text);
    free(text);
}

/* --- all of them --- */

#define SHAPE(name)                                                                                \
    {                                                                                              \
#name, name, 0                                                                             \
    }
#define DEEP(name, most)                                                                           \
    {                                                                                              \
#name, name, most                                                                          \
    }

const struct shape shapes[] = {
    SHAPE(empty_nodes),
    SHAPE(empty_initializers),
    SHAPE(empty_inputs),
    SHAPE(empty_outputs),
    SHAPE(empty_value_infos),
    SHAPE(empty_annotations),
    SHAPE(empty_sparse_initializers),
    SHAPE(empty_imports),
    SHAPE(empty_metadata),
    SHAPE(empty_training_info),
    SHAPE(empty_functions),
    SHAPE(empty_graphs),
    SHAPE(least_nodes),
    SHAPE(least_inputs),
    SHAPE(least_outputs),
    SHAPE(least_functions),
    SHAPE(least_initializers),
    SHAPE(least_attributes),
    SHAPE(node_inputs),
    SHAPE(node_outputs),
    SHAPE(node_attributes),
    SHAPE(node_names),
    SHAPE(attribute_ints),
    SHAPE(attribute_strings),
    SHAPE(attribute_tensors),
    SHAPE(attribute_graphs),
    SHAPE(attribute_one_tensor),
    SHAPE(attribute_one_graph),
    SHAPE(tensor_raw_data),
    SHAPE(tensor_packed_floats),
    SHAPE(tensor_empty_floats),
    SHAPE(tensor_strings),
    SHAPE(tensor_entries),
    SHAPE(tensor_names),
    SHAPE(tensor_unpacked_floats),
    SHAPE(tensor_unpacked_halves),
    SHAPE(tensor_dims),
    SHAPE(tensor_dims_overflow),
    SHAPE(tensors_without_elements),
    SHAPE(value_dims),
    SHAPE(unknown_fields),
    DEEP(nested_bodies, 30),
    DEEP(nested_bodies, 31),
    DEEP(nested_bodies, 32),
    DEEP(nested_bodies, 33),
    DEEP(nested_bodies, 34),
    DEEP(nested_types, 47),
    DEEP(nested_types, 48),
    DEEP(nested_types, 49),
    DEEP(nested_types, 2000),
    SHAPE(products_of_one_weight),
    SHAPE(first_layers_of_one_weight),
    SHAPE(calls_that_double),
    SHAPE(many_calls_of_many),
    {"chain_of_products", make_chain_of_products, 0},
    SHAPE(graph_outputs),
    SHAPE(one_output_many_times),
    SHAPE(imports_and_nodes),
    SHAPE(metadata),
    SHAPE(domains_and_operators),
    SHAPE(taken_names),
    SHAPE(nodes_of_one_name),
    SHAPE(bodies),
    SHAPE(chain_of_identity),
    SHAPE(chain_of_transpose),
    SHAPE(chain_of_reshape),
    SHAPE(chain_of_slice),
    SHAPE(chain_of_concat),
    SHAPE(concat_of_many),
    SHAPE(products_of_concat),
    SHAPE(chain_of_lstm),
    SHAPE(slices_of_wide_concat),
    SHAPE(turns_of_wide_concat),
    SHAPE(products_of_factors),
    SHAPE(weights_over_one_norm),
    SHAPE(products_of_wide_concat),
    SHAPE(factors_of_wide_concat),
    SHAPE(concat_of_hidden),
    SHAPE(chain_behind_concat),
    SHAPE(twins),
    SHAPE(slices_of_one_weight),
    SHAPE(sums_that_double),
    SHAPE(computed_of_one_weight),
    SHAPE(expanded_weights),
    SHAPE(products_of_constants),
    SHAPE(lstms_of_one_weight),
    SHAPE(products_of_wide_weight),
    SHAPE(inputs_and_outputs),
    SHAPE(carried_by_loop),
    SHAPE(chain_backwards),
    SHAPE(bodies_and_outputs),
    SHAPE(users_of_high_rank),
    SHAPE(inputs_and_attributes),
    SHAPE(pairs),
    SHAPE(dequantized_weights),
    SHAPE(dequantized_many_times),
    SHAPE(integer_products),
    SHAPE(pairs_of_wide_scale),
    SHAPE(nodes_of_wide_scale),
    SHAPE(scales_of_one_weight),
    SHAPE(casts_of_product),
    SHAPE(long_names),
};
const size_t n_shapes = sizeof(shapes) / sizeof(shapes[0]);

struct bytes make_shape(const struct shape *shape, size_t n)
{
    struct bytes file = {0}, import = {0};
    struct parts parts = {{0}, {0}};
    put_number(&file, 1, 8);
    put_number(&import, 2, 17);
    put_message(&file, 8, &import);
    put_value(&parts.graph, 11, "x");
    put_value(&parts.graph, 11, "c");
    shape->make(&parts, shape->most > 0 && n > shape->most ? shape->most : n);
    put_raw(&file, parts.model.data, parts.model.nbytes);
    free(parts.model.data);
    put_message(&file, 7, &parts.graph);
    return file;
}
