#!/usr/bin/env python3
"""Calibrating with onnxq and with onnxruntime.quantization, in the same run: time and peak memory of the whole
process, and how well the ranges of each method fit inputs that it has not seen. The tables in docs/ranges.md.

    tools/calibration.py [--onnxq build/release/onnxq] --pictures FOLDER MODEL...

Pictures are calibrated on in turns: those of even number are seen, those of odd number judge. Needs onnxruntime,
onnx, numpy and Pillow, and the tests built (ranges_dump).
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "tests" / "ort"))

import numpy as np  # noqa: E402
import onnx  # noqa: E402
import onnxruntime  # noqa: E402
from PIL import Image  # noqa: E402

import common  # noqa: E402
from measure import Starter  # noqa: E402

PEER = """
import json, logging, sys
from pathlib import Path
import numpy as np
logging.disable(logging.CRITICAL)
from onnxruntime.quantization.calibrate import CalibrationDataReader, CalibrationMethod, create_calibrator

class Reader(CalibrationDataReader):
    def __init__(self, folder):
        self.files = iter(sorted(Path(folder).glob("*.npz")))
    def get_next(self):
        path = next(self.files, None)
        return None if path is None else dict(np.load(path))

model, inputs, out, name = sys.argv[1:5]
method = {"minmax": CalibrationMethod.MinMax, "entropy": CalibrationMethod.Entropy}.get(name, CalibrationMethod.Percentile)
options = {"percentile": 99.999} if method == CalibrationMethod.Percentile else {}
calibrator = create_calibrator(model, None, out + ".onnx", method, extra_options=options)
calibrator.set_execution_providers(["CPUExecutionProvider"])
calibrator.collect_data(Reader(inputs))
ranges = calibrator.compute_data()
found = {k: [float(np.min(v.range_value[0])), float(np.max(v.range_value[1]))] for k, v in ranges.items()}
Path(out).write_text(json.dumps(found))
"""
METHODS = ("minmax", "entropy", "percentile 99.999")


def make_inputs(folder: Path, pictures: list[Path], model: onnx.ModelProto) -> list[dict[str, np.ndarray]]:
    """As float32 of 0 to 1, in the size that the model declares, or 256 x 256."""
    info = model.graph.input[0]
    dims = [d.dim_value or None for d in info.type.tensor_type.shape.dim]
    last = dims[1] not in (1, 3) and dims[3] in (1, 3)
    channels = (dims[3] if last else dims[1]) or 3
    height, width = (size or 256 for size in (dims[1:3] if last else dims[2:4]))
    folder.mkdir(exist_ok=True)
    inputs = []
    for number, path in enumerate(pictures):
        picture = Image.open(path).convert("L" if channels == 1 else "RGB")
        x = np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR), np.float32) / 255
        x = x.reshape(height, width, channels)
        x = np.ascontiguousarray((x if last else x.transpose(2, 0, 1))[None])
        inputs.append({info.name: x})
        np.savez(folder / f"{number:04}.npz", **inputs[-1])
    return inputs


def rounded(x: np.ndarray, low: float, high: float) -> np.ndarray:
    low, high = min(low, 0.0), max(high, 0.0)
    scale = (high - low) / 255 or 1.0
    zero_point = round(-low / scale)
    return (np.clip(np.rint(x / scale) + zero_point, 0, 255) - zero_point) * scale


def judge(model: onnx.ModelProto, inputs: list[dict], found: dict[str, dict]) -> dict[str, list[float]]:
    """Of each method the relative errors of the values that all of them have."""
    names = sorted(set.intersection(*(set(ranges) for ranges in found.values())))
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    known = {o.name for o in copy.graph.output} | {i.name for i in copy.graph.input}
    copy.graph.output.extend(onnx.ValueInfoProto(name=n) for n in names if n not in known)
    session = common.session(copy)
    wanted = [n for n in names if n not in {i.name for i in copy.graph.input}]
    lost = {method: dict.fromkeys(wanted, 0.0) for method in found}
    size = dict.fromkeys(wanted, 0.0)
    for feeds in inputs:
        for name, x in zip(wanted, session.run(wanted, feeds), strict=True):
            x = x.astype(np.float64)
            size[name] += float((x**2).sum())
            for method, ranges in found.items():
                lost[method][name] += float(((x - rounded(x, *ranges[name])) ** 2).sum())
    return {m: [(lost[m][n] / size[n]) ** 0.5 for n in wanted if size[n] > 0] for m in found}


def compare(path: Path, pictures: list[Path], onnxq: Path, scratch: Path, starter: Starter) -> list[str]:
    model = onnx.load(path)
    seen, folder = pictures[0::2], scratch / path.stem
    make_inputs(folder, seen, model)
    judges = make_inputs(scratch / "judge", pictures[1::2], model)
    library = Path(onnxruntime.__file__).parent / "capi"
    ours = scratch / "ranges.json"
    commands = {"onnxq": [onnxq, "calibrate", "-q", "--ort-lib", library, "-i", folder, "-o", ours, path]}
    script = scratch / "peer.py"
    script.write_text(PEER)
    for method in METHODS:
        commands[method] = [sys.executable, script, path, folder, scratch / method, method]
    runs = starter.interleave(commands, 3)
    dumped = subprocess.run([onnxq.parent / "tests" / "ranges_dump", ours], capture_output=True, check=True)
    by_value = {name: value for name, value in json.loads(dumped.stdout).items() if value}
    found = {f"onnxq {m}": {n: v[m] for n, v in by_value.items()} for m in next(iter(by_value.values()))}
    for method in METHODS:
        if not runs[method].failed:
            found[f"peer {method}"] = json.loads((scratch / method).read_text())
    errors = judge(model, judges, found)
    rows = []
    for name, values in errors.items():
        run = runs["onnxq" if name.startswith("onnxq") else name.removeprefix("peer ")]
        rows.append(
            f"| {path.stem} | {name} | {run.median:.2f} s | {run.peak_mb:.0f} MB | {100 * statistics.median(values):.2f} |"
            f" {100 * statistics.mean(values):.2f} | {100 * max(values):.1f} |"
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--onnxq", type=Path, default=ROOT / "build" / "release" / "onnxq")
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("models", type=Path, nargs="+")
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    pictures = sorted(p for p in arguments.pictures.iterdir() if p.suffix in (".png", ".jpg", ".jpeg"))
    print("| model | ranges | time | memory | median error % | mean | largest |\n|---|---|---|---|---|---|---|")
    starter = Starter()
    for path in arguments.models:
        with tempfile.TemporaryDirectory(prefix="onnxq-calibration-") as scratch:
            print("\n".join(compare(path, pictures, arguments.onnxq.resolve(), Path(scratch), starter)), flush=True)
    starter.close()


if __name__ == "__main__":
    main()
