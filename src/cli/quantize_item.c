#define _POSIX_C_SOURCE 200809L
#include "quantize.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "interrupt.h"
#include "message.h"
#include "path.h"
#include "progress.h"

void cli_print_sizes(FILE *stream, uint64_t before, uint64_t after)
{
    fprintf(stream, "%s -> %s", cli_format_size(before).text, cli_format_size(after).text);
    double ratio = after > 0 ? (double)before / (double)after : 1;
    if (ratio >= 1.05)
        fprintf(stream, " (%.1fx smaller)", ratio);
    else if (ratio < 1 / 1.05)
        fprintf(stream, " (%.1fx larger)", 1 / ratio);
    else
        fputs(" (about the same)", stream);
}

static bool is_kept(const cli_quantize_job *job, const cli_quantize_item *item)
{
    const cli_quantize_settings *settings = job->settings;
    return (settings->no_clobber || (item->derived && !settings->force)) &&
           !cli_is_standard_stream(item->output) && cli_path_exists(item->output);
}

/* Bytes of model and side files. */
struct sizes {
    uint64_t before, after;
    bool is_copy;
};

/* --- how much is shown ----------------------------------------------------- */

/* 0 by default: -q takes away, -v adds, a dry run is about the details. */
static int verbosity(const cli_quantize_job *job)
{
    const cli_quantize_settings *settings = job->settings;
    int level = settings->common.verbose - settings->common.quiet;
    if (level == 0 && job->n_items > 1)
        return -1; /* a line for each of many models */
    return level == 0 && settings->dry_run ? 1 : level;
}

static void print_settings(const cli_quantize_settings *settings, const onnxq_model *model,
                           FILE *stream)
{
    onnxq_model_info info;
    const onnxq_options *options = &settings->options;
    onnxq_model_get_info(model, &info);
    static const char *const methods[] = {"dynamic activations", "folded when loaded",
                                          "DequantizeLinear", "operators of com.microsoft"};
    static const char *const ranges[] = {"", " of 7 bits", " safe in pairs"};
    static const char *const bits[] = {"int8", "int4", "nf4"};
    fprintf(stream, "  %s weights%s, per %s%s, %s  (opset %lld",
            options->weight_type == ONNXQ_WEIGHT_UINT8 ? "uint8" : bits[options->bits],
            ranges[options->reduce_range],
            options->method == ONNXQ_METHOD_BLOCKS || options->block_size != 0 ? "block"
            : options->per_channel                                             ? "channel"
                                                                               : "tensor",
            options->symmetric ? "" : ", asymmetric", methods[options->method],
            (long long)info.opset);
    if (info.producer_name[0] != '\0') {
        fputs(", ", stream);
        cli_print_escaped(stream, info.producer_name);
        fputs(info.producer_version[0] != '\0' ? " " : "", stream);
        cli_print_escaped(stream, info.producer_version);
    }
    fputs(")\n", stream);
}

static void print_plan(const cli_quantize_job *job, const onnxq_model *model,
                       const onnxq_plan *plan)
{
    int level = verbosity(job);
    if (job->text == NULL || level < 0 || onnxq_plan_count(plan) == 0)
        return;
    print_settings(job->settings, model, job->text);
    if (level > 0)
        onnxq_report_weights(plan, job->text);
    onnxq_report_table(plan, job->text);
}

/* output NULL: none was written. */
static void print_report(cli_quantize_job *job, const char *input, const char *output,
                         const onnxq_plan *plan)
{
    if (job->json.stream == NULL)
        return;
    if (job->json_is_array)
        fputs(job->n_reports == 0 ? "[\n" : ",\n", job->json.stream);
    onnxq_report_json(plan, input, output, job->json.stream);
    job->n_reports++;
}

/* "Wrote OUT   90.8 MB -> 23.3 MB (3.9x smaller)", or what a dry run has instead. */
static void print_outcome(const cli_quantize_job *job, const cli_quantize_item *item,
                          const struct sizes *sizes, double seconds)
{
    bool is_dry = job->settings->dry_run;
    if (job->text == NULL || job->settings->common.quiet > 1)
        return;
    fputs(!is_dry ? "Wrote " : is_kept(job, item) ? "Would keep " : "Would write ", job->text);
    cli_print_escaped(job->text,
                      cli_is_standard_stream(item->output) ? "standard output" : item->output);
    fputs("   ", job->text);
    cli_print_sizes(job->text, sizes->before, sizes->after);
    if (!is_dry)
        fprintf(job->text, " in %.2f s", seconds);
    else if (is_kept(job, item))
        fputs(", it exists: -f replaces it", job->text);
    if (sizes->is_copy)
        fputs(", a copy: nothing to quantize", job->text);
    putc('\n', job->text);
    if (job->n_items > 1)
        fflush(job->text); /* so that messages about the next model come after it */
}

/* --- the work -------------------------------------------------------------- */

static int fail_exists(const cli_quantize_job *job, const cli_quantize_item *item)
{
    const cli_common *common = &job->settings->common;
    cli_error(common, "%s: it exists and is kept", item->output);
    if (job->settings->no_clobber)
        cli_hint(common, "without -n it is replaced%s", item->derived ? " if -f is given" : "");
    else
        cli_hint(common, "-f replaces it%s", job->n_items > 1 ? "" : ", -o FILE names another");
    return CLI_EXIT_OUTPUT;
}

static int fail_nothing(const cli_quantize_job *job, const cli_quantize_item *item,
                        const onnxq_plan *plan)
{
    onnxq_summary summary;
    onnxq_plan_get_summary(plan, &summary);
    const cli_common *common = &job->settings->common;
    if (summary.n_weights == 0)
        cli_error(common, "%s: nothing to quantize: it has no constants; no file was written",
                  item->input);
    else if (summary.n_quantized_before > 0)
        cli_error(common,
                  "%s: nothing left to quantize: %zu weights are quantized already; no file was "
                  "written",
                  item->input, summary.n_quantized_before);
    else
        cli_error(common, "%s: nothing to quantize (constants: %zu, all kept); no file was written",
                  item->input, summary.n_weights);
    cli_hint(common, "--allow-noop copies such a model as it is and exits 0");
    return ONNXQ_NOTHING_TO_DO;
}

static int fail_library(const cli_quantize_job *job, const cli_quantize_item *item,
                        const cli_input *input, onnxq_error *error)
{
    if (error->status == ONNXQ_ERROR_CANCELLED && cli_interrupt_signal() != 0)
        return 128 + cli_interrupt_signal();
    /* The descriptor that stands for standard input says nothing to a person. */
    if (input->path != item->input && strcmp(error->file, input->path) == 0)
        snprintf(error->file, sizeof(error->file), "standard input");
    return cli_library_error(&job->settings->common, error);
}

static int make_folder(cli_quantize_job *job)
{
    const char *folder = job->settings->output_dir;
    if (folder == NULL)
        return CLI_EXIT_OK;
    if (mkdir(folder, 0777) == 0) {
        job->folder_created = true;
    } else if (errno != EEXIST) {
        cli_error(&job->settings->common, "%s: cannot make the folder: %s", folder,
                  strerror(errno));
        return CLI_EXIT_OUTPUT;
    }
    return CLI_EXIT_OK;
}

static int write_output(cli_quantize_job *job, const cli_quantize_item *item,
                        const cli_input *input, const onnxq_plan *plan, cli_progress *progress)
{
    onnxq_error error = {.offset = ONNXQ_NO_OFFSET};
    int status = make_folder(job);
    if (status != CLI_EXIT_OK)
        return status;
    cli_progress_start(progress);
    onnxq_status written = onnxq_plan_write(plan, item->output, &error);
    cli_progress_erase(progress);
    return written == ONNXQ_OK ? CLI_EXIT_OK : fail_library(job, item, input, &error);
}

static int measure_output(cli_quantize_job *job, const cli_quantize_item *item,
                          const cli_input *input, const onnxq_plan *plan, struct sizes *sizes)
{
    onnxq_error error = {.offset = ONNXQ_NO_OFFSET};
    onnxq_summary summary;
    uint64_t model_nbytes, external_nbytes;
    onnxq_plan_get_summary(plan, &summary);
    *sizes = (struct sizes){summary.nbytes_before, summary.nbytes_after,
                            summary.n_quantized == 0 && summary.n_round_trips_removed == 0};
    if (sizes->is_copy)
        return CLI_EXIT_OK;
    if (onnxq_plan_get_output_size(plan, item->output, &model_nbytes, &external_nbytes, &error) !=
        ONNXQ_OK)
        return fail_library(job, item, input, &error);
    sizes->after = model_nbytes + external_nbytes;
    return CLI_EXIT_OK;
}

/* From the plan on: what is written, and what is said about it. */
static int carry_out(cli_quantize_job *job, const cli_quantize_item *item, const cli_input *input,
                     const onnxq_model *model, const onnxq_plan *plan, cli_progress *progress)
{
    const cli_quantize_settings *settings = job->settings;
    struct sizes sizes;
    int status = measure_output(job, item, input, plan, &sizes);
    bool is_noop = sizes.is_copy && !settings->options.allow_noop;
    if (status == CLI_EXIT_OK && !is_noop && !settings->dry_run)
        status = write_output(job, item, input, plan, progress);
    if (status != CLI_EXIT_OK)
        return status;
    print_plan(job, model, plan);
    print_report(job, item->input, is_noop || settings->dry_run ? NULL : item->output, plan);
    if (is_noop)
        return fail_nothing(job, item, plan);
    print_outcome(job, item, &sizes, cli_seconds() - job->item_began);
    job->n_done++;
    job->nbytes_before += sizes.before;
    job->nbytes_after += sizes.after;
    return CLI_EXIT_OK;
}

static int open_input(const cli_quantize_job *job, cli_input *input, const char *path)
{
    const cli_common *common = &job->settings->common;
    switch (cli_input_open(input, path)) {
    case CLI_INPUT_OK:
        return CLI_EXIT_OK;
    case CLI_INPUT_NOT_READ:
        cli_error(common, "standard input: cannot read: %s", strerror(errno));
        return CLI_EXIT_INPUT;
    case CLI_INPUT_NOT_SPOOLED:
        cli_error(common, "standard input: cannot keep a copy: %s", strerror(errno));
        cli_hint(common, "TMPDIR names the folder for it");
        return CLI_EXIT_OUTPUT;
    case CLI_INPUT_INTERRUPTED:
        break;
    }
    return 128 + cli_interrupt_signal();
}

static int process(cli_quantize_job *job, const cli_quantize_item *item, const cli_input *input)
{
    onnxq_error error = {.offset = ONNXQ_NO_OFFSET};
    cli_progress progress;
    cli_progress_init(&progress, &job->settings->common);
    onnxq_options options = job->settings->options;
    options.keep_existing = job->settings->no_clobber || (item->derived && !job->settings->force);
    options.progress = cli_progress_update;
    options.progress_data = &progress;
    onnxq_plan *plan = NULL;
    onnxq_model *model = onnxq_model_open(input->path, &error);
    cli_progress_start(&progress);
    if (model != NULL)
        plan = onnxq_plan_create(model, &options, &error);
    cli_progress_erase(&progress);
    int status = plan == NULL ? fail_library(job, item, input, &error)
                              : carry_out(job, item, input, model, plan, &progress);
    onnxq_plan_destroy(plan);
    onnxq_model_close(model);
    return status;
}

int cli_quantize_item_run(cli_quantize_job *job, const cli_quantize_item *item)
{
    cli_input input;
    job->item_began = cli_seconds();
    if (!job->settings->dry_run && is_kept(job, item))
        return fail_exists(job, item);
    int status = open_input(job, &input, item->input);
    if (status == CLI_EXIT_OK)
        status = process(job, item, &input);
    cli_input_close(&input);
    return status;
}
