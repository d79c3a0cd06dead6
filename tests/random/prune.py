"""A model without what none of its outputs depends on: a Gemm whose beta is 0 does not look at its C."""

import onnx

C_IS_OPTIONAL = 11  # opset


def without_unneeded(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy. Nodes that never had a user stay, as onnxq leaves them."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    if next(o.version for o in copy.opset_import if o.domain == "") >= C_IS_OPTIONAL:
        strip(copy.graph)
    return copy


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
