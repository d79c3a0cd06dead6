"""LSTM as com.microsoft DynamicQuantizeLSTM: int8 weights with a scale for each gate row."""

import numpy as np
import onnx
from onnx import helper, numpy_helper

import build
import common
import reference
from build import node
from harness import OrtTest, Outcome, cases
from reference import Scheme

DEFAULT = Scheme()
STEPS, BATCH, INPUTS, HIDDEN = 12, 2, 40, 48
X = build.activations(STEPS, BATCH, INPUTS)


def gates(*shape: int, seed: int) -> np.ndarray:
    """Weights small enough that the gates stay sensitive."""
    return build.weights(*shape, seed=seed) / np.float32(4)


class Lstm(OrtTest):
    def make(self, names: str = "x w r b", directions: int = 1, opset: int = build.OPSET, **attributes):
        """The model and its feeds; names as in `x w r b lengths h c p`, a minus sign for one left out."""
        values = {
            "w": gates(directions, 4 * HIDDEN, INPUTS, seed=1),
            "r": gates(directions, 4 * HIDDEN, HIDDEN, seed=2),
            "b": gates(directions, 8 * HIDDEN, seed=3),
            "p": gates(directions, 3 * HIDDEN, seed=4),
        }
        feeds = {
            "x": X,
            "lengths": np.array([12, 7], np.int32),
            "h": gates(directions, BATCH, HIDDEN, seed=5),
            "c": gates(directions, BATCH, HIDDEN, seed=6),
        }
        used = names.split()
        feeds = {name: value for name, value in feeds.items() if name in used}
        constants = {name: value for name, value in values.items() if name in used}
        lstm = node("LSTM", names, "y yh yc", hidden_size=HIDDEN, **attributes)
        outputs = {"y": [None] * 4, "yh": [None] * 3, "yc": [None] * 3}
        return build.model([lstm], feeds, outputs, constants, opset), feeds, constants

    def assert_weights(self, outcome: Outcome, constants: dict, scheme: Scheme = DEFAULT) -> onnx.NodeProto:
        """W and R, transposed, with one scale for each direction and gate row."""
        view = outcome.view()
        made = next(n for n in outcome.model.graph.node if n.op_type == "DynamicQuantizeLSTM")
        self.assertEqual(len(made.input), 12)
        for name, weight, scale, zero in (("w", 1, 8, 9), ("r", 2, 10, 11)):
            want = reference.quantize(constants[name], scheme, (0, 1))
            np.testing.assert_array_equal(view.constant(made.input[weight]), want.q.transpose(0, 2, 1))
            stored = view.constant(made.input[scale])
            self.assertEqual(stored.shape, constants[name].shape[:2])
            np.testing.assert_array_equal(stored, np.broadcast_to(want.scale[..., 0], stored.shape))
            np.testing.assert_array_equal(view.constant(made.input[zero]), np.zeros(stored.shape, np.int8))
            self.assertEqual(outcome.weight(name)["action"], "dynamic")
        return made

    def assert_same(self, outcome: Outcome, feeds: dict, percent: float = 3) -> None:
        want = common.run(outcome.original, feeds)
        for level, outputs in self.run_levels(outcome.path, feeds).items():
            self.assertLess(common.relative_error(want, outputs), percent, level)

    @cases(
        {
            "plain": ("x w r b", 1, {}),
            "no_bias": ("x w r", 1, {}),
            "reverse": ("x w r b", 1, {"direction": "reverse"}),
            "bidirectional": ("x w r b", 2, {"direction": "bidirectional"}),
            "lengths": ("x w r b lengths", 1, {}),
            "state": ("x w r b - h c", 1, {}),
            "peepholes": ("x w r b - h c p", 1, {}),
            "all": ("x w r b lengths h c p", 1, {}),
            "only_peepholes": ("x w r - - - - p", 1, {}),
            "clip": ("x w r b", 1, {"clip": 0.5}),
            "input_forget": ("x w r b", 1, {"input_forget": 1}),
            "activations": (
                "x w r b",
                1,
                {
                    "activations": ["HardSigmoid", "Tanh", "Tanh"],
                    "activation_alpha": [0.3],
                    "activation_beta": [0.4],
                },
            ),
        }
    )
    def forms(self, names, directions, attributes):
        model, feeds, constants = self.make(names, directions, **attributes)
        outcome = self.quantize(model)
        made = self.assert_weights(outcome, constants)
        self.assertEqual(sorted(a.name for a in made.attribute), sorted(["hidden_size", *attributes]))
        self.assert_same(outcome, feeds)

    @cases([7, 9, 11, 13, 14, 21, 22, build.NEWEST])
    def opsets(self, opset):
        model, feeds, constants = self.make(opset=opset)
        outcome = self.quantize(model)
        self.assert_weights(outcome, constants)
        self.assert_same(outcome, feeds)

    @cases(
        {
            "per_tensor": (Scheme(per_channel=False),),
            "bits": (Scheme(reduce_range="bits"),),
            "pairs": (Scheme(reduce_range="pairs"),),
            "uint8": (Scheme("uint8"),),
        }
    )
    def schemes(self, scheme):
        """The operator takes int8 only, so that uint8 means int8 here."""
        model, feeds, constants = self.make()
        outcome = self.quantize(model, *scheme.flags())
        self.assert_weights(outcome, constants, DEFAULT if scheme == Scheme("uint8") else scheme)
        self.assert_same(outcome, feeds, 8)

    @cases({"asymmetric": ("int8_channel_asym",), "asymmetric_uint8": ("uint8_channel_asym",)})
    def folded(self, kind):
        """There is no form of the operator with zero points per channel."""
        model, feeds, constants = self.make()
        scheme = reference.SCHEMES[kind]
        outcome = self.quantize(model, *scheme.flags())
        stored = {name: reference.quantize(constants[name], scheme, (0, 1)).dequantize() for name in "wr"}
        self.assertEqual(outcome.weight("w")["action"], "fold")
        stored["b"] = (
            reference.quantize(constants["b"], scheme, (0,)).dequantize()
            if outcome.weight("b")["action"] == "fold"
            else constants["b"]
        )
        self.assert_folds_to(outcome, feeds, stored)

    def test_layout_1(self):
        """ONNX Runtime's LSTM has no layout 1, quantized or not: what is written is at least valid."""
        model, _, constants = self.make(layout=1)
        self.assertEqual(self.quantize(model).weight("w")["action"], "fold")

    def test_two_layers_share_weights(self):
        values = {"w": gates(1, 4 * HIDDEN, HIDDEN, seed=1), "r": gates(1, 4 * HIDDEN, HIDDEN, seed=2)}
        x = build.activations(STEPS, BATCH, HIDDEN)
        nodes = [
            node("LSTM", "x w r", "a ah", hidden_size=HIDDEN),
            node("Squeeze", "a one", "s"),
            node("LSTM", "s w r", "y", hidden_size=HIDDEN),
        ]
        outcome = self.quantize(
            build.model(
                nodes, {"x": x.shape}, {"y": [None] * 4, "ah": [None] * 3}, {**values, "one": np.array([1])}
            )
        )
        counts = [t.data_type for t in outcome.model.graph.initializer].count(onnx.TensorProto.INT8)
        self.assertLessEqual(counts, 2 + 4, "integers once, zero points for each node")
        self.assert_same(outcome, {"x": x}, 12)

    def shared_with_a_fold(self, w: np.ndarray) -> tuple[onnx.ModelProto, dict]:
        """W is an operand of Add as well; nothing of LSTM wants it in that order."""
        model, feeds, _ = self.make(directions=2, direction="bidirectional")
        (tensor,) = (t for t in model.graph.initializer if t.name == "w")
        tensor.CopyFrom(numpy_helper.from_array(w, "w"))
        model.graph.node.append(node("Add", "w z", "sum"))
        model.graph.input.append(build.info("z", w.shape))
        model.graph.output.append(build.info("sum", w.shape))
        return model, {**feeds, "z": build.activations(*w.shape)}

    @cases({"auto": ((), 1), "8": (("--fold-bits=8",), 1), "16": (("--fold-bits=16",), 3), "weights": (("--method=weights",), 1)})
    def folded_from_its_integers(self, flags, nbytes):
        """They are stored once, unless the fold is to have 16 bits."""
        w = gates(2, 4 * HIDDEN, INPUTS, seed=1)
        model, feeds = self.shared_with_a_fold(w)
        outcome = self.quantize(model, *flags)
        forms = {use["op_type"]: use["action"] for use in outcome.weight("w")["uses"]}
        self.assertEqual(forms, {"LSTM": "fold" if "--method=weights" in flags else "dynamic", "Add": "fold"})
        scales = 4 * 2 * 4 * HIDDEN * 2 + 2 * 4 * HIDDEN
        self.assertLessEqual(outcome.weight("w")["nbytes_after"], nbytes * w.size + scales)
        self.assert_same(outcome, feeds)
        step = np.abs(w).max(2, keepdims=True) / 127
        for level, outputs in self.run_levels(outcome.path, feeds).items():
            self.assert_close(outputs[3], w + feeds["z"], 0.501 * step + 1e-6, level)
        self.onnxq("dequantize", "-f", outcome.path, self.dir / "float.onnx")
        got = common.run(self.dir / "float.onnx", feeds)
        self.assert_close(got[3], w + feeds["z"], 0.501 * step + 1e-6)

    def test_fold_that_needs_16_bits(self):
        """The sum is as a recurrent model needs it; the gates take 8 bits all the same."""
        w = gates(2, 4 * HIDDEN, INPUTS, seed=1)
        w[:, np.arange(4 * HIDDEN), np.arange(4 * HIDDEN) % INPUTS] = 4
        outcome = self.quantize(self.shared_with_a_fold(w)[0])
        forms = {use["op_type"]: use["form"] for use in outcome.weight("w")["uses"]}
        self.assertEqual(forms, {"LSTM": "DynamicQuantizeLSTM", "Add": "int16 folded at load"})
        self.assertLess(outcome.weight("w")["nbytes_after"], w.nbytes)

    @cases({"w": ("w",), "r": ("r",)})
    def one_weight_is_no_constant(self, name):
        """Both or none."""
        model, feeds, constants = self.make()
        for tensor in list(model.graph.initializer):
            if tensor.name == name:
                model.graph.initializer.remove(tensor)
                model.graph.input.append(build.info(name, tensor.dims))
        outcome = self.quantize(model)
        other = "r" if name == "w" else "w"
        self.assertEqual(outcome.weight(other)["action"], "fold")
        self.assert_same(outcome, {**feeds, name: constants[name]})

    def test_weight_is_not_finite(self):
        """One of the two holds NaN: the other is no DynamicQuantizeLSTM either."""
        model, _, constants = self.make()
        bad = constants["r"].copy()
        bad[0, 3, 3] = np.nan
        big = build.weights(build.K, build.N, seed=9)
        model = build.with_weights(model, {"r": bad})
        model.graph.node.append(node("MatMul", "z big", "t"))
        model.graph.input.append(build.info("z", [build.K]))
        model.graph.output.append(build.info("t", [build.N]))
        model.graph.initializer.append(onnx.numpy_helper.from_array(big, "big"))
        outcome = self.quantize(model)
        self.assertEqual([outcome.weight(name)["action"] for name in ("r", "big")], ["keep", "dynamic"])
        self.assertIn(outcome.weight("w")["action"], ("keep", "fold"))
        common.session(outcome.path)

    def test_one_weight_is_excluded(self):
        model, feeds, _ = self.make()
        outcome = self.quantize(model, "--exclude=w")
        self.assertEqual(outcome.weight("w")["action"], "keep")
        self.assert_same(outcome, feeds)

    def test_weight_is_an_output_too(self):
        model, feeds, constants = self.make()
        model.graph.output.append(helper.make_tensor_value_info("r", build.FLOAT, constants["r"].shape))
        outcome = self.quantize(model)
        np.testing.assert_array_equal(common.run(outcome.path, feeds)[-1], constants["r"])
        self.assert_same(outcome, feeds)
