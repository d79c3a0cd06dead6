#!/usr/bin/env python3
"""What rounding does to constants that meet activations one by one, to products in front of logarithms, divisors, sines,
cuts and means, and to those whose large terms take each other away: the tables in docs/decisions.md, on graphs
as networks have them.

    build/venv/bin/python tools/rounding.py --onnxq build/release/onnxq
"""
from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

ort.set_default_logger_severity(4)
RNG = np.random.default_rng(20)


def normal(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def node(op_type: str, inputs: str, outputs: str, **attributes) -> onnx.NodeProto:
    return helper.make_node(op_type, inputs.split(), outputs.split(), **attributes)


def model_of(nodes: list, feeds: dict, constants: dict) -> onnx.ModelProto:
    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, a.shape) for n, a in feeds.items()]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    tensors = [numpy_helper.from_array(np.asarray(a), n) for n, a in constants.items()]
    graph = helper.make_graph(nodes, "g", values, [output], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def anchors() -> tuple[onnx.ModelProto, dict]:
    """The head of a detector: the places of 8400 cells, less what was predicted, in pixels."""
    cells = [np.stack(np.meshgrid(np.arange(n), np.arange(n))).reshape(2, -1) + 0.5 for n in (80, 40, 20)]
    strides = np.concatenate([np.full(c.shape[1], 640 / n) for c, n in zip(cells, (80, 40, 20), strict=True)])
    feeds = {"x": np.abs(normal(1, 2, 8400))}
    nodes = [node("Sub", "a x", "d"), node("Mul", "d s", "y")]
    constants = {"a": np.concatenate(cells, 1)[None].astype(np.float32), "s": strides.astype(np.float32)}
    return model_of(nodes, feeds, constants), feeds


def grid() -> tuple[onnx.ModelProto, dict]:
    """Optical flow: a grid of places, moved, where an image is sampled."""
    n = 400
    places = np.stack(np.meshgrid(np.arange(n), np.arange(n)))[None].astype(np.float32)
    feeds = {"x": 3 * normal(1, 2, n, n), "image": normal(1, 1, n, n)}
    nodes = [
        node("Add", "p x", "m"), node("Mul", "m k", "s"), node("Sub", "s one", "t"),
        node("Transpose", "t", "g", perm=[0, 2, 3, 1]), node("GridSample", "image g", "y", align_corners=1),
    ]
    return model_of(nodes, feeds, {"p": places, "k": np.float32(2 / (n - 1)), "one": np.float32(1)}), feeds


def attention_bias(heads: int) -> tuple[onnx.ModelProto, dict]:
    """ALiBi: what is far is worth less, by head."""
    distance = -np.abs(np.subtract.outer(np.arange(256), np.arange(256)))
    slopes = 2.0 ** (-8 * np.arange(1, heads + 1) / heads)
    feeds = {"x": normal(1, heads, 256, 256)}
    nodes = [node("Add", "x b", "s"), node("Softmax", "s", "y")]
    return model_of(nodes, feeds, {"b": (slopes[:, None, None] * distance).astype(np.float32)}), feeds


def decay() -> tuple[onnx.ModelProto, dict]:
    """A state that decays in 1000 steps of a Scan, slowly: what counts is 1 - a."""
    a = (1 - 10 ** RNG.uniform(-4, -1, (64, 32))).astype(np.float32)
    value = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)  # noqa: E731
    body = helper.make_graph(
        [node("Mul", "s a", "m"), node("Add", "m x", "t"), node("Identity", "t", "o")], "body",
        [value("s", a.shape), value("x", a.shape)], [value("t", a.shape), value("o", a.shape)],
    )
    feeds = {"x": normal(1000, *a.shape)}
    nodes = [node("Scan", "zero x", "last y", body=body, num_scan_inputs=1)]
    return model_of(nodes, feeds, {"a": a, "zero": np.zeros_like(a)}), feeds


def product(*behind: onnx.NodeProto, rows: int = 256) -> tuple[onnx.ModelProto, dict]:
    """Powers over many octaves, as of a spectrum, summed up by a filterbank."""
    feeds = {"x": np.exp(3 * normal(8, rows))}
    constants = {"w": np.abs(normal(rows, 256)), "low": np.float32(1e-10), "one": np.float32(1), "p": np.float32(-0.5)}
    constants["q"] = np.float32(0.3)
    return model_of([node("MatMul", "x w", "m"), *behind], feeds, constants), feeds


def bare(x: np.ndarray, w: np.ndarray) -> tuple[onnx.ModelProto, dict]:
    """A product with nothing behind it, so that nothing asks for more than is usual."""
    feeds = {"x": x.astype(np.float32)}
    return model_of([node("MatMul", "x w", "y")], feeds, {"w": w.astype(np.float32)}), feeds


def fourier(scale: float) -> tuple[onnx.ModelProto, dict]:
    """Random Fourier features of vectors of 128."""
    x = normal(256, 128)
    return bare(x / np.linalg.norm(x, axis=1, keepdims=True), 2 * np.pi * scale * normal(128, 512))


def sine_layer() -> tuple[onnx.ModelProto, dict]:
    """A layer of a network of sines (SIREN, omega 30), behind another one."""
    return bare(np.sin(normal(256, 256)), RNG.uniform(-1, 1, (256, 256)) * np.sqrt(6 / 256))


def durations() -> tuple[onnx.ModelProto, dict]:
    """Frames for each sound, of speech synthesis: some 10, from a logarithm."""
    return bare(normal(256, 256), 0.5 / 16 * normal(256, 256))


def codes() -> tuple[onnx.ModelProto, dict]:
    """Finite scalar quantization: tanh, in 8 levels."""
    return bare(normal(256, 256), 1 / 16 * normal(256, 256))


def looked_up() -> tuple[onnx.ModelProto, dict]:
    """Whole numbers below 1000, looked up by a product with rows of one 1."""
    return bare(np.eye(256)[RNG.integers(0, 256, 64)], RNG.integers(0, 1000, (256, 256)))


def places() -> tuple[onnx.ModelProto, dict]:
    """Pixels: a camera's matrix, of some 200."""
    return bare(normal(256, 256), 200 / 16 * normal(256, 256))


def results(onnxq: str, made: tuple[onnx.ModelProto, dict], *flags: str) -> tuple[np.ndarray, np.ndarray, float]:
    """What the float model and the quantized one give, and the size of the file in percent of the float one."""
    model, feeds = made
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "model.onnx"), Path(folder, "out.onnx")
        onnx.save(model, source)
        subprocess.run([onnxq, "quantize", "-qq", *flags, source, target], check=True)
        want, got = (
            ort.InferenceSession(path, providers=["CPUExecutionProvider"]).run(["y"], feeds)[0].astype(np.float64)
            for path in (source, target)
        )
        size = 100 * target.stat().st_size / source.stat().st_size
    return want, got, size


def relative(want: np.ndarray, got: np.ndarray) -> float:
    return 100 * float(np.linalg.norm(got - want) / np.linalg.norm(want))


def error(onnxq: str, made: tuple[onnx.ModelProto, dict], *flags: str) -> tuple[float, float]:
    """Of the outputs, in percent, and the size of the file."""
    want, got, size = results(onnxq, made, *flags)
    return relative(want, got), size


WAYS = {
    "integers": ("--force-integer",),
    "8 bits folded": ("--method=weights",),
    "16 bits folded": ("--method=weights", "--fold-bits=16"),
    "blocks": ("--method=blocks", "--force-integer"),
}


def print_angles(onnxq: str) -> None:
    print(f"\n| angles | {' | '.join(WAYS)} |\n|{'---|' * (len(WAYS) + 1)}")
    for name, make in ANGLES.items():
        made, cells = make(), []
        for flags in WAYS.values():
            want, got = (np.sin(a) for a in results(onnxq, made, *flags)[:2])
            cells.append(f"{relative(want, got):.3g}")
        print(f"| {name} | {' | '.join(cells)} |")


def print_cuts(onnxq: str) -> None:
    print(f"\n| cut to integers | {' | '.join(WAYS)} |\n|{'---|' * (len(WAYS) + 1)}")
    for name, (make, cut) in CUTS.items():
        made, cells = make(), []
        for flags in WAYS.values():
            want, got = (cut(a) for a in results(onnxq, made, *flags)[:2])
            cells.append(f"{100 * np.mean(want != got):.2g}")
        print(f"| {name} | {' | '.join(cells)} |")


def print_offsets(onnxq: str) -> None:
    print(f"\n| deviation | {' | '.join(WAYS)} | as decided |\n|{'---|' * (len(WAYS) + 2)}")
    for deviation in (0.01, 1, 5, 20, 100):
        x, w = normal(256, 256) / 16, 1000 + deviation * normal(256, 256)
        cells = []
        for flags in WAYS.values():
            want, got = (a - a.mean(1, keepdims=True) for a in results(onnxq, bare(x, w), *flags)[:2])
            cells.append(f"{relative(want, got):.3g}")
        nodes = [node("MatMul", "x w", "m"), node("ReduceMean", "m", "c", axes=[1]), node("Sub", "m c", "y")]
        made = model_of(nodes, {"x": x}, {"w": w.astype(np.float32)})
        cells.append(f"{error(onnxq, (made, {'x': x}), '--force-integer', '--allow-noop')[0]:.3g}")
        print(f"| {deviation:g} | {' | '.join(cells)} |")


ANGLES = {
    "Fourier features, a turn": lambda: fourier(1),
    "Fourier features, 10 turns": lambda: fourier(10),
    "a layer of sines": sine_layer,
}
CUTS = {
    "Ceil(Exp): durations": (durations, lambda a: np.ceil(np.exp(a + 2))),
    "Round(4 Tanh): codes": (codes, lambda a: np.rint(4 * np.tanh(a))),
    "Cast: whole numbers that are looked up": (looked_up, np.trunc),
    "Floor: pixels": (places, np.floor),
}
CONSTANTS = {
    "anchors of a detector": anchors,
    "a grid that is moved, then sampled": grid,
    "ALiBi, 8 heads": lambda: attention_bias(8),
    "ALiBi, 12 heads": lambda: attention_bias(12),
    "a decay over 1000 steps": decay,
}
PRODUCTS = {
    "Clip, Log": [node("Clip", "m low", "c"), node("Log", "c", "y")],
    "1 / m": [node("Div", "one m", "y")],
    "Reciprocal": [node("Reciprocal", "m", "y")],
    "Pow -0.5": [node("Pow", "m p", "y")],
}
ROOTS = {"Sqrt": [node("Sqrt", "m", "y")], "Pow 0.3": [node("Pow", "m q", "y")]}


def print_products(onnxq: str, products: dict) -> None:
    print("\n| behind the product | error % | with --method blocks |\n|---|---|---|")
    for name, nodes in products.items():
        made = product(*nodes)
        cells = [f"{error(onnxq, made, '--method', method)[0]:.3g}" for method in ("dynamic", "blocks")]
        print(f"| {name} | {' | '.join(cells)} |")


def spectrum() -> tuple[onnx.ModelProto, dict]:
    """Of a tone and a little noise: a windowed transform of 256."""
    t, k = np.arange(256), np.arange(129)
    basis = np.exp(-2j * np.pi * np.outer(t, k) / 256) * np.hanning(256)[:, None]
    x = np.sin(RNG.uniform(0.1, 1, (64, 1)) * t + RNG.uniform(0, 6, (64, 1))) + 3e-4 * normal(64, 256)
    parts = {"re": basis.real.astype(np.float32), "im": basis.imag.astype(np.float32), "low": np.float32(1e-8)}
    nodes = [node("MatMul", f"x {part}", f"{part}_x") for part in ("re", "im")]
    nodes += [node("Mul", f"{part}_x {part}_x", f"{part}_2") for part in ("re", "im")]
    nodes += [node("Add", "re_2 im_2", "p"), node("Add", "p low", "c"), node("Log", "c", "y")]
    feeds = {"x": x.astype(np.float32)}
    return model_of(nodes, feeds, parts), feeds


def transitions(decades: int) -> tuple[onnx.ModelProto, dict]:
    """A step of a hidden Markov model from a known state: one row of probabilities over decades."""
    p = 10 ** RNG.uniform(-decades, 0, (256, 256))
    feeds = {"x": np.eye(256, dtype=np.float32)}
    nodes = [node("MatMul", "x w", "m"), node("Clip", "m low", "c"), node("Log", "c", "y")]
    return model_of(nodes, feeds, {"w": p.astype(np.float32), "low": np.float32(1e-10)}), feeds


def print_logarithms(onnxq: str) -> None:
    makers = {"spectrum of a tone": spectrum}
    makers.update({f"probabilities, {n} decades": lambda n=n: transitions(n) for n in (1, 2, 3, 4, 5, 7)})
    ways = [("--method=weights", "--fold-bits=8"), ("--fold-bits=16",)]
    print("\n| logarithm of | 8 bits folded: error % | 16 bits folded |\n|---|---|---|")
    for name, make in makers.items():
        made = make()
        print(f"| {name} | {' | '.join(error_or_float(onnxq, made, *way) for way in ways)} |")


def features(decades: float) -> tuple[onnx.ModelProto, dict]:
    """A layer on features over decades, with what scales them made part of it."""
    sizes = 10 ** RNG.permutation(np.linspace(0, decades, 256))
    return bare(sizes * normal(64, 256), normal(256, 256) / 16 / sizes[:, None])


def chosen() -> tuple[onnx.ModelProto, dict]:
    """Each output is one input, as of trees that are written as products."""
    return bare(normal(64, 256), np.eye(256)[:, RNG.integers(0, 256, 1024)])


def print_first_layers(onnxq: str) -> None:
    makers = {f"features over {n:g} decades": lambda n=n: features(n) for n in (0, 0.5, 1, 1.5, 2, 3, 4)}
    makers["outputs that are one input each"] = chosen
    ways = [(), ("--method=blocks",), ("--method=qdq",)]
    print("\n| first layer | rms / smallest norm | error % | blocks | qdq |\n|---|---|---|---|---|")
    for name, make in makers.items():
        made = make()
        norms = np.linalg.norm(numpy_helper.to_array(made[0].graph.initializer[0])[:, :64], axis=1)
        norms = norms[norms > 0]
        ratio = np.sqrt(np.mean(norms**2)) / norms.min()
        print(f"| {name} | {ratio:.3g} | {' | '.join(error_or_float(onnxq, made, *way) for way in ways)} |")


def handed_on(nodes: list, decades: float = 2, **constants: np.ndarray) -> tuple[onnx.ModelProto, dict]:
    """The same, of which `nodes` hand z on, or more than one input."""
    made, feeds = features(decades)
    made.graph.node[0].input[0] = "z"
    for i, new in enumerate(nodes):
        made.graph.node.insert(i, new)
    made.graph.initializer.extend(numpy_helper.from_array(np.asarray(a), n) for n, a in constants.items())
    if any("a" in new.input for new in nodes):
        x = feeds.pop("x")
        feeds.update(a=x[:, :128].copy(), b=x[:, 128:].copy())
    if any("mask" in new.input for new in nodes):
        feeds["mask"] = np.ones((64, 1), np.float32)
    del made.graph.input[:]
    made.graph.input.extend(helper.make_tensor_value_info(n, TensorProto.FLOAT, a.shape) for n, a in feeds.items())
    return made, feeds


def convolved() -> tuple[onnx.ModelProto, dict]:
    """The same as a convolution of one tap over 16 steps."""
    made, feeds = features(2)
    w = numpy_helper.to_array(made.graph.initializer[0])
    x = feeds["x"].reshape(4, 16, 256).transpose(0, 2, 1).copy()
    return model_of([node("Conv", "x w", "y")], {"x": x}, {"w": w.T[:, :, None].copy()}), {"x": x}


def recurrent(decades: float) -> tuple[onnx.ModelProto, dict]:
    """An LSTM of 128 on 64 features over decades."""
    sizes = 10 ** RNG.permutation(np.linspace(0, decades, 64))
    feeds = {"x": (normal(30, 2, 64) * sizes).astype(np.float32)}
    constants = {"w": 0.3 * normal(1, 512, 64) / sizes, "r": 0.08 * normal(1, 512, 128), "b": 0.1 * normal(1, 1024)}
    nodes = [node("LSTM", "x w r b", "y", hidden_size=128)]
    return model_of(nodes, feeds, {n: a.astype(np.float32) for n, a in constants.items()}), feeds


HANDED_ON = {
    "IsNaN, Where": lambda: handed_on([node("IsNaN", "x", "n"), node("Where", "n o x", "z")], o=np.float32(0)),
    "Clip": lambda: handed_on([node("Clip", "x lo hi", "z")], lo=np.float32(-1e6), hi=np.float32(1e6)),
    "Mul with an input": lambda: handed_on([node("Mul", "x mask", "z")]),
    "Concat of two inputs": lambda: handed_on([node("Concat", "a b", "z", axis=1)]),
    "a convolution of one tap": convolved,
    "Relu (of features above 0)": lambda: handed_on([node("Abs", "x", "p"), node("Relu", "p", "z")]),
    "Abs, Sqrt": lambda: handed_on([node("Abs", "x", "p"), node("Sqrt", "p", "z")]),
    "Sum": lambda: handed_on([node("Sum", "x x", "z")]),
    "BatchNormalization": lambda: handed_on(
        [node("BatchNormalization", "x o n n o", "z")], o=np.ones(256, np.float32), n=np.zeros(256, np.float32)
    ),
    "AveragePool": lambda: handed_on(
        [node("Unsqueeze", "x i", "u"), node("AveragePool", "u", "p", kernel_shape=[1]), node("Squeeze", "p i", "z")],
        i=np.array([2]),
    ),
    "ReduceMean": lambda: handed_on(
        [node("Unsqueeze", "x i", "u"), node("ReduceMean", "u", "z", axes=[2], keepdims=0)], i=np.array([2])
    ),
    "a cross: x (x V) + x": lambda: handed_on(
        [node("MatMul", "x v", "p"), node("Mul", "x p", "q"), node("Add", "q x", "z")], v=normal(256, 256) / 1e4
    ),
}


def late(size: float, n: int, part: float = 1) -> tuple[onnx.ModelProto, dict]:
    """n features of that size beside 256 that a network has computed, each worth `part` of one of those."""
    feeds = {"x": normal(64, 256), "s": (size * (1 + 0.3 * normal(64, n))).astype(np.float32)}
    w = np.concatenate([normal(256, 256) / 16, part * normal(n, 256) / 16 / size]).astype(np.float32)
    nodes = [node("MatMul", "x v", "m"), node("Relu", "m", "h")]
    nodes += [node("Concat", "h s", "z", axis=1), node("MatMul", "z w", "y")]
    return model_of(nodes, feeds, {"w": w, "v": normal(256, 256) / 11}), feeds


def beside(kind: str) -> tuple[onnx.ModelProto, dict]:
    """Features over 4 decades beside a state, a mean of embeddings, or the channels of an image."""
    sizes = 10 ** np.linspace(0, 4, 4)
    features = (sizes * (1 + 0.3 * normal(64, 4))).astype(np.float32)
    w = np.concatenate([normal(256, 256) / 16, normal(4, 256) / 16 / sizes[:, None]]).astype(np.float32)
    behind = [node("Concat", "h s", "z", axis=1), node("MatMul", "z w", "y")]
    if kind == "state":
        feeds = {"x": normal(10, 64, 32), "s": features}
        constants = {"w": w, "wl": normal(1, 1024, 32) / 6, "rl": normal(1, 1024, 256) / 16, "i": np.array([0])}
        nodes = [node("LSTM", "x wl rl", "o l", hidden_size=256), node("Squeeze", "l i", "h"), *behind]
        return model_of(nodes, feeds, constants), feeds
    feeds = {"x": np.abs(normal(64, 10, 50)), "s": features}
    constants = {"w": w, "t": normal(50, 256)}
    nodes = [node("MatMul", "x t", "e"), node("ReduceMean", "e", "h", axes=[1], keepdims=0), *behind]
    return model_of(nodes, feeds, constants), feeds


def print_beside(onnxq: str) -> None:
    makers = {f"one of size {s}": lambda s=s: late(s, 1) for s in (5, 20, 50, 100, 1000)}
    makers["one of size 100, worth 32 of the others"] = lambda: late(100, 1, 32)
    makers["40 of size 100"] = lambda: late(100, 40)
    makers["4, beside the state of an LSTM"] = lambda: beside("state")
    makers["4, beside a mean over time"] = lambda: beside("mean")
    ways = [(), ("--method=weights",), ("--method=blocks",), ("--method=qdq",)]
    print("\n| features beside computed ones | ratio | error % | weights | blocks | qdq |\n|---|---|---|---|---|---|")
    for name, make in makers.items():
        made = make()
        w = numpy_helper.to_array(made[0].graph.initializer[0])[:, :64]
        norms = np.linalg.norm(w / np.abs(w).max(0), axis=1)
        ratio = np.sqrt(np.mean(norms**2)) / min(norms[256:].min(), np.sqrt(np.mean(norms[:256] ** 2)))
        print(f"| {name} | {ratio:.3g} | {' | '.join(error_or_float(onnxq, made, *way) for way in ways)} |")


def joined(size: float, worth: float) -> tuple[onnx.ModelProto, dict]:
    """An image up to `size` beside 32 channels that were computed from it; a channel of it is worth `worth` of them."""
    feeds = {"x": (size * RNG.random((1, 3, 32, 32))).astype(np.float32)}
    w = normal(64, 35, 3, 3) / 18
    w[:, 32:] *= worth / size
    constants = {"w": w, "v": normal(32, 3, 3, 3) / 5, "u": normal(32, 32, 3, 3) / 17, "k": np.float32(4 / size)}
    nodes = [node("Mul", "x k", "s"), node("Conv", "s v", "a", pads=[1] * 4), node("Relu", "a", "b")]
    nodes += [node("Conv", "b u", "c", pads=[1] * 4), node("Relu", "c", "d"), node("Concat", "d x", "z", axis=1)]
    return model_of([*nodes, node("Conv", "z w", "y", pads=[1] * 4)], feeds, constants), feeds


def print_joined(onnxq: str) -> None:
    ways = {"static": (), "qdq-standard": ("--qdq-standard",)}
    print(f"\n| an image beside computed channels | {' | '.join(ways)} | qdq | conv integer |\n|---|---|---|---|---|")
    for size, worth in ((1, 1), (10, 1), (50, 1), (50, 10), (255, 1), (255, 10)):
        made = joined(size, worth)
        with tempfile.TemporaryDirectory() as folder:
            inputs = Path(folder, "inputs.npz")
            np.savez(inputs, **made[1])
            static = ("--method=static", f"--ort-lib={Path(ort.__file__).parent / 'capi'}", f"--inputs={inputs}")
            cells = [error_or_float(onnxq, made, *static, *way) for way in ways.values()]
        others = ("--method=qdq",), ("--conv=integer", "--force-integer")
        cells += [error_or_float(onnxq, made, *way) for way in others]
        print(f"| 0 to {size}, worth {worth} | {' | '.join(cells)} |")


def norm_ratio(w: np.ndarray) -> float:
    """Of [outputs, inputs]."""
    w = w[:64] / np.abs(w[:64]).max(1, keepdims=True)
    norms = np.linalg.norm(w, axis=0)
    return float(np.sqrt(np.mean(norms**2)) / norms[norms > 0].min())


def print_handed_on(onnxq: str) -> None:
    ways = [(), ("--method=blocks",), ("--method=qdq",), ("--no-symmetric",)]
    print("\n| features over 2 decades, behind | error % | blocks | qdq | zero points |\n|---|---|---|---|---|")
    for name, make in HANDED_ON.items():
        made = make()
        print(f"| {name} | {' | '.join(error_or_float(onnxq, made, *way) for way in ways)} |")
    print("\n| LSTM on features over | ratio | error % | weights | qdq |\n|---|---|---|---|---|")
    for decades in (0, 0.5, 0.75, 1, 1.5, 2, 3, 4):
        made = recurrent(decades)
        ratio = norm_ratio(numpy_helper.to_array(made[0].graph.initializer[0])[0])
        cells = [error_or_float(onnxq, made, *way) for way in ((), ("--method=weights",), ("--method=qdq",))]
        print(f"| {decades:g} decades | {ratio:.3g} | {' | '.join(cells)} |")


def offset_layer(mean: float, *behind: onnx.NodeProto) -> tuple[onnx.ModelProto, dict]:
    """A layer on features of mean +- 1, with what standardizes them made part of it."""
    means = mean * RNG.uniform(0.5, 1.5, 256)
    w = normal(256, 256) / 16
    constants = {"w": w, "b": (0.1 * normal(256) - means @ w).astype(np.float32)}
    feeds = {"x": (means + normal(64, 256)).astype(np.float32)}
    return model_of([node("Gemm", "x w b", "h"), *(behind or [node("Relu", "h", "y")])], feeds, constants), feeds


def normalized_layer(mean: float) -> tuple[onnx.ModelProto, dict]:
    """The same, where BatchNormalization takes the means off."""
    made, feeds = offset_layer(mean, node("BatchNormalization", "h o n b v", "y"))
    w, b = (numpy_helper.to_array(t) for t in made.graph.initializer)
    made.graph.node[0].input[2] = "n"
    constants = {"b": -b, "o": np.ones(256, np.float32), "n": np.zeros(256, np.float32), "v": (w**2).sum(0)}
    del made.graph.initializer[1]
    made.graph.initializer.extend(numpy_helper.from_array(a, n) for n, a in constants.items())
    return made, feeds


def mixture(mean: float) -> tuple[onnx.ModelProto, dict]:
    """A component of a Gaussian mixture: the square of the distance, by the root of its precision."""
    root = RNG.standard_normal((48, 48))
    turn = np.linalg.cholesky(root @ root.T / 48 + 0.1 * np.eye(48))
    w = np.linalg.inv(turn).T
    means = mean * RNG.uniform(0.5, 1.5, 48)
    x = means + RNG.standard_normal((64, 48)) @ turn.T
    constants = {"w": w.astype(np.float32), "b": (-means @ w).astype(np.float32)}
    feeds = {"x": x.astype(np.float32)}
    return model_of([node("Gemm", "x w b", "h"), node("ReduceSumSquare", "h", "y", axes=[1])], feeds, constants), feeds


def print_biases(onnxq: str) -> None:
    ways = [("--force-integer",), ("--method=blocks",), ("--method=qdq",), ("--method=weights",)]
    print("\n| means | bias / rest | integers | blocks | qdq | weights |\n|---|---|---|---|---|---|")
    for name, make in (("a layer", offset_layer), ("normalized", normalized_layer), ("a mixture", mixture)):
        for mean in (0, 1, 2, 3, 5, 10, 30, 100, 300, 1000):
            made = make(mean)
            w, b = (numpy_helper.to_array(t)[..., :64] for t in made[0].graph.initializer[:2])
            ratio = np.median(np.abs(b) / np.maximum(np.linalg.norm(w, axis=0), 1))
            cells = [error_or_float(onnxq, made, *way) for way in ways]
            print(f"| {name}, {mean:g} | {ratio:.3g} | {' | '.join(cells)} |")


def spline() -> tuple[onnx.ModelProto, dict]:
    """The places of a picture of text where a thin-plate spline of 20 points looks for its pixels."""
    top = np.stack([np.linspace(-1, 1, 10), -np.ones(10)], 1)
    points = np.concatenate([top, top * (1, -1)])

    def bend(a: np.ndarray) -> np.ndarray:
        squares = ((a[:, None] - points[None]) ** 2).sum(2)
        return squares * np.log(np.sqrt(squares) + 1e-6)

    places = np.stack(np.meshgrid(np.linspace(-1, 1, 100), np.linspace(-1, 1, 32)), -1).reshape(-1, 2)
    ends = np.hstack([np.ones((20, 1)), points])
    equations = np.block([[ends, bend(points)], [np.zeros((3, 3)), ends.T]])
    moved = np.concatenate([points + 0.05 * RNG.standard_normal((20, 2)), np.zeros((3, 2))])
    weight = np.hstack([np.ones((3200, 1)), places, bend(places)])
    return bare(np.linalg.solve(equations, moved).T, weight.T)


def laplacian(n: int) -> np.ndarray:
    """Of a graph drawn at random: as many edges on the diagonal as rows have elsewhere."""
    edges = np.triu(RNG.random((n, n)) < 6 / n, 1).astype(np.float64)
    edges += edges.T
    return np.diag(edges.sum(1)) - edges


def cancelling(x: np.ndarray, nodes: list, **constants: np.ndarray) -> tuple[onnx.ModelProto, dict]:
    feeds = {"x": x.astype(np.float32)}
    tensors = {n: a if a.dtype == np.int64 else a.astype(np.float32) for n, a in constants.items()}
    return model_of(nodes, feeds, tensors), feeds


def graph_laplacian() -> tuple[onnx.ModelProto, dict]:
    return cancelling(50 + 0.3 * normal(32, 256), [node("MatMul", "x w", "y")], w=laplacian(256))


def differences() -> tuple[onnx.ModelProto, dict]:
    walk = 100 + normal(16, 512).cumsum(1)
    return cancelling(walk, [node("MatMul", "x w", "y")], w=np.eye(512) - np.eye(512, k=1))


def whitening(condition: float, is_symmetric: bool) -> tuple[onnx.ModelProto, dict]:
    turn, _ = np.linalg.qr(normal(64, 64))
    sizes = np.logspace(0, -np.log10(condition), 64)
    w = (turn / sizes) @ (turn.T if is_symmetric else np.eye(64))
    x = 1 + (normal(256, 64) * sizes) @ turn.T
    return cancelling(x, [node("Sub", "x one", "c"), node("MatMul", "c w", "y")], w=w, one=np.float64(1))


def mahalanobis() -> tuple[onnx.ModelProto, dict]:
    turn, _ = np.linalg.qr(normal(64, 64))
    sizes = np.logspace(0, -2, 64)
    nodes = [node("MatMul", "x w", "p"), node("Mul", "p x", "q"), node("ReduceSum", "q axes", "y")]
    return cancelling((normal(256, 64) * sizes) @ turn.T, nodes, w=(turn / sizes**2) @ turn.T, axes=np.array([1]))


def distances(*behind: onnx.NodeProto) -> tuple[onnx.ModelProto, dict]:
    """Squares of distances from the nearest of 256 points, which all are near one of."""
    points = 3 + normal(256, 64)
    x = points[RNG.integers(0, 256, 128)] + 0.03 * normal(128, 64)
    nodes = [
        node("ReduceSumSquare", "x", "xx", axes=[1]), node("Gemm", "x w", "xw", alpha=-2.0, transB=1),
        node("Add", "xx xw", "s"), node("Add", "s ww", "d"), *behind,
    ]
    return cancelling(x, nodes, w=points, ww=(points**2).sum(1))


def polynomials() -> tuple[onnx.ModelProto, dict]:
    """Of Chebyshev, up to the 11th degree."""
    rows = [np.polynomial.chebyshev.cheb2poly(np.eye(12)[i]) for i in range(12)]
    w = np.tile(np.stack([np.pad(row, (0, 12 - len(row))) for row in rows], 1), (1, 16))
    nodes = [node("Pow", "x e", "p"), node("MatMul", "p w", "y")]
    return cancelling(RNG.uniform(-1, 1, (64, 1)), nodes, w=w, e=np.arange(12.0))


def pair() -> tuple[onnx.ModelProto, dict]:
    w = normal(128, 64)
    nodes = [node("MatMul", "x v", "a"), node("MatMul", "x w", "b"), node("Sub", "a b", "y")]
    return cancelling(normal(64, 128), nodes, v=w, w=w + 0.01 * normal(128, 64))


def looked_up_bias() -> tuple[onnx.ModelProto, dict]:
    """ALiBi of 8 heads, looked up by distance."""
    heads, n = 8, 256
    table = -np.arange(1024)[:, None] * 2.0 ** -np.arange(1, heads + 1)
    nodes = [
        node("Gather", "w i", "b"), node("Transpose", "b", "t", perm=[2, 0, 1]), node("Add", "x t", "s"),
        node("Softmax", "s", "y"),
    ]
    distance = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    model, feeds = cancelling(normal(1, heads, n, n), nodes, w=table)
    model.graph.input.append(helper.make_tensor_value_info("i", TensorProto.INT64, distance.shape))
    return model, {**feeds, "i": distance}


def decay_by_kind() -> tuple[onnx.ModelProto, dict]:
    """A state that decays in 400 steps of a Scan, as a table says for a kind."""
    value = lambda name, shape, t=1: helper.make_tensor_value_info(name, t, shape)  # noqa: E731
    body = helper.make_graph(
        [node("Gather", "w i", "a"), node("Mul", "s a", "m"), node("Add", "m x", "t"), node("Identity", "t", "o")],
        "body", [value("s", [32]), value("i", [], TensorProto.INT64), value("x", [32])],
        [value("t", [32]), value("o", [32])],
    )
    nodes = [node("Scan", "zero i x", "last y", body=body, num_scan_inputs=2)]
    model, feeds = cancelling(normal(400, 32), nodes, w=1 - 10 ** RNG.uniform(-4, -1, (64, 32)), zero=np.zeros(32))
    model.graph.input.append(value("i", [400], TensorProto.INT64))
    return model, {**feeds, "i": np.zeros(400, np.int64)}


CANCELLING = {
    "a Laplacian of 256, beside an offset": graph_laplacian,
    "differences of a walk": differences,
    "whitening by components, condition 10": lambda: whitening(10, False),
    "the same, 100": lambda: whitening(100, False),
    "the same, 1000": lambda: whitening(1000, False),
    "symmetric whitening, 100": lambda: whitening(100, True),
    "Mahalanobis distances, 100": mahalanobis,
    "distances: the least": lambda: distances(node("ReduceMin", "d", "y", axes=[1])),
    "distances: Exp(-d)": lambda: distances(node("Neg", "d", "n"), node("Exp", "n", "y")),
    "polynomials": polynomials,
    "two products of the same, one less the other": pair,
    "a looked up bias of attention": looked_up_bias,
    "a looked up decay": decay_by_kind,
}


def print_cancelling(onnxq: str) -> None:
    ways = {
        "integers": ("--force-integer",), "blocks": ("--method=blocks", "--force-integer"), "qdq": ("--method=qdq",),
        "8 bits folded": ("--method=weights", "--fold-bits=8"),
    }
    print(f"\n| large terms that take each other away | {' | '.join(ways)} |\n|{'---|' * (len(ways) + 1)}")
    for name, make in CANCELLING.items():
        made = make()
        cells = [f"{error(onnxq, made, *way, '--allow-noop')[0]:.3g}" for way in ways.values()]
        print(f"| {name} | {' | '.join(cells)} |")


def steps_of_time(rate: float) -> tuple[onnx.ModelProto, dict]:
    """100 steps of the heat equation."""
    x = np.zeros((1, 64))
    x[0, 20:30] = 1
    names = ["x", *(f"t{i}" for i in range(99)), "y"]
    nodes = [node("MatMul", f"{a} w", b) for a, b in zip(names, names[1:], strict=False)]
    return cancelling(x, nodes, w=np.eye(64) + rate * (np.eye(64, k=1) + np.eye(64, k=-1) - 2 * np.eye(64)))


def shortcut(size: float) -> tuple[onnx.ModelProto, dict]:
    """A kernel that its shortcut was made part of, less that: what the layer adds."""
    w = size * normal(32, 32, 3, 3)
    w[np.arange(32), np.arange(32), 1, 1] += 1
    nodes = [node("Conv", "x w", "m", pads=[1, 1, 1, 1]), node("Relu", "m", "n"), node("Sub", "n x", "y")]
    return cancelling(np.abs(normal(1, 32, 24, 24)), nodes, w=w)


def states(n: int, stay: float) -> tuple[onnx.ModelProto, dict]:
    """A filter of a hidden Markov model: the states, one step after another."""
    w = RNG.dirichlet(np.ones(n), n) * (1 - stay) + stay * np.eye(n)
    seen = np.exp(-((np.arange(n) - np.arange(30)[:, None] // 5) ** 2)) + 1e-3
    nodes, a = [], "start"
    for i in range(30):
        nodes += [
            node("Gather", f"x i{i}", f"e{i}", axis=0), node("MatMul", f"{a} w", f"p{i}"), node("Mul", f"p{i} e{i}", f"u{i}"),
            node("ReduceSum", f"u{i} axes", f"s{i}"), node("Div", f"u{i} s{i}", f"a{i}"),
        ]
        a = f"a{i}"
    nodes.append(node("Concat", " ".join(f"a{i}" for i in range(30)), "y", axis=0))
    places = {f"i{i}": np.array([i]) for i in range(30)}
    return cancelling(seen, nodes, w=w, start=np.full((1, n), 1 / n), axes=np.array([1]), **places)


def notch(hum: float) -> tuple[onnx.ModelProto, dict]:
    """A filter that leaves a band of hum out, beside which the signal is 1."""
    t, k = np.arange(4000), np.arange(1025) - 512
    band = 2 * 0.01 * np.sinc(2 * 0.005 * k) * np.cos(2 * np.pi * 0.05 * k) * np.kaiser(1025, 9)
    w = (k == 0) - band / np.abs(np.exp(2j * np.pi * 0.05 * k) @ band)
    x = np.sign(np.sin(t / 150)) * np.abs(np.sin(t / 150)) ** 0.2 + hum * np.sin(2 * np.pi * 0.05 * t)
    return cancelling(x[None, None], [node("Conv", "x w", "y")], w=w[None, None])


def places_less(x: np.ndarray, w: np.ndarray) -> tuple[onnx.ModelProto, dict]:
    """Of values with an offset, which is taken off behind."""
    return cancelling(x, [node("MatMul", "x w", "m"), node("Sub", "m level", "y")], w=w, level=np.float64(x.mean()))


def interpolation() -> tuple[onnx.ModelProto, dict]:
    w = np.maximum(0, 1 - np.abs(np.arange(96)[:, None] - np.linspace(0, 94.999, 128)))
    return places_less(288 + 5 * np.sin(np.arange(96) / 7)[None], w)


def smoothing() -> tuple[onnx.ModelProto, dict]:
    w = np.exp(-(((np.arange(300)[:, None] - np.arange(300)) / 8) ** 2))
    return places_less(101325 + 300 * np.sin(np.arange(300) / 20)[None], w / w.sum(0))


def persistence() -> tuple[onnx.ModelProto, dict]:
    w = 0.02 * RNG.standard_normal((336, 96))
    w += (1 - w.sum(0)) / 336
    return places_less(50000 + 300 * np.sin(np.arange(336) / 4)[None] + 20 * normal(7, 336), w)


def pixels() -> tuple[onnx.ModelProto, dict]:
    """Where the pixels of a picture are in front of a camera: u, v, 1."""
    u, v = np.meshgrid(np.arange(320.0), np.arange(96.0))
    camera = np.linalg.inv([[250, 0, 160], [0, 250, 48], [0, 0, 1]])
    return cancelling(camera[None], [node("MatMul", "x w", "y")], w=np.stack([u.ravel(), v.ravel(), np.ones(u.size)])[None])


def readout() -> tuple[onnx.ModelProto, dict]:
    """Least squares on 1500 bumps that overlap."""
    x, points = RNG.uniform(-1, 1, (800, 2)), RNG.uniform(-1, 1, (1500, 2))
    bumps = np.exp(-3 * ((x[:, None] - points) ** 2).sum(2))
    w = np.linalg.solve(bumps.T @ bumps + 1e-4 * np.eye(1500), bumps.T @ np.sin(3 * x[:, :1]))
    return cancelling(bumps[:64], [node("MatMul", "x w", "y")], w=w)


def deviation() -> tuple[onnx.ModelProto, dict]:
    """Of a Gaussian process with 300 points."""
    points = RNG.uniform(0, 1, (300, 2))
    kernel = lambda a: np.exp(-12 * ((a[:, None] - points) ** 2).sum(2))  # noqa: E731
    nodes = [
        node("MatMul", "x w", "m"), node("Mul", "m x", "q"), node("ReduceSum", "q axes", "s"), node("Sub", "one s", "v"),
        node("Max", "v zero", "z"), node("Sqrt", "z", "y"),
    ]
    w = np.linalg.inv(kernel(points) + 0.01 * np.eye(300))
    return cancelling(kernel(RNG.uniform(0, 1, (100, 2))), nodes, w=w, one=np.float64(1), zero=np.float64(0), axes=np.array([1]))


def profiles() -> tuple[onnx.ModelProto, dict]:
    """What is usual for one of 1000 customers, taken off."""
    rows, which = 1000 + 50 * normal(1000, 24), RNG.integers(0, 1000, 30)
    made, feeds = cancelling(rows[which] + 10 * normal(30, 24), [node("Gather", "w i", "r"), node("Sub", "x r", "y")], w=rows)
    made.graph.input.append(helper.make_tensor_value_info("i", TensorProto.INT64, which.shape))
    return made, {**feeds, "i": which}


def slopes() -> tuple[onnx.ModelProto, dict]:
    """Of a curve that is kept as a table, by neighbours in it."""
    at = RNG.integers(0, 1023, (2, 200))
    nodes = [
        node("Add", "x one", "k"), node("GatherElements", "w x", "a", axis=1), node("GatherElements", "w k", "b", axis=1),
        node("Sub", "b a", "y"),
    ]
    made, _ = cancelling(at, nodes, w=np.stack([np.linspace(0, 1, 1024) ** p for p in (0.5, 2)]), one=np.array([[1]]))
    made.graph.input[0].type.tensor_type.elem_type = TensorProto.INT64
    return made, {"x": at}


def stations() -> tuple[onnx.ModelProto, dict]:
    """The distance to the nearest of 2000, in metres from the equator."""
    at = np.stack([RNG.uniform(4e5, 6e5, 2000), RNG.uniform(5e6, 5.2e6, 2000)])[None]
    nodes = [
        node("Sub", "x w", "d"), node("ReduceSumSquare", "d", "s", axes=[1]), node("ReduceMin", "s", "m", axes=[2]),
        node("Sqrt", "m", "y"),
    ]
    return cancelling(at[:, :, :40].transpose(2, 1, 0) + 200 * normal(40, 2, 1), nodes, w=at)


def experts(least: float) -> tuple[onnx.ModelProto, dict]:
    sizes = np.array([1, 1, 1, least])[:, None, None]
    nodes = [node("MatMul", "x w", "m"), node("Div", "m sizes", "y")]
    return cancelling(normal(1, 8, 128), nodes, w=sizes * RNG.standard_normal((4, 128, 96)), sizes=sizes)


def layer(w: np.ndarray) -> tuple[onnx.ModelProto, dict]:
    """One that is nothing but a layer."""
    return cancelling(normal(32, 256), [node("Relu", "x", "h"), node("MatMul", "h w", "y")], w=w)


LOST = {
    "steps of time, rate 0.003": lambda: steps_of_time(0.003),
    "steps of time, rate 0.02": lambda: steps_of_time(0.02),
    "a shortcut in a kernel, 0.01": lambda: shortcut(0.01),
    "a shortcut in a kernel, 0.05": lambda: shortcut(0.05),
    "transitions of 32, 90 % stay": lambda: states(32, 0.9),
    "transitions of 64, 99 % stay": lambda: states(64, 0.99),
    "transitions of 128, 50 % stay": lambda: states(128, 0.5),
    "a notch, hum of 3": lambda: notch(3),
    "interpolation of 288 +- 5": interpolation,
    "smoothing of 101325 +- 300": smoothing,
    "a forecast of 50000 +- 300": persistence,
    "pixels": pixels,
    "a readout of 1500 bumps": readout,
    "a deviation: Sqrt(1 - k . K^-1 . k)": deviation,
    "a profile, looked up and taken off": profiles,
    "slopes of a table": slopes,
    "the nearest of 2000 stations": stations,
    "experts, one a tenth": lambda: experts(0.1),
    "experts, one a hundredth": lambda: experts(0.01),
    "normally distributed": lambda: layer(normal(256, 256)),
    "Student's t of 2": lambda: layer(RNG.standard_t(2, (256, 256))),
    "nine of ten pruned": lambda: layer(normal(256, 256) * (RNG.random((256, 256)) < 0.1)),
    "one input of 10 times": lambda: layer(normal(256, 256) * np.where(np.arange(256) == 9, 10, 1)[:, None]),
    "one input of 15 times": lambda: layer(normal(256, 256) * np.where(np.arange(256) == 9, 15, 1)[:, None]),
    "one input of 30 times": lambda: layer(normal(256, 256) * np.where(np.arange(256) == 9, 30, 1)[:, None]),
    "one input of 50 times": lambda: layer(normal(256, 256) * np.where(np.arange(256) == 9, 50, 1)[:, None]),
}


def steps_beside(made: tuple[onnx.ModelProto, dict]) -> str:
    """What is beside the largest number of an output typically has, in the middle of all outputs."""
    graph = made[0].graph
    w = next(numpy_helper.to_array(t) for t in graph.initializer if t.name == "w").astype(np.float64)
    op_type = next(n.op_type for n in graph.node if "w" in n.input)
    if op_type not in ("MatMul", "Conv"):
        return ""
    w = w.reshape(len(w), -1) if op_type == "Conv" else np.moveaxis(w, -1, 0).reshape(w.shape[-1], -1)
    size = np.sort(np.abs(w), 1)
    rest = size[:, :-1]
    some = rest.sum(1) > 0
    return f"{np.median((rest**2).sum(1)[some] / rest.sum(1)[some] / size[some, -1] * 127):.2g}"


def print_lost(onnxq: str) -> None:
    ways = [(), ("--method=blocks",), ("--method=qdq",), ("--method=weights",)]
    print("\n| matrices and tables | steps beside the largest | default | blocks | qdq | weights |\n|---|---|---|---|---|---|")
    for name, make in LOST.items():
        made = make()
        print(f"| {name} | {steps_beside(made)} | {' | '.join(error_or_float(onnxq, made, *way) for way in ways)} |", flush=True)


def print_grid(onnxq: str) -> None:
    """Of places: the largest error, in percent of half a picture."""
    made, cells = spline(), []
    for flags in WAYS.values():
        want, got, _ = results(onnxq, made, *flags)
        cells.append(f"{100 * np.abs(got - want).max():.3g}")
    print(f"\n| places | {' | '.join(WAYS)} |\n|{'---|' * (len(WAYS) + 1)}")
    print(f"| thin-plate spline | {' | '.join(cells)} |")


def error_or_float(onnxq: str, made: tuple[onnx.ModelProto, dict], *flags: str) -> str:
    try:
        return f"{error(onnxq, made, *flags)[0]:.3g}"
    except subprocess.CalledProcessError:  # nothing is left to quantize
        return "float"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--onnxq", required=True)
    onnxq = parser.parse_args().onnxq
    print("| constant | 8 bits: error % | size % | 16 bits: error % | size % |\n|---|---|---|---|---|")
    for name, make in CONSTANTS.items():
        made = make()
        cells = [f"{cell:.3g}" for bits in ("8", "16") for cell in error(onnxq, made, f"--fold-bits={bits}")]
        print(f"| {name} | {' | '.join(cells)} |")
    print_products(onnxq, PRODUCTS)
    print_angles(onnxq)
    print_cuts(onnxq)
    print_offsets(onnxq)
    print_products(onnxq, ROOTS)
    print_logarithms(onnxq)
    print_first_layers(onnxq)
    print_handed_on(onnxq)
    print_beside(onnxq)
    print_joined(onnxq)
    print_biases(onnxq)
    print_grid(onnxq)
    print_cancelling(onnxq)
    print_lost(onnxq)


if __name__ == "__main__":
    main()
