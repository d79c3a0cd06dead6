/*
 * Modules among the tensors of a checkpoint: what is called NAME.qweight, .qzeros, .scales, .g_idx.
 * Shapes say of what bits and size each is; the configuration beside the checkpoint has to agree.
 */
#include "checkpoint/checkpoint.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"

#define WORD_NBITS 32

/* K and N of MatMulNBits. */
#define MAX_SIDE ((uint64_t)INT32_MAX)

static bool refuse(const struct oq_module *module, onnxq_error *error, const char *format, ...)
    OQ_PRINTF(3, 4);

static bool refuse(const struct oq_module *module, onnxq_error *error, const char *format, ...)
{
    char message[sizeof(error->message)];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    oq_fail(error, ONNXQ_ERROR_INPUT, "%s", message);
    if (module->weight != NULL)
        oq_error_file(error, module->weight->file->path);
    oq_error_place(error, "module \"%s\"", module->name);
    return false;
}

/* --- its tensors --- */

static const struct oq_stored *find(const onnxq_checkpoint *checkpoint, struct oq_arena *arena,
                                    const char *module, const char *part)
{
    const char *name = oq_arena_printf(arena, "%s.%s", module, part);
    return name == NULL ? NULL : oq_strmap_find(&checkpoint->by_name, name);
}

static bool check_tensor(const struct oq_module *module, const struct oq_stored *stored,
                         const char *part, bool is_float, onnxq_error *error)
{
    if (stored == NULL) {
        refuse(module, error, "has no %s", part);
        oq_error_hint(error, "a part of a checkpoint? name its model.safetensors.index.json");
        return false;
    }
    const bool fits = is_float ? stored->type == OQ_STORED_F16 || stored->type == OQ_STORED_BF16 ||
                                     stored->type == OQ_STORED_F32
                               : stored->type == OQ_STORED_I32;
    if (!fits)
        return refuse(module, error, "its %s is %.20s, expected %s", part, stored->dtype,
                      is_float ? "F16, BF16 or F32" : "I32");
    if (stored->n_dims != 2 || stored->nelem == 0)
        return refuse(module, error, "its %s is not a matrix with elements", part);
    return true;
}

static bool find_tensors(const onnxq_checkpoint *checkpoint, struct oq_module *module,
                         struct oq_arena *arena, onnxq_error *error)
{
    module->zeros = find(checkpoint, arena, module->name, "qzeros");
    module->scales = find(checkpoint, arena, module->name, "scales");
    module->groups = find(checkpoint, arena, module->name, "g_idx");
    if (arena->failed)
        return oq_arena_fail(arena, error);
    return check_tensor(module, module->weight, "qweight", false, error) &&
           check_tensor(module, module->zeros, "qzeros", false, error) &&
           check_tensor(module, module->scales, "scales", true, error);
}

/* --- its shape --- */

/* qzeros have as many integers in a row as scales have numbers. */
static bool find_bits(struct oq_module *module, const struct oq_quantization *said,
                      onnxq_error *error)
{
    const uint64_t words = module->zeros->dims[1];
    module->columns = module->scales->dims[1];
    module->n_groups = module->scales->dims[0];
    const bool fits = words <= MAX_SIDE && module->columns <= MAX_SIDE &&
                      words * WORD_NBITS % module->columns == 0 &&
                      module->zeros->dims[0] == module->n_groups;
    const uint64_t bits = fits ? words * WORD_NBITS / module->columns : 0;
    if (bits != 2 && bits != 3 && bits != 4 && bits != 8)
        return refuse(module, error,
                      "qzeros [%" PRIu64 ",%" PRIu64 "] do not fit scales [%" PRIu64 ",%" PRIu64
                      "] in 2, 3, 4 or 8 bits",
                      module->zeros->dims[0], words, module->n_groups, module->columns);
    module->bits = (unsigned)bits;
    if (said->bits != 0 && !said->has_exceptions && said->bits != (int64_t)bits)
        return refuse(module, error, "has %u bits, and %s says %" PRId64, module->bits, said->path,
                      said->bits);
    return true;
}

static bool find_packing(struct oq_module *module, const struct oq_quantization *said,
                         onnxq_error *error)
{
    const uint64_t *dims = module->weight->dims;
    const bool is_awq = dims[1] == module->zeros->dims[1];
    if (!is_awq && dims[1] != module->columns)
        return refuse(module, error,
                      "qweight [%" PRIu64 ",%" PRIu64 "] is packed neither as GPTQ has it nor as "
                      "AWQ, of %" PRIu64 " columns",
                      dims[0], dims[1], module->columns);
    if (said->packing != OQ_PACKING_UNKNOWN && (said->packing == OQ_PACKING_AWQ) != is_awq)
        return refuse(module, error, "is packed as %s has it, and %s says otherwise",
                      is_awq ? "AWQ" : "GPTQ", said->path);
    module->packing = is_awq                                ? OQ_PACKING_AWQ
                      : said->packing == OQ_PACKING_GPTQ_V2 ? OQ_PACKING_GPTQ_V2
                                                            : OQ_PACKING_GPTQ;
    if (dims[0] > MAX_SIDE)
        return refuse(module, error, "has more than 2147483647 rows");
    module->rows = is_awq ? dims[0] : dims[0] * WORD_NBITS / module->bits;
    if (module->rows > MAX_SIDE || (!is_awq && dims[0] * WORD_NBITS % module->bits != 0))
        return refuse(module, error, "qweight has %" PRIu64 " rows, not those of %u bits", dims[0],
                      module->bits);
    return true;
}

static bool refuse_groups(const struct oq_module *module, const struct oq_quantization *said,
                          onnxq_error *error)
{
    if (said->group_size == 0)
        return refuse(module, error,
                      "has %" PRIu64 " rows in %" PRIu64
                      " groups, and nothing says how many are in each",
                      module->rows, module->n_groups);
    return refuse(module, error,
                  "has %" PRIu64 " rows in %" PRIu64 " groups, and %s says group_size %" PRId64,
                  module->rows, module->n_groups, said->path, said->group_size);
}

static bool find_groups(struct oq_module *module, const struct oq_quantization *said,
                        onnxq_error *error)
{
    const uint64_t n = module->n_groups, rows = module->rows;
    const uint64_t size = said->group_size < 0 ? rows : (uint64_t)said->group_size;
    if (size != 0 && oq_divide_up_u64(rows, size) == n)
        module->group_size = oq_min_u64(size, rows);
    else if ((size == 0 || said->has_exceptions) && rows % n == 0)
        module->group_size = rows / n;
    else
        return refuse_groups(module, said, error);
    if (module->groups != NULL &&
        (module->groups->type != OQ_STORED_I32 || module->groups->nelem != rows))
        return refuse(module, error, "its g_idx is not an I32 for each of %" PRIu64 " rows", rows);
    return true;
}

/* --- what MatMulNBits has --- */

/* Measured: ONNX Runtime takes blocks from 16 on, and integers of 2, 4 and 8 bits. */
#define LEAST_BLOCK 16

static const char *find_refusal(const struct oq_module *module)
{
    if (module->bits == 3)
        return "MatMulNBits has no 3 bits";
    if (module->packing == OQ_PACKING_AWQ && module->bits != 4)
        return "AWQ is read with 4 bits";
    if (module->n_groups > 1 && module->group_size % LEAST_BLOCK != 0)
        return "groups that are no multiple of 16 rows";
    return NULL;
}

static bool read_module(const onnxq_checkpoint *checkpoint, struct oq_module *module,
                        struct oq_arena *arena, onnxq_error *error)
{
    const struct oq_quantization *said = &checkpoint->quantization;
    if (!find_tensors(checkpoint, module, arena, error) || !find_bits(module, said, error) ||
        !find_packing(module, said, error) || !find_groups(module, said, error))
        return false;
    module->refusal = find_refusal(module);
    return true;
}

static bool add_module(onnxq_checkpoint *checkpoint, const struct oq_stored *stored, size_t n_name,
                       onnxq_error *error)
{
    struct oq_arena *arena = &checkpoint->arena;
    struct oq_module module = {.weight = stored};
    module.name = oq_arena_printf(arena, "%.*s", (int)n_name, stored->name);
    if (module.name == NULL ||
        !oq_arena_grow(arena, &checkpoint->modules, checkpoint->n_modules,
                       &checkpoint->modules_capacity, sizeof(*checkpoint->modules)))
        return oq_arena_fail(arena, error);
    if (!read_module(checkpoint, &module, arena, error))
        return false;
    checkpoint->modules[checkpoint->n_modules++] = module;
    return true;
}

/* Of the first module: most are alike. */
static void fill_info(onnxq_checkpoint *checkpoint)
{
    static const char *const names[] = {"", "gptq", "gptq_v2", "awq"};
    const struct oq_module *first = &checkpoint->modules[0];
    checkpoint->info = (onnxq_checkpoint_info){.struct_size = sizeof(checkpoint->info),
                                               .format = names[first->packing],
                                               .bits = first->bits,
                                               .group_size = first->group_size,
                                               .n_modules = checkpoint->n_modules};
}

bool oq_checkpoint_find_modules(onnxq_checkpoint *checkpoint, onnxq_error *error)
{
    static const char ending[] = ".qweight";
    const size_t n_ending = strlen(ending);
    for (size_t i = 0; i < checkpoint->stored.count; i++) {
        const struct oq_stored *stored = &checkpoint->stored.items[i];
        const size_t n = strlen(stored->name);
        if (n <= n_ending || n - n_ending > INT32_MAX ||
            strcmp(stored->name + n - n_ending, ending) != 0)
            continue;
        if (!add_module(checkpoint, stored, n - n_ending, error))
            return false;
    }
    if (checkpoint->n_modules > 0) {
        fill_info(checkpoint);
        return true;
    }
    oq_fail(error, ONNXQ_ERROR_INPUT, "has no tensor NAME.qweight, as GPTQ and AWQ write them");
    oq_error_hint(error, "other ways to quantize, and models that are not, are not read");
    return false;
}
