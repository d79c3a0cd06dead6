/* Processes by fork(), with a pair of sockets each. */
#define _POSIX_C_SOURCE 200809L
#include "bench/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#define WAIT_MS 100

bool oq_child_send(int socket, const void *bytes, size_t nbytes)
{
    for (size_t done = 0; done < nbytes;) {
        ssize_t n = send(socket, (const char *)bytes + done, nbytes - done, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

bool oq_child_receive(int socket, void *bytes, size_t nbytes)
{
    for (size_t done = 0; done < nbytes;) {
        ssize_t n = recv(socket, (char *)bytes + done, nbytes - done, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

int64_t oq_child_poll(const struct oq_child *child, void *bytes, size_t nbytes)
{
    struct pollfd input = {.fd = child->socket, .events = POLLIN};
    if (poll(&input, 1, WAIT_MS) <= 0)
        return 0; /* a signal, or time to ask again */
    ssize_t n = recv(child->socket, bytes, nbytes, 0);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return 0;
    return n > 0 ? n : -1;
}

/* --- the child ---------------------------------------------------------------- */

/* Ctrl-C reaches all processes of a terminal; what it means is for the parent to say. */
static void ignore_signals(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = SIG_IGN};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        sigaction(numbers[i], &action, NULL);
}

static void end_with_parent(pid_t parent)
{
#ifdef __linux__
    prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
    if (getppid() != parent) /* it was faster; elsewhere its end of the socket is closed */
        _exit(0);
}

void oq_child_forget(const struct oq_child *other)
{
    close(other->socket);
}

bool oq_child_start(struct oq_child *child, void (*serve)(int socket, void *data), void *data,
                    onnxq_error *error)
{
    int sockets[2];
    pid_t parent = getpid();
    *child = OQ_CHILD_NONE;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) != 0)
        return oq_fail_errno(error, ONNXQ_ERROR_MEMORY, errno, "cannot make a pair of sockets");
    pid_t pid = fork();
    if (pid == 0) {
        close(sockets[0]);
        end_with_parent(parent);
        ignore_signals();
        dup2(STDERR_FILENO, STDOUT_FILENO); /* whatever the engine prints is no result */
        serve(sockets[1], data);
        _exit(0);
    }
    close(sockets[1]);
    if (pid < 0) {
        oq_fail_errno(error, ONNXQ_ERROR_MEMORY, errno, "cannot start a process");
        close(sockets[0]);
        return false;
    }
    fcntl(sockets[0], F_SETFL, O_NONBLOCK);
    *child = (struct oq_child){pid, sockets[0]};
    return true;
}

/* --- its end ------------------------------------------------------------------- */

int oq_child_wait(struct oq_child *child)
{
    int status = 0;
    while (waitpid((pid_t)child->process, &status, 0) < 0 && errno == EINTR)
        continue;
    child->process = 0;
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

const char *oq_child_signal_name(int signal)
{
    return strsignal(signal);
}

bool oq_child_was_killed(int signal)
{
    return signal == SIGKILL;
}

void oq_child_stop(struct oq_child *child)
{
    if (child->process > 0) {
        kill((pid_t)child->process, SIGKILL);
        oq_child_wait(child);
    }
    if (child->socket >= 0)
        close(child->socket);
    *child = OQ_CHILD_NONE;
}
