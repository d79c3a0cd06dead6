/* Requests and answers between a benchmark and the processes that run its models. */
#include "bench/worker.h"

#include <string.h>

/* --- the worker --------------------------------------------------------------- */

struct service {
    oq_worker_fn serve;
    void *data;
    const struct oq_worker *others;
    size_t n_others;
};

static void serve_all(int socket, void *data)
{
    static struct oq_worker_reply reply; /* it is large, and there is one of them */
    const struct service *service = data;
    struct oq_worker_request request;
    for (size_t i = 0; i < service->n_others; i++)
        oq_child_forget(&service->others[i].child);
    while (oq_child_receive(socket, &request, sizeof(request))) {
        memset(&reply, 0, sizeof(reply));
        oq_error_init(&reply.error);
        if (!service->serve(service->data, &request, &reply, &reply.error))
            oq_fail(&reply.error, ONNXQ_ERROR_INTERNAL, "a worker failed without a reason");
        if (!oq_child_send(socket, &reply, sizeof(reply)))
            break;
    }
}

/* --- the parent --------------------------------------------------------------- */

bool oq_worker_start(struct oq_worker *worker, const char *name, oq_worker_fn serve, void *data,
                     const struct oq_worker *others, size_t n_others, onnxq_error *error)
{
    struct service service = {serve, data, others, n_others};
    *worker = (struct oq_worker){.name = name};
    return oq_child_start(&worker->child, serve_all, &service, error);
}

static const char *describe_task(enum oq_worker_task task)
{
    return task == OQ_WORKER_LOAD ? "while it loaded the model" : "while it ran the model";
}

/* The socket is closed: the worker has ended, or is about to. */
static bool fail_ended(struct oq_worker *worker, enum oq_worker_task task, onnxq_error *error)
{
    int end = oq_child_wait(&worker->child);
    if (end >= 0)
        return oq_fail(error, ONNXQ_ERROR_ENGINE,
                       "ONNX Runtime ended its process with exit code %d %s", end,
                       describe_task(task));
    oq_fail(error, ONNXQ_ERROR_ENGINE, "ONNX Runtime crashed %s: signal %d (%s)",
            describe_task(task), -end, oq_child_signal_name(-end));
    if (oq_child_was_killed(-end))
        oq_error_hint(error, "the system kills what takes too much memory");
    return false;
}

/* False where the other end is closed or waiting was ended; then with an error. */
static bool receive_reply(struct oq_worker *worker, enum oq_worker_task task,
                          struct oq_worker_reply *reply, oq_worker_wait_fn wait, void *wait_data,
                          onnxq_error *error)
{
    for (size_t done = 0; done < sizeof(*reply);) {
        if (wait != NULL && !wait(wait_data))
            return oq_fail(error, ONNXQ_ERROR_CANCELLED, "cancelled");
        int64_t n = oq_child_poll(&worker->child, (char *)reply + done, sizeof(*reply) - done);
        if (n < 0)
            return fail_ended(worker, task, error);
        done += (size_t)n;
    }
    return true;
}

bool oq_worker_ask(struct oq_worker *worker, const struct oq_worker_request *request,
                   struct oq_worker_reply *reply, oq_worker_wait_fn wait, void *wait_data,
                   onnxq_error *error)
{
    bool answered = oq_child_send(worker->child.socket, request, sizeof(*request))
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
    oq_child_stop(&worker->child);
}
