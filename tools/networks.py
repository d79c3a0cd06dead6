"""Networks of usual kinds with random weights, for tools that measure what the engine does with them."""

from collections.abc import Callable

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
HIDDEN, HEADS, LAYERS, VOCABULARY = 256, 4, 4, 1000


class Network:
    """A graph that grows node by node; each call returns the name of what it makes."""

    def __init__(self, seed: int = 1) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[TensorProto] = []

    def constant(self, values: np.ndarray) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def weight(self, *shape: int) -> str:
        deviation = np.float32(np.prod(shape[:-1]) ** -0.5)
        return self.constant(self.rng.standard_normal(shape, dtype=np.float32) * deviation)

    def add(self, op_type: str, *inputs: str, **attributes) -> str:
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(op_type, list(inputs), [name], **attributes))
        return name

    def dense(self, x: str, k: int, n: int) -> str:
        return self.add("Add", self.add("MatMul", x, self.weight(k, n)), self.weight(n))

    def model(self, inputs: dict, outputs: dict, opset: int) -> onnx.ModelProto:
        def infos(values: dict) -> list[onnx.ValueInfoProto]:
            return [helper.make_tensor_value_info(name, *what) for name, what in values.items()]

        graph = helper.make_graph(self.nodes, "network", infos(inputs), infos(outputs), self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


# --- transformers --------------------------------------------------------------


def layer_norm(net: Network, x: str) -> str:
    ones, zeros = net.constant(np.ones(HIDDEN, np.float32)), net.constant(np.zeros(HIDDEN, np.float32))
    return net.add("LayerNormalization", x, ones, zeros)


def layer_norm_in_parts(net: Network, x: str) -> str:
    """As exported below opset 17."""
    centred = net.add("Sub", x, net.add("ReduceMean", x, axes=[-1]))
    square = net.add("Pow", centred, net.constant(np.float32(2)))
    variance = net.add("Add", net.add("ReduceMean", square, axes=[-1]), net.constant(np.float32(1e-5)))
    scaled = net.add("Div", centred, net.add("Sqrt", variance))
    ones, zeros = net.constant(np.ones(HIDDEN, np.float32)), net.constant(np.zeros(HIDDEN, np.float32))
    return net.add("Add", net.add("Mul", scaled, ones), zeros)


def rms_norm(net: Network, x: str) -> str:
    mean = net.add("ReduceMean", net.add("Mul", x, x), axes=[-1])
    root = net.add("Sqrt", net.add("Add", mean, net.constant(np.float32(1e-5))))
    return net.add("Mul", net.add("Div", x, root), net.constant(np.ones(HIDDEN, np.float32)))


def attention(net: Network, x: str) -> str:
    split = net.constant(np.array([0, 0, HEADS, HIDDEN // HEADS]))
    merge = net.constant(np.array([0, 0, HIDDEN]))

    def head(perm: list[int]) -> str:
        return net.add("Transpose", net.add("Reshape", net.dense(x, HIDDEN, HIDDEN), split), perm=perm)

    scores = net.add("MatMul", head([0, 2, 1, 3]), head([0, 2, 3, 1]))
    scores = net.add("Mul", scores, net.constant(np.float32((HIDDEN // HEADS) ** -0.5)))
    mixed = net.add("MatMul", net.add("Softmax", scores, axis=-1), head([0, 2, 1, 3]))
    merged = net.add("Reshape", net.add("Transpose", mixed, perm=[0, 2, 1, 3]), merge)
    return net.dense(merged, HIDDEN, HIDDEN)


def feed_forward(net: Network, x: str) -> str:
    y = net.dense(x, HIDDEN, 4 * HIDDEN)
    wide = net.add("Erf", net.add("Mul", y, net.constant(np.float32(0.5**0.5))))
    gate = net.add("Add", wide, net.constant(np.float32(1)))
    gelu = net.add("Mul", net.add("Mul", y, gate), net.constant(np.float32(0.5)))
    return net.dense(gelu, 4 * HIDDEN, HIDDEN)


def stack(net: Network, x: str, norm: Callable, before: bool) -> str:
    """Layers of a transformer that normalizes before each part, or after it."""
    if not before:
        x = norm(net, x)
    for _ in range(LAYERS):
        for part in (attention, feed_forward):
            y = net.add("Add", part(net, norm(net, x) if before else x), x)
            x = y if before else norm(net, y)
    return norm(net, x) if before else x


def transformer(
    norm: Callable, before: bool, opset: int, batch: int | str = "batch", length: int | str = "length"
) -> onnx.ModelProto:
    net = Network()
    x = net.add("Gather", net.weight(VOCABULARY, HIDDEN), "ids")
    net.nodes[-1].output[0] = x
    y = stack(net, x, norm, before)
    return net.model({"ids": (INT64, [batch, length])}, {y: (FLOAT, [batch, length, HIDDEN])}, opset)


def vision_transformer(batch: int | str = "batch") -> onnx.ModelProto:
    net = Network()
    patches = net.add("Conv", "image", net.weight(HIDDEN, 3, 16, 16), strides=[16, 16])
    flat = net.add("Reshape", patches, net.constant(np.array([0, HIDDEN, -1])))
    x = net.add("Transpose", flat, perm=[0, 2, 1])
    y = stack(net, x, layer_norm, True)
    return net.model({"image": (FLOAT, [batch, 3, 112, 112])}, {y: (FLOAT, [batch, 49, HIDDEN])}, 17)


# --- others --------------------------------------------------------------------


def convolutions() -> onnx.ModelProto:
    """A residual network of open batch and image size."""
    net = Network()
    x = net.add("Relu", net.add("Conv", "image", net.weight(32, 3, 3, 3), pads=[1, 1, 1, 1], strides=[2, 2]))
    for _ in range(4):
        y = net.add("Relu", net.add("Conv", x, net.weight(32, 32, 3, 3), pads=[1, 1, 1, 1]))
        y = net.add("Conv", y, net.weight(32, 32, 3, 3), pads=[1, 1, 1, 1])
        x = net.add("Relu", net.add("Add", y, x))
    y = net.dense(net.add("Flatten", net.add("GlobalAveragePool", x)), 32, 1000)
    image = (FLOAT, ["batch", 3, "height", "width"])
    return net.model({"image": image}, {y: (FLOAT, ["batch", 1000])}, 17)


def recurrent() -> onnx.ModelProto:
    """Two LSTM, a product and a softmax."""
    net = Network()
    x = "frames"
    for _ in range(2):
        w, r, b = net.weight(1, 4 * HIDDEN, HIDDEN), net.weight(1, 4 * HIDDEN, HIDDEN), net.weight(1, 8 * HIDDEN)
        hidden = net.add("LSTM", x, w, r, b, hidden_size=HIDDEN)
        x = net.add("Squeeze", hidden, net.constant(np.array([1])))
    y = net.add("Softmax", net.dense(x, HIDDEN, 512), axis=-1)
    return net.model(
        {"frames": (FLOAT, ["time", "batch", HIDDEN])}, {y: (FLOAT, ["time", "batch", 512])}, 17
    )


def perceptron() -> onnx.ModelProto:
    net = Network()
    x = "rows"
    for k, n in ((512, 512), (512, 512), (512, 256), (256, 64)):
        x = net.add("Relu", net.dense(x, k, n))
    return net.model({"rows": (FLOAT, ["batch", 512])}, {x: (FLOAT, ["batch", 64])}, 17)


NETWORKS: dict[str, Callable[[], onnx.ModelProto]] = {
    "transformer, normalized after": lambda: transformer(layer_norm, False, 17),
    "the same, LayerNormalization in parts": lambda: transformer(layer_norm_in_parts, False, 13),
    "the same, open batch only": lambda: transformer(layer_norm, False, 17, length=32),
    "the same, fixed sizes": lambda: transformer(layer_norm, False, 17, 1, 32),
    "transformer, normalized before": lambda: transformer(layer_norm, True, 17),
    "transformer, root mean square": lambda: transformer(rms_norm, True, 17),
    "vision transformer": vision_transformer,
    "convolutions": convolutions,
    "LSTM": recurrent,
    "perceptron": perceptron,
}
