#!/usr/bin/env python3
"""Runs models on stored inputs, also in an emulator: each line of standard input is a JSON list
[FEEDS.npz, OUT.npz, MODEL.onnx...], and is answered with a line when that is done.
"""

import json
import sys
from pathlib import Path

import numpy as np

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

import onnxruntime as ort  # noqa: E402

ort.set_default_logger_severity(4)


def run(feeds_path: str, out_path: str, *models: str) -> None:
    feeds = dict(np.load(feeds_path))
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    results = {}
    for model in models:
        session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        names = {value.name for value in session.get_inputs()}
        outputs = session.run(None, {name: value for name, value in feeds.items() if name in names})
        results |= {f"{Path(model).stem}.{i}": output for i, output in enumerate(outputs)}
    np.savez(out_path, **results)


if __name__ == "__main__":
    for line in sys.stdin:
        run(*json.loads(line))
        print("done", flush=True)
