"""MatMul with a constant operand: ranks, schemes, opsets, sizes, constants on the left."""

import json

import numpy as np
import onnx
from onnx import TensorProto

import build
import reference
from build import node
from harness import OrtTest, Outcome, cases
from reference import SCHEMES, Scheme

K, N = build.K, build.N
DEFAULT = Scheme()
X = build.activations(5, K)
W = build.weights(K, N)


class MatMulTest(OrtTest):
    def check_dynamic(
        self, outcome: Outcome, x: np.ndarray, w: np.ndarray, scheme: Scheme = DEFAULT, form: str = "dynamic"
    ) -> None:
        """y = x @ w is computed in integers, with exactly the reference's weights, in one operator."""
        quantized = reference.quantize_matmul(w, scheme)
        found = outcome.match("y")
        self.assertEqual((found.form, found.x, found.bias), (form, "x", ""))
        self.assertEqual(found.scale.shape[-1:], w.shape[-1:] if quantized.scale.size > 1 else ())
        self.assert_stored(found, quantized)
        self.assertEqual(outcome.weight("w")["action"], "dynamic")
        want = reference.dynamic_matmul(x, quantized)
        for level, outputs in self.run_levels(outcome.path, {"x": x}).items():
            self.assert_close(outputs[0], want, 1e-5 * np.abs(want), level)
            self.assert_close(outputs[0], np.matmul(x, w), reference.matmul_error(x, w, quantized), level)
        self.assert_fused(outcome.path, single=1)

    def check_folded(self, outcome: Outcome, x: np.ndarray, w: np.ndarray, scheme: Scheme = DEFAULT) -> None:
        quantized = reference.fold_matmul(w, scheme.folded)
        found = outcome.match("y")
        self.assertEqual((found.form, found.x), ("fold", "x"))
        self.assert_stored(found, quantized)
        self.assertEqual(outcome.weight("w")["action"], "fold")
        self.assert_folds_to(outcome, {"x": x}, {"w": quantized.dequantize()})


class Ranks(MatMulTest):
    @cases(
        {
            "1": (K,),
            "2": (5, K),
            "2_one_row": (1, K),
            "3": (2, 5, K),
            "4": (2, 3, 5, K),
            "4_ones": (1, 1, 1, K),
        }
    )
    def activations(self, *shape):
        x = build.activations(*shape)
        self.check_dynamic(self.quantize(build.matmul(x, W)), x, W)

    @cases(
        {
            "2": ((5, K), (3, K, N)),
            "3": ((3, 5, K), (3, K, N)),
            "3_one": ((1, 5, K), (3, K, N)),
            "4": ((2, 3, 5, K), (3, K, N)),
            "4_weights": ((3, 5, K), (2, 3, K, N)),
            "one_matrix": ((3, 5, K), (1, K, N)),
        }
    )
    def batched_weights(self, x_shape, w_shape):
        x, w = build.activations(*x_shape), build.weights(*w_shape)
        outcome = self.quantize(build.matmul(x, w))
        self.check_dynamic(outcome, x, w)

    @cases({"1": (4096,), "2": (3, 4096), "3": (2, 3, 4096)})
    def vector_weights(self, *shape):
        x, w = build.activations(*shape), build.weights(4096)
        self.check_folded(self.quantize(build.matmul(x, w)), x, w)

    @cases({"batch": (["batch", K],), "all": (["a", "b"],), "rank_3": (["a", "b", K],)})
    def symbolic_shapes(self, shape):
        x = build.activations(*(3 for dim in shape[:-1]), K)
        model = build.model([node("MatMul", "x w", "y")], {"x": shape}, {"y": [*shape[:-1], N]}, {"w": W})
        self.check_dynamic(self.quantize(model), x, W)


class Schemes(MatMulTest):
    @cases({name: (scheme,) for name, scheme in SCHEMES.items()})
    def dynamic(self, scheme):
        self.check_dynamic(self.quantize(build.matmul(X, W), *scheme.flags()), X, W, scheme)

    @cases({name: (scheme,) for name, scheme in SCHEMES.items()})
    def contrib(self, scheme):
        self.check_dynamic(
            self.quantize(build.matmul(X, W, opset=9), *scheme.flags()), X, W, scheme, "contrib"
        )

    @cases({name: (scheme,) for name, scheme in SCHEMES.items()})
    def folded(self, scheme):
        w = build.weights(K, build.SMALL_N)
        self.check_folded(self.quantize(build.matmul(X, w), *scheme.flags()), X, w, scheme)

    @cases({name: (scheme,) for name, scheme in SCHEMES.items()})
    def batched(self, scheme):
        """One scale per batch and column has no form with a zero point: then the weight is folded."""
        x, w = build.activations(3, 5, K), build.weights(3, K, N)
        outcome = self.quantize(build.matmul(x, w), *scheme.flags())
        check = self.check_folded if outcome.match("y").form == "fold" else self.check_dynamic
        check(outcome, x, w, scheme)


class Opsets(MatMulTest):
    @cases(list(range(7, build.NEWEST + 1)))
    def dynamic(self, opset):
        self.check_dynamic(
            self.quantize(build.matmul(X, W, opset)), X, W, form="dynamic" if opset >= 11 else "contrib"
        )

    @cases(list(range(7, build.NEWEST + 1)))
    def folded(self, opset):
        w = build.weights(K, build.SMALL_N)
        self.check_folded(self.quantize(build.matmul(X, w, opset)), X, w)

    @cases(list(range(build.NEWEST + 1, onnx.defs.onnx_opset_version() + 1)))
    def newer_than_onnx_runtime(self, opset):
        """What is written is valid, though only the checker can tell."""
        found = self.quantize(build.matmul(X, W, opset)).match("y")
        self.assertEqual(found.form, "dynamic")
        self.assert_stored(found, reference.quantize_matmul(W, DEFAULT))

    @cases(list(range(3, 14)))
    def ir_versions(self, ir_version):
        opset = 8 if ir_version < 8 else build.OPSET
        form = "contrib" if opset < 11 else "dynamic"
        self.check_dynamic(self.quantize(build.matmul(X, W, opset, ir_version=ir_version)), X, W, form=form)

    def test_older_than_7_is_left_alone(self):
        """Mul has no numpy broadcasting there, and the file is not upgraded."""
        onnx.save(build.matmul(X, W, opset=6), self.dir / "old.onnx")
        self.onnxq("quantize", self.dir / "old.onnx", self.dir / "out.onnx", status=5)
        self.assertFalse((self.dir / "out.onnx").exists())


MIN_NELEM, MIN_K, MAX_K = build.MIN_DYNAMIC_NELEM, build.MIN_DYNAMIC_K, build.MAX_DYNAMIC_K


def sizes(*pairs: tuple[int, int]) -> dict[str, tuple]:
    return {f"{k}x{n}": (k, n) for k, n in pairs}


class Sizes(MatMulTest):
    """Large products run in integers; small ones would not be faster so."""

    @cases(
        sizes(
            (256, 256),
            (8192, 8),
            (33000, 2),
            (521, 131),
            (4097, 33),
            (333, 257),
            (MAX_K, 16),
            (MIN_K, MIN_NELEM // MIN_K),
        )
    )
    def dynamic(self, k, n):
        x, w = build.activations(3, k), build.weights(k, n)
        self.check_dynamic(self.quantize(build.matmul(x, w)), x, w)

    @cases(sizes((256, 255), (MIN_K - 1, 1000), (64, 64), (2, 1), (2, 8), (MAX_K + 1, 2)))
    def folded(self, k, n):
        x, w = build.activations(3, k), build.weights(k, n)
        outcome = self.quantize(build.matmul(x, w))
        self.check_folded(outcome, x, w)
        self.assertTrue(outcome.weight("w")["uses"][0]["reason"])

    @cases(sizes((1, 1), (1, 8), (1, 40000)))
    def kept_where_scales_weigh_more(self, k, n):
        x, w = build.activations(3, k), build.weights(k, n)
        onnx.save(build.matmul(x, w), self.dir / "model.onnx")
        done = self.onnxq(
            "quantize", self.dir / "model.onnx", self.dir / "out.onnx", "--min-elements=1", "--json", status=5
        )
        (weight,) = json.loads(done.stdout)["weights"]
        self.assertEqual((weight["action"], weight["uses"][0]["action"]), ("keep", "keep"))
        self.assertTrue(weight["uses"][0]["reason"])

    @cases({f"{kind}_{n}": (n, kind) for n in (1, 40000) for kind in SCHEMES if "tensor" in kind})
    def one_row_per_tensor(self, n, kind):
        """[1, N] with one scale."""
        x, w, scheme = build.activations(3, 1), build.weights(1, n), SCHEMES[kind]
        other = build.weights(K, N)
        model = build.model(
            [node("MatMul", "x w", "y"), node("MatMul", "x2 other", "z")],
            {"x": x.shape, "x2": X.shape},
            {"y": (3, n), "z": (5, N)},
            {"w": w, "other": other},
        )
        outcome = self.quantize(model, *scheme.flags())
        feeds = {"x": x, "x2": X}
        found = outcome.match("y")
        folds = found.form != "dynamic"
        stored = reference.fold_matmul(w, scheme.folded) if folds else reference.quantize_matmul(w, scheme)
        want = x @ w
        if found.form != "float":
            self.assert_stored(found, stored)
            want = reference.dynamic_matmul(x, stored) if found.form == "dynamic" else x @ stored.dequantize()
        for outputs in self.run_levels(outcome.path, feeds).values():
            self.assert_close(outputs[0], want, 1e-5 * np.abs(want))

    @cases({"default": (1023, None), "at_the_limit": (1024, None), "given": (99, 100)})
    def smallest(self, nelem, limit):
        x, w, other = build.activations(3, nelem), build.weights(nelem, 1), build.weights(nelem, 20, seed=5)
        model = build.model(
            [node("MatMul", "x w", "y"), node("MatMul", "x other", "z")],
            {"x": x.shape},
            {"y": (3, 1), "z": (3, 20)},
            {"w": w, "other": other},
        )
        outcome = self.quantize(model, min_elements=limit or 1024)
        kept = nelem < (limit or 1024)
        self.assertEqual([outcome.match(name).form for name in "yz"], ["float" if kept else "fold", "fold"])
        self.assertEqual(outcome.weight("w")["action"], "keep" if kept else "fold")
        self.assertTrue(outcome.weight("w")["uses"][0]["reason"])


class LeftConstant(MatMulTest):
    """w @ x where w is folded: small or not a matrix (test_left.py has the others)."""

    @cases(
        {
            "2": ((K, N), (N, 5), 21),
            "3": ((K, N), (2, N, 5), 21),
            "opset_9": ((K, N), (N, 5), 9),
            "batches": ((3, 64, N), (3, N, 5), 21),
            "vector": ((4096,), (4096, 5), 21),
        }
    )
    def folded(self, w_shape, x_shape, opset):
        w, x = build.weights(*w_shape), build.activations(*x_shape)
        model = build.model(
            [node("MatMul", "w x", "y")], {"x": x.shape}, {"y": np.matmul(w, x).shape}, {"w": w}, opset
        )
        outcome = self.quantize(model)
        found = outcome.match("y")
        quantized = reference.quantize(w, DEFAULT, tuple(range(w.ndim - 1)))
        self.assertEqual(found.form, "fold")
        self.assert_stored(found, quantized)
        self.assert_folds_to(outcome, {"x": x}, {"w": quantized.dequantize()})

    def test_unknown_rank(self):
        x = build.activations(N, 5)
        nodes = [node("Reshape", "x to", "h"), node("MatMul", "w h", "p"), node("Reshape", "p flat", "y")]
        model = build.model(
            nodes, {"x": x.shape, "to": ["rank"]}, {"y": [K * 5]}, {"w": W, "flat": np.array([-1])}
        )
        model.graph.input[1].type.tensor_type.elem_type = TensorProto.INT64
        outcome = self.quantize(model)
        self.assertEqual(outcome.match("p").form, "fold")
        self.assert_folds_to(
            outcome,
            {"x": x, "to": np.array([N, 5])},
            {"w": reference.quantize(W, DEFAULT, (0,)).dequantize()},
        )

    def test_both_constant(self):
        """Nothing to gain: ONNX Runtime computes the product once, at load."""
        other = build.weights(N, 300)
        model = build.model(
            [node("MatMul", "w other", "p"), node("Add", "x p", "y")],
            {"x": (K, 300)},
            {"y": (K, 300)},
            {"w": W, "other": other},
        )
        outcome = self.quantize(model)
        self.assertEqual([outcome.weight(name)["action"] for name in ("w", "other")], ["fold", "fold"])
        self.assert_folds_to(
            outcome,
            {"x": build.activations(K, 300)},
            {
                "w": reference.quantize(W, DEFAULT, (0,)).dequantize(),
                "other": reference.fold_matmul(other, DEFAULT).dequantize(),
            },
        )


class Values(MatMulTest):
    """Weights that are all zero, huge, tiny, or not numbers."""

    def column_weights(self, column: np.ndarray | float) -> np.ndarray:
        w = build.weights(K, N)
        w[:, 3] = column
        return w

    @cases(
        {
            "zero": (0.0,),
            "negative_zero": (-0.0,),
            "subnormal": (1e-40,),
            "smallest_normal": (1.17549435e-38,),
            "tiny": (1e-30,),
            "just_below_scale_one": (1.4e-36,),
            "just_above_scale_one": (1.5e-36,),
        }
    )
    def special_column(self, value):
        w = self.column_weights(np.float32(value))
        w[::3, 3] *= np.float32(-0.5)
        for scheme in (DEFAULT, Scheme("uint8", True, False)):
            self.check_dynamic(self.quantize(build.matmul(X, w), *scheme.flags()), X, w, scheme)

    def test_huge_column(self):
        w = self.column_weights(np.linspace(-1e34, 1e34, K, dtype=np.float32))
        self.check_dynamic(self.quantize(build.matmul(X, w)), X, w)

    @cases({name: (name, scheme) for name, scheme in SCHEMES.items() if not scheme.reduce_range})
    def all_zero(self, name, scheme):
        w = np.zeros((K, N), np.float32)
        self.check_dynamic(self.quantize(build.matmul(X, w), *scheme.flags()), X, w, scheme)

    @cases({name: (name, scheme) for name, scheme in SCHEMES.items() if not scheme.symmetric})
    def one_sign(self, name, scheme):
        for w in (np.abs(W), -np.abs(W)):
            self.check_dynamic(self.quantize(build.matmul(X, w), *scheme.flags()), X, w, scheme)

    def test_ties(self):
        """Halves of a step, exactly: they go to the even neighbour."""
        w = build.rng(4).integers(-254, 255, (K, N)).astype(np.float32) / 2
        w[0] = 127
        self.check_dynamic(self.quantize(build.matmul(X, w)), X, w)

    @cases(["nan", "inf", "-inf"])
    def not_a_number(self, value):
        """Such a weight stays as it is, and the report says why."""
        w, other = W.copy(), build.weights(K, N, seed=4)
        w[17, 5] = float(value)
        model = build.model(
            [node("MatMul", "x w", "y"), node("MatMul", "x other", "z")],
            {"x": X.shape},
            {"y": (5, N), "z": (5, N)},
            {"w": w, "other": other},
        )
        outcome = self.quantize(model)
        self.assertEqual([outcome.match(name).form for name in "yz"], ["float", "dynamic"])
        np.testing.assert_array_equal(outcome.view().constant("w"), w)
        weight = outcome.weight("w")
        self.assertEqual(weight["action"], "keep")
        self.assertRegex(weight["uses"][0]["reason"].lower(), "nan|infinit|not finite|inf")

    @cases({"k": (0, 16), "n": (128, 0)})
    def no_elements(self, k, n):
        """A product over nothing has no integer form that ONNX Runtime computes rightly."""
        x, other = build.activations(3, k), build.weights(K, N)
        nodes = [node("MatMul", "x w", "y"), node("MatMul", "x2 other", "z")]
        model = build.model(
            nodes,
            {"x": (3, k), "x2": X.shape},
            {"y": (3, n), "z": (5, N)},
            {"w": np.zeros((k, n), np.float32), "other": other},
        )
        outcome = self.quantize(model, min_elements=0)
        self.assertEqual([outcome.match(name).form for name in "yz"], ["float", "dynamic"])
        self.assertEqual(outcome.weight("w")["action"], "keep")
        np.testing.assert_array_equal(
            self.run_levels(outcome.path, {"x": x, "x2": X})["all"][0], np.zeros((3, n))
        )

    def test_activations_at_the_edge(self):
        outcome = self.quantize(
            build.model([node("MatMul", "x w", "y")], {"x": ["rows", K]}, {"y": ["rows", N]}, {"w": W})
        )
        for x in (X[:0], X * 0, np.abs(X), -np.abs(X), X * 1e-30):
            for outputs in self.run_levels(outcome.path, {"x": x}).values():
                self.assertEqual(outputs[0].shape, (len(x), N))
                self.assertTrue(np.isfinite(outputs[0]).all())
