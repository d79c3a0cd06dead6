#!/usr/bin/env python3
"""
What a scale per channel costs and gains in products of few rows: speed (float time / quantized
time, processor time of one thread, interleaved) and error in percent, of onnxq by default, with
--no-per-channel, with --method blocks, and of onnxruntime.quantization.quantize_dynamic per tensor.

    tools/scales.py [--onnxq PATH] [--models DIR] [--seconds S] [--rows N]
    tools/scales.py --layers ...    one scale for each weight in turn, the others as they are
    tools/scales.py --rule ...      one scale where it is at most so many times the mean one
"""

import argparse
import logging
import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "ort"))

import common  # noqa: E402, of tests/ort
import measure  # noqa: E402
from networks import NETWORKS  # noqa: E402
from norms import make_feeds, open_dims  # noqa: E402

N_TRIES = 12
RULES = (1.5, 2.0, 2.5)
KINDS = {"default": (), "--no-per-channel": ("--no-per-channel",), "--method blocks": ("--method", "blocks")}
PRODUCTS = ("MatMulInteger", "DynamicQuantizeMatMul")
REAL = ("mnist_256x6", "music_mlp")
DRAWN = ("perceptron", "transformer, normalized after", "vision transformer")


def measure_one(name: str, source: Path, arguments, scratch: Path) -> str:
    model = onnx.load(source)
    out = {kind: scratch / f"{i}.onnx" for i, kind in enumerate((*KINDS, "quantize_dynamic"))}
    for kind, flags in KINDS.items():
        subprocess.run([arguments.onnxq, "quantize", "-qq", "-f", *flags, source, out[kind]], check=True)
    quantize_dynamic(str(source), str(out["quantize_dynamic"]), weight_type=QuantType.QInt8)
    feeds = make_feeds(model, {dim: arguments.rows if i == 0 else 16 for i, dim in enumerate(open_dims(model))})
    want = common.run(source, feeds)
    errors = [common.relative_error(want, common.run(path, feeds)) for path in out.values()]
    times = measure.latencies({"float": source, **out}, feeds, arguments.seconds)
    cells = [
        f"{measure.ratios(times['float'], times[kind])[0]:.2f} ({error:.2f})" for kind, error in zip(out, errors)
    ]
    return f"| {name} | {' | '.join(cells)} |"


def mean_error(wanted: list, path: Path, inputs: list) -> float:
    errors = [common.relative_error(want, common.run(path, feeds)) for want, feeds in zip(wanted, inputs)]
    return math.sqrt(sum(error**2 for error in errors) / len(errors))


def find_float(weights: dict, made: dict, weight: str) -> np.ndarray:
    """As the product takes it: turned, and multiplied by what its activations are divided by."""
    want, got = weights[weight], made[f"{weight}_quantized"] * made[f"{weight}_scale"]
    if f"{weight}_smooth_f32" in made:
        want = want / made[f"{weight}_smooth_f32"][:, None]
    ways = [way for way in (want, want.T) if way.shape == got.shape]
    return min(ways, key=lambda way: np.linalg.norm(got - way))


def rounded(model: onnx.ModelProto, weight: str, want: np.ndarray) -> str:
    """What rounding makes of the weight, percent, whichever way round it is stored."""
    made = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    want = find_float({weight: want}, made, weight)
    got = made[f"{weight}_quantized"] * made[f"{weight}_scale"]
    return f"{100 * np.linalg.norm(got - want) / np.linalg.norm(want):.2f}"


def measure_layers(name: str, source: Path, arguments, scratch: Path) -> None:
    """The root of the mean square of several inputs, as one is luck."""
    model, made = onnx.load(source), {}
    for kind, flags in (("default", []), ("tensor", ["--no-per-channel"])):
        path = scratch / f"{kind}.onnx"
        subprocess.run([arguments.onnxq, "quantize", "-qq", "-f", *flags, source, path], check=True)
        made[kind] = onnx.load(path)
    sizes = {dim: 32 for dim in open_dims(model)}
    inputs = [make_feeds(model, sizes, seed) for seed in range(N_TRIES)]
    wanted = [common.run(source, feeds) for feeds in inputs]
    print(f"| {name} | none | | | {mean_error(wanted, scratch / 'default.onnx', inputs):.2f} |")
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    scalars = {tensor.name: tensor for tensor in made["tensor"].graph.initializer}
    products = [node for node in made["default"].graph.node if node.op_type in PRODUCTS]
    for weight in [node.input[1].removesuffix("_quantized") for node in products]:
        mixed = onnx.load(scratch / "default.onnx")
        for tensor in mixed.graph.initializer:
            if tensor.name in (f"{weight}_quantized", f"{weight}_scale"):
                tensor.CopyFrom(scalars[tensor.name])
        onnx.save(mixed, scratch / "mixed.onnx")
        cells = [rounded(made[kind], weight, weights[weight]) for kind in ("default", "tensor")]
        error = mean_error(wanted, scratch / "mixed.onnx", inputs)
        print(f"| | {weight} | {' | '.join(cells)} | {error:.2f} |", flush=True)


def apply_rule(source: onnx.ModelProto, path: Path, most: float, out: Path) -> str:
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in source.graph.initializer}
    model, taken, n = onnx.load(path), set(), 0
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    made = {name: numpy_helper.to_array(tensor) for name, tensor in tensors.items()}
    products = [node for node in model.graph.node if node.op_type in PRODUCTS]
    names = {node.input[1].removesuffix("_quantized") for node in products}
    names = sorted(name for name in names if name in weights)
    for name in names:
        scale = made[f"{name}_scale"]
        if scale.size < 2 or scale.max() > most * np.sqrt(np.mean(scale**2)):
            continue
        one = scale.max()
        while one in taken:
            one = np.nextafter(one, np.float32(np.inf))
        taken.add(one)
        integers = np.rint(find_float(weights, made, name) / one).clip(-127, 127).astype(np.int8)
        tensors[f"{name}_quantized"].CopyFrom(numpy_helper.from_array(integers, f"{name}_quantized"))
        tensors[f"{name}_scale"].CopyFrom(numpy_helper.from_array(np.array(one), f"{name}_scale"))
        n += 1
    onnx.save(model, out)
    return f"{n} of {len(names)}"


def measure_rule(name: str, source: Path, arguments, scratch: Path) -> str:
    """Error over several inputs of 16 rows, speed of one row."""
    model, made = onnx.load(source), {"default": scratch / "default.onnx"}
    subprocess.run([arguments.onnxq, "quantize", "-qq", "-f", source, made["default"]], check=True)
    counts = {"default": "0"}
    for most in RULES:
        made[str(most)] = scratch / f"{most}.onnx"
        counts[str(most)] = apply_rule(model, made["default"], most, made[str(most)])
    stored = source.with_name(f"{source.stem}_inputs.npz")
    if stored.exists():
        inputs = [dict(np.load(stored))]
        one_row = {key: value[:1] for key, value in inputs[0].items()}
    else:
        inputs = [make_feeds(model, {dim: 16 for dim in open_dims(model)}, seed) for seed in range(N_TRIES)]
        one_row = make_feeds(model, {dim: 1 if i == 0 else 16 for i, dim in enumerate(open_dims(model))})
    wanted = [common.run(source, feeds) for feeds in inputs]
    times = measure.latencies(made, one_row, arguments.seconds)
    cells = []
    for kind, path in made.items():
        speed = measure.ratios(times["default"], times[kind])[0]
        cells.append(f"{counts[kind]}: {mean_error(wanted, path, inputs):.2f}, {speed:.2f}")
    return f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("--onnxq", default=ROOT / "build" / "release" / "onnxq", type=Path)
    parser.add_argument("--models", default=ROOT.parent / "shared" / "models", type=Path)
    parser.add_argument("--seconds", default=6.0, type=float)
    parser.add_argument("--rows", default=1, type=int, help="of the first dimension that is open")
    parser.add_argument("--layers", action="store_true")
    parser.add_argument("--rule", action="store_true")
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    measure.time.perf_counter = time.process_time  # not the time of others, who run beside
    if arguments.layers:
        print("| network | one scale for | rounding of it | with one scale | error % |\n|---|---|---|---|---|")
        with tempfile.TemporaryDirectory() as folder:
            for name in REAL:
                measure_layers(name, arguments.models / f"{name}.onnx", arguments, Path(folder))
        return
    if arguments.rule:
        print(f"| network | default | {' | '.join(f'up to {most}' for most in RULES)} |\n|---|{'---|' * 4}")
        with tempfile.TemporaryDirectory() as folder:
            scratch = Path(folder)
            for name in DRAWN:
                onnx.save(NETWORKS[name](), scratch / "network.onnx")
                print(measure_rule(name, scratch / "network.onnx", arguments, scratch), flush=True)
            for name in (*REAL, "minilm"):
                print(measure_rule(name, arguments.models / f"{name}.onnx", arguments, scratch), flush=True)
        return
    print(f"| network, rows: {arguments.rows} | {' | '.join(KINDS)} | quantize_dynamic |\n|---{'|---' * 4}|")
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
