"""A plain reference quantizer: what onnxq has to store and what an engine has to compute from it.

Written from the formulas, independently of the C code, with numpy float32 arithmetic where the
formulas say float32.
"""

from dataclasses import dataclass, replace

import numpy as np

FLT_MIN = np.finfo(np.float32).tiny


@dataclass(frozen=True)
class Scheme:
    """The options that decide scales, zero points and integers."""

    weight_type: str = "int8"
    per_channel: bool = True
    symmetric: bool = True
    reduce_range: str = ""  # or bits, or pairs

    def flags(self) -> list[str]:
        """The command line that asks for this scheme."""
        flags = ["--weight-type", self.weight_type]
        flags += [] if self.per_channel else ["--no-per-channel"]
        flags += [] if self.symmetric else ["--no-symmetric"]
        return flags + ([f"--reduce-range={self.reduce_range}"] if self.reduce_range else [])

    @property
    def folded(self) -> "Scheme":
        """What is not multiplied as integers needs no reduced range."""
        return replace(self, reduce_range="")

    @property
    def dtype(self) -> type:
        return np.int8 if self.weight_type == "int8" else np.uint8

    @property
    def limits(self) -> tuple[int, int]:
        """Smallest and largest integer that is stored."""
        if self.symmetric:
            half = 64 if self.reduce_range == "bits" else 127
            return (-half, half) if self.weight_type == "int8" else (128 - half, 128 + half)
        if self.weight_type == "int8":
            return (-64, 63) if self.reduce_range else (-128, 127)
        return (0, 127) if self.reduce_range else (0, 255)


SCHEMES = {
    f"{t}_{'channel' if c else 'tensor'}_{'sym' if s else 'asym'}{f'_{r}' if r else ''}": Scheme(t, c, s, r)
    for t in ("int8", "uint8")
    for c in (True, False)
    for s in (True, False)
    for r in ("", "bits", "pairs")
    if s or r != "pairs"
}


@dataclass(frozen=True)
class Quantized:
    """Integers with scale and zero point, each of a shape that broadcasts against the integers."""

    q: np.ndarray
    scale: np.ndarray
    zero_point: np.ndarray

    def steps(self) -> np.ndarray:
        """The integers counted from the zero point."""
        return self.q.astype(np.int64) - self.zero_point.astype(np.int64)

    def dequantize(self) -> np.ndarray:
        return self.steps().astype(np.float32) * self.scale


def usable(scale: np.ndarray) -> np.ndarray:
    """The finest of the others where the scale is not a normal float32."""
    normal = scale[scale >= FLT_MIN]
    filler = normal.min() if normal.size else np.finfo(np.float32).eps
    return np.where(scale < FLT_MIN, filler, scale).astype(np.float32)


def pair_scale(w: np.ndarray, axes: tuple[int, ...], summed: int) -> np.ndarray:
    """At this scale two neighbours of one sign along the axis `summed` add up to 128 at most."""
    rows = np.moveaxis(w, summed, 0)
    even, odd = rows[0:-1:2], rows[1::2]
    halves = np.zeros_like(rows)
    halves[0:-1:2] = np.where(
        np.sign(even) * np.sign(odd) > 0, np.float32(0.5) * even + np.float32(0.5) * odd, np.float32(0)
    )
    largest = np.abs(np.moveaxis(halves, 0, summed)).max(axis=axes, keepdims=True)
    return largest / np.float32(64) * np.float32(1 + 2**-20)


def symmetric(w: np.ndarray, axes: tuple[int, ...], scheme: Scheme, summed: int) -> Quantized:
    low, high = scheme.limits
    half = (high - low) // 2
    zero = high - half
    scale = np.abs(w).max(axis=axes, keepdims=True) / np.float32(half)
    if scheme.reduce_range == "pairs" and scheme.weight_type == "int8":
        scale = np.maximum(scale, pair_scale(w, axes, summed))
    scale = usable(scale)
    steps = np.clip(np.rint(w / scale), -half, half)
    return Quantized((steps + zero).astype(scheme.dtype), scale, np.array(zero, scheme.dtype))


def asymmetric(w: np.ndarray, axes: tuple[int, ...], scheme: Scheme) -> Quantized:
    qmin, qmax = scheme.limits
    low = np.minimum(w.min(axis=axes, keepdims=True), np.float32(0))
    high = np.maximum(w.max(axis=axes, keepdims=True), np.float32(0))
    span = (high.astype(np.float64) - low.astype(np.float64)) / (qmax - qmin)
    scale = usable(span.astype(np.float32))
    zero = np.clip(np.rint(np.float32(qmin) - low / scale), qmin, qmax)
    q = np.clip(np.rint(w / scale) + zero, qmin, qmax)
    return Quantized(q.astype(scheme.dtype), scale, zero.astype(scheme.dtype))


def quantize(w: np.ndarray, scheme: Scheme, keep: tuple[int, ...], summed: int = -1) -> Quantized:
    """
    Quantizes w with one scale per index of the axes `keep`, or one for all of it. A product with
    it sums over the axis `summed`.
    """
    assert w.dtype == np.float32 and w.size
    keep = tuple(axis % w.ndim for axis in keep) if scheme.per_channel else ()
    axes = tuple(axis for axis in range(w.ndim) if axis not in keep)
    return symmetric(w, axes, scheme, summed) if scheme.symmetric else asymmetric(w, axes, scheme)


def quantize_matmul(w: np.ndarray, scheme: Scheme) -> Quantized:
    """The right operand of MatMul, [..., K, N] or [K]: a scale for each batch and column."""
    summed = max(w.ndim - 2, 0)
    return quantize(w, scheme, tuple(axis for axis in range(w.ndim) if axis != summed), summed)


def quantize_conv(w: np.ndarray, scheme: Scheme) -> Quantized:
    """The weight of Conv, [O, I, ...]: a scale for each output channel."""
    return quantize(w, scheme, (0,))


def keep_sums(steps: np.ndarray, kernels: bool, rows: bool) -> np.ndarray:
    """
    Integers of steps [rows, kernels, elements]: rounded, then those moved to the next that are
    nearest to it, until the sum of each kernel, then of each row, is off by half at most.
    """
    steps = np.clip(steps, -127, 127)
    q = np.rint(steps)

    def move(row: int, kernel: int, by: int) -> None:
        left = by * (steps[row, kernel] - q[row, kernel])
        q[row, kernel, np.where(by * q[row, kernel] < 127, left, -np.inf).argmax()] += by

    for row in range(len(q)):
        for kernel in range(q.shape[1] if kernels and q.shape[2] > 1 else 0):
            left = (steps[row, kernel] - q[row, kernel]).sum(dtype=np.float64)
            for _ in range(int(np.ceil(abs(left) - 0.5))):
                move(row, kernel, 1 if left > 0 else -1)
        rest = (steps[row] - q[row]).sum(1, dtype=np.float64).astype(np.float32)
        left = rest.sum(dtype=np.float64)
        by = 1 if left > 0 else -1
        for _ in range(int(np.ceil(abs(left) - 0.5)) if rows and len(rest) > 1 else 0):
            kernel = (by * rest).argmax()
            move(row, kernel, by)
            rest[kernel] -= by
    return q


def scales_of_inputs(w: np.ndarray, scale: np.ndarray, qmax: np.float32, axis: int) -> np.ndarray:
    """One for each input of a weight [O, I, ..] (axis 0) or [I, O, ..] (axis 1), or 1 for all."""
    inputs = 1 - axis
    others = tuple(i for i in range(w.ndim) if i != inputs)
    views = np.abs(w).max(axis=tuple(range(2, w.ndim)), keepdims=True)
    needed = (views / (scale * qmax)).max(axis=others, keepdims=True)
    if w.shape[inputs] == 1 or w.size // w.shape[inputs] < 64 or not ((needed > 0) & (needed <= 0.5)).any():
        return np.float32(1)
    return np.where(needed > 0, np.clip(needed, np.float32(2**-24), np.float32(1)), np.float32(1))


def fold(w: np.ndarray, scheme: Scheme, axis: int, kernels: bool, grouped: bool = False) -> Quantized:
    """
    A weight [O, I, ..] (axis 0) or [I, O, ..] (axis 1) that is only folded: where one of its inputs
    needs half of the steps or less, scales are multiplied by one for each input; and sums are kept.
    grouped: each kernel has a scale.
    """
    stored = quantize(w, scheme, (0, 1) if grouped else (axis,))
    if not scheme.symmetric or not scheme.per_channel or not (kernels or axis == 0 or w.shape[0] > 1):
        return stored
    scale = stored.scale * (1 if grouped else scales_of_inputs(w, stored.scale, np.float32(127), axis))
    steps = (w / scale).reshape(*w.shape[:2], -1)
    q = keep_sums(steps, kernels, axis == 0).reshape(w.shape)
    return Quantized((q + int(stored.zero_point)).astype(scheme.dtype), scale, stored.zero_point)


def fold_as(op: str, w: np.ndarray, scheme: Scheme, axis: int) -> Quantized:
    """What is stored of the weight of that operator, where it is only folded."""
    if op in ("conv", "gemm", "matmul"):
        return fold(w, scheme, axis, kernels=op == "conv")
    return quantize(w, scheme, (axis,))


def fold_conv(w: np.ndarray, scheme: Scheme) -> Quantized:
    """The weight of Conv, [O, I, ...], where it is only folded."""
    return fold(w, scheme, 0, kernels=True)


def fold_matmul(w: np.ndarray, scheme: Scheme, turned: bool = False) -> Quantized:
    """The right operand of MatMul or Gemm, [K, N], where it is only folded; turned: stored as [N, K]."""
    if w.ndim != 2:
        return quantize_matmul(w, scheme)
    found = fold(np.ascontiguousarray(w.T) if turned else w, scheme, 0 if turned else 1, kernels=False)
    return Quantized(found.q.T, found.scale.T, found.zero_point.T) if turned else found


def dynamic_quantize_linear(x: np.ndarray) -> Quantized:
    """ONNX DynamicQuantizeLinear-11."""
    low = np.minimum(x.min(), np.float32(0))
    high = np.maximum(x.max(), np.float32(0))
    scale = np.float32(1) if high == low else np.float32((high - low) / np.float32(255))
    zero = np.clip(np.rint(np.float32(0) - low / scale), 0, 255)
    q = np.clip(np.rint(x / scale) + zero, 0, 255)
    return Quantized(q.astype(np.uint8), scale, np.array(zero, np.uint8))


def dynamic_matmul(x: np.ndarray, w: Quantized) -> np.ndarray:
    """x @ w in integers, times both scales: the result in float64, not yet rounded."""
    a = dynamic_quantize_linear(x)
    total = np.matmul(a.steps(), w.steps())
    return total * np.float64(a.scale * w.scale.reshape(w.scale.shape if total.ndim > 1 else -1))


def matmul_error(x: np.ndarray, w: np.ndarray, quantized: Quantized) -> np.ndarray:
    """
    How far the dynamic product may be from the float one: with x wrong by dx and w by dw it is
    |x| dw + dx |w| + dx dw, summed. dx is a whole step because the zero point is rounded as well;
    so is dw where there is a zero point.
    """
    dx = np.full(x.shape, dynamic_quantize_linear(x).scale, np.float64)
    dw = np.broadcast_to(np.float64(quantized.scale), w.shape)
    product = np.matmul(np.abs(x).astype(np.float64), dw) + np.matmul(dx, np.abs(w) + dw)
    return product * (1 + 1e-5)


# --- blocks ---

NF4 = np.array(
    [-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635]
    + [-0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725]
    + [0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941]
    + [0.7229568362236023, 1.0],
    np.float32,
)


@dataclass(frozen=True)
class Blocks:
    """Lines of a weight in blocks; integers are [lines, blocks, size], the rest [lines, blocks]."""

    q: np.ndarray
    scale: np.ndarray
    zero_point: np.ndarray
    length: int

    def dequantize(self) -> np.ndarray:
        """The lines, as floats."""
        steps = (self.q - self.zero_point[..., None]).astype(np.float32)
        return (steps * self.scale[..., None]).reshape(len(self.q), -1)[:, : self.length]


def block_scale(low: np.ndarray, high: np.ndarray, bits: int, symmetric: bool, plain: bool) -> np.ndarray:
    half = 2 ** (bits - 1)
    if not symmetric:
        return ((high.astype(np.float64) - low) / (2 * half - 1)).astype(np.float32)
    if bits == 8:
        return np.maximum(-low, high) / np.float32(127)
    if plain:
        return np.maximum(-low / np.float32(8), high / np.float32(7))
    return np.where(-low >= high, low, high) / np.float32(-8)


def quantize_blocks(
    lines: np.ndarray, size: int, bits: int, symmetric: bool, plain: bool = False, signed: bool = False
) -> Blocks:
    """Lines [n, length]. `plain` is DequantizeLinear, the others are operators of com.microsoft."""
    n, length = lines.shape
    blocks = np.pad(lines, ((0, 0), (0, -length % size))).reshape(n, -1, size)
    low, high = np.minimum(blocks.min(2), np.float32(0)), np.maximum(blocks.max(2), np.float32(0))
    scale = block_scale(low, high, bits, symmetric, plain)
    scale = np.where(np.abs(scale) < FLT_MIN, np.float32(1), scale)
    half = 2 ** (bits - 1)
    qmin, qmax = (-half, half - 1) if signed else (0, 2 * half - 1)
    if symmetric:
        zero = np.full(scale.shape, 0 if signed else half)
        qmin += bits == 8
    else:
        zero = np.clip(np.rint(np.float32(qmin) - low / scale), qmin, qmax).astype(np.int64)
    q = np.clip(np.rint(blocks / scale[..., None]) + zero[..., None], qmin, qmax).astype(np.int64)
    return Blocks(q, scale, zero, length)


def quantize_nf4(flat: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Codes and largest magnitude of each block."""
    blocks = np.pad(flat, (0, -flat.size % size)).reshape(-1, size)
    scale = usable(np.abs(blocks).max(1))
    part = (blocks / scale[:, None]).reshape(-1)[: flat.size]
    return np.abs(part[:, None].astype(np.float64) - NF4.astype(np.float64)).argmin(1), scale


def pack(codes: np.ndarray, high_first: bool = False) -> np.ndarray:
    """Numbers of 4 bits along the last axis, two in a byte."""
    pad = [(0, 0)] * (codes.ndim - 1) + [(0, codes.shape[-1] % 2)]
    codes = np.pad(codes, pad).astype(np.int64) & 15
    first, second = codes[..., 0::2], codes[..., 1::2]
    return (first << 4 | second if high_first else first | second << 4).astype(np.uint8)


def block_matmul_error(x: np.ndarray, weight: np.ndarray, size: int) -> np.ndarray:
    """How far x @ weight may be off where the engine has x in 8 bits for each row and block."""
    length = x.shape[-1]
    blocks = np.pad(np.abs(x), ((0, 0), (0, -length % size))).reshape(len(x), -1, size)
    step = np.repeat(blocks.max(2) / 127, size, axis=1)[:, :length].astype(np.float64)
    return (step @ np.abs(weight)) * 0.51 + 1e-5 * (np.abs(x) @ np.abs(weight))
