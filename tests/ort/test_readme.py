"""What the README and the documents show is what happens: the walk-through, word for word, and examples."""

import os
import re
import shlex
import subprocess
import sys
import unittest
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import onnx
import onnxruntime

import build
import harness
from build import node
from harness import OrtTest

README = Path(__file__).parents[2] / "README.md"
DOCS = README.parent / "docs"
sys.path.append(str(README.parent / "tools"))
import terminal  # noqa: E402

CAPI = Path(onnxruntime.__file__).parent / "capi"

# Times, speeds and how many turns fit into them are the machine's; the last digits of errors the processor's.
VARIES = re.compile(r"-?\d+(\.\d+)?")


def blocks(path: Path, kind: str) -> list[str]:
    """The fenced blocks of a document that begin like this."""
    return [b for b in re.findall(r"^```(.*?)^```", path.read_text(), re.M | re.S) if b.startswith(kind)]


def on_terminal(command: list[str], folder: Path, env: dict[str, str]) -> str:
    """What a terminal of 110 columns would show of standard output."""
    text, code = terminal.record(shlex.join(command) + " 2>/dev/null", 110, folder, env)
    assert code == 0, text
    return text.replace("\r\n", "\n")


def small_model() -> onnx.ModelProto:
    w, v = build.weights(256, 512), build.weights(512, 256, seed=1)
    return build.model(
        [node("MatMul", "x w", "h"), node("Relu", "h", "r"), node("MatMul", "r v", "y")],
        {"x": ("batch", 256)},
        {"y": ("batch", 256)},
        {"w": w, "v": v},
    )


class Readme(OrtTest):
    def setUp(self):
        super().setUp()
        bin = self.dir / "bin"
        bin.mkdir()
        (bin / "onnxq").symlink_to(Path(harness.ONNXQ).resolve())
        self.env = dict(os.environ, PATH=f"{bin}:{os.environ['PATH']}", ONNXQ_ORT_LIB=str(CAPI), CI="true")

    def test_walk_through(self):
        (text,) = (b for b in blocks(README, "sh\nonnxq inspect"))
        onnx.save(small_model(), self.dir / "model.onnx")
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

    def test_questions(self):
        """The commands of the FAQ, in their order."""
        x = np.random.default_rng(0).standard_normal((8, 256)).astype(np.float32)
        np.savez(self.dir / "inputs.npz", x=x)
        onnx.save(small_model(), self.dir / "model.onnx")
        found = re.findall(r"^```sh\n(.*?)^```", (DOCS / "faq.md").read_text(), re.M | re.S)
        done = subprocess.run(
            ["bash", "-euxc", "".join(found)], cwd=self.dir, env=self.env, capture_output=True, text=True, timeout=300
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        for name in ("bench.html", "check.html", "inspect.html", "layers.svg", "tuned.onnx", "model.float32.onnx"):
            self.assertTrue((self.dir / name).exists(), name)

    def test_links(self):
        """Every document is in the index, and links of all lead to something."""
        index = (DOCS / "index.md").read_text()
        for path in DOCS.glob("*.md"):
            if path.name != "index.md":
                self.assertIn(f"({path.name})", index)
        for path in [README, *DOCS.glob("*.md")]:
            for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", path.read_text()):
                self.assertTrue((path.parent / target).exists(), f"{path.name}: {target}")

    def run_tool(self, name: str, *arguments: object) -> None:
        words = [sys.executable, str(README.parent / "tools" / name), *map(str, arguments)]
        done = subprocess.run(words, env=self.env, capture_output=True, text=True, timeout=300)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_graphs(self):
        """Pictures of graphs show what is written today: `tools/graphs.py` makes them again."""
        self.run_tool("graphs.py", "--onnxq", harness.ONNXQ, self.dir / "pictures")
        made = sorted((self.dir / "pictures").glob("*.svg"))
        self.assertGreaterEqual(len(made), 4)
        for path in made:
            self.assertEqual(path.read_text(), (DOCS / "pictures" / path.name).read_text(), path.name)

    def test_terminal(self):
        """What a command writes is drawn where it stands; what a return has overwritten is not."""
        out = self.dir / "out.svg"
        self.run_tool("terminal.py", "--columns", 40, out, r"printf 'bar\r\033[31mred\033[0m <b>\n'; tput cols")
        texts = ["".join(line.itertext()) for line in ElementTree.parse(out).iter("{http://www.w3.org/2000/svg}text")]
        self.assertEqual(texts[1:], ["red <b>", "40"])
        self.assertIn('class="c1">red<', out.read_text())

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
        examples = blocks(DOCS / "proof.md", "\n$ onnxq")
        self.assertGreaterEqual(len(examples), 4)
        for example in examples:
            with self.subTest(example.split("\n")[1]):
                self.compare(example)
