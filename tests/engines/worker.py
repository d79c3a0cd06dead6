"""Runs models in one version of ONNX Runtime: reads jobs from standard input, a line of JSON for each.

Nothing of the project is imported, and nothing but numpy: old versions have to start as well.
"""

import json
import sys

import numpy as np
import onnxruntime as ort

ort.set_default_logger_severity(4)
LEVELS = {
    "disabled": ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "basic": ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "extended": ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "all": ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
}


def run(job: dict) -> None:
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = LEVELS[job["level"]]
    session = ort.InferenceSession(job["model"], options, providers=["CPUExecutionProvider"])
    if not job["feeds"]:
        return
    with np.load(job["feeds"]) as arrays:
        feeds = dict(arrays)
    np.savez(job["out"], *session.run(None, feeds))


def main() -> None:
    print(json.dumps({"version": ort.__version__}), flush=True)
    for line in sys.stdin:
        error = ""
        try:
            run(json.loads(line))
        except Exception as reason:
            error = " ".join(str(reason).split()) or repr(reason)
        print(json.dumps({"error": error}), flush=True)


if __name__ == "__main__":
    main()
