"""Models on which onnxruntime's quantize_dynamic crashes, writes what does not load, or makes things worse.

What other files test already (shared weights, names, float16, NaN, bodies ..) is not here again.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import build
import common
from build import node
from harness import OrtTest, cases

M, K, N = 5, build.SQUARE, build.SQUARE
X = build.activations(M, K)
W = build.weights(K, N)
IMAGE = build.activations(1, 8, 12, 12)
FILTER = build.weights(16, 8, 3, 3)
STEPS = build.activations(6, 2, 40)
HIDDEN = 48
GATES = {
    "w": build.weights(1, 4 * HIDDEN, 40, seed=3) / 4,
    "r": build.weights(1, 4 * HIDDEN, HIDDEN, seed=4) / 4,
    "r2": build.weights(1, 4 * HIDDEN, HIDDEN, seed=5) / 4,
}


@dataclass
class Case:
    """A model, what has to become of its weights, and how far its outputs may be off, in percent."""

    model: onnx.ModelProto
    feeds: dict[str, np.ndarray]
    actions: dict[str, str]
    percent: float = 2
    flags: list[str] = field(default_factory=list)


def constant(name: str, value: np.ndarray) -> onnx.NodeProto:
    return node("Constant", "", name, value=numpy_helper.from_array(value))


def contrib(op_type: str, inputs: str, output: str, **attributes) -> onnx.NodeProto:
    return node(op_type, inputs, output, domain="com.microsoft", **attributes)


# --- Conv ----------------------------------------------------------------------


def conv_weight_in_constant_node(bias: str = "") -> Case:
    nodes = [constant("w", FILTER), node("Conv", f"x w {bias}", "y")]
    constants = {"b": build.activations(16)} if bias else {}
    return Case(
        build.model(nodes, {"x": IMAGE.shape}, {"y": [None] * 4}, constants), {"x": IMAGE}, {"w": "fold"}
    )


def conv_weight_is_an_input() -> Case:
    """Nothing is known of it; the Conv beside it is quantized."""
    nodes = [node("Conv", "x w b", "y"), node("Conv", "x v", "z")]
    constants = {"b": build.activations(16), "v": FILTER}
    inputs = {"x": IMAGE.shape, "w": FILTER.shape}
    return Case(
        build.model(nodes, inputs, {"y": [None] * 4, "z": [None] * 4}, constants),
        {"x": IMAGE, "w": FILTER * 2},
        {"v": "fold", "b": "keep"},
    )


def conv_after_unknown_shape() -> Case:
    """The shape of what it takes is computed by the model."""
    nodes = [node("Reshape", "x shape", "h"), node("Conv", "h w", "y")]
    model = build.model(nodes, {"x": ["n"], "shape": ["rank"]}, {"y": [None] * 4}, {"w": FILTER})
    model.graph.input[1].type.tensor_type.elem_type = TensorProto.INT64
    return Case(model, {"x": IMAGE.reshape(-1), "shape": np.array(IMAGE.shape)}, {"w": "fold"})


# --- types that are not known, names ------------------------------------------


def matmul_after_contrib_operator() -> Case:
    """Inference does not see the type of what FastGelu makes."""
    nodes = [contrib("FastGelu", "x", "h"), node("MatMul", "h w", "y")]
    model = build.model(nodes, {"x": X.shape}, {"y": (M, N)}, {"w": W}, imports={"com.microsoft": 1})
    return Case(model, {"x": X}, {"w": "dynamic"})


def names_with_the_usual_endings() -> Case:
    """Those that quantizers like to give."""
    endings = ("quantized", "scale", "zero_point", "output_quantized", "output_scale_mul", "QuantizeLinear")
    taken = [f"{name}_{ending}" for name in "xwy" for ending in endings]
    nodes = [node("Identity", "x", taken[0], name=taken[0])]
    nodes += [node("Identity", left, right, name=right) for left, right in zip(taken, taken[1:])]
    nodes.append(node("MatMul", f"{taken[-1]} w", "y"))
    return Case(build.model(nodes, {"x": X.shape}, {"y": (M, N)}, {"w": W}), {"x": X}, {"w": "dynamic"})


# --- LSTM, and operators without integers --------------------------------------


def lstm_weights_in_constant_nodes() -> Case:
    nodes = [constant("w", GATES["w"]), constant("r", GATES["r"])]
    nodes.append(node("LSTM", "x w r", "y", hidden_size=HIDDEN))
    return Case(
        build.model(nodes, {"x": STEPS.shape}, {"y": [None] * 4}),
        {"x": STEPS},
        {"w": "dynamic", "r": "dynamic"},
        percent=4,
    )


def two_lstms_share_one_weight() -> Case:
    """W is the same, R is not."""
    nodes = [node("LSTM", f"x w {r}", y, hidden_size=HIDDEN) for r, y in (("r", "y"), ("r2", "z"))]
    return Case(
        build.model(nodes, {"x": STEPS.shape}, {"y": [None] * 4, "z": [None] * 4}, GATES),
        {"x": STEPS},
        dict.fromkeys(GATES, "dynamic"),
        percent=4,
    )


def attention_with_qkv_hidden_sizes() -> Case:
    x, w = build.activations(2, 7, 64), build.weights(64, 48 + 48 + 64) / 4
    attention = contrib("Attention", "x w b", "y", num_heads=4, qkv_hidden_sizes=[48, 48, 64])
    model = build.model(
        [attention], {"x": x.shape}, {"y": x.shape}, {"w": w, "b": w[0]}, imports={"com.microsoft": 1}
    )
    return Case(model, {"x": x}, {"w": "fold", "b": "keep"}, percent=5)


def embed_layer_normalization() -> Case:
    ids = np.array([[5, 0, 199], [7, 8, 9]], np.int32)
    tables = {"words": build.weights(200, 64), "places": build.weights(30, 64), "kinds": build.weights(2, 64)}
    norm = {"gamma": build.activations(64), "beta": build.activations(64, seed=8)}
    embed = contrib("EmbedLayerNormalization", "ids kind words places kinds gamma beta", "y mask")
    model = build.model(
        [embed],
        {"ids": ids, "kind": ids},
        {"y": (2, 3, 64)},
        {**tables, **norm},
        imports={"com.microsoft": 1},
    )
    actions = {"words": "fold", "places": "fold", "kinds": "keep", "gamma": "keep", "beta": "keep"}
    return Case(model, {"ids": ids, "kind": ids % 2}, actions)


# --- old operators: the opset stays, so nothing about them changes ---------------


def upsample_opset_9() -> Case:
    """Converted to Resize, mode linear would mean something else."""
    nodes = [node("Upsample", "x scales", "h", mode="linear"), node("Conv", "h w", "y")]
    constants = {"scales": np.array([1, 1, 2, 2], np.float32), "w": FILTER}
    return Case(
        build.model(nodes, {"x": IMAGE.shape}, {"y": [None] * 4}, constants, 9), {"x": IMAGE}, {"w": "fold"}
    )


def dropout_mask_opset_9() -> Case:
    """Until version 10 the mask has the type of the data."""
    nodes = [node("Dropout", "x", "h mask"), node("MatMul", "h w", "p"), node("Add", "p mask", "y")]
    x = build.activations(M, K)
    model = build.model(nodes, {"x": x.shape}, {"y": (M, N)}, {"w": W}, 9)
    return Case(model, {"x": x}, {"w": "dynamic"})


def gemm_opset_10() -> Case:
    nodes = [node("Gemm", "x w b", "y", transB=1, alpha=0.5, beta=2.0)]
    constants = {"w": W, "b": build.activations(N)}
    return Case(
        build.model(nodes, {"x": X.shape}, {"y": (M, N)}, constants, 10),
        {"x": X},
        {"w": "dynamic", "b": "keep"},
    )


def weights_in_if_only() -> Case:
    """Nothing else is in the model."""
    then_branch = build.graph([node("MatMul", "x w", "t")], {}, {"t": (M, N)}, {"w": W})
    else_branch = build.graph([node("Gemm", "x v", "e")], {}, {"e": (M, N)}, {"v": W[:, ::-1].copy()})
    nodes = [node("If", "condition", "y", then_branch=then_branch, else_branch=else_branch)]
    condition = np.array(True)
    model = build.model(nodes, {"x": X.shape, "condition": condition}, {"y": (M, N)})
    return Case(model, {"x": X, "condition": condition}, {"w": "dynamic", "v": "dynamic"})


CASES: dict[str, Callable[[], Case]] = {
    "conv_weight_in_constant_node": conv_weight_in_constant_node,
    "conv_weight_in_constant_node_and_bias": lambda: conv_weight_in_constant_node("b"),
    "conv_weight_is_an_input": conv_weight_is_an_input,
    "conv_after_unknown_shape": conv_after_unknown_shape,
    "matmul_after_contrib_operator": matmul_after_contrib_operator,
    "names_with_the_usual_endings": names_with_the_usual_endings,
    "lstm_weights_in_constant_nodes": lstm_weights_in_constant_nodes,
    "two_lstms_share_one_weight": two_lstms_share_one_weight,
    "attention_with_qkv_hidden_sizes": attention_with_qkv_hidden_sizes,
    "embed_layer_normalization": embed_layer_normalization,
    "upsample_opset_9": upsample_opset_9,
    "dropout_mask_opset_9": dropout_mask_opset_9,
    "gemm_opset_10": gemm_opset_10,
    "weights_in_if_only": weights_in_if_only,
}


class Quantized(OrtTest):
    @cases({name: (make,) for name, make in CASES.items()})
    def right(self, make):
        """Loads at every level, is close to the float model, and is smaller."""
        case = make()
        outcome = self.quantize(case.model, *case.flags, min_elements=1024)
        self.assertEqual({name: outcome.weight(name)["action"] for name in case.actions}, case.actions)
        want = common.run(outcome.source, case.feeds)
        for level, outputs in self.run_levels(outcome.path, case.feeds).items():
            self.assertLess(common.relative_error(want, outputs), case.percent, level)
        self.assertLess(outcome.path.stat().st_size, outcome.source.stat().st_size)


# --- nothing to gain ------------------------------------------------------------


def no_weights() -> onnx.ModelProto:
    return build.model([node("Relu", "x", "y")], {"x": X.shape}, {"y": X.shape})


def no_onnx_domain() -> onnx.ModelProto:
    """Only ai.onnx.ml is imported."""
    scaler = node("Scaler", "x", "y", domain="ai.onnx.ml", offset=[0.5], scale=[2.0])
    main = build.graph([scaler], {"x": X.shape}, {"y": X.shape})
    return helper.make_model(main, opset_imports=[helper.make_opsetid("ai.onnx.ml", 3)], ir_version=8)


def if_without_weights() -> onnx.ModelProto:
    bodies = {
        f"{branch}_branch": build.graph([node(op, "x", branch[0])], {}, {branch[0]: X.shape})
        for branch, op in (("then", "Relu"), ("else", "Neg"))
    }
    return build.model(
        [node("If", "condition", "y", **bodies)], {"x": X.shape, "condition": np.array(True)}, {"y": X.shape}
    )


def small_weights() -> onnx.ModelProto:
    return build.matmul(build.activations(3, 31), build.weights(31, 33))


def scales_would_weigh_more() -> onnx.ModelProto:
    return build.matmul(build.activations(3, 1), build.weights(1, 5000))


def not_finite() -> onnx.ModelProto:
    return build.matmul(X, W * np.float32(np.nan))


def quantized_before() -> onnx.ModelProto:
    q, s = np.ones((K, N), np.int8), np.full(N, 0.1, np.float32)
    nodes = [node("DequantizeLinear", "q s", "w", axis=1), node("MatMul", "x w", "y")]
    return build.model(nodes, {"x": X.shape}, {"y": (M, N)}, {"q": q, "s": s})


NOTHING: dict[str, Callable[[], onnx.ModelProto]] = {
    "no_weights": no_weights,
    "no_onnx_domain": no_onnx_domain,
    "if_without_weights": if_without_weights,
    "small_weights": small_weights,
    "scales_would_weigh_more": scales_would_weigh_more,
    "not_finite": not_finite,
    "quantized_before": quantized_before,
}


class NothingToQuantize(OrtTest):
    @cases(
        {
            f"{name}_{method}": (make, method)
            for name, make in NOTHING.items()
            for method in ("dynamic", "weights", "qdq")
        }
    )
    def said(self, make, method):
        """No bigger copy: exit code 5, and what was there before is still there."""
        source, out = self.dir / "model.onnx", self.dir / "out.onnx"
        source.write_bytes(make().SerializeToString())
        out.write_bytes(b"before")
        done = self.onnxq("quantize", source, out, "--method", method, status=5)
        self.assertRegex(done.stderr, "nothing (left )?to quantize")
        self.assertEqual(out.read_bytes(), b"before")
        self.onnxq("quantize", source, out, "--method", method, "--allow-noop")
        self.assertEqual(out.read_bytes(), source.read_bytes())
