"""What random models have found (tests/random), each as a small model."""

import numpy as np

import build
from build import node
from harness import OrtTest


class AmongIntegers(OrtTest):
    def test_quantized_weights_do_not_make_their_operator_one_of_integers(self):
        """R would have a scale for all of it because W, in a first run, became DequantizeLinear."""
        hidden, width = 1, 33
        lstm = node("LSTM", "x w r", "y", hidden_size=hidden)
        x = build.activations(1, 4, width)
        constants = {
            "w": build.weights(1, 4 * hidden, width),
            "r": build.weights(1, 4 * hidden, hidden),
        }
        model = build.model([lstm], {"x": x.shape}, {"y": (1, 1, 4, hidden)}, constants, 18)
        outcome = self.quantize(model, "--method", "qdq")
        self.assertEqual([outcome.weight(n)["action"] for n in "wr"], ["fold", "keep"])
        self.assertTrue(np.isfinite(self.run_levels(outcome.path, {"x": x})["all"][0]).all())


class Size(OrtTest):
    def test_float_zero_points_count(self):
        """64 rows of 2 with a scale and a float zero point for each would be larger than the floats."""
        w, x = build.weights(64, 2), build.activations(4, 64)
        nodes = [node("Identity", "w", "v"), node("MatMul", "x v", "y")]
        large = {"w": w, "a": build.weights(64, 64)}
        nodes.append(node("MatMul", "x a", "z"))
        model = build.model(nodes, {"x": x.shape}, {"y": (4, 2), "z": (4, 64)}, large)
        outcome = self.quantize(model, "--no-symmetric")
        found = outcome.weight("w")
        self.assertLessEqual(found["nbytes_after"], found["nbytes"])
