/* Sets up, measures and releases a draft; recipes for payloads. */
#include "edit/draft.h"

/* A tensor from this size on may lie in a side file: a page, which can be mapped. */
#define MIN_EXTERNAL_NBYTES 4096

static bool produce_bytes(const void *source, uint64_t first, size_t count, uint8_t *dst,
                          void *scratch, onnxq_error *error)
{
    (void)scratch, (void)error;
    memcpy(dst, (const char *)source + first, count);
    return true;
}

struct oq_recipe oq_recipe_bytes(const void *bytes, uint64_t nbytes)
{
    return (struct oq_recipe){nbytes, produce_bytes, bytes};
}

static bool produce_copy(const void *source, uint64_t first, size_t count, uint8_t *dst,
                         void *scratch, onnxq_error *error)
{
    (void)scratch;
    return oq_tensor_read_bytes(source, first, count, dst, error);
}

struct oq_recipe oq_recipe_copy(const struct oq_tensor *tensor)
{
    return (struct oq_recipe){tensor->nbytes, produce_copy, tensor};
}

bool oq_draft_add_recipe(struct oq_draft *draft, const struct oq_recipe *recipe, uint32_t *number,
                         onnxq_error *error)
{
    size_t capacity = draft->recipes_capacity;
    if (!oq_arena_grow(draft->arena, &draft->recipes, draft->n_recipes, &capacity,
                       sizeof(*draft->recipes)) ||
        !oq_arena_grow(draft->arena, &draft->recipe_nbytes, draft->n_recipes,
                       &draft->recipes_capacity, sizeof(*draft->recipe_nbytes)))
        return oq_arena_fail(draft->arena, error);
    *number = (uint32_t)draft->n_recipes;
    draft->recipes[draft->n_recipes] = *recipe;
    draft->recipe_nbytes[draft->n_recipes++] = recipe->nbytes;
    return true;
}

bool oq_draft_set_recipe(struct oq_draft *draft, Oq__Pb__TensorProto *proto,
                         const struct oq_recipe *recipe, onnxq_error *error)
{
    uint32_t number = 0;
    struct oq_payload *payload = oq_arena_alloc(draft->arena, sizeof(*payload));
    if (payload == NULL || !oq_draft_add_recipe(draft, recipe, &number, error))
        return oq_arena_fail(draft->arena, error);
    *payload = (struct oq_payload){.kind = OQ_PAYLOAD_RECIPE, .first = number};
    proto->has_raw_data = true;
    proto->raw_data = (ProtobufCBinaryData){sizeof(*payload), (uint8_t *)payload};
    proto->has_data_location = false;
    proto->n_external_data = 0;
    proto->n_float_data = proto->n_int64_data = 0;
    return true;
}

struct copied {
    struct oq_draft *draft;
    size_t ordinal;
};

/* Payloads that are copied whole, or whose side file stays behind, become recipes. */
static bool copy_payload(void *context, const struct oq_message_path *path, onnxq_error *error)
{
    struct copied *copied = context;
    struct oq_draft *draft = copied->draft;
    Oq__Pb__TensorProto *proto = (Oq__Pb__TensorProto *)path->message;
    const struct oq_tensor *tensor = &draft->model->tensors[copied->ordinal++];
    const struct oq_recipe recipe = oq_recipe_copy(tensor);
    bool large = tensor->contiguous && tensor->nbytes >= MIN_EXTERNAL_NBYTES;
    if (!large && !tensor->external)
        return true;
    return oq_draft_set_recipe(draft, proto, &recipe, error);
}

bool oq_draft_init(struct oq_draft *draft, const onnxq_model *model, struct oq_arena *arena,
                   onnxq_error *error)
{
    struct copied copied = {draft, 0};
    *draft = (struct oq_draft){.model = model, .arena = arena};
    draft->proto = oq_model_copy_proto(model, arena, error);
    return draft->proto != NULL &&
           oq_message_visit(&draft->proto->base, &oq__pb__tensor_proto__descriptor, copy_payload,
                            &copied, error);
}

void oq_draft_fini(struct oq_draft *draft)
{
    oq_written_fini(&draft->written);
}

/*
 * Initializers may lie in a side file, and of the tensors in attributes those that did in
 * the input (copy_payload() leaves their external_data): there are engines that take no others.
 */
static bool may_be_external(const struct oq_message_path *path)
{
    const Oq__Pb__TensorProto *proto = (const Oq__Pb__TensorProto *)path->message;
    return path->parent != NULL &&
           (path->parent->message->descriptor == &oq__pb__graph_proto__descriptor ||
            proto->external_data != NULL);
}

/* Those that a recipe makes. */
static bool collect_large(void *context, const struct oq_message_path *path, onnxq_error *error)
{
    struct oq_draft *draft = context;
    Oq__Pb__TensorProto *proto = (Oq__Pb__TensorProto *)path->message;
    struct oq_payload payload;
    if (!may_be_external(path) || !oq_payload_get(proto, &payload) ||
        payload.kind != OQ_PAYLOAD_RECIPE ||
        draft->recipe_nbytes[payload.first] < MIN_EXTERNAL_NBYTES)
        return true;
    if (!oq_arena_grow(draft->arena, &draft->large, draft->n_large, &draft->large_capacity,
                       sizeof(*draft->large)))
        return oq_arena_fail(draft->arena, error);
    draft->large[draft->n_large++] = (struct oq_large_tensor){proto, payload.first};
    return true;
}

bool oq_draft_finish(struct oq_draft *draft, onnxq_error *error)
{
    return oq_message_visit(&draft->proto->base, &oq__pb__tensor_proto__descriptor, collect_large,
                            draft, error);
}
