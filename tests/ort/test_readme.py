"""What the README shows is what happens: its walk-through, word for word, and its examples."""

import fcntl
import os
import pty
import re
import shlex
import struct
import subprocess
import termios
import unittest
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

import build
import harness
from build import node
from harness import OrtTest

README = Path(__file__).parents[2] / "README.md"
CAPI = Path(onnxruntime.__file__).parent / "capi"

# Times, speeds and how many turns fit into them are the machine's; the last digits of errors the processor's.
VARIES = re.compile(r"-?\d+(\.\d+)?")


def blocks(kind: str) -> list[str]:
    """The fenced blocks of the README that begin like this."""
    return [b for b in re.findall(r"^```(.*?)^```", README.read_text(), re.M | re.S) if b.startswith(kind)]


def on_terminal(command: list[str], folder: Path, env: dict[str, str]) -> str:
    """What a terminal of 110 columns would show of standard output."""
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 110, 0, 0))
    process = subprocess.Popen(command, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=child)
    os.close(child)
    text = b""
    while True:
        try:
            piece = os.read(parent, 65536)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        text += piece
    os.close(parent)
    assert process.wait() == 0, text.decode()
    return text.decode().replace("\r\n", "\n")


class Readme(OrtTest):
    def setUp(self):
        super().setUp()
        bin = self.dir / "bin"
        bin.mkdir()
        (bin / "onnxq").symlink_to(Path(harness.ONNXQ).resolve())
        self.env = dict(os.environ, PATH=f"{bin}:{os.environ['PATH']}", ONNXQ_ORT_LIB=str(CAPI), CI="true")

    def test_walk_through(self):
        (text,) = (b for b in blocks("sh\nonnxq inspect"))
        w, v = build.weights(256, 512), build.weights(512, 256, seed=1)
        model = build.model(
            [node("MatMul", "x w", "h"), node("Relu", "h", "r"), node("MatMul", "r v", "y")],
            {"x": ("batch", 256)},
            {"y": ("batch", 256)},
            {"w": w, "v": v},
        )
        onnx.save(model, self.dir / "model.onnx")
        x = np.random.default_rng(0).standard_normal((8, 256)).astype(np.float32)
        np.savez(self.dir / "inputs.npz", x=x)
        script = text.removeprefix("sh\n")
        self.assertEqual(script.count("\nonnxq"), 6)
        done = subprocess.run(
            ["bash", "-euxc", script], cwd=self.dir, env=self.env, capture_output=True, text=True, timeout=300
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertTrue((self.dir / "model.int8.onnx").exists())
        self.assertIn("<svg", (self.dir / "bench.svg").read_text())
        for words in ("What 'onnxq quantize' would do", "Wrote model.int8.onnx", "Works: ", "is gained by"):
            self.assertIn(words, done.stdout)

    def compare(self, example: str):
        """The lines of the example come in this order; `...` stands for any others."""
        command, *lines = example.strip("\n").split("\n")
        words = shlex.split(command.removeprefix("$ "))
        found = on_terminal(words, self.dir, self.env).split("\n")
        # A busy machine gets a warning, which is nothing for a README.
        found = [line for line in found if line and not line.startswith("  times vary much")]
        masked = [VARIES.sub("N", re.sub(r" +", " ", line)) for line in found]
        at = 0
        for line in lines:
            if line.strip() == "...":
                at = None
                continue
            wanted = VARIES.sub("N", re.sub(r" +", " ", line))
            at = masked.index(wanted, 0) if at is None else at
            self.assertEqual(masked[at], wanted, "\n".join(found))
            at += 1
        self.assertEqual(at, len(found), "\n".join(found))

    def test_examples(self):
        models = harness.MODELS
        if models is None or not (models / "minilm.onnx").exists():
            raise unittest.SkipTest("minilm.onnx is missing")
        for name in ("minilm.onnx", "minilm_inputs.npz"):
            (self.dir / name).symlink_to(models / name)
        examples = blocks("\n$ onnxq")
        self.assertGreaterEqual(len(examples), 4)
        for example in examples:
            with self.subTest(example.split("\n")[1]):
                self.compare(example)
