"""--method static: integers from one operator to the next, with ranges that were known before."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

import build
import common
import ranges
from build import node
from harness import OrtTest, cases

LIBRARY = next(Path(ort.__file__).parent.glob("capi/libonnxruntime.so*"))

# What ONNX Runtime makes of operators between integers, and what only moves these.
INTEGER = {
    "QLinearConv", "QLinearMatMul", "QGemm", "QLinearAdd", "QLinearMul", "QLinearConcat",
    "QLinearAveragePool", "QLinearGlobalAveragePool", "QLinearLeakyRelu", "QLinearSigmoid",
    "QLinearSoftmax", "NhwcMaxPool", "MatMulIntegerToFloat",
}  # fmt: skip
MOVES = {"Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Slice", "Resize", "DepthToSpace", "MaxPool"}
SIZE = 16
CHANNELS = 8


def optimize(path, directory):
    """The session, and the nodes of the graph that it runs."""
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(directory / "optimized.onnx")
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(str(path), options)
    return session, list(onnx.load(options.optimized_model_filepath).graph.node)


class Net:
    """Nodes that are added one by one; constants get names of their own."""

    def __init__(self, opset: int = 13, seed: int = 5):
        self.nodes, self.constants, self.opset = [], {}, opset
        self.rng = np.random.default_rng(seed)

    def constant(self, value) -> str:
        name = f"const_{len(self.constants)}"
        self.constants[name] = np.asarray(value)
        return name

    def normal(self, *shape, scale=1.0) -> np.ndarray:
        return (self.rng.standard_normal(shape) * scale).astype(np.float32)

    def op(self, op_type: str, *inputs: str, **attributes) -> str:
        name = f"v{len(self.nodes)}_{op_type.lower()}"
        self.nodes.append(helper.make_node(op_type, list(inputs), [name], name=f"n_{name}", **attributes))
        return name

    def conv(self, x, i, o, k=3, group=1, bias=True, **attributes) -> str:
        w = self.normal(o, i // group, k, k, scale=(2 / (i // group * k * k)) ** 0.5)
        w *= np.exp(self.rng.uniform(-1, 1, (o, 1, 1, 1))).astype(np.float32)
        names = [self.constant(w)] + ([self.constant(self.normal(o, scale=0.2))] if bias else [])
        attributes.setdefault("pads", [k // 2] * 4)
        return self.op("Conv", x, *names, group=group, **attributes)

    def normalize(self, x, c) -> str:
        values = [self.normal(c) + np.float32(0.2), self.normal(c, scale=0.1), self.normal(c, scale=0.1)]
        names = [self.constant(v) for v in values] + [self.constant(np.exp(self.normal(c)))]
        return self.op("BatchNormalization", x, *names)

    def clip(self, x, low, high) -> str:
        if self.opset < 11:
            return self.op("Clip", x, min=low, max=high)
        return self.op("Clip", x, self.constant(np.float32(low)), self.constant(np.float32(high)))

    def model(self, output: str, shape, inputs=None) -> onnx.ModelProto:
        self.nodes[-1].output[0] = "y" if self.nodes[-1].output[0] == output else output
        return build.model(
            self.nodes, inputs or {"x": (1, 3, SIZE, SIZE)}, {"y": shape}, self.constants, self.opset
        )


def nchw(seed=1, n=3, size=SIZE, channels=3):
    return [{"x": build.activations(1, channels, size, size, seed=seed + i)} for i in range(n)]


class StaticTest(OrtTest):
    def static(self, model, feeds, *flags, change=None, forced=True):
        """Integers also where floats are as fast: networks of tests are small."""
        path = ranges.write(self.dir / "ranges.json", model, feeds, change)
        flags += ("--force-integer",) if forced else ()
        return self.quantize(model, "--method=static", f"--ranges={path}", *flags)

    def assert_integer(self, path, floats=()) -> ort.InferenceSession:
        """All that computes does so with integers, but for operators that are expected not to."""
        session, nodes = optimize(path, self.dir)
        wrong = [
            f"{n.op_type} {n.name}" for n in nodes
            if n.op_type not in INTEGER | MOVES | {"QuantizeLinear", "DequantizeLinear"} | set(floats)
        ]  # fmt: skip
        self.assertEqual(wrong, [], [n.op_type for n in nodes])
        self.assertTrue(any(n.op_type in INTEGER for n in nodes))
        pairs = sum(n.op_type == "QuantizeLinear" for n in nodes)
        self.assertLessEqual(pairs, 1 + len(floats), [n.op_type for n in nodes])
        return session

    def assert_simulated(self, outcome, session, feeds, steps=2) -> None:
        """As if every value was rounded to its integers, in floats: the form itself, computed here."""
        for feed in feeds:
            want = simulate(outcome.model, feed)
            got = session.run(None, feed)
            scale = np.abs(want).max() / 255
            np.testing.assert_allclose(got[0], want, atol=steps * scale, rtol=0)

    def assert_there_and_back(self, model, outcome, session) -> None:
        """Integers, and what dequantize makes of them, give what the float model gives, within percents."""
        back = self.dir / "back.onnx"
        self.onnxq("dequantize", outcome.path, back)
        for feed in nchw():
            want = common.run(model, feed)
            self.assertLess(common.relative_error(want, session.run(None, feed)), 4)
            self.assertLess(common.relative_error(want, common.run(onnx.load(back), feed)), 2)


def simulate(model, feed):
    """Node by node: QuantizeLinear and DequantizeLinear by their formulas, others by the engine in float."""
    values = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer} | dict(feed)
    opset = next(o.version for o in model.opset_import if o.domain == "")
    for n in model.graph.node:
        inputs = [values[name] for name in n.input if name]
        axis = next((a.i for a in n.attribute if a.name == "axis"), None)
        if n.op_type in ("QuantizeLinear", "DequantizeLinear"):
            x, scale, zero = inputs
            shape = [-1 if i == axis else 1 for i in range(x.ndim)] if scale.ndim else []
            scale, zero = scale.reshape(shape), zero.reshape(shape)
            if n.op_type == "QuantizeLinear":
                q, ends = np.rint(x / scale) + zero.astype(np.float32), np.iinfo(zero.dtype)
                values[n.output[0]] = np.clip(q, ends.min, ends.max).astype(zero.dtype)
            else:
                centered = x.astype(np.int64) - zero.astype(np.int64)
                values[n.output[0]] = np.asarray(centered * scale.astype(np.float32), np.float32)
            continue
        named = {name: values[name] for name in n.input if name}
        one = build.graph([n], named, {}, {})
        del one.output[:]
        one.output.append(helper.make_empty_tensor_value_info(n.output[0]))
        alone = helper.make_model(one, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
        values[n.output[0]] = common.run(alone, named)[0]
    return values[model.graph.output[0].name]


def between(op_type, opset, *extra, inputs=1, final=CHANNELS, **attributes):
    """Conv -> the operator -> Conv"""
    net = Net(opset)
    ends = [net.conv("x", 3, CHANNELS) for _ in range(inputs)]
    constants = [net.constant(value) if value is not None else "" for value in extra]
    y = net.op(op_type, *ends, *constants, **attributes)
    net.conv(y, final, CHANNELS, pads=[1, 1, 1, 1])
    return net


PATTERNS = {
    "Add": (lambda o: between("Add", o, inputs=2), 10),
    "Add_constant": (lambda o: between("Add", o, np.float32([[[0.5]]] * 3 + [[[-0.25]]] * 5), inputs=1), 10),
    "Mul": (lambda o: between("Mul", o, inputs=2), 10),
    "Concat": (lambda o: between("Concat", o, inputs=2, axis=1, final=2 * CHANNELS), 10),
    "AveragePool": (lambda o: between("AveragePool", o, kernel_shape=[2, 2], strides=[2, 2]), 10),
    "MaxPool": (lambda o: between("MaxPool", o, kernel_shape=[2, 2], strides=[2, 2]), 12),
    "LeakyRelu": (lambda o: between("LeakyRelu", o, alpha=0.1), 10),
    "Sigmoid": (lambda o: between("Sigmoid", o), 10),
    "Softmax": (lambda o: between("Softmax", o, axis=3), 13),
    "Transpose": (lambda o: between("Transpose", o, perm=[0, 1, 3, 2]), 10),
    "Slice": (lambda o: between("Slice", o, np.array([2]), np.array([10]), np.array([2])), 10),
    "DepthToSpace": (lambda o: between("DepthToSpace", o, blocksize=2, final=CHANNELS // 4), 11),
    "Resize": (
        lambda o: between(
            "Resize", o, None, np.float32([1, 1, 2, 2]), mode="nearest",
            coordinate_transformation_mode="asymmetric", nearest_mode="floor",
        ),
        13,
    ),
    "Resize_unsaid": (  # nearest, too
        lambda o: between(
            "Resize", o, None, np.float32([1, 1, 2, 2]),
            coordinate_transformation_mode="asymmetric", nearest_mode="floor",
        ),
        13,
    ),
    "Resize_10": (lambda o: between("Resize", o, np.float32([1, 1, 2, 2]), mode="nearest"), 0),
    "GlobalAveragePool": (lambda o: between("GlobalAveragePool", o), 10),
}  # fmt: skip


class Operators(StaticTest):
    """Each operator between two convolutions, and what they begin and end with."""

    @cases(
        {
            f"{name}_{opset}": (make, opset)
            for name, (make, least) in PATTERNS.items()
            for opset in ((10,) if least == 0 else (10, 11, 12, 13, 17, 21))
            if opset >= least
        }
    )
    def between(self, make, opset) -> None:
        net = make(opset)
        model = net.model(net.nodes[-1].output[0], None or ("n", "c", "h", "w"))
        feeds = nchw()
        outcome = self.static(model, feeds)
        self.assert_simulated(outcome, self.assert_integer(outcome.path), feeds)

    @cases({f"{kind}_{opset}": (kind, opset) for kind in ("Relu", "Clip", "Add_Relu") for opset in (10, 13, 21)})
    def clamp(self, kind, opset) -> None:
        """Nothing is left of it."""
        net = Net(opset)
        c = net.conv("x", 3, CHANNELS)
        if kind == "Add_Relu":
            c = net.op("Add", c, net.conv("x", 3, CHANNELS))
        r = net.clip(c, 0.0, 6.0) if kind == "Clip" else net.op("Relu", c)
        net.conv(r, CHANNELS, CHANNELS)
        outcome = self.static(net.model(net.nodes[-1].output[0], (1, CHANNELS, SIZE, SIZE)), nchw())
        self.assert_simulated(outcome, self.assert_integer(outcome.path), nchw())

    @cases({"alpha": ("alpha", 2.0), "beta": ("beta", 0.5)})
    def head_that_does_more(self, attribute, value) -> None:
        """A Gemm that scales is no product of integers: its bias stays float."""
        net = Net(13)
        c = net.op("Relu", net.conv(net.op("Relu", net.conv("x", 3, 64)), 64, 64))
        w = net.constant(net.normal(64, 10))
        f = net.op("Flatten", net.op("GlobalAveragePool", c))
        net.op("Gemm", f, w, net.constant(net.normal(10)), **{attribute: value})
        outcome = self.static(net.model(net.nodes[-1].output[0], (1, 10)), nchw(), forced=False)
        graph = onnx.load(outcome.path).graph
        gemm = next(n for n in graph.node if n.op_type == "Gemm")
        self.assertIn(gemm.input[2], [t.name for t in graph.initializer])

    @cases({f"{k}_{opset}": (k, opset) for k in ("Gemm", "Gemm_turned", "MatMul") for opset in (11, 13, 21)})
    def head(self, kind, opset) -> None:
        """Products of what a convolution leaves, with floats at the end."""
        net = Net(opset)
        p = net.op("GlobalAveragePool", net.op("Relu", net.conv("x", 3, CHANNELS)))
        f = net.op("Flatten", p)
        w = net.normal(CHANNELS, 10)
        if kind == "MatMul":
            net.op("MatMul", f, net.constant(w))
        else:
            turned = kind == "Gemm_turned"
            names = [net.constant(w.T.copy() if turned else w), net.constant(net.normal(10))]
            net.op("Gemm", f, *names, transB=int(turned))
        outcome = self.static(net.model(net.nodes[-1].output[0], (1, 10)), nchw())
        self.assert_simulated(outcome, self.assert_integer(outcome.path), nchw())

    @cases([10, 13, 21])
    def normalization(self, opset) -> None:
        """Folded, with negative factors; Mul and Add by channel as well. The way back gives a Conv."""
        net = Net(opset)
        c = net.normalize(net.conv("x", 3, CHANNELS, bias=False), CHANNELS)
        c = net.op("Mul", c, net.constant(net.normal(CHANNELS, 1, 1)))
        c = net.op("Relu", net.op("Add", net.constant(net.normal(1, CHANNELS, 1, 1)), c))
        net.conv(c, CHANNELS, CHANNELS)
        model = net.model(net.nodes[-1].output[0], (1, CHANNELS, SIZE, SIZE))
        outcome = self.static(model, nchw())
        self.assert_simulated(outcome, self.assert_integer(outcome.path), nchw())
        self.assert_close_to_float(outcome, nchw(), 3)
        back = self.dir / "back.onnx"
        self.onnxq("dequantize", outcome.path, back)
        self.assertEqual([n.op_type for n in onnx.load(back).graph.node], ["Conv", "Relu", "Conv", "Identity"])
        self.assertLess(common.relative_error(common.run(model, nchw()[0]), common.run(onnx.load(back), nchw()[0])), 2)

    def assert_close_to_float(self, outcome, feeds, percent) -> None:
        session, _ = optimize(outcome.path, self.dir)
        for feed in feeds:
            want = common.run(outcome.original, feed)
            self.assertLess(common.relative_error(want, session.run(None, feed)), percent)


class Scales(StaticTest):
    """What is multiplied or divided by a number is the same integers."""

    def hard_swish(self, net, x, number):
        """As Paddle writes it, with a factor and an offset behind it."""
        six = net.constant(np.float32(6))
        y = net.op("Mul", x, net.clip(net.op("Add", x, net.constant(np.float32(3))), 0.0, 6.0))
        y = net.op("Mul", net.constant(np.float32([number])), net.op("Div", y, six))
        return net.op("Add", y, net.constant(np.float32([0.25])))

    @cases([10, 13, 21])
    def hard_swishes(self, opset) -> None:
        net = Net(opset)
        x = self.hard_swish(net, net.conv("x", 3, CHANNELS), 1.5)
        x = self.hard_swish(net, net.conv(x, CHANNELS, CHANNELS), 0.3)
        net.conv(x, CHANNELS, CHANNELS)
        model = net.model(net.nodes[-1].output[0], (1, CHANNELS, SIZE, SIZE))
        outcome = self.static(model, nchw())
        session = self.assert_integer(outcome.path)
        self.assertNotIn("Div", [n.op_type for n in outcome.model.graph.node])
        self.assert_simulated(outcome, session, nchw())
        self.assert_there_and_back(model, outcome, session)

    @cases(
        {f"{name}_{opset}": (name, opset) for name, opset in (("HardSwish", 14), ("HardSwish", 21), ("HardSigmoid", 10),
                                                              ("HardSigmoid", 13), ("HardSigmoid_alpha", 17))}
    )  # fmt: skip
    def hard_operators(self, name, opset) -> None:
        """Written in parts, as engines have no integers for them."""
        net = Net(opset)
        x = net.conv("x", 3, CHANNELS)
        attributes = {"HardSigmoid": {"alpha": 1 / 6, "beta": 0.5}, "HardSigmoid_alpha": {"alpha": 0.3, "beta": 0.7}}
        y = net.op(name.split("_")[0], x, **attributes.get(name, {}))
        if name != "HardSwish":
            y = net.op("Mul", x, y)
        net.conv(y, CHANNELS, CHANNELS)
        model = net.model(net.nodes[-1].output[0], (1, CHANNELS, SIZE, SIZE))
        outcome = self.static(model, nchw())
        session = self.assert_integer(outcome.path)
        self.assert_simulated(outcome, session, nchw())
        self.assert_there_and_back(model, outcome, session)

    @cases(
        {
            "HardSwish": (lambda n, x: n.op("HardSwish", x), -3),
            "HardSigmoid": (lambda n, x: n.op("Mul", x, n.op("HardSigmoid", x, alpha=1 / 6, beta=0.5)), -3),
            "Clip": (lambda n, x: Scales().hard_swish(n, x, 1.5), -3),
            "Sigmoid": (lambda n, x: n.op("Mul", x, n.op("Sigmoid", x)), -10),
            "Relu": (lambda n, x: n.op("Relu", n.op("MaxPool", x, kernel_shape=[1, 1])), 0),
            "taken": (lambda n, x: n.op("Add", x, n.op("HardSwish", x)), None),
        }
    )
    def what_is_cut_off_anyway(self, activation, low) -> None:
        """No integers for what the function behind makes 0 of, unless somebody else looks at it."""
        net = Net(17)
        x = net.op("Add", net.conv("x", 3, CHANNELS), net.constant(np.float32([[[-60]]] * 4 + [[[2]]] * 4)))
        net.conv(activation(net, x), CHANNELS, CHANNELS)
        model = net.model(net.nodes[-1].output[0], (1, CHANNELS, SIZE, SIZE))
        outcome = self.static(model, nchw())
        session, _ = optimize(outcome.path, self.dir)
        self.assert_simulated(outcome, session, nchw(), steps=3)
        constants = {t.name: numpy_helper.to_array(t) for t in outcome.model.graph.initializer}
        made = next(n for n in outcome.model.graph.node if n.op_type == "QuantizeLinear" and n.name.startswith("v1_add"))
        scale, zero = (constants[name] for name in made.input[1:])
        end = -int(zero) * float(scale)
        if low is None:
            self.assertLess(end, -50)
        else:
            self.assertLess(end, low + 0.01)
            self.assertGreater(end, low - 0.2)
        for feed in nchw():
            want = common.run(model, feed)
            self.assertLess(common.relative_error(want, session.run(None, feed)), 2)

    @cases({"negative": (-0.5,), "zero": (0.0,), "many": (np.float32([[[0.5], [0.25]]] * 4).reshape(8, 1, 1),)})
    def others(self, number) -> None:
        """A product with a constant, which is no matter of the scale."""
        net = Net()
        x = net.op("Add", net.conv("x", 3, CHANNELS), net.conv("x", 3, CHANNELS))
        x = net.op("Add", net.op("Mul", x, net.constant(np.float32(number))), net.conv("x", 3, CHANNELS))
        net.conv(x, CHANNELS, CHANNELS)
        outcome = self.static(net.model(net.nodes[-1].output[0], (1, CHANNELS, SIZE, SIZE)), nchw())
        optimize(outcome.path, self.dir)
        for feed in nchw():
            want, got = common.run(outcome.original, feed), common.run(outcome.model, feed)
            self.assertLess(common.relative_error(want, got), 4)


class Corrected(StaticTest):
    """Biases take back what rounding weights adds on average."""

    @cases({"plain": (1, 0.75), "depthwise": (CHANNELS, 1), "groups": (2, 0.75)})
    def means(self, group, part) -> None:
        """Where a result has one kernel, keeping its sum has done most of it before."""
        feeds, shifts = nchw(n=6), {}
        net = Net()
        c = net.op("Relu", net.conv("x", 3, CHANNELS))
        net.conv(c, CHANNELS, CHANNELS, k=3, group=group, pads=[0] * 4)
        net.constants["const_2"] = np.exp(net.rng.normal(size=net.constants["const_2"].shape)).astype(np.float32)
        model = net.model(net.nodes[-1].output[0], (1, CHANNELS, SIZE - 2, SIZE - 2))
        want = np.stack([common.run(model, feed)[0] for feed in feeds])

        def forget(values):
            for value in values:
                value.pop("channels", None)

        for name, change in (("with", None), ("without", forget)):
            outcome = self.static(model, feeds, change=change)
            got = np.stack([simulate(outcome.model, feed) for feed in feeds])
            shifts[name] = np.abs((got - want).mean((0, 1, 3, 4))).mean()
        self.assertLess(shifts["with"], part * shifts["without"])


    @cases({"plain": (1,), "depthwise": (CHANNELS,)})
    def kernels(self, group) -> None:
        """Sums of kernels are those of the floats, to half a step; rounding alone leaves some off by more."""
        net = Net()
        c = net.op("Relu", net.conv("x", 3, CHANNELS))
        net.conv(c, CHANNELS, CHANNELS, k=5, group=group)
        model = net.model(net.nodes[-1].output[0], (1, CHANNELS, SIZE, SIZE))
        outcome = self.static(model, nchw())
        constants = {t.name: numpy_helper.to_array(t) for t in outcome.model.graph.initializer}
        w = net.constants["const_2"].astype(np.float64)
        scale = constants["const_2_scale"].astype(np.float64).reshape(-1, 1, 1, 1)
        q = constants["const_2_quantized"]
        self.assertLessEqual(np.abs((q - w / scale).sum((2, 3))).max(), 0.501)
        self.assertLess(np.abs(q - w / scale).max(), 1)
        nearest = np.rint(w / scale)
        self.assertGreater(np.abs((nearest - w / scale).sum((2, 3))).max(), 0.75)


class Wide(StaticTest):
    """--activation-bits 16: uint16 values, for engines that multiply them; ONNX Runtime has floats between them."""

    def net(self, opset):
        net = Net(opset)
        a = net.op("Relu", net.conv("x", 3, CHANNELS))
        b = net.op("Add", a, net.conv(a, CHANNELS, CHANNELS))
        b = net.op("Mul", b, net.op("Sigmoid", b))
        b = net.op("Mul", net.constant(np.float32([[[0.5]], [[0.25]]] * 4)), net.clip(b, 0.0, 6.0))
        c = net.conv(b, CHANNELS, CHANNELS, group=CHANNELS)
        c = net.op("HardSwish", c) if opset >= 14 else net.op("HardSigmoid", c)
        f = net.op("Flatten", net.op("GlobalAveragePool", net.op("Relu", net.conv(c, CHANNELS, CHANNELS))))
        net.op("Gemm", f, net.constant(net.normal(CHANNELS, 10)), net.constant(net.normal(10)))
        return net.model(net.nodes[-1].output[0], (1, 10))

    def check(self, outcome, percent) -> None:
        session, _ = optimize(outcome.path, self.dir)
        back, again = self.dir / "back.onnx", self.dir / "again.onnx"
        self.onnxq("dequantize", outcome.path, back)
        for feed in nchw():
            want = common.run(outcome.original, feed)
            self.assertLess(common.relative_error(want, session.run(None, feed)), percent)
            self.assertLess(common.relative_error(want, common.run(onnx.load(back), feed)), 2)
        types = {n.op_type for n in onnx.load(back).graph.node}
        self.assertFalse(types & {"QuantizeLinear", "DequantizeLinear"}, types)
        flags = ["--method=static", f"--ranges={self.dir / 'ranges.json'}"]
        self.onnxq("quantize", *flags, outcome.path, again, status=5)

    def quantizers(self, outcome):
        """Types of all that QuantizeLinear gives, their zero points, and domains."""
        constants = {t.name: t for t in outcome.model.graph.initializer}
        nodes = [n for n in outcome.model.graph.node if n.op_type == "QuantizeLinear"]
        zeros = [constants[n.input[2]] for n in nodes]
        return {z.data_type for z in zeros}, {int(numpy_helper.to_array(z)) for z in zeros}, {n.domain for n in nodes}

    @cases([9, 11, 13, 17, 21])
    def wide(self, opset) -> None:
        """The error is that of the weights: what dequantize leaves of it."""
        outcome = self.static(self.net(opset), nchw(), "--activation-bits=16")
        types, _, domains = self.quantizers(outcome)
        self.assertEqual(types, {TensorProto.UINT16})
        self.assertEqual(domains, {"" if opset >= 21 else "com.microsoft"})
        forms = {u["form"] for w in outcome.report["weights"] for u in w["uses"] if u["action"] == "fold"}
        self.assertEqual(forms, {"16-bit activations"})
        self.check(outcome, 2)
        session, _ = optimize(outcome.path, self.dir)
        self.assert_simulated(outcome, session, nchw(), steps=0.05)

    @cases({"13": (13, 8), "17": (17, 8), "21": (21, 8), "21_wide": (21, 16)})
    def standard(self, opset, bits) -> None:
        """--qdq-standard: ai.onnx alone, zero points 0, biases float, weights by channel, no dynamic form."""
        outcome = self.static(self.net(opset), nchw(), "--qdq-standard", f"--activation-bits={bits}")
        types, zeros, domains = self.quantizers(outcome)
        self.assertEqual((types, zeros), ({TensorProto.INT8 if bits == 8 else TensorProto.INT16}, {0}))
        graph = outcome.model.graph
        self.assertEqual({n.domain for n in graph.node}, {""})
        self.assertEqual([o.domain for o in outcome.model.opset_import], [""])
        constants = {t.name: t for t in graph.initializer}
        makers = {n.output[0]: n for n in graph.node}
        products = [n for n in graph.node if n.op_type in ("Conv", "Gemm")]
        self.assertEqual(len(products), 5)
        for n in products:
            self.assertEqual(constants[n.input[2]].data_type, TensorProto.FLOAT)
            weight = makers[n.input[1]]
            self.assertEqual(constants[weight.input[0]].data_type, TensorProto.INT8)
            self.assertFalse(numpy_helper.to_array(constants[weight.input[2]]).any())
            self.assertEqual(list(constants[weight.input[1]].dims), [10 if n.op_type == "Gemm" else CHANNELS])
            self.assertEqual(makers[n.input[0]].op_type, "DequantizeLinear")
        self.check(outcome, 4 if bits == 8 else 2)

    def test_standard_matrices(self) -> None:
        """Every product with a range is taken, and what else dynamic would take stays as it is."""
        net = Net(17)
        table, shape = net.constant(net.normal(64, 64)), net.constant(np.array([4, 64]))
        g = net.op("Gather", table, net.op("Cast", net.op("Abs", net.op("Reshape", "x", shape)), to=TensorProto.INT64), axis=0)
        h = net.op("Erf", net.op("MatMul", net.op("ReduceMean", g, axes=[1], keepdims=0), net.constant(net.normal(64, 64, scale=0.1))))
        net.op("MatMul", h, net.constant(net.normal(64, 64, scale=0.1)))
        model = net.model(net.nodes[-1].output[0], (4, 64), {"x": (4, 64)})
        feeds = [{"x": build.activations(4, 64)}]
        outcome = self.static(model, feeds, "--qdq-standard", "--min-elements=1")
        counts = [n.op_type for n in outcome.model.graph.node]
        self.assertEqual((counts.count("MatMul"), counts.count("Sum")), (2, 0))
        self.assertNotIn("DynamicQuantizeLinear", counts)
        self.assertEqual(outcome.weight("const_0")["uses"][0]["reason"], "weights of Conv, Gemm and MatMul are quantized")
        session, _ = optimize(outcome.path, self.dir)
        self.assertLess(common.relative_error(common.run(model, feeds[0]), session.run(None, feeds[0])), 4)

    @cases({"12": (12, [], "needs opset 13, the model has 12"),
            "17_wide": (17, ["--activation-bits=16"], "needs opset 21 for 16 bits, the model has 17")})  # fmt: skip
    def standard_refused(self, opset, flags, message) -> None:
        model = self.net(opset)
        path = ranges.write(self.dir / "ranges.json", model, nchw())
        onnx.save(model, self.dir / "model.onnx")
        done = self.onnxq("quantize", "--method=static", "--ranges", path, "--qdq-standard", *flags,
                          self.dir / "model.onnx", self.dir / "q.onnx", status=3)  # fmt: skip
        self.assertIn(message, done.stderr)
        self.assertFalse((self.dir / "q.onnx").exists())


class OldOpsets(StaticTest):
    """Below 10 the model becomes one of opset 10, where no operator means something else."""

    @cases([7, 8, 9])
    def raised(self, opset) -> None:
        net = Net(opset)
        c = net.op("Relu", net.conv("x", 3, CHANNELS))
        s = net.op("Slice", c, axes=[2, 3], starts=[1, 0], ends=[9, 8])
        if opset == 9:
            u = net.op("Upsample", s, net.constant(np.float32([1, 1, 2, 2])), mode="linear")
        else:
            u = net.op("Upsample", s, scales=[1.0, 1.0, 2.0, 2.0], mode="nearest")
        net.conv(u, CHANNELS, CHANNELS)
        model = net.model(net.nodes[-1].output[0], (1, CHANNELS, SIZE, SIZE))
        outcome = self.static(model, nchw())
        self.assertEqual(outcome.model.opset_import[0].version, 10)
        session = self.assert_integer(outcome.path, ("Resize",))
        self.assert_simulated(outcome, session, nchw())
        back = self.dir / "back.onnx"
        self.onnxq("dequantize", outcome.path, back)
        want, got = common.run(model, nchw()[0]), common.run(onnx.load(back), nchw()[0])
        self.assertLess(common.relative_error(want, got), 2)

    def test_refused(self) -> None:
        net = Net(9)
        net.op("TopK", net.op("Flatten", net.conv("x", 3, CHANNELS)), axis=1, k=3)
        net.nodes[-1].output.append("indices")
        model = net.model(net.nodes[-1].output[0], (1, 3))
        path = ranges.write(self.dir / "ranges.json", model, nchw())
        onnx.save(model, self.dir / "model.onnx")
        done = self.onnxq("quantize", "--method=static", "--ranges", path, self.dir / "model.onnx",
                          self.dir / "q.onnx", status=3)  # fmt: skip
        self.assertRegex(done.stderr, 'needs opset 10, the model has 9, and TopK "n_v2_topk" is another')
        self.assertFalse((self.dir / "q.onnx").exists())


class Left(StaticTest):
    """What stays float, and why."""

    def net(self):
        net = Net()
        c = net.op("Relu", net.conv("x", 3, CHANNELS))
        d = net.op("Relu", net.conv(c, CHANNELS, CHANNELS))
        net.conv(d, CHANNELS, CHANNELS)
        return net.model(net.nodes[-1].output[0], (1, CHANNELS, SIZE, SIZE))

    @cases(
        {
            "missing": (lambda v: None, '"v1_relu" has no range'),
            "nan": (lambda v: v.update(nan=1) or v.pop("channels") and None or v, '"v1_relu" was NaN or infinite'),
            "zero": (
                lambda v: v.pop("channels") and None or v.update(
                    min=0.0, max=0.0, mean=0.0, zeros=v["count"],
                    histogram={"exponent": -149, "first": 0, "counts": [v["count"]]}) or v,
                '"v1_relu" was always 0',
            ),
            "unreached": (
                lambda v: {"name": v["name"], "tensors": 0, "count": 0, "zeros": 0, "nan": 0, "infinite": 0},
                '"v1_relu" was never reached',
            ),
        }
    )  # fmt: skip
    def no_range(self, change, reason) -> None:
        def edit(values):
            index = next(i for i, v in enumerate(values) if v["name"] == "v1_relu")
            value = change(values[index])
            values[index : index + 1] = [] if value is None else [value]

        outcome = self.static(self.net(), nchw(), change=edit)
        reasons = [use["reason"] for w in outcome.report["weights"] for use in w["uses"]]
        self.assertIn(reason, reasons)
        optimize(outcome.path, self.dir)

    def test_other_model(self) -> None:
        path = ranges.write(self.dir / "ranges.json", self.net(), nchw())
        net = Net()
        net.conv(net.conv("x", 3, CHANNELS), CHANNELS, CHANNELS)
        model = net.model(net.nodes[-1].output[0], (1, CHANNELS, SIZE, SIZE))
        onnx.save(model, self.dir / "model.onnx")
        done = self.onnxq("quantize", "--method=static", "--ranges", path, self.dir / "model.onnx",
                          self.dir / "q.onnx", status=3)  # fmt: skip
        self.assertIn("ranges of another model", done.stderr)
        self.assertFalse((self.dir / "q.onnx").exists())

    def test_transformer(self) -> None:
        """Without a convolution it is what dynamic makes of it, the normalizations included."""
        net = Net(17)
        w = [net.constant(net.normal(256, 256, scale=0.06)) for _ in range(2)]
        ones, zeros = net.constant(np.ones(256, np.float32)), net.constant(np.zeros(256, np.float32))
        m = net.op("MatMul", "x", w[0])
        n = net.op("LayerNormalization", net.op("Add", m, "x"), ones, zeros)
        net.op("MatMul", n, w[1])
        model = net.model(net.nodes[-1].output[0], (4, 256), {"x": (4, 256)})
        feeds = [{"x": build.activations(4, 256)}]
        outcome = self.static(model, feeds)
        self.onnxq("quantize", "--min-elements=1", outcome.source, self.dir / "dynamic.onnx")
        dynamic = onnx.load(self.dir / "dynamic.onnx")
        for made in (dynamic, outcome.model):
            del made.metadata_props[:]
        self.assertEqual(outcome.model.SerializeToString(), dynamic.SerializeToString())
        self.assertIn("Sum", [n.op_type for n in dynamic.graph.node])

    def test_quantized_in_part(self) -> None:
        """Found by random models: the engine fuses what it then refuses to run."""
        net = Net()
        c = net.op("Relu", net.conv("x", 3, CHANNELS))
        w = [net.constant(np.ones(SIZE, np.int8)), net.constant(np.full(SIZE, 0.5, np.float32)), net.constant(np.zeros(SIZE, np.int8))]
        net.op("MatMul", c, net.op("DequantizeLinear", *w, axis=0))
        model = net.model(net.nodes[-1].output[0], (1, CHANNELS, SIZE))
        outcome = self.static(model, nchw())
        self.assertIn("the model has DequantizeLinear already", [u["reason"] for w in outcome.report["weights"] for u in w["uses"]])
        session, _ = optimize(outcome.path, self.dir)
        session.run(None, nchw()[0])

    def test_inputs(self) -> None:
        """-i does at once what calibrate and --ranges do one after the other."""
        model, source = self.net(), self.dir / "model.onnx"
        onnx.save(model, source)
        for i, feed in enumerate(nchw()):
            np.savez(self.dir / f"{i}.npz", **feed)
        inputs = [f"-i={self.dir / f'{i}.npz'}" for i in range(3)] + [f"--ort-lib={LIBRARY}"]
        self.onnxq("calibrate", *inputs, source, self.dir / "ranges.json")
        static = ["quantize", "--method=static", "--force-integer"]
        self.onnxq(*static, f"--ranges={self.dir / 'ranges.json'}", source, self.dir / "a.onnx")
        self.onnxq(*static, *inputs, source, self.dir / "b.onnx")
        self.assertEqual((self.dir / "a.onnx").read_bytes(), (self.dir / "b.onnx").read_bytes())
        self.assert_integer(self.dir / "a.onnx")

    @cases({"transA": ({"transA": 1},), "alpha": ({"alpha": 2.0},), "matrix": ({},)})
    def second_run(self, attributes) -> None:
        """What the first left float is no reason to ask that the ranges are of its output."""
        net = Net(13)
        f = net.op("Flatten", net.op("GlobalAveragePool", net.op("Relu", net.conv("x", 3, CHANNELS))))
        if "transA" in attributes:
            f = net.op("Transpose", f, perm=[1, 0])
        if attributes:
            net.op("Gemm", f, net.constant(net.normal(CHANNELS, 10)), **attributes)
        else:
            net.op("MatMul", net.op("Erf", f), net.constant(net.normal(CHANNELS, 10)))
        outcome = self.static(net.model(net.nodes[-1].output[0], (1, 10)), nchw(), "--min-elements=1024")
        again = self.dir / "again.onnx"
        flags = ["--method=static", f"--ranges={self.dir / 'ranges.json'}"]
        self.onnxq("quantize", *flags, outcome.path, again, status=5)
        self.onnxq("quantize", *flags, "--min-elements=1", "-f", outcome.path, again)
        session, nodes = optimize(again, self.dir)
        self.assertEqual(sum(n.op_type == "QLinearConv" for n in nodes), 1)
        for feed in nchw():
            want = common.run(outcome.original, feed)
            self.assertLess(common.relative_error(want, session.run(None, feed)), 3)

    def test_reported(self) -> None:
        """What leaves because it is part of other numbers is not said to be kept."""
        net = Net()
        c = net.normalize(net.conv("x", 3, CHANNELS), CHANNELS)
        net.op("Add", net.conv(c, CHANNELS, CHANNELS), net.constant(np.ones((CHANNELS, SIZE, SIZE), np.float32)))
        net.conv(net.nodes[-1].output[0], CHANNELS, CHANNELS)
        outcome = self.static(net.model(net.nodes[-1].output[0], (1, CHANNELS, SIZE, SIZE)), nchw())
        uses = {w["name"]: w["uses"][0] for w in outcome.report["weights"]}
        bias, scale, operand = (uses[f"const_{i}"] for i in (1, 2, 8))
        self.assertEqual((bias["action"], bias["reason"]), ("rewrite", "int32, in steps of weight and activation"))
        self.assertEqual((scale["action"], scale["reason"]), ("rewrite", "folded into the weight before it"))
        self.assertEqual((operand["action"], operand["reason"]), ("rewrite", "an operand in 8 bits of its own"))
        for name, use in uses.items():
            weight = outcome.weight(name)
            self.assertEqual(weight["action"], use["action"])
            if use["action"] != "rewrite":
                self.assertEqual(use["form"], "8-bit activations", (name, use))
        told = {t["reason"] for o in outcome.report["operators"] for t in o["rewritten"]}
        self.assertIn("folded into the weight before it", told)

    def test_mixed(self) -> None:
        """Convolutions in known ranges, matrices with those of each run, in one model; --op-types chooses."""
        net = Net(17)
        c = net.op("Relu", net.conv(net.op("Relu", net.conv("x", 3, CHANNELS)), CHANNELS, CHANNELS))
        f = net.op("Reshape", c, net.constant(np.array([1, CHANNELS, SIZE * SIZE])))
        ones, zeros = net.constant(np.ones(SIZE * SIZE, np.float32)), net.constant(np.zeros(SIZE * SIZE, np.float32))
        n = net.op("LayerNormalization", f, ones, zeros)
        h = net.op("Erf", net.op("MatMul", n, net.constant(net.normal(256, 512, scale=0.06))))
        net.op("MatMul", h, net.constant(net.normal(512, 256, scale=0.04)))
        model = net.model(net.nodes[-1].output[0], (1, CHANNELS, 256))
        expected = {
            "": (2, 2), "--op-types=Conv": (2, 0), "--op-types=MatMul": (0, 2), "--exclude-op-types=Conv": (0, 2),
        }  # fmt: skip
        for flag, counts in expected.items():
            outcome = self.static(model, nchw(), *filter(None, [flag, "-f"]))
            session, nodes = optimize(outcome.path, self.dir)
            types = [n.op_type for n in nodes]
            dynamic = sum(t in ("DynamicQuantizeMatMul", "MatMulIntegerToFloat") for t in types)
            self.assertEqual((types.count("QLinearConv"), dynamic), counts, (flag, types))
            for feed in nchw(seed=7):
                self.assertLess(common.relative_error(common.run(model, feed), session.run(None, feed)), 6)

    def test_excluded(self) -> None:
        outcome = self.static(self.net(), nchw(), "--exclude=n_v2_conv")
        _, nodes = optimize(outcome.path, self.dir)
        self.assertEqual(sum(n.op_type == "QLinearConv" for n in nodes), 2)

    def test_tail(self) -> None:
        """Boxes and scores side by side, behind the last convolution: floats."""
        net = Net()
        c = net.op("Relu", net.conv("x", 3, CHANNELS))
        boxes = net.op("Mul", net.conv(c, CHANNELS, 4), net.constant(np.float32(320)))
        scores = net.op("Sigmoid", net.conv(c, CHANNELS, 2))
        net.op("Concat", boxes, scores, axis=1)
        model = net.model(net.nodes[-1].output[0], (1, 6, SIZE, SIZE))
        outcome = self.static(model, nchw())
        self.assert_integer(outcome.path, ("Sigmoid", "Concat", "Mul"))

    def test_bias_that_is_a_weight_too(self) -> None:
        """Nobody takes its floats, once it is a bias of integers; in a second run neither."""
        net = Net()
        bias = net.constant(net.normal(CHANNELS))
        x = net.op("Conv", "x", net.constant(net.normal(CHANNELS, 3, 3, 3)), bias, pads=[1] * 4)
        net.op("MatMul", net.op("Transpose", x, perm=[0, 2, 3, 1]), bias)
        model = net.model(net.nodes[-1].output[0], (1, SIZE, SIZE))
        outcome = self.static(model, nchw())
        self.assertEqual([u["action"] for u in outcome.weight(bias)["uses"]], ["rewrite", "fold"])

    def test_moved_into_body(self) -> None:
        """ONNX Runtime crashes on a body that takes what DequantizeLinear gives, moved: a Sum stands between."""

        def body(x: str, y: str) -> onnx.GraphProto:
            return helper.make_graph([node("Neg", x, y)], y, [], [build.info(y, None)])

        net = Net()
        c = net.op("Squeeze", net.op("Transpose", net.conv("x", 3, CHANNELS)), net.constant([3]))
        net.op("If", net.constant(True), then_branch=body(c, "a"), else_branch=body("x", "b"))
        model = net.model(net.nodes[-1].output[0], (SIZE, SIZE, CHANNELS))
        outcome = self.static(model, nchw())
        self.assertEqual([n.op_type for n in outcome.model.graph.node].count("Sum"), 1)
        self.assert_integer(outcome.path, ("Sum", "Neg"))

    def pointwise(self, opset, kind) -> tuple[onnx.ModelProto, int]:
        """What ends in kernels of one point, and how many of these there are."""
        net = Net(opset)
        c = net.op("Relu", net.conv("x", 3, CHANNELS))
        if kind == "between floats":
            c = net.op("Tanh", c)
        a = net.conv(c, CHANNELS, CHANNELS, k=1, bias=kind != "no bias")
        if kind == "folded":
            a = net.op("Mul", a, net.constant(net.normal(CHANNELS, 1, 1)))
        b = net.op("Relu", net.conv(c, CHANNELS, CHANNELS))
        b = net.op("Max", net.conv(b, CHANNELS, CHANNELS, k=1), net.conv(b, CHANNELS, CHANNELS, k=1))
        net.op("Max", net.op("Tanh", a), b)
        return net.model(net.nodes[-1].output[0], (1, CHANNELS, SIZE, SIZE)), 3

    @cases(
        {
            f"{kind}_{opset}": (opset, kind)
            for kind in ("bias", "no bias", "folded", "between floats")
            for opset in (10, 13, 21)
        }
    )
    def gives_floats(self, opset, kind) -> None:
        """Nothing is rounded behind a product whose result nobody takes as integers; the way back is a Conv."""
        model, n = self.pointwise(opset, kind)
        outcome = self.static(model, nchw())
        session, nodes = optimize(outcome.path, self.dir)
        types = [node.op_type for node in nodes]
        self.assertEqual((types.count("MatMulIntegerToFloat"), types.count("Conv")), (n, 0), types)
        self.assertEqual(types.count("DequantizeLinear"), int(kind == "between floats"), types)
        self.assert_there_and_back(model, outcome, session)
        back = [node.op_type for node in onnx.load(self.dir / "back.onnx").graph.node]
        self.assertEqual(back.count("Conv"), [node.op_type for node in model.graph.node].count("Conv"), back)
        self.assertNotIn("Transpose", back)
        again = self.dir / "again.onnx"
        self.onnxq("quantize", "-f", "--allow-noop", "--method=static", f"--ranges={self.dir / 'ranges.json'}", outcome.path, again)
        self.assertEqual(again.read_bytes(), outcome.path.read_bytes())

    def test_gives_floats_unrounded(self) -> None:
        """Inputs beyond what calibration has seen are not cut off there."""
        net = Net()
        net.conv(net.op("Relu", net.conv("x", 3, CHANNELS)), CHANNELS, CHANNELS, k=1)
        model = net.model(net.nodes[-1].output[0], (1, CHANNELS, SIZE, SIZE))
        small = [{"x": feed["x"] * np.float32(0.01)} for feed in nchw()]

        def narrow(values):
            seen = ranges.measure(model, small)["values"]
            values[:] = [next(s for s in seen if s["name"] == "y") if v["name"] == "y" else v for v in values]

        outcome = self.static(model, nchw(), change=narrow)
        self.assertLess(common.relative_error(common.run(model, nchw()[0]), common.run(outcome.model, nchw()[0])), 2)

    @cases({"default": ((), 1), "forced": (("--force-integer",), 0), "standard": (("--qdq-standard",), 0)})
    def coarse(self, flags, n_left) -> None:
        """Steps for a few large numbers leave nothing of all others: what has to do with them stays float."""
        net = Net()
        c = net.op("Relu", net.conv("x", 3, 64, k=1))
        d = net.op("Relu", net.conv(c, 64, 64))
        for _ in range(2):
            d = net.op("Relu", net.conv(d, 64, 64))
        weight, bias = net.constants["const_0"], net.constants["const_1"]
        weight[0], bias[0] = [[[150]], [[0]], [[0]]], -360  # hardly ever above 0, but then far
        net.constants["const_2"][:, 0] *= 0.001
        model = net.model(net.nodes[-1].output[0], (1, 64, SIZE, SIZE))
        outcome = self.static(model, nchw(), *flags, forced=False)
        reasons = [use["reason"] for w in outcome.report["weights"] for use in w["uses"] if w["name"] == "const_2"]
        self.assertEqual(sum("far larger than the others" in reason for reason in reasons), n_left, reasons)
        error = common.relative_error(common.run(model, nchw()[0]), common.run(outcome.model, nchw()[0]))
        (self.assertLess if n_left else self.assertGreater)(error, 3)

    @cases({f"{axis}_{what}": (axis, what) for axis in (1, -3) for what in ("even", "cut")})
    def softmax_of_even_shares(self, axis, what):
        """Finer steps than a 148th of a share overflow in ONNX Runtime's integers."""
        net = Net()
        x = net.op("Conv", "x", net.constant(net.normal(2, 3, 1, 1, scale=0.01)))
        x = net.op("Softmax", x, axis=axis)
        net.conv(net.clip(x, 0, 0.4) if what == "cut" else x, 2, CHANNELS)
        model = net.model(net.nodes[-1].output[0], (1, CHANNELS, SIZE, SIZE))
        outcome = self.static(model, nchw())
        session = self.assert_integer(outcome.path, ("Clip",))
        self.assert_simulated(outcome, session, nchw())

    def test_unlike_ranges(self) -> None:
        """The same before another convolution."""
        net = Net()
        c = net.op("Relu", net.conv("x", 3, CHANNELS))
        a, b = net.conv(c, CHANNELS, 4), net.op("Sigmoid", net.conv(c, CHANNELS, 4))
        wide = net.op("Mul", a, net.conv(c, CHANNELS, 4))
        wide = net.op("Mul", wide, net.conv(c, CHANNELS, 4))
        net.conv(net.op("Concat", wide, b, axis=1), 8, CHANNELS)
        model = net.model(net.nodes[-1].output[0], (1, CHANNELS, SIZE, SIZE))
        outcome = self.static(model, nchw())
        session, nodes = optimize(outcome.path, self.dir)
        self.assertNotIn("QLinearConcat", [n.op_type for n in nodes])
        for feed in nchw():
            want = common.run(model, feed)
            self.assertLess(common.relative_error(want, session.run(None, feed)), 8)

    @cases({"at once": ((),), "pooled": (("MaxPool",),), "behind a Relu": (("Relu",),)})
    def raw_beside_computed(self, between):
        """An image of 0 to 255 beside what a network has made of it, of which one scale leaves nothing."""
        net = Net()
        c = net.op("Relu", net.conv(net.op("Mul", "x", net.constant(np.float32(0.003))), 3, CHANNELS))
        h = net.op("Concat", c, "x", axis=1)
        for op_type in between:
            h = net.op(op_type, h, **({"kernel_shape": [1, 1]} if op_type == "MaxPool" else {}))
        weight = net.normal(64, CHANNELS + 3, 1, 1)
        weight[:, CHANNELS:] *= 0.07
        net.op("Conv", h, net.constant(weight))
        model = net.model(net.nodes[-1].output[0], (1, 64, SIZE, SIZE))
        feeds = [{"x": 100 * np.abs(feed["x"])} for feed in nchw()]
        for flags in ((), ("--qdq-standard",)):
            outcome = self.static(model, feeds, *flags)
            for feed in feeds:
                want = common.run(model, feed)
                self.assertLess(common.relative_error(want, common.run(onnx.load(outcome.path), feed)), 4)


class Worth(StaticTest):
    """Convolutions that integers do not make faster stay float, and what follows them starts later."""

    def reasons(self, outcome) -> dict[str, str]:
        weights = outcome.report["weights"]
        return {w["name"]: u["reason"] for w in weights for u in w["uses"] if u["op_type"] == "Conv" and u["input"] == 1}

    def worth(self, net, *flags, size=32, **options):
        model = net.model(net.nodes[-1].output[0], (1, "c", "h", "w"), {"x": (1, 3, size, size)})
        return self.static(model, nchw(size=size), *flags, forced=False, **options)

    def run_types(self, outcome) -> list[str]:
        return [n.op_type for n in optimize(outcome.path, self.dir)[1]]

    def pyramid(self, pool=None) -> Net:
        """Few channels on many pixels, then the other way round."""
        net = Net()
        x = net.op("Relu", net.conv("x", 3, 16))
        if pool:
            x = net.op(pool, x, kernel_shape=[2, 2], strides=[2, 2])
        for i in (16, 64, 64):
            x = net.op("Relu", net.conv(x, i, 64, strides=[2, 2] if i == 16 else [1, 1]))
        return net

    def test_first(self) -> None:
        outcome = self.worth(self.pyramid())
        types = self.run_types(outcome)
        self.assertEqual((types.count("Conv"), types.count("QLinearConv")), (1, 3), types)
        self.assertIn("no faster", next(iter(self.reasons(outcome).values())))

    def test_pool(self) -> None:
        """ONNX Runtime does not take the MaxPool behind QuantizeLinear, where it is 30 times slower."""
        outcome = self.worth(self.pyramid("MaxPool"))
        types = self.run_types(outcome)
        self.assertIn("MaxPool", types)
        self.assertLess(types.index("MaxPool"), types.index("QuantizeLinear"), types)
        want, got = (common.run(p, nchw(size=32)[0]) for p in (outcome.source, outcome.path))
        self.assertLess(common.relative_error(want, got), 5)

    def test_last(self) -> None:
        """What is dequantized is brought into blocks for a convolution of floats, which takes time as well."""
        net, x = Net(), "x"
        for i, o in ((3, 64), (64, 64), (64, 32)):
            x = net.op("Relu", net.conv(x, i, o))
        net.conv(x, 32, 9)
        outcome = self.worth(net, size=64)
        last = list(net.constants)[-2]
        self.assertEqual(self.reasons(outcome)[last], "")

    def test_nothing(self) -> None:
        """Two small convolutions between operators that take floats."""
        net = Net()
        x = net.op("Relu", net.conv("x", 3, 16))
        net.op("Sin", net.conv(x, 16, 16))
        outcome = self.worth(net)
        self.assertNotIn("QLinearConv", self.run_types(outcome))

    def test_forced(self) -> None:
        for flag in ("--force-integer", "--activation-bits=16", "--qdq-standard"):
            with self.subTest(flag):
                outcome = self.worth(self.pyramid(), flag)
                self.assertNotIn("integers are no faster at its sizes", self.reasons(outcome).values())


class Gates(StaticTest):
    """Hard sigmoids in parts, behind a convolution that stays float."""

    def gate(self, x, net, *, order="swish", number=3.0, high=6.0, divisor=6.0, shape=()):
        def constant(value):
            return net.constant(np.full(shape, value, np.float32))

        y = net.clip(net.op("Add", constant(number), x), 0.0, high)
        if order == "gated":
            return net.op("Mul", net.op("Mul", y, constant(1 / divisor)), x)
        y = net.op("Mul", x, y) if order in ("swish", "taken twice") else y
        z = net.op("Div", y, constant(divisor))
        if order == "sigmoid":
            return net.op("Mul", net.op("Sin", x), z)  # taken by one, the sum would go into the convolution
        return net.op("Add", z, y) if order == "taken twice" else z

    def quantized(self, opset, size=32, sine=True, **options):
        net = Net(opset)
        x = self.gate(net.conv("x", 3, 16), net, **options)
        x = net.op("Sin", x) if sine else x  # or it would be integer for what follows
        for i in (16, 64):
            x = net.op("Relu", net.conv(x, i, 64))
        model = net.model(net.nodes[-1].output[0], (1, 64, size, size), {"x": (1, 3, size, size)})
        feeds = nchw(size=size)
        outcome = self.static(model, feeds, forced=False)
        got, want = (common.run(p, feeds[0]) for p in (outcome.path, outcome.source))
        self.assertLess(common.relative_error(want, got), 5)
        return outcome, [n.op_type for n in outcome.model.graph.node]

    @cases(
        {
            "hard swish": (13, {}),
            "hard swish, opset 10": (10, {}),
            "hard sigmoid": (13, {"order": "sigmoid"}),
            "divided before the product": (13, {"order": "gated"}),
            "other ends": (13, {"number": 2.0, "high": 4.0, "divisor": 4.0}),
            "numbers of one axis": (13, {"shape": (1,)}),
        }
    )
    def one(self, opset, options) -> None:
        _, types = self.quantized(opset, **options)
        parts = (types.count(op_type) for op_type in ("HardSigmoid", "Add", "Clip", "Div"))
        self.assertEqual(tuple(parts), (1, 0, 0, 0), types)

    @cases(
        {
            "another divisor": ({"divisor": 5.0},),
            "what is between is taken": ({"order": "taken twice"},),
            "numbers of more axes": ({"shape": (1, 1, 1)},),
        }
    )
    def none(self, options) -> None:
        _, types = self.quantized(13, **options)
        self.assertNotIn("HardSigmoid", types)

    def test_same(self) -> None:
        """To the last bits what the parts give."""
        net = Net(13)
        gate = self.gate("x", net)
        net.conv(net.conv(net.op("Sin", gate), 3, 16), 16, 16)
        model = net.model(net.nodes[-1].output[0], (1, 16, 32, 32), {"x": (1, 3, 32, 32)})
        model.graph.output.append(helper.make_tensor_value_info(gate, TensorProto.FLOAT, (1, 3, 32, 32)))
        feeds = {"x": 4 * nchw(size=32)[0]["x"]}
        outcome = self.static(model, [feeds])
        session = ort.InferenceSession(str(outcome.path))
        want = common.session(model).run([gate], feeds)[0]
        np.testing.assert_allclose(session.run([gate], feeds)[0], want, rtol=1e-6, atol=1e-6)
        self.assertIn("HardSigmoid", [n.op_type for n in outcome.model.graph.node])


class Networks(StaticTest):
    """Whole nets as users have them."""

    def check(self, net, output, shape, percent, floats=()) -> None:
        model = net.model(output, shape)
        feeds = nchw(n=4)
        outcome = self.static(model, feeds)
        session = self.assert_integer(outcome.path, floats)
        for feed in nchw(seed=11):
            self.assertLess(common.relative_error(common.run(model, feed), session.run(None, feed)), percent)
        back = self.dir / "back.onnx"
        self.onnxq("dequantize", outcome.path, back)
        feed = feeds[0]
        self.assertLess(common.relative_error(common.run(model, feed), common.run(onnx.load(back), feed)), 4)
        done = self.onnxq_any(
            "check", "--ort-lib", LIBRARY, self.dir / "model.onnx", outcome.path, "--layers", "-q"
        )
        self.assertIn(done.returncode, (0, 1), done.stderr)

    def block(self, net, x, i, o, **attributes):
        return net.op("Relu", net.normalize(net.conv(x, i, o, bias=False, **attributes), o))

    def test_resnet(self) -> None:
        net = Net()
        x = net.op("MaxPool", self.block(net, "x", 3, 16, strides=[2, 2]), kernel_shape=[3, 3],
                   strides=[1, 1], pads=[1, 1, 1, 1])  # fmt: skip
        for _ in range(2):
            y = net.normalize(net.conv(self.block(net, x, 16, 16), 16, 16, bias=False), 16)
            x = net.op("Relu", net.op("Add", y, x))
        f = net.op("Flatten", net.op("GlobalAveragePool", x))
        net.op("Gemm", f, net.constant(net.normal(10, 16)), net.constant(net.normal(10)), transB=1)
        self.check(net, net.nodes[-1].output[0], (1, 10), 8)

    def test_mobilenet(self) -> None:
        net = Net()
        x = net.clip(net.normalize(net.conv("x", 3, 16, bias=False), 16), 0.0, 6.0)
        for _ in range(2):
            e = net.clip(net.normalize(net.conv(x, 16, 32, k=1, bias=False), 32), 0.0, 6.0)
            d = net.clip(net.normalize(net.conv(e, 32, 32, group=32, bias=False), 32), 0.0, 6.0)
            x = net.op("Add", net.normalize(net.conv(d, 32, 16, k=1, bias=False), 16), x)
        net.conv(x, 16, 8, k=1)
        self.check(net, net.nodes[-1].output[0], (1, 8, SIZE, SIZE), 12)

    def test_unet(self) -> None:
        net = Net()
        a = self.block(net, "x", 3, 8)
        b = self.block(net, net.op("MaxPool", a, kernel_shape=[2, 2], strides=[2, 2]), 8, 16)
        up = net.op("Resize", b, "", net.constant(np.float32([1, 1, 2, 2])), mode="nearest",
                    coordinate_transformation_mode="asymmetric", nearest_mode="floor")  # fmt: skip
        c = self.block(net, net.op("Concat", a, up, axis=1), 24, 8)
        net.conv(c, 8, 2, k=1)
        self.check(net, net.nodes[-1].output[0], (1, 2, SIZE, SIZE), 8)

    def test_detector(self) -> None:
        """SiLU, a pyramid, and a head that ends in boxes and scores."""
        net = Net()

        def silu(x, i, o, **attributes):
            c = net.conv(x, i, o, **attributes)
            return net.op("Mul", c, net.op("Sigmoid", c))

        a = silu("x", 3, 8)
        b = silu(a, 8, 16, strides=[2, 2])
        up = net.op("Resize", b, "", net.constant(np.float32([1, 1, 2, 2])), mode="nearest",
                    coordinate_transformation_mode="asymmetric", nearest_mode="floor")  # fmt: skip
        c = silu(net.op("Concat", up, a, axis=1), 24, 16)
        shape = net.constant(np.array([1, 4, SIZE * SIZE]))
        boxes = net.op("Mul", net.op("Reshape", net.conv(c, 16, 4, k=1), shape), net.constant(np.float32(640)))
        shape = net.constant(np.array([1, 3, SIZE * SIZE]))
        scores = net.op("Sigmoid", net.op("Reshape", net.conv(c, 16, 3, k=1), shape))
        net.op("Concat", boxes, scores, axis=1)
        self.check(net, net.nodes[-1].output[0], (1, 7, SIZE * SIZE), 8, ("Sigmoid", "Mul", "Concat"))
