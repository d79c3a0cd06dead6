#include "check/names.h"

#include <string.h>

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
    char list[sizeof(error->hint) - 16] = "";
    size_t used = 0;
    (void)name;
    for (size_t i = 0; i < count && used < sizeof(list); i++)
        used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s", i > 0 ? ", " : "",
                                 parameters[i].name);
    oq_error_hint(error, "it has %s%s", list, used >= sizeof(list) ? "..." : "");
    return false;
}
