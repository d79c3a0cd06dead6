#!/usr/bin/env python3
"""How far weights are from what quantizing leaves of them, and from others of their shape: the table of docs/importing.md.

    build/venv/bin/python tools/imports.py --onnxq build/release/onnxq ../shared/models/{minilm,music_mlp}.onnx

The matrices of each MODEL are rounded to the nearest, as GPTQ and AWQ begin; `scaled` rows are multiplied by
exp(-1) to exp(1.5) before, as AWQ does, `others` are those of another matrix. For each MODEL the last line is what
onnxq --weights-from does with a checkpoint of it: modules taken, cosine to the float model with the rounded weights
(activations in float32), seconds, and memory at its peak.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "ort"))
import checkpoints  # noqa: E402
import common  # noqa: E402

FORMS = ((8, 128), (4, 32), (4, 128), (4, -1), (2, 32), (2, 128))


def matrices(model: onnx.ModelProto) -> dict[str, tuple[str, np.ndarray]]:
    """node -> weight, for products whose sides groups of 128 and words divide."""
    tensors = {t.name: t for t in model.graph.initializer}
    found = {}
    for node in model.graph.node:
        is_product = node.op_type in ("MatMul", "Gemm") and len(node.input) > 1
        tensor = tensors.get(node.input[1]) if is_product else None
        if tensor is None or len(tensor.dims) != 2:
            continue
        is_turned = any(a.name == "transB" and a.i for a in node.attribute)
        w = numpy_helper.to_array(tensor).astype(np.float32)
        w = np.ascontiguousarray(w.T) if is_turned else w
        if w.shape[0] % 128 == 0 and w.shape[1] % 32 == 0:
            found[node.name or node.output[0]] = (tensor.name, w)
    return found


def distance(w: np.ndarray, other: np.ndarray) -> float:
    return float(np.linalg.norm(w - other) / np.linalg.norm(w))


def turned(w: np.ndarray, other: np.ndarray) -> float:
    """The part of w, by size, whose sign is another one; 0 has half of each."""
    signs = np.where(other == 0, 0.5, w * other < 0)
    return float((np.abs(w) * signs).sum() / np.abs(w).sum())


def table(weights: list[np.ndarray]) -> None:
    print("| bits | group | weights | distance | other sign, % |")
    print("|---:|---:|---|---:|---:|")
    for bits, size in FORMS:
        rows: dict[str, list[tuple[float, float]]] = {"their own": [], "scaled": [], "others": []}
        for i, w in enumerate(weights):
            factor = np.exp(np.random.default_rng(i).uniform(-1, 1.5, (len(w), 1))).astype(np.float32)
            others = [v for k, v in enumerate(weights) if k != i and v.shape == w.shape]
            left = checkpoints.rounded(w, bits, size, True).weight
            scaled = checkpoints.rounded(w * factor, bits, size).weight
            pairs = [("their own", w, left), ("scaled", w, scaled)] + [("others", v, left) for v in others[:1]]
            for name, v, stands_for in pairs:
                rows[name].append((distance(v, stands_for), 100 * turned(v, stands_for)))
        for name, values in rows.items():
            if values:
                (d, t), (d_most, t_most) = np.min(values, 0), np.max(values, 0)
                print(f"| {bits} | {size if size > 0 else 'all'} | {name} | {d:.3f} to {d_most:.3f} | {t:.1f} to {t_most:.1f} |", flush=True)


def run(onnxq: str, path: Path, model: onnx.ModelProto, found: dict[str, tuple[str, np.ndarray]]) -> None:
    stored, replaced = checkpoints.Checkpoint(), onnx.ModelProto()
    replaced.CopyFrom(model)
    tensors = {t.name: t for t in replaced.graph.initializer}
    for node, (name, w) in found.items():
        layer = checkpoints.rounded(w, 4, 128)
        stored.add(node.removesuffix("/MatMul").strip("/").replace("/", "."), checkpoints.gptq(layer))
        lies = layer.weight if np.array_equal(numpy_helper.to_array(tensors[name]), w) else layer.weight.T
        tensors[name].CopyFrom(numpy_helper.from_array(np.ascontiguousarray(lies), name))
    with tempfile.TemporaryDirectory() as folder:
        checkpoint, out, report = (Path(folder) / name for name in ("model.safetensors", "out.onnx", "report.json"))
        stored.write(checkpoint)
        command = [onnxq, "quantize", "-q", "--weights-from", checkpoint, "--accuracy-level=1", f"--json={report}", path, out]
        start = time.monotonic()
        peak = common.peak_nbytes(command)
        seconds = time.monotonic() - start
        told = json.loads(report.read_text())
        inputs = path.with_name(f"{path.stem}_inputs.npz")
        cosine = ""
        if inputs.exists():
            feeds = {k: v[:1] for k, v in np.load(inputs).items()}
            a, b = (np.ravel(common.run(m, feeds)[0]) for m in (replaced, out))
            cosine = f", cosine {float(a @ b / np.linalg.norm(a) / np.linalg.norm(b)):.7f}"
        taken = sum(one["reason"] == "" for one in told["imports"])
        print(f"{path.stem}: {taken} of {len(found)} modules{cosine}, {seconds:.1f} s, {peak / 1e6:.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--onnxq", required=True)
    options = parser.parse_args()
    models = {path: onnx.load(path) for path in options.models}
    found = {path: matrices(model) for path, model in models.items()}
    table([w for weights in found.values() for _, w in weights.values()])
    for path, model in models.items():
        run(options.onnxq, path, model, found[path])


if __name__ == "__main__":
    main()
