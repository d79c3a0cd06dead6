/* A program of someone else's that uses the installed library; NULL options are the defaults. */
#include <onnxq/onnxq.h>
#include <string.h>

int main(void)
{
    onnxq_error error;
    onnxq_options options;
    onnxq_options_init(&options);

    if (strcmp(onnxq_version(), ONNXQ_VERSION_STRING) != 0) {
        printf("header %s, library %s\n", ONNXQ_VERSION_STRING, onnxq_version());
        return 1;
    }
    onnxq_status status = onnxq_quantize_file("no-such-file.onnx", "out.onnx", &options, &error);
    printf("onnxq %s: status %d: %s\n", onnxq_version(), (int)status, error.message);
    return status == ONNXQ_ERROR_INPUT &&
                   onnxq_quantize_file("no-such-file.onnx", "out.onnx", NULL, NULL) == status &&
                   onnxq_dequantize_file("no-such-file.onnx", "out.onnx", NULL, NULL) == status
               ? 0
               : 1;
}
