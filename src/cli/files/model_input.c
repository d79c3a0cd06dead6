/* A model that a command reads, and what is said where that fails. */
#define _POSIX_C_SOURCE 200809L
#include "cli/files/model_input.h"

#include <errno.h>
#include <string.h>

#include "base/os.h"
#include "cli/terminal/interrupt.h"
#include "cli/terminal/messages.h"

/* A file that is redirected from its beginning can be opened once more as it is. */
static bool is_whole_file(int fd)
{
    struct oq_file_status status;
    return oq_os_open_status(fd, &status) && status.type == OQ_FILE_REGULAR &&
           oq_os_is_at_beginning(fd);
}

static int fail_copy(const cli_common *common)
{
    cli_error(common, "standard input: cannot keep a copy: %s", strerror(errno));
    cli_hint(common, "TMPDIR names the folder for it");
    return CLI_EXIT_OUTPUT;
}

static int copy_all(const cli_common *common, int to)
{
    enum { CHUNK_NBYTES = 1 << 15 };
    char chunk[CHUNK_NBYTES];
    for (;;) {
        int64_t n = oq_os_read(OQ_STANDARD_INPUT, chunk, sizeof(chunk));
        if (cli_interrupt_signal() != 0)
            return 128 + cli_interrupt_signal();
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            cli_error(common, "standard input: cannot read: %s", strerror(errno));
            return CLI_EXIT_INPUT;
        }
        if (n == 0)
            return CLI_EXIT_OK;
        if (!oq_os_write(to, chunk, (size_t)n))
            return fail_copy(common);
    }
}

int cli_model_input_open(const cli_common *common, cli_input *input, const char *path)
{
    *input = (cli_input){.path = path, .fd = -1};
    if (!cli_is_standard_input(path))
        return CLI_EXIT_OK;
    const bool is_whole = is_whole_file(OQ_STANDARD_INPUT);
    if (!is_whole)
        input->fd = oq_os_create_unnamed(oq_os_temporary_folder());
    if (!is_whole && input->fd < 0)
        return fail_copy(common);
    oq_os_descriptor_path(is_whole ? OQ_STANDARD_INPUT : input->fd, input->buffer,
                          sizeof(input->buffer));
    input->path = input->buffer;
    return is_whole ? CLI_EXIT_OK : copy_all(common, input->fd);
}

void cli_model_input_close(cli_input *input)
{
    if (input->fd >= 0)
        oq_os_close(input->fd);
    input->fd = -1;
}

int cli_model_input_fail(const cli_common *common, const cli_input *input, const char *path,
                         onnxq_error *error)
{
    if (error->status == ONNXQ_ERROR_CANCELLED && cli_interrupt_signal() != 0)
        return 128 + cli_interrupt_signal();
    /* The descriptor that stands for standard input says nothing to a person. */
    if (input->path != path && strcmp(error->file, input->path) == 0)
        snprintf(error->file, sizeof(error->file), "standard input");
    return cli_library_error(common, error);
}
