"""--method blocks --bits 4 -i: weights rounded for the activations that inputs give."""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

import build
import common
import harness
from build import node
from harness import OrtTest, cases
from test_blocks import raw_bytes

LIBRARY = Path(onnxruntime.__file__).parent / "capi"
K, N = 96, 40
BLOCKS = ("--method=blocks", "--bits=4", "--force-integer")


def correlated(rows: int, n: int = K, seed: int = 1) -> np.ndarray:
    """Few causes behind many channels, as activations are: that is what rounding can make use of."""
    mixing = build.rng(11).standard_normal((6, n))
    r = build.rng(seed)
    return (r.standard_normal((rows, 6)) @ mixing + 0.1 * r.standard_normal((rows, n))).astype(np.float32)


def network(k: int = K) -> onnx.ModelProto:
    """An input of the graph, then what a node makes, in a MatMul, and Gemms that are turned and have factors."""
    r = build.rng(3)
    constants = {
        "w": r.standard_normal((k, N)).astype(np.float32),
        "v": r.standard_normal((64, N)).astype(np.float32),
        "u": r.standard_normal((64, 32)).astype(np.float32),
        "b": r.standard_normal(64).astype(np.float32),
    }
    nodes = [
        node("MatMul", "x w", "p"),
        node("Relu", "p", "a"),
        node("Gemm", "a v b", "q", transB=1, alpha=-0.5),
        node("Tanh", "q", "t"),
        node("Gemm", "t u", "y"),
    ]
    return build.model(nodes, {"x": ("n", k)}, {"y": ("n", 32)}, constants)


class Rounding(OrtTest):
    def inputs(self, name: str = "x.npz", **arrays: np.ndarray) -> Path:
        np.savez(self.dir / name, **arrays)
        return self.dir / name

    def round(self, model: onnx.ModelProto, inputs: Path, *flags: str) -> harness.Outcome:
        return self.quantize(model, *BLOCKS, "-i", str(inputs), "--ort-lib", str(LIBRARY), *flags)

    def error(self, outcome: harness.Outcome, feeds: dict) -> float:
        return common.relative_error(common.run(outcome.source, feeds), common.run(outcome.path, feeds))

    def reasons(self, outcome: harness.Outcome) -> dict[str, str]:
        return {w["name"]: w["uses"][0]["reason"] for w in outcome.report["weights"]}

    @cases(
        {
            "default": (K, ()),
            "symmetric": (K, ("--symmetric",)),
            "part": (100, ()),
            "blocks_of_16": (100, ("--block-size=16",)),
            "level_1": (K, ("--accuracy-level=1",)),
            "threads": (K, ("-j2",)),
        }
    )
    def network(self, k, flags):
        """Better on inputs that were not seen; said of each weight; nothing else changes."""
        model = network(k)
        plain = self.quantize(model, *BLOCKS, *flags)
        unseen = {"x": correlated(500, k, seed=2)}
        before, sizes = self.error(plain, unseen), plain.report["summary"]
        self.assertEqual(self.reasons(plain)["w"], "")
        outcome = self.round(model, self.inputs(x=correlated(1000, k)), *flags)
        self.assertLess(self.error(outcome, unseen), 0.7 * before)
        self.assertEqual(outcome.report["summary"], sizes)
        for name in "wvu":
            self.assertRegex(self.reasons(outcome)[name], r"^GPTQ: \d+\.\d % of the error on inputs held back$")
            self.assertEqual(outcome.weight(name)["bits"], 4)

    def test_same_bytes(self):
        inputs, first = self.inputs(x=correlated(200)), None
        for flags in (("-j1",), ("-j4",), ("--threads=1",)):
            outcome = self.round(network(), inputs, *flags)
            first = first or outcome.path.read_bytes()
            self.assertEqual(outcome.path.read_bytes(), first)

    def test_sets_are_one_after_the_other(self):
        """A folder of sets, of which a quarter is held back as a whole."""
        (self.dir / "sets").mkdir()
        for i in range(8):
            self.inputs(f"sets/{i}.npz", x=correlated(50, seed=20 + i))
        model, unseen = network(), {"x": correlated(500, seed=2)}
        before = self.error(self.quantize(model, *BLOCKS), unseen)
        self.assertLess(self.error(self.round(model, self.dir / "sets"), unseen), 0.7 * before)

    def test_nothing_in_common(self):
        """Channels that have nothing to do with each other: GPTQ has nothing to gain, and loses nothing."""
        x = build.rng(5).standard_normal((4000, K)).astype(np.float32)
        plain = self.quantize(build.matmul(x, build.weights(K, N)), *BLOCKS)
        before = self.error(plain, {"x": x})
        outcome = self.round(build.matmul(x, build.weights(K, N)), self.inputs(x=x))
        self.assertLess(self.error(outcome, {"x": x}), 1.02 * before)

    def test_dead_channels(self):
        """Inputs that are always 0, of which nothing is known, and a weight that is 0."""
        x = correlated(400)
        x[:, ::3] = 0
        w = build.weights(K, N)
        w[:, 5] = 0
        model = build.matmul(x, w)
        outcome = self.round(model, self.inputs(x=x))
        self.assertTrue(np.isfinite(common.run(outcome.path, {"x": x})[0]).all())
        np.testing.assert_array_equal(common.run(outcome.path, {"x": x})[0][:, 5], 0)
        x = np.zeros_like(x)
        outcome = self.round(model, self.inputs(x=x))
        self.assertIn("rounded to nearest", self.reasons(outcome)["w"])

    def test_batches(self):
        """A quarter of the first axis is held back."""
        x, w = correlated(600).reshape(12, 50, K), build.weights(K, N)
        model = build.matmul(x, w)
        unseen = {"x": correlated(600, seed=2).reshape(12, 50, K)}
        before = self.error(self.quantize(model, *BLOCKS), unseen)
        self.assertLess(self.error(self.round(model, self.inputs(x=x)), unseen), 0.8 * before)

    def test_left_alone(self):
        """Weights that two products take, that come first, or behind a Transpose; and tables: as without inputs."""
        r = build.rng(3)
        constants = {"w": r.standard_normal((64, 64)).astype(np.float32), "e": r.standard_normal((50, 64)).astype(np.float32)}
        nodes = [
            node("Gather", "e i", "g"),
            node("MatMul", "g w", "p"),
            node("Tanh", "p", "t"),
            node("MatMul", "t w", "y"),
        ]
        model = build.model(nodes, {"i": np.zeros(7, np.int64)}, {"y": (7, 64)}, constants)
        plain = self.quantize(model, *BLOCKS)
        before = plain.path.read_bytes()
        outcome = self.round(model, self.inputs(i=np.arange(7)))
        self.assertEqual(outcome.path.read_bytes(), before)
        self.assertEqual(set(self.reasons(outcome).values()), {""})

    def test_padding(self):
        """What fills up the last block stands for 0."""
        x, w = correlated(300, 20), build.weights(20, 50)
        outcome = self.round(build.matmul(x, w), self.inputs(x=x))
        stored = raw_bytes(outcome, "w_quantized").reshape(50, 16)
        zero = raw_bytes(outcome, "w_zero_point") & 15
        np.testing.assert_array_equal(stored[:, 10:] & 15, np.repeat(zero[:, None], 6, 1))
        np.testing.assert_array_equal(stored[:, 10:] >> 4, np.repeat(zero[:, None], 6, 1))

    def test_few_rows_are_warned_of(self):
        onnx.save(network(), self.dir / "model.onnx")
        command = ("quantize", *BLOCKS, "--min-elements=1", "--ort-lib", LIBRARY, self.dir / "model.onnx", self.dir / "o.onnx", "-i")
        done = self.onnxq(*command, self.inputs(x=correlated(40)))
        self.assertIn("warning: inputs give 30 rows for a weight of 96 inputs; more of them round better", done.stderr)
        done = self.onnxq(*command, self.inputs(x=correlated(1000)))
        self.assertNotIn("warning", done.stderr)

    @cases(
        {
            "too_few": ({"x": correlated(3)}, 2, "inputs give 3 rows of 'x', expected 4 or more"),
            "other_name": ({"z": correlated(8)}, 3, "z"),
            "other_shape": ({"x": correlated(8, 5)}, 3, "x"),
            "other_type": ({"x": np.zeros((8, K), np.int64)}, 3, "x"),
        }
    )
    def refused(self, arrays, status, message):
        """One line, and nothing is left behind."""
        onnx.save(network(), self.dir / "model.onnx")
        inputs, target = self.inputs(**arrays), self.dir / "o.onnx"
        done = self.onnxq_any(
            "quantize", *BLOCKS, "--min-elements=1", "--ort-lib", LIBRARY, "-i", inputs, self.dir / "model.onnx", target
        )
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertIn(message, done.stderr)
        self.assertEqual(len([line for line in done.stderr.splitlines() if not line.startswith("  hint")]), 1)
        self.assertFalse(target.exists())

    @cases({"8_bits": ("--bits=8",), "nf4": ("--bits=nf4",), "qdq": ("--method=qdq", "--bits=4")})
    def no_effect(self, *flags):
        onnx.save(network(), self.dir / "model.onnx")
        method = () if any("method" in flag for flag in flags) else ("--method=blocks",)
        inputs = self.inputs(x=correlated(8))
        done = self.onnxq("quantize", *method, *flags, "-i", inputs, self.dir / "model.onnx", status=2)
        self.assertIn("--inputs has no effect", done.stderr)

    def test_report_is_told(self):
        onnx.save(network(), self.dir / "model.onnx")
        done = self.onnxq(
            "quantize", "-v", *BLOCKS, "--min-elements=1", "--ort-lib", LIBRARY, "-i", self.inputs(x=correlated(1000)),
            self.dir / "model.onnx", self.dir / "o.onnx", f"--json={self.dir / 'r.json'}",
        )  # fmt: skip
        self.assertIn("GPTQ: ", done.stdout)
        self.assertIn("GPTQ: ", json.dumps(json.loads((self.dir / "r.json").read_text())))

    def test_float16(self):
        """Activations of float16 are not looked at."""
        w = build.weights(K, N).astype(np.float16)
        model = build.model(
            [node("MatMul", "x w", "y")],
            {"x": correlated(8).astype(np.float16)},
            {"y": np.zeros((8, N), np.float16)},
            {"w": w},
        )
        outcome = self.round(model, self.inputs(x=correlated(8).astype(np.float16)))
        self.assertEqual(self.reasons(outcome)["w"], "")
