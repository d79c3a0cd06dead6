/* Reads /proc/PID/status. */
#include "bench/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* The line "\nNAME:   123 kB". */
static bool find(const char *status, const char *name, uint64_t *nbytes)
{
    uint64_t kilobytes;
    char unit[3];
    const char *line = strstr(status, name);
    if (line == NULL || sscanf(line + strlen(name), ": %" SCNu64 " %2s", &kilobytes, unit) != 2 ||
        strcmp(unit, "kB") != 0 || kilobytes > UINT64_MAX / 1024)
        return false;
    *nbytes = kilobytes * 1024;
    return true;
}

bool oq_memory_parse(const char *status, struct oq_memory *memory)
{
    return find(status, "\nVmHWM", &memory->peak) &&
           find(status, "\nRssAnon", &memory->anonymous) &&
           find(status, "\nRssFile", &memory->file);
}

void oq_memory_read(struct oq_memory *memory)
{
    char status[8192] = "";
    FILE *file = fopen("/proc/self/status", "r");
    if (file != NULL) {
        status[fread(status, 1, sizeof(status) - 1, file)] = '\0';
        fclose(file);
    }
    if (!oq_memory_parse(status, memory))
        *memory = (struct oq_memory){0};
}
