#!/usr/bin/env python3
"""
What other tools make of quantized models: the size of the result in percent of the float file,
for a model whose products become integers and one that is folded throughout.

    tools/after.py [--onnxq PATH] [--models DIR]

Needs onnxruntime, onnx, onnxsim, onnxslim and onnxconverter-common. The results have to be
those of the quantized model, within 1 %.
"""

import argparse
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import onnxsim
import onnxslim
from onnxconverter_common import float16

ROOT = Path(__file__).resolve().parent.parent
MODELS = ("music_mlp", "super_resolution_10")
METHODS = ("dynamic", "weights", "qdq", "blocks")


def session(path: Path, save: Path | None = None, level: str = "ALL") -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, f"ORT_ENABLE_{level}")
    if save:
        options.optimized_model_filepath = str(save)
    if save and save.suffix == ".ort":
        options.add_session_config_entry("session.save_model_format", "ORT")
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def rewrite(change: Callable[[onnx.ModelProto], onnx.ModelProto]) -> Callable[[Path, Path], None]:
    return lambda source, out: onnx.save(change(onnx.load(source)), out)


TOOLS: dict[str, Callable[[Path, Path], object]] = {
    "ORT format": lambda source, out: session(source, out),
    "optimized model": lambda source, out: session(source, out, "EXTENDED"),
    "onnxsim": rewrite(lambda model: onnxsim.simplify(model)[0]),
    "onnxslim": rewrite(onnxslim.slim),
    "onnxconverter-common float16": rewrite(
        lambda model: float16.convert_float_to_float16(model, keep_io_types=True)
    ),
}


def run(path: Path) -> np.ndarray:
    opened, rng = session(path), np.random.default_rng(0)
    inputs = {i.name: [d if isinstance(d, int) else 1 for d in i.shape] for i in opened.get_inputs()}
    return opened.run(None, {name: rng.random(shape, dtype=np.float32) for name, shape in inputs.items()})[0]


def cell(tool: str, quantized: Path, out: Path, float_size: int) -> str:
    try:
        TOOLS[tool](quantized, out)
        got, want = run(out), run(quantized)
    except Exception:  # whatever the tool or the engine raises
        return "does not load"
    error = np.linalg.norm(got - want) / np.linalg.norm(want)
    return f"{100 * out.stat().st_size / float_size:.0f} %" if error < 0.01 else f"wrong by {error:.0%}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("--onnxq", default=ROOT / "build" / "release" / "onnxq", type=Path)
    parser.add_argument("--models", default=ROOT.parent / "shared" / "models", type=Path)
    arguments = parser.parse_args()
    ort.set_default_logger_severity(4)
    print(f"| model | method | onnxq | {' | '.join(TOOLS)} |\n|---|---|---|{'---|' * len(TOOLS)}")
    with tempfile.TemporaryDirectory() as folder:
        quantized = Path(folder) / "quantized.onnx"
        for model in MODELS:
            source = arguments.models / f"{model}.onnx"
            size = source.stat().st_size
            for method in ("float", *METHODS):
                command = [arguments.onnxq, "quantize", "-qq", "-f", f"--method={method}", source, quantized]
                if method == "float":
                    quantized.write_bytes(source.read_bytes())
                else:
                    subprocess.run(command, check=True)
                cells = [
                    cell(tool, quantized, Path(folder) / ("out.ort" if tool == "ORT format" else "out.onnx"), size)
                    for tool in TOOLS
                ]
                share = f"{100 * quantized.stat().st_size / size:.0f} %"
                print(f"| {model} | {method} | {share} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
