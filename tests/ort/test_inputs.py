"""Input files as numpy and onnx write them are read equal, to the last bit."""

import io
import json
import subprocess
import unittest
import zipfile
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.backend.test import loader

import harness
from harness import OrtTest, cases

CHUNK = 500  # paths of one call

NUMPY_TYPES = "?,b,B,<h,<H,<i,<I,<q,<Q,<e,<f,<d,<F,<D,>h,>H,>i,>I,>q,>Q,>e,>f,>d,>F,>D,S5,<U4,>U4".split(",")
SHAPES = [(), (1,), (7,), (0,), (2, 0, 3), (3, 4), (2, 3, 4), (1, 5, 1, 2)]
TENSOR_TYPES = [t for t in TensorProto.DataType.values() if t not in (TensorProto.UNDEFINED, TensorProto.STRING)]
STRINGS = ["", "a", "żółw", "漢字", "🙂", "  ", "a\nb"]

random = np.random.default_rng(5)


def values(dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    """Any bits; strings are some of all kinds of characters."""
    count = int(np.prod(shape))
    if dtype.kind in "SU":
        texts = random.choice([text[: dtype.itemsize] for text in STRINGS], count).tolist()
        if dtype.kind == "S":
            texts = [text.encode("ascii", "ignore") for text in texts]
        return np.array(texts, dtype).reshape(shape)
    if dtype.kind == "b":
        return random.integers(0, 2, shape).astype(bool)
    return np.frombuffer(random.bytes(count * dtype.itemsize), dtype).reshape(shape)


def name_of(dtype: np.dtype) -> str:
    return "string" if dtype.kind in "SUO" else dtype.newbyteorder("=").name


def as_read(array: np.ndarray) -> dict:
    """What values_dump prints of the array, but for its name."""
    read = {"dtype": name_of(array.dtype), "dims": list(array.shape)}
    if read["dtype"] == "string":
        texts = (t if isinstance(t, bytes) else str(t).encode() for t in array.reshape(-1).tolist())
        return read | {"strings": [text.hex() for text in texts]}
    little = array.astype(array.dtype.newbyteorder("<"), order="C", copy=False)
    return read | {"data": np.ascontiguousarray(little).tobytes().hex()}


def proto_as_read(tensor: TensorProto) -> dict:
    """The same of a tensor: numpy_helper unpacks it, and make_tensor packs it again as raw_data."""
    array = numpy_helper.to_array(tensor)
    if tensor.data_type == TensorProto.STRING:
        return as_read(array) | {"dims": list(tensor.dims)}
    raw = tensor.raw_data if tensor.HasField("raw_data") else numpy_helper.from_array(array).raw_data
    name = TensorProto.DataType.Name(tensor.data_type).lower()
    name = {"float": "float32", "double": "float64"}.get(name, name)
    return {"dtype": name, "dims": list(tensor.dims), "data": raw.hex()}


class InputsTest(OrtTest):
    def setUp(self) -> None:
        super().setUp()
        self.driver = Path(harness.ONNXQ).parent / "tests" / "values_dump"
        if not self.driver.exists():
            self.skipTest(f"{self.driver} was not built")

    def dump(self, *paths: Path) -> list[dict]:
        """What becomes of each path; the driver has to survive all of them."""
        results = []
        for start in range(0, len(paths), CHUNK):
            part = paths[start : start + CHUNK]
            done = subprocess.run([self.driver, *part], capture_output=True, text=True)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            results += json.loads(done.stdout)
        self.assertEqual(len(results), len(paths))
        return results

    def read(self, path: Path) -> list[dict]:
        """The inputs of the only set."""
        (result,) = self.dump(path)
        self.assertNotIn("error", result)
        (only,) = result["sets"]
        self.assertEqual((only["label"], only["outputs"]), (str(path), []))
        return only["inputs"]

    def assert_error(self, path: Path, text: str) -> None:
        (result,) = self.dump(path)
        self.assertIn(text, result.get("error", "no error"))
        self.assertIn(str(path), result["error"])
        self.assertEqual(result["status"], 3)

    # --- numpy -----------------------------------------------------------------

    @cases(NUMPY_TYPES)
    def npy(self, dtype):
        for shape in SHAPES:
            array = values(np.dtype(dtype), shape)
            for version in ((1, 0), (2, 0), (3, 0)):
                for ordered in (array, np.asarray(array, order="F")):
                    with open(self.dir / "x.npy", "wb") as file:
                        np.lib.format.write_array(file, ordered, version)
                    self.assertEqual(self.read(self.dir / "x.npy"), [{"name": "#0"} | as_read(array)])

    @cases({"stored": (np.savez,), "compressed": (np.savez_compressed,)})
    def npz(self, save):
        arrays = {
            f"/layer {i}/{dtype}/{len(shape)}": values(np.dtype(dtype), shape)
            for i, dtype in enumerate(NUMPY_TYPES)
            for shape in SHAPES
        }
        arrays["żółw"] = np.zeros((1000, 1000), np.float32)
        arrays["noise"] = random.standard_normal(100000)
        arrays["columns"] = np.asfortranarray(random.standard_normal((300, 400)).astype(np.float32))
        save(self.dir / "x.npz", **arrays)
        self.assertEqual(
            self.read(self.dir / "x.npz"), [{"name": name} | as_read(array) for name, array in arrays.items()]
        )

    def test_npz_positions(self):
        first, second = values(np.dtype("f"), (3,)), values(np.dtype("q"), (2, 2))
        np.savez(self.dir / "x.npz", first, second, mask=first)
        self.assertEqual(
            sorted((array["name"], array["dims"]) for array in self.read(self.dir / "x.npz")),
            [("#0", [3]), ("#1", [2, 2]), ("mask", [3])],
        )

    def test_npz_written_to_a_stream(self):
        """Sizes behind the data: what numpy writes to something that cannot be wound back."""

        class Pipe(io.RawIOBase):
            def __init__(self, path):
                self.file = open(path, "wb")

            def write(self, data):
                return self.file.write(data)

            def writable(self):
                return True

        array = values(np.dtype("f"), (30, 4))
        npy = io.BytesIO()
        np.save(npy, array)
        for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            pipe = Pipe(self.dir / "x.npz")
            with zipfile.ZipFile(pipe, "w", method) as archive:
                archive.writestr("x.npy", npy.getvalue())
            pipe.file.close()
            self.assertEqual(self.read(self.dir / "x.npz"), [{"name": "x"} | as_read(array)])

    @cases(
        {
            "objects": (np.array([1, None]), "holds Python objects"),
            "structured": (np.zeros(2, "f4,i8"), "is a structured array"),
            "times": (np.zeros(2, "M8[s]"), "has elements of type '<M8[s]'"),
            "bfloat16": (np.zeros(2, ml_dtypes.bfloat16), "has elements of type '<V2'"),
            "float8": (np.zeros(2, ml_dtypes.float8_e4m3fn), "has elements of type"),
            "strings of any length": (np.array(["a"], np.dtypes.StringDType()), "holds Python objects"),
        }
    )
    def refused(self, array, text):
        np.save(self.dir / "x.npy", array)
        self.assert_error(self.dir / "x.npy", text)
        np.savez_compressed(self.dir / "y.npz", **{"a/b": array})
        self.assert_error(self.dir / "y.npz", f'entry "a/b.npy": {text}')

    @cases({"bzip2": (zipfile.ZIP_BZIP2, 12), "LZMA": (zipfile.ZIP_LZMA, 14)})
    def other_methods(self, method, number):
        with zipfile.ZipFile(self.dir / "x.npz", "w", method) as archive:
            archive.writestr("x.npy", b"0" * 1000)
        self.assert_error(self.dir / "x.npz", f"is compressed by method {number}, expected 0")

    # --- onnx ------------------------------------------------------------------

    def test_tensors(self):
        """Every type, in raw_data and in the field of the type."""
        expected = []
        for data_type in TENSOR_TYPES:
            dtype = np.dtype(helper.tensor_dtype_to_np_dtype(data_type))
            for shape in SHAPES:
                array = random.integers(0, 2, shape).astype(np.float32).astype(dtype)
                raw = numpy_helper.from_array(array, "")
                self.assertEqual(raw.data_type, data_type)
                typed = helper.make_tensor("x", data_type, shape, array.reshape(-1))
                expected += [(raw, "#0"), (typed, "x")]
        expected.append((numpy_helper.from_array(np.array(STRINGS, object), "s"), "s"))
        self.check_tensors(expected)

    def check_tensors(self, tensors: list[tuple[TensorProto, str]]) -> None:
        paths = [self.dir / f"{i}.pb" for i in range(len(tensors))]
        for path, (tensor, _) in zip(paths, tensors, strict=True):
            path.write_bytes(tensor.SerializeToString())
        for result, (tensor, name) in zip(self.dump(*paths), tensors, strict=True):
            if tensor.data_type in (TensorProto.FLOAT6E2M3, TensorProto.FLOAT6E3M2) and tensor.int32_data:
                self.assertIn("has int32_data of type float6", result["error"])
                continue
            self.assertNotIn("error", result, tensor)
            self.assertEqual(result["sets"][0]["inputs"], [{"name": name} | proto_as_read(tensor)])

    def test_backend_files(self):
        """All test data that comes with the onnx package."""
        paths = sorted((Path(onnx.__file__).parent / "backend" / "test" / "data").rglob("*.pb"))
        self.assertGreater(len(paths), 300)
        for path, result in zip(paths, self.dump(*paths), strict=True):
            tensor = TensorProto.FromString(path.read_bytes())
            self.assertNotIn("error", result, path)
            (array,) = result["sets"][0]["inputs"]
            self.assertEqual(array, {"name": array["name"]} | proto_as_read(tensor), path)

    def test_backend_folders(self):
        root = Path(onnx.__file__).parent / "backend" / "test" / "data" / "pytorch-operator"
        models = sorted(path.parent for path in root.glob("*/test_data_set_0"))
        self.assertGreater(len(models), 10)
        for model, result in zip(models, self.dump(*models), strict=True):
            self.assertEqual([found["label"] for found in result["sets"]], [f"{model}/test_data_set_0"])
            for kind in ("input", "output"):
                count = len(list(model.glob(f"test_data_set_0/{kind}_*.pb")))
                self.assertEqual(len(result["sets"][0][f"{kind}s"]), count, model)

    def test_backend_values(self):
        """Values of all operator tests: tensors are read, sequences and optionals are errors."""
        kinds = {"tensor": [], "other": []}
        for case in loader.load_model_tests(kind="node"):
            for inputs, outputs in case.data_sets or []:
                for value in [*inputs, *outputs]:
                    self.sort_value(value, kinds)
        self.assertGreater(len(kinds["tensor"]), 3000)
        self.assertGreater(len(kinds["other"]), 50)
        self.check_tensors(kinds["tensor"])
        paths = [self.dir / f"other_{i}.pb" for i in range(len(kinds["other"]))]
        for path, proto in zip(paths, kinds["other"], strict=True):
            path.write_bytes(proto.SerializeToString())
        for path, result in zip(paths, self.dump(*paths), strict=True):
            self.assertIn(f"{path}: ", result.get("error", "no error"))
            self.assertEqual(result["status"], 3)

    def sort_value(self, value, kinds: dict[str, list]) -> None:
        if isinstance(value, list):
            kinds["other"] += [numpy_helper.from_list(value), numpy_helper.from_list(value, "name")]
            kinds["other"] += [numpy_helper.from_optional(value), numpy_helper.from_optional(value, "name")]
        elif value is None:
            kinds["other"].append(numpy_helper.from_optional(value))
        elif not isinstance(value, dict):
            tensor = value if isinstance(value, TensorProto) else numpy_helper.from_array(np.asarray(value))
            kinds["tensor"].append((tensor, tensor.name or "#0"))
            if isinstance(value, np.ndarray):
                kinds["other"].append(numpy_helper.from_optional(value))


if __name__ == "__main__":
    unittest.main()
