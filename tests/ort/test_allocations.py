"""The command when memory runs out: each of its own allocations fails once, in a run of its own."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

import build
import harness
from build import node
from harness import OrtTest, cases

LIBRARY = Path(onnxruntime.__file__).parent / "capi"
OUT_OF_MEMORY = 71

COMMANDS = {
    "help": ("help", "quantize"),
    "quantize": ("quantize", "-v", "--json=report.json", "--exclude=second", "a.onnx", "out.onnx"),
    "quantize_rounded": (
        "quantize", "-q", "--method=blocks", "--bits=4", "--force-integer", "--ort-lib", LIBRARY, "-i", "rows.npz",
        "a.onnx", "out.onnx",
    ),
    "quantize_folder": ("quantize", "-d", "folder", "--allow-noop", "--include", "*", "a.onnx", "b.onnx"),
    "quantize_side": ("quantize", "--external-data=always", "--op-types=MatMul", "a.onnx", "out.onnx"),
    "dequantize": ("dequantize", "-v", "b.onnx", "out.onnx"),
    "inspect": ("inspect", "-v", "a.onnx", "b.onnx"),
    "inspect_json": ("inspect", "--json", "b.onnx"),
    "validate": ("inspect", "--validate", "a.onnx"),
    "check": ("check", "a.onnx", "b.onnx", "--report=report.json", "--rel-tol=0.5"),
    "check_stored": ("check", "-i", "x.npz", "--expected", "y.npz", "a.onnx"),
    "check_feedback": ("check", "-i", "x.npz", "--feedback", "y=x", "a.onnx", "b.onnx"),
    "calibrate": ("calibrate", "-i", "x.npz", "--merge", "r.json", "a.onnx", "out.json", "--json=report.json"),
    "calibrate_picture": ("calibrate", "-i", "p.ppm", "--size", "2x1", "--std", "255", "-v", "c.onnx", "out.json"),
    "layers": ("check", "a.onnx", "b.onnx", "-i", "x.npz", "--layers", "-v"),
    "bench": ("bench", "a.onnx", "b.onnx", "--runs=2", "--plot=plot.svg", "--json=report.json"),
    "check_page": ("check", "a.onnx", "b.onnx", "--layers", "--html=page.html"),
    "inspect_page": ("inspect", "-q", "--html=page.html", "a.onnx"),
    "bench_page": ("bench", "a.onnx", "b.onnx", "--runs=2", "--html=page.html"),
    "bench_slower": ("bench", "b.onnx", "a.onnx", "--runs=2", "--range", "x=0:1", "-j1"),
}
WRITTEN_ONE_BY_ONE = {"folder", "folder/a.int8.onnx", "folder/b.int8.onnx"}
RUNS_MODELS = ("check", "bench", "calibrate")


class Allocations(OrtTest):
    def setUp(self):
        super().setUp()
        preload = Path(harness.ONNXQ).parent / "tests" / "libfail_allocation.so"
        if not preload.exists():
            self.skipTest("needs glibc")
        self.environment = {**os.environ, "LD_PRELOAD": str(preload), "LC_ALL": "C"}
        model = build.model(
            [node("MatMul", "x w", "h", name="first"), node("MatMul", "h v", "y", name="second")],
            {"x": ("rows", 64)},
            {"y": ("rows", 64)},
            {"w": build.weights(64, 256), "v": build.weights(256, 64, seed=1)},
        )
        onnx.save(model, self.dir / "a.onnx")
        self.onnxq("quantize", "-q", "--force-integer", self.dir / "a.onnx", self.dir / "b.onnx")
        x = build.activations(3, 64)
        session = onnxruntime.InferenceSession(self.dir / "a.onnx", providers=["CPUExecutionProvider"])
        np.savez(self.dir / "x.npz", x=x)
        np.savez(self.dir / "rows.npz", x=build.activations(8, 64))
        np.savez(self.dir / "y.npz", y=session.run(None, {"x": x})[0])
        (self.dir / "p.ppm").write_bytes(b"P6 2 1 255\nabcdef")
        onnx.save(
            build.model([node("Relu", "x", "y")], {"x": (1, 3, "h", "w")}, {"y": (1, 3, "h", "w")}),
            self.dir / "c.onnx",
        )
        flags = ("--ort-lib", LIBRARY, "-i", self.dir / "x.npz", "-o", self.dir / "r.json")
        self.onnxq("calibrate", "-q", *flags, self.dir / "a.onnx")
        self.files = self.listing()
        self.problems = []

    def listing(self) -> set[str]:
        return {str(path.relative_to(self.dir)) for path in self.dir.rglob("*")}

    def remove_new(self) -> None:
        for name in sorted(self.listing() - self.files):
            path = self.dir / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def run_without(self, arguments: tuple, n: int) -> bool:
        """Runs the command with allocation n failing; False where there are fewer."""
        self.remove_new()
        said = self.dir.parent / (self.dir.name + ".said")
        said.unlink(missing_ok=True)
        if arguments[0] in RUNS_MODELS:
            arguments = (arguments[0], "--ort-lib", LIBRARY, *arguments[1:])
        done = subprocess.run(
            [harness.ONNXQ, *arguments],
            cwd=self.dir,
            env={**self.environment, "ALLOCATION": f"{n}:{said}"},
            capture_output=True,
            text=True,
            timeout=120,
        )
        what = f"{arguments}: allocation {n}: exit code {done.returncode}: {done.stderr}"
        if not said.exists():
            self.assertEqual(done.returncode, 0, what)
            return False
        said.unlink()
        # What is only looked for, or made faster, may do without.
        left = self.listing() - self.files
        clear = re.fullmatch(r"onnxq: .*memory.*\n", done.stderr) and left <= WRITTEN_ONE_BY_ONE
        if done.returncode not in (0, OUT_OF_MEMORY) or (done.returncode != 0 and not clear):
            self.problems.append(f"{what} {left}")
        return True

    @cases(list(COMMANDS))
    def allocation(self, name):
        n = 1
        while self.run_without(COMMANDS[name], n):
            n += 1
        self.assertGreater(n, 1)
        self.assertEqual(self.problems, [])
