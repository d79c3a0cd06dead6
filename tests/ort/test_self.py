"""The checks themselves: they accept a model made by hand and reject it with any one thing wrong."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

import build
import common
import harness
import reference
import structure
from build import node

K, N = build.K, build.N
X = build.activations(3, K)
W = build.weights(K, N)
FLOAT_MODEL = build.matmul(X, W)
QUANTIZED = reference.quantize_matmul(W, reference.Scheme())


def handmade() -> onnx.ModelProto:
    made = build.model(build.dynamic_product(QUANTIZED))
    for value in (made.graph.input[0], made.graph.output[0]):
        value.type.tensor_type.shape.dim[0].dim_value = 3
    helper.set_model_props(made, {"onnxq.version": "0"})
    return made


def by_output(model: onnx.ModelProto, name: str) -> onnx.NodeProto:
    return next(n for n in model.graph.node if name in n.output)


def replace_constant(model: onnx.ModelProto, name: str, value: np.ndarray) -> None:
    model.CopyFrom(build.with_weights(model, {name: value}))


INHERITED = ["--ignore-signal=HUP", "--ignore-signal=INT", "--ignore-signal=CHLD", "--block-signal=USR1"]


class SignalsTest(harness.OrtTest):
    """What tests start has every signal by default and none blocked, whatever they inherited themselves."""

    def test_of_what_is_started(self):
        text = subprocess.run(["cat", "/proc/self/status"], capture_output=True, text=True).stdout
        masks = [line.split()[1] for line in text.splitlines() if line.startswith(("SigBlk", "SigIgn"))]
        self.assertEqual([int(mask, 16) for mask in masks], [0, 0])

    def test_under_nohup(self):
        run = [sys.executable, Path(harness.__file__).with_name("run.py"), "--onnxq", harness.ONNXQ]
        command = ["env", *INHERITED, *run, "-k", "SignalsTest.test_of_what_is_started"]
        done = subprocess.run(command, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


def wrong_integer(model):
    q = QUANTIZED.q.copy()
    q[5, 7] += 1
    replace_constant(model, "q", q)


def wrong_scale(model):
    scale = QUANTIZED.scale.reshape(-1).copy()
    scale[3] = np.nextafter(scale[3], np.float32(1))
    replace_constant(model, "s", scale)


def wrong_zero_point(model):
    model.graph.initializer.append(numpy_helper.from_array(np.int8(1), "z"))
    by_output(model, "mi").input.append("z")


def missing_zero_point(model):
    del by_output(model, "mi").input[2]


def scale_first(model):
    by_output(model, "sc").input[:] = ["s", "xs"]


def unused_constant(model):
    model.graph.initializer.append(numpy_helper.from_array(W, "w"))


def unused_constant_node(model):
    model.graph.node.append(helper.make_node("Constant", [], ["w"], value=numpy_helper.from_array(W)))


def stale_value_info(model):
    model.graph.value_info.append(build.info("gone", [3, N]))


def wrong_value_info(model):
    model.graph.value_info.append(build.info("mi", [3, N]))


def missing_import(model):
    model.graph.node.append(node("Relu", "y", "y2", domain="com.microsoft"))


def node_name_twice(model):
    model.graph.node[1].name = model.graph.node[0].name


def tensor_name_twice(model):
    inner = build.graph([node("Identity", "c", "mi")], {}, {"mi": (3, N)})
    same = build.graph([node("Identity", "c", "other")], {}, {"other": (3, N)})
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "condition"))
    model.graph.node.append(node("If", "condition", "unused", then_branch=inner, else_branch=same))


def no_provenance(model):
    del model.metadata_props[:]


def changed_output(model):
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_value = 4


MUTATIONS = {
    mutate.__name__: (mutate, reason)
    for mutate, reason in (
        (wrong_integer, "Mismatched elements: 1 "),
        (wrong_scale, "Mismatched elements: 512 "),
        (wrong_zero_point, "Mismatched elements: 73728 "),
        (missing_zero_point, "zero point of the activation"),
        (scale_first, "'s' is made by|nothing produces 's'"),
        (unused_constant, "nothing uses"),
        (unused_constant_node, "nothing uses"),
        (stale_value_info, "does not exist"),
        (wrong_value_info, "wrong type|Inferred elem type differs"),
        (missing_import, "com.microsoft"),
        (node_name_twice, "node names that occur twice"),
        (tensor_name_twice, "SSA|is defined 2 times"),
        (no_provenance, "no provenance"),
        (changed_output, "differ in dimension|outputs"),
    )
}


class Checks(harness.OrtTest):
    def check_all(self, model: onnx.ModelProto) -> None:
        """What the tests of MatMul do with an outcome."""
        path = self.dir / "made.onnx"
        onnx.save(model, path)
        structure.check(FLOAT_MODEL, model, str(path))
        outcome = harness.Outcome(FLOAT_MODEL, path, model, path, {})
        self.assert_stored(outcome.match("y"), QUANTIZED)
        for outputs in self.run_levels(path, {"x": X}).values():
            want = reference.dynamic_matmul(X, QUANTIZED)
            self.assert_close(outputs[0], want, 1e-5 * np.abs(want))
        self.assert_fused(path, single=1)

    def test_right_model_is_accepted(self):
        self.check_all(handmade())

    @harness.cases(MUTATIONS)
    def rejected(self, mutate, reason):
        model = handmade()
        mutate(model)
        refusals = AssertionError, onnx.checker.ValidationError, onnx.shape_inference.InferenceError
        with self.assertRaisesRegex(refusals, reason):
            self.check_all(model)

    def test_unfused_is_rejected(self):
        """Two Muls instead of a product of the scales: right, but slow."""
        model = handmade()
        by_output(model, "sc").CopyFrom(node("Mul", "c xs", "sc"))
        by_output(model, "y").CopyFrom(node("Mul", "sc s", "y"))
        path = self.dir / "made.onnx"
        onnx.save(model, path)
        np.testing.assert_allclose(
            common.run(path, {"x": X})[0], reference.dynamic_matmul(X, QUANTIZED), rtol=1e-5
        )
        with self.assertRaises(AssertionError):
            self.assert_fused(path, single=1)

    def test_wrong_values_are_rejected(self):
        want = reference.dynamic_matmul(X, QUANTIZED)
        for got in (want * 1.0001, np.full_like(want, np.nan), want[:1]):
            with self.assertRaises(AssertionError):
                self.assert_close(got, want, 1e-5 * np.abs(want))

    def test_bodies_that_differ_from_float_are_not_folded(self):
        source, path = self.dir / "float.onnx", self.dir / "made.onnx"
        onnx.save(FLOAT_MODEL, source)
        onnx.save(handmade(), path)
        with self.assertRaises(AssertionError):
            self.assert_folded(harness.Outcome(FLOAT_MODEL, source, handmade(), path, {}))


class Formulas(harness.OrtTest):
    """The reference quantizer against values worked out by hand, and against ONNX Runtime."""

    def test_symmetric(self):
        w = np.array([[-1.27, 0.635], [0.005, 0.0]], np.float32)
        made = reference.quantize_matmul(w, reference.Scheme())
        np.testing.assert_array_equal(made.q, [[-127, 127], [0, 0]])  # 0.5 steps go to the even side
        np.testing.assert_allclose(made.scale, [[0.01, 0.005]], rtol=1e-6)

    def test_uint8_is_int8_moved_by_128(self):
        signed = reference.quantize_matmul(W, reference.Scheme())
        unsigned = reference.quantize_matmul(W, reference.Scheme("uint8"))
        np.testing.assert_array_equal(signed.steps(), unsigned.steps())
        np.testing.assert_array_equal(signed.scale, unsigned.scale)

    def test_ranges(self):
        for scheme in reference.SCHEMES.values():
            made = reference.quantize_matmul(W, scheme)
            low, high = scheme.limits
            self.assertTrue(low <= made.q.min() and made.q.max() <= high)
            self.assertEqual(made.scale.size, N if scheme.per_channel else 1)
            slack = 0.5 if scheme.symmetric else 1.0
            self.assertTrue((np.abs(made.dequantize() - W) <= made.scale * slack * 1.001).all())

    def test_zero_and_tiny_columns_have_the_finest_scale_of_the_others(self):
        w = np.array([[0, 1e-40, 1.0, 2.0]], np.float32)
        scale = reference.quantize_matmul(w, reference.Scheme()).scale[0]
        np.testing.assert_array_equal(scale[:2], scale[[2, 2]])

    @harness.cases(["plain", "positive", "negative", "zero", "constant"])
    def activations_as_in_onnx_runtime(self, kind):
        x = build.activations(64, 64)
        x = {"plain": x, "positive": np.abs(x), "negative": -np.abs(x), "zero": x * 0, "constant": x * 0 + 3}[
            kind
        ]
        q, scale, zero = common.run(
            build.model(
                [node("DynamicQuantizeLinear", "x", "q s z")],
                {"x": x.shape},
                {"q": np.zeros(x.shape, np.uint8), "s": (), "z": np.zeros((), np.uint8)},
            ),
            {"x": x},
        )
        made = reference.dynamic_quantize_linear(x)
        np.testing.assert_array_equal(made.q, q)
        self.assertEqual((made.scale, made.zero_point), (scale, zero))
