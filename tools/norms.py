#!/usr/bin/env python3
"""
What it costs that the engine joins Add and LayerNormalization: speed of the quantized model
(the default keeps them apart) over that of --join-norms, and how many the engine has joined.

    tools/norms.py [--onnxq PATH] [--models DIR] [--seconds S] [--threads N] [-k TEXT]

Every inner value is declared first, as exporters do that know all shapes: sizes are found by
running the model twice. Networks are those of tools/networks.py and the models of DIR whose
inputs have open dimensions. Processor time where there is one thread, interleaved runs.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
from onnx import helper

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "ort"))

import common  # noqa: E402, of tests/ort
import measure  # noqa: E402
import realmodels  # noqa: E402
from networks import NETWORKS  # noqa: E402


def open_dims(model: onnx.ModelProto) -> list[str]:
    shapes = [value.type.tensor_type.shape for value in model.graph.input]
    return list(dict.fromkeys(d.dim_param for shape in shapes for d in shape.dim if d.dim_param))


def make_feeds(model: onnx.ModelProto, sizes: dict[str, int], seed: int = 2) -> common.Feeds:
    rng = np.random.default_rng(seed)
    feeds: common.Feeds = {}
    for value in model.graph.input:
        tensor = value.type.tensor_type
        shape = [sizes.get(d.dim_param, d.dim_value) for d in tensor.shape.dim]
        dtype = helper.tensor_dtype_to_np_dtype(tensor.elem_type)
        is_float = dtype.kind == "f"
        feeds[value.name] = rng.random(shape, dtype) if is_float else rng.integers(1, 500, shape, dtype)
    return feeds


def shapes_of(model: onnx.ModelProto, sizes: dict[str, int]) -> dict[str, tuple[int, np.ndarray]]:
    """Type and shape of every value in a run."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    names = [name for node in copy.graph.node for name in node.output if name]
    copy.graph.ClearField("output")
    copy.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    outputs = common.session(copy, "disabled").run(names, make_feeds(model, sizes))
    return {name: (helper.np_dtype_to_tensor_dtype(o.dtype), o.shape) for name, o in zip(names, outputs)}


def declare(model: onnx.ModelProto) -> None:
    """Gives every inner value its shape, open sizes by name: equal names where sizes are equal in two runs."""
    names = open_dims(model)
    runs = [{name: start + 2 * i for i, name in enumerate(names)} for start in (32, 64)]
    first, second = (shapes_of(model, sizes) for sizes in runs)
    known = {tuple(sizes[name] for sizes in runs): name for name in names}

    def size(a: int, b: int) -> int | str:
        return a if a == b else known.setdefault((a, b), f"size{len(known)}")

    taken = {value.name for value in (*model.graph.output, *model.graph.value_info)}
    for name, (elem_type, shape) in first.items():
        if name not in taken and len(shape) == len(second[name][1]):
            dims = [size(a, b) for a, b in zip(shape, second[name][1])]
            model.graph.value_info.append(helper.make_tensor_value_info(name, elem_type, dims))


def joined(path: Path, scratch: Path) -> int:
    """SkipLayerNormalization in what the engine runs."""
    common.session(path, save=str(scratch / "optimized.onnx"))
    nodes = onnx.load(scratch / "optimized.onnx", load_external_data=False).graph.node
    return sum(node.op_type == "SkipLayerNormalization" for node in nodes)


def measure_all(name: str, path: Path, workloads: dict, arguments, scratch: Path) -> None:
    paths = {kind: scratch / f"{kind}.onnx" for kind in ("joined", "apart")}
    for kind, out in paths.items():
        flags = ["--join-norms"] if kind == "joined" else []
        command = [arguments.onnxq, "quantize", "-qq", "-f", "--allow-noop", *flags, path, out]
        subprocess.run(command, check=True)
    counts = " / ".join(str(joined(out, scratch)) for out in paths.values())
    for label, feeds in workloads.items():
        if arguments.threads == 1:
            measure.time.perf_counter = time.process_time  # not the time of others, who run beside
        times = measure.latencies(paths, feeds, arguments.seconds)
        print(f"| {name} | {label} | {counts} | {measure.show_ratio(times['joined'], times['apart'])} |", flush=True)


def network_workloads(model: onnx.ModelProto) -> dict:
    names = open_dims(model)
    workloads = {}
    for first, others in ((1, 16), (8, 32)):
        sizes = {name: first if i == 0 else others for i, name in enumerate(names)}
        shape = " x ".join(str(size) for size in sizes.values()) or "fixed"
        workloads[shape] = make_feeds(model, sizes)
    return workloads


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("--onnxq", default=ROOT / "build" / "release" / "onnxq", type=Path)
    parser.add_argument("--models", default=ROOT.parent / "shared" / "models", type=Path)
    parser.add_argument("--seconds", default=6.0, type=float)
    parser.add_argument("--threads", default=1, type=int)
    parser.add_argument("-k", default="", help="only networks whose name has TEXT in it", metavar="TEXT")
    arguments = parser.parse_args()
    session = common.session
    common.session = lambda *args, **options: session(*args, **{"threads": arguments.threads, **options})
    print("| model | sizes | joined: --join-norms / default | speed |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        for name, make in NETWORKS.items():
            if arguments.k not in name:
                continue
            model = make()
            declare(model)
            onnx.save(model, scratch / "network.onnx")
            measure_all(name, scratch / "network.onnx", network_workloads(model), arguments, scratch)
        for name in realmodels.NAMES:
            path = arguments.models / f"{name}.onnx"
            if arguments.k not in name or not path.exists():
                continue
            real = realmodels.load(arguments.models, name)
            model = onnx.load(path)
            if name != "minilm" and open_dims(model) and not any(n.op_type == "If" for n in model.graph.node):
                declare(model)
            onnx.save(model, scratch / "network.onnx")
            measure_all(name, scratch / "network.onnx", real.workloads(), arguments, scratch)


if __name__ == "__main__":
    main()
