"""Channels that a normalization makes large are made like the others in front of a product that widens."""

import numpy as np
import onnx

import build
import common
import patterns
from build import node
from harness import OrtTest, cases

K, WIDE = 144, 512
RNG = np.random.default_rng(3)
GAMMA = np.exp(RNG.uniform(-1, 0, K)).astype(np.float32)
GAMMA[[5, 77]] = 12
BETA = RNG.standard_normal(K).astype(np.float32) * np.float32(0.2)
X = build.activations(2, 9, K)


def norm(opset: int, beta: bool = True) -> list[onnx.NodeProto]:
    if opset >= 17:
        return [node("LayerNormalization", "x g c" if beta else "x g", "n")]
    return [
        node("ReduceMean", "x", "mean", axes=[-1]),
        node("Sub", "x mean", "d"),
        node("Mul", "d d", "square"),
        node("ReduceMean", "square", "variance", axes=[-1]),
        node("Add", "variance epsilon", "shifted"),
        node("Sqrt", "shifted", "deviation"),
        node("Div", "d deviation", "normal"),
        node("Mul", "normal g", "scaled"),
        node("Add", "c scaled", "n"),
    ]


def feed_forward(after: bool, opset: int = 21, gamma: np.ndarray = GAMMA, beta: bool = True) -> onnx.ModelProto:
    """A normalization, a product that widens, and, where it is `after`, the sum that reads both."""
    w = np.random.default_rng(1).standard_normal((K, WIDE), dtype=np.float32) / 12
    w[[5, 77]] /= 8  # as networks learn it where a channel is large
    constants = {"w": w, "g": gamma}
    constants |= {"v": np.random.default_rng(2).standard_normal((WIDE, K), dtype=np.float32) / 23}
    constants |= {"c": BETA} if beta else {}
    constants |= {} if opset >= 17 else {"epsilon": np.float32(1e-5)}
    nodes = [*norm(opset, beta), node("MatMul", "n w", "u"), node("Relu", "u", "r"), node("MatMul", "r v", "y")]
    nodes += [node("Add", "y n", "z")] if after else [node("Add", "y x", "z")]
    return build.model(nodes, {"x": X.shape}, {"z": X.shape}, constants, opset=opset)


class Smooth(OrtTest):
    @cases(
        {
            "after": (True, 21),
            "before": (False, 21),
            "after_in_parts": (True, 13),
            "before_in_parts": (False, 13),
            "before_dynamic_quantize_linear": (True, 10),
            "without_beta": (False, 17, False),
        }
    )
    def channels(self, after: bool, opset: int, beta: bool = True):
        """Half of the error or less, by one Mul where the sum reads the normalization, too, else by none."""
        model = feed_forward(after, opset, beta=beta)
        smooth = self.quantize(model)
        want = common.run(model, {"x": X})
        got = common.run(smooth.path, {"x": X})
        ops = self.optimized(smooth.path)
        plain = self.quantize(model, "--no-smooth").path
        self.assertEqual(ops["Mul"] - self.optimized(plain)["Mul"], 1 if after else 0)
        self.assertEqual(ops["com.microsoft.DynamicQuantizeMatMul"], 2)
        error = common.relative_error(want, got)
        self.assertLess(error, 0.7 * common.relative_error(want, common.run(plain, {"x": X})))

    @cases({"after": (True,), "before": (False,)})
    def way_back(self, after: bool):
        """Floats that compute the same again."""
        model = feed_forward(after)
        smooth, back = self.quantize(model), self.dir / "back.onnx"
        self.onnxq("dequantize", smooth.path, back)
        error = common.relative_error(common.run(model, {"x": X}), common.run(back, {"x": X}))
        self.assertLess(error, 1.5)

    def assert_unchanged(self, model: onnx.ModelProto, *flags: str) -> None:
        files = []
        for more in ((), ("--no-smooth",)):
            outcome = self.quantize(model, *flags, *more)
            outcome.model.ClearField("metadata_props")
            files.append(outcome.model.SerializeToString())
        self.assertEqual(*files)

    def test_even_channels(self):
        """Nothing is gained."""
        self.assert_unchanged(feed_forward(True, gamma=np.ones(K, np.float32)))

    def test_infinite_channels(self):
        gamma = GAMMA.copy()
        gamma[3] = np.inf
        self.assert_unchanged(feed_forward(True, gamma=gamma))

    def test_channels_of_zero(self):
        """What is always zero stays so."""
        gamma = GAMMA.copy()
        gamma[3] = 0
        for after in (True, False):
            model = feed_forward(after, gamma=gamma, beta=False)
            got = common.run(self.quantize(model).path, {"x": X})
            self.assertLess(common.relative_error(common.run(model, {"x": X}), got), 2)

    def test_two_normalizations(self):
        """A weight behind two that differ is multiplied for neither."""
        model = feed_forward(True)
        model.graph.initializer.append(onnx.numpy_helper.from_array(GAMMA[::-1].copy(), "h"))
        model.graph.node.extend(
            [node("LayerNormalization", "x h", "m"), node("MatMul", "m w", "t"), node("Add", "t u", "s")]
        )
        model.graph.output.append(build.info("s", (*X.shape[:-1], WIDE)))
        self.assert_unchanged(model)

    def test_weight_of_all_layers(self):
        """As of a transformer whose layers share what they have learnt."""
        model = feed_forward(True)
        model.graph.node.extend(
            [
                node("LayerNormalization", "z g c", "m"),
                node("MatMul", "m w", "t"),
                node("Add", "m z", "k"),
                node("Relu", "t", "q"),
                node("MatMul", "q v", "p"),
                node("Add", "p k", "s"),
            ]
        )
        model.graph.output.append(build.info("s", X.shape))
        want, smooth = common.run(model, {"x": X}), self.quantize(model)
        error = common.relative_error(want, common.run(smooth.path, {"x": X}))
        self.assertEqual(sum("smooth" in n.output[0] for n in smooth.model.graph.node if n.op_type == "Mul"), 2)
        plain = self.quantize(model, "--no-smooth")
        self.assertLess(error, 0.8 * common.relative_error(want, common.run(plain.path, {"x": X})))

    def test_folded_elsewhere(self):
        """Integers that are floats again for another operator stay those of the weight."""
        model = feed_forward(True)
        model.graph.node.append(node("Einsum", "x w", "e", equation="bik,kn->bin"))
        model.graph.output.append(build.info("e", (*X.shape[:-1], WIDE)))
        self.assert_unchanged(model)

    def test_other_methods(self):
        """What computes with floats needs none of it."""
        for flags in (("--method=weights",), ("--method=blocks",)):
            before = feed_forward(True)
            outcome = self.quantize(before, *flags)
            self.assertFalse(any("smooth" in n.name for n in patterns.all_nodes(outcome.model.graph)))
        self.onnxq("quantize", "--method=weights", "--no-smooth", outcome.source, self.dir / "o.onnx", status=2)

    @cases(["--no-per-channel", "--weight-type=uint8", "--reduce-range=pairs", "--reduce-range", "--no-symmetric"])
    def options(self, flag: str):
        model, errors = feed_forward(False), []
        for more in ((), ("--no-smooth",)):
            path = self.quantize(model, flag, *more).path
            errors.append(common.relative_error(common.run(model, {"x": X}), common.run(path, {"x": X})))
        self.assertLess(errors[0], 0.9 * errors[1])

    def test_large_weights(self):
        """Where the weight is large as well, it would lose what the activation wins."""
        model = feed_forward(True)
        w = onnx.numpy_helper.to_array(model.graph.initializer[0]).copy()
        w[[5, 77]] *= 512
        model.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(w, "w"))
        made = [o for n in self.quantize(model).model.graph.node for o in n.output]
        self.assertNotIn("n_smooth", made)
        self.assertIn("w_quantized", [t.name for t in self.quantize(feed_forward(True)).model.graph.initializer])

    @cases({"gelu": (20,), "gelu_in_parts": (17,), "relu": (16,)})
    def hidden(self, opset: int):
        """Behind the product and what follows it, channels are told from its weight and bias."""
        model = feed_forward(True, 20, gamma=np.ones(K, np.float32))
        v, bias = model.graph.initializer[2], np.zeros(WIDE, np.float32)
        bias[[9, 300]] = 30
        w = onnx.numpy_helper.to_array(v).copy()
        w[[9, 300]] /= 20
        v.CopyFrom(onnx.numpy_helper.from_array(w, v.name))
        del model.graph.node[2]
        act = {
            20: [node("Gelu", "h", "r")],
            17: [
                node("Div", "h root", "t"),
                node("Erf", "t", "e"),
                node("Add", "e one", "f"),
                node("Mul", "h f", "k"),
                node("Mul", "k half", "r"),
            ],
            16: [node("Relu", "h", "r")],
        }[opset]
        constants = {"b": bias, "root": np.float32(2**0.5), "one": np.float32(1), "half": np.float32(0.5)}
        used = {x for n in act for x in n.input} | {"b"}
        model.graph.initializer.extend(
            onnx.numpy_helper.from_array(np.asarray(c), name) for name, c in constants.items() if name in used
        )
        nodes = list(model.graph.node)
        del model.graph.node[:]
        model.graph.node.extend([*nodes[:2], node("Add", "u b", "h"), *act, *nodes[2:]])
        want, errors = common.run(model, {"x": X}), []
        for flags in ((), ("--no-smooth",)):
            outcome = self.quantize(model, *flags)
            errors.append(common.relative_error(want, common.run(outcome.path, {"x": X})))
            made = [o for n in outcome.model.graph.node for o in n.output]
            self.assertEqual("r_smooth" in made, not flags)
        self.assertEqual(self.optimized(outcome.path)["com.microsoft.DynamicQuantizeMatMul"], 2)
        self.assertLess(errors[0], 0.5 * errors[1])

    def test_in_a_body(self):
        inner = feed_forward(True)
        del inner.graph.input[:]
        other = build.graph([node("Identity", "x", "i")], {}, {"i": X.shape}, name="other")
        nodes = [node("If", "c0", "out", then_branch=inner.graph, else_branch=other)]
        model = build.model(nodes, {"c0": np.array(True), "x": X.shape}, {"out": X.shape}, {})
        feeds = {"c0": np.array(True), "x": X}
        errors = []
        for more in ((), ("--no-smooth",)):
            path = self.quantize(model, *more).path
            errors.append(common.relative_error(common.run(model, feeds), common.run(path, feeds)))
        self.assertLess(errors[0], 0.7 * errors[1])
