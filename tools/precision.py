#!/usr/bin/env python3
"""What 8 bits leave of the weights of models: the table in docs/decisions.md that the limits of
src/quantize/decide/precision.c come from, computed apart from it, with NumPy.

    build/venv/bin/python tools/precision.py --onnxq build/release/onnxq MODEL...
"""
from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

LEAST_BITS = -2  # OQ_LEAST_BITS
BLOCK = 32
MIN_COUNT = 16  # of spread.c
RECURRENT = {"LSTM", "GRU", "RNN", "Loop", "Scan"}


def find_tensors(graph: onnx.GraphProto, found: dict[str, onnx.TensorProto]) -> dict[str, onnx.TensorProto]:
    """Initializers and Constant nodes, those of bodies included, by name."""
    found.update({tensor.name: tensor for tensor in graph.initializer})
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.name == "value" and attribute.HasField("t"):
                found[node.output[0]] = attribute.t
            for body in [attribute.g] * attribute.HasField("g") + list(attribute.graphs):
                find_tensors(body, found)
    return found


def measure(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each row that is not all 0: the bits of a typical ordinary number, and how many there are."""
    size = np.abs(rows[np.abs(rows).max(1) > 0])
    ordinary = (size >= 2.0**-10) & (size < 2.0**10)
    count = ordinary.sum(1)
    octaves = np.where(ordinary, np.floor(np.log2(np.where(ordinary, size, 1))) + 0.5, 0).sum(1)
    bits = octaves / np.maximum(count, 1) - np.log2(size.max(1, initial=0) / 127)
    return bits[count > 0], count[count > 0]


def find_hidden(w: np.ndarray) -> float:
    """The part of rows or columns, in percent, whose deviation is below two steps beside their mean."""
    rows, part = w.reshape(-1, w.shape[-1]), 0.0
    for group in (rows, rows.T) if w.ndim > 1 else ():
        deviation, largest = group.std(1), np.abs(group).max(1, initial=0)
        if group.shape[1] >= MIN_COUNT and (deviation > 0).any():
            hidden = (np.abs(group.mean(1)) > 4 * deviation) & (deviation < 2 * largest / 127)
            part = max(part, 100 * hidden[deviation > 0].mean())
    return part


def find_beside(rows: np.ndarray) -> float:
    """Steps of 8 bits that what a channel has beside its largest number typically is, in the middle one of them."""
    size = np.sort(np.abs(rows), 1)
    largest, rest = size[:, -1], size[:, :-1]
    some = rest.sum(1) > 0
    if rest.shape[1] < 7 or not some.any():
        return np.inf
    return float(np.median((rest[some] ** 2).sum(1) / rest[some].sum(1) / largest[some] * 127))


def plan(onnxq: str, path: str) -> list[dict]:
    """The weights that would be quantized, and the axes of their channels."""
    with tempfile.NamedTemporaryFile(suffix=".json") as report:
        command = [onnxq, "quantize", "-q", "--method=weights", "--dry-run", f"--json={report.name}", path]
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        weights = json.loads(Path(report.name).read_text() or '{"weights": []}')["weights"]
    return [w for w in weights if w["action"] != "keep" and w["channel_axis"] is not None]


def describe(onnxq: str, path: str) -> str:
    model = onnx.load(path)
    tensors = find_tensors(model.graph, {})
    worst, lost, block_worst, means, hidden, beside = np.inf, 0.0, np.inf, [], 0.0, np.inf
    for weight in plan(onnxq, path):
        if weight["name"] not in tensors:
            continue
        w = numpy_helper.to_array(tensors[weight["name"]]).astype(np.float64)
        hidden = max(hidden, find_hidden(w))
        axis = weight["channel_axis"]
        rows = np.moveaxis(w, axis, 0).reshape(w.shape[axis], -1) if axis >= 0 else w.reshape(1, -1)
        beside = min(beside, find_beside(rows))
        bits, count = measure(rows)
        if not bits.size:
            continue
        worst, means = min(worst, bits.min()), [*means, (bits * count).sum() / count.sum()]
        lost = max(lost, count[bits < LEAST_BITS].sum() / count.sum())
        whole = rows.shape[1] // BLOCK * BLOCK
        in_blocks = measure(rows[:, :whole].reshape(-1, BLOCK))[0] if whole else bits
        block_worst = min(block_worst, in_blocks.min(initial=np.inf))
    if not means:
        return ""
    recurrent = "yes" if any(node.op_type in RECURRENT for node in model.graph.node) else ""
    return (
        f"| {Path(path).stem} | {len(means)} | {worst:.1f} | {100 * lost:.1f} | {block_worst:.1f} | "
        f"{min(means):.1f} | {hidden:.1f} | {beside:.1f} | {recurrent} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--onnxq", required=True)
    parser.add_argument("models", nargs="+")
    arguments = parser.parse_args()
    print("| model | weights | worst channel | lost % | worst block | worst on average | hidden % | steps beside the largest | recurrent |")
    print(f"|{'---|' * 9}")
    for path in arguments.models:
        line = describe(arguments.onnxq, path)
        if line:
            print(line, flush=True)


if __name__ == "__main__":
    main()
