"""Small models, made by hand."""

from collections.abc import Iterable

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from reference import Quantized

FLOAT = TensorProto.FLOAT

# What onnxq decides by: products of [K, N] under these sizes are folded instead (src/quantize/rules/rules.c).
MIN_DYNAMIC_NELEM = 65536
MIN_DYNAMIC_K, MAX_DYNAMIC_K = 128, 33025

K, N = 512, 144  # a weight that is large enough,
SQUARE = 272  # a square one,
SMALL_N = 12  # and the columns of one that is not

OPSET = 21
NEWEST = min(onnx.defs.onnx_opset_version(), 26)  # the newest that ONNX Runtime 1.31 loads


def rng(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def weights(*shape: int, seed: int = 1) -> np.ndarray:
    """Normal values; columns differ in size, so that a scale per channel matters."""
    w = rng(seed).standard_normal(shape, dtype=np.float32)
    if len(shape) > 1:
        w *= np.exp(rng(seed + 1).uniform(-2, 1, shape[-1]).astype(np.float32))
        w *= np.exp(rng(seed + 2).uniform(-2, 1, (shape[0],) + (1,) * (len(shape) - 1)).astype(np.float32))
    return w


def activations(*shape: int, seed: int = 7) -> np.ndarray:
    """Normal values around 0.3: the range is not symmetric, so that the zero point matters."""
    return rng(seed).standard_normal(shape, dtype=np.float32) + np.float32(0.3)


def node(op_type: str, inputs: str, outputs: str, **attributes) -> onnx.NodeProto:
    """node("Gemm", "x w c", "y", transB=1); a minus sign stands for an input that is left out."""
    names = ["" if name == "-" else name for name in inputs.split()]
    attributes.setdefault("name", f"{op_type.lower()}_{outputs.split()[0]}")
    return helper.make_node(op_type, names, outputs.split(), **attributes)


def info(name: str, shape: Iterable | None, elem_type: int = FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, elem_type, shape)


def infos(values: dict) -> list[onnx.ValueInfoProto]:
    """From {name: shape} or {name: array}."""

    def one(name: str, value) -> onnx.ValueInfoProto:
        if isinstance(value, np.ndarray):
            return info(name, value.shape, helper.np_dtype_to_tensor_dtype(value.dtype))
        return info(name, value)

    return [one(name, value) for name, value in values.items()]


def graph(
    nodes: list[onnx.NodeProto], inputs: dict, outputs: dict, constants: dict | None = None, name: str = "g"
) -> onnx.GraphProto:
    tensors = [
        value if isinstance(value, TensorProto) else numpy_helper.from_array(np.asarray(value), key)
        for key, value in (constants or {}).items()
    ]
    return helper.make_graph(nodes, name, infos(inputs), infos(outputs), tensors)


def model(
    nodes: list[onnx.NodeProto] | onnx.GraphProto,
    inputs: dict | None = None,
    outputs: dict | None = None,
    constants: dict | None = None,
    opset: int = OPSET,
    ir_version: int | None = None,
    imports: dict | None = None,
    **fields,
) -> onnx.ModelProto:
    """A model that the checker accepts; before IR 4 constants have to be inputs as well."""
    main = nodes if isinstance(nodes, onnx.GraphProto) else graph(nodes, inputs, outputs, constants)
    opsets = [
        helper.make_opsetid(domain, version) for domain, version in {"": opset, **(imports or {})}.items()
    ]
    ir_version = ir_version or helper.find_min_ir_version_for(opsets, ignore_unknown=True)
    if ir_version < 4:
        list_constants_as_inputs(main)
    made = helper.make_model(
        main, opset_imports=opsets, ir_version=ir_version, producer_name="tests", **fields
    )
    onnx.checker.check_model(made)
    return made


def list_constants_as_inputs(main: onnx.GraphProto) -> None:
    main.input.extend(info(t.name, t.dims, t.data_type) for t in main.initializer)


def matmul(x: np.ndarray, w: np.ndarray, opset: int = OPSET, **fields) -> onnx.ModelProto:
    """y = x @ w"""
    y = np.matmul(x, w)
    return model([node("MatMul", "x w", "y")], {"x": x.shape}, {"y": y.shape}, {"w": w}, opset, **fields)


def classifier(size: int, classes: int = 6) -> onnx.ModelProto:
    """Pictures of one size, which nothing tells but the weights behind a Flatten; x is declared open."""
    cells = (size + 7) // 8
    nodes = [
        node("Conv", "x k", "c", strides=[8, 8], pads=[1, 1, 1, 1]),
        node("Relu", "c", "r"),
        node("Flatten", "r", "f"),
        node("MatMul", "f w", "y"),
    ]
    constants = {"k": weights(8, 3, 3, 3), "w": weights(8 * cells * cells, classes, seed=2)}
    return model(nodes, {"x": ("N", 3, "height", "width")}, {"y": ("N", classes)}, constants)


def dynamic_product(w: Quantized, bias: np.ndarray | None = None) -> onnx.GraphProto:
    """y = x @ w [+ bias] in integers, in the arrangement that ONNX Runtime fuses."""
    nodes = [
        node("DynamicQuantizeLinear", "x", "xq xs xz"),
        node("MatMulInteger", "xq q xz", "mi"),
        node("Cast", "mi", "c", to=FLOAT),
        node("Mul", "xs s", "sc"),
        node("Mul", "c sc", "y" if bias is None else "p"),
    ]
    constants = {"q": w.q, "s": w.scale.reshape(-1)}
    if bias is not None:
        nodes.append(node("Add", "p b", "y"))
        constants["b"] = bias
    rows, columns = "rows", w.q.shape[1]
    return graph(nodes, {"x": (rows, w.q.shape[0])}, {"y": (rows, columns)}, constants)


def with_weights(source: onnx.ModelProto, replaced: dict[str, np.ndarray]) -> onnx.ModelProto:
    """The model with other values in some of its initializers."""
    copy = onnx.ModelProto()
    copy.CopyFrom(source)
    for tensor in copy.graph.initializer:
        if tensor.name in replaced:
            tensor.CopyFrom(numpy_helper.from_array(replaced[tensor.name], tensor.name))
    return copy
