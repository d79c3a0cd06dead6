/* One model of a job: opened, worked on, written, reported. */
#define _POSIX_C_SOURCE 200809L
#include "cli/files/job.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/os.h"
#include "base/size.h"
#include "cli/terminal/interrupt.h"
#include "cli/terminal/messages.h"
#include "cli/files/model_input.h"
#include "cli/terminal/progress.h"

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

static bool is_kept(const cli_job *job, const cli_item *item)
{
    const cli_files *files = job->files;
    return (files->no_clobber || (item->derived && !files->force)) &&
           !oq_is_standard_output(item->output) && cli_path_exists(item->output);
}

/* --- how much is shown ----------------------------------------------------- */

/* 0 by default: -q takes away, -v adds, a dry run is about the details. */
static int verbosity(const cli_job *job)
{
    const cli_files *files = job->files;
    int level = job->common->verbose - job->common->quiet;
    if (level == 0 && job->n_items > 1)
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

/* output NULL: none was written. */
static void print_report(cli_job *job, const char *input, const char *output, const void *work)
{
    FILE *stream = cli_reports_next(&job->json);
    if (stream != NULL)
        job->maker->print_json(work, input, output, stream);
}

/* "Wrote OUT   90.8 MB -> 23.3 MB (3.9x smaller)", or what a dry run has instead. */
static void print_outcome(const cli_job *job, const cli_item *item, const cli_sizes *sizes,
                          double seconds)
{
    bool is_dry = job->files->dry_run;
    if (job->text == NULL || job->common->quiet > 1)
        return;
    fputs(!is_dry ? "Wrote " : is_kept(job, item) ? "Would keep " : "Would write ", job->text);
    cli_print_escaped(job->text,
                      oq_is_standard_output(item->output) ? "standard output" : item->output);
    fputs("   ", job->text);
    cli_print_sizes(job->text, sizes->before, sizes->after);
    if (!is_dry)
        fprintf(job->text, " in %.2f s", seconds);
    else if (is_kept(job, item))
        fputs(", it exists: -f replaces it", job->text);
    if (sizes->is_copy)
        fprintf(job->text, ", a copy: nothing to %s", job->maker->verb);
    putc('\n', job->text);
    if (job->n_items > 1)
        fflush(job->text); /* so that messages about the next model come after it */
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

static int fail_nothing(const cli_job *job, const cli_item *item, const void *work)
{
    char reason[256];
    job->maker->explain_nothing(work, reason, sizeof(reason));
    cli_error(job->common, "%s: %s; no file was written", item->input, reason);
    cli_hint(job->common, "--allow-noop copies such a model as it is and exits 0");
    return ONNXQ_NOTHING_TO_DO;
}

static int make_folder(cli_job *job)
{
    const char *folder = job->files->output_dir;
    if (folder == NULL)
        return CLI_EXIT_OK;
    if (oq_os_make_folder(folder)) {
        job->folder_created = true;
    } else if (errno != EEXIST) {
        cli_error(job->common, "%s: cannot make the folder: %s", folder, strerror(errno));
        return CLI_EXIT_OUTPUT;
    }
    return CLI_EXIT_OK;
}

static int write_output(cli_job *job, const cli_item *item, const cli_input *input,
                        const void *work, cli_progress *progress)
{
    onnxq_error error = {.offset = ONNXQ_NO_OFFSET};
    int status = make_folder(job);
    if (status != CLI_EXIT_OK)
        return status;
    cli_progress_start(progress);
    onnxq_status written = job->maker->write(work, item->output, &error);
    cli_progress_erase(progress);
    return written == ONNXQ_OK ? CLI_EXIT_OK
                               : cli_model_input_fail(job->common, input, item->input, &error);
}

/* The size under the output's own name, where there will be an output. */
static bool measure(const cli_job *job, const cli_item *item, const void *work, cli_sizes *sizes,
                    onnxq_error *error)
{
    uint64_t model_nbytes, external_nbytes;
    *sizes = job->maker->summarize(work);
    if (sizes->is_copy)
        return true;
    if (job->maker->get_output_size(work, item->output, &model_nbytes, &external_nbytes, error) !=
        ONNXQ_OK)
        return false;
    sizes->after = model_nbytes + external_nbytes;
    return true;
}

/* From the plan on: what is written, and what is said about it. */
static int carry_out(cli_job *job, const cli_item *item, const cli_input *input,
                     const onnxq_model *model, const void *work, cli_progress *progress)
{
    onnxq_error error = {.offset = ONNXQ_NO_OFFSET};
    cli_sizes sizes;
    int status = CLI_EXIT_OK;
    if (!measure(job, item, work, &sizes, &error))
        return cli_model_input_fail(job->common, input, item->input, &error);
    bool is_noop = sizes.is_copy && !job->files->allow_noop;
    if (!is_noop && !job->files->dry_run)
        status = write_output(job, item, input, work, progress);
    if (status != CLI_EXIT_OK)
        return status;
    if (job->text != NULL)
        job->maker->print(job->settings, model, work, verbosity(job), job->text);
    print_report(job, item->input, is_noop || job->files->dry_run ? NULL : item->output, work);
    if (is_noop)
        return fail_nothing(job, item, work);
    print_outcome(job, item, &sizes, oq_now_seconds() - job->item_began);
    job->n_done++;
    job->nbytes_before += sizes.before;
    job->nbytes_after += sizes.after;
    return CLI_EXIT_OK;
}

static int process(cli_job *job, const cli_item *item, const cli_input *input)
{
    onnxq_error error = {.offset = ONNXQ_NO_OFFSET};
    cli_progress progress;
    cli_progress_init(&progress, job->common);
    const cli_files *files = job->files;
    const onnxq_output_options output = {.external_data = files->external_data,
                                         .keep_existing =
                                             files->no_clobber || (item->derived && !files->force),
                                         .sync = files->sync,
                                         .allow_noop = files->allow_noop,
                                         .threads = (unsigned)job->common->threads,
                                         .progress = cli_progress_update,
                                         .progress_data = &progress};
    void *work = NULL;
    onnxq_model *model = onnxq_model_open(input->path, &error);
    cli_progress_start(&progress);
    if (model != NULL)
        work = job->maker->create(job->settings, model, &output, &error);
    cli_progress_erase(&progress);
    int status = work == NULL ? cli_model_input_fail(job->common, input, item->input, &error)
                              : carry_out(job, item, input, model, work, &progress);
    job->maker->destroy(work);
    onnxq_model_close(model);
    return status;
}

int cli_item_run(cli_job *job, const cli_item *item)
{
    cli_input input;
    job->item_began = oq_now_seconds();
    if (!job->files->dry_run && is_kept(job, item))
        return fail_exists(job, item);
    int status = cli_model_input_open(job->common, &input, item->input);
    if (status == CLI_EXIT_OK)
        status = process(job, item, &input);
    cli_input_close(&input);
    return status;
}
