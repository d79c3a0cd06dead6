"""Makes a failing model small: fewer options, outputs, nodes and inputs, simpler weights."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

import engine
import oracle
from bounds import Options
from graphs import Drawn
from trial import Trial, options_of


def kinds(onnxq: str, drawn: Drawn, options: Options) -> set[str]:
    """Of what is found; nothing where the float model itself does not run."""
    with tempfile.TemporaryDirectory(prefix="onnxq-shrink-") as folder:
        try:
            return {f.kind for f in Trial(onnxq, drawn, Path(folder)).check(options)}
        except Exception:
            return set()


def copied(drawn: Drawn) -> Drawn:
    model = onnx.ModelProto()
    model.CopyFrom(drawn.model)
    return Drawn(model, dict(drawn.feeds))


def without_unused(drawn: Drawn) -> Drawn:
    graph = drawn.model.graph
    while True:
        used = {n for node in graph.node for n in engine.captures(node)} | {o.name for o in graph.output}
        idle = [node for node in graph.node if not used.intersection(node.output)]
        for node in idle:
            graph.node.remove(node)
        if not idle:
            break
    for items in (graph.input, graph.initializer, graph.value_info):
        for item in [i for i in items if i.name not in used]:
            items.remove(item)
    drawn.feeds = {n: a for n, a in drawn.feeds.items() if n in used}
    return drawn


def values_of(drawn: Drawn) -> dict[str, np.ndarray]:
    hidden = oracle.hidden_names(drawn.model)
    names = [n for n in oracle.all_names(drawn.model) if n not in hidden]
    return oracle.observe(drawn.model, names, drawn.feeds, "disabled")


def fewer_options(options: Options) -> Iterator[Options]:
    for i in range(len(options.flags)):
        yield options_of(options.method, [*options.flags[:i], *options.flags[i + 1 :]])


def fewer_outputs(drawn: Drawn) -> Iterator[Drawn]:
    for i in range(len(drawn.model.graph.output)):
        smaller = copied(drawn)
        del smaller.model.graph.output[i]
        yield without_unused(smaller)


def fewer_nodes(drawn: Drawn) -> Iterator[Drawn]:
    """Without a node: what it made becomes an input or a constant, or is what it was made from."""
    values, constants = values_of(drawn), oracle.constant_names(drawn.model)
    for i, node in enumerate(drawn.model.graph.node):
        if not all(name in values for name in node.output if name):
            continue
        smaller = copied(drawn)
        del smaller.model.graph.node[i]
        for name in filter(None, node.output):
            if name in constants:
                smaller.model.graph.initializer.append(numpy_helper.from_array(values[name], name))
            else:
                smaller.model.graph.input.append(engine.info(name, values[name]))
                smaller.feeds[name] = values[name]
        yield without_unused(smaller)


def new_outputs(drawn: Drawn) -> Iterator[Drawn]:
    """An inner value as the only output."""
    values, constants = values_of(drawn), oracle.constant_names(drawn.model)
    for node in drawn.model.graph.node:
        for name in node.output:
            if name in values and name not in constants and [o.name for o in drawn.model.graph.output] != [name]:
                smaller = copied(drawn)
                del smaller.model.graph.output[:]
                smaller.model.graph.output.append(engine.info(name, values[name]))
                yield without_unused(smaller)


def simpler(drawn: Drawn) -> Iterator[Drawn]:
    """Without what only describes; with ones, or few digits, in the weights."""
    bare = copied(drawn)
    del bare.model.graph.value_info[:]
    yield bare
    listed = copied(drawn)
    names = {t.name for t in listed.model.graph.initializer}
    for item in [i for i in listed.model.graph.input if i.name in names]:
        listed.model.graph.input.remove(item)
    yield listed
    for i, tensor in enumerate(drawn.model.graph.initializer):
        array = numpy_helper.to_array(tensor)
        if array.dtype.kind != "f":
            continue
        for other in (np.ones_like(array), np.round(array, 2).astype(array.dtype)):
            if not np.array_equal(other, array):
                changed = copied(drawn)
                changed.model.graph.initializer[i].CopyFrom(numpy_helper.from_array(other, tensor.name))
                yield changed


def size(drawn: Drawn) -> tuple:
    graph = drawn.model.graph
    return len(graph.node), len(graph.output), len(graph.input), len(graph.initializer), len(graph.value_info)


def shrink(onnxq: str, drawn: Drawn, options: Options, kind: str, say: Callable = lambda text: None):
    """The smallest (drawn, options) found that still has a finding of that kind."""

    def fails(d: Drawn, o: Options) -> bool:
        return kind in kinds(onnxq, d, o)

    changed = True
    while changed:
        changed = False
        for fewer in fewer_options(options):
            if fails(drawn, fewer):
                options, changed = fewer, True
                break
        for step in (new_outputs, fewer_outputs, fewer_nodes):
            for smaller in step(drawn):
                if size(smaller) < size(drawn) and fails(smaller, options):
                    drawn, changed = smaller, True
                    break
        say(f"{len(drawn.model.graph.node)} nodes, {' '.join(options.flags)}")
    for plainer in simpler(drawn):
        if fails(plainer, options):
            drawn = plainer
            break
    return drawn, options


# --- as a test ---


def literal(array: np.ndarray) -> str:
    if array.size > 60:
        return f"LARGE  # {array.dtype}{array.shape}, in the saved model"
    return f"np.array({array.tolist()!r}, np.{array.dtype})"


def attribute_text(attribute: onnx.AttributeProto) -> str:
    value = onnx.helper.get_attribute_value(attribute)
    if isinstance(value, onnx.TensorProto):
        return f"{attribute.name}=numpy_helper.from_array({literal(numpy_helper.to_array(value))})"
    if isinstance(value, onnx.GraphProto):
        return f"{attribute.name}=BODY"
    return f"{attribute.name}={value!r}"


def snippet(drawn: Drawn, options: Options) -> str:
    """Python that builds the model with the helpers of tests/ort/build.py."""
    graph = drawn.model.graph
    opset = next(o.version for o in drawn.model.opset_import if o.domain == "")
    lines = ["nodes = ["]
    for node in graph.node:
        inputs = " ".join(n or "-" for n in node.input)
        rest = "".join(f", {attribute_text(a)}" for a in node.attribute)
        domain = f", domain={node.domain!r}" if node.domain else ""
        lines.append(f"    node({node.op_type!r}, {inputs!r}, {' '.join(node.output)!r}, name={node.name!r}{rest}{domain}),")
    lines += ["]", "constants = {"]
    lines += [f"    {t.name!r}: {literal(numpy_helper.to_array(t))}," for t in graph.initializer]
    lines += ["}", "feeds = {"]
    lines += [f"    {n!r}: {literal(a)}," for n, a in drawn.feeds.items()]
    lines += ["}", f"# opset {opset}; onnxq quantize --method={options.method} {' '.join(options.flags)}"]
    lines.append(f"# inputs {[i.name for i in graph.input]}, outputs {[o.name for o in graph.output]}")
    return "\n".join(lines)
