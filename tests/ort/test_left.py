"""A constant on the left, y = w @ x, computed as (x' @ w')' in integers."""

from itertools import product

import numpy as np
import onnx
from onnx import TensorProto

import build
import common
import reference
from build import node
from harness import OrtTest, Outcome, cases
from reference import SCHEMES, Scheme

M, K = 272, 512
MIN_LEFT_NELEM = 131072  # smaller ones are folded (src/quantize/rules/matmul_left.c)
DEFAULT = Scheme()
W = build.weights(M, K)
X = build.activations(K, 5)


def turn(a: np.ndarray) -> np.ndarray:
    return np.swapaxes(a, -1, -2) if a.ndim > 1 else a


def matmul(w: np.ndarray, x_shape: tuple, opset: int = build.OPSET, y_shape: tuple | None = None):
    """y = w @ x with a declared shape of x, and of y on request."""
    y_shape = y_shape or (*x_shape[:-2], len(w), *x_shape[-1:]) if len(x_shape) > 1 else (len(w),)
    return build.model([node("MatMul", "w x", "y")], {"x": x_shape}, {"y": y_shape}, {"w": w}, opset)


class LeftTest(OrtTest):
    def check(
        self, outcome: Outcome, x: np.ndarray, w: np.ndarray, scheme: Scheme = DEFAULT, alpha: float = 1.0
    ) -> None:
        """y = alpha * w @ x in integers, with exactly the weights of the reference, fused."""
        quantized = reference.quantize_matmul(np.ascontiguousarray(w.T), scheme)
        found = outcome.match("y")
        self.assertEqual((found.form, found.x), ("dynamic", "x"))
        self.assertEqual(found.q.shape, w.shape[::-1])
        self.assertEqual(found.scale.shape, (len(w),) if quantized.scale.size > 1 else ())
        self.assert_stored(found, quantized, factor=alpha)
        self.assertEqual(outcome.weight("w")["action"], "dynamic")
        want = np.float64(alpha) * turn(reference.dynamic_matmul(turn(x), quantized))
        allowed = abs(alpha) * turn(reference.matmul_error(turn(x), w.T, quantized))
        for level, outputs in self.run_levels(outcome.path, {"x": x}).items():
            self.assert_close(outputs[0], want, 1e-5 * np.abs(want), level)
            self.assert_close(outputs[0], alpha * np.matmul(w, x), allowed + 1e-30, level)
        if x.ndim == 1:
            self.assert_fused(outcome.path, single=1)
        else:
            self.assert_fused(outcome.path, shared=1, quantizers=1)


class MatMul(LeftTest):
    @cases(
        {
            "1": (K,),
            "2": (K, 5),
            "2_one_column": (K, 1),
            "3": (2, K, 5),
            "4": (2, 3, K, 5),
            "4_ones": (1, 1, K, 1),
        }
    )
    def ranks(self, *shape):
        x = build.activations(*shape)
        self.check(self.quantize(matmul(W, shape)), x, W)

    @cases({"2": ([K, "n"],), "3": (["a", "b", "c"],)})
    def symbolic_shapes(self, shape):
        x = build.activations(*((3,) if len(shape) == 3 else ()), K, 4)
        self.check(self.quantize(matmul(W, tuple(shape), y_shape=[None] * len(shape))), x, W)

    @cases({name: (scheme,) for name, scheme in SCHEMES.items()})
    def schemes(self, scheme):
        self.check(self.quantize(matmul(W, X.shape), *scheme.flags()), X, W, scheme)

    @cases(list(range(11, build.NEWEST + 1)))
    def opsets(self, opset):
        self.check(self.quantize(matmul(W, X.shape, opset)), X, W)

    @cases({"512x256": (512, 256), "4x32768": (4, 32768), "1024x128": (1024, 128), "333x521": (333, 521)})
    def sizes(self, m, k):
        w, x = build.weights(m, k), build.activations(k, 3)
        self.check(self.quantize(matmul(w, x.shape)), x, w)

    @cases({"511x256": (511, 256), "2048x127": (2048, 127), "4x33026": (4, 33026), "opset_10": (M, K, 10)})
    def folded(self, m, k, opset=build.OPSET):
        w, x = build.weights(m, k), build.activations(k, 3)
        outcome = self.quantize(matmul(w, x.shape, opset))
        self.assertEqual(outcome.match("y").form, "fold")
        self.assertTrue(outcome.weight("w")["uses"][0]["reason"])
        self.assert_folds_to(outcome, {"x": x}, {"w": reference.quantize(w, DEFAULT, (0,)).dequantize()})

    @cases({"x": ("info",), "y": ("output",), "none": ("",)})
    def declared(self, by):
        """The rank is known from x or from y, or the weight is folded."""
        nodes = [node("Reshape", "x to", "h"), node("MatMul", "w h", "p"), node("Reshape", "p flat", "y")]
        model = build.model(
            nodes, {"x": X.shape, "to": ["rank"]}, {"y": [M * 5]}, {"w": W, "flat": np.array([-1])}
        )
        model.graph.input[1].type.tensor_type.elem_type = TensorProto.INT64
        if by:
            model.graph.value_info.append(build.info("h" if by == "info" else "p", [None, None]))
        outcome = self.quantize(model)
        self.assertEqual(outcome.match("p").form, "dynamic" if by else "fold")
        feeds = {"x": X, "to": np.array(X.shape)}
        got, want = common.run(outcome.path, feeds), common.run(model, feeds)
        self.assertLess(common.relative_error(want, got), 2)

    def test_behind_a_transpose(self):
        model = build.model(
            [node("Transpose", "v", "w", perm=[1, 0]), node("MatMul", "w x", "y")],
            {"x": X.shape},
            {"y": (M, 5)},
            {"v": W.T.copy()},
        )
        outcome = self.quantize(model)
        quantized = reference.quantize_matmul(np.ascontiguousarray(W.T), DEFAULT)
        self.assert_stored(outcome.match("y"), quantized)
        want = reference.dynamic_matmul(X.T, quantized).T
        self.assert_close(common.run(outcome.path, {"x": X})[0], want, 1e-5 * np.abs(want))
        self.assert_fused(outcome.path, shared=1, quantizers=1)

    def test_two_of_one_activation(self):
        """One quantization, one Transpose of its result."""
        v = build.weights(400, K, seed=5)
        nodes = [node("MatMul", "w x", "y"), node("MatMul", "v x", "z")]
        outcome = self.quantize(
            build.model(nodes, {"x": X.shape}, {"y": (M, 5), "z": (400, 5)}, {"w": W, "v": v})
        )
        ops = [n.op_type for n in outcome.model.graph.node]
        self.assertEqual((ops.count("DynamicQuantizeLinear"), ops.count("Transpose")), (1, 3))
        self.assert_fused(outcome.path, shared=2, quantizers=1)
        got, want = common.run(outcome.path, {"x": X}), common.run(outcome.original, {"x": X})
        self.assertLess(common.relative_error(want, got), 2)

    def test_on_both_sides(self):
        """The same weight on the left and, turned, on the right: one copy serves both."""
        nodes = [
            node("Transpose", "w", "t", perm=[1, 0]),
            node("MatMul", "w x", "y"),
            node("MatMul", "z t", "p"),
        ]
        z = build.activations(3, K, seed=8)
        model = build.model(nodes, {"x": X.shape, "z": z.shape}, {"y": (M, 5), "p": (3, M)}, {"w": W})
        outcome = self.quantize(model)
        integers = [t for t in outcome.model.graph.initializer if t.data_type == TensorProto.INT8]
        self.assertEqual(len(integers), 1)
        feeds = {"x": X, "z": z}
        self.assertLess(
            common.relative_error(common.run(outcome.original, feeds), common.run(outcome.path, feeds)), 2
        )
        self.assert_fused(outcome.path, single=1, shared=1, quantizers=1)

    @cases({"2": (K, 5), "3": (2, K, 5)})
    def float16(self, *shape):
        x, w = build.activations(*shape).astype(np.float16), W.astype(np.float16)
        model = build.model(
            [node("MatMul", "w x", "y")],
            {"x": x},
            {"y": np.matmul(w[:, :1], x[..., :1, :])},
            {"w": w},
        )
        outcome = self.quantize(model)
        quantized = reference.quantize_matmul(np.ascontiguousarray(w.T.astype(np.float32)), DEFAULT)
        self.assert_stored(outcome.match("y"), quantized)
        want = turn(reference.dynamic_matmul(turn(x.astype(np.float32)), quantized))
        for level, outputs in self.run_levels(outcome.path, {"x": x}).items():
            self.assertEqual(outputs[0].dtype, np.float16)
            self.assert_close(outputs[0], want, 1e-3 * np.abs(want) + 1e-6, level)
        self.assertEqual(self.optimized(outcome.path)["com.microsoft.MatMulIntegerToFloat"], 1)

    def test_in_a_body(self):
        """x of the graph around it has a declared rank; w lies in the body."""
        body = build.graph([node("MatMul", "w x", "t")], {}, {"t": (M, 5)}, {"w": W}, name="then")
        other = build.graph(
            [onnx.helper.make_node("Expand", ["zero", "size"], ["e"], name="e")],
            {},
            {"e": (M, 5)},
            {"zero": np.zeros((1, 1), np.float32), "size": np.array([M, 5])},
            name="else",
        )
        choose = onnx.helper.make_node("If", ["c"], ["y"], name="if", then_branch=body, else_branch=other)
        model = build.model([choose], {"x": X.shape, "c": []}, {"y": (M, 5)})
        model.graph.input[1].type.tensor_type.elem_type = TensorProto.BOOL
        outcome = self.quantize(model)
        self.assertEqual(outcome.weight("w")["action"], "dynamic")
        quantized = reference.quantize_matmul(np.ascontiguousarray(W.T), DEFAULT)
        want = reference.dynamic_matmul(X.T, quantized).T
        for level, outputs in self.run_levels(outcome.path, {"x": X, "c": np.array(True)}).items():
            self.assert_close(outputs[0], want, 1e-5 * np.abs(want), level)


C_SHAPES = {"absent": None, "scalar": (), "N": (5,), "Mx1": (M, 1), "MxN": (M, 5), "dynamic": (M, 5)}


class Gemm(LeftTest):
    @cases(
        {
            f"alpha_{alpha}_beta_{beta}_A{a}B{b}_C_{c}": (alpha, beta, a, b, c)
            for alpha, beta, a, b, c in product((1.0, -2.0), (1.0, 0.3, 0.0), (0, 1), (0, 1), C_SHAPES)
        }
    )
    def attributes(self, alpha, beta, trans_a, trans_b, c):
        w, x = (W.T if trans_a else W).copy(), (X.T if trans_b else X).copy()
        shape = C_SHAPES[c]
        addend = np.float32(0) if shape is None else build.activations(*shape, seed=9)
        constants, inputs, feeds = {"w": w}, {"x": x.shape}, {"x": x}
        if c == "dynamic":
            inputs["c"], feeds["c"] = shape, addend
        elif shape is not None:
            constants["c"] = addend
        gemm = node(
            "Gemm",
            "w x" if shape is None else "w x c",
            "y",
            alpha=alpha,
            beta=beta,
            transA=trans_a,
            transB=trans_b,
        )
        outcome = self.quantize(build.model([gemm], inputs, {"y": (M, 5)}, constants))
        quantized = reference.quantize_matmul(np.ascontiguousarray(W.T), DEFAULT)
        found = outcome.match("y")
        self.assertEqual((found.form, len(found.perms)), ("dynamic", 1 if trans_b else 2))
        self.assert_stored(found, quantized, factor=alpha)
        term = alpha * reference.dynamic_matmul(X.T, quantized).T
        if c == "MxN" and beta != 0:  # a weight itself, folded
            addend = reference.quantize(addend, DEFAULT, (0,)).dequantize()
        bias = np.float32(beta) * addend
        for level, outputs in self.run_levels(outcome.path, feeds).items():
            size = np.abs(term) + np.abs(bias)
            self.assert_close(outputs[0], term + bias, 1e-5 * size, level)
        if trans_b:  # nothing between the quantization and the product
            self.assert_fused(outcome.path, single=1)
        else:
            self.assert_fused(outcome.path, shared=1, quantizers=1)

    def test_opset_9_is_folded(self):
        constants = {"w": W, "c": np.zeros(5, np.float32)}
        model = build.model([node("Gemm", "w x c", "y")], {"x": X.shape}, {"y": (M, 5)}, constants, 9)
        outcome = self.quantize(model)
        self.assertEqual(outcome.match("y").form, "fold")
        self.assert_folds_to(outcome, {"x": X}, {"w": reference.quantize(W, DEFAULT, (0,)).dequantize()})


def shrinks(w: np.ndarray, n_scales: int) -> bool:
    """Else scales, of which a product has one for each column, weigh more than integers save."""
    return w.size + 4 * n_scales < 4 * w.size


class Thin(LeftTest):
    """One row or one column, in integers because --force-integer says so."""

    @cases(
        {
            f"{m}x{k}_{n}{'_tensor' if tensor else ''}": (m, k, n, tensor)
            for m, k in ((1, 64), (64, 1), (1, 3), (40, 2))
            for n in (1, 6)
            for tensor in (False, True)
        }
    )
    def left(self, m, k, n, tensor):
        w, x = build.weights(m, k), build.activations(k, n)
        scheme = Scheme(per_channel=not tensor)
        if shrinks(w, m):
            outcome = self.quantize(matmul(w, x.shape), "--force-integer", *scheme.flags())
            self.check(outcome, x, w, scheme)

    @cases(
        {
            f"{k}x{n}_{m}{'_tensor' if tensor else ''}": (m, k, n, tensor)
            for k, n in ((64, 1), (1, 64), (3, 1), (2, 40))
            for m in (1, 6)
            for tensor in (False, True)
        }
    )
    def right(self, m, k, n, tensor):
        w, x = build.weights(k, n), build.activations(m, k)
        scheme = Scheme(per_channel=not tensor)
        if not shrinks(w, n):
            return
        outcome = self.quantize(build.matmul(x, w), "--force-integer", *scheme.flags())
        quantized = reference.quantize_matmul(w, scheme)
        self.assert_stored(outcome.match("y"), quantized)
        want = reference.dynamic_matmul(x, quantized)
        for level, outputs in self.run_levels(outcome.path, {"x": x}).items():
            self.assert_close(outputs[0], want, 1e-5 * np.abs(want), level)
        self.assert_fused(outcome.path, single=1)

    @cases({"left": ("w x",), "right": ("x w",)})
    def vectors_are_folded(self, names):
        w, x = build.weights(64), build.activations(64, 64)
        model = build.model([node("MatMul", names, "y")], {"x": x.shape}, {"y": (64,)}, {"w": w})
        outcome = self.quantize(model, "--force-integer")
        self.assertEqual(outcome.match("y").form, "fold")
        quantized = reference.quantize(w, Scheme(per_channel=False), ())
        self.assert_folds_to(outcome, {"x": x}, {"w": quantized.dequantize()})
