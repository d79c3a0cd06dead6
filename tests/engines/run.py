#!/usr/bin/env python3
"""Runs what onnxq writes in old and new engines: run.py --onnxq PATH --wheels DIR [--long] [-k TEXT]

Small graphs of all kinds and real models, quantized by every method, in versions of ONNX Runtime from
the oldest that docs/compatibility.md states to the newest. The result is compared with that of the float
model in the same engine. --long: all versions, all levels of optimization, and the way back to floats.
"""

import argparse
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path[:0] = [str(HERE.parent / "ort"), str(HERE)]

import numpy as np  # noqa: E402
import onnx  # noqa: E402

import common  # noqa: E402
import graphs  # noqa: E402
import install  # noqa: E402
import realmodels  # noqa: E402
from engine import Engine, number  # noqa: E402

# Of the small graphs: one that all engines know, and the first with 4 bits and blocks.
OPSETS = (17, 21)

# Engines that know opsets of which older ones than 1.16 do not.
ENGINES_OF_OPSETS = {20: "1.17", 21: "1.18"}

# Largest error, ||float - quantized|| / ||float|| in percent: twice what was measured at most. Integer
# products add the rounding of the activations, models with quantized activations that of a second result.
BOUND_8, BOUND_PER_TENSOR, BOUND_4, BOUND_4_ZERO = 5, 6, 25, 35


@dataclass(frozen=True)
class Option:
    flags: str
    bound: float = BOUND_8
    opsets: tuple[int, ...] = (17, 21)
    small: bool = True  # integer operators for small weights, too

    def command(self) -> list[str]:
        takes = "qdq" not in self.flags and "weights" not in self.flags
        return [*self.flags.split(), *(["--force-integer"] if self.small and takes else [])]


OPTIONS = [
    Option("--method dynamic"),
    Option("--method dynamic --no-symmetric"),
    Option("--method dynamic --weight-type uint8"),
    Option("--method dynamic --weight-type uint8 --no-symmetric"),
    Option("--method dynamic --no-per-channel", BOUND_PER_TENSOR),
    Option("--method dynamic --conv integer"),
    Option("--method dynamic --conv matmul"),
    Option("--method weights"),
    Option("--method weights --no-symmetric"),
    Option("--method weights --fold-bits 16"),
    Option("--method qdq"),
    Option("--method qdq --no-symmetric"),
    Option("--method qdq --weight-type uint8"),
    Option("--method qdq --weight-type uint8 --no-symmetric"),
    Option("--method qdq --no-per-channel", BOUND_PER_TENSOR),
    Option("--method qdq --no-per-channel --no-symmetric", BOUND_PER_TENSOR),
    Option("--method qdq --fold-bits 16"),
    Option("--method qdq --block-size 32", opsets=(21,)),
    Option("--method qdq --block-size 256", opsets=(21,)),
    Option("--method qdq --block-size 32 --no-symmetric", opsets=(21,)),
    Option("--method qdq --bits 4", BOUND_4, (21,)),
    Option("--method qdq --bits 4 --no-symmetric", BOUND_4, (21,)),
    Option("--method qdq --bits 4 --block-size 32", BOUND_4, (21,)),
    Option("--method qdq --bits 4 --block-size 32 --no-symmetric", BOUND_4, (21,)),
    Option("--method blocks"),
    Option("--method blocks --no-symmetric"),
    Option("--method blocks --block-size 32"),
    Option("--method blocks --bits 4", BOUND_4),
    Option("--method blocks --bits 4 --no-symmetric", BOUND_4_ZERO),
    Option("--method blocks --bits nf4", BOUND_4),
]

# --- what docs/compatibility.md states ----------------------------------------------

# The second column of its table: which models a row is about.
KINDS = {
    "": lambda model: True,
    "Gemm": lambda model: "Gemm" in operators(model),
    "tables": lambda model: "Gather" in operators(model),
    "partly quantized, opset 21": lambda model: "QuantizeLinear" in operators(model)
    and model.opset_import[0].version == 21,
}


def operators(model: onnx.ModelProto) -> set[str]:
    return {node.op_type for node in model.graph.node}


def read_table() -> list[tuple[set[str], str, tuple[int, ...]]]:
    """(flags, kind of model, least version) of all rows; N stands for any number."""
    rows = []
    for line in (HERE.parents[1] / "docs" / "compatibility.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `--method"):
            rows.append((set(cells[0].strip("`").split()) - {"N"}, cells[1], number(cells[2])))
    assert rows, "docs/compatibility.md has no table"
    return rows


TABLE = read_table()


def least_version(option: Option, model: onnx.ModelProto) -> tuple[int, ...]:
    flags = set(option.flags.split())
    flags |= set() if "--bits" in flags else {"--bits", "8"}
    found = [version for needed, kind, version in TABLE if needed <= flags and KINDS[kind](model)]
    assert found, f"docs/compatibility.md says nothing of {option.flags}"
    opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
    return max(found + [number(ENGINES_OF_OPSETS.get(opset, "1.16"))])


# --- the models -----------------------------------------------------------------------


@dataclass(frozen=True)
class Job:
    name: str
    original: Path
    quantized: Path
    feeds: Path
    bound: float
    least: tuple[int, ...]


class Models:
    """Makes the float models, and quantizes them."""

    def __init__(self, onnxq: str, folder: Path, back: bool):
        self.onnxq, self.folder, self.back = onnxq, folder, back
        self.jobs: list[Job] = []
        self.counts: Counter[str] = Counter()
        self.problems: list[str] = []

    def call(self, name: str, *arguments, allowed: tuple[int, ...] = (0,)) -> int:
        done = subprocess.run([self.onnxq, *map(str, arguments)], capture_output=True, text=True)
        if done.returncode not in allowed:
            self.problems.append(f"{name}: exit code {done.returncode}: {done.stdout}{done.stderr}")
        return done.returncode

    def add(self, name: str, original: Path, feeds: Path, option: Option, bound: float, *flags: str) -> None:
        model = onnx.load(original, load_external_data=False)
        name = f"{name} {option.flags}"
        path = self.folder / f"{name.replace(' ', '_')}.onnx"
        status = self.call(name, "quantize", "-q", *option.command(), *flags, original, path, allowed=(0, 5))
        if status != 0:
            self.counts["nothing to quantize"] += 1
            return
        self.call(name, "inspect", "-q", "--validate", path)
        least = least_version(option, model)
        self.jobs.append(Job(name, original, path, feeds, bound, least))
        if self.back:
            floats = path.with_suffix(".float.onnx")
            self.call(name, "dequantize", "-q", path, floats)
            self.jobs.append(Job(f"{name}, and back", original, floats, feeds, bound, number("1.16")))

    def add_graphs(self, text: str) -> None:
        for opset in OPSETS:
            for name, make in graphs.MAKERS.items():
                original, feeds = self.folder / f"{name}.{opset}.onnx", self.folder / f"{name}.npz"
                made = make(opset)
                onnx.save(made.model, original)
                np.savez(feeds, **made.feeds)
                for option in OPTIONS:
                    label = f"{name}, opset {opset},"
                    if opset in option.opsets and text in f"{label} {option.flags}":
                        self.add(label, original, feeds, option, option.bound, "--min-elements=1")

    def add_real(self, models: Path, text: str) -> None:
        for name, bounds in REAL.items():
            original, feeds = models / f"{name}.onnx", self.folder / f"{name}.npz"
            if not original.exists():
                self.counts["real models missing"] += 1
                continue
            np.savez(feeds, **first_input(realmodels.load(models, name)))
            for flags, bound in zip(REAL_OPTIONS, bounds, strict=True):
                if bound and text in f"{name}, {flags}":
                    self.add(f"{name},", original, feeds, Option(flags, small=False), bound)


def first_input(model: realmodels.RealModel) -> common.Feeds:
    """A single run: eight sentences, or the middle of a sound."""
    feeds = model.inputs[len(model.inputs) // 2]
    return {name: value[:8] for name, value in feeds.items()} if model.name == "minilm" else feeds


# Bounds of real models as above, in the order of the options; 0: not run.
REAL_OPTIONS = ("--method dynamic", "--method weights", "--method qdq", "--method blocks", "--method blocks --bits 4")
REAL = {
    "minilm": (40, 0, 25, 0, 0),
    "silero_vad": (15, 15, 20, 15, 15),
    "audio_lstm": (1, 1, 1, 1, 1),
    "music_mlp": (0.5, 0.2, 0.4, 0.3, 3),
    "keras_tf2": (0.3, 0.3, 0.3, 0.3, 0.3),
    "ultraface": (0.3, 0.3, 0.3, 0.3, 0.3),
    "super_resolution_10": (9, 9, 15, 9, 9),
    "mnist": (2, 2, 2, 2, 2),
}


# --- one engine ------------------------------------------------------------------------


class Run:
    """All jobs in one engine."""

    def __init__(self, engine: Engine, levels: list[str]):
        self.engine, self.levels = engine, levels
        self.floats: dict[tuple[Path, str], tuple[str, list[np.ndarray]]] = {}
        self.problems: list[str] = []
        self.counts: Counter[str] = Counter()
        self.worst: dict[str, float] = {}

    def float_result(self, job: Job, level: str) -> tuple[str, list[np.ndarray]]:
        key = job.original, level
        if key not in self.floats:
            self.floats[key] = self.engine.run(job.original, job.feeds, level)
        return self.floats[key]

    def judge(self, job: Job, level: str) -> str:
        error, want = self.float_result(job, level)
        if error:
            return f"the float model: {error}"
        error, got = self.engine.run(job.quantized, job.feeds, level)
        if error:
            return error
        if [a.shape for a in want] != [a.shape for a in got]:
            return "outputs of other shapes"
        percent = common.relative_error(want, got)
        self.worst[job.name] = max(percent, self.worst.get(job.name, 0))
        return "" if percent <= job.bound else f"off by {percent:.3g} %, {job.bound} % are allowed"

    def run(self, jobs: list[Job]) -> None:
        for job in jobs:
            if number(self.engine.version) < job.least:
                self.counts["for newer engines"] += 1
                continue
            for level in self.levels:
                problem = self.judge(job, level)
                self.counts["failed" if problem else "passed"] += 1
                if problem:
                    self.problems.append(f"FAIL  {self.engine.version} {level}: {job.name}: {problem[:400]}")
        self.engine.close()


def run_engine(version: str, jobs: list[Job], wheels: Path, scratch: Path, long: bool) -> Run:
    run = Run(Engine(version, wheels, scratch), ["disabled", "basic", "extended", "all"] if long else ["all"])
    run.run(jobs)
    return run


def main() -> int:
    parser = argparse.ArgumentParser(description="Runs what onnxq writes in old and new engines.")
    parser.add_argument("--onnxq", required=True, help="the command under test")
    parser.add_argument("--wheels", type=Path, required=True, help="where install.py has put the engines")
    parser.add_argument("--models", type=Path, default=HERE.parents[2] / "shared" / "models")
    parser.add_argument("--long", action="store_true")
    parser.add_argument("-k", metavar="TEXT", default="", help="only models and options that contain TEXT")
    parser.add_argument("-v", action="store_true", help="the largest error of every model")
    arguments = parser.parse_args()
    versions = [v for v in install.versions(arguments.long) if (arguments.wheels / v).is_dir()]
    with tempfile.TemporaryDirectory(prefix="onnxq-engines-") as name, ThreadPoolExecutor(2) as pool:
        folder = Path(name)
        models = Models(str(Path(arguments.onnxq).resolve()), folder, arguments.long)
        models.add_graphs(arguments.k)
        models.add_real(arguments.models, arguments.k)
        wheels, long = arguments.wheels.resolve(), arguments.long
        runs = list(pool.map(lambda v: run_engine(v, models.jobs, wheels, folder, long), versions))
    problems = models.problems + [problem for run in runs for problem in run.problems]
    counts = sum((run.counts for run in runs), models.counts)
    print(*problems, sep="\n", end="\n" if problems else "")
    for job in models.jobs if arguments.v else []:
        print(f"{max(run.worst.get(job.name, 0) for run in runs):6.2f} % of {job.bound} %: {job.name}")
    print(f"ONNX Runtime {', '.join(versions)}: " + ", ".join(f"{n} {what}" for what, n in counts.items()))
    return 1 if problems or not models.jobs or not versions else 0


if __name__ == "__main__":
    sys.exit(main())
