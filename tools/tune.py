#!/usr/bin/env python3
"""What onnxq tune finds in MODELs, as the table of docs/tuning.md: the median by speed of several runs, and the speeds of
all. Takes as many minutes for each model and budget.

    build/venv/bin/python tools/tune.py --onnxq build/release/onnxq ../shared/models/{minilm,ultraface}.onnx

Inputs are MODEL_inputs.npz beside a model, else random ones. Errors are those on inputs that the search has not
seen; speed is relative to the float model on one thread.

    build/venv/bin/python tools/tune.py --onnxq build/release/onnxq --holding 2000 ../shared/models/audio_lstm.onnx

asks instead what is known of inputs that follow: how often the 13 frames of speech behind 37, from a place drawn by
chance, lose more (by 5 %) than the worse part of these does, 9 held back and 28 that the search has.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "ort"))
import common
import realmodels


def tune(onnxq: str, model: Path, budget: str, seconds: float) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        report, inputs = Path(folder) / "report.json", model.with_name(f"{model.stem}_inputs.npz")
        command = [onnxq, "tune", "-q", "-j1", f"--budget={budget}", f"--time={seconds}", f"--json={report}"]
        command += ["--ort-lib", str(Path(onnxruntime.__file__).parent / "capi")]
        if inputs.exists():
            command += ["-i", str(inputs)]
            if model.stem == "minilm":
                command.append("--mask=attention_mask")
        subprocess.run([*command, "-o", str(Path(folder) / "out.onnx"), str(model)], check=False)
        return json.loads(report.read_text())


def cell(point: dict) -> str:
    error = point.get("unseen", point["search"])
    speed = "" if point["speed"] is None else f"{point['speed']:.2f}"
    return f"{point['bytes'] / 1e6:.1f} | {100 * (error['rel_error_of_all'] or 0):.2f} | {speed}"


def speed_of_choice(report: dict) -> float:
    return next((point["speed"] or 0 for point in report["points"] if point["chosen"]), 0)


def frame_losses(model: Path, tuned: Path, frames: np.ndarray) -> np.ndarray:
    """Of each frame the square of what the output loses, and that of the output."""
    name = common.session(model).get_inputs()[0].name
    a, b = (
        np.array([session.run(None, {name: frame})[0].ravel() for frame in frames], np.float64)
        for session in (common.session(model), common.session(tuned))
    )
    return np.stack([((a - b) ** 2).sum(1), (a**2).sum(1)])


def judge(rule: str, held: np.ndarray, search: np.ndarray) -> float:
    """The loss that a search takes a model to have, in terms of 1 - cosine, but for the factor."""
    loss, signal = held.sum(1)
    deviation = np.sqrt(((held[0] - loss / signal * held[1]) ** 2).sum() * 9 / 8) / signal
    seen = search[0].sum() / search[1].sum()
    return max(seen, loss / signal + (2 * deviation if "deviations" in rule else 0))


def holding(onnxq: str, model: Path, budget: str, seconds: float, runs: int) -> None:
    """A model as a search finds it, and what 9 of 37 frames in a row, held back, say of the 13 behind them."""
    sound = realmodels.speech(model.parent)
    frames = sound[: len(sound) // 512 * 512].reshape(-1, 1, 1, 512)
    with tempfile.TemporaryDirectory() as folder:
        inputs, out = Path(folder) / "inputs", Path(folder) / "out.onnx"
        inputs.mkdir()
        for i in range(37):
            np.savez(inputs / f"{i:02}.npz", input_1=frames[16 + i])
        command = [onnxq, "tune", "-qq", "-j1", f"--budget={budget}", f"--time={seconds}", "-i", inputs, "-o", out]
        subprocess.run([*command, "--ort-lib", Path(onnxruntime.__file__).parent / "capi", model], check=True)
        losses = frame_losses(model, out, frames)
    for rule in ("any 9", "the last 9", "any 9, two deviations more"):
        missed, used = [], []
        for run in range(runs):
            random = np.random.default_rng(run)
            part = losses[:, (start := int(random.integers(len(frames) - 50))) : start + 50]
            order = np.arange(37)[::-1] if rule == "the last 9" else random.permutation(37)
            held, search, behind = part[:, order[:9]], part[:, order[9:]], part[:, 37:]
            if min(held[1].sum(), search[1].sum(), behind[1].sum()) < 1e-3:
                continue  # silence has nothing to lose
            taken = judge(rule, held, search)
            missed.append(behind[0].sum() / behind[1].sum() > 1.05 * taken)
            used.append(taken / (losses[0].sum() / losses[1].sum()))
        print(f"| {rule} | {100 * np.mean(missed):.0f} % | {np.median(used):.2f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--onnxq", required=True)
    parser.add_argument("--budgets", nargs="+", default=["cosine>=0.999", "cosine>=0.9999"])
    parser.add_argument("--time", type=float, default=60)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--holding", type=int, metavar="DRAWS")
    options = parser.parse_args()
    if options.holding:
        print("| held back | more is lost behind them | taken for lost / lost everywhere |")
        print("|---|---:|---:|")
        for model in options.models:
            holding(options.onnxq, model, options.budgets[0], options.time, options.holding)
        return
    print("| model | budget | MB | error % | speed | weights | speeds | found after s | all s |")
    print("|---|---|---:|---:|---:|---|---|---:|---:|")
    for model in options.models:
        for budget in options.budgets:
            reports = [tune(options.onnxq, model, budget, options.time) for _ in range(options.runs)]
            reports.sort(key=speed_of_choice)
            report = reports[len(reports) // 2]
            speeds = ", ".join(f"{speed_of_choice(r):.2f}" for r in reports)
            for point in report["points"]:
                if not (point["chosen"] or (budget == options.budgets[0] and point["name"] in ("default", "static"))):
                    continue
                name = f"`{budget}`" if point["chosen"] else point["name"]
                forms = ", ".join(f"{n} {form}" for form, n in point["weights"].items())
                first = report["seconds_until_first_within"]
                times = f"{speeds} | {first or 0:.0f} | {report['seconds']:.0f}" if point["chosen"] else " | | "
                print(f"| {model.stem} | {name} | {cell(point)} | {forms} | {times} |", flush=True)


if __name__ == "__main__":
    main()
