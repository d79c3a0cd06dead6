#!/usr/bin/env python3
"""Tests onnxq against ONNX Runtime: python tests/ort/run.py --onnxq PATH [-k TEXT] [--without TEXT] [--models DIR] [--jobs N] [--slowest N] [-v]"""

import argparse
import re
import resource
import signal
import subprocess
import sys
import time
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE))

import harness  # noqa: E402


def processor_seconds() -> float:
    """Of this process and of all that it has started; the clock would count other programs."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


class Result(unittest.TestResult):
    """Says what failed and what was skipped, at once."""

    def __init__(self, verbose: bool):
        super().__init__()
        self.verbose = verbose
        self.passed = 0
        self.failed = 0
        self.seconds: dict[str, float] = {}  # of the processor

    def startTest(self, test):
        super().startTest(test)
        self.started = time.monotonic()
        self.before = processor_seconds()

    def stopTest(self, test):
        super().stopTest(test)
        self.seconds[test.id()] = processor_seconds() - self.before

    def addSuccess(self, test):
        self.passed += 1
        if self.verbose:
            print(f"ok    {test.id()} ({time.monotonic() - self.started:.2f} s)", flush=True)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        print(f"SKIP  {test.id()}: {reason}", flush=True)

    def addFailure(self, test, err):
        self.failed += 1
        print(f"FAIL  {test.id()}\n{self._exc_info_to_string(err, test)}", flush=True)

    addError = addFailure

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self.addFailure(subtest, err)


def select(suite: unittest.TestSuite, text: str) -> list[unittest.TestCase]:
    tests = []
    for item in suite:
        tests += select(item, text) if isinstance(item, unittest.TestSuite) else [item]
    return [test for test in tests if text in test.id()]


def part_of(tests: list[unittest.TestCase], part: int, count: int) -> list[unittest.TestCase]:
    """Classes are dealt out whole: what they set up is set up once."""
    names = list(dict.fromkeys(type(test) for test in tests))
    return [test for test in tests if names.index(type(test)) % count == part]


def run_parts(count: int) -> int:
    """Each in a process of its own; what they print comes part by part, the sum at the end."""
    command = [sys.executable, *sys.argv]
    parts = [
        subprocess.Popen([*command, "--part", str(i)], stdout=subprocess.PIPE, text=True) for i in range(count)
    ]
    sums = [0, 0, 0]
    for part in parts:
        text, _ = part.communicate()
        lines = text.splitlines(keepends=True)
        counts = re.fullmatch(r"(\d+) passed, (\d+) failed, (\d+) skipped\n", lines.pop() if lines else "")
        sys.stdout.writelines(lines)
        sums = [a + int(b) for a, b in zip(sums, counts.groups() if counts else (0, 1, 0), strict=True)]
    print("{} passed, {} failed, {} skipped".format(*sums))
    return 1 if any(part.returncode for part in parts) else 0


def start_afresh() -> None:
    """What the tests start has every signal by default and none blocked, whatever was inherited.

    (Python itself ignores two, and gives them back to what it starts.)
    """
    for number in signal.valid_signals() - {signal.SIGPIPE, signal.SIGXFSZ}:
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def main() -> int:
    parser = argparse.ArgumentParser(description="Tests onnxq against ONNX Runtime.")
    parser.add_argument("--onnxq", required=True, help="the command under test")
    parser.add_argument(
        "--models",
        type=Path,
        default=HERE.parents[2] / "shared" / "models",
        help="folder with real models; their tests are skipped without it",
    )
    parser.add_argument("-k", metavar="TEXT", default="", help="only tests whose name contains TEXT")
    parser.add_argument("--without", metavar="TEXT", help="no tests whose name contains TEXT")
    parser.add_argument("--slowest", type=int, metavar="N", default=0, help="the N that took most of the processor")
    parser.add_argument("-v", action="store_true", help="a line for every test")
    parser.add_argument("--jobs", type=int, metavar="N", default=1, help="in N processes")
    parser.add_argument("--part", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.jobs > 1 and arguments.part is None:
        return run_parts(arguments.jobs)
    start_afresh()
    harness.ONNXQ = str(Path(arguments.onnxq).resolve())
    harness.MODELS = arguments.models
    result = Result(arguments.v)
    tests = select(unittest.defaultTestLoader.discover(str(HERE)), arguments.k)
    if arguments.without:
        tests = [test for test in tests if arguments.without not in test.id()]
    if arguments.part is not None:
        tests = part_of(tests, arguments.part, arguments.jobs)
    unittest.TestSuite(tests).run(result)
    for name in sorted(result.seconds, key=result.seconds.get, reverse=True)[: arguments.slowest]:
        print(f"{result.seconds[name]:8.2f} s  {name}")
    print(f"{result.passed} passed, {result.failed} failed, {len(result.skipped)} skipped")
    return 1 if result.failed or not tests else 0


if __name__ == "__main__":
    sys.exit(main())
