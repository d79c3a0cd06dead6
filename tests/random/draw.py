"""From a seed to a whole model."""

import numpy as np
import onnx
from onnx import TensorProto, helper

import engine
from graphs import BFLOAT16, Drawing, Drawn, Reject, Value
from operators import add_nodes


def add_inputs(d: Drawing) -> None:
    wide = d.chance(0.05)
    shapes = [(d.pick((1, 2, 5)), 512 if wide else d.pick((3, 4, 8, 16, 32, 33)))]
    if d.chance(0.7):
        shapes.append((d.pick((1, 2, 4)), d.pick((1, 3, 4)), d.pick((1, 4, 8, 16, 32))))
    if d.chance(0.3):
        shapes.append((1, d.pick((1, 2, 4, 8)), d.pick((3, 5, 6)), d.pick((1, 4, 5))))
    for i, shape in enumerate(shapes):
        array = d.numpy.standard_normal(shape) + d.pick((0, 0.3, 2))
        add_input(d, f"x{i}", np.asarray(array, d.dtype))
    add_input(d, "i0", d.numpy.integers(0, 3, d.pick(((2,), (1, 3), (1,)))))


def add_input(d: Drawing, name: str, array: np.ndarray) -> None:
    d.feeds[name] = array
    d.values.append(Value(name, array, False))


def used_names(d: Drawing) -> set[str]:
    return {name for node in d.nodes for name in engine.captures(node)}


def choose_outputs(d: Drawing) -> list[Value]:
    """All that nothing uses, at times what something uses, at times a constant."""
    used = used_names(d)
    made = {name for node in d.nodes for name in node.output}
    outputs = [v for v in d.values if v.name in made and v.name not in used and not v.is_constant]
    inner = [v for v in d.values if v.name in made and v.name in used and not v.is_constant]
    if inner and d.chance(0.3):
        outputs.append(d.pick(inner))
    fixed = [v for v in d.values if v.is_constant and v.name in used and v.array.dtype == d.dtype]
    if fixed and d.chance(0.07):
        outputs.append(d.pick(fixed))
        d.tags.append("constant output")
    if not outputs:
        raise Reject
    return outputs


def has_empty_list(graph: onnx.GraphProto) -> bool:
    """Of axes: the engine infers another shape for Squeeze where they are known, at first or when it looks again."""
    return any(t.dims == [0] for t in graph.initializer)


def list_inputs(d: Drawing, graph: onnx.GraphProto, ir_version: int) -> None:
    """Before IR 4 all constants are inputs; since, some exporters still list all or some."""
    kind = d.random.random()
    listed = [t for t in graph.initializer if t.data_type != TensorProto.BFLOAT16 or ir_version < 4]
    if ir_version >= 4:
        if kind > 0.16 or has_empty_list(graph):
            return
        if kind > 0.10:
            listed = [t for t in listed if d.chance(0.6)]
        elif kind > 0.06:
            listed = [t for t in listed if t.data_type != TensorProto.INT64]
    graph.input.extend(helper.make_tensor_value_info(t.name, t.data_type, t.dims) for t in listed)


def add_value_infos(d: Drawing, graph: onnx.GraphProto) -> None:
    if d.chance(0.6) and not has_empty_list(graph):
        made = {name for node in d.nodes for name in node.output} - {o.name for o in graph.output}
        shown = [v for v in d.values if v.name in made and v.array.dtype != BFLOAT16]
        graph.value_info.extend(engine.info(v.name, v.array) for v in shown)


def with_used(d: Drawing, outputs: list[Value]) -> list[TensorProto]:
    """Initializers that something uses; at times the others, too."""
    used = used_names(d) | {o.name for o in outputs}
    return [t for t in d.tensors if t.name in used or d.chance(0.05)]


def draw(seed: int) -> Drawn:
    """Raises Reject where nothing comes of it."""
    d = Drawing(seed)
    add_inputs(d)
    add_nodes(d, d.random.randrange(3, 21))
    outputs = choose_outputs(d)
    infos = [engine.info(o.name, o.array) for o in outputs]
    used = used_names(d) | {o.name for o in outputs}
    feeds = {n: a for n, a in d.feeds.items() if n in used}
    inputs = [engine.info(n, a) for n, a in feeds.items()]
    graph = helper.make_graph(d.nodes, "g", inputs, infos, with_used(d, outputs))
    model = engine.model_of(graph, d.opset, d.functions)
    list_inputs(d, graph, model.ir_version)
    add_value_infos(d, graph)
    model.graph.CopyFrom(graph)
    model.producer_name = f"seed {seed}"
    return Drawn(model, feeds, d.tags)
