/* Versions that came after this program: what is in such a model may be right, or not. */
#include "validate/checker.h"

#include "model/needs.h"

/*
 * The newest that ONNX Runtime loads, which are those of ONNX 1.23 as well (onnx/helper.py,
 * VERSION_TABLE): ai.onnx, ai.onnx.ml and the format as in operators/engines.h, and these.
 */
static const struct {
    const char *domain;
    int64_t version;
} newest[] = {
    {"ai.onnx.preview", 1}, {"ai.onnx.preview.training", 1},   {"ai.onnx.training", 1},
    {"com.microsoft", 1},   {"com.microsoft.experimental", 1}, {"com.microsoft.nchwc", 1},
};

/* 0: nothing is known of the domain. */
static int64_t find_newest(const char *domain)
{
    for (size_t i = 0; i < sizeof(newest) / sizeof(newest[0]); i++)
        if (strcmp(domain, newest[i].domain) == 0)
            return newest[i].version;
    return oq_engine_opset(domain, OQ_NEWEST_ENGINE);
}

static void check_import(struct oq_checker *checker, const Oq__Pb__OperatorSetIdProto *import)
{
    const char *domain = oq_domain(import->domain);
    const int64_t version = find_newest(domain);
    if (version != 0 && import->version > version)
        oq_warn(checker, "opset %lld of %s is newer than any that onnxq knows (%lld)",
                (long long)import->version, domain[0] == '\0' ? "ai.onnx" : domain,
                (long long)version);
}

void oq_check_versions(struct oq_checker *checker)
{
    const Oq__Pb__ModelProto *model = checker->model->proto;
    const int64_t newest_ir = oq_engine_ir_version(OQ_NEWEST_ENGINE);
    if (model->ir_version > newest_ir)
        oq_warn(checker, "IR version %lld is newer than any that onnxq knows (%lld)",
                (long long)model->ir_version, (long long)newest_ir);
    for (size_t i = 0; i < model->n_opset_import; i++)
        check_import(checker, model->opset_import[i]);
}
