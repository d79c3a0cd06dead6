/* Processes that work for another: answers, failures, crashes, and one that has to be stopped. */
#define _POSIX_C_SOURCE 200809L
#include "bench/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "support/suite.h"

/* The set of a request says what happens. */
enum { ANSWER, FAIL, FAIL_SILENTLY, CRASH, EXIT, HANG, PRINT };

static bool serve(void *data, const struct oq_worker_request *request,
                  struct oq_worker_reply *reply, onnxq_error *error)
{
    int *count = data;
    switch (request->set) {
    case ANSWER:
        reply->times_ns[0] = (uint64_t)++ * count;
        reply->times_ns[OQ_BURST_MAX - 1] = request->n;
        return true;
    case FAIL:
        return oq_fail(error, ONNXQ_ERROR_INPUT, "it does not run");
    case FAIL_SILENTLY:
        return false;
    case CRASH:
        signal(SIGABRT, SIG_DFL); /* sanitizers have a handler */
        raise(SIGABRT);
        return true;
    case EXIT:
        _exit(3);
    case HANG:
        for (;;)
            pause();
    case PRINT:
        printf("no result\n");
        fflush(stdout);
        return true;
    }
    return true;
}

static int count; /* of this process: what a worker does to it stays there */

static void stop(void *worker)
{
    oq_worker_stop(worker);
}

static struct oq_worker *start(const struct oq_worker *others, size_t n_others)
{
    struct oq_worker *worker = test_alloc(sizeof(*worker));
    onnxq_error error = {.offset = ONNXQ_NO_OFFSET};
    assert_true(oq_worker_start(worker, "model.onnx", serve, &count, others, n_others, &error));
    test_defer(stop, worker);
    return worker;
}

static bool ask(struct oq_worker *worker, size_t what, struct oq_worker_reply *reply,
                onnxq_error *error)
{
    struct oq_worker_request request = {.task = OQ_WORKER_RUN, .n = 17, .set = what};
    *error = (onnxq_error){.offset = ONNXQ_NO_OFFSET};
    return oq_worker_ask(worker, &request, reply, NULL, NULL, error);
}

static void check_answer(struct oq_worker *worker, uint64_t number)
{
    struct oq_worker_reply reply;
    onnxq_error error;
    assert_true(ask(worker, ANSWER, &reply, &error));
    assert_int_equal(reply.times_ns[0], number);
    assert_int_equal(reply.times_ns[OQ_BURST_MAX - 1], 17);
}

static void test_answers(void **state)
{
    (void)state;
    struct oq_worker *worker = start(NULL, 0), *other = start(worker, 1);
    check_answer(worker, 1);
    check_answer(worker, 2);
    check_answer(other, 1);
    assert_int_equal(count, 0);
    oq_worker_stop(worker);
    check_answer(other, 2);
}

static const struct failure_row {
    const char *name;
    size_t what;
    onnxq_status status;
    const char *message;
    bool goes_on;
} failures[] = {
    {"an error", FAIL, ONNXQ_ERROR_INPUT, "model.onnx: it does not run", true},
    {"an error without a reason", FAIL_SILENTLY, ONNXQ_ERROR_INTERNAL,
     "model.onnx: a worker failed without a reason", true},
    {"a crash", CRASH, ONNXQ_ERROR_ENGINE,
     "model.onnx: ONNX Runtime crashed while it ran the model: signal 6 (Aborted)", false},
    {"an exit", EXIT, ONNXQ_ERROR_ENGINE,
     "model.onnx: ONNX Runtime ended its process with exit code 3 while it ran the model", false},
};

static void test_failure(void **state)
{
    const struct failure_row *row = *state;
    struct oq_worker_reply reply;
    onnxq_error error;
    struct oq_worker *worker = start(NULL, 0);
    assert_false(ask(worker, row->what, &reply, &error));
    assert_int_equal(error.status, row->status);
    check_text(test_error_text(&error), row->message);
    if (row->goes_on)
        check_answer(worker, 1);
    oq_worker_stop(worker);
    oq_worker_stop(worker);
}

static bool wait_twice(void *data)
{
    int *n_left = data;
    return --*n_left > 0;
}

static void test_interrupt(void **state)
{
    (void)state;
    struct oq_worker_reply reply;
    struct oq_worker_request request = {.task = OQ_WORKER_RUN, .set = HANG};
    onnxq_error error = {.offset = ONNXQ_NO_OFFSET};
    int n_left = 2;
    struct oq_worker *worker = start(NULL, 0);
    pid_t pid = (pid_t)worker->child.process;
    assert_false(oq_worker_ask(worker, &request, &reply, wait_twice, &n_left, &error));
    assert_int_equal(error.status, ONNXQ_ERROR_CANCELLED);
    oq_worker_stop(worker);
    assert_int_equal(kill(pid, 0), -1);
    assert_int_equal(errno, ESRCH);
}

/* Whom a terminal's Ctrl-C reaches, too. */
static void test_signals_are_ignored(void **state)
{
    (void)state;
    struct oq_worker *worker = start(NULL, 0);
    check_answer(worker, 1); /* it is there to hear them */
    kill((pid_t)worker->child.process, SIGINT);
    kill((pid_t)worker->child.process, SIGTERM);
    check_answer(worker, 2);
}

/* What it prints is on standard error: standard output is for results. */
static void test_prints(void **state)
{
    (void)state;
    struct oq_worker_reply reply;
    onnxq_error error;
    size_t nbytes;
    fflush(stdout);
    int out = dup(STDOUT_FILENO);
    assert_non_null(freopen(test_path("out"), "w", stdout));
    struct oq_worker *worker = start(NULL, 0);
    bool answered = ask(worker, PRINT, &reply, &error);
    fflush(stdout);
    dup2(out, STDOUT_FILENO);
    close(out);
    assert_true(answered);
    test_read_file(test_path("out"), &nbytes);
    assert_int_equal(nbytes, 0);
}

int main(void)
{
    TEST(test_answers);
    TEST_ROWS(test_failure, failures);
    TEST(test_interrupt);
    TEST(test_signals_are_ignored);
    TEST(test_prints);
    return suite_run();
}
