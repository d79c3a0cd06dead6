#!/usr/bin/env python3
"""
Static quantization against its peer, onnxruntime.quantization.quantize_static, in the same run.

    tools/static.py --onnxq build/release/onnxq --models DIR [--flags=A,B] [--no-peer] [MODEL...]
    tools/static.py --onnxq build/release/onnxq --networks | --convolutions

Calibrates on some natural pictures and judges on others: time and memory of calibrating and
quantizing, size, relative error of each output, and speed against float (processor time of one thread, in turns).
The peer gets its own pre-processing, opset 13, weights per channel and uint8 activations, ranges by
minimum and maximum, and by entropy. --flags adds a line for each option of onnxq that it names.
--networks measures networks with random weights (convnets.py): the speed with all in integers that can be, and with what
is faster so. --convolutions measures single ones: what src/quantize/activations/worth.c estimates.
Needs onnxruntime, onnx, numpy, sympy, scikit-image and scikit-learn.
"""

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "ort"))

import numpy as np
import onnx
import onnxruntime

import convnets
from measure import Starter


def pictures():
    import sklearn.datasets
    from skimage import data

    natural = [data.astronaut(), data.chelsea(), data.coffee(), data.rocket()]
    natural += list(sklearn.datasets.load_sample_images().images)
    return [p[..., :3] for p in natural], [page(seed) for seed in range(8)]


LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJ0123456789"


def page(seed, height=640, width=960):
    """Words of all sizes on a ground that is neither white nor even; every fourth page is light on dark."""
    from PIL import Image, ImageDraw, ImageFont

    rng = np.random.default_rng(seed)
    colors = [tuple(map(int, rng.integers(*ends, 3))) for ends in ((170, 256), (0, 90))]
    ground, ink = reversed(colors) if seed % 4 == 3 else colors
    picture = Image.new("RGB", (width, height), ground)
    draw = ImageDraw.Draw(picture)
    y = 20
    while y < height - 60:
        size = int(rng.integers(18, 52))
        font, x = ImageFont.load_default(size), int(rng.integers(10, 200))
        for _ in range(int(rng.integers(1, 5))):
            word = "".join(rng.choice(list(LETTERS), int(rng.integers(2, 10))))
            draw.text((x, y), word, font=font, fill=ink)
            x += int(draw.textlength(word + " ", font=font))
        y += int(size * rng.uniform(1.2, 2.2))
    slope = np.linspace(0, rng.uniform(-40, 40), width)[None, :, None]
    return np.clip(np.asarray(picture) + slope + rng.normal(0, 4, (height, width, 3)), 0, 255)


def resize(picture, height, width):
    from skimage import transform

    return transform.resize(picture, (height, width), preserve_range=True, anti_aliasing=True).astype(np.float32)


def chw(x):
    return x.transpose(2, 0, 1)[None]


GRAY = np.float32([0.299, 0.587, 0.114]) / 255
MEAN, STD = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
INPUTS = {
    "super_resolution_10": ("input", lambda p: (resize(p, 224, 224) @ GRAY)[None, None]),
    "ultraface": ("input", lambda p: chw((resize(p, 240, 320) - 127) / 128)),
    "bodypix_x050": ("input", lambda p: (resize(p, 257, 257) / 127.5 - 1)[None]),
    "deeplab_v3": ("sub_7", lambda p: (resize(p, 257, 257) / 127.5 - 1)[None]),
    "ppocr_det": ("x", lambda p: chw((resize(p, 320, 640) / 255 - MEAN) / STD)),
}


def first_input(model):
    constants = {t.name for t in model.graph.initializer}
    return next(i.name for i in model.graph.input if i.name not in constants)


def feeds_of(name, model):
    natural, pages = pictures()
    make = INPUTS[name][1]
    chosen = pages if name == "ppocr_det" else natural
    return [{first_input(model): np.ascontiguousarray(make(p), np.float32)} for p in chosen]


def measured(starter, command):
    """Seconds, and the peak resident memory in MB."""
    seconds, status, peak = starter.measure(command)
    if status != 0:
        raise SystemExit(f"{' '.join(map(str, command))}: exit code {status}")
    return seconds, peak


PEER_METHODS = ("MinMax", "Entropy")


def prepare(source, output):
    """What others quantize: opset 13, weights that are no inputs, pre-processed as the peer advises."""
    from onnx import version_converter
    from onnxruntime.quantization.shape_inference import quant_pre_process

    model = onnx.load(source)
    constants = {t.name for t in model.graph.initializer}
    inputs = [i for i in model.graph.input if i.name not in constants]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    if next(o.version for o in model.opset_import if o.domain == "") < 13:
        model = version_converter.convert_version(model, 13)
    raised, prepared = f"{output}.13.onnx", f"{output}.pre.onnx"
    onnx.save(model, raised)
    os.chdir(Path(output).parent)  # where it fails, shape inference leaves a model in the current folder
    try:
        quant_pre_process(raised, prepared)
    except Exception:
        quant_pre_process(raised, prepared, skip_symbolic_shape=True)
    return prepared


def quantize_with_peer(source, feeds_file, output, method):
    """In a process of its own: `tools/static.py --peer SOURCE FEEDS OUTPUT METHOD`."""
    from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static

    logging.disable(logging.WARNING)

    class Reader(CalibrationDataReader):
        def __init__(self):
            stored = np.load(feeds_file)
            names = sorted(stored.files)
            self.feeds = iter([{n.rsplit("__", 1)[0]: stored[n]} for n in names])

        def get_next(self):
            return next(self.feeds, None)

    prepared = prepare(source, output)
    quantize_static(
        prepared, output, Reader(), quant_format=QuantFormat.QDQ, per_channel=True,
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
        calibrate_method=CalibrationMethod[method],
    )  # fmt: skip


def errors(source, made, feeds):
    """Percent of the norm of each output, over all inputs."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    a, b = (onnxruntime.InferenceSession(str(path), options) for path in (source, made))
    each = []
    for feed in feeds:
        pairs = zip(a.run(None, feed), b.run(None, feed))
        each.append([100 * np.linalg.norm(p.astype(np.float64) - q) / np.linalg.norm(p) for p, q in pairs])
    return np.mean(each, 0).tolist()


def turns(paths, feed, seconds):
    """Processor time of each run, one thread: other processes disturb it less than the clock."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    sessions = [onnxruntime.InferenceSession(str(path), options) for path in paths]
    times = [[] for _ in paths]
    for session in sessions:
        session.run(None, feed)
    end = time.perf_counter() + seconds * len(paths)
    while time.perf_counter() < end or len(times[0]) < 6:
        for session, own in zip(sessions, times):
            start = time.process_time()
            session.run(None, feed)
            own.append(time.process_time() - start)
    return times


def speeds(paths, feed, seconds):
    """Of all but the first, against it: the median of the ratios, and where the middle half of them is."""
    floats, *others = turns(paths, feed, seconds)
    ratios = [np.percentile([a / b for a, b in zip(floats, other)], (50, 25, 75)) for other in others]
    return [f"{middle:.2f} ({low:.2f}-{high:.2f})" for middle, low, high in ratios]


HEAD = ["model", "quantized by", "speed (middle half)", "error, % of each output", "MB", "s", "peak MB"]


@dataclass
class Row:
    """What became of one model."""

    model: str
    who: str
    speed: str
    errors: list[float]
    size: float
    seconds: float
    peak: float

    def cells(self) -> list[str]:
        errors = " ".join(f"{e:.3g}" for e in self.errors)
        return [self.model, self.who, self.speed, errors, f"{self.size:.2f}", f"{self.seconds:.1f}", f"{self.peak:.0f}"]


def run(starter, options, source, name, directory):
    """A row for each way to quantize the model; needs onnxq, flags, peer and time of the options."""
    onnxq = options.onnxq.resolve()
    model = onnx.load(source)
    feeds = feeds_of(name, model)
    half = len(feeds) // 2
    inputs = directory / "inputs"
    peers = {method: directory / f"{name}.{method}.onnx" for method in PEER_METHODS if options.peer}
    inputs.mkdir(exist_ok=True)
    for old in inputs.iterdir():
        old.unlink()
    for i, feed in enumerate(feeds[:half]):
        np.savez(inputs / f"{i}.npz", **feed)
    stored = directory / "feeds.npz"
    np.savez(stored, **{f"{k}__{i}": v for i, feed in enumerate(feeds[:half]) for k, v in feed.items()})
    library = next(Path(onnxruntime.__file__).parent.glob("capi/libonnxruntime.so*"))
    each = [f"-i={path}" for path in sorted(inputs.iterdir())]
    made = {}
    for flag in ["", *options.flags]:
        path = directory / f"{name}.onnxq{flag}.onnx"
        command = [onnxq, "quantize", "--method=static", f"--ort-lib={library}", "-f", *each, *filter(None, [flag]), source, path]
        made[f"onnxq {flag}".strip()] = (path, measured(starter, command))
    for method, path in peers.items():
        command = [sys.executable, __file__, "--peer", source, stored, path, method]
        made[f"quantize_static, {method}"] = (path, measured(starter, command))
    found = speeds([source, *(path for path, _ in made.values())], feeds[half], options.time)
    return [
        Row(name, who, speed, errors(source, path, feeds[half:]), path.stat().st_size / 1e6, *cost)
        for (who, (path, cost)), speed in zip(made.items(), found, strict=True)
    ]


# --- what integers are worth ----------------------------------------------------


def run_network(options, name, directory):
    model, side = convnets.make(name)
    source, inputs = directory / "network.onnx", directory / "inputs.npz"
    onnx.save(model, source)
    feeds = [{"image": chw((resize(picture, side, side) / 255 - MEAN) / STD)} for picture in pictures()[0][:3]]
    np.savez(inputs, **feeds[0])
    library = next(Path(onnxruntime.__file__).parent.glob("capi/libonnxruntime.so*"))
    made = []
    for flags in (["--force-integer"], []):
        made.append(directory / f"network.{len(made)}.onnx")
        command = [options.onnxq.resolve(), "quantize", "-qq", "-f", "--allow-noop", "--method=static", f"--ort-lib={library}", "-i", inputs]
        subprocess.run([*command, *flags, source, made[-1]], check=True, capture_output=True)
    forced, default = speeds([source, *made], dict(np.load(inputs)), options.time)
    count = [count_integers(path) for path in made]
    off = [f"{np.mean(errors(source, path, feeds[1:])):.3g}" for path in made]
    print(f"| {name} | {forced} | {default} | {count[1]} of {count[0]} | {off[0]}, {off[1]} |", flush=True)


def count_integers(path):
    """Convolutions whose biases are integers, too, and those that are products of matrices."""
    nodes = onnx.load(path).graph.node
    integers = {n.output[0] for n in nodes if n.op_type == "DequantizeLinear"}
    return sum(n.op_type == "MatMulIntegerToFloat" or (n.op_type == "Conv" and n.input[2] in integers) for n in nodes)


# inputs, outputs, kernel, stride, groups, pixels of a side
CONVOLUTIONS = [
    (3, 16, 3, 2, 1, 224), (3, 32, 3, 2, 1, 224), (3, 64, 7, 2, 1, 224), (4, 32, 3, 1, 1, 160), (1, 64, 5, 1, 1, 112),
    (8, 8, 1, 1, 1, 112), (16, 16, 1, 1, 1, 112), (64, 64, 1, 1, 1, 56), (256, 256, 1, 1, 1, 28), (24, 144, 1, 1, 1, 56),
    (8, 8, 3, 1, 1, 56), (16, 16, 3, 1, 1, 56), (24, 24, 3, 1, 1, 56), (64, 64, 3, 1, 1, 28), (128, 128, 3, 1, 1, 28),
    (32, 3, 3, 1, 1, 112), (8, 8, 3, 1, 8, 112), (16, 16, 3, 1, 16, 112), (24, 24, 3, 1, 24, 56), (64, 64, 3, 1, 64, 56),
    (256, 256, 3, 1, 256, 28), (64, 64, 3, 2, 64, 56), (42, 42, 3, 1, 42, 28), (64, 64, 7, 1, 64, 28),
    (128, 128, 3, 1, 32, 28), (64, 64, 3, 1, 8, 56), (64, 64, 3, 1, 2, 56),
]  # fmt: skip


def kernel_time(nodes, x, y, constants):
    """Microseconds of the convolution alone."""
    from onnx import helper, numpy_helper

    initializers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    infos = [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape) for n, v in (("x", x), ("y", y))]
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(helper.make_graph(nodes, "g", infos[:1], infos[1:], initializers), opset_imports=opsets, ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level, options.enable_profiling = 1, 4, True
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    for _ in range(25):
        session.run(None, {"x": x})
    profile = Path(session.end_profiling())
    events = json.loads(profile.read_text())
    profile.unlink()
    return np.median([e["dur"] for e in events if e.get("cat") == "Node" and "Conv" in e["args"].get("op_name", "")])


def run_convolution(i, o, k, s, g, side):
    from onnx import helper

    rng, end = np.random.default_rng(5), (side + k // 2 * 2 - k) // s + 1
    w = rng.standard_normal((o, i // g, k, k), dtype=np.float32)
    shape = dict(strides=[s, s], pads=[k // 2] * 4, group=g, kernel_shape=[k, k])
    floats = [helper.make_node("Conv", ["x", "w", "b"], ["c"], **shape), helper.make_node("Relu", ["c"], ["y"])]
    x = rng.standard_normal((1, i, side, side), dtype=np.float32)
    a = kernel_time(floats, x, np.empty((1, o, end, end), np.float32), {"w": w, "b": np.zeros(o, np.float32)})
    names = ["x", "s", "z", "w", "ws", "wz", "s", "z", "b"]
    integers = helper.make_node("QLinearConv", names, ["y"], domain="com.microsoft", channels_last=1, **shape)
    constants = dict(s=np.float32(0.1), z=np.uint8(0), w=np.clip(30 * w, -127, 127).astype(np.int8), ws=np.full(o, 0.1, np.float32),
                     wz=np.zeros(o, np.int8), b=np.zeros(o, np.int32))  # fmt: skip
    x = rng.integers(0, 255, (1, side, side, i)).astype(np.uint8)
    b = kernel_time([integers], x, np.empty((1, end, end, o), np.uint8), constants)
    print(f"| {i} to {o} | {k} x {k} | {s} | {g} | {side} | {a:.0f} | {b:.0f} | {a / b:.2f} |", flush=True)


def measure_worth(options):
    if options.convolutions:
        print("| channels | kernel | stride | groups | pixels | float, us | integers, us | speed |\n" + "|---" * 8 + "|")
        for convolution in CONVOLUTIONS:
            run_convolution(*convolution)
        return
    print("| network | all in integers | default | convolutions in integers | error, % |\n" + "|---" * 5 + "|")
    with tempfile.TemporaryDirectory(prefix="onnxq-static-") as directory:
        for name in options.names or convnets.NETWORKS:
            run_network(options, name, Path(directory))


def main():
    if sys.argv[1:2] == ["--peer"]:
        return quantize_with_peer(*sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--onnxq", required=True, type=Path)
    parser.add_argument("--models", type=Path)
    parser.add_argument("--networks", action="store_true")
    parser.add_argument("--convolutions", action="store_true")
    parser.add_argument("--time", type=float, default=5, help="seconds of measuring, each model")
    parser.add_argument("--flags", type=lambda text: text.split(","), default=[], help="options of onnxq, each a line more")
    parser.add_argument("--no-peer", dest="peer", action="store_false")
    parser.add_argument("names", nargs="*", help="of models or networks; default: all")
    options = parser.parse_args()
    if options.networks or options.convolutions:
        return measure_worth(options)
    if options.models is None:
        parser.error("--models, --networks or --convolutions")
    starter = Starter()
    print(f"| {' | '.join(HEAD)} |\n" + "|---" * len(HEAD) + "|")
    with tempfile.TemporaryDirectory(prefix="onnxq-static-") as directory:
        for name in options.names or INPUTS:
            for row in run(starter, options, options.models / f"{name}.onnx", name, Path(directory)):
                print(f"| {' | '.join(row.cells())} |", flush=True)
    starter.close()


if __name__ == "__main__":
    main()
