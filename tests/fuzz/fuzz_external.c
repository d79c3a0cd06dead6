/*
 * Tables of external data: each line is a tensor of bytes, each line's words,
 * which tabs part, are keys and values in turn. "dims" is its number of bytes;
 * all else goes into external_data as it is. The model's folder holds files, a
 * folder, links that stay inside and links that do not, a FIFO and a file with a
 * hole; next to it lies a file that no input may get to. What must hold:
 *
 *  - nothing outside of the folder is ever opened (the system is asked);
 *  - a range lies in its file, and has the bytes that are there;
 *  - a failure is clean, and no input makes it wait.
 */
#define _GNU_SOURCE /* inotify */
#include "model/external.h"

#include <errno.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz/support.h"

#define MAX_LINES 16
#define MAX_WORDS 16
#define MAX_READ  4096

static char *folder, *model_path;
static int watch; /* of the file outside */

/* --- the folder --------------------------------------------------------------------- */

/* What the files hold: a byte tells its place, and which file it is in. */
static uint8_t byte_at(uint64_t offset, uint8_t file)
{
    return (uint8_t)(offset * 7 + offset / 256 + file);
}

static void make_file(const char *parent, const char *name, uint8_t number, size_t nbytes)
{
    uint8_t bytes[8192];
    char *path = fuzz_join(parent, name);
    for (size_t i = 0; i < nbytes; i++)
        bytes[i] = byte_at(i, number);
    fuzz_write(path, bytes, nbytes);
    free(path);
}

static void make_link(const char *name, const char *target)
{
    char *path = fuzz_join(folder, name);
    CHECK(symlink(target, path) == 0);
    free(path);
}

static char *make_folder(const char *parent, const char *name)
{
    char *path = fuzz_join(parent, name);
    CHECK(mkdir(path, 0700) == 0);
    return path;
}

static void watch_outside(const char *path)
{
    watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    CHECK(watch >= 0 && inotify_add_watch(watch, path, IN_OPEN | IN_ACCESS) >= 0);
    FILE *file = fopen(path, "rb"); /* the watch works */
    char event[1024];
    CHECK(file && fclose(file) == 0 && read(watch, event, sizeof event) > 0);
}

static void set_up(void)
{
    char *root = fuzz_path("."), *outside = make_folder(root, "outside");
    char *secret = fuzz_join(outside, "secret");
    folder = make_folder(root, "model");
    model_path = fuzz_join(folder, "model.onnx");
    make_file(outside, "secret", 9, 256);
    make_file(folder, "model.onnx", 0, 64);
    make_file(folder, "w.bin", 1, 8192);
    make_file(folder, "empty", 2, 0);
    char *inner = make_folder(folder, "sub");
    make_file(inner, "v.bin", 3, 300);
    make_link("link", "w.bin");
    make_link("sub/back", "../w.bin");
    make_link("out", "../outside/secret");
    make_link("up", "..");
    make_link("outside", "../outside");
    make_link("loop", "loop");
    make_link("dangling", "nothing");
    make_link("zero", "/dev/zero");
    make_link("self", "/proc/self/mem");
    make_link("through", "/proc/self/cwd");
    char *fifo = fuzz_join(folder, "fifo"), *hole = fuzz_join(folder, "hole");
    CHECK(mkfifo(fifo, 0600) == 0);
    make_file(folder, "hole", 5, 16);
    CHECK(truncate(hole, (off_t)1 << 30) == 0);
    watch_outside(secret);
    free(fifo);
    free(hole);
    free(inner);
    free(secret);
    free(outside);
    free(root);
}

static void check_outside(void)
{
    char event[1024];
    CHECK(read(watch, event, sizeof event) < 0 && errno == EAGAIN);
}

/* --- a line --------------------------------------------------------------------------- */

/* Cuts the line at each tab; returns the number of words. */
static size_t split(char *line, char **words)
{
    size_t n = 0;
    while (n < MAX_WORDS) {
        words[n++] = line;
        line = strchr(line, '\t');
        if (!line)
            break;
        *line++ = '\0';
    }
    return n;
}

struct table {
    Oq__Pb__TensorProto tensor;
    Oq__Pb__StringStringEntryProto entries[MAX_WORDS / 2], *list[MAX_WORDS / 2];
    int64_t dims[1];
};

static void make_table(struct table *table, char **words, size_t n)
{
    static char name[] = "w";
    oq__pb__tensor_proto__init(&table->tensor);
    table->tensor.name = name;
    table->tensor.has_data_type = true;
    table->tensor.data_type = OQ__PB__TENSOR_PROTO__DATA_TYPE__UINT8;
    table->tensor.has_data_location = true;
    table->tensor.data_location = OQ__PB__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
    table->tensor.dims = table->dims;
    table->tensor.n_dims = 1;
    table->tensor.external_data = table->list;
    table->dims[0] = 1;
    for (size_t i = 0; i + 1 < n; i += 2) {
        if (strcmp(words[i], "dims") == 0) {
            table->dims[0] = (int64_t)strtoull(words[i + 1], NULL, 10);
            continue;
        }
        Oq__Pb__StringStringEntryProto *entry = &table->entries[table->tensor.n_external_data];
        oq__pb__string_string_entry_proto__init(entry);
        entry->key = words[i];
        entry->value = words[i + 1];
        table->list[table->tensor.n_external_data++] = entry;
    }
}

/* --- what is read ---------------------------------------------------------------------- */

/* True where the bytes at `offset` are those of one of the files. */
static bool is_known(const uint8_t *bytes, size_t nbytes, uint64_t offset, uint64_t file_nbytes)
{
    for (unsigned file = 0; file < 6; file++) {
        bool same = true;
        for (size_t i = 0; i < nbytes && same; i++) {
            bool in_hole = file == 5 && offset + i >= 16;
            same = bytes[i] == (in_hole ? 0 : byte_at(offset + i, (uint8_t)file));
        }
        if (same && (file == 5) == (file_nbytes == (uint64_t)1 << 30))
            return true;
    }
    return false;
}

static void check_tensor(const struct oq_tensor *tensor, uint64_t nbytes)
{
    uint8_t bytes[MAX_READ];
    onnxq_error error = {0};
    CHECK(tensor->nelem == nbytes && tensor->nbytes == nbytes);
    if (nbytes == 0)
        return;
    CHECK(tensor->contiguous && tensor->file);
    CHECK(tensor->offset <= tensor->file->nbytes);
    CHECK(nbytes <= tensor->file->nbytes - tensor->offset);
    size_t count = nbytes < MAX_READ ? (size_t)nbytes : MAX_READ;
    for (int end = 0; end < 2; end++) {
        uint64_t first = end ? nbytes - count : 0;
        CHECK(oq_tensor_read_bytes(tensor, first, count, bytes, &error));
        CHECK(is_known(bytes, count, tensor->offset + first, tensor->file->nbytes));
    }
}

static void run_line(struct oq_external *external, struct oq_arena *arena, char *line)
{
    struct table table = {0};
    struct oq_external_range range;
    struct oq_tensor tensor = {0};
    onnxq_error error = {0};
    char *words[MAX_WORDS];
    make_table(&table, words, split(line, words));
    if (oq_external_find(external, &table.tensor, &range, &error) &&
        oq_tensor_init(&tensor, &table.tensor, NULL, NULL, &range, arena, &error)) {
        check_tensor(&tensor, (uint64_t)table.dims[0]);
    } else {
        fuzz_check_error(&error);
        CHECK(error.status == ONNXQ_ERROR_INPUT || error.status == ONNXQ_ERROR_MEMORY);
    }
    check_outside();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes)
{
    struct oq_external external;
    struct oq_arena arena;
    onnxq_error error = {0};
    char *text = malloc(nbytes + 1), *line = text;
    CHECK(text);
    memcpy(text, data, nbytes);
    text[nbytes] = '\0';
    if (!folder)
        set_up();
    oq_arena_init(&arena, (size_t)64 << 20);
    CHECK(oq_external_init(&external, model_path, &arena, &error));
    for (int i = 0; line && i < MAX_LINES; i++) {
        char *end = strchr(line, '\n');
        if (end)
            *end++ = '\0';
        run_line(&external, &arena, line);
        line = end;
    }
    oq_external_fini(&external);
    oq_arena_fini(&arena);
    check_outside();
    free(text);
    return 0;
}
