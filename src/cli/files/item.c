/* One model of a job: opened, worked on, written, reported. */
#define _POSIX_C_SOURCE 200809L
#include "cli/files/job.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/os.h"
#include "base/size.h"
#include "cli/terminal/messages.h"
#include "cli/files/file_paths.h"
#include "cli/files/folders.h"
#include "cli/files/model_input.h"
#include "cli/terminal/progress.h"
#include "cli/terminal/terminal.h"
#include "model/model.h"
#include "page/plan_page.h"

void cli_print_sizes(FILE *stream, uint64_t before, uint64_t after)
{
    fprintf(stream, "%s -> %s", oq_size_text(before).text, oq_size_text(after).text);
    double ratio = after > 0 ? (double)before / (double)after : 1;
    if (ratio >= 1.05)
        fprintf(stream, " (%.1fx smaller)", ratio);
    else if (ratio < 1 / 1.05)
        fprintf(stream, " (%.1fx larger)", 1 / ratio);
    else if (after > before)
        fprintf(stream, " (%s larger)", oq_size_text(after - before).text);
    else
        fputs(" (about the same)", stream);
}

/* An item while it is worked on. */
struct item_run {
    cli_job *job;
    cli_item *item;
    cli_input input;
    onnxq_model *model;
    cli_work work;
    cli_progress progress;
    uint64_t nbytes_before, nbytes_after; /* model and side files */
    bool is_copy;                         /* there is nothing to do */
    const char *twin;                     /* another output that it is one file with, or NULL */
};

static bool is_kept(const cli_job *job, const cli_item *item)
{
    const cli_files *files = job->files;
    return (files->no_clobber || (item->derived && !files->force)) &&
           !oq_is_standard_output(item->output) && cli_path_exists(item->output);
}

/* Of a folder that is mirrored nothing is missing, nor is a variant that others ask for. */
static bool allows_noop(const cli_job *job)
{
    return job->files->allow_noop || job->folder != NULL || job->variants.count > 0;
}

static const void *settings_of(const struct item_run *run)
{
    return run->item->variant != NULL ? run->item->variant->settings : run->job->settings;
}

/* --- how much is shown ----------------------------------------------------- */

/* 0 by default: -q takes away, -v adds, a dry run is about the details. */
static int verbosity(const cli_job *job)
{
    const cli_files *files = job->files;
    int level = job->common->verbose - job->common->quiet;
    if (level == 0 && (job->n_items > 1 || job->folder != NULL))
        return -1; /* a line for each of many models */
    return level == 0 && files->dry_run ? 1 : level;
}

/* What is longer says no more about who it was. */
static void print_producer(FILE *stream, const char *text)
{
    char escaped[128];
    bool is_cut = onnxq_escape(text, escaped, sizeof(escaped)) >= sizeof(escaped);
    fprintf(stream, "%s%s", escaped, is_cut ? "..." : "");
}

void cli_print_origin(FILE *stream, const onnxq_model *model)
{
    const onnxq_model_info *info = onnxq_model_get_info(model);
    fprintf(stream, "(opset %lld", (long long)info->opset);
    if (info->producer_name[0] != '\0') {
        fputs(", ", stream);
        print_producer(stream, info->producer_name);
        fputs(info->producer_version[0] != '\0' ? " " : "", stream);
        print_producer(stream, info->producer_version);
    }
    fputs(")\n", stream);
}

/* "Wrote OUT   90.8 MB -> 23.3 MB (3.9x smaller)", or what a dry run has instead. */
static void print_outcome(const struct item_run *run)
{
    const cli_job *job = run->job;
    const cli_item *item = run->item;
    bool is_dry = job->files->dry_run;
    if (job->text == NULL || job->common->quiet > 1)
        return;
    fputs(!is_dry ? "Wrote " : is_kept(job, item) ? "Would keep " : "Would write ", job->text);
    cli_print_escaped(job->text,
                      oq_is_standard_output(item->output) ? "standard output" : item->output);
    fputs("   ", job->text);
    cli_print_sizes(job->text, run->nbytes_before, run->nbytes_after);
    if (!is_dry)
        fprintf(job->text, " in %.2f s", oq_now_seconds() - job->item_began);
    else if (is_kept(job, item))
        fputs(", it exists: -f replaces it", job->text);
    if (run->is_copy)
        fprintf(job->text, ", a copy: nothing to %s", job->maker->verb);
    if (run->twin != NULL) {
        fputs(", one file with ", job->text);
        cli_print_escaped(job->text, run->twin);
    }
    putc('\n', job->text);
    if (job->n_items > 1 || job->folder != NULL)
        cli_flush_text(); /* so that messages about the next model come after it */
}

static void print_brief(const void *data, FILE *stream)
{
    const struct item_run *run = data;
    cli_print_sizes(stream, run->nbytes_before, run->nbytes_after);
}

static void write_page(const void *data, struct oq_page *page)
{
    const struct item_run *run = data;
    oq_page_part(page, "%s", run->item->output);
    oq_page_lines(page, print_brief, run);
    oq_page_plan(page, run->work.plan);
}

/* output NULL: none was written. */
static void print_report(const struct item_run *run, const char *output)
{
    FILE *stream = cli_reports_next(&run->job->json);
    if (stream != NULL && run->work.plan != NULL)
        onnxq_report_json(run->work.plan, run->item->input, output, stream);
    else if (stream != NULL)
        onnxq_report_dequantization_json(run->work.dequantization, run->item->input, output,
                                         stream);
    if (run->work.plan != NULL) /* only `onnxq quantize` has pages */
        cli_pages_write(&run->job->pages, "onnxq quantize", write_page, run);
}

/* --- the work -------------------------------------------------------------- */

static int fail_exists(const cli_job *job, const cli_item *item)
{
    const cli_common *common = job->common;
    cli_error(common, "%s: it exists and is kept", item->output);
    if (job->files->no_clobber)
        cli_hint(common, "without -n it is replaced%s", item->derived ? " if -f is given" : "");
    else
        cli_hint(common, "-f replaces it%s", job->n_items > 1 ? "" : ", -o FILE names another");
    return CLI_EXIT_OUTPUT;
}

static int fail_nothing(const struct item_run *run)
{
    char reason[256];
    run->job->maker->explain_nothing(&run->work, reason, sizeof(reason));
    cli_error(run->job->common, "%s: %s; no file was written", run->item->input, reason);
    if (strstr(reason, "4 bits need opset") != NULL)
        cli_hint(run->job->common, "--method blocks --bits 4 runs with any opset; or convert the "
                                   "model with onnx.version_converter");
    else
        cli_hint(run->job->common, "--allow-noop copies such a model as it is and exits 0");
    return ONNXQ_NOTHING_TO_DO;
}

cli_tree_copy cli_job_copy(cli_job *job)
{
    const cli_files *files = job->files;
    return (cli_tree_copy){.common = job->common,
                           .made = &job->made,
                           .folder = job->folder,
                           .output_dir = files->output_dir,
                           .left_out = job->variants.report_name,
                           .dry_run = files->dry_run,
                           .force = files->force,
                           .sync = files->sync};
}

/* The model, and what becomes of it. */
static bool decide(struct item_run *run, onnxq_error *error)
{
    const cli_job *job = run->job;
    const cli_files *files = job->files;
    const onnxq_output_options output = {.external_data = files->external_data,
                                         .keep_existing = files->no_clobber ||
                                                          (run->item->derived && !files->force),
                                         .force = files->force,
                                         .sync = files->sync,
                                         .allow_noop = allows_noop(job),
                                         .hub_side_file = run->item->variant != NULL,
                                         .threads = (unsigned)job->common->threads,
                                         .progress = cli_progress_update,
                                         .progress_data = &run->progress};
    cli_progress_init(&run->progress, job->common);
    run->model = onnxq_model_open(run->input.path, error);
    if (run->model == NULL)
        return false;
    cli_progress_start(&run->progress);
    run->work = job->maker->create(settings_of(run), run->model, &output, error);
    cli_progress_erase(&run->progress);
    return run->work.plan != NULL || run->work.dequantization != NULL;
}

/* The size under the output's own name, where there will be an output. */
static bool measure(struct item_run *run, onnxq_error *error)
{
    const onnxq_plan *plan = run->work.plan;
    const onnxq_dequantization *back = run->work.dequantization;
    const char *path = run->item->output;
    uint64_t model_nbytes = 0, external_nbytes = 0;
    if (plan != NULL) {
        const onnxq_summary *summary = onnxq_plan_get_summary(plan);
        run->is_copy = summary->n_quantized == 0 && summary->n_round_trips_removed == 0;
        run->nbytes_before = run->nbytes_after = summary->nbytes_before;
        onnxq_plan_get_output_size(plan, path, &model_nbytes, &external_nbytes, error);
    } else {
        const onnxq_dequantize_summary *summary = onnxq_dequantization_get_summary(back);
        run->is_copy = summary->n_dequantized == 0;
        run->nbytes_before = run->nbytes_after = summary->nbytes_before;
        onnxq_dequantization_get_output_size(back, path, &model_nbytes, &external_nbytes, error);
    }
    if (!run->is_copy)
        run->nbytes_after = model_nbytes + external_nbytes;
    return run->is_copy || error->status == ONNXQ_OK;
}

/* Its side files go along where it was copied, and only there. */
static int note_in_tree(const struct item_run *run)
{
    cli_job *job = run->job;
    const struct oq_external *external = &run->model->external;
    if (run->item->file == NULL)
        return CLI_EXIT_OK;
    if (run->item->file->kind != CLI_TREE_MODEL_COPIED)
        run->item->file->kind = run->is_copy ? CLI_TREE_MODEL_COPIED : CLI_TREE_MODEL_MADE;
    for (size_t i = 0; i < external->count; i++)
        if (!cli_tree_note_side_file(&job->tree, &external->list[i]->status, run->is_copy))
            return cli_memory_error(job->common);
    return CLI_EXIT_OK;
}

static bool write_output(struct item_run *run, onnxq_error *error)
{
    const char *path = run->item->output;
    cli_progress_start(&run->progress);
    onnxq_status status = run->work.plan != NULL
                              ? onnxq_plan_write(run->work.plan, path, error)
                              : onnxq_dequantization_write(run->work.dequantization, path, error);
    cli_progress_erase(&run->progress);
    return status == ONNXQ_OK;
}

/* The name becomes one of the other file. False where the file system has no hard links. */
static bool become_link(const char *file, const char *name)
{
    size_t n = strlen(name) + sizeof(".link");
    char *temporary = malloc(n);
    bool ok = temporary != NULL;
    if (ok) {
        snprintf(temporary, n, "%s.link", name);
        ok = oq_os_link(file, temporary);
        if (ok && rename(temporary, name) != 0) {
            remove(temporary);
            ok = false;
        }
    }
    free(temporary);
    return ok;
}

/* Variants that came out the same are one file: they take its place once, and are loaded once. */
static void join_twins(struct item_run *run)
{
    cli_item *item = run->item;
    if (item->variant == NULL)
        return;
    for (cli_item *other = item; other != run->job->items && run->twin == NULL;) {
        other--;
        if (strcmp(other->input, item->input) != 0)
            return;
        if (other->is_written && cli_has_same_bytes(other->output, item->output) &&
            become_link(other->output, item->output))
            run->twin = other->output;
    }
}

/* What is said of a model, and of all of them together. */
static int report(const struct item_run *run, bool is_written)
{
    cli_job *job = run->job;
    bool is_noop = run->is_copy && !allows_noop(job);
    if (job->text != NULL)
        job->maker->print(settings_of(run), run->model, &run->work, verbosity(job), job->text);
    print_report(run, is_written ? run->item->output : NULL);
    if (is_noop)
        return fail_nothing(run);
    print_outcome(run);
    job->n_done++;
    job->n_copies += run->is_copy;
    job->nbytes_before += run->nbytes_before;
    job->nbytes_after += run->nbytes_after;
    return CLI_EXIT_OK;
}

static int make_folder(const struct item_run *run)
{
    cli_job *job = run->job;
    return job->files->output_dir != NULL && !job->in_place
               ? cli_folders_make(&job->made, job->common, run->item->output)
               : CLI_EXIT_OK;
}

/* Leaves nothing: folders that stay empty go when the job ends. */
static int try_output(const struct item_run *run)
{
    const cli_job *job = run->job;
    if (job->files->dry_run || job->maker->takes_long == NULL ||
        !job->maker->takes_long(settings_of(run)))
        return CLI_EXIT_OK;
    int status = make_folder(run);
    return status == CLI_EXIT_OK ? cli_output_try(job->common, run->item->output) : status;
}

static int process(struct item_run *run)
{
    onnxq_error error = {.offset = ONNXQ_NO_OFFSET};
    cli_job *job = run->job;
    bool ok = decide(run, &error) && measure(run, &error);
    bool writes = ok && !job->files->dry_run && (!run->is_copy || allows_noop(job));
    int status = ok ? note_in_tree(run) : CLI_EXIT_OK;
    if (status == CLI_EXIT_OK && writes)
        status = make_folder(run);
    if (status == CLI_EXIT_OK && writes && run->is_copy && job->folder != NULL) {
        const cli_tree_copy copy = cli_job_copy(job); /* its side files go along */
        status = cli_tree_copy_file(&copy, run->input.path, run->item->output);
    } else if (status == CLI_EXIT_OK && (!ok || (writes && !write_output(run, &error)))) {
        status = cli_model_input_fail(job->common, &run->input, run->item->input, &error);
    }
    if (status != CLI_EXIT_OK)
        return status;
    run->item->is_written = writes;
    if (writes)
        join_twins(run);
    return report(run, writes);
}

int cli_item_run(cli_job *job, cli_item *item)
{
    struct item_run run = {.job = job, .item = item, .input.fd = -1};
    job->item_began = oq_now_seconds();
    if (!job->files->dry_run && is_kept(job, item))
        return fail_exists(job, item);
    int status = try_output(&run);
    if (status == CLI_EXIT_OK)
        status = cli_model_input_open(job->common, &run.input, item->input);
    if (status == CLI_EXIT_OK)
        status = process(&run);
    onnxq_plan_destroy(run.work.plan);
    onnxq_dequantization_destroy(run.work.dequantization);
    onnxq_model_close(run.model);
    cli_model_input_close(&run.input);
    return status;
}
