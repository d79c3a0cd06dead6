// quantize.cpp MODEL OUT: the library from C++, with owners and exceptions.
#include <onnxq/onnxq.h>

#include <algorithm>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>

using Model = std::unique_ptr<onnxq_model, decltype(&onnxq_model_close)>;
using Plan = std::unique_ptr<onnxq_plan, decltype(&onnxq_plan_destroy)>;

static std::runtime_error failure(const onnxq_error &error)
{
    std::string text(1024, '\0');
    text.resize(std::min(onnxq_error_format(&error, &text[0], text.size()), text.size() - 1));
    return std::runtime_error(text);
}

static bool show_progress(void *, onnxq_phase phase, uint64_t done, uint64_t total)
{
    std::cerr << (phase == ONNXQ_PHASE_MEASURE ? "measured " : "wrote ") << done << " of " << total << '\n';
    return true; // false would stop
}

int main(int argc, char **argv)
try {
    if (argc != 3)
        throw std::invalid_argument("usage: quantize MODEL OUT");
    onnxq_error error;
    onnxq_options options;
    onnxq_options_init(&options);
    options.output.progress = show_progress;

    Model model(onnxq_model_open(argv[1], &error), onnxq_model_close);
    if (!model)
        throw failure(error);
    Plan plan(onnxq_plan_create(model.get(), &options, &error), onnxq_plan_destroy);
    if (!plan || onnxq_plan_write(plan.get(), argv[2], &error) != ONNXQ_OK)
        throw failure(error);
    const onnxq_summary *summary = onnxq_plan_get_summary(plan.get());
    std::cout << summary->n_quantized << " of " << summary->n_weights << " weights, "
              << summary->nbytes_before << " -> " << summary->nbytes_after << " bytes\n";
    return 0;
} catch (const std::exception &exception) {
    std::cerr << exception.what() << '\n';
    return 1;
}
