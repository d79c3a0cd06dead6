"""Small float models of all kinds of graphs that onnxq changes, each for the opset that is asked for."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper

import build
from build import node

K, N = 64, 96
MS = "com.microsoft"


@dataclass(frozen=True)
class Graph:
    model: onnx.ModelProto
    feeds: dict[str, np.ndarray]


MAKERS: dict[str, Callable[[int], Graph]] = {}


def normal(*shape: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def graph(function):
    """Enters a function into the table: opset -> (nodes, feeds, constants[, name of the output])."""

    def make(opset: int) -> Graph:
        nodes, feeds, constants, *output = function(opset)
        imports = {n.domain: 1 for n in nodes if n.domain}
        outputs = [onnx.ValueInfoProto(name=name) for name in (output or ["y"])]
        main = helper.make_graph(nodes, "g", build.infos(feeds), outputs, build.graph([], {}, {}, constants).initializer)
        opsets = [helper.make_opsetid(domain, version) for domain, version in {"": opset, **imports}.items()]
        ir_version = helper.find_min_ir_version_for(opsets, ignore_unknown=True)
        made = helper.make_model(main, opset_imports=opsets, ir_version=ir_version)
        if not imports:  # types and shapes of the outputs
            made = onnx.shape_inference.infer_shapes(made)
        for value in made.graph.output:
            if not value.type.tensor_type.elem_type:  # of an operator of com.microsoft
                value.type.tensor_type.elem_type = TensorProto.FLOAT
        del made.graph.value_info[:]
        return Graph(made, feeds)

    MAKERS[function.__name__] = make
    return function


# --- products -----------------------------------------------------------------


@graph
def matmul(opset):
    return [node("MatMul", "x w", "p"), node("Add", "p b", "y")], {"x": normal(5, K)}, {"w": normal(K, N), "b": normal(N)}


@graph
def matmul_large(opset):
    return [node("MatMul", "x w", "y")], {"x": normal(5, 512)}, {"w": normal(512, 144)}


@graph
def matmul_left(opset):
    return [node("MatMul", "w x", "y")], {"x": normal(K, 5)}, {"w": normal(N, K)}


@graph
def matmul_batches(opset):
    return [node("MatMul", "x w", "y")], {"x": normal(3, 5, K)}, {"w": normal(3, K, N)}


@graph
def matmul_of_weights(opset):
    """Which no input takes part in."""
    nodes = [node("MatMul", "v w", "y"), node("Add", "x x", "z")]
    return nodes, {"x": normal(5, N)}, {"v": normal(N, K, seed=2), "w": normal(K, N)}


@graph
def matmul_shared_input(opset):
    nodes = [node("MatMul", f"x w{i}", f"p{i}") for i in range(3)] + [node("Sum", "p0 p1 p2", "y")]
    return nodes, {"x": normal(5, K)}, {f"w{i}": normal(K, N, seed=i) for i in range(3)}


@graph
def matmul_float16(opset):
    return [node("MatMul", "x w", "y")], {"x": normal(5, K).astype(np.float16)}, {"w": normal(K, N).astype(np.float16)}


@graph
def matmul_twice(opset):
    """The second product's input is what the first one makes."""
    nodes = [node("MatMul", "x w", "p"), node("Relu", "p", "r"), node("MatMul", "r v", "y")]
    return nodes, {"x": normal(5, K)}, {"w": normal(K, N), "v": normal(N, K)}


@graph
def matmul_in_a_body(opset):
    bodies = [build.graph([node("MatMul", "x w", f"y{i}")], {}, {f"y{i}": (5, N)}, name=f"b{i}") for i in "te"]
    choice = node("If", "c", "y", then_branch=bodies[0], else_branch=bodies[1])
    return [choice], {"c": np.array(True), "x": normal(5, K)}, {"w": normal(K, N)}


@graph
def gemm(opset):
    nodes = [node("Gemm", "x w b", "y", transB=1, alpha=0.5)]
    return nodes, {"x": normal(5, K)}, {"w": normal(N, K), "b": normal(N)}


@graph
def gemm_plain(opset):
    return [node("Gemm", "x w b", "y")], {"x": normal(5, K)}, {"w": normal(K, N), "b": normal(N)}


@graph
def conv(opset):
    nodes = [node("Conv", "x w b", "p"), node("Relu", "p", "y")]
    return nodes, {"x": normal(1, 8, 9, 9)}, {"w": normal(24, 8, 3, 3), "b": normal(24)}


@graph
def conv_pointwise(opset):
    return [node("Conv", "x w", "y")], {"x": normal(1, 64, 7, 7)}, {"w": normal(128, 64, 1, 1)}


@graph
def conv_depthwise(opset):
    return [node("Conv", "x w", "y", group=32)], {"x": normal(1, 32, 9, 9)}, {"w": normal(32, 1, 3, 3)}


@graph
def conv_transpose(opset):
    return [node("ConvTranspose", "x w", "y")], {"x": normal(1, 8, 9, 9)}, {"w": normal(8, 24, 3, 3)}


@graph
def lstm(opset):
    nodes = [node("LSTM", "x w r b", "y", hidden_size=32)]
    return nodes, {"x": normal(7, 2, K)}, {"w": normal(1, 128, K) / 8, "r": normal(1, 128, 32) / 8, "b": normal(1, 256)}


@graph
def gru(opset):
    nodes = [node("GRU", "x w r", "y", hidden_size=32)]
    return nodes, {"x": normal(7, 2, K)}, {"w": normal(1, 96, K) / 8, "r": normal(1, 96, 32) / 8}


@graph
def attention(opset):
    nodes = [node("Attention", "x w b", "y", domain=MS, num_heads=4)]
    return nodes, {"x": normal(2, 7, K)}, {"w": normal(K, 3 * K) / 8, "b": normal(3 * K)}


@graph
def einsum(opset):
    return [node("Einsum", "x w", "y", equation="bk,kn->bn")], {"x": normal(5, K)}, {"w": normal(K, N)}


@graph
def one_block(opset):
    """A vector, all of which is a block of 256."""
    return [node("MatMul", "x v", "y")], {"x": normal(5, 256)}, {"v": normal(256)}


@graph
def one_block_of_a_matrix(opset):
    return [node("Gemm", "x v", "y", transB=1)], {"x": normal(5, 256)}, {"v": normal(1, 256)}


@graph
def one_block_of_a_filter(opset):
    return [node("Conv", "x v", "y")], {"x": normal(1, 256, 3, 3)}, {"v": normal(1, 256, 1, 1)}


@graph
def table_added(opset):
    return [node("Add", "x v", "y")], {"x": normal(2, 40, K)}, {"v": normal(40, K)}


# --- weights that are rearranged first ------------------------------------------


def behind(*nodes: onnx.NodeProto, w: np.ndarray, **constants: np.ndarray):
    return [*nodes, node("MatMul", "x t", "y")], {"x": normal(5, K)}, {"w": w, **constants}


def axes(op_type: str, opset: int, *values: int) -> tuple[onnx.NodeProto, dict]:
    if opset < 13:
        return node(op_type, "w", "t", axes=list(values)), {}
    return node(op_type, "w a", "t"), {"a": np.array(values)}


@graph
def transposed(opset):
    return behind(node("Transpose", "w", "t", perm=[1, 0]), w=normal(N, K))


@graph
def reshaped(opset):
    return behind(node("Reshape", "w s", "t"), w=normal(4, K // 4, N), s=np.array([K, N]))


@graph
def squeezed(opset):
    squeeze, constants = axes("Squeeze", opset, 0)
    return behind(squeeze, w=normal(1, K, N), **constants)


@graph
def unsqueezed(opset):
    unsqueeze, constants = axes("Unsqueeze", opset, 0)
    return behind(unsqueeze, w=normal(K, N), **constants)


@graph
def sliced(opset):
    return behind(node("Slice", "w b e a", "t"), w=normal(K + 8, N), b=np.array([8]), e=np.array([K + 8]), a=np.array([0]))


@graph
def joined(opset):
    return behind(node("Concat", "w v", "t", axis=1), w=normal(K, N), v=normal(K, N, seed=3))


@graph
def split(opset):
    if opset < 13:
        return behind(node("Split", "w", "t u", axis=1, split=[K, N]), w=normal(K, K + N))
    return behind(node("Split", "w n", "t u", axis=1), w=normal(K, K + N), n=np.array([K, N]))


@graph
def cast(opset):
    return behind(node("Cast", "w", "t", to=TensorProto.FLOAT), w=normal(K, N).astype(np.float16))


@graph
def transposed_and_scaled(opset):
    return behind(node("Transpose", "w", "u", perm=[1, 0]), node("Mul", "u f", "t"), w=normal(N, K), f=np.float32([0.25]))


@graph
def transposed_conv_weight(opset):
    nodes = [node("Transpose", "w", "t", perm=[3, 2, 0, 1]), node("Conv", "x t", "y")]
    return nodes, {"x": normal(1, 8, 9, 9)}, {"w": normal(3, 3, 8, 24)}


@graph
def maximum(opset):
    """Operators that the engine moves quantization through."""
    nodes = [node("Transpose", "w", "t", perm=[1, 0]), node("Relu", "t", "r"), node("Add", "x r", "y")]
    return nodes, {"x": normal(K, N)}, {"w": normal(N, K)}


# --- tables -----------------------------------------------------------------------


@graph
def table(opset):
    return [node("Gather", "w i", "y")], {"i": np.array([[0, 99], [7, 7]])}, {"w": normal(100, K)}


@graph
def tied_table(opset):
    nodes = [node("Gather", "w i", "e"), node("Transpose", "w", "t", perm=[1, 0]), node("MatMul", "e t", "y")]
    return nodes, {"i": np.array([[0, 99], [7, 7]])}, {"w": normal(100, K)}


def embeddings(n_tables: int, index_type=np.int64, mask: bool = False):
    ids = {f"i{i}": np.array([[3, 1, 4, 1, 5]], index_type) % (100, 40, 2)[i] for i in range(n_tables)}
    tables = {f"w{i}": normal(size, K, seed=i) for i, size in enumerate((100, 40, 2)[:n_tables])}
    return ids, tables


def normalization(opset: int, x: str, output: str) -> tuple[list[onnx.NodeProto], dict]:
    """LayerNormalization; before opset 17, as exporters write it out."""
    constants = {"gamma": normal(K, seed=8), "beta": normal(K, seed=9)}
    if opset >= 17:
        return [node("LayerNormalization", f"{x} gamma beta", output)], constants
    nodes = [
        node("ReduceMean", x, "mean", axes=[-1]),
        node("Sub", f"{x} mean", "centered"),
        node("Pow", "centered two", "squares"),
        node("ReduceMean", "squares", "variance", axes=[-1]),
        node("Add", "variance epsilon", "positive"),
        node("Sqrt", "positive", "deviation"),
        node("Div", "centered deviation", "normal"),
        node("Mul", "normal gamma", "scaled"),
        node("Add", "scaled beta", output),
    ]
    return nodes, {**constants, "two": np.float32(2), "epsilon": np.float32(1e-5)}


@graph
def bert_embeddings(opset):
    """Token, position and segment, then LayerNormalization: engines make one operator of it."""
    ids, tables = embeddings(3, np.int64)
    feeds = {"i0": ids["i0"], "i2": ids["i2"]}
    gathers = [node("Gather", f"w{i} i{i}", f"e{i}") for i in range(3)]
    nodes = [*gathers, node("Add", "e0 e1", "s"), node("Add", "s e2", "t")]
    tail, constants = normalization(opset, "t", "y")
    return [*nodes, *tail], feeds, {**tables, **constants, "i1": np.arange(5)[None]}


@graph
def bert_attention(opset):
    """The same in front of attention, as in BERT: the whole pattern of the fusion."""
    ids, tables = embeddings(3, np.int64)
    feeds = {"i0": ids["i0"], "i2": ids["i2"], "m": np.ones((1, 5), np.int64)}
    nodes = [node("Gather", f"w{i} i{i}", f"e{i}") for i in range(3)]
    nodes += [node("Add", "e0 e1", "s"), node("Add", "s e2", "t")]
    tail, constants = normalization(opset, "t", "n")
    nodes += tail + [node("Cast", "m", "mi", to=TensorProto.INT32)]
    nodes += [node("ReduceSum", "mi axis", "mask", keepdims=0)] if opset >= 13 else [node("ReduceSum", "mi", "mask", axes=[1], keepdims=0)]
    nodes += [node("Attention", "n wa ba mask", "y", domain=MS, num_heads=4)]
    constants |= {"wa": normal(K, 3 * K) / 8, "ba": normal(3 * K)} | ({"axis": np.array([1])} if opset >= 13 else {})
    return nodes, feeds, {**tables, **constants, "i1": np.arange(5)[None]}


@graph
def token_and_position(opset):
    ids, tables = embeddings(2, np.int64)
    nodes = [node("Gather", f"w{i} i{i}", f"e{i}") for i in range(2)] + [node("Add", "e0 e1", "t")]
    tail, constants = normalization(opset, "t", "n")
    constants |= {"wa": normal(K, 3 * K) / 8, "ba": normal(3 * K)}
    nodes += [*tail, node("Attention", "n wa ba", "y", domain=MS, num_heads=4)]
    return nodes, {"i0": ids["i0"]}, {**tables, **constants, "i1": np.arange(5)[None]}


@graph
def position_table_sliced(opset):
    """The positions are rows that a Slice takes from the table."""
    ids, tables = embeddings(3, np.int64)
    feeds = {"i0": ids["i0"], "i2": ids["i2"]}
    nodes = [node("Gather", "w0 i0", "e0"), node("Gather", "w2 i2", "e2"), node("Slice", "w1 b e a", "e1")]
    nodes += [node("Add", "e0 e1", "s"), node("Add", "s e2", "t")]
    tail, constants = normalization(opset, "t", "y")
    constants |= {"b": np.array([0]), "e": np.array([5]), "a": np.array([0])}
    return [*nodes, *tail], feeds, {**tables, **constants}


# --- models of which a part is quantized already -----------------------------------

Q8 = {"s": np.float32(0.04), "z": np.uint8(120)}


def quantized(name: str, output: str, kind: str = "") -> list[onnx.NodeProto]:
    return [
        node("QuantizeLinear", f"{name} s{kind} z{kind}", f"{name}_q"),
        node("DequantizeLinear", f"{name}_q s{kind} z{kind}", output),
    ]


@graph
def quantized_conv(opset):
    nodes = [*quantized("x", "d"), node("Conv", "d w", "c"), *quantized("c", "y", "2")]
    constants = {**Q8, "s2": np.float32(0.5), "z2": np.uint8(128)}
    return nodes, {"x": normal(1, 8, 9, 9)}, {"w": normal(24, 8, 3, 3), **constants}


@graph
def quantized_conv_bias(opset):
    nodes = [*quantized("x", "d"), node("Conv", "d w b", "c"), node("Relu", "c", "r"), *quantized("r", "y", "2")]
    constants = {**Q8, "s2": np.float32(0.2), "z2": np.uint8(0), "b": normal(24)}
    return nodes, {"x": normal(1, 8, 9, 9)}, {"w": normal(24, 8, 3, 3), **constants}


@graph
def quantized_matmul(opset):
    nodes = [*quantized("x", "d"), node("MatMul", "d w", "c"), *quantized("c", "y", "2")]
    return nodes, {"x": normal(5, K)}, {"w": normal(K, N), **Q8, "s2": np.float32(0.3), "z2": np.uint8(128)}


@graph
def quantized_matmul_int8(opset):
    nodes = [*quantized("x", "d"), node("MatMul", "d w", "c"), *quantized("c", "y", "2")]
    constants = {"s": np.float32(0.03), "z": np.int8(0), "s2": np.float32(0.3), "z2": np.int8(0)}
    return nodes, {"x": normal(5, K)}, {"w": normal(K, N), **constants}


@graph
def quantized_input_of_matmul(opset):
    return [*quantized("x", "d"), node("MatMul", "d w", "y")], {"x": normal(5, K)}, {"w": normal(K, N), **Q8}


@graph
def quantized_gemm(opset):
    nodes = [*quantized("x", "d"), node("Gemm", "d w b", "c", transB=1), *quantized("c", "y", "2")]
    constants = {**Q8, "s2": np.float32(0.3), "z2": np.uint8(128), "b": normal(N)}
    return nodes, {"x": normal(5, K)}, {"w": normal(N, K), **constants}


@graph
def quantized_input_of_gemm(opset):
    nodes = [*quantized("x", "d"), node("Gemm", "d w b", "y", transB=1)]
    return nodes, {"x": normal(5, K)}, {"w": normal(N, K), "b": normal(N), **Q8}


@graph
def quantized_add(opset):
    nodes = [*quantized("x", "d"), node("Add", "d v", "c"), *quantized("c", "y", "2")]
    return nodes, {"x": normal(5, K)}, {"v": normal(5, K, seed=2), **Q8, "s2": np.float32(0.05), "z2": np.uint8(128)}


def elementwise(op_type: str, kind):
    nodes = [*quantized("x", "d"), node(op_type, "d v", "c"), *quantized("c", "y", "2")]
    zero = kind(np.iinfo(kind).max // 2 + 1 if kind == np.uint8 else 0)
    constants = {"s": np.float32(0.04), "z": zero, "s2": np.float32(0.05), "z2": zero}
    return nodes, {"x": normal(5, K)}, {"v": normal(5, K, seed=2), **constants}


@graph
def quantized_add_int8(opset):
    return elementwise("Add", np.int8)


@graph
def quantized_mul(opset):
    return elementwise("Mul", np.uint8)


@graph
def quantized_mul_int8(opset):
    return elementwise("Mul", np.int8)


@graph
def quantized_concat(opset):
    nodes = [*quantized("x", "d"), node("Concat", "d v", "c", axis=0), *quantized("c", "y", "2")]
    return nodes, {"x": normal(5, K)}, {"v": normal(5, K, seed=2), **Q8, "s2": np.float32(0.05), "z2": np.uint8(128)}


@graph
def quantized_where(opset):
    nodes = [*quantized("x", "d"), node("Where", "t d v", "c"), *quantized("c", "y", "2")]
    constants = {**Q8, "s2": np.float32(0.05), "z2": np.uint8(128)}
    return nodes, {"x": normal(5, K), "t": normal(5, K, seed=3) > 0}, {"v": normal(5, K, seed=2), **constants}


@graph
def quantized_matmul_left(opset):
    nodes = [*quantized("x", "d"), node("MatMul", "w d", "c"), *quantized("c", "y", "2")]
    return nodes, {"x": normal(K, 5)}, {"w": normal(N, K), **Q8, "s2": np.float32(0.3), "z2": np.uint8(128)}


@graph
def quantized_matmul_batches(opset):
    nodes = [*quantized("x", "d"), node("MatMul", "d w", "c"), *quantized("c", "y", "2")]
    return nodes, {"x": normal(3, 5, K)}, {"w": normal(3, K, N), **Q8, "s2": np.float32(0.3), "z2": np.uint8(128)}


@graph
def quantized_conv_transpose(opset):
    nodes = [*quantized("x", "d"), node("ConvTranspose", "d w", "c"), *quantized("c", "y", "2")]
    constants = {**Q8, "s2": np.float32(0.5), "z2": np.uint8(128)}
    return nodes, {"x": normal(1, 8, 9, 9)}, {"w": normal(8, 24, 3, 3), **constants}


@graph
def quantized_transposed(opset):
    nodes = [*quantized("x", "d"), node("Transpose", "w", "t", perm=[1, 0]), node("MatMul", "d t", "c")]
    nodes += quantized("c", "y", "2")
    return nodes, {"x": normal(5, K)}, {"w": normal(N, K), **Q8, "s2": np.float32(0.3), "z2": np.uint8(128)}


@graph
def quantized_table(opset):
    nodes = [node("Gather", "w i", "e"), *quantized("e", "y")]
    return nodes, {"i": np.array([[0, 99], [7, 7]])}, {"w": normal(100, K), **Q8}
