"""Folders and variants: what transformers.js would load is there by its name, loads and computes what the model does."""

from pathlib import Path

import numpy as np
import onnx

import build
import common
from build import node
from harness import OrtTest

K, N = 256, 128
X = build.activations(4, K)
IMAGE = build.activations(1, 8, 10, 10)
W, V = build.weights(K, N), build.weights(N, N, seed=2)
FILTER = build.weights(16, 8, 3, 3, seed=5)

# As transformers.js names them, and what integers of that width may cost.
VARIANTS = {"_quantized": 0.05, "_int8": 0.05, "_uint8": 0.05, "_q4": 0.3, "_bnb4": 0.3}
NAMES = "quantized,int8,uint8,q4,bnb4"


def encoder() -> onnx.ModelProto:
    nodes = [node("MatMul", "x w", "h"), node("MatMul", "h v", "y")]
    return build.model(nodes, {"x": X.shape}, {"y": (4, N)}, {"w": W, "v": V})


def vision() -> onnx.ModelProto:
    nodes = [node("Conv", "image filter", "c"), node("MatMul", "x w", "y")]
    shapes = {"image": IMAGE.shape, "x": X.shape}
    return build.model(nodes, shapes, {"c": (1, 16, 8, 8), "y": (4, N)}, {"filter": FILTER, "w": W})


class Variants(OrtTest):
    def repository(self) -> Path:
        folder = self.dir / "repository"
        (folder / "onnx").mkdir(parents=True)
        onnx.save(encoder(), folder / "onnx/encoder.onnx")
        onnx.save(
            encoder(),
            folder / "onnx/decoder.onnx",
            save_as_external_data=True,
            location="decoder.onnx_data",
            size_threshold=0,
        )
        onnx.save(vision(), folder / "onnx/vision.onnx")
        (folder / "config.json").write_text("{}")
        return folder

    def assert_computes(self, path: Path, reference: onnx.ModelProto, bound: float) -> None:
        feeds = {"x": X, "image": IMAGE}
        feeds = {i.name: feeds[i.name] for i in reference.graph.input}
        self.assert_valid(path)
        outputs = common.run(path, feeds)
        for want, got in zip(common.run(reference, feeds), outputs, strict=True):
            self.assertLess(np.linalg.norm(got - want), bound * np.linalg.norm(want), path.name)

    def test_variants_load_and_compute(self):
        out = self.dir / "out"
        self.onnxq("quantize", "-q", self.repository(), out, "--variants", NAMES)
        for suffix, bound in VARIANTS.items():
            for name, reference in ("encoder", encoder()), ("decoder", encoder()), ("vision", vision()):
                self.assert_computes(out / f"onnx/{name}{suffix}.onnx", reference, bound)
            location = onnx.load(out / f"onnx/decoder{suffix}.onnx", load_external_data=False)
            places = {e.value for t in location.graph.initializer for e in t.external_data if e.key == "location"}
            self.assertEqual(places, {f"decoder{suffix}.onnx_data"})
        self.assertTrue((out / "config.json").exists())
        self.assertFalse((out / "onnx/decoder.onnx_data").exists())

    def test_type_of_quantized(self):
        out = self.dir / "out"
        self.onnxq("quantize", "-q", self.repository(), out, "--variants", NAMES)
        self.assertTrue((out / "onnx/vision_quantized.onnx").samefile(out / "onnx/vision_uint8.onnx"))
        self.assertTrue((out / "onnx/encoder_quantized.onnx").samefile(out / "onnx/encoder_int8.onnx"))

    def test_mirror_loads_as_before(self):
        out = self.dir / "out"
        self.onnxq("quantize", "-q", self.repository(), out)
        for name, reference in ("encoder", encoder()), ("decoder", encoder()), ("vision", vision()):
            self.assert_computes(out / f"onnx/{name}.onnx", reference, 0.05)
