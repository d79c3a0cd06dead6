#!/usr/bin/env python3
"""Tests onnxq on what exporters write: python tests/exporters/run.py --onnxq PATH [-k TEXT] [-v]"""

import argparse
import os
import re
import subprocess
import sys
import unittest
import warnings
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE.parent / "ort"))

import run as ort_run  # noqa: E402, that of tests/ort
import harness  # noqa: E402

QUIET = {"CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3", "USE_TF": "0", "HF_HUB_OFFLINE": "1"}


def run_file(file: Path, text: str, verbose: bool) -> ort_run.Result:
    warnings.simplefilter("ignore")
    result = ort_run.Result(verbose)
    tests = unittest.defaultTestLoader.discover(str(HERE), pattern=file.name)
    unittest.TestSuite(ort_run.select(tests, text)).run(result)
    if verbose:
        from exported import print_figures

        print_figures()
    print(summary(result.passed, result.failed, len(result.skipped)))
    return result


def summary(passed: int, failed: int, skipped: int) -> str:
    return f"{passed} passed, {failed} failed, {skipped} skipped"


def run_process(file: Path, options: list[str]) -> tuple[int, int, int]:
    """Frameworks do not share a process: what one links, another does not bear."""
    process = subprocess.Popen(
        [sys.executable, __file__, *options, "--one", file.name],
        stdout=subprocess.PIPE,
        text=True,
        env={**QUIET, **os.environ},
    )
    counts = None
    for line in process.stdout:
        counts = re.fullmatch(r"(\d+) passed, (\d+) failed, (\d+) skipped\n", line)
        if not counts:
            print(line, end="", flush=True)
    if process.wait() not in (0, 1) or not counts:
        print(f"FAIL  {file.name} ended with {process.returncode}")
        return 0, 1, 0
    passed, failed, skipped = map(int, counts.groups())
    return passed, failed, skipped


def main() -> int:
    parser = argparse.ArgumentParser(description="Tests onnxq on what exporters write.")
    parser.add_argument("--onnxq", required=True, help="the command under test")
    parser.add_argument("-k", metavar="TEXT", default="", help="only tests whose name contains TEXT")
    parser.add_argument("-v", action="store_true", help="a line for every test; errors and sizes")
    parser.add_argument("--one", metavar="FILE", help="the tests of FILE, in this process")
    arguments = parser.parse_args()
    harness.ONNXQ = str(Path(arguments.onnxq).resolve())
    if arguments.one:
        return 1 if run_file(HERE / arguments.one, arguments.k, arguments.v).failed else 0
    options = [f"--onnxq={harness.ONNXQ}", f"-k={arguments.k}", *(["-v"] if arguments.v else [])]
    counts = [run_process(file, options) for file in sorted(HERE.glob("test_*.py"))]
    passed, failed, skipped = (sum(column) for column in zip(*counts))
    print(summary(passed, failed, skipped))
    return 1 if failed or passed + skipped == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
