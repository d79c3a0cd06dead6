"""Voice activity over a whole recording: the decisions of the float model, with the state carried along."""

import unittest
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort

import build
import common
import harness
import realmodels
from build import node
from harness import OrtTest, cases

CHUNK, CONTEXT = realmodels.SILERO_CHUNK, realmodels.SILERO_CONTEXT
SHIFTS = (0, 128, 256, 384)  # samples left out at the start: the same speech, cut into other frames
SPEECH, SILENCE = 0.5, 0.35  # speech begins at the first and, with hysteresis, ends below the second

# Measured over 1498 frames: none decided otherwise, with and without hysteresis; a mean difference of 0.0007,
# the largest 0.035, at an onset where the float model wavers itself.
METHODS = ("dynamic", "weights")
OTHERWISE, MEAN, LARGEST = 0.002, 0.0015, 0.1
# Convolutions of 8 bits (DequantizeLinear knows 16 from opset 21 on): 15 of 1498, 0.0124, 0.61.
OTHERWISE_8, MEAN_8, LARGEST_8 = 0.02, 0.02, 0.8
LARGEST_WITHOUT_CONV = 0.08


def frames(samples: np.ndarray) -> np.ndarray:
    """Each with the last samples of the one before; the end is filled up with silence."""
    before, after = np.zeros(CONTEXT, np.float32), np.zeros(-len(samples) % CHUNK, np.float32)
    padded = np.concatenate([before, samples, after])
    return np.stack([padded[i : i + CONTEXT + CHUNK] for i in range(0, len(padded) - CONTEXT, CHUNK)])


def probabilities(session: ort.InferenceSession, samples: np.ndarray) -> np.ndarray:
    """Of speech, for each frame; the model's own state goes from frame to frame."""
    state, found = np.zeros((2, 1, 128), np.float32), []
    for frame in frames(samples):
        probability, state = session.run(None, {"input": frame[None], "state": state, "sr": np.array(16000)})
        found.append(probability[0, 0])
    return np.array(found)


def with_hysteresis(values: np.ndarray) -> np.ndarray:
    decisions, speaking = [], False
    for value in values:
        speaking = value >= (SILENCE if speaking else SPEECH)
        decisions.append(speaking)
    return np.array(decisions)


def write_out(graph: onnx.GraphProto) -> None:
    """Each LSTM, of one step, as products, Sigmoid and Tanh; also in bodies."""
    nodes = []
    for n in graph.node:
        for attribute in n.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                write_out(attribute.g)
        if n.op_type != "LSTM":
            nodes.append(n)
            continue
        x, w, r, b, _, h, c = n.input[:7]
        size = next(a.i for a in n.attribute if a.name == "hidden_size")
        p = "part_" + n.output[1]
        constants = {"axis": np.array([0]), "axes": np.array([0, 1]), "halves": np.array([4 * size] * 2)}
        constants["gates"] = np.array([size] * 4)
        for name, value in constants.items():
            nodes.append(onnx.helper.make_node("Constant", [], [p + name], value=onnx.numpy_helper.from_array(value)))
        inputs = {"x": x, "w": w, "r": r, "b": b, "h": h, "c": c}
        nodes += [onnx.helper.make_node("Squeeze", [v, p + "axis"], [p + k]) for k, v in inputs.items()]
        for op_type, taken, made, attributes in (
            ("Split", "b halves", "bw br", {"axis": 0}),
            ("Gemm", "x w bw", "gx", {"transB": 1}),
            ("Gemm", "h r br", "gh", {"transB": 1}),
            ("Add", "gx gh", "g", {}),
            ("Split", "g gates", "i0 o0 f0 g0", {"axis": 1}),
            ("Sigmoid", "i0", "i", {}),
            ("Sigmoid", "o0", "o", {}),
            ("Sigmoid", "f0", "f", {}),
            ("Tanh", "g0", "new", {}),
            ("Mul", "f c", "kept", {}),
            ("Mul", "i new", "added", {}),
            ("Add", "kept added", "c1", {}),
            ("Tanh", "c1", "t", {}),
            ("Mul", "o t", "h1", {}),
        ):
            names = [[p + name for name in text.split()] for text in (taken, made)]
            nodes.append(onnx.helper.make_node(op_type, *names, **attributes))
        results = zip(n.output, ("h1", "h1", "c1"), ("axes", "axis", "axis"), strict=False)
        nodes += [onnx.helper.make_node("Unsqueeze", [p + v, p + a], [o]) for o, v, a in results if o]
    del graph.node[:]
    graph.node.extend(nodes)


class States(OrtTest):
    """A model that hands back what it is given again is recurrent, whatever operators it is made of."""

    @cases(
        {
            "stateN": ("state", "stateN", True),
            "h0": ("h0", "hn", True),
            "in_and_out": ("hidden_in", "hidden_out", True),
            "new": ("conv_cache.3", "new_conv_cache.3", True),
            "capitals": ("prevState", "NextState", True),
            "another_number": ("cache_1", "new_cache_2", False),
            "another_name": ("mask", "state", False),
            "only_numbers": ("input.1", "output.1", False),
            "another_size": ("state", "stateN", False, 4, 8),
            "open_sizes": ("state", "stateN", True, "n"),
            "two_open_sizes": ("state", "stateN", False, "n", "m"),
            "only_input": ("state", "stateN", False, 4, 4, False),
        }
    )
    def names(self, state, new_state, is_recurrent, taken=4, given=4, has_others=True):
        rng = np.random.default_rng(1)
        w = rng.standard_normal((16, 8, 3, 3)) * np.exp(1.6 * rng.standard_normal((16, 8, 3, 3)))  # 8 bits are coarse
        given = "n" if taken == "n" and given == 4 else given
        twice = node("Concat", f"{state} {state}", new_state, axis=1)
        nodes = [node("Conv", "x w", "y"), twice if given == 8 else node("Tanh", state, new_state)]
        inputs = {"x": (1, 8, 5, 5), state: (1, taken)} if has_others else {state: (1, taken)}
        if not has_others:
            nodes = [node("ConstantOfShape", "shape", "x"), *nodes]
        outputs = {"y": (1, 16, 3, 3), new_state: (1, given)}
        constants = {"w": w.astype(np.float32)} | ({} if has_others else {"shape": np.array([1, 8, 5, 5])})
        model = build.model(nodes, inputs, outputs, constants)
        self.assertEqual(self.quantize(model).weight("w")["bits"], 16 if is_recurrent else 8)


class Speech(OrtTest):
    """The model is made for 16 kHz: it multiplies its input `sr` by zero."""

    def setUp(self) -> None:
        super().setUp()
        self.model = harness.MODELS / "silero_vad.onnx"
        if not self.model.exists() or not (harness.MODELS / "speech.wav").exists():
            raise unittest.SkipTest(f"{self.model} or speech.wav is missing")

    def run_all(self, path: Path, level: str = "all") -> list[np.ndarray]:
        """The probabilities of the whole recording, at every shift."""
        session, samples = common.session(path, level), realmodels.speech(harness.MODELS)
        return [probabilities(session, samples[shift:]) for shift in SHIFTS]

    def compare(self, path: Path, level: str = "all") -> tuple[np.ndarray, list[int], list[int]]:
        """The differences; for each shift decisions unlike the float model's, plain and with hysteresis."""
        pairs = list(zip(self.run_all(self.model), self.run_all(path, level), strict=True))
        plain = [np.sum((want >= SPEECH) != (got >= SPEECH)) for want, got in pairs]
        held = [np.sum(with_hysteresis(want) != with_hysteresis(got)) for want, got in pairs]
        return np.concatenate([np.abs(want - got) for want, got in pairs]), plain, held

    def assert_smaller(self, path: Path, times: float) -> None:
        self.assertLess(times * path.stat().st_size, self.model.stat().st_size)

    def test_float_model_hears_speech_and_silence(self):
        """Otherwise equal decisions would say nothing."""
        for values in self.run_all(self.model):
            self.assertTrue(0.5 < (values >= SPEECH).mean() < 0.8)
            self.assertGreater(np.count_nonzero(np.diff(with_hysteresis(values))), 4)

    @cases({f"{method}_{level}": (method, level) for method in (*METHODS, "qdq") for level in ("disabled", "all")})
    def method(self, method, level):
        """Every decision about the recording is that of the float model."""
        outcome = self.quantize(self.model, "--method", method, min_elements=1024)
        self.assert_smaller(outcome.path, 2.3)
        differences, plain, held = self.compare(outcome.path, level)
        self.assertEqual((plain[0], held[0]), (0, 0))
        self.assertLess(max(sum(plain), sum(held)), OTHERWISE * len(differences))
        self.assertLess(differences.mean(), MEAN)
        self.assertLess(differences.max(), LARGEST)

    @cases(["dynamic", "weights"])
    def written_out(self, method):
        """The same without the operator."""
        model = onnx.load(self.model)
        write_out(model.graph)
        outcome = self.quantize(model, "--method", method, min_elements=1024)
        self.assert_smaller(outcome.path, 2.25)
        differences, plain, held = self.compare(outcome.path)
        self.assertEqual((plain[0], held[0]), (0, 0))
        self.assertLess(max(sum(plain), sum(held)), OTHERWISE * len(differences))
        self.assertLess(differences.max(), LARGEST)

    @cases(["dynamic", "qdq"])
    def convolutions_of_8_bits(self, method):
        outcome = self.quantize(self.model, "--method", method, "--fold-bits=8", min_elements=1024)
        self.assert_smaller(outcome.path, 3.4)
        differences, plain, held = self.compare(outcome.path)
        self.assertLess(max(sum(plain), sum(held)), OTHERWISE_8 * len(differences))
        self.assertLess(differences.mean(), MEAN_8)
        self.assertLess(differences.max(), LARGEST_8)

    @cases([*METHODS, "qdq"])
    def recurrence(self, method):
        """Integers in the LSTM only: what it carries from frame to frame turns no silence into speech."""
        outcome = self.quantize(self.model, "--method", method, "--conv=skip", min_elements=1024)
        differences, plain, held = self.compare(outcome.path)
        self.assertEqual(sum(plain), 0)
        self.assertLess(sum(held), 5)  # one frame of the float model is 0.0002 from ending the speech
        self.assertLess(differences.max(), LARGEST_WITHOUT_CONV)
