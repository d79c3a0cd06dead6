#!/usr/bin/env python3
"""
What a scale per channel costs and gains in products of few rows: speed (float time / quantized
time, processor time of one thread, interleaved) and error in percent, of onnxq by default, with
--no-per-channel, and of onnxruntime.quantization.quantize_dynamic per tensor.

    tools/scales.py [--onnxq PATH] [--models DIR] [--seconds S]
"""

import argparse
import logging
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "ort"))

import common  # noqa: E402, of tests/ort
import measure  # noqa: E402
from networks import NETWORKS  # noqa: E402
from norms import make_feeds, open_dims  # noqa: E402

REAL = ("mnist_256x6", "music_mlp")
DRAWN = ("perceptron", "transformer, normalized after", "vision transformer")


def measure_one(name: str, source: Path, arguments, scratch: Path) -> str:
    model = onnx.load(source)
    out = {kind: scratch / f"{kind}.onnx" for kind in ("default", "tensor", "peer")}
    for kind, flags in (("default", []), ("tensor", ["--no-per-channel"])):
        subprocess.run([arguments.onnxq, "quantize", "-qq", "-f", *flags, source, out[kind]], check=True)
    quantize_dynamic(str(source), str(out["peer"]), weight_type=QuantType.QInt8)
    feeds = make_feeds(model, {dim: 1 if i == 0 else 16 for i, dim in enumerate(open_dims(model))})
    want = common.run(source, feeds)
    errors = [common.relative_error(want, common.run(path, feeds)) for path in out.values()]
    times = measure.latencies({"float": source, **out}, feeds, arguments.seconds)
    cells = [
        f"{measure.ratios(times['float'], times[kind])[0]:.2f} ({error:.2f})" for kind, error in zip(out, errors)
    ]
    return f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("--onnxq", default=ROOT / "build" / "release" / "onnxq", type=Path)
    parser.add_argument("--models", default=ROOT.parent / "shared" / "models", type=Path)
    parser.add_argument("--seconds", default=6.0, type=float)
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    measure.time.perf_counter = time.process_time  # not the time of others, who run beside
    print("| network, one row | default | --no-per-channel | quantize_dynamic |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        for name in DRAWN:
            onnx.save(NETWORKS[name](), scratch / "network.onnx")
            print(measure_one(name, scratch / "network.onnx", arguments, scratch), flush=True)
        for name in REAL:
            path = arguments.models / f"{name}.onnx"
            if path.exists():
                print(measure_one(name, path, arguments, scratch), flush=True)


if __name__ == "__main__":
    main()
