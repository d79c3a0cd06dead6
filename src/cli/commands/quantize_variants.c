/*
 * --variants: what transformers.js and the Hub call the forms of a model, and how they are made;
 * --target: the same of sentence-transformers, by processors.
 */
#include "cli/commands/quantize_command.h"

#include <string.h>

#include "base/json.h"
#include "base/nearest.h"
#include "cli/terminal/messages.h"

struct variant_kind {
    const char *name, *dtype; /* of the file, and what transformers.js calls it; NULL: a target */
    const char *suffix;
    onnxq_method method;
    onnxq_bits bits;
    int block_size;
    onnxq_weight_type weight_type;
    bool chooses_type;
    onnxq_reduce_range reduce_range; /* where none was asked for */
    bool is_half;                    /* float16 in the file, and nothing of the above */
};

#define N_KINDS 10

#define BITS_8(type, chooses, reduce)                                                              \
    ONNXQ_METHOD_DYNAMIC, ONNXQ_BITS_8, 0, ONNXQ_WEIGHT_##type, chooses, ONNXQ_REDUCE_##reduce,    \
        false
#define BLOCKS(bits, size)                                                                         \
    ONNXQ_METHOD_BLOCKS, ONNXQ_BITS_##bits, size, ONNXQ_WEIGHT_INT8, false, ONNXQ_REDUCE_NONE, false

/* Targets without VNNI add pairs of products in 16 bits, but not those of uint8. */
static const struct variant_kind kinds[N_KINDS] = {
    {"quantized", "q8", "_quantized", BITS_8(INT8, true, NONE)},
    {"int8", "int8", "_int8", BITS_8(INT8, false, NONE)},
    {"uint8", "uint8", "_uint8", BITS_8(UINT8, false, NONE)},
    {"q4", "q4", "_q4", BLOCKS(4, 32)},
    {"bnb4", "bnb4", "_bnb4", BLOCKS(NF4, 64)},
    {"fp16", "fp16", "_fp16", .is_half = true},
    {"arm64", NULL, "_qint8_arm64", BITS_8(INT8, false, NONE)},
    {"avx2", NULL, "_quint8_avx2", BITS_8(UINT8, false, NONE)},
    {"avx512", NULL, "_qint8_avx512", BITS_8(INT8, false, PAIRS)},
    {"avx512_vnni", NULL, "_qint8_avx512_vnni", BITS_8(INT8, false, NONE)},
};

/* Names of what others make are no models to begin with either. */
static const char *const hub_suffixes[] = {"_quantized",
                                           "_int8",
                                           "_uint8",
                                           "_q4",
                                           "_q4f16",
                                           "_bnb4",
                                           "_fp16",
                                           "_qint8_arm64",
                                           "_quint8_avx2",
                                           "_qint8_avx512",
                                           "_qint8_avx512_vnni",
                                           NULL};

_Static_assert(N_KINDS <= CLI_MAX_VARIANTS, "room for all");

/* Names and settings of one; what has no effect on it is left at its default. */
static void fill(cli_quantize_settings *settings, const struct variant_kind *kind)
{
    onnxq_options defaults, *options = &settings->options;
    onnxq_options_init(&defaults);
    settings->is_half = kind->is_half;
    options->method = kind->method;
    options->bits = kind->bits;
    options->block_size = kind->block_size;
    options->weight_type = kind->weight_type;
    settings->chooses_type = kind->chooses_type;
    if (options->reduce_range == ONNXQ_REDUCE_NONE)
        options->reduce_range = kind->reduce_range;
    if (kind->method != ONNXQ_METHOD_BLOCKS) {
        options->accuracy_level = defaults.accuracy_level;
        return;
    }
    options->per_channel = defaults.per_channel;
    options->reduce_range = defaults.reduce_range;
    options->conv = defaults.conv;
    options->force_integer = defaults.force_integer;
    options->join_norms = defaults.join_norms;
    options->no_smooth = defaults.no_smooth;
    if (kind->bits == ONNXQ_BITS_NF4) {
        options->symmetric = defaults.symmetric;
        options->accuracy_level = defaults.accuracy_level;
    }
}

static int check(const cli_quantize_settings *settings)
{
    const cli_common *common = &settings->common;
    onnxq_options defaults;
    onnxq_options_init(&defaults);
    const onnxq_options *options = &settings->options;
    const char *option = settings->variant_names.count > 0 ? "--variants" : "--target";
    if (options->method != defaults.method || options->bits != defaults.bits ||
        options->block_size != defaults.block_size || options->weight_type != defaults.weight_type)
        return cli_usage(common, "each of them has its own",
                         "%s goes without --method, --bits, --block-size and --weight-type",
                         option);
    if (settings->plan_path != NULL)
        return cli_usage(common, NULL, "%s and --plan cannot be combined", option);
    if (settings->weights_path != NULL)
        return cli_usage(common, NULL, "%s and --weights-from cannot be combined", option);
    if (settings->files.suffix != NULL)
        return cli_usage(common, NULL, "%s and --suffix cannot be combined", option);
    return 0;
}

static bool is_kind(const struct variant_kind *kind, const char *name)
{
    return oq_is_same_word(kind->name, strlen(kind->name), name) ||
           (kind->dtype != NULL && oq_is_same_word(kind->dtype, strlen(kind->dtype), name));
}

/* Whether all names are of kinds that the option has. An exit code. */
static int check_names(const cli_common *common, const cli_list *names, bool are_targets)
{
    for (size_t i = 0; i < names->count; i++) {
        const char *name = names->items[i];
        size_t k = 0;
        while (k < N_KINDS &&
               ((kinds[k].dtype == NULL) != are_targets || !is_kind(&kinds[k], name)))
            k++;
        if (k < N_KINDS)
            continue;
        if (!are_targets && strcmp(name, "q4f16") == 0)
            return cli_usage(common, "q4 is the same with activations of float32",
                             "--variants: q4f16 is not made: activations stay float32");
        return are_targets
                   ? cli_usage(common, "there are arm64, avx2, avx512 and avx512_vnni",
                               "--target: there is no '%s'", name)
                   : cli_usage(common,
                               "there are quantized (or q8), int8, uint8, q4, bnb4 and fp16",
                               "--variants: there is no '%s'", name);
    }
    return 0;
}

static void write_strings(struct oq_json *json, const char *key, const cli_list *list)
{
    if (list->count == 0)
        oq_json_null(json, key);
    else
        oq_json_strings(json, key, (const char *const *)list->items, list->count);
}

static bool is_asked(const cli_quantize_settings *settings, const struct variant_kind *kind)
{
    const cli_list *names = kind->dtype != NULL ? &settings->variant_names : &settings->targets;
    for (size_t i = 0; i < names->count; i++)
        if (is_kind(kind, names->items[i]))
            return true;
    return false;
}

/* The members that the converter of transformers.js writes, and who wrote these. */
static void write_config(const void *data, FILE *stream)
{
    const cli_quantize_settings *settings = data;
    const onnxq_options *options = &settings->options;
    struct oq_json json;
    oq_json_init(&json, stream);
    oq_json_open_object(&json, NULL);
    oq_json_string(&json, "onnxq", onnxq_version());
    oq_json_open_row(&json, "modes");
    for (size_t i = 0; i < N_KINDS; i++)
        if (kinds[i].dtype != NULL && is_asked(settings, &kinds[i]))
            oq_json_string(&json, NULL, kinds[i].dtype);
    oq_json_close(&json);
    oq_json_bool(&json, "per_channel", options->per_channel);
    oq_json_bool(&json, "reduce_range", options->reduce_range != ONNXQ_REDUCE_NONE);
    oq_json_null(&json, "block_size"); /* that of each mode */
    oq_json_bool(&json, "is_symmetric", options->symmetric == 1);
    oq_json_int(&json, "accuracy_level", options->accuracy_level);
    oq_json_int(&json, "quant_type", 1); /* of bnb4: NF4 */
    write_strings(&json, "op_block_list", &settings->exclude_op_types);
    oq_json_close(&json);
    oq_json_finish(&json);
}

bool cli_quantize_has_variants(const cli_quantize_settings *settings)
{
    return settings->variant_names.count > 0 || settings->targets.count > 0;
}

int cli_quantize_fill_variants(const cli_quantize_settings *settings,
                               cli_quantize_variants *variants, cli_variants *job)
{
    onnxq_error error;
    if (!cli_quantize_has_variants(settings))
        return 0;
    int code = check(settings);
    if (code == 0)
        code = check_names(&settings->common, &settings->variant_names, false);
    if (code == 0)
        code = check_names(&settings->common, &settings->targets, true);
    for (size_t i = 0; i < N_KINDS && code == 0; i++) {
        if (!is_asked(settings, &kinds[i]))
            continue;
        cli_quantize_settings *own = &variants->settings[variants->count];
        *own = *settings;
        fill(own, &kinds[i]);
        if (onnxq_options_check(&own->options, &error) != ONNXQ_OK)
            code = cli_library_error(&settings->common, &error);
        variants->list[variants->count++] = (cli_variant){kinds[i].suffix, own};
    }
    bool has_config = settings->variant_names.count > 0; /* of targets nobody reads one */
    *job = (cli_variants){variants->list, variants->count, hub_suffixes, "quantize_config.json",
                          has_config ? write_config : NULL};
    return code;
}
