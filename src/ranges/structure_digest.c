/* What tells one model from another where calibration is concerned. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/fnv.h"
#include "base/json.h"
#include "base/json_file.h"
#include "model/model.h"
#include "ranges/calibrated.h"

/* The text and its end, so that "a", "b" is not "ab". NULL is "". */
static uint64_t add_text(uint64_t hash, const char *text)
{
    return text == NULL ? oq_fnv1a(hash, "", 1) : oq_fnv1a(hash, text, strlen(text) + 1);
}

static uint64_t add_value(uint64_t hash, const Oq__Pb__ValueInfoProto *value)
{
    const Oq__Pb__TypeProto *type = value->type;
    int32_t element = 0; /* no tensor, or not said */
    if (type != NULL && type->value_case == OQ__PB__TYPE_PROTO__VALUE_TENSOR_TYPE)
        element = type->tensor_type->elem_type;
    const unsigned char byte = (unsigned char)element;
    return oq_fnv1a(add_text(hash, value->name), &byte, 1);
}

/* An input with a default value may be left out, or taken away by an optimizer. */
static bool has_default(const struct oq_graph *graph, const char *name)
{
    const struct oq_value *value = oq_graph_find(graph, name != NULL ? name : "");
    return value != NULL && value->origin != OQ_ORIGIN_INPUT;
}

struct oq_structure_digest oq_structure_digest(const onnxq_model *model)
{
    struct oq_structure_digest digest = {.hash = OQ_FNV_BASIS};
    const Oq__Pb__GraphProto *main = model->proto->graph;
    for (size_t i = 0; i < main->n_input; i++)
        if (!has_default(model->graphs.list[0], main->input[i]->name))
            digest.hash = add_value(digest.hash, main->input[i]);
    digest.hash = add_text(digest.hash, "");
    for (size_t i = 0; i < main->n_output; i++)
        digest.hash = add_value(digest.hash, main->output[i]);
    for (size_t g = 0; g < model->graphs.count; g++) {
        const Oq__Pb__GraphProto *graph = model->graphs.list[g]->proto;
        for (size_t i = 0; i < graph->n_node; i++) {
            const Oq__Pb__NodeProto *node = graph->node[i];
            digest.hash = add_text(digest.hash, node->op_type);
            for (size_t k = 0; k < node->n_output; k++)
                digest.hash = add_text(digest.hash, node->output[k]);
            digest.n_values += node->n_output;
        }
    }
    return digest;
}

/* --- in files ------------------------------------------------------------------------- */

bool oq_structure_digest_is(const struct oq_structure_digest *a,
                            const struct oq_structure_digest *b)
{
    return a->hash == b->hash && a->n_values == b->n_values;
}

bool oq_structure_digest_check(const struct oq_structure_digest *found,
                               const struct oq_structure_digest *expected, const char *what,
                               onnxq_error *error)
{
    return oq_structure_digest_is(found, expected) ||
           oq_fail(error, ONNXQ_ERROR_INPUT,
                   "%s of another model: of %" PRIu64 " node outputs, digest %016" PRIx64
                   "; expected %" PRIu64 ", digest %016" PRIx64,
                   what, found->n_values, found->hash, expected->n_values, expected->hash);
}

void oq_structure_digest_write(const struct oq_structure_digest *digest, struct oq_json *json)
{
    char text[17];
    snprintf(text, sizeof(text), "%016" PRIx64, digest->hash);
    oq_json_open_object(json, "model");
    oq_json_string(json, "digest", text);
    oq_json_uint(json, "node_outputs", digest->n_values);
    oq_json_close(json);
}

static bool read_hash(struct oq_json_reader *json, void *into)
{
    const char *text;
    if (!oq_json_read_string(json, &text))
        return false;
    if (strlen(text) != 16 || strspn(text, "0123456789abcdef") != 16)
        return oq_json_refuse(json, "expected a digest of 16 hexadecimal digits");
    *(uint64_t *)into = strtoull(text, NULL, 16);
    return true;
}

bool oq_structure_digest_read(struct oq_json_reader *json, void *into)
{
    struct oq_structure_digest *digest = into;
    uint64_t seen;
    const struct oq_json_member members[] = {
        {"digest", read_hash, &digest->hash, false},
        {"node_outputs", oq_json_take_count, &digest->n_values, false},
    };
    return oq_json_read_members(json, members, sizeof(members) / sizeof(members[0]), &seen);
}
