#!/usr/bin/env python3
"""The Python package, from the source tree or as it is installed, with the real engine.

From the source tree: ONNXQ_LIBRARY, ONNXQ_COMMAND and PYTHONPATH name what was built.
"""

import inspect
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest
import unittest.mock
import warnings

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import onnxq


def make_model(path=None, rows=512, columns=256):
    """x[batch, rows] times a matrix, and a row of biases; and a convolution beside them."""
    rng = np.random.default_rng(1)
    weight = numpy_helper.from_array(rng.standard_normal((rows, columns), np.float32), "w")
    bias = numpy_helper.from_array(rng.standard_normal(columns).astype(np.float32), "b")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["product"], "first"),
         helper.make_node("Add", ["product", "b"], ["y"], "second")], "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", rows])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", columns])], [weight, bias])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    if path is not None:
        onnx.save(model, path)
    return model


def make_network(path):
    """Three convolutions with Relu, for static quantization."""
    rng = np.random.default_rng(2)
    nodes, weights, name = [], [], "x"
    for i, (inputs, outputs) in enumerate([(3, 16), (16, 32), (32, 32)]):
        weights.append(numpy_helper.from_array(
            (rng.standard_normal((outputs, inputs, 3, 3)) / inputs).astype(np.float32), f"w{i}"))
        nodes += [helper.make_node("Conv", [name, f"w{i}"], [f"c{i}"], f"conv{i}", pads=[1, 1, 1, 1]),
                  helper.make_node("Relu", [f"c{i}"], [f"r{i}"], f"relu{i}")]
        name = f"r{i}"
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 16, 16])],
                              [helper.make_tensor_value_info(name, TensorProto.FLOAT, None)], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.model, self.output = self.folder / "model.onnx", self.folder / "out.onnx"


class Quantize(Case):
    def test_path(self):
        make_model(self.model)
        report = onnxq.quantize(self.model, self.output)
        self.assertEqual(report["summary"]["quantized"], 1)
        self.assertEqual(report["output"], str(self.output))
        self.assertLess(self.output.stat().st_size, self.model.stat().st_size / 3)
        onnx.checker.check_model(str(self.output))

    def test_same_bytes_as_the_command(self):
        make_model(self.model)
        onnxq.quantize(str(self.model), str(self.output), per_channel=False, min_elements=10)
        other = self.folder / "other.onnx"
        subprocess.run([onnxq.command_path(), "quantize", "-qq", "--no-per-channel", "--min-elements=10",
                        self.model, other], check=True)
        self.assertEqual(self.output.read_bytes(), other.read_bytes())

    def test_model_in_memory(self):
        made = make_model(self.model)
        onnxq.quantize(self.model, self.output)
        for number, model in enumerate((made, made.SerializeToString(), bytearray(made.SerializeToString()))):
            other = self.folder / f"{number}.onnx"
            onnxq.quantize(model, other)
            self.assertEqual(other.read_bytes(), self.output.read_bytes())

    def test_model_too_large_for_one_message(self):
        model, before = make_model(self.model), make_model().SerializeToString(deterministic=True)
        onnxq.quantize(self.model, self.output)
        with unittest.mock.patch("onnxq._arrays._MOST_ELEMENTS", 1):
            onnxq.quantize(model, self.folder / "other.onnx", external_data="never")
        self.assertEqual(self.output.read_bytes(), (self.folder / "other.onnx").read_bytes())
        self.assertEqual(model.SerializeToString(deterministic=True), before)

    def test_side_files_that_are_not_loaded(self):
        onnx.save(make_model(), self.model, save_as_external_data=True, location="w.bin", size_threshold=0)
        model = onnx.load(self.model, load_external_data=False)
        with self.assertRaises(onnxq.InputError) as caught:
            onnxq.quantize(model, self.output)
        self.assertEqual(caught.exception.file, "<model>")
        self.assertIn("side files are not loaded", caught.exception.hint)
        onnx.load_external_data_for_model(model, str(self.folder))
        onnxq.quantize(model, self.output)

    def test_inputs_for_4_bits(self):
        make_model(self.model)
        inputs = [{"x": np.random.default_rng(i).standard_normal((64, 512)).astype(np.float32)} for i in range(4)]
        options = {"method": "blocks", "bits": 4, "exclude_name": ["second"], "allow_unmatched": True}
        report = onnxq.quantize(self.model, inputs=inputs, **options)
        self.assertIsNone(report["output"])
        report = onnxq.quantize(self.model, self.output, inputs=inputs, **options)
        self.assertEqual(report["summary"]["quantized"], 1)
        onnxq.quantize(self.model, self.folder / "plain.onnx", **options)
        self.assertNotEqual(self.output.read_bytes(), (self.folder / "plain.onnx").read_bytes())

    def test_names_with_a_nul(self):
        make_model(self.model)
        for arguments in ((f"{self.model}\0", self.output), (self.model, f"{self.output}\0x")):
            with self.assertRaises(ValueError):
                onnxq.quantize(*arguments)
        with self.assertRaises(ValueError):
            onnxq.quantize(self.model, self.output, include="first\0")
        self.assertEqual(os.listdir(self.folder), ["model.onnx"])

    def test_dry_run(self):
        make_model(self.model)
        report = onnxq.quantize(self.model)
        self.assertIsNone(report["output"])
        self.assertEqual(sorted(os.listdir(self.folder)), ["model.onnx"])

    def test_every_option_of_the_library_is_a_parameter(self):
        from onnxq._library import lib
        names, index = set(), 0
        while (name := lib.onnxq_options_name(index)) is not None:
            names.add(name.decode())
            index += 1
        parameters = set(inspect.signature(onnxq.quantize).parameters)
        self.assertEqual(parameters - {"src", "dst", "inputs", "progress"}, names)

    def test_every_value(self):
        make_model(self.model)
        for options in ({"method": "weights"}, {"method": "qdq", "bits": 4}, {"method": "blocks", "bits": "nf4"},
                        {"method": "blocks", "block_size": 64, "accuracy_level": 1}, {"weight_type": "uint8"},
                        {"symmetric": False}, {"reduce_range": "pairs"}, {"reduce_range": True},
                        {"fold_bits": 16, "method": "weights"}, {"threads": 2, "sync": False},
                        {"op_types": ["MatMul"]}, {"include": "fir*"}, {"include_regex": ["^f"]},
                        {"external_data": "always"}, {"force_integer": True}, {"per_channel": np.bool_(False)},
                        {"include": (name for name in ("first", "w"))}, {"op_types": {"MatMul"}}):
            with self.subTest(options):
                report = onnxq.quantize(self.model, self.output, force=True, **options)
                self.assertEqual(report["summary"]["quantized"], 1)

    def test_selectors(self):
        make_model(self.model)
        with self.assertRaises(onnxq.NothingToDo) as caught:
            onnxq.quantize(self.model, self.output, exclude=["nothing*", "first"], allow_unmatched=True)
        self.assertEqual(caught.exception.code, 5)
        self.assertFalse(self.output.exists())
        onnxq.quantize(self.model, self.output, exclude_name="first", allow_noop=True)
        self.assertEqual(self.output.read_bytes(), self.model.read_bytes())

    def test_progress(self):
        make_model(self.model)
        calls = []
        onnxq.quantize(self.model, self.output, progress=lambda *call: calls.append(call))
        self.assertEqual({phase for phase, _, _ in calls}, {"measure", "write"})
        self.assertTrue(all(done <= total for _, done, total in calls))

    def test_progress_stops(self):
        make_model(self.model)
        with self.assertRaises(onnxq.Cancelled):
            onnxq.quantize(self.model, self.output, progress=lambda *_: False)
        with self.assertRaises(KeyboardInterrupt):
            onnxq.quantize(self.model, self.output, progress=self.interrupt)
        self.assertEqual(os.listdir(self.folder), ["model.onnx"])

    def interrupt(self, *_):
        raise KeyboardInterrupt


class Errors(Case):
    def test_no_file(self):
        with self.assertRaises(onnxq.InputError) as caught:
            onnxq.quantize(self.folder / "none.onnx", self.output)
        self.assertEqual((caught.exception.code, caught.exception.file), (3, str(self.folder / "none.onnx")))

    def test_place(self):
        model = make_model()
        model.graph.initializer[0].raw_data = model.graph.initializer[0].raw_data[:-1]
        onnx.save(model, self.model)
        with self.assertRaises(onnxq.InputError) as caught:
            onnxq.quantize(self.model, self.output)
        self.assertIn('"w"', caught.exception.place)

    def test_options(self):
        make_model(self.model)
        for options, word in (({"method": "dynamc"}, "dynamic"), ({"bits": 3}, "bits"), ({"threads": -1}, "threads"),
                              ({"percentile": "x"}, "percentile"), ({"percentile": 0.999}, "percentile"), ({"sync": "maybe"}, "sync"),
                              ({"exclude": "nothing"}, "nothing"), ({"ranges": "no/file"}, "no/file"), ({"weights_from": "no/file"}, "no/file"),
                              ({"min_elements": "1e3"}, "min_elements")):
            with self.subTest(options), self.assertRaises(onnxq.Error) as caught:
                onnxq.quantize(self.model, self.output, **options)
            self.assertIn(word, str(caught.exception))
        with self.assertRaises(ValueError): # as callers of other libraries expect
            onnxq.quantize(self.model, self.output, method="x")
        with self.assertRaises(TypeError):
            onnxq.quantize(self.model, self.output, metod="x")
        with self.assertRaises(TypeError):  # what is returned is that report
            onnxq.inspect(self.model, json="report.json")
        onnxq.quantize(self.model, self.output, weight_type="QUInt8")
        onnxq.quantize(self.model, self.output, method="blocks", bits="int4")

    def test_output(self):
        make_model(self.model)
        with self.assertRaises(onnxq.OutputError) as caught:
            onnxq.quantize(self.model, self.folder / "none" / "out.onnx")
        self.assertEqual(caught.exception.code, 4)

    def test_of_commands(self):
        with self.assertRaises(onnxq.InputError) as caught:
            onnxq.inspect(self.folder / "none.onnx")
        self.assertIn("none.onnx: cannot open", str(caught.exception))
        make_model(self.model)
        with self.assertRaises(onnxq.OptionError) as caught:
            onnxq.check(self.model, self.model, abs_toll=1)
        self.assertIn("--abs-tol", caught.exception.hint)

    def test_place_in_commands(self):
        model = make_model()
        model.graph.initializer[0].raw_data = model.graph.initializer[0].raw_data[:-1]
        onnx.save(model, self.model)
        for source, name in ((self.model, str(self.model)), (model, "<model>")):
            with self.assertRaises(onnxq.InputError) as caught:
                onnxq.calibrate(source, self.folder / "ranges.json", random=1)
            self.assertEqual((caught.exception.file, caught.exception.place), (name, 'initializer "w"'))
            self.assertNotIn(name, caught.exception.message)

    def test_inputs_are_told_apart_from_files(self):
        make_model(self.model)
        with self.assertRaises(onnxq.InputError) as caught:
            onnxq.check(self.model, self.model, inputs={"nobody": np.ones((2, 512), np.float32)})
        self.assertEqual(caught.exception.file, "<inputs>")
        for inputs in ({"x": [1.0]}, [b"x"], [1]):
            with self.assertRaises(TypeError):
                onnxq.check(self.model, self.model, inputs=inputs)

    def test_a_warning_is_no_failure(self):
        make_network(self.model)
        with self.assertRaises(onnxq.Cancelled) as caught:
            onnxq.calibrate(self.model, self.folder / "ranges.json", random=100000, progress=lambda *_: False)
        self.assertEqual((caught.exception.message, caught.exception.hint), ("cancelled", ""))


class Commands(Case):
    def setUp(self):
        super().setUp()
        make_model(self.model)
        onnxq.quantize(self.model, self.output)
        self.inputs = {"x": np.ones((2, 512), np.float32)}

    def test_inspect(self):
        report = onnxq.inspect(self.model)
        self.assertEqual(report["inputs"][0]["dims"], ["batch", 512])
        self.assertIsNone(report["validation"])
        self.assertTrue(onnxq.inspect(self.model, validate=True)["validation"]["valid"])

    def test_inspect_finds_problems(self):
        model = make_model()
        model.graph.node[1].input[0] = "nobody"
        self.assertFalse(onnxq.inspect(model, validate=True)["validation"]["valid"])

    def test_check(self):
        report = onnxq.check(self.model, self.output, inputs=self.inputs, rel_tol=0.1)
        self.assertTrue(report["passed"])
        self.assertFalse(report["inputs"]["random"])
        self.assertEqual(report["inputs"]["arrays"][0]["dims"], [2, 512])
        report = onnxq.check(self.model, self.output, inputs=[self.inputs, self.inputs], abs_tol=0)
        self.assertFalse(report["passed"])
        self.assertEqual(len(report["inputs"]["runs"]), 2)

    def test_check_of_expected_arrays(self):
        product = self.inputs["x"] @ numpy_helper.to_array(onnx.load(self.model).graph.initializer[0])
        expected = {"y": product + numpy_helper.to_array(onnx.load(self.model).graph.initializer[1])}
        self.assertTrue(onnxq.check(None, self.model, inputs=self.inputs, expected=expected, abs_tol=1e-3)["passed"])
        expected["y"] = expected["y"] + 1
        self.assertFalse(onnxq.check(None, self.model, inputs=self.inputs, expected=expected, abs_tol=.5)["passed"])

    def test_check_of_transposed_and_other_arrays(self):
        array = np.arange(1024, dtype=np.float32).reshape(512, 2).T / 1000
        report = onnxq.check(self.model, self.model, inputs={"x": array}, abs_tol=0)
        self.assertTrue(report["passed"])

    def test_bench(self):
        report = onnxq.bench(self.model, self.output, runs=4, min_speedup=1e6)
        self.assertFalse(report["passed"])
        self.assertEqual(len(report["models"]), 2)

    def test_dequantize(self):
        back = self.folder / "back.onnx"
        report = onnxq.dequantize(self.output, back, float_type="float16", keep_ranges=False, quiet=False)
        self.assertEqual(report["summary"]["dequantized"], 1)
        self.assertTrue(onnxq.check(self.output, back, rel_tol=0.05)["passed"])
        onnxq.dequantize(self.output, self.model)  # named as the output, whatever is there
        self.assertNotEqual(self.model.read_bytes(), back.read_bytes())

    def test_calibrate(self):
        network, ranges = self.folder / "network.onnx", self.folder / "ranges.json"
        make_network(network)
        images = [{"x": np.random.default_rng(i).random((1, 3, 16, 16), np.float32)} for i in range(3)]
        onnxq.calibrate(network, ranges, inputs=images)
        report = onnxq.quantize(network, self.output, method="static", ranges=ranges, force_integer=True)
        direct = self.folder / "direct.onnx"
        onnxq.quantize(network, direct, method="static", inputs=iter(images), force_integer=True)
        self.assertEqual(self.output.read_bytes(), direct.read_bytes())
        self.assertGreater(report["summary"]["quantized"], 0)

    def test_tune(self):
        plan = self.folder / "plan.json"
        report = onnxq.tune(self.model, self.output, budget="rel<=0.1", inputs=[self.inputs] * 4, timing=False,
                            save_plan=plan)
        self.assertTrue(report["met"])
        self.assertEqual(report["output"], str(self.output))
        again = self.folder / "again.onnx"
        phases = set()
        planned = onnxq.quantize(self.model, again, plan=plan,
                                 progress=lambda phase, done, total: phases.add(phase) or True)
        self.assertEqual(again.read_bytes(), self.output.read_bytes())
        self.assertEqual(planned["summary"]["quantized"], 1)
        self.assertEqual(phases, {"measure", "write"})
        with self.assertRaises(onnxq.InputError) as caught:
            make_network(self.folder / "network.onnx")
            onnxq.quantize(self.folder / "network.onnx", again, force=True, plan=plan)
        self.assertEqual(caught.exception.file, str(plan))
        self.assertIn("another model", str(caught.exception))
        with self.assertRaises(onnxq.OptionError):
            onnxq.quantize(self.model, again, plan=plan, method="weights")

    def test_tune_of_ranges(self):
        network, plan = self.folder / "network.onnx", self.folder / "plan.json"
        make_network(network)
        images = [{"x": np.random.default_rng(i).random((1, 3, 16, 16), np.float32)} for i in range(4)]
        report = onnxq.tune(network, self.output, budget="rel<=0.2", inputs=images, timing=False, objective="size",
                            save_plan=plan)
        self.assertTrue(report["met"])
        direct = self.folder / "direct.onnx"
        onnxq.quantize(network, direct, plan=plan)
        self.assertEqual(self.output.read_bytes(), direct.read_bytes())

    def test_budget_that_nothing_keeps(self):
        output = self.folder / "tuned.onnx"
        report = onnxq.tune(self.model, output, budget="abs<=1e-30", inputs=[self.inputs] * 4, timing=False)
        self.assertFalse(report["met"])
        self.assertIsNone(report["output"])
        self.assertFalse(output.exists())

    def test_progress(self):
        seen = []
        report = onnxq.tune(self.model, self.output, inputs=[self.inputs] * 4, timing=False,
                            progress=lambda *step: seen.append(step))
        self.assertIn("points", report)
        self.assertTrue(seen)
        for what, done, total in seen:
            self.assertIsInstance(what, str)
            self.assertLessEqual(done, total)

    def test_progress_stops(self):
        with self.assertRaises(onnxq.Cancelled):
            onnxq.check(self.model, self.model, random=100000, progress=lambda *step: False)
        with self.assertRaises(ZeroDivisionError):
            onnxq.check(self.model, self.model, random=100000, progress=lambda *step: 1 / 0)

    def test_module_is_the_command(self):
        said = subprocess.run([sys.executable, "-m", "onnxq", "--version"], capture_output=True, text=True, check=True)
        self.assertEqual(said.stdout, f"onnxq {onnxq.__version__}\n")


class Signatures(unittest.TestCase):
    """What ONNX Runtime's functions take is taken, at the same place."""

    def test_same_parameters(self):
        import onnxruntime.quantization as theirs
        for name in ("quantize_dynamic", "quantize_static"):
            ours = list(inspect.signature(getattr(onnxq, name)).parameters)
            for one in inspect.signature(getattr(theirs, name)).parameters:
                self.assertIn(one, ours)
            known = [one for one in inspect.signature(getattr(theirs, name)).parameters if one in ours]
            self.assertEqual(known, ours[:len(known)])

    def test_same_names(self):
        import onnxruntime.quantization as theirs
        for name in ("QuantType", "QuantFormat", "CalibrationMethod"):
            self.assertEqual([(one.name, one.value) for one in getattr(onnxq, name)],
                             [(one.name, one.value) for one in getattr(theirs, name)])


class DocumentedExamples(Case):
    """The examples of ONNX Runtime's documentation; the import is all that differs."""

    def setUp(self):
        super().setUp()
        make_model(self.model)
        self.network = self.folder / "network.onnx"
        make_network(self.network)

    def run_example(self, text, **names):
        """As a user's script: every `onnxruntime.quantization` of an import is onnxq."""
        changed = text.replace("from onnxruntime.quantization import", "from onnxq import")
        self.assertNotEqual(changed, text)
        script = self.folder / "example.py"
        script.write_text(changed)
        subprocess.run([sys.executable, script], check=True, cwd=self.folder,
                       env={**os.environ, **{name: str(value) for name, value in names.items()}})

    def load(self):
        import onnxruntime
        return onnxruntime.InferenceSession(str(self.output), providers=["CPUExecutionProvider"])

    def test_dynamic(self):
        self.run_example(
            "import onnx\n"
            "from onnxruntime.quantization import quantize_dynamic, QuantType\n"
            "model_fp32 = 'model.onnx'\n"
            "model_quant = 'out.onnx'\n"
            "quantized_model = quantize_dynamic(model_fp32, model_quant)\n")
        self.assertIn("MatMulInteger", {node.op_type for node in onnx.load(self.output).graph.node})
        self.load()

    def test_dynamic_with_options(self):
        self.run_example(
            "import onnx\n"
            "from onnxruntime.quantization import quantize_dynamic, QuantType\n"
            "quantize_dynamic(onnx.load('model.onnx'), 'out.onnx', weight_type=QuantType.QUInt8,\n"
            "                 per_channel=True, reduce_range=True, op_types_to_quantize=['MatMul', 'Attention'],\n"
            "                 nodes_to_exclude=['none'], extra_options={'WeightSymmetric': False,\n"
            "                 'MatMulConstBOnly': True, 'EnableSubgraph': True})\n")
        self.load()

    def test_static(self):
        self.run_example(
            "import numpy\n"
            "from onnxruntime.quantization import CalibrationDataReader\n"
            "from onnxruntime.quantization import QuantFormat, QuantType, quantize_static, CalibrationMethod\n"
            "class ImageDataReader(CalibrationDataReader):\n"
            "    def __init__(self):\n"
            "        self.enum_data = None\n"
            "    def get_next(self):\n"
            "        if self.enum_data is None:\n"
            "            random = numpy.random.default_rng(0)\n"
            "            self.enum_data = iter([{'x': random.random((1, 3, 16, 16), numpy.float32)}\n"
            "                                   for _ in range(4)])\n"
            "        return next(self.enum_data, None)\n"
            "    def rewind(self):\n"
            "        self.enum_data = None\n"
            "dr = ImageDataReader()\n"
            "quantize_static('network.onnx', 'out.onnx', dr, quant_format=QuantFormat.QDQ,\n"
            "                per_channel=True, weight_type=QuantType.QInt8,\n"
            "                calibrate_method=CalibrationMethod.Percentile)\n"
            "print('Calibrated and quantized model saved.')\n")
        self.load()
        inputs = {"x": np.random.default_rng(0).random((1, 3, 16, 16), np.float32)}
        self.assertTrue(onnxq.check(self.network, self.output, inputs=inputs, rel_tol=0.2)["passed"])

    def test_theirs_can_be_mixed(self):
        from onnxruntime.quantization import QuantType
        onnxq.quantize_dynamic(self.model, self.output, weight_type=QuantType.QUInt8)
        onnxq.quantize_dynamic(self.model, self.output, weight_type="QInt8")
        with self.assertRaises(ValueError):
            onnxq.quantize_dynamic(self.model, self.output, weight_type=QuantType.QInt16)

    def test_nothing_to_do_is_a_copy(self):
        onnxq.quantize_dynamic(self.model, self.output, nodes_to_exclude=["first"])
        self.assertEqual(self.output.read_bytes(), self.model.read_bytes())

    def test_what_has_no_effect_is_said(self):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            onnxq.quantize_dynamic(self.model, self.output, extra_options={"SmoothQuant": True})
        self.assertIn("SmoothQuant", str(caught[0].message))


class Package(unittest.TestCase):
    def test_imports_the_standard_library_only(self):
        said = subprocess.run([sys.executable, "-c", "import sys; before = set(sys.modules); import onnxq; print("
                               "*sorted({m.split('.')[0] for m in set(sys.modules) - before}"
                               " - set(sys.stdlib_module_names)))"], capture_output=True, text=True, check=True)
        self.assertEqual(said.stdout.split(), ["onnxq"])


if __name__ == "__main__":
    unittest.main()
