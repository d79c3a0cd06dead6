"""QuantizeLinear of constants, as exports of quantization-aware training have it: integers are stored."""

import numpy as np
import onnx

import build
import common
from build import node
from harness import OrtTest, cases

W = build.weights(24, 16, 3, 3)
X = build.activations(1, 16, 9, 9)


def scales(axis: int | None) -> np.ndarray:
    """Some elements are cut off, and some lie halfway between two integers."""
    n = 1 if axis is None else W.shape[axis]
    scale = (np.abs(W).max() / np.linspace(90, 200, n)).astype(np.float32)
    return scale[0] if axis is None else scale


def make(axis: int | None, dtype: type, zero: str, clip: bool = False, opset: int = 13, w: np.ndarray = W):
    scale = scales(axis)
    center = 128 if dtype == np.uint8 else 0
    zero_point = np.full(scale.shape, center) + (np.arange(scale.size).reshape(scale.shape) if zero == "other" else 0)
    along = {} if axis is None else {"axis": axis}
    constants = {"w": w, "s": scale, "z": zero_point.astype(dtype)}
    zero_name = "" if zero == "none" else " z"
    nodes, q = [node("QuantizeLinear", "w s" + zero_name, "q", **along)], "q"
    if zero == "none":
        del constants["z"]
    if clip:
        nodes.append(node("Clip", "q lo hi", "c"))
        constants |= {"lo": np.array(-100, dtype), "hi": np.array(100, dtype)}
        q = "c"
    nodes += [node("DequantizeLinear", f"{q} s" + zero_name, "d", **along), node("Conv", "x d", "y")]
    return build.model(nodes, {"x": X.shape}, {"y": (1, 24, 7, 7)}, constants, opset)


def chains(what: str) -> onnx.ModelProto:
    """Nodes of exporters between tensors and QuantizeLinear: shared numbers, other types, turned weights."""
    scale, zero = scales(0), np.zeros(24, np.int8)
    constants = {"w": W, "s": scale, "z": zero}
    quantize = [node("QuantizeLinear", "v t u", "q", axis=0), node("DequantizeLinear", "q t u", "d", axis=0)]
    same = {name: node("Identity", source, name) for name, source in (("v", "w"), ("t", "s"), ("u", "z"))}
    last = [node("Conv", "x d", "y")]
    if what == "reshaped":
        constants |= {"w": W.reshape(24, -1), "shape": np.array(W.shape)}
        same["v"] = node("Reshape", "w shape", "v")
    elif what in ("float16", "cast"):
        constants["w"] = W.astype(np.float16)
        if what == "cast":
            same["v"] = node("Cast", "w", "v", to=onnx.TensorProto.FLOAT)
        else:
            constants["s"] = scale.astype(np.float16)
            last = [
                node("Cast", "x", "h", to=onnx.TensorProto.FLOAT16),
                node("Conv", "h d", "half"),
                node("Cast", "half", "y", to=onnx.TensorProto.FLOAT),
            ]
    elif what in ("int32", "int64"):
        constants["z"] = np.zeros((24 if what == "int32" else 1), what)
        same["u"] = node("Cast", "z", "u", to=onnx.TensorProto.INT8)
        if what == "int64":
            constants["s"] = scale[:1]
    elif what in ("rows", "columns"):
        axis = 1 if what == "rows" else 0
        flat = W.reshape(24, -1)
        n = flat.shape[1 - axis]
        constants |= {"w": flat, "s": np.resize(scale, n), "z": np.zeros(n, np.int8), "shape": np.array(W.shape)}
        same["v"] = node("Transpose", "w", "v", perm=[1, 0])
        quantize = [node(n.op_type, " ".join(n.input), n.output[0], axis=axis) for n in quantize]
        last = [node("Transpose", "d", "e"), node("Reshape", "e shape", "f"), node("Conv", "x f", "y")]
    elif what in ("called_twice", "two_scales"):
        if what == "two_scales":
            constants["s2"] = scale * np.float32(1.5)
        more = "w s2 z" if what == "two_scales" else "w t u"
        quantize += [node("QuantizeLinear", more, "q2", axis=0), node("DequantizeLinear", "q2" + more[1:], "d2", axis=0)]
        last = [node("Conv", "x d", "y1"), node("Conv", "x d2", "y2"), node("Add", "y1 y2", "y")]
    return build.model([*same.values(), *quantize, *last], {"x": X.shape}, {"y": (1, 24, 7, 7)}, constants, 19)


class Quantizers(OrtTest):
    @cases(
        {
            "tensor": (None, np.int8, "zero"),
            "channels": (0, np.int8, "zero"),
            "other_axis": (1, np.int8, "other"),
            "axis_from_the_end": (-3, np.int8, "other"),
            "uint8": (0, np.uint8, "other"),
            "no_zero_point": (None, np.uint8, "none"),
            "clip": (0, np.int8, "zero", True),
            "opset_10": (None, np.int8, "zero", False, 10),
            "opset_21": (0, np.int8, "zero", False, 21),
        }
    )
    def integers(self, *arguments):
        model = make(*arguments)
        outcome = self.quantize(model)
        self.assertEqual(outcome.weight("w")["action"], "fold")
        self.assertNotIn("QuantizeLinear", [n.op_type for n in outcome.model.graph.node])
        [stored] = [t for t in outcome.model.graph.initializer if list(t.dims) == list(W.shape)]
        self.assertEqual(len(stored.raw_data), W.size)
        want = common.run(model, {"x": X}, "disabled")[0]
        np.testing.assert_array_equal(common.run(outcome.path, {"x": X}, "disabled")[0], want)

    @cases(
        {
            what: (what, stored)
            for what, stored in {
                "identity": 1,
                "float16": 1,
                "cast": 1,
                "reshaped": 1,
                "int32": 1,
                "int64": 1,
                "rows": 1,
                "columns": 1,
                "called_twice": 1,
                "two_scales": 2,
            }.items()
        }
    )
    def chain(self, what, stored):
        model = chains(what)
        outcome = self.quantize(model)
        self.assertNotIn("QuantizeLinear", [n.op_type for n in outcome.model.graph.node])
        large = [t for t in outcome.model.graph.initializer if np.prod(t.dims) == W.size]
        self.assertEqual([t.data_type for t in large], [onnx.TensorProto.INT8] * stored)
        for level in ("disabled", "all"):
            want = common.run(model, {"x": X}, level)[0]
            np.testing.assert_array_equal(common.run(outcome.path, {"x": X}, level)[0], want)

    @cases({"float_needed": ("returned",), "nan": ("nan",), "small": ("small",)})
    def what_stays(self, why):
        w = W.copy()
        if why == "nan":
            w[0, 0, 0, 0] = np.nan
        model = make(None, np.int8, "zero", w=w)
        if why == "returned":
            model.graph.output.append(onnx.helper.make_tensor_value_info("w", 1, W.shape))
        onnx.save(model, self.dir / "model.onnx")
        limit = W.size + 1 if why == "small" else 1
        self.onnxq(
            "quantize", self.dir / "model.onnx", self.dir / "out.onnx", f"--min-elements={limit}", status=5
        )

    @cases({"channels": (0, np.int8, "zero"), "other_axis": (1, np.int8, "other"), "uint8": (0, np.uint8, "other")})
    def way_back(self, *arguments):
        """The weight that was trained is what is left."""
        onnx.save(make(*arguments), self.dir / "model.onnx")
        self.onnxq("dequantize", self.dir / "model.onnx", self.dir / "out.onnx")
        made = onnx.load(self.dir / "out.onnx")
        self.assertEqual([n.op_type for n in made.graph.node], ["Conv"])
        [stored] = made.graph.initializer
        np.testing.assert_array_equal(onnx.numpy_helper.to_array(stored), W)

    @cases({"tensor": (None,), "columns": (1,), "rows": (0,), "from_the_end": (-1,)})
    def behind_a_transpose(self, axis):
        """DequantizeLinear of integers that a Transpose turns; the axis is that of the result."""
        q = np.random.default_rng(1).integers(-128, 128, (70, 130)).astype(np.int8)
        n = 1 if axis is None else q.T.shape[axis]
        scale, zero = np.linspace(0.01, 0.1, n).astype(np.float32), (np.arange(n) % 5).astype(np.int8)
        constants = {"q": q, "s": scale if n > 1 else scale[0], "z": zero if n > 1 else zero[0]}
        along = {} if axis is None else {"axis": axis}
        nodes = [node("Transpose", "q", "t"), node("DequantizeLinear", "t s z", "w", **along), node("MatMul", "x w", "y")]
        x = build.activations(3, 130)
        model = build.model(nodes, {"x": x.shape}, {"y": (3, 70)}, constants, 13)
        onnx.save(model, self.dir / "model.onnx")
        self.onnxq("dequantize", self.dir / "model.onnx", self.dir / "out.onnx")
        made = onnx.load(self.dir / "out.onnx")
        self.assertEqual([n.op_type for n in made.graph.node], ["MatMul"])
        got, want = (common.run(m, {"x": x}, "disabled")[0] for m in (self.dir / "out.onnx", model))
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)
