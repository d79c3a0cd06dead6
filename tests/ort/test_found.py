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


class Chain(OrtTest):
    def test_what_follows_from_a_refusal_stays_among_those_that_share_weights(self):
        """NaN in one LSTM; each shares a weight with the next. A last one has two of its own."""
        hidden, n = 4, 12
        x = build.activations(1, 1, hidden)
        constants = {f"w{i}": build.weights(1, 4 * hidden, hidden, seed=3 * i + 1) for i in range(n + 3)}
        constants["w0"][0, 0, 0] = np.nan
        constants["directions"] = np.array([1], np.int64)
        pairs = [(f"w{i}", f"w{i + 1}") for i in range(n)] + [(f"w{n + 1}", f"w{n + 2}")]
        nodes, value = [], "x"
        for i, (w, r) in enumerate(pairs):
            nodes.append(node("LSTM", f"{value} {w} {r}", f"y{i}", hidden_size=hidden))
            nodes.append(node("Squeeze", f"y{i} directions", f"s{i}"))
            value = f"s{i}"
        model = build.model(nodes, {"x": x.shape}, {value: x.shape}, constants)
        outcome = self.quantize(model, "--min-elements", "1")
        actions = [outcome.weight(f"w{i}")["action"] for i in range(n + 3)]
        self.assertEqual(actions, ["keep"] + n * ["fold"] + 2 * ["dynamic"])
