"""onnxq check: what it says of two models is what numpy says of their outputs, and it fails where it has to."""

import json
import math
import signal
import subprocess
import time
import unittest
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

import build
import common
import harness
import realmodels
from build import node
from harness import OrtTest, cases

LIBRARY = Path(onnxruntime.__file__).parent / "capi"
INT64, STRING, HALF = TensorProto.INT64, TensorProto.STRING, TensorProto.FLOAT16

# x = [1, 2] through these: y = [1, 2], and with the other weight [1.5, 2].
X = np.array([[1, 2]], np.float32)
W = np.eye(2, dtype=np.float32)
PERTURBED = np.array([[1.5, 0], [0, 1]], np.float32)


def product(w: np.ndarray = W, output: str = "y", rows: int | str = "rows") -> onnx.ModelProto:
    return build.model(
        [node("MatMul", "x w", output)], {"x": (rows, len(w))}, {output: (rows, w.shape[1])}, {"w": w}
    )


def labels(names: list[str]) -> onnx.ModelProto:
    """label = names[i], number = i * 2, is_odd"""
    graph = helper.make_graph(
        [
            node("Gather", "names i", "label"),
            node("Mul", "i two", "number"),
            node("Mod", "i two", "rest"),
            node("Cast", "rest", "is_odd", to=TensorProto.BOOL),
        ],
        "g",
        [build.info("i", ("n",), INT64)],
        [
            build.info("label", ("n",), STRING),
            build.info("number", ("n",), INT64),
            build.info("is_odd", ("n",), TensorProto.BOOL),
        ],
        [
            helper.make_tensor("names", STRING, [len(names)], [name.encode() for name in names]),
            numpy_helper.from_array(np.array(2), "two"),
        ],
    )
    return build.model(graph)


def counter(factor: float) -> onnx.ModelProto:
    """total = before + x, y = total * factor"""
    return build.model(
        [node("Add", "before x", "total"), node("Mul", "total f", "y")],
        {"x": ("n",), "before": ("n",)},
        {"y": ("n",), "total": ("n",)},
        {"f": np.array(factor, np.float32)},
    )


class CheckTest(OrtTest):
    def save(self, model: onnx.ModelProto, name: str) -> Path:
        onnx.save(model, self.dir / name)
        return self.dir / name

    def arrays(self, name: str = "inputs.npz", **values) -> Path:
        np.savez(self.dir / name, **values)
        return self.dir / name

    def run_check(self, *arguments, status: int = 0) -> subprocess.CompletedProcess:
        return self.onnxq("check", "--ort-lib", LIBRARY, *arguments, status=status)

    def check(self, *arguments, status: int = 0) -> dict:
        report = self.dir / "parity_report.json"
        report.unlink(missing_ok=True)
        self.text = self.run_check("--report", report, *arguments, status=status).stdout
        found = json.loads(report.read_text())
        self.assertEqual(found["passed"], status == 0)
        self.assertEqual(found["passed"], not found["failures"])
        return found

    def refuse(self, message: str, *arguments, status: int = 3) -> None:
        """An error of one line, and nothing is written."""
        report = self.dir / "refused.json"
        done = self.run_check("--report", report, *arguments, status=status)
        self.assertIn(message, done.stderr)
        self.assertTrue(done.stderr.startswith("onnxq: "), done.stderr)
        self.assertEqual(done.stdout, "")
        self.assertFalse(report.exists())

    def output(self, report: dict, name: str) -> dict:
        found = [output for output in report["outputs"] if output["name"] == name]
        self.assertEqual(len(found), 1)
        return found[0]

    def assert_measures(self, found: dict, want: np.ndarray, got: np.ndarray) -> None:
        """All of them, as numpy computes them."""
        a, b = want.astype(np.float64), got.astype(np.float64)
        difference, norm = np.linalg.norm(a - b), np.linalg.norm(a)
        expected = {
            "max_abs_diff": np.abs(a - b).max(),
            "mean_abs_diff": np.abs(a - b).mean(),
            "rel_error": difference / norm,
            "cosine": (a * b).sum() / (norm * np.linalg.norm(b)),
            "sqnr_db": 20 * math.log10(norm / difference),
            "argmax_agreement": (a.argmax(-1) == b.argmax(-1)).mean(),
        }
        for name, value in expected.items():
            self.assertAlmostEqual(found[name], value, delta=1e-9 * max(1, abs(value)), msg=name)

    def assert_exact(self, found: dict) -> None:
        names = ("max_abs_diff", "mean_abs_diff", "rel_error", "cosine", "sqnr_db")
        self.assertEqual([found[name] for name in names], [0, 0, 0, 1, None])


class Numbers(CheckTest):
    def test_model_with_itself_is_exact(self):
        path = self.save(product(build.weights(64, 32)), "a.onnx")
        report = self.check(path, path, "--abs-tol=0", "--cosine=1", "--sqnr=1e9", "--argmax=1")
        self.assert_exact(report)
        self.assertEqual(report["outputs"][0]["worst"], None)
        self.assertEqual(report["inputs"]["runs"], [f"random inputs {i + 1}" for i in range(8)])

    def test_known_perturbation(self):
        paths = self.save(product(), "a.onnx"), self.save(product(PERTURBED), "b.onnx")
        report = self.check(*paths, "-i", self.arrays(x=X))
        self.assertEqual((report["max_abs_diff"], report["mean_abs_diff"]), (0.5, 0.25))
        self.assertAlmostEqual(report["rel_error"], 0.5 / math.sqrt(5), delta=1e-15)
        self.assertAlmostEqual(report["cosine"], 5.5 / (math.sqrt(5) * 2.5), delta=1e-15)
        self.assertAlmostEqual(report["sqnr_db"], 10 * math.log10(20), delta=1e-12)
        self.assertEqual(report["outputs"][0]["max_rel_diff"], 0.5)
        worst = {"inputs": str(self.dir / "inputs.npz"), "index": [0, 0], "reference": 1, "candidate": 1.5}
        self.assertEqual(report["outputs"][0]["worst"], worst)
        self.assertIn("worst at [0,0]: 1.5, expected 1\n", self.text)
        self.assertEqual(report["engine"], onnxruntime.__version__)

    @cases(
        {
            "abs-tol": ("max_abs_diff", 0.5, 0.49),
            "mean-tol": ("mean_abs_diff", 0.25, 0.24),
            "rel-tol": ("rel_error", 0.224, 0.223),
            "cosine": ("cosine", 0.98, 0.99),
            "sqnr": ("sqnr_db", 13, 13.1),
        }
    )
    def tolerance(self, key, passes, fails):
        """The option is named as the case is."""
        option = "--" + self.id().rsplit("__", 1)[1]
        paths = self.save(product(), "a.onnx"), self.save(product(PERTURBED), "b.onnx")
        inputs = self.arrays(x=X)
        self.check(*paths, "-i", inputs, f"{option}={passes}")
        report = self.check(*paths, "-i", inputs, f"{option}={fails}", status=1)
        failure = report["failures"][0]
        self.assertEqual((failure["output"], failure["cause"], failure["allowed"]), ("y", key, fails))
        self.assertEqual(report["tolerances"][key], fails)
        self.assertIn("Failed: y: ", self.text)

    def test_argmax(self):
        paths = (
            self.save(product(), "a.onnx"),
            self.save(product(np.eye(2, dtype=np.float32)[::-1]), "b.onnx"),
        )
        inputs = self.arrays(x=np.array([[1, 2], [3, 3], [2, 1]], np.float32))
        report = self.check(*paths, "-i", inputs, "--argmax=0.34", status=1)
        self.assertAlmostEqual(report["argmax_agreement"], 1 / 3)
        self.check(*paths, "-i", inputs, "--argmax=0.33")

    def test_garbage_fails_by_default(self):
        """Weights that have nothing to do with those of the model."""
        paths = (self.save(product(build.weights(64, 32, seed=seed)), f"{seed}.onnx") for seed in (1, 2))
        report = self.check(*paths, status=1)
        self.assertGreater(report["rel_error"], 1)

    def test_quantized_model_passes_by_default(self):
        source = self.save(build.matmul(build.activations(4, 512), build.weights(512, 144)), "m.onnx")
        self.onnxq("quantize", source)
        report = self.check(source, self.dir / "m.int8.onnx")
        self.assertTrue(0 < report["rel_error"] < 0.05)

    def test_several_runs_are_as_one(self):
        a, b = product(build.weights(64, 32)), product(build.weights(64, 32) * np.float32(1.03))
        paths = self.save(a, "a.onnx"), self.save(b, "b.onnx")
        xs = [build.activations(rows, 64, seed=rows) for rows in (3, 1, 5)]
        flags = [text for i, x in enumerate(xs) for text in ("-i", str(self.arrays(f"{i}.npz", x=x)))]
        report = self.check(*paths, *flags)
        results = [[common.run(path, {"x": x})[0] for x in xs] for path in paths]
        self.assert_measures(report, *(np.concatenate(values) for values in results))
        for run, want, got in zip(report["outputs"][0]["runs"], *results, strict=True):
            self.assert_measures(run, want, got)
            self.assertEqual(run["dims"], list(want.shape))

    @cases({"NaN": (np.nan,), "infinite": (np.inf,)})
    def not_finite(self, value):
        broken = W.copy()
        broken[1, 1] = value
        a, b = self.save(product(), "a.onnx"), self.save(product(broken), "b.onnx")
        report = self.check(a, b, "-i", self.arrays(x=X), "--abs-tol=1e30", status=1)
        self.assertEqual(report["failures"][0]["cause"], "one_sided")
        self.assertEqual((report["max_abs_diff"], report["outputs"][0]["one_sided"]), (None, 1))
        self.assertIn("on one side only, such as [0,", self.text)
        self.check(b, b, "-i", self.arrays(x=X), "--abs-tol=0")

    def test_integers_strings_booleans(self):
        a = self.save(labels(["cat", "dog", "bird", "fish"]), "a.onnx")
        b = self.save(labels(["cat", "dog", "bird", "shark"]), "b.onnx")
        inputs = self.arrays(i=np.array([0, 1, 2, 3]))
        report = self.check(a, b, "-i", inputs, status=1)
        self.assertEqual([o["agreement"] for o in report["outputs"]], [0.75, 1, 1])
        self.assertEqual([o["cosine"] for o in report["outputs"]], [None, 1, None])
        worst = self.output(report, "label")["worst"]
        self.assertEqual((worst["index"], worst["reference"], worst["candidate"]), ([3], '"fish"', '"shark"'))
        self.check(a, b, "-i", inputs, "--agreement=0.75")
        self.refuse(
            "--cosine: there is no output of floats",
            a,
            b,
            "-i",
            inputs,
            "--agreement=0",
            "--cosine=1",
            status=2,
        )

    def test_half_of_one_side(self):
        """A candidate that gives float16 is compared by value."""
        half = build.model(
            [node("MatMul", "x w", "p"), node("Cast", "p", "y", to=HALF)],
            {"x": ("rows", 64)},
            {"y": np.zeros((1, 32), np.float16)},
            {"w": build.weights(64, 32)},
        )
        half.graph.output[0].type.tensor_type.shape.dim[0].dim_param = "rows"
        a, b = self.save(product(build.weights(64, 32)), "a.onnx"), self.save(half, "b.onnx")
        x = build.activations(5, 64)
        report = self.check(a, b, "-i", self.arrays(x=x))
        self.assert_measures(report, common.run(a, {"x": x})[0], common.run(b, {"x": x})[0])

    def test_empty_outputs(self):
        """A gate that compares nothing is none; a run without values among others is fine."""
        path = self.save(product(), "a.onnx")
        empty = self.arrays("empty.npz", x=np.zeros((0, 2), np.float32))
        report = self.check(path, path, "-i", empty, "--abs-tol=0", status=1)
        self.assertEqual((report["outputs"][0]["elements"], report["mean_abs_diff"]), (0, None))
        self.assertEqual(report["failures"][0]["cause"], "nothing_to_compare")
        self.assertIn("Failed: y: nothing to compare: it is empty", self.text)
        report = self.check(path, path, "-i", empty, "-i", self.arrays(x=X), "--abs-tol=0", "-v")
        self.assertEqual([run["cosine"] for run in report["outputs"][0]["runs"]], [None, 1])

    def test_nan_in_both(self):
        path = self.save(product(W * np.float32(np.nan)), "a.onnx")
        report = self.check(path, path, "-i", self.arrays(x=X), status=1)
        self.assertEqual((report["rel_error"], report["cosine"]), (None, None))
        self.assertIn("all values are NaN or infinite in both", self.text)

    def test_seed(self):
        paths = self.save(product(), "a.onnx"), self.save(product(PERTURBED), "b.onnx"), "--rel-tol=0.5"
        first, again, other = (self.check(*paths, f"--seed={seed}") for seed in (5, 5, 6))
        self.assertEqual(first, again)
        self.assertNotEqual(first["max_abs_diff"], other["max_abs_diff"])
        self.assertEqual(len(self.check(*paths, "--random=3")["inputs"]["runs"]), 3)
        dims = self.check(*paths, "--dim=rows=7")["outputs"][0]["runs"][0]["dims"]
        self.assertEqual(dims, [7, 2])


class Models(CheckTest):
    def test_outputs_go_by_name(self):
        nodes = [node("MatMul", "x w", "y"), node("Neg", "y", "z")]
        a = build.model(nodes, {"x": (1, 2)}, {"y": (1, 2), "z": (1, 2)}, {"w": W})
        b = build.model(nodes, {"x": (1, 2)}, {"z": (1, 2), "y": (1, 2)}, {"w": W})
        report = self.check(self.save(a, "a.onnx"), self.save(b, "b.onnx"), "--abs-tol=0")
        self.assertEqual([o["name"] for o in report["outputs"]], ["y", "z"])

    def test_more_outputs_of_the_candidate(self):
        b = build.model(
            [node("MatMul", "x w", "y"), node("Neg", "y", "z")],
            {"x": (1, 2)},
            {"y": (1, 2), "z": (1, 2)},
            {"w": W},
        )
        a, b = self.save(product(), "a.onnx"), self.save(b, "b.onnx")
        self.assertEqual(self.check(a, b, "--dim", "rows=1")["extra_outputs"], ["z"])
        self.assertIn("not compared: z", self.text)
        self.refuse("output 'z'", b, a)

    def test_other_inputs(self):
        other = build.model([node("MatMul", "in w", "y")], {"in": (1, 2)}, {"y": (1, 2)}, {"w": W})
        self.refuse('input "x"', self.save(product(), "a.onnx"), self.save(other, "b.onnx"))

    def test_other_type_of_an_input(self):
        other = build.model(
            [node("Cast", "x", "f", to=TensorProto.FLOAT), node("MatMul", "f w", "y")],
            {"x": np.zeros((1, 2), np.int64)},
            {"y": (1, 2)},
            {"w": W},
        )
        self.refuse(
            "this model takes int64 [1,2], the first one float32 [rows,2]",
            self.save(product(), "a.onnx"),
            self.save(other, "b.onnx"),
        )

    def test_other_shape_fails(self):
        other = build.model(
            [node("MatMul", "x w", "p"), node("Flatten", "p", "y", axis=0)],
            {"x": ("rows", 2)},
            {"y": (1, "n")},
            {"w": W},
        )
        a, b = self.save(product(), "a.onnx"), self.save(other, "b.onnx")
        report = self.check(a, b, "-i", self.arrays(x=np.ones((3, 2), np.float32)), status=1)
        self.assertEqual(report["failures"][0]["cause"], "type_or_shape")
        self.assertIn("\n  y       shapes differ: float32 [1,6], expected float32 [3,2]\n", self.text)
        self.assertIn("Failed: y: shapes differ: float32 [1,6], expected float32 [3,2]", self.text)
        run = report["outputs"][0]["runs"][0]
        self.assertEqual((run["dims"], run["reference_dims"], run["cosine"]), ([1, 6], [3, 2], None))
        self.assertEqual((report["rel_error"], report["sqnr_db"], report["agreement"]), (None, None, None))

    def test_padding_is_pointed_out(self):
        """Real inputs whose mask has zeros are compared without them only where --mask says so."""
        graph = build.model(
            [node("Cast", "attention_mask", "m", to=TensorProto.FLOAT), node("Mul", "x m", "y")],
            {"x": ("rows", 4), "attention_mask": np.zeros((2, 4), np.int64)},
            {"y": ("rows", 4)},
        )
        path = self.save(graph, "a.onnx")
        x = np.ones((2, 4), np.float32)
        says = "attention_mask has zeros: with --mask attention_mask what they cover is left out"
        padded = np.array([[1, 1, 1, 0], [1, 1, 0, 0]])
        inputs = self.arrays(x=x, attention_mask=padded)
        self.check(path, path, "-i", inputs)
        self.assertIn(says, self.text)
        self.check(path, path, "-i", inputs, "--mask", "attention_mask")
        self.assertNotIn("has zeros", self.text)
        for other in (np.ones_like(padded), np.zeros_like(padded), padded * 2):
            self.check(path, path, "-i", self.arrays(x=x, attention_mask=other))
            self.assertNotIn("has zeros", self.text)

    def test_floats_have_no_agreement(self):
        a, b = self.save(product(), "a.onnx"), self.save(product(W + 1e-4), "b.onnx")
        report = self.check(a, b, "-i", self.arrays(x=X))
        self.assertIsNone(report["agreement"])
        self.assertIsNone(report["outputs"][0]["agreement"])
        self.assertIn("Works: ", self.text)
        self.check(a, b, "-i", self.arrays(x=X), "--rel-tol=0.3")
        self.assertIn("Passed: ", self.text)

    def test_nothing_to_compare(self):
        """A dimension of 0 leaves nothing that could differ."""
        path = self.save(product(), "a.onnx")
        report = self.check(path, path, "--dim=rows=0", status=1)
        self.assertEqual(report["failures"][0]["cause"], "nothing_to_compare")

    def test_optional_inputs(self):
        """Weights that are listed as inputs, of which one model has more than the other."""
        a = build.model(
            [node("MatMul", "x w", "y")], {"x": (1, 2)}, {"y": (1, 2)}, {"w": W}, opset=8, ir_version=3
        )
        self.check(self.save(a, "a.onnx"), self.save(product(), "b.onnx"), "--abs-tol=0")

    def test_classifier_with_maps(self):
        graph = helper.make_graph(
            [
                helper.make_node(
                    "LinearClassifier",
                    ["x"],
                    ["label", "p"],
                    domain="ai.onnx.ml",
                    coefficients=[1.0, -1.0, 0.5, 2.0],
                    intercepts=[0.0, 0.1],
                    classlabels_ints=[3, 8],
                    post_transform="SOFTMAX",
                ),
                helper.make_node(
                    "ZipMap", ["p"], ["probabilities"], domain="ai.onnx.ml", classlabels_int64s=[3, 8]
                ),
            ],
            "g",
            [build.info("x", ("n", 2))],
            [
                build.info("label", ("n",), INT64),
                helper.make_value_info(
                    "probabilities",
                    helper.make_sequence_type_proto(
                        helper.make_map_type_proto(
                            INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, [])
                        )
                    ),
                ),
            ],
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", 15), helper.make_opsetid("ai.onnx.ml", 1)],
            ir_version=8,
        )
        path, x = self.save(model, "a.onnx"), build.activations(5, 2)
        report = self.check(path, path, "-i", self.arrays(x=x), "--abs-tol=0", "--agreement=1")
        self.assertEqual([run["dims"] for o in report["outputs"] for run in o["runs"]], [[5], [5, 2]])
        want, maps = common.session(path).run(None, {"x": x})
        table = np.array([[row[3], row[8]] for row in maps], np.float32)
        expected = self.arrays("expected.npz", label=want, probabilities=table)
        self.check(path, "-i", self.arrays(x=x), "--expected", expected, "--abs-tol=0", "--agreement=1")

    def test_side_files(self):
        source = self.save(product(build.weights(64, 32)), "a.onnx")
        onnx.save(
            onnx.load(source),
            self.dir / "b.onnx",
            save_as_external_data=True,
            size_threshold=0,
            location="b.bin",
        )
        self.check(source, self.dir / "b.onnx", "--abs-tol=0")

    def test_no_model(self):
        path = self.save(product(), "a.onnx")
        self.refuse("nosuch.onnx", self.dir / "nosuch.onnx", path)
        self.refuse("nosuch.onnx", path, self.dir / "nosuch.onnx")
        (self.dir / "text.onnx").write_text("no model")
        self.refuse("text.onnx", path, self.dir / "text.onnx")

    def test_engine_refuses_a_model(self):
        model = product()
        model.graph.node[0].op_type = "NoSuchOperator"
        self.refuse("NoSuchOperator", self.save(product(), "a.onnx"), self.save(model, "b.onnx"))


class Mask(CheckTest):
    def test_no_input_of_that_name(self):
        path = self.save(product(), "a.onnx")
        self.refuse("--mask: the model has no input 'y'", path, path, "--mask", "y", status=2)
        self.refuse('it takes "x"', path, path, "--mask", "y", status=2)
        self.refuse('it gives "y"', path, path, "--feedback", "z=x", status=2)

    def test_other_axes(self):
        path = self.save(product(np.ones((2, 3), np.float32)), "a.onnx")
        self.refuse("--mask: no output begins with the axes of input 'x'", path, path, "--mask", "x", status=2)

    def test_elements(self):
        """A mask of the output's own shape: elements of which x is 0 are not looked at."""
        paths = self.save(product(), "a.onnx"), self.save(product(PERTURBED), "b.onnx")
        report = self.check(*paths, "-i", self.arrays(x=X), "--mask", "x")
        self.assertEqual(report["outputs"][0]["elements"], np.count_nonzero(X))
        self.assertIn(", where x is not 0", self.text)


class Inputs(CheckTest):
    def setUp(self) -> None:
        super().setUp()
        self.a, self.b = self.save(product(), "a.onnx"), self.save(product(PERTURBED), "b.onnx")

    def write_pb(self, path: Path, array: np.ndarray, name: str = "") -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(numpy_helper.from_array(array, name).SerializeToString())

    def assert_found(self, path: Path, runs: int = 1, *flags) -> None:
        report = self.check(self.a, self.b, "-i", path, *flags)
        self.assertEqual(report["max_abs_diff"], 0.5)
        self.assertEqual(len(report["inputs"]["runs"]), runs)
        self.assertFalse(report["inputs"]["random"])

    def test_npz(self):
        self.assert_found(self.arrays(x=X))

    def test_npz_without_names(self):
        np.savez_compressed(self.dir / "in.npz", X)
        self.assert_found(self.dir / "in.npz")

    def test_npy(self):
        np.save(self.dir / "some.npy", X)
        self.assert_found(self.dir / "some.npy")

    def test_folder_of_npy(self):
        (self.dir / "in").mkdir()
        np.save(self.dir / "in" / "x.npy", X)
        self.assert_found(self.dir / "in")

    def test_folder_of_npz(self):
        (self.dir / "in").mkdir()
        for i in range(3):
            np.savez(self.dir / "in" / f"{i}.npz", x=X)
        self.assert_found(self.dir / "in", 3)

    def test_pb(self):
        self.write_pb(self.dir / "x.pb", X, "x")
        self.assert_found(self.dir / "x.pb")

    def test_test_data(self):
        for i in range(2):
            for name in ("input_0", "output_0"):
                self.write_pb(self.dir / "data" / f"test_data_set_{i}" / f"{name}.pb", X)
        self.assert_found(self.dir / "data", 2)
        self.assert_found(self.dir / "data" / "test_data_set_1")
        report = self.check(self.b, "-i", self.dir / "data")  # against what lies there
        self.assertEqual((report["reference"], report["max_abs_diff"]), (None, 0.5))
        self.check(self.a, "-i", self.dir / "data", "--abs-tol=0")

    def test_float64_and_lists(self):
        self.assert_found(self.arrays(x=np.array([[1.0, 2.0]])))

    @cases(
        {
            "name": ({"y": X}, "y"),
            "more": ({"x": X, "z": X}, "z"),
            "missing": ({}, "x"),
            "shape": ({"x": np.ones((1, 3), np.float32)}, "[1,3]"),
            "rank": ({"x": np.ones(2, np.float32)}, "[2]"),
            "dtype": ({"x": np.array([[1.5 + 1j, 2]])}, "complex"),
            "strings": ({"x": np.array([["a", "b"]])}, "x"),
        }
    )
    def wrong(self, arrays, message):
        self.refuse(message, self.a, self.b, "-i", self.arrays("wrong.npz", **arrays))

    def test_corrupt_files(self):
        whole = self.arrays(x=X).read_bytes()
        for name, content in (
            ("cut.npz", whole[:-30]),
            ("flipped.npz", whole[:140] + bytes([whole[140] ^ 1]) + whole[141:]),
            ("empty.npz", b""),
            ("text.npz", b"no archive"),
            ("cut.pb", numpy_helper.from_array(X).SerializeToString()[:-3]),
            ("text.npy", b"no array"),
        ):
            (self.dir / name).write_bytes(content)
            self.refuse(name, self.a, self.b, "-i", self.dir / name)
        self.refuse("nosuch.npz", self.a, self.b, "-i", self.dir / "nosuch.npz")

    def test_nothing_to_run(self):
        self.refuse("--random: at least 1", self.a, self.b, "--random=0", status=2)

    def test_nothing_to_compare_with(self):
        self.refuse("there is nothing to compare with", self.a, "-i", self.arrays(x=X), status=2)


class Sizes(CheckTest):
    """Open dimensions of random inputs, where the usual sizes do not run."""

    def test_others_are_tried(self):
        source = self.save(build.classifier(32), "a.onnx")
        self.onnxq("quantize", "--min-elements=1", source, self.dir / "b.onnx")
        report = self.check(source, self.dir / "b.onnx", "--layers")
        self.assertEqual(report["inputs"]["arrays"], [{"name": "x", "dtype": "float32", "dims": [1, 3, 32, 32]}])
        self.assertEqual((report["inputs"]["tries"], len(report["inputs"]["runs"])), (2, 8))
        self.assertGreater(report["rel_error"], 0)
        self.assertTrue(report["layers"])
        self.assertIn("\n  inputs: x float32 [1,3,32,32]\n", self.text)
        self.assertIn("the usual sizes do not run, these do: --dim N=1 --dim height=32 --dim width=32\n", self.text)
        given = self.check(source, self.dir / "b.onnx", "--layers", "--dim=height=32", "--dim=width=32")
        self.assertEqual(given["inputs"]["tries"], 1)
        given["inputs"]["tries"] = 2
        self.assertEqual(given, report)

    def test_usual_ones_are_shown(self):
        path = self.save(product(), "a.onnx")
        report = self.check(path, path)
        self.assertEqual((report["inputs"]["arrays"][0]["dims"], report["inputs"]["tries"]), ([1, 2], 1))
        self.assertNotIn("usual sizes", self.text)
        report = self.check(path, path, "-i", self.arrays(x=X))
        self.assertEqual((report["inputs"]["arrays"][0]["dims"], report["inputs"]["tries"]), ([1, 2], 1))

    def test_the_candidate_decides_too(self):
        """It takes lines of 48 rows, where the reference takes all."""
        nodes = [node("Relu", "x", "y")]
        a = build.model(nodes, {"x": (1, 1, "h", 8)}, {"y": (1, 1, "h", 8)})
        b = build.model(
            [node("Reshape", "x fixed", "r"), node("Relu", "r", "y")],
            {"x": (1, 1, "h", 8)},
            {"y": (1, 1, "h", 8)},
            {"fixed": np.array([1, 1, 48, 8])},
        )
        report = self.check(self.save(a, "a.onnx"), self.save(b, "b.onnx"), "--abs-tol=0", "--dim=h=48")
        self.assertEqual(report["inputs"]["tries"], 1)
        report = self.check(self.save(a, "a.onnx"), self.save(b, "b.onnx"), "--abs-tol=0")
        self.assertEqual((report["inputs"]["tries"], report["inputs"]["arrays"][0]["dims"][2]), (3, 48))

    def test_none_runs(self):
        path = self.save(build.classifier(40), "a.onnx")
        done = self.run_check(path, path, status=3)
        self.assertIn("random inputs 1: ", done.stderr)
        self.assertIn(
            "hint: --dim sets other sizes than those that were drawn (--dim N=1 --dim height=224 --dim width=224);"
            " other usual ones do not run either\n",
            done.stderr,
        )
        self.assertEqual(done.stdout, "")
        done = self.run_check(path, path, "--dim=height=32", "--dim=width=32", status=3)
        self.assertIn("hint: --dim sets other sizes than those that were drawn (--dim N=1)\n", done.stderr)
        done = self.run_check(path, path, "--dim=height=32", "--dim=width=32", "--dim=N=1", status=3)
        self.assertNotIn("hint", done.stderr)
        report = self.check(path, path, "--dim=height=40", "--dim=width=40")
        self.assertEqual(report["inputs"]["tries"], 1)


class Expected(CheckTest):
    def setUp(self) -> None:
        super().setUp()
        self.path = self.save(product(PERTURBED), "b.onnx")
        self.inputs = self.arrays(x=np.array([[1, 2], [3, 4]], np.float32))
        self.want = np.array([[1, 2], [4.5, 4]], np.float32)

    def assert_found(self, path: Path) -> None:
        report = self.check(self.path, "-i", self.inputs, "--expected", path)
        self.assertEqual((report["max_abs_diff"], report["mean_abs_diff"]), (0.5, 0.125))
        self.assertEqual(report["expected"], str(path))

    def test_by_name(self):
        self.assert_found(self.arrays("e.npz", y=self.want))

    def test_by_position(self):
        np.savez(self.dir / "e.npz", self.want)
        self.assert_found(self.dir / "e.npz")
        np.save(self.dir / "some.npy", self.want)
        self.assert_found(self.dir / "some.npy")

    def test_folder(self):
        (self.dir / "out").mkdir()
        np.save(self.dir / "out" / "output_0.npy", self.want)
        self.assert_found(self.dir / "out")

    def test_float64(self):
        self.assert_found(self.arrays("e.npz", y=self.want.astype(np.float64)))

    @cases({"vector": ((3,),), "row": ((1, 3, 1),)})
    def column(self, shape):
        """What scikit-learn calls a vector is a column in the model."""
        model = self.save(product(np.ones((2, 1), np.float32)), "column.onnx")
        inputs = self.arrays(x=np.array([[1, 2], [3, 4], [5, 6]], np.float32))
        expected = self.arrays("e.npz", y=np.array([3, 7, 11], np.float32).reshape(shape))
        report = self.check(model, "-i", inputs, "--expected", expected, "--abs-tol=0")
        self.assertTrue(report["outputs"][0]["reshaped"])
        self.assertIn("axes of length 1", self.text)

    def test_some_of_the_outputs(self):
        model = build.model(
            [node("MatMul", "x w", "y"), node("Neg", "y", "z")],
            {"x": ("n", 2)},
            {"y": ("n", 2), "z": ("n", 2)},
            {"w": PERTURBED},
        )
        self.path = self.save(model, "two.onnx")
        self.assert_found(self.arrays("e.npz", y=self.want))
        self.assertIn("not compared: z", self.text)

    def test_wrong_name(self):
        path = self.arrays("e.npz", yy=self.want)
        self.refuse("no output 'yy'", self.path, "-i", self.inputs, "--expected", path)

    def test_wrong_shape_and_type(self):
        for array in (self.want.T[:1], self.want[None, :1], self.want.astype(np.int64)):
            path = self.arrays("e.npz", y=array)
            report = self.check(self.path, "-i", self.inputs, "--expected", path, status=1)
            self.assertEqual(report["failures"][0]["cause"], "type_or_shape")

    def test_wrong_count(self):
        path = self.arrays("e.npz", y=self.want)
        self.refuse(
            "1 sets of outputs, but 2 of inputs",
            self.path,
            "-i",
            self.inputs,
            "-i",
            self.inputs,
            "--expected",
            path,
        )

    def test_corrupt(self):
        (self.dir / "e.npz").write_bytes(self.arrays("f.npz", y=self.want).read_bytes()[:-20])
        self.refuse("e.npz", self.path, "-i", self.inputs, "--expected", self.dir / "e.npz")


class Feedback(CheckTest):
    def setUp(self) -> None:
        super().setUp()
        self.paths = self.save(counter(1), "a.onnx"), self.save(counter(2), "b.onnx")

    def inputs(self, **first) -> list[str]:
        sets = [
            {"x": np.array([1, 10], np.float32)},
            {"x": np.array([2, 20], np.float32)},
            {"x": np.array([3, 30], np.float32)},
        ]
        sets[0].update(first)
        return [text for i, s in enumerate(sets) for text in ("-i", str(self.arrays(f"{i}.npz", **s)))]

    def test_from_zero(self):
        """Totals 1, 3, 6 and ten times as much: y is off by as much."""
        report = self.check(*self.paths, *self.inputs(), "--feedback", "total=before", "--rel-tol=1")
        y = self.output(report, "y")
        self.assertEqual([run["max_abs_diff"] for run in y["runs"]], [10, 30, 60])
        self.assert_exact(self.output(report, "total"))

    def test_from_a_given_state(self):
        flags = self.inputs(before=np.array([5, 0], np.float32))
        report = self.check(*self.paths, *flags, "--feedback", "total=before", "--rel-tol=1")
        self.assertEqual([run["mean_abs_diff"] for run in self.output(report, "y")["runs"]], [8, 19, 35.5])

    def test_each_model_has_its_own(self):
        """The state of the candidate is twice as much in each run: 2, 2 * (2 + 2), 2 * (8 + 3)."""
        flags = [
            text
            for i in range(3)
            for text in ("-i", str(self.arrays(f"{i}.npz", x=np.array([i + 1], np.float32))))
        ]
        report = self.check(*self.paths, *flags, "--feedback=y=before", "--rel-tol=9")
        self.assertEqual([run["max_abs_diff"] for run in self.output(report, "y")["runs"]], [1, 5, 16])

    def test_random(self):
        report = self.check(*self.paths, "--feedback", "total=before", "--dim=n=4", "--rel-tol=1")
        self.assertEqual([run["dims"] for run in report["outputs"][0]["runs"]], [[4]] * 8)

    def test_against_stored_outputs(self):
        """The state is fed back although it is not compared."""
        flags = self.inputs()
        for i, total in enumerate((1, 3, 6)):
            (self.dir / "out").mkdir(exist_ok=True)
            np.savez(self.dir / "out" / f"{i}.npz", y=np.array([total, 10 * total], np.float32))
        expected = self.dir / "out"
        self.check(self.paths[0], *flags, "--feedback=total=before", "--expected", expected, "--abs-tol=0")

    @cases(
        {
            "no equals": ("total", "'total' is no OUTPUT=INPUT"),
            "output": ("totl=before", "there is no output 'totl'"),
            "input": ("total=befor", "there is no input 'befor'"),
        }
    )
    def wrong(self, text, message):
        self.refuse(message, *self.paths, *self.inputs(), "--feedback", text, status=2)

    def test_twice(self):
        flags = ("--feedback=total=before", "--feedback=y=before")
        self.refuse("input 'before' has two outputs", *self.paths, *self.inputs(), *flags, status=2)

    def test_hint(self):
        done = self.run_check(*self.paths, "--feedback=totl=before", status=2)
        self.assertIn("did you mean", done.stderr)

    def test_other_type(self):
        model = self.save(
            build.model(
                [node("Add", "x w", "y"), node("Cast", "s", "t", to=TensorProto.FLOAT)],
                {"x": (1, 2), "s": np.zeros(3, np.int64)},
                {"y": (1, 2), "t": (3,)},
                {"w": X},
            ),
            "m.onnx",
        )
        for flag in ("t=s", "y=s"):
            self.refuse("float32", model, model, f"--feedback={flag}", status=2)


class RealModels(CheckTest):
    def model(self, name: str) -> Path:
        path = harness.MODELS / f"{name}.onnx"
        if not path.exists():
            raise unittest.SkipTest(f"{path} is missing")
        return path

    def quantize_model(self, name: str) -> tuple[Path, Path]:
        source = self.model(name)
        self.onnxq("quantize", "-qq", source, self.dir / f"{name}.int8.onnx")
        return source, self.dir / f"{name}.int8.onnx"

    def test_minilm(self):
        """Every figure is numpy's, on 32 sentences, their padding included."""
        paths, inputs = self.quantize_model("minilm"), harness.MODELS / "minilm_inputs.npz"
        report = self.check(*paths, "-i", inputs, "-j", "1", "--rel-tol=0.5")
        with np.load(inputs) as arrays:
            feeds = dict(arrays)
        want, got = (common.run(path, feeds)[0] for path in paths)
        self.assert_measures(report, want, got)
        worst = report["outputs"][0]["worst"]
        place = np.unravel_index(np.abs(want.astype(np.float64) - got).argmax(), want.shape)
        self.assertEqual(worst["index"], [int(i) for i in place])
        self.assertEqual((worst["reference"], worst["candidate"]), (float(want[place]), float(got[place])))

    def test_minilm_without_padding(self):
        paths, inputs = self.quantize_model("minilm"), harness.MODELS / "minilm_inputs.npz"
        report = self.check(*paths, "-i", inputs, "-j", "1", "--mask", "attention_mask", "--rel-tol=0.15")
        with np.load(inputs) as arrays:
            feeds = dict(arrays)
        real = feeds["attention_mask"] != 0
        want, got = (common.run(path, feeds)[0][real] for path in paths)
        self.assertEqual(report["outputs"][0]["elements"], want.size)
        self.assertEqual((report["mask"], report["outputs"][0]["masked"]), ("attention_mask", True))
        self.assert_measures(report, want, got)

    def test_silero(self):
        """Frames of speech, the state carried along by each model."""
        paths = self.quantize_model("silero_vad")
        model = realmodels.load(harness.MODELS, "silero_vad")
        flags = []
        for i, feeds in enumerate(model.inputs[:40]):
            feeds = {name: value for name, value in feeds.items() if name != "state"}
            flags += ["-i", str(self.arrays(f"{i:03}.npz", **feeds))]
        report = self.check(*paths, *flags, "--feedback=stateN=state", "-j", "1")
        want, got = (model.run(common.session(path), 40)[0] for path in paths)
        found = self.output(report, "output")
        for i, run in enumerate(found["runs"]):
            self.assertAlmostEqual(
                run["max_abs_diff"], abs(float(want[i].item()) - float(got[i].item())), delta=1e-6
            )

    def test_trees(self):
        path = self.model("xgb")
        report = self.check(path, path, "--abs-tol=0")
        self.assert_exact(report)


class Command(CheckTest):
    def setUp(self) -> None:
        super().setUp()
        self.paths = self.save(product(), "a.onnx"), self.save(product(PERTURBED), "b.onnx")

    def test_streams(self):
        done = self.run_check(*self.paths, "--json", "--progress", "--abs-tol=0", status=1)
        self.assertEqual(json.loads(done.stdout)["passed"], False)
        self.assertIn("of 8", done.stderr)
        done = self.run_check(*self.paths, "-q", "--abs-tol=0", status=1)
        self.assertEqual(len(done.stdout.splitlines()), 1)
        self.assertEqual(self.run_check(*self.paths, "-qq", "--abs-tol=0", status=1).stdout, "")
        lines = self.run_check(*self.paths, "--rel-tol=0.5", "-v").stdout.splitlines()
        self.assertEqual(sum(line.startswith("    random inputs") for line in lines), 8)

    def test_two_reports(self):
        one, two = self.dir / "one.json", self.dir / "two.json"
        self.run_check(*self.paths, "--rel-tol=0.5", f"--json={one}", "--report", two)
        self.assertEqual(one.read_text(), two.read_text())
        self.assertEqual(list(self.dir.glob("*.tmp")), [])

    def test_report_that_cannot_be_written(self):
        done = self.run_check(*self.paths, "--report", self.dir / "no" / "report.json", status=4)
        self.assertIn("cannot create: ", done.stderr)

    def test_report_in_place_of_a_model(self):
        self.refuse("is the name of a model", *self.paths, f"--json={self.paths[1]}", status=2)

    def test_no_engine(self):
        (self.dir / "empty").mkdir()
        done = self.onnxq("check", *self.paths, "--ort-lib", self.dir / "empty", status=6)
        self.assertEqual(done.stdout, "")
        self.assertNotIn("at byte", done.stderr)
        (self.dir / "libonnxruntime.so").write_text("no library")
        self.onnxq("check", *self.paths, "--ort-lib", self.dir / "libonnxruntime.so", status=6)

    @cases(["disable", "basic", "extended", "all"])
    def opt_level(self, level):
        """The same numbers as the engine gives at that level."""
        source = self.save(build.matmul(build.activations(4, 512), build.weights(512, 144)), "m.onnx")
        self.onnxq("quantize", "-qq", source)
        x = build.activations(4, 512)
        paths = source, self.dir / "m.int8.onnx"
        report = self.check(*paths, "-i", self.arrays(x=x), "--opt-level", level, "-j1", "--ep=cpu")
        level = "disabled" if level == "disable" else level
        self.assert_measures(report, *(common.run(path, {"x": x}, level)[0] for path in paths))

    def test_no_such_provider(self):
        self.refuse("quantum", *self.paths, "--ep=quantum", status=6)

    def test_interrupt(self):
        """It ends at once, by the signal, and leaves nothing."""
        before = sorted(self.dir.iterdir())
        command = [
            harness.ONNXQ,
            "check",
            "--ort-lib",
            LIBRARY,
            *self.paths,
            "--random=1000000",
            "--report",
            self.dir / "r.json",
        ]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        time.sleep(0.3)
        self.assertIsNone(process.poll())
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(), -signal.SIGINT)
        process.communicate()
        self.assertEqual(sorted(self.dir.iterdir()), before)
