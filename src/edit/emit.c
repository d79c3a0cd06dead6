/*
 * Writes a draft. The structure is made in memory, with holes where
 * payloads go; then model and side file are each one stream of bytes that is
 * cut into equal jobs, produced in parallel and written in order.
 */
#define _POSIX_C_SOURCE 200809L
#include "edit/draft.h"

#include <stdlib.h>

#include "base/checked.h"
#include "base/os.h"
#include "base/output.h"
#include "base/path.h"
#include "base/pipeline.h"
#include "validate/validate.h"

/* protobuf refuses messages of 2 GiB and more. */
#define MAX_MODEL_NBYTES ((uint64_t)INT32_MAX)

/* Payloads in a side file start on a page, so that engines can map them. */
#define EXTERNAL_ALIGNMENT 4096

/* One write() of this size; larger ones were not faster where nothing is transposed. */
#define JOB_NBYTES ((size_t)1 << 20)

struct stream {
    struct oq_segment *segments;
    size_t nsegments;
    uint64_t *starts; /* [nsegments + 1]: where each segment starts in the stream */
    const uint8_t *bytes;
};

struct emission {
    const struct oq_draft *draft;
    const onnxq_output_options *options;
    struct oq_arena arena;
    struct oq_written model;
    struct stream model_stream, external_stream;
    uint64_t external_nbytes;
    uint64_t done_nbytes, total_nbytes; /* of both files, for the progress */
};

/* --- sizes --- */

static bool make_starts(struct stream *stream, struct oq_arena *arena, onnxq_error *error)
{
    stream->starts = oq_arena_array(arena, stream->nsegments + 1, sizeof(*stream->starts));
    if (stream->starts == NULL)
        return oq_arena_fail(arena, error);
    for (size_t i = 0; i < stream->nsegments; i++)
        stream->starts[i + 1] = stream->starts[i] + stream->segments[i].nbytes;
    return true;
}

static uint64_t stream_nbytes(const struct stream *stream)
{
    return stream->starts[stream->nsegments];
}

static void set_entry(Oq__Pb__StringStringEntryProto *entry, char *key, char *value)
{
    oq__pb__string_string_entry_proto__init(entry);
    entry->key = key;
    entry->value = value;
}

bool oq_draft_refer(struct oq_arena *arena, Oq__Pb__TensorProto *proto, char *location,
                    uint64_t offset, uint64_t nbytes)
{
    static char keys[3][9] = {"location", "offset", "length"};
    Oq__Pb__StringStringEntryProto *entries = oq_arena_array(arena, 3, sizeof(*entries));
    Oq__Pb__StringStringEntryProto **list = oq_arena_array(arena, 3, sizeof(*list));
    char *offset_text = oq_arena_printf(arena, "%llu", (unsigned long long)offset);
    char *nbytes_text = oq_arena_printf(arena, "%llu", (unsigned long long)nbytes);
    if (entries == NULL || list == NULL || offset_text == NULL || nbytes_text == NULL)
        return false;
    set_entry(&entries[0], keys[0], location);
    set_entry(&entries[1], keys[1], offset_text);
    set_entry(&entries[2], keys[2], nbytes_text);
    for (int i = 0; i < 3; i++)
        list[i] = &entries[i];
    proto->external_data = list;
    proto->n_external_data = 3;
    proto->has_data_location = true;
    proto->data_location = OQ__PB__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
    proto->has_raw_data = false;
    return true;
}

/* Undoes oq_draft_refer(): the draft can be written again, elsewhere. */
static void restore(const struct oq_draft *draft)
{
    for (size_t i = 0; i < draft->n_large; i++) {
        Oq__Pb__TensorProto *proto = draft->large[i].proto;
        proto->external_data = NULL;
        proto->n_external_data = 0;
        proto->has_data_location = false;
        proto->has_raw_data = true;
    }
}

/* Moves all large tensors to the side file: one segment each, with gaps between them. */
static bool place_external(struct emission *emission, char *location, onnxq_error *error)
{
    static const uint8_t zeros[EXTERNAL_ALIGNMENT];
    const struct oq_draft *draft = emission->draft;
    struct stream *stream = &emission->external_stream;
    uint64_t offset = 0;
    stream->bytes = zeros;
    stream->segments =
        oq_arena_array(&emission->arena, draft->n_large * 2 + 1, sizeof(*stream->segments));
    if (stream->segments == NULL)
        return oq_arena_fail(&emission->arena, error);
    for (size_t i = 0; i < draft->n_large; i++) {
        uint64_t nbytes = draft->recipe_nbytes[draft->large[i].recipe];
        uint64_t start = oq_align_u64(offset, EXTERNAL_ALIGNMENT);
        if (start > offset)
            stream->segments[stream->nsegments++] =
                (struct oq_segment){OQ_SEGMENT_BYTES, 0, start - offset};
        stream->segments[stream->nsegments++] =
            (struct oq_segment){OQ_SEGMENT_RECIPE, draft->large[i].recipe, nbytes};
        offset = start + nbytes;
        if (!oq_draft_refer(&emission->arena, draft->large[i].proto, location, start, nbytes))
            return oq_arena_fail(&emission->arena, error);
    }
    emission->external_nbytes = offset;
    return true;
}

static bool write_structure(struct emission *emission, onnxq_error *error)
{
    const struct oq_draft *draft = emission->draft;
    const struct oq_write_context context = {.fragments = draft->model->skeleton.fragments,
                                             .recipe_nbytes = draft->recipe_nbytes};
    oq_written_fini(&emission->model);
    return oq_message_write(&draft->proto->base, &context, &emission->model, error);
}

static bool wants_external(const struct emission *emission)
{
    const struct oq_draft *draft = emission->draft;
    switch (emission->options->external_data) {
    case ONNXQ_EXTERNAL_ALWAYS:
        return true;
    case ONNXQ_EXTERNAL_NEVER:
        return false;
    default:
        return draft->model->external.count > 0 || emission->model.nbytes > MAX_MODEL_NBYTES;
    }
}

static const char *side_ending(const struct emission *emission)
{
    return emission->options->hub_side_file ? "_data" : ".data";
}

static bool write_model(struct emission *emission, const char *path, onnxq_error *error)
{
    const struct oq_draft *draft = emission->draft;
    if (!write_structure(emission, error))
        return false;
    if (wants_external(emission) && draft->n_large > 0) {
        char *location =
            oq_arena_printf(&emission->arena, "%s%s", oq_base_name(path), side_ending(emission));
        if (location == NULL)
            return oq_arena_fail(&emission->arena, error);
        if (!place_external(emission, location, error) || !write_structure(emission, error))
            return false;
    }
    if (emission->model.nbytes > MAX_MODEL_NBYTES) {
        oq_fail(error, ONNXQ_ERROR_OPTION,
                "the model would have %llu bytes in one file, but protobuf allows 2147483647",
                (unsigned long long)emission->model.nbytes);
        oq_error_hint(error,
                      "let the weights go to a side file: options.output.external_data=auto");
        return false;
    }
    return true;
}

static bool lay_out(struct emission *emission, const char *path, onnxq_error *error)
{
    oq_arena_init(&emission->arena, oq_model_budget(emission->draft->model));
    emission->model = emission->draft->written;
    if (emission->model.nbytes == 0 && !write_model(emission, path, error))
        return false;
    emission->model_stream = (struct stream){.segments = emission->model.segments,
                                             .nsegments = emission->model.nsegments,
                                             .bytes = emission->model.bytes};
    emission->total_nbytes = emission->model.nbytes + emission->external_nbytes;
    return make_starts(&emission->model_stream, &emission->arena, error) &&
           make_starts(&emission->external_stream, &emission->arena, error);
}

static void release(struct emission *emission)
{
    restore(emission->draft);
    if (emission->draft->written.nbytes == 0) /* else it belongs to the draft */
        oq_written_fini(&emission->model);
    oq_arena_fini(&emission->arena);
}

onnxq_status oq_draft_get_size(const struct oq_draft *draft, const onnxq_output_options *options,
                               const char *path, uint64_t *model_nbytes, uint64_t *external_nbytes,
                               onnxq_error *error)
{
    struct emission emission = {.draft = draft, .options = options};
    onnxq_error ignored;
    uint64_t sizes[2] = {draft->proto == NULL ? draft->model->file.nbytes : draft->written.nbytes};
    error = oq_error_start(error, &ignored);
    if (draft->proto != NULL && sizes[0] == 0) {
        if (!lay_out(&emission, path, error))
            oq_error_file(error, draft->model->file.path);
        sizes[0] = emission.model.nbytes;
        sizes[1] = emission.external_nbytes;
        release(&emission);
    }
    if (model_nbytes != NULL)
        *model_nbytes = sizes[0];
    if (external_nbytes != NULL)
        *external_nbytes = sizes[1];
    return error->status;
}

bool oq_draft_measure(struct oq_draft *draft, const onnxq_output_options *options,
                      struct oq_draft_sizes *sizes, onnxq_error *error)
{
    const onnxq_model_info *info = &draft->model->info;
    struct emission emission = {.draft = draft, .options = options};
    uint64_t before = info->file_nbytes + info->external_nbytes;
    *sizes = (struct oq_draft_sizes){before, before, info->external_nbytes};
    if (draft->proto == NULL)
        return true;
    bool ok = lay_out(&emission, "model.onnx", error);
    sizes->external_after = emission.external_nbytes;
    sizes->after = emission.model.nbytes + emission.external_nbytes;
    if (ok && emission.external_nbytes == 0)
        draft->written = emission.model;
    release(&emission);
    return ok;
}

/* --- bytes --- */

struct writing {
    struct emission *emission;
    const struct stream *stream;
    struct oq_output *output;
    size_t job_nbytes;
};

/* The segment that byte `position` lies in. */
static size_t find_segment(const struct stream *stream, uint64_t position)
{
    size_t low = 0, high = stream->nsegments;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (stream->starts[middle] <= position)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static size_t job_nbytes(const struct writing *writing, size_t job)
{
    uint64_t start = (uint64_t)job * writing->job_nbytes;
    return (size_t)oq_min_u64(writing->job_nbytes, stream_nbytes(writing->stream) - start);
}

static bool produce_recipe(const struct oq_recipe *recipe, uint64_t first, size_t count,
                           uint8_t *dst, void *scratch, onnxq_error *error)
{
    return recipe->produce(recipe->source, first, count, dst, scratch, error);
}

static bool produce_piece(const struct writing *writing, const struct oq_segment *segment,
                          uint64_t first, size_t count, uint8_t *dst, void *scratch,
                          onnxq_error *error)
{
    const struct oq_draft *draft = writing->emission->draft;
    switch (segment->kind) {
    case OQ_SEGMENT_BYTES:
        memcpy(dst, writing->stream->bytes + segment->offset + first, count);
        return true;
    case OQ_SEGMENT_INPUT:
        return oq_file_read(&draft->model->file, segment->offset + first, dst, count, error);
    case OQ_SEGMENT_RECIPE:
        return produce_recipe(&draft->recipes[segment->offset], first, count, dst, scratch, error);
    }
    return oq_fail(error, ONNXQ_ERROR_INTERNAL, "segment of kind %d", (int)segment->kind);
}

static bool produce(void *context, size_t job, void *buffer, void *scratch, onnxq_error *error)
{
    const struct writing *writing = context;
    const struct stream *stream = writing->stream;
    uint64_t position = (uint64_t)job * writing->job_nbytes;
    size_t left = job_nbytes(writing, job);
    uint8_t *dst = buffer;
    for (size_t i = find_segment(stream, position); left > 0; i++) {
        uint64_t first = position - stream->starts[i];
        size_t count = (size_t)oq_min_u64(left, stream->segments[i].nbytes - first);
        if (!produce_piece(writing, &stream->segments[i], first, count, dst, scratch, error))
            return false;
        position += count;
        dst += count;
        left -= count;
    }
    return true;
}

static bool consume(void *context, size_t job, const void *buffer, onnxq_error *error)
{
    const struct writing *writing = context;
    struct emission *emission = writing->emission;
    const onnxq_output_options *options = emission->options;
    size_t nbytes = job_nbytes(writing, job);
    if (!oq_output_write(writing->output, buffer, nbytes, error))
        return false;
    if (options->sync)
        oq_output_flush(writing->output);
    emission->done_nbytes += nbytes;
    if (options->progress == NULL ||
        options->progress(options->progress_data, ONNXQ_PHASE_WRITE, emission->done_nbytes,
                          emission->total_nbytes))
        return true;
    return oq_fail(error, ONNXQ_ERROR_CANCELLED, "cancelled");
}

static bool write_stream(struct emission *emission, const struct stream *stream,
                         struct oq_output *output, onnxq_error *error)
{
    const size_t wanted = emission->draft->job_nbytes;
    struct writing writing = {emission, stream, output, wanted != 0 ? wanted : JOB_NBYTES};
    uint64_t nbytes = stream_nbytes(stream);
    const struct oq_pipeline pipeline = {
        .threads = emission->options->threads,
        .njobs = (size_t)oq_divide_up_u64(nbytes, writing.job_nbytes),
        .buffer_nbytes = (size_t)oq_min_u64(nbytes, writing.job_nbytes),
        .scratch_nbytes = OQ_RECIPE_SCRATCH_NBYTES,
        .context = &writing,
        .produce = produce,
        .consume = consume};
    return oq_pipeline_run(&pipeline, error) &&
           oq_output_finish(output, emission->options->sync, error);
}

/* --- files --- */

static bool is_input(const onnxq_model *model, const char *path)
{
    struct oq_file_status status;
    if (!oq_os_status(path, &status) || status.type != OQ_FILE_REGULAR)
        return false;
    if (oq_is_same_file(&status, &model->file.status))
        return true;
    for (size_t i = 0; i < model->external.count; i++)
        if (oq_is_same_file(&status, &model->external.list[i]->status))
            return true;
    return false;
}

static bool check_path(const struct emission *emission, const char *path, onnxq_error *error)
{
    struct oq_file_status status;
    if (oq_is_standard_output(path))
        return true;
    if (is_input(emission->draft->model, path)) {
        oq_fail(error, ONNXQ_ERROR_OPTION,
                "is an input file, expected another name for the output");
        oq_error_file(error, path);
        return false;
    }
    if (emission->options->keep_existing && oq_os_status(path, &status) &&
        status.type == OQ_FILE_REGULAR) {
        oq_fail(error, ONNXQ_ERROR_OUTPUT, "exists already");
        oq_error_file(error, path);
        return false;
    }
    return true;
}

/* --- the side file of before --- */

/*
 * True where the model that is under the output's name has its weights in that file. Another run
 * may be about to give both their names: that is waited for.
 */
static bool is_side_file_of(const char *path, const char *external_path, bool ours_only)
{
    const int lock = oq_os_lock_folder_of(path);
    onnxq_model *before = onnxq_model_open(path, NULL);
    bool is_its = before != NULL && is_input(before, external_path) &&
                  (!ours_only || oq_model_is_ours(before));
    onnxq_model_close(before);
    if (lock >= 0)
        oq_os_close(lock);
    return is_its;
}

/* Who names an output has it replaced with its side file, but not what lies beside it. */
static bool check_side_file(const struct emission *emission, const char *path,
                            const char *external_path, onnxq_error *error)
{
    struct oq_file_status status;
    if (!check_path(emission, external_path, error))
        return false;
    if (emission->options->force || !oq_os_link_status(external_path, &status) ||
        status.type != OQ_FILE_REGULAR || is_side_file_of(path, external_path, false))
        return true;
    oq_fail(error, ONNXQ_ERROR_OUTPUT, "exists already, and is no side file of the output's name");
    oq_error_file(error, external_path);
    oq_error_hint(error, "options.output.force=true replaces it");
    return false;
}

/*
 * The side file that would be left behind: on the heap, or NULL. Only what this program wrote is
 * known to belong to no other model.
 */
static char *find_left_side_file(const struct emission *emission, const char *path)
{
    struct oq_file_status status;
    const size_t n = strlen(path) + sizeof(".data");
    char *left = oq_is_standard_output(path) ? NULL : malloc(n);
    if (left == NULL)
        return NULL;
    snprintf(left, n, "%s%s", path, side_ending(emission));
    if (oq_os_link_status(left, &status) && status.type == OQ_FILE_REGULAR &&
        !is_input(emission->draft->model, left) && is_side_file_of(path, left, true))
        return left;
    free(left);
    return NULL;
}

/*
 * What is written is read back before it has its name: the output of a valid
 * model has to be valid. (What was wrong in the input may stay.) Costs a second
 * look at everything, so only where bugs are looked for.
 */
#ifdef NDEBUG
const bool oq_draft_checks_output = false;
#else
const bool oq_draft_checks_output = true;
#endif

static bool blame_ourselves(onnxq_error *error)
{
    if (error->status != ONNXQ_ERROR_INPUT)
        return false;
    error->status = error->sys_errno == 0 ? ONNXQ_ERROR_INTERNAL : ONNXQ_ERROR_OUTPUT;
    return false;
}

static bool check_written(const struct emission *emission, const struct oq_output *output,
                          const char *path, onnxq_error *error)
{
    onnxq_error input_error;
    if (!oq_draft_checks_output || output->temporary == NULL)
        return true;
    oq_error_init(&input_error);
    if (!oq_validate(emission->draft->model, &input_error)) {
        if (input_error.status != ONNXQ_ERROR_INPUT)
            *error = input_error;
        return input_error.status == ONNXQ_ERROR_INPUT;
    }
    onnxq_model *model = oq_model_open_as(output->temporary, path, error);
    bool ok = model != NULL && oq_validate(model, error);
    onnxq_model_close(model);
    return ok || blame_ourselves(error);
}

/* Whoever may not read all of the input may not read what is made of it. */
static unsigned rights_of_input(const onnxq_model *model)
{
    unsigned rights = oq_file_rights(&model->file);
    for (size_t i = 0; i < model->external.count; i++)
        rights &= oq_file_rights(model->external.list[i]);
    return rights;
}

static bool write_files(struct emission *emission, const char *path, const char *external_path,
                        onnxq_error *error)
{
    const onnxq_output_options *options = emission->options;
    const unsigned most_rights = rights_of_input(emission->draft->model);
    const struct oq_output_terms model_terms = {.nbytes = emission->model.nbytes,
                                                .most_rights = most_rights},
                                 external_terms = {.nbytes = emission->external_nbytes,
                                                   .most_rights = most_rights,
                                                   .nobody_named_it = true};
    struct oq_output model = OQ_OUTPUT_CLOSED, external = OQ_OUTPUT_CLOSED;
    char *left = external_path == NULL ? find_left_side_file(emission, path) : NULL;
    bool ok = true;
    if (external_path != NULL)
        ok = oq_output_open(&external, external_path, &external_terms, error) &&
             write_stream(emission, &emission->external_stream, &external, error);
    ok = ok && oq_output_open(&model, path, &model_terms, error) &&
         write_stream(emission, &emission->model_stream, &model, error);
    /* The side file first: the model's own rename is the moment at which the output exists. */
    if (external_path != NULL)
        ok = ok && oq_output_place(&external, options->keep_existing, error);
    ok = ok && check_written(emission, &model, path, error);
    ok = ok && oq_output_publish(&model, options->keep_existing, options->sync, error);
    if (ok && external_path != NULL)
        oq_output_commit(&external, options->sync);
    if (ok && left != NULL)
        remove(left);
    free(left);
    oq_output_close(&model);
    oq_output_close(&external);
    return ok;
}

/* Standard output, a FIFO, a device: they may be anywhere, and have no folder of their own. */
static bool is_stream(const char *path)
{
    struct oq_file_status status;
    return oq_is_standard_output(path) ||
           (oq_os_status(path, &status) && status.type != OQ_FILE_REGULAR &&
            status.type != OQ_FILE_FOLDER);
}

static bool refuse_side_file(const char *path, onnxq_error *error)
{
    bool is_standard = oq_is_standard_output(path);
    oq_fail(error, ONNXQ_ERROR_OPTION, "%s takes no side file",
            is_standard ? "standard output" : "what is no file");
    if (!is_standard)
        oq_error_file(error, path);
    oq_error_hint(error, "name an output file, or use options.output.external_data=never");
    return false;
}

/* Where the side file goes; NULL: there is none. */
static bool name_side_file(struct emission *emission, const char *path, char **external_path,
                           onnxq_error *error)
{
    *external_path = NULL;
    if (emission->external_nbytes == 0)
        return true;
    if (is_stream(path))
        return refuse_side_file(path, error);
    *external_path = oq_arena_printf(&emission->arena, "%s%s", path, side_ending(emission));
    return *external_path != NULL ? check_side_file(emission, path, *external_path, error)
                                  : oq_arena_fail(&emission->arena, error);
}

/* A copy of the model finds its side files only where they are. */
static bool stays_in_folder(const onnxq_model *model, const char *path)
{
    const char *name = oq_base_name(path);
    char *folder = strndup(path, (size_t)(name - path));
    char *real = folder == NULL ? NULL : oq_os_real_path(folder[0] == '\0' ? "." : folder);
    size_t n = real == NULL ? 0 : strlen(real);
    const char *home = model->external.real_folder;
    bool same = real != NULL && home != NULL && strncmp(home, real, n) == 0 &&
                (home[n] == '\0' || (home[n] == '/' && home[n + 1] == '\0'));
    free(real);
    free(folder);
    return same;
}

/* The input as it is, for callers who want a file in any case. */
static bool copy_input(struct emission *emission, const char *path, onnxq_error *error)
{
    const onnxq_model *model = emission->draft->model;
    const onnxq_output_options *options = emission->options;
    struct oq_segment whole = {OQ_SEGMENT_INPUT, 0, model->file.nbytes};
    struct oq_output output = OQ_OUTPUT_CLOSED;
    const struct oq_output_terms terms = {.nbytes = whole.nbytes,
                                          .most_rights = rights_of_input(model)};
    if (model->external.count > 0 && !stays_in_folder(model, path)) {
        oq_fail(error, ONNXQ_ERROR_OUTPUT,
                "a copy in another folder would not find its side files");
        oq_error_hint(error, "copy the model together with its side files");
        return false;
    }
    oq_arena_init(&emission->arena, oq_model_budget(model));
    emission->total_nbytes = whole.nbytes;
    emission->model_stream = (struct stream){.segments = &whole, .nsegments = 1};
    bool ok = make_starts(&emission->model_stream, &emission->arena, error) &&
              oq_output_open(&output, path, &terms, error) &&
              write_stream(emission, &emission->model_stream, &output, error) &&
              oq_output_publish(&output, options->keep_existing, options->sync, error);
    oq_output_close(&output);
    oq_arena_fini(&emission->arena);
    return ok;
}

onnxq_status oq_draft_write(const struct oq_draft *draft, const onnxq_output_options *options,
                            const char *nothing, const char *path, onnxq_error *error)
{
    struct emission emission = {.draft = draft, .options = options};
    onnxq_error ignored;
    char *external_path;
    error = oq_error_start(error, &ignored);
    bool ok = check_path(&emission, path, error);
    if (ok && draft->proto != NULL) {
        ok = lay_out(&emission, path, error) &&
             name_side_file(&emission, path, &external_path, error) &&
             write_files(&emission, path, external_path, error);
        release(&emission);
    } else if (ok && options->allow_noop) {
        ok = copy_input(&emission, path, error);
    } else if (ok) {
        ok = oq_fail(error, ONNXQ_NOTHING_TO_DO, "has %s; nothing written", nothing);
    }
    if (!ok)
        oq_error_file(error, draft->model->file.path);
    return error->status;
}
