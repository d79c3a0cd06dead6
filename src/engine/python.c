#define _GNU_SOURCE /* pipe2() */
#include "engine/library.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TIME_LIMIT_MS 10000 /* it takes 16 ms; a cold network drive takes longer */

/*
 * Finds the package without running it. The working folder is not looked into:
 * it may hold anybody's onnxruntime.
 */
static const char question[] =
    "import sys; sys.path = [p for p in sys.path if p]\n"
    "import importlib.util, os\n"
    "spec = importlib.util.find_spec('onnxruntime')\n"
    "capi = os.path.join(list(spec.submodule_search_locations)[0], 'capi')\n"
    "sys.stdout.buffer.write(os.fsencode(capi))\n";

static bool start(const char *program, int output, pid_t *pid)
{
    const char *const arguments[] = {program, "-c", question, NULL};
    posix_spawn_file_actions_t actions;
    if (posix_spawn_file_actions_init(&actions) != 0)
        return false;
    bool ok =
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0) == 0 &&
        posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO) == 0 &&
        posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0) == 0 &&
        posix_spawnp(pid, program, &actions, NULL, (char *const *)(uintptr_t)arguments, environ) ==
            0;
    posix_spawn_file_actions_destroy(&actions);
    return ok;
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
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
    bool found = started && read_answer(fds[0], folder, capacity);
    close(fds[0]);
    if (!started)
        return OQ_PYTHON_MISSING;
    stop(pid);
    return found ? OQ_PYTHON_FOUND : OQ_PYTHON_NO_PACKAGE;
}
