"""Conv: stored as integers and folded at load, or ConvInteger or MatMulInteger on request."""

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
        quantized = reference.fold_conv(w, scheme.folded)
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
        quantized = reference.fold_conv(w, DEFAULT)
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
        stored = {name: reference.fold_conv(value, DEFAULT).dequantize() for name, value in w.items()}
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


C, O = 136, 72  # channels of a pointwise Conv that is worth while
POINTS = {
    "1d": Shape((2, C, 11), (O, C, 1)),
    "2d": Shape((2, C, 5, 7), (O, C, 1, 1)),
    "3d": Shape((1, C, 3, 4, 5), (O, C, 1, 1, 1)),
    "one_place": Shape((1, C, 1, 1), (O, C, 1, 1)),
    "kernel_shape": Shape((1, C, 4, 4), (O, C, 1, 1), {"kernel_shape": [1, 1], "strides": [1, 1]}),
    "no_pads": Shape((1, C, 4, 4), (O, C, 1, 1), {"pads": [0, 0, 0, 0], "group": 1}),
    "dilations": Shape((1, C, 4, 4), (O, C, 1, 1), {"dilations": [3, 2]}),
    "same_upper": Shape((1, C, 4, 4), (O, C, 1, 1), {"auto_pad": "SAME_UPPER"}),
    "same_lower": Shape((1, C, 5), (O, C, 1), {"auto_pad": "SAME_LOWER"}),
    "valid": Shape((1, C, 4, 4), (O, C, 1, 1), {"auto_pad": "VALID"}),
}
NO_POINTS = {
    "kernel": Shape((1, C, 5, 5), (O, C, 1, 3)),
    "strides": Shape((1, C, 5, 5), (O, C, 1, 1), {"strides": [1, 2]}),
    "pads": Shape((1, C, 5, 5), (O, C, 1, 1), {"pads": [0, 0, 0, 1]}),
    "groups": Shape((1, C, 5), (O, C // 2, 1), {"group": 2}),
    "few_inputs": Shape((1, 127, 5), (O, 127, 1)),
    "few_outputs": Shape((1, C, 5), (63, C, 1)),
}


class AsMatMul(ConvTest):
    """--conv matmul: a kernel of one point is a product of matrices."""

    def check_matmul(
        self, outcome: Outcome, feeds: dict, w: np.ndarray, bias: str, scheme: Scheme = DEFAULT
    ) -> None:
        matrix = np.ascontiguousarray(w.reshape(w.shape[:2]).T)
        quantized = reference.quantize_matmul(matrix, scheme)
        found = outcome.match("y")
        rank = w.ndim
        self.assertEqual((found.form, found.x), ("dynamic", "x"))
        self.assertEqual(found.perms, ((0, rank - 1, *range(1, rank - 1)), (0, *range(2, rank), 1)))
        self.assertEqual(found.scale.shape, (len(w),) if quantized.scale.size > 1 else ())
        self.assert_stored(found, quantized)
        self.assertEqual(outcome.weight("w")["action"], "dynamic")
        constants = {t.name: onnx.numpy_helper.to_array(t) for t in outcome.original.graph.initializer}
        b = constants.get("b", feeds.get("b", np.zeros(len(w), np.float32)))
        product = reference.dynamic_matmul(np.moveaxis(feeds["x"], 1, -1), quantized)
        want = np.moveaxis(product + b, -1, 1)
        size = np.moveaxis(np.abs(product) + np.abs(b), -1, 1)
        for level, outputs in self.run_levels(outcome.path, feeds).items():
            self.assert_close(outputs[0], want, 1e-5 * size, level)
        x = np.moveaxis(feeds["x"], 1, -1)
        allowed = np.moveaxis(reference.matmul_error(x, matrix, quantized), -1, 1) + 1e-5 * size
        self.assert_close(
            common.run(outcome.path, feeds)[0], common.run(outcome.original, feeds)[0], allowed
        )
        self.assert_fused(outcome.path, shared=1, quantizers=1)
        self.assertEqual(self.optimized(outcome.path)["Add"], 1 if bias == "dynamic" or len(w) == 1 else 0)

    @cases({f"{name}_bias_{bias}": (shape, bias) for name, shape in POINTS.items() for bias in BIASES})
    def shapes(self, shape, bias):
        model, feeds, w = make(shape, bias)
        self.check_matmul(self.quantize(model, "--conv=matmul"), feeds, w, bias)

    @cases({name: (scheme,) for name, scheme in SCHEMES.items()})
    def schemes(self, scheme):
        model, feeds, w = make(POINTS["2d"])
        outcome = self.quantize(model, "--conv=matmul", *scheme.flags())
        self.check_matmul(outcome, feeds, w, "constant", scheme)

    @cases(list(range(7, build.NEWEST + 1)))
    def opsets(self, opset):
        model, feeds, w = make(POINTS["2d"], opset=opset)
        outcome = self.quantize(model, "--conv=matmul")
        if opset < 11:
            self.check_folded(outcome, feeds, w)
        else:
            self.check_matmul(outcome, feeds, w, "constant")

    @cases({**{name: (shape,) for name, shape in NO_POINTS.items()}, "small": (SHAPES["2d_1x1"],)})
    def others_are_folded(self, shape):
        model, feeds, w = make(shape)
        outcome = self.quantize(model, "--conv=matmul")
        self.check_folded(outcome, feeds, w)
        self.assertTrue(outcome.weight("w")["uses"][0]["reason"])

    @cases({"small": ((1, 16, 9, 9), (24, 16, 1, 1)), "one_output": ((1, 16, 9), (1, 16, 1))})
    def small_ones_on_request(self, x_shape, w_shape):
        model, feeds, w = make(Shape(x_shape, w_shape))
        self.check_matmul(
            self.quantize(model, "--conv=matmul", "--force-integer"), feeds, w, "constant"
        )

    @cases({name: (POINTS[name],) for name in ("1d", "2d", "3d")})
    def float16(self, shape):
        w, x = (v.astype(np.float16) for v in (build.weights(*shape.w), build.activations(*shape.x)))
        b = build.activations(O, seed=5).astype(np.float16)
        y = build.info("y", [None] * x.ndim, onnx.TensorProto.FLOAT16)
        model = build.model([node("Conv", "x w b", "y")], {"x": x}, {"y": x}, {"w": w, "b": b})
        model.graph.output[0].CopyFrom(y)
        outcome = self.quantize(model, "--conv=matmul")
        matrix = np.ascontiguousarray(w.reshape(w.shape[:2]).T.astype(np.float32))
        quantized = reference.quantize_matmul(matrix, DEFAULT)
        self.assert_stored(outcome.match("y"), quantized)
        product = reference.dynamic_matmul(np.moveaxis(x.astype(np.float32), 1, -1), quantized)
        want, size = (np.moveaxis(v, -1, 1) for v in (product + b, np.abs(product) + np.abs(b)))
        for level, outputs in self.run_levels(outcome.path, {"x": x}).items():
            self.assertEqual(outputs[0].dtype, np.float16)
            self.assert_close(outputs[0], want, 1e-3 * size, level)
        self.assertEqual(self.optimized(outcome.path)["com.microsoft.MatMulIntegerToFloat"], 1)

    def test_network(self):
        """Two pointwise ones on one activation, a folded one, and a weight used both ways."""
        w, v = build.weights(O, C, 1, 1), build.weights(O, C, 3, 3)
        nodes = [
            node("Conv", "x w", "a"),
            node("Conv", "x v", "b", pads=[1] * 4),
            node("Conv", "x w", "c", strides=[2, 2]),
            node("Conv", "x u", "d"),
        ]
        u = build.weights(O, C, 1, 1, seed=6)
        x = build.activations(1, C, 6, 6)
        model = build.model(
            nodes, {"x": x.shape}, {n: [None] * 4 for n in "abcd"}, {"w": w, "v": v, "u": u}
        )
        outcome = self.quantize(model, "--conv=matmul")
        ops = [n.op_type for n in outcome.model.graph.node]
        self.assertEqual((ops.count("DynamicQuantizeLinear"), ops.count("Transpose")), (1, 4))
        forms = [outcome.match(name).form for name in "abcd"]
        self.assertEqual(forms, ["dynamic", "fold", "fold", "dynamic"])
        got, want = common.run(outcome.path, {"x": x}), common.run(outcome.original, {"x": x})
        self.assertLess(common.relative_error(want, got), 2)
