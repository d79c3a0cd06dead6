"""Pages and pictures of reports: complete, well formed, nothing of a model's names but text, and seen in a browser."""

import html.parser
import json
import os
import re
import shutil
import struct
import subprocess
import tempfile
import unittest
import zlib
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

import build
import harness
from build import node
from harness import OrtTest

LIBRARY = Path(onnxruntime.__file__).parent / "capi"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
HOSTILE = "<script>alert(\"1\")</script> & ' \n|`*]("
SVG = "{http://www.w3.org/2000/svg}"


class Page(html.parser.HTMLParser):
    """Tags, and the text of cells and paragraphs."""

    def __init__(self, text: str):
        super().__init__()
        self.tags, self.attributes, self.text = set(), set(), []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data):
        self.text.append(data)


class Case(OrtTest):
    def setUp(self):
        super().setUp()
        w, v = build.weights(128, 256), build.weights(256, 128, seed=1)
        model = build.model(
            [node("MatMul", "x w", "h"), node("Relu", "h", "r"), node("MatMul", "r v", "y")],
            {"x": ("batch", 128)},
            {"y": ("batch", 128)},
            {"w": w, "v": v},
        )
        graph = model.graph
        for one in graph.node:  # whatever a file may call things
            one.name = f"{one.op_type} {one.output[0]} {HOSTILE}"
            for names in (one.input, one.output):
                names[:] = [f"{name}{HOSTILE}" for name in names]
        for one in [*graph.initializer, *graph.input, *graph.output]:
            one.name += HOSTILE
        graph.name = model.producer_name = model.doc_string = HOSTILE
        self.model, self.int8 = self.dir / "<b>m&.onnx", self.dir / "<b>m&.int8.onnx"
        onnx.save(model, self.model)
        self.onnxq("quantize", "-q", "--force-integer", self.model, self.int8)

    def onnxq(self, *arguments, status=0):
        done = subprocess.run(
            [harness.ONNXQ, *map(str, arguments)],
            capture_output=True,
            env={**os.environ, "ONNXQ_ORT_LIB": str(LIBRARY)},
            timeout=300,
        )
        self.assertEqual(done.returncode, status, done.stderr)
        return done.stdout.decode()

    def pages(self, *arguments, status=0):
        """Both pages; that of HTML is XML as well, and has no tag of a name."""
        page = self.dir / "page.html"
        markdown = self.onnxq(*arguments, f"--html={page}", "--markdown", status=status)
        text = page.read_text()
        ElementTree.fromstring(text.removeprefix("<!DOCTYPE html>\n"))
        self.assertTrue(text.endswith("</main></body></html>\n"))
        found = Page(text)
        self.assertFalse(found.tags & {"script", "b", "img", "link", "iframe"}, found.tags)
        self.assertFalse({name for name in found.attributes if name.startswith("on") or name in ("src", "href")})
        self.assertNotRegex(text, r"url\(|@import")
        self.assertNotIn("<script", markdown)
        for table in re.findall(r"(?:^\|.*\n)+", markdown, re.M):  # as many cells in each row
            rows = [len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()]
            self.assertEqual(len(set(rows)), 1, table)
        return " ".join(found.text), markdown


class Pages(Case):
    def test_check(self):
        svg = self.dir / "layers.svg"
        text, markdown = self.pages("check", "--layers", f"--plot={svg}", self.model, self.int8)
        for one in (text, markdown):
            for words in ("Works: ", "Outputs", "rel error", "Error by layer", "MatMulInteger"):
                self.assertIn(words, one)
        self.assertIn("<script>alert", text)  # as text
        root = ElementTree.parse(svg).getroot()
        drawn = [element.text or "" for element in root.iter(f"{SVG}text")]
        self.assertEqual(sum("<script>" in one for one in drawn), 2)
        self.assertEqual(len(list(root.iter(f"{SVG}rect"))), 3)  # the ground, and a bar for each site

    def test_bars_are_the_errors(self):
        svg = self.dir / "layers.svg"
        report = json.loads(self.onnxq("check", "--layers", "--json", f"--plot={svg}", self.model, self.int8))
        errors = [layer["output_error"] for layer in report["layers"]]
        bars = [float(one.get("width")) for one in ElementTree.parse(svg).getroot().iter(f"{SVG}rect")][1:]
        np.testing.assert_allclose(np.array(bars) / bars[0], np.array(errors) / errors[0], rtol=0.01)

    def test_failed_check(self):
        text, markdown = self.pages("check", "--abs-tol=1e-9", self.model, self.int8, status=1)
        for one in (text, markdown):
            self.assertIn("Failed: ", one)
            self.assertIn("failed", one)

    def test_stored_outputs(self):
        x = np.ones((2, 128), np.float32)
        np.save(self.dir / "in.npy", x)
        session = onnxruntime.InferenceSession(str(self.model), providers=["CPUExecutionProvider"])
        (y,) = session.run(None, {session.get_inputs()[0].name: x})
        np.save(self.dir / "out.npy", y)
        text, _ = self.pages("check", "-i", self.dir / "in.npy", "--expected", self.dir / "out.npy", self.int8)
        self.assertIn("out.npy", text)

    def test_bench(self):
        text, markdown = self.pages("bench", "-v", "--time=0.2", self.model, self.int8)
        for one in (text, markdown):
            for words in ("p95 ms", "Time by operator", "MatMul", "ONNX Runtime"):
                self.assertIn(words, one)
        self.assertIn("peak memory", text)  # the picture, inside

    def test_inspect(self):
        text, markdown = self.pages("inspect", "--validate", self.model, self.int8)
        for one in (text, markdown):
            for words in ("valid", "Size by operator", "int8 folded", "Tensors", "Quantized already", "Operators"):
                self.assertIn(words, one)

    def test_quantize(self):
        text, markdown = self.pages("quantize", self.model, self.dir / "again.onnx")
        self.assertTrue((self.dir / "again.onnx").exists())
        for one in (text, markdown):
            for words in ("Size by operator", "int8 folded", "x smaller"):
                self.assertIn(words, one)

    def test_tune(self):
        text, markdown = self.pages("tune", "--no-timing", "--budget=rel<=0.5", self.model, self.dir / "tuned.onnx")
        for one in (text, markdown):
            for words in ("unseen %", "chosen", "Weights of the chosen model"):
                self.assertIn(words, one)
        self.assertIn(".ground{fill:#0d1117}", text)  # the frame of all pictures: a dark page has no other ground in it


@unittest.skipIf(CHROMIUM is None, "no chromium")
class InBrowser(Case):
    """Pages as a browser draws them: light and dark, wide and narrow."""

    def draw(self, page: Path, width: int, dark: bool) -> np.ndarray:
        shot = self.dir / "shot.png"
        options = "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --hide-scrollbars"
        with tempfile.TemporaryDirectory() as profile:
            command = [CHROMIUM, *options.split(), f"--user-data-dir={profile}", f"--window-size={width},700"]
            command += ["--force-dark-mode"] if dark else []
            command += [f"--screenshot={shot}", page.as_uri()]
            subprocess.run(command, check=True, capture_output=True, timeout=120)
        return read_png(shot)

    def looks_right(self, *arguments):
        self.pages(*arguments)
        for width in (500, 1200):
            for dark, ground in ((False, (255, 255, 255)), (True, (13, 17, 23))):
                image = self.draw(self.dir / "page.html", width, dark)
                self.assertEqual(image.shape[1], width)
                # The ground is the theme's, something stands on it, and bars or shapes have their color.
                self.assertLess(np.abs(image[2, 2].astype(int) - ground).max(), 3)
                self.assertGreater(np.mean(np.any(image != image[2, 2], axis=2)), 0.01)
                blue = (image[:, :, 2].astype(int) - image[:, :, 0] > 100).sum()
                self.assertGreater(blue, 100)

    def test_check(self):
        self.looks_right("check", "--layers", self.model, self.int8)

    def test_bench(self):
        self.looks_right("bench", "--time=0.2", self.model, self.int8)

    def test_inspect(self):
        self.looks_right("inspect", self.model)

    def test_tune(self):
        self.looks_right("tune", "--no-timing", "--budget=rel<=0.5", "-f", self.model, self.dir / "tuned.onnx")


def paeth(a: int, b: int, c: int) -> int:
    da, db, dc = abs(b - c), abs(a - c), abs(a + b - 2 * c)
    return a if da <= db and da <= dc else b if db <= dc else c


def unfilter(kind: int, row: np.ndarray, above: np.ndarray, n: int) -> np.ndarray:
    """A row of a PNG, n bytes for each pixel; the row above it is known."""
    if kind == 0:
        return row
    if kind == 1:
        return np.cumsum(row.reshape(-1, n), axis=0, dtype=np.uint8).reshape(-1)
    if kind == 2:
        return row + above
    out, above = row.tolist(), above.tolist()
    for i in range(len(out)):
        a, c = (out[i - n], above[i - n]) if i >= n else (0, 0)
        out[i] = (out[i] + ((a + above[i]) // 2 if kind == 3 else paeth(a, above[i], c))) % 256
    return np.array(out, np.uint8)


def read_png(path: Path) -> np.ndarray:
    """Red, green and blue of a PNG of 8 bits without interlacing, as screenshots are."""
    data, at, packed = path.read_bytes(), 8, b""
    while at < len(data):
        (length,), kind = struct.unpack(">I", data[at : at + 4]), data[at + 4 : at + 8]
        if kind == b"IHDR":
            width, height, depth, color = struct.unpack(">IIBB", data[at + 8 : at + 18])
        elif kind == b"IDAT":
            packed += data[at + 8 : at + 8 + length]
        at += 12 + length
    n = {2: 3, 6: 4}[color]
    assert depth == 8
    rows = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(height, 1 + width * n)
    image, above = [], np.zeros(width * n, np.uint8)
    for row in rows:
        above = unfilter(row[0], row[1:], above, n)
        image.append(above)
    return np.array(image).reshape(height, width, n)[:, :, :3]
