#!/usr/bin/env python3
"""Runs what onnxq writes in old and new engines: run.py --onnxq PATH --wheels DIR [--long] [-k TEXT]

Small graphs of all kinds and real models, quantized by every method, in versions of ONNX Runtime from
the oldest that docs/engines.md states to the newest. The result is compared with that of the float
model in the same engine. Where a version is older than what an option needs, --target-ort has to say so, or
to write what runs there; and each line of src/operators/engines.h has to hold. --long: all versions, all levels
of optimization, and the way back to floats.
"""

import argparse
import json
import os
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
import onnxruntime  # noqa: E402

import common  # noqa: E402
import forms  # noqa: E402
import graphs  # noqa: E402
import install  # noqa: E402
import realmodels  # noqa: E402
from engine import Engine, number  # noqa: E402

# Of the small graphs: one that all engines know, and the first with 4 bits and blocks.
OPSETS = (17, 21)

# Largest error, ||float - quantized|| / ||float|| in percent: twice what was measured at most. Integer
# products add the rounding of the activations, models with quantized activations that of a second result.
BOUND_8, BOUND_PER_TENSOR, BOUND_4, BOUND_4_ZERO, BOUND_STATIC = 5, 6, 25, 35, 10


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
    Option("--method static", BOUND_STATIC),
]

# --- what docs/engines.md states ------------------------------------------------------


def operators(model: onnx.ModelProto) -> set[str]:
    return {node.op_type for node in model.graph.node}


def read_table() -> list[tuple[set[str], tuple[int, ...]]]:
    """(flags, least version) of all rows; N stands for any number."""
    rows = []
    for line in (HERE.parents[1] / "docs" / "engines.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `--method"):
            rows.append((set(cells[0].strip("`").split()) - {"N"}, number(cells[1])))
    assert rows, "docs/engines.md has no table"
    return rows


TABLE = read_table()
OLDEST = number("1.16")

# Of integers that meet engines make QLinearMatMul, which they do not have in every opset.
PARTLY_QUANTIZED = number("1.20")


def least_version(option: Option, model: onnx.ModelProto) -> tuple[int, ...]:
    flags = set(option.flags.split())
    flags |= set() if "--bits" in flags else {"--bits", "8"}
    found = [version for needed, version in TABLE if needed <= flags]
    opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
    if "qdq" in flags and opset == 21 and "QuantizeLinear" in operators(model):
        found.append(PARTLY_QUANTIZED)
    return max([*found, OLDEST])


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

    def __init__(self, onnxq: str, folder: Path, versions: list[str], back: bool):
        self.onnxq, self.folder, self.versions, self.back = onnxq, folder, versions, back
        self.jobs: list[Job] = []
        self.forms: list[tuple[forms.Form, Path]] = []
        self.targets: dict[str, list[Job]] = {}  # of --target-ort, by version
        self.counts: Counter[str] = Counter()
        self.problems: list[str] = []

    def needs(self, path: Path) -> tuple[int, ...]:
        """What onnxq inspect says of the file."""
        found = subprocess.run([self.onnxq, "inspect", "-qq", "--json", path], capture_output=True, text=True)
        requirements = json.loads(found.stdout)["requirements"]
        return max([number(r["ort"]) for r in requirements] + [OLDEST])

    def call(self, name: str, *arguments, allowed: tuple[int, ...] = (0,)) -> int:
        done = subprocess.run([self.onnxq, *map(str, arguments)], capture_output=True, text=True)
        if done.returncode not in allowed:
            self.problems.append(f"{name}: exit code {done.returncode}: {done.stdout}{done.stderr}")
        return done.returncode

    def add(self, name: str, original: Path, feeds: Path, option: Option, bound: float, *flags: str) -> None:
        model = onnx.load(original, load_external_data=False)
        name = f"{name} {option.flags}"
        path = self.folder / f"{name.replace(' ', '_')}.onnx"
        if "static" in option.flags:
            flags = (*flags, "-i", str(feeds))
        status = self.call(name, "quantize", "-q", *option.command(), *flags, original, path, allowed=(0, 5))
        if status != 0:
            self.counts["nothing to quantize"] += 1
            return
        self.call(name, "inspect", "-q", "--validate", path)
        least = max(least_version(option, model), self.needs(path))
        self.jobs.append(Job(name, original, path, feeds, bound, least))
        for version in self.versions:
            self.add_target(version, self.jobs[-1], option, *flags)
        if self.back:
            floats = path.with_suffix(".float.onnx")
            # What the float model itself cuts off remains cut off.
            self.call(name, "dequantize", "-q", "--keep-ranges", path, floats)
            self.jobs.append(Job(f"{name}, and back", original, floats, feeds, bound, self.needs(original)))

    def add_target(self, version: str, job: Job, option: Option, *flags: str) -> None:
        """What is written for an engine that is older than what the options need otherwise."""
        if job.least <= number(version)[:2] or self.needs(job.original) > number(version):
            return
        path = job.quantized.with_suffix(f".{version}.onnx")
        command = [self.onnxq, "quantize", "-q", *option.command(), *flags, "--target-ort", version]
        done = subprocess.run([*command, job.original, path], capture_output=True, text=True)
        if done.returncode == 0:
            self.targets.setdefault(version, []).append(
                Job(f"{job.name} --target-ort {version}", job.original, path, job.feeds, job.bound, OLDEST)
            )
            if self.needs(path) > number(version):
                self.problems.append(f"{job.name}: inspect says that {version} does not run it")
        elif done.returncode == 5:
            self.counts["nothing to quantize"] += 1
        elif done.returncode != 2 or "needs ONNX Runtime 1." not in done.stderr:
            self.problems.append(f"{job.name} --target-ort {version}: exit code {done.returncode}: {done.stderr}")
        else:
            self.counts["refused for older engines"] += 1

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

    def add_forms(self, text: str) -> None:
        """What inspect says of each line's model is what the line says."""
        for form in forms.forms():
            path = self.folder / f"form.{form.name.replace(' ', '_')}.onnx"
            onnx.save(form.model, path)
            if text in form.name:
                self.forms.append((form, path))
                if self.needs(path) != (1, max(form.minor, OLDEST[1])):
                    self.problems.append(f"{form.name}: inspect says {self.needs(path)}, not 1.{form.minor}")

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


# 1.16 takes any bits and looks at them when it runs.
MINOR_OF_LAX_ENGINE = 16


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

    def is_off_itself(self, job: Job, level: str) -> bool:
        """Whether the engine's own optimizations make something else of the float model: 1.21 to 1.24 quantize the
        float weight of a Conv between quantizers, and are off by up to 64 % then."""
        (error, plain), (other, want) = self.float_result(job, "disabled"), self.float_result(job, level)
        return not error and not other and common.relative_error(plain, want) > job.bound / 2

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
                if problem and self.is_off_itself(job, level):
                    self.counts["where the engine is off with the float model"] += 1
                    continue
                self.counts["failed" if problem else "passed"] += 1
                if problem:
                    self.problems.append(f"FAIL  {self.engine.version} {level}: {job.name}: {problem[:400]}")

    def check_forms(self, lines: list[tuple[forms.Form, Path]]) -> None:
        """Each line of the table: refused by older engines, and loaded from that version on."""
        minor = number(self.engine.version)[1]
        for form, path in lines:
            error = self.engine.load(path)
            takes = not error if form.has_kernel else "is not a registered function/op" not in error
            if minor == MINOR_OF_LAX_ENGINE and form.name.startswith("MatMulNBits"):
                continue
            if takes != (minor >= form.minor):
                self.problems.append(f"FAIL  {self.engine.version}: {form.name}, from 1.{form.minor}: {error[:200]}")
            self.counts["lines of the table"] += 1


def run_engine(version: str, models: Models, wheels: Path, scratch: Path, long: bool) -> Run:
    run = Run(Engine(version, wheels, scratch), ["disabled", "basic", "extended", "all"] if long else ["all"])
    run.run(models.jobs)
    run.run(models.targets.get(version, []))
    run.check_forms(models.forms)
    run.engine.close()
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
    os.environ.setdefault("ONNXQ_ORT_LIB", str(Path(onnxruntime.__file__).parent / "capi"))  # for static
    with tempfile.TemporaryDirectory(prefix="onnxq-engines-") as name, ThreadPoolExecutor(2) as pool:
        folder = Path(name)
        models = Models(str(Path(arguments.onnxq).resolve()), folder, versions, arguments.long)
        models.add_graphs(arguments.k)
        models.add_real(arguments.models, arguments.k)
        models.add_forms(arguments.k)
        wheels, long = arguments.wheels.resolve(), arguments.long
        runs = list(pool.map(lambda v: run_engine(v, models, wheels, folder, long), versions))
    problems = models.problems + [problem for run in runs for problem in run.problems]
    counts = sum((run.counts for run in runs), models.counts)
    print(*problems, sep="\n", end="\n" if problems else "")
    for job in models.jobs if arguments.v else []:
        print(f"{max(run.worst.get(job.name, 0) for run in runs):6.2f} % of {job.bound} %: {job.name}")
    print(f"ONNX Runtime {', '.join(versions)}: " + ", ".join(f"{n} {what}" for what, n in counts.items()))
    return 1 if problems or not models.jobs or not versions else 0


if __name__ == "__main__":
    sys.exit(main())
