"""onnxq bench: its figures against ONNX Runtime's own timing, and what it leaves behind."""

import json
import os
import signal
import statistics
import subprocess
import tempfile
import time
import unittest
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

import build
import harness
import measure
from harness import OrtTest, cases

LIBRARY = Path(onnxruntime.__file__).parent / "capi"
ATTEMPTS = 6  # of what other load on the machine may spoil


def conv_model(channels: int = 64, size: int = 24) -> onnx.ModelProto:
    """Three depthwise convolutions, each with a Relu: what ConvInteger does slowly."""
    rng = np.random.default_rng(0)
    nodes, weights, name = [], [], "x"
    for i in range(3):
        weight = rng.standard_normal((channels, 1, 3, 3), dtype=np.float32) / 3
        weights.append(numpy_helper.from_array(weight, f"w{i}"))
        attributes = {"pads": [1, 1, 1, 1], "group": channels}
        nodes.append(helper.make_node("Conv", [name, f"w{i}"], [f"c{i}"], f"conv{i}", **attributes))
        nodes.append(helper.make_node("Relu", [f"c{i}"], [f"r{i}"], f"relu{i}"))
        name = f"r{i}"
    shape = [1, channels, size, size]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def identity_model(name: str = "x", dtype: int = onnx.TensorProto.FLOAT, dims=("n", 4)) -> onnx.ModelProto:
    graph = helper.make_graph(
        [helper.make_node("Identity", [name], ["y"])],
        "g",
        [helper.make_tensor_value_info(name, dtype, dims)],
        [helper.make_tensor_value_info("y", dtype, dims)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


class Bench(OrtTest):
    def setUp(self) -> None:
        super().setUp()
        self.temporary = self.dir / "tmp"
        self.temporary.mkdir()
        self.environment = {**os.environ, "TMPDIR": str(self.temporary)}

    def tearDown(self) -> None:
        self.assertEqual(list(self.temporary.iterdir()), [], "left in TMPDIR")

    def save(self, name: str, model: onnx.ModelProto) -> Path:
        onnx.save(model, self.dir / name)
        return self.dir / name

    def command(self, *arguments) -> list[str]:
        return [harness.ONNXQ, "bench", f"--ort-lib={LIBRARY}", "--threads=1", *map(str, arguments)]

    def run_bench(self, *arguments, status: int = 0) -> subprocess.CompletedProcess:
        done = subprocess.run(
            self.command(*arguments), capture_output=True, text=True, env=self.environment
        )
        self.assertEqual(done.returncode, status, f"{' '.join(done.args)}\n{done.stdout}{done.stderr}")
        return done

    def bench(self, *arguments, status: int = 0) -> dict:
        return json.loads(self.run_bench("--json", *arguments, status=status).stdout)

    def minilm(self) -> tuple[Path, Path]:
        path = harness.MODELS / "minilm.onnx"
        if not path.exists():
            raise unittest.SkipTest(f"{path} is missing")
        small = self.dir / "minilm.int8.onnx"
        self.onnxq("quantize", "-q", path, small)
        return path, small

    # --- sizes -----------------------------------------------------------------

    def test_other_sizes_are_tried(self):
        source = self.save("a.onnx", build.classifier(48))
        self.onnxq("quantize", "--min-elements=1", source, self.dir / "b.onnx")
        report = self.bench("--runs=4", "--random=2", source, self.dir / "b.onnx")
        arrays = [inputs["arrays"] for inputs in report["inputs"]]
        self.assertEqual(arrays, [[{"name": "x", "dtype": "float32", "dims": [1, 3, 48, 48]}]] * 2)
        self.assertEqual((report["tries"], [m["latency_ms"]["runs"] for m in report["models"]]), (3, [4, 4]))
        text = self.run_bench("--runs=4", source).stdout
        self.assertIn("these do: --dim N=1 --dim height=48 --dim width=48\n", text)
        given = self.bench("--runs=4", "--dim=height=48", "--dim=width=48", source)
        self.assertEqual(given["tries"], 1)

    def test_no_size_runs(self):
        source = self.save("a.onnx", build.classifier(40))
        done = self.run_bench("--runs=4", source, status=3)
        self.assertIn("a.onnx: random inputs 1: ", done.stderr)
        self.assertIn("(--dim N=1 --dim height=224 --dim width=224); other usual ones do not run either\n", done.stderr)
        self.assertEqual(done.stdout, "")

    # --- figures ---------------------------------------------------------------

    def test_ratio_is_that_of_python(self):
        """minilm float and int8, 1 x 64 tokens: both ways to measure tell the same, but for what caches keep between runs."""
        models = self.minilm()
        rng = np.random.default_rng(1)
        feeds = {
            "input_ids": rng.integers(0, 30000, (1, 64)),
            "attention_mask": np.ones((1, 64), np.int64),
            "token_type_ids": np.zeros((1, 64), np.int64),
        }
        np.savez(self.dir / "inputs.npz", **feeds)
        found, want, difference = [], [], 1.0
        for _ in range(ATTEMPTS):  # taking turns, and the more of them, the less other load matters
            report = self.bench("-i", self.dir / "inputs.npz", "--time=2", *models)
            found.append(report["models"][1]["speedup"]["median"])
            times = measure.latencies(dict(zip(("float", "int8"), models, strict=True)), feeds, 4)
            want.append(measure.ratios(times["float"], times["int8"])[0])
            difference = abs(statistics.median(found) / statistics.median(want) - 1)
            if difference <= 0.3:
                return
        self.fail(f"differs by {100 * difference:.0f} %: bench {found}, Python {want}")

    def test_memory(self):
        """Of each model alone: the float one has its weights in memory, the int8 one a quarter of them."""
        large, small = (model["memory"] for model in self.bench("--time=0", *self.minilm())["models"])
        for memory in (large, small):
            self.assertGreater(memory["peak_nbytes"], memory["nbytes_before"])
            self.assertLess(memory["nbytes_before"], 40e6)
            self.assertGreater(memory["peak_nbytes"] * 1.01, memory["anonymous_nbytes"] + memory["file_nbytes"])
        self.assertTrue(100e6 < large["peak_nbytes"] < 400e6, large)
        self.assertGreater(large["peak_nbytes"] - small["peak_nbytes"], 40e6)

    def test_percentiles(self):
        """The figures of a run are in order, and as many as were asked for."""
        path = self.save("a.onnx", identity_model())
        report = self.bench("--runs=101", path, path)
        for model in report["models"]:
            latency = model["latency_ms"]
            self.assertEqual(latency["runs"], 101)
            self.assertEqual(len(latency["turns"]), report["turns"])
            figures = [latency[key] for key in ("min", "p50", "p95", "max")]
            self.assertEqual(figures, sorted(figures))
            self.assertTrue(latency["min"] <= latency["mean"] <= latency["max"])
        self.assertEqual((report["models"][0]["speedup"], report["min_speedup"]), (None, None))

    # --- what is said ----------------------------------------------------------

    def test_report(self):
        """All members of the JSON that docs/report.md names."""
        path = self.save("a.onnx", identity_model())
        report = self.bench("--time=0.1", "-v", "--seed=7", "--ep=cpu", "--opt-level=basic", path, path)
        keys = "report onnxq engine settings inputs tries turns sessions models min_speedup passed"
        self.assertEqual(" ".join(report), keys)
        self.assertEqual(report["engine"]["version"], onnxruntime.__version__)
        self.assertTrue(Path(report["engine"]["library"]).exists())
        settings = {"threads": 1, "opt_level": "basic", "ep": ["cpu"], "warmup": 3, "runs": 0}
        self.assertEqual(report["settings"], {**settings, "time": 0.1, "seed": 7})
        array = {"name": "x", "dtype": "float32"}
        found = report["inputs"][0]["arrays"][0]
        self.assertEqual({**found, **array}, found)
        keys = (
            "model nbytes external_nbytes load_ms memory latency_ms runs_per_second speedup operators "
            "slower_operators"
        )
        for model in report["models"]:
            self.assertEqual(" ".join(model), keys)
            self.assertEqual(model["model"], str(path))
            self.assertEqual(model["nbytes"], path.stat().st_size)
            self.assertEqual([op["op_type"] for op in model["operators"]], ["Identity"])

    def test_text(self):
        path, other = self.save("a.onnx", identity_model()), self.save("b.onnx", identity_model())
        done = self.run_bench("--time=0.1", "-i", self.points(), path, other)
        lines = done.stdout.splitlines()
        self.assertEqual(done.stderr, "")
        self.assertRegex(lines[0], rf"^  ONNX Runtime {onnxruntime.__version__}, 1 thread, \d+ turns$")
        self.assertEqual(lines[1], "  inputs: x float32 [2,4]")
        self.assertEqual(lines[2].split(), "model size load memory min p50 p95 runs/s speed".split())
        self.assertTrue(lines[3].startswith("  a.onnx ") and lines[4].startswith("  b.onnx "), lines)
        self.assertIn("a.onnx (", lines[5])
        self.assertEqual(len(self.run_bench("-q", "--time=0", path, other).stdout.splitlines()[:1]), 1)
        self.assertEqual(self.run_bench("-qq", "--time=0", path, other).stdout, "")

    def points(self, *shapes: tuple) -> Path:
        folder = self.dir / "inputs"
        folder.mkdir(exist_ok=True)
        for i, shape in enumerate(shapes or [(2, 4)]):
            np.savez(folder / f"{i}.npz", x=np.zeros(shape, np.float32))
        return folder

    def test_sets_take_turns(self):
        """Of three sets each is run in as many turns as the others."""
        path = self.save("a.onnx", identity_model())
        report = self.bench("--time=0", "-i", self.points((1, 4), (2, 4), (3, 4)), path)
        self.assertEqual(len(report["inputs"]), 3)
        self.assertEqual(report["turns"] % 3, 0)

    def test_slower(self):
        """ConvInteger is named, with what to do; the advice then helps."""
        path = self.save("conv.onnx", conv_model())
        slow, fast = self.dir / "slow.onnx", self.dir / "fast.onnx"
        self.onnxq("quantize", "-q", "--conv=integer", "--min-elements=1", path, slow)
        self.onnxq("quantize", "-q", "--conv=fold", "--min-elements=1", path, fast)
        for _ in range(ATTEMPTS):
            report = self.bench("--time=1", path, slow, fast)
            if report["models"][1]["speedup"]["verdict"] == "slower":
                break
        _, model, folded = report["models"]
        self.assertEqual(model["speedup"]["verdict"], "slower")
        blames = {blame["op_type"]: blame for blame in model["slower_operators"]}
        self.assertIn("--conv fold", blames["ConvInteger"]["advice"])
        self.assertIn("Conv", blames["ConvInteger"]["first_op_type"])
        self.assertEqual(blames["ConvInteger"]["nodes"], 3)
        operators = {op["op_type"]: op for op in model["operators"]}
        self.assertEqual(operators["ConvInteger"]["nodes"], 3)
        self.assertGreater(folded["speedup"]["median"], model["speedup"]["median"])

    @cases({"met": ("0.01", 0), "missed": ("1000", 1)})
    def gate(self, speedup, status):
        path = self.save("a.onnx", identity_model())
        report = self.bench(f"--min-speedup={speedup}", "--time=0", path, path, status=status)
        self.assertEqual((report["min_speedup"], report["passed"]), (float(speedup), status == 0))

    def test_gate_says_why(self):
        path = self.save("a.onnx", identity_model())
        done = self.run_bench("--min-speedup=1000", "--time=0", path, path, status=1)
        self.assertRegex(done.stderr, r"^onnxq: .*a\.onnx: [\d.]+x as fast as .*--min-speedup asks for 1000x\n$")

    def test_plot(self):
        path = self.save("a & <b>.onnx", conv_model(8))
        svg = self.dir / "bench.svg"
        self.run_bench(f"--plot={svg}", "--time=0.2", path, path, path)
        root = ElementTree.parse(svg).getroot()
        text = " ".join(element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}text"))
        self.assertEqual(text.count("a & <b>.onnx"), 3)
        self.assertIn("peak memory", text)

    def test_profiles_are_kept(self):
        path, folder = self.save("a.onnx", identity_model()), self.dir / "profiles"
        self.run_bench("--profile", folder, "--time=0", path, path)
        self.assertEqual(sorted(p.name for p in folder.iterdir()), ["a.2.profile.json", "a.profile.json"])
        events = json.loads((folder / "a.profile.json").read_text())
        self.assertTrue(any(event["name"] == "model_run" for event in events))

    # --- what does not work ----------------------------------------------------

    def fails(self, status: int, *arguments) -> str:
        done = self.run_bench(*arguments, status=status)
        self.assertEqual(done.stdout, "")
        return done.stderr

    def test_unknown_provider(self):
        path = self.save("a.onnx", identity_model())
        message = self.fails(6, "--ep=warp,cpu", path)
        self.assertIn("warp", message)
        self.assertIn("cpu", message)

    def test_no_engine(self):
        path = self.save("a.onnx", identity_model())
        self.assertIn("libonnxruntime", self.fails(6, f"--ort-lib={self.dir}", path))

    @cases(
        {
            "name": (identity_model("z"), 'input "x": the first model takes it, this one does not'),
            "type": (identity_model(dtype=onnx.TensorProto.INT64), "this model takes int64"),
            "rank": (identity_model(dims=("n", 4, 4)), "this model takes float32 [n,4,4]"),
        }
    )
    def other_inputs(self, model, expected):
        path, other = self.save("a.onnx", identity_model()), self.save("b.onnx", model)
        message = self.fails(3, path, other)
        self.assertIn("b.onnx", message)
        self.assertIn(expected, message)

    def test_engine_refuses(self):
        """A model that is one, with an operator that nobody knows."""
        model = identity_model()
        model.graph.node[0].op_type = "Nonsense"
        path, other = self.save("a.onnx", identity_model()), self.save("b.onnx", model)
        message = self.fails(3, path, other)
        self.assertIn("b.onnx", message)
        self.assertIn("Nonsense", message)

    def test_no_model(self):
        (self.dir / "a.onnx").write_bytes(b"no model")
        self.assertIn("a.onnx", self.fails(3, self.dir / "a.onnx"))

    # --- what it leaves --------------------------------------------------------

    def start(self, *arguments, before: tuple = (), stderr=subprocess.DEVNULL) -> tuple[subprocess.Popen, list[int]]:
        """A benchmark of a day, and the workers that it has once all are there."""
        process = subprocess.Popen(
            [*before, *self.command("--time=80000", *arguments)],
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            env=self.environment,
        )
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        end = time.monotonic() + 60
        while len(children(process.pid)) < 2 and time.monotonic() < end:
            time.sleep(0.02)
        workers = children(process.pid)
        self.assertEqual(len(workers), 2)
        return process, workers

    @cases(
        {
            f"{name}_{after}": (name, after)
            for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGKILL")
            for after in (0, 0.7)
        }
    )
    def stops(self, name, after):
        """No worker is left, no file, and the shell learns of the signal."""
        path = self.save("a.onnx", conv_model())
        files = set(self.dir.iterdir())
        process, workers = self.start(f"--json={self.dir}/r.json", f"--profile={self.dir}/p", path, path)
        time.sleep(after)
        number = getattr(signal, name)
        process.send_signal(number)
        self.assertEqual(process.wait(60), -number)
        end = time.monotonic() + 10
        while any(map(is_alive, workers)) and time.monotonic() < end:
            time.sleep(0.02)
        self.assertEqual([pid for pid in workers if is_alive(pid)], [])
        if name != "SIGKILL":
            self.assertEqual(set(self.dir.iterdir()), files)

    def test_a_worker_is_killed(self):
        path = self.save("a.onnx", conv_model())
        process, workers = self.start(path, path)
        os.kill(workers[1], signal.SIGKILL)
        self.assertEqual(process.wait(60), 6)
        self.assertFalse(is_alive(workers[0]))

    def test_a_worker_is_killed_where_nobody_waits_for_children(self):
        """Whoever started the command had SIGCHLD ignored, which is inherited: the reason is known still."""
        path = self.save("a.onnx", conv_model())
        process, workers = self.start(
            path, path, before=("env", "--ignore-signal=CHLD"), stderr=subprocess.PIPE
        )
        os.kill(workers[1], signal.SIGKILL)
        message = process.communicate(timeout=60)[1].decode()
        self.assertEqual(process.returncode, 6)
        self.assertIn("signal 9", message)

    def test_temporary_folder_is_read_only(self):
        """Only a profile needs one."""
        path = self.save("a.onnx", identity_model())
        with tempfile.TemporaryDirectory() as folder:
            self.environment["TMPDIR"] = f"{folder}/missing"
            self.run_bench("--time=0", path)
            self.assertIn("missing", self.fails(4, "--time=0", "-v", path))
