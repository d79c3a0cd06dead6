/* Any bytes as a plan. What is refused is refused in one line; choices have forms that exist. */
#include "fuzz/support.h"
#include "ranges/plan_file.h"

static char *path;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes)
{
    onnxq_error error = {0};
    onnxq_plan_file file;
    if (!path)
        path = fuzz_path("plan.json");
    fuzz_write(path, data, nbytes);
    if (oq_plan_file_read(&file, path, &error)) {
        for (size_t i = 0; i < file.n_choices; i++)
            CHECK(file.choices[i].node && file.choices[i].weight &&
                  file.choices[i].form <= ONNXQ_FORM_BLOCKS_4);
    } else {
        fuzz_check_error(&error);
        CHECK(error.status == ONNXQ_ERROR_INPUT || error.status == ONNXQ_ERROR_MEMORY);
    }
    oq_plan_file_fini(&file);
    return 0;
}
