"""Methods other than integer operators: weights folded at load, and plain DequantizeLinear."""

import numpy as np
from onnx import TensorProto, numpy_helper

import build
import common
import reference
from build import node
from harness import OrtTest, cases
from reference import SCHEMES, Scheme

K, N = 256, 300


def matmul():
    w, x = build.weights(K, N), build.activations(5, K)
    model = build.model([node("MatMul", "x w", "y")], {"x": x.shape}, {"y": (5, N)}, {"w": w})
    return model, {"x": x}, w, 1


def gemm():
    w, x = build.weights(N, K), build.activations(5, K)
    model = build.model([node("Gemm", "x w", "y", transB=1)], {"x": x.shape}, {"y": (5, N)}, {"w": w})
    return model, {"x": x}, w, 0


def conv():
    w, x = build.weights(24, 8, 3, 3), build.activations(1, 8, 9, 9)
    model = build.model([node("Conv", "x w", "y")], {"x": x.shape}, {"y": (1, 24, 7, 7)}, {"w": w})
    return model, {"x": x}, w, 0


def table():
    w, index = build.weights(5000, 256), np.array([[0, 4999], [7, 7]])
    model = build.model([node("Gather", "w i", "y")], {"i": index}, {"y": (2, 2, 256)}, {"w": w})
    return model, {"i": index}, w, 0


MAKERS = {"matmul": matmul, "gemm": gemm, "conv": conv, "table": table}
TABLE = {f"{maker}_{scheme}": (maker, scheme) for maker in MAKERS for scheme in SCHEMES if not SCHEMES[scheme].reduce_range}


def in_16_bits(w: np.ndarray, axis: int, of_inputs: bool = False) -> reference.Quantized:
    axes = tuple(other for other in range(w.ndim) if other != axis)
    scale = np.abs(w).max(axis=axes, keepdims=True) / np.float32(32767)
    if of_inputs:
        scale = scale * reference.scales_of_inputs(w, scale, np.float32(32767), axis)
    return reference.Quantized(np.rint(w / scale).astype(np.int16), scale, np.array(0, np.int16))


class Weights(OrtTest):
    """--method weights: every weight is float again once the model is loaded."""

    @cases(list(MAKERS))
    def in_16_bits(self, maker: str) -> None:
        model, feeds, w, axis = MAKERS[maker]()
        outcome = self.quantize(model, "--method=weights", "--fold-bits=16")
        want = in_16_bits(w, axis, of_inputs=maker in ("conv", "gemm", "matmul"))
        [tensor] = [t for t in outcome.model.graph.initializer if t.data_type == TensorProto.INT16]
        np.testing.assert_array_equal(numpy_helper.to_array(tensor), want.q)
        self.assert_folds_to(outcome, feeds, {"w": want.dequantize()})

    @cases(TABLE)
    def folded(self, maker: str, scheme: str) -> None:
        model, feeds, w, axis = MAKERS[maker]()
        outcome = self.quantize(model, "--method", "weights", *SCHEMES[scheme].flags())
        want = reference.fold_as(maker, w, SCHEMES[scheme], axis)
        self.assertEqual(outcome.weight("w")["action"], "fold")
        self.assert_folds_to(outcome, feeds, {"w": want.dequantize()})


class Qdq(OrtTest):
    """--method qdq: DequantizeLinear of ONNX and nothing else."""

    @cases(list(MAKERS))
    def in_16_bits(self, maker: str) -> None:
        model, feeds, w, axis = MAKERS[maker]()
        outcome = self.quantize(model, "--method=qdq", "--fold-bits=16")
        self.check(outcome, feeds, in_16_bits(w, axis))

    def check(self, outcome, feeds: dict, want: reference.Quantized) -> None:
        view = outcome.view()
        dequantize = view.node("w", "DequantizeLinear")
        names = list(dequantize.input)
        self.assertEqual({n.domain for n in outcome.model.graph.node}, {""})
        np.testing.assert_array_equal(view.constant(names[0]), want.q)
        np.testing.assert_array_equal(view.constant(names[1]), want.scale.squeeze())
        zero_points = np.broadcast_to(want.zero_point, want.scale.shape).squeeze()
        # Also where it is 0: without it, engines up to 1.27 take it for one of uint8.
        np.testing.assert_array_equal(view.constant(names[2]), zero_points)
        self.assertEqual(view.constant(names[2]).dtype, want.q.dtype)
        replaced = build.with_weights(outcome.original, {"w": want.dequantize()})
        # At this level: at others the engine may take integers for the activations as well.
        expected, got = common.run(replaced, feeds, "disabled"), common.run(outcome.path, feeds, "disabled")
        np.testing.assert_allclose(expected[0], got[0], rtol=1e-5, atol=1e-6 * np.abs(expected[0]).max())

    @cases(TABLE)
    def stored(self, maker: str, scheme: str) -> None:
        model, feeds, w, axis = MAKERS[maker]()
        outcome = self.quantize(model, "--method", "qdq", *SCHEMES[scheme].flags())
        self.assertEqual(outcome.weight("w")["uses"][0]["form"], "DequantizeLinear")
        self.check(outcome, feeds, reference.quantize(w, SCHEMES[scheme], (axis,)))

    def test_before_axes(self) -> None:
        """Opset 12 has no axis: one scale for the whole weight."""
        w, x = build.weights(K, N), build.activations(5, K)
        outcome = self.quantize(build.matmul(x, w, opset=12), "--method", "qdq")
        self.check(outcome, {"x": x}, reference.quantize(w, Scheme(per_channel=False), ()))

    def test_unlike_channels_before_axes(self) -> None:
        """Kernels that normalizations were folded into differ: one scale for all rounds the small ones to nothing."""
        _, feeds, w, axis = conv()
        w *= np.geomspace(1, 1e-3, len(w), dtype=np.float32)[:, None, None, None]
        y = {"y": (1, len(w), 7, 7)}
        model = build.model([node("Conv", "x w", "y")], {"x": feeds["x"].shape}, y, {"w": w}, opset=12)
        outcome = self.quantize(model, "--method", "qdq")
        self.assertEqual([n.op_type for n in outcome.model.graph.node], ["Cast", "Mul", "Conv"])
        got, want = common.run(outcome.path, feeds)[0], common.run(model, feeds)[0]
        for channel in range(len(w)):
            self.assertLess(common.relative_error([want[:, channel]], [got[:, channel]]), 2)

    def test_like_channels_before_axes(self) -> None:
        x, w = build.activations(1, 8, 9, 9), build.rng(3).standard_normal((24, 8, 3, 3), dtype=np.float32)
        y = {"y": (1, len(w), 7, 7)}
        model = build.model([node("Conv", "x w", "y")], {"x": x.shape}, y, {"w": w}, opset=12)
        outcome = self.quantize(model, "--method", "qdq")
        self.assertEqual(outcome.weight("w")["uses"][0]["form"], "DequantizeLinear, one scale")
        self.check(outcome, {"x": x}, reference.quantize(w, Scheme(per_channel=False), ()))

    def test_before_the_operator(self) -> None:
        w, x = build.weights(K, N), build.activations(5, K)
        path = self.dir / "old.onnx"
        path.write_bytes(build.matmul(x, w, opset=9).SerializeToString())
        done = self.onnxq("quantize", "--method=qdq", "-v", path, self.dir / "o.onnx", status=5)
        self.assertIn("needs opset 10", done.stdout)
