/*
 * Runs a fuzz target over files, for compilers without libFuzzer and for every
 * test run: replay [-mutations=N] FILE|FOLDER...
 *
 * Each file is given to the target as it is, then N times with a few bytes
 * changed, inserted or cut off. The changes depend on the file's contents only,
 * so that a failure can be repeated. A target reports a failure by abort().
 */
#define _POSIX_C_SOURCE 200809L
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes);
size_t LLVMFuzzerMutate(uint8_t *data, size_t nbytes, size_t capacity);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t nbytes, size_t capacity, unsigned seed)
    __attribute__((weak));

static unsigned long n_mutations;
static unsigned long n_inputs;

static void die(const char *path)
{
    fprintf(stderr, "replay: %s: %s\n", path, strerror(errno));
    exit(1);
}

static void *allocate(size_t nbytes)
{
    void *memory = malloc(nbytes ? nbytes : 1);
    if (!memory)
        die("malloc");
    return memory;
}

/* A copy of exactly nbytes, so that a sanitizer sees a read past the end. */
static void run(const uint8_t *data, size_t nbytes)
{
    uint8_t *copy = allocate(nbytes);
    memcpy(copy, data, nbytes);
    LLVMFuzzerTestOneInput(copy, nbytes);
    free(copy);
    n_inputs++;
}

/* xorshift64: Marsaglia, "Xorshift RNGs", 2003 */
static size_t draw(uint64_t *state, size_t below)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (size_t)(*state % below);
}

/* FNV-1a. Never 0, which xorshift could not leave. */
static uint64_t hash(const uint8_t *data, size_t nbytes)
{
    uint64_t sum = 14695981039346656037u;
    for (size_t i = 0; i < nbytes; i++)
        sum = (sum ^ data[i]) * 1099511628211u;
    return sum | 1;
}

/* Changes data[0..nbytes) at one place; grows by one byte at most. Returns the new size. */
static size_t mutate(uint8_t *data, size_t nbytes, size_t capacity, uint64_t *state)
{
    if (nbytes == 0)
        return 0;
    /* The structure is at the beginning and at the end more often than between. */
    size_t window = nbytes;
    if (draw(state, 2) == 0 && window > 256)
        window = 256;
    size_t at = draw(state, window);
    if (draw(state, 2) == 0)
        at = nbytes - 1 - at;
    switch (draw(state, 8)) {
    case 0:
        return at;
    case 1:
        if (nbytes == capacity)
            return nbytes;
        memmove(data + at + 1, data + at, nbytes - at);
        return nbytes + 1;
    case 2:
        memmove(data + at, data + at + 1, nbytes - at - 1);
        return nbytes - 1;
    case 3:
        data[at] = 0xff; /* a varint that goes on, a huge length */
        return nbytes;
    default:
        data[at] = (uint8_t)(data[at] ^ (1u << draw(state, 8)));
        return nbytes;
    }
}

/* What libFuzzer has for targets that bring a mutator of their own. */
static uint64_t mutator_state = 1;

size_t LLVMFuzzerMutate(uint8_t *data, size_t nbytes, size_t capacity)
{
    return mutate(data, nbytes, capacity, &mutator_state);
}

/* One change: every second one is the target's own, where it has a mutator. */
static size_t change(uint8_t *data, size_t nbytes, size_t capacity, uint64_t *state)
{
    if (LLVMFuzzerCustomMutator == NULL || draw(state, 2) == 0)
        return mutate(data, nbytes, capacity, state);
    mutator_state = *state;
    return LLVMFuzzerCustomMutator(data, nbytes, capacity, (unsigned)draw(state, UINT32_MAX));
}

static void replay_file(const char *path, size_t nbytes)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        die(path);
    uint8_t *data = allocate(nbytes);
    if (fread(data, 1, nbytes, file) != nbytes)
        die(path);
    fclose(file);

    fprintf(stderr, "%s\n", path);
    run(data, nbytes);
    uint64_t state = hash(data, nbytes);
    size_t capacity = 2 * nbytes + 64;
    uint8_t *changed = allocate(capacity);
    for (unsigned long i = 0; i < n_mutations; i++) {
        memcpy(changed, data, nbytes);
        size_t size = nbytes;
        for (size_t n = 1 + draw(&state, 4); n > 0; n--)
            size = change(changed, size, capacity, &state);
        run(changed, size);
    }
    free(changed);
    free(data);
}

static void replay(const char *path);

static void replay_folder(const char *path)
{
    struct dirent **entries;
    int n = scandir(path, &entries, NULL, alphasort);
    if (n < 0)
        die(path);
    for (int i = 0; i < n; i++) {
        const char *name = entries[i]->d_name;
        if (name[0] != '.') {
            char *child = allocate(strlen(path) + strlen(name) + 2);
            strcat(strcat(strcpy(child, path), "/"), name);
            replay(child);
            free(child);
        }
        free(entries[i]);
    }
    free(entries);
}

static void replay(const char *path)
{
    struct stat status;
    if (stat(path, &status) != 0)
        die(path);
    if (S_ISDIR(status.st_mode))
        replay_folder(path);
    else
        replay_file(path, (size_t)status.st_size);
}

int main(int argc, char **argv)
{
    static const char option[] = "-mutations=";
    int i = 1;
    if (i < argc && strncmp(argv[i], option, strlen(option)) == 0)
        n_mutations = strtoul(argv[i++] + strlen(option), NULL, 10);
    for (; i < argc; i++)
        replay(argv[i]);
    printf("%lu inputs\n", n_inputs);
    return n_inputs > 0 ? 0 : 1;
}
