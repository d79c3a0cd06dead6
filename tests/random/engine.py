"""ONNX Runtime on single nodes, whole models, and models whose inner values are looked at."""

from collections.abc import Iterable

import numpy as np
import onnx
import onnxruntime as ort
from onnx import GraphProto, NodeProto, helper, numpy_helper

ort.set_default_logger_severity(4)
ort.disable_telemetry_events()

LEVELS = {
    "disabled": ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "all": ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
}
MICROSOFT = "com.microsoft"


class Refused(Exception):
    """The engine does not load or run this."""


def session(model: onnx.ModelProto | bytes | str, level: str = "all") -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.graph_optimization_level = LEVELS[level]
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    source = model.SerializeToString() if isinstance(model, onnx.ModelProto) else model
    try:
        return ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise Refused(f"does not load ({level}): {error}") from error


def crashes(graph: GraphProto) -> bool:
    """ONNX Runtime 1.31 dies of Transpose -> Cast -> MatMul where the first axis becomes one of the last two."""
    made = {o: n for n in graph.node for o in n.output}

    def is_fatal(cast: NodeProto | None) -> bool:
        turn = made.get(cast.input[0]) if cast is not None and cast.op_type == "Cast" else None
        if turn is None or turn.op_type != "Transpose":
            return False
        perm = next((list(a.ints) for a in turn.attribute if a.name == "perm"), [])
        return len(perm) > 2 and 0 in perm[-2:] and [i for i in perm if i] == sorted(perm)[1:]

    return any(
        (n.op_type == "MatMul" and any(is_fatal(made.get(i)) for i in n.input)) or any(map(crashes, bodies(n)))
        for n in graph.node
    )


def has_lost_a_value(error: Refused) -> bool:
    """Of any float model of that kind.

    ONNX Runtime, to 1.32, gives up too early what two Casts made for a body in a body, unoptimized;
    and where it joins MatMul, Reshape and BatchNormalization, what is between them may be an output.
    """
    text = str(error)
    return ("op_kernel_context.h" in text and "Missing Input" in text) or (
        "Failed to find node output or a constant initializer producing output" in text
    )


def run(made: ort.InferenceSession, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    wanted = {i.name for i in made.get_inputs()}
    try:
        return [np.asarray(a) for a in made.run(None, {k: v for k, v in feeds.items() if k in wanted})]
    except Exception as error:
        raise Refused(f"does not run: {error}") from error


def imports(opset: int) -> list:
    return [helper.make_opsetid("", opset), helper.make_opsetid(MICROSOFT, 1)]


def info(name: str, array: np.ndarray):
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)


def untyped(names: Iterable[str]) -> list[onnx.ValueInfoProto]:
    return [onnx.ValueInfoProto(name=name) for name in names]


def model_of(graph: GraphProto, opset: int, functions=(), ir_version: int | None = None) -> onnx.ModelProto:
    opsets = imports(opset)
    if functions:
        opsets.append(helper.make_opsetid("local", 1))
    least = helper.find_min_ir_version_for(opsets, ignore_unknown=True)
    if functions:
        least = max(least, 8)
    return helper.make_model(
        graph, opset_imports=opsets, ir_version=ir_version or least, functions=list(functions), producer_name="tests"
    )


def run_node(
    node: NodeProto, feeds: dict[str, np.ndarray], constant: set[str], opset: int, functions=()
) -> list[np.ndarray]:
    outputs = [name for name in node.output if name]
    used = [f for f in functions if f.name == node.op_type] if node.domain == "local" else ()
    inputs = [info(n, a) for n, a in feeds.items() if n not in constant]
    tensors = [numpy_helper.from_array(a, n) for n, a in feeds.items() if n in constant]
    graph = helper.make_graph([node], "g", inputs, untyped(outputs), tensors)
    return run(session(model_of(graph, opset, used), "disabled"), feeds)


def bodies(node: NodeProto) -> list[GraphProto]:
    found = [a.g for a in node.attribute if a.type == onnx.AttributeProto.GRAPH]
    return found + [g for a in node.attribute for g in a.graphs]


def captures(node: NodeProto) -> list[str]:
    """What a node reads, its bodies included, in order and once."""
    names = [name for name in node.input if name]
    for body in bodies(node):
        made = {i.name for i in body.input} | {t.name for t in body.initializer}
        for inner in body.node:
            names += [name for name in captures(inner) if name not in made]
            made |= set(inner.output)
        names += [o.name for o in body.output if o.name not in made]
    return list(dict.fromkeys(names))


def all_nodes(graph: GraphProto) -> Iterable[NodeProto]:
    for node in graph.node:
        yield node
        for body in bodies(node):
            yield from all_nodes(body)


def with_outputs(model: onnx.ModelProto, names: Iterable[str]) -> onnx.ModelProto:
    """The same model with these values as its outputs."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.graph.output[:]
    copy.graph.output.extend(untyped(names))
    return copy
