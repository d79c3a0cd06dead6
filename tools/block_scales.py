#!/usr/bin/env python3
"""Whether scales of 4-bit blocks that are fitted to the weights alone make a model better: the table in
docs/decisions.md. Of every matrix, in blocks of 32 with zero points: the error of the weights, and of what the float
model gives with them, in percent; roots of mean squares of several tries with weights moved by 2 %, as rounding is luck.

    build/venv/bin/python tools/block_scales.py [--tries N] MODEL[=INPUTS.npz]...
"""
from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from folding import replace, run, tensors
from four_bits import draw, moved

SIZE, MIN_NELEM = 32, 1024
STEPS = (1, 0.93, 0.86, 0.79)  # parts of the scale that covers a block


def round_blocks(w: np.ndarray, steps: tuple[float, ...], power: int, fits: bool) -> np.ndarray:
    """Blocks [n, SIZE]; errors count by the size of the weight to that power."""
    lo, hi = np.minimum(w.min(1), 0), np.maximum(w.max(1), 0)
    scale = np.where(hi > lo, (hi - lo) / 15, 1)[:, None]
    zero, x = np.clip(np.rint(-lo[:, None] / scale), 0, 15), w / scale
    counts, least, best = np.abs(x) ** power, np.inf, np.ones_like(scale)
    for step in steps:
        codes = np.clip(np.rint(x / step), -zero, 15 - zero)
        products, squares = ((counts * codes * y).sum(1, keepdims=True) for y in (x, codes))
        part = np.clip(products / np.maximum(squares, 1e-30), 1e-3, 1) if fits else step
        codes = np.clip(np.rint(x / part), -zero, 15 - zero)
        error = (counts * (codes * part - x) ** 2).sum(1, keepdims=True)
        best = np.where(error < least, part, best)
        least = np.minimum(error, least)
    return np.clip(np.rint(x / best), -zero, 15 - zero) * best * scale


WAYS = {
    "covering": ((1,), 0, False),
    "least squares": ((1,), 0, True),
    "grid": (STEPS, 0, True),
    "grid, by size": (STEPS, 1, True),
    "grid, by square": (STEPS, 2, True),
}


def matrices(model: onnx.ModelProto) -> dict[str, bool]:
    """Names of weights of products, and whether they are stored as [N, K]."""
    found, constants = {}, tensors(model)
    for node in model.graph.node:
        if node.op_type in ("MatMul", "Gemm") and node.input[1] in constants:
            tensor = constants[node.input[1]]
            if len(tensor.dims) == 2 and np.prod(tensor.dims) >= MIN_NELEM:
                found[tensor.name] = any(a.name == "transB" and a.i for a in node.attribute)
    return found


def rounded(model: onnx.ModelProto, way: tuple) -> tuple[onnx.ModelProto, float]:
    copy, left, whole = onnx.ModelProto(), 0.0, 0.0
    copy.CopyFrom(model)
    for name, turned in matrices(copy).items():
        tensor = tensors(copy)[name]
        w = numpy_helper.to_array(tensor)
        lines = w if turned else w.T
        padded = np.pad(lines, ((0, 0), (0, -lines.shape[1] % SIZE)))
        got = round_blocks(padded.reshape(-1, SIZE), *way).reshape(padded.shape)[:, : lines.shape[1]]
        left, whole = left + ((got - lines) ** 2).sum(), whole + (w.astype(float) ** 2).sum()
        replace(tensor, got if turned else got.T)
    return copy, left / whole


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tries", type=int, default=12)
    parser.add_argument("models", nargs="+")
    arguments = parser.parse_args()
    print("| model |", " | ".join(f"{way}: weights, outputs" for way in WAYS), "|")
    print("|---" * (len(WAYS) + 1) + "|")
    for path, _, inputs in (text.partition("=") for text in arguments.models):
        rng, model, squares = np.random.default_rng(7), onnx.load(path), {way: np.zeros(2) for way in WAYS}
        with tempfile.TemporaryDirectory() as folder:
            for _ in range(arguments.tries):
                source, file = moved(model, rng), str(Path(folder, "model.onnx"))
                feeds = dict(np.load(inputs)) if inputs else draw(model, rng)
                onnx.save(source, file)
                want = np.concatenate([output.ravel() for output in run(file, feeds)])
                for way, how in WAYS.items():
                    copy, left = rounded(source, how)
                    onnx.save(copy, file)
                    got = np.concatenate([output.ravel() for output in run(file, feeds)])
                    squares[way] += left, (np.linalg.norm(got - want) / np.linalg.norm(want)) ** 2
        errors = (100 * np.sqrt(square / arguments.tries) for square in squares.values())
        print(f"| {Path(path).stem} |", " | ".join(f"{e[0]:.2f}, {e[1]:.2f}" for e in errors), "|", flush=True)


if __name__ == "__main__":
    main()
