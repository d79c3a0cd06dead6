/* Descriptors of the standard streams, and the size of a terminal. */
#define _GNU_SOURCE /* fopencookie, struct winsize */
#include "cli/terminal/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/terminal/fit.h"

void cli_open_standard_streams(void)
{
    static const int modes[] = {O_WRONLY, O_RDONLY, O_RDWR};
    for (int fd = 0; fd < 3; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", modes[fd]) < 0)
            return;
    }
}

bool cli_has_reader_gone(void)
{
    struct pollfd output = {.fd = STDOUT_FILENO, .events = POLLOUT};
    return poll(&output, 1, 0) == 1 && (output.revents & POLLERR) != 0;
}

int cli_terminal_columns(FILE *stream)
{
#ifdef TIOCGWINSZ
    struct winsize size;
    if (ioctl(fileno(stream), TIOCGWINSZ, &size) == 0)
        return size.ws_col;
#endif
    return 0;
}

/* --- text that fits --------------------------------------------------------- */

#define USUAL_COLUMNS 80 /* of a terminal that does not say */
#define LEAST_COLUMNS 40 /* what is narrower wraps as it likes */

static FILE *text_stream;  /* NULL: not asked for yet */
static char line[1 << 14]; /* what came of a line; one that is longer is not broken */
static size_t n_line;

int cli_text_columns(void)
{
    if (!isatty(STDOUT_FILENO))
        return 0;
    int columns = cli_terminal_columns(stdout);
    return columns <= 0 ? USUAL_COLUMNS : columns < LEAST_COLUMNS ? LEAST_COLUMNS : columns;
}

static void end_line(void)
{
    cli_fit_line(line, n_line, (size_t)cli_text_columns(), stdout);
    n_line = 0;
}

static void take_byte(char byte)
{
    if (byte == '\n') {
        end_line();
        putc('\n', stdout);
    } else if (n_line < sizeof(line)) {
        line[n_line++] = byte;
    } else {
        fwrite(line, 1, n_line, stdout);
        n_line = 0;
        line[n_line++] = byte;
    }
}

static ssize_t take(void *cookie, const char *bytes, size_t nbytes)
{
    (void)cookie;
    for (size_t i = 0; i < nbytes; i++)
        take_byte(bytes[i]);
    return (ssize_t)nbytes;
}

FILE *cli_text(void)
{
    if (text_stream == NULL && cli_text_columns() > 0)
        text_stream = fopencookie(NULL, "w", (cookie_io_functions_t){.write = take});
    return text_stream != NULL ? text_stream : stdout;
}

void cli_flush_text(void)
{
    if (text_stream != NULL)
        fflush(text_stream);
    fflush(stdout);
}
