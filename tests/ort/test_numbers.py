"""Numbers at the edges: attributes of 0 that are left out, scales of huge, tiny and mixed values."""

import json
from pathlib import Path

import numpy as np
import onnx
import onnx.numpy_helper

import build
import common
from build import node
from harness import OrtTest, cases

K, N = build.K, build.N


def leave_zeros_out(model: onnx.ModelProto) -> onnx.ModelProto:
    """As writers of proto3 do: an attribute whose value is 0 has a type and no value."""
    for n in model.graph.node:
        for attribute in n.attribute:
            for field in ("i", "f"):
                if attribute.HasField(field) and not getattr(attribute, field):
                    attribute.ClearField(field)
    return model


class ZerosLeftOut(OrtTest):
    """What a reader must not take for a default that is not 0."""

    @cases(
        {
            f"{name}_{method}": (name, method)
            for name in ("alpha", "beta")
            for method in ("dynamic", "blocks", "qdq")
        }
    )
    def gemm(self, name: str, method: str) -> None:
        x, c = build.activations(5, K), build.activations(5, N, seed=9)
        gemm = node("Gemm", "x w c", "y", **{name: 0.0})
        constants = {"w": build.weights(K, N), "c": c}
        model = leave_zeros_out(build.model([gemm], {"x": x.shape}, {"y": (5, N)}, constants))
        outcome = self.quantize(model, f"--method={method}")
        want, got = common.run(outcome.source, {"x": x})[0], common.run(outcome.path, {"x": x})[0]
        self.assertLess(np.linalg.norm(want - got), 0.02 * np.linalg.norm(want))

    def test_dequantize_axis(self) -> None:
        q = build.rng().integers(-127, 128, (48, 48)).astype(np.int8)
        nodes = [node("DequantizeLinear", "q s", "w", axis=0), node("MatMul", "x w", "y")]
        constants = {"q": q, "s": np.geomspace(1e-3, 1, 48).astype(np.float32)}
        x = build.activations(5, 48)
        path, back = self.dir / "q.onnx", self.dir / "back.onnx"
        onnx.save(leave_zeros_out(build.model(nodes, {"x": x.shape}, {"y": (5, 48)}, constants)), path)
        self.onnxq("inspect", "--validate", path)
        self.onnxq("dequantize", path, back)
        np.testing.assert_allclose(common.run(back, {"x": x})[0], common.run(path, {"x": x})[0], rtol=1e-5)

    def test_validate_bits_of_zero(self) -> None:
        """An attribute that has to be there is there; its value is what is wrong with it."""
        nodes = [node("MatMulNBits", "x q s", "y", domain="com.microsoft", K=64, N=0, block_size=32, bits=8)]
        constants = {"q": np.zeros((1, 2, 32), np.uint8), "s": np.ones(2, np.float32)}
        path = self.dir / "q.onnx"
        made = build.model(nodes, {"x": (1, 64)}, {"y": (1, 1)}, constants, imports={"com.microsoft": 1})
        onnx.save(leave_zeros_out(made), path)
        done = self.onnxq("inspect", "--validate", path, status=3)
        self.assertNotIn("no integer", done.stdout + done.stderr)


METHODS = {
    "dynamic": (),
    "weights": ("--method=weights",),
    "qdq": ("--method=qdq",),
    "blocks": ("--method=blocks",),
    "blocks_4": ("--method=blocks", "--bits=4"),
    "asymmetric": ("--no-symmetric",),
    "asymmetric_blocks": ("--method=blocks", "--no-symmetric"),
    "tensor": ("--no-per-channel",),
}


def bound(w: np.ndarray, flags: tuple, x: np.ndarray) -> np.ndarray:
    """
    What x . w may be off by in each column: half a step for each weight, and half a step of an
    activation in 8 bits, of a whole row at most; a step for rounding on top.
    """
    steps = 7 if "--bits=4" in flags else 127
    axis = None if "--no-per-channel" in flags else 0
    weights = np.abs(w).max(axis, keepdims=True) / steps
    activations = (x.max() - min(x.min(), 0)) / 255
    return np.abs(x).sum(-1, keepdims=True) * weights + np.abs(w).sum(0) * activations


class Extremes(OrtTest):
    """Values at the ends of what float32 and float16 hold, through every method."""

    def shrink(self, model: onnx.ModelProto, *flags: str) -> tuple[Path, Path, str]:
        """The model, what became of it, and of its first weight; nothing may be left to do."""
        source, path, report = (self.dir / name for name in ("model.onnx", "out.onnx", "report.json"))
        onnx.save(model, source)
        flags = ("--min-elements=1", "--allow-noop", *flags)
        self.onnxq("quantize", source, path, f"--json={report}", *flags)
        self.assert_valid(path)
        return source, path, json.loads(report.read_text())["weights"][0]["action"]

    def run_both(self, model: onnx.ModelProto, feeds: dict, *flags: str) -> tuple[np.ndarray, np.ndarray, str]:
        source, path, action = self.shrink(model, *flags)
        want, got = (common.run(p, feeds)[0].astype(np.float64) for p in (source, path))
        return want, got, action

    def compare(self, w: np.ndarray, x: np.ndarray, flags: tuple) -> str:
        """The product of x and w as far as the bound allows; what was done with w."""
        _, got, action = self.run_both(build.matmul(x, w), {"x": x}, *flags)
        want = x.astype(np.float64) @ w.astype(np.float64)
        self.assertTrue(np.isfinite(got).all(), "not finite")
        limit = bound(w.astype(np.float64), flags, x.astype(np.float64)) + 1e-6 * np.abs(want).max()
        off = np.abs(got - want) - limit
        self.assertTrue((off <= 0).all(), f"{off.max()} beyond the bound")
        return action

    @cases(METHODS)
    def sums(self, *flags: str) -> None:
        """Products that float32 holds, of weights whose rows add up to more than it does."""
        w = build.rng().uniform(0.5e37, 1e37, (64, 33)).astype(np.float32)
        w[::2] *= -1
        self.compare(w, build.rng().uniform(0.5, 1, (5, 64)).astype(np.float32), flags)

    @cases(METHODS)
    def tiny(self, *flags: str) -> None:
        """Below 1.5e-36 a scale would be no normal float32."""
        w = build.rng().choice([1e-37, -1e-37], (256, 256)).astype(np.float32)
        x = np.full((2, 256), 1e30, np.float32)
        self.assertEqual(self.keep(w, x, flags), "keep")

    @cases(METHODS)
    def tiny_double(self, *flags: str) -> None:
        w = build.rng().choice([1e-50, -3e-50], (256, 256))
        x = np.full((2, 256), 1e50)
        self.assertEqual(self.keep(w, x, flags), "keep")

    @cases(METHODS)
    def outliers(self, *flags: str) -> None:
        """Rows of 1e10 whose activations are 0: what the others make must not be lost."""
        for count in (1, 10):
            w = build.rng().standard_normal((64, 64))
            w[:count] *= 1e10
            x = build.activations(2, 64).astype(np.float64)
            x[:, :count] = 0
            self.assertEqual(self.keep(w, x, flags), "keep")

    def keep(self, w: np.ndarray, x: np.ndarray, flags: tuple) -> str:
        """The same as in float."""
        graph = build.graph([node("MatMul", "x w", "y")], {"x": x}, {"y": x @ w}, {"w": w})
        want, got, action = self.run_both(build.model(graph), {"x": x}, *flags)
        np.testing.assert_allclose(got, want, rtol=1e-6)
        return action

    @cases(METHODS)
    def moderate_outliers(self, *flags: str) -> None:
        """1000 beside 1, in every column: 16 bits keep what 8 would not."""
        w = build.weights(256, 256)
        w = np.sign(w) * np.maximum(np.abs(w), np.float32(0.5))
        w[3] = np.where(w[3] < 0, -2000, 2000)
        x = build.activations(4, 256)
        x[:, 3] = 0
        want, got, _ = self.run_both(build.matmul(x, w), {"x": x}, *flags)
        self.assertLess(np.linalg.norm(want - got), 0.05 * np.linalg.norm(want))

    @cases({"dynamic": (), "weights": ("--method=weights",), "qdq": ("--method=qdq",)})
    def one_column_beside_others(self, *flags: str) -> None:
        """Of which it is 3000 times the size: 16 bits with one scale would leave them ten steps."""
        w, x = build.rng().standard_normal((256, 64)).astype(np.float32), build.activations(4, 256)
        w[:, 5] *= 3000
        want, got, _ = self.run_both(build.matmul(x, w), {"x": x}, "--no-per-channel", *flags)
        off = np.linalg.norm(want - got, axis=0) / np.linalg.norm(want, axis=0)
        self.assertLess(off.max(), 0.01)

    @cases({name: METHODS[name] for name in ("blocks", "blocks_4", "asymmetric_blocks")})
    def some_blocks(self, *flags: str) -> None:
        """What most of is lost of may be a twentieth; some blocks are looked into for all."""
        for part, is_integer in ((0.02, True), (0.12, False)):
            for turned in (False, True):
                w = build.weights(1024, 256, seed=5)
                w = np.sign(w) * np.maximum(np.abs(w) / np.abs(w).max(), np.float32(0.5))
                blocks = w.reshape(32, 32, 256)
                chosen = build.rng(3).random((8, 1, 256)).repeat(4, 0) < part  # of 128 or of 32
                blocks[:, :1][chosen] = 2000
                x = build.activations(4, 1024)
                product = node("Gemm", "x w", "y", transB=int(turned))
                constants = {"w": np.ascontiguousarray(w.T) if turned else w}
                outcome = self.quantize(build.model([product], {"x": x}, {"y": (4, 256)}, constants), *flags)
                self.assertEqual(outcome.weight("w")["action"] == "dynamic", is_integer, (part, turned))

    @cases(METHODS)
    def pruned(self, *flags: str) -> None:
        """Columns and blocks of zeros beside weights of 1e-5 add no noise."""
        w = build.weights(512, 144) * np.float32(1e-5)
        w[:, ::3] = 0
        w[128:384, 1::3] = 0
        x = build.activations(6, 512) * np.float32(100)
        self.assertNotEqual(self.compare(w, x, flags), "keep")
        got = common.run(self.dir / "out.onnx", {"x": x})[0]
        self.assertLess(np.abs(got[:, ::3]).max(), 1e-6 * np.abs(got).max(), "noise where all is 0")

    @cases(METHODS)
    def padded_rows(self, *flags: str) -> None:
        """A table whose last rows are zeros, as those of a padded vocabulary, also as a last layer."""
        table = build.weights(600, 128) * np.float32(1e-5)
        table[500:] = 0
        nodes = [
            node("Gather", "table i", "rows"),
            node("Transpose", "table", "turned", perm=[1, 0]),
            node("MatMul", "rows turned", "y"),
        ]
        indices = np.array([[0, 7, 499, 500, 599]], np.int64)
        model = build.model(nodes, {"i": indices}, {"y": (1, 5, 600)}, {"table": table})
        want, got, _ = self.run_both(model, {"i": indices}, *flags)
        self.assertLess(np.linalg.norm(want - got), 0.15 * np.linalg.norm(want))

    @cases(METHODS)
    def mask(self, *flags: str) -> None:
        """The lowest of all floats stays far below anything, and finite."""
        for dtype in (np.float32, np.float16):
            lowest = np.finfo(dtype).min
            mask = np.triu(np.full((64, 64), lowest, dtype), 1)
            x = build.activations(64, 64).astype(dtype)
            nodes = [node("Add", "x mask", "s"), node("Softmax", "s", "y", axis=-1)]
            graph = build.graph(nodes, {"x": x}, {"y": x}, {"mask": mask})
            want, got, _ = self.run_both(build.model(graph), {"x": x}, *flags)
            np.testing.assert_allclose(got, want, atol=1e-3)

    @cases(METHODS)
    def ends_of_half(self, *flags: str) -> None:
        """65504 is the largest float16; with a zero point the integers would reach beyond."""
        w = np.zeros((64, 64), np.float16)
        w[5], w[5, ::2] = 65504, -1100
        x = np.zeros((64, 64), np.float16)
        graph = build.graph([node("Add", "x w", "y")], {"x": x}, {"y": x}, {"w": w})
        _, got, _ = self.run_both(build.model(graph), {"x": x}, *flags)
        self.assertTrue(np.isfinite(got).all(), "not finite")
        self.assertLess(np.abs(got - w).max(), 65504 / 7 if "--bits=4" in flags else 65504 / 127)

    @cases(METHODS)
    def both_ends(self, *flags: str) -> None:
        w = np.zeros((64, 64), np.float32)
        w[5], w[6] = np.finfo(np.float32).max, np.finfo(np.float32).min
        graph = build.graph([node("Mul", "x w", "y")], {"x": w}, {"y": w}, {"w": w})
        _, got, _ = self.run_both(build.model(graph), {"x": np.ones_like(w)}, *flags)
        self.assertTrue(np.isfinite(got).all(), "not finite")

    @cases({f"{alpha}_{name}": (alpha, *flags) for alpha in (-3e38, 1e-38, 3e37) for name, flags in METHODS.items()})
    def alpha(self, alpha: float, *flags: str) -> None:
        """Scales would not hold such a factor."""
        x = build.activations(3, 256) * np.float32(1e-3)
        gemm = node("Gemm", "x w", "y", alpha=alpha)
        graph = build.graph([gemm], {"x": x}, {"y": (3, 256)}, {"w": build.weights(256, 256)})
        want, got, _ = self.run_both(build.model(graph), {"x": x}, *flags)
        np.testing.assert_array_equal(np.isfinite(got), np.isfinite(want))
        fine = np.isfinite(want)
        limit = 0.15 if "--bits=4" in flags else 0.05
        self.assertLess(np.linalg.norm((want - got)[fine] / abs(alpha)), limit * np.linalg.norm(want[fine] / abs(alpha)))


class WayBack(OrtTest):
    """dequantize --float-type float16"""

    def dequantize(self, q: np.ndarray, s: np.ndarray) -> np.dtype:
        nodes = [node("DequantizeLinear", "q s", "w", axis=1), node("MatMul", "x w", "y")]
        x = np.ones((2, 48), np.float32)
        path, back = self.dir / "q.onnx", self.dir / "back.onnx"
        onnx.save(build.model(nodes, {"x": x}, {"y": (2, 48)}, {"q": q, "s": s}), path)
        self.onnxq("dequantize", "-f", "--float-type=float16", path, back)
        self.assert_valid(back)
        dtype = onnx.numpy_helper.to_array(onnx.load(back).graph.initializer[0]).dtype
        want, got = (common.run(p, {"x": x})[0] for p in (path, back))
        np.testing.assert_allclose(got, want, rtol=5e-3, atol=2e-3 * np.abs(want).max(0).min())
        return dtype

    def test_small_scales(self) -> None:
        """Steps that float16 has not stay in float32, be it in one column."""
        q = build.rng().integers(1, 128, (48, 48)).astype(np.int8)
        usual = np.full(48, 1e-3, np.float32)
        self.assertEqual(self.dequantize(q, usual), np.float16)
        self.assertEqual(self.dequantize(q, usual * np.float32(1e-4)), np.float32)
        self.assertEqual(self.dequantize(q, usual * np.float32(1e-33)), np.float32)
        mixed = usual.copy()
        mixed[7] = 1e-7
        self.assertEqual(self.dequantize(q, mixed), np.float32)
        q[:, 7] = 0  # a column of zeros may have any scale
        self.assertEqual(self.dequantize(q, mixed), np.float16)
