"""A model without what forbids onnxq something and may leave with its user: what none of its outputs depends on, as a
Gemm whose beta is 0 does not look at its C, and names in bodies that mean something else around them."""

import onnx

C_IS_OPTIONAL = 11  # opset


def without_unneeded(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy. Nodes that never had a user stay, as onnxq leaves them."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    if next(o.version for o in copy.opset_import if o.domain == "") >= C_IS_OPTIONAL:
        strip(copy.graph)
    without_hidden(copy.graph)
    return copy


def without_hidden(graph: onnx.GraphProto, renamed: dict | None = None, outer: frozenset = frozenset()) -> None:
    """Gives the constants of bodies whose names a graph around them has as well names of their own."""
    renamed, defined = dict(renamed or {}), {t.name for t in graph.initializer}
    inner = defined | {v.name for v in graph.input} | {o for node in graph.node for o in node.output}
    for name in inner:
        renamed.pop(name, None)
    for name in defined & outer:
        renamed[name] = f"{name}_of_{graph.name}"
    for tensor in graph.initializer:
        tensor.name = renamed.get(tensor.name, tensor.name)
    for node in graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        for body in bodies(node):
            without_hidden(body, renamed, outer | inner)
    for value in (*graph.input, *graph.output, *graph.value_info):
        value.name = renamed.get(value.name, value.name)


def bodies(node: onnx.NodeProto) -> list[onnx.GraphProto]:
    return [body for a in node.attribute for body in [a.g] * a.HasField("g") + list(a.graphs)]


def used_names(graph: onnx.GraphProto) -> set[str]:
    """By nodes and outputs, those of bodies included."""
    names = {o.name for o in graph.output}
    for node in graph.node:
        names.update(node.input)
        names.update(*map(used_names, bodies(node)))
    return names


def strip(graph: onnx.GraphProto) -> None:
    before = used_names(graph)
    for node in graph.node:
        beta = next((a.f for a in node.attribute if a.name == "beta"), 1.0)
        if node.op_type == "Gemm" and node.domain == "" and len(node.input) > 2 and beta == 0:
            del node.input[2]
        for body in bodies(node):
            strip(body)
    while remove_all(graph.node, lambda node: node.output and lost(graph, before).issuperset(node.output)):
        pass
    remove_all(graph.initializer, lambda tensor: tensor.name in lost(graph, before))
    remove_all(graph.input, lambda value: value.name in lost(graph, before))


def lost(graph: onnx.GraphProto, before: set[str]) -> set[str]:
    return before - used_names(graph)


def remove_all(items, is_unneeded) -> bool:
    unneeded = [item for item in items if is_unneeded(item)]
    for item in unneeded:
        items.remove(item)
    return bool(unneeded)
