"""Weights that the model computes of constants: they are integers as if they had been stored."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import build
import common
from build import node
from harness import OrtTest, Outcome, cases

M, K, N = 5, 256, 384
W = build.weights(K, N)
KERNEL = build.weights(48 * 24 * 9, seed=3).reshape(48, 24, 3, 3)
VECTOR, COLUMN = build.weights(N, seed=4), build.weights(K, seed=5)
A, B = build.weights(K, 8, seed=6) * 3, build.weights(8, N, seed=7) * 3
STEPS = (np.abs(W).max(0, keepdims=True) / 127).astype(np.float32)
KERNEL_STEPS = (np.abs(KERNEL).max((1, 2, 3), keepdims=True) / 100).astype(np.float32)
STEP = np.float32(np.abs(W).max() / 127)


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


FAKE = [node("Div", "w s", "d"), node("Round", "d", "r"), node("Clip", "r low high", "c"), node("Mul", "c s", "k")]
ENDS = {"low": np.float32(-127), "high": np.float32(127)}
SIGMA = [node("MatMul", "m v", "wv"), node("MatMul", "u wv", "sigma"), node("Div", "w sigma", "k")]
STANDARDIZED = [
    node("ReduceMean", "w axes", "mean"),
    node("Sub", "w mean", "d"),
    node("Mul", "d d", "q"),
    node("ReduceMean", "q axes", "variance"),
    node("Add", "variance epsilon", "e"),
    node("Sqrt", "e", "deviation"),
    node("Div", "d deviation", "k"),
]
# name: nodes that make k of w and other constants, these
COMPUTED = {
    "spectral_norm": (
        [node("MatMul", "w v", "wv"), node("Mul", "u wv", "p"), node("ReduceSum", "p", "sigma", keepdims=0)]
        + [node("Div", "w sigma", "k")],
        {"v": VECTOR, "u": COLUMN},
    ),
    "lora": (
        [node("MatMul", "a b", "ab"), node("Mul", "ab scale", "delta"), node("Add", "w delta", "k")],
        {"a": A, "b": B, "scale": np.float32(0.5)},
    ),
    "lora_turned": (
        [node("MatMul", "b a", "ab"), node("Add", "w ab", "t"), node("Transpose", "t", "k", perm=[1, 0])],
        {"w": W.T.copy(), "a": A.T.copy(), "b": B.T.copy()},
    ),
    "mask": ([node("Mul", "w m", "k")], {"m": (W > 0).astype(np.float32)}),
    "mask_of_truth_values": (
        [node("Cast", "m", "f", to=TensorProto.FLOAT), node("Mul", "w f", "k")],
        {"m": W > 0},
    ),
    "lp_normalization": ([node("LpNormalization", "w", "k", axis=0)], {}),
    "normalized_by_expand": (
        [node("ReduceL2", "w axes", "n"), node("Clip", "n least", "c"), node("Expand", "c shape", "e")]
        + [node("Div", "w e", "k")],
        {"axes": ints(0), "least": np.float32(1e-12), "shape": ints(K, N)},
    ),
    "weight_norm": (
        [node("ReduceL2", "w axes", "n"), node("Div", "g n", "q"), node("Mul", "w q", "k")],
        {"axes": ints(0), "g": np.abs(VECTOR[None]) + np.float32(0.1)},
    ),
    "gate": ([node("Sigmoid", "g", "s"), node("Mul", "w s", "k")], {"g": VECTOR}),
    "averaged": (
        [node("Mul", "w f", "a"), node("Mul", "v g", "b"), node("Sum", "a b", "k")],
        {"v": W[::-1].copy(), "f": np.float32(0.9), "g": np.float32(0.1)},
    ),
    "experts": (
        [node("Add", "w wide", "e"), node("Sub", "v high", "f"), node("Concat", "e f", "k", axis=1)],
        {"v": W[::-1].copy(), "wide": VECTOR, "high": COLUMN[:, None]},
    ),
    "cast_of_double": ([node("Cast", "w", "f", to=TensorProto.FLOAT), node("Tanh", "f", "k")], {"w": W.astype(np.float64)}),
    "constant_nodes": (
        [node("Constant", "", "w", value=numpy_helper.from_array(W)), node("Tanh", "w", "k")],
        {"w": None},
    ),
    "fake_quantization": (FAKE, {"s": STEPS, **ENDS}),
    "fake_quantization_per_tensor": (FAKE, {"s": STEP, **ENDS}),
}
KERNELS = {
    "spectral_norm": ([node("Reshape", "w shape", "m"), *SIGMA], {"shape": ints(48, -1), "v": KERNEL[0].ravel(), "u": VECTOR[:48]}),
    "standardized": (STANDARDIZED, {"axes": ints(1, 2, 3), "epsilon": np.float32(1e-5)}),
    "masked": ([node("Mul", "w m", "k")], {"m": (np.abs(KERNEL) > 0.5).astype(np.float32)}),
    "fake_quantization": (FAKE, {"s": KERNEL_STEPS, **ENDS}),
}
LEFT = {"DynamicQuantizeLinear", "MatMulInteger", "MatMulNBits", "Cast", "Mul", "MatMul", "Conv", "ConvTranspose", "DequantizeLinear", "Identity", "Transpose", "Concat"}


class Computed(OrtTest):
    def make(self, nodes: list, constants: dict, op: str = "MatMul", **fields) -> tuple[onnx.ModelProto, dict]:
        w = W if op == "MatMul" else KERNEL
        constants = {name: value for name, value in {"w": w, **constants}.items() if value is not None}
        x = build.activations(M, K) if op == "MatMul" else build.activations(1, KERNEL.shape[op == "Conv"], 9, 9)
        model = build.model([*nodes, node(op, "x k", "y")], {"x": x.shape}, {"y": [None] * x.ndim}, constants, **fields)
        return model, {"x": x}

    def check(self, outcome: Outcome, feeds: dict, percent: float) -> None:
        """Nothing is computed any more, all is integers, and the results are right."""
        self.assertFalse({n.op_type for n in outcome.model.graph.node} - LEFT)
        floats = [t.name for t in outcome.model.graph.initializer if t.data_type == TensorProto.FLOAT and np.prod(t.dims) > 4 * N]
        self.assertEqual(floats, [])
        want = common.run(outcome.source, feeds)
        for level, got in self.run_levels(outcome.path, feeds).items():
            self.assertLess(common.relative_error(want, got), percent, level)

    @cases({f"{name}_{method}": (name, method) for name in COMPUTED for method in ("dynamic", "weights", "blocks")})
    def product(self, name, method):
        model, feeds = self.make(*COMPUTED[name])
        outcome = self.quantize(model, f"--method={method}")
        self.check(outcome, feeds, 2)
        actions = {weight["action"] for weight in outcome.report["weights"] if weight["dtype"].startswith("float")}
        self.assertEqual(len(actions), 1)
        self.assertLessEqual(actions, {"dynamic", "fold"})
        back = self.dir / "float.onnx"
        self.onnxq("dequantize", outcome.path, back)
        self.assertLess(common.relative_error(common.run(outcome.source, feeds), common.run(back, feeds)), 2)

    @cases({f"{name}_{op}_{method}": (name, op, method) for name in KERNELS for op in ("Conv", "ConvTranspose") for method in ("dynamic", "qdq")})
    def kernel(self, name, op, method):
        model, feeds = self.make(*KERNELS[name], op=op)
        outcome = self.quantize(model, f"--method={method}")
        self.check(outcome, feeds, 2)
        self.assertEqual(outcome.weight("w")["action"], "fold")

    @cases({"per_channel": (COMPUTED["fake_quantization"], STEPS), "per_tensor": (COMPUTED["fake_quantization_per_tensor"], STEP)})
    def integers_of_the_model(self, computed, steps):
        """The model rounds its weight itself: these integers are stored, with its scales."""
        outcome = self.quantize(self.make(*computed)[0])
        [stored] = [t for t in outcome.model.graph.initializer if t.data_type == TensorProto.INT8 and len(t.dims) == 2]
        want = np.clip(np.round(W / steps), -127, 127)
        np.testing.assert_array_equal(numpy_helper.to_array(stored), want)

    @cases(["Conv", "ConvTranspose"])
    def kernels_of_the_model(self, op):
        """Folded to the same floats, where scales are along the axis that the operator wants."""
        model, feeds = self.make(*KERNELS["fake_quantization"], op=op)
        outcome = self.quantize(model)
        error = common.relative_error(common.run(outcome.source, feeds), common.run(outcome.path, feeds))
        self.assertLess(error, 1e-4 if op == "Conv" else 2)

    def test_as_stored(self):
        """No other integers than of the same numbers in a tensor."""
        nodes, constants = COMPUTED["lora"]
        computed = self.quantize(self.make(nodes, constants)[0])
        stored = self.quantize(self.make([node("Identity", "w", "k")], {"w": W + 0.5 * (A @ B)})[0])
        a, b = ([numpy_helper.to_array(t) for t in o.model.graph.initializer if t.data_type == TensorProto.INT8 and t.dims] for o in (computed, stored))
        self.assertLessEqual(np.abs(a[0].astype(int) - b[0]).max(), 1)
        self.assertLess((a[0] != b[0]).mean(), 1e-4)

    @cases({"a constant": ("w",), "a step": ("ab",), "the result": ("k",)})
    def also_returned(self, name):
        """What the graph returns is computed as before."""
        model, feeds = self.make(*COMPUTED["lora"])
        model.graph.output.append(build.info(name, [None, None], TensorProto.FLOAT))
        outcome = self.quantize(model)
        self.assertIn("Add", {n.op_type for n in outcome.model.graph.node})
        for want, got in zip(common.run(outcome.source, feeds), common.run(outcome.path, feeds), strict=True):
            self.assertLess(common.relative_error([want], [got]), 2)

    def test_halves(self) -> None:
        """Computed they have twice the bytes, which stay where the product is to stay float."""
        nodes, _ = COMPUTED["cast_of_double"]
        model, _ = self.make(nodes, {"w": W.astype(np.float16)})
        outcome = self.quantize(model)
        self.assertIn("Tanh", {n.op_type for n in outcome.model.graph.node})

    def test_two_products(self):
        """One weight for both."""
        model, feeds = self.make(*COMPUTED["lora"])
        model.graph.node.extend([node("Transpose", "k", "t", perm=[1, 0]), node("MatMul", "y t", "z")])
        model.graph.output.append(build.info("z", [M, K], TensorProto.FLOAT))
        outcome = self.quantize(model)
        self.assertFalse({n.op_type for n in outcome.model.graph.node} & {"Add"})
        self.assertLess(common.relative_error(common.run(outcome.source, feeds), common.run(outcome.path, feeds)), 3)

    def test_in_a_body(self):
        """A branch computes the weight of constants around it."""
        nodes, constants = COMPUTED["lora"]
        branches = {
            f"{name}_branch": helper.make_graph([*nodes, node(op, "x k", f"y_{name}")], name, [], [build.info(f"y_{name}", [M, N], TensorProto.FLOAT)])
            for name, op in (("then", "MatMul"),)
        }
        branches["else_branch"] = helper.make_graph([node("MatMul", "x other", "y_else")], "else", [], [build.info("y_else", [M, N], TensorProto.FLOAT)])
        x = build.activations(M, K)
        main = build.graph([node("If", "c", "y", **branches)], {"x": x.shape}, {"y": (M, N)}, {"w": W, "other": W[::-1].copy(), **constants})
        main.input.append(build.info("c", [], TensorProto.BOOL))
        outcome = self.quantize(build.model(main))
        for c in (True, False):
            feeds = {"x": x, "c": np.array(c)}
            self.assertLess(common.relative_error(common.run(outcome.source, feeds), common.run(outcome.path, feeds)), 2)

    def test_initializers_that_are_inputs(self):
        """Of old models, where every initializer is one: it leaves with its input."""
        model, feeds = self.make(*COMPUTED["gate"], opset=9, ir_version=3)
        outcome = self.quantize(model)
        self.assertEqual([i.name for i in outcome.model.graph.input], ["x"])
        self.assertLess(common.relative_error(common.run(outcome.source, feeds), common.run(outcome.path, feeds)), 2)
