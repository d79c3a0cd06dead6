/* Files and folders of inputs, sorted into sets by what they are named and where they lie. */
#define _POSIX_C_SOURCE   200809L
#define _FILE_OFFSET_BITS 64
#include "arrays/input_files.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "arrays/input_folder.h"
#include "arrays/npy.h"
#include "arrays/npz.h"
#include "arrays/tensor_file.h"
#include "base/nearest.h"
#include "base/os.h"
#include "base/path.h"
#include "model/sniff.h"
#include "wire/data_type.h"

/* --- sets ------------------------------------------------------------------- */

struct oq_input_set *oq_input_sets_add(struct oq_input_sets *sets, const char *label,
                                       onnxq_error *error)
{
    char *copy = strdup(label);
    if (copy != NULL && sets->count == sets->capacity) {
        size_t capacity = sets->capacity == 0 ? 4 : 2 * sets->capacity;
        struct oq_input_set *list = realloc(sets->list, capacity * sizeof(*list));
        if (list == NULL) {
            free(copy);
            copy = NULL;
        } else {
            sets->list = list;
            sets->capacity = capacity;
        }
    }
    if (copy == NULL) {
        oq_fail_memory(error);
        return NULL;
    }
    struct oq_input_set *added = &sets->list[sets->count++];
    *added = (struct oq_input_set){.label = copy};
    return added;
}

static void fini_set(struct oq_input_set *set)
{
    free(set->label);
    oq_arrays_fini(&set->inputs);
    oq_arrays_fini(&set->outputs);
}

void oq_input_sets_drop(struct oq_input_sets *sets)
{
    fini_set(&sets->list[--sets->count]);
}

void oq_input_sets_fini(struct oq_input_sets *sets)
{
    for (size_t i = 0; i < sets->count; i++)
        fini_set(&sets->list[i]);
    free(sets->list);
    free(sets->sizes);
    *sets = (struct oq_input_sets){0};
}

/* What a set is filled from, such as a path. */
typedef bool (*fill_fn)(struct oq_input_set *set, const void *from, onnxq_error *error);

static bool visit_set(struct oq_input_sets *sets, const char *label, fill_fn fill, const void *from,
                      onnxq_error *error)
{
    struct oq_set_visit *visit = sets->visit;
    uint64_t number = visit->n_sets++;
    if (number < visit->first || number - visit->first >= visit->count)
        return true;
    struct oq_input_set *set = oq_input_sets_add(sets, label, error);
    bool ok = set != NULL && fill(set, from, error) && visit->take(visit->data, number, set, error);
    if (set != NULL)
        oq_input_sets_drop(sets);
    return ok;
}

/* One more set, or its turn where sets are visited. */
static bool make_set(struct oq_input_sets *sets, const char *label, fill_fn fill, const void *from,
                     onnxq_error *error)
{
    if (sets->visit != NULL)
        return visit_set(sets, label, fill, from, error);
    struct oq_input_set *set = oq_input_sets_add(sets, label, error);
    return set != NULL && fill(set, from, error);
}

/* --- names ------------------------------------------------------------------ */

enum kind {
    KIND_NPZ,
    KIND_PICTURE,
    KIND_NPY,
    KIND_PB,
    KIND_SET_FOLDER, /* test_data_set_N */
    KIND_FOLDER,
    KIND_IGNORED, /* documentation, descriptions, the model itself */
    KIND_OTHER,
    N_KINDS
};

static const struct ending {
    const char *text;
    enum kind kind;
} endings[] = {
    {".npz", KIND_NPZ},      {".npy", KIND_NPY},      {".pb", KIND_PB},
    {".png", KIND_PICTURE},  {".jpg", KIND_PICTURE},  {".jpeg", KIND_PICTURE},
    {".ppm", KIND_PICTURE},  {".pgm", KIND_PICTURE},  {".md", KIND_IGNORED},
    {".txt", KIND_IGNORED},  {".rst", KIND_IGNORED},  {".html", KIND_IGNORED},
    {".json", KIND_IGNORED}, {".yaml", KIND_IGNORED}, {".yml", KIND_IGNORED},
    {".toml", KIND_IGNORED}, {".log", KIND_IGNORED},  {".py", KIND_IGNORED},
    {".sh", KIND_IGNORED},   {".onnx", KIND_IGNORED},
};

/* Of a file, by its name. Without an ending: README, LICENSE, Makefile. */
static enum kind kind_of(const char *name)
{
    const char *ending = strrchr(name, '.');
    if (ending == NULL || ending == name)
        return KIND_IGNORED;
    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
        if (oq_is_same_word(ending, strlen(ending), endings[i].text))
            return endings[i].kind;
    }
    return KIND_OTHER;
}

static bool is_ignored(const char *name)
{
    return kind_of(name) == KIND_IGNORED;
}

/* The number behind the prefix, where nothing follows it: 7 of "input_7". */
static bool parse_number(const char *text, const char *prefix, unsigned long *number)
{
    size_t length = strlen(prefix);
    if (strncmp(text, prefix, length) != 0)
        return false;
    text += length;
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 9 || text[digits] != '\0')
        return false;
    *number = strtoul(text, NULL, 10);
    return true;
}

#define POSITION_CAPACITY 24

/* What names the array of an input that is known by its position only. */
static const char *position_name(char *dst, unsigned long number)
{
    snprintf(dst, POSITION_CAPACITY, "#%lu", number);
    return dst;
}

/* --- arrays ----------------------------------------------------------------- */

/* Engines take a boolean for 0 or 1, and do anything with other bytes. */
static bool check_booleans(const struct oq_array *array, onnxq_error *error)
{
    const uint8_t *bytes = array->data;
    if (array->data_type != OQ_TYPE(BOOL))
        return true;
    for (uint64_t i = 0; i < array->nbytes; i++) {
        if (bytes[i] > 1)
            return oq_fail(error, ONNXQ_ERROR_INPUT,
                           "boolean %" PRIu64 " is the byte %u, expected 0 or 1", i, bytes[i]);
    }
    return true;
}

/* Takes the array over, which has to be one that the list does not have; after a failure, too. */
static bool add_array(struct oq_arrays *arrays, struct oq_array *array, onnxq_error *error)
{
    struct oq_array *added = NULL;
    if (oq_arrays_find(arrays, array->name) != NULL)
        oq_fail(error, ONNXQ_ERROR_INPUT, "there is a second array \"%.200s\"", array->name);
    else
        added = oq_arrays_add(arrays, error);
    if (added != NULL)
        *added = *array;
    else
        oq_array_fini(array);
    return added != NULL;
}

/* The names that numpy.savez() gives to arrays without one. */
static bool name_positions(struct oq_arrays *arrays, onnxq_error *error)
{
    char name[POSITION_CAPACITY];
    unsigned long number;
    for (size_t i = 0; i < arrays->count; i++) {
        struct oq_array *array = &arrays->list[i];
        if (!parse_number(array->name, "arr_", &number))
            continue;
        position_name(name, number);
        if (oq_arrays_find(arrays, name) != NULL)
            return oq_fail(error, ONNXQ_ERROR_INPUT, "there is a second array \"%s\"", name);
        if (!oq_array_rename(array, name, error))
            return false;
    }
    return true;
}

/* --- files ------------------------------------------------------------------ */

/* What is not what its name says fails in some odd place: say what it is instead. */
static void explain_failure(const struct oq_file *file, enum kind kind, onnxq_error *error)
{
    static const struct {
        const char *is, *name;
    } kinds[] = {[KIND_NPZ] = {"a zip archive", "an .npz archive of NumPy arrays"},
                 [KIND_NPY] = {"a NumPy array", "a .npy file of NumPy"},
                 [KIND_PB] = {"", "a tensor (a TensorProto of ONNX)"}};
    const char *hint, *found = oq_sniff(file, &hint);
    if (error->status != ONNXQ_ERROR_INPUT || found == NULL || strcmp(found, kinds[kind].is) == 0)
        return;
    oq_error_init(error);
    oq_fail(error, ONNXQ_ERROR_INPUT, "is %s, expected %s", found, kinds[kind].name);
}

static bool read_npz(struct oq_arrays *arrays, const struct oq_file *file, onnxq_error *error)
{
    if (!oq_npz_read(arrays, file, is_ignored, error)) {
        explain_failure(file, KIND_NPZ, error);
        return false;
    }
    for (size_t i = 0; i < arrays->count; i++) {
        if (!check_booleans(&arrays->list[i], error)) {
            oq_error_place(error, "entry \"%.200s.npy\"", arrays->list[i].name);
            return false;
        }
    }
    return name_positions(arrays, error);
}

/* One array; `name` is for where the file has none. */
static bool read_array(struct oq_array *array, const struct oq_file *file, enum kind kind,
                       const char *name, onnxq_error *error)
{
    bool ok;
    if (kind == KIND_NPY) {
        struct oq_stream stream;
        oq_stream_open(&stream, file, 0, file->nbytes);
        ok = oq_npy_read(array, name, &stream, error);
        oq_stream_close(&stream);
    } else {
        ok = oq_tensor_file_read(array, file, error);
    }
    if (!ok)
        explain_failure(file, kind, error);
    return ok && check_booleans(array, error) &&
           (array->name[0] != '\0' || oq_array_rename(array, name, error));
}

/*
 * input_N and output_N are known by position, and so is a file that stands
 * alone; others by what they are called. Of a lone file all is an input.
 */
static bool read_named(struct oq_input_set *set, const struct oq_file *file, enum kind kind,
                       bool alone, onnxq_error *error)
{
    char position[POSITION_CAPACITY];
    unsigned long number = 0;
    char *stem = strdup(oq_base_name(file->path));
    if (stem == NULL)
        return oq_fail_memory(error);
    *strrchr(stem, '.') = '\0';
    bool is_output = parse_number(stem, "output_", &number);
    bool has_position = is_output || parse_number(stem, "input_", &number) || alone;
    const char *name = has_position ? position_name(position, number) : stem;
    struct oq_arrays *arrays = is_output && !alone ? &set->outputs : &set->inputs;
    struct oq_array array = {0};
    bool ok = read_array(&array, file, kind, name, error);
    if (ok)
        ok = add_array(arrays, &array, error);
    else
        oq_array_fini(&array);
    free(stem);
    return ok;
}

/* --- pictures ---------------------------------------------------------------- */

struct picture_file {
    const char *path;
    const struct oq_picture_maker *maker;
};

static bool fill_from_picture(struct oq_input_set *set, const void *from, onnxq_error *error)
{
    const struct picture_file *picture = from;
    struct oq_file file;
    struct oq_array array = {0};
    bool ok = oq_file_open(&file, picture->path, error);
    if (ok) {
        ok = picture->maker->make(picture->maker->data, &file, &array, error);
        oq_file_close(&file);
    }
    if (ok)
        ok = add_array(&set->inputs, &array, error);
    else
        oq_array_fini(&array);
    oq_error_file(error, picture->path);
    return ok;
}

static bool read_picture(struct oq_input_sets *sets, const char *path, onnxq_error *error)
{
    const struct picture_file picture = {.path = path, .maker = sets->pictures};
    if (sets->pictures == NULL) {
        oq_fail(error, ONNXQ_ERROR_INPUT, "is a picture, expected arrays");
        oq_error_file(error, path);
        return false;
    }
    sets->pictures->n_pictures++;
    return make_set(sets, path, fill_from_picture, &picture, error);
}

/* --- arrays, again ------------------------------------------------------------- */

static bool read_file(struct oq_input_set *set, const char *path, bool alone, onnxq_error *error)
{
    enum kind kind = kind_of(oq_base_name(path));
    struct oq_file file;
    bool ok = oq_file_open(&file, path, error);
    if (ok) {
        ok = kind == KIND_NPZ ? read_npz(&set->inputs, &file, error)
                              : read_named(set, &file, kind, alone, error);
        oq_file_close(&file);
    }
    oq_error_file(error, path);
    return ok;
}

/* --- folders ---------------------------------------------------------------- */

/* A folder, and an example of each kind of entry that it has, or NULL. */
struct listing {
    const char *path;
    struct oq_folder folder;
    const char *examples[N_KINDS];
};

static enum kind kind_of_entry(const struct oq_folder_entry *entry)
{
    unsigned long number;
    if (!entry->is_folder)
        return kind_of(entry->name);
    return parse_number(entry->name, "test_data_set_", &number) ? KIND_SET_FOLDER : KIND_FOLDER;
}

static bool listing_read(struct listing *listing, const char *path, onnxq_error *error)
{
    *listing = (struct listing){.path = path};
    if (!oq_folder_read(&listing->folder, path, error))
        return false;
    for (size_t i = listing->folder.count; i-- > 0;) {
        const struct oq_folder_entry *entry = &listing->folder.list[i];
        listing->examples[kind_of_entry(entry)] = entry->name;
    }
    return true;
}

/* Calls read(sets, path) for each entry of the kind. */
static bool read_each(struct oq_input_sets *sets, const struct listing *listing, enum kind kind,
                      bool (*read)(struct oq_input_sets *, const char *, onnxq_error *),
                      onnxq_error *error)
{
    bool ok = true;
    for (size_t i = 0; ok && i < listing->folder.count; i++) {
        const struct oq_folder_entry *entry = &listing->folder.list[i];
        if (kind_of_entry(entry) != kind)
            continue;
        char *path = oq_path_join(listing->path, entry->name);
        ok = (path != NULL || oq_fail_memory(error)) && read(sets, path, error);
        free(path);
    }
    return ok;
}

static bool fill_from_file(struct oq_input_set *set, const void *from, onnxq_error *error)
{
    return read_file(set, from, true, error);
}

/* A lone file is a set. */
static bool read_lone_file(struct oq_input_sets *sets, const char *path, onnxq_error *error)
{
    return make_set(sets, path, fill_from_file, path, error);
}

static bool fill_from_folder(struct oq_input_set *set, const void *from, onnxq_error *error)
{
    const struct listing *listing = from;
    bool ok = true;
    for (size_t i = 0; ok && i < listing->folder.count; i++) {
        const struct oq_folder_entry *entry = &listing->folder.list[i];
        if (kind_of_entry(entry) == KIND_IGNORED)
            continue;
        char *path = oq_path_join(listing->path, entry->name);
        ok = (path != NULL || oq_fail_memory(error)) && read_file(set, path, false, error);
        free(path);
    }
    return ok;
}

static const char *first_of(const struct listing *listing, const enum kind *kinds, size_t count)
{
    const char *found = NULL;
    for (size_t i = count; i-- > 0;)
        found = listing->examples[kinds[i]] != NULL ? listing->examples[kinds[i]] : found;
    return found;
}

#define FIRST_OF(listing, ...)                                                                     \
    first_of(listing, (const enum kind[]){__VA_ARGS__},                                            \
             sizeof((const enum kind[]){__VA_ARGS__}) / sizeof(enum kind))

/* The folder has `some`, and nothing may stand beside it that is another form of inputs. */
static bool check_alone(const char *some, const char *other, onnxq_error *error)
{
    return other == NULL || oq_fail(error, ONNXQ_ERROR_INPUT,
                                    "holds \"%.160s\" and \"%.160s\", expected one kind "
                                    "of inputs and nothing else",
                                    some, other);
}

static bool read_listing(struct oq_input_sets *sets, const struct listing *listing, bool outermost,
                         onnxq_error *error);

/* A picture where there is an archive as well, or NULL. */
static const char *two_forms(const struct listing *listing)
{
    return listing->examples[KIND_NPZ] != NULL ? listing->examples[KIND_PICTURE] : NULL;
}

static bool read_folder_at(struct oq_input_sets *sets, const char *path, bool outermost,
                           onnxq_error *error)
{
    struct listing listing;
    bool ok = listing_read(&listing, path, error) && read_listing(sets, &listing, outermost, error);
    oq_folder_fini(&listing.folder);
    oq_error_file(error, path);
    return ok;
}

static bool read_set_folder(struct oq_input_sets *sets, const char *path, onnxq_error *error)
{
    return read_folder_at(sets, path, false, error);
}

/* Beside test_data_set_N lies the model, with whatever belongs to it. */
static bool read_listing(struct oq_input_sets *sets, const struct listing *listing, bool outermost,
                         onnxq_error *error)
{
    const char *npz = FIRST_OF(listing, KIND_NPZ, KIND_PICTURE);
    const char *set_folder = listing->examples[KIND_SET_FOLDER];
    const char *array = FIRST_OF(listing, KIND_NPY, KIND_PB);
    const char *other = FIRST_OF(listing, KIND_OTHER, KIND_FOLDER);
    if (outermost && set_folder != NULL)
        return check_alone(set_folder, npz != NULL ? npz : array, error) &&
               read_each(sets, listing, KIND_SET_FOLDER, read_set_folder, error);
    if (other == NULL)
        other = set_folder;
    if (outermost && npz != NULL)
        return check_alone(npz, array != NULL ? array : other, error) &&
               check_alone(npz, two_forms(listing), error) &&
               read_each(sets, listing, KIND_NPZ, read_lone_file, error) &&
               read_each(sets, listing, KIND_PICTURE, read_picture, error);
    if (array != NULL)
        return check_alone(array, npz != NULL ? npz : other, error) &&
               make_set(sets, listing->path, fill_from_folder, listing, error);
    oq_fail(error, ONNXQ_ERROR_INPUT, "holds no %s", outermost ? "inputs" : ".npy or .pb files");
    oq_error_hint(
        error, "inputs are .npz files, pictures, .npy and .pb files, or folders test_data_set_N");
    return false;
}

/* --- any path --------------------------------------------------------------- */

bool oq_input_sets_read(struct oq_input_sets *sets, const char *path, onnxq_error *error)
{
    struct oq_file_status status;
    bool ok;
    if (!oq_os_status(path, &status))
        ok = oq_fail_errno(error, ONNXQ_ERROR_INPUT, errno, "cannot open");
    else if (status.type == OQ_FILE_FOLDER)
        ok = read_folder_at(sets, path, true, error);
    else if (kind_of(oq_base_name(path)) > KIND_PB)
        ok = oq_fail(error, ONNXQ_ERROR_INPUT,
                     "is no .npz, .npy or .pb file, picture or folder of them");
    else if (kind_of(oq_base_name(path)) == KIND_PICTURE)
        ok = read_picture(sets, path, error);
    else
        ok = read_lone_file(sets, path, error);
    oq_error_file(error, path);
    return ok;
}

bool oq_position_read(const char *name, size_t *position)
{
    char *end;
    if (name[0] != '#' || name[1] < '0' || name[1] > '9')
        return false;
    errno = 0;
    unsigned long long value = strtoull(name + 1, &end, 10);
    *position = errno == 0 && value < SIZE_MAX ? (size_t)value : SIZE_MAX;
    return *end == '\0';
}
