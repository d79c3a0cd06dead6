#!/usr/bin/env python3
"""
Static quantization against its peer, onnxruntime.quantization.quantize_static, in the same run.

    tools/static.py --onnxq build/release/onnxq --models DIR [--flags=A,B] [--no-peer] [MODEL...]

Calibrates on some natural pictures and judges on others: time and memory of calibrating and
quantizing, size, relative error of each output, and speed against float (one thread, in turns).
The peer gets its own pre-processing, opset 13, weights per channel and uint8 activations, ranges by
minimum and maximum, and by entropy. --flags adds a line for each option of onnxq that it names. Needs onnxruntime, onnx, numpy, sympy, scikit-image and scikit-learn.
"""

import argparse
import logging
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "ort"))

import numpy as np
import onnx
import onnxruntime

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


def quantize_with_peer(source, feeds_file, output, method):
    """In a process of its own: `tools/static.py --peer SOURCE FEEDS OUTPUT METHOD`."""
    from onnx import version_converter
    from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    logging.disable(logging.WARNING)

    class Reader(CalibrationDataReader):
        def __init__(self):
            stored = np.load(feeds_file)
            names = sorted(stored.files)
            self.feeds = iter([{n.rsplit("__", 1)[0]: stored[n]} for n in names])

        def get_next(self):
            return next(self.feeds, None)

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
    return " ".join(f"{e:.3g}" for e in np.mean(each, 0))


def speeds(onnxq, paths, inputs, seconds):
    done = subprocess.run(
        [onnxq, "bench", "--threads=1", f"--time={seconds}", "-i", inputs, *paths],
        capture_output=True, text=True,
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
    )  # fmt: skip
    found = [re.search(rf"^  {re.escape(Path(p).name)} .* ([\d.]+) \(([\d.-]+)\)$", done.stdout, re.M) for p in paths[1:]]
    if not all(found):
        raise SystemExit(done.stdout + done.stderr)
    return [f"{m[1]} ({m[2]})" for m in found]


def run(starter, options, source, name, directory):
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
    stored, judged = directory / "feeds.npz", directory / "judged.npz"
    np.savez(stored, **{f"{k}__{i}": v for i, feed in enumerate(feeds[:half]) for k, v in feed.items()})
    np.savez(judged, **feeds[half])
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
    found = speeds(onnxq, [str(source), *(str(path) for path, _ in made.values())], judged, options.time)
    for (who, (path, cost)), speed in zip(made.items(), found, strict=True):
        size = path.stat().st_size / 1e6
        print(f"| {name} | {who} | {speed} | {errors(source, path, feeds[half:])} | {size:.2f} "
              f"| {cost[0]:.1f} | {cost[1]:.0f} |", flush=True)  # fmt: skip


def main():
    if sys.argv[1:2] == ["--peer"]:
        return quantize_with_peer(*sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--onnxq", required=True, type=Path)
    parser.add_argument("--models", required=True, type=Path)
    parser.add_argument("--time", type=float, default=5, help="seconds of measuring, each model")
    parser.add_argument("--flags", type=lambda text: text.split(","), default=[], help="options of onnxq, each a line more")
    parser.add_argument("--no-peer", dest="peer", action="store_false")
    parser.add_argument("names", nargs="*", default=list(INPUTS))
    options = parser.parse_args()
    starter = Starter()
    print("| model | quantized by | speed (middle half) | error, % of each output | MB | s | peak MB |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="onnxq-static-") as directory:
        for name in options.names:
            run(starter, options, options.models / f"{name}.onnx", name, Path(directory))
    starter.close()


if __name__ == "__main__":
    main()
