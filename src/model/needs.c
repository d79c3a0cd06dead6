/* Goes through a model and notes which lines of operators/engines.h it has. */
#include "model/needs.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/strmap.h"
#include "model/model.h"
#include "wire/data_type.h"
#include "wire/message.h"

/* --- the table --- */

#define ONNX "" /* domains of operator sets */
#define ML   "ai.onnx.ml"

static const struct form {
    enum oq_operator_id id;
    enum oq_form_detail detail;
    int64_t value;
    int minor;
    const char *what, *refusal;
} forms[] = {
#define FORM(domain, name, detail, value, minor, words)                                            \
    {OQ_##domain##_##name,                                                                         \
     OQ_FORM_##detail,                                                                             \
     value,                                                                                        \
     minor,                                                                                        \
     #name words,                                                                                  \
     #name words " needs ONNX Runtime 1." #minor},
#include "operators/engines.h"
};

/* A version or a type, and the engine that it needs; versions of a domain in order. */
struct engine_line {
    const char *domain;
    int64_t value;
    int minor;
};

static const struct engine_line opsets[] = {
#define OPSET(domain, version, minor) {domain, version, minor},
#include "operators/engines.h"
};

static const struct engine_line ir_versions[] = {
#define IR(version, minor) {"", version, minor},
#include "operators/engines.h"
};

static const struct engine_line tensor_types[] = {
#define TENSOR(type, minor) {"", OQ_TYPE(type), minor},
#include "operators/engines.h"
};

enum {
    N_FORMS = sizeof(forms) / sizeof(forms[0]),
    N_OPSETS = sizeof(opsets) / sizeof(opsets[0]),
    N_IR_VERSIONS = sizeof(ir_versions) / sizeof(ir_versions[0]),
    N_TENSOR_TYPES = sizeof(tensor_types) / sizeof(tensor_types[0])
};

/* A version that is newer than all of the table needs a newer engine; other domains need none. */
static int find_minor(const struct engine_line *lines, size_t n, const char *domain,
                      int64_t version)
{
    int minor = OQ_OLDEST_ENGINE;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(lines[i].domain, domain) != 0)
            continue;
        if (lines[i].value >= version)
            return lines[i].minor;
        minor = OQ_NEWEST_ENGINE + 1;
    }
    return minor;
}

static int64_t find_version(const struct engine_line *lines, size_t n, const char *domain,
                            int minor)
{
    int64_t version = 0;
    for (size_t i = 0; i < n; i++)
        if (strcmp(lines[i].domain, domain) == 0 && lines[i].minor <= minor)
            version = lines[i].value;
    return version;
}

const char *oq_engine_refuses(int target, enum oq_operator_id id, enum oq_form_detail detail,
                              int64_t value)
{
    for (size_t i = 0; target != 0 && i < N_FORMS; i++)
        if (forms[i].id == id && forms[i].detail == detail && forms[i].value == value)
            return forms[i].minor > target ? forms[i].refusal : NULL;
    return NULL;
}

int64_t oq_engine_ir_version(int minor)
{
    return find_version(ir_versions, N_IR_VERSIONS, "", minor);
}

int64_t oq_engine_opset(const char *domain, int minor)
{
    return find_version(opsets, N_OPSETS, domain, minor);
}

/* --- versions as text --- */

struct oq_engine_text oq_engine_text(int minor)
{
    struct oq_engine_text text;
    snprintf(text.text, sizeof(text.text), "1.%d", minor);
    return text;
}

/* Digits, at most four; NULL: there are none, or more. */
static const char *read_number(const char *text, int *number)
{
    size_t n = strspn(text, "0123456789");
    if (n < 1 || n > 4)
        return NULL;
    *number = (int)strtol(text, NULL, 10);
    return text + n;
}

int oq_engine_minor(const char *text)
{
    int major, minor, patch;
    const char *end = read_number(text, &major);
    if (end == NULL || major != 1 || *end != '.' || (end = read_number(end + 1, &minor)) == NULL)
        return -1;
    if (*end == '.')
        end = read_number(end + 1, &patch);
    return end != NULL && *end == '\0' ? minor : -1;
}

/* --- what a model has --- */

struct needs_search {
    struct oq_arena *arena;
    int64_t opset;          /* of ai.onnx */
    struct oq_strmap types; /* name of an initializer -> its type, where a form asks for it */
    bool is_local[OQ_N_OPERATORS]; /* a function of the model has that name */
    bool has_forms[OQ_N_OPERATORS];
    bool found[N_FORMS];
    bool found_types[N_TENSOR_TYPES];
};

static bool is_form(const struct needs_search *search, const struct form *form,
                    const Oq__Pb__NodeProto *node)
{
    switch (form->detail) {
    case OQ_FORM_ANY:
        return true;
    case OQ_FORM_BITS:
        return oq_node_int(node, "bits", 4) == form->value;
    case OQ_FORM_INPUT:
        return oq_node_input(node, (size_t)form->value)[0] != '\0';
    case OQ_FORM_OPSET:
        return search->opset >= form->value;
    case OQ_FORM_HAS_BITS:
        return oq_node_attribute(node, "bits") != NULL;
    case OQ_FORM_HAS_LEVEL:
        return oq_node_attribute(node, "accuracy_level") != NULL;
    case OQ_FORM_TYPE: {
        const int32_t *type = oq_strmap_find(&search->types, oq_node_input(node, 0));
        return type != NULL && *type == form->value;
    }
    }
    return false;
}

static bool visit_node(void *context, const struct oq_message_path *path, onnxq_error *error)
{
    struct needs_search *search = context;
    const Oq__Pb__NodeProto *node = (const Oq__Pb__NodeProto *)path->message;
    const enum oq_operator_id id = oq_operator_id_of(node);
    (void)error;
    for (size_t i = 0; search->has_forms[id] && !search->is_local[id] && i < N_FORMS; i++)
        if (forms[i].id == id && !search->found[i])
            search->found[i] = is_form(search, &forms[i], node);
    return true;
}

static bool visit_tensor(void *context, const struct oq_message_path *path, onnxq_error *error)
{
    struct needs_search *search = context;
    const Oq__Pb__TensorProto *tensor = (const Oq__Pb__TensorProto *)path->message;
    (void)error;
    for (size_t i = 0; i < N_TENSOR_TYPES; i++)
        search->found_types[i] |= tensor_types[i].value == tensor->data_type;
    return true;
}

/* True but where there was no memory for what it needs. */
static bool add(struct oq_engine_needs *needs, struct oq_engine_need *list, int minor,
                const char *what)
{
    if (minor <= OQ_OLDEST_ENGINE || what == NULL)
        return what != NULL;
    size_t at = needs->count++;
    for (; at > 0 && list[at - 1].minor < minor; at--)
        list[at] = list[at - 1];
    list[at] = (struct oq_engine_need){minor, what, false};
    return true;
}

static bool add_forms(struct oq_engine_needs *needs, struct oq_engine_need *list,
                      const struct needs_search *search)
{
    for (size_t i = 0; i < N_FORMS; i++)
        if (search->found[i] && !add(needs, list, forms[i].minor, forms[i].what))
            return false;
    for (size_t i = 0; i < N_TENSOR_TYPES; i++)
        if (search->found_types[i] &&
            !add(needs, list, tensor_types[i].minor,
                 oq_arena_printf(search->arena, "tensors of %s",
                                 oq_dtype_find((int32_t)tensor_types[i].value)->name)))
            return false;
    return true;
}

static bool add_opset(struct oq_engine_needs *needs, struct oq_engine_need *list,
                      struct oq_arena *arena, const char *domain, int64_t version)
{
    return add(needs, list, find_minor(opsets, N_OPSETS, domain, version),
               oq_arena_printf(arena, "opset %lld%s%s", (long long)version,
                               domain[0] == '\0' ? "" : " of ", domain));
}

static bool add_format(struct oq_engine_needs *needs, struct oq_engine_need *list,
                       struct oq_arena *arena, int64_t version)
{
    int minor = find_minor(ir_versions, N_IR_VERSIONS, "", version);
    const char *what = oq_arena_printf(arena, "IR version %lld", (long long)version);
    if (!add(needs, list, minor, what))
        return false;
    for (size_t i = 0; i < needs->count; i++)
        list[i].is_format = list[i].what == what;
    return true;
}

/* Operators first: of two reasons for one version the closer one. */
static bool list_needs(struct oq_engine_needs *needs, const struct needs_search *search,
                       const Oq__Pb__ModelProto *proto)
{
    struct oq_arena *arena = search->arena;
    struct oq_engine_need *list =
        oq_arena_array(arena, (size_t)N_FORMS + N_TENSOR_TYPES + 3, sizeof(*list));
    *needs = (struct oq_engine_needs){.list = list};
    return list != NULL && add_forms(needs, list, search) &&
           add_opset(needs, list, arena, ONNX, search->opset) &&
           add_opset(needs, list, arena, ML, oq_model_opset(proto, ML)) &&
           add_format(needs, list, arena, proto->ir_version);
}

/* Types that some form asks for; other tensors are many. */
static bool note_types(struct needs_search *search, const Oq__Pb__GraphProto *graph)
{
    uint64_t asked = 0; /* bit by bit */
    oq_strmap_init(&search->types, search->arena);
    for (size_t i = 0; i < N_FORMS; i++)
        asked |= forms[i].detail == OQ_FORM_TYPE ? UINT64_C(1) << forms[i].value : 0;
    for (size_t i = 0; graph != NULL && i < graph->n_initializer; i++) {
        Oq__Pb__TensorProto *tensor = graph->initializer[i];
        const bool is_type = tensor->data_type >= 0 && tensor->data_type < 64;
        if (!is_type || (asked >> tensor->data_type & 1) == 0 || tensor->name == NULL)
            continue;
        void **place = oq_strmap_place(&search->types, tensor->name);
        if (place == NULL)
            return false;
        *place = &tensor->data_type;
    }
    return true;
}

bool oq_needs_find(struct oq_engine_needs *needs, const Oq__Pb__ModelProto *proto,
                   struct oq_arena *arena, onnxq_error *error)
{
    ProtobufCMessage *root = (void *)(uintptr_t)&proto->base; /* is not changed */
    struct needs_search *search = oq_arena_alloc(arena, sizeof(*search));
    if (search == NULL)
        return oq_arena_fail(arena, error);
    search->arena = arena;
    search->opset = oq_model_opset(proto, "");
    oq_operators_note_functions(proto, search->is_local);
    for (size_t i = 0; i < N_FORMS; i++)
        search->has_forms[forms[i].id] = true;
    return (note_types(search, proto->graph) &&
            oq_message_visit(root, &oq__pb__node_proto__descriptor, visit_node, search, error) &&
            oq_message_visit(root, &oq__pb__tensor_proto__descriptor, visit_tensor, search,
                             error) &&
            list_needs(needs, search, proto)) ||
           oq_arena_fail(arena, error);
}

int oq_needs_least(const struct oq_engine_needs *needs)
{
    return needs->count > 0 ? needs->list[0].minor : OQ_OLDEST_ENGINE;
}
