"""ONNX Runtime as src/engine opens it: types in and out, errors, providers, profiles, where it is found."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

import build
import common
import harness
from build import node
from harness import OrtTest, cases

CAPI = Path(onnxruntime.__file__).parent / "capi"
BASE_PYTHON = Path(sys._base_executable).resolve()  # of which the virtual environment was made
FLOAT, INT64, STRING = TensorProto.FLOAT, TensorProto.INT64, TensorProto.STRING

# Types that Identity takes, with the bytes of an element.
WHOLE_TYPES = {
    "float32": (FLOAT, 4),
    "uint8": (TensorProto.UINT8, 1),
    "int8": (TensorProto.INT8, 1),
    "uint16": (TensorProto.UINT16, 2),
    "int16": (TensorProto.INT16, 2),
    "int32": (TensorProto.INT32, 4),
    "int64": (INT64, 8),
    "float16": (TensorProto.FLOAT16, 2),
    "float64": (TensorProto.DOUBLE, 8),
    "uint32": (TensorProto.UINT32, 4),
    "uint64": (TensorProto.UINT64, 8),
    "bfloat16": (TensorProto.BFLOAT16, 2),
    "float8e4m3fn": (TensorProto.FLOAT8E4M3FN, 1),
    "float8e4m3fnuz": (TensorProto.FLOAT8E4M3FNUZ, 1),
    "float8e5m2": (TensorProto.FLOAT8E5M2, 1),
    "float8e5m2fnuz": (TensorProto.FLOAT8E5M2FNUZ, 1),
}

# Types that only Cast takes: what it makes of these values, and the values of those bytes.
CAST_TYPES = {
    "uint4": (TensorProto.UINT4, [0, 1, 2, 15, 7], "10f207"),
    "int4": (TensorProto.INT4, [0, 1, -2, -8, 7], "108e07"),
    "uint2": (TensorProto.UINT2, [0, 1, 2, 3, 1], "e401"),
    "int2": (TensorProto.INT2, [0, 1, -2, -1, 1], "e401"),
    "float8e8m0": (TensorProto.FLOAT8E8M0, [1, 2, 0.5, 64, 1024], "7f807e8589"),
}


@dataclass
class Input:
    name: str
    elem_type: int
    dims: list[int]
    raw: bytes


def array(name: str, value: np.ndarray) -> Input:
    value = np.asarray(value)
    if value.dtype.kind in "OUS":
        return Input(name, STRING, list(value.shape), b"".join(s.encode() + b"\0" for s in value.flat))
    elem_type = helper.np_dtype_to_tensor_dtype(value.dtype)
    return Input(name, elem_type, list(value.shape), np.ascontiguousarray(value).tobytes())


@dataclass
class Output:
    name: str
    elem_type: int
    dims: list[int]
    raw: bytes

    def numpy(self) -> np.ndarray:
        if self.elem_type == STRING:
            strings = [s.decode() for s in self.raw.split(b"\0")[:-1]]
            return np.array(strings, dtype=object).reshape(self.dims)
        return np.frombuffer(self.raw, helper.tensor_dtype_to_np_dtype(self.elem_type)).reshape(self.dims)


def ml_model(nodes: list, inputs: list, outputs: list) -> onnx.ModelProto:
    graph = helper.make_graph(nodes, "g", inputs, outputs)
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def identity(shape: list, elem_type: int = FLOAT, op_type: str = "Identity", **attributes) -> onnx.ModelProto:
    """x -> y by one operator that keeps type and shape."""
    return ml_model(
        [node(op_type, "x", "y", **attributes)],
        [build.info("x", shape, elem_type)],
        [build.info("y", shape, elem_type)],
    )


class EngineTest(OrtTest):
    def setUp(self) -> None:
        super().setUp()
        self.program = Path(harness.ONNXQ).parent / "tests" / "engine_probe"
        if not self.program.exists():
            self.skipTest(f"{self.program} was not built")

    def probe_any(self, *arguments, **environment: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [self.program, *map(str, arguments)],
            capture_output=True,
            text=True,
            cwd=self.dir,
            env={"PATH": os.environ["PATH"], **environment},
        )

    def command(self, model, inputs: list[Input], outputs: list[str], options: list) -> list:
        if isinstance(model, onnx.ModelProto):
            onnx.save(model, self.dir / "model.onnx")
            model = self.dir / "model.onnx"
        arguments = ["--ort-lib", CAPI, *options, model]
        for value in inputs:
            path = self.dir / f"{value.name}.raw"
            path.write_bytes(value.raw)
            arguments += [value.name, value.elem_type, ",".join(map(str, value.dims)), path]
        return [*arguments, "--", *outputs]

    def probe(self, model, inputs: list[Input], outputs: list[str], *options) -> list[Output]:
        """Runs the model; a profile's name comes last."""
        done = self.probe_any(*self.command(model, inputs, outputs, options))
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.lines = done.stdout.splitlines()
        rows = [line.split("\t") for line in self.lines[: len(outputs)]]
        return [
            Output(name, int(elem_type), [int(d) for d in dims.split(",") if d], bytes.fromhex(raw))
            for name, elem_type, dims, raw in rows
        ]

    def refused(self, model, inputs: list[Input], outputs: list[str], *options, status: int = 3) -> str:
        """The error; the engine itself says nothing on standard error."""
        done = self.probe_any(*self.command(model, inputs, outputs, options))
        self.assertEqual((done.returncode, done.stdout), (status, ""), done.stderr)
        lines = done.stderr.split("\n")
        self.assertEqual(len(lines), 3, done.stderr)
        return lines[0].replace(f"{self.dir}/", "")

    # --- types -----------------------------------------------------------------

    @cases(WHOLE_TYPES)
    def identity(self, elem_type: int, nbytes: int) -> None:
        model = identity(["n", 3], elem_type)
        raw = bytes(range(1, 1 + 6 * nbytes))
        (y,) = self.probe(model, [Input("x", elem_type, [2, 3], raw)], ["y"])
        self.assertEqual((y.name, y.elem_type, y.dims, y.raw), ("y", elem_type, [2, 3], raw))
        (y,) = self.probe(model, [Input("x", elem_type, [0, 3], b"")], ["y"])
        self.assertEqual((y.elem_type, y.dims, y.raw), (elem_type, [0, 3], b""))

    @cases(CAST_TYPES)
    def cast(self, elem_type: int, values: list[float], raw: str) -> None:
        graph = helper.make_graph(
            [node("Cast", "x", "narrow", to=elem_type), node("Cast", "y", "wide", to=FLOAT)],
            "g",
            [build.info("x", [5]), build.info("y", [5], elem_type)],
            [build.info("narrow", [5], elem_type), build.info("wide", [5])],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 25)], ir_version=13)
        x = array("x", np.array(values, np.float32))
        y = Input("y", elem_type, [5], bytes.fromhex(raw))
        narrow, wide = self.probe(model, [x, y], ["narrow", "wide"])
        self.assertEqual((narrow.elem_type, narrow.dims, narrow.raw.hex()), (elem_type, [5], raw))
        np.testing.assert_array_equal(wide.numpy(), np.array(values, np.float32))

    def test_bool(self) -> None:
        model = identity(["n"], TensorProto.BOOL, "Not")
        (y,) = self.probe(model, [array("x", np.array([True, False, True]))], ["y"])
        np.testing.assert_array_equal(y.numpy(), [False, True, False])

    def test_scalar(self) -> None:
        model = identity([], FLOAT, "Neg")
        (y,) = self.probe(model, [array("x", np.float32(2.5))], ["y"])
        self.assertEqual((y.dims, y.numpy()), ([], -2.5))

    @cases(
        {
            "matrix": ([["a", ""], ["äß→", "two words"]],),
            "empty": (np.zeros((0, 2), dtype=object),),
            "all_empty": ([["", ""]],),
        }
    )
    def strings(self, values) -> None:
        x = np.array(values, dtype=object)
        model = identity(["n", 2], STRING)
        (y,) = self.probe(model, [Input("x", STRING, list(x.shape), array("x", x).raw)], ["y"])
        self.assertEqual(y.elem_type, STRING)
        np.testing.assert_array_equal(y.numpy(), x)

    def test_type_without_a_number(self) -> None:
        text = self.refused(identity([1]), [Input("x", TensorProto.FLOAT6E2M3, [4], b"abc")], ["y"])
        self.assertEqual(text, "model.onnx: input 'x': ONNX Runtime takes no input of type float6e2m3")

    # --- values that are no tensors -----------------------------------------------

    @cases(
        {
            "int64": ({"classlabels_int64s": [3, 1, 2]},),
            "string": ({"classlabels_strings": ["c", "a", "b"]},),
        }
    )
    def sequence_of_maps(self, labels: dict) -> None:
        """The columns are in the order of the labels, not of the scores."""
        output = onnx.ValueInfoProto(name="y")
        kind = output.type.sequence_type.elem_type.map_type
        kind.key_type = INT64 if "classlabels_int64s" in labels else STRING
        kind.value_type.tensor_type.elem_type = FLOAT
        zipmap = helper.make_node("ZipMap", ["x"], ["y"], domain="ai.onnx.ml", **labels)
        model = ml_model([zipmap], [build.info("x", ["n", 3])], [output])
        x = np.arange(12, dtype=np.float32).reshape(4, 3)
        (y,) = self.probe(model, [array("x", x)], ["y"])
        self.assertEqual(y.elem_type, FLOAT)
        np.testing.assert_array_equal(y.numpy(), x[:, [1, 2, 0]])
        (y,) = self.probe(model, [array("x", x[:0])], ["y"])
        self.assertEqual(y.dims, [0, 0])

    def sequence_model(self) -> onnx.ModelProto:
        kind = helper.make_sequence_type_proto(helper.make_tensor_type_proto(FLOAT, None))
        output = helper.make_value_info("y", kind)
        return ml_model([node("SplitToSequence", "x", "y")], [build.info("x", ["n", 3])], [output])

    def test_sequence_of_tensors(self) -> None:
        text = self.refused(self.sequence_model(), [array("x", np.ones((2, 3), np.float32))], ["y"])
        self.assertEqual(text, "model.onnx: output 'y': is a sequence of other values than maps")

    def test_optional_without_value(self) -> None:
        inner = helper.make_tensor_type_proto(FLOAT, None)
        kind = helper.make_optional_type_proto(inner)
        none = helper.make_node("Optional", [], ["y"], type=inner)
        model = ml_model(
            [none, node("Identity", "x", "z")],
            [build.info("x", [1])],
            [helper.make_value_info("y", kind), build.info("z", [1])],
        )
        x = array("x", np.ones(1, np.float32))
        self.assertEqual(self.refused(model, [x], ["y"]), "model.onnx: output 'y': has no value")
        self.assertEqual(self.probe(model, [x], ["z"])[0].numpy(), 1)

    def test_optional_with_value(self) -> None:
        kind = helper.make_optional_type_proto(helper.make_tensor_type_proto(FLOAT, None))
        output = helper.make_value_info("y", kind)
        model = ml_model([node("Optional", "x", "y")], [build.info("x", [2])], [output])
        (y,) = self.probe(model, [array("x", np.array([1, 2], np.float32))], ["y"])
        np.testing.assert_array_equal(y.numpy(), [1, 2])

    # --- running -------------------------------------------------------------------

    def product(self) -> onnx.ModelProto:
        return build.model(
            [node("MatMul", "x w", "h"), node("Relu", "h", "y")],
            {"x": ["n", build.K]},
            {"y": ["n", build.N], "h": ["n", build.N]},
            {"w": build.weights(build.K, build.N)},
        )

    @cases({"disabled": (0,), "basic": (1,), "extended": (2,), "all": (99,)})
    def opt_level(self, level: int) -> None:
        """As Python's engine gives them, run after run, in the order that was asked for."""
        model = self.product()
        for rows in (1, 7):
            x = build.activations(rows, build.K)
            want = common.run(model, {"x": x}, {0: "disabled", 1: "basic", 2: "extended", 99: "all"}[level])
            got = self.probe(model, [array("x", x)], ["h", "y"], "--opt-level", level, "--runs", 3)
            for left, right in zip(reversed(want), got, strict=True):
                np.testing.assert_array_equal(left, right.numpy())

    @cases({"default": (0,), "one": (1,), "two": (2,)})
    def threads(self, n: int) -> None:
        x = build.activations(5, build.K)
        (want,) = common.run(self.product(), {"x": x})[:1]
        (got,) = self.probe(self.product(), [array("x", x)], ["y"], "--threads", n)
        np.testing.assert_allclose(got.numpy(), want, rtol=1e-5, atol=1e-4)

    def test_profile(self) -> None:
        x = array("x", build.activations(2, build.K))
        self.probe(self.product(), [x], ["y"], "--profile", self.dir / "profile")
        path = Path(self.lines[-1])
        self.assertEqual(path.parent, self.dir)
        events = json.loads(path.read_text())
        self.assertTrue(any(event.get("args", {}).get("op_name") for event in events))

    def test_profile_that_cannot_be_written(self) -> None:
        x = array("x", build.activations(2, build.K))
        prefix = self.dir / "nowhere" / "profile"
        done = self.probe_any(*self.command(self.product(), [x], ["y"], ["--profile", prefix]))
        self.assertEqual(done.returncode, 4)
        self.assertIn(": the profile was not written: No such file or directory", done.stderr)

    def external(self, folder: Path) -> tuple[Path, np.ndarray]:
        folder.mkdir()
        x = build.activations(2, build.K)
        onnx.save(
            self.product(),
            folder / "model.onnx",
            save_as_external_data=True,
            location="weights.bin",
            size_threshold=0,
        )
        return folder / "model.onnx", x

    def test_external_data(self) -> None:
        path, x = self.external(self.dir / "there")
        (want,) = common.run(path, {"x": x})[:1]
        moved = path.rename(self.dir / "elsewhere.onnx")
        self.assertIn("weights.bin", self.refused(moved, [array("x", x)], ["y"]))
        (got,) = self.probe(moved, [array("x", x)], ["y"], "--bytes", self.dir / "there")
        np.testing.assert_array_equal(got.numpy(), want)
        text = self.refused(moved, [array("x", x)], ["y"], "--bytes", self.dir / "nowhere")
        self.assertTrue(text.startswith("elsewhere.onnx: "), text)
        (self.dir / "there" / "weights.bin").rename(self.dir / "weights.bin")
        (got,) = self.probe(moved, [array("x", x)], ["y"], "--bytes", "")
        np.testing.assert_array_equal(got.numpy(), want)

    def test_bytes(self) -> None:
        x = build.activations(2, build.K)
        (want,) = common.run(self.product(), {"x": x})[:1]
        (got,) = self.probe(self.product(), [array("x", x)], ["y"], "--bytes", self.dir)
        np.testing.assert_array_equal(got.numpy(), want)

    # --- errors --------------------------------------------------------------------

    X = array("x", np.zeros((2, 3), np.float32))
    FAILURES = {
        "unknown_input": ([X, array("z", np.zeros(1, np.float32))], ["y"], "Invalid input name: z"),
        "missing_input": ([], ["y"], "Missing Input: x"),
        "unknown_output": ([X], ["z"], "Invalid output name: z"),
        "no_output": ([X], [], "At least one output should be requested."),
        "wrong_size": (
            [array("x", np.zeros((2, 4), np.float32))],
            ["y"],
            "Got invalid dimensions for input: x for the following indices index: 1 Got: 4 Expected: 3 "
            "Please fix either the inputs/outputs or the model.",
        ),
        "wrong_rank": (
            [array("x", np.zeros(3, np.float32))],
            ["y"],
            "Invalid rank for input: x Got: 1 Expected: 2",
        ),
        "wrong_type": (
            [array("x", np.zeros((2, 3)))],
            ["y"],
            "Unexpected input data type. Actual: (tensor(double))",
        ),
        "string": ([array("x", np.full((2, 3), "a", dtype=object))], ["y"], "Unexpected input data type."),
    }

    @cases(FAILURES)
    def failing_run(self, inputs: list[Input], outputs: list[str], message: str) -> None:
        text = self.refused(identity(["n", 3], FLOAT, "Neg"), inputs, outputs)
        self.assertTrue(text.startswith("model.onnx: "), text)
        self.assertIn(message, text)

    def test_failing_node(self) -> None:
        """Which node, and why; not where in the engine's source."""
        model = ml_model(
            [node("Reshape", "x shape", "y", name="the_node")],
            [build.info("x", ["n"]), build.info("shape", [1], INT64)],
            [build.info("y", ["m"])],
        )
        inputs = [array("x", np.zeros(6, np.float32)), array("shape", np.array([7]))]
        text = self.refused(model, inputs, ["y"])
        self.assertIn("Name:'the_node'", text)
        self.assertIn("The input tensor cannot be reshaped to the requested shape.", text)
        self.assertNotIn("onnxruntime", text)

    @cases(
        {
            "missing": (None, "File doesn't exist"),
            "garbage": (b"garbage", "Protobuf parsing failed."),
            "empty": (b"", "No graph was found in the protobuf."),
        }
    )
    def failing_model(self, content: bytes | None, message: str) -> None:
        path = self.dir / "other.onnx"
        if content is not None:
            path.write_bytes(content)
        self.assertEqual(self.refused(path, [], ["y"]), f"other.onnx: {message}")

    def test_unknown_operator(self) -> None:
        text = self.refused(identity([1], FLOAT, "Foo"), [], ["y"])
        self.assertTrue(text.startswith("model.onnx: This is an invalid model."), text)
        self.assertIn("No Op registered for Foo", text)

    def test_long_message(self) -> None:
        """A message that is longer than an error holds is cut."""
        model = identity([1], FLOAT, "Foo", name="n" * 5000)
        self.assertIn("This is an invalid model.", self.refused(model, [], ["y"]))

    # --- providers -----------------------------------------------------------------

    def test_providers(self) -> None:
        x = build.activations(2, build.K)
        (want,) = common.run(self.product(), {"x": x})[:1]
        for names in (["cpu"], ["CPUExecutionProvider"], ["cpu", "azure"], ["Azure"]):
            options = [text for name in names for text in ("--ep", name)]
            (got,) = self.probe(self.product(), [array("x", x)], ["y"], *options)
            np.testing.assert_array_equal(got.numpy(), want)

    @cases(["cuda", "XNNPACK", "nonsense"])
    def missing_provider(self, name: str) -> None:
        if any(p.lower().startswith(name.lower()) for p in onnxruntime.get_available_providers()):
            self.skipTest("this ONNX Runtime has it")
        text = self.refused(self.product(), [], ["y"], "--ep", name, status=6)
        self.assertIn(f"has no execution provider '{name}'; it has ", text)
        self.assertIn("cpu", text)

    # --- where it is found ------------------------------------------------------------

    def assert_found(self, *arguments, **environment: str) -> None:
        done = self.probe_any(*arguments, **environment)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        version, path = done.stdout.splitlines()
        self.assertEqual(version, onnxruntime.__version__)
        self.assertEqual(Path(path).resolve().parent, CAPI.resolve())

    def test_found_in_folder(self) -> None:
        self.assert_found("--ort-lib", CAPI)

    def test_found_by_variable(self) -> None:
        self.assert_found(ONNXQ_ORT_LIB=str(CAPI))

    def test_found_in_environment_of_python(self) -> None:
        self.assert_found(VIRTUAL_ENV=sys.prefix, PATH="/nowhere")

    def test_found_by_python(self) -> None:
        self.assert_found(PATH=str(Path(sys.executable).parent))

    @cases({"none": ("",), "here": (".",), "empty": (":/nowhere",), "relative": ("/nowhere:./.:here",)})
    def nothing_from_here(self, python_path: str) -> None:
        """A package, a sitecustomize and a python3 in the working folder are nobody's: no code of theirs runs."""
        code = f"open({str(self.dir / 'ran')!r}, 'w')\n"
        for folder in (self.dir, self.dir / "here"):
            package = folder / "onnxruntime" / "capi"
            package.mkdir(parents=True)
            (package / "libonnxruntime.so").write_text("")
            for name in ("sitecustomize", "usercustomize", "importlib", "os", "encodings"):
                (folder / f"{name}.py").write_text(code)
            (package.parent / "__init__.py").write_text(code)
        (self.dir / "python3").write_text(f"#!/bin/sh\n: >{self.dir}/ran\n")
        (self.dir / "python3").chmod(0o755)
        self.assert_found(PATH=f":.:{Path(sys.executable).parent}", PYTHONPATH=python_path)
        self.assertFalse((self.dir / "ran").exists())

    def test_found_where_python_path_says(self) -> None:
        """An absolute folder is the user's word."""
        self.link_package(self.dir / "mine")
        self.assert_found(PATH=str(BASE_PYTHON.parent), PYTHONPATH=f":{self.dir / 'mine'}:x")

    def test_found_where_pip_installs_for_a_user(self) -> None:
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        self.link_package(self.dir / "base" / "lib" / version / "site-packages")
        self.assert_found(PATH=str(BASE_PYTHON.parent), PYTHONUSERBASE=str(self.dir / "base"))

    def link_package(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        (folder / "onnxruntime").symlink_to(CAPI.parent)
