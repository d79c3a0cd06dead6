"""Small valid models, and everything that can be wrong with them: one change each."""

from collections.abc import Callable, Iterator

import numpy as np
import onnx
from onnx import AttributeProto, TensorProto, helper, numpy_helper

import build
from build import node

Mutant = tuple[str, Callable[[onnx.ModelProto], None]]

# A constant of each kind, to be put where another is expected.
STRANGERS = {
    "float32": np.ones(1, np.float32),
    "float16": np.ones(1, np.float16),
    "float64": np.ones(1, np.float64),
    "int8": np.ones(1, np.int8),
    "uint8": np.ones(1, np.uint8),
    "int32": np.ones(1, np.int32),
    "int64": np.ones(1, np.int64),
    "bool": np.ones(1, np.bool_),
    "string": np.array(["1"], object),
}


# --- valid models -------------------------------------------------------------------------------------


def plain() -> onnx.ModelProto:
    """Operators of floats."""
    w, x = build.weights(8, 6), build.activations(2, 5, 8)
    nodes = [
        node("MatMul", "x w", "m"),
        node("Add", "m b", "a"),
        node("Relu", "a", "r"),
        node("Reshape", "r shape", "s"),
        node("Transpose", "s", "t", perm=[1, 0]),
        node("Cast", "t", "h", to=TensorProto.FLOAT16),
        node("Cast", "h", "f", to=TensorProto.FLOAT),
        node("Gather", "f i", "g", axis=0),
        node("Concat", "g g", "c", axis=1),
        node("Softmax", "c", "p", axis=-1),
        node("Clip", "p lo hi", "k"),
        node("ReduceMean", "k axes", "y", keepdims=0),
    ]
    constants = {
        "w": w, "b": build.weights(6), "shape": np.array([10, 6]), "i": np.array([0, 2]),
        "lo": np.float32(0), "hi": np.float32(1), "axes": np.array([1]),
    }
    return build.model(nodes, {"x": x}, {"y": (2,)}, constants, 18)


def pictures() -> onnx.ModelProto:
    x = build.activations(1, 3, 8, 8)
    nodes = [
        node("Conv", "x w b", "c", pads=[1, 1, 1, 1], kernel_shape=[3, 3]),
        node("BatchNormalization", "c s b m v", "n"),
        node("MaxPool", "n", "p", kernel_shape=[2, 2], strides=[2, 2]),
        node("GlobalAveragePool", "p", "g"),
        node("Flatten", "g", "f", axis=1),
        node("Gemm", "f u z", "e", transB=1),
        node("Split", "e", "y1 y2", axis=1, num_outputs=2),
    ]
    constants = {name: build.weights(4) for name in "bsm"} | {"v": np.ones(4, np.float32)}
    constants |= {"w": build.weights(4, 3, 3, 3), "u": build.weights(6, 4), "z": build.weights(6)}
    return build.model(nodes, {"x": x}, {"y1": (1, 3), "y2": (1, 3)}, constants, 18)


def bodies() -> onnx.ModelProto:
    """If, Loop and Scan."""
    x = build.activations(4, 3)
    then = build.graph([node("Relu", "x", "t", name="same")], {}, {"t": (4, 3)}, {}, "then")
    other = build.graph([node("Neg", "x", "e", name="other")], {}, {"e": (4, 3)}, {}, "else")
    step = build.graph(
        [node("Add", "v x", "w"), node("Identity", "k", "ko")],
        {"n": np.array(0), "k": np.array(True), "v": (4, 3)},
        {"ko": np.array(True), "w": (4, 3)},
        {},
        "step",
    )
    row = build.graph(
        [node("Add", "sum r", "next"), node("Identity", "next", "seen")],
        {"sum": (3,), "r": (3,)}, {"next": (3,), "seen": (3,)}, {}, "row",
    )
    nodes = [
        node("If", "c", "a", then_branch=then, else_branch=other),
        node("Loop", "times go a", "l", body=step),
        node("Scan", "start l", "last y", body=row, num_scan_inputs=1),
    ]
    constants = {"times": np.array(2), "go": np.array(True), "start": np.zeros(3, np.float32)}
    return build.model(nodes, {"x": x, "c": np.array(True)}, {"last": (3,), "y": (4, 3)}, constants, 18)


def functions() -> onnx.ModelProto:
    x = build.activations(2, 3)
    twice = helper.make_function(
        "local", "Twice", ["a"], ["d"], [node("Add", "a a", "s"), node("Relu", "s", "d")],
        [helper.make_opsetid("", 18)],
    )
    main = build.graph([node("Twice", "x", "y", domain="local")], {"x": x}, {"y": (2, 3)})
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("local", 1)]
    return helper.make_model(main, opset_imports=opsets, functions=[twice], ir_version=8)


def integers() -> onnx.ModelProto:
    """Everything that quantizes in ai.onnx."""
    rng, x, p = build.rng(), build.activations(3, 32), build.activations(1, 2, 6, 6)
    q = rng.integers(-9, 9, (32, 8)).astype(np.int8)
    nodes = [
        node("DynamicQuantizeLinear", "x", "xq xs xz"),
        node("MatMulInteger", "xq q xz z", "i"),
        node("Cast", "i", "c", to=TensorProto.FLOAT),
        node("Mul", "xs s", "sc"),
        node("Mul", "c sc", "y1"),
        node("DequantizeLinear", "q s z", "w", axis=1),
        node("MatMul", "x w", "y2"),
        node("QuantizeLinear", "y2 t u", "o", axis=1),
        node("DequantizeLinear", "o t u", "y3", axis=1),
        node("DequantizeLinear", "q bs bz", "v", axis=0, block_size=16),
        node("MatMul", "x v", "y4"),
        node("DynamicQuantizeLinear", "p", "pq ps pz"),
        node("ConvInteger", "pq k pz kz", "ci"),
        node("Cast", "ci", "y5", to=TensorProto.FLOAT),
        node("QLinearMatMul", "xq xs1 xz q s1 z1 t1 u1", "qm"),
        node("DequantizeLinear", "qm t1 u1", "y6"),
        node("QLinearConv", "pq xs1 pz k s1 z1 t1 u1 kb", "qc"),
        node("DequantizeLinear", "qc t1 u1", "y7"),
    ]
    constants = {
        "q": q, "s": np.full(8, 0.1, np.float32), "z": np.zeros(8, np.int8),
        "t": np.full(8, 0.1, np.float32), "u": np.full(8, 9, np.uint8),
        "bs": np.full((2, 8), 0.1, np.float32), "bz": np.zeros((2, 8), np.int8),
        "k": rng.integers(-9, 9, (4, 2, 3, 3)).astype(np.int8), "kz": np.int8(0),
        "xs1": np.float32(0.02), "s1": np.float32(0.1), "z1": np.int8(0),
        "t1": np.float32(0.3), "u1": np.uint8(128), "kb": np.zeros(4, np.int32),
    }
    outputs = {"y1": (3, 8), "y2": (3, 8), "y3": (3, 8), "y4": (3, 8), "y5": (1, 4, 4, 4)}
    outputs |= {"y6": (3, 8), "y7": (1, 4, 4, 4)}
    return build.model(nodes, {"x": x, "p": p}, outputs, constants, 21)


MODELS = {f.__name__: f for f in (plain, pictures, bodies, functions, integers)}


# --- changes ------------------------------------------------------------------------------------------


def graphs(graph: onnx.GraphProto, name: str = "main") -> Iterator[tuple[str, onnx.GraphProto]]:
    yield name, graph
    for n in graph.node:
        for a in n.attribute:
            if a.type == AttributeProto.GRAPH:
                yield from graphs(a.g, f"{name}.{n.output[0]}.{a.name}")


def of_model() -> Iterator[Mutant]:
    def field(name, value):
        return lambda m: setattr(m, name, value)

    for version in (*range(15), 99, -1):
        yield f"ir_{version}", field("ir_version", version)
    yield "no_ir", lambda m: m.ClearField("ir_version")
    yield "no_graph", lambda m: m.ClearField("graph")
    yield "no_imports", lambda m: m.ClearField("opset_import")
    yield "no_graph_name", lambda m: m.graph.ClearField("name")
    for version in (*range(1, 30), 99, 0, -1):
        yield f"opset_{version}", lambda m, v=version: setattr(m.opset_import[0], "version", v)
    yield "import_twice", lambda m: m.opset_import.add(domain="", version=m.opset_import[0].version)
    yield "import_twice_other", lambda m: m.opset_import.add(domain="", version=m.opset_import[0].version - 1)
    yield "import_ai_onnx", lambda m: m.opset_import.add(domain="ai.onnx", version=m.opset_import[0].version)
    yield "import_unknown", lambda m: m.opset_import.add(domain="nowhere", version=1)
    yield "import_contrib_2", lambda m: m.opset_import.add(domain="com.microsoft", version=2)
    yield "import_ml_9", lambda m: m.opset_import.add(domain="ai.onnx.ml", version=9)
    yield "input_twice", lambda m: m.graph.input.append(m.graph.input[0])
    yield "output_twice", lambda m: m.graph.output.append(m.graph.output[0])
    yield "no_outputs", lambda m: m.graph.ClearField("output")
    yield "input_without_name", lambda m: m.graph.input[0].ClearField("name")
    yield "input_without_type", lambda m: m.graph.input[0].ClearField("type")
    yield "input_without_elem", lambda m: m.graph.input[0].type.tensor_type.ClearField("elem_type")
    yield "input_unknown_elem", lambda m: setattr(m.graph.input[0].type.tensor_type, "elem_type", 99)
    yield "input_without_shape", lambda m: m.graph.input[0].type.tensor_type.ClearField("shape")
    yield "output_without_type", lambda m: m.graph.output[0].ClearField("type")
    yield "output_without_elem", lambda m: m.graph.output[0].type.tensor_type.ClearField("elem_type")
    yield "output_other_elem", lambda m: setattr(m.graph.output[0].type.tensor_type, "elem_type", TensorProto.DOUBLE)
    yield "output_unknown_elem", lambda m: setattr(m.graph.output[0].type.tensor_type, "elem_type", 99)
    yield "output_other_rank", lambda m: m.graph.output[0].type.tensor_type.shape.dim.add(dim_value=7)
    yield "output_nowhere", lambda m: setattr(m.graph.output[0], "name", "nowhere")
    yield "output_is_input", lambda m: setattr(m.graph.output[0], "name", m.graph.input[0].name)
    yield "info_of_nothing", lambda m: m.graph.value_info.append(build.info("nowhere", (1,)))
    yield "empty_node", lambda m: m.graph.node.add()


def of_initializers(model: onnx.ModelProto) -> Iterator[Mutant]:
    def at(index: int, change: Callable[[TensorProto], object]):
        return lambda m: change(m.graph.initializer[index])

    def listed(index: int, shape: tuple | None = None, elem: int | None = None):
        def change(m: onnx.ModelProto) -> None:
            t = m.graph.initializer[index]
            m.graph.input.append(build.info(t.name, t.dims if shape is None else shape, elem or t.data_type))

        return change

    for i, t in enumerate(model.graph.initializer):
        yield f"{t.name}_twice", lambda m, i=i: m.graph.initializer.append(m.graph.initializer[i])
        yield f"{t.name}_gone", lambda m, i=i: m.graph.initializer.pop(i)
        yield f"{t.name}_listed", listed(i)
        yield f"{t.name}_listed_other_type", listed(i, elem=TensorProto.DOUBLE)
        yield f"{t.name}_listed_other_shape", listed(i, shape=(7, 7))
        yield f"{t.name}_no_name", at(i, lambda t: t.ClearField("name"))
        yield f"{t.name}_no_type", at(i, lambda t: t.ClearField("data_type"))
        yield f"{t.name}_unknown_type", at(i, lambda t: setattr(t, "data_type", 99))
        yield f"{t.name}_short", at(i, lambda t: setattr(t, "raw_data", t.raw_data[:-1]))
        yield f"{t.name}_made_too", lambda m, n=t.name: m.graph.node.append(
            helper.make_node("Identity", [m.graph.input[0].name], [n], name="made_too")
        )
        for kind, value in STRANGERS.items():
            yield f"{t.name}_is_{kind}", at(i, lambda t, v=value: as_other(t, v))
        yield f"{t.name}_longer", at(i, lambda t: as_shape(t, (*t.dims[:-1], (t.dims[-1] if t.dims else 1) + 1)))
        yield f"{t.name}_deeper", at(i, lambda t: as_shape(t, (1, *t.dims)))
        yield f"{t.name}_flat", at(i, lambda t: as_shape(t, (int(np.prod(t.dims)),)))
        yield f"{t.name}_one", at(i, lambda t: as_shape(t, ()))


def as_other(t: TensorProto, value: np.ndarray) -> None:
    """The same shape, of another type."""
    t.CopyFrom(numpy_helper.from_array(np.broadcast_to(value.reshape(()), t.dims).copy(), t.name))


def as_shape(t: TensorProto, shape: tuple) -> None:
    """Another shape, of the same type."""
    value = numpy_helper.to_array(t).reshape(-1)
    t.CopyFrom(numpy_helper.from_array(np.resize(value, shape), t.name))


def of_nodes(model: onnx.ModelProto) -> Iterator[Mutant]:
    for name, graph in graphs(model.graph):
        for i, n in enumerate(graph.node):
            for what, change in of_node(n):
                yield f"{name}_{i}_{n.op_type}_{what}", lambda m, g=name, i=i, c=change: c(dict(graphs(m.graph))[g].node[i], m)
        for what, change in of_order(len(graph.node)):
            yield f"{name}_{what}", lambda m, g=name, c=change: c(dict(graphs(m.graph))[g])
        if name != "main":
            for what, change in of_body():
                yield f"{name}_{what}", lambda m, g=name, c=change: c(dict(graphs(m.graph))[g])


def of_order(n: int) -> Iterator[tuple[str, Callable]]:
    def reverse(g: onnx.GraphProto) -> None:
        nodes = list(g.node)
        del g.node[:]
        g.node.extend(reversed(nodes))

    def cycle(g: onnx.GraphProto) -> None:
        g.node[0].input[0] = g.node[n - 1].output[0]

    def rename(g: onnx.GraphProto, name: str) -> None:
        for each in g.node:
            each.name = name

    yield "reversed", reverse
    yield "cycle", cycle
    yield "one_name", lambda g: rename(g, "same")
    yield "no_names", lambda g: rename(g, "")


def of_body() -> Iterator[tuple[str, Callable]]:
    yield "no_output", lambda g: g.output.pop()
    yield "more_outputs", lambda g: g.output.append(g.output[0])
    yield "output_outside", lambda g: setattr(g.output[0], "name", "x")
    yield "output_nowhere", lambda g: setattr(g.output[0], "name", "nowhere")
    yield "output_without_type", lambda g: g.output[0].ClearField("type")
    yield "output_other_type", lambda g: setattr(g.output[0].type.tensor_type, "elem_type", TensorProto.DOUBLE)
    yield "more_inputs", lambda g: g.input.append(build.info("more", (1,)))
    yield "no_input", lambda g: g.input.pop() if g.input else g.input.append(build.info("x", (4, 3)))
    yield "no_name", lambda g: g.ClearField("name")


def of_node(n: onnx.NodeProto) -> Iterator[tuple[str, Callable]]:
    """Each change takes the node and the model."""

    def stranger(i: int, kind: str):
        def change(node: onnx.NodeProto, m: onnx.ModelProto) -> None:
            m.graph.initializer.append(numpy_helper.from_array(STRANGERS[kind], "stranger"))
            node.input[i] = "stranger"

        return change

    for i in range(len(n.input)):
        yield f"without_{i}", lambda node, m, i=i: node.input.__setitem__(i, "")
        yield f"nowhere_{i}", lambda node, m, i=i: node.input.__setitem__(i, "nowhere")
        for kind in STRANGERS:
            yield f"{kind}_{i}", stranger(i, kind)
    yield "last_input_gone", lambda node, m: node.input.pop()
    yield "no_inputs", lambda node, m: node.ClearField("input")
    yield "more_inputs", lambda node, m: node.input.extend([node.input[0]] * 12)
    yield "one_more_input", lambda node, m: node.input.append(node.input[0])
    yield "no_outputs", lambda node, m: node.ClearField("output")
    yield "more_outputs", lambda node, m: node.output.extend(f"more{i}" for i in range(9))
    yield "one_more_output", lambda node, m: node.output.append("more")
    yield "output_twice", lambda node, m: node.output.append(node.output[0])
    yield "output_without_name", lambda node, m: node.output.__setitem__(0, "")
    yield "unknown_operator", lambda node, m: setattr(node, "op_type", "Unheard")
    yield "no_operator", lambda node, m: node.ClearField("op_type")
    yield "unknown_domain", lambda node, m: setattr(node, "domain", "nowhere")
    yield "contrib", lambda node, m: setattr(node, "domain", "com.microsoft")
    yield "same_name", lambda node, m: setattr(node, "name", "same")
    yield "unknown_attribute", lambda node, m: node.attribute.append(helper.make_attribute("unheard", 1))
    yield "nameless_attribute", lambda node, m: node.attribute.append(helper.make_attribute("", 1))
    for k, a in enumerate(n.attribute):
        yield f"{a.name}_gone", lambda node, m, k=k: node.attribute.pop(k)
        yield f"{a.name}_twice", lambda node, m, k=k: node.attribute.append(node.attribute[k])
        yield f"{a.name}_untyped", lambda node, m, k=k: node.attribute[k].ClearField("type")
        for kind, value in (("float", 1.5), ("int", 1), ("text", "1"), ("ints", [1, 1]), ("floats", [1.5])):
            yield f"{a.name}_{kind}", lambda node, m, k=k, v=value: node.attribute[k].CopyFrom(
                helper.make_attribute(node.attribute[k].name, v)
            )
        if a.type == AttributeProto.INT:
            for value in (-9, -1, 0, 1, 2, 3, 7, 16, 32, 99):
                yield f"{a.name}_{value}", lambda node, m, k=k, v=value: setattr(node.attribute[k], "i", v)
        if a.type == AttributeProto.INTS:
            yield f"{a.name}_longer", lambda node, m, k=k: node.attribute[k].ints.append(1)
            yield f"{a.name}_negative", lambda node, m, k=k: node.attribute[k].ints.__setitem__(0, -7)


def of_functions() -> Iterator[Mutant]:
    f = lambda m: m.functions[0]  # noqa: E731
    yield "f_no_imports", lambda m: f(m).ClearField("opset_import")
    yield "f_other_import", lambda m: setattr(f(m).opset_import[0], "version", 13)
    yield "f_newer_import", lambda m: setattr(f(m).opset_import[0], "version", 21)
    yield "f_unknown_import", lambda m: setattr(f(m).opset_import[0], "version", 99)
    yield "f_twice", lambda m: m.functions.append(f(m))
    yield "f_no_name", lambda m: f(m).ClearField("name")
    yield "f_no_domain", lambda m: f(m).ClearField("domain")
    yield "f_other_domain", lambda m: setattr(f(m), "domain", "elsewhere")
    yield "f_no_input", lambda m: f(m).ClearField("input")
    yield "f_more_inputs", lambda m: f(m).input.append("more")
    yield "f_more_outputs", lambda m: f(m).output.append("s")
    yield "f_output_nowhere", lambda m: f(m).output.__setitem__(0, "nowhere")
    yield "f_no_output", lambda m: f(m).ClearField("output")
    yield "f_reversed", lambda m: f(m).node.insert(0, f(m).node.pop())
    yield "f_recursive", lambda m: f(m).node.append(node("Twice", "d", "more", domain="local"))
    yield "f_unknown_operator", lambda m: setattr(f(m).node[0], "op_type", "Unheard")
    yield "f_nowhere", lambda m: f(m).node[0].input.__setitem__(0, "nowhere")
    yield "f_one_name", lambda m: [setattr(n, "name", "same") for n in f(m).node]
    yield "f_main_without_import", lambda m: m.opset_import.pop()
    yield "f_call_more_inputs", lambda m: m.graph.node[0].input.append("x")
    yield "f_call_no_inputs", lambda m: m.graph.node[0].ClearField("input")
    yield "f_call_more_outputs", lambda m: m.graph.node[0].output.append("more")
    yield "f_call_attribute", lambda m: m.graph.node[0].attribute.append(helper.make_attribute("unheard", 1))


def mutants(model: onnx.ModelProto) -> Iterator[tuple[str, onnx.ModelProto]]:
    """Each with one change, in an order that is always the same."""
    changes = [*of_model(), *of_initializers(model), *of_nodes(model)]
    changes += of_functions() if model.functions else ()
    for name, change in changes:
        mutant = onnx.ModelProto()
        mutant.CopyFrom(model)
        try:
            change(mutant)
        except (IndexError, ValueError, TypeError):
            continue  # it has no such thing
        if mutant != model:
            yield name, mutant
