"""Products in other words: what ONNX Runtime's optimizer joins, Einsum, local functions with weights."""

import json

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

import build
import common
import ranges
from build import node
from harness import OrtTest, Outcome, cases
from patterns import op_counts

K, N = 512, 768
X = build.activations(2, 5, K)
W = build.weights(K, N)
FLAGS = {"dynamic": [], "blocks": ["--method=blocks"], "weights": ["--method=weights"], "qdq": ["--method=qdq"]}
CONTRIB = {"com.microsoft": 1}


class ExpandTest(OrtTest):
    def check(self, model: onnx.ModelProto, feeds: dict, *flags: str) -> Outcome:
        """What comes out computes the same but for rounding, and comes back."""
        outcome = self.quantize(model, *flags)
        back = self.dir / "float.onnx"
        self.onnxq("dequantize", outcome.path, back)
        want = common.run(outcome.source, feeds)
        for path, level in ((outcome.path, "disabled"), (outcome.path, "all"), (back, "all")):
            for left, right in zip(want, common.run(path, feeds, level), strict=True):
                self.assertEqual(left.shape, right.shape)
                self.assertLess(common.relative_error([left], [right]), 6 if "--method=blocks" in flags else 4, path)
        self.assertFalse({"MatMulInteger", "com.microsoft.MatMulNBits"} & set(op_counts(onnx.load(back))))
        return outcome


# --- operators --------------------------------------------------------------------

HEADS = build.weights(K, 8, 96)
EQUATIONS = {
    "straight": ("bsh,hd->bsd", X, W, (2, 5, N)),
    "turned": ("bsd,hd->bsh", X, W.T, (2, 5, N)),
    "more": ("...d,df->...f", X, W, (2, 5, N)),
    "more_turned": ("...d,fd->...f", X, W.T, (2, 5, N)),
    "spaces": (" b s h , h d -> b s d ", X, W, (2, 5, N)),
    "columns_in_front": ("bsh,hd->dbs", X, W, (N, 2, 5)),
    "rows_change_places": ("bsh,hd->sbd", X, W, (5, 2, N)),
    "sum_in_the_middle": ("bhs,hd->bsd", X.transpose(0, 2, 1), W, (2, 5, N)),
    "heads": ("bsd,dhk->bhsk", X, HEADS, (2, 8, 5, 96)),
    "heads_in_place": ("bsd,dhk->bshk", X, HEADS, (2, 5, 8, 96)),
    "out_of_heads": ("bshk,hkd->bsd", build.activations(2, 5, 8, 96), build.weights(8, 96, K), (2, 5, K)),
    "out_of_turned_heads": ("bhsk,dhk->bsd", build.activations(2, 8, 5, 96), build.weights(K, 8, 96), (2, 5, K)),
    "one_row": ("h,hd->d", X[0, 0], W, (N,)),
    "heads_in_front": ("bsd,hdk->bhsk", X, HEADS.transpose(1, 0, 2), (2, 8, 5, 96)),
    "keys_and_values": ("bsd,ckdh->cbskh", X, build.weights(2, 4, K, 96), (2, 2, 5, 4, 96)),
    "out_of_heads_in_front": (
        "bshk,hdk->bsd",
        build.activations(2, 5, 8, 96),
        build.weights(8, 96, K).transpose(0, 2, 1),
        (2, 5, K),
    ),
    "implied": ("sh,hz", X[0], W, (5, N)),
    "implied_turned": ("sh,hd", X[0], W, (N, 5)),
}
# What is no product of two matrices stays as it is, and folded.
OTHERS = {
    "batch": ("bsh,bhd->bsd", X, build.weights(2, K, N), (2, 5, N)),
    "sum_of_rows": ("bsh,hd->bd", X, W, (2, N)),
    "sum_of_columns": ("bsh,hd->bs", X, W, (2, 5)),
    "diagonal": ("hh,hd->d", build.activations(K, K), W, (N,)),
    "outer": ("bs,hd->bshd", X[0, :, :2], W, (5, 2, K, N)),
    "more_heads": ("...d,dhk->...hk", X, HEADS, (2, 5, 8, 96)),
}


class Einsum(ExpandTest):
    def make(self, equation, x, w, shape, inputs="x w", **fields) -> tuple[onnx.ModelProto, dict]:
        x, w = np.ascontiguousarray(x), np.ascontiguousarray(w)
        made = build.model([node("Einsum", inputs, "y", equation=equation)], {"x": x.shape}, {"y": shape}, {"w": w}, **fields)
        return made, {"x": x}

    @cases({f"{name}_{method}": (name, method) for name in EQUATIONS for method in FLAGS})
    def product(self, name, method):
        outcome = self.check(*self.make(*EQUATIONS[name]), *FLAGS[method])
        self.assertEqual(outcome.weight("w")["uses"][0]["op_type"], "Einsum")
        if method == "dynamic":
            self.assertEqual(outcome.weight("w")["action"], "dynamic")
            self.assert_fused(outcome.path, single=1)
        elif method == "blocks":
            self.assertEqual(op_counts(outcome.model)["com.microsoft.MatMulNBits"], 1)
        else:
            self.assertEqual(op_counts(outcome.model)["Einsum"], 1)

    @cases({name: (name,) for name in EQUATIONS})
    def weight_first(self, name):
        equation, x, w, shape = EQUATIONS[name]
        left, arrow, right = equation.partition("->")
        equation = ",".join(reversed(left.split(","))) + arrow + right
        outcome = self.check(*self.make(equation, x, w, shape, "w x", opset=12))
        self.assert_fused(outcome.path, single=1)

    @cases({name: (name,) for name in OTHERS})
    def other(self, name):
        outcome = self.check(*self.make(*OTHERS[name]))
        self.assertEqual(outcome.weight("w")["action"], "fold")
        self.assertEqual(op_counts(outcome.model)["Einsum"], 1)

    @cases({"straight": ("bsh,hd->bsd", False), "turned": ("hbs,hd->bsd", False), "behind": ("bsh,hd->bsd", True)})
    def float16(self, equation, is_behind):
        """ONNX Runtime crashes where it joins a Transpose and a MatMul of float16: no such product is written."""
        is_turned = is_behind or equation[0] == "h"
        x = np.ascontiguousarray(np.moveaxis(X, -1, 0) if is_turned else X, np.float16)
        turn = [node("Transpose", "x", "t", perm=[1, 2, 0])] if is_behind else []
        nodes = [*turn, node("Einsum", "t w" if is_behind else "x w", "y", equation=equation)]
        y = np.zeros((2, 5, N), np.float16)
        model = build.model(nodes, {"x": x}, {"y": y}, {"w": W.astype(np.float16)})
        self.assertEqual(op_counts(self.check(model, {"x": x}).model)["Einsum"], is_turned)

    def test_an_output_that_is_turned(self):
        """ONNX Runtime loses what a Transpose gives back to the caller, where it joins that to a Gemm."""
        v, x = build.weights(N, 24, seed=5), build.activations(5, K)
        nodes = [node("Einsum", "x w", "y", equation="sh,hd->ds"), node("Gemm", "v y", "z", transA=1)]
        model = build.model(nodes, {"x": x.shape, "v": (N, 24)}, {"y": (N, 5), "z": (24, 5)}, {"w": W})
        outcome = self.check(model, {"x": x, "v": v})
        self.assertEqual(op_counts(outcome.model)["Einsum"], 1)

    def test_selected(self):
        """An operator is known by its own name and type."""
        model, _ = self.make(*EQUATIONS["heads"])
        self.assertEqual(self.quantize(model, "--op-types=Einsum").weight("w")["action"], "dynamic")
        onnx.save(model, self.dir / "model.onnx")
        for flag in ("--exclude-op-types=Einsum", "--exclude=einsum_y"):
            self.onnxq("quantize", self.dir / "model.onnx", self.dir / "none.onnx", flag, status=5)


class Fused(ExpandTest):
    @cases(
        {
            f"A{int(a)}B{int(b)}_alpha_{alpha}_{method}": (a, b, alpha, method)
            for a in (0, 1)
            for b in (0, 1)
            for alpha in (1.0, -0.125)
            for method in FLAGS
        }
    )
    def matmul(self, a, b, alpha, method):
        x, w = X.transpose(0, 2, 1).copy() if a else X, W.T.copy() if b else W
        fused = node("FusedMatMul", "x w", "y", domain="com.microsoft", transA=a, transB=b, alpha=alpha)
        model = build.model([fused], {"x": x.shape}, {"y": (2, 5, N)}, {"w": w}, imports=CONTRIB)
        outcome = self.check(model, {"x": x}, *FLAGS[method])
        self.assertEqual(outcome.weight("w")["uses"][0]["op_type"], "FusedMatMul")
        if method == "dynamic":
            self.assert_fused(outcome.path, single=1)
        elif method == "blocks":
            self.assertEqual(op_counts(outcome.model)["com.microsoft.MatMulNBits"], 1)

    @cases(
        {
            "batches_change_places": ({"transBatchA": 1},),
            "alpha_is_infinite": ({"alpha": float("inf")},),
        }
    )
    def other_matmul(self, attributes):
        x = build.activations(5, 2, K) if "transBatchA" in attributes else X
        fused = node("FusedMatMul", "x w", "y", domain="com.microsoft", **attributes)
        model = build.model([fused], {"x": x.shape}, {"y": (2, 5, N)}, {"w": W}, imports=CONTRIB)
        outcome = self.quantize(model)
        self.assertEqual(outcome.weight("w")["action"], "fold")

    @cases(
        {
            f"{activation}_{c}_{method}": (activation, attributes, c, method)
            for activation, attributes in (
                ("Relu", {}),
                ("LeakyRelu", {"alpha": 0.3}),
                ("Tanh", {}),
                ("Elu", {"alpha": 0.5}),
                ("Selu", {"alpha": 1.2, "gamma": 0.9}),
                ("HardSigmoid", {"alpha": 0.1, "beta": 0.4}),
            )
            for c in ("row", "none", "full")
            for method in ("dynamic", "blocks", "weights")
        }
    )
    def gemm(self, activation, attributes, c, method):
        constants = {"w": W.T.copy() * np.float32(0.01)}
        if c != "none":
            constants["c"] = build.weights(N) if c == "row" else build.weights(5, N)
        gemm = node(
            "FusedGemm",
            "x w" if c == "none" else "x w c",
            "y",
            domain="com.microsoft",
            transB=1,
            alpha=0.5,
            activation=activation,
            **{f"activation_{key}": value for key, value in attributes.items()},
        )
        model = build.model([gemm], {"x": (5, K)}, {"y": (5, N)}, constants, imports=CONTRIB)
        outcome = self.check(model, {"x": X[0]}, *FLAGS[method])
        self.assertEqual(outcome.weight("w")["uses"][0]["op_type"], "FusedGemm")
        if method == "dynamic":
            self.assert_fused(outcome.path, single=1)

    @cases({f"opset_{opset}": (opset,) for opset in (7, 9, 10, 11)})
    def gemm_without_bias(self, opset):
        """Gemm itself has to have one, up to opset 10: no optimizer makes one of those."""
        gemm = node("FusedGemm", "x w", "y", domain="com.microsoft", activation="Relu")
        shapes = {"x": (5, K)}, {"y": (5, N)}
        model = build.model([gemm], *shapes, {"w": W * np.float32(0.01)}, opset=opset, imports=CONTRIB)
        self.check(model, {"x": X[0]})

    def test_what_the_optimizer_makes(self):
        """A model that ONNX Runtime has saved after its own optimization."""
        nodes = [
            node("Transpose", "x", "t", perm=[0, 2, 1]),
            node("MatMul", "t w", "m"),
            node("Mul", "m tenth", "s"),
            node("Reshape", "s shape", "r"),
            node("Gemm", "r v b", "g", transB=1),
            node("Relu", "g", "y"),
        ]
        x = build.activations(2, K, 5)
        constants = {
            "w": W, "v": build.weights(256, N), "b": build.weights(256), "tenth": np.float32(0.1),
            "shape": np.array([10, N], np.int64),
        }
        onnx.save(build.model(nodes, {"x": x.shape}, {"y": (10, 256)}, constants), self.dir / "plain.onnx")
        options = onnxruntime.SessionOptions()
        options.optimized_model_filepath = str(self.dir / "model.onnx")
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        options.log_severity_level = 3
        onnxruntime.InferenceSession(self.dir / "plain.onnx", options, providers=["CPUExecutionProvider"])
        model = onnx.load(self.dir / "model.onnx")
        counts = op_counts(model)
        self.assertEqual((counts["com.microsoft.FusedMatMul"], counts["com.microsoft.FusedGemm"]), (1, 1))
        outcome = self.quantize(self.dir / "model.onnx")
        self.assert_fused(outcome.path, single=2)
        want, got = (common.run(p, {"x": x}) for p in (outcome.source, outcome.path))
        self.assertLess(common.relative_error(want, got), 4)


# --- local functions --------------------------------------------------------------


def function(name, inputs, outputs, nodes, attributes=(), defaults=(), opset=build.OPSET, imports=(), **fields):
    sets = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, 1) for d in ("local", *imports))]
    return helper.make_function(
        "local", name, inputs.split(), outputs.split(), nodes, sets, list(attributes), list(defaults), **fields
    )


def constant(name: str, value: np.ndarray) -> onnx.NodeProto:
    return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(value))


def referring(made: onnx.NodeProto, **references: str) -> onnx.NodeProto:
    for name, (of, kind) in references.items():
        made.attribute.add(name=name, ref_attr_name=of, type=kind)
    return made


LINEAR = function(
    "Linear", "x w b", "y", [node("Transpose", "w", "t"), node("MatMul", "x t", "m"), node("Add", "m b", "y")]
)
SQUARE = build.weights(K, K) * np.float32(0.05)
HOLDS = function("Holds", "x", "y", [constant("w", SQUARE), node("MatMul", "x w", "m"), node("Tanh", "m", "y")])


class Functions(ExpandTest):
    def make(self, nodes, functions, constants, shape=(2, 5, K), opset=build.OPSET, **fields) -> onnx.ModelProto:
        return build.model(
            nodes, {"x": X.shape}, {"y": shape}, constants, opset, imports={"local": 1}, functions=functions, **fields
        )

    @cases({method: (method,) for method in FLAGS})
    def receives(self, method):
        """One function, called with weights of unlike size."""
        nodes = [
            node("Linear", "x w b", "h", domain="local"),
            node("Tanh", "h", "r"),
            node("Linear", "r v c", "y", domain="local"),
        ]
        constants = {"w": W.T.copy(), "b": build.weights(N), "v": build.weights(K, N), "c": build.weights(K)}
        outcome = self.check(self.make(nodes, [LINEAR], constants), {"x": X}, *FLAGS[method])
        self.assertFalse(outcome.model.functions)
        if method == "dynamic":
            self.assert_fused(outcome.path, single=2)
            self.assertEqual(
                [use["node"] for w in ("w", "v") for use in outcome.weight(w)["uses"]],
                ["linear_h/matmul_m", "linear_y/matmul_m"],
            )

    @cases({method: (method,) for method in FLAGS})
    def holds(self, method):
        """A weight in a function that others call: stored once."""
        outer = function("Outer", "x", "y", [node("Holds", "x", "m", domain="local"), node("Holds", "m", "y", domain="local")])
        nodes = [node("Outer", "x", "z", domain="local"), node("Outer", "z", "y", domain="local")]
        outcome = self.check(self.make(nodes, [HOLDS, outer], {}), {"x": X}, *FLAGS[method])
        stored = [t for t in outcome.model.graph.initializer if np.prod(t.dims) == K * K]
        self.assertEqual(len(stored), 1)
        if method == "dynamic":
            self.assert_fused(outcome.path, single=4)

    def test_attributes(self):
        """References to attributes of the call, given, by default, and left out."""
        kinds = onnx.AttributeProto
        body = [
            referring(node("Gemm", "x w", "g"), transB=("turned", kinds.INT), alpha=("factor", kinds.FLOAT)),
            referring(node("LeakyRelu", "g", "y"), alpha=("slope", kinds.FLOAT)),
        ]
        default = helper.make_attribute("factor", 0.5)
        dense = function("Dense", "x w", "y", body, ["turned", "slope"], [default])
        nodes = [
            node("Reshape", "x rows", "r"),
            node("Dense", "r w", "h", domain="local", turned=1, slope=0.3),
            node("Dense", "h v", "z", domain="local", factor=0.01),
            node("Reshape", "z shape", "y"),
        ]
        constants = {
            "w": W.T.copy(), "v": build.weights(N, K), "rows": np.array([-1, K], np.int64),
            "shape": np.array([2, 5, K], np.int64),
        }
        outcome = self.check(self.make(nodes, [dense], constants), {"x": X})
        self.assert_fused(outcome.path, single=2)

    def test_inputs_left_out(self):
        body = [node("Clip", "x low", "c"), node("MatMul", "c w", "y")]
        nodes = [node("Clipped", "x w", "a", domain="local"), node("Clipped", "x w zero", "b", domain="local"), node("Add", "a b", "y")]
        model = self.make(nodes, [function("Clipped", "x w low", "y", body)], {"w": W, "zero": np.float32(0)}, (2, 5, N))
        outcome = self.check(model, {"x": X})
        self.assert_fused(outcome.path, single=2)

    def test_bodies(self):
        """If in a function sees the function's values; a call in an If sees those around it."""
        then = build.graph([node("MatMul", "x w", "a"), node("Add", "a b", "t")], {}, {"t": None})
        other = build.graph([node("MatMul", "x w", "e")], {}, {"e": None})
        body = [
            node("Neg", "bias", "b"),
            node("If", "c", "m", then_branch=then, else_branch=other),
            node("Tanh", "m", "y"),
        ]
        choose = function("Choose", "x w bias c", "y", body)
        inner = build.graph([node("Choose", "h w b c", "i", domain="local")], {}, {"i": (2, 5, K)}, name="inner")
        outer = build.graph([node("Neg", "h", "o")], {}, {"o": (2, 5, K)}, name="outer")
        nodes = [node("Choose", "x w b c", "h", domain="local"), node("If", "c", "y", then_branch=inner, else_branch=outer)]
        model = build.model(
            nodes, {"x": X.shape, "c": np.array(True)}, {"y": (2, 5, K)}, {"w": SQUARE, "b": build.weights(K)},
            imports={"local": 1}, functions=[choose],
        )
        for value in (True, False):
            self.check(model, {"x": X, "c": np.array(value)})

    def test_names_that_clash(self):
        """The function's names are those of the graph, and of what it would be called."""
        nodes = [
            node("Linear", "x w b", "t", domain="local", name="n"),
            node("Neg", "t", "n/m"),
            node("Linear", "n/m v c", "m", domain="local", name="n/m_1"),
            node("Neg", "m", "y"),
        ]
        constants = {"w": W.T.copy(), "b": build.weights(N), "v": build.weights(K, N), "c": build.weights(K)}
        outcome = self.check(self.make(nodes, [LINEAR], constants), {"x": X})
        self.assert_fused(outcome.path, single=2)

    def test_outputs(self):
        """A constant that is returned, and a result that nobody wants."""
        body = [constant("k", build.weights(3)), node("MatMul", "x w", "m"), node("Neg", "m", "n")]
        many = function("Many", "x w", "n m k", body)
        nodes = [helper.make_node("Many", ["x", "w"], ["lost", "a", "k"], domain="local", name="many")]
        model = build.model(
            nodes, {"x": X.shape},
            {"a": (2, 5, N), "k": (3,)}, {"w": W},
            imports={"local": 1}, functions=[many],
        )
        outcome = self.check(model, {"x": X})
        np.testing.assert_array_equal(common.run(outcome.path, {"x": X})[1], build.weights(3))

    def test_overloads(self):
        """Functions of one name, told apart by their overload."""
        plain = function("Product", "x w", "y", [node("MatMul", "x w", "y")], overload="plain")
        turned = function("Product", "x w", "y", [node("Transpose", "w", "t"), node("MatMul", "x t", "y")], overload="turned")
        nodes = [node("Product", "x w", "h", domain="local"), node("Product", "h v", "y", domain="local")]
        for made, overload in zip(nodes, ("plain", "turned"), strict=True):
            made.overload = overload
        model = self.make(nodes, [plain, turned], {"w": W, "v": build.weights(K, N)}, ir_version=10)
        outcome = self.check(model, {"x": X})
        self.assert_fused(outcome.path, single=2)

    def test_older_version(self):
        """A function of an older operator set is written out where its operators still mean the same."""
        old = function("Old", "x w", "y", [node("MatMul", "x w", "m"), node("Relu", "m", "y")], opset=18)
        outcome = self.check(self.make([node("Old", "x w", "y", domain="local")], [old], {"w": W}, (2, 5, N)), {"x": X})
        self.assertEqual(outcome.weight("w")["action"], "dynamic")

    def test_other_version(self):
        """ReduceSum had its axes in an attribute before: nothing is done, and it is said why."""
        old = function("Old", "x w", "y", [node("MatMul", "x w", "m"), node("ReduceSum", "m", "y", axes=[0])], opset=12)
        model = build.graph([node("Old", "x w", "y", domain="local")], {"x": X.shape}, {"y": None}, {"w": W})
        made = helper.make_model(
            model, functions=[old], opset_imports=[helper.make_opsetid("", 21), helper.make_opsetid("local", 1)]
        )
        onnx.save(made, self.dir / "model.onnx")
        done = self.onnxq("quantize", "-v", "--dry-run", self.dir / "model.onnx", status=5)
        self.assertIn("local function Old is not written out", done.stdout)

    @cases({"more_than_are_written": (20,), "deeper_than_is_written": (40,)})
    def calls_in_calls(self, depth):
        """Each calls the next twice: what would be too many stay calls, and that is said."""
        twice = [
            function(f"F{i}", "x w", "y", [node(f"F{i + 1}", "x w", "m", domain="local"), node(f"F{i + 1}", "m w", "y", domain="local")])
            for i in range(depth)
        ]
        last = function(f"F{depth}", "x w", "y", [node("MatMul", "x w", "m"), node("Tanh", "m", "y")])
        graph = build.graph([node("F0", "x w", "y", domain="local")], {"x": X.shape}, {"y": X.shape}, {"w": SQUARE})
        imports = [helper.make_opsetid("", build.OPSET), helper.make_opsetid("local", 1)]
        onnx.save(helper.make_model(graph, functions=[*twice, last], opset_imports=imports), self.dir / "model.onnx")
        done = self.onnxq("quantize", "-v", "--dry-run", self.dir / "model.onnx", status=5)
        self.assertIn("local function F0 is not written out", done.stdout)

    def test_bodies_in_bodies(self):
        """What is written out is nested no deeper than engines read."""

        def nest(inner: onnx.NodeProto, name: str) -> list[onnx.NodeProto]:
            made = inner
            for i in range(12):
                then = build.graph([made], {}, {made.output[0]: None}, name=f"{name}_then_{i}")
                other = build.graph([node("Neg", "x", f"{name}_e{i}")], {}, {f"{name}_e{i}": None}, name=f"{name}_else_{i}")
                made = node("If", "c", f"{name}_{i}", then_branch=then, else_branch=other)
            return [made, node("MatMul", f"{made.output[0]} w", "y")]

        inner = function("Inner", "x w c", "y", nest(node("Tanh", "x", "t"), "n"))
        outer = function("Outer", "x w v c", "y", nest(node("Inner", "x v c", "o", domain="local"), "m"))
        nodes = nest(node("Outer", "x w v c", "h", domain="local"), "g")
        feeds = {"x": X, "c": np.array(True)}
        graph = build.graph(nodes, feeds, {"y": X.shape}, {"w": SQUARE, "v": SQUARE + 1})
        imports = [helper.make_opsetid("", build.OPSET), helper.make_opsetid("local", 1)]
        model = helper.make_model(graph, functions=[inner, outer], opset_imports=imports, ir_version=10)
        onnx.save(model, self.dir / "model.onnx")
        outcome = self.quantize(self.dir / "model.onnx", "--method=weights", min_elements=1)
        for value in (True, False):
            want, got = (common.run(p, feeds | {"c": np.array(value)}) for p in (outcome.source, outcome.path))
            self.assertLess(common.relative_error(want, got), 4)

    def test_body_as_attribute(self):
        """A function that is given a body, and has it twice, stays."""
        branches = [node("If", "c", name) for name in "ab"]
        for branch in branches:
            for name in ("then_branch", "else_branch"):
                referring(branch, **{name: ("body", onnx.AttributeProto.GRAPH)})
        given = function("Given", "x w c", "y", [*branches, node("Add", "a b", "y")], ["body"])
        body = build.graph([node("Neg", "x", "t")], {}, {"t": None}, name="body")
        nodes = [node("Given", "x w c", "y", domain="local", body=body)]
        graph = build.graph(nodes, {"x": X.shape, "c": np.array(True)}, {"y": None}, {"w": W})
        imports = [helper.make_opsetid("", build.OPSET), helper.make_opsetid("local", 1)]
        onnx.save(helper.make_model(graph, functions=[given], opset_imports=imports), self.dir / "model.onnx")
        done = self.onnxq("quantize", "-v", "--dry-run", self.dir / "model.onnx", status=5)
        self.assertIn("local function Given is not written out", done.stdout)

    def test_static(self):
        """Ranges are of the file's values; those inside a function have none, and are measured as they come."""
        nodes = [
            node("Einsum", "x w", "e", equation="bsh,hd->bsd"),
            node("Tanh", "e", "t"),
            node("Linear", "t v c", "y", domain="local"),
        ]
        constants = {"w": W, "v": build.weights(K, N), "c": build.weights(K)}
        model = self.make(nodes, [LINEAR], constants)
        path = ranges.write(self.dir / "ranges.json", model, [{"x": X}])
        outcome = self.quantize(model, "--method=static", f"--ranges={path}")
        want, got = (common.run(p, {"x": X}) for p in (outcome.source, outcome.path))
        self.assertLess(common.relative_error(want, got), 6)
        self.assertTrue({outcome.weight(name)["action"] for name in "wv"} <= {"dynamic", "static"})

    def test_without_weights(self):
        """Functions that no weight meets stay functions."""
        gate = function("Gate", "x", "y", [node("Sigmoid", "x", "s"), node("Mul", "x s", "y")])
        nodes = [node("MatMul", "x w", "m"), node("Gate", "m", "y", domain="local")]
        outcome = self.check(self.make(nodes, [gate], {"w": W}, (2, 5, N)), {"x": X})
        self.assertEqual([f.name for f in outcome.model.functions], ["Gate"])

    @cases(
        {
            "call": ("--exclude=linear_h", ["keep", "dynamic"]),
            "function": ("--op-types=Linear", ["dynamic", "dynamic"]),
            "inside": ("--include=linear_h/*", ["dynamic", "keep"]),
        }
    )
    def selected(self, flag, expected):
        """A node in a function goes by the name of the call as well, and by that of the function."""
        nodes = [node("Linear", "x w b", "h", domain="local"), node("Linear", "h v c", "y", domain="local")]
        constants = {"w": W.T.copy(), "b": build.weights(N), "v": build.weights(K, N), "c": build.weights(K)}
        onnx.save(self.make(nodes, [LINEAR], constants), self.dir / "model.onnx")
        done = self.onnxq("quantize", "--dry-run", "--json", self.dir / "model.onnx", flag)
        actions = {w["name"]: w["action"] for w in json.loads(done.stdout)["weights"]}
        self.assertEqual([actions[w] for w in "wv"], expected)
