#!/usr/bin/env python3
"""onnxq tune against the searches of others, each with the same inputs, the same budget (cosine of all outputs with those of
the float model) and one thread, theirs also with what the peer's own pre-processing makes of the model; judged on inputs that none has seen, all models in ONNX Runtime as it is here.

    tools/searches.py --onnxq build/release/onnxq --models DIR [--nncf PYTHON] [--inc PYTHON] [MODEL...]

PYTHON: of an environment with nncf, onnx and onnxruntime, or with neural-compressor 2.6, onnx 1.16.2, onnxruntime 1.18.1,
numpy below 2 and six. NNCF searches by quantize_with_accuracy_control, Neural Compressor by quantization.fit with its own
order of trials; each as its documentation shows it, with the cosine as what is measured. Needs what tools/static.py needs.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

N_SEEN = 0.75  # of the inputs a search has
MODELS = ("minilm", "audio_lstm", "super_resolution_10", "ultraface", "ResNet-18")


# --- in a peer's environment -----------------------------------------------------------


def read_inputs(folder: Path) -> list[dict[str, np.ndarray]]:
    return [dict(np.load(path)) for path in sorted(folder.glob("*.npz"))]


def run_all(model, inputs: list[dict]) -> np.ndarray:
    """All outputs for all inputs, in a row."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    source = model if isinstance(model, (str, bytes)) else model.SerializeToString()
    session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    return np.concatenate([np.ravel(y).astype(np.float64) for feeds in inputs for y in session.run(None, feeds)])


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-30))


def search_with_nncf(source: str, inputs: list[dict], out: str, loss: float) -> None:
    import nncf
    import onnx

    wanted = run_all(source, inputs)
    dataset = nncf.Dataset(inputs)
    found = nncf.quantize_with_accuracy_control(
        onnx.load(source), calibration_dataset=dataset, validation_dataset=dataset,
        validation_fn=lambda model, _: (cosine(wanted, run_all(model, inputs)), None), max_drop=loss,
        model_type=nncf.ModelType.TRANSFORMER if len(inputs[0]) > 1 else None,
    )  # fmt: skip
    onnx.save(found, out)


class Loader:
    """What Neural Compressor takes for a data loader."""

    batch_size = 1

    def __init__(self, inputs: list[dict]):
        self.inputs = inputs

    def __iter__(self):
        return iter((feeds if len(feeds) > 1 else next(iter(feeds.values())), 0) for feeds in self.inputs)


def search_with_inc(source: str, inputs: list[dict], out: str, loss: float) -> None:
    from neural_compressor import PostTrainingQuantConfig, quantization
    from neural_compressor.config import AccuracyCriterion, TuningCriterion

    wanted = run_all(source, inputs)
    found = quantization.fit(
        source,
        PostTrainingQuantConfig(
            quant_level=1,  # by itself it begins with another order, which fails on every model here
            approach="dynamic" if len(inputs[0]) > 1 else "auto",
            accuracy_criterion=AccuracyCriterion(criterion="absolute", tolerable_loss=loss),
            tuning_criterion=TuningCriterion(timeout=0, max_trials=100),
        ),
        calib_dataloader=Loader(inputs),
        eval_func=lambda model: cosine(wanted, run_all(model, inputs)),
    )
    if found is None:
        raise SystemExit("nothing found")
    found.save(out)


PEERS = {"nncf": search_with_nncf, "inc": search_with_inc}


# --- here --------------------------------------------------------------------------------


def float_model(name: str, models: Path, scratch: Path) -> tuple[Path, list[dict]]:
    """The model, and inputs of one sentence, frame or picture each."""
    import convnets
    import onnx
    import realmodels
    import static

    path = models / f"{name}.onnx"
    if name in convnets.NETWORKS:
        path = scratch / "float.onnx"
        model, side = convnets.make(name)
        onnx.save(model, path)
        pictures = [static.chw((static.resize(p, side, side) - 127) / 64) for p in static.pictures()[0]]
        return path, [{"image": p.astype(np.float32)} for p in pictures]
    if name in static.INPUTS:
        return path, static.feeds_of(name, onnx.load(path))
    known = realmodels.load(models, name)
    if name != "minilm":
        return path, known.inputs
    lengths = known.mask.sum(1)
    return path, [{k: v[i : i + 1, :n] for k, v in known.inputs[0].items()} for i, n in enumerate(lengths)]


def prepare(source: Path, scratch: Path) -> Path:
    """As the peer's pre-processing leaves it; nodes that it makes may have the same name, which older engines refuse."""
    import onnx
    import static

    path = static.prepare(source, scratch / "peer")
    model = onnx.load(path)
    for i, node in enumerate(model.graph.node):
        node.name = f"{node.op_type}_{i}"
    onnx.save(model, path)
    return path


def judge(paths: dict[str, Path], unseen: list[dict]) -> dict[str, tuple[float, float]]:
    """Cosine with the first on what was not seen; how often as fast as it, in processor time."""
    import static

    wanted = run_all(str(paths["float"]), unseen)
    times = static.turns(list(paths.values()), unseen[0], 4)
    return {
        name: (cosine(wanted, run_all(str(path), unseen)), float(np.median(np.divide(times[0], own))))
        for (name, path), own in zip(paths.items(), times)
    }


def compare(name: str, options: argparse.Namespace, starter) -> None:
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        source, inputs = float_model(name, options.models, scratch)
        (seen_folder := scratch / "seen").mkdir()
        n_seen = max(int(len(inputs) * N_SEEN), 1)
        for i, feeds in enumerate(inputs[:n_seen]):
            np.savez(seen_folder / f"{i:03}.npz", **feeds)
        made, facts = {"float": source}, {"float": (0.0, 0.0)}
        commands = {"onnxq": [options.onnxq, "tune", "-qq", "-j1", f"--budget=cosine>={1 - options.loss}",
                              f"--time={options.time}", "-i", seen_folder, "-o", scratch / "onnxq.onnx", source]}  # fmt: skip
        for peer in PEERS:
            if python := getattr(options, peer):
                commands[peer] = [python, Path(__file__).resolve(), "--peer", peer, prepare(source, scratch), seen_folder, scratch / f"{peer}.onnx",
                                  "--loss", str(options.loss)]  # fmt: skip
        for who, command in commands.items():
            seconds, status, peak = starter.measure([str(c) for c in command])
            if status == 0 and (scratch / f"{who}.onnx").exists():
                made[who], facts[who] = scratch / f"{who}.onnx", (seconds, peak)
            else:
                print(f"| {name} | {who} | nothing, after {seconds:.0f} s (exit code {status}) | | | | |", flush=True)
        for who, (near, speed) in judge(made, inputs[n_seen:]).items():
            seconds, peak = facts[who]
            size = made[who].stat().st_size / 1e6
            print(f"| {name} | {who} | {seconds:.0f} | {peak:.0f} | {size:.1f} | {near:.5f} | {speed:.2f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--onnxq", type=lambda path: Path(path).resolve())
    parser.add_argument("--models", type=lambda path: Path(path).resolve())
    parser.add_argument("--loss", type=float, default=0.001)
    parser.add_argument("--time", type=float, default=60)
    for peer in PEERS:
        parser.add_argument(f"--{peer}", metavar="PYTHON", type=Path)
    parser.add_argument("--peer", choices=PEERS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peer:
        source, folder, out = (str(Path(name).resolve()) for name in options.names)
        os.environ["OMP_NUM_THREADS"] = "1"
        os.chdir(Path(out).parent)  # where they leave what they are not asked for
        PEERS[options.peer](source, read_inputs(Path(folder)), out, options.loss)
        return
    sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parent.parent / "tests" / "ort")]
    from measure import Starter

    subprocess.run([options.onnxq, "--version"], check=True, stdout=subprocess.DEVNULL)
    print("| model | search | s | peak MB | size MB | cosine, unseen | speed |")
    print("|---|---|---:|---:|---:|---:|---:|")
    starter = Starter()
    for name in options.names or MODELS:
        compare(name, options, starter)


if __name__ == "__main__":
    main()
