/* Folders for outputs: made from the top, removed from the bottom. */
#define _POSIX_C_SOURCE 200809L
#include "cli/files/folders.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/os.h"
#include "base/path.h"
#include "cli/files/file_paths.h"
#include "cli/terminal/messages.h"

/* The reason why the folder is not there, as errno; 0: it is. */
static int make(cli_list *made, const char *folder)
{
    if (oq_os_make_folder(folder))
        return cli_list_add(made, folder, strlen(folder)) ? 0 : ENOMEM;
    int reason = errno;
    return cli_path_exists(folder) ? 0 : reason;
}

/* From the top; `folder` ends where the first one could not be made. */
static int make_all(cli_list *made, char *folder)
{
    int reason = 0;
    for (char *slash = folder; (slash = strchr(slash + 1, '/')) != NULL; *slash = '/') {
        *slash = '\0';
        if ((reason = make(made, folder)) != 0)
            return reason;
    }
    return make(made, folder);
}

int cli_folders_make(cli_list *made, const cli_common *common, const char *file_path)
{
    size_t n = oq_folder_length(file_path);
    while (n > 1 && file_path[n - 1] == '/')
        n--;
    char *folder = strndup(file_path, n);
    if (folder == NULL)
        return cli_memory_error(common);
    int status = CLI_EXIT_OK;
    if (n > 0 && !cli_path_exists(folder)) {
        int reason = make_all(made, folder);
        if (reason == ENOMEM) {
            status = cli_memory_error(common);
        } else if (reason != 0) {
            cli_error(common, "%s: cannot make the folder: %s", folder, strerror(reason));
            status = CLI_EXIT_OUTPUT;
        }
    }
    free(folder);
    return status;
}

void cli_folders_sweep(cli_list *made)
{
    for (size_t i = made->count; i > 0; i--)
        oq_os_remove_folder(made->items[i - 1]); /* fails where something is in it */
    cli_list_free(made);
}
