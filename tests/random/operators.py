"""How each operator is drawn: one function each, which picks inputs and adds nodes to a drawing."""

import numpy as np
import onnx
from onnx import TensorProto, helper

import engine
from engine import MICROSOFT
from graphs import Drawing, Reject, Value


def need(condition: bool) -> None:
    if not condition:
        raise Reject


# --- products ---


def matmul(d: Drawing) -> None:
    x = d.activation()
    need(x.array.ndim >= 1)
    k = x.array.shape[-1]
    n = d.pick((1, 2, 3, 8, 16, 33, 64))
    if x.array.ndim == 3 and d.chance(0.2):
        shape = (x.array.shape[0] if d.chance(0.5) else 1, k, n)
    elif x.array.ndim == 2 and d.chance(0.1):
        shape = (d.pick((2, 3)), k, n)
    else:
        shape = (k, n) if d.chance(0.95) else (k,)
    y = d.node("MatMul", [x, d.weight(shape)])
    if d.chance(0.4) and len(shape) == 2:
        d.node("Add", [y, d.weight((n,))] if d.chance(0.7) else [d.weight((n,)), y])


def matmul_left(d: Drawing) -> None:
    x = d.activation((1, 2, 3))
    k = x.array.shape[-2] if x.array.ndim > 1 else x.array.shape[0]
    d.node("MatMul", [d.weight((d.pick((1, 3, 8, 16, 33)), k)), x])


def gemm(d: Drawing) -> None:
    x = d.activation((2,))
    ta, tb = d.random.randrange(2), d.random.randrange(2)
    left = d.chance(0.2)
    m, k = x.array.shape[::-1] if ta else x.array.shape
    n = d.pick((1, 2, 3, 8, 16, 33, 64))
    if left:
        # W' [p, q] . x' [q = .., n]
        kk, nn = x.array.shape[::-1] if tb else x.array.shape
        p = d.pick((1, 3, 8, 16))
        inputs = [d.weight((kk, p) if ta else (p, kk)), x]
        m, n = p, nn
    else:
        inputs = [x, d.weight((n, k) if tb else (k, n))]
    alpha = d.pick([1.0, 1.0, 0.5, -2.0, 0.0, 1e-3] + ([-3e38] if d.chance(0.05) else []))
    beta = d.pick([1.0, 1.0, 0.3, 0.0, -1.0])
    shapes = [(n,), (1, n), (m, n), (m, 1), (1,), (), (1, 1)]
    if d.opset < 11 or d.chance(0.7):
        shape = d.pick(shapes)
        alike = [v for v in d.activations() if v.array.shape == shape]
        inputs.append(d.pick(alike) if alike and d.chance(0.5) else d.weight(shape))
    attributes = {"alpha": alpha, "beta": beta, "transA": ta, "transB": tb}
    for key in list(attributes):
        default = 1.0 if key in ("alpha", "beta") else 0
        if attributes[key] == default and d.chance(0.5):
            del attributes[key]
    d.node("Gemm", inputs, **attributes)


# Of an activation and a weight, in this order or turned round; by the rank of the activation.
EQUATIONS = {
    1: ("k,kn->n", "k,nk->n"),
    2: ("mk,kn->mn", "mk,nk->mn", "km,kn->mn", "mk,kn->nm", "mk,khd->mhd", "mk,kn", "...k,kn->...n", "mk,mk->m"),
    3: ("bsk,kn->bsn", "bsk,nk->bsn", "bsk,khd->bshd", "bshd,hdn->bsn", "bhk,hkn->bhn", "bsk,kn->bns", "...k,kn->...n"),
    4: ("bshd,hdn->bsn", "bshk,kn->bshn", "bhsk,hkn->bhsn", "bhsk,hkn->bshn", "...k,nk->...n"),
}  # fmt: skip


def einsum(d: Drawing) -> None:
    need(d.opset >= 12)
    x = d.activation((1, 2, 3, 4))
    rank = x.array.ndim
    equation = d.pick(EQUATIONS[rank])
    terms, _, result = equation.partition("->")
    of_x, of_w = terms.split(",")
    need("..." in of_x or len(of_x) == rank)
    sizes = dict(zip(reversed(of_x.replace("...", "")), reversed(x.array.shape), strict=False))
    w = d.weight(tuple(sizes.get(letter, d.pick((1, 2, 4, 16))) for letter in of_w))
    if "->" in equation and d.chance(0.2):
        d.node("Einsum", [w, x], equation=f"{of_w},{of_x}->{result}")
    else:
        d.node("Einsum", [x, w], equation=equation)


def fused_matmul(d: Drawing) -> None:
    """As the engine writes them into models that it has optimized."""
    x = d.activation((2, 3))
    need(d.dtype != np.float16)
    k, n = x.array.shape[-1], d.pick((1, 2, 8, 16, 33))
    ta, tb = int(d.chance(0.2)), d.random.randrange(2)
    k = x.array.shape[-2] if ta else k
    attributes = {"transA": ta, "transB": tb, "alpha": d.pick((1.0, 0.125, -2.0))}
    for key in list(attributes):
        if attributes[key] in (0, 1.0) and d.chance(0.5):
            del attributes[key]
    d.node("FusedMatMul", [x, d.weight((n, k) if tb else (k, n))], domain=MICROSOFT, **attributes)


def fused_gemm(d: Drawing) -> None:
    x = d.activation((2,))
    need(d.dtype == np.float32)
    k, n, tb = x.array.shape[1], d.pick((1, 2, 8, 16, 33)), d.random.randrange(2)
    inputs = [x, d.weight((n, k) if tb else (k, n))]
    if d.chance(0.7):
        inputs.append(d.weight((n,)))
    attributes = {"transB": tb, "alpha": d.pick((1.0, 0.5)), "activation": d.pick(("Relu", "LeakyRelu"))}
    if attributes["activation"] == "LeakyRelu":
        attributes["activation_alpha"] = 0.1
    d.node("FusedGemm", inputs, domain=MICROSOFT, **attributes)


def image(d: Drawing, spatial: int) -> Value:
    """An activation [batch, channels, places..]."""
    x = d.activation((spatial + 2,)) if d.chance(0.6) and d.activations((spatial + 2,)) else None
    if x is not None:
        return x
    base = d.activation()
    size = base.array.size
    need(size >= 4)
    c = d.pick([f for f in (1, 2, 3, 4, 8, 16) if size % f == 0])
    rest = size // c
    first = d.pick([f for f in (1, 2, 3, 4, 5, 8) if rest % f == 0]) if spatial == 2 else 1
    shape = [1, c, rest] if spatial == 1 else [1, c, first, rest // first]
    return d.node("Reshape", [base, d.plain(np.array(shape, np.int64))])


def conv(d: Drawing) -> None:
    spatial = d.pick((1, 2, 2))
    x = image(d, spatial)
    channels = x.array.shape[1]
    group = d.pick([g for g in (1, 1, 1, 2, channels) if channels % g == 0])
    out = group * d.pick((1, 2, 3, 8))
    kernel = [d.pick((1, 1, 2, 3)) for _ in range(spatial)]
    attributes = {}
    if d.chance(0.5):
        attributes["pads"] = [d.random.randrange(2) for _ in range(2 * spatial)]
    elif d.chance(0.3):
        attributes["auto_pad"] = d.pick(("SAME_UPPER", "VALID", "SAME_LOWER"))
    if d.chance(0.3):
        attributes["strides"] = [d.pick((1, 2)) for _ in range(spatial)]
    if d.chance(0.2) and "auto_pad" not in attributes:
        attributes["dilations"] = [d.pick((1, 2)) for _ in range(spatial)]
    if group > 1 or d.chance(0.3):
        attributes["group"] = group
    if d.chance(0.5):
        attributes["kernel_shape"] = kernel
    inputs = [x, d.weight((out, channels // group, *kernel))]
    if d.chance(0.5):
        inputs.append(d.weight((out,)))
    d.node("Conv", inputs, **attributes)


def conv_transpose(d: Drawing) -> None:
    spatial = d.pick((1, 2))
    x = image(d, spatial)
    channels = x.array.shape[1]
    group = d.pick([g for g in (1, 1, 2) if channels % g == 0])
    kernel = [d.pick((1, 2, 3)) for _ in range(spatial)]
    out = d.pick((1, 2, 4))
    inputs = [x, d.weight((channels, out, *kernel))]
    if d.chance(0.4):
        inputs.append(d.weight((out * group,)))
    d.node("ConvTranspose", inputs, group=group, strides=[d.pick((1, 2)) for _ in range(spatial)])


def recurrent(d: Drawing) -> None:
    x = d.activation((3,))
    op, gates = d.pick((("LSTM", 4), ("LSTM", 4), ("GRU", 3), ("RNN", 1)))
    steps, batch, width = x.array.shape
    need(steps <= 8 and batch <= 8)
    direction = d.pick(("forward", "forward", "reverse", "bidirectional"))
    n = 2 if direction == "bidirectional" else 1
    hidden = d.pick((1, 2, 4, 8, 16))
    inputs = [x, d.weight((n, gates * hidden, width)), d.weight((n, gates * hidden, hidden))]
    inputs.append(d.weight((n, 2 * gates * hidden)) if d.chance(0.6) else "")
    inputs.append("")
    if d.chance(0.4):
        inputs.append(d.weight((n, batch, hidden)))
        if op == "LSTM":
            inputs.append(d.weight((n, batch, hidden)))
            if d.chance(0.3):
                inputs.append(d.weight((n, 3 * hidden)))
    attributes = {"hidden_size": hidden}
    if direction != "forward" or d.chance(0.3):
        attributes["direction"] = direction
    if op == "GRU" and d.chance(0.5):
        attributes["linear_before_reset"] = d.random.randrange(2)
    y, *_ = d.node(op, inputs, 3 if op == "LSTM" else 2, **attributes)
    if d.chance(0.7):
        d.node("Transpose", [y], perm=[0, 2, 1, 3])
    if d.chance(0.2):  # another one with the same weights, or one of them
        for own in d.pick(((), (1,), (2,))):
            inputs[own] = d.weight(inputs[own].array.shape)
        d.node(op, inputs, 3 if op == "LSTM" else 2, **attributes)


def attention(d: Drawing) -> None:
    need(d.dtype == np.float32)
    x = d.activation((3,))
    batch, length, width = x.array.shape
    need(length <= 16 and batch <= 8)
    heads = d.pick((1, 2, 4))
    hidden = heads * d.pick((1, 2, 4, 8))
    inputs = [x, d.weight((width, 3 * hidden)), d.weight((3 * hidden,))]
    attributes = {"num_heads": heads}
    if d.chance(0.3):
        attributes["unidirectional"] = 1
    if d.chance(0.2):
        attributes["qkv_hidden_sizes"] = [hidden, hidden, hidden]
    if d.chance(0.2):
        attributes["scale"] = 0.3
    d.node("Attention", inputs, domain=MICROSOFT, **attributes)


def gather(d: Drawing) -> None:
    indices = [v for v in d.visible() if not v.is_constant and v.array.dtype == np.int64 and v.array.size < 64]
    axis = 0 if d.chance(0.8) else 1
    rows = d.pick((1, 3, 8, 16, 33, 64))
    table = d.weight((rows, d.pick((1, 4, 16, 32, 33))) if axis == 0 else (d.pick((2, 8, 32)), rows))
    if indices and d.chance(0.8):
        i = d.pick(indices)
    else:
        i = d.plain(d.numpy.integers(0, table.array.shape[axis], d.pick(((), (1,), (3,), (2, 3)))))
    d.node("Gather", [table, i], **({"axis": axis} if axis or d.chance(0.5) else {}))


def tied(d: Drawing) -> None:
    """A table of rows, whose transpose is the last product."""
    x = d.activation((2, 3))
    indices = [v for v in d.visible() if not v.is_constant and v.array.dtype == np.int64 and v.array.size < 64]
    table = d.weight((d.pick((4, 16, 33, 64)), x.array.shape[-1]))
    d.node("Gather", [table, d.pick(indices)])
    d.node("MatMul", [x, d.node("Transpose", [table], perm=[1, 0])])


def big_gather(d: Drawing) -> None:
    """A table of 4 MB, from which on rows stay integers."""
    need(d.chance(0.04) and d.depth == 0)
    n = 1024 if d.chance(0.5) else 1100
    table = d.store(d.numpy.standard_normal((n, 1024 if n == 1024 else 960)).astype(d.dtype))
    if d.chance(0.4):
        table = d.node("Transpose", [table], known=[np.ascontiguousarray(table.array.T)], perm=[1, 0])
    indices = [v for v in d.visible() if not v.is_constant and v.array.dtype == np.int64 and v.array.size < 8]
    d.node("Gather", [table, d.pick(indices)])


# --- elementwise ---

BINARY = ("Add", "Add", "Sub", "Mul", "Mul", "Div", "Max", "Min", "Pow", "PRelu", "Mean", "Sum", "Mod")


def broadcastable(d: Drawing, shape: tuple[int, ...]) -> tuple[int, ...]:
    kind = d.random.randrange(6)
    if kind == 0 or not shape:
        return ()
    if kind == 1:
        return shape
    kept = shape[d.random.randrange(len(shape)) :]
    return tuple(n if d.chance(0.75) else 1 for n in kept)


def binary(d: Drawing) -> None:
    op = d.pick(BINARY)
    x = d.activation()
    alike = [v for v in d.activations() if v.array.shape == x.array.shape and v is not x]
    other = d.pick(alike) if alike and d.chance(0.3) else d.weight(broadcastable(d, x.array.shape))
    if op == "Pow" and other.is_constant:
        x = d.node("Abs", [x])
    inputs = [x, other] if op in ("PRelu", "Pow") or d.chance(0.7) else [other, x]
    attributes = {"fmod": 1} if op == "Mod" else {}
    if op == "Div" and d.chance(0.6):
        inputs = [other, d.node("Add", [d.node("Abs", [x]), d.store(np.array(0.1, d.dtype))])]
    need(op != "Mod" or d.opset >= 10)
    d.node(op, inputs, **attributes)


UNARY = (
    "Relu", "Sigmoid", "Tanh", "Exp", "Neg", "Abs", "Softplus", "Elu", "Selu", "LeakyRelu", "Erf", "Floor",
    "Ceil", "Identity", "HardSigmoid", "Sqrt", "Softmax", "Sin", "Sign", "Round", "Gelu", "Dropout", "Clip",
)  # fmt: skip


def unary(d: Drawing) -> None:
    op = d.pick(UNARY)
    x = d.activation()
    if op == "Sqrt":
        x = d.node("Abs", [x])
    if op == "Clip":
        if d.opset < 11:
            d.node(op, [x], min=-0.5, max=0.7)
        else:
            d.node(op, [x, d.store(np.array(-0.5, d.dtype)), d.store(np.array(0.7, d.dtype))])
        return
    d.node(op, [x])


def compare(d: Drawing) -> None:
    need(d.opset >= 9)
    x = d.activation()
    other = d.weight(broadcastable(d, x.array.shape))
    b = d.node(d.pick(("Less", "Greater")), [x, other] if d.chance(0.6) else [other, x])
    if d.chance(0.5):
        d.node("Where", [b, x, d.weight(broadcastable(d, x.array.shape))])
    else:
        d.cast(b, d.dtype)


def constant_decision(d: Drawing) -> None:
    """What constants alone decide: an order, a place, a mask, a count."""
    w = d.weight(d.shape_of(2, 1500))
    kind = d.random.randrange(8)
    if kind == 0:
        made = d.cast(d.node("ArgMax", [w], axis=d.random.randrange(2), keepdims=d.random.randrange(2)), d.dtype)
    elif kind == 1 and d.opset >= 10:
        k = d.plain(np.array([d.random.randrange(1, w.array.shape[-1] + 1)], np.int64))
        _, indices = d.node("TopK", [w, k], 2)
        made = d.cast(indices, d.dtype)
    elif kind == 2 and d.opset >= 9:
        made = d.cast(d.node("NonZero", [w]), d.dtype)
        need(made.array.size)
    elif kind == 3 and d.opset >= 9:
        mask = d.node(d.pick(("Less", "Greater")), [w, d.store(np.array(d.pick((0, 0.1)), d.dtype))])
        made = d.node("Where", [mask, d.weight(w.array.shape), d.weight(())])
    elif kind == 4:
        scaled = d.node("Mul", [w, d.store(np.array(7, d.dtype))])
        rows = d.node("Abs", [scaled])
        index = d.cast(d.node("Floor", [d.node("Min", [rows, d.store(np.array(5, d.dtype))])]), np.int64)
        made = d.node("Gather", [d.weight((6, 16)), index])
    elif kind == 5 and d.opset >= 10:
        made = d.node("Mod", [w, d.store(np.array(0.3, d.dtype))], fmod=1)
    elif kind == 6 and d.opset >= 13:
        made = d.cast(d.node("Equal", [w, d.weight((w.array.shape[1],))]), d.dtype)
    else:
        made = d.cast(d.cast(w, np.bool_), d.dtype)
    total = d.node("ReduceSum", [made], keepdims=0)
    x = d.activation()
    scaled = d.node("Mul", [total, d.store(np.array(0.01, d.dtype))])
    d.node("Add", [x, scaled])


def mask(d: Drawing) -> None:
    """The lowest float in front of Softmax."""
    x = d.activation((2, 3))
    shape = x.array.shape[-2:]
    low = {2: -65504.0, 4: d.pick((-3.4028234663852886e38, -1e9, -1e4)), 8: -1e30}[d.dtype.itemsize]
    array = np.where(np.triu(np.ones(shape), 1) > 0, low, 0).astype(d.dtype)
    d.node("Softmax", [d.node("Add", [x, d.store(array)])], axis=-1)


# --- normalizations and reductions ---


def normalization(d: Drawing) -> None:
    kind = d.random.randrange(6)
    if kind == 0 and d.opset >= 17:
        x = d.activation((2, 3))
        n = x.array.shape[-1:]
        d.node("LayerNormalization", [x, d.weight(n), d.weight(n)] if d.chance(0.6) else [x, d.weight(n)])
    elif kind == 1:
        x = image(d, d.pick((1, 2)))
        c = (x.array.shape[1],)
        variance = d.store(d.numpy.uniform(0.5, 2, c).astype(d.dtype))
        d.node("BatchNormalization", [x, d.weight(c), d.weight(c), d.weight(c), variance])
    elif kind == 2:
        x = image(d, d.pick((1, 2)))
        c = (x.array.shape[1],)
        d.node("InstanceNormalization", [x, d.weight(c), d.weight(c)])
    elif kind == 3:
        d.node("Softmax", [d.activation((2, 3))], axis=-1)
    elif kind == 4 and d.opset >= 23:
        x = d.activation((2, 3))
        d.node("RMSNormalization", [x, d.weight(x.array.shape[-1:])])
    else:
        x = d.activation((2,))
        need(d.dtype == np.float32)
        n = x.array.shape[-1:]
        d.node("SkipLayerNormalization", [x, x, d.weight(n), d.weight(n)], domain=MICROSOFT)


def reduction(d: Drawing) -> None:
    op = d.pick(("ReduceMean", "ReduceSum", "ReduceMax", "ReduceL2", "ReduceMin", "ArgMax"))
    x = d.activation((2, 3, 4)) if d.chance(0.8) else d.weight(d.shape_of(2))
    axis = d.random.randrange(x.array.ndim)
    keep = d.random.randrange(2)
    if op == "ArgMax":
        d.cast(d.node(op, [x], axis=axis, keepdims=keep), d.dtype)
        return
    inputs, attributes = d.axes("", [axis], 13 if op == "ReduceSum" else 18)
    d.node(op, [x, *inputs], keepdims=keep, **attributes)


def top_k(d: Drawing) -> None:
    need(d.opset >= 10)
    x = d.activation((1, 2, 3))
    k = d.plain(np.array([d.random.randrange(1, x.array.shape[-1] + 1)], np.int64))
    values, indices = d.node("TopK", [x, k], 2)
    if d.chance(0.5):
        d.cast(indices, d.dtype)


# --- shapes ---


def shape_operator(d: Drawing) -> None:
    x = d.activation()
    rank = x.array.ndim
    kind = d.random.randrange(8)
    if kind == 0:
        perm = list(range(rank))
        d.random.shuffle(perm)
        d.node("Transpose", [x], perm=perm)
    elif kind == 1 and rank < 4:
        d.move("Unsqueeze", x, [("axes", [d.random.randrange(rank + 1)])], 13)
    elif kind == 2:
        d.node("Reshape", [x, d.plain(np.array([-1, d.pick([f for f in (1, 2, 3, 4, 8, 16) if x.array.size % f == 0])]))])
    elif kind == 3 and rank:
        axis = d.random.randrange(rank)
        other = list(x.array.shape)
        other[axis] = d.pick((1, 2, 8))
        parts = [x, d.weight(other)]
        d.random.shuffle(parts)
        d.node("Concat", parts, axis=axis)
    elif kind == 4 and rank:
        axis = d.random.randrange(rank)
        end = d.random.randrange(1, x.array.shape[axis] + 1)
        d.move("Slice", x, [("starts", [0]), ("ends", [end]), ("axes", [axis])], 10)
    elif kind == 5 and d.opset >= 11 and rank:
        pads = d.plain(np.array([d.random.randrange(2) for _ in range(2 * rank)], np.int64))
        d.node("Pad", [x, pads, d.store(np.array(0.5, d.dtype))] if d.chance(0.5) else [x, pads])
    elif kind == 6 and d.opset >= 8:
        d.node("Expand", [d.weight((1, *x.array.shape[1:])), d.plain(np.array(x.array.shape, np.int64))])
    else:
        need(rank in (2, 3))
        d.node("Transpose", [x])


def reuse(d: Drawing) -> None:
    """An activation with a constant of its own shape, where one is about."""
    w = d.pick(d.constants(lambda v: v.array.ndim == 2 and v.array.size > 1))
    x = [v for v in d.activations((2, 3)) if v.array.shape[-1] == w.array.shape[0]]
    if x and d.chance(0.7):
        d.node("MatMul", [d.pick(x), w])
    else:
        alike = [v for v in d.activations() if v.array.shape[-1:] == w.array.shape[-1:] and v.array.ndim]
        d.node(d.pick(("Add", "Mul")), [d.pick(alike), d.node("ReduceMax", [w], axes=[0]) if d.opset < 18 else w])


def positions(d: Drawing) -> None:
    """Floats that are coordinates or sizes."""
    need(d.dtype == np.float32)
    kind = d.random.randrange(4)
    if kind == 0 and d.opset >= 11:
        x = image(d, 2)
        factors = d.store(np.array([1, 1, d.pick((2, 1.5)), d.pick((1, 2))], np.float32))
        d.node("Resize", [x, d.store(np.zeros(0, np.float32)), factors], mode=d.pick(("nearest", "linear")))
    elif kind == 1 and d.opset >= 16:
        x = image(d, 2)
        grid = d.numpy.uniform(-1, 1, (x.array.shape[0], d.pick((2, 5)), d.pick((3, 16)), 2)).astype(np.float32)
        value = d.store(grid)
        if d.chance(0.5):
            value = d.node("Identity", [value])
        d.node("GridSample", [x, value], mode=d.pick(("nearest", "bilinear")) if d.opset < 20 else "nearest")
    elif kind == 2 and d.opset >= 10:
        x = image(d, 2)
        n = d.pick((2, 16))
        rois = np.sort(d.numpy.uniform(0, 4, (n, 4)).astype(np.float32), 1)
        batch = d.plain(np.zeros(n, np.int64))
        d.node("RoiAlign", [x, d.store(rois), batch], output_height=2, output_width=2)
    else:
        need(d.opset >= 11)
        start, limit, step = (d.store(np.array(v, np.float32)) for v in (0, 4, d.pick((0.5, 0.3))))
        steps = d.node("Range", [start, limit, step])
        d.node("Mul", [d.node("ReduceMean", [d.activation()], keepdims=0), steps])


def onehot(d: Drawing) -> None:
    need(d.opset >= 9)
    indices = [v for v in d.visible() if not v.is_constant and v.array.dtype == np.int64 and v.array.size < 64]
    values = d.store(np.array([0, 1], d.dtype))
    d.node("OneHot", [d.pick(indices), d.plain(np.array(8, np.int64)), values])


def scatter(d: Drawing) -> None:
    need(d.opset >= 11)
    x = d.activation((2,))
    rows, columns = x.array.shape
    indices = d.plain(d.numpy.integers(0, rows, (1, columns)))
    d.node("ScatterElements", [x, indices, d.weight((1, columns))])


# --- what is quantized already ---


def fake_quantized(d: Drawing) -> None:
    need(d.opset >= 10 and (d.dtype == np.float32 or (d.opset >= 19 and d.dtype == np.float16)))
    scale = d.store(np.array(d.pick((0.02, 0.1)), d.dtype))
    zero = d.store(np.array(d.pick((0, 128)), np.uint8))
    x = d.activation()
    q = d.node("QuantizeLinear", [x, scale, zero])
    y = d.node("DequantizeLinear", [q, scale, zero])
    if d.chance(0.3):
        d.node("DequantizeLinear", [d.node("QuantizeLinear", [y, scale, zero]), scale, zero])


def integer_product(d: Drawing) -> None:
    need(d.opset >= 11 and d.dtype == np.float32)
    x = d.activation((2, 3))
    n = d.pick((1, 8, 16))
    q, scale, zero = d.node("DynamicQuantizeLinear", [x], 3)
    w = d.store(d.numpy.integers(-127, 128, (x.array.shape[-1], n)).astype(np.int8))
    product = d.cast(d.node("MatMulInteger", [q, w, zero]), np.float32)
    factor = d.store(d.numpy.uniform(0.001, 0.01, (n,) if d.chance(0.5) else (1,)).astype(np.float32))
    d.node("Mul", [product, d.node("Mul", [scale, factor])])


def nbits(d: Drawing) -> None:
    need(d.dtype == np.float32)
    x = d.activation((2, 3))
    k, n, size = x.array.shape[-1], d.pick((1, 8, 16)), d.pick((16, 32))
    blocks = -(-k // size)
    b = d.store(d.numpy.integers(0, 256, (n, blocks, size // 2)).astype(np.uint8))
    scales = d.store(d.numpy.uniform(0.01, 0.1, (n, blocks) if d.chance(0.5) else (n * blocks,)).astype(np.float32))
    d.node("MatMulNBits", [x, b, scales], domain=MICROSOFT, K=k, N=n, bits=4, block_size=size)


def gather_blocks(d: Drawing) -> None:
    need(d.dtype == np.float32)
    rows, width, size, bits = d.pick((4, 16)), d.pick((16, 32, 48)), d.pick((16, 32)), d.pick((4, 8))
    table = d.store(d.numpy.integers(0, 256, (rows, width * bits // 8)).astype(np.uint8))
    scales = d.store(d.numpy.uniform(0.01, 0.1, (rows, -(-width // size))).astype(np.float32))
    # The engine does not look whether these are rows of the table.
    indices = [
        v
        for v in d.visible()
        if not v.is_constant and v.array.dtype == np.int64 and v.array.size < 64
        and np.all((v.array >= -rows) & (v.array < rows))
    ]
    attributes = {"gather_axis": 0, "quantize_axis": 1, "block_size": size, "bits": bits}
    d.node("GatherBlockQuantized", [table, d.pick(indices), scales], domain=MICROSOFT, **attributes)


# --- bodies and functions ---


def draw_body(d: Drawing, seeds: list[tuple[str, np.ndarray]], count: int) -> Drawing:
    inner = Drawing(0, d)
    for name, array in seeds:
        inner.values.append(Value(name, array, False))
    add_nodes(inner, count)
    return inner


def body_graph(inner: Drawing, inputs: list, outputs: list[str]) -> onnx.GraphProto:
    infos = [engine.info(n, a) for n, a in inputs]
    known = {v.name: v.array for v in inner.visible()}
    results = [helper.make_tensor_value_info(o, helper.np_dtype_to_tensor_dtype(known[o].dtype), None) for o in outputs]
    return helper.make_graph(inner.nodes, f"body{inner.prefix}", infos, results, inner.tensors)


def if_body(d: Drawing) -> None:
    need(d.depth < 2)
    x = d.activation()
    graphs, shapes = [], set()
    for _ in range(2):
        inner = Drawing(0, d)
        add_nodes(inner, d.random.randrange(1, 4))
        result = [v for v in inner.values if not v.is_constant and v.array.dtype == d.dtype]
        need(bool(result))
        graphs.append(body_graph(inner, [], [result[-1].name]))
        shapes.add(result[-1].array.shape)
    if len(shapes) > 1:  # what follows fits one of them only: rounding must not decide which
        x = d.activations()[0]
    total = d.node("ReduceSum", [x], keepdims=0)
    condition = d.cast(total, np.bool_) if d.chance(0.7) or d.opset < 9 else d.node("Greater", [total, d.store(np.array(0, d.dtype))])
    d.node("If", [condition], then_branch=graphs[0], else_branch=graphs[1])


def loop_body(d: Drawing) -> None:
    need(d.depth < 2 and d.opset >= 11)
    x = d.activation()
    i, c, s = (f"{d.prefix}l{d.next()}" for _ in range(3))
    inner = Drawing(0, d)
    inner.values += [Value(i, np.array(0), False), Value(c, np.array(True), False), Value(s, x.array, False)]
    add_nodes(inner, d.random.randrange(1, 4))
    made = [v for v in inner.values[3:] if not v.is_constant and v.array.dtype == d.dtype]
    need(bool(made))
    keep = inner.node("Identity", [c])
    state = inner.node("Tanh", [inner.node("Add", [inner.find(s), inner.node("ReduceMean", [made[-1]], keepdims=0)])])
    inputs = [(i, np.array(0)), (c, np.array(True)), (s, x.array)]
    graph = body_graph(inner, inputs, [keep.name, state.name, made[-1].name])
    trips = d.plain(np.array(d.pick((1, 2)), np.int64))
    d.node("Loop", [trips, d.plain(np.array(True)), x], 2, body=graph)


def scan_body(d: Drawing) -> None:
    need(d.depth < 2 and d.opset >= 9)
    x = d.activation((2, 3))
    need(1 <= x.array.shape[0] <= 4)
    s, e = (f"{d.prefix}s{d.next()}" for _ in range(2))
    inner = Drawing(0, d)
    inner.values += [Value(s, x.array[0], False), Value(e, x.array[0], False)]
    add_nodes(inner, d.random.randrange(1, 4))
    made = [v for v in inner.values[2:] if not v.is_constant and v.array.dtype == d.dtype]
    need(bool(made))
    state = inner.node("Tanh", [inner.node("Add", [inner.find(s), inner.find(e)])])
    graph = body_graph(inner, [(s, x.array[0]), (e, x.array[0])], [state.name, made[-1].name])
    initial = d.weight(x.array.shape[1:])
    d.node("Scan", [initial, x], 2, body=graph, num_scan_inputs=1)


def function(d: Drawing) -> None:
    """A local function around MatMul and Add, whose weights are its inputs or constants of its own."""
    need(d.opset >= 12 and d.depth == 0 and d.dtype == np.float32)
    x = d.activation((2, 3))
    k, n = x.array.shape[-1], d.pick((2, 8, 16))
    name = f"F{d.next()}"
    nodes = [helper.make_node("MatMul", ["x", "w"], ["p"], name="m"), helper.make_node("Add", ["p", "b"], ["y"], name="a")]
    own = d.chance(0.4)
    if own:
        w = helper.make_tensor("t", TensorProto.FLOAT, (k, n), d.fill((k, n), d.dtype).tobytes(), raw=True)
        nodes.insert(0, helper.make_node("Constant", [], ["w"], value=w))
    inputs = ["x", "b"] if own else ["x", "w", "b"]
    d.functions.append(helper.make_function("local", name, inputs, ["y"], nodes, [helper.make_opsetid("", d.opset)]))
    given = [x, d.weight((n,))] if own else [x, d.weight((k, n)), d.weight((n,))]
    try:
        d.node(name, given, domain="local")
    except Reject:
        d.functions.pop()
        raise


MAKERS = [
    (matmul, 16), (matmul_left, 5), (gemm, 12), (einsum, 6), (fused_matmul, 3), (fused_gemm, 2), (conv, 9), (conv_transpose, 3), (recurrent, 6), (attention, 4),
    (gather, 7), (tied, 3), (big_gather, 6), (binary, 12), (unary, 10), (compare, 4), (constant_decision, 5), (mask, 3),
    (normalization, 6), (reduction, 4), (top_k, 2), (shape_operator, 9), (reuse, 7), (positions, 4), (onehot, 1),
    (scatter, 1), (fake_quantized, 3), (integer_product, 2), (nbits, 2), (gather_blocks, 1), (if_body, 3), (loop_body, 2),
    (scan_body, 2), (function, 2),
]  # fmt: skip


def add_nodes(d: Drawing, count: int) -> None:
    makers, weights = zip(*MAKERS, strict=True)
    for _ in range(4 * count):
        if len(d.nodes) >= count:
            return
        mark = d.mark()
        n_functions = len(d.functions)
        try:
            d.random.choices(makers, weights)[0](d)
        except Reject:
            d.back_to(mark)
            del d.functions[n_functions:]
