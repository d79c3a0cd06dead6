"""The operator tests that come with the onnx package, as models for onnxq, and what it may make of them."""

import functools
import json
import os
import pickle
import subprocess
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, checker, helper, numpy_helper, version_converter
from onnx.backend.test import loader
from onnx.reference import ReferenceEvaluator

import common
import patterns
import structure
from patterns import View

KINDS = ("node", "simple", "pytorch-converted", "pytorch-operator")
MAX_IR_VERSION = 13  # the newest that ONNX Runtime 1.31 loads
MAX_OPSET = 26  # the newest of which it knows all operators
MIN_OPSET = 7  # the oldest that onnxq takes
OTHER_OPSETS = (9, 21)  # what older models are converted to, in addition
PROTOS = {
    "tensor_type": TensorProto,
    "sequence_type": onnx.SequenceProto,
    "optional_type": onnx.OptionalProto,
}
CHUNK = 128  # models that one call of onnxq takes

# type of a tensor -> what float arithmetic in it may differ by, relative to the largest value
PRECISION = {
    TensorProto.DOUBLE: 1e-5,  # onnxq computes in float32
    TensorProto.FLOAT: 1e-5,
    TensorProto.FLOAT16: 2e-3,
    TensorProto.BFLOAT16: 2e-2,
}
# type -> half a unit in the last place
ROUNDING = {TensorProto.FLOAT16: 2.0**-11, TensorProto.BFLOAT16: 2.0**-8}


@dataclass(frozen=True)
class Configuration:
    """Options of onnxq, and what they promise."""

    flags: tuple[str, ...]
    levels: float = 127  # steps from zero to the largest weight, or from the smallest to the largest
    off_by: float = 0.5  # steps that a weight may be off by
    symmetric: bool = True
    per_channel: bool = True
    percent: float = 1  # error of an output, where the engine rounds activations on its own
    rounds_activations: bool = False  # the engine does so where it optimizes
    forms: frozenset[str] = frozenset()  # what has to occur in the outputs


@dataclass(frozen=True)
class Case:
    """A model of the suite, perhaps with some inputs made constants."""

    name: str
    model: bytes
    feeds: dict


@dataclass
class Verdict:
    """What became of a case."""

    case: str
    kind: str
    message: str = ""
    forms: Counter = field(default_factory=Counter)


NOTHING, AGREES, NOT_RUN, FAILED = "nothing to quantize", "agrees", "does not run as it was", "failed"


# --- the suite --------------------------------------------------------------------------------------------


def to_value(data):
    """What ONNX Runtime is fed with."""
    if isinstance(data, TensorProto):
        return numpy_helper.to_array(data)
    if isinstance(data, onnx.SequenceProto):
        return numpy_helper.to_list(data)
    if isinstance(data, onnx.OptionalProto):
        return numpy_helper.to_optional(data)
    return data if data is None or isinstance(data, list) else np.asarray(data)


def load_feeds(folder: Path, inputs: list[onnx.ValueInfoProto]) -> dict:
    """test_data_set_0 of a model on the disk."""
    feeds = {}
    for index, info in enumerate(inputs):
        proto = PROTOS[info.type.WhichOneof("value")]()
        proto.ParseFromString((folder / "test_data_set_0" / f"input_{index}.pb").read_bytes())
        feeds[info.name] = to_value(proto)
    return feeds


def accepts(model: onnx.ModelProto, full_check: bool) -> bool:
    try:
        checker.check_model(model, full_check=full_check)
    except Exception:
        return False
    return True


def attempt(function, *arguments):
    """The result, and what went wrong instead."""
    try:
        return function(*arguments), ""
    except Exception as error:
        return None, (str(error) or repr(error)).strip().split("\n")[0][-300:]


def free_inputs(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    constants = {t.name for t in model.graph.initializer}
    return [i for i in model.graph.input if i.name not in constants]


def opset(model: onnx.ModelProto) -> int:
    return max((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), default=0)


def in_version(model: onnx.ModelProto, version: int) -> onnx.ModelProto:
    """The model converted to a newer opset, or marked as one of an older opset."""
    if opset(model) < version:
        return version_converter.convert_version(model, version)
    made = onnx.ModelProto()
    made.CopyFrom(model)
    made.ir_version = min(made.ir_version, MAX_IR_VERSION)
    next(o for o in made.opset_import if o.domain in ("", "ai.onnx")).version = version
    return made


def in_other_versions(model: onnx.ModelProto) -> Iterator[tuple[str, onnx.ModelProto]]:
    """The model as one of another opset, where onnxq or ONNX Runtime does not take its own."""
    too_old, too_new = 0 < opset(model) < MIN_OPSET, opset(model) > MAX_OPSET
    for version in OTHER_OPSETS if too_old else (MAX_OPSET,) if too_new else ():
        made, _ = attempt(in_version, model, version)
        if made is not None and accepts(made, full_check=True):
            yield f"opset {version}", made


def originals() -> Iterator[tuple[str, onnx.ModelProto, dict]]:
    """Every model of the suite with what it is fed."""
    for kind in KINDS:
        for test in loader.load_model_tests(kind=kind):
            if test.model is not None:
                model, values = test.model, map(to_value, test.data_sets[0][0])
                feeds = dict(zip([i.name for i in model.graph.input], values))
            else:
                model = onnx.load(Path(test.model_dir, "model.onnx"))
                feeds = load_feeds(Path(test.model_dir), free_inputs(model))
            yield test.name, model, feeds
            for suffix, made in in_other_versions(model):
                yield f"{test.name} {suffix}", made, feeds


def can_freeze(info: onnx.ValueInfoProto, value) -> bool:
    """A float tensor of two elements or more."""
    elem_type = info.type.tensor_type.elem_type
    return (
        info.type.HasField("tensor_type")
        and elem_type in PRECISION
        and isinstance(value, np.ndarray)
        and value.dtype == helper.tensor_dtype_to_np_dtype(elem_type)
        and value.size >= 2
    )


def frozen(model: onnx.ModelProto, feeds: dict, names: set[str]) -> tuple[onnx.ModelProto, dict]:
    """The model with these inputs as constants."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    made.ir_version = max(made.ir_version, 4)
    inputs = [i for i in made.graph.input if i.name not in names]
    del made.graph.input[:]
    made.graph.input.extend(inputs)
    made.graph.initializer.extend(numpy_helper.from_array(feeds[name], name) for name in sorted(names))
    return made, {name: value for name, value in feeds.items() if name not in names}


def variants(model: onnx.ModelProto, feeds: dict) -> Iterator[tuple[str, onnx.ModelProto, dict]]:
    """The model itself; each float input frozen; all but the first input; all."""
    yield "", model, feeds
    inputs = free_inputs(model)
    names = [i.name for i in inputs if can_freeze(i, feeds.get(i.name))]
    sets = [{name} for name in names]
    for more in (set(names) - {inputs[0].name} if inputs else set(), set(names)):
        if more and more not in sets:
            sets.append(more)
    for chosen in sets:
        yield f"[{' '.join(sorted(chosen))}]", *frozen(model, feeds, chosen)


def load_cases() -> list[Case]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the suite computes infinities on purpose
        return [
            Case(f"{name}{suffix}", made.SerializeToString(), values)
            for name, model, feeds in originals()
            for suffix, made, values in variants(model, feeds)
        ]


# --- what a value is, and how it is stored ----------------------------------------------------------------


@dataclass
class Stored:
    """A constant as it is after quantization: values, scales, and for each value the number of its scale."""

    value: np.ndarray
    scale: np.ndarray
    group: np.ndarray


def stored_along(value: np.ndarray, scale: np.ndarray) -> Stored:
    """Scales that broadcast to the values."""
    numbers = np.arange(scale.size).reshape(scale.shape)
    return Stored(value, scale.reshape(-1), np.broadcast_to(numbers, value.shape))


def stored_in_blocks(value: np.ndarray, scale: np.ndarray, axis: int, size: int) -> Stored:
    """A scale for `size` values along one axis, the last ones perhaps fewer."""
    numbers = np.arange(scale.size).reshape(scale.shape).repeat(size, axis)
    return Stored(value, scale.reshape(-1), numbers.take(range(value.shape[axis]), axis))


def ancestors(view: View, name: str, found: dict) -> dict:
    """What computes `name` from constants: name -> tensor or node; KeyError where it is no constant."""
    if not name or name in found:
        return found
    if name in view.initializer:
        found[name] = view.initializer[name]
        return found
    node = view.producer[name]
    for inner in node.input:
        ancestors(view, inner, found)
    found[name] = node
    return found


def constant_value(view: View, name: str, imports: list) -> np.ndarray | None:
    """What a name is, if it depends on constants only; computed by onnx."""
    if name in view.initializer:
        return numpy_helper.to_array(view.initializer[name])
    try:
        found = ancestors(view, name, {})
    except KeyError:
        return None
    nodes, tensors = [], []
    for item in found.values():
        if isinstance(item, TensorProto):
            tensors.append(item)
        elif item not in nodes:
            nodes.append(item)
    output = helper.make_value_info(name, onnx.TypeProto())
    graph = helper.make_graph(nodes, "constants", [], [output], tensors)
    return ReferenceEvaluator(helper.make_model(graph, opset_imports=imports)).run(None, {})[0]


def along(scale: np.ndarray, axis: int, rank: int) -> np.ndarray:
    """A vector of scales so that it broadcasts along an axis."""
    shape = [-1 if i == axis else 1 for i in range(rank)]
    return scale.reshape(() if scale.size == 1 else shape)


def stored_at(view: View, name: str, imports: list) -> Stored:
    """A constant that the graph turns back into float: [Cast of] Mul(.., scale) or DequantizeLinear."""
    value = constant_value(view, name, imports)
    node = view.node(name, "Cast", "Mul", "DequantizeLinear")
    if node.op_type == "Cast":
        node = view.node(node.input[0], "Mul", "DequantizeLinear")
    scale = view.constant(node.input[1])
    if node.op_type == "Mul":
        return stored_along(value, scale)
    attributes = patterns.attributes(node)
    axis = attributes.get("axis", 1) % max(value.ndim, 1)
    if attributes.get("block_size"):
        return stored_in_blocks(value, scale, axis, attributes["block_size"])
    return stored_along(value, along(scale, axis, value.ndim))


def probe(view: View, node: onnx.NodeProto, index: int, value: np.ndarray, n_inputs: int) -> np.ndarray:
    """What ONNX Runtime makes of a value as this input, the others of the first ones being constants."""
    inputs = list(node.input[:n_inputs])
    inputs[index] = "probe"
    tensors = [numpy_helper.from_array(view.constant(n), n) for n in inputs if n not in ("", "probe")]
    made = onnx.NodeProto()
    made.CopyFrom(node)
    del made.input[:]
    made.input.extend(inputs)
    info = helper.make_tensor_value_info("probe", helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
    graph = helper.make_graph([made], "probe", [info], [onnx.ValueInfoProto(name=made.output[0])], tensors)
    imports = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    return run(helper.make_model(graph, opset_imports=imports), {"probe": value}, "disabled")[0]


def check_rounding(name: str, w: np.ndarray, stored: Stored, configuration: Configuration) -> None:
    """Steps are as small as the range of each group allows, and no weight is off by more."""
    assert stored.value.shape == w.shape and stored.value.dtype == w.dtype, f"{name}: other shape or type"
    w, value, scale = (np.asarray(a, np.float64) for a in (w, stored.value, stored.scale))
    group = stored.group
    has_16_bits = (np.abs(value) > 300 * scale[group]).any()  # which have a scale for each channel
    if not configuration.per_channel and not has_16_bits:
        assert np.unique(scale).size == 1, f"{name}: more than one scale"
        scale, group = scale[:1], np.zeros_like(group)
    low, high = np.zeros_like(scale), np.zeros_like(scale)
    np.minimum.at(low, group, w)
    np.maximum.at(high, group, w)
    span = np.maximum(-low, high) if configuration.symmetric else high - low
    tiny = np.finfo(np.float32).tiny * configuration.levels * 2
    step = span / configuration.levels
    wide = (np.abs(scale) > step * (1 + 1e-5)) & (span > tiny)
    assert not wide.any(), f"{name}: steps of {scale}, the range needs {step}"
    rounding = ROUNDING.get(helper.np_dtype_to_tensor_dtype(stored.value.dtype), 2.0**-23)
    step = np.minimum(np.abs(scale), step) * configuration.off_by * (1 + 1e-4)
    worst = np.max(np.abs(w - value) - step[group] - np.abs(value) * rounding, initial=-np.inf)
    assert worst <= tiny, f"{name}: a weight is off by {worst} more than {configuration.off_by} of a step"


# --- the model that a quantized one has to agree with -----------------------------------------------------


BLOCK_PRODUCTS = ("com.microsoft.MatMulNBits", "com.microsoft.MatMulBnb4")
NF4_STEP = np.float32(1 - 0.6961928)  # from the largest value of the type to the next


def behind(view: View, name: str, *op_types: str) -> onnx.NodeProto | None:
    """One of these operators, where only a Cast or the addition of a bias lies between it and a value."""
    while name in view.producer:
        node = view.producer[name]
        if patterns.op_name(node) in op_types:
            return node
        if patterns.op_name(node) not in ("Cast", "Add"):
            return None
        name = node.input[0]
    return None


def dequantize(q: np.ndarray, scale: np.ndarray, zero_point: np.ndarray | None = None) -> np.ndarray:
    """(q - zero point) * scale, in float32."""
    steps = q.astype(np.float32) - np.float32(0 if zero_point is None else zero_point)
    return steps * scale


class Expectation:
    """
    The original model with the values in it that the quantized one stores; products that are done in
    integers have a rounded activation as well. What is left of the difference is float arithmetic.
    """

    def __init__(self, original: onnx.ModelProto, quantized: onnx.ModelProto, configuration: Configuration):
        self.configuration = configuration
        self.imports = original.opset_import
        # onnx computes only the newer versions of DequantizeLinear; they mean the same.
        self.imports_after = [helper.make_opsetid("", max(opset(quantized), 21))]
        self.forms: Counter = Counter()
        self.exact = True  # activations are rounded nowhere but where the model says so
        self.model = onnx.ModelProto()
        self.model.CopyFrom(original)
        self.compare(self.model.graph, View(original.graph), View(quantized.graph))
        assert self.forms, "written, but nothing in it is quantized"
        # A difference in float arithmetic behind one product can be a whole step of the next activation.
        self.exact &= sum(self.forms[form] for form in ("MatMulInteger", "ConvInteger")) < 2

    def compare(self, graph: onnx.GraphProto, before: View, after: View) -> None:
        """Goes through a graph, which is a copy of that of `before`, and changes it."""
        for tensor in graph.initializer:
            self.compare_constant(tensor.name, tensor, after)
        nodes, tensors = [], []
        for node in graph.node:
            if node.op_type == "Constant" and node.domain in ("", "ai.onnx"):
                if node.attribute[0].name == "value":
                    self.compare_constant(node.output[0], node.attribute[0].t, after)
                nodes.append(node)
                continue
            made = after.producer.get(next(name for name in node.output if name))
            if made is None:
                value = constant_value(before, node.output[0], self.imports)
                assert value is not None, f"{node.op_type} is gone"
                nodes.append(node)
            elif patterns.op_name(made) == patterns.op_name(node):
                self.compare_node(node, made, before, after)
                nodes.append(node)
            else:
                more = self.replace(node, made, before, after)
                nodes += more[0]
                tensors += more[1]
        nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
        del graph.node[:]
        graph.node.extend(nodes)
        graph.initializer.extend(tensors)

    def compare_constant(self, name: str, tensor: TensorProto, after: View) -> None:
        """A constant is still there, or is folded, or has left with all who used it."""
        w = numpy_helper.to_array(tensor)
        if after.is_constant(name):
            same = after.constant(name)
            assert same.dtype == w.dtype and same.shape == w.shape, f"{name}: other shape or type"
            assert same.tobytes() == w.tobytes() or w.dtype == object, f"{name} changed"
        elif name in after.producer:
            stored = stored_at(after, name, self.imports_after)
            check_rounding(name, w, stored, self.configuration)
            tensor.CopyFrom(numpy_helper.from_array(stored.value, tensor.name))
            self.forms[after.node(name).op_type] += 1

    def compare_node(self, node: onnx.NodeProto, made: onnx.NodeProto, before: View, after: View) -> None:
        """A node that is not rewritten stays as it is, but for what is in its bodies."""
        assert list(made.input) == list(node.input), f"inputs of {node.op_type} changed"
        assert list(made.output) == list(node.output), f"outputs of {node.op_type} changed"
        bodies = list(patterns.subgraphs(node))
        if not bodies:
            assert made == node, f"{node.op_type} changed"
        inner = zip(bodies, before.inner(node), after.inner(made), strict=True)
        for graph, view_before, view_after in inner:
            self.compare(graph, view_before, view_after)

    # --- operators that are done in integers ---

    def replace(self, node, made, before, after) -> tuple[list, list]:
        """Nodes and constants that compute in float what the rewritten operator has to give."""
        ways = {"LSTM": self.lstm, "Gather": self.gather, "MatMul": self.product, "Gemm": self.product}
        ways["Conv"] = self.convolution
        assert node.op_type in ways, f"{node.op_type} became {patterns.op_name(made)}"
        return ways[node.op_type](node, made, before, after)

    def checked(self, node: onnx.NodeProto, index: int, stored: Stored, before: View) -> TensorProto:
        """The values as a new constant, once they are known to be those of this input of the node."""
        w = constant_value(before, node.input[index], self.imports)
        assert w is not None, f"input {index} of {node.op_type} is no constant"
        rounded = Stored(stored.value.astype(w.dtype), stored.scale, stored.group)
        check_rounding(node.input[index], w, rounded, self.configuration)
        return numpy_helper.from_array(stored.value, f"{node.output[0]}/{index}")

    def product(self, node, made, before, after) -> tuple[list, list]:
        """MatMul or Gemm, with the weight on either side."""
        attributes = patterns.attributes(node)
        packed = behind(after, node.output[0], *BLOCK_PRODUCTS)
        if packed is None:
            match = patterns.match(after, node.output[0])
            rounded = match.form == "dynamic"
            self.exact &= rounded
            self.forms[match.node.op_type] += 1
            x, stored = match.x, stored_along(dequantize(match.q, match.scale, match.zero_point), match.scale)
        else:
            rounded = False
            self.forms[packed.op_type] += 1
            x, stored = packed.input[0], self.unpack(packed, after)
        if attributes.get("alpha", 1) != 1:
            alpha = np.float32(attributes["alpha"])
            stored = Stored(stored.value / alpha, stored.scale / alpha, stored.group)
        while x not in node.input:
            x = after.node(x, "Cast", "Transpose").input[0]
        index = 1 if x == node.input[0] else 0
        if bool(attributes.get("transB" if index == 1 else "transA", 0)) == (index == 1):
            stored = Stored(stored.value.swapaxes(-1, -2), stored.scale, stored.group.swapaxes(-1, -2))
        return self.in_float(node, index, stored, before, rounded)

    @staticmethod
    def unpack(node: onnx.NodeProto, after: View) -> Stored:
        """The weight [K, N] of an operator that has it in blocks along K."""
        attributes = patterns.attributes(node)
        k, n, size = (attributes[name] for name in ("K", "N", "block_size"))
        value = probe(after, node, 0, np.eye(k, dtype=np.float32), 5)  # without a bias
        scale = after.constant(node.input[2]).reshape(-1)
        if node.op_type == "MatMulBnb4":  # blocks go on into the next row
            return Stored(value, scale * NF4_STEP, np.arange(n * k).reshape(n, k).T // size)
        return stored_in_blocks(value, scale.reshape(n, -1).T, 0, size)

    def convolution(self, node, made, before, after) -> tuple[list, list]:
        """Conv as ConvInteger, or as MatMulInteger with the weight [C, O]."""
        match = patterns.match(after, node.output[0])
        q = match.q
        if match.form == "dynamic":
            q = q.T.reshape(constant_value(before, node.input[1], self.imports).shape)
        scale = along(match.scale, 0, q.ndim)
        zero_point = None if match.zero_point is None else along(match.zero_point, 0, q.ndim)
        self.forms[match.node.op_type] += 1
        return self.in_float(node, 1, stored_along(dequantize(q, scale, zero_point), scale), before, True)

    def in_float(self, node, index: int, stored: Stored, before: View, rounded: bool) -> tuple[list, list]:
        """The node in float32 with another weight, and with its activation rounded to 8 bits."""
        weight = self.checked(node, index, stored, before)
        y = node.output[0]
        names = [f"{y}/x", f"{y}/q", f"{y}/scale", f"{y}/zero_point", f"{y}/rounded", f"{y}/c", f"{y}/y"]
        x, q, scale, zero_point, dequantized, c, result = names
        nodes = [helper.make_node("Cast", [node.input[1 - index]], [x], to=TensorProto.FLOAT)]
        if rounded:
            nodes += [
                helper.make_node("DynamicQuantizeLinear", [x], [q, scale, zero_point]),
                helper.make_node("DequantizeLinear", [q, scale, zero_point], [dequantized]),
            ]
        inputs = [dequantized if rounded else x, weight.name]
        inputs = inputs[::-1] if index == 0 else inputs
        if len(node.input) > 2 and node.input[2]:
            nodes.append(helper.make_node("Cast", [node.input[2]], [c], to=TensorProto.FLOAT))
            inputs.append(c)
        nodes.append(helper.make_node(node.op_type, inputs, [result]))
        nodes[-1].attribute.extend(node.attribute)
        dtype = constant_value(before, node.input[index], self.imports).dtype
        nodes.append(helper.make_node("Cast", [result], [y], to=helper.np_dtype_to_tensor_dtype(dtype)))
        return nodes, [weight]

    def gather(self, node, made, before, after) -> tuple[list, list]:
        """Rows that are turned into float once they are gathered."""
        packed = behind(after, node.output[0], "com.microsoft.GatherBlockQuantized")
        stored = self.rows(node, after) if packed is None else self.packed_rows(packed, after)
        table = self.checked(node, 0, stored, before)
        dtype = constant_value(before, node.input[0], self.imports).dtype
        table.CopyFrom(numpy_helper.from_array(stored.value.astype(dtype), table.name))
        changed = onnx.NodeProto()
        changed.CopyFrom(node)
        changed.input[0] = table.name
        self.forms["rows" if packed is None else packed.op_type] += 1
        return [changed], [table]

    @staticmethod
    def rows(node: onnx.NodeProto, after: View) -> Stored:
        """[Cast of] Mul(Cast(rows), scales of the rows), perhaps with zero points of the rows in between."""

        def table(name: str) -> np.ndarray:
            return after.constant(after.node(name).input[0] if after.made_by(name, "Gather") else name)

        made = after.node(node.output[0], "Cast", "Mul")
        if made.op_type == "Cast":
            made = after.node(made.input[0], "Mul")
        value, scale = made.input[0], table(made.input[1])
        zero_point = None
        if after.made_by(value, "Sub"):
            value, zero_name = after.node(value).input
            zero_point = table(zero_name)
        gathered = after.node(after.node(value, "Cast").input[0], "Gather")
        return stored_along(dequantize(after.constant(gathered.input[0]), scale, zero_point), scale)

    @staticmethod
    def packed_rows(node: onnx.NodeProto, after: View) -> Stored:
        """All rows that GatherBlockQuantized has."""
        attributes = patterns.attributes(node)
        scale = after.constant(node.input[2])
        axis = attributes.get("quantize_axis", 1) % scale.ndim
        n = after.constant(node.input[0]).shape[attributes.get("gather_axis", 0)]
        value = probe(after, node, 1, np.arange(n), len(node.input))
        return stored_in_blocks(value, scale, axis, attributes.get("block_size", 128))

    def lstm(self, node, made, before, after) -> tuple[list, list]:
        """Both weights of com.microsoft DynamicQuantizeLSTM."""
        assert patterns.op_name(made) == "com.microsoft.DynamicQuantizeLSTM", made.op_type
        changed = onnx.NodeProto()
        changed.CopyFrom(node)
        tensors = []
        for index, at in ((1, 8), (2, 10)):
            assert not after.constant(made.input[at + 1]).any(), "zero points"
            scale = after.constant(made.input[at])[..., np.newaxis]
            q = after.constant(made.input[index]).swapaxes(1, 2)
            tensors.append(self.checked(node, index, stored_along(dequantize(q, scale), scale), before))
            changed.input[index] = tensors[-1].name
        self.exact = False
        self.forms["DynamicQuantizeLSTM"] += 1
        return [changed], tensors


# --- comparing --------------------------------------------------------------------------------------------


def run(model: onnx.ModelProto, feeds: dict, level: str) -> list:
    if model.ir_version > MAX_IR_VERSION:
        copy = onnx.ModelProto()
        copy.CopyFrom(model)
        copy.ir_version = MAX_IR_VERSION
        model = copy
    return common.session(model, level).run(None, feeds)


def without_accuracy_level(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in which the engine does not round the activations of MatMulNBits."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for node in patterns.all_nodes(copy.graph):
        if node.op_type == "MatMulNBits":
            kept = [a for a in node.attribute if a.name != "accuracy_level"]
            del node.attribute[:]
            node.attribute.extend(kept)
    return copy


def difference(want, got, precision: float, percent: float) -> str:
    """What differs between two outputs, or nothing; with `percent` also as much of the whole output."""
    if isinstance(want, list):
        if not isinstance(got, list) or len(want) != len(got):
            return "sequences differ in length"
        parts = (difference(*pair, precision, percent) for pair in zip(want, got, strict=True))
        return next(filter(None, parts), "")
    if want is None or got is None:
        return "" if want is got else "one of them is None"
    want, got = np.asarray(want), np.asarray(got)
    if (want.shape, want.dtype) != (got.shape, got.dtype):
        return f"{got.dtype}{got.shape} instead of {want.dtype}{want.shape}"
    if want.dtype.kind != "f":
        return "" if np.array_equal(want, got) else f"{np.sum(want != got)} of {want.size} elements differ"
    want, got = want.astype(np.float64), got.astype(np.float64)
    size = np.abs(want[np.isfinite(want)]).max(initial=0)
    if np.allclose(got, want, precision, precision * size, equal_nan=True):
        return ""
    if 0 < common.relative_error([want], [got]) <= percent:
        return ""
    return f"off by {np.nanmax(np.abs(got - want))}, the largest value is {size}"


def precision(model: onnx.ModelProto) -> float:
    """Of the least precise type that the model uses."""
    infos = (*model.graph.input, *model.graph.output)
    types = {i.type.tensor_type.elem_type for i in infos} | {t.data_type for t in patterns.constants(model)}
    return max(PRECISION.get(elem_type, 0) for elem_type in (*types, TensorProto.FLOAT))


def check_structure(original: onnx.ModelProto, model: onnx.ModelProto) -> None:
    """onnx's checker says of the output what it says of the original; the rest holds for every output."""
    foreign = structure.domains(model) - structure.domains(original) - {""}
    if accepts(original, True) and not foreign:
        checker.check_model(model, full_check=True)
    elif accepts(original, False):
        checker.check_model(model)
    structure.check_interface(original, model)
    structure.check_imports(original, model)
    structure.check_new_names(original, model)
    structure.check_unused(original, model)
    structure.check_value_info(original, model)
    structure.check_metadata(original, model)


def check(case: Case, quantized: bytes, configuration: Configuration) -> Verdict:
    """Compares what onnxq made of a model with what it should have made."""
    original, model = onnx.load_from_string(case.model), onnx.load_from_string(quantized)
    _, wrong = attempt(check_structure, original, model)
    if wrong:
        return Verdict(case.name, FAILED, f"structure: {wrong}")
    expectation, wrong = attempt(Expectation, original, model, configuration)
    if wrong:
        return Verdict(case.name, FAILED, f"weights: {wrong}")
    verdict = functools.partial(Verdict, case.name, forms=expectation.forms)
    want, unexpected = attempt(run, expectation.model, case.feeds, "disabled")
    if unexpected:
        _, wrong = attempt(run, original, case.feeds, "disabled")
        return verdict(NOT_RUN, wrong) if wrong else verdict(FAILED, f"only the original runs: {unexpected}")
    exact_model = without_accuracy_level(model)
    for level, made in (("disabled", exact_model), ("all", model)):
        got, wrong = attempt(run, made, case.feeds, level)
        if wrong:
            return verdict(FAILED, f"does not run: {wrong}")
        rounded = level == "all" and (configuration.rounds_activations or exact_model != model)
        percent = configuration.percent if rounded or not expectation.exact else 0
        wrong = difference(want, got, precision(expectation.model), percent)
        if wrong:
            return verdict(FAILED, f"level {level}: {wrong}")
    return verdict(AGREES)


def start_worker() -> None:
    """For the processes that call check_chunk()."""
    os.environ["ALLOW_RELEASED_ONNX_OPSET_ONLY"] = "0"  # ONNX Runtime also loads the opset in the making
    ort.set_default_logger_severity(4)
    warnings.simplefilter("ignore")


def quantize(onnxq: str, flags: tuple[str, ...], paths: list[Path], folder: Path) -> list[Path | str | None]:
    """Quantizes models into a folder: for each the output, None if nothing was to do, or what went wrong."""
    command = [onnxq, "quantize", "--no-sync", "--threads=1", "--min-elements=1", *flags]
    report = folder / "report.json"
    done = subprocess.run([*command, f"--json={report}", "-d", folder, *paths], capture_output=True)
    listed = {r["input"]: r for r in (json.loads(report.read_text()) if report.exists() else [])}
    results: list[Path | str | None] = []
    for path in paths:
        said = listed.get(str(path))
        if said and said["output"] and Path(said["output"]).exists():
            results.append(Path(said["output"]))
        elif said and not said["output"] and not said["summary"]["quantized"]:
            results.append(None)
        else:
            results.append(quantize_one(command, path, folder / path.name))
    stray = set(folder.iterdir()) - {report, *results}
    if stray:
        results[0] = f"left behind: {sorted(path.name for path in stray)}"
    if done.returncode not in (0, 5) and not any(isinstance(result, str) for result in results):
        results[0] = f"exit {done.returncode} for {len(paths)} models at once, but not for any of them alone"
    return results


def quantize_one(command: list[str], path: Path, output: Path) -> Path | str | None:
    done = subprocess.run([*command, path, output], capture_output=True, text=True)
    if done.returncode == 5 and not output.exists():
        return None
    return output if done.returncode == 0 else f"exit {done.returncode}: {done.stderr.strip()}"


def check_chunk(chunk: Path, onnxq: str, configuration: Configuration) -> list[Verdict]:
    """Everything for the cases of one folder that save_chunks() made."""
    cases = pickle.loads((chunk / "cases").read_bytes())
    verdicts = []
    with tempfile.TemporaryDirectory(prefix="onnxq-backend-") as folder:
        paths = [chunk / f"{index}.onnx" for index in range(len(cases))]
        for case, result in zip(cases, quantize(onnxq, configuration.flags, paths, Path(folder))):
            if isinstance(result, str):
                verdicts.append(Verdict(case.name, FAILED, result))
            elif result is None:
                verdicts.append(Verdict(case.name, NOTHING))
            else:
                verdicts.append(check(case, result.read_bytes(), configuration))
    return verdicts


def save_chunks(cases: list[Case], folder: Path) -> list[Path]:
    """Folders for check_chunk(), a few cases in each."""
    chunks = []
    for start in range(0, len(cases), CHUNK):
        chunk = folder / str(start)
        chunk.mkdir()
        (chunk / "cases").write_bytes(pickle.dumps(cases[start : start + CHUNK]))
        for index, case in enumerate(cases[start : start + CHUNK]):
            (chunk / f"{index}.onnx").write_bytes(case.model)
        chunks.append(chunk)
    return chunks
