"""A model without bodies and functions: If, Loop and Scan are unrolled as they ran.

What a body makes gets a name that tells body, iteration and its own name, so that a model and what
onnxq made of it can be compared value by value.
"""

import numpy as np
import onnx
from onnx import NodeProto, helper, inliner, numpy_helper

import engine

CONTROL = ("If", "Loop", "Scan")

Decisions = dict[str, object]  # first output of a node -> what it did


def flatten(model: onnx.ModelProto, feeds: dict, decisions: Decisions | None = None):
    """(flat model, decisions). With decisions given, those are taken."""
    if model.functions:
        model = inliner.inline_local_functions(model)
    taken: Decisions = dict(decisions or {})
    while any(node.op_type in CONTROL for node in model.graph.node):
        missing = [n for n in model.graph.node if n.op_type in CONTROL and n.output[0] not in taken]
        for node in missing:
            taken[node.output[0]] = decide(model, node, feeds)
        model = unroll(model, taken)
    return model, taken


def decide(model: onnx.ModelProto, node: NodeProto, feeds: dict):
    name = {"If": node.input[0], "Loop": node.input[0], "Scan": node.input[-1]}[node.op_type]
    part = engine.with_outputs(model, [name])
    value = engine.run(engine.session(part, "disabled"), feeds)[0]
    if node.op_type == "Scan":
        return len(value)
    return bool(value.all()) if node.op_type == "If" else int(value)


def attribute(node: NodeProto, name: str):
    return next(helper.get_attribute_value(a) for a in node.attribute if a.name == name)


class Unrolled:
    """Nodes and initializers of the flat graph as they come."""

    def __init__(self, model: onnx.ModelProto):
        self.opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
        self.nodes: list[NodeProto] = []
        self.tensors = list(model.graph.initializer)

    def constant(self, name: str, array: np.ndarray) -> str:
        self.tensors.append(numpy_helper.from_array(array, name))
        return name

    def body(self, graph: onnx.GraphProto, prefix: str, given: list[str]) -> list[str]:
        """Adds a body whose inputs are `given`; the names of its outputs."""
        names = {}
        for item, name in zip(graph.input, given, strict=True):
            names[item.name] = prefix + item.name
            self.alias(name, prefix + item.name)
        for tensor in graph.initializer:
            copy = onnx.TensorProto()
            copy.CopyFrom(tensor)
            copy.name = names[tensor.name] = prefix + tensor.name
            self.tensors.append(copy)
        for node in graph.node:
            for output in node.output:
                if output:
                    names[output] = prefix + output
        for node in graph.node:
            self.nodes.append(renamed(node, names, prefix))
        return [names.get(o.name, o.name) for o in graph.output]

    def alias(self, name: str, output: str) -> None:
        if output:
            self.nodes.append(helper.make_node("Identity", [name], [output], name=f"{output}/alias"))

    def stack(self, names: list[str], output: str) -> None:
        if not output:
            return
        rows = []
        for i, name in enumerate(names):
            rows.append(f"{output}/row{i}")
            if self.opset >= 13:
                axes = self.constant(f"{output}/axes{i}", np.array([0]))
                self.nodes.append(helper.make_node("Unsqueeze", [name, axes], rows[-1:], name=rows[-1]))
            else:
                self.nodes.append(helper.make_node("Unsqueeze", [name], rows[-1:], axes=[0], name=rows[-1]))
        self.nodes.append(helper.make_node("Concat", rows, [output], axis=0, name=f"{output}/stack"))


def renamed(node: NodeProto, names: dict[str, str], prefix: str = "") -> NodeProto:
    """The node with other names for what it reads and makes; bodies keep what they define."""
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    copy.name = prefix + node.name
    copy.input[:] = [names.get(n, n) for n in node.input]
    copy.output[:] = [names.get(n, n) for n in node.output]
    for body in engine.bodies(copy):
        rename_body(body, names)
    return copy


def rename_body(body: onnx.GraphProto, names: dict[str, str]) -> None:
    own = {i.name for i in body.input} | {t.name for t in body.initializer}
    own |= {name for node in body.node for name in node.output}
    outer = {key: value for key, value in names.items() if key not in own}
    for node in body.node:
        node.input[:] = [outer.get(n, n) for n in node.input]
        for inner in engine.bodies(node):
            rename_body(inner, outer)
    for output in body.output:
        output.name = outer.get(output.name, output.name)


def unroll_if(flat: Unrolled, node: NodeProto, taken: bool) -> None:
    graph = attribute(node, "then_branch" if taken else "else_branch")
    prefix = f"{node.output[0]}/"
    for name, output in zip(flat.body(graph, prefix, []), node.output, strict=True):
        flat.alias(name, output)


def unroll_loop(flat: Unrolled, node: NodeProto, trips: int) -> None:
    graph = attribute(node, "body")
    state, scanned = [node.input[1], *node.input[2:]], []
    for i in range(trips):
        prefix = f"{node.output[0]}/{i}/"
        index = flat.constant(f"{prefix}iteration", np.array(i))
        made = flat.body(graph, prefix, [index, *state])
        state = made[: len(state)]
        scanned.append(made[len(state) :])
    for name, output in zip(state[1:], node.output, strict=False):
        flat.alias(name, output)
    for i, output in enumerate(node.output[len(state) - 1 :]):
        flat.stack([made[i] for made in scanned], output)


def unroll_scan(flat: Unrolled, node: NodeProto, length: int) -> None:
    graph, n_scanned = attribute(node, "body"), attribute(node, "num_scan_inputs")
    n_state = len(node.input) - n_scanned
    state, scanned = list(node.input[:n_state]), []
    for i in range(length):
        prefix = f"{node.output[0]}/{i}/"
        index = flat.constant(f"{prefix}iteration", np.array(i))
        rows = []
        for k, name in enumerate(node.input[n_state:]):
            rows.append(f"{prefix}element{k}")
            flat.nodes.append(helper.make_node("Gather", [name, index], rows[-1:], axis=0, name=rows[-1]))
        made = flat.body(graph, prefix, [*state, *rows])
        state = made[:n_state]
        scanned.append(made[n_state:])
    for name, output in zip(state, node.output, strict=False):
        flat.alias(name, output)
    for i, output in enumerate(node.output[n_state:]):
        flat.stack([made[i] for made in scanned], output)


def unroll(model: onnx.ModelProto, taken: Decisions) -> onnx.ModelProto:
    flat = Unrolled(model)
    unrollers = {"If": unroll_if, "Loop": unroll_loop, "Scan": unroll_scan}
    for node in model.graph.node:
        if node.op_type in CONTROL:
            unrollers[node.op_type](flat, node, taken[node.output[0]])
        else:
            flat.nodes.append(node)
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.graph.node[:], copy.graph.initializer[:], copy.graph.value_info[:]
    copy.graph.node.extend(flat.nodes)
    copy.graph.initializer.extend(flat.tensors)
    return copy
