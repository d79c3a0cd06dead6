"""Ranges of a model's values, measured here and written as `onnxq quantize --ranges` reads them."""

import copy
import json
import math

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper

MIN_EXPONENT = -125 - 24
MAX_INDEX_BITS = 15
BINS = 2048


def digest(model):
    """Names and types: what the file says of the model that it belongs to (docs/ranges.md)."""
    state = 0xCBF29CE484222325

    def add(data):
        nonlocal state
        for byte in data:
            state = (state ^ byte) * 0x100000001B3 % 2**64

    def text(name):
        add(name.encode() + b"\0")

    def value(info):
        text(info.name)
        add(bytes([info.type.tensor_type.elem_type]))

    def bodies(graph):
        for node in graph.node:
            for attribute in node.attribute:
                if attribute.HasField("g"):
                    yield attribute.g
                yield from attribute.graphs

    defaults = {t.name for t in model.graph.initializer}
    for info in model.graph.input:
        if info.name not in defaults:
            value(info)
    text("")
    for info in model.graph.output:
        value(info)
    graphs, n = [model.graph], 0
    for graph in graphs:
        for node in graph.node:
            text(node.op_type)
            n += len(node.output)
            for name in node.output:
                text(name)
        graphs.extend(bodies(graph))
    return "%016x" % state, n


def grid(low, high):
    magnitude = max(abs(low), abs(high))
    exponent = MIN_EXPONENT
    if magnitude > 0:
        exponent = max(exponent, math.frexp(magnitude)[1] - 1 - MAX_INDEX_BITS)
    while True:
        first, last = (math.floor(math.ldexp(float(x), -exponent)) for x in (low, high))
        if last - first + 1 <= BINS:
            return exponent, first, last - first + 1
        exponent += 1


def statistics(name, arrays):
    """One value of the file, of all arrays that it was."""
    all_of_it = [np.asarray(a, np.float32).ravel() for a in arrays if a.size]
    result = {"name": name, "tensors": len(all_of_it), "count": 0, "zeros": 0, "nan": 0,
              "infinite": 0}
    if not all_of_it:
        return result
    x = np.concatenate(all_of_it)
    result["nan"] = int(np.isnan(x).sum())
    result["infinite"] = int(np.isinf(x).sum())
    x = x[np.isfinite(x)]
    result["count"], result["zeros"] = int(x.size), int((x == 0).sum())
    if x.size == 0:
        return result
    low, high = float(x.min()), float(x.max())
    exponent, first, n = grid(low, high)
    bins = np.floor(x.astype(np.float64) * 2.0**-exponent).astype(np.int64) - first
    counts = np.bincount(bins, minlength=n)
    result.update(min=low, max=high, mean=float(x.astype(np.float64).mean()),
                  histogram={"exponent": exponent, "first": first,
                             "counts": [int(c) for c in counts]})
    first_of_all = np.asarray(arrays[0])
    axis = 1 if first_of_all.ndim > 1 else 0
    if first_of_all.ndim > 1 and result["nan"] + result["infinite"] == 0 and len(
            {a.shape[axis] for a in arrays}) == 1:
        rows = np.concatenate([np.moveaxis(a, axis, 0).reshape(a.shape[axis], -1)
                               for a in arrays], axis=1).astype(np.float32)
        if rows.shape[0] <= 16384:
            result["channels"] = {"axis": axis, "count": rows.shape[1],
                                  "min": [float(v) for v in rows.min(1)],
                                  "max": [float(v) for v in rows.max(1)],
                                  "mean": [float(v) for v in rows.astype(np.float64).mean(1)]}
    return result


def measure(model, feeds):
    """The ranges of all float values of the main graph, as the file has them."""
    probe = copy.deepcopy(model)
    known = {o.name for o in probe.graph.output}
    names = [n for node in probe.graph.node for n in node.output if n and node.op_type != "Constant"]
    probe.graph.output.extend(helper.make_empty_tensor_value_info(n) for n in names
                              if n not in known)
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(probe.SerializeToString(), options)
    floats = [o.name for o in session.get_outputs() if o.type == "tensor(float)"]
    seen = {}
    for feed in feeds:
        for name, array in feed.items():
            seen.setdefault(name, []).append(array)
        for name, array in zip(floats, session.run(floats, feed) if floats else []):
            seen.setdefault(name, []).append(array)
    values = [statistics(name, arrays) for name, arrays in seen.items()
              if arrays[0].dtype == np.float32]
    text, n = digest(model)
    return {"onnxq_ranges": 1, "model": {"digest": text, "node_outputs": n}, "runs": len(feeds),
            "drawn_runs": 0, "values": values}


def write(path, model, feeds, change=None):
    """Measures and writes; `change` is given the list of values first."""
    ranges = measure(model, feeds)
    if change is not None:
        change(ranges["values"])
    with open(path, "w") as file:
        json.dump(ranges, file)
    return path
