/* Draws the bar, at most six times a second. */
#include "cli/terminal/progress.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/os.h"
#include "base/size.h"
#include "cli/terminal/interrupt.h"
#include "cli/terminal/messages.h"
#include "cli/terminal/terminal.h"

#define REDRAW_SECONDS  (1.0 / 6)
#define DEFAULT_COLUMNS 80
#define TEXT_COLUMNS    64 /* all but the bar */
#define BAR_MAX         30
#define BAR_MIN         8

void cli_progress_init(cli_progress *progress, const cli_common *common)
{
    *progress = (cli_progress){0};
    progress->forced = common->progress == CLI_ALWAYS;
    progress->enabled =
        progress->forced || (common->progress == CLI_AUTO && common->quiet == 0 &&
                             oq_os_is_terminal(stderr) && !cli_is_plain_environment());
}

void cli_progress_start(cli_progress *progress)
{
    progress->began = oq_now_seconds();
    /* What is done in a blink shows no bar. */
    progress->last_drawn = progress->forced ? 0 : progress->began;
}

static int clamp(int value, int low, int high)
{
    return value < low ? low : value > high ? high : value;
}

/* "84 of 91 MB": both in the unit of the whole. */
static void format_amount(char *text, size_t capacity, uint64_t done, uint64_t total)
{
    static const struct {
        double nbytes;
        const char *name;
    } units[] = {{1, "B"}, {1e3, "KB"}, {1e6, "MB"}, {1e9, "GB"}, {1e12, "TB"}};
    size_t unit = 0;
    while (unit + 1 < sizeof(units) / sizeof(units[0]) && (double)total >= units[unit + 1].nbytes)
        unit++;
    int digits = (double)total < 10 * units[unit].nbytes && unit > 0 ? 1 : 0;
    snprintf(text, capacity, "%.*f of %.*f %s", digits, (double)done / units[unit].nbytes, digits,
             (double)total / units[unit].nbytes, units[unit].name);
}

/* "[####----]  50%" */
static void format_bar(char *text, size_t capacity, double part)
{
    static const char full[] = "##############################";
    static const char empty[] = "------------------------------";
    int columns = cli_terminal_columns(stderr);
    int bar = clamp((columns > 0 ? columns : DEFAULT_COLUMNS) - TEXT_COLUMNS, BAR_MIN, BAR_MAX);
    int filled = clamp((int)(part * bar), 0, bar);
    snprintf(text, capacity, "[%.*s%.*s] %3d%%", filled, full, bar - filled, empty,
             clamp((int)(part * 100), 0, 100));
}

/* Takes the place of the line that is on the screen. */
static void show(cli_progress *progress, const char *line, int width)
{
    int rest = progress->width > width ? progress->width - width : 0;
    fprintf(stderr, "\r%s%*s", line, rest, "");
    progress->width = width + rest;
}

static void draw(cli_progress *progress, double now, uint64_t done, uint64_t total)
{
    double part = (double)done / (double)total, elapsed = now - progress->began;
    long left = part > 0 ? (long)(elapsed / part - elapsed + 0.5) : 0;
    char bar[80], amount[64], line[256];
    format_bar(bar, sizeof(bar), part);
    format_amount(amount, sizeof(amount), done, total);
    struct oq_size_text rate = oq_size_text(elapsed > 0 ? (uint64_t)((double)done / elapsed) : 0);
    int width = snprintf(line, sizeof(line), "  %s %s   %s   %s/s   %ld:%02ld left",
                         progress->phase == ONNXQ_PHASE_MEASURE ? "measure" : "write  ", bar,
                         amount, rate.text, left / 60, left % 60);
    show(progress, line, width);
}

bool cli_progress_update(void *data, onnxq_phase phase, uint64_t done, uint64_t total)
{
    cli_progress *progress = data;
    if (cli_interrupt_signal() != 0)
        return false;
    if (!progress->enabled || total == 0)
        return true;
    double now = oq_now_seconds();
    progress->phase = phase;
    if (now - progress->last_drawn >= REDRAW_SECONDS) {
        draw(progress, now, done < total ? done : total, total);
        progress->last_drawn = now;
    }
    return true;
}

void cli_progress_count(cli_progress *progress, const char *what, uint64_t done, uint64_t total)
{
    char bar[80], escaped[32], line[256];
    double now = oq_now_seconds();
    if (!progress->enabled || total == 0 || now - progress->last_drawn < REDRAW_SECONDS)
        return;
    onnxq_escape(what, escaped, sizeof(escaped));
    format_bar(bar, sizeof(bar), (double)done / (double)total);
    int width = snprintf(line, sizeof(line), "  %s %s   %" PRIu64 " of %" PRIu64, escaped, bar,
                         done, total);
    show(progress, line, width);
    progress->last_drawn = now;
}

void cli_progress_erase(cli_progress *progress)
{
    if (progress->width > 0)
        fprintf(stderr, "\r%*s\r", progress->width, "");
    progress->width = 0;
}
