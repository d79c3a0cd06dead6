"""What is true of every exported model that onnxq quantizes, and the table of exports of a test file."""

import atexit
import functools
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx

import common
import patterns
from common import Feeds
from harness import OrtTest, Outcome

# The largest error allowed, in percent, unless an export says something else.
METHODS = {"dynamic": 4.0, "weights": 2.0, "qdq": 2.0, "blocks": 2.0}
LEVELS = ("disabled", "all")
# What an operator takes in blocks is stored once more where another one gathers it otherwise.
SHRINKS_IN_BLOCKS = 1.9

MIN_ELEMENTS = 1024  # of weights that onnxq quantizes
# Why a larger matrix may stay float: reasons, or inputs of operators.
MAY_STAY = (
    "rows too short for scales of their own",
    "would not be smaller",
    "LSTM:3",  # biases
)


@dataclass
class Exported:
    """A model that an exporter wrote, in a folder of its own."""

    path: Path
    feeds: Feeds
    methods: tuple[str, ...] = tuple(METHODS)  # those that can write it
    shrinks: float = 3.5  # what weights take now: at most the 1/shrinks of before
    percent: dict[str, float] = field(default_factory=dict)  # method -> other bounds than METHODS
    may_stay: tuple[str, ...] = ()  # more of MAY_STAY
    has: tuple[str, ...] = ()  # operators that make the export worth a test
    becomes: tuple[str, ...] = ()  # operators that --method dynamic makes of it

    def nbytes(self) -> int:
        return sum(file.stat().st_size for file in self.path.parent.iterdir())


Maker = Callable[[Path], Exported]


@dataclass
class Figure:
    """A line of the table that run.py -v prints."""

    name: str
    method: str
    percent: float
    nbytes: tuple[int, int]
    weight_nbytes: tuple[int, int]


figures: list[Figure] = []


def print_figures() -> None:
    if not figures:
        return
    print(f"{'export':44}{'method':9}{'error %':>8}{'KB':>8}{'after':>8}{'weights':>9}")
    for line in figures:
        before, after = line.nbytes
        ratio = line.weight_nbytes[0] / max(line.weight_nbytes[1], 1)
        sizes = f"{before / 1e3:8.0f}{after / 1e3:8.0f}{ratio:8.2f}x"
        print(f"{line.name:44}{line.method:9}{line.percent:8.2f}{sizes}")


@functools.cache
def folder() -> Path:
    """Of the models of this run."""
    path = Path(tempfile.mkdtemp(prefix="onnxq-exporters-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


@functools.cache
def export(maker: Maker, name: str) -> Exported:
    """Each model is exported once."""
    path = folder() / name
    path.mkdir(exist_ok=True)
    return maker(path / "model.onnx")


def table(makers: dict[str, Maker]) -> dict[str, tuple[str, Maker, str]]:
    """For @cases: every export with every method."""
    return {f"{name}_{method}": (name, maker, method) for name, maker in makers.items() for method in METHODS}


def operators(path: Path) -> set[str]:
    model = onnx.load(path, load_external_data=False)
    return set(patterns.op_counts(model)) | {node.op_type for f in model.functions for node in f.node}


class ExportTest(OrtTest):
    def check(self, name: str, maker: Maker, method: str) -> None:
        exported = export(maker, name)
        if method not in exported.methods:
            self.assert_refused(exported, method)
            return
        self.assertLessEqual(set(exported.has), operators(exported.path), "not what the test is for")
        outcome = self.quantize(exported.path, "--method", method, min_elements=MIN_ELEMENTS)
        self.assert_nothing_left(outcome, exported)
        percent = self.assert_same(outcome, exported, exported.percent.get(method, METHODS[method]))
        self.assert_shrinks(outcome, exported, method)
        if method == "dynamic":
            self.assertLessEqual(set(exported.becomes), operators(outcome.path))
        summary = outcome.report["summary"]
        figures.append(
            Figure(
                name,
                method,
                percent,
                (exported.nbytes(), summary["nbytes_after"]),
                (summary["weight_nbytes_before"], summary["weight_nbytes_after"]),
            )
        )

    def check_refused(self, name: str, maker: Maker, method: str) -> None:
        self.assert_refused(export(maker, name), method)

    def assert_refused(self, exported: Exported, method: str) -> None:
        """Nothing that this method could write: no file is there."""
        out = self.dir / "out.onnx"
        self.onnxq("quantize", exported.path, out, "--method", method, status=5)
        self.assertFalse(out.exists())

    def assert_nothing_left(self, outcome: Outcome, exported: Exported) -> None:
        """Every large matrix is in integers, or stays for a reason that is known to be right."""
        for weight in outcome.report["weights"]:
            is_matrix = sum(size > 1 for size in weight["dims"]) > 1
            is_large = weight["nelem"] >= MIN_ELEMENTS and "float" in weight["dtype"]
            if weight["action"] != "keep" or not is_matrix or not is_large:
                continue
            known = {*MAY_STAY, *exported.may_stay}
            for use in weight["uses"]:
                why = {use["reason"], f"{use['op_type']}:{use['input']}"}
                self.assertTrue(use["reason"] and why & known, f"{weight['name']} {weight['dims']}: {use}")

    def assert_same(self, outcome: Outcome, exported: Exported, bound: float) -> float:
        """Returns the error, in percent."""
        want = common.run(exported.path, exported.feeds)
        largest = 0.0
        for level in LEVELS:
            got = common.run(outcome.path, exported.feeds, level)
            self.assertEqual([np.shape(o) for o in got], [np.shape(o) for o in want])
            largest = max(largest, common.relative_error(want, got))
            self.assertLess(largest, bound, level)
        return largest

    def assert_shrinks(self, outcome: Outcome, exported: Exported, method: str) -> None:
        summary = outcome.report["summary"]
        shrinks = min(exported.shrinks, SHRINKS_IN_BLOCKS) if method == "blocks" else exported.shrinks
        self.assertLess(
            shrinks * summary["weight_nbytes_after"],
            summary["weight_nbytes_before"],
            "bytes of weights",
        )
        self.assertLess(summary["nbytes_after"], exported.nbytes())
