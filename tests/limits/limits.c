/*
 * What hostile models cost: limits [--long] [--table] ONNXQ FOLDER [SHAPE]
 *
 * Every shape, as a file of up to 30 KB, takes at most 64 MB of memory and a second; and as a
 * larger one a time that grows as its number of pieces does, and memory within the bound that docs
 * state. Times are those of the processor, not of the clock; growth is looked for where a run takes
 * long enough to tell it, which quadratic steps do from some nanoseconds each.
 *   --long   larger files, and a table of all of them
 *   --table  only the table of nodes and time
 * The programs that are measured are children of a small process: what counts for a
 * child is at least what its parent had when it was forked.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shapes.h"

#if defined(SANITIZED)
#define MEASURES false /* sanitizers take memory and time of their own */
#else
#define MEASURES true
#endif

#define SMALL_NBYTES  30000
#define SMALL_MB      64.0
#define SMALL_SECONDS 1.0
#define MAX_RATIO     8.0  /* of four times as much; 16 would be quadratic */
#define NOISE_SECONDS 0.02 /* what is below is not compared */
#define BASE_MB       32.0 /* of any run: program, buffers of the threads */
#define MAX_SECONDS   60   /* what takes longer is killed */
#define MB_PER_MB     500.0

static const char *program;
static int n_failed, n_runs;
static double most_mb_per_mb, most_small_mb, most_small_seconds;

struct cost {
    double seconds, mb;
    int status; /* as of a shell */
};

static void fail(const char *shape, const char *command, size_t n, const char *what)
{
    printf("FAILED %s, n = %zu, %s: %s\n", shape, n, command, what);
    n_failed++;
}

static void stop(const char *what)
{
    perror(what);
    exit(2);
}

static int wait_for(pid_t pid, struct rusage *usage)
{
    int status;
    if (pid < 0)
        stop("fork");
    while (wait4(pid, &status, 0, usage) < 0)
        if (errno != EINTR)
            stop("wait4");
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void write_file(const char *path, const struct bytes *bytes)
{
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(bytes->data, 1, bytes->nbytes, file) != bytes->nbytes ||
        fclose(file) != 0)
        stop(path);
}

/* In a process of its own, which gives its memory back. */
static double make(const struct shape *shape, size_t n)
{
    struct rusage usage;
    struct stat status;
    pid_t pid = fork();
    if (pid == 0) {
        struct bytes file = make_shape(shape, n);
        write_file("model.onnx", &file);
        _exit(0);
    }
    if (wait_for(pid, &usage) != 0 || stat("model.onnx", &status) != 0)
        stop("model.onnx");
    return (double)status.st_size;
}

static size_t size_of(const struct shape *shape, size_t n)
{
    struct bytes file = make_shape(shape, n);
    free(file.data);
    return file.nbytes;
}

/*
 * The largest count that fits into a small file. None is made that is much larger: what this
 * process has in memory counts for those that it starts.
 */
static size_t count_of_small(const struct shape *shape)
{
    size_t low = 1, high = 2;
    while (high < SMALL_NBYTES && size_of(shape, high) <= SMALL_NBYTES) {
        low = high;
        high *= 2;
    }
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (size_of(shape, middle) <= SMALL_NBYTES)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static const char *const commands[][10] = {
    {"quantize", "-qq", "--no-sync", "--allow-noop", "--min-elements=1", "model.onnx", "out.onnx",
     "--json=report.json"},
    {"quantize", "-qq", "--no-sync", "--allow-noop", "--min-elements=1", "model.onnx", "out.onnx",
     "--method=qdq"},
    {"dequantize", "-qq", "--no-sync", "--allow-noop", "model.onnx", "out.onnx",
     "--json=report.json"},
    {"inspect", "-v", "model.onnx"},
    {"inspect", "--json", "--validate", "model.onnx"},
    {"quantize", "-qq", "--no-sync", "model.onnx", "out.onnx", "--min-elements=1"},
    {"dequantize", "-qq", "--no-sync", "out.onnx", "again.onnx"},
    {"inspect", "model.onnx"},
};
enum { N_COMMANDS = 5, FIRST_OF_TABLE = 5, N_OF_TABLE = 3 };

static struct cost run(size_t command)
{
    struct rusage usage;
    const char *argv[12] = {program};
    memcpy(argv + 1, commands[command], sizeof(commands[command]));
    pid_t pid = fork();
    if (pid == 0) {
        int fd = open("output.txt", O_WRONLY | O_CREAT | O_TRUNC, 0666);
        const struct rlimit most = {MAX_SECONDS, MAX_SECONDS};
        if (setrlimit(RLIMIT_CPU, &most) == 0 && fd >= 0 && dup2(fd, 1) == 1 && dup2(fd, 2) == 2)
            execv(program, (char **)(void *)argv);
        _exit(127);
    }
    struct cost cost = {.status = wait_for(pid, &usage)};
    cost.seconds = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                   (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    cost.mb = (double)usage.ru_maxrss / 1024;
    n_runs++;
    return cost;
}

/* 3, an invalid model, is an answer too; a crash or the limit of memory is none. */
static void check_status(const struct shape *shape, size_t command, size_t n, int status)
{
    static const int allowed[] = {0, 3, 5};
    for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++)
        if (status == allowed[i])
            return;
    char what[64];
    snprintf(what, sizeof(what), "exit code %d", status);
    fail(shape->name, commands[command][0], n, what);
}

static void check_small(const struct shape *shape)
{
    char what[64];
    size_t n = count_of_small(shape);
    make(shape, n);
    for (size_t c = 0; c < N_COMMANDS; c++) {
        struct cost cost = run(c);
        check_status(shape, c, n, cost.status);
        if (cost.mb > most_small_mb)
            most_small_mb = cost.mb;
        if (cost.seconds > most_small_seconds)
            most_small_seconds = cost.seconds;
        snprintf(what, sizeof(what), "%.1f MB, %.2f s", cost.mb, cost.seconds);
        if (MEASURES && (cost.mb > SMALL_MB || cost.seconds > SMALL_SECONDS))
            fail(shape->name, commands[c][0], n, what);
    }
}

static double at_least_noise(double seconds)
{
    return seconds > NOISE_SECONDS ? seconds : NOISE_SECONDS;
}

static double fastest(size_t command, struct cost *cost, int times)
{
    *cost = run(command);
    while (--times > 0) {
        struct cost again = run(command);
        if (again.seconds < cost->seconds)
            cost->seconds = again.seconds;
    }
    return at_least_noise(cost->seconds);
}

static void check_memory(const struct shape *shape, size_t command, size_t n, double mb,
                         double file_mb)
{
    char what[100];
    double mb_per_mb = (mb - BASE_MB) / file_mb;
    if (mb_per_mb > most_mb_per_mb && file_mb > 0.5)
        most_mb_per_mb = mb_per_mb;
    snprintf(what, sizeof(what), "%.1f MB for a file of %.1f MB", mb, file_mb);
    if (mb > BASE_MB + MB_PER_MB * file_mb)
        fail(shape->name, commands[command][0], n, what);
}

/* Against a quarter, which makes model.onnx again; what looks slow gets two more tries. */
static void check_ratio(const struct shape *shape, size_t command, size_t n,
                        const struct cost *many, bool show)
{
    char what[100];
    struct cost cost;
    make(shape, n / 4);
    double few = fastest(command, &cost, 2), seconds = at_least_noise(many->seconds);
    double file_mb = make(shape, n) / 1e6;
    if (seconds > MAX_RATIO * few)
        seconds = fastest(command, &cost, 2);
    if (show)
        printf("%-28s %-12s %8zu %8.2f MB %8.1f MB %8.3f s %8.3f s %6.1f %3d\n", shape->name,
               commands[command][0], n, file_mb, many->mb, few, seconds, seconds / few,
               many->status);
    snprintf(what, sizeof(what), "%.3f s, but %.3f s for a quarter", seconds, few);
    if (seconds > MAX_RATIO * few)
        fail(shape->name, commands[command][0], n, what);
}

/* What is fast enough whatever a quarter takes is not compared with it. */
static void check_growth(const struct shape *shape, size_t n, bool show)
{
    double file_mb = make(shape, n) / 1e6;
    for (size_t c = 0; c < N_COMMANDS; c++) {
        struct cost many = run(c);
        check_status(shape, c, n, many.status);
        check_memory(shape, c, n, many.mb, file_mb);
        if (show || many.seconds > MAX_RATIO * NOISE_SECONDS)
            check_ratio(shape, c, n, &many, show);
    }
    fflush(stdout);
}

/* Nodes, half as many weights, all of which are quantized. */
static void print_table(void)
{
    const struct shape chain = {"chain_of_products", make_chain_of_products, 0};
    printf("| nodes | initializers | file | quantize | | the way back | | inspect | |\n"
           "|---|---|---|---|---|---|---|---|---|\n");
    for (size_t n = 1000; n <= 1000000; n *= 10) {
        for (size_t m = n; m <= 2 * n && m <= 1000000; m *= 2) {
            double file_mb = make(&chain, m) / 1e6;
            printf("| %zu | %zu | %.1f MB |", m, m / 2, file_mb);
            for (size_t c = 0; c < N_OF_TABLE; c++) {
                struct cost cost;
                fastest(FIRST_OF_TABLE + c, &cost, 3);
                printf(" %.0f ms | %.0f MB |", cost.seconds * 1e3, cost.mb);
                if (cost.status != 0)
                    fail(chain.name, commands[FIRST_OF_TABLE + c][0], m, "it fails");
            }
            putchar('\n');
        }
    }
}

int main(int argc, char **argv)
{
    bool is_long = false, table = false;
    for (; argc > 1 && argv[1][0] == '-'; argc--, argv++) {
        is_long |= strcmp(argv[1], "--long") == 0;
        table |= strcmp(argv[1], "--table") == 0;
    }
    const char *only = argc > 3 ? argv[3] : NULL;
    if (argc < 3 || argc > 4) {
        fputs("usage: limits [--long|--table] ONNXQ FOLDER [SHAPE]\n", stderr);
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    program = realpath(argv[1], NULL);
    mkdir(argv[2], 0777);
    if (program == NULL || chdir(argv[2]) != 0)
        stop(argv[1]);
    if (table) {
        print_table();
        return 0;
    }
    for (size_t i = 0; i < n_shapes; i++) {
        if (only != NULL && strstr(shapes[i].name, only) == NULL)
            continue;
        check_small(&shapes[i]);
        if (MEASURES && shapes[i].most == 0)
            check_growth(&shapes[i], is_long ? 200000 : 10000, is_long || only != NULL);
    }
    printf("%d runs, %d failed; up to 30 KB: %.1f MB, %.2f s; larger: %.0f MB and %.0f MB per MB "
           "of file\n",
           n_runs, n_failed, most_small_mb, most_small_seconds, BASE_MB, most_mb_per_mb);
    return n_failed == 0 ? 0 : 1;
}
