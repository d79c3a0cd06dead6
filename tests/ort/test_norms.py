"""Add and LayerNormalization behind a product: the engine joins them only where it is asked to."""

import numpy as np
import onnx

import build
import common
import patterns
from build import node
from harness import OrtTest, cases

M, N = 4, build.SQUARE
X, R = build.activations(2, M, N), build.activations(2, M, N, seed=8)
JOINED = "com.microsoft.SkipLayerNormalization"


def residual(shape: tuple, opset: int, biased: bool = True) -> onnx.ModelProto:
    """y = norm(x @ w + b + r)"""
    parts = [
        node("ReduceMean", "s", "mean", axes=[-1]),
        node("Sub", "s mean", "d"),
        node("Pow", "d two", "square"),
        node("ReduceMean", "square", "variance", axes=[-1]),
        node("Add", "variance epsilon", "shifted"),
        node("Sqrt", "shifted", "deviation"),
        node("Div", "d deviation", "normal"),
        node("Mul", "normal g", "scaled"),
        node("Add", "scaled c", "y"),
    ]
    whole = [node("LayerNormalization", "s g c", "y")]
    bias = [node("Add", "p b", "z")] if biased else [node("Identity", "p", "z")]
    constants = {"w": build.weights(N, N), "b": build.weights(N), "g": np.ones(N, np.float32)}
    constants |= {"c": np.zeros(N, np.float32), "two": np.float32(2), "epsilon": np.float32(1e-5)}
    used = constants if opset < 17 else {name: constants[name] for name in "wbgc"}
    if not biased:
        used.pop("b")
    nodes = [node("MatMul", "x w", "p"), *bias, node("Add", "r z" if biased else "p r", "s")]
    nodes = [n for n in nodes if biased or n.op_type != "Identity"]
    model = build.model(
        [*nodes, *(parts if opset < 17 else whole)], {"x": shape, "r": shape}, {"y": shape}, used, opset=opset
    )
    model.graph.value_info.append(build.info("s", shape))
    return model


class Norms(OrtTest):
    @cases(
        {
            "open": (("batch", "length", N), 17),
            "fixed": (X.shape, 17),
            "in_parts": (("batch", "length", N), 13),
            "before_dynamic_quantize_linear": (X.shape, 10),
            "without_bias": (X.shape, 17, False),
        }
    )
    def residual(self, shape, opset, biased=True):
        model = residual(shape, opset, biased)
        apart = self.quantize(model)
        self.assertEqual(self.optimized(apart.path)[JOINED], 0)
        outputs = common.run(apart.path, {"x": X, "r": R})
        joined = self.quantize(model, "--join-norms")
        self.assertEqual(self.optimized(joined.path)[JOINED], 1)
        for want, got in zip(common.run(joined.path, {"x": X, "r": R}), outputs, strict=True):
            self.assert_close(got, want, 1e-5 * np.abs(want).max())

    def test_declared_shapes(self):
        """Open dimensions lose their names inside; ranks and fixed dimensions stay."""
        model = residual(("batch", "length", N), 17)
        for flags, names in (((), ["", ""]), (("--join-norms",), ["batch", "length"])):
            infos = {info.name: info for info in self.quantize(model, *flags).model.graph.value_info}
            dims = infos["s"].type.tensor_type.shape.dim
            self.assertEqual([d.dim_param for d in dims[:2]], names)
            self.assertEqual((len(dims), dims[2].dim_value), (3, N))

    def test_nothing_changes_without_a_product(self):
        """What is folded runs as the float model does."""
        outcome = self.quantize(residual(X.shape, 17), "--method=weights")
        self.assertFalse(any(n.op_type == "Sum" for n in patterns.all_nodes(outcome.model.graph)))
