/* Finds an output that is an input of the next call, by names and declared shapes. */
#include "quantize/analyze/state.h"

#include <ctype.h>

#include "model/dtype.h"
#include "model/type_text.h"

/* Inputs and outputs that are looked at. */
#define MAX_VALUES 256

/* Of a name; a longer one is none of a state. */
#define MAX_KEY 64

/* --- names --- */

/* Say which of both it is, not what. */
static const char *const sides[] = {
    "in",  "input",  "i", "0", "prev", "previous", "last",    "old",   "past",    "init", "initial",
    "out", "output", "o", "n", "next", "new",      "updated", "final", "present", "cur",  "current",
};

static bool is_side(const char *word, size_t n)
{
    for (size_t i = 0; i < sizeof(sides) / sizeof(sides[0]); i++)
        if (strlen(sides[i]) == n && strncmp(sides[i], word, n) == 0)
            return true;
    return false;
}

/* Letters or digits up to what is neither, or to a capital behind small ones; in small letters. */
static size_t read_word(const char *name, char *word)
{
    size_t n = 0;
    const bool has_digits = isdigit((unsigned char)name[0]);
    for (; isalnum((unsigned char)name[n]); n++) {
        const bool begins_other = n > 0 && (isdigit((unsigned char)name[n]) != 0) != has_digits;
        const bool is_capital =
            n > 0 && isupper((unsigned char)name[n]) && islower((unsigned char)name[n - 1]);
        if (begins_other || is_capital || n == MAX_KEY)
            break;
        word[n] = (char)tolower((unsigned char)name[n]);
    }
    return n;
}

/* What is left of the name without words that say which side it is; false where that is nothing. */
static bool make_key(const char *name, char key[MAX_KEY])
{
    size_t length = 0;
    bool has_letter = false;
    while (name != NULL && *name != '\0') { /* an output may have none */
        char word[MAX_KEY];
        size_t n = read_word(name, word);
        name += n == 0 ? 1 : n;
        if (n == 2 && (word[0] == 'h' || word[0] == 'c') && strchr("nxy", word[1]) != NULL)
            n = 1; /* hn, hx, hy; cn, cx, cy */
        if (n == 0 || is_side(word, n))
            continue;
        if (length + n + 2 > MAX_KEY)
            return false;
        memcpy(key + length, word, n);
        has_letter |= isalpha((unsigned char)word[0]) != 0;
        length += n;
        key[length++] = ' ';
    }
    key[length] = '\0';
    return has_letter;
}

/* --- shapes --- */

static bool may_be_equal(const Oq__Pb__TensorShapeProto__Dimension *a,
                         const Oq__Pb__TensorShapeProto__Dimension *b)
{
    const char *names[2];
    const int64_t sizes[] = {oq_dim_size(a, &names[0]), oq_dim_size(b, &names[1])};
    if (sizes[0] >= 0 && sizes[1] >= 0)
        return sizes[0] == sizes[1];
    return sizes[0] >= 0 || sizes[1] >= 0 || strcmp(names[0], names[1]) == 0;
}

static bool has_shape(const Oq__Pb__ValueInfoProto *info, int32_t *data_type,
                      const Oq__Pb__TensorShapeProto **shape)
{
    if (!oq_type_tensor(info->type, data_type, shape) || *shape == NULL || (*shape)->n_dim == 0)
        return false;
    const struct oq_dtype *dtype = oq_dtype_find(*data_type);
    return dtype != NULL && dtype->is_float;
}

static bool may_be_same(const Oq__Pb__ValueInfoProto *input, const Oq__Pb__ValueInfoProto *output)
{
    const Oq__Pb__TensorShapeProto *shapes[2];
    int32_t types[2];
    if (!has_shape(input, &types[0], &shapes[0]) || !has_shape(output, &types[1], &shapes[1]) ||
        types[0] != types[1] || shapes[0]->n_dim != shapes[1]->n_dim)
        return false;
    for (size_t i = 0; i < shapes[0]->n_dim; i++)
        if (!may_be_equal(shapes[0]->dim[i], shapes[1]->dim[i]))
            return false;
    return true;
}

/* --- both --- */

static bool comes_back(const Oq__Pb__GraphProto *graph, const Oq__Pb__ValueInfoProto *input)
{
    char key[MAX_KEY], other[MAX_KEY];
    if (!make_key(input->name, key))
        return false;
    for (size_t i = 0; i < graph->n_output && i < MAX_VALUES; i++) /* keys of few are made */
        if (may_be_same(input, graph->output[i]) && make_key(graph->output[i]->name, other) &&
            strcmp(key, other) == 0)
            return true;
    return false;
}

bool oq_hands_back_state(const onnxq_model *model)
{
    const struct oq_graph *graph = model->graphs.list[0];
    const Oq__Pb__GraphProto *proto = graph->proto;
    size_t n_inputs = 0;
    bool is_found = false;
    for (size_t i = 0; i < proto->n_input && i < MAX_VALUES && proto->n_output > 1; i++) {
        const struct oq_value *value = oq_graph_find(graph, proto->input[i]->name);
        if (value == NULL || value->origin != OQ_ORIGIN_INPUT)
            continue;
        n_inputs++;
        is_found = is_found || comes_back(proto, proto->input[i]);
    }
    return is_found && n_inputs > 1;
}
