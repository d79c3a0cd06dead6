/* Asks a Python where its onnxruntime is, in a child that is stopped when it hangs. */
#define _GNU_SOURCE /* pipe2(), posix_spawn_file_actions_addchdir_np() */
#include "engine/library.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

#define TIME_LIMIT_MS 10000 /* it takes 16 ms; a cold network drive takes longer */

/*
 * Finds the package without running it. The working folder is not looked into:
 * it may hold anybody's onnxruntime, sitecustomize and python3. So Python starts
 * in /, and has only the absolute entries of PYTHONPATH; it keeps the rest of
 * its environment, and with that what `pip install --user` has installed.
 */
static const char question[] =
    "import sys; sys.path = [p for p in sys.path if p[:1] == '/']\n"
    "import importlib.util, os\n"
    "spec = importlib.util.find_spec('onnxruntime')\n"
    "capi = os.path.join(list(spec.submodule_search_locations)[0], 'capi')\n"
    "sys.stdout.buffer.write(os.fsencode(capi))\n";

/* --- its environment ---------------------------------------------------------- */

static const char path_variable[] = "PYTHONPATH=";

/* From 3.11 on: nothing in front of sys.path for -c, so / neither. */
static const char safe_path[] = "PYTHONSAFEPATH=1";

/* PYTHONPATH without its relative and empty entries, which are the working folder. */
static char *safe_python_path(void)
{
    const char *list = getenv("PYTHONPATH");
    size_t n_list = list != NULL ? strlen(list) : 0;
    char *safe = malloc(sizeof(path_variable) + n_list + 1), *end = safe;
    if (safe == NULL)
        return NULL;
    end = stpcpy(end, path_variable);
    for (const char *next = list; next != NULL && *next != '\0';) {
        size_t n = strcspn(next, ":");
        if (next[0] == '/') {
            memcpy(end, next, n);
            end += n;
            *end++ = ':';
        }
        next += n + (next[n] == ':');
    }
    end[end[-1] == ':' ? -1 : 0] = '\0';
    return safe;
}

static bool is_replaced(const char *variable)
{
    return strncmp(variable, path_variable, strlen(path_variable)) == 0 ||
           strncmp(variable, safe_path, strcspn(safe_path, "=") + 1) == 0;
}

/* That of this process, but for the two; NULL without memory. The array alone is new. */
static const char **make_environment(const char *python_path)
{
    size_t n = 0, n_kept = 0;
    while (environ[n] != NULL)
        n++;
    const char **variables = calloc(n + 3, sizeof(*variables));
    if (variables == NULL)
        return NULL;
    for (size_t i = 0; i < n; i++)
        if (!is_replaced(environ[i]))
            variables[n_kept++] = environ[i];
    variables[n_kept++] = python_path;
    variables[n_kept] = safe_path;
    return variables;
}

/* --- the question ------------------------------------------------------------- */

static bool start_in(const char *const *variables, const char *program, int output, pid_t *pid)
{
    const char *const arguments[] = {program, "-c", question, NULL};
    posix_spawn_file_actions_t actions;
    if (posix_spawn_file_actions_init(&actions) != 0)
        return false;
    bool ok =
        posix_spawn_file_actions_addchdir_np(&actions, "/") == 0 &&
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0) == 0 &&
        posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO) == 0 &&
        posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0) == 0 &&
        posix_spawnp(pid, program, &actions, NULL, (char *const *)(uintptr_t)arguments,
                     (char *const *)(uintptr_t)variables) == 0;
    posix_spawn_file_actions_destroy(&actions);
    return ok;
}

static bool start(const char *program, int output, pid_t *pid)
{
    char *python_path = safe_python_path();
    const char **variables = python_path == NULL ? NULL : make_environment(python_path);
    bool ok = variables != NULL && start_in(variables, program, output, pid);
    free(variables);
    free(python_path);
    return ok;
}

static int64_t now_ms(void)
{
    return (int64_t)(oq_now_ns() / 1000000);
}

static bool wait_for_input(int fd, int64_t deadline)
{
    struct pollfd poller = {.fd = fd, .events = POLLIN};
    for (int64_t left; (left = deadline - now_ms()) > 0;) {
        int n = poll(&poller, 1, (int)left);
        if (n != 0 && !(n < 0 && errno == EINTR))
            return n > 0;
    }
    return false;
}

/* All that it writes until it ends; false where it takes too long or writes too much. */
static bool read_answer(int fd, char *answer, size_t capacity)
{
    int64_t deadline = now_ms() + TIME_LIMIT_MS;
    size_t used = 0;
    while (used < capacity && wait_for_input(fd, deadline)) {
        ssize_t n = read(fd, answer + used, capacity - used);
        if (n < 0 && errno != EINTR)
            return false;
        if (n == 0) {
            answer[used] = '\0';
            return used > 0;
        }
        used += n > 0 ? (size_t)n : 0;
    }
    return false;
}

/* Whatever it still does, the answer is there or never comes. */
static void stop(pid_t pid)
{
    kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
}

enum oq_python_answer oq_python_ask(const char *program, char *folder, size_t capacity)
{
    int fds[2];
    pid_t pid;
    if (pipe2(fds, O_CLOEXEC) != 0)
        return OQ_PYTHON_MISSING;
    bool started = start(program, fds[1], &pid);
    close(fds[1]);
    bool found = started && read_answer(fds[0], folder, capacity) && folder[0] == '/';
    close(fds[0]);
    if (!started)
        return OQ_PYTHON_MISSING;
    stop(pid);
    return found ? OQ_PYTHON_FOUND : OQ_PYTHON_NO_PACKAGE;
}
