/*
 * Preloaded into a command, lets one of its allocations fail: ALLOCATION=N:FILE,
 * counted from 1; FILE is made when it happens. Only what the command itself and
 * zlib ask for counts: what ONNX Runtime does without memory is not ours to test.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_RANGES 4

/* glibc's own, under names that nothing takes the place of. */
void *__libc_malloc(size_t nbytes);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *piece, size_t nbytes);

static struct {
    uintptr_t begin, end;
} ranges[MAX_RANGES];
static size_t n_ranges;
static atomic_long left; /* 0: nothing fails */
static const char *said;

static int add_range(struct dl_phdr_info *info, size_t size, void *data)
{
    const char *name = info->dlpi_name;
    const int counts = name[0] == '\0' || strstr(name, "libz.") != NULL;
    (void)size, (void)data;
    for (size_t i = 0; counts && i < info->dlpi_phnum && n_ranges < MAX_RANGES; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        if (header->p_type != PT_LOAD || (header->p_flags & PF_X) == 0)
            continue;
        ranges[n_ranges].begin = info->dlpi_addr + header->p_vaddr;
        ranges[n_ranges].end = ranges[n_ranges].begin + header->p_memsz;
        n_ranges++;
    }
    return 0;
}

__attribute__((constructor)) static void start(void)
{
    const char *text = getenv("ALLOCATION");
    char *end;
    if (text == NULL)
        return;
    dl_iterate_phdr(add_range, NULL);
    long n = strtol(text, &end, 10);
    said = end + 1;
    atomic_store(&left, n);
}

static int fails(const void *caller)
{
    const uintptr_t address = (uintptr_t)caller;
    int counts = 0;
    for (size_t i = 0; i < n_ranges; i++)
        counts |= address >= ranges[i].begin && address < ranges[i].end;
    if (!counts || atomic_load(&left) <= 0 || atomic_fetch_sub(&left, 1) != 1)
        return 0;
    close(open(said, O_WRONLY | O_CREAT | O_CLOEXEC, 0666));
    errno = ENOMEM;
    return 1;
}

#define CALLER __builtin_return_address(0)

void *malloc(size_t nbytes)
{
    return fails(CALLER) ? NULL : __libc_malloc(nbytes);
}

void *calloc(size_t count, size_t size)
{
    return fails(CALLER) ? NULL : __libc_calloc(count, size);
}

void *realloc(void *piece, size_t nbytes)
{
    return fails(CALLER) ? NULL : __libc_realloc(piece, nbytes);
}

static char *copy(const char *text, size_t length)
{
    char *result = __libc_malloc(length + 1);
    if (result == NULL)
        return NULL;
    result[length] = '\0';
    return memcpy(result, text, length);
}

char *strdup(const char *text)
{
    return fails(CALLER) ? NULL : copy(text, strlen(text));
}

char *strndup(const char *text, size_t length)
{
    return fails(CALLER) ? NULL : copy(text, strnlen(text, length));
}
