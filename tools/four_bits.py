#!/usr/bin/env python3
"""What a zero point for each block of 4 bits is worth, and float activations beside them: the table in
docs/decisions.md. Weights are moved by 2 % in several tries, as rounding is luck.

    build/venv/bin/python tools/four_bits.py --onnxq build/release/onnxq MODEL[=INPUTS.npz]...
"""
from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from folding import replace, run, tensors

TRIES = 6
ROWS = 16  # of what is not fixed
COLUMNS = {"symmetric": ["--symmetric"], "default": [], "default, level 1": ["--accuracy-level=1"]}


def moved(model: onnx.ModelProto, rng: np.random.Generator) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for tensor in tensors(copy).values():
        if tensor.data_type == TensorProto.FLOAT and len(tensor.dims) > 1:
            w = numpy_helper.to_array(tensor)
            replace(tensor, w * (1 + 0.02 * rng.standard_normal(w.shape)))
    return copy


def draw(model: onnx.ModelProto, rng: np.random.Generator) -> dict:
    constants = {t.name for t in model.graph.initializer}
    values = [v for v in model.graph.input if v.name not in constants]
    shapes = {v.name: [d.dim_value or ROWS for d in v.type.tensor_type.shape.dim] for v in values}
    return {name: rng.uniform(-1, 1, shape).astype(np.float32) for name, shape in shapes.items()}


def measure(onnxq: str, path: str, inputs: str) -> tuple[dict[str, float], dict[str, int]]:
    """Error of all outputs in percent, and the size of the file in bytes."""
    rng, model = np.random.default_rng(1), onnx.load(path)
    squares, sizes = {name: 0.0 for name in COLUMNS}, {}
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "model.onnx"), Path(folder, "out.onnx")
        for _ in range(TRIES):
            onnx.save(moved(model, rng), source)
            feeds = dict(np.load(inputs)) if inputs else draw(model, rng)
            want = np.concatenate([output.ravel() for output in run(str(source), feeds)])
            for name, flags in COLUMNS.items():
                command = [onnxq, "quantize", "-qq", "-f", "--method=blocks", "--bits=4", *flags, source, target]
                subprocess.run(command, check=True)
                got = np.concatenate([output.ravel() for output in run(str(target), feeds)])
                squares[name] += (np.linalg.norm(got - want) / np.linalg.norm(want)) ** 2
                sizes[name] = target.stat().st_size
    return {name: 100 * (square / TRIES) ** 0.5 for name, square in squares.items()}, sizes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--onnxq", required=True)
    parser.add_argument("models", nargs="+")
    arguments = parser.parse_args()
    print("| model |", " | ".join(f"{name}: error %" for name in COLUMNS), "| size, % of symmetric |")
    print("|---" * (len(COLUMNS) + 2) + "|")
    for path, _, inputs in (text.partition("=") for text in arguments.models):
        errors, sizes = measure(arguments.onnxq, path, inputs)
        cells = " | ".join(f"{error:.2f}" for error in errors.values())
        print(f"| {Path(path).stem} | {cells} | {100 * sizes['default'] / sizes['symmetric']:.1f} |", flush=True)


if __name__ == "__main__":
    main()
