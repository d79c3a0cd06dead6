"""Gemm: every combination of alpha, beta, transA, transB and form of C; schemes and opsets."""

from itertools import product

import numpy as np

import build
import reference
from build import node
from harness import OrtTest, Outcome, cases
from reference import SCHEMES, Scheme

M, K, N = 5, build.K, build.N
X = build.activations(M, K)
W = build.weights(K, N)
DEFAULT = Scheme()

C_SHAPES = {
    "absent": None,
    "scalar": (),
    "1": (1,),
    "1x1": (1, 1),
    "N": (N,),
    "1xN": (1, N),
    "Mx1": (M, 1),
    "MxN": (M, N),
    "dynamic_N": (N,),
    "dynamic_MxN": (M, N),
}
ROWS = ("scalar", "1", "1x1", "N", "1xN")  # what ONNX Runtime fuses into the product as its bias

COMBINATIONS = {
    f"alpha_{alpha}_beta_{beta}_A{int(trans_a)}B{int(trans_b)}_C_{c}": (alpha, beta, trans_a, trans_b, c)
    for alpha, beta, trans_a, trans_b, c in product(
        (1.0, 0.5, -2.0, 0.0), (1.0, 0.3, 0.0), (0, 1), (0, 1), C_SHAPES
    )
}


class GemmTest(OrtTest):
    def make(
        self,
        alpha: float,
        beta: float,
        trans_a: int,
        trans_b: int,
        c: str,
        w: np.ndarray = W,
        opset: int = 21,
    ):
        """The model, its feeds and C (0 where it is absent)."""
        x, w = (X.T if trans_a else X).copy(), (w.T if trans_b else w).copy()
        shape = C_SHAPES[c]
        if shape and shape[-1] == N:
            shape = (*shape[:-1], w.shape[0 if trans_b else 1])
        addend = np.float32(0) if shape is None else build.activations(*shape, seed=9) * np.float32(5)
        inputs, constants, feeds = {"x": x.shape}, {"w": w}, {"x": x}
        if c.startswith("dynamic"):
            inputs["c"], feeds["c"] = shape, addend
        elif shape is not None:
            constants["c"] = addend
        gemm = node(
            "Gemm",
            "x w" if shape is None else "x w c",
            "y",
            alpha=alpha,
            beta=beta,
            transA=trans_a,
            transB=trans_b,
        )
        y = (M, w.shape[0 if trans_b else 1])
        return build.model([gemm], inputs, {"y": y}, constants, opset), feeds, addend

    def check(
        self,
        outcome: Outcome,
        feeds: dict,
        addend: np.ndarray,
        alpha: float,
        beta: float,
        scheme: Scheme = DEFAULT,
        form: str = "dynamic",
        fused_bias: bool = True,
    ) -> None:
        quantized = reference.quantize_matmul(W, scheme)
        found = outcome.match("y")
        self.assertEqual(found.form, form)
        self.assertEqual(found.scale.shape, (N,) if quantized.scale.size > 1 else ())
        self.assert_stored(found, quantized, factor=alpha)
        self.assertEqual(outcome.weight("w")["action"], "dynamic")
        bias = np.float32(beta) * addend
        term = alpha * reference.dynamic_matmul(X, quantized)
        plain = alpha * (X @ W)
        for level, outputs in self.run_levels(outcome.path, feeds).items():
            self.assert_close(outputs[0], term + bias, 1e-5 * (np.abs(term) + np.abs(bias)), level)
            allowed = abs(alpha) * reference.matmul_error(X, W, quantized) + 1e-5 * (
                np.abs(plain) + np.abs(bias)
            )
            self.assert_close(outputs[0], plain + bias, allowed, level)
        self.assert_fused(outcome.path, single=1)
        self.assertEqual(self.optimized(outcome.path)["Add"], 0 if fused_bias else 1)


class Attributes(GemmTest):
    @cases(COMBINATIONS)
    def opset_21(self, alpha, beta, trans_a, trans_b, c):
        outcome = self.check_one(alpha, beta, trans_a, trans_b, c, 21, "dynamic")
        self.assertEqual(bool(outcome.match("y").bias), c != "absent" and beta != 0)

    @cases(
        {
            name: values
            for name, values in COMBINATIONS.items()
            if values[0] in (1.0, -2.0) and values[4] != "absent"
        }
    )
    def opset_9(self, alpha, beta, trans_a, trans_b, c):
        """C may be left out from opset 11 on."""
        self.check_one(alpha, beta, trans_a, trans_b, c, 9, "contrib")

    def check_one(self, alpha, beta, trans_a, trans_b, c, opset, form) -> Outcome:
        model, feeds, addend = self.make(alpha, beta, trans_a, trans_b, c, opset=opset)
        outcome = self.quantize(model)
        if c == "MxN" and beta != 0:  # a weight itself, folded
            addend = reference.quantize(addend, DEFAULT, (0,)).dequantize()
        fused_bias = c == "absent" or beta == 0 or c in ROWS
        self.check(outcome, feeds, addend, alpha, beta, form=form, fused_bias=fused_bias)
        return outcome


class Kinds(GemmTest):
    @cases({name: (scheme,) for name, scheme in SCHEMES.items()})
    def schemes(self, scheme):
        for trans_b in (0, 1):
            model, feeds, addend = self.make(-0.7, 0.3, 0, trans_b, "N")
            self.check(self.quantize(model, *scheme.flags()), feeds, addend, np.float32(-0.7), 0.3, scheme)

    @cases(list(range(7, build.NEWEST + 1)))
    def opsets(self, opset):
        for trans_b in (0, 1):
            model, feeds, addend = self.make(0.5, 0.3, 1, trans_b, "1xN", opset=opset)
            self.check(
                self.quantize(model), feeds, addend, 0.5, 0.3, form="dynamic" if opset >= 11 else "contrib"
            )

    @cases(
        {f"{name}_B{trans_b}": (scheme, trans_b) for name, scheme in SCHEMES.items() for trans_b in (0, 1)}
    )
    def small_is_folded(self, scheme, trans_b):
        """alpha, beta, C and the transposition stay what they are."""
        w = build.weights(K, build.SMALL_N)
        model, feeds, addend = self.make(0.5, 0.3, 1, trans_b, "N", w=w)
        outcome = self.quantize(model, *scheme.flags())
        quantized = reference.fold_matmul(w, scheme.folded, bool(trans_b))
        found = outcome.match("y")
        self.assertEqual(found.form, "fold")
        if trans_b:
            found.q, found.scale = found.q.T, found.scale.T
            found.zero_point = None if found.zero_point is None else found.zero_point.T
        self.assert_stored(found, quantized)
        stored = quantized.dequantize()
        self.assert_folds_to(outcome, feeds, {"w": stored.T.copy() if trans_b else stored})

    @cases({"A0": (0,), "A1": (1,)})
    def left_constant_is_folded(self, trans_a):
        """y = w' @ x + c"""
        w = W.copy()
        m, k = w.shape[::-1] if trans_a else w.shape
        x = build.activations(k, 7)
        model = build.model(
            [node("Gemm", "w x c", "y", transA=trans_a)],
            {"x": x.shape},
            {"y": (m, 7)},
            {"w": w, "c": build.activations(7, seed=3)},
        )
        outcome = self.quantize(model)
        quantized = reference.quantize(w, DEFAULT, (1 if trans_a else 0,))
        found = outcome.match("y")
        self.assertEqual(found.form, "fold")
        self.assert_stored(found, quantized)
        self.assert_folds_to(outcome, {"x": x}, {"w": quantized.dequantize()})

    def test_c_that_others_use(self):
        """A C that changes is a copy: the other node keeps what it had."""
        c = build.activations(N, seed=3)
        nodes = [
            node("Gemm", "x w c", "y", beta=0.3),
            node("Gemm", "x v c", "z", beta=2.0),
            node("Add", "x2 c", "t"),
        ]
        v = build.weights(K, N, seed=8)
        model = build.model(
            nodes, {"x": X.shape, "x2": (N,)}, {"y": (M, N), "z": (M, N), "t": (N,)}, {"w": W, "v": v, "c": c}
        )
        x2 = build.activations(N, seed=4)
        outcome = self.quantize(model)
        for level, (y, z, t) in self.run_levels(outcome.path, {"x": X, "x2": x2}).items():
            for got, weight, beta in ((y, W, np.float32(0.3)), (z, v, np.float32(2))):
                term = reference.dynamic_matmul(X, reference.quantize_matmul(weight, DEFAULT))
                self.assert_close(got, term + beta * c, 1e-5 * (np.abs(term) + np.abs(beta * c)), level)
            np.testing.assert_array_equal(t, x2 + c)
        self.assert_fused(outcome.path, shared=2, quantizers=1)

    @cases({f"{n}_{c}": (n, c) for n in (1, 8, 9) for c in ("scalar", "1", "1x1", "N", "Mx1")})
    def shapes_of_c_with_few_columns(self, n, c):
        """[1], [N] and [M, 1] may mean the same or not."""
        k = 16640  # one column of fewer would get 16 bits
        w = build.weights(k, n)
        x = build.activations(M, k)
        shape = {"scalar": (), "1": (1,), "1x1": (1, 1), "N": (n,), "Mx1": (M, 1)}[c]
        addend = build.activations(*shape, seed=3)
        model = build.model(
            [node("Gemm", "x w c", "y", beta=0.5)], {"x": x.shape}, {"y": (M, n)}, {"w": w, "c": addend}
        )
        outcome = self.quantize(model)
        quantized = reference.quantize_matmul(w, DEFAULT)
        dynamic = outcome.match("y").form == "dynamic"
        self.assertEqual(dynamic, n >= 8)
        term = reference.dynamic_matmul(x, quantized) if dynamic else x @ quantized.dequantize()
        for level, outputs in self.run_levels(outcome.path, {"x": x}).items():
            size = np.abs(x) @ np.abs(w) + np.abs(addend)
            self.assert_close(outputs[0], term + np.float32(0.5) * addend, 1e-5 * size, level)

    def test_empty_c(self):
        model = build.model([node("Gemm", "x w -", "y", transB=0)], {"x": X.shape}, {"y": (M, N)}, {"w": W})
        self.check(self.quantize(model), {"x": X}, np.float32(0), 1.0, 1.0)

    def test_c_is_an_outer_activation(self):
        """C computed by the graph, of shape [N], with beta."""
        model = build.model(
            [node("Relu", "c0", "c"), node("Gemm", "x w c", "y", beta=0.3)],
            {"x": X.shape, "c0": (N,)},
            {"y": (M, N)},
            {"w": W},
        )
        c = build.activations(N, seed=3)
        self.check(self.quantize(model), {"x": X, "c0": c}, np.maximum(c, 0), 1.0, 0.3, fused_bias=False)
