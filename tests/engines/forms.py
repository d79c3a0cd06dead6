"""A model for each line of src/operators/engines.h: what an engine needs to be new enough for."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

TABLE = Path(__file__).resolve().parents[2] / "src" / "operators" / "engines.h"
MS = "com.microsoft"
K, N, BLOCK = 64, 32, 32


@dataclass(frozen=True)
class Form:
    name: str
    model: onnx.ModelProto
    minor: int  # the first version that takes it
    has_kernel: bool = True  # on the CPU; else the engine knows the operator by name


def make(nodes: list[onnx.NodeProto], opset: int, constants=(), ir_version=8, **domains: int) -> onnx.ModelProto:
    """x float32 [4,K] -> y; `domains` are imported as well, with _ for the dots in their names."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [4, K])
    used = {"": opset, **{n.domain: 1 for n in nodes if n.domain}, **{d.replace("_", "."): v for d, v in domains.items()}}
    graph = helper.make_graph(nodes, "g", [x], [onnx.ValueInfoProto(name="y")], list(constants))
    opsets = [helper.make_opsetid(domain, version) for domain, version in used.items()]
    return helper.make_model(graph, opset_imports=opsets, ir_version=ir_version)


def constant(name: str, value) -> TensorProto:
    return numpy_helper.from_array(np.asarray(value), name)


def packed(name: str, data_type: int, dims: list[int], nbytes: int) -> TensorProto:
    return TensorProto(name=name, data_type=data_type, dims=dims, raw_data=bytes(nbytes))


def identity(opset=17, ir_version=8, **domains: int) -> onnx.ModelProto:
    # Cast and Relu have kernels in every opset; Identity may be missing in the newest.
    return make([helper.make_node("Relu", ["x"], ["y"])], opset, (), ir_version, **domains)


SCALE, ZERO = constant("s", np.float32(1)), constant("z", np.uint8(0))


def dequantize(weight: TensorProto, opset: int, ir_version: int) -> onnx.ModelProto:
    nodes = [helper.make_node("DequantizeLinear", ["w", "s"], ["d"]), helper.make_node("Add", ["x", "d"], ["y"])]
    return make(nodes, opset, [weight, SCALE], ir_version)


def dequantize_ms(data_type: type) -> onnx.ModelProto:
    """As biases and 16 bits are below opset 13 and 21."""
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "s", "z"], ["d"], domain=MS),
        helper.make_node("Add", ["x", "d"], ["y"]),
    ]
    weight = constant("w", np.zeros((4, K), data_type))
    return make(nodes, 12, [weight, SCALE, constant("z", np.zeros((), data_type))])


def quantize(opset: int) -> onnx.ModelProto:
    nodes = [helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]), helper.make_node("Cast", ["q"], ["y"], to=1)]
    return make(nodes, opset, [SCALE, ZERO])


def qlinear_matmul(opset: int) -> onnx.ModelProto:
    nodes = [
        helper.make_node("Cast", ["x"], ["a"], to=TensorProto.UINT8),
        helper.make_node("QLinearMatMul", ["a", "s", "z", "w", "s", "z", "s", "z"], ["c"]),
        helper.make_node("Cast", ["c"], ["y"], to=1),
    ]
    return make(nodes, opset, [SCALE, ZERO, constant("w", np.zeros((K, 8), np.uint8))])


def nbits(bits: int, inputs: str = "x q s", **attributes: int) -> onnx.ModelProto:
    tensors = {
        "q": np.zeros((N, K // BLOCK, BLOCK * bits // 8), np.uint8),
        "s": np.ones(N * K // BLOCK, np.float32),
        "g": np.arange(K, dtype=np.int32) // BLOCK,
        "b": np.zeros(N, np.float32),
    }
    names = ["" if name == "-" else name for name in inputs.split()]
    node = helper.make_node("MatMulNBits", names, ["y"], domain=MS, K=K, N=N, block_size=BLOCK, bits=bits, **attributes)
    return make([node], 17, [constant(name, value) for name, value in tensors.items() if name in names])


def gather_blocks(data: TensorProto, **attributes: int) -> onnx.ModelProto:
    nodes = [
        helper.make_node("Cast", ["x"], ["i"], to=TensorProto.INT64),
        helper.make_node(
            "GatherBlockQuantized", ["w", "i", "s"], ["y"], domain=MS, quantize_axis=1, block_size=BLOCK, **attributes
        ),
    ]
    ir_version = 10 if data.data_type == TensorProto.UINT4 else 8
    return make(nodes, 17, [data, constant("s", np.ones((8, K // BLOCK), np.float32))], ir_version)


TENSORS = {
    "UINT4": dequantize(packed("w", TensorProto.UINT4, [4, K], 2 * K), 21, 10),
    "INT4": dequantize(packed("w", TensorProto.INT4, [4, K], 2 * K), 21, 10),
    "UINT2": dequantize(packed("w", TensorProto.UINT2, [4, K], K), 25, 13),
    "INT2": dequantize(packed("w", TensorProto.INT2, [4, K], K), 25, 13),
}

DETAILS = {
    ("DequantizeLinear", "OPSET", 28): dequantize(constant("w", np.zeros((4, K), np.int8)), 28, 8),
    ("DequantizeLinear", "TYPE", 4): dequantize_ms(np.uint16),
    ("DequantizeLinear", "TYPE", 5): dequantize_ms(np.int16),
    ("DequantizeLinear", "TYPE", 6): dequantize_ms(np.int32),
    ("QuantizeLinear", "OPSET", 23): quantize(23),
    ("QuantizeLinear", "OPSET", 28): quantize(28),
    ("QLinearMatMul", "OPSET", 21): qlinear_matmul(21),
    ("MatMulNBits", "HAS_LEVEL", 0): nbits(4, accuracy_level=4),
    ("MatMulNBits", "INPUT", 4): nbits(4, "x q s - g"),
    ("MatMulNBits", "INPUT", 5): nbits(4, "x q s - - b"),
    ("MatMulNBits", "BITS", 2): nbits(2),
    ("MatMulNBits", "BITS", 8): nbits(8),
    ("GatherBlockQuantized", "HAS_BITS", 0): gather_blocks(constant("w", np.zeros((8, K), np.uint8)), bits=8),
    ("GatherBlockQuantized", "BITS", 2): gather_blocks(constant("w", np.zeros((8, K // 4), np.uint8)), bits=2),
}


def lines(kind: str) -> Iterator[list[str]]:
    for arguments in re.findall(rf"^{kind}\((.*)\)$", TABLE.read_text(), re.M):
        yield [argument.strip().strip('"') for argument in arguments.split(",")]


def forms() -> Iterator[Form]:
    for domain, version, minor in lines("OPSET"):
        ml = {"ai_onnx_ml": int(version)} if domain == "ML" else {}
        yield Form(f"opset {domain} {version}", identity(**ml) if ml else identity(int(version)), int(minor))
    for version, minor in lines("IR"):
        yield Form(f"IR {version}", identity(ir_version=int(version)), int(minor))
    for data_type, minor in lines("TENSOR"):
        yield Form(data_type, TENSORS[data_type], int(minor))
    for domain, name, detail, value, minor, words in lines("FORM"):
        if detail == "ANY":
            model = make([helper.make_node(name, ["x"], ["y"], domain=MS)], 17)
            yield Form(name, model, int(minor), has_kernel=False)
        else:
            yield Form(name + words, DETAILS[name, detail, int(value)], int(minor))
