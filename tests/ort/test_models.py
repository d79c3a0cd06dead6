"""Real models: quantized, loaded, run, and close to the float model. Skipped where they are missing."""

import unittest

import numpy as np

import common
import harness
import realmodels
from harness import OrtTest, Outcome, cases

# Largest error allowed, ||float - int8|| / ||float|| in percent. Measured with the defaults: minilm 13.6,
# silero_vad 3.3, audio_lstm 0.56, music_mlp 0.22, keras_tf2 0.10, ultraface 0.34, super_resolution_10 5.5,
# mnist 0.97. The bounds leave about half again, twice where recurrence makes a small model jumpy. What
# remains in minilm is the 8 bits of the activations: with one weight scale per tensor it has 29.
BOUNDS = {
    "minilm": 18,
    "silero_vad": 8,
    "audio_lstm": 1,
    "music_mlp": 0.5,
    "keras_tf2": 0.3,
    "ultraface": 0.6,
    "super_resolution_10": 9,
    "mnist": 2,
}
# How much of the file is left at most, in percent: weights are a quarter, what is small or no weight stays.
SIZES = {
    "minilm": 27,
    "silero_vad": 44,
    "audio_lstm": 28,
    "music_mlp": 27,
    "keras_tf2": 45,
    "ultraface": 45,
    "super_resolution_10": 30,
    "mnist": 45,
}


class RealModels(OrtTest):
    def load(self, name: str) -> realmodels.RealModel:
        if not (harness.MODELS / f"{name}.onnx").exists():
            raise unittest.SkipTest(f"{harness.MODELS / name}.onnx is missing")
        return realmodels.load(harness.MODELS, name)

    def outputs(self, model: realmodels.RealModel, path, level: str = "all") -> list[np.ndarray]:
        return model.run(common.session(path, level))

    def check(self, model: realmodels.RealModel, outcome: Outcome) -> None:
        want = self.outputs(model, model.path)
        for level in common.LEVELS:
            got = self.outputs(model, outcome.path, level)
            self.assertLess(common.relative_error(want, got), BOUNDS[model.name], level)

    @cases({name: (name,) for name in realmodels.NAMES})
    def default(self, name):
        model = self.load(name)
        outcome = self.quantize(model.path, min_elements=1024)
        self.check(model, outcome)
        percent = 100 * outcome.path.stat().st_size / model.path.stat().st_size
        self.assertLess(percent, SIZES[name], "size of the file in percent")

    @cases(
        {
            f"{name}_{flag}": (name, flag)
            for name in realmodels.NAMES
            for flag in ("--weight-type=uint8", "--no-symmetric", "--external-data=always")
        }
    )
    def options(self, name, flag):
        model = self.load(name)
        self.check(model, self.quantize(model.path, flag, min_elements=1024))

    @cases(
        {
            f"{name}_{flag}": (name, flag)
            for name in realmodels.NAMES
            for flag in ("--conv=integer", "--conv=matmul", "--no-per-channel", "--reduce-range")
        }
    )
    def runs(self, name, flag):
        """Coarser on purpose: the outputs are finite and of the right shape."""
        model = self.load(name)
        outcome = self.quantize(model.path, flag, min_elements=1024)
        for want, got in zip(self.outputs(model, model.path), self.outputs(model, outcome.path), strict=True):
            self.assertEqual(want.shape, got.shape)
            self.assertTrue(np.isfinite(got).all())

    def test_sentences_keep_their_meaning(self):
        """minilm's sentence vectors, means over the tokens: cosine with the float model's; measured 0.990."""
        model = self.load("minilm")
        outcome = self.quantize(model.path, min_elements=1024)
        sentence = np.nonzero(model.mask)[0]

        def vectors(path):
            tokens = self.outputs(model, path)[0][0]
            means = np.stack([tokens[sentence == i].mean(0) for i in range(len(model.mask))])
            return means / np.linalg.norm(means, axis=1, keepdims=True)

        cosines = (vectors(model.path) * vectors(outcome.path)).sum(1)
        self.assertGreater(cosines.min(), 0.98)

    def test_transformer_is_fused(self):
        """36 products, each in one operator: query, key and value share the quantized activation."""
        model = self.load("minilm")
        outcome = self.quantize(model.path, min_elements=1024)
        ops = self.optimized(outcome.path)
        self.assertEqual(
            (
                ops["com.microsoft.DynamicQuantizeMatMul"],
                ops["com.microsoft.MatMulIntegerToFloat"],
                ops["DynamicQuantizeLinear"],
                ops["MatMulInteger"],
            ),
            (18, 18, 6, 0),
            ops,
        )

    @cases({name: (name,) for name in ("ultraface", "super_resolution_10", "mnist")})
    def folded(self, name):
        """Nothing in them is worth integers: after loading they are the float model."""
        model = self.load(name)
        outcome = self.quantize(model.path, min_elements=1024)
        self.assertEqual(self.optimized(outcome.path), self.optimized(model.path))

    def test_nothing_to_quantize(self):
        path = harness.MODELS / f"{realmodels.NOTHING_TO_DO}.onnx"
        if not path.exists():
            raise unittest.SkipTest(f"{path} is missing")
        out = self.dir / "out.onnx"
        self.assertIn("nothing to quantize", self.onnxq("quantize", path, out, status=5).stderr)
        self.assertFalse(out.exists())
        self.onnxq("quantize", path, out, "--allow-noop")
        self.assertEqual(out.read_bytes(), path.read_bytes())
