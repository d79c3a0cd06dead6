#define _DEFAULT_SOURCE /* struct winsize */
#define _POSIX_C_SOURCE 200809L
#include "progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "interrupt.h"
#include "message.h"

#define REDRAW_SECONDS (1.0 / 6)
#define TEXT_COLUMNS   64 /* all but the bar */
#define BAR_MAX        30
#define BAR_MIN        8

double cli_seconds(void)
{
    struct timespec now = {0};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

void cli_progress_init(cli_progress *progress, const cli_common *common)
{
    *progress = (cli_progress){0};
    if (common->progress == CLI_AUTO)
        progress->enabled =
            common->quiet == 0 && isatty(STDERR_FILENO) && !cli_is_plain_environment();
    else
        progress->enabled = common->progress == CLI_ALWAYS;
}

static int terminal_columns(void)
{
    int columns = 80;
#ifdef TIOCGWINSZ
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        columns = size.ws_col;
#endif
    return columns;
}

static int clamp(int value, int low, int high)
{
    return value < low ? low : value > high ? high : value;
}

/* "84 of 91 MB": both in the unit of the whole. */
static void format_amount(char *text, size_t capacity, uint64_t done, uint64_t total)
{
    cli_size whole = cli_format_size(total);
    double unit = 1e3;
    static const struct {
        char letter;
        double nbytes;
    } units[] = {{'M', 1e6}, {'G', 1e9}, {'T', 1e12}};
    const char *letter = strchr(whole.text, ' ') + 1;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (units[i].letter == *letter)
            unit = units[i].nbytes;
    }
    int digits = unit > 1e6 ? 2 : 0;
    snprintf(text, capacity, "%.*f of %.*f %s", digits, (double)done / unit, digits,
             (double)total / unit, letter);
}

static void draw(cli_progress *progress, double now, uint64_t done, uint64_t total)
{
    static const char full[] = "##############################";
    static const char empty[] = "------------------------------";
    double part = (double)done / (double)total, elapsed = now - progress->phase_began;
    int bar = clamp(terminal_columns() - TEXT_COLUMNS, BAR_MIN, BAR_MAX);
    int filled = clamp((int)(part * bar), 0, bar);
    long left = part > 0 ? (long)(elapsed / part - elapsed + 0.5) : 0;
    char amount[64], line[256];
    format_amount(amount, sizeof(amount), done, total);
    cli_size rate = cli_format_size(elapsed > 0 ? (uint64_t)((double)done / elapsed) : 0);
    int width =
        snprintf(line, sizeof(line), "  %s [%.*s%.*s] %3d%%   %s   %s/s   %ld:%02ld left",
                 progress->phase == ONNXQ_PHASE_MEASURE ? "measure" : "write  ", filled, full,
                 bar - filled, empty, (int)(part * 100), amount, rate.text, left / 60, left % 60);
    int rest = progress->width > width ? progress->width - width : 0;
    fprintf(stderr, "\r%s%*s", line, rest, "");
    progress->width = width + rest;
}

bool cli_progress_update(void *data, onnxq_phase phase, uint64_t done, uint64_t total)
{
    cli_progress *progress = data;
    if (cli_interrupt_signal() != 0)
        return false;
    if (!progress->enabled || total == 0)
        return true;
    double now = cli_seconds();
    if (!progress->started || progress->phase != phase) {
        progress->phase = phase;
        progress->phase_began = now;
    }
    if (!progress->started)
        progress->last_drawn = now; /* what is done in a blink shows no bar */
    progress->started = true;
    if (now - progress->last_drawn >= REDRAW_SECONDS) {
        draw(progress, now, done < total ? done : total, total);
        progress->last_drawn = now;
    }
    return true;
}

void cli_progress_erase(cli_progress *progress)
{
    if (progress->width > 0)
        fprintf(stderr, "\r%*s\r", progress->width, "");
    progress->width = 0;
    progress->started = false;
}
