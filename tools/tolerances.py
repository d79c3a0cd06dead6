#!/usr/bin/env python3
"""What right models are off by, by how they were quantized: the table in docs/decisions.md that the
default tolerances of src/check/default_tolerance.c come from.

    build/venv/bin/python tools/tolerances.py --onnxq build/release/onnxq MODEL...

Inputs are random ones, and those of NAME_inputs.npz beside NAME.onnx. What needs inputs to be made of
(--method static) is calibrated on random ones.
"""
from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

SETTINGS = [
    [],
    ["--weight-type=uint8"],
    ["--force-integer"],
    ["--method=weights"],
    ["--method=qdq"],
    ["--method=blocks"],
    ["--method=blocks", "--bits=nf4"],
    ["--method=blocks", "--bits=4"],
    ["--no-per-channel"],
    ["--method=static"],
]
NOT_MANY = 4  # of the largest are shown


def run(*command: object) -> subprocess.CompletedProcess:
    """With the ONNX Runtime of this Python."""
    path = f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}"
    return subprocess.run([str(c) for c in command], capture_output=True, text=True, env={**os.environ, "PATH": path})


def quantize(onnxq: str, model: Path, flags: list[str], target: Path) -> bool:
    ranges = target.with_suffix(".json")
    if "--method=static" in flags:
        if run(onnxq, "calibrate", "-q", "-f", "-o", ranges, model).returncode != 0:
            return False
        flags = [*flags, f"--ranges={ranges}"]
    return run(onnxq, "quantize", "-q", "-f", *flags, model, target).returncode == 0


def check(onnxq: str, model: Path, target: Path, flags: list) -> dict | None:
    done = run(onnxq, "check", "-q", "-q", "--json=-", *flags, model, target)
    return json.loads(done.stdout) if done.returncode in (0, 1) else None


def measure(onnxq: str, model: Path, flags: list[str], target: Path) -> list[tuple[float, str, dict]]:
    """Of each kind of inputs, the output that is farthest off."""
    if not quantize(onnxq, model, flags, target):
        return []
    stored = model.with_name(f"{model.stem}_inputs.npz")
    reports = {"": check(onnxq, model, target, [])}
    if stored.exists():
        reports[", stored inputs"] = check(onnxq, model, target, ["-i", stored])
    found = []
    for name, report in reports.items():
        errors = [o["rel_error"] for o in report["outputs"]] if report else []
        errors = [e for e in errors if e is not None]
        if errors:
            found.append((max(errors), model.stem + name, report))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--onnxq", required=True)
    parser.add_argument("models", nargs="+", type=Path)
    arguments = parser.parse_args()
    print("| quantized with | tolerance | largest | next |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for flags in SETTINGS:
            found = [f for m in arguments.models for f in measure(arguments.onnxq, m, flags, Path(folder) / "q.onnx")]
            found.sort(key=lambda f: f[0], reverse=True)
            cells = [f"{name} {error:.2f}" for error, name, _ in found[:NOT_MANY]]
            allowed = {f"{r['tolerances']['rel_error']}, {r['default_for']}" for _, _, r in found}
            names = " ".join(flags) or "defaults"
            print(f"| {names} | {'; '.join(sorted(allowed))} | {cells[0] if cells else ''} | {', '.join(cells[1:])} |", flush=True)


if __name__ == "__main__":
    main()
