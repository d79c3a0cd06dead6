/* The table of operators of a quantization. */
#include "report/report_lines.h"
#include "report/report_text.h"

#include <string.h>

#include "base/flags.h"

#define WIDE_COLUMNS 100 /* notes that would end beyond have lines of their own */

static struct oq_report_unit choose_unit(const struct oq_report_lines *lines)
{
    uint64_t largest = 0;
    for (size_t i = 0; i < lines->n_lines; i++) {
        const struct oq_report_line *line = &lines->lines[i];
        largest = line->nbytes_before > largest ? line->nbytes_before : largest;
        largest = line->nbytes_after > largest ? line->nbytes_after : largest;
    }
    return oq_report_unit(largest);
}

static void append(char *dst, size_t capacity, const char *text)
{
    size_t used = strlen(dst);
    if (used + 1 < capacity)
        snprintf(dst + used, capacity - used, "%.*s", (int)(capacity - used - 1), text);
}

static const char *tell_fate(const struct oq_report_tally *reason)
{
    return reason->is_rewritten ? "rewritten: " : "kept: ";
}

static bool is_kept_for_one_reason(const struct oq_report_line *line)
{
    return line->n_quantized == 0 && line->n_reasons == 1;
}

void oq_report_format_form(const struct oq_report_line *line, char form[OQ_REPORT_FORM_CAPACITY])
{
    form[0] = '\0';
    if (is_kept_for_one_reason(line)) {
        append(form, OQ_REPORT_FORM_CAPACITY, tell_fate(&line->reasons[0]));
        append(form, OQ_REPORT_FORM_CAPACITY, oq_flags_text(line->reasons[0].text).text);
    }
    for (size_t i = 0; i < line->n_forms; i++) {
        append(form, OQ_REPORT_FORM_CAPACITY, i > 0 ? ", " : "");
        append(form, OQ_REPORT_FORM_CAPACITY, line->forms[i].text);
    }
}

/* "2 kept: under 1024 elements" */
static void append_reason(const struct oq_report_tally *reason, char *notes, size_t capacity)
{
    char count[32];
    snprintf(count, sizeof(count), "%zu %s", reason->count, tell_fate(reason));
    append(notes, capacity, count);
    append(notes, capacity, oq_flags_text(reason->text).text);
}

void oq_report_format_notes(const struct oq_report_line *line, char notes[OQ_REPORT_NOTES_CAPACITY])
{
    notes[0] = '\0';
    if (is_kept_for_one_reason(line))
        return;
    for (size_t i = 0; i < line->n_reasons; i++) {
        append(notes, OQ_REPORT_NOTES_CAPACITY, i > 0 ? "; " : "");
        append_reason(&line->reasons[i], notes, OQ_REPORT_NOTES_CAPACITY);
    }
}

/* A line for each reason; the first goes on where the form would stand if there is none. */
static void write_notes_below(FILE *stream, const struct oq_report_line *line, size_t column)
{
    for (size_t i = 0; i < line->n_reasons; i++) {
        char note[OQ_REPORT_FORM_CAPACITY] = "";
        append_reason(&line->reasons[i], note, sizeof(note));
        if (i > 0 || line->n_forms > 0)
            fprintf(stream, "\n%*s", (int)column, "");
        oq_report_cell(stream, note, 0, OQ_REPORT_NO_LIMIT);
    }
}

static size_t max_size(size_t a, size_t b)
{
    return a > b ? a : b;
}

struct table_widths {
    size_t name, form;
};

static struct table_widths measure(const struct oq_report_lines *lines)
{
    struct table_widths widths = {.name = strlen("operator")};
    for (size_t i = 0; i < lines->n_lines; i++) {
        char name[OQ_REPORT_OPERATOR_NBYTES], form[OQ_REPORT_FORM_CAPACITY],
            notes[OQ_REPORT_NOTES_CAPACITY];
        oq_report_operator(lines->lines[i].domain, lines->lines[i].op_type, name);
        oq_report_format_form(&lines->lines[i], form);
        oq_report_format_notes(&lines->lines[i], notes);
        widths.name = max_size(widths.name, oq_report_width(name));
        /* A form without notes behind it needs no padding, and may be a long reason. */
        if (notes[0] != '\0')
            widths.form = max_size(widths.form, oq_report_width(form));
    }
    return widths;
}

static size_t write_numbers(FILE *stream, const struct oq_report_line *line,
                            struct oq_report_unit unit)
{
    char numbers[128];
    snprintf(numbers, sizeof(numbers), "  %7zu  %9zu  %7.1f %s  %7.1f %s", line->n_weights,
             line->n_quantized, (double)line->nbytes_before / unit.nbytes, unit.name,
             (double)line->nbytes_after / unit.nbytes, unit.name);
    fputs(numbers, stream);
    return strlen(numbers);
}

/* What stands behind the numbers, from column `column` on. */
static void write_texts(FILE *stream, const struct oq_report_line *line, size_t column,
                        const struct table_widths *widths)
{
    char form[OQ_REPORT_FORM_CAPACITY], notes[OQ_REPORT_NOTES_CAPACITY];
    oq_report_format_form(line, form);
    oq_report_format_notes(line, notes);
    bool has_notes = notes[0] != '\0';
    bool fits = column + widths->form + 3 + oq_report_width(notes) <= WIDE_COLUMNS;
    oq_report_cell(stream, form, has_notes && fits ? widths->form + 3 : 0, OQ_REPORT_NO_LIMIT);
    if (has_notes && fits)
        oq_report_cell(stream, notes, 0, OQ_REPORT_NO_LIMIT);
    else if (has_notes)
        write_notes_below(stream, line, column);
}

static void write_line(FILE *stream, const struct oq_report_line *line, struct oq_report_unit unit,
                       const struct table_widths *widths)
{
    char name[OQ_REPORT_OPERATOR_NBYTES];
    oq_report_operator(line->domain, line->op_type, name);
    fputs("  ", stream);
    size_t used = 2 + oq_report_cell(stream, name, widths->name, OQ_REPORT_NO_LIMIT);
    used += write_numbers(stream, line, unit);
    fputs("   ", stream);
    write_texts(stream, line, used + 3, widths);
    putc('\n', stream);
}

static void write_quantized_before(FILE *stream, const onnxq_plan *plan, struct oq_report_unit unit)
{
    const onnxq_summary *summary = onnxq_plan_get_summary(plan);
    if (summary->n_quantized_before > 0)
        fprintf(stream, "  quantized already, and left: %zu weight%s, %.1f %s\n",
                summary->n_quantized_before, oq_report_plural(summary->n_quantized_before),
                (double)summary->nbytes_quantized_before / unit.nbytes, unit.name);
}

static void write_round_trips(FILE *stream, const onnxq_plan *plan)
{
    const onnxq_summary *summary = onnxq_plan_get_summary(plan);
    if (summary->n_round_trips_removed > 0)
        fprintf(stream, "  DequantizeLinear -> QuantizeLinear that changed nothing, removed: %zu\n",
                summary->n_round_trips_removed);
}

static void write_unused(FILE *stream, const onnxq_plan *plan, struct oq_report_unit unit)
{
    const onnxq_summary *summary = onnxq_plan_get_summary(plan);
    oq_report_unused(stream, summary->n_unused, summary->nbytes_unused, unit);
    oq_report_annotations(stream, summary->n_annotations_removed);
}

void onnxq_report_table(const onnxq_plan *plan, FILE *stream)
{
    struct oq_report_lines lines;
    if (!oq_report_lines_init(&lines, plan)) {
        fputs("  (no memory left for the table)\n", stream);
        return;
    }
    oq_report_lines_merge_small(&lines);
    struct oq_report_unit unit = choose_unit(&lines);
    struct table_widths widths = measure(&lines);
    fprintf(stream, "  %-*s  weights  quantized      before       after\n", (int)widths.name,
            "operator");
    for (size_t i = 0; i < lines.n_lines; i++)
        write_line(stream, &lines.lines[i], unit, &widths);
    oq_report_imports(plan, stream);
    write_quantized_before(stream, plan, unit);
    write_round_trips(stream, plan);
    write_unused(stream, plan, unit);
    oq_report_lines_fini(&lines);
}
