#!/usr/bin/env python3
"""What onnxq tune finds in MODELs, as the table of docs/tuning.md: the median by speed of several runs, and the speeds of
all. Takes as many minutes for each model and budget.

    build/venv/bin/python tools/tune.py --onnxq build/release/onnxq ../shared/models/{minilm,ultraface}.onnx

Inputs are MODEL_inputs.npz beside a model, else random ones. Errors are those on inputs that the search has not
seen; speed is relative to the float model on one thread.
"""

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

import onnxruntime


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--onnxq", required=True)
    parser.add_argument("--budgets", nargs="+", default=["cosine>=0.999", "cosine>=0.9999"])
    parser.add_argument("--time", type=float, default=60)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
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
