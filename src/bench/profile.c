/* Reads ONNX Runtime's profile: a JSON file with an event in each line. */
#define _POSIX_C_SOURCE 200809L
#include "bench/profile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_reader.h"
#include "base/path.h"
#include "base/strmap.h"
#include "bench/stats.h"

#define KERNEL_SUFFIX "_kernel_time"

/* One kernel that ran, or one run of the model; times in microseconds. */
struct event {
    double begin, end;
    double self;       /* less what ran inside of it */
    struct node *node; /* NULL: a run of the model */
};

struct node {
    const char *name;
    struct oq_profile_op *op;
    double *us; /* in each run that counts; bodies of loops run more than once */
};

struct profile_reader {
    struct oq_arena *arena;
    struct oq_strmap ops, nodes;
    struct event *events;
    size_t n_events, events_capacity;
};

/* --- reading ------------------------------------------------------------------ */

static struct oq_profile_op *find_op(struct profile_reader *reader, const char *op_type)
{
    struct oq_profile_op *op = oq_strmap_find(&reader->ops, op_type);
    if (op != NULL)
        return op;
    op = oq_arena_alloc(reader->arena, sizeof(*op));
    char *name = oq_arena_strdup(reader->arena, op_type);
    void **place = op != NULL && name != NULL ? oq_strmap_place(&reader->ops, name) : NULL;
    if (place == NULL)
        return NULL;
    op->op_type = name;
    op->slowest = "";
    return *place = op;
}

/* Nodes are known by their names, within one type. */
static struct node *find_node(struct profile_reader *reader, const char *name, const char *op_type)
{
    char *key = oq_arena_printf(reader->arena, "%s %s", op_type, name);
    struct node *node = key != NULL ? oq_strmap_find(&reader->nodes, key) : NULL;
    if (key == NULL || node != NULL)
        return node;
    struct oq_profile_op *op = find_op(reader, op_type);
    node = oq_arena_alloc(reader->arena, sizeof(*node));
    char *stem = oq_arena_strdup(reader->arena, name);
    void **place =
        op != NULL && node != NULL && stem != NULL ? oq_strmap_place(&reader->nodes, key) : NULL;
    if (place == NULL)
        return NULL;
    stem[strlen(stem) - strlen(KERNEL_SUFFIX)] = '\0';
    *node = (struct node){.name = stem, .op = op};
    op->n_nodes++;
    return *place = node;
}

static bool add_event(struct profile_reader *reader, double begin, double us, struct node *node)
{
    if (!oq_arena_grow(reader->arena, &reader->events, reader->n_events, &reader->events_capacity,
                       sizeof(*reader->events)))
        return false;
    reader->events[reader->n_events++] =
        (struct event){.begin = begin, .end = begin + us, .self = us, .node = node};
    return true;
}

/* What an event says of itself; what it leaves out is -1 or "". */
struct event_text {
    const char *category, *name, *op_type;
    double begin, us;
};

/* The value of `key`, where it is of interest. */
static bool read_member(struct oq_json_reader *json, const char *key, struct event_text *text)
{
    if (json->depth > 1)
        return strcmp(key, "op_name") == 0 ? oq_json_read_string(json, &text->op_type)
                                           : oq_json_skip_value(json);
    if (strcmp(key, "args") == 0)
        return oq_json_enter_object(json);
    if (strcmp(key, "cat") == 0)
        return oq_json_read_string(json, &text->category);
    if (strcmp(key, "name") == 0)
        return oq_json_read_string(json, &text->name);
    if (strcmp(key, "ts") == 0)
        return oq_json_read_number(json, &text->begin);
    return strcmp(key, "dur") == 0 ? oq_json_read_number(json, &text->us)
                                   : oq_json_skip_value(json);
}

/* The members of an event, and those of its "args". */
static bool read_members(struct oq_json_reader *json, struct event_text *text)
{
    const char *key;
    if (!oq_json_enter_object(json))
        return false;
    while (json->depth > 0 && !json->failed)
        if (oq_json_next_member(json, &key))
            read_member(json, key, text);
    return oq_json_reader_finish(json);
}

/* False only where memory runs out. */
static bool take_event(struct profile_reader *reader, const struct event_text *text)
{
    if (!(text->begin >= 0 && text->us >= 0))
        return true;
    if (strcmp(text->category, "Session") == 0 && strcmp(text->name, "model_run") == 0)
        return add_event(reader, text->begin, text->us, NULL);
    if (strcmp(text->category, "Node") != 0 || !oq_ends_with(text->name, KERNEL_SUFFIX) ||
        text->op_type[0] == '\0')
        return true;
    struct node *node = find_node(reader, text->name, text->op_type);
    return node != NULL && add_event(reader, text->begin, text->us, node);
}

/* A line holds one event, with a comma behind it; what is no JSON is passed over. */
static bool read_line(struct profile_reader *reader, char *line)
{
    char *begin = strchr(line, '{'), *end = strrchr(line, '}');
    if (begin == NULL || end == NULL || end < begin)
        return true;
    end[1] = '\0';
    struct oq_json_reader json;
    struct oq_arena strings;
    onnxq_error error = {.status = ONNXQ_OK};
    struct event_text text = {.category = "", .name = "", .op_type = "", .begin = -1, .us = -1};
    oq_arena_init(&strings, SIZE_MAX);
    oq_json_reader_init(&json, begin, (size_t)(end - begin) + 1, &strings, &error);
    bool ok =
        read_members(&json, &text) ? take_event(reader, &text) : error.status != ONNXQ_ERROR_MEMORY;
    oq_arena_fini(&strings);
    return ok;
}

static bool read_file(struct profile_reader *reader, const char *path, onnxq_error *error)
{
    char *line = NULL;
    size_t capacity = 0;
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return oq_fail_errno(error, ONNXQ_ERROR_ENGINE, errno, "the profile cannot be read");
    bool read = true;
    while (read && getline(&line, &capacity, file) >= 0)
        read = read_line(reader, line);
    free(line);
    fclose(file);
    return read || oq_arena_fail(reader->arena, error);
}

/* --- adding up ---------------------------------------------------------------- */

/* What holds others comes before them. */
static int compare_events(const void *a, const void *b)
{
    const struct event *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    if (x->end != y->end)
        return x->end > y->end ? -1 : 1;
    return (x->node != NULL) - (y->node != NULL);
}

/* Goes through the events with those that hold the current one on a stack: it takes its time from
   the one around it. */
static void subtract_inner(struct event *events, size_t n_events, struct event **stack)
{
    size_t depth = 0;
    for (size_t i = 0; i < n_events; i++) {
        struct event *event = &events[i];
        while (depth > 0 && stack[depth - 1]->end <= event->begin)
            depth--;
        if (depth > 0)
            stack[depth - 1]->self -= event->end - event->begin;
        stack[depth++] = event;
    }
}

static size_t count_runs(const struct event *events, size_t n_events)
{
    size_t n_runs = 0;
    for (size_t i = 0; i < n_events; i++)
        n_runs += events[i].node == NULL;
    return n_runs / 2;
}

/* Gives nodes the times of every second run. */
static void add_up(const struct event *events, size_t n_events)
{
    size_t n_begun = 0;
    for (size_t i = 0; i < n_events; i++) {
        const struct event *event = &events[i];
        if (event->node == NULL)
            n_begun++;
        else if (n_begun > 0 && n_begun % 2 == 0 && event->self > 0)
            event->node->us[n_begun / 2 - 1] += event->self;
    }
}

/*
 * The time of a node in one run: the median of those that it was part of, as a
 * few runs are held up by other things, times their share of all.
 */
static void add_node(struct node *node, size_t n_runs)
{
    size_t n_idle = 0;
    oq_sort(node->us, n_runs);
    while (n_idle < n_runs && node->us[n_idle] <= 0)
        n_idle++;
    if (n_idle == n_runs)
        return;
    size_t n = n_runs - n_idle;
    double ms = oq_quantile(node->us + n_idle, n, 0.5) / 1e3 * ((double)n / (double)n_runs);
    node->op->ms += ms;
    if (ms >= node->op->slowest_ms) {
        node->op->slowest = node->name;
        node->op->slowest_ms = ms;
    }
}

static bool make_room(const struct profile_reader *reader, size_t n_runs)
{
    for (size_t i = 0; i < reader->nodes.capacity; i++) {
        struct node *node = reader->nodes.slots[i].value;
        if (reader->nodes.slots[i].key == NULL)
            continue;
        node->us = oq_arena_array(reader->arena, n_runs, sizeof(*node->us));
        if (node->us == NULL)
            return false;
    }
    return true;
}

static int compare_ops(const void *a, const void *b)
{
    const struct oq_profile_op *x = a, *y = b;
    if (x->ms != y->ms)
        return x->ms > y->ms ? -1 : 1;
    return strcmp(x->op_type, y->op_type);
}

static bool list_ops(struct oq_profile *profile, const struct profile_reader *reader)
{
    profile->ops = oq_arena_array(reader->arena, reader->ops.count + 1, sizeof(*profile->ops));
    if (profile->ops == NULL)
        return false;
    for (size_t i = 0; i < reader->ops.capacity; i++) {
        if (reader->ops.slots[i].key == NULL)
            continue;
        const struct oq_profile_op *op = reader->ops.slots[i].value;
        profile->ops[profile->n_ops++] = *op;
        profile->ms += op->ms;
    }
    qsort(profile->ops, profile->n_ops, sizeof(*profile->ops), compare_ops);
    return true;
}

/* What it cannot write ONNX Runtime leaves out, and says nothing of it. */
static bool fail_empty(onnxq_error *error)
{
    oq_fail(error, ONNXQ_ERROR_ENGINE, "the profile has no times of operators");
    oq_error_hint(error, "where there is no room for it: TMPDIR or --profile names another folder");
    return false;
}

static bool summarize(struct oq_profile *profile, struct profile_reader *reader, onnxq_error *error)
{
    struct event **stack =
        oq_arena_array(reader->arena, reader->n_events + 1, sizeof(struct event *));
    if (stack == NULL)
        return oq_arena_fail(reader->arena, error);
    if (reader->n_events > 0)
        qsort(reader->events, reader->n_events, sizeof(*reader->events), compare_events);
    profile->n_runs = count_runs(reader->events, reader->n_events);
    if (profile->n_runs == 0 || reader->ops.count == 0)
        return fail_empty(error);
    if (!make_room(reader, profile->n_runs))
        return oq_arena_fail(reader->arena, error);
    subtract_inner(reader->events, reader->n_events, stack);
    add_up(reader->events, reader->n_events);
    for (size_t i = 0; i < reader->nodes.capacity; i++) {
        if (reader->nodes.slots[i].key != NULL)
            add_node(reader->nodes.slots[i].value, profile->n_runs);
    }
    return list_ops(profile, reader) || oq_arena_fail(reader->arena, error);
}

bool oq_profile_read(struct oq_profile *profile, const char *path, struct oq_arena *arena,
                     onnxq_error *error)
{
    struct profile_reader reader = {.arena = arena};
    *profile = (struct oq_profile){0};
    oq_strmap_init(&reader.ops, arena);
    oq_strmap_init(&reader.nodes, arena);
    if (read_file(&reader, path, error) && summarize(profile, &reader, error))
        return true;
    oq_error_file(error, path);
    return false;
}
