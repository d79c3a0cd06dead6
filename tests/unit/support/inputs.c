#include "support/inputs.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"

static void release(void *sets)
{
    oq_input_sets_fini(sets);
}

static const char *text_of_element(const struct oq_array *array, uint64_t index)
{
    if (array->data_type == 8)
        return test_printf("\"%s\"", ((const char *const *)array->data)[index]);
    if (oq_array_is_numeric(array)) {
        double value;
        oq_array_read_doubles(array, index, 1, &value);
        return test_printf("%.17g", value);
    }
    const char *text = "";
    size_t width = (size_t)(array->nbytes / array->nelem);
    for (size_t i = 0; i < width; i++)
        text = test_printf("%s%02x", text, ((const uint8_t *)array->data)[index * width + i]);
    return text;
}

static const char *text_of_arrays(const struct oq_arrays *arrays)
{
    const char *text = "";
    for (size_t i = 0; i < arrays->count; i++) {
        const struct oq_array *array = &arrays->list[i];
        char kind[256];
        oq_array_describe(array, kind, sizeof(kind));
        text = test_printf("%s%s%s=%s%s", text, i > 0 ? ", " : "", array->name, kind,
                           array->nelem > 0 ? ":" : "");
        for (uint64_t k = 0; k < array->nelem; k++)
            text = test_printf("%s %s", text, text_of_element(array, k));
    }
    return text;
}

static const char *text_of_set(const struct oq_input_set *set)
{
    const char *label = set->label, *folder = test_path("");
    if (strncmp(label, folder, strlen(folder)) == 0)
        label += strlen(folder);
    const char *text = test_printf("%s{%s}", label, text_of_arrays(&set->inputs));
    return set->outputs.count == 0 ? text
                                   : test_printf("%s->{%s}", text, text_of_arrays(&set->outputs));
}

const char *test_inputs_text(const struct oq_input_sets *sets)
{
    const char *text = "";
    for (size_t i = 0; i < sets->count; i++)
        text = test_printf("%s%s%s", text, i > 0 ? " " : "", text_of_set(&sets->list[i]));
    return text;
}

const char *test_inputs(const char *name)
{
    struct oq_input_sets *sets = test_alloc(sizeof(*sets));
    onnxq_error error;
    oq_error_init(&error);
    test_defer(release, sets);
    if (!oq_input_sets_read(sets, test_path(name), &error)) {
        assert_int_not_equal(error.status, ONNXQ_OK);
        assert_true(error.file[0] != '\0' && error.message[0] != '\0');
        return test_printf("%s%s%s%s", test_error_text(&error), error.hint[0] ? " (" : "",
                           error.hint, error.hint[0] ? ")" : "");
    }
    return test_inputs_text(sets);
}

const char *test_inputs_of(const char *name, const void *bytes, size_t nbytes)
{
    test_write_file(test_path(name), bytes, nbytes);
    return test_inputs(name);
}

struct oq_signature test_signature(const onnxq_model *model)
{
    struct oq_signature signature;
    onnxq_error error;
    oq_error_init(&error);
    assert_true(oq_signature_init(&signature, model, test_arena((size_t)16 << 20), &error));
    return signature;
}
