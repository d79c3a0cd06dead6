#!/usr/bin/env python3
"""What finer scales and kept sums do for weights that are only folded: the table in docs/decisions.md,
on images as cameras make them, and on networks made here whose channels differ as trained ones do.

    build/venv/bin/python tools/folding.py --onnxq build/release/onnxq [MODEL[@HEIGHTxWIDTH]...]

Rounding is luck: each model is tried several times, with its weights moved by 0.3 %.
"""
from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

ort.set_default_logger_severity(4)
TRIES = 4
PLACES = 224  # of what is not fixed


def image(rng: np.random.Generator, height: int, width: int, channels: int) -> np.ndarray:
    """Smooth areas, edges and a little noise, in -1 .. 1."""
    f = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None])
    f[0, 0] = 1 / max(height, width)
    waves = [np.fft.ifft2(np.fft.fft2(rng.standard_normal((height, width))) / f**1.2).real for _ in range(channels + 1)]
    x = np.stack([waves[0] + 0.3 * wave for wave in waves[1:]])
    x = 0.35 * (x - x.mean()) / x.std()
    for _ in range(12):
        top, left = rng.integers(0, height * 3 // 4), rng.integers(0, width * 3 // 4)
        part = x[:, top : top + height // 4, left : left + width // 4]
        part[:] = rng.uniform(-1, 1, (channels, 1, 1)) + 0.06 * rng.standard_normal(part.shape)
    return np.clip(x, -1, 1).astype(np.float32)


def made(seed: int, depthwise: bool) -> onnx.ModelProto:
    """Convolutions with what normalizations leave: a gain of each channel, taken back by what reads it."""
    rng = np.random.default_rng(seed)
    nodes, constants, gain, x = [], [], np.ones(3), "x"
    for i, (outputs, kernel) in enumerate([(32, 3), (32, 3), (48, 1), (48, 3), (64, 1), (64, 3), (96, 1), (16, 1)]):
        inputs, group = len(gain), 1
        if depthwise and outputs == inputs:
            group = inputs
        after = np.exp(0.7 * rng.standard_normal(outputs))
        w = rng.standard_t(5, (outputs, inputs // group, kernel, kernel)) / np.sqrt(inputs // group * kernel**2)
        w *= after[:, None, None, None] / (gain[:, None, None, None] if group > 1 else gain[None, :, None, None])
        b = 0.2 * after * rng.standard_normal(outputs)
        constants += [(f"w{i}", w), (f"b{i}", b)]
        nodes += [
            helper.make_node("Conv", [x, f"w{i}", f"b{i}"], [f"c{i}"], group=group, pads=[kernel // 2] * 4),
            helper.make_node("Relu", [f"c{i}"], [f"r{i}"]),
        ]
        gain, x = after, f"r{i}"
    del nodes[-1]
    graph = helper.make_graph(
        nodes, "made", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 96, 96])],
        [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, None)],
        [numpy_helper.from_array(a.astype(np.float32), n) for n, a in constants],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def tensors(model: onnx.ModelProto) -> dict[str, onnx.TensorProto]:
    found = {t.name: t for t in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            found[node.output[0]] = node.attribute[0].t
    return found


def replace(tensor: onnx.TensorProto, values: np.ndarray) -> None:
    name = tensor.name
    tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float32), name))


def moved(model: onnx.ModelProto, seed: int) -> onnx.ModelProto:
    rng, copy = np.random.default_rng(seed), onnx.ModelProto()
    copy.CopyFrom(model)
    for tensor in tensors(copy).values() if seed > 0 else ():
        if tensor.data_type == TensorProto.FLOAT and len(tensor.dims) > 1:
            w = numpy_helper.to_array(tensor)
            replace(tensor, w * (1 + 0.003 * rng.standard_normal(w.shape)))
    return copy


def quantize(onnxq: str, source: Path, target: Path) -> list[dict]:
    report = target.with_suffix(".json")
    subprocess.run([onnxq, "quantize", "-qq", "-f", "--method=weights", f"--json={report}", source, target], check=True)
    return json.loads(report.read_text())["weights"]


def round_plainly(model: onnx.ModelProto, weights: list[dict]) -> onnx.ModelProto:
    """To the nearest, with one scale for each channel: what the weights would be otherwise."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    found = tensors(copy)
    for weight in weights:
        axis = weight["channel_axis"]
        if weight["action"] != "fold" or weight["bits"] != 8 or axis is None or weight["name"] not in found:
            continue
        w = numpy_helper.to_array(found[weight["name"]])
        keep = (0, 1) if weight["scales"] > w.shape[axis] else (axis,)
        scale = np.abs(w).max(axis=tuple(i for i in range(w.ndim) if i not in keep), keepdims=True) / np.float32(127)
        replace(found[weight["name"]], np.rint(w / np.where(scale > 0, scale, 1)) * scale)
    return copy


def run(model, feeds: dict) -> list[np.ndarray]:
    source = model.SerializeToString() if isinstance(model, onnx.ModelProto) else model
    outputs = ort.InferenceSession(source, providers=["CPUExecutionProvider"]).run(None, feeds)
    return [output.astype(np.float64) for output in outputs]


def feeds_of(model: onnx.ModelProto, size: list[int]) -> dict:
    constants = {t.name for t in model.graph.initializer}
    [value] = [v for v in model.graph.input if v.name not in constants]
    dims = [d.dim_value for d in value.type.tensor_type.shape.dim]
    last = dims[3] in (1, 3)
    channels, places = dims[3 if last else 1], dims[1:3] if last else dims[2:]
    places = size or [d if d > 0 else PLACES for d in places]
    x = np.stack([image(np.random.default_rng(i), *places, channels) for i in range(dims[0] if dims[0] > 0 else 2)])
    return {value.name: x.transpose(0, 2, 3, 1) if last else x}


def errors(onnxq: str, model: onnx.ModelProto, size: list[int]) -> tuple[np.ndarray, np.ndarray, float]:
    """Of each output in percent, rounded plainly and as onnxq does it; and how much larger the file is."""
    feeds, plain, fine = feeds_of(model, size), [], []
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "model.onnx"), Path(folder, "out.onnx")
        for seed in range(TRIES):
            one = moved(model, seed)
            onnx.save(one, source)
            weights = quantize(onnxq, source, target)
            want = run(one, feeds)
            for got, into in ((run(round_plainly(one, weights), feeds), plain), (run(str(target), feeds), fine)):
                into.append([np.linalg.norm(g - w) / np.linalg.norm(w) for g, w in zip(got, want, strict=True)])
        added = 400 * sum(w["input_scales"] for w in weights) / target.stat().st_size
    return *(100 * np.sqrt((np.array(e) ** 2).mean(0)) for e in (plain, fine)), added


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--onnxq", required=True)
    parser.add_argument("models", nargs="*")
    arguments = parser.parse_args()
    models = [("made here", made(1, False), []), ("made here, depthwise", made(2, True), [])]
    for path, _, size in (text.partition("@") for text in arguments.models):
        models.append((Path(path).stem, onnx.load(path), [int(n) for n in size.split("x") if n]))
    print("| model | nearest, one factor: error % | as it is done: error % | scales of inputs, % of the file |")
    print("|---|---|---|---|")
    for name, model, size in models:
        plain, fine, added = errors(arguments.onnxq, model, size)
        cells = [" / ".join(f"{e:.2g}" for e in values) for values in (plain, fine)]
        print(f"| {name} | {cells[0]} | {cells[1]} | {added:.2f} |", flush=True)


if __name__ == "__main__":
    main()
