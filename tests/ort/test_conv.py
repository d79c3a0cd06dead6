"""Conv: stored as integers and folded at load, or ConvInteger on request."""

from dataclasses import dataclass, field

import numpy as np
import onnx

import build
import common
import reference
from build import node
from harness import OrtTest, Outcome, cases
from reference import SCHEMES, Scheme

DEFAULT = Scheme()


@dataclass(frozen=True)
class Shape:
    """A Conv: input, weight, attributes."""

    x: tuple
    w: tuple
    attributes: dict = field(default_factory=dict)


SHAPES = {
    "1d": Shape((2, 6, 40), (8, 6, 5)),
    "1d_k1": Shape((2, 6, 40), (8, 6, 1)),
    "2d": Shape((2, 3, 14, 13), (8, 3, 3, 3), {"pads": [1, 1, 1, 1]}),
    "2d_1x1": Shape((1, 16, 9, 9), (24, 16, 1, 1)),
    "2d_wide_kernel": Shape((1, 3, 20, 20), (4, 3, 7, 5)),
    "3d": Shape((1, 3, 7, 8, 9), (6, 3, 3, 2, 3)),
    "depthwise": Shape((1, 16, 12, 12), (16, 1, 3, 3), {"group": 16, "pads": [1, 1, 1, 1]}),
    "depthwise_x2": Shape((1, 8, 12, 12), (16, 1, 3, 3), {"group": 8}),
    "grouped": Shape((1, 16, 12, 12), (32, 4, 3, 3), {"group": 4}),
    "strides": Shape((1, 3, 15, 15), (8, 3, 3, 3), {"strides": [2, 3]}),
    "dilations": Shape((1, 3, 15, 15), (8, 3, 3, 3), {"dilations": [2, 3]}),
    "uneven_pads": Shape((1, 3, 15, 15), (8, 3, 3, 3), {"pads": [0, 1, 2, 3], "strides": [2, 2]}),
    "same_upper": Shape((1, 3, 14, 14), (8, 3, 4, 4), {"auto_pad": "SAME_UPPER", "strides": [2, 2]}),
    "same_lower": Shape((1, 3, 14, 14), (8, 3, 4, 4), {"auto_pad": "SAME_LOWER", "strides": [2, 2]}),
    "valid": Shape((1, 3, 14, 14), (8, 3, 4, 4), {"auto_pad": "VALID"}),
    "kernel_shape": Shape((1, 3, 14, 14), (8, 3, 4, 4), {"kernel_shape": [4, 4]}),
    "one_output": Shape((1, 3, 14, 14), (1, 3, 3, 3)),
}
BIASES = ("none", "constant", "empty", "dynamic")


def make(shape: Shape, bias: str = "constant", opset: int = build.OPSET, seed: int = 1):
    """The model, its feeds and its weight."""
    w, x = build.weights(*shape.w, seed=seed), build.activations(*shape.x)
    b = build.activations(shape.w[0], seed=5)
    inputs, constants, feeds = {"x": x.shape}, {"w": w}, {"x": x}
    if bias == "constant":
        constants["b"] = b
    elif bias == "dynamic":
        inputs["b"], feeds["b"] = b.shape, b
    names = {"none": "x w", "empty": "x w -"}.get(bias, "x w b")
    rank = len(shape.x)
    model = build.model(
        [node("Conv", names, "y", **shape.attributes)], inputs, {"y": [None] * rank}, constants, opset
    )
    return model, feeds, w


class ConvTest(OrtTest):
    def check_folded(self, outcome: Outcome, feeds: dict, w: np.ndarray, scheme: Scheme = DEFAULT) -> None:
        quantized = reference.quantize_conv(w, scheme.folded)
        found = outcome.match("y")
        self.assertEqual((found.form, found.x), ("fold", "x"))
        self.assert_stored(found, quantized)
        self.assertEqual(outcome.weight("w")["action"], "fold")
        self.assert_folds_to(outcome, feeds, {"w": quantized.dequantize()})
        self.check_error(outcome, feeds, quantized)

    def check_error(self, outcome: Outcome, feeds: dict, quantized: reference.Quantized) -> None:
        """|y - float y| <= |x| conv |error of w|, which is at most a step."""
        size = np.broadcast_to(quantized.scale, quantized.q.shape).astype(np.float32)
        magnitudes = {name: np.abs(value) if name == "x" else value * 0 for name, value in feeds.items()}
        no_bias = {t.name: np.zeros(t.dims, np.float32) for t in outcome.original.graph.initializer}
        allowed = common.run(build.with_weights(outcome.original, {**no_bias, "w": size}), magnitudes)[0]
        got, want = common.run(outcome.path, feeds)[0], common.run(outcome.original, feeds)[0]
        self.assert_close(got, want, allowed + 1e-5 * np.abs(want).max())


class Folded(ConvTest):
    @cases({f"{name}_bias_{bias}": (shape, bias) for name, shape in SHAPES.items() for bias in BIASES})
    def shapes(self, shape, bias):
        model, feeds, w = make(shape, bias)
        self.check_folded(self.quantize(model), feeds, w)

    @cases(
        {
            f"{kind}_{name}": (shape, scheme)
            for kind, scheme in SCHEMES.items()
            for name, shape in SHAPES.items()
            if name in ("1d", "2d", "depthwise")
        }
    )
    def schemes(self, shape, scheme):
        model, feeds, w = make(shape)
        self.check_folded(self.quantize(model, *scheme.flags()), feeds, w, scheme)

    @cases(list(range(7, build.NEWEST + 1)))
    def opsets(self, opset):
        model, feeds, w = make(SHAPES["2d"], opset=opset)
        self.check_folded(self.quantize(model), feeds, w)

    def test_two_convs_of_one_weight(self):
        w, x = build.weights(8, 8, 3, 3), build.activations(1, 8, 12, 12)
        nodes = [node("Conv", "x w", "h", pads=[1, 1, 1, 1]), node("Conv", "h w", "y", dilations=[2, 2])]
        outcome = self.quantize(build.model(nodes, {"x": x.shape}, {"y": [None] * 4}, {"w": w}))
        quantized = reference.quantize_conv(w, DEFAULT)
        self.assert_stored(outcome.match("y"), quantized)
        self.assert_stored(outcome.match("h"), quantized)
        self.assertEqual(len(outcome.model.graph.initializer), 2, "one copy of integers and scales")
        self.assert_folds_to(outcome, {"x": x}, {"w": quantized.dequantize()})

    def test_network(self):
        """Conv, Relu, Add: fused by ONNX Runtime just as in the float model."""
        shapes = {"w1": (16, 3, 3, 3), "w2": (16, 1, 3, 3), "w3": (16, 16, 1, 1)}
        w = {name: build.weights(*shape, seed=i) for i, (name, shape) in enumerate(shapes.items())}
        bias = {"b1": build.weights(16), "b2": build.weights(16), "b3": build.weights(16)}
        nodes = [
            node("Conv", "x w1 b1", "c1", pads=[1] * 4),
            node("Relu", "c1", "r1"),
            node("Conv", "r1 w2 b2", "c2", pads=[1] * 4, group=16),
            node("Relu", "c2", "r2"),
            node("Conv", "r2 w3 b3", "c3"),
            node("Add", "c3 r1", "y"),
        ]
        x = build.activations(1, 3, 16, 16)
        outcome = self.quantize(build.model(nodes, {"x": x.shape}, {"y": [None] * 4}, {**w, **bias}))
        stored = {name: reference.quantize_conv(value, DEFAULT).dequantize() for name, value in w.items()}
        self.assert_folds_to(outcome, {"x": x}, stored)

    def test_skip(self):
        model, feeds, w = make(SHAPES["2d"])
        onnx.save(model, self.dir / "model.onnx")
        self.onnxq(
            "quantize",
            self.dir / "model.onnx",
            self.dir / "out.onnx",
            "--min-elements=1",
            "--conv=skip",
            status=5,
        )


class Integer(ConvTest):
    """--conv integer: uint8 weights, one zero point, a scale for each channel behind the product."""

    def check_integer(self, outcome: Outcome, feeds: dict, w: np.ndarray, scheme: Scheme) -> None:
        quantized = reference.quantize_conv(w, scheme)
        found = outcome.match("y")
        self.assertEqual((found.form, found.x), ("conv_integer", "x"))
        self.assertEqual(found.scale.shape[-w.ndim + 1 :], (len(w),) + (1,) * (w.ndim - 2))
        found.scale = found.scale.reshape((len(w),) + (1,) * (w.ndim - 1))
        self.assert_stored(found, quantized)
        self.assertEqual(found.zero_point.size, 1)
        want, size = self.expected(outcome.original, feeds, quantized)
        for level, outputs in self.run_levels(outcome.path, feeds).items():
            self.assert_close(outputs[0], want, 1e-5 * size, level)

    def expected(self, original: onnx.ModelProto, feeds: dict, w: reference.Quantized) -> tuple:
        """The exact integers come from float Conv: no sum here reaches 2^24."""
        x = reference.dynamic_quantize_linear(feeds["x"])
        steps = w.steps().astype(np.float32)
        zero = {t.name: np.zeros(t.dims, np.float32) for t in original.graph.initializer}
        self.assertLess(np.abs(steps).max() * 255 * steps[0].size, 2**24)
        no_bias = {name: value * 0 for name, value in feeds.items()}
        total = common.run(
            build.with_weights(original, {**zero, "w": steps}), {**no_bias, "x": x.steps().astype(np.float32)}
        )[0].astype(np.float64)
        channels = (1, len(steps)) + (1,) * (steps.ndim - 2)
        product = total * (
            np.float64(x.scale) * np.broadcast_to(w.scale.reshape(-1), (len(steps),)).reshape(channels)
        )
        constants = {t.name: onnx.numpy_helper.to_array(t) for t in original.graph.initializer}
        bias = constants.get("b", feeds.get("b", np.zeros(len(steps), np.float32))).reshape(channels)
        return product + bias, np.abs(product) + np.abs(bias)

    @cases({f"{name}_bias_{bias}": (shape, bias) for name, shape in SHAPES.items() for bias in BIASES})
    def shapes(self, shape, bias):
        model, feeds, w = make(shape, bias)
        self.check_integer(self.quantize(model, "--conv=integer"), feeds, w, Scheme("uint8"))

    @cases({name: (scheme,) for name, scheme in SCHEMES.items()})
    def schemes(self, scheme):
        """Always uint8; with a zero point for each channel there is no ConvInteger."""
        model, feeds, w = make(SHAPES["2d"])
        outcome = self.quantize(model, "--conv=integer", *scheme.flags())
        if scheme.per_channel and not scheme.symmetric:
            self.check_folded(outcome, feeds, w, scheme)
        else:
            unsigned = Scheme("uint8", scheme.per_channel, scheme.symmetric, scheme.reduce_range)
            self.check_integer(outcome, feeds, w, unsigned)

    @cases(list(range(7, build.NEWEST + 1)))
    def opsets(self, opset):
        model, feeds, w = make(SHAPES["2d"], opset=opset)
        outcome = self.quantize(model, "--conv=integer")
        if opset < 11:
            self.check_folded(outcome, feeds, w)
        else:
            self.check_integer(outcome, feeds, w, Scheme("uint8"))

    def test_shared_activation(self):
        """Two Convs and a MatMul read the same values: quantized once."""
        x, w, v = (
            build.activations(1, 4, 60, build.K),
            build.weights(8, 4, 3, 3),
            build.weights(build.K, build.N),
        )
        nodes = [
            node("Conv", "x w", "y"),
            node("Conv", "x w", "z", strides=[2, 2]),
            node("MatMul", "x v", "t"),
        ]
        outcome = self.quantize(
            build.model(nodes, {"x": x.shape}, {n: [None] * 4 for n in "yzt"}, {"w": w, "v": v}),
            "--conv=integer",
        )
        self.assertEqual(
            len([n for n in outcome.model.graph.node if n.op_type == "DynamicQuantizeLinear"]), 1
        )
        got, want = common.run(outcome.path, {"x": x}), common.run(outcome.original, {"x": x})
        self.assertLess(common.relative_error(want, got), 2)
