"""Constants for which a rounded value is not a rounded result: they stay as they are, with a reason."""

import numpy as np
import onnx
from onnx import TensorProto, helper

import build
import common
import reference
from build import node
from harness import OrtTest, cases

ROWS, COLUMNS = 32, 48
METHODS = ("dynamic", "weights", "qdq", "blocks")
X = build.activations(ROWS, COLUMNS)
IDS = np.array([3, 17])


def spread(*shape: int) -> np.ndarray:
    """Positive, from 1e-4 to 100 in every row: what is small is lost where it is rounded."""
    return np.exp(build.rng(3).uniform(-9.2, 4.6, shape)).astype(np.float32)


def whole(*shape: int, high: int = 3000) -> np.ndarray:
    """Whole numbers, as exporters store indices and lengths."""
    return build.rng(4).integers(0, high, shape).astype(np.float32)


W = spread(ROWS, COLUMNS)
ONE, TWO = np.float32(1), np.array([2], np.int64)
DIVISOR, UNBOUNDED = "a divisor", "rounding has no bounded effect"
COMPARED, COORDINATES = "compared, or cut to integers", "coordinates"
SHORT = "rows too short for scales of their own"

# Nodes from w (and x) to y; w; other constants; the reason.
DIRECT = {
    "divisor": ([node("Div", "x w", "y")], W, {}, DIVISOR),
    "reciprocal": ([node("Reciprocal", "w", "y")], W, {}, DIVISOR),
    "part_of_a_divisor": (
        [node("Mul", "x w", "t"), node("Reciprocal", "t", "y")],
        W,
        {},
        "a divisor, in Reciprocal",
    ),
    "modulus": ([node("Mod", "x w", "y", fmod=1)], W, {}, DIVISOR),
    "logarithm": ([node("Log", "w", "y")], W, {}, UNBOUNDED),
    "root": ([node("Sqrt", "w", "y")], W, {}, UNBOUNDED),
    "exponential": ([node("Exp", "w", "y")], W, {}, UNBOUNDED),
    "inverse_power": ([node("Pow", "w p", "y")], W, {"p": np.float32(-2)}, DIVISOR),
    "angle": ([node("Cos", "w", "y")], W, {}, "an angle"),
    "exponent": ([node("Pow", "p w", "y")], W, {"p": np.float32(3)}, UNBOUNDED),
    "hyperbola": ([node("Atanh", "w", "y")], np.tanh(W / 10), {}, UNBOUNDED),
    "variance": (
        [node("Reshape", "x s", "q"), node("BatchNormalization", "q g g g w", "y")],
        spread(ROWS * COLUMNS),
        {"s": np.array([1, -1]), "g": np.ones(ROWS * COLUMNS, np.float32)},
        DIVISOR,
    ),
    "integers": ([node("Cast", "w", "y", to=TensorProto.INT64)], whole(ROWS, COLUMNS), {}, COMPARED),
    "booleans": ([node("Cast", "w", "y", to=TensorProto.BOOL)], W, {}, COMPARED),
    "like": ([node("CastLike", "w k", "y")], whole(ROWS, COLUMNS), {"k": np.int32(1)}, COMPARED),
    "equal": ([node("Equal", "w p", "y")], whole(ROWS, COLUMNS), {"p": whole(1, COLUMNS)}, COMPARED),
    "greater": ([node("Greater", "w p", "y")], W, {"p": np.float32(1e-2)}, COMPARED),
    "floor": ([node("Floor", "w", "y")], W, {}, COMPARED),
    "round": ([node("Round", "w", "y")], W, {}, COMPARED),
    "sign": ([node("Sign", "w", "y")], W, {}, COMPARED),
    "remainder": ([node("Mod", "w p", "y", fmod=1)], W, {"p": np.float32(0.1)}, COMPARED),
    "top": ([node("TopK", "w k", "u y", largest=0)], W, {"k": TWO}, COMPARED),
    "place": ([node("ArgMin", "w", "y", axis=1)], W, {}, COMPARED),
    "not_zero": ([node("NonZero", "w", "y")], W, {}, COMPARED),
    "hardmax": ([node("Hardmax", "w", "y")], -W, {}, COMPARED),
    "unique": ([node("Unique", "w", "y")], W, {}, COMPARED),
    "condition": (
        [node("Cast", "w", "c", to=TensorProto.BOOL), node("Where", "c x p", "y")],
        W,
        {"p": ONE},
        COMPARED,
    ),
    "indices": (
        [node("OneHot", "w d o", "y")],
        whole(ROWS, COLUMNS),
        {"d": np.float32(3000), "o": np.array([0, 1], np.float32)},
        "indices",
    ),
    "grid": (
        [node("Reshape", "x s", "q"), node("GridSample", "q w", "y", mode="nearest")],
        build.rng(5).uniform(-1, 1, (1, 24, 24, 2)).astype(np.float32),
        {"s": np.array([1, 1, ROWS, COLUMNS])},
        COORDINATES,
    ),
    "boxes": (
        [node("NonMaxSuppression", "w s m i", "y")],
        np.cumsum(spread(1, 400, 4), axis=2),
        {"s": spread(1, 1, 400), "m": np.array([99], np.int64), "i": np.array([0.3], np.float32)},
        COORDINATES,
    ),
    "regions": (
        [node("Reshape", "x s", "q"), node("RoiAlign", "q w b", "y", output_height=2, output_width=2)],
        np.sort(build.rng(6).uniform(0, 30, (400, 4)).astype(np.float32), axis=1),
        {"s": np.array([1, 1, ROWS, COLUMNS]), "b": np.zeros(400, np.int64)},
        COORDINATES,
    ),
}


def tail(w: str) -> list[onnx.NodeProto]:
    return [node("Log", w, "l"), node("Mul", "l p", "y")]


SHAPE = np.array([ROWS, COLUMNS])

# Chains from w to t, of which tail() takes the logarithm.
CHAINS = {
    "identity": ([node("Identity", "w", "t")], {}),
    "transpose": ([node("Transpose", "w", "t")], {}),
    "reshape": ([node("Reshape", "w s", "t")], {"s": np.array([COLUMNS, ROWS])}),
    "flatten": ([node("Flatten", "w", "t")], {}),
    "squeeze": ([node("Unsqueeze", "w a", "u"), node("Squeeze", "u a", "t")], {"a": np.array([0])}),
    "cast": ([node("Cast", "w", "t", to=TensorProto.DOUBLE)], {"p": np.float64(1)}),
    "slice": ([node("Slice", "w a b", "t")], {"a": np.array([3]), "b": np.array([30])}),
    "concat": ([node("Concat", "w w", "t", axis=0)], {}),
    "split": ([node("Split", "w", "u t", axis=1, num_outputs=2)], {}),
    "expand": ([node("Expand", "w s", "t")], {"s": np.array([2, ROWS, COLUMNS])}),
    "tile": ([node("Tile", "w s", "t")], {"s": np.array([2, 1])}),
    "pad": ([node("Pad", "w s f", "t")], {"s": np.array([1, 0, 0, 1]), "f": ONE}),
    "gather": ([node("Gather", "w i", "t")], {"i": np.array([5, 0, 7])}),
    "gather_elements": (
        [node("GatherElements", "w i", "t", axis=1)],
        {"i": np.tile(np.array([[4, 1, 2]]), (ROWS, 1))},
    ),
    "gather_nd": ([node("GatherND", "w i", "t")], {"i": np.array([[5], [0]])}),
    "scatter": (
        [node("ScatterND", "w i u", "t")],
        {"i": np.array([[0]]), "u": np.ones((1, COLUMNS), np.float32)},
    ),
    "depth": (
        [node("Reshape", "w s", "u"), node("DepthToSpace", "u", "t", blocksize=2)],
        {"s": np.array([1, 4, 16, 24])},
    ),
    "pool": (
        [node("Reshape", "w s", "u"), node("MaxPool", "u", "t", kernel_shape=[1, 1])],
        {"s": np.array([1, 1, ROWS, COLUMNS])},
    ),
    "where": ([node("Greater", "x p", "c"), node("Where", "c w p", "t")], {}),
    "smallest": ([node("ReduceMin", "w a", "t")], {"a": np.array([0])}),
    "maximum": ([node("Max", "w f", "t")], {"f": np.float32(1e-4)}),
    "clip": ([node("Clip", "w f", "t")], {"f": np.float32(1e-4)}),
    "factor": ([node("Mul", "w f", "t")], {"f": np.float32(3)}),
    "sum": ([node("Add", "w f", "t")], {"f": np.float32(1e-4)}),
    "twice_negative": ([node("Neg", "w", "u"), node("Neg", "u", "t")], {}),
    "computed_factor": (
        [node("Transpose", "f", "g"), node("Mul", "w g", "t")],
        {"f": np.ones((COLUMNS, ROWS), np.float32)},
    ),
    "function": ([node("Softsign", "w", "t")], {}),
    "product": ([node("MatMul", "w f", "t")], {"f": np.eye(COLUMNS, dtype=np.float32)}),
    "looked_up": ([node("Gather", "w ids", "u"), node("Mul", "u f", "t")], {"f": np.float32(3)}),
}

PAIRS = np.stack([spread(1024), 1000 * spread(1024)], axis=1)

COORDINATE_CHAINS = {
    "direct": ([node("Add", "r w", "y")], {}),
    "slice": (
        [node("Slice", "w a b", "t"), node("Add", "r t", "y")],
        {"a": np.array([0]), "b": np.array([1024])},
    ),
    "concat": (
        [node("Slice", "f a b", "g"), node("Concat", "w g", "t", axis=0), node("Add", "r t", "y")],
        {"f": np.ones((4, 2), np.float32), "a": np.array([0]), "b": np.array([0])},
    ),
    "reshape_and_scale": (
        [node("Reshape", "w s", "t"), node("Mul", "t p", "u"), node("Add", "r u", "y")],
        {"s": np.array([1, 1024, 2])},
    ),
    "gather": (
        [node("Identity", "w", "t"), node("Gather", "t i", "u"), node("Add", "r u", "y")],
        {"i": np.arange(1024)},
    ),
}


def body(nodes: list[onnx.NodeProto], inputs: list, outputs: list[str]) -> onnx.GraphProto:
    return helper.make_graph(nodes, "body", inputs, [build.info(name, None) for name in outputs])


def loop(nodes: list[onnx.NodeProto]) -> onnx.GraphProto:
    """A body with one state, s, which becomes t."""
    graph = body(
        [*nodes, node("Identity", "go", "on")],
        [
            build.info("n", [], TensorProto.INT64),
            build.info("go", [], TensorProto.BOOL),
            build.info("s", None),
        ],
        ["t"],
    )
    graph.output.insert(0, build.info("on", [], TensorProto.BOOL))
    return graph


LOOP = {"n2": np.int64(2), "yes": np.array(True)}

BODIES = {
    "captured": (
        [
            node("Identity", "w", "t"),
            node(
                "If",
                "yes",
                "y",
                then_branch=body([node("Log", "t", "a")], [], ["a"]),
                else_branch=body([node("Identity", "x", "b")], [], ["b"]),
            ),
        ],
        "in Log",
    ),
    "returned": (
        [
            node(
                "If",
                "yes",
                "t",
                then_branch=body([node("Transpose", "w", "a")], [], ["a"]),
                else_branch=body([node("Transpose", "x", "b")], [], ["b"]),
            ),
            *tail("t"),
        ],
        "in Log",
    ),
    "state": ([node("Loop", "n2 yes w", "y", body=loop([node("Log", "s", "t")]))], "in Log"),
    "state_of_no_turns": (
        [node("Loop", "n0 yes w", "q", body=loop([node("MatMul", "s v2", "t")])), *tail("q")],
        "in Log",
    ),
    "scanned": (
        [
            node(
                "Scan",
                "w",
                "y",
                num_scan_inputs=1,
                body=body([node("Reciprocal", "s", "a")], [build.info("s", [COLUMNS])], ["a"]),
            )
        ],
        "in Reciprocal",
    ),
}


def in_int8(w: np.ndarray) -> np.ndarray:
    """What a scale for each row makes of it."""
    rounded = reference.quantize(w.astype(np.float32), reference.Scheme(), tuple(range(w.ndim - 1)))
    return rounded.dequantize().astype(w.dtype)


class Harmless(OrtTest):
    def make(self, nodes: list, w: np.ndarray, constants: dict, opset: int = build.OPSET) -> onnx.ModelProto:
        """Nodes that use w to compute y, beside a product that is quantized all the same."""
        v = build.weights(COLUMNS, 96)
        constants = {"w": w, "v": v, "p": ONE, **LOOP, "n0": np.int64(0), **constants}
        constants["v2"] = np.eye(COLUMNS, dtype=np.float32)
        used = {name for n in nodes for name in n.input}
        used |= {name for n in nodes for a in n.attribute for m in a.g.node for name in m.input}
        inputs = {"x": X, "r": PAIRS, "ids": IDS}
        graph = build.graph(
            [*nodes, node("MatMul", "x v", "z")],
            {name: value for name, value in inputs.items() if name in used | {"x"}},
            {"y": None, "z": (ROWS, 96)},
            {name: value for name, value in constants.items() if name in used | {"v"}},
        )
        graph.output[0].CopyFrom(onnx.ValueInfoProto(name="y"))
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
        y = common.run(made, self.feeds(made))[0]
        graph.output[0].CopyFrom(build.infos({"y": y})[0])
        made.graph.CopyFrom(graph)
        return made

    def feeds(self, model: onnx.ModelProto) -> dict:
        values = {"x": X, "r": spread(*PAIRS.shape), "ids": IDS}
        return {value.name: values[value.name] for value in model.graph.input}

    def check(self, model: onnx.ModelProto, w: np.ndarray, reason: str, rounded: np.ndarray) -> None:
        """Rounding would show, so nothing is rounded, by any method; the rest is quantized."""
        feeds = self.feeds(model)
        want = common.run(model, feeds)[0]
        other = common.run(build.with_weights(model, {"w": rounded}), feeds)[0]
        self.assertTrue(differs(want, other), "rounding does no harm: a test that cannot fail")
        for method in METHODS:
            outcome = self.quantize(model, f"--method={method}")
            self.assertNotEqual(outcome.weight("v")["action"], "keep")
            weight = outcome.weight("w")
            self.assertEqual(weight["action"], "keep", method)
            self.assertIn(reason, " ".join(use["reason"] for use in weight["uses"]))
            got = common.run(outcome.path, feeds)[0]
            np.testing.assert_array_equal(got, want, method)

    @cases(DIRECT)
    def direct(self, nodes, w, constants, reason):
        self.check(self.make(nodes, w, constants), w, reason, in_int8(w))

    @cases(CHAINS)
    def chain(self, nodes, constants):
        model = self.make([*nodes, *tail("t")], W, constants)
        self.check(model, W, f"{UNBOUNDED}, in Log", in_int8(W))

    @cases(COORDINATE_CHAINS)
    def coordinates(self, nodes, constants):
        model = self.make(nodes, PAIRS, constants)
        self.check(model, PAIRS, SHORT, in_int8(PAIRS))

    @cases(BODIES)
    def body(self, nodes, reason):
        self.check(self.make(nodes, W, {}), W, reason, in_int8(W))

    @cases(["float16", "float64"])
    def types(self, dtype):
        """Also where the floats are others."""
        w = W.astype(dtype)
        nodes = [node("Transpose", "w", "t"), node("Reciprocal", "t", "y")]
        self.check(self.make(nodes, w, {}), w, f"{DIVISOR}, in Reciprocal", in_int8(w))


def differs(want: np.ndarray, got: np.ndarray) -> bool:
    """By more than a few parts of a hundred somewhere; in number, in integers, or not finite."""
    if want.shape != got.shape:
        return True
    if want.dtype.kind != "f":
        return bool((want != got).any())
    with np.errstate(invalid="ignore", divide="ignore"):
        return bool((~(np.abs(want - got) <= 0.05 * np.abs(want))).any())
