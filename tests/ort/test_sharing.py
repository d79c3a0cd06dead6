"""Activations and weights that several nodes use, and weights that something else needs in float."""

import numpy as np
import onnx

import build
import common
import reference
from build import node
from harness import OrtTest, cases
from patterns import op_counts
from reference import SCHEMES, Scheme

DEFAULT = Scheme()
M, K, N = 5, build.SQUARE, build.SQUARE
X = build.activations(M, K)
W = build.weights(K, N)


class SharingTest(OrtTest):
    def assert_products(self, outcome, feeds: dict, want: dict[str, tuple], scheme: Scheme = DEFAULT) -> None:
        """want: output -> (x, w[, bias]); the output is the dynamic product, to the last integer."""
        results = self.run_levels(outcome.path, feeds)
        names = [o.name for o in outcome.model.graph.output]
        for name, (x, w, *bias) in want.items():
            quantized = reference.quantize_matmul(w, scheme)
            self.assert_stored(outcome.match(name), quantized)
            product, bias = reference.dynamic_matmul(x, quantized), sum(bias)
            for level, outputs in results.items():
                self.assert_close(
                    outputs[names.index(name)], product + bias, 1e-5 * (np.abs(product) + np.abs(bias)), level
                )


class Activations(SharingTest):
    def qkv(self, opset: int = build.OPSET, same_values: bool = False) -> tuple[onnx.ModelProto, dict]:
        w = {name: build.weights(K, N, seed=0 if same_values else i) for i, name in enumerate("qkv")}
        nodes = [node("MatMul", f"x w{name}", name) for name in "qkv"]
        model = build.model(
            nodes,
            {"x": X.shape},
            {name: (M, N) for name in "qkv"},
            {f"w{name}": value for name, value in w.items()},
            opset,
        )
        return model, {name: (X, value) for name, value in w.items()}

    @cases({name: (scheme,) for name, scheme in SCHEMES.items()})
    def one_quantizer_for_three_products(self, scheme):
        model, want = self.qkv()
        outcome = self.quantize(model, *scheme.flags())
        self.assertEqual(op_counts(outcome.model)["DynamicQuantizeLinear"], 1)
        self.assert_products(outcome, {"x": X}, want, scheme)
        self.assert_fused(outcome.path, shared=3, quantizers=1)

    @cases({"per_channel": ([],), "per_tensor": (["--no-per-channel"],)})
    def equal_weights_are_one_product(self, flags):
        """They are stored once, and as all have one activation ONNX Runtime computes one product."""
        model, want = self.qkv(same_values=True)
        outcome = self.quantize(model, *flags)
        self.assert_products(outcome, {"x": X}, want, Scheme(per_channel=not flags))
        ops = self.optimized(outcome.path)
        integers = sum(t.data_type == onnx.TensorProto.INT8 for t in outcome.model.graph.initializer)
        self.assertEqual(integers, 1)
        self.assertEqual((ops["MatMulInteger"], ops["Cast"]), (1, 1), ops)

    def test_equal_scales_are_fused_too(self):
        """One scale, the same in all weights: as vectors, or ONNX Runtime merges the scale products."""
        w = {name: build.weights(K, N, seed=i) for i, name in enumerate("qkv")}
        for value in w.values():
            value[0, 0] = 20
        nodes = [node("MatMul", f"x w{name}", name) for name in "qkv"]
        model = build.model(
            nodes, {"x": X.shape}, {name: (M, N) for name in "qkv"}, {f"w{n}": v for n, v in w.items()}
        )
        outcome = self.quantize(model, "--no-per-channel")
        self.assert_products(outcome, {"x": X}, {n: (X, v) for n, v in w.items()}, Scheme(per_channel=False))
        self.assert_fused(outcome.path, shared=3, quantizers=1)

    def test_before_opset_11_each_product_quantizes(self):
        model, want = self.qkv(opset=10)
        outcome = self.quantize(model)
        self.assert_products(outcome, {"x": X}, want)
        self.assert_fused(outcome.path, single=3)

    def test_biases_are_fused(self):
        w = {name: build.weights(K, N, seed=i) for i, name in enumerate("qk")}
        bias = build.activations(N, seed=3)
        nodes = [
            node("MatMul", "x wq", "hq"),
            node("Add", "hq b", "q"),
            node("MatMul", "x wk", "hk"),
            node("Add", "b hk", "k"),
        ]
        model = build.model(
            nodes, {"x": X.shape}, {"q": (M, N), "k": (M, N)}, {"wq": w["q"], "wk": w["k"], "b": bias}
        )
        outcome = self.quantize(model)
        product = {
            name: reference.dynamic_matmul(X, reference.quantize_matmul(w[name], DEFAULT)) for name in "qk"
        }
        for level, outputs in self.run_levels(outcome.path, {"x": X}).items():
            for name, got in zip("qk", outputs, strict=True):
                self.assert_close(
                    got, product[name] + bias, 1e-5 * (np.abs(product[name]) + np.abs(bias)), level
                )
        self.assert_fused(outcome.path, shared=2, quantizers=1)
        self.assertEqual(self.optimized(outcome.path)["Add"], 0)

    def test_chain(self):
        """Each product has an activation of its own."""
        w = {f"w{i}": build.weights(K, K, seed=i) / np.float32(14) for i in range(3)}
        nodes = [
            node("MatMul", "x w0", "a"),
            node("Relu", "a", "ra"),
            node("MatMul", "ra w1", "b"),
            node("Relu", "b", "rb"),
            node("MatMul", "rb w2", "y"),
        ]
        outcome = self.quantize(build.model(nodes, {"x": X.shape}, {"y": (M, K)}, w))
        self.assert_fused(outcome.path, single=3)
        for value, name in zip("aby", w):
            self.assert_stored(outcome.match(value), reference.quantize_matmul(w[name], DEFAULT))
        self.assertLess(
            common.relative_error(common.run(outcome.original, {"x": X}), common.run(outcome.path, {"x": X})),
            3,
        )

    def test_activation_that_others_need_too(self):
        """The float activation is still there for them, and as an output."""
        nodes = [node("Relu", "x", "h"), node("MatMul", "h w", "y"), node("Neg", "h", "z")]
        outcome = self.quantize(
            build.model(nodes, {"x": X.shape}, {"y": (M, N), "z": (M, K), "h": (M, K)}, {"w": W})
        )
        h = np.maximum(X, 0)
        self.assert_products(outcome, {"x": X}, {"y": (h, W)})
        np.testing.assert_array_equal(common.run(outcome.path, {"x": X})[2], h)
        self.assert_fused(outcome.path, single=1)

    def test_one_activation_with_and_without_transposition(self):
        x, v = build.activations(K, K), build.weights(K, N, seed=5)
        nodes = [
            node("Gemm", "x w", "y"),
            node("Gemm", "x v", "z", transA=1),
            node("Gemm", "x v", "t", transA=1, transB=1),
        ]
        outcome = self.quantize(
            build.model(nodes, {"x": x.shape}, {n: (K, N) for n in "yzt"}, {"w": W, "v": v})
        )
        self.assert_products(outcome, {"x": x}, {"y": (x, W), "z": (x.T, v), "t": (x.T, v.T.copy())})


class Weights(SharingTest):
    def test_one_weight_two_products(self):
        x2 = build.activations(3, K, seed=11)
        nodes = [node("MatMul", "x w", "y"), node("MatMul", "x2 w", "z")]
        outcome = self.quantize(
            build.model(nodes, {"x": X.shape, "x2": x2.shape}, {"y": (M, N), "z": (3, N)}, {"w": W})
        )
        self.assert_products(outcome, {"x": X, "x2": x2}, {"y": (X, W), "z": (x2, W)})
        self.assert_fused(outcome.path, single=2)
        self.assertEqual(self.integers(outcome), 1)

    @cases({"square": (K,), "wide": (2 * K,)})
    def two_gemms_with_transposed_weight(self, n):
        """Transposing the shared weight in place, twice, would give wrong results."""
        w = build.weights(n, K)
        nodes = [node("Gemm", "x w", "y", transB=1), node("Gemm", "x2 w", "z", transB=1)]
        model = build.model(nodes, {"x": X.shape, "x2": X.shape}, {"y": (M, n), "z": (M, n)}, {"w": w})
        outcome = self.quantize(model)
        self.assert_products(outcome, {"x": X, "x2": -X}, {"y": (X, w.T.copy()), "z": (-X, w.T.copy())})
        self.assertEqual(self.integers(outcome), 1)

    def test_both_transpositions(self):
        nodes = [node("Gemm", "x w", "y", transB=1), node("Gemm", "x w", "z"), node("MatMul", "x2 w", "t")]
        outcome = self.quantize(
            build.model(nodes, {"x": X.shape, "x2": X.shape}, {n: (M, N) for n in "yzt"}, {"w": W})
        )
        self.assert_products(outcome, {"x": X, "x2": -X}, {"y": (X, W.T.copy()), "z": (X, W), "t": (-X, W)})
        self.assert_fused(outcome.path, single=1, shared=2, quantizers=1)
        self.assertEqual(self.integers(outcome), 2, "one copy for each transposition")

    def test_different_alpha(self):
        nodes = [node("Gemm", "x w", "y", alpha=0.5), node("Gemm", "x2 w", "z", alpha=-3.0)]
        outcome = self.quantize(
            build.model(nodes, {"x": X.shape, "x2": X.shape}, {"y": (M, N), "z": (M, N)}, {"w": W})
        )
        quantized = reference.quantize_matmul(W, DEFAULT)
        for name, alpha in (("y", 0.5), ("z", -3.0)):
            self.assert_stored(outcome.match(name), quantized, alpha)
        want = reference.dynamic_matmul(X, quantized)
        for level, (y, z) in self.run_levels(outcome.path, {"x": X, "x2": X}).items():
            self.assert_close(y, 0.5 * want, 1e-5 * np.abs(want), level)
            self.assert_close(z, -3 * want, 3e-5 * np.abs(want), level)
        self.assertEqual(self.integers(outcome), 1)

    @cases(
        {
            f"{op}_{kind}": (op, shape)
            for op in ("Gemm", "MatMul")
            for kind, shape in (("small", (300, K)), ("large", (4200, K)))
        }
    )
    def tied_embedding(self, op_type, shape):
        """A table whose rows are gathered and which is also a factor."""
        w, rows = build.weights(*shape), np.array([3, 0, 17], np.int64)
        gemm = op_type == "Gemm"
        product = node("Gemm", "x w", "y", transB=1) if gemm else node("MatMul", "x w", "y")
        x = X if gemm else build.activations(M, shape[0])
        model = build.model(
            [node("Gather", "w rows", "e"), product],
            {"x": x.shape, "rows": rows},
            {"e": (3, K), "y": (M, shape[0] if gemm else K)},
            {"w": w},
        )
        outcome = self.quantize(model)
        feeds = {"x": x, "rows": rows}
        self.assert_products(outcome, feeds, {"y": (x, w.T.copy() if gemm else w)})
        step = np.maximum(
            reference.quantize(w, DEFAULT, (0,)).scale, reference.quantize(w, DEFAULT, (1,)).scale
        )
        for level, outputs in self.run_levels(outcome.path, feeds).items():
            self.assert_close(outputs[0], w[rows], 0.51 * step[rows], level)

    def test_fold_is_not_worth_a_second_copy(self):
        """A small weight that something needs in float stays float for everyone."""
        w = build.weights(K, 12)
        nodes = [node("MatMul", "x w", "y"), node("MatMul", "x v", "z")]
        outcome = self.quantize(
            build.model(nodes, {"x": X.shape}, {"w": (K, 12), "y": (M, 12), "z": (M, N)}, {"w": w, "v": W})
        )
        self.assertEqual([outcome.match(name).form for name in "yz"], ["float", "dynamic"])
        self.assertTrue(all(use["reason"] for use in outcome.weight("w")["uses"]))

    def integers(self, outcome) -> int:
        return sum(t.data_type == onnx.TensorProto.INT8 for t in outcome.model.graph.initializer)

    @cases({"large": (N,), "small": (12,)})
    def weight_is_an_output_too(self, n):
        """What the graph returns is the float weight."""
        w = build.weights(K, n)
        nodes = [node("MatMul", "x w", "y"), node("MatMul", "x v", "z")]
        outcome = self.quantize(
            build.model(nodes, {"x": X.shape}, {"y": (M, n), "w": (K, n), "z": (M, N)}, {"w": w, "v": W})
        )
        for outputs in self.run_levels(outcome.path, {"x": X}).values():
            np.testing.assert_array_equal(outputs[1], w)
        uses = {use["op_type"]: use for use in outcome.weight("w")["uses"]}
        self.assertEqual(uses["graph output"]["action"], "keep")
        self.assert_products(outcome, {"x": X}, {"z": (X, W)})

    def test_dynamic_and_folded_use(self):
        """The same weight on the right of a large product and on the left of another."""
        x2 = build.activations(N, 7)
        nodes = [node("MatMul", "x w", "y"), node("MatMul", "w x2", "z")]
        outcome = self.quantize(
            build.model(nodes, {"x": X.shape, "x2": x2.shape}, {"y": (M, N), "z": (K, 7)}, {"w": W})
        )
        feeds = {"x": X, "x2": x2}
        self.assert_products(outcome, feeds, {"y": (X, W)})
        got, want = common.run(outcome.path, feeds)[1], W @ x2
        self.assert_close(got, want, 0.02 * np.abs(want).max())

    @cases({"large": (N, "dynamic"), "small": (12, "fold")})
    def constant_node(self, n, form):
        """A Constant node is a weight like any other, and is gone afterwards."""
        w = build.weights(K, n)
        constant = node("Constant", "", "w", value=onnx.numpy_helper.from_array(w))
        outcome = self.quantize(
            build.model([constant, node("MatMul", "x w", "y")], {"x": X.shape}, {"y": (M, n)})
        )
        found = outcome.match("y")
        self.assertEqual(found.form, form)
        self.assert_stored(found, reference.quantize_matmul(w, DEFAULT))
        self.assertLess(outcome.path.stat().st_size, 0.5 * outcome.source.stat().st_size)
        self.assertLess(common.relative_error([X @ w], common.run(outcome.path, {"x": X})), 2)

    def test_identity_in_between(self):
        """Whether the weight is seen through Identity or not, the result is right."""
        nodes = [node("Identity", "w", "i"), node("MatMul", "x i", "y"), node("MatMul", "x v", "z")]
        outcome = self.quantize(
            build.model(nodes, {"x": X.shape}, {"y": (M, N), "z": (M, N)}, {"w": W, "v": -W})
        )
        got = common.run(outcome.path, {"x": X})
        self.assertLess(common.relative_error([X @ W, X @ -W], got), 2)
