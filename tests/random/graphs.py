"""Draws valid models at random from all that onnxq's rules know.

Every node is run in ONNX Runtime when it is drawn, on the values that reach it: what the engine
refuses, or what is not finite, is not drawn. So a model needs no shape inference here, and the
float values of all its names are known.
"""

import random
from dataclasses import dataclass, field

import ml_dtypes
import numpy as np
import onnx
from onnx import AttributeProto, TensorProto, helper, numpy_helper

import engine

FLOATS = {
    TensorProto.FLOAT: np.dtype(np.float32),
    TensorProto.FLOAT16: np.dtype(np.float16),
    TensorProto.DOUBLE: np.dtype(np.float64),
}
TYPES = {dtype: kind for kind, dtype in FLOATS.items()}
BFLOAT16 = np.dtype(ml_dtypes.bfloat16)

NEWEST = 26  # that ONNX Runtime 1.31 loads
MAX_WEIGHT = 6000  # elements; a few are larger
SIZES = (1, 2, 3, 4, 5, 7, 8, 12, 16, 17, 24, 32, 33, 48, 64)


@dataclass
class Value:
    name: str
    array: np.ndarray
    is_constant: bool  # depends on initializers only


@dataclass
class Drawn:
    """A model with its inputs, and what the float model makes of them."""

    model: onnx.ModelProto
    feeds: dict[str, np.ndarray]
    tags: list[str] = field(default_factory=list)  # what was drawn, for statistics


class Reject(Exception):
    """This cannot be drawn here."""


class Drawing:
    """A graph as it grows; a body has a parent, whose values it may capture."""

    def __init__(self, seed: int, parent: "Drawing | None" = None):
        self.parent = parent
        self.random = parent.random if parent else random.Random(seed)
        self.numpy = parent.numpy if parent else np.random.default_rng(seed)
        self.opset = parent.opset if parent else self.draw_opset()
        self.dtype = parent.dtype if parent else self.draw_dtype()
        self.values: list[Value] = []
        self.nodes: list[onnx.NodeProto] = []
        self.tensors: list[TensorProto] = []
        self.feeds: dict[str, np.ndarray] = {}
        self.tags: list[str] = parent.tags if parent else []
        self.functions: list[onnx.FunctionProto] = []
        self.count = 0
        self.prefix = "" if parent is None else f"{parent.prefix}b{parent.next()}_"
        self.depth = parent.depth + 1 if parent else 0

    # --- chance ---

    def chance(self, p: float) -> bool:
        return self.random.random() < p

    def pick(self, items):
        items = list(items)
        if not items:
            raise Reject
        return self.random.choice(items)

    def draw_opset(self) -> int:
        return self.pick([7, 8, 9, 10, 11, 11, 12, 13, 13, 14, 15, 16, 17, 17, 18, 19, 20, 21, 21, 22, 23, 24, 25, 26])

    def draw_dtype(self) -> np.dtype:
        return self.random.choices(
            [np.dtype(np.float32), np.dtype(np.float16), np.dtype(np.float64)], [84, 9, 7]
        )[0]

    # --- names and storage ---

    def next(self) -> int:
        if self.parent is not None:
            return self.parent.next()
        self.count += 1
        return self.count

    def name(self, stem: str) -> str:
        """Sometimes one that an initializer of a graph around this one has."""
        if self.parent is not None and stem == "w" and self.chance(0.15):
            own = {v.name for v in self.values}
            outer = [v.name for v in self.parent.values if v.name not in own and v.name in self.parent.tensor_names()]
            if outer:
                self.tags.append("shadow")
                return self.pick(outer)
        return f"{self.prefix}{stem}{self.next()}"

    def tensor_names(self) -> set[str]:
        return {t.name for t in self.tensors}

    def store(self, array: np.ndarray, stem: str = "w") -> Value:
        """An initializer or a Constant node."""
        name = self.name(stem)
        array = np.asarray(array, order="C")
        tensor = self.tensor(array, name)
        kind = self.random.random()
        if kind < 0.15:
            self.add_constant(tensor, array, name)
        else:
            self.tensors.append(tensor)
        value = Value(name, array, True)
        self.values.append(value)
        return value

    def tensor(self, array: np.ndarray, name: str) -> TensorProto:
        """Raw, or in the typed field."""
        typed = array.dtype in (np.float32, np.float64, np.int64, np.int32) and array.size < 5000
        if typed and self.chance(0.25):
            kind = helper.np_dtype_to_tensor_dtype(array.dtype)
            return helper.make_tensor(name, kind, array.shape, array.ravel())
        return numpy_helper.from_array(array, name)

    def add_constant(self, tensor: TensorProto, array: np.ndarray, name: str) -> None:
        attributes = {"value": tensor}
        if self.opset >= 12 and array.dtype == np.float32 and array.ndim < 2 and self.chance(0.6):
            key = "value_float" if array.ndim == 0 else "value_floats"
            attributes = {key: float(array) if array.ndim == 0 else [float(x) for x in array]}
            if array.size == 0:
                attributes = {"value": tensor}
        node = helper.make_node("Constant", [], [name], name=f"n_{name}", **attributes)
        self.nodes.append(node)

    def plain(self, array: np.ndarray, stem: str = "c") -> str:
        """A parameter: axes, shapes, indices."""
        name = f"{self.prefix}{stem}{self.next()}"
        self.tensors.append(numpy_helper.from_array(np.asarray(array, order="C"), name))
        self.values.append(Value(name, np.asarray(array), True))
        return name

    # --- values ---

    def visible(self) -> list[Value]:
        own = {v.name for v in self.values}
        outer = [v for v in self.parent.visible() if v.name not in own] if self.parent else []
        return outer + self.values

    def find(self, name: str) -> Value:
        return next(v for v in self.visible() if v.name == name)

    def activations(self, ranks=None, dtype=None) -> list[Value]:
        dtype = dtype or self.dtype
        return [
            v
            for v in self.visible()
            if not v.is_constant and v.array.dtype == dtype and (ranks is None or v.array.ndim in ranks)
        ]

    def activation(self, ranks=None, dtype=None) -> Value:
        """Prefers what was made last."""
        found = self.activations(ranks, dtype)
        if not found:
            raise Reject
        return found[-1] if self.chance(0.5) else self.pick(found)

    def constants(self, check=lambda v: True, dtype=None) -> list[Value]:
        dtype = dtype or self.dtype
        return [v for v in self.visible() if v.is_constant and v.array.dtype == dtype and check(v)]

    # --- nodes ---

    def node(self, op_type: str, inputs, n_outputs: int = 1, known=None, domain: str = "", **attributes):
        """Adds a node if the engine runs it to something finite; returns its outputs."""
        names = [i.name if isinstance(i, Value) else (i or "") for i in inputs]
        while names and names[-1] == "":
            names.pop()
        outputs = [f"{self.prefix}v{self.next()}" for _ in range(n_outputs)]
        attributes = {k: v for k, v in attributes.items() if v != [] or k == "axes"}
        node = helper.make_node(op_type, names, outputs, name=f"n_{outputs[0]}", domain=domain, **attributes)
        return self.append(node, known)

    def append(self, node: onnx.NodeProto, known=None):
        self.omit_defaults(node)
        used = engine.captures(node)
        arrays = known if known is not None else self.run(node, used)
        if any(a.dtype.kind == "f" and not np.isfinite(a).all() for a in arrays):
            raise Reject
        if sum(a.size for a in arrays) > 40000:
            raise Reject
        visible = {v.name: v for v in self.visible()}
        constant = all(visible[n].is_constant for n in used if n in visible)
        self.nodes.append(node)
        made = [Value(n, a, constant) for n, a in zip(node.output, arrays, strict=True) if n]
        self.values += made
        self.tags.append(node.op_type)
        return made[0] if len(made) == 1 else made

    def omit_defaults(self, node: onnx.NodeProto) -> None:
        """An attribute of 0 may be left out on the wire, as proto3 does."""
        if not self.chance(0.3):
            return
        for attribute in node.attribute:
            zero = (attribute.type == AttributeProto.FLOAT and attribute.f == 0) or (
                attribute.type == AttributeProto.INT and attribute.i == 0
            )
            if zero:
                attribute.ClearField("f")
                attribute.ClearField("i")

    def run(self, node: onnx.NodeProto, used: list[str]) -> list[np.ndarray]:
        visible = {v.name: v.array for v in self.visible()}
        feeds = {n: visible[n] for n in used}
        if any(a.dtype == BFLOAT16 for a in feeds.values()):
            raise Reject
        try:
            constant = {v.name for v in self.visible() if v.is_constant}
            return engine.run_node(node, feeds, constant, self.opset, self.all_functions())
        except engine.Refused as error:
            raise Reject from error

    def all_functions(self) -> list[onnx.FunctionProto]:
        return self.parent.all_functions() if self.parent else self.functions

    # --- weights ---

    def fill(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """Values of a weight, degenerate at times."""
        w = self.numpy.standard_normal(shape)
        if len(shape) > 1:
            axis = self.random.randrange(len(shape))
            size = [1] * len(shape)
            size[axis] = shape[axis]
            w = w * np.exp(self.numpy.uniform(-2, 1, size))
        w *= 0.3
        kind = self.random.random()
        if kind < 0.04:
            w *= 0
        elif kind < 0.12 and w.size:
            axis = self.random.randrange(max(w.ndim, 1)) if w.ndim else 0
            if w.ndim:
                index = [slice(None)] * w.ndim
                index[axis] = self.numpy.random(w.shape[axis]) < 0.4
                w[tuple(index)] = 0
        elif kind < 0.16 and w.size:
            w.flat[self.random.randrange(w.size)] *= self.pick([100, 1e4]) if dtype == np.float16 else self.pick([100, 1e6, 1e12, 1e30])
            self.tags.append("outlier")
        elif kind < 0.20:
            w *= 1e-6 if dtype == np.float16 else self.pick([1e-5, 1e-20, 1e-36, 1e-38])
            self.tags.append("tiny")
        elif kind < 0.22:
            w *= 1e3 if dtype == np.float16 else self.pick([1e10, 1e20, 1e37])
        elif kind < 0.25:
            w = np.abs(w)
        elif kind < 0.27:
            w = np.full(shape, w.flat[0] if w.size else 0)
        elif kind < 0.30:
            w = np.round(w * 8) / 8
        elif kind < 0.34 and w.ndim:
            axis = self.random.randrange(w.ndim)
            sizes = [0, 1e-6, 1] if dtype == np.float16 else [0, 1e-40, 1e-37, 1e-30, 1e-10, 1, 1e4]
            w *= self.numpy.choice(sizes, [n if i == axis else 1 for i, n in enumerate(shape)])
            self.tags.append("steep")
        return np.asarray(w, dtype)

    def weight(self, shape, dtype=None, dress: bool = True) -> Value:
        """A constant of that shape: new or shared, as it is or behind operators."""
        dtype = dtype or self.dtype
        shape = tuple(int(n) for n in shape)
        if self.chance(0.25):
            alike = self.constants(lambda v: v.array.shape == shape, dtype)
            if alike:
                self.tags.append("shared")
                return self.pick(alike)
        if len(shape) == 2 and self.chance(0.3):
            turned = self.constants(lambda v: v.array.shape == shape[::-1], dtype)
            if turned:
                self.tags.append("tied")
                return self.node("Transpose", [self.pick(turned)], perm=[1, 0])
        if dress and self.chance(0.4):
            way = self.pick(WAYS)
            mark = len(self.nodes), len(self.values), len(self.tensors)
            try:
                return way(self, shape, dtype)
            except Reject:
                self.back_to(mark)
        return self.store(self.fill(shape, dtype))

    def mark(self):
        return len(self.nodes), len(self.values), len(self.tensors)

    def back_to(self, mark) -> None:
        del self.nodes[mark[0] :], self.values[mark[1] :], self.tensors[mark[2] :]

    def shape_of(self, rank: int, limit: int = MAX_WEIGHT) -> tuple[int, ...]:
        for _ in range(20):
            shape = tuple(self.pick(SIZES) for _ in range(rank))
            if np.prod(shape) <= limit:
                return shape
        raise Reject

    def axes(self, node_name: str, axes: list[int], since: int = 13):
        """(inputs, attributes) for operators whose axes became an input."""
        if self.opset >= since:
            return [self.plain(np.array(axes, np.int64))], {}
        return [], {"axes": axes}

    def move(self, op_type: str, value: Value, parameters: list[tuple[str, list[int]]], since: int):
        """Squeeze, Slice ..: parameters are inputs from opset `since` on, attributes before."""
        if self.opset >= since:
            return self.node(op_type, [value] + [self.plain(np.array(p, np.int64)) for _, p in parameters])
        return self.node(op_type, [value], **{key: values for key, values in parameters if values})

    def cast(self, value: Value, dtype: np.dtype) -> Value:
        known = [value.array.astype(np.float32).astype(dtype)] if value.array.dtype == BFLOAT16 else None
        return self.node("Cast", [value], known=known, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))


# --- ways in which a weight reaches its user ---


def transposed(d: Drawing, shape, dtype) -> Value:
    perm = list(range(len(shape)))
    d.random.shuffle(perm)
    if len(shape) == 2:
        perm = [1, 0]
    stored = [0] * len(shape)
    for i, p in enumerate(perm):
        stored[p] = shape[i]
    return d.node("Transpose", [d.weight(stored, dtype)], perm=perm)


def sliced(d: Drawing, shape, dtype) -> Value:
    if not shape:
        raise Reject
    axis = 0 if d.chance(0.6) else d.random.randrange(len(shape))
    before, after = d.random.randrange(3), d.random.randrange(3)
    stored = list(shape)
    stored[axis] += before + after
    if d.opset >= 10:
        parameters = [("starts", [before]), ("ends", [before + shape[axis]]), ("axes", [axis])]
    else:
        parameters = [("starts", [before]), ("ends", [before + shape[axis]]), ("axes", [axis])]
    return d.move("Slice", d.weight(stored, dtype), parameters, 10)


def concatenated(d: Drawing, shape, dtype) -> Value:
    axis = 0 if d.chance(0.7) else d.random.randrange(max(len(shape), 1))
    if not shape or shape[axis] < 2:
        raise Reject
    cut = d.random.randrange(1, shape[axis])
    parts = []
    for n in (cut, shape[axis] - cut):
        part = list(shape)
        part[axis] = n
        parts.append(d.weight(part, dtype, dress=d.chance(0.3)))
    return d.node("Concat", parts, axis=axis)


def squeezed(d: Drawing, shape, dtype) -> Value:
    axis = d.random.randrange(len(shape) + 1)
    stored = list(shape)
    stored.insert(axis, 1)
    value = d.weight(stored, dtype)
    if d.chance(0.25) and 1 not in shape:
        axes = [("axes", [])] if d.opset >= 13 and d.chance(0.02) else []  # an empty list, or none
        return d.move("Squeeze", value, axes, 13)
    return d.move("Squeeze", value, [("axes", [axis])], 13)


def unsqueezed(d: Drawing, shape, dtype) -> Value:
    ones = [i for i, n in enumerate(shape) if n == 1]
    axis = d.pick(ones)
    stored = list(shape)
    del stored[axis]
    return d.move("Unsqueeze", d.weight(stored, dtype), [("axes", [axis])], 13)


def reshaped(d: Drawing, shape, dtype) -> Value:
    n = int(np.prod(shape))
    if d.chance(0.4) and len(shape) == 2 and n:
        split = d.pick([f for f in range(1, shape[1] + 1) if shape[1] % f == 0])
        return d.node("Flatten", [d.weight((shape[0], split, shape[1] // split), dtype)], axis=1)
    stored = (n,) if d.chance(0.3) or not shape else (shape[-1], n // max(shape[-1], 1))
    target = list(shape)
    if target and d.chance(0.3) and n:
        target[d.random.randrange(len(target))] = -1
    return d.node("Reshape", [d.weight(stored, dtype), d.plain(np.array(target, np.int64))])


def cast(d: Drawing, shape, dtype) -> Value:
    others = [t for t in (np.float16, np.float32, np.float64, BFLOAT16) if np.dtype(t) != dtype]
    if d.opset < 13:
        others.remove(BFLOAT16)
    other = np.dtype(d.pick(others))
    array = d.fill(shape, np.float32 if other == BFLOAT16 else other).astype(other)
    if not np.isfinite(array.astype(np.float64)).all():
        raise Reject
    d.tags.append(str(other))
    return d.cast(d.store(array), dtype)


def passed(d: Drawing, shape, dtype) -> Value:
    return d.node("Identity", [d.weight(shape, dtype)])


def scaled(d: Drawing, shape, dtype) -> Value:
    """Arithmetic on constants alone, as of normalized weights."""
    op = d.pick(["Mul", "Add", "Sub", "Div"])
    column = (shape[0],) + (1,) * (len(shape) - 1) if shape and d.chance(0.5) else ()
    other = d.store((d.numpy.uniform(0.5, 2, column)).astype(dtype))
    return d.node(op, [d.weight(shape, dtype), other])


def normalized(d: Drawing, shape, dtype) -> Value:
    """Weight normalization: by the norms of channels, or by one norm."""
    value = d.weight(shape, dtype)
    channel = d.random.randrange(len(shape) + 1)
    axes = [axis for axis in range(len(shape)) if axis != channel]
    if not axes:
        raise Reject
    op = d.pick(["ReduceL2", "ReduceL1"])
    names, attributes = d.axes("axes", axes, 18)
    norm = d.node(op, [value, *names], keepdims=1, **attributes)
    if d.chance(0.5):
        return d.node("Mul", [value, d.node("Div", [d.store(np.array(2, dtype)), norm])])
    return d.node("Div", [value, norm])


def merged(d: Drawing, shape, dtype) -> Value:
    """Computed of several constants: with a product of two, masked, standardized, rounded in training."""
    value, kind = d.weight(shape, dtype), d.random.randrange(4)
    number = lambda x: d.store(np.array(x, dtype))  # noqa: E731
    if kind == 0 and len(shape) == 2:
        rank = d.random.randrange(1, 5)
        low, high = (d.store(d.numpy.standard_normal(s).astype(dtype)) for s in ((shape[0], rank), (rank, shape[1])))
        return d.node("Add", [value, d.node("MatMul", [low, high])])
    if kind == 1:
        mask = d.store(d.numpy.random(shape) < 0.6)
        return d.node("Mul", [value, d.cast(mask, dtype)])
    if kind == 2 and shape:
        names, attributes = d.axes("axes", [d.random.randrange(len(shape))], 18)
        centered = d.node("Sub", [value, d.node("ReduceMean", [value, *names], keepdims=1, **attributes)])
        return d.node("Div", [centered, d.node("Exp", [d.node("ReduceMean", [d.node("Abs", [value])], keepdims=0)])])
    if kind == 3 and d.opset >= 11:
        step = d.store(d.numpy.uniform(0.01, 0.02, shape[:1] + (1,) * (len(shape) - 1)).astype(dtype))
        rounded = d.node("Round", [d.node("Div", [value, step])])
        return d.node("Mul", [d.node("Clip", [rounded, number(-127), number(127)]), step])
    raise Reject


def turned_discrete(d: Drawing, shape, dtype) -> Value:
    """A constant through an operator whose result must not move."""
    value = d.weight(shape, dtype)
    kind = d.random.randrange(6)
    if kind == 0:
        return d.node("Floor", [d.node("Mul", [value, d.store(np.array(8, dtype))])])
    if kind == 1 and d.opset >= 11:
        return d.node("Round", [d.node("Mul", [value, d.store(np.array(4, dtype))])])
    if kind == 2:
        return d.cast(d.cast(d.node("Mul", [value, d.store(np.array(8, dtype))]), np.int32), dtype)
    if kind == 3 and d.opset >= 9:
        return d.cast(d.node("Greater", [value, d.store(np.array(0.1, dtype))]), dtype)
    if kind == 4:
        return d.node("Log", [d.node("Add", [d.node("Abs", [value]), d.store(np.array(1e-3, dtype))])])
    return d.node("Reciprocal", [d.node("Add", [d.node("Abs", [value]), d.store(np.array(1e-2, dtype))])])


def dequantized(d: Drawing, shape, dtype) -> Value:
    """A weight that is quantized already."""
    if d.opset < 13 or len(shape) < 1 or (dtype != np.float32 and d.opset < 19) or dtype == np.float64:
        raise Reject
    kind = d.pick([np.int8, np.uint8])
    low = -127 if kind == np.int8 else 0
    axis = d.random.randrange(len(shape))
    q = d.store(d.numpy.integers(low, low + 254, shape).astype(kind))
    per_axis = d.chance(0.6)
    scale = d.numpy.uniform(0.001, 0.02, shape[axis] if per_axis else ()).astype(dtype)
    inputs = [q, d.store(scale)]
    if kind == np.uint8 or d.chance(0.5):
        inputs.append(d.store(np.full(scale.shape, 0 if kind == np.int8 else 128, kind)))
    return d.node("DequantizeLinear", inputs, **({"axis": axis} if per_axis else {}))


WAYS = [
    transposed, transposed, sliced, sliced, concatenated, concatenated, squeezed, unsqueezed, reshaped,
    cast, cast, passed, scaled, normalized, merged, merged, turned_discrete, dequantized,
]  # fmt: skip
