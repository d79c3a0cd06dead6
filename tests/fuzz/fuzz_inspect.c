/*
 * Any bytes as a model file, inspected. What must hold for all that is a model:
 *
 *  - each report is valid UTF-8 and holds no control character but newlines,
 *    whatever the names and texts of the model are;
 *  - each JSON report is one object for a reader that is not ours;
 *  - an estimate is no plan to be written.
 */
#define _POSIX_C_SOURCE 200809L
#include <jansson.h>
#include <string.h>

#include "base/utf8.h"
#include "fuzz/support.h"

static char *input;

/* A report, in memory. */
struct text {
    FILE *stream;
    char *bytes;
    size_t nbytes;
};

static FILE *begin(struct text *text)
{
    *text = (struct text){0};
    text->stream = open_memstream(&text->bytes, &text->nbytes);
    CHECK(text->stream);
    return text->stream;
}

static void end_text(struct text *text)
{
    CHECK(fclose(text->stream) == 0);
    for (size_t i = 0, n; i < text->nbytes; i += n) {
        uint32_t code_point;
        n = oq_utf8_decode(text->bytes + i, text->nbytes - i, &code_point);
        CHECK(n > 0);
        CHECK((unsigned char)text->bytes[i] >= 0x20 || text->bytes[i] == '\n');
        CHECK(text->bytes[i] != 0x7f);
    }
    free(text->bytes);
}

static void end_json(struct text *text)
{
    json_error_t error;
    CHECK(fclose(text->stream) == 0);
    json_t *json = json_loadb(text->bytes, text->nbytes, JSON_REJECT_DUPLICATES, &error);
    if (!json)
        fprintf(stderr, "line %d: %s\n", error.line, error.text);
    CHECK(json_is_object(json));
    json_decref(json);
    free(text->bytes);
}

static void report_plan(const onnxq_plan *plan)
{
    struct text text;
    onnxq_report_table(plan, begin(&text));
    end_text(&text);
    onnxq_report_weights(plan, begin(&text));
    end_text(&text);
    onnxq_report_json(plan, "in \xff\n", NULL, begin(&text));
    end_json(&text);
}

static void report_dequantization(const onnxq_dequantization *undo)
{
    struct text text;
    onnxq_report_dequantization_table(undo, begin(&text));
    end_text(&text);
    onnxq_report_dequantization_nodes(undo, begin(&text));
    end_text(&text);
    onnxq_report_dequantization_json(undo, NULL, "out \xff\n", begin(&text));
    end_json(&text);
}

static void report_inspection(const onnxq_inspection *inspection, const onnxq_plan *plan,
                              const onnxq_dequantization *undo, const onnxq_validation *validation)
{
    struct text text;
    for (unsigned detail = 0; detail <= 2; detail++) {
        const onnxq_inspection_style style = {.detail = detail, .unicode = detail == 1};
        onnxq_report_inspection(inspection, plan, undo, &style, begin(&text));
        end_text(&text);
    }
    onnxq_report_inspection_json(inspection, plan, undo, validation, "in \xff\n", begin(&text));
    end_json(&text);
}

static onnxq_validation *validate(const onnxq_model *model)
{
    struct text text;
    onnxq_error error = {0};
    onnxq_validation *validation = onnxq_validation_create(model, &error);
    if (!validation) {
        fuzz_check_error(&error);
        return NULL;
    }
    onnxq_report_validation(validation, begin(&text));
    end_text(&text);
    return validation;
}

static onnxq_plan *estimate(const onnxq_model *model)
{
    onnxq_options options;
    onnxq_error error = {0};
    onnxq_options_init(&options);
    options.min_elements = 1;
    onnxq_plan *plan = onnxq_plan_estimate(model, &options, &error);
    if (!plan) {
        fuzz_check_error(&error);
        return NULL;
    }
    report_plan(plan);
    char *output = fuzz_path("never.onnx");
    CHECK(onnxq_plan_write(plan, output, &error) == ONNXQ_ERROR_OPTION);
    free(output);
    return plan;
}

static onnxq_dequantization *way_back(const onnxq_model *model)
{
    onnxq_dequantize_options options;
    onnxq_error error = {0};
    onnxq_dequantize_options_init(&options);
    onnxq_dequantization *undo = onnxq_dequantization_create(model, &options, &error);
    if (undo)
        report_dequantization(undo);
    else
        fuzz_check_error(&error);
    return undo;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes)
{
    onnxq_error error = {0};
    if (!input)
        input = fuzz_path("in.onnx");
    onnxq_model *model = fuzz_open(input, data, nbytes);
    if (!model)
        return 0;
    onnxq_plan *plan = estimate(model);
    onnxq_dequantization *undo = way_back(model);
    onnxq_validation *validation = validate(model);
    onnxq_inspection *inspection = onnxq_inspection_create(model, &error);
    if (inspection) {
        report_inspection(inspection, NULL, NULL, NULL);
        report_inspection(inspection, plan, undo, validation);
    } else {
        fuzz_check_error(&error);
    }
    onnxq_validation_destroy(validation);
    onnxq_inspection_destroy(inspection);
    onnxq_dequantization_destroy(undo);
    onnxq_plan_destroy(plan);
    onnxq_model_close(model);
    return 0;
}
