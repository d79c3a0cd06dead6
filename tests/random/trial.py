"""One model through one method and back, with all that has to hold."""

import json
import random
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

import engine
import flat
import oracle
import prune
import static
from bounds import Options
from graphs import Drawn
from oracle import Comparison, Finding, Reference, Seen

METHODS = ("dynamic", "weights", "qdq", "blocks", "static")
NOTHING_TO_DO = 5


def draw_flags(seed: int, method: str, model: onnx.ModelProto) -> list[str]:
    """Options of `onnxq quantize` for one seed."""
    r = random.Random(f"{seed} {method}")
    opset = next(o.version for o in model.opset_import if o.domain == "")
    bits, size = "8", 0
    if method == "blocks":
        bits, size = r.choice(("8", "4", "nf4")), r.choice((0, 16, 32, 64, 128))
    if method == "qdq" and opset >= 21:
        bits, size = r.choice(("8", "8", "4")), r.choice((0, 0, 16, 32))
    symmetric = bits == "nf4" or r.random() < 0.7
    flags = [] if symmetric else ["--no-symmetric"]
    if method != "blocks":
        flags += ["--no-per-channel"] if r.random() < 0.2 and size == 0 else []
        flags += ["--weight-type=uint8"] if r.random() < 0.25 and bits == "8" else []
    flags += [f"--bits={bits}"] if bits != "8" else []
    flags += [f"--block-size={size}"] if size else []
    if method == "static":
        return draw_static_flags(r, model)
    if method == "dynamic":
        flags += [f"--conv={r.choice(('fold', 'integer', 'matmul', 'skip'))}"]
        reduce = r.choice(("bits", "pairs")) if symmetric else "bits"
        flags += [f"--reduce-range={reduce}"] if r.random() < 0.25 else []
    if method in ("dynamic", "weights") and r.random() < 0.5:
        flags.append(f"--fold-bits={r.choice(('8', '16'))}")
    if method in ("dynamic", "blocks") and r.random() < 0.8:
        flags.append("--force-integer")
    flags.append("--min-elements=1" if r.random() < 0.85 else f"--min-elements={r.choice((16, 256, 1024))}")
    flags += ["--no-subgraphs"] if r.random() < 0.1 else []
    flags += ["--freeze-inputs"] if r.random() < 0.4 else []
    often = ("MatMul", "Gemm", "Conv", "Gather", "Transpose", "Add")
    nodes = [n.name for n in model.graph.node if n.op_type in often]
    if nodes and r.random() < 0.2:
        flags += [f"--exclude={r.choice(nodes)}", "--allow-unmatched"]
    flags += ["--external-data=always"] if r.random() < 0.08 else []
    flags += ["--no-smooth"] if method == "dynamic" and r.random() < 0.2 else []
    return flags + (["--join-norms"] if method in ("dynamic", "blocks") and r.random() < 0.2 else [])


def draw_static_flags(r: random.Random, model: onnx.ModelProto) -> list[str]:
    flags = ["--min-elements=1"] + (["--force-integer"] if r.random() < 0.8 else [])
    flags += ["--no-per-channel"] if r.random() < 0.2 else []
    flags += ["--freeze-inputs"] if r.random() < 0.4 else []
    flags += [f"--range-method={r.choice(('mse', 'percentile', 'entropy'))}"] if r.random() < 0.3 else []
    nodes = [n.name for n in model.graph.node if n.op_type in ("Conv", "MatMul", "Add")]
    return flags + ([f"--exclude={r.choice(nodes)}", "--allow-unmatched"] if nodes and r.random() < 0.2 else [])


def options_of(method: str, flags: list[str]) -> Options:
    """What the flags say about steps."""
    values = dict(flag.lstrip("-").partition("=")[::2] for flag in flags)
    return Options(
        method=method,
        symmetric="no-symmetric" not in values,
        per_channel="no-per-channel" not in values,
        reduce=values.get("reduce-range", ""),
        bits=values.get("bits", "8"),
        block_size=int(values.get("block-size", 0)),
        flags=tuple(flags),
    )


@dataclass
class Files:
    source: Path
    quantized: Path
    back: Path


def changed_weights(report: str) -> set[str]:
    """Names in the list of `quantize -v` that do not stay as they are."""
    weights = (line.split() for line in report.splitlines() if re.match(r"  \S+ +\[", line))
    return {words[0] for words in weights if "keep" not in words}


class Trial:
    """Everything about one model; a float run for each set of decisions is kept."""

    def __init__(self, onnxq: str, drawn: Drawn, folder: Path):
        self.onnxq, self.drawn, self.folder = onnxq, drawn, folder
        self.references: dict[str, Reference] = {}
        self.files = Files(folder / "model.onnx", folder / "q" / "model.onnx", folder / "back.onnx")
        self.files.quantized.parent.mkdir(exist_ok=True)
        onnx.save(drawn.model, self.files.source)
        self.float_outputs = engine.run(engine.session(drawn.model), drawn.feeds)
        if any(not is_finite(a) for a in self.float_outputs):
            raise engine.Refused("float outputs are not finite")
        own = Reference(drawn.model, drawn.feeds, None)
        own.check_flat(drawn.model)
        self.references[repr(sorted(own.decisions.items()))] = own

    def reference(self, decisions: dict) -> Reference:
        key = repr(sorted(decisions.items()))
        if key not in self.references:
            self.references[key] = Reference(self.drawn.model, self.drawn.feeds, decisions)
        return self.references[key]

    def run(self, *arguments) -> subprocess.CompletedProcess:
        return subprocess.run([self.onnxq, *map(str, arguments)], capture_output=True, text=True, timeout=60)

    # --- the checks ---

    def check(self, options: Options) -> list[Finding]:
        """Findings, none of which is the float model's fault."""
        for file in self.files.quantized.parent.iterdir():
            file.unlink()
        arguments = ["quantize", self.files.source, self.files.quantized, f"--method={options.method}", "-q", "-q"]
        report = self.folder / "report.json"
        if options.method == "static":
            arguments.append(f"--ranges={self.write_ranges(self.files.source)}")
        done = self.run(*arguments, f"--json={report}", *options.flags, "-j1")
        if done.returncode == NOTHING_TO_DO:
            return []
        if options.method == "static" and "is another operator there" in done.stderr:
            return []  # opset 10 is needed, and to raise it is not possible: one line says so
        if done.returncode != 0:
            return [Finding("exit code", f"quantize: {done.returncode} {done.stderr.strip()}")]
        findings = self.check_valid(self.files.quantized)
        findings += self.check_size(json.loads(report.read_text()), options)
        try:
            findings += self.check_again(arguments, options)
            findings += self.check_values(options)
        except engine.Refused as error:
            findings.append(Finding("refused", str(error)[:1500]))
        return findings

    def write_ranges(self, path: Path) -> str:
        """Of the values that a model has with these inputs."""
        return static.write_ranges(self.folder / f"{path.stem}.json", onnx.load(path), self.drawn.feeds)

    def check_valid(self, path: Path) -> list[Finding]:
        done = self.run("inspect", "-q", "--validate", path)
        return [] if done.returncode == 0 else [Finding("invalid", f"{path.name}: {done.stdout} {done.stderr}")]

    def check_size(self, report: dict, options: Options) -> list[Finding]:
        """Integers and all that goes with them are smaller than floats; nodes take up to 1.5 KB for each use."""
        summary = report["summary"]
        uses = sum(u["action"] not in ("keep", "drop") for w in report["weights"] for u in w["uses"])
        allowed = summary["nbytes_before"] + 1500 * uses + 2000
        grows = options.method == "static"  # biases where there were none, and integers of 32 bits with scales
        if summary["external_nbytes_after"]:  # its pages, and where each weight is in it
            allowed += max(0, summary["external_nbytes_after"] - summary["weight_nbytes_after"]) + 120 * summary["weights"]
        if summary["weight_nbytes_after"] > summary["weight_nbytes_before"] and not grows:
            return [Finding("larger", f"weights: {summary['weight_nbytes_before']} -> {summary['weight_nbytes_after']}")]
        return [] if summary["nbytes_after"] <= allowed else [Finding("larger", f"{summary}")]

    def check_again(self, arguments: list, options: Options) -> list[Finding]:
        """The same bytes on two threads; nothing left to do."""
        findings = []
        first = self.files.quantized.read_bytes()
        twice = self.folder / "twice" / "model.onnx"
        twice.parent.mkdir(exist_ok=True)
        done = self.run(*arguments[:2], twice, *arguments[3:], *options.flags, "-j2")
        if done.returncode != 0 or twice.read_bytes() != first:
            findings.append(Finding("not the same", f"on two threads: {done.returncode} {done.stderr}"))
        if self.run_again(self.files.quantized, options).returncode != NOTHING_TO_DO:
            findings += self.check_needed(arguments, options)
        return findings

    def run_again(self, path: Path, options: Options) -> subprocess.CompletedProcess:
        known = [f"--ranges={self.write_ranges(path)}"] if options.method == "static" else []
        return self.run(
            "quantize", "--dry-run", "-v", "--allow-unmatched", path, f"--method={options.method}", *known, *options.flags
        )

    def check_needed(self, arguments: list, options: Options) -> list[Finding]:
        """What no output needs may forbid to round a weight, and leaves when its only user is rewritten; a second run
        then has a reason less. Without it in the first place nothing is left to do."""
        source, quantized = self.folder / "needed.onnx", self.folder / "needed" / "model.onnx"
        quantized.parent.mkdir(exist_ok=True)
        onnx.save(prune.without_unneeded(self.drawn.model), source)
        known = [f"--ranges={self.write_ranges(source)}"] if options.method == "static" else []
        others = [a for a in arguments[3:] if a != "-q" and not a.startswith("--ranges=")]
        first = self.run(arguments[0], source, quantized, *others, *known, *options.flags, "-j1", "-v")
        done = self.run_again(quantized, options)
        # A part of a table of short rows stays, for its other users as well; the table is one tensor afterwards.
        short = {line.split()[0] for line in first.stdout.splitlines() if "rows too short" in line}
        if done.returncode == NOTHING_TO_DO or changed_weights(done.stdout) <= short:
            return []
        return [Finding("not complete", f"a second run: {done.returncode} {done.stdout[-1500:]} {done.stderr}")]

    def check_values(self, options: Options) -> list[Finding]:
        path = str(self.files.quantized)
        findings = self.check_plain(path, "all") + self.check_plain(path, "disabled")
        if options.method == "static":
            known = static.Static(self.drawn, path)
            return findings + known.check("disabled") + known.check("all") + self.check_back_runs()
        quantized, seen = self.look(path, options, ("disabled", "all"), False)
        findings += quantized
        return findings + self.check_back(options, seen)

    def check_plain(self, path: str, level: str) -> list[Finding]:
        outputs = engine.run(engine.session(path, level), self.drawn.feeds)
        findings = []
        for info, want, got in zip(self.drawn.model.graph.output, self.float_outputs, outputs, strict=True):
            if want.dtype != got.dtype or want.ndim != got.ndim:
                findings.append(Finding("shape", f"{info.name}: {want.dtype}{want.shape} became {got.dtype}{got.shape}"))
        return findings

    def look(self, path: str, options: Options, levels, is_float: bool) -> tuple[list[Finding], Seen]:
        model, decisions = flat.flatten(onnx.load(path), self.drawn.feeds)
        reference = self.reference(decisions)
        there = set(oracle.all_names(model))
        now = {n: n if n in there else f"{n}_folded" for n in reference.names}  # a name that hides another one
        now = {n: name for n, name in now.items() if name in there}
        values = self.observe(model, now, "disabled")
        if is_float:  # what comes back may lie the other way round under its old name, or be float32
            values = {n: a for n, a in values.items() if n not in reference.constants or reference.is_like(n, a)}
        seen = Seen(model, values)
        comparison = Comparison(reference, seen, options, is_float)
        comparison.check_constants()
        comparison.check_nodes("disabled", seen.values)
        if "all" in levels:
            free = {n: name for n, name in now.items() if n not in reference.constants}
            fixed = {n: seen.values[n] for n in now if n in reference.constants}
            try:
                comparison.check_nodes("all", {**fixed, **self.observe(model, free, "all")})
            except engine.Refused:
                pass  # the engine does not optimize with so many outputs; without them it did
        return comparison.findings, seen

    def observe(self, model, names: dict[str, str], level: str) -> dict[str, np.ndarray]:
        found = oracle.observe(model, list(names.values()), self.drawn.feeds, level)
        return {**self.drawn.feeds, **{n: found[name] for n, name in names.items()}}

    # --- the way back ---

    def check_back_runs(self) -> list[Finding]:
        """What was folded does not come back: valid, and it runs."""
        done = self.run("dequantize", "-q", "-q", self.files.quantized, self.files.back)
        if done.returncode != 0:
            return [] if done.returncode == NOTHING_TO_DO else [Finding("exit code", f"dequantize: {done.returncode} {done.stderr.strip()}")]
        return self.check_valid(self.files.back) + self.check_plain(str(self.files.back), "disabled")

    def check_back(self, options: Options, quantized: Seen) -> list[Finding]:
        for file in (self.files.back, Path(f"{self.files.back}.data")):  # that of an output which is gone is kept
            file.unlink(missing_ok=True)
        done = self.run("dequantize", "-q", "-q", self.files.quantized, self.files.back)
        if done.returncode == NOTHING_TO_DO:
            return []
        if done.returncode != 0:
            return [Finding("exit code", f"dequantize: {done.returncode} {done.stderr.strip()}")]
        findings = self.check_valid(self.files.back)
        try:
            if not engine.crashes(onnx.load(self.files.back).graph):
                findings += self.check_plain(str(self.files.back), "all")
            found, seen = self.look(str(self.files.back), options, (), True)
        except engine.Refused as error:
            if engine.has_lost_a_value(error):
                return findings
            return [Finding("back refused", str(error)[:1500])]
        findings += [Finding(f"back {f.kind}", f.text) for f in found]
        reference = next(iter(self.references.values()))
        roots = {n for n in reference.constants if n in reference.names and oracle.is_root(reference.seen, n)}
        for name, want in quantized.values.items():
            got = seen.values.get(name)
            if name in roots and got is not None and not oracle.same(want, got):
                if want.shape != got.shape or not np.allclose(want, got, rtol=1e-6 if want.dtype.itemsize > 2 else 1e-3, atol=0):
                    findings.append(Finding("back constant", f"{name} is not what the quantized model had"))
        return findings

def is_finite(array: np.ndarray) -> bool:
    return array.dtype.kind != "f" or bool(np.isfinite(array).all())
