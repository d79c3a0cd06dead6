#!/usr/bin/env python3
"""Random models through every method: tests/random/run.py --onnxq PATH --seeds A:B [--method M] [--jobs N]"""

import argparse
import multiprocessing
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE))

import numpy as np  # noqa: E402
import onnx  # noqa: E402

import convolutions  # noqa: E402
import draw  # noqa: E402
import engine  # noqa: E402
import shrink  # noqa: E402
from graphs import Reject  # noqa: E402
from trial import METHODS, Trial, draw_flags, options_of  # noqa: E402

BATCH = 40  # seeds of one process: a crash of the engine costs no more


KINDS = {"all": draw.draw, "convolutions": convolutions.draw}


def run_seeds(pipe, onnxq: str, seeds: list[int], methods: list[str], kind: str) -> None:
    """In a process of its own; says what it is at, so that a crash has a place."""
    with tempfile.TemporaryDirectory(prefix="onnxq-random-") as folder:
        for seed in seeds:
            pipe.send(("float", seed, None, None))
            try:
                drawn = KINDS[kind](seed)
                trial = Trial(onnxq, drawn, Path(folder))
            except (Reject, engine.Refused):
                pipe.send(("discarded", seed, None, None))
                continue
            for method in methods:
                options = options_of(method, draw_flags(seed, method, drawn.model))
                pipe.send(("trying", seed, method, options))
                try:
                    found = trial.check(options)
                except Exception:
                    pipe.send(("broken", seed, method, traceback.format_exc()))
                    continue
                pipe.send(("done", seed, method, (options, found)))
    pipe.send(("end", None, None, None))


class Run:
    """Hands out batches to processes and counts what comes back."""

    def __init__(self, arguments):
        self.arguments = arguments
        self.counts: Counter = Counter()
        self.findings: list[tuple] = []

    def report(self, seed: int, method: str, options, found) -> None:
        for finding in found:
            self.counts[f"finding: {finding.kind}"] += 1
            self.findings.append((seed, method, finding))
        if found:
            self.counts["seeds with findings"] += 1
            kinds = " ".join(sorted({f.kind.replace(" ", "-") for f in found}))
            print(f"FOUND [{kinds}] seed {seed} --method {method} {' '.join(options.flags) if options else ''}")
            for finding in found[: 20 if self.arguments.verbose else 3]:
                print(f"    {finding.kind}: {finding.text[:600]}", flush=True)

    def batch(self, seeds: list[int]) -> tuple:
        ours, theirs = multiprocessing.Pipe(False)
        methods = self.arguments.method
        process = multiprocessing.Process(target=run_seeds, args=(theirs, self.arguments.onnxq, seeds, methods, self.arguments.models))
        process.start()
        theirs.close()
        return process, ours, seeds

    def drain(self, process, pipe, seeds: list[int]) -> list[int]:
        """What the batch has to say; the seeds that a crash left over."""
        last = ("float", seeds[0], None, None)
        while True:
            try:
                message = pipe.recv()
            except EOFError:
                break
            kind, seed, method, data = message
            if kind == "end":
                process.join()
                return []
            last = message
            if kind == "done":
                self.counts[f"checked: {method}"] += 1
                self.report(seed, method, *data)
            elif kind == "discarded":
                self.counts["discarded"] += 1
            elif kind == "broken":
                self.counts["broken"] += 1
                print(f"BROKEN seed {seed} --method {method}\n{data}", flush=True)
        process.join()
        kind, seed, method, data = last
        if kind in ("trying",):
            self.counts["finding: crash"] += 1
            print(f"FOUND [crash] seed {seed} --method {method} {' '.join(data.flags)}: the engine crashed ({process.exitcode})", flush=True)
        else:
            self.counts["discarded"] += 1
        return [s for s in seeds if s > seed]

    def all(self, seeds: list[int]) -> None:
        waiting = [seeds[i : i + BATCH] for i in range(0, len(seeds), BATCH)]
        running = []
        while waiting or running:
            while waiting and len(running) < self.arguments.jobs:
                running.append(self.batch(waiting.pop(0)))
            ready = multiprocessing.connection.wait([pipe for _, pipe, _ in running], timeout=1)
            for item in [r for r in running if r[1] in ready][:1]:
                running.remove(item)
                left = self.drain(*item)
                if left:
                    waiting.insert(0, left)


def shrink_seed(arguments, seed: int, method: str, kind: str) -> None:
    """Prints the smallest model and saves it beside its inputs."""
    drawn = KINDS[arguments.models](seed)
    options = options_of(method, draw_flags(seed, method, drawn.model))
    found = shrink.kinds(arguments.onnxq, drawn, options)
    kind = kind or min(found, default="")
    if kind not in found:
        print(f"seed {seed} --method {method}: nothing of that kind, but {sorted(found)}")
        return
    drawn, options = shrink.shrink(arguments.onnxq, drawn, options, kind)
    folder = arguments.save / f"seed-{seed}-{method}"
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(drawn.model, folder / "model.onnx")
    np.savez(folder / "inputs.npz", **drawn.feeds)
    print(f"--- seed {seed} --method {method}, {kind}; saved in {folder}\n{shrink.snippet(drawn, options)}")
    for finding in Trial(arguments.onnxq, drawn, folder).check(options):
        print(f"    {finding.kind}: {finding.text[:600]}", flush=True)


def shrink_all(arguments, findings: list[tuple]) -> None:
    """One for each kind of finding, each in a process of its own."""
    first = {}
    for seed, method, finding in findings:
        first.setdefault((method, finding.kind), (seed, method, finding.kind))
    for item in list(first.values())[: arguments.shrink]:
        process = multiprocessing.Process(target=shrink_seed, args=(arguments, *item))
        process.start()
        process.join()


def main() -> int:
    parser = argparse.ArgumentParser(description="Random models through every method.")
    parser.add_argument("--onnxq", required=True)
    parser.add_argument("--seeds", default="0:300", help="A:B")
    parser.add_argument("--method", action="append", choices=METHODS)
    parser.add_argument("--models", choices=KINDS, default="all", help="what is drawn")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--shrink", type=int, default=4, help="how many findings are made small")
    parser.add_argument("--kind", default="", help="shrink the first seed for this kind of finding, nothing else")
    parser.add_argument("--save", type=Path, default=Path("build/tmp/random"), help="where small models go")
    parser.add_argument("-v", "--verbose", action="store_true")
    arguments = parser.parse_args()
    arguments.method = arguments.method or list(METHODS)
    arguments.onnxq = str(Path(arguments.onnxq).resolve())
    first, last = map(int, arguments.seeds.split(":"))
    if arguments.kind:
        for method in arguments.method:
            shrink_seed(arguments, first, method, arguments.kind)
        return 0
    started, run = time.monotonic(), Run(arguments)
    run.all(list(range(first, last)))
    for key, count in sorted(run.counts.items()):
        print(f"{count:7} {key}")
    print(f"{time.monotonic() - started:.1f} s")
    shrink_all(arguments, run.findings)
    return 1 if any("finding" in key or key == "broken" for key in run.counts) else 0


if __name__ == "__main__":
    multiprocessing.set_start_method("fork")
    sys.exit(main())
