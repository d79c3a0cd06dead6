"""onnxq calibrate: ranges, histograms and means are those that numpy finds in the values of the float model."""

import json
import math
import signal
import struct
import subprocess
import time
import unittest
import zlib
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization.calibrate import CalibrationDataReader, CalibrationMethod, create_calibrator

import build
import common
import harness
from build import node
from harness import OrtTest, cases

LIBRARY = Path(onnxruntime.__file__).parent / "capi"
INT64 = TensorProto.INT64
BINS, INDEX_BITS, MIN_EXPONENT = 2048, 15, -149
MB = 1 << 20


def network(rows: int | str = "n") -> onnx.ModelProto:
    """Convolutions, a pool, a Concat, a product, and values that are no float32 or no values of inputs."""
    r = build.rng(3)
    constants = {
        "w1": r.standard_normal((8, 3, 3, 3)).astype(np.float32),
        "b1": r.standard_normal(8).astype(np.float32),
        "w2": r.standard_normal((4, 8, 1, 1)).astype(np.float32),
        "w3": r.standard_normal((12, 5)).astype(np.float32),
        "minus": np.array([0, -1], np.int64),
    }
    nodes = [
        node("Conv", "x w1 b1", "c1", pads=[1, 1, 1, 1]),
        node("Relu", "c1", "r1"),
        node("MaxPool", "r1", "p1", kernel_shape=[2, 2], strides=[2, 2]),
        node("Conv", "p1 w2", "c2"),
        node("Concat", "p1 c2", "k", axis=1),
        node("GlobalAveragePool", "k", "g"),
        node("Shape", "g", "shape"),
        node("Reshape", "g minus", "flat"),
        node("Relu", "w3", "w4"),
        node("MatMul", "flat w4", "y"),
        node("ArgMax", "y", "label", axis=1),
        node("Cast", "label", "number", to=TensorProto.FLOAT),
        node("Cast", "y", "half", to=TensorProto.FLOAT16),
    ]
    outputs = [
        build.info("y", (rows, 5)),
        build.info("number", (rows, 1)),
        build.info("half", (rows, 5), TensorProto.FLOAT16),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [build.info("x", (rows, 3, 8, 8))],
        outputs,
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return build.model(graph, opset=17)


VALUES = ["x", "c1", "r1", "p1", "c2", "k", "g", "flat", "y", "number"]
AXES = {"x": 1, "c1": 1, "r1": 1, "p1": 1, "c2": 1, "k": 1, "g": 1, "flat": 1, "y": 1, "number": None}


def values_of(model: onnx.ModelProto, x: np.ndarray, names: list[str]) -> dict[str, np.ndarray]:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    known = {output.name for output in copy.graph.output}
    copy.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name != "x" and name not in known)
    wanted = [name for name in names if name != "x"]
    return {"x": x, **dict(zip(wanted, common.session(copy).run(wanted, {"x": x}), strict=True))}


def grid(low: float, high: float) -> tuple[int, int, int]:
    """Exponent, first bin and number of bins, as docs/ranges.md says."""
    magnitude = max(abs(low), abs(high))
    exponent = MIN_EXPONENT
    if magnitude > 0:
        exponent = max(exponent, math.frexp(magnitude)[1] - 1 - INDEX_BITS)
    while True:
        first, last = (math.floor(math.ldexp(float(v), -exponent)) for v in (low, high))
        if last - first < BINS:
            return exponent, first, last - first + 1
        exponent += 1


class CalibrateTest(OrtTest):
    def save(self, model: onnx.ModelProto, name: str = "model.onnx") -> Path:
        onnx.save(model, self.dir / name)
        return self.dir / name

    def calibrate(self, *arguments, out: str = "ranges.json", status: int = 0) -> dict:
        path = self.dir / out
        done = self.onnxq("calibrate", "--ort-lib", LIBRARY, "-o", path, *arguments, status=status)
        self.text, self.messages = done.stdout, done.stderr
        return json.loads(path.read_text()) if status == 0 else {}

    def sets(self, count: int, folder: str = "inputs", rows: int = 2, seed: int = 0) -> tuple[Path, list[np.ndarray]]:
        (self.dir / folder).mkdir()
        arrays = [build.activations(rows, 3, 8, 8, seed=seed + i) * (i + 1) for i in range(count)]
        for i, x in enumerate(arrays):
            np.savez(self.dir / folder / f"{i}.npz", x=x)
        return self.dir / folder, arrays

    def check_value(self, found: dict, tensors: list[np.ndarray], axis: int | None) -> None:
        x = np.concatenate([t.ravel() for t in tensors])
        self.assertEqual(found["tensors"], len(tensors))
        self.assertEqual(found["count"], x.size)
        self.assertLessEqual(abs(found["zeros"] - int((x == 0).sum())), x.size // 1000000)
        self.assertEqual((found["nan"], found["infinite"]), (0, 0))
        # The engine may add up in another order where other values are outputs.
        scale = float(np.abs(x).max()) or 1
        near = {"rtol": 0, "atol": 2e-6 * scale}
        np.testing.assert_allclose([found["min"], found["max"], found["mean"]], [x.min(), x.max(), x.mean()], **near)
        histogram = found["histogram"]
        exponent, first, bins = grid(found["min"], found["max"])
        self.assertEqual((histogram["exponent"], histogram["first"]), (exponent, first))
        self.assertEqual(len(histogram["counts"]), bins)
        index = np.floor(np.ldexp(x.astype(np.float64), -exponent)).astype(np.int64) - first
        counts = np.bincount(np.clip(index, 0, bins - 1), minlength=bins)
        moved = np.abs(np.cumsum(counts) - np.cumsum(histogram["counts"])).max()
        self.assertLessEqual(moved, max(2, x.size // 1000))
        if axis is None:
            return
        channels = found["channels"]
        self.assertEqual(channels["axis"], axis)
        rows = [np.moveaxis(t, axis, 0).reshape(t.shape[axis], -1) for t in tensors]
        together = np.concatenate(rows, axis=1)
        self.assertEqual(channels["count"], together.shape[1])
        for key, value in (("min", together.min(1)), ("max", together.max(1)), ("mean", together.mean(1))):
            np.testing.assert_allclose(channels[key], value, **near)

    def check_ranges(self, ranges: dict, model: onnx.ModelProto, inputs: list[np.ndarray]) -> None:
        found = {value["name"]: value for value in ranges["values"]}
        self.assertEqual(list(found), VALUES)
        runs = [values_of(model, x, VALUES) for x in inputs]
        self.assertEqual(ranges["runs"], len(inputs))
        for name in VALUES:
            self.check_value(found[name], [run[name] for run in runs], AXES[name])


class Values(CalibrateTest):
    def test_against_numpy(self):
        """Every float32 value of the main graph that depends on inputs, and no other."""
        model, (folder, inputs) = network(), self.sets(6)
        ranges = self.calibrate("-i", folder, self.save(model))
        self.assertEqual(ranges["drawn_runs"], 0)
        self.assertEqual(self.messages, "")
        self.check_ranges(ranges, model, inputs)

    def test_same_bytes(self):
        path, (folder, _) = self.save(network()), self.sets(3)
        self.calibrate("-i", folder, path, out="a.json")
        self.calibrate("-i", folder, path, out="b.json")
        self.assertEqual((self.dir / "a.json").read_bytes(), (self.dir / "b.json").read_bytes())

    def test_forms_of_inputs(self):
        """Several --inputs, single arrays, and folders of ONNX test data."""
        model = network()
        (folder, inputs), data = self.sets(2), self.dir / "data"
        x = build.activations(1, 3, 8, 8, seed=50)
        np.save(self.dir / "x.npy", x)
        for i in range(2):
            (data / f"test_data_set_{i}").mkdir(parents=True)
            tensor = numpy_helper.from_array(x + i + 1, "x")
            (data / f"test_data_set_{i}" / "input_0.pb").write_bytes(tensor.SerializeToString())
        ranges = self.calibrate("-i", folder, "-i", self.dir / "x.npy", "-i", data, self.save(model))
        self.check_ranges(ranges, model, inputs + [x, x + 1, x + 2])

    def test_random(self):
        """They are drawn one by one and are those that check draws; a warning says what they are worth."""
        ranges = self.calibrate("--random", "5", "--seed", "7", "--dim", "n=2", self.save(network()))
        self.assertEqual((ranges["runs"], ranges["drawn_runs"]), (5, 5))
        self.assertIn("warning: random inputs", self.messages)
        self.assertIn("5 of them random", self.text)
        self.assertEqual(ranges["values"][0]["count"], 5 * 2 * 3 * 8 * 8)

    def test_sizes(self):
        """Those that were drawn for open dimensions are said."""
        self.calibrate("--random", "1", self.save(network()))
        self.assertIn("1 of them random, sizes --dim n=1", self.text)

    def test_not_finite(self):
        """The finite numbers count; channels, of which one is not what it was, do not."""
        x = build.activations(1, 3, 8, 8)
        x[0, 1, 2, 3], x[0, 0, 0, 0] = np.nan, np.inf
        np.savez(self.dir / "x.npz", x=x)
        ranges = self.calibrate("-i", self.dir / "x.npz", self.save(network()))
        value = ranges["values"][0]
        self.assertEqual((value["nan"], value["infinite"], value["count"]), (1, 1, x.size - 2))
        self.assertNotIn("channels", value)
        self.assertIn("with NaN or infinities", self.text)

    def test_constant_and_missing(self):
        """A value of NaN alone has no range; one that is always the same is named."""
        nodes = [node("Log", "x", "a"), node("Mul", "x zero", "b"), node("Add", "a b", "y")]
        model = build.model(nodes, {"x": (2,)}, {"y": (2,)}, {"zero": np.zeros(1, np.float32)})
        np.savez(self.dir / "x.npz", x=np.array([-1, -2], np.float32))
        ranges = self.calibrate("-i", self.dir / "x.npz", self.save(model))
        found = {value["name"]: value for value in ranges["values"]}
        self.assertEqual((found["a"]["count"], found["a"]["nan"], found["b"]["zeros"]), (0, 2, 2))
        self.assertNotIn("min", found["a"])
        self.assertIn("2 without a range: a, y", self.text)
        self.assertIn("1 always the same: b", self.text)

    def test_numbers_in_attributes(self):
        """They are in no file that a part of the model could refer to."""
        numbers = helper.make_node("Constant", [], ["c"], value_floats=build.weights(1024).tolist())
        nodes = [numbers, node("Reshape", "c s", "w"), node("MatMul", "x w", "y")]
        model = build.model(nodes, {"x": (2, 32)}, {"y": (2, 32)}, {"s": np.array([32, 32])})
        ranges = self.calibrate("--random", "1", self.save(model))
        self.assertEqual([value["name"] for value in ranges["values"]], ["x", "y"])

    def test_nothing(self):
        """A model of other types has no ranges, and no file."""
        half = TensorProto.FLOAT16
        graph = helper.make_graph(
            [node("Relu", "x", "y")], "g", [build.info("x", (2,), half)], [build.info("y", (2,), half)]
        )
        path = self.save(build.model(graph))
        self.calibrate("--random", "1", path, status=5)
        self.assertIn("no float32 value in it depends on inputs", self.messages)
        self.assertFalse((self.dir / "ranges.json").exists())

    def test_bodies_and_sequences(self):
        """What may be no tensor is not asked for, and does not keep the others from being seen."""
        branch = helper.make_graph([node("Abs", "x", "t")], "b", [], [build.info("t", (3,))])
        nodes = [
            node("Greater", "x zero", "positive"),
            node("ReduceMax", "x", "largest", keepdims=0),
            node("Greater", "largest zero", "condition"),
            helper.make_node("If", ["condition"], ["i"], then_branch=branch, else_branch=branch),
            node("SplitToSequence", "x", "parts", axis=0),
            node("ConcatFromSequence", "parts", "joined", axis=0),
            node("Add", "joined i", "y"),
        ]
        constants = {"zero": np.array(0, np.float32)}
        model = build.model(nodes, {"x": (3,)}, {"y": (3,)}, constants, opset=17)
        np.savez(self.dir / "x.npz", x=np.array([1, -2, 3], np.float32))
        ranges = self.calibrate("-i", self.dir / "x.npz", self.save(model))
        self.assertEqual([value["name"] for value in ranges["values"]], ["x", "largest", "joined", "y"])


class Files(CalibrateTest):
    def assert_same(self, a: dict, b: dict) -> None:
        """All but means, which are the same to rounding."""

        def means(ranges: dict) -> list[float]:
            found = []
            for value in ranges["values"]:
                found.append(value.pop("mean"))
                found += value.get("channels", {}).pop("mean", [])
            return found

        np.testing.assert_allclose(means(a), means(b), rtol=0, atol=1e-9)
        self.assertEqual(a, b)

    def test_merge(self):
        """Two runs add up to the run over both sets of inputs, in either order."""
        path, (first, _), (second, _) = self.save(network()), self.sets(2, "a"), self.sets(3, "b", seed=9)
        whole = self.calibrate("-i", first, "-i", second, path)
        self.calibrate("-i", first, path, out="a.json")
        self.calibrate("-i", second, path, out="b.json")
        a, b = ("--merge", self.dir / "a.json"), ("--merge", self.dir / "b.json")
        self.assert_same(self.calibrate(*a, *b, path, out="ab.json"), json.loads(json.dumps(whole)))
        self.assert_same(self.calibrate(*b, *a, path, out="ba.json"), json.loads(json.dumps(whole)))
        self.assert_same(self.calibrate(*a, "-i", second, path, out="c.json"), json.loads(json.dumps(whole)))
        self.assert_same(self.calibrate("-a", "-i", second, path, out="a.json"), whole)

    def test_derived_name(self):
        path, (folder, _) = self.save(network()), self.sets(1)
        arguments = ("calibrate", "--ort-lib", LIBRARY, "-i", folder, path)
        self.onnxq(*arguments)
        kept = (self.dir / "model.ranges.json").read_bytes()
        done = self.onnxq(*arguments, status=4)
        self.assertIn("model.ranges.json: it exists and is kept", done.stderr)
        self.onnxq(*arguments, "-n", status=4)
        self.assertEqual((self.dir / "model.ranges.json").read_bytes(), kept)
        self.onnxq(*arguments, "-f")
        self.onnxq(*arguments, "--append")
        self.assertEqual(json.loads((self.dir / "model.ranges.json").read_text())["runs"], 2)

    def test_other_model(self):
        path, (folder, _) = self.save(network()), self.sets(1)
        self.calibrate("-i", folder, path)
        other = self.save(build.model([node("Relu", "x", "y")], {"x": (2,)}, {"y": (2,)}, {}), "other.onnx")
        self.calibrate("--merge", self.dir / "ranges.json", other, out="o.json", status=3)
        self.assertIn("ranges.json: ranges of another model: of 13 node outputs", self.messages)
        self.assertFalse((self.dir / "o.json").exists())

    def test_bad_inputs(self):
        """A set that does not fit, the last one, leaves nothing behind."""
        path, (folder, _) = self.save(network()), self.sets(2)
        np.savez(folder / "9.npz", x=np.zeros((1, 4, 8, 8), np.float32))
        self.calibrate("-i", folder, path, status=3)
        self.assertIn("9.npz", self.messages)
        self.assertFalse((self.dir / "ranges.json").exists())

    def test_json(self):
        path, (folder, _) = self.save(network()), self.sets(2)
        done = self.onnxq("calibrate", "--ort-lib", LIBRARY, "-i", folder, path, "--json")
        report = json.loads(done.stdout)
        self.assertEqual((report["runs"], report["values"], report["groups"]), (2, len(VALUES), 1))
        self.assertEqual((report["not_finite"], report["without_range"]), ([], []))


class Peer(CalibrateTest):
    """What onnxruntime.quantization makes of the same inputs."""

    def peer(self, path: Path, inputs: list[np.ndarray], method: CalibrationMethod, **options) -> dict:
        class Reader(CalibrationDataReader):
            def __init__(self) -> None:
                self.left = iter(inputs)

            def get_next(self) -> dict | None:
                x = next(self.left, None)
                return None if x is None else {"x": x}

        augmented = str(self.dir / "augmented.onnx")
        operators = ["Conv", "MaxPool", "Concat", "MatMul"]  # with a value that is constant it fails
        calibrator = create_calibrator(str(path), operators, augmented, method, extra_options=options)
        calibrator.set_execution_providers(["CPUExecutionProvider"])
        calibrator.collect_data(Reader())
        found = calibrator.compute_data()
        return {k: [float(np.min(v.range_value[0])), float(np.max(v.range_value[1]))] for k, v in found.items()}

    def ours(self, path: Path, folder: Path) -> dict[str, dict]:
        self.calibrate("-i", folder, path)
        program = Path(harness.ONNXQ).parent / "tests" / "ranges_dump"
        done = subprocess.run([program, self.dir / "ranges.json"], capture_output=True, check=True)
        return json.loads(done.stdout)

    def test_minmax(self):
        """The same but for 0, which ours hold."""
        path, (folder, inputs) = self.save(network()), self.sets(6)
        ours, peer = self.ours(path, folder), self.peer(path, inputs, CalibrationMethod.MinMax)
        self.assertEqual(set(peer) - set(ours), {"w4"})  # which is a constant
        for name in set(peer) & set(ours):
            expected = [min(peer[name][0], 0), max(peer[name][1], 0)]
            np.testing.assert_allclose(ours[name]["minmax"], expected, rtol=1e-5, err_msg=name)

    def test_percentile(self):
        """That of numpy."""
        model, (folder, inputs) = network(), self.sets(3, rows=1024)
        ours = self.ours(self.save(model), folder)
        runs = [values_of(model, x, VALUES) for x in inputs]
        for name in ("x", "c1", "r1", "p1", "c2", "k"):
            x = np.concatenate([run[name].ravel() for run in runs])
            low, high = np.percentile(x, [0.005, 99.995])
            atol = 0.01 * max(abs(low), abs(high))
            found = ours[name]["percentile 99.99"]
            np.testing.assert_allclose(found, [min(low, 0), max(high, 0)], rtol=0, atol=atol, err_msg=name)


def png(pixels: np.ndarray) -> bytes:
    """Bytes of red, green and blue, or of gray, [height, width, channels]."""
    height, width, channels = pixels.shape

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2 if channels == 3 else 0, 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


class Pictures(CalibrateTest):
    def pictures(self, count: int = 3, size: int = 8) -> tuple[Path, list[np.ndarray]]:
        (self.dir / "pictures").mkdir()
        found = [build.rng(i).integers(0, 256, (size, size, 3), np.uint8) for i in range(count)]
        for i, pixels in enumerate(found):
            (self.dir / "pictures" / f"{i}.png").write_bytes(png(pixels))
        return self.dir / "pictures", found

    def test_png(self):
        """Pixels as they are, in the model's layout, and its values are those of the arrays."""
        model, (folder, found) = network(), self.pictures()
        inputs = [p.transpose(2, 0, 1)[None].astype(np.float32) for p in found]
        self.check_ranges(self.calibrate("-i", folder, self.save(model)), model, inputs)

    def test_scaled(self):
        """Mean and deviation as torchvision has them."""
        model, (folder, found) = network(), self.pictures(1)
        mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
        x = (((found[0] / 255 - mean) / std).transpose(2, 0, 1)[None]).astype(np.float32)
        flags = ("--mean", "0.485,0.456,0.406", "--std", "0.229,0.224,0.225")
        ranges = self.calibrate("-i", folder, *flags, self.save(model))
        np.testing.assert_allclose([ranges["values"][0]["min"], ranges["values"][0]["max"]], [x.min(), x.max()], 1e-6)

    def test_check_takes_them(self):
        path, (folder, _) = self.save(network()), self.pictures(2, 21)
        done = self.onnxq("check", "--ort-lib", LIBRARY, "-i", folder, path, path)
        self.assertIn("Works: ", done.stdout)

    def test_options_without_pictures(self):
        path, (folder, _) = self.save(network()), self.sets(1)
        self.calibrate("-i", folder, "--size", "8", path, status=2)
        self.assertIn("are for pictures, and there are none", self.messages)


def large(size: int = 1024, layers: int = 8) -> onnx.ModelProto:
    """Values of 16 MB each."""
    w = build.rng(1).standard_normal((4, 4, 1, 1)).astype(np.float32) / 2
    nodes, value = [], "x"
    for k in range(layers):
        nodes += [node("Conv", f"{value} w", f"c{k}"), node("Relu", f"c{k}", f"r{k}")]
        value = f"r{k}"
    shape = (1, 4, size, size)
    return build.model(nodes, {"x": shape}, {value: shape}, {"w": w})


class Limits(CalibrateTest):
    def test_memory(self):
        """At most 64 MB above the float model's own, whatever the values take, and however many sets there are."""
        path = self.save(large(layers=4))
        x = build.activations(1, 4, 1024, 1024)
        (self.dir / "in").mkdir()
        for i in range(4):
            np.savez(self.dir / "in" / f"{i}.npz", x=x + i)
        common_flags = ["--ort-lib", LIBRARY, "--threads", "1", "-i"]
        one = self.dir / "in" / "0.npz"
        checked = common.peak_nbytes([harness.ONNXQ, "check", *common_flags, one, path, path])
        ranges = self.dir / "ranges.json"
        found = common.peak_nbytes([harness.ONNXQ, "calibrate", *common_flags, self.dir / "in", "-o", ranges, path])
        self.assertEqual(json.loads(ranges.read_text())["runs"], 4)
        # check keeps the reference's output, which the engine's run alone would not.
        self.assertLess(found - (checked - 16 * MB), 64 * MB)

    def test_groups(self):
        """Values in several groups, inputs in several batches: each value sees each set once."""
        model = large(1024, 2)
        inputs = [build.activations(1, 4, 1024, 1024, seed=i) for i in range(6)]
        (self.dir / "in").mkdir()
        for i, x in enumerate(inputs):
            np.save(self.dir / "in" / f"{i}.npy", x)
        path, report = self.save(model), self.dir / "report.json"
        flags = [word for i in range(6) for word in ("-i", self.dir / "in" / f"{i}.npy")]
        ranges = self.calibrate(*flags, path, f"--json={report}")
        self.assertEqual((json.loads(report.read_text())["groups"], ranges["runs"]), (2, 6))
        found = {value["name"]: value for value in ranges["values"]}
        names = ["x", "c0", "r0", "c1", "r1"]
        self.assertEqual(list(found), names)
        runs = [values_of(model, x, names) for x in inputs]
        for name in names:
            self.check_value(found[name], [run[name] for run in runs], 1)

    def test_interrupt(self):
        """Ctrl-C writes what was seen, and the exit code is that of the signal."""
        path, out = self.save(large(512)), self.dir / "ranges.json"
        command = [harness.ONNXQ, "calibrate", "--ort-lib", LIBRARY, "--random", "100000", "-o", out, path]
        process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        time.sleep(4)
        process.send_signal(signal.SIGINT)
        text, _ = process.communicate(timeout=60)
        self.assertEqual(process.returncode, -signal.SIGINT)
        ranges = json.loads(out.read_text())
        self.assertGreater(ranges["runs"], 0)
        self.assertEqual(ranges["runs"], ranges["drawn_runs"])
        self.assertIn("stopped: what was seen until then", text)
        self.assertGreaterEqual(min(value["tensors"] for value in ranges["values"]), ranges["runs"])


if __name__ == "__main__":
    unittest.main()
