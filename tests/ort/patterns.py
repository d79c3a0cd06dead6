"""Finds, in a quantized graph, what computes a value: the integers, scales and operators behind it."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce

import numpy as np
import onnx
from onnx import numpy_helper


def subgraphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            yield attribute.g
        elif attribute.type == onnx.AttributeProto.GRAPHS:
            yield from attribute.graphs


def all_graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """The graph and every body inside it."""
    yield graph
    for node in graph.node:
        for inner in subgraphs(node):
            yield from all_graphs(inner)


def all_nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    for inner in all_graphs(graph):
        yield from inner.node


def op_name(node: onnx.NodeProto) -> str:
    return node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"


def op_counts(model: onnx.ModelProto) -> Counter:
    return Counter(op_name(node) for node in all_nodes(model.graph))


def attributes(node: onnx.NodeProto) -> dict:
    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}


def constants(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Every tensor that is stored: initializers, and those in attributes, local functions included."""
    nodes = [*all_nodes(model.graph), *(n for f in model.functions for n in f.node)]
    yield from (t for graph in all_graphs(model.graph) for t in graph.initializer)
    yield from (
        t for n in nodes for a in n.attribute for t in (*a.tensors, *([a.t] if a.HasField("t") else []))
    )
    yield from (t for n in all_nodes(model.graph) if op_name(n) == "Constant" for t in numbers(n, model))


def numbers(node: onnx.NodeProto, model: onnx.ModelProto) -> list[onnx.TensorProto]:
    """What a Constant node has in value_float and its like, as a tensor; there are none of them before opset 12."""
    kinds = {"value_float": np.float32, "value_floats": np.float32, "value_int": np.int64, "value_ints": np.int64}
    opset = max(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
    found = [np.array(v, kinds[k]) for k, v in attributes(node).items() if opset >= 12 and k in kinds]
    return [numpy_helper.from_array(array) for array in found if array.size > 0]


def constant_nbytes(model: onnx.ModelProto) -> int:
    """Bytes of all constants; strings are not counted."""

    def nbytes(tensor: onnx.TensorProto) -> int:
        if tensor.data_type == onnx.TensorProto.STRING:
            return 0
        n = int(np.prod(tensor.dims, dtype=np.int64))
        if tensor.data_type in (onnx.TensorProto.INT4, onnx.TensorProto.UINT4):
            return (n + 1) // 2
        return n * onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize

    return sum(map(nbytes, constants(model)))


class View:
    """Producers and constants that are in sight inside one graph, outer scopes included."""

    def __init__(self, graph: onnx.GraphProto, outer: "View | None" = None, base_dir: str = ""):
        self.graph = graph
        self.base_dir = base_dir
        self.producer = dict(outer.producer) if outer else {}
        self.initializer = dict(outer.initializer) if outer else {}
        self.producer.update((name, node) for node in graph.node for name in node.output if name)
        self.initializer.update((t.name, t) for t in graph.initializer)

    def inner(self, node: onnx.NodeProto) -> "list[View]":
        return [View(graph, self, self.base_dir) for graph in subgraphs(node)]

    def node(self, name: str, *op_types: str) -> onnx.NodeProto:
        """What produces `name`; with op_types, it has to be one of these."""
        found = self.producer.get(name)
        assert found is not None, f"nothing produces {name!r}"
        assert (
            not op_types or op_name(found) in op_types
        ), f"{name!r} is made by {op_name(found)}, expected {op_types}"
        return found

    def made_by(self, name: str, *op_types: str) -> bool:
        return name in self.producer and op_name(self.producer[name]) in op_types

    def constant(self, name: str) -> np.ndarray:
        if name in self.initializer:
            return numpy_helper.to_array(self.initializer[name], self.base_dir)
        made = self.node(name, "Constant", "Transpose", "Reshape")
        if made.op_type == "Transpose":
            return self.constant(made.input[0]).transpose(attributes(made).get("perm"))
        if made.op_type == "Reshape":
            return self.constant(made.input[0]).reshape(self.constant(made.input[1]))
        (value,) = attributes(made).values()
        return numpy_helper.to_array(value, self.base_dir) if isinstance(value, onnx.TensorProto) else np.array(value)

    def is_constant(self, name: str) -> bool:
        return name in self.initializer or self.made_by(name, "Constant")


@dataclass
class Match:
    """form is dynamic, contrib, fold, conv_integer or float."""

    form: str
    node: onnx.NodeProto  # what does the multiplication
    x: str = ""  # the float activation
    q: np.ndarray | None = None
    scale: np.ndarray | None = None
    zero_point: np.ndarray | None = None  # None: not stored
    bias: str = ""  # what is added to the product
    perms: tuple = ()  # of the Transposes behind and in front of the product


def is_product(view: View, name: str) -> bool:
    """name = Mul(Cast(integer product), ...)"""
    if not view.made_by(name, "Mul"):
        return False
    left = view.node(name).input[0]
    return view.made_by(left, "Cast") and view.made_by(
        view.node(left).input[0], "MatMulInteger", "ConvInteger"
    )


def match_product(view: View, name: str) -> Match:
    """Mul(Cast(MatMulInteger(xq, q, xz[, zp])), Mul(xs, s)), operands in exactly this order."""
    cast_name, scale_name = view.node(name, "Mul").input
    product = view.node(view.node(cast_name, "Cast").input[0], "MatMulInteger", "ConvInteger")
    x_scale, w_scale = view.node(scale_name, "Mul").input
    quantizer = view.node(x_scale, "DynamicQuantizeLinear")
    assert quantizer.output[1] == x_scale, "the first factor has to be the scale of the activation"
    assert len(product.input) >= 3 and product.input[2] == quantizer.output[2], "zero point of the activation"
    x, perms = product.input[0], ()
    if view.made_by(x, "Transpose"):
        perms = (tuple(attributes(view.node(x))["perm"]),)
        x = view.node(x).input[0]
    assert x == quantizer.output[0], "the quantized activation"
    zero_point = product.input[3] if len(product.input) > 3 else ""
    return Match(
        "conv_integer" if product.op_type == "ConvInteger" else "dynamic",
        product,
        quantizer.input[0],
        view.constant(product.input[1]),
        view.constant(w_scale),
        view.constant(zero_point) if zero_point else None,
        perms=perms,
    )


def match_contrib(view: View, node: onnx.NodeProto) -> Match:
    inputs = list(node.input) + [""] * (5 - len(node.input))
    x, q, scale, zero_point, bias = inputs
    return Match(
        "contrib",
        node,
        x,
        view.constant(q),
        view.constant(scale),
        view.constant(zero_point) if zero_point else None,
        bias,
    )


def match_fold(view: View, node: onnx.NodeProto, index: int) -> Match:
    """
    Mul(Cast(q), s), or Mul(Sub(Cast(q), zp), s), s being one constant or Mul of two, as input `index` of an operator that is left as it was;
    with a Cast behind it where that is not float32.
    """
    weight = node.input[index]
    if view.made_by(weight, "Cast"):
        weight = view.node(weight).input[0]
    factor, scale = view.node(weight, "Mul").input
    zero_point = None
    if view.made_by(factor, "Sub"):
        factor, zero_name = view.node(factor).input
        zero_point = view.constant(zero_name)
    cast = view.node(factor, "Cast")
    factors = view.node(scale).input if view.made_by(scale, "Mul") else [scale]
    bias = node.input[2] if len(node.input) > 2 else ""
    return Match(
        "fold",
        node,
        node.input[1 - index],
        view.constant(cast.input[0]),
        reduce(np.multiply, map(view.constant, factors)),
        zero_point,
        bias,
    )


def match(view: View, name: str) -> Match:
    """What computes the value `name`, which a MatMul, Gemm or Conv computed in the float model."""
    node = view.node(name)
    if is_product(view, name):
        return match_product(view, name)
    if op_name(node) == "com.microsoft.DynamicQuantizeMatMul":
        return match_contrib(view, node)
    if op_name(node) == "Cast":  # to what the model computes in
        return match(view, node.input[0])
    if op_name(node) == "Transpose":
        found = match(view, node.input[0])
        found.perms = (tuple(attributes(node)["perm"]), *found.perms)
        return found
    if op_name(node) == "Add":
        found = match(view, node.input[0])
        assert not found.bias, "two additions"
        found.bias = node.input[1]
        return found
    assert op_name(node) in ("MatMul", "Gemm", "Conv"), f"{name!r} is made by {op_name(node)}"
    for index in (1, 0):
        if view.made_by(node.input[index], "Mul", "Cast") and not view.is_constant(node.input[index]):
            return match_fold(view, node, index)
    return Match("float", node, node.input[0])
