#!/usr/bin/env python3
"""Graphs before and after, as pictures for the documents: small models, what onnxq makes of them.

    build/venv/bin/python tools/graphs.py [--onnxq build/release/onnxq] [OUT_DIR]

Writes NAME.svg of every row of CASES into docs/pictures. What is drawn is what was written: operators
in the order in which values flow, constants in the operator that takes them, integers in colour.
"""

import argparse
import html
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ROOT = Path(__file__).resolve().parent.parent
SHORT = {"FLOAT": "float32", "FLOAT16": "float16", "DOUBLE": "float64"}
INTEGERS = ("int8", "uint8", "int16", "int32", "int4", "uint4")
# What operators make, where that is not what they take.
MADE = {"DynamicQuantizeLinear": ["uint8", "float32", "uint8"], "MatMulInteger": ["int32"], "QuantizeLinear": ["uint8"],
        "DequantizeLinear": ["float32"], "Cast": ["float32"], "QLinearConv": ["uint8"], "ConvInteger": ["int32"]}

WIDTH, HEIGHT, GAP_X, GAP_Y, MARGIN, LINE = 236, 26, 26, 30, 20, 17
STYLE = """
text { font: 13px system-ui, "Segoe UI", Helvetica, Arial, sans-serif; fill: #1f2328; text-anchor: middle }
.page { fill: #ffffff; stroke: #d0d7de } .box { fill: #f6f8fa; stroke: #afb8c1 } .name { font-weight: 600 }
.title { font-size: 15px; font-weight: 600 } .small { font-size: 12px; fill: #57606a }
.integer { fill: #ddf4ff; stroke: #54aeff } .ints { fill: #0550ae }
path { fill: none; stroke: #8c959f; stroke-width: 1.5 } path.wire { stroke: #0969da; stroke-width: 2.5 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .page { fill: #0d1117; stroke: #30363d } .box { fill: #161b22; stroke: #6e7681 }
.small { fill: #9198a1 } .integer { fill: #0c2d6b; stroke: #388bfd } .ints { fill: #79c0ff }
path { stroke: #6e7681 } path.wire { stroke: #58a6ff } }
"""


# --- the models --------------------------------------------------------------------


def weight(shape, name):
    values = np.random.default_rng(1).standard_normal(shape) / np.sqrt(np.prod(shape[1:]))
    return numpy_helper.from_array(values.astype(np.float32), name)


def ones(n, name):
    return numpy_helper.from_array(np.ones(n, np.float32), name)


def model_of(nodes, x, y, weights, opset=17):
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, x)],
                              [helper.make_tensor_value_info(y, TensorProto.FLOAT, None)], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def layer():
    nodes = [helper.make_node("MatMul", ["x", "w"], ["product"]), helper.make_node("Add", ["product", "b"], ["y"])]
    return model_of(nodes, ["rows", 384], "y", [weight((384, 1536), "w"), ones(1536, "b")])


def convolutions():
    nodes, weights, value = [], [], "x"
    for i, (inputs, outputs) in enumerate([(16, 32), (32, 64)]):
        result = f"r{i}" if i == 0 else "y"
        nodes += [helper.make_node("Conv", [value, f"w{i}", f"b{i}"], [f"c{i}"], pads=[1, 1, 1, 1]),
                  helper.make_node("Relu", [f"c{i}"], [result])]
        weights += [weight((outputs, inputs, 3, 3), f"w{i}"), ones(outputs, f"b{i}")]
        value = result
    return model_of(nodes, [1, 16, 28, 28], value, weights)


CASES = [
    ("dynamic", "MatMul, --method dynamic (the default)", layer, []),
    ("folded", "Conv, --method dynamic: folded to float when the model is loaded", convolutions, []),
    ("blocks", "MatMul, --method blocks --bits 4", layer, ["--method", "blocks", "--bits", "4"]),
    ("static", "Conv, --method static: integers from one operator to the next", convolutions, ["--method", "static", "--force-integer"]),
]


# --- what is drawn ------------------------------------------------------------------


class Graph:
    """Operators as boxes in rows and columns, and the types of the values between them."""

    def __init__(self, model):
        self.constants = {one.name: one for one in model.graph.initializer}
        self.boxes, self.inputs = list(model.graph.node), [one.name for one in model.graph.input]
        self.outputs = [one.name for one in model.graph.output]
        self.maker = {name: i for i, node in enumerate(self.boxes) for name in node.output}
        self.types = dict.fromkeys(self.inputs, "float32")
        for node in self.boxes:
            self.add_types(node)
        self.rows = self.find_rows()
        self.columns = self.find_columns()

    def add_types(self, node):
        taken = next((self.types[name] for name in node.input if name in self.types), "float32")
        for i, name in enumerate(node.output):
            self.types[name] = MADE.get(node.op_type, [taken] * (i + 1))[i]

    def makers(self, number):
        return [self.maker[name] for name in self.boxes[number].input if name in self.maker]

    def takers(self, number):
        return [i for i in range(len(self.boxes)) if number in self.makers(i)]

    def find_rows(self):
        """From the top as early as may be, then down to where they are needed."""
        rows = []
        for number in range(len(self.boxes)):
            rows.append(1 + max((rows[i] for i in self.makers(number)), default=0))
        self.longest = self.find_longest(rows)
        for number in reversed(range(len(self.boxes))):
            if number not in self.longest and self.takers(number):
                rows[number] = min(rows[i] for i in self.takers(number)) - 1
        return rows

    def find_longest(self, rows):
        """The operators on the longest way from the input to the result: the column in the middle."""
        fed, way = set(), [self.maker[self.outputs[0]]]
        for number, node in enumerate(self.boxes):
            if set(node.input) & set(self.inputs) or fed & set(self.makers(number)):
                fed.add(number)
        while fed & set(self.makers(way[-1])):
            way.append(max(fed & set(self.makers(way[-1])), key=lambda i: rows[i]))
        return set(way)

    def find_columns(self):
        """0 in the middle; others to the right of it, to the left, further to the right..."""
        columns, taken = {}, set()
        for number, row in enumerate(self.rows):
            for column in (0, 1, -1, 2, -2, 3, -3):
                if (column == 0) == (number in self.longest) and (row, column) not in taken:
                    break
            taken.add((row, column))
            columns[number] = column
        return columns

    def describe(self, name):
        constant = self.constants[name]
        kind = TensorProto.DataType.Name(constant.data_type)
        shape = "×".join(map(str, constant.dims)) or "scalar"
        return SHORT.get(kind, kind.lower()), shape

    def lines(self, node):
        """(text, whether integers) of the constants that are worth a line."""
        named = [(self.describe(name), int(np.prod(self.constants[name].dims))) for name in node.input
                 if name in self.constants]
        return [(f"{shape} {kind}", kind in INTEGERS) for (kind, shape), size in named if size > 1][:3]


def place(graph):
    """(x, y, height) of each box; the middle; the size of it all."""
    heights = [HEIGHT + LINE * len(graph.lines(node)) for node in graph.boxes]
    first, last = min(graph.columns.values()), max(graph.columns.values())
    places, y = {}, HEIGHT + GAP_Y
    for row in range(1, 1 + max(graph.rows)):
        numbers = [number for number, own in enumerate(graph.rows) if own == row]
        for number in numbers:
            places[number] = ((graph.columns[number] - first) * (WIDTH + GAP_X), y, heights[number])
        y += max(heights[number] for number in numbers) + GAP_Y
    middle = -first * (WIDTH + GAP_X) + WIDTH / 2
    return places, middle, (last - first + 1) * (WIDTH + GAP_X) - GAP_X, y + HEIGHT


def wire(start, end, kind, middle):
    """Down in the column that it leaves or comes from, whichever is not the one in the middle."""
    (x0, y0), (x1, y1) = start, end
    near_end, near_start = y1 - GAP_Y, y0 + GAP_Y
    bend = "C{0:g} {1:g} {2:g} {1:g} {2:g} {3:g}"
    if x0 == x1:
        path = f"V{y1:g}"
    elif abs(x0 - middle) > WIDTH / 2:
        path = f"V{near_end:g}" + bend.format(x0, (near_end + y1) / 2, x1, y1)
    else:
        path = bend.format(x0, (y0 + near_start) / 2, x1, near_start) + f"V{y1:g}"
    classes = ' class="wire"' if kind in INTEGERS else ""
    return f'<path{classes} d="M{x0:g} {y0:g}{path}"/>\n'


def text(x, y, classes, words):
    return f'<text x="{x:g}" y="{y:g}" class="{classes}">{html.escape(words)}</text>\n'


def draw_box(graph, number, place_of):
    x, y, height = place_of
    node, middle = graph.boxes[number], x + WIDTH / 2
    integer = any(is_integer for _, is_integer in graph.lines(node)) or any(
        graph.types.get(name) in INTEGERS for name in [*node.input, *node.output])
    name = node.op_type if not node.domain else f"{node.op_type} ({node.domain})"
    out = f'<rect class="box{" integer" if integer else ""}" x="{x:g}" y="{y:g}" width="{WIDTH}" height="{height}" rx="6"/>\n'
    out += text(middle, y + 18, "name", name)
    for i, (words, is_integer) in enumerate(graph.lines(node)):
        out += text(middle, y + 18 + LINE * (i + 1), "small ints" if is_integer else "small", words)
    return out


def draw_graph(graph, places, middle, bottom):
    out = text(middle, 18, "small", f"{graph.inputs[0]}: float32")
    for number, node in enumerate(graph.boxes):
        x, y, _ = places[number]
        for name in dict.fromkeys(node.input):
            if name in graph.inputs:
                out += wire((middle, HEIGHT), (x + WIDTH / 2, y), "float32", middle)
            elif name in graph.maker:
                px, py, pheight = places[graph.maker[name]]
                side = (px > x) - (px < x) if graph.columns[number] == 0 else 0 # where it comes in
                out += wire((px + WIDTH / 2, py + pheight), (x + WIDTH / 2 + side * WIDTH / 4, y), graph.types[name],
                            middle)
    for name in graph.outputs:
        x, y, height = places[graph.maker[name]]
        out += wire((x + WIDTH / 2, y + height), (middle, bottom - HEIGHT), graph.types[name], middle)
    out += "".join(draw_box(graph, number, places[number]) for number in places)
    return out + text(middle, bottom - 6, "small", f"{graph.outputs[0]}: float32")


def draw(title, before, after):
    graphs = [Graph(before), Graph(after)]
    laid = [place(graph) for graph in graphs]
    width = 2 * MARGIN + sum(one[2] for one in laid) + 3 * GAP_X
    height = 2 * MARGIN + 30 + max(one[3] for one in laid)
    body, x = text(width / 2, MARGIN + 12, "title", title), MARGIN
    for graph, (places, middle, w, h) in zip(graphs, laid):
        body += f'<g transform="translate({x:g} {MARGIN + 34})">\n{draw_graph(graph, places, middle, h)}</g>\n'
        x += w + 3 * GAP_X
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" '
            f'viewBox="0 0 {width:g} {height:g}" role="img">\n<title>{html.escape(title)}</title>\n<style>{STYLE}</style>\n'
            f'<rect class="page" x=".5" y=".5" width="{width - 1:g}" height="{height - 1:g}" rx="8"/>\n{body}</svg>\n')


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", nargs="?", type=Path, default=ROOT / "docs/pictures")
    parser.add_argument("--onnxq", type=Path, default=ROOT / "build/release/onnxq")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        source, result = Path(folder) / "model.onnx", Path(folder) / "result.onnx"
        for name, title, make, options in CASES:
            before = make()
            onnx.save(before, source)
            if "static" in options:
                options = [*options, "-i", f"{folder}/x.npz"]
                np.savez(f"{folder}/x.npz", x=np.random.default_rng(2).standard_normal((1, 16, 28, 28)).astype(np.float32))
            subprocess.run([arguments.onnxq, "quantize", "-qq", *options, source, result], check=True)
            (arguments.out / f"{name}.svg").write_text(draw(title, before, onnx.load(result)))


if __name__ == "__main__":
    main()
