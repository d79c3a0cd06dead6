"""The base class of the tests: quantize a model with onnxq, check what came out, compare results."""

import json
import shutil
import subprocess
import tempfile
import unittest
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

import build
import common
import patterns
import structure
from common import Feeds
from reference import Quantized

ONNXQ = ""  # set by run.py
MODELS: Path | None = None  # set by run.py

DYNAMIC_LEFTOVERS = ("MatMulInteger", "Cast", "ConvInteger")


def cases(table: dict[str, tuple] | list[str]):
    """Makes one test of each entry: name -> arguments; a list is a table of single arguments."""
    table = table if isinstance(table, dict) else {str(name): (name,) for name in table}

    def mark(function):
        function.cases = table
        return function

    return mark


@dataclass
class Outcome:
    """A float model and what onnxq made of it."""

    original: onnx.ModelProto
    source: Path
    model: onnx.ModelProto
    path: Path
    report: dict

    def view(self) -> patterns.View:
        return patterns.View(self.model.graph, base_dir=str(self.path.parent))

    def match(self, output: str) -> patterns.Match:
        return patterns.match(self.view(), output)

    def weight(self, name: str) -> dict:
        found = [w for w in self.report["weights"] if w["name"] == name]
        assert len(found) == 1, f"weight {name!r} is listed {len(found)} times"
        return found[0]


class OrtTest(unittest.TestCase):
    def __init_subclass__(cls, **kwargs) -> None:
        super().__init_subclass__(**kwargs)
        for name, function in list(vars(cls).items()):
            for case, arguments in getattr(function, "cases", {}).items():

                def test(self, function=function, arguments=arguments):
                    function(self, *arguments)

                test.__doc__ = None
                setattr(cls, f"test_{name}__{case}", test)

    def setUp(self) -> None:
        self.dir = Path(tempfile.mkdtemp(prefix="onnxq-ort-"))
        self.addCleanup(shutil.rmtree, self.dir)

    # --- running onnxq ---------------------------------------------------------

    def onnxq_any(self, *arguments) -> subprocess.CompletedProcess:
        return subprocess.run([ONNXQ, *map(str, arguments)], capture_output=True, text=True)

    def onnxq(self, *arguments, status: int = 0) -> subprocess.CompletedProcess:
        done = self.onnxq_any(*arguments)
        self.assertEqual(done.returncode, status, f"{' '.join(done.args)}\n{done.stdout}{done.stderr}")
        return done

    def quantize(self, model: onnx.ModelProto | Path, *flags: str, min_elements: int = 1) -> Outcome:
        """Quantizes a model, and checks everything that holds for every output."""
        source = model if isinstance(model, Path) else self.dir / "model.onnx"
        if not isinstance(model, Path):
            onnx.save(model, source)
        path, report = self.dir / "out" / "model.onnx", self.dir / "report.json"
        path.parent.mkdir(exist_ok=True)
        self.onnxq("quantize", source, path, f"--min-elements={min_elements}", f"--json={report}", *flags)
        outcome = Outcome(
            onnx.load(source, load_external_data=False),
            source,
            onnx.load(path, load_external_data=False),
            path,
            json.loads(report.read_text()),
        )
        structure.check(outcome.original, outcome.model, str(path))
        self.assert_valid(path)
        self.assert_report(outcome)
        self.assert_complete(path, f"--min-elements={min_elements}", *flags)
        return outcome

    def assert_valid(self, path: Path) -> None:
        """onnxq's own validator finds nothing wrong."""
        self.onnxq("inspect", "-q", "--validate", path)

    def assert_complete(self, path: Path, *flags: str) -> None:
        """Nothing is left to do, and nothing is quantized twice."""
        done = self.onnxq_any("quantize", "--dry-run", "-v", "--allow-unmatched", path, *flags)
        self.assertEqual(done.returncode, 5, f"a second run would change it again\n{done.stdout}{done.stderr}")

    def assert_report(self, outcome: Outcome) -> None:
        """The report has every constant, and the sizes that are on the disk."""
        summary, weights = outcome.report["summary"], outcome.report["weights"]
        files = [p.stat().st_size for p in outcome.path.parent.iterdir()]
        self.assertEqual(summary["nbytes_after"], sum(files))
        self.assertEqual(summary["weights"], len(weights))
        self.assertEqual(summary["quantized"], sum(w["action"] in ("dynamic", "fold") for w in weights))
        dropped = [w["nbytes"] for w in weights if w["action"] == "drop"]
        self.assertEqual((summary["unused"], summary["nbytes_unused"]), (len(dropped), sum(dropped)))
        before, after = (sum(weight[key] for weight in weights) for key in ("nbytes", "nbytes_after"))
        self.assertEqual((summary["weight_nbytes_before"], summary["weight_nbytes_after"]), (before, after))
        self.assertEqual(patterns.constant_nbytes(outcome.original), before)
        added = (
            patterns.constant_nbytes(outcome.model) - after
        )  # shapes and factors, which belong to no weight
        self.assertTrue(
            0 <= added <= 64 * summary["quantized"], f"{added} bytes of constants are not in the report"
        )
        for weight in weights:
            for use in weight["uses"]:
                self.assertTrue(
                    use["action"] != "keep" or use["reason"], f"no reason why {weight['name']} is kept"
                )

    # --- what is stored --------------------------------------------------------

    def assert_stored(self, match: patterns.Match, want: Quantized, factor: float = 1.0) -> None:
        """The integers, the scale (times factor) and the zero point, to the last bit."""
        self.assertEqual(match.q.dtype, want.q.dtype)
        np.testing.assert_array_equal(match.q.reshape(want.q.shape), want.q)
        scale = spread(want.scale * np.float32(factor), want.q.shape)
        np.testing.assert_array_equal(spread(match.scale, match.q.shape).reshape(scale.shape), scale)
        zero_point = np.int32(0) if match.zero_point is None else match.zero_point.astype(np.int32)
        np.testing.assert_array_equal(
            spread(zero_point, match.q.shape).reshape(scale.shape),
            spread(want.zero_point.astype(np.int32), want.q.shape),
        )

    # --- what is computed ------------------------------------------------------

    def run_levels(self, path: Path, feeds: Feeds) -> dict[str, list[np.ndarray]]:
        return {level: common.run(path, feeds, level) for level in common.LEVELS}

    def assert_close(
        self, got: np.ndarray, want: np.ndarray, tolerance: np.ndarray | float, message: str = ""
    ) -> None:
        self.assertEqual(got.shape, want.shape, message)
        excess = np.abs(got.astype(np.float64) - want) - tolerance
        self.assertFalse(
            np.isnan(excess).any() or (excess > 0).any(),
            f"{message}: off by {np.abs(got - want).max()}, {np.max(excess)} over what is allowed",
        )

    def assert_folds_to(self, outcome: Outcome, feeds: Feeds, replaced: dict[str, np.ndarray]) -> None:
        """The model is the float one with these weights, and ONNX Runtime makes the same graph of it."""
        self.assert_folded(outcome)
        want = self.dir / "replaced.onnx"
        onnx.save(build.with_weights(outcome.original, replaced), want)
        expected, got = self.run_levels(want, feeds), self.run_levels(outcome.path, feeds)
        for level in ("basic", "extended", "all"):
            for left, right in zip(expected[level], got[level], strict=True):
                np.testing.assert_array_equal(left, right, level)
        for left, right in zip(expected["disabled"], got["disabled"], strict=True):
            np.testing.assert_allclose(left, right, rtol=1e-4, atol=1e-5 * np.abs(left).max(initial=0))

    def optimized(self, path: Path, level: str = "extended") -> Counter:
        """Operators after ONNX Runtime's optimization, bodies included, constants aside."""
        saved = self.dir / "optimized.onnx"
        common.session(path, level, save=str(saved))
        counts = patterns.op_counts(onnx.load(saved, load_external_data=False))
        del counts["Constant"]
        return counts

    def assert_fused(self, path: Path, single: int = 0, shared: int = 0, quantizers: int = 0) -> None:
        """`single` products with an activation of their own, `shared` ones behind `quantizers`."""
        ops = self.optimized(path)
        self.assertEqual(
            [
                ops["com.microsoft.DynamicQuantizeMatMul"],
                ops["com.microsoft.MatMulIntegerToFloat"],
                ops["DynamicQuantizeLinear"],
            ],
            [single, shared, quantizers],
            ops,
        )
        self.assertFalse([op for op in DYNAMIC_LEFTOVERS if ops[op]], ops)

    def assert_folded(self, outcome: Outcome) -> None:
        """ONNX Runtime turns the model into the same graph as the float one."""
        for level in ("basic", "extended", "all"):
            self.assertEqual(self.optimized(outcome.path, level), self.optimized(outcome.source, level))


def spread(value: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """value for each element of a tensor of that shape; a vector belongs to the last axis."""
    value = np.asarray(value)
    if value.size > 1 and len(shape) == 1:  # the weight of a MatMul that is a vector
        raise AssertionError(f"{value.size} scales for shape {shape}")
    return np.broadcast_to(value.reshape(-1) if value.size == 1 else value, shape)
