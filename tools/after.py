#!/usr/bin/env python3
"""
What becomes of quantized models afterwards: in tools that rewrite them, the size of the result in percent of
the float file; in other engines, whether they load it and how far it is off from ONNX Runtime. For a model
whose products become integers, one that is folded throughout, and one with an LSTM.

    tools/after.py [--onnxq PATH] [--models DIR] [--web DIR]

Needs onnxruntime and onnx; onnxsim, onnxslim, onnxconverter-common and openvino where they are installed, and
onnxruntime-web with --web, a folder that `npm install onnxruntime-web` was called in. Results of rewritten models
have to be those of the quantized model, within 1 %.
"""

import argparse
import importlib.util
import subprocess
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort

ROOT = Path(__file__).resolve().parent.parent
MODELS = ("music_mlp", "super_resolution_10", "audio_lstm")
METHODS = ("dynamic", "weights", "qdq", "blocks", "static")

# Runs a model in WebAssembly on one thread.
WEB = """
const ort = require(process.argv[1] + '/node_modules/onnxruntime-web');
const fs = require('fs');
const [model, input, output, ...dims] = process.argv.slice(2);
ort.env.wasm.numThreads = 1;
(async () => {
    const session = await ort.InferenceSession.create(fs.readFileSync(model), {executionProviders: ['wasm']});
    const bytes = fs.readFileSync(input);
    const numbers = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
    const result = await session.run({[session.inputNames[0]]: new ort.Tensor('float32', numbers, dims.map(Number))});
    fs.writeFileSync(output, Buffer.from(result[session.outputNames[0]].data.buffer));
})();
"""


def session(path: Path, save: Path | None = None, level: str = "ALL") -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, f"ORT_ENABLE_{level}")
    if save:
        options.optimized_model_filepath = str(save)
    if save and save.suffix == ".ort":
        options.add_session_config_entry("session.save_model_format", "ORT")
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def has(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


# --- tools that rewrite ----------------------------------------------------------------


def rewrite(change: Callable[[onnx.ModelProto], onnx.ModelProto]) -> Callable[[Path, Path], None]:
    return lambda source, out: onnx.save(change(onnx.load(source)), out)


def make_tools() -> dict[str, Callable[[Path, Path], object]]:
    tools: dict[str, Callable[[Path, Path], object]] = {
        "ORT format": lambda source, out: session(source, out),
        "optimized model": lambda source, out: session(source, out, "EXTENDED"),
    }
    if has("onnxsim"):
        import onnxsim

        tools["onnxsim"] = rewrite(lambda model: onnxsim.simplify(model)[0])
    if has("onnxslim"):
        import onnxslim

        tools["onnxslim"] = rewrite(onnxslim.slim)
    if has("onnxconverter_common"):
        from onnxconverter_common import float16

        tools["onnxconverter-common float16"] = rewrite(
            lambda model: float16.convert_float_to_float16(model, keep_io_types=True)
        )
    return tools


# --- engines ---------------------------------------------------------------------------


def input_of(path: Path) -> np.ndarray:
    shape = session(path).get_inputs()[0].shape
    return np.random.default_rng(0).random([d if isinstance(d, int) else 1 for d in shape], dtype=np.float32)


def run(path: Path, x: np.ndarray) -> np.ndarray:
    opened = session(path)
    return opened.run(None, {opened.get_inputs()[0].name: x})[0]


def run_openvino(path: Path, x: np.ndarray) -> np.ndarray:
    import openvino

    core = openvino.Core()
    # float32 throughout, as elsewhere: on some processors it takes bfloat16 by itself.
    compiled = core.compile_model(core.read_model(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return compiled([x])[0]


def run_program(command: list[str], path: Path, x: np.ndarray) -> np.ndarray:
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder) / "x", Path(folder) / "y"
        x.tofile(source)
        dims = [str(d) for d in x.shape]
        subprocess.run([*command, path, source, out, *dims], check=True, capture_output=True, timeout=120)
        return np.fromfile(out, np.float32)


def make_engines(arguments: argparse.Namespace) -> dict[str, Callable[[Path, np.ndarray], np.ndarray]]:
    engines: dict[str, Callable[[Path, np.ndarray], np.ndarray]] = {}
    if has("openvino"):
        engines["OpenVINO"] = run_openvino
    if arguments.web:
        engines["onnxruntime-web"] = partial(run_program, ["node", "-e", WEB, str(arguments.web.resolve())])
    return engines


# --- the table -------------------------------------------------------------------------


def distance(got: np.ndarray, want: np.ndarray) -> float:
    return float(np.linalg.norm(got.ravel() - want.ravel()) / np.linalg.norm(want))


def rewritten(tool: Callable[[Path, Path], object], quantized: Path, out: Path, float_size: int) -> str:
    try:
        tool(quantized, out)
        x = input_of(quantized)
        error = distance(run(out, x), run(quantized, x))
    except Exception:  # whatever the tool or the engine raises
        return "does not load"
    return f"{100 * out.stat().st_size / float_size:.0f} %" if error < 0.01 else f"wrong by {error:.0%}"


def elsewhere(engine: Callable[[Path, np.ndarray], np.ndarray], quantized: Path) -> str:
    try:
        x = input_of(quantized)
        error = distance(engine(quantized, x), run(quantized, x))
    except Exception:
        return "does not load"
    return "as here" if error < 1e-4 else f"off by {100 * error:.2g} %"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("--onnxq", default=ROOT / "build" / "release" / "onnxq", type=Path)
    parser.add_argument("--models", default=ROOT.parent / "shared" / "models", type=Path)
    parser.add_argument("--web", type=Path)
    arguments = parser.parse_args()
    ort.set_default_logger_severity(4)
    tools, engines = make_tools(), make_engines(arguments)
    print(f"| model | method | onnxq | {' | '.join([*tools, *engines])} |")
    print("|---|---|---|" + "---|" * (len(tools) + len(engines)))
    with tempfile.TemporaryDirectory() as folder:
        quantized = Path(folder) / "quantized.onnx"
        for model in MODELS:
            source = arguments.models / f"{model}.onnx"
            size = source.stat().st_size
            inputs = Path(folder) / f"{model}.npz"
            np.savez(inputs, **{session(source).get_inputs()[0].name: input_of(source)})
            for method in ("float", *METHODS):
                command = [arguments.onnxq, "quantize", "-qq", "-f", f"--method={method}", source, quantized]
                if method == "static":
                    command += ["-i", inputs, "--ort-lib", Path(ort.__file__).parent / "capi"]
                if method == "float":
                    quantized.write_bytes(source.read_bytes())
                else:
                    subprocess.run(command, check=True)
                cells = [
                    rewritten(tool, quantized, Path(folder) / ("out.ort" if name == "ORT format" else "out.onnx"), size)
                    for name, tool in tools.items()
                ] + [elsewhere(engine, quantized) for engine in engines.values()]
                share = f"{100 * quantized.stat().st_size / size:.0f} %"
                print(f"| {model} | {method} | {share} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
