/* Numbers of bytes as people read them. */
#include "base/size.h"

#include <stdio.h>

struct oq_size oq_size(uint64_t nbytes)
{
    static const char units[][3] = {"KB", "MB", "GB", "TB", "PB", "EB"};
    if (nbytes < 1000)
        return (struct oq_size){(double)nbytes, "B"};
    double value = (double)nbytes / 1e3;
    unsigned unit = 0;
    for (; value >= 999.95; unit++) /* 2^64 are 18.4 EB */
        value /= 1e3;
    return (struct oq_size){value, units[unit]};
}

struct oq_size_text oq_size_text(uint64_t nbytes)
{
    struct oq_size_text size;
    struct oq_size parts = oq_size(nbytes);
    snprintf(size.text, sizeof(size.text), "%.*f %s", nbytes < 1000 ? 0 : 1, parts.value,
             parts.unit);
    return size;
}
