"""Convolutional networks at random: what --method static keeps in integers, and what it must not."""

import random

import numpy as np
import onnx
from onnx import helper, numpy_helper

import engine
from graphs import Drawn

SIZES = (4, 6, 9)
OPSETS = (7, 8, 9, 10, 11, 12, 13, 13, 14, 17, 18, 21, 22)


class Net:
    def __init__(self, seed: int):
        self.random, self.numpy = random.Random(seed), np.random.default_rng(seed)
        self.opset = self.random.choice(OPSETS)
        self.nodes: list[onnx.NodeProto] = []
        self.tensors: dict[str, np.ndarray] = {}
        self.values: list[tuple[str, tuple[int, ...]]] = []

    def chance(self, p: float) -> bool:
        return self.random.random() < p

    def constant(self, array) -> str:
        name = f"c{len(self.tensors)}"
        self.tensors[name] = np.asarray(array)
        return name

    def normal(self, *shape: int) -> np.ndarray:
        return self.numpy.standard_normal(shape).astype(np.float32)

    def op(self, op_type: str, *inputs: str, **attributes) -> str:
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(op_type, list(inputs), [name], name=f"n_{name}", **attributes))
        return name

    def add(self, name: str, shape: tuple[int, ...]) -> None:
        self.values.append((name, shape))

    def take(self) -> tuple[str, tuple[int, ...]]:
        """Mostly what came last."""
        return self.values[-1] if self.chance(0.7) else self.random.choice(self.values)

    # --- operators ---

    def conv(self) -> None:
        x, (n, c, h, w) = self.take()
        group = self.random.choice((1, 1, 1, c))
        outputs = c * self.random.choice((1, 2)) if group > 1 else self.random.choice((2, 3, 8, 17))
        k = self.random.choice((1, 3))
        weight = self.normal(outputs, c // group, k, k) / np.float32((c // group * k * k) ** 0.5)
        if self.chance(0.3):
            weight *= np.exp(self.normal(outputs, 1, 1, 1))
        if self.chance(0.1):
            weight[self.random.randrange(outputs)] = 0
        bias = [self.constant(self.normal(outputs))] if self.chance(0.6) else []
        y = self.op("Conv", x, self.constant(weight), *bias, group=group, pads=[k // 2] * 4)
        self.add(y, (n, outputs, h, w))

    def normalize(self) -> None:
        x, shape = self.take()
        c = shape[1]
        variance = np.exp(self.normal(c))
        names = [self.constant(a) for a in (self.normal(c), self.normal(c), self.normal(c), variance)]
        self.add(self.op("BatchNormalization", x, *names), shape)

    def activate(self) -> None:
        x, shape = self.take()
        kinds = ["Relu", "Sigmoid", "LeakyRelu", "HardSigmoid", "Clip", "Swish", "Tanh", "Parts"] + ["HardSwish"] * (self.opset >= 14)
        kind = self.random.choice(kinds)
        if kind == "Swish":
            y = self.op("Mul", x, self.op("Sigmoid", x))
        elif kind == "Parts":
            y = self.hard_in_parts(x)
        elif kind == "Clip" and self.opset < 11:
            y = self.op(kind, x, min=0.0, max=6.0)
        elif kind == "Clip":
            y = self.op(kind, x, self.constant(np.float32(self.random.choice((0, -1)))), self.constant(np.float32(6)))
        else:
            y = self.op(kind, x)
        self.add(y, shape)

    def hard_in_parts(self, x: str) -> str:
        """A hard sigmoid, or a hard swish; sometimes nearly."""
        y = self.op("Add", x, self.constant(np.float32(3)))
        if self.opset < 11:
            y = self.op("Clip", y, min=0.0, max=6.0)
        else:
            y = self.op("Clip", y, self.constant(np.float32(0)), self.constant(np.float32(6)))
        y = self.op("Mul", y, x) if self.chance(0.6) else y
        return self.op("Div", y, self.constant(np.float32(6 if self.chance(0.8) else 5)))

    def arithmetic(self) -> None:
        x, shape = self.take()
        kind = self.random.choice(("Add", "Mul"))
        like = [v for v, s in self.values if s == shape]
        other = self.random.choice(like)
        if self.chance(0.4):
            forms = ((), (1,), (shape[1], 1, 1), shape[1:])
            other = self.constant(self.normal(*self.random.choice(forms)))
        if self.chance(0.2):
            kind, other = "Div", self.constant(np.float32(self.random.choice((6, 0.5, -2))))
        self.add(self.op(kind, x, other), shape)

    def join(self) -> None:
        x, shape = self.take()
        like = [(v, s) for v, s in self.values if s[0] == shape[0] and s[2:] == shape[2:]]
        other, second = self.random.choice(like)
        if self.chance(0.2):
            other = self.op("Mul", other, self.constant(np.float32(300)))
        self.add(self.op("Concat", x, other, axis=1), (shape[0], shape[1] + second[1], *shape[2:]))

    def pool(self) -> None:
        x, (n, c, h, w) = self.take()
        if h < 4 or w < 4:
            return
        kind = self.random.choice(("MaxPool", "AveragePool"))
        self.add(self.op(kind, x, kernel_shape=[2, 2], strides=[2, 2]), (n, c, h // 2, w // 2))

    def move(self) -> None:
        x, (n, c, h, w) = self.take()
        kind = self.random.choice(("Transpose", "Reshape", "Pad", "squeeze-and-excite"))
        if kind == "Transpose":
            self.add(self.op(kind, x, perm=[0, 1, 3, 2]), (n, c, w, h))
        elif kind == "Reshape":
            self.add(self.op(kind, x, self.constant(np.int64([n, c, h * w, 1]))), (n, c, h * w, 1))
        elif kind == "Pad" and self.opset < 11:
            self.add(self.op(kind, x, pads=[0, 0, 1, 0, 0, 0, 0, 1]), (n, c, h + 1, w + 1))
        elif kind == "Pad":
            self.add(self.op(kind, x, self.constant(np.int64([0, 0, 1, 0, 0, 0, 0, 1]))), (n, c, h + 1, w + 1))
        else:
            pooled = self.op("GlobalAveragePool", x)
            gate = self.op("Conv", pooled, self.constant(self.normal(c, c, 1, 1)))
            self.add(self.op("Mul", x, self.op("Sigmoid", gate)), (n, c, h, w))

    def head(self) -> None:
        x, (n, c, h, w) = self.take()
        flat = self.op("Flatten", self.op("GlobalAveragePool", x) if self.chance(0.5) else x)
        size = c if self.nodes[-2].op_type == "GlobalAveragePool" else c * h * w
        weight = self.constant(self.normal(size, 10) / np.float32(size**0.5))
        if self.chance(0.5):
            self.op("Gemm", flat, weight, self.constant(self.normal(10)))
        else:
            self.op("MatMul", flat, weight)

    def draw(self, shape: tuple[int, ...]) -> None:
        self.add("x", shape)
        self.conv()
        steps = [self.conv] * 4 + [self.activate] * 4 + [self.normalize] * 2 + [self.arithmetic] * 2
        steps += [self.join, self.pool, self.move]
        for _ in range(self.random.randrange(3, 16)):
            self.random.choice(steps)()
        if self.chance(0.4):
            self.head()


def draw(seed: int) -> Drawn:
    net = Net(seed)
    shape = (net.random.choice((1, 2)), net.random.choice((1, 3, 8)), net.random.choice(SIZES), net.random.choice(SIZES))
    net.draw(shape)
    feeds = {"x": net.normal(*shape) + np.float32(net.random.choice((0, 0.5)))}
    used = {name for node in net.nodes for name in node.input}
    outputs = [o for node in net.nodes for o in node.output if o not in used or net.chance(0.05)]
    graph = helper.make_graph(
        net.nodes, "g", [engine.info("x", feeds["x"])], engine.untyped(outputs),
        [numpy_helper.from_array(a, n) for n, a in net.tensors.items()],
    )  # fmt: skip
    model = engine.model_of(graph, net.opset)
    made = engine.run(engine.session(model), feeds)
    del model.graph.output[:]
    model.graph.output.extend(engine.info(n, a) for n, a in zip(outputs, made, strict=True))
    if model.ir_version < 4:
        model.graph.input.extend(engine.info(n, a) for n, a in net.tensors.items())
    return Drawn(model, feeds)
