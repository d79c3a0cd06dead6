"""What has to be true of every model that onnxq writes, whatever was in it."""

from collections import Counter

import onnx
from onnx import checker, shape_inference

from patterns import all_graphs, all_nodes, op_name, subgraphs


def check(original: onnx.ModelProto, model: onnx.ModelProto, path: str) -> None:
    """Raises AssertionError, or what onnx's checker raises, where `model`, read from `path`, is not right."""
    check_schema(model, path)
    check_interface(original, model)
    check_imports(original, model)
    check_new_names(original, model)
    check_unused(original, model)
    check_value_info(original, model)
    check_metadata(original, model)


def domains(model: onnx.ModelProto) -> set[str]:
    bodies = [node for function in model.functions for node in function.node]
    nodes = [
        *all_nodes(model.graph),
        *bodies,
        *(n for b in bodies for g in subgraphs(b) for n in all_nodes(g)),
    ]
    return {"" if node.domain == "ai.onnx" else node.domain for node in nodes}


def check_schema(model: onnx.ModelProto, path: str) -> None:
    """The full checker where it knows all operators; it cannot infer through com.microsoft."""
    foreign = any(domain not in ("", "ai.onnx.ml") for domain in domains(model))
    checker.check_model(path, full_check=not foreign)


def check_interface(original: onnx.ModelProto, model: onnx.ModelProto) -> None:
    """Same inputs and outputs; only constants may leave the inputs."""
    constants = {t.name for t in original.graph.initializer}
    kept = {i.name for i in model.graph.input}
    before = [i for i in original.graph.input if i.name in kept or i.name not in constants]
    assert list(model.graph.input) == before, "inputs"
    assert list(model.graph.output) == list(original.graph.output), "outputs"
    assert model.ir_version >= original.ir_version, "IR version"
    assert model.ir_version >= 4 or not model.graph.initializer, "constants that are no inputs need IR 4"


def is_static(model: onnx.ModelProto) -> bool:
    """Quantized by --method static, which needs opset 10."""
    return any(p.key == "onnxq.settings" and p.value.startswith("method=static ") for p in model.metadata_props)


def check_imports(original: onnx.ModelProto, model: onnx.ModelProto) -> None:
    imported = Counter("" if o.domain == "ai.onnx" else o.domain for o in model.opset_import)
    assert max(imported.values()) == 1, f"a domain is imported twice: {imported}"
    missing = domains(model) - set(imported)
    assert not missing, f"not in opset_import: {missing}"
    versions = {o.domain: o.version for o in model.opset_import}
    for item in original.opset_import:
        now = versions.get(item.domain)
        raised = is_static(model) and item.domain in ("", "ai.onnx") and item.version < 10 == now
        assert now == item.version or raised, f"opset of {item.domain!r} changed"


def definitions(model: onnx.ModelProto) -> Counter:
    """How often each tensor name is defined: inputs, constants and node outputs of all graphs."""
    names: Counter = Counter()
    for graph in all_graphs(model.graph):
        constants = {t.name for t in graph.initializer} | {t.values.name for t in graph.sparse_initializer}
        names.update(constants)
        names.update(i.name for i in graph.input if i.name not in constants)
        names.update(name for node in graph.node for name in node.output if name)
    return names


def check_new_names(original: onnx.ModelProto, model: onnx.ModelProto) -> None:
    before, after = definitions(original), definitions(model)
    for name, count in after.items():
        assert count <= max(before[name], 1), f"tensor name {name!r} is defined {count} times"
    for graph in all_graphs(model.graph):
        nodes = Counter(node.name for node in graph.node if node.name)
        twice = [name for name, count in nodes.items() if count > 1]
        assert not twice, f"node names that occur twice: {twice}"


def used_names(graph: onnx.GraphProto) -> set[str]:
    """What nodes read, in the graph and its bodies, and what graphs return."""
    used = {name for node in all_nodes(graph) for name in node.input}
    return used | {output.name for inner in all_graphs(graph) for output in inner.output}


def constant_names(graph: onnx.GraphProto) -> set[str]:
    """Initializers and outputs of Constant nodes of this graph."""
    produced = {n.output[0] for n in graph.node if op_name(n) == "Constant"}
    return produced | {t.name for t in graph.initializer}


def idle_constants(model: onnx.ModelProto) -> set[str]:
    return {name for graph in all_graphs(model.graph) for name in constant_names(graph) - used_names(graph)}


def check_unused(original: onnx.ModelProto, model: onnx.ModelProto) -> None:
    """No constant is stored that nothing reads, unless it was so before, or callers may give it."""
    idle = idle_constants(model) - idle_constants(original) - {i.name for i in model.graph.input}
    assert not idle, f"nothing uses {sorted(idle)}"


def element_types(graph: onnx.GraphProto) -> dict[str, tuple]:
    """name -> (type, rank) as far as known."""
    types = {}
    for info in (*graph.value_info, *graph.input, *graph.output):
        tensor = info.type.tensor_type
        types[info.name] = (tensor.elem_type, len(tensor.shape.dim) if tensor.HasField("shape") else None)
    return types


def check_value_info(original: onnx.ModelProto, model: onnx.ModelProto) -> None:
    """value_info names what exists and says what shape inference says."""
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    for graph in all_graphs(bare.graph):
        del graph.value_info[:]
    inferred_graphs = all_graphs(shape_inference.infer_shapes(bare).graph)
    stale_before = {i.name for g in all_graphs(original.graph) for i in g.value_info} - set(
        definitions(original)
    )
    for graph, inferred in zip(all_graphs(model.graph), inferred_graphs):
        defined = {name for node in graph.node for name in node.output} | {t.name for t in graph.initializer}
        stated, found = element_types(graph), element_types(inferred)
        for info in graph.value_info:
            assert info.name in defined | stale_before, f"value_info for {info.name!r}, which does not exist"
            elem_type, rank = found.get(info.name, (0, None))
            assert elem_type in (0, stated[info.name][0]), f"value_info of {info.name!r} has the wrong type"
            assert (
                None in (rank, stated[info.name][1]) or rank == stated[info.name][1]
            ), f"rank of {info.name!r}"


def check_metadata(original: onnx.ModelProto, model: onnx.ModelProto) -> None:
    after = {p.key: p.value for p in model.metadata_props}
    assert len(after) == len(model.metadata_props), "a metadata key occurs twice"
    assert any("onnxq" in key for key in after), "no provenance in metadata_props"
    for item in original.metadata_props:
        assert "onnxq" in item.key or after.get(item.key) == item.value, f"metadata {item.key!r} changed"
    assert (model.producer_name, model.producer_version) == (
        original.producer_name,
        original.producer_version,
    )
