"""Structures that exporters write (tests/exporters), made by hand: no exporter is needed to try them."""

import json

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

import build
import common
import reference
from build import node
from harness import OrtTest, Outcome, cases
from reference import Scheme

DEFAULT = Scheme()
M, K, N = 4, build.SQUARE, 300
X = build.activations(M, K)
STEPS, HIDDEN, INPUTS = 6, 32, 40


def value_info(model: onnx.ModelProto, shapes: dict[str, tuple]) -> onnx.ModelProto:
    model.graph.value_info.extend(build.infos(shapes))
    return model


class Twins(OrtTest):
    def assert_close_to_float(self, outcome: Outcome, feeds: dict, percent: float = 2) -> None:
        want = common.run(outcome.source, feeds)
        for level, outputs in self.run_levels(outcome.path, feeds).items():
            self.assertLess(common.relative_error(want, outputs), percent, level)

    def assert_smaller(self, outcome: Outcome, times: float) -> None:
        summary = outcome.report["summary"]
        self.assertLess(times * summary["weight_nbytes_after"], summary["weight_nbytes_before"])

    def merged_decoder(self, rows: int) -> onnx.ModelProto:
        """Both bodies gather from one outer table, and multiply with its transpose."""
        bodies = {}
        for branch in ("then", "else"):
            names = [f"{branch}_{name}" for name in ("e", "t", "p")]
            e, t, p = names
            extra = "Relu" if branch == "then" else "Neg"
            bodies[f"{branch}_branch"] = build.graph(
                [
                    node("Gather", "table ids", e),
                    node(extra, e, f"{branch}_h"),
                    node("MatMul", f"{branch}_h w", f"{branch}_m"),
                    node("Transpose", "table", t),
                    node("MatMul", f"{branch}_m {t}", p),
                ],
                {},
                {p: (M, rows)},
                name=f"{branch}_body",
            )
        constants = {"table": build.weights(rows, K), "w": build.weights(K, K, seed=3)}
        ids, condition = np.zeros(M, np.int64), np.array(True)
        return build.model(
            [node("If", "condition", "y", **bodies)],
            {"ids": ids, "condition": condition},
            {"y": (M, rows)},
            constants,
        )

    def check_merged_decoder(self, rows: int, times: float) -> None:
        outcome = self.quantize(self.merged_decoder(rows))
        for condition in (True, False):
            feeds = {"ids": np.array([1, 0, 7, rows - 1]), "condition": np.array(condition)}
            self.assert_close_to_float(outcome, feeds, 4)
        self.assert_smaller(outcome, times)

    def test_merged_decoder_small_table(self):
        """optimum: one table in integers, for the rows and for the products of both bodies."""
        self.check_merged_decoder(2000, 3.7)

    def test_merged_decoder_large_table(self):
        """The same where the rows stay integers until they are gathered."""
        self.check_merged_decoder(4200, 3.7)

    def test_value_info_inside_a_chain(self):
        """torch.export: value_info of what a chain made goes with the chain."""
        nodes = [
            node("Slice", "v from to axis", "part"),
            node("Transpose", "part", "w"),
            node("MatMul", "x w", "y"),
        ]
        constants = {
            "v": build.weights(2 * N, K),
            "from": np.array([0]),
            "to": np.array([N]),
            "axis": np.array([0]),
        }
        model = build.model(nodes, {"x": X.shape}, {"y": (M, N)}, constants)
        outcome = self.quantize(value_info(model, {"part": (N, K), "w": (K, N)}))
        self.assertEqual(outcome.match("y").form, "dynamic")
        self.assertFalse({"part", "w"} & {info.name for info in outcome.model.graph.value_info})
        self.assert_close_to_float(outcome, {"x": X})

    def test_lstm_gates_in_another_order(self):
        """torch: gates i, f, g, o are cut out and put together as i, o, f, g, for each direction."""
        nodes, constants = [], {"zero": np.array([0])}
        for i in range(4):
            constants |= {f"from{i}": np.array([i * HIDDEN]), f"to{i}": np.array([(i + 1) * HIDDEN])}
        for name, width in (("w", INPUTS), ("r", HIDDEN)):
            for d in "ab":
                v = f"{name}{d}"
                constants[v] = build.weights(4 * HIDDEN, width, seed=len(constants)) / 4
                nodes += [node("Slice", f"{v} from{i} to{i} zero", f"{v}_{i}") for i in range(4)]
                nodes.append(node("Concat", " ".join(f"{v}_{i}" for i in (0, 3, 1, 2)), f"{v}_all", axis=0))
                nodes.append(node("Unsqueeze", f"{v}_all zero", f"{v}_3d"))
            nodes.append(node("Concat", f"{name}a_3d {name}b_3d", name, axis=0))
        nodes.append(node("LSTM", "x w r", "y", hidden_size=HIDDEN, direction="bidirectional"))
        x = build.activations(STEPS, 2, INPUTS)
        outcome = self.quantize(
            build.model(nodes, {"x": x.shape}, {"y": [None] * 4}, constants), min_elements=1024
        )
        actions = {name: outcome.weight(name)["action"] for name in ("wa", "wb", "ra", "rb")}
        self.assertEqual(set(actions.values()), {"dynamic"}, actions)
        self.assertFalse([n for n in outcome.model.graph.node if n.op_type in ("Slice", "Concat")])
        self.assert_close_to_float(outcome, {"x": x}, 4)

    def normalized(self, v: np.ndarray, form: str, axes: list[int], opset: int = build.OPSET) -> onnx.ModelProto:
        """w = g * v / |v|, as torch's exporters write weight normalization; it is an output, too."""
        shape = [1 if {axis, axis - v.ndim} & set(axes) else size for axis, size in enumerate(v.shape)]
        constants = {"v": v, "g": np.abs(build.activations(*shape)).astype(v.dtype), "axes": np.array(axes)}
        norm = node("ReduceL2", "v axes", "norm", keepdims=1)
        if opset < 18:
            norm = node("ReduceL2", "v", "norm", keepdims=1, axes=constants.pop("axes").tolist())
        nodes = {
            "div": [node("Div", "v norm", "u"), node("Mul", "u g", "w")],
            "mul": [node("Div", "g norm", "factor"), node("Mul", "v factor", "w")],
            "clip": [node("Clip", "norm least", "n"), node("Div", "v n", "u"), node("Mul", "u g", "w")],
        }[form]
        if form == "clip":
            constants["least"] = np.array(1e-12, v.dtype)
        x, y = ("x", (M, v.shape[0])) if v.ndim == 2 else ("image", (1, v.shape[0], 30))
        user = node("Gemm", "x w", "y", transB=1) if v.ndim == 2 else node("Conv", "image w", "y")
        feeds = self.norm_feeds(v)
        half = v.dtype == np.float16
        casts = [node("Cast", x, "h", to=TensorProto.FLOAT16)] if half else []
        user.input[0] = "h" if half else x
        elem_type = TensorProto.FLOAT16 if half else TensorProto.FLOAT
        main = build.graph([norm, *nodes, *casts, user], {x: feeds[x].shape}, {}, constants)
        main.output.extend([build.info("y", y, elem_type), build.info("w", v.shape, elem_type)])
        return build.model(main, opset=opset)

    def norm_feeds(self, v: np.ndarray) -> dict:
        return {"x": X} if v.ndim == 2 else {"image": build.activations(1, v.shape[1], v.shape[2] + 29)}

    def check_normalized(self, outcome, v: np.ndarray, axes: list[int], percent: float) -> None:
        """Not one channel is off by more than rounding it alone gives."""
        feeds, others = self.norm_feeds(v), tuple(axes)
        action, bits = outcome.weight("v")["action"], outcome.weight("v")["bits"]
        self.assertIn(action, ("fold", "dynamic") if v.ndim == 2 else ("fold",))
        # The graph returns the weight as well: it is made of v again, beside the integers of the product.
        self.assert_smaller(outcome, 0.75 * 8 * v.itemsize / bits / (2 if action == "dynamic" else 1))
        want = common.run(outcome.source, feeds)[1].astype(np.float64)
        for level, outputs in self.run_levels(outcome.path, feeds).items():
            got = outputs[1].astype(np.float64)
            error, size = (np.sqrt(np.square(a).sum(others)) for a in (got - want, want))
            self.assertLess(100 * (error / size).max(), percent, level)
        self.assert_close_to_float(outcome, feeds)

    @cases(
        {
            f"{form}_{name}": (form, shape, axes, np.dtype(dtype), flags)
            for form in ("div", "mul", "clip")
            for name, shape, axes, dtype, flags in (
                ("rows", (N, K), [1], "f4", ()),
                ("columns", (N, K), [0], "f4", ()),
                ("negative_axis", (N, K), [-1], "f4", ()),
                ("whole", (N, K), [0, 1], "f4", ()),
                ("conv", (64, 32, 7), [1, 2], "f4", ()),
                ("half", (64, 32, 7), [1, 2], "f2", ()),
                ("asymmetric", (64, 32, 7), [1, 2], "f4", ("--no-symmetric",)),
                ("16_bits", (N, K), [1], "f4", ("--fold-bits=16",)),
                ("qdq", (64, 32, 7), [1, 2], "f4", ("--method=qdq",)),
                ("qdq_blocks", (N, K), [1], "f4", ("--method=qdq", "--block-size=32")),
                ("blocks", (N, K), [1], "f4", ("--method=blocks",)),
                ("uint8", (N, K), [1], "f4", ("--weight-type=uint8",)),
            )
        }
    )
    def normalized_weight(self, form, shape, axes, dtype, flags):
        """Rows differ by 1e4: each has a scale of its own, and none becomes zero."""
        v = build.weights(*shape, seed=3)
        if len(axes) < len(shape):
            kept = [1 if {a, a - v.ndim} & set(axes) else n for a, n in enumerate(shape)]
            sizes = np.exp(build.rng(9).uniform(-9, 0, kept))
            v = v * (sizes if dtype == np.float32 else np.sqrt(sizes))
        v = v.astype(dtype)
        outcome = self.quantize(self.normalized(v, form, axes), *flags, min_elements=1024)
        self.check_normalized(outcome, v, axes, 0.01 if "--fold-bits=16" in flags else 2.5)

    def test_normalized_weight_before_opset_18(self):
        v = build.weights(N, K)
        self.check_normalized(self.quantize(self.normalized(v, "div", [1], 13), min_elements=1024), v, [1], 2.5)

    def kept(self, model: onnx.ModelProto, *flags: str) -> str:
        """Why v stays float."""
        source = self.dir / "model.onnx"
        onnx.save(model, source)
        done = self.onnxq("quantize", source, self.dir / "out.onnx", "--min-elements=1024", "--json", *flags, status=5)
        (weight,) = (w for w in json.loads(done.stdout)["weights"] if w["name"] == "v")
        return weight["uses"][0]["reason"]

    @cases(
        {
            "one_scale": ((N, K), [1], build.OPSET, ("--no-per-channel",)),
            "one_scale_in_qdq": ((N, K), [1], 11, ("--method=qdq",)),
            "every_element": ((4, 32, 64), [], build.OPSET, ()),
        }
    )
    def weight_that_may_become_zero(self, shape, axes, opset, flags):
        """Where a scale is shared by what is divided by several norms."""
        v = build.weights(*shape)
        model = self.normalized(v, "div", axes, opset) if axes else None
        if not axes:
            nodes = [node("ReduceL2", "v axes", "norm", keepdims=1, noop_with_empty_axes=1), node("Div", "v norm", "u")]
            nodes.append(node("Conv", "image u", "y"))
            constants = {"v": v, "axes": np.array([], np.int64)}
            model = build.model(nodes, {"image": (1, 32, 70)}, {"y": (1, 4, 7)}, constants)
        self.assertEqual(self.kept(model, *flags), "a divisor, in Div")

    def test_row_too_small_for_a_scale(self):
        v = build.weights(N, K)
        v[3] = v[3] * 1e-36
        self.assertEqual(self.kept(self.normalized(v, "div", [1])), "too small for a scale in float32")

    @cases(["Sqrt", "Log"])
    def norm_that_is_used_otherwise(self, op_type):
        """A sum of squares below a root is steep; so is a difference below a fraction."""
        model = self.normalized(build.weights(N, K), "div", [1])
        (norm,) = (n for n in model.graph.node if n.op_type == "ReduceL2")
        norm.output[0] = "inner"
        model.graph.node.insert(1, node(op_type, "inner", "norm"))
        self.assertEqual(self.kept(model), "rounding has no bounded effect, in " + op_type)

    def test_norm_less_a_constant(self):
        """What is no zero before a sum may be one behind it."""
        model = self.normalized(build.weights(N, K), "div", [1])
        (norm,) = (n for n in model.graph.node if n.op_type == "ReduceL2")
        norm.output[0] = "inner"
        model.graph.node.insert(1, node("Sub", "inner least", "norm"))
        model.graph.initializer.append(numpy_helper.from_array(np.float32(22), "least"))
        self.assertEqual(self.kept(model), "a divisor, in Div")

    def test_weight_that_a_loop_carries(self):
        """tf2onnx: a GRU is a Loop, and the weight one of its values from step to step."""
        w = build.weights(K, K) / 16
        body = build.graph(
            [
                node("Identity", "c", "c_out"),
                node("MatMul", "h v", "p"),
                node("Tanh", "p", "h_out"),
                node("Identity", "v", "v_out"),
            ],
            {"i": np.array(0), "c": np.array(True), "h": (M, K), "v": (K, K)},
            {"c_out": np.array(True), "h_out": (M, K), "v_out": (K, K)},
            name="body",
        )
        nodes = [node("Loop", "n - x w", "y last", body=body)]
        outcome = self.quantize(
            build.model(nodes, {"x": X.shape}, {"y": (M, K)}, {"w": w, "n": np.array(3)}), min_elements=1024
        )
        self.assertEqual(outcome.weight("w")["action"], "fold")
        self.assert_close_to_float(outcome, {"x": X}, 5)

    def test_fused_conv_and_gemm(self):
        """ONNX Runtime, EXTENDED: an operator and its activation are one; a Gemm's product is integers."""
        filters, image = build.weights(16, 8, 3, 3), build.activations(1, 8, 6, 6)
        w = build.weights(N, 256)
        nodes = [
            node("FusedConv", "x f", "c", domain="com.microsoft", activation="Relu", kernel_shape=[3, 3]),
            node("Flatten", "c", "h"),
            node("FusedGemm", "h w b", "y", domain="com.microsoft", activation="Relu", transB=1, alpha=0.5),
        ]
        constants = {"f": filters, "w": w, "b": build.activations(N)}
        model = build.model(nodes, {"x": image.shape}, {"y": (1, N)}, constants, imports={"com.microsoft": 1})
        outcome = self.quantize(model, min_elements=1024)
        self.assertEqual(outcome.weight("f")["action"], "fold")
        self.assertEqual(outcome.weight("w")["action"], "dynamic")
        self.assert_smaller(outcome, 3.5)
        self.assert_close_to_float(outcome, {"x": image}, 4)  # the Gemm's activations are integers, too

    def test_blocked_layout(self):
        """ONNX Runtime, ALL: an operator of a domain that onnxq does not know is left as it is."""
        filters = build.weights(16, 16, 3, 3)
        conv = node("Conv", "x f", "c", domain="com.microsoft.nchwc", kernel_shape=[3, 3])
        nodes = [conv, node("MatMul", "z w", "y")]
        inputs = {"x": (1, 16, 8, 8), "z": X.shape}
        model = build.model(
            nodes,
            inputs,
            {"c": [None] * 4, "y": (M, N)},
            {"f": filters, "w": build.weights(K, N)},
            imports={"com.microsoft.nchwc": 1},
        )
        outcome = self.quantize(model)
        self.assertEqual(outcome.weight("f")["action"], "keep")
        self.assertIn("no rule", outcome.weight("f")["uses"][0]["reason"])
        self.assertEqual(outcome.match("y").form, "dynamic")

    def test_neighbours(self):
        """scikit-learn: points as what a Scan runs over, targets in an operator of ai.onnx.ml."""
        points, targets = build.weights(200, 64), build.weights(3, 400)
        body = build.graph(
            [node("Sub", "q p", "d"), node("ReduceSumSquare", "d", "s", axes=[1], keepdims=0)],
            {"p": (64,)},
            {"s": (M,)},
            name="body",
        )
        nodes = [
            node("Scan", "points", "distances", body=body, num_scan_inputs=1),
            node("ArrayFeatureExtractor", "targets ids", "y", domain="ai.onnx.ml"),
        ]
        q, ids = build.activations(M, 64), np.array([3, 0, 399])
        model = build.model(
            nodes,
            {"q": q.shape, "ids": ids},
            {"distances": (200, M), "y": (3, 3)},
            {"points": points, "targets": targets},
            opset=13,
            imports={"ai.onnx.ml": 1},
        )
        outcome = self.quantize(model, min_elements=1024)
        self.assertEqual(outcome.weight("targets")["action"], "keep")
        self.assertEqual(outcome.weight("points")["action"], "fold")
        self.assert_close_to_float(outcome, {"q": q, "ids": ids})

    def test_half_with_listed_weights(self):
        """torch, float16 and keep_initializers_as_inputs."""
        w = build.weights(K, N).astype(np.float16)
        nodes = [node("Cast", "x", "h", to=TensorProto.FLOAT16), node("MatMul", "h w", "p")]
        nodes.append(node("Cast", "p", "y", to=TensorProto.FLOAT))
        main = build.graph(nodes, {"x": X.shape}, {"y": (M, N)}, {"w": w})
        build.list_constants_as_inputs(main)
        outcome = self.quantize(build.model(main))
        self.assertEqual([i.name for i in outcome.model.graph.input], ["x"])
        self.assert_stored(outcome.match("p"), reference.quantize_matmul(w.astype(np.float32), DEFAULT))
        self.assert_close_to_float(outcome, {"x": X})
