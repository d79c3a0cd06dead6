/* The files of a checkpoint: one of safetensors, or several and an index of what is in which. */
#include "checkpoint/checkpoint.h"

#include <stdlib.h>
#include <string.h>

#include "base/json_file.h"
#include "base/path.h"

/* Strings and tables of a header: an entry of one line becomes a few times as much. */
#define BUDGET ((size_t)1 << 30)

/* The largest models are in some hundred. */
#define MAX_FILES ((size_t)4096)
#define MAX_OPEN  ((size_t)64)

/* --- files --- */

static bool add_file(onnxq_checkpoint *checkpoint, const char *path, onnxq_error *error)
{
    struct oq_file *file = oq_arena_alloc(&checkpoint->arena, sizeof(*file));
    if (file == NULL || !oq_arena_grow(&checkpoint->arena, &checkpoint->files, checkpoint->n_files,
                                       &checkpoint->files_capacity, sizeof(struct oq_file *)))
        return oq_arena_fail(&checkpoint->arena, error);
    if (!oq_file_open(file, path, error)) {
        oq_error_file(error, path);
        return false;
    }
    checkpoint->files[checkpoint->n_files++] = file;
    if (!oq_safetensors_read(file, &checkpoint->stored, &checkpoint->arena, error))
        return false;
    if (checkpoint->n_files > MAX_OPEN)
        oq_file_release_descriptor(file);
    return true;
}

/* --- the index: "weight_map" has the file of each tensor --- */

struct shards {
    struct oq_strmap seen;    /* names of files */
    struct oq_strmap of_name; /* of tensors, to the name of their file */
    const char **names;
    size_t count, capacity;
};

static bool add_shard(struct shards *shards, struct oq_json_reader *json, const char *tensor,
                      const char *name)
{
    struct oq_arena *arena = json->arena;
    if (name[0] == '\0' || name[0] == '.' || strchr(name, '/') != NULL)
        return oq_json_refuse(json, "\"%.100s\" is no name of a file beside the index", name);
    void **of = oq_strmap_place(&shards->of_name, tensor);
    void **place = of == NULL ? NULL : oq_strmap_place(&shards->seen, name);
    if (place == NULL) {
        json->failed = true;
        return oq_arena_fail(arena, json->error);
    }
    if (*of != NULL)
        return oq_json_refuse(json, "\"%.100s\" is there twice", tensor);
    *of = (void *)(uintptr_t)name;
    if (*place != NULL)
        return true;
    *place = (void *)(uintptr_t)name;
    if (shards->count == MAX_FILES)
        return oq_json_refuse(json, "more than %zu files", MAX_FILES);
    if (!oq_arena_grow(arena, &shards->names, shards->count, &shards->capacity, sizeof(char *))) {
        json->failed = true;
        return oq_arena_fail(arena, json->error);
    }
    shards->names[shards->count++] = name;
    return true;
}

static bool read_map(struct oq_json_reader *json, struct shards *shards)
{
    const char *tensor, *name;
    if (!oq_json_enter_object(json))
        return false;
    while (oq_json_next_member(json, &tensor))
        if (!oq_json_read_string(json, &name) || !add_shard(shards, json, tensor, name))
            return false;
    return !json->failed;
}

static bool read_index(struct oq_json_reader *json, struct shards *shards)
{
    const char *key;
    if (!oq_json_enter_object(json))
        return false;
    while (oq_json_next_member(json, &key))
        if (strcmp(key, "weight_map") == 0 ? !read_map(json, shards) : !oq_json_skip_value(json))
            return false;
    if (!oq_json_reader_finish(json))
        return false;
    return shards->count > 0 || oq_json_refuse(json, "\"weight_map\" is missing, or empty");
}

static bool open_shards(onnxq_checkpoint *checkpoint, const char *path, struct shards *shards,
                        onnxq_error *error)
{
    size_t nbytes;
    struct oq_json_reader json;
    char *text = oq_json_read_file(path, "an index of shards", &nbytes, error);
    if (text == NULL)
        return false;
    oq_json_reader_init(&json, text, nbytes, &checkpoint->arena, error);
    bool ok = read_index(&json, shards);
    free(text);
    const int n_folder = (int)oq_folder_length(path);
    for (size_t i = 0; ok && i < shards->count; i++) {
        const char *name =
            oq_arena_printf(&checkpoint->arena, "%.*s%s", n_folder, path, shards->names[i]);
        ok = name != NULL ? add_file(checkpoint, name, error)
                          : oq_arena_fail(&checkpoint->arena, error);
    }
    return ok;
}

/* A tensor counts in the file that the index says; elsewhere it is another one of that name. */
static bool check_map(const onnxq_checkpoint *checkpoint, const struct shards *shards,
                      onnxq_error *error)
{
    for (size_t i = 0; i < checkpoint->stored.count; i++) {
        const struct oq_stored *stored = &checkpoint->stored.items[i];
        const char *name = oq_strmap_find(&shards->of_name, stored->name);
        if (name != NULL && strcmp(name, oq_base_name(stored->file->path)) == 0)
            continue;
        oq_fail(error, ONNXQ_ERROR_INPUT, "the index has it in %s",
                name == NULL ? "no file" : name);
        oq_error_file(error, stored->file->path);
        oq_error_place(error, "tensor \"%s\"", stored->name);
        return false;
    }
    return true;
}

static bool open_index(onnxq_checkpoint *checkpoint, const char *path, onnxq_error *error)
{
    struct shards shards = {0};
    oq_strmap_init(&shards.seen, &checkpoint->arena);
    oq_strmap_init(&shards.of_name, &checkpoint->arena);
    return open_shards(checkpoint, path, &shards, error) && check_map(checkpoint, &shards, error);
}

/* --- all of it --- */

static bool index_names(onnxq_checkpoint *checkpoint, onnxq_error *error)
{
    for (size_t i = 0; i < checkpoint->stored.count; i++) {
        struct oq_stored *stored = &checkpoint->stored.items[i];
        void **place = oq_strmap_place(&checkpoint->by_name, stored->name);
        if (place == NULL)
            return oq_arena_fail(&checkpoint->arena, error);
        *place = stored;
    }
    return true;
}

/* In a folder, the names that there are. */
static const char *find_file(struct oq_arena *arena, const char *path)
{
    static const char *const names[] = {"model.safetensors.index.json", "model.safetensors"};
    struct oq_file_status status;
    if (!oq_os_status(path, &status) || status.type != OQ_FILE_FOLDER)
        return path;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *name = oq_arena_printf(arena, "%s/%s", path, names[i]);
        if (name == NULL || (oq_os_status(name, &status) && status.type == OQ_FILE_REGULAR))
            return name;
    }
    return path; /* which opening refuses as what it is */
}

static bool open_all(onnxq_checkpoint *checkpoint, const char *path, onnxq_error *error)
{
    struct oq_arena *arena = &checkpoint->arena;
    path = find_file(arena, path);
    if (path == NULL)
        return oq_arena_fail(arena, error);
    const char *folder = oq_arena_printf(arena, "%.*s", (int)oq_folder_length(path), path);
    if (folder == NULL)
        return oq_arena_fail(arena, error);
    bool ok = (oq_ends_with(path, ".json") ? open_index(checkpoint, path, error)
                                           : add_file(checkpoint, path, error)) &&
              index_names(checkpoint, error) &&
              oq_quantization_find(&checkpoint->quantization, folder, arena, error) &&
              oq_checkpoint_find_modules(checkpoint, error);
    oq_error_file(error, path);
    return ok;
}

onnxq_checkpoint *onnxq_checkpoint_open(const char *path, onnxq_error *error)
{
    onnxq_error ignored;
    error = oq_error_start(error, &ignored);
    onnxq_checkpoint *checkpoint = calloc(1, sizeof(*checkpoint));
    if (checkpoint == NULL) {
        oq_fail_memory(error);
        return NULL;
    }
    checkpoint->n_users = 1;
    oq_arena_init(&checkpoint->arena, BUDGET);
    oq_strmap_init(&checkpoint->by_name, &checkpoint->arena);
    if (open_all(checkpoint, path, error))
        return checkpoint;
    onnxq_checkpoint_close(checkpoint);
    return NULL;
}

/* Only the count changes, and counting is safe from any thread. */
static onnxq_checkpoint *counted(const onnxq_checkpoint *checkpoint)
{
    return (onnxq_checkpoint *)(uintptr_t)checkpoint;
}

const onnxq_checkpoint *oq_checkpoint_share(const onnxq_checkpoint *checkpoint)
{
    __atomic_add_fetch(&counted(checkpoint)->n_users, 1, __ATOMIC_RELAXED);
    return checkpoint;
}

void onnxq_checkpoint_close(onnxq_checkpoint *checkpoint)
{
    if (checkpoint == NULL || __atomic_sub_fetch(&checkpoint->n_users, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    for (size_t i = 0; i < checkpoint->n_files; i++)
        oq_file_close(checkpoint->files[i]);
    oq_arena_fini(&checkpoint->arena);
    free(checkpoint);
}

const onnxq_checkpoint_info *onnxq_checkpoint_get_info(const onnxq_checkpoint *checkpoint)
{
    return &checkpoint->info;
}
