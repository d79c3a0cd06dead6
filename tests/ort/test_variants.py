"""Folders and variants: what transformers.js would load is there by its name, loads and computes what the model does."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

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
VARIANTS = {"_quantized": 0.05, "_int8": 0.05, "_uint8": 0.05, "_q4": 0.3, "_bnb4": 0.3, "_fp16": 0.001}
NAMES = "quantized,int8,uint8,q4,bnb4,fp16"


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


class NarrowFloats(OrtTest):
    """Weights that are float32 already, stored as float16."""

    def narrow(self, model: onnx.ModelProto, *flags: str) -> onnx.ModelProto:
        source, self.path = self.dir / "model.onnx", self.dir / "narrow.onnx"
        onnx.save(model, source)
        self.onnxq("dequantize", "-q", "--float-type", "float16", "--narrow-floats", source, self.path, *flags)
        self.assert_valid(self.path)
        return onnx.load(self.path)

    def stored(self, model: onnx.ModelProto) -> dict[str, int]:
        return {t.name: t.data_type for t in model.graph.initializer}

    def test_rounds_as_numpy_does(self):
        want = common.run(encoder(), {"x": X})[0]
        for flags in [], ["-f", "--external-data", "always"]:
            stored = {t.name: numpy_helper.to_array(t) for t in self.narrow(encoder(), *flags).graph.initializer}
            self.assertEqual(set(stored), {"w_float16", "v_float16"})
            np.testing.assert_array_equal(stored["w_float16"], W.astype(np.float16))
            np.testing.assert_array_equal(stored["v_float16"], V.astype(np.float16))
            got = common.run(self.path, {"x": X})[0]
            self.assertLess(np.linalg.norm(got - want), 1e-3 * np.linalg.norm(want))

    def test_what_float16_cannot_hold_stays(self):
        large, tiny, holes = W.copy(), V * np.float32(1e-7), build.weights(K, N, seed=9)
        large[3, 4] = 1e5
        holes[0, 0] = np.inf
        nodes = [node("MatMul", "x large", "h"), node("MatMul", "h tiny", "y"), node("MatMul", "x holes", "z")]
        constants = {"large": large, "tiny": tiny, "holes": holes, "w": W}
        nodes.append(node("MatMul", "x w", "u"))
        shapes = {"y": (4, N), "z": (4, N), "u": (4, N)}
        out = self.narrow(build.model(nodes, {"x": X.shape}, shapes, constants))
        stored = self.stored(out)
        for name in "large", "tiny", "holes":
            self.assertEqual(stored[name], TensorProto.FLOAT, name)
        self.assertNotIn("w", stored)

    def test_what_must_not_be_rounded_stays(self):
        """Numbers that become indices, thresholds, and angles."""
        ids = np.stack([np.arange(4096)] * 2, 1).astype(np.float32)
        edges = np.sort(np.exp(3 * build.weights(4, 512)), 1)
        angles = np.linspace(0, 1000, 4 * 512, dtype=np.float32).reshape(4, 512)
        nodes = [
            node("Gather", "ids i", "e"), node("Cast", "e", "y", to=TensorProto.INT64),
            node("Greater", "x edges", "g"), node("Cast", "g", "z", to=TensorProto.FLOAT),
            node("Add", "x angles", "s"), node("Sin", "s", "u"), node("MatMul", "x w", "v"),
        ]  # fmt: skip
        feeds = {"x": np.repeat(edges[:, 100:101], 512, 1), "i": np.array([2049, 4095])}
        shapes = {"y": np.zeros((2, 2), np.int64), "z": (4, 512), "u": (4, 512), "v": (4, 64)}
        model = build.model(nodes, feeds, shapes, {"ids": ids, "edges": edges, "angles": angles, "w": build.weights(512, 64)})
        stored = self.stored(self.narrow(model))
        self.assertEqual({n for n, t in stored.items() if t == TensorProto.FLOAT}, {"ids", "edges", "angles"})
        self.assertIn("w_float16", stored)
        for want, got in list(zip(common.run(model, feeds), common.run(self.path, feeds), strict=True))[:3]:
            np.testing.assert_array_equal(want, got)

    def test_returned_and_overridable_weights_stay(self):
        model = build.model([node("MatMul", "x w", "y")], {"x": X.shape}, {"y": (4, N)}, {"w": W, "v": V})
        model.graph.output.append(helper.make_tensor_value_info("v", TensorProto.FLOAT, V.shape))
        self.assertEqual(self.stored(self.narrow(model))["v"], TensorProto.FLOAT)
        model = encoder()
        model.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, W.shape))
        self.assertEqual(self.stored(self.narrow(model, "-f"))["w"], TensorProto.FLOAT)
        out = self.narrow(model, "-f", "--freeze-inputs")
        self.assertNotIn("w", self.stored(out))
        self.assertEqual([i.name for i in out.graph.input], ["x"])
        common.run(self.path, {"x": X})

    def test_weights_of_bodies_and_those_they_see(self):
        def body(name: str, weight: str, own: bool) -> onnx.GraphProto:
            constants = [numpy_helper.from_array(W * np.float32(0.5), weight)] if own else []
            return helper.make_graph(
                [node("MatMul", f"x {weight}", name)],
                name,
                [],
                [helper.make_tensor_value_info(name, TensorProto.FLOAT, (4, N))],
                constants,
            )

        nodes = [
            helper.make_node("If", ["c"], ["y"], then_branch=body("a", "w", False), else_branch=body("b", "inner", True))
        ]
        for condition in True, False:
            constants = {"w": W, "c": np.array(condition)}
            model = build.model(nodes, {"x": X.shape}, {"y": (4, N)}, constants)
            self.narrow(model, "-f")
            got, want = common.run(self.path, {"x": X})[0], common.run(model, {"x": X})[0]
            self.assertLess(np.linalg.norm(got - want), 1e-3 * np.linalg.norm(want))
