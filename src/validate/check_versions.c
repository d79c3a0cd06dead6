/* Versions that came after this program: what is in such a model may be right, or not. */
#include "validate/checker.h"

/*
 * The newest of ONNX 1.23 (onnx/helper.py, VERSION_TABLE), and of the domains of ONNX Runtime
 * 1.32, which loads all of these and none that is newer.
 */
#define NEWEST_IR_VERSION 14
static const struct {
    const char *domain;
    int64_t version;
} newest[] = {
    {"", 28},
    {"ai.onnx.ml", 5},
    {"ai.onnx.preview", 1},
    {"ai.onnx.preview.training", 1},
    {"ai.onnx.training", 1},
    {"com.microsoft", 1},
    {"com.microsoft.experimental", 1},
    {"com.microsoft.nchwc", 1},
};

static void check_import(struct oq_checker *checker, const Oq__Pb__OperatorSetIdProto *import)
{
    const char *domain = oq_domain(import->domain);
    for (size_t i = 0; i < sizeof(newest) / sizeof(newest[0]); i++)
        if (strcmp(domain, newest[i].domain) == 0 && import->version > newest[i].version)
            oq_warn(checker, "opset %lld of %s is newer than any that onnxq knows (%lld)",
                    (long long)import->version, domain[0] == '\0' ? "ai.onnx" : domain,
                    (long long)newest[i].version);
}

void oq_check_versions(struct oq_checker *checker)
{
    const Oq__Pb__ModelProto *model = checker->model->proto;
    if (model->ir_version > NEWEST_IR_VERSION)
        oq_warn(checker, "IR version %lld is newer than any that onnxq knows (%d)",
                (long long)model->ir_version, NEWEST_IR_VERSION);
    for (size_t i = 0; i < model->n_opset_import; i++)
        check_import(checker, model->opset_import[i]);
}
