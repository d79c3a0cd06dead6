/* Requests and answers between a benchmark and the processes that run its models. */
#define _POSIX_C_SOURCE 200809L
#include "bench/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#define WAIT_MS 100

/* --- both sides --------------------------------------------------------------- */

static bool send_all(int fd, const void *bytes, size_t nbytes)
{
    for (size_t done = 0; done < nbytes;) {
        ssize_t n = send(fd, (const char *)bytes + done, nbytes - done, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

/* --- the worker --------------------------------------------------------------- */

static bool receive_all(int fd, void *bytes, size_t nbytes)
{
    for (size_t done = 0; done < nbytes;) {
        ssize_t n = recv(fd, (char *)bytes + done, nbytes - done, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

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

static void serve_all(int fd, oq_worker_fn serve, void *data)
{
    static struct oq_worker_reply reply; /* it is large, and there is one of them */
    struct oq_worker_request request;
    while (receive_all(fd, &request, sizeof(request))) {
        memset(&reply, 0, sizeof(reply));
        oq_error_init(&reply.error);
        if (!serve(data, &request, &reply, &reply.error))
            oq_fail(&reply.error, ONNXQ_ERROR_INTERNAL, "a worker failed without a reason");
        if (!send_all(fd, &reply, sizeof(reply)))
            break;
    }
}

_Noreturn static void be_worker(int fd, pid_t parent, oq_worker_fn serve, void *data)
{
    end_with_parent(parent);
    ignore_signals();
    dup2(STDERR_FILENO, STDOUT_FILENO); /* whatever the engine prints is no result */
    serve_all(fd, serve, data);
    _exit(0);
}

/* --- the parent --------------------------------------------------------------- */

bool oq_worker_start(struct oq_worker *worker, const char *name, oq_worker_fn serve, void *data,
                     const struct oq_worker *others, size_t n_others, onnxq_error *error)
{
    int sockets[2];
    pid_t parent = getpid();
    *worker = (struct oq_worker){.name = name, .socket = -1};
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) != 0)
        return oq_fail_errno(error, ONNXQ_ERROR_MEMORY, errno, "cannot make a pair of sockets");
    pid_t pid = fork();
    if (pid == 0) {
        close(sockets[0]);
        for (size_t i = 0; i < n_others; i++)
            close(others[i].socket);
        be_worker(sockets[1], parent, serve, data);
    }
    close(sockets[1]);
    if (pid < 0) {
        oq_fail_errno(error, ONNXQ_ERROR_MEMORY, errno, "cannot start a process");
        close(sockets[0]);
        return false;
    }
    fcntl(sockets[0], F_SETFL, O_NONBLOCK);
    worker->pid = pid;
    worker->socket = sockets[0];
    return true;
}

static int reap(pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return status;
}

static const char *describe_task(enum oq_worker_task task)
{
    return task == OQ_WORKER_LOAD ? "while it loaded the model" : "while it ran the model";
}

/* The socket is closed: the worker has ended, or is about to. */
static bool fail_ended(struct oq_worker *worker, enum oq_worker_task task, onnxq_error *error)
{
    int status = reap(worker->pid);
    worker->pid = 0;
    if (!WIFSIGNALED(status)) {
        oq_fail(error, ONNXQ_ERROR_ENGINE, "ONNX Runtime ended its process with exit code %d %s",
                WEXITSTATUS(status), describe_task(task));
        return false;
    }
    oq_fail(error, ONNXQ_ERROR_ENGINE, "ONNX Runtime crashed %s: signal %d (%s)",
            describe_task(task), WTERMSIG(status), strsignal(WTERMSIG(status)));
    if (WTERMSIG(status) == SIGKILL)
        oq_error_hint(error, "the system kills what takes too much memory");
    return false;
}

/* False where the other end is closed or waiting was ended; then with an error. */
static bool receive_reply(struct oq_worker *worker, enum oq_worker_task task,
                          struct oq_worker_reply *reply, oq_worker_wait_fn wait, void *wait_data,
                          onnxq_error *error)
{
    for (size_t done = 0; done < sizeof(*reply);) {
        struct pollfd input = {.fd = worker->socket, .events = POLLIN};
        if (wait != NULL && !wait(wait_data))
            return oq_fail(error, ONNXQ_ERROR_CANCELLED, "cancelled");
        if (poll(&input, 1, WAIT_MS) <= 0)
            continue; /* a signal, or time to ask again */
        ssize_t n = recv(worker->socket, (char *)reply + done, sizeof(*reply) - done, 0);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n <= 0)
            return fail_ended(worker, task, error);
        done += (size_t)n;
    }
    return true;
}

bool oq_worker_ask(struct oq_worker *worker, const struct oq_worker_request *request,
                   struct oq_worker_reply *reply, oq_worker_wait_fn wait, void *wait_data,
                   onnxq_error *error)
{
    bool answered = send_all(worker->socket, request, sizeof(*request))
                        ? receive_reply(worker, request->task, reply, wait, wait_data, error)
                        : fail_ended(worker, request->task, error);
    bool has_failed = answered && reply->error.status != ONNXQ_OK;
    if (has_failed)
        *error = reply->error;
    /* No model is to blame for an engine that cannot be opened. */
    if (error->status != ONNXQ_ERROR_CANCELLED &&
        !(has_failed && error->status == ONNXQ_ERROR_ENGINE))
        oq_error_file(error, worker->name);
    return answered && !has_failed;
}

void oq_worker_stop(struct oq_worker *worker)
{
    if (worker->pid > 0) {
        kill(worker->pid, SIGKILL);
        reap(worker->pid);
    }
    if (worker->socket >= 0)
        close(worker->socket);
    *worker = (struct oq_worker){.name = worker->name, .socket = -1};
}
