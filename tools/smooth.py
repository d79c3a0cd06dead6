#!/usr/bin/env python3
"""
What it does to make channels alike that a normalization makes unlike: error of all outputs in
percent (root of the mean square of several tries, each with weights moved by 1 %, as rounding is
luck) and speed, of onnxq by default against --no-smooth. Processor time of one thread, interleaved.

    tools/smooth.py [--onnxq PATH] [--seconds S] [--tries N] MODEL[=INPUTS.npz]...

Besides the models given, transformers made here with normalizations as trained ones have them.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "ort"))

import common  # noqa: E402, of tests/ort
import measure  # noqa: E402
from folding import image  # noqa: E402
from networks import NETWORKS  # noqa: E402

LENGTH, PLACES = 16, 224  # of open sizes: of text, of images


def move(model: onnx.ModelProto, rng: np.random.Generator) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for tensor in copy.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and len(tensor.dims) > 1:
            w = numpy_helper.to_array(tensor)
            w = (w * (1 + 0.01 * rng.standard_normal(w.shape))).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(w, tensor.name))
    return copy


def train(model: onnx.ModelProto, rng: np.random.Generator) -> onnx.ModelProto:
    """Gains of channels that differ, some by much, as in trained networks; weights as random as they were."""
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if tensor.data_type == TensorProto.FLOAT and values.ndim == 1 and (values == 1).all():
            gain = np.exp(0.4 * rng.standard_normal(values.shape))
            gain[rng.integers(0, len(gain), 3)] *= 6
            tensor.CopyFrom(numpy_helper.from_array(gain.astype(np.float32), tensor.name))
    return model


def draw(model: onnx.ModelProto, rng: np.random.Generator) -> common.Feeds:
    constants, feeds = {t.name for t in model.graph.initializer}, {}
    for value in model.graph.input:
        tensor = value.type.tensor_type
        sizes = [d.dim_value or (1 if i == 0 else LENGTH) for i, d in enumerate(tensor.shape.dim)]
        dtype = helper.tensor_dtype_to_np_dtype(tensor.elem_type)
        if value.name in constants:
            continue
        if len(sizes) == 4 and sizes[1] == 3:
            feeds[value.name] = image(rng, *(d.dim_value or PLACES for d in tensor.shape.dim[2:]), 3)[None]
        else:
            is_float = dtype.kind == "f"
            feeds[value.name] = (
                rng.standard_normal(sizes).astype(dtype) if is_float else rng.integers(1, 8, sizes, dtype)
            )
    return feeds


def unpadded(outputs: list[np.ndarray], feeds: common.Feeds) -> list[np.ndarray]:
    mask = feeds.get("attention_mask")
    return [y[mask > 0] if mask is not None and y.shape[:2] == mask.shape else y for y in outputs]


def count_smoothed(path: Path) -> str:
    """Products that take activations made alike, by their normalization and by a Mul."""
    outputs = [(n.op_type, o) for n in onnx.load(path).graph.node for o in n.output if o.endswith("_smooth")]
    muls = {o for op_type, o in outputs if op_type == "Mul"}
    scaled = {x for n in onnx.load(path).graph.node if n.op_type == "Add" for x in n.input} & muls
    return f"{len(outputs) - len(muls)} / {len(muls) - len(scaled)}"


def measure_one(name: str, model: onnx.ModelProto, inputs: str, arguments, scratch: Path) -> str:
    rng, squares = np.random.default_rng(1), {"default": 0.0, "plain": 0.0}
    paths = {kind: scratch / f"{kind}.onnx" for kind in squares}
    for _ in range(arguments.tries):
        onnx.save(move(model, rng), scratch / "model.onnx")
        feeds = dict(np.load(inputs)) if inputs else draw(model, rng)
        want = unpadded(common.run(scratch / "model.onnx", feeds), feeds)
        for kind, path in paths.items():
            flags = ["--no-smooth"] if kind == "plain" else []
            command = [arguments.onnxq, "quantize", "-qq", "-f", *flags, scratch / "model.onnx", path]
            subprocess.run(command, check=True)
            squares[kind] += common.relative_error(want, unpadded(common.run(path, feeds), feeds)) ** 2
    errors = " | ".join(f"{(squares[kind] / arguments.tries) ** 0.5:.2f}" for kind in ("plain", "default"))
    times = measure.latencies(paths, {k: v[:1] for k, v in feeds.items()}, arguments.seconds)
    speed = measure.show_ratio(times["plain"], times["default"])
    return f"| {name} | {count_smoothed(paths['default'])} | {errors} | {speed} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--onnxq", default=ROOT / "build" / "release" / "onnxq", type=Path)
    parser.add_argument("--seconds", default=6.0, type=float)
    parser.add_argument("--tries", default=4, type=int)
    parser.add_argument("models", nargs="*")
    arguments = parser.parse_args()
    measure.time.perf_counter = time.process_time  # not the time of others, who run beside
    print("| model | by the norm / by Mul | --no-smooth: error % | error % | speed of it |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name in ("transformer, normalized after", "transformer, normalized before", "vision transformer"):
            model = train(NETWORKS[name](), np.random.default_rng(2))
            print(measure_one(name + ", made here", model, "", arguments, Path(folder)), flush=True)
        for path, _, inputs in (text.partition("=") for text in arguments.models):
            print(measure_one(Path(path).stem, onnx.load(path), inputs, arguments, Path(folder)), flush=True)


if __name__ == "__main__":
    main()
