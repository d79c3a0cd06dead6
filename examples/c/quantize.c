/* quantize.c MODEL OUT: the library from C, decision by decision. */
#include <onnxq/onnxq.h>
#include <stdlib.h>

static int fail(const onnxq_error *error)
{
    char text[1024];
    onnxq_error_format(error, text, sizeof(text));
    fprintf(stderr, "%s\n", text);
    return (int)error->status;
}

int main(int argc, char **argv)
{
    onnxq_error error;
    onnxq_options options;
    if (argc != 3)
        return EXIT_FAILURE;
    onnxq_options_init(&options);

    onnxq_model *model = onnxq_model_open(argv[1], &error);
    if (model == NULL)
        return fail(&error);
    onnxq_plan *plan = onnxq_plan_create(model, &options, &error);
    if (plan == NULL) {
        onnxq_model_close(model);
        return fail(&error);
    }
    for (size_t i = 0; i < onnxq_plan_count(plan); i++) {
        const onnxq_weight *weight = onnxq_plan_get(plan, i);
        char name[200];
        onnxq_escape(weight->name, name, sizeof(name));
        printf("%s: %u bits\n", name, weight->action == ONNXQ_KEEP ? 32 : weight->bits);
    }
    onnxq_status status = onnxq_plan_write(plan, argv[2], &error);
    onnxq_plan_destroy(plan);
    onnxq_model_close(model);
    return status == ONNXQ_OK ? EXIT_SUCCESS : fail(&error);
}
