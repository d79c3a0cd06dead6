"""One constant, many users: rearranged, shared, twins, needed in float; what is stored, and that it is right."""

import json

import numpy as np
import onnx
from onnx import helper, numpy_helper

import build
import common
from build import node
from harness import OrtTest, Outcome, cases
from patterns import op_counts

M = 5
METHODS = {
    "dynamic": [],
    "per_tensor": ["--no-per-channel"],
    "asymmetric": ["--no-symmetric"],
    "weights": ["--method=weights"],
    "qdq": ["--method=qdq"],
    "blocks": ["--method=blocks"],
    "blocks_of_4_bits": ["--method=blocks", "--bits=4"],
}
COARSE = {"blocks_of_4_bits": 20, "per_tensor": 12}  # percent of error that rounding makes at most; else 4


class ConstantTest(OrtTest):
    def check(
        self, model: onnx.ModelProto, feeds: dict, method: str, *flags: str, levels=("disabled", "all")
    ) -> Outcome:
        """What comes out is close to what the float model gives, and not larger than it."""
        outcome = self.quantize(model, *METHODS[method], *flags)
        self.assert_results(outcome, feeds, method, levels)
        files = sum(p.stat().st_size for p in outcome.path.parent.iterdir())
        self.assertLess(files, outcome.source.stat().st_size)
        return outcome

    def assert_results(self, outcome: Outcome, feeds: dict, method: str, levels=("disabled", "all")) -> None:
        want = common.run(outcome.source, feeds)
        for level in levels:
            got = common.run(outcome.path, feeds, level)
            for left, right in zip(want, got, strict=True):
                self.assertEqual(left.shape, right.shape, level)
                self.assertLess(common.relative_error([left], [right]), COARSE.get(method, 4), level)

    def count_integers(self, outcome: Outcome) -> int:
        """How often weights are stored."""
        types = (onnx.TensorProto.INT8, onnx.TensorProto.UINT8)
        return sum(t.data_type in types and np.prod(t.dims) >= 65536 for t in outcome.model.graph.initializer)


SIZE = 512
X = build.activations(M, SIZE)

# --- rearranged -------------------------------------------------------------------

ROWS = np.array([3, 0, 255, 17])
TABLES = {"square": (1024, 1024), "wide": (256, 4608), "high": (4608, 256)}


class Rearranged(ConstantTest):
    @cases({f"{shape}_{method}": (shape, method) for shape in TABLES for method in METHODS})
    def table_behind_transpose(self, shape, method):
        """Rows of a transposed table are columns of what is stored."""
        w = build.weights(*TABLES[shape])
        nodes = [node("Transpose", "w", "t"), node("Gather", "t rows", "y")]
        model = build.model(nodes, {"rows": ROWS}, {"y": (4, w.shape[0])}, {"w": w})
        self.check(model, {"rows": ROWS}, method)

    @cases(
        {
            f"{first}_{method}": (first, method)
            for first in ("gather", "product")
            for method in METHODS
        }
    )
    def tied(self, first, method):
        """Gather of a table and a product with its transpose, and the other way round."""
        size = 1152
        w, x = build.weights(size, size), build.activations(M, size)
        turned = [node("Gather", "w rows", "e"), node("MatMul", "x t", "y")]
        straight = [node("Gather", "t rows", "e"), node("MatMul", "x w", "y")]
        model = build.model(
            [node("Transpose", "w", "t"), *(turned if first == "gather" else straight)],
            {"x": x, "rows": ROWS},
            {"e": (4, size), "y": (M, size)},
            {"w": w},
        )
        outcome = self.check(model, {"x": x, "rows": ROWS}, method)
        self.assertEqual(self.count_integers(outcome), 1)

    @cases(
        {
            f"{bits}_bits_{kind}_{levels}": (bits, kind, levels)
            for bits in (4, 8)
            for kind in ("symmetric", "asymmetric")
            for levels in ("disabled", "basic", "all")
        }
    )
    def tied_in_blocks(self, bits, kind, levels):
        """Rows of the table and columns of the product are the same bytes, in another shape."""
        rows, size = 2304, 512
        w, x = build.weights(rows, size), build.activations(M, size)
        model = build.model(
            [node("Gather", "w rows", "e"), node("Transpose", "w", "t"), node("MatMul", "x t", "y"),
             node("Gemm", "x w", "z", transB=1, alpha=0.5)],
            {"x": x, "rows": ROWS},
            {"e": (4, size), "y": (M, rows), "z": (M, rows)},
            {"w": w},
        )
        flags = [f"--bits={bits}", *(["--no-symmetric"] if kind == "asymmetric" else [])]
        outcome = self.quantize(model, "--method=blocks", *flags)
        self.assertEqual(self.count_integers(outcome), 1)
        self.assert_results(outcome, {"x": x, "rows": ROWS}, "blocks_of_4_bits", (levels,))
        self.assertEqual(op_counts(outcome.model)["com.microsoft.MatMulNBits"], 2)
        back = self.dir / "float.onnx"
        self.onnxq("dequantize", outcome.path, back)
        counts = op_counts(onnx.load(back))
        self.assertEqual((counts["com.microsoft.MatMulNBits"], counts["com.microsoft.GatherBlockQuantized"]), (0, 0))
        got = common.run(outcome.path, {"x": x, "rows": ROWS}, levels)
        self.assertLess(common.relative_error(common.run(back, {"x": x, "rows": ROWS}), got), 2)

    @cases(list(METHODS))
    def table_behind_slice_and_transpose(self, method):
        w = build.weights(2 * 1024, 1024)
        nodes = [
            node("Slice", "w from to axis", "s"),
            node("Transpose", "s", "t", perm=[1, 0]),
            node("Gather", "t rows", "y"),
            node("Gather", "s rows", "z"),
        ]
        constants = {"w": w, "from": np.array([1024]), "to": np.array([2048]), "axis": np.array([0])}
        model = build.model(nodes, {"rows": ROWS}, {"y": (4, 1024), "z": (4, 1024)}, constants)
        self.check(model, {"rows": ROWS}, method)

    @cases({"attribute_11": ("attribute", 11), "input_13": ("input", 13), "input_21": ("input", 21)})
    def squeeze_without_axes(self, form, opset):
        """ONNX Runtime is of two minds about an empty list of axes: such a node stays as it is."""
        w, x = build.weights(1, 512, 144), build.activations(M, 512)
        squeeze = node("Squeeze", "w axes" if form == "input" else "w", "s")
        constants = {"w": w, "shape": np.array([512, 144])}
        if form == "input":
            constants["axes"] = np.zeros(0, np.int64)
        else:
            squeeze.attribute.append(onnx.AttributeProto(name="axes", type=onnx.AttributeProto.INTS))
        nodes = [squeeze, node("Reshape", "s shape", "r"), node("MatMul", "x r", "y")]
        model = build.model(nodes, {"x": x}, {"y": (M, 144)}, constants, opset)
        self.check(model, {"x": x}, "dynamic")

    def test_tensor_whose_name_means_something_else(self):
        """A body has its own tensor called as integers outside that it sees turned."""
        w = build.weights(SIZE, SIZE)
        q = np.clip(np.round(w / 0.1), -127, 127).astype(np.int8)
        pair = [node("Cast", "t", "f", to=1), node("Mul", "f s", "d"), node("MatMul", "x d", "p")]
        body = build.graph([*pair, node("Add", "p q", "b")], {}, {"b": (M, SIZE)}, {"q": X[:1]}, "then")
        other = build.graph([node("Relu", "x", "e")], {}, {"e": (M, SIZE)}, name="else")
        nodes = [node("Transpose", "q", "t"), node("If", "true", "y", then_branch=body, else_branch=other)]
        constants = {"q": q, "s": np.full((1, 1), 0.1, np.float32), "true": np.array(True)}
        model = build.model(nodes, {"x": X}, {"y": (M, SIZE)}, constants)
        source, path = self.dir / "model.onnx", self.dir / "float.onnx"
        onnx.save(model, source)
        self.onnxq("dequantize", source, path, "--allow-noop")
        left, right = common.run(source, {"x": X}), common.run(path, {"x": X})
        self.assertLess(common.relative_error(left, right), 1e-3)
        self.assert_valid(path)


# --- shared -----------------------------------------------------------------------



def float_users() -> dict:
    """name -> nodes that need the floats of w, outputs, constants, and flags; x is [M, SIZE], w a square."""
    body = build.graph([node("MatMul", "x w", "inner")], {}, {"inner": (M, SIZE)}, name="then")
    other = build.graph([node("Relu", "x", "e")], {}, {"e": (M, SIZE)}, name="else")
    branch = node("If", "true", "z", then_branch=body, else_branch=other)
    return {
        "excluded": ([node("MatMul", "x w", "z")], {"z": (M, SIZE)}, {}, ["--exclude=matmul_z"]),
        "graph_output": ([], {"w": (SIZE, SIZE)}, {}, []),
        "body": ([branch], {"z": (M, SIZE)}, {"true": np.array(True)}, ["--no-subgraphs"]),
        "function": ([node("Bend", "w", "z", domain="local")], {"z": (SIZE, SIZE)}, {}, []),
        "written": ([node("Softsign", "w", "z")], {"z": (SIZE, SIZE)}, {}, []),
        "vector": (
            [node("Reshape", "w flat", "f"), node("Reshape", "f square", "z")],
            {"z": (SIZE, SIZE)},
            {"flat": np.array([SIZE * SIZE]), "square": np.array([SIZE, SIZE])},
            ["--exclude=reshape_f"],
        ),
    }


INTEGER_USERS = {
    "product": [node("MatMul", "x w", "y")],
    "gemm": [node("Gemm", "x w", "y", transB=1)],
    "turned": [node("Transpose", "w", "t"), node("MatMul", "x t", "y")],
    "both": [node("MatMul", "x w", "p"), node("Gemm", "x w", "q", transB=1), node("Add", "p q", "y")],
    "slices": [
        node("Slice", "w zero half zero", "a"),
        node("Slice", "w half full zero", "b"),
        node("Gemm", "x a", "p", transB=1),
        node("Gemm", "x b", "q", transB=1),
        node("Concat", "p q", "y", axis=1),
    ],
    "rows": [node("Gather", "w rows", "g"), node("MatMul", "g w", "y")],
}


class Shared(ConstantTest):
    def make(self, integer: str, floats: str, dtype=np.float32, function_opset=20) -> tuple[onnx.ModelProto, list[str]]:
        """A function of operator set 20 is not written out: nobody has looked at what became of Softsign."""
        nodes, outputs, constants, flags = float_users()[floats]
        constants = constants | {
            "w": build.weights(SIZE, SIZE).astype(dtype),
            "zero": np.array([0]),
            "half": np.array([SIZE // 2]),
            "full": np.array([SIZE]),
            "rows": np.arange(M),
        }
        used = {name for n in (*INTEGER_USERS[integer], *nodes) for name in n.input} | {"w"}
        functions = [
            helper.make_function(
                "local", "Bend", ["a"], ["b"], [node("Softsign", "a", "b")], [helper.make_opsetid("", function_opset)]
            )
        ]
        model = build.model(
            [*INTEGER_USERS[integer], *nodes],
            {"x": X.astype(dtype)},
            {
                name: np.zeros(shape, dtype)
                for name, shape in ({"y": (M, SIZE)} | outputs).items()
            },
            {name: value for name, value in constants.items() if name in used},
            imports={"local": 1},
            functions=functions,
        )
        return model, flags

    @cases(
        {
            f"{integer}_{floats}_{method}": (integer, floats, method)
            for integer in INTEGER_USERS
            for floats in float_users()
            if floats != "written"
            for method in ("dynamic", "blocks", "qdq")
        }
    )
    def with_floats(self, integer, floats, method):
        """What someone needs in float is not stored in integers as well; the reason names who."""
        model, flags = self.make(integer, floats)
        done = self.dry_run(model, *METHODS[method], *flags)
        weight = next(w for w in done["weights"] if w["name"] == "w")
        self.assertEqual((weight["action"], weight["nbytes_after"]), ("keep", weight["nbytes"]), weight)
        reasons = {use["reason"] for use in weight["uses"]}
        self.assertTrue(any("as it is" in r or "returns it" in r for r in reasons), reasons)

    @cases({f"{integer}_{method}": (integer, method) for integer in INTEGER_USERS for method in ("dynamic", "blocks", "qdq")})
    def with_function(self, integer, method):
        """A function that is written out is as good as what it does: no floats stay beside the integers."""
        written, as_function = self.make(integer, "written")[0], self.make(integer, "function", function_opset=21)[0]
        want = self.check(written, {"x": X}, method).weight("w")
        outcome = self.check(as_function, {"x": X}, method)
        self.assertFalse(outcome.model.functions)
        weight = outcome.weight("w")
        self.assertNotEqual(weight["action"], "keep")
        self.assertEqual((weight["action"], weight["nbytes_after"]), (want["action"], want["nbytes_after"]))

    def dry_run(self, model: onnx.ModelProto, *flags: str) -> dict:
        source, report = self.dir / "model.onnx", self.dir / "report.json"
        onnx.save(model, source)
        done = self.onnxq_any(
            "quantize", "--dry-run", source, "--min-elements=1", f"--json={report}", "--allow-unmatched", *flags
        )
        self.assertIn(done.returncode, (0, 5), done.stderr)
        return json.loads(report.read_text())


# --- equal ------------------------------------------------------------------------


class Equal(ConstantTest):
    """Weights of the same bytes under different names."""

    @cases(list(METHODS))
    def products(self, method):
        """Two products, one with the transpose, and something that is folded."""
        w = build.weights(SIZE, SIZE)
        nodes = [
            node("MatMul", "x a", "p"),
            node("Transpose", "b", "t"),
            node("MatMul", "x t", "q"),
            node("MatMul", "x c", "r"),
            node("Add", "p d", "s"),
        ]
        model = build.model(
            nodes, {"x": X}, {"q": (M, SIZE), "r": (M, SIZE), "s": (M, SIZE)}, {n: w for n in "abc"} | {"d": X}
        )
        outcome = self.check(model, {"x": X}, method)
        # Scales per column and per row are two forms, but for one scale and what is folded.
        forms = 2 if method in ("dynamic", "asymmetric", "blocks", "blocks_of_4_bits") else 1
        self.assertLessEqual(self.count_integers(outcome), forms)

    def branches(self, then_w: np.ndarray, else_w: np.ndarray, op: str = "MatMul") -> onnx.ModelProto:
        bodies = [
            build.graph(
                [node(op, f"x {name}", f"y_{name}")], {}, {f"y_{name}": None}, {name: w}, f"body_{name}"
            )
            for name, w in (("v", then_w), ("w", else_w))
        ]
        choice = node("If", "condition", "y", then_branch=bodies[0], else_branch=bodies[1])
        main = build.graph([choice], {"x": X, "condition": np.array(True)}, {"y": [None] * 2})
        return helper.make_model(main, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)

    @cases({f"{name}_{method}": (name, method) for name in ("large", "small") for method in METHODS})
    def in_two_bodies(self, name, method):
        """What both see is around them."""
        w = build.weights(SIZE, SIZE if name == "large" else 100)
        outcome = self.quantize(self.branches(w, w), *METHODS[method])
        if method != "qdq":  # ONNX Runtime takes integers around a body for no DequantizeLinear in it
            self.assertLess(outcome.path.stat().st_size, 0.4 * outcome.source.stat().st_size / 2 + 4096)
        for condition in (True, False):
            self.assert_results(outcome, {"x": X, "condition": np.array(condition)}, method)

    def test_almost(self):
        """One element differs, where nothing looks first."""
        w = build.weights(SIZE, SIZE)
        others = [w.copy() for _ in range(6)]
        for i, other in enumerate(others):
            other[100 + 50 * i, 7] += 1
        names = [f"w{i}" for i in range(12)]
        model = build.model(
            [node("MatMul", f"x {name}", f"y{name}") for name in names],
            {"x": X},
            {f"y{name}": (M, SIZE) for name in names},
            {name: others[i % 6] for i, name in enumerate(names)},
        )
        outcome = self.check(model, {"x": X}, "dynamic")
        self.assertLessEqual(self.count_integers(outcome), 8)
        many = {p.read_bytes() for p in [self.quantize(model, f"-j{n}").path for n in (1, 2, 5)]}
        self.assertEqual(many, {outcome.path.read_bytes()})

    def test_one_is_needed_in_float(self):
        """It stays, the other is quantized."""
        w = build.weights(SIZE, SIZE)
        nodes = [node("MatMul", "x a", "p"), node("MatMul", "x b", "q")]
        model = build.model(nodes, {"x": X}, {"a": (SIZE, SIZE), "p": (M, SIZE), "q": (M, SIZE)}, {"a": w, "b": w})
        outcome = self.check(model, {"x": X}, "dynamic")
        self.assertEqual([outcome.weight(n)["action"] for n in "ab"], ["keep", "dynamic"])


# --- numbers in attributes ---------------------------------------------------------


def attribute(name: str, **value) -> onnx.NodeProto:
    return helper.make_node("Constant", [], [name], **value)


class Attributes(ConstantTest):
    """Constant nodes whose numbers lie in value_float(s) or value_int(s) are like all others."""

    @cases([name for name in METHODS if name not in ("weights", "qdq")])  # which fold no vectors
    def weight_in_floats(self, method):
        w = build.weights(SIZE, 144)
        nodes = [
            attribute("flat", value_floats=w.ravel().tolist()),
            attribute("shape", value_ints=w.shape),
            node("Reshape", "flat shape", "w"),
            node("MatMul", "x w", "y"),
        ]
        model = build.model(nodes, {"x": X.shape}, {"y": (M, 144)})
        outcome = self.check(model, {"x": X}, method)
        self.assertEqual(outcome.weight("flat")["nbytes"], w.nbytes)
        self.assertNotEqual(outcome.weight("flat")["action"], "keep")

    def test_kept(self):
        """What stays holds the same numbers."""
        big = build.weights(5000)
        nodes = [
            attribute("bias", value_floats=big.tolist()),
            attribute("factor", value_float=1.5),
            attribute("nothing", value_float=0.0),
            attribute("one", value_int=1),
            node("MatMul", "x w", "p"),
            node("Mul", "p factor", "m"),
            node("Add", "m nothing", "n"),
            node("Add", "n bias", "y"),
            node("Gather", "ids one", "z"),
        ]
        w = build.weights(SIZE, 5000)
        ids = np.array([3, 5, 7], np.int64)
        model = build.model(nodes, {"x": X.shape}, {"y": (M, 5000), "z": np.array(1)}, {"w": w, "ids": ids})
        nodes[2].attribute[0].ClearField("f")
        for flags in ((), ("--external-data=always",)):
            outcome = self.quantize(model, *flags)
            left, right = common.run(outcome.source, {"x": X}), common.run(outcome.path, {"x": X})
            self.assertLess(common.relative_error(left[:1], right[:1]), 4)
            np.testing.assert_array_equal(left[1], right[1])

    def test_scale_of_integers(self):
        """dequantize finds scales there."""
        path, back = self.dir / "q.onnx", self.dir / "float.onnx"
        q = build.rng(1).integers(-127, 127, (SIZE, 144)).astype(np.int8)
        nodes = [
            attribute("s", value_float=0.125),
            node("DequantizeLinear", "q s", "w"),
            node("MatMul", "x w", "y"),
        ]
        onnx.save(build.model(nodes, {"x": X.shape}, {"y": (M, 144)}, {"q": q}), path)
        self.onnxq("dequantize", path, back)
        (w,) = onnx.load(back).graph.initializer
        np.testing.assert_array_equal(numpy_helper.to_array(w), q * np.float32(0.125))

    def test_too_old(self):
        """Before opset 12 there were none: what such a model means is not guessed."""
        nodes = [attribute("b", value_floats=[1.0, 2.0]), node("MatMul", "x w", "p"), node("Add", "p b", "y")]
        graph = build.graph(nodes, {"x": X.shape}, {"y": (M, 2)}, {"w": build.weights(SIZE, 2)})
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6)
        source = self.dir / "model.onnx"
        onnx.save(model, source)
        weights = json.loads(self.onnxq("quantize", "--dry-run", "--json", source, status=0).stdout)["weights"]
        self.assertEqual([w["name"] for w in weights], ["w"])


# --- cut and multiplied -----------------------------------------------------------

WIDE = build.weights(SIZE, 768)
G = np.abs(build.weights(768, 1)) + 1


def int64s(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


# name: nodes that make weights of w [SIZE, 768] and other constants, the weights that products take, constants
MADE = {
    "split": ([node("Split", "w", "a b c", axis=1, num_outputs=3)], "abc", {}),
    "split_by_sizes": ([node("Split", "w sizes", "a b", axis=-1)], "ab", {"sizes": int64s(256, 512)}),
    "split_of_a_transpose": ([node("Transpose", "v", "t"), node("Split", "t", "a b", axis=1, num_outputs=2)], "ab", {}),
    "slices": (
        [node("Slice", "w zero third one", "a"), node("Slice", "w third end one", "b")],
        "ab",
        {"zero": int64s(0), "third": int64s(256), "one": int64s(1), "end": int64s(2**62)},
    ),
    "mul_by_a_number": ([node("Mul", "w f", "a")], "a", {"f": np.float32(-0.3)}),
    "mul_by_columns": ([node("Mul", "f w", "a")], "a", {"f": build.weights(768)}),
    "mul_by_rows": ([node("Mul", "w f", "a")], "a", {"f": np.linspace(0.5, 1.5, SIZE, dtype=np.float32)[:, None]}),
    "div_of_a_transpose": ([node("Transpose", "v", "t"), node("Div", "t f", "a")], "a", {"f": G[:, 0]}),
    "split_then_mul": (
        [node("Split", "w", "p q", axis=1, num_outputs=2), node("Mul", "p f", "a"), node("Mul", "q f", "b")],
        "ab",
        {"f": np.float32(0.125)},
    ),
    "weight_norm": (
        [node("ReduceL2", "v one", "n"), node("Div", "v n", "d"), node("Mul", "d g", "m"), node("Transpose", "m", "a")],
        "a",
        {"one": int64s(1), "g": G},
    ),
    "weight_norm_of_magnitudes": (
        [
            node("Abs", "v", "b"),
            node("ReduceL2", "b one", "n"),
            node("Div", "g n", "d"),
            node("Mul", "v d", "m"),
            node("Transpose", "m", "a"),
        ],
        "a",
        {"one": int64s(1), "g": G},
    ),
    "weight_norm_by_squares": (
        [
            node("Pow", "v two", "p"),
            node("ReduceSum", "p one", "s"),
            node("Sqrt", "s", "n"),
            node("Div", "g n", "d"),
            node("Mul", "v d", "m"),
            node("Transpose", "m", "a"),
        ],
        "a",
        {"one": int64s(1), "g": G, "two": np.float32(2)},
    ),
}
UNPACKED = {"dynamic", "per_tensor", "asymmetric", "blocks"}  # methods with a product that takes such a weight


class Made(ConstantTest):
    def make(self, name: str, **fields) -> tuple[onnx.ModelProto, int]:
        nodes, taken, constants = MADE[name]
        used = {i for n in nodes for i in n.input}
        constants = {k: v for k, v in {"w": WIDE, "v": WIDE.T.copy(), **constants}.items() if k in used}
        products = [node("MatMul", f"x {weight}", f"y{weight}") for weight in taken]
        outputs = {f"y{weight}": (M, None) for weight in taken}
        return build.model([*nodes, *products], {"x": X}, outputs, constants, **fields), len(taken)

    @cases({f"{name}_{method}": (name, method) for name in MADE for method in METHODS if method in UNPACKED})
    def product(self, name, method):
        """What is cut out of a weight or multiplied with a constant is stored as it is used, once."""
        model, count = self.make(name)
        outcome = self.check(model, {"x": X}, method)
        self.assertFalse({n.op_type for n in outcome.model.graph.node} & {"Split", "Slice", "Div", "ReduceL2", "Pow"})
        stored = sum(np.prod(t.dims) for t in outcome.model.graph.initializer if t.data_type in (2, 3) and np.prod(t.dims) > 1024)
        self.assertEqual(stored, WIDE.size)
        if method == "blocks":
            self.assertEqual(op_counts(outcome.model)["com.microsoft.MatMulNBits"], count)
        elif count == 1:
            self.assert_fused(outcome.path, single=1)
        else:
            self.assert_fused(outcome.path, shared=count, quantizers=1)

    @cases({f"{name}_{method}": (name, method) for name in MADE for method in ("dynamic", "blocks")})
    def way_back(self, name, method):
        """The float model that comes back gives what the integers stood for."""
        outcome = self.check(self.make(name)[0], {"x": X}, method)
        back = self.dir / "float.onnx"
        self.onnxq("dequantize", outcome.path, back)
        want, got = common.run(outcome.source, {"x": X}), common.run(back, {"x": X})
        self.assertLess(common.relative_error(want, got), 2)
        self.assertNotIn("MatMulInteger", op_counts(onnx.load(back)))

    @cases({"split": ("split",), "mul": ("mul_by_columns",)})
    def also_returned(self, name):
        """A weight that the model returns as well stays float beside its integers, or alone."""
        model, _ = self.make(name)
        model.graph.output.append(build.info("a", (SIZE, 256 if name == "split" else 768)))
        outcome = self.quantize(model)
        for left, right in zip(common.run(outcome.source, {"x": X}), common.run(outcome.path, {"x": X}), strict=True):
            self.assertLess(common.relative_error([left], [right]), 4)

    def test_old_split(self):
        """Before opset 13 sizes are an attribute."""
        nodes = [node("Split", "w", "a b", axis=1, split=[256, 512]), node("MatMul", "x a", "y"), node("MatMul", "x b", "z")]
        model = build.model(nodes, {"x": X}, {"y": (M, 256), "z": (M, 512)}, {"w": WIDE}, opset=11)
        self.check(model, {"x": X}, "dynamic")
        outcome = self.quantize(model)
        self.assert_fused(outcome.path, shared=2, quantizers=1)
