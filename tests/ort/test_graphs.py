"""Bodies of If, Loop and Scan; names; weights among the graph's inputs; other domains and functions."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import build
import common
import reference
from build import node
from harness import OrtTest, cases
from patterns import all_graphs, all_nodes, match
from reference import Scheme

DEFAULT = Scheme()
M, K, N = 4, build.SQUARE, build.SQUARE
X = build.activations(M, K)
W = build.weights(K, N)
V = build.weights(K, N, seed=21)
TRUE, FALSE = np.array(True), np.array(False)


def product(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    return reference.dynamic_matmul(x, reference.quantize_matmul(w, DEFAULT))


def if_model(
    then_nodes, else_nodes, constants: dict, inner: dict | None = None, extra: list = (), **fields
) -> onnx.ModelProto:
    """y = condition ? t : e, both [M, N]"""
    then_branch = build.graph(then_nodes, {}, {"t": (M, N)}, inner, "then_body")
    else_branch = build.graph(else_nodes, {}, {"e": (M, N)}, name="else_body")
    nodes = [*extra, node("If", "condition", "y", then_branch=then_branch, else_branch=else_branch)]
    return build.model(nodes, {"x": X.shape, "condition": TRUE}, {"y": (M, N)}, constants, **fields)


class Bodies(OrtTest):
    def body_matches(self, outcome) -> list:
        """What computes the values t, e or s of all bodies."""
        found, views = [], [outcome.view()]
        for view in views:
            views += [inner for n in view.graph.node for inner in reversed(view.inner(n))]  # then, else
            found += [
                match(view, o.name) for o in view.graph.output if o.name in "tes" and view.graph.name != "g"
            ]
        return found

    def check_if(self, model, then_w: np.ndarray, else_w: np.ndarray, *flags, fused: int = 2) -> None:
        outcome = self.quantize(model, *flags)
        for found, w in zip(self.body_matches(outcome), (then_w, else_w), strict=True):
            self.assert_stored(found, reference.quantize_matmul(w, DEFAULT))
        for condition, w in ((TRUE, then_w), (FALSE, else_w)):
            want = product(X, w)
            for level, outputs in self.run_levels(outcome.path, {"x": X, "condition": condition}).items():
                self.assert_close(outputs[0], want, 1e-5 * np.abs(want), level)
        ops = self.optimized(outcome.path)
        self.assertEqual(
            ops["com.microsoft.DynamicQuantizeMatMul"] + ops["com.microsoft.MatMulIntegerToFloat"], fused
        )
        self.assertFalse(ops["MatMulInteger"] or ops["Cast"], ops)

    @cases({"opset_21": (21,), "opset_11": (11,), "opset_9": (9,)})
    def outer_weights(self, opset):
        self.check_if(
            if_model(
                [node("MatMul", "x w", "t")], [node("MatMul", "x v", "e")], {"w": W, "v": V}, opset=opset
            ),
            W,
            V,
        )

    def test_one_outer_weight(self):
        self.check_if(
            if_model([node("MatMul", "x w", "t")], [node("Gemm", "x w", "e", transB=1)], {"w": W}),
            W,
            W.T.copy(),
        )

    def test_weight_inside_the_body(self):
        self.check_if(
            if_model([node("MatMul", "x inner", "t")], [node("MatMul", "x v", "e")], {"v": V}, {"inner": W}),
            W,
            V,
        )

    def test_constant_node_inside_the_body(self):
        constant = node("Constant", "", "inner", value=numpy_helper.from_array(W))
        self.check_if(
            if_model([constant, node("MatMul", "x inner", "t")], [node("MatMul", "x v", "e")], {"v": V}), W, V
        )

    def test_a_name_inside_and_outside(self):
        """ONNX forbids it. The engine takes the outer one, whatever the body has: both stay."""
        model = if_model([node("MatMul", "x v", "t")], [node("MatMul", "x v", "e")], {"v": V}, {"v": W})
        u = build.weights(N, N, seed=9)
        model.graph.initializer.append(numpy_helper.from_array(u, "u"))
        model.graph.node.append(node("MatMul", "y u", "z"))
        model.graph.output.append(build.info("z", (M, N)))
        outcome = self.quantize(model, "--method=weights")
        weights = [(w["name"], w["action"]) for w in outcome.report["weights"]]
        self.assertEqual(sorted(weights), [("u", "fold"), ("v", "keep"), ("v", "keep")])
        for condition in (TRUE, FALSE):
            feeds = {"x": X, "condition": condition}
            want = self.run_levels(self.dir / "model.onnx", feeds)
            got = self.run_levels(outcome.path, feeds)
            for level in want:
                np.testing.assert_allclose(got[level][0], want[level][0], rtol=1e-5, atol=1e-5)

    def test_outer_activation_is_shared(self):
        """x is also multiplied outside."""
        model = if_model(
            [node("MatMul", "x w", "t")],
            [node("MatMul", "x v", "e")],
            {"w": W, "v": V},
            extra=[node("MatMul", "x w", "z")],
        )
        model.graph.output.append(build.info("z", (M, N)))
        self.check_if(model, W, V, fused=3)

    def test_small_weight_is_folded(self):
        w = build.weights(K, 12)
        then_branch = build.graph([node("MatMul", "x w", "t")], {}, {"t": (M, 12)})
        else_branch = build.graph(
            [node("Constant", "", "e", value=numpy_helper.from_array(np.zeros((M, 12), np.float32)))],
            {},
            {"e": (M, 12)},
        )
        model = build.model(
            [node("If", "condition", "y", then_branch=then_branch, else_branch=else_branch)],
            {"x": X.shape, "condition": TRUE},
            {"y": (M, 12)},
            {"w": w},
        )
        outcome = self.quantize(model)
        self.assert_folds_to(
            outcome, {"x": X, "condition": TRUE}, {"w": reference.quantize_matmul(w, DEFAULT).dequantize()}
        )

    def test_no_subgraphs(self):
        model = if_model(
            [node("MatMul", "x w", "t")],
            [node("MatMul", "x v", "e")],
            {"w": W, "v": V, "u": -W},
            extra=[node("MatMul", "x u", "z")],
        )
        model.graph.output.append(build.info("z", (M, N)))
        outcome = self.quantize(model, "--no-subgraphs")
        self.assertEqual([found.form for found in self.body_matches(outcome)], ["float", "float"])
        self.assertEqual(outcome.match("z").form, "dynamic")
        for condition, w in ((TRUE, W), (FALSE, V)):
            got = common.run(outcome.path, {"x": X, "condition": condition})[0]
            np.testing.assert_array_equal(
                got, common.run(outcome.original, {"x": X, "condition": condition})[0]
            )

    def test_nested(self):
        """If inside If, weights of three scopes."""
        innermost = build.graph([node("MatMul", "x w", "t")], {}, {"t": (M, N)}, name="innermost")
        other = build.graph([node("MatMul", "x middle", "e")], {}, {"e": (M, N)}, name="other")
        then_nodes = [node("If", "condition2", "s", then_branch=innermost, else_branch=other)]
        then_branch = build.graph(then_nodes, {}, {"s": (M, N)}, {"middle": V}, "then_body")
        else_branch = build.graph([node("MatMul", "x w", "e2")], {}, {"e2": (M, N)}, name="else_body")
        model = build.model(
            [node("If", "condition", "y", then_branch=then_branch, else_branch=else_branch)],
            {"x": X.shape, "condition": TRUE, "condition2": TRUE},
            {"y": (M, N)},
            {"w": W},
        )
        outcome = self.quantize(model)
        for first, second, w in ((TRUE, TRUE, W), (TRUE, FALSE, V), (FALSE, TRUE, W)):
            want = product(X, w)
            for outputs in self.run_levels(
                outcome.path, {"x": X, "condition": first, "condition2": second}
            ).values():
                self.assert_close(outputs[0], want, 1e-5 * np.abs(want))
        self.assert_fused(outcome.path, single=3)

    def loop_body(self, weight: str, inner: dict | None = None) -> onnx.GraphProto:
        """state += 1; s = state @ weight is collected."""
        nodes = [
            node("Add", "state one", "next"),
            node("MatMul", f"state {weight}", "s"),
            node("Identity", "going", "go"),
        ]
        return build.graph(
            nodes,
            {"i": np.array(0), "going": TRUE, "state": (M, K)},
            {"go": TRUE, "next": (M, K), "s": (M, N)},
            inner,
            "loop_body",
        )

    @cases({"outer": ("w", None), "inner": ("inner", {"inner": W})})
    def loop(self, weight, inner):
        nodes = [node("Loop", "count - x", "last y", body=self.loop_body(weight, inner))]
        outer = {"one": np.float32(1), **({} if inner else {"w": W})}
        model = build.model(
            nodes, {"x": X.shape, "count": np.array(0)}, {"last": (M, K), "y": (None, M, N)}, outer
        )
        outcome = self.quantize(model)
        self.assert_stored(self.body_matches(outcome)[0], reference.quantize_matmul(W, DEFAULT))
        want = np.stack(
            [product(X, W), product(X + np.float32(1), W), product(X + np.float32(1) + np.float32(1), W)]
        )
        for level, outputs in self.run_levels(outcome.path, {"x": X, "count": np.array(3)}).items():
            self.assert_close(outputs[1], want, 1e-5 * np.abs(want), level)
        self.assert_fused(outcome.path, single=1)

    def test_scan(self):
        """Each slice of x is multiplied; the slice is quantized on its own."""
        xs = build.activations(3, M, K)
        nodes = [node("MatMul", "slice w", "s"), node("Add", "sum one", "next")]
        body = build.graph(nodes, {"sum": (), "slice": (M, K)}, {"next": (), "s": (M, N)}, name="scan_body")
        model = build.model(
            [node("Scan", "zero xs", "total y", body=body, num_scan_inputs=1)],
            {"zero": (), "xs": xs.shape},
            {"total": (), "y": (3, M, N)},
            {"w": W, "one": np.float32(1)},
        )
        outcome = self.quantize(model)
        want = np.stack([product(x, W) for x in xs])
        for level, outputs in self.run_levels(
            outcome.path, {"zero": np.array(0, np.float32), "xs": xs}
        ).items():
            self.assert_close(outputs[1], want, 1e-5 * np.abs(want), level)
        self.assert_fused(outcome.path, single=1)


class Names(OrtTest):
    def new_names(self, outcome) -> tuple[set[str], set[str]]:
        """Tensor and node names that onnxq made."""

        def names(model):
            tensors = {name for n in all_nodes(model.graph) for name in n.output}
            tensors |= {t.name for graph in all_graphs(model.graph) for t in graph.initializer}
            return tensors, {n.name for n in all_nodes(model.graph)}

        return tuple(after - before for after, before in zip(names(outcome.model), names(outcome.original)))

    def make(self, tensors: list[str], node_names: list[str], inside: bool) -> onnx.ModelProto:
        """y = x @ w, and copies of x called `tensors`, made by nodes called `node_names`, here or in a body."""
        count = max(len(tensors), len(node_names), 1)
        tensors = tensors + [f"free{i}" for i in range(count - len(tensors))]
        node_names = node_names + [f"free_node{i}" for i in range(count - len(node_names))]
        chain = [
            helper.make_node("Identity", ["x" if i == 0 else tensors[i - 1]], [name], name=node_names[i])
            for i, name in enumerate(tensors)
        ]
        nodes = [node("MatMul", "x w", "y"), node("MatMul", "x small", "z")]
        outputs = {"y": (M, N), "z": (M, 12)}
        if inside:
            other = build.graph([node("Identity", "x", "other")], {}, {"other": (M, K)})
            nodes.append(
                node(
                    "If",
                    "yes",
                    "copy",
                    else_branch=other,
                    then_branch=build.graph(chain, {}, {tensors[-1]: (M, K)}),
                )
            )
        else:
            nodes += [*chain, helper.make_node("Identity", [tensors[-1]], ["copy"])]
        return build.model(
            nodes,
            {"x": X.shape},
            {**outputs, "copy": (M, K)},
            {"w": W, "small": build.weights(K, 12), "yes": TRUE},
        )

    @cases({"same_graph": (False,), "body": (True,)})
    def taken(self, inside):
        """All names that onnxq would like best are there already, in the same graph or inside a body."""
        tensors, nodes = self.new_names(self.quantize(self.make([], [], inside)))
        self.assertTrue(tensors)
        for _ in range(3):  # also the second and third choice
            outcome = self.quantize(self.make(sorted(tensors), sorted(filter(None, nodes)), inside))
            y, _, copy = common.run(outcome.path, {"x": X})
            want = product(X, W)
            self.assert_close(y, want, 1e-5 * np.abs(want))
            np.testing.assert_array_equal(copy, X)
            more_tensors, more_nodes = self.new_names(outcome)
            self.assertFalse(more_tensors & tensors)
            tensors, nodes = tensors | more_tensors, nodes | more_nodes

    def test_input_has_the_wanted_name(self):
        tensors, _ = self.new_names(self.quantize(self.make([], [], False)))
        for name in sorted(tensors):
            model = build.model(
                [node("MatMul", "x w", "y"), helper.make_node("Identity", [name], ["z"])],
                {"x": X.shape, name: (2,)},
                {"y": (M, N), "z": (2,)},
                {"w": W},
            )
            self.quantize(model)

    @cases(
        {
            "none": ("",),
            "slashes": ("/model/layer.0/MatMul",),
            "unicode": ("слой-1/重み",),
            "blank": ("a b\tc",),
        }
    )
    def unusual(self, name):
        nodes = [
            helper.make_node("MatMul", [f"x{name}", f"w{name}"], [f"y{name}"], name=name),
            helper.make_node("MatMul", [f"y{name}", f"v{name}"], ["z"], name=""),
        ]
        model = build.model(nodes, {f"x{name}": X.shape}, {"z": (M, N)}, {f"w{name}": W, f"v{name}": V})
        outcome = self.quantize(model)
        self.assert_stored(outcome.match(f"y{name}"), reference.quantize_matmul(W, DEFAULT))
        self.assert_fused(outcome.path, single=2)

    def test_value_info(self):
        """What is known of the values that stay is kept."""
        model = build.model(
            [node("Relu", "x", "h"), node("MatMul", "h w", "p"), node("Relu", "p", "y")],
            {"x": X.shape},
            {"y": (M, N)},
            {"w": W},
        )
        model = onnx.shape_inference.infer_shapes(model)
        self.assertEqual({i.name for i in model.graph.value_info}, {"h", "p"})
        model.graph.value_info.append(build.info("w", W.shape))
        outcome = self.quantize(model)
        self.assertLessEqual({i.name for i in outcome.model.graph.value_info}, {"h", "p"})


class Inputs(OrtTest):
    """Weights that are also listed as inputs of the graph."""

    @cases({"ir_3": (3, 8), "ir_4": (4, 9), "ir_10": (10, 21)})
    def all_listed(self, ir_version, opset):
        """A habit of exporters: none of them is meant to be fed, and ONNX Runtime is slower with them."""
        constants = {"w": W, "small": build.weights(K, 12), "b": build.activations(N)}
        nodes = [node("MatMul", "x w", "p"), node("Add", "p b", "y"), node("MatMul", "x small", "z")]
        main = build.graph(nodes, {"x": X.shape}, {"y": (M, N), "z": (M, 12)}, constants)
        if ir_version > 3:
            build.list_constants_as_inputs(main)
        outcome = self.quantize(build.model(main, opset=opset, ir_version=ir_version))
        self.assertEqual([i.name for i in outcome.model.graph.input], ["x"])
        self.assertGreaterEqual(outcome.model.ir_version, 4)
        self.assert_stored(outcome.match("p"), reference.quantize_matmul(W, DEFAULT))
        want = product(X, W)
        for level, outputs in self.run_levels(outcome.path, {"x": X}).items():
            self.assert_close(outputs[0], want + constants["b"], 1e-5 * (np.abs(want) + 5), level)
        self.assert_fused(outcome.path, single=1)

    def test_one_listed(self):
        """A default that callers may override stays one."""
        model = build.model(
            [node("MatMul", "x w", "y"), node("MatMul", "x v", "z")],
            {"x": X.shape, "w": W.shape},
            {"y": (M, N), "z": (M, N)},
            {"w": W, "v": V},
        )
        outcome = self.quantize(model)
        self.assertEqual([i.name for i in outcome.model.graph.input], ["x", "w"])
        self.assertEqual(outcome.weight("w")["action"], "keep")
        self.assertTrue(outcome.weight("w")["uses"][0]["reason"])
        self.assert_stored(outcome.match("z"), reference.quantize_matmul(V, DEFAULT))
        got = common.run(outcome.path, {"x": X, "w": W * 2})[0]
        np.testing.assert_allclose(got, X @ (W * 2), rtol=1e-4, atol=1e-3)

    def test_freeze_inputs(self):
        """On request such a default becomes a weight like the others."""
        model = build.model(
            [node("MatMul", "x w", "y"), node("MatMul", "x v", "z")],
            {"x": X.shape, "w": W.shape},
            {"y": (M, N), "z": (M, N)},
            {"w": W, "v": V},
        )
        outcome = self.quantize(model, "--freeze-inputs")
        self.assertEqual([i.name for i in outcome.model.graph.input], ["x"])
        self.assert_fused(outcome.path, shared=2, quantizers=1)


class Domains(OrtTest):
    def function(self, name: str) -> onnx.FunctionProto:
        """r = |a| @ b, which is no MatMul whatever its name is."""
        nodes = [helper.make_node("Abs", ["a"], ["m"]), helper.make_node("MatMul", ["m", "b"], ["r"])]
        return helper.make_function(
            "custom", name, ["a", "b"], ["r"], nodes, [helper.make_opsetid("", build.OPSET)]
        )

    @cases(["MatMul", "Gemm", "Conv", "Linear"])
    def function_of_another_domain(self, name):
        """What it does is written out, whatever ONNX has under its name."""
        call = helper.make_node(name, ["x", "w"], ["y"], domain="custom", name="call")
        model = build.model(
            [call, node("MatMul", "x v", "z")],
            {"x": X.shape},
            {"y": (M, N), "z": (M, N)},
            {"w": W, "v": V},
            imports={"custom": 1},
            functions=[self.function(name)],
        )
        outcome = self.quantize(model)
        self.assertEqual(list(outcome.model.functions), [])
        self.assertNotIn(call, list(outcome.model.graph.node))
        self.assertEqual(outcome.weight("w")["action"], "dynamic")
        y, z = common.run(outcome.path, {"x": X})
        for got, want in ((y, product(np.abs(X), W)), (z, product(X, V))):
            self.assert_close(got, want, 1e-5 * np.abs(want))

    def test_constant_inside_a_function(self):
        nodes = [
            helper.make_node("Constant", [], ["b"], value=numpy_helper.from_array(W)),
            helper.make_node("MatMul", ["a", "b"], ["r"]),
        ]
        function = helper.make_function(
            "custom", "Layer", ["a"], ["r"], nodes, [helper.make_opsetid("", build.OPSET)]
        )
        call = helper.make_node("Layer", ["x"], ["y"], domain="custom", name="call")
        model = build.model(
            [call, node("MatMul", "x v", "z")],
            {"x": X.shape},
            {"y": (M, N), "z": (M, N)},
            {"v": V},
            imports={"custom": 1},
            functions=[function],
        )
        outcome = self.quantize(model)
        self.assertEqual(list(outcome.model.functions), [])
        want = product(X, W)
        self.assert_close(common.run(outcome.path, {"x": X})[0], want, 1e-5 * np.abs(want))

    @cases({"named": ("ai.onnx",), "imported": ("",)})
    def other_name_of_the_onnx_domain(self, node_domain):
        """ai.onnx is the same domain as the empty one."""
        model = build.matmul(X, W)
        model.opset_import[0].domain = "ai.onnx"
        model.graph.node[0].domain = node_domain
        outcome = self.quantize(model)
        self.assertEqual(outcome.match("y").form, "dynamic")
        self.assert_fused(outcome.path, single=1)

    @cases({"there": (1,), "missing": (None,)})
    def contrib_import(self, version):
        """com.microsoft is imported once where it is needed."""
        model = build.matmul(X, W, opset=9, imports={} if version is None else {"com.microsoft": version})
        outcome = self.quantize(model)
        imports = [(o.domain, o.version) for o in outcome.model.opset_import]
        self.assertEqual(imports.count(("com.microsoft", 1)), 1)

    def test_no_contrib_import_without_need(self):
        outcome = self.quantize(build.matmul(X, W))
        self.assertEqual([o.domain for o in outcome.model.opset_import], [""])

    def test_standard_operators_only(self):
        outcome = self.quantize(build.matmul(X, W))
        self.assertEqual({n.domain for n in all_nodes(outcome.model.graph)}, {""})

    def test_string_and_int_constants(self):
        """Other constants pass through."""
        strings = helper.make_tensor("text", TensorProto.STRING, [2], [b"a", "ä".encode()])
        nodes = [node("MatMul", "x w", "y"), node("Identity", "text", "t"), node("Identity", "numbers", "n")]
        main = build.graph(
            nodes,
            {"x": X.shape},
            {"y": (M, N), "n": np.arange(9000)},
            {"w": W, "text": strings, "numbers": np.arange(9000)},
        )
        main.output.append(helper.make_tensor_value_info("t", TensorProto.STRING, [2]))
        outcome = self.quantize(build.model(main))
        _, n, t = common.run(outcome.path, {"x": X})
        np.testing.assert_array_equal(n, np.arange(9000))
        self.assertEqual(list(t), ["a", "ä"])
