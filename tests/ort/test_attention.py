"""com.microsoft Attention as QAttention: the projection in integers, the rest as it was."""

import copy

import numpy as np
import onnx
from onnx import TensorProto

import build
import common
import reference
from build import node
from harness import OrtTest, Outcome, cases
from reference import SCHEMES, Scheme

DEFAULT = Scheme()
BATCH, LENGTH, INPUTS, HIDDEN, HEADS, BEFORE = 2, 10, 144, 160, 4, 6
W = build.weights(INPUTS, 3 * HIDDEN) / np.float32(8)
B = build.weights(3 * HIDDEN, seed=9) / np.float32(8)
X = build.activations(BATCH, LENGTH, INPUTS)
PAST = build.activations(2, BATCH, HEADS, BEFORE, HIDDEN // HEADS, seed=5)
LENGTHS = np.array([[7], [LENGTH]], np.int32)
MASKS = {
    "lengths": LENGTHS[:, 0],
    "ends_and_starts": np.array([7, 10, 0, 2], np.int32),
    "cumulated": np.array([7, 10, 0, 7, 17, 0, 7, 17], np.int32),
    "2d": (np.arange(LENGTH)[None] < LENGTHS).astype(np.int32),
    "3d": np.tril(np.ones((BATCH, LENGTH, LENGTH), np.int32)),
}


def make(names: str = "x w b", feeds: dict | None = None, w: np.ndarray = W, opset: int = 17, **attributes):
    """The model and its feeds; names as in `x w b m past bias`, a minus sign for one left out."""
    used = names.split()
    feeds = {"x": X, **(feeds or {})}
    constants = {name: value for name, value in {"w": w, "b": B}.items() if name in used}
    outputs = {"y": [None] * 3, **({"present": [None] * 5} if "past" in used else {})}
    attention = node(
        "Attention", names, " ".join(outputs), domain="com.microsoft", num_heads=HEADS, **attributes
    )
    model = build.model(
        [attention], feeds, outputs, constants, opset, imports={"com.microsoft": 1}
    )
    return model, feeds


class AttentionTest(OrtTest):
    def check(
        self, outcome: Outcome, feeds: dict, w: np.ndarray = W, scheme: Scheme = DEFAULT, bias: bool = True
    ) -> onnx.NodeProto:
        """The weights of the reference; the results of Attention on what the integers stand for."""
        quantized = reference.quantize_matmul(w, scheme)
        view = outcome.view()
        made = view.node("y", "com.microsoft.QAttention")
        quantizer = view.node(made.input[0], "DynamicQuantizeLinear")
        self.assertEqual(list(quantizer.output), [made.input[i] for i in (0, 3, 6)])
        np.testing.assert_array_equal(view.constant(made.input[1]), quantized.q)
        scale = view.constant(made.input[4])
        self.assertEqual(scale.shape, (w.shape[1],))
        np.testing.assert_array_equal(scale, np.broadcast_to(quantized.scale.reshape(-1), scale.shape))
        zero_point = made.input[7] if len(made.input) > 7 else ""
        np.testing.assert_array_equal(
            np.broadcast_to(view.constant(zero_point) if zero_point else 0, scale.shape),
            np.broadcast_to(quantized.zero_point.reshape(-1), scale.shape),
        )
        if not bias:
            np.testing.assert_array_equal(view.constant(made.input[2]), np.zeros(w.shape[1], np.float32))
        self.assertEqual(outcome.weight("w")["action"], "dynamic")
        self.check_values(outcome, feeds, quantized, bias)
        return made

    def check_values(self, outcome: Outcome, feeds: dict, quantized: reference.Quantized, bias: bool) -> None:
        original = build.with_weights(outcome.original, {"w": quantized.dequantize()})
        if not bias:  # ONNX Runtime crashes where Attention has none
            zeros = np.zeros(quantized.q.shape[1], np.float32)
            original.graph.initializer.append(onnx.numpy_helper.from_array(zeros, "zeros"))
            attention = original.graph.node[0]
            names = [*attention.input, *[""] * 3]
            names[2] = "zeros"
            del attention.input[:]
            attention.input.extend(names[: max(3, len(names) - 3)])
        exact = {**feeds, "x": reference.dynamic_quantize_linear(feeds["x"]).dequantize()}
        want, plain = common.run(original, exact), None
        for level, outputs in self.run_levels(outcome.path, feeds).items():
            for got, expected in zip(outputs, want, strict=True):
                self.assert_close(got, expected, 1e-4 * np.abs(expected).max(), level)
        if bias:
            plain = common.run(outcome.original, feeds)
            self.assertLess(common.relative_error(plain, outputs), 12)


class Forms(AttentionTest):
    @cases(
        {
            f"{name}{'_unidirectional' if one_way else ''}": (mask, one_way)
            for name, mask in MASKS.items()
            for one_way in (0, 1)
        }
    )
    def masks(self, mask, one_way):
        model, feeds = make("x w b m", {"m": mask}, unidirectional=one_way)
        made = self.check(self.quantize(model), feeds)
        self.assertEqual(made.input[5], "m")

    @cases({"both_ways": (0,), "one_way": (1,)})
    def past(self, one_way):
        model, feeds = make("x w b - past", {"past": PAST}, unidirectional=one_way)
        made = self.check(self.quantize(model), feeds)
        self.assertEqual((made.input[8], made.output[1]), ("past", "present"))

    def test_past_and_mask(self):
        mask = np.ones((BATCH, BEFORE + LENGTH), np.int32)
        mask[0, 3] = 0
        model, feeds = make("x w b m past", {"past": PAST, "m": mask})
        self.check(self.quantize(model), feeds)

    @cases(
        {
            "plain": ({},),
            "scale": ({"scale": 0.2},),
            "filter": ({"mask_filter_value": -2.0},),
            "no_rotary": ({"do_rotary": 0, "rotary_embedding_dim": 0},),
            "own_buffer": ({"past_present_share_buffer": 0},),
        }
    )
    def attributes(self, attributes):
        model, feeds = make("x w b m", {"m": MASKS["2d"]}, **attributes)
        made = self.check(self.quantize(model), feeds)
        kept = {"num_heads", *attributes} - {"rotary_embedding_dim"}
        self.assertEqual({a.name for a in made.attribute}, kept)

    @cases({"short": ("x w",), "empty": ("x w -",), "mask": ("x w - m",)})
    def no_bias(self, names):
        model, feeds = make(names, {"m": MASKS["2d"]} if "m" in names else {})
        self.check(self.quantize(model), feeds, bias=False)

    def test_bias_that_varies(self):
        model, feeds = make("x w c", {"c": B})
        self.check(self.quantize(model), feeds)

    def test_weight_behind_a_transpose(self):
        model, feeds = make()
        model.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(W.T.copy(), "v"))
        model.graph.node.insert(0, node("Transpose", "v", "w", perm=[1, 0]))
        outcome = self.quantize(model)
        quantized = reference.quantize_matmul(W, DEFAULT)
        made = outcome.view().node("y", "com.microsoft.QAttention")
        np.testing.assert_array_equal(outcome.view().constant(made.input[1]), quantized.q)
        got, want = common.run(outcome.path, feeds), common.run(model, feeds)
        self.assertLess(common.relative_error(want, got), 12)

    def test_shared_activation(self):
        """A MatMul reads the same values: quantized once."""
        model, feeds = make()
        v = build.weights(INPUTS, 500, seed=4)
        model.graph.initializer.append(onnx.numpy_helper.from_array(v, "v"))
        model.graph.node.append(node("MatMul", "x v", "z"))
        model.graph.output.append(build.info("z", (BATCH, LENGTH, 500)))
        outcome = self.quantize(model)
        self.assert_fused(outcome.path, shared=1, quantizers=1)
        self.assertEqual(self.optimized(outcome.path)["com.microsoft.QAttention"], 1)


class Kinds(AttentionTest):
    @cases({name: (scheme,) for name, scheme in SCHEMES.items()})
    def schemes(self, scheme):
        model, feeds = make("x w b m", {"m": MASKS["2d"]})
        outcome = self.quantize(model, *scheme.flags())
        quantized = reference.quantize_matmul(W, scheme)
        self.check_values_of(outcome, feeds, quantized)

    def check_values_of(self, outcome: Outcome, feeds: dict, quantized: reference.Quantized) -> None:
        """Without a bound on the error: per tensor and with 7 bits it is as large as it is."""
        original = build.with_weights(outcome.original, {"w": quantized.dequantize()})
        exact = {**feeds, "x": reference.dynamic_quantize_linear(X).dequantize()}
        want = common.run(original, exact)
        for level, outputs in self.run_levels(outcome.path, feeds).items():
            self.assert_close(outputs[0], want[0], 1e-4 * np.abs(want[0]).max(), level)
        self.assertEqual(outcome.weight("w")["uses"][0]["form"], "QAttention")

    @cases(list(range(11, build.NEWEST + 1)))
    def opsets(self, opset):
        model, feeds = make(opset=opset)
        self.check(self.quantize(model), feeds)

    @cases(
        {
            "sizes": ("x w b", {}, {"qkv_hidden_sizes": [HIDDEN] * 3}, W, 17),
            "bias_of_its_own": (
                "x w b - - a",
                {"a": build.activations(BATCH, HEADS, LENGTH, LENGTH)},
                {},
                W,
                17,
            ),
            "opset_10": ("x w b", {}, {}, W, 10),
        }
    )
    def folded(self, names, extra, attributes, w, opset):
        model, feeds = make(names, extra, w, opset, **attributes)
        outcome = self.quantize(model)
        self.assertEqual(outcome.weight("w")["action"], "fold")
        self.assertTrue(outcome.weight("w")["uses"][0]["reason"])
        quantized = reference.quantize_matmul(w, DEFAULT)
        self.assert_folds_to(outcome, feeds, {"w": quantized.dequantize()})

    @cases({"default": ((), "fold"), "forced": (("--force-integer",), "dynamic")})
    def small(self, flags, action):
        w = build.weights(INPUTS, 3 * 16) / np.float32(8)
        model, feeds = make("x w b", None, w)
        model.graph.initializer[1].CopyFrom(onnx.numpy_helper.from_array(B[: 3 * 16].copy(), "b"))
        outcome = self.quantize(model, *flags)
        self.assertEqual(outcome.weight("w")["action"], action)
        if action == "dynamic":
            self.check(outcome, feeds, w)

    def test_float16(self):
        halves = {"x": X.astype(np.float16), "past": PAST.astype(np.float16)}
        model, feeds = make("x w b m past", {**halves, "m": np.ones((BATCH, BEFORE + LENGTH), np.int32)})
        w, b = W.astype(np.float16), B.astype(np.float16)
        for tensor, value in zip(model.graph.initializer, (w, b)):
            tensor.CopyFrom(onnx.numpy_helper.from_array(value, tensor.name))
        for output in model.graph.output:
            output.type.tensor_type.elem_type = TensorProto.FLOAT16
        outcome = self.quantize(model)
        quantized = reference.quantize_matmul(w.astype(np.float32), DEFAULT)
        node_name = outcome.view().node("y", "Cast").input[0]
        made = outcome.view().node(node_name, "com.microsoft.QAttention")
        np.testing.assert_array_equal(outcome.view().constant(made.input[1]), quantized.q)
        want = common.run(model, feeds)
        for level, outputs in self.run_levels(outcome.path, feeds).items():
            self.assertEqual([o.dtype for o in outputs], [np.float16] * 2, level)
            self.assertLess(common.relative_error(want, outputs), 12, level)


class Optimizer(AttentionTest):
    """Attention as ONNX Runtime's own optimizer of transformers makes it."""

    def test_bert_layer(self):
        try:
            from onnxruntime.transformers.onnx_model_bert import BertOnnxModel
        except ImportError as error:
            self.skipTest(f"no optimizer in this onnxruntime: {error}")
        model, feeds = self.make_layer()
        layer = BertOnnxModel(copy.deepcopy(model), HEADS, HIDDEN)
        layer.fuse_attention()
        layer.prune_graph()
        layer.topological_sort()
        attention = [n for n in layer.model.graph.node if n.op_type == "Attention"]
        self.assertEqual(len(attention), 1, "the optimizer has not found the layer")
        outcome = self.quantize(layer.model)
        self.assertEqual(outcome.weight(attention[0].input[1])["uses"][0]["form"], "QAttention")
        got, want = common.run(outcome.path, feeds), common.run(model, feeds)
        self.assertLess(common.relative_error(want, got), 5)
        self.assertEqual(self.optimized(outcome.path)["com.microsoft.QAttention"], 1)

    def make_layer(self):
        """The attention of BERT as exporters write it, between the norms that the optimizer looks for."""
        size = HIDDEN // HEADS
        constants = {
            **{f"w{n}": build.weights(HIDDEN, HIDDEN, seed=i) / np.float32(8) for i, n in enumerate("qkvo")},
            **{f"b{n}": build.weights(HIDDEN, seed=10 + i) / np.float32(8) for i, n in enumerate("qkvo")},
            **{name: np.ones(HIDDEN, np.float32) for name in ("g0", "g1")},
            **{name: np.zeros(HIDDEN, np.float32) for name in ("z0", "z1")},
            "split": np.array([0, 0, HEADS, size]),
            "join": np.array([0, 0, HIDDEN]),
            "root": np.array(size**0.5, np.float32),
            "one": np.array(1, np.float32),
            "low": np.array(-10000, np.float32),
            "first": np.array([1]),
            "second": np.array([2]),
        }
        nodes = [node("LayerNormalization", "x g0 z0", "h", axis=-1)]
        nodes += [
            node("Unsqueeze", "m first", "m3"),
            node("Unsqueeze", "m3 second", "m4"),
            node("Cast", "m4", "mf", to=TensorProto.FLOAT),
            node("Sub", "one mf", "ms"),
            node("Mul", "ms low", "mask"),
        ]
        for n, perm in (("q", [0, 2, 1, 3]), ("k", [0, 2, 3, 1]), ("v", [0, 2, 1, 3])):
            nodes += [
                node("MatMul", f"h w{n}", f"{n}1"),
                node("Add", f"b{n} {n}1", f"{n}2"),
                node("Reshape", f"{n}2 split", f"{n}3"),
                node("Transpose", f"{n}3", f"{n}4", perm=perm),
            ]
        nodes += [
            node("MatMul", "q4 k4", "s1"),
            node("Div", "s1 root", "s2"),
            node("Add", "s2 mask", "s3"),
            node("Softmax", "s3", "s4", axis=-1),
            node("MatMul", "s4 v4", "c1"),
            node("Transpose", "c1", "c2", perm=[0, 2, 1, 3]),
            node("Reshape", "c2 join", "c3"),
            node("MatMul", "c3 wo", "o1"),
            node("Add", "bo o1", "o2"),
            node("Add", "o2 h", "o3"),
            node("LayerNormalization", "o3 g1 z1", "y", axis=-1),
        ]
        x = build.activations(BATCH, LENGTH, HIDDEN)
        feeds = {"x": x, "m": MASKS["2d"].astype(np.int64)}
        return build.model(nodes, feeds, {"y": x.shape}, constants, 17), feeds
