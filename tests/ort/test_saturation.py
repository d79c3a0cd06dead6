"""--reduce-range on a processor that adds u8 x s8 products in 16 bits: a Haswell, emulated."""

import json
import platform
import shutil
import subprocess
import sys
import unittest
from pathlib import Path

import numpy as np

import build
import common
from build import node
from harness import OrtTest, cases

QEMU = shutil.which("qemu-x86_64")
SCRIPT = Path(__file__).resolve().parent / "run_models.py"
CHOICES = ("none", "bits", "pairs")


@unittest.skipUnless(QEMU and platform.machine() == "x86_64", "needs qemu-x86_64 (qemu-user) on x86-64")
class Saturation(OrtTest):
    @classmethod
    def setUpClass(cls) -> None:
        """One process for all tests: it takes seconds to start an engine in an emulator."""
        command = [QEMU, "-cpu", "Haswell", sys.executable, SCRIPT]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        cls.emulator = subprocess.Popen(command, text=True, **pipes)

    @classmethod
    def tearDownClass(cls) -> None:
        cls.emulator.communicate()

    def run_emulated(self, feeds: common.Feeds) -> dict[str, np.ndarray]:
        np.savez(self.dir / "feeds.npz", **feeds)
        paths = ["feeds.npz", "out.npz", *(f"{choice}.onnx" for choice in CHOICES)]
        self.emulator.stdin.write(json.dumps([str(self.dir / path) for path in paths]) + "\n")
        self.emulator.stdin.flush()
        self.assertEqual(self.emulator.stdout.readline(), "done\n")
        results = dict(np.load(self.dir / "out.npz"))
        return {choice: results[f"{choice}.0"] for choice in CHOICES}

    def check(self, model, feeds: common.Feeds, *flags: str) -> None:
        """Both choices give on this processor what they give elsewhere; pairs loses less than bits."""
        for choice in CHOICES:
            outcome = self.quantize(model, f"--reduce-range={choice}", *flags)
            shutil.copy(outcome.path, self.dir / f"{choice}.onnx")
        want = common.run(outcome.source, feeds)
        emulated = self.run_emulated(feeds)
        error = {choice: common.relative_error(want[:1], [emulated[choice]]) for choice in CHOICES}
        here = {choice: common.run(self.dir / f"{choice}.onnx", feeds)[:1] for choice in CHOICES}
        exact = {choice: common.relative_error(want[:1], here[choice]) for choice in CHOICES}
        self.assertGreater(error["none"], 3 * exact["none"], "nothing saturates: the test shows nothing")
        for choice in ("bits", "pairs"):
            np.testing.assert_allclose(
                emulated[choice], here[choice][0], rtol=1e-4, atol=1e-4 * np.abs(want[0]).max(), err_msg=choice
            )
        self.assertLess(error["pairs"], error["bits"])

    def test_matmul(self) -> None:
        """Activations of one sign and wide weights: most pairs come close to the limit."""
        x = np.abs(build.activations(7, 513)) + np.float32(1)
        w = build.rng(3).uniform(-1, 1, (513, 160)).astype(np.float32)
        self.check(build.matmul(x, w), {"x": x})

    def test_gemm(self) -> None:
        x = np.abs(build.activations(7, 256)) + np.float32(1)
        w = build.rng(4).uniform(-1, 1, (300, 256)).astype(np.float32)
        model = build.model(
            [node("Gemm", "x w", "y", transB=1)], {"x": x.shape}, {"y": (7, 300)}, {"w": w}
        )
        self.check(model, {"x": x})

    def test_lstm(self) -> None:
        """The products of the state as well as those of the input."""
        x = np.abs(build.activations(6, 3, 64)) + np.float32(1)
        rng = build.rng(5)
        w = rng.uniform(-0.1, 0.1, (1, 4 * 48, 64)).astype(np.float32)
        r = rng.uniform(-0.1, 0.1, (1, 4 * 48, 48)).astype(np.float32)
        model = build.model(
            [node("LSTM", "x w r", "y", hidden_size=48)], {"x": x.shape}, {"y": (6, 1, 3, 48)}, {"w": w, "r": r}
        )
        self.check(model, {"x": x})

    @cases({"left": ((300, 512),), "turned": ((512, 300),)})
    def left(self, shape) -> None:
        """Neighbours are along the rows of w, or along the columns where it is turned."""
        x = np.abs(build.activations(512, 5)) + np.float32(1)
        w = build.rng(6).uniform(-1, 1, shape).astype(np.float32)
        gemm = node("Gemm", "w x", "y", transA=int(shape[0] == 512))
        self.check(build.model([gemm], {"x": x.shape}, {"y": (300, 5)}, {"w": w}), {"x": x})

    def test_pointwise(self) -> None:
        x = np.abs(build.activations(1, 33, 9, 8)) + np.float32(1)
        w = build.rng(7).uniform(-1, 1, (400, 33, 1, 1)).astype(np.float32)
        model = build.model([node("Conv", "x w", "y")], {"x": x.shape}, {"y": (1, 400, 9, 8)}, {"w": w})
        self.check(model, {"x": x}, "--conv=matmul", "--force-integer")

    def test_attention(self) -> None:
        x = np.abs(build.activations(2, 6, 160)) + np.float32(1)
        w = build.rng(8).uniform(-0.1, 0.1, (160, 480)).astype(np.float32)
        b = np.zeros(480, np.float32)
        attention = node("Attention", "x w b", "y", domain="com.microsoft", num_heads=4)
        constants, imports = {"w": w, "b": b}, {"com.microsoft": 1}
        model = build.model([attention], {"x": x.shape}, {"y": x.shape}, constants, 17, imports=imports)
        self.check(model, {"x": x})
