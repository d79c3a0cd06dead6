#include "check/names.h"

#include <string.h>

#include "base/nearest.h"

struct oq_parameter *oq_names_find(struct oq_parameter *parameters, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(parameters[i].name, name) == 0)
            return &parameters[i];
    }
    return NULL;
}

bool oq_names_hint(const struct oq_parameter *parameters, size_t count, const char *name,
                   onnxq_error *error)
{
    struct oq_nearest nearest = {.wanted = name};
    for (size_t i = 0; i < count; i++)
        oq_nearest_offer(&nearest, parameters[i].name);
    oq_nearest_hint(&nearest, error);
    return false;
}
