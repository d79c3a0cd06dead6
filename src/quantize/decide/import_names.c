/* Names as parts between dots and slashes; what an exporter adds behind them is taken off. */
#include "quantize/decide/import_names.h"

#include <ctype.h>
#include <string.h>

/* What several modules end in. */
static const struct oq_module ambiguous;

/* Parts joined by dots: slashes are dots, and none stands in front, behind or twice. */
static char *join_parts(struct oq_arena *arena, const char *name)
{
    char *joined = oq_arena_alloc(arena, strlen(name) + 1);
    size_t n = 0;
    for (const char *c = name; joined != NULL && *c != '\0'; c++) {
        const bool is_end = *c == '/' || *c == '.';
        if (!is_end)
            joined[n++] = *c;
        else if (n > 0 && joined[n - 1] != '.')
            joined[n++] = '.';
    }
    if (joined != NULL && n > 0 && joined[n - 1] == '.')
        joined[n - 1] = '\0';
    return joined;
}

/* "MatMul", "MatMul_12", "Gemm_quant", "weight": parts that no module has. */
static bool is_added(const char *part)
{
    static const char *const words[] = {"weight", "MatMul", "Gemm", "linear"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        const size_t n = strlen(words[i]);
        if (strcmp(part, words[i]) == 0)
            return strcmp(words[i], "linear") != 0; /* a module may be called that */
        if (strncmp(part, words[i], n) == 0 && part[n] == '_' &&
            isdigit((unsigned char)part[n + 1]))
            return true;
    }
    return false;
}

static void take_off(char *joined)
{
    for (char *last = strrchr(joined, '.'); last != NULL && is_added(last + 1);
         last = strrchr(joined, '.'))
        *last = '\0';
}

/* What is behind the next dot, or NULL. */
static const char *next_part(const char *joined)
{
    const char *dot = strchr(joined, '.');
    return dot == NULL ? NULL : dot + 1;
}

static bool add(struct oq_strmap *map, const char *name, const struct oq_module *module)
{
    void **place = oq_strmap_place(map, name);
    if (place == NULL)
        return false;
    *place = (void *)(uintptr_t)(*place == NULL ? module : &ambiguous);
    return true;
}

bool oq_import_names_init(struct oq_import_names *names, const onnxq_checkpoint *checkpoint,
                          struct oq_arena *arena)
{
    names->arena = arena;
    oq_strmap_init(&names->whole, arena);
    oq_strmap_init(&names->endings, arena);
    for (size_t i = 0; i < checkpoint->n_modules; i++) {
        const struct oq_module *module = &checkpoint->modules[i];
        const char *joined = join_parts(arena, module->name);
        if (joined == NULL || !add(&names->whole, joined, module))
            return false;
        for (const char *part = next_part(joined); part != NULL; part = next_part(part))
            if (!add(&names->endings, part, module))
                return false;
    }
    return true;
}

static enum oq_name_match take(const struct oq_module *found, enum oq_name_match match,
                               const struct oq_module **module)
{
    if (found == &ambiguous)
        return OQ_NAME_AMBIGUOUS;
    *module = found;
    return match;
}

/* The longest name of a module that it ends in; else the module whose name ends in it. */
bool oq_import_names_find(const struct oq_import_names *names, const char *name,
                          enum oq_name_match *match, const struct oq_module **module)
{
    char *joined = join_parts(names->arena, name);
    *match = OQ_NAME_OTHER;
    *module = NULL;
    if (joined == NULL)
        return false;
    take_off(joined);
    for (const char *part = joined; part != NULL; part = next_part(part)) {
        const struct oq_module *found = oq_strmap_find(&names->whole, part);
        if (found == NULL)
            continue;
        *match = take(found, part == joined ? OQ_NAME_WHOLE : OQ_NAME_ENDING, module);
        return true;
    }
    const struct oq_module *found = oq_strmap_find(&names->endings, joined);
    if (found != NULL)
        *match = take(found, OQ_NAME_ENDING, module);
    return true;
}
