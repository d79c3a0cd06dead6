"""Weights that lie behind nodes which only move constants around, as exporters write them."""

import numpy as np
import onnx
from onnx import numpy_helper

import build
import common
import reference
from build import node
from harness import OrtTest, Outcome, cases
from patterns import op_counts
from reference import Scheme

DEFAULT = Scheme()
M, K, N = 5, build.K, build.N
X = build.activations(M, K)
W = build.weights(K, N)
AXES = {"zero": np.array([0]), "one": np.array([1])}
HALF = K // 2

# name -> (what makes w of constants, the constants)
CHAINS = {
    "identity": ([node("Identity", "v", "w")], {"v": W}),
    "transpose": ([node("Transpose", "v", "w", perm=[1, 0])], {"v": W.T.copy()}),
    "transpose_default": ([node("Transpose", "v", "w")], {"v": W.T.copy()}),
    "transpose_twice": ([node("Transpose", "v", "t"), node("Transpose", "t", "w")], {"v": W}),
    "reshape": ([node("Reshape", "v shape", "w")], {"v": W.reshape(-1), "shape": np.array([K, N])}),
    "reshape_unknown": (
        [node("Reshape", "v shape", "w")],
        {"v": W.reshape(2, -1), "shape": np.array([-1, N])},
    ),
    "flatten": ([node("Flatten", "v", "w", axis=1)], {"v": W.reshape(K, 12, -1)}),
    "squeeze": ([node("Squeeze", "v zero", "w")], {"v": W[None], "zero": AXES["zero"]}),
    "unsqueeze_and_squeeze": (
        [node("Unsqueeze", "v zero", "u"), node("Squeeze", "u zero", "w")],
        {"v": W, "zero": AXES["zero"]},
    ),
    "slice_rows": (
        [node("Slice", "v from to zero", "w")],
        {
            "v": np.concatenate([W[:7], W, W[:3]]),
            "from": np.array([7]),
            "to": np.array([7 + K]),
            "zero": AXES["zero"],
        },
    ),
    "slice_columns": (
        [node("Slice", "v from to one", "w")],
        {"v": np.concatenate([W, W], 1), "from": np.array([5]), "to": np.array([5 + N]), "one": AXES["one"]},
    ),
    "slice_negative": (
        [node("Slice", "v from to zero", "w")],
        {"v": np.concatenate([W, W]), "from": np.array([-K]), "to": np.array([2**62]), "zero": AXES["zero"]},
    ),
    "slice_steps": (
        [node("Slice", "v from to zero two", "w")],
        {
            "v": np.repeat(W, 2, 0),
            "from": np.array([0]),
            "to": np.array([2 * K]),
            "zero": AXES["zero"],
            "two": np.array([2]),
        },
    ),
    "slice_backwards": (
        [node("Slice", "v from to zero minus", "w")],
        {
            "v": W[::-1].copy(),
            "from": np.array([-1]),
            "to": np.array([-(2**62)]),
            "zero": AXES["zero"],
            "minus": np.array([-1]),
        },
    ),
    "concat_rows": ([node("Concat", "a b", "w", axis=0)], {"a": W[:HALF], "b": W[HALF:]}),
    "concat_columns": ([node("Concat", "a b", "w", axis=-1)], {"a": W[:, :5], "b": W[:, 5:]}),
    "concat_of_slices": (
        [node("Slice", "v from to zero", "s"), node("Concat", "b s", "w", axis=0)],
        {"v": W, "b": W[:HALF], "from": np.array([HALF]), "to": np.array([K]), "zero": AXES["zero"]},
    ),
    "concat_of_columns": (
        [node("Slice", "v from to one", "s"), node("Concat", "s b a", "w", axis=1)],
        {"v": np.concatenate([W, W], 1), "from": np.array([N]), "to": np.array([N + 9]), "one": AXES["one"]}
        | {"a": W[:, 30:], "b": W[:, 9:30]},
    ),
    "gather_a_layer": ([node("Gather", "v i", "w", axis=0)], {"v": np.stack([W[::-1], W]), "i": np.array(1)}),
    "gather_from_the_end": (
        [node("Gather", "v i", "u", axis=1), node("Squeeze", "u one", "w")],
        {"v": np.stack([W, W[::-1]], 1), "i": np.array([-2]), "one": AXES["one"]},
    ),
    "gather_two": ([node("Gather", "v i", "w", axis=0)], {"v": W[::-1].copy(), "i": np.arange(K)[::-1].copy()}),
    "transpose_heads": (
        [node("Transpose", "v", "t", perm=[1, 0, 2]), node("Reshape", "t shape", "w")],
        {"v": W.reshape(K, 4, -1).transpose(1, 0, 2).copy(), "shape": np.array([K, N])},
    ),
    "transpose_four": (
        [node("Transpose", "v", "t", perm=[2, 0, 1, 3]), node("Flatten", "t", "w", axis=1)],
        {"v": W.reshape(K, 2, 2, -1).transpose(1, 2, 0, 3).copy()},
    ),
    "transpose_with_tails": (
        [node("Transpose", "v", "t", perm=[1, 0, 2, 3]), node("Flatten", "t", "w", axis=2)],
        {"v": W.reshape(2, HALF, 4, -1).transpose(1, 0, 2, 3).copy()},
    ),
    "cast": ([node("Cast", "v", "w", to=build.FLOAT)], {"v": W.astype(np.float64)}),
    "cast_from_half": ([node("Cast", "v", "w", to=build.FLOAT)], {"v": W.astype(np.float16)}),
    "constant_nodes": (
        [node("Constant", "", "v", value=numpy_helper.from_array(W.T.copy())), node("Transpose", "v", "w")],
        {},
    ),
}
# Backward, with gaps, or several rows by index: made at load, of what is folded.
FOLDED = {"slice_steps", "slice_backwards", "gather_two"}


def evaluate(nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray]) -> np.ndarray:
    graph = build.graph(nodes, {}, {"w": [None] * 2}, constants)
    return common.run(build.model(graph), {}, "disabled")[0]


class Chains(OrtTest):
    def check(self, outcome: Outcome, w: np.ndarray) -> None:
        """The product is dynamic with the integers of w, or w is folded."""
        found, results = outcome.match("y"), self.run_levels(outcome.path, {"x": X})
        if found.form != "dynamic":
            for level, outputs in results.items():
                self.assertLess(common.relative_error([X @ w], outputs), 2, level)
            return
        quantized = reference.quantize_matmul(w, DEFAULT)
        self.assert_stored(found, quantized)
        product = reference.dynamic_matmul(X, quantized)
        for level, outputs in results.items():
            self.assert_close(outputs[0], product, 1e-5 * np.abs(product), level)
        self.assert_fused(outcome.path, single=1)

    @cases({name: (*chain, name not in FOLDED) for name, chain in CHAINS.items()})
    def matmul(self, nodes, constants, is_dynamic):
        w = evaluate(nodes, constants)
        model = build.model([*nodes, node("MatMul", "x w", "y")], {"x": X.shape}, {"y": (M, N)}, constants)
        outcome = self.quantize(model)
        self.check(outcome, w)
        self.assertEqual(outcome.match("y").form == "dynamic", is_dynamic)
        self.assertLess(outcome.path.stat().st_size, 0.7 * outcome.source.stat().st_size, "the file shrinks")

    @cases(
        {
            f"{name}_B{trans_b}": (*chain, trans_b)
            for name, chain in CHAINS.items()
            for trans_b in (0, 1)
            if name in ("identity", "transpose", "reshape", "concat_rows", "slice_rows", "constant_nodes")
        }
    )
    def gemm(self, nodes, constants, trans_b):
        w = evaluate(nodes, constants)
        x = build.activations(M, w.shape[1] if trans_b else K)
        n = K if trans_b else N
        model = build.model(
            [*nodes, node("Gemm", "x w", "y", transB=trans_b)], {"x": x.shape}, {"y": (M, n)}, constants
        )
        outcome = self.quantize(model)
        w = w.T.copy() if trans_b else w
        quantized = reference.quantize_matmul(w, DEFAULT)
        self.assert_stored(outcome.match("y"), quantized)
        want = reference.dynamic_matmul(x, quantized)
        self.assert_close(common.run(outcome.path, {"x": x})[0], want, 1e-5 * np.abs(want))

    @cases({"rows": (0,), "columns": (1,)})
    def parts_of_one_tensor(self, axis):
        """Query, key and value in one tensor, cut up by the graph: the tensor is stored once."""
        size = build.SQUARE
        v = build.weights(*((3 * size, size) if axis == 0 else (size, 3 * size)))
        x = build.activations(M, size)
        constants = {"v": v, "axis": np.array([axis])}
        nodes = []
        for i, name in enumerate("qkt"):
            constants |= {f"from{i}": np.array([i * size]), f"to{i}": np.array([(i + 1) * size])}
            nodes += [node("Slice", f"v from{i} to{i} axis", f"w{name}"), node("MatMul", f"x w{name}", name)]
        outcome = self.quantize(
            build.model(nodes, {"x": x.shape}, {name: (M, size) for name in "qkt"}, constants)
        )
        parts = np.split(v, 3, axis)
        outputs = common.run(outcome.path, {"x": x})
        self.assertLess(common.relative_error([x @ part for part in parts], outputs), 2)
        self.assertLess(outcome.path.stat().st_size, 1.5 * v.size)

    def test_tied_through_transpose(self):
        """The table of an embedding is the last layer's weight, transposed: stored once, fused."""
        table, ids = build.weights(4200, build.SQUARE), np.array([[5, 0, 4199]])
        nodes = [
            node("Gather", "table ids", "e"),
            node("Transpose", "table", "w"),
            node("MatMul", "x w", "y"),
        ]
        x = build.activations(M, build.SQUARE)
        outcome = self.quantize(
            build.model(
                nodes,
                {"x": x.shape, "ids": ids},
                {"e": (1, 3, build.SQUARE), "y": (M, 4200)},
                {"table": table},
            )
        )
        quantized = reference.quantize(table, DEFAULT, (0,))
        e, y = common.run(outcome.path, {"x": x, "ids": ids})
        np.testing.assert_array_equal(e, quantized.dequantize()[ids])
        want = reference.dynamic_matmul(
            x, reference.Quantized(quantized.q.T, quantized.scale.T, quantized.zero_point)
        )
        self.assert_close(y, want, 1e-5 * np.abs(want))
        self.assertLess(outcome.path.stat().st_size, 1.05 * table.size)
        self.assertEqual(self.optimized(outcome.path)["com.microsoft.DynamicQuantizeMatMul"], 1)

    def test_chain_that_others_need_too(self):
        """The float value is still there for them."""
        nodes = [
            node("Transpose", "v", "w"),
            node("MatMul", "x w", "y"),
            node("ReduceMax", "w", "m", keepdims=0),
        ]
        outcome = self.quantize(build.model(nodes, {"x": X.shape}, {"y": (M, N), "m": ()}, {"v": W.T.copy()}))
        y, m = common.run(outcome.path, {"x": X})
        self.assertLess(common.relative_error([X @ W], [y]), 2)
        self.assertLess(abs(m - W.max()), 0.01 * W.max())

    def test_chain_is_an_output(self):
        """What is returned stays as it is, and is not stored as integers as well."""
        nodes = [node("Transpose", "v", "w"), node("MatMul", "x w", "y"), node("MatMul", "x u", "z")]
        outcome = self.quantize(
            build.model(
                nodes, {"x": X.shape}, {"y": (M, N), "w": (K, N), "z": (M, N)}, {"v": W.T.copy(), "u": -W}
            )
        )
        y, w, z = common.run(outcome.path, {"x": X})
        np.testing.assert_array_equal(w, W)
        self.assertLess(common.relative_error([X @ W], [y]), 1e-3)
        self.assertLess(common.relative_error([X @ -W], [z]), 2)

    def test_more_dimensions_than_are_followed(self) -> None:
        """A chain on such a weight is not looked through; the weight is folded where it starts."""
        w = W.reshape((1,) * 38 + W.shape)
        nodes = [node("Squeeze", "v axes", "w"), node("MatMul", "x w", "y")]
        constants = {"v": w, "axes": np.array([0])}
        outcome = self.quantize(build.model(nodes, {"x": X.shape}, {"y": (1,) * 37 + (M, N)}, constants))
        self.assertEqual(outcome.weight("v")["action"], "fold")

    def test_chain_across_a_body(self):
        """Made outside, used inside."""
        nodes = [node("Transpose", "v", "w")]
        then_branch = build.graph([node("MatMul", "x w", "t")], {}, {"t": (M, N)})
        else_branch = build.graph([node("Transpose", "v", "u"), node("Gemm", "x u", "e")], {}, {"e": (M, N)})
        nodes.append(node("If", "condition", "y", then_branch=then_branch, else_branch=else_branch))
        model = build.model(
            nodes, {"x": X.shape, "condition": np.array(True)}, {"y": (M, N)}, {"v": W.T.copy()}
        )
        outcome = self.quantize(model)
        want = reference.dynamic_matmul(X, reference.quantize_matmul(W, DEFAULT))
        for condition in (True, False):
            for outputs in self.run_levels(outcome.path, {"x": X, "condition": np.array(condition)}).values():
                self.assert_close(outputs[0], want, 1e-5 * np.abs(want))
        self.assertEqual(op_counts(outcome.model)["MatMulInteger"], 2)

    def test_activation_in_the_chain(self):
        """A Concat with something that is no constant is no weight."""
        nodes = [node("Concat", "v h", "w", axis=0), node("MatMul", "x w", "y"), node("MatMul", "x u", "z")]
        h = build.activations(2, N)
        outcome = self.quantize(
            build.model(
                nodes, {"x": X.shape, "h": h.shape}, {"y": (M, N), "z": (M, N)}, {"v": W[:-2].copy(), "u": W}
            )
        )
        feeds = {"x": X, "h": h}
        self.assertLess(
            common.relative_error(common.run(outcome.original, feeds), common.run(outcome.path, feeds)), 2
        )


KERNEL = build.weights(24, 16, 3, 3)
STYLE = np.abs(build.weights(16)) + np.float32(0.5)


class Kernels(OrtTest):
    """Short rows of weights that are multiplied before they are multiplied: no coordinates, and 8 bits are enough."""

    def make(self, what: str) -> tuple[onnx.ModelProto, dict]:
        x = build.activations(1, 16, 9, 9)
        feeds, constants, last = {"x": x}, {"w": KERNEL}, node("Conv", "x k", "y")
        if what == "number":
            constants["f"], nodes = np.float32(0.05), [node("Mul", "w f", "k")]
        elif what == "channels":
            constants["f"] = np.abs(build.weights(24, 1, 1, 1))
            nodes = [node("Mul", "f w", "t"), node("Div", "t f", "k")]
        elif what == "transposed":
            constants |= {"w": KERNEL.transpose(1, 0, 2, 3).copy(), "f": np.float32(0.05)}
            nodes, last = [node("Mul", "w f", "k")], node("ConvTranspose", "x k", "y", pads=[2, 2, 2, 2])
        elif what == "matrix":
            feeds = {"x": build.activations(5, 300)}
            constants = {"w": build.weights(300, 8), "f": np.float32(0.05)}
            nodes, last = [node("Mul", "w f", "k")], node("MatMul", "x k", "y")
        else:  # the style of an image multiplies kernels, which are divided by their norm then
            feeds["style"] = STYLE.reshape(1, 1, 16, 1, 1)
            constants |= {"w": KERNEL[None], "axes": np.array([2, 3, 4]), "shape": np.array(KERNEL.shape)}
            constants["least"] = np.float32(1e-8)
            nodes = [
                node("Mul", "w style", "m"),
                node("Mul", "m m", "squares"),
                node("ReduceSum", "squares axes", "sums", keepdims=1),
                node("Add", "sums least", "positive"),
                node("Sqrt", "positive", "norms"),
                node("Div", "m norms", "d"),
                node("Reshape", "d shape", "k"),
            ]
        y = (5, 8) if what == "matrix" else (1, 24, 7, 7)
        made = build.model([*nodes, last], {k: v.shape for k, v in feeds.items()}, {"y": y}, constants)
        return made, feeds

    @cases(
        {
            f"{what}_{method}": (what, method)
            for what in ("number", "channels", "transposed", "matrix", "style")
            for method in ("dynamic", "qdq")
        }
    )
    def factor(self, what, method):
        model, feeds = self.make(what)
        outcome = self.quantize(model, f"--method={method}")
        self.assertEqual(outcome.weight("w")["action"], "fold")
        self.assertLess(outcome.path.stat().st_size, 0.5 * outcome.source.stat().st_size)
        self.assertLess(common.relative_error(common.run(model, feeds), common.run(outcome.path, feeds)), 2)

    @cases({f"{what}_{method}": (what, method) for what in ("l2", "squares", "powers") for method in ("dynamic", "qdq")})
    def norm(self, what, method):
        """Weight normalization as torch.export writes it: norms are of magnitudes, or written out."""
        x = build.activations(1, 16, 9, 9)
        constants = {"w": KERNEL, "g": STYLE[:1].repeat(24).reshape(24, 1, 1, 1), "axes": np.array([1, 2, 3])}
        nodes = [node("Abs", "w", "a")]
        if what == "l2":
            nodes.append(node("ReduceL2", "a axes", "n"))
        elif what == "squares":
            nodes = [node("Mul", "w w", "s"), node("ReduceSum", "s axes", "t"), node("Sqrt", "t", "n")]
        else:
            nodes += [node("Pow", "a two", "s"), node("ReduceSum", "s axes", "t"), node("Pow", "t half", "n")]
            constants |= {"two": np.float32(2), "half": np.float32(0.5)}
        nodes += [node("Div", "g n", "d"), node("Mul", "w d", "k"), node("Conv", "x k", "y")]
        model = build.model(nodes, {"x": x.shape}, {"y": (1, 24, 7, 7)}, constants)
        outcome = self.quantize(model, f"--method={method}")
        self.assertEqual(outcome.weight("w")["action"], "fold")
        self.assertEqual(outcome.weight("w")["scales"], 24)
        feeds = {"x": x}
        self.assertLess(common.relative_error(common.run(model, feeds), common.run(outcome.path, feeds)), 2)

    @cases(["dynamic", "blocks"])
    def activations_of_another_product(self, method):
        """What it is multiplied by is multiplied as a matrix, too: in a second run, integers or blocks are."""
        nodes = [
            node("ReduceMax", "w", "m", axes=[0], keepdims=1),
            node("Mul", "a m", "b"),
            node("MatMul", "b v", "z"),
            node("Slice", "w from to", "s"),
            node("MatMul", "x s", "y"),
        ]
        constants = {"w": build.weights(80, 8), "v": build.weights(8, 64), "from": np.array([0]), "to": np.array([64])}
        made = build.model(nodes, {"a": (5, 8), "x": (3, 64)}, {"z": (5, 64), "y": (3, 8)}, constants, opset=14)
        flags = (f"--method={method}", "--min-elements=1", "--force-integer")
        outcome = self.quantize(made, *flags)
        self.assertEqual([u["action"] for u in outcome.weight("w")["uses"]][-1], "fold")
        self.onnxq("quantize", outcome.path, self.dir / "twice.onnx", *flags, status=5)

    @cases(["returned", "added", "looked_up"])
    def coordinates(self, what):
        """What is more than a weight stays as it is."""
        grid = build.weights(200, 8)
        nodes = [node("Mul", "w f", "k"), node("MatMul", "x k", "y")]
        outputs = {"y": (5, 8)}
        if what == "returned":
            outputs["k"] = grid.shape
        elif what == "added":
            nodes.append(node("Add", "k y0", "z"))
            outputs["z"] = grid.shape
        else:
            nodes.append(node("Gather", "k i", "z"))
            outputs["z"] = (3, 8)
        inputs = {"x": (5, 200)} | ({"y0": (1, 8)} if what == "added" else {})
        constants = {"w": grid, "f": np.float32(0.05)} | ({"i": np.array([1, 7, 9])} if what == "looked_up" else {})
        onnx.save(build.model(nodes, inputs, outputs, constants), self.dir / "model.onnx")
        self.onnxq("quantize", self.dir / "model.onnx", self.dir / "out.onnx", "--min-elements=1000", status=5)
