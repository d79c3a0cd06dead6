/* Resolves locations, refuses what leaves the folder, opens each side file once. */
#include "model/external.h"

#include <errno.h>
#include <stdlib.h>

#include "base/checked.h"
#include "base/os.h"
#include "base/path.h"

/* A quarter of what the process may have is kept open; files beyond are opened for each read. */
#define MAX_DESCRIPTORS 256

static char *folder_of(struct oq_arena *arena, const char *path)
{
    return oq_arena_printf(arena, "%.*s", (int)oq_folder_length(path), path);
}

/* The folder of path without links, ending in a slash; NULL when it cannot be resolved. */
static char *real_folder_of(struct oq_arena *arena, const char *path)
{
    char *real = oq_os_real_path(path);
    char *folder = real == NULL ? NULL : folder_of(arena, real);
    free(real);
    return folder;
}

bool oq_external_init(struct oq_external *external, const char *model_path, struct oq_arena *arena,
                      onnxq_error *error)
{
    *external = (struct oq_external){
        .arena = arena,
        .max_descriptors = (size_t)oq_min_u64(oq_os_max_descriptors() / 4, MAX_DESCRIPTORS)};
    oq_strmap_init(&external->files, arena);
    external->folder = folder_of(arena, model_path);
    if (external->folder == NULL)
        return oq_arena_fail(arena, error);
    char *inside = oq_arena_printf(arena, "%s.", external->folder);
    char *real = inside == NULL ? NULL : oq_os_real_path(inside);
    external->folder_errno = real == NULL ? errno : 0;
    if (real != NULL)
        external->real_folder = oq_arena_printf(arena, "%s%s", real, real[1] == '\0' ? "" : "/");
    free(real);
    external->link_folder = real_folder_of(arena, model_path);
    return true;
}

void oq_external_fini(struct oq_external *external)
{
    for (size_t i = 0; i < external->count; i++)
        oq_file_close(external->list[i]);
    external->count = 0;
}

static bool has_parent_component(const char *location)
{
    for (const char *part = location; part != NULL; part = strchr(part, '/')) {
        part += *part == '/';
        if (part[0] == '.' && part[1] == '.' && (part[2] == '/' || part[2] == '\0'))
            return true;
    }
    return false;
}

static bool starts_with(const char *text, const char *prefix)
{
    return prefix != NULL && strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Frees the path; NULL is one that could not be found out. */
static bool check_inside(const struct oq_external *external, const char *location, char *real,
                         onnxq_error *error)
{
    if (real == NULL)
        return oq_fail_errno(error, ONNXQ_ERROR_INPUT, errno, "cannot open side file \"%s\"",
                             location);
    bool inside =
        starts_with(real, external->real_folder) || starts_with(real, external->link_folder);
    free(real);
    if (!inside && external->real_folder == NULL && external->folder_errno != 0)
        return oq_fail_errno(error, ONNXQ_ERROR_INPUT, external->folder_errno,
                             "cannot open side file \"%s\"", location);
    return inside ||
           oq_fail(error, ONNXQ_ERROR_INPUT,
                   "side file \"%s\" links to a place outside the model's folder", location);
}

/*
 * Checked before it is opened, so that nothing outside is even opened, and
 * again afterwards: the system says where the open file is, and no link that
 * was changed in between helps. (Where the system does not say, the first has to do.)
 */
static bool open_inside(const struct oq_external *external, const char *location, const char *path,
                        struct oq_file *file, onnxq_error *error)
{
    if (!check_inside(external, location, oq_os_real_path(path), error))
        return false;
    if (!oq_file_open(file, path, error)) {
        oq_error_file(error, path);
        return false;
    }
    char *opened = oq_os_real_path_of(file->fd);
    if ((opened == NULL && errno == ENOSYS) || check_inside(external, location, opened, error))
        return true;
    oq_file_close(file);
    return false;
}

static bool add_file(struct oq_external *external, const char *location, struct oq_file **file,
                     onnxq_error *error)
{
    if (location[0] == '\0')
        return oq_fail(error, ONNXQ_ERROR_INPUT, "names an empty side file location");
    if (location[0] == '/' || has_parent_component(location))
        return oq_fail(error, ONNXQ_ERROR_INPUT,
                       "side file \"%s\" is outside the model's folder, expected a path inside it",
                       location);
    char *path = oq_arena_printf(external->arena, "%s%s", external->folder, location);
    *file = oq_arena_alloc(external->arena, sizeof(**file));
    if (path == NULL || *file == NULL ||
        !oq_arena_grow(external->arena, &external->list, external->count, &external->capacity,
                       sizeof(*external->list)))
        return oq_arena_fail(external->arena, error);
    if (!open_inside(external, location, path, *file, error))
        return false;
    if (external->count >= external->max_descriptors)
        oq_file_release_descriptor(*file);
    external->list[external->count++] = *file;
    return true;
}

static bool find_file(struct oq_external *external, const char *location,
                      const struct oq_file **file, onnxq_error *error)
{
    struct oq_file *found = oq_strmap_find(&external->files, location);
    if (found == NULL) {
        if (!add_file(external, location, &found, error))
            return false;
        void **place = oq_strmap_place(&external->files, location);
        if (place == NULL)
            return oq_arena_fail(external->arena, error);
        *place = found;
    }
    *file = found;
    return true;
}

static bool parse_size(const char *key, const char *text, uint64_t *value, onnxq_error *error)
{
    char *end;
    errno = 0;
    *value = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0)
        return oq_fail(error, ONNXQ_ERROR_INPUT,
                       "external data has %s \"%s\", expected a number of bytes", key, text);
    return true;
}

/* Readers differ in which one they take. */
static bool fail_twice(const char *key, onnxq_error *error)
{
    return oq_fail(error, ONNXQ_ERROR_INPUT, "external data has \"%s\" twice, expected once", key);
}

bool oq_external_find(struct oq_external *external, const Oq__Pb__TensorProto *proto,
                      struct oq_external_range *range, onnxq_error *error)
{
    const char *location = NULL;
    bool has_offset = false;
    *range = (struct oq_external_range){0};
    for (size_t i = 0; i < proto->n_external_data; i++) {
        const char *key = proto->external_data[i]->key;
        const char *value = proto->external_data[i]->value;
        if (key == NULL || value == NULL)
            continue;
        if (strcmp(key, "location") == 0) {
            if (location != NULL)
                return fail_twice(key, error);
            location = value;
        } else if (strcmp(key, "offset") == 0) {
            if (has_offset)
                return fail_twice(key, error);
            has_offset = true;
            if (!parse_size(key, value, &range->offset, error))
                return false;
        } else if (strcmp(key, "length") == 0) {
            if (range->has_nbytes)
                return fail_twice(key, error);
            range->has_nbytes = true;
            if (!parse_size(key, value, &range->nbytes, error))
                return false;
        }
    }
    if (location == NULL)
        return oq_fail(error, ONNXQ_ERROR_INPUT, "is stored in a side file but names no location");
    return find_file(external, location, &range->file, error);
}
