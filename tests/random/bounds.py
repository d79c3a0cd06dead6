"""How far a quantized product may be from the float one: from the rounding alone.

With activations off by dx and weights by dw, x . w is off by at most |x| . dw + dx . (|w| + dw).
"""

from dataclasses import dataclass

import numpy as np

TINY = float(np.finfo(np.float32).tiny)  # the smallest normal number: no step is finer
EPSILON = float(np.finfo(np.float32).eps)
LARGEST = float(np.finfo(np.float32).max)
NF4_GAP = 0.1520  # half of the widest gap between neighbours, of the largest in a block


@dataclass(frozen=True)
class Options:
    """What was asked for, as far as it decides about steps."""

    method: str = "dynamic"
    symmetric: bool = True
    per_channel: bool = True
    reduce: str = ""  # or bits, or pairs
    bits: str = "8"
    block_size: int = 0
    flags: tuple[str, ...] = ()

    @property
    def in_blocks(self) -> bool:
        return self.method == "blocks"


def spread(w: np.ndarray, keep: tuple[int, ...], o: Options) -> tuple[np.ndarray, np.ndarray]:
    """Least and largest value with those that share a scale, zero among them; they broadcast."""
    keep = tuple(a % w.ndim for a in keep) if o.per_channel or o.in_blocks else ()
    axes = tuple(a for a in range(w.ndim) if a not in keep)
    return np.minimum(w.min(axes, keepdims=True), 0), np.maximum(w.max(axes, keepdims=True), 0)


def weight_error(w: np.ndarray, keep: tuple[int, ...], o: Options, integer: bool = True) -> np.ndarray:
    """Half a step of each element; a whole one where a zero point is rounded, too."""
    w = w.astype(np.float64)
    if w.size == 0:
        return w
    if o.in_blocks and o.bits == "nf4":
        return np.full(w.shape, NF4_GAP * np.abs(w).max())
    low, high = spread(w, keep, o)
    largest = np.maximum(-low, high)
    if o.bits == "4":
        error = largest / 8 if o.symmetric else (high - low) / 15
    elif not o.symmetric:
        error = (high - low) / (127 if o.reduce and integer else 255)
    else:
        error = largest / (64 if o.reduce and integer else 127) / 2
    # What shares a scale and is too small for one becomes 0, beside numbers from which float32 would not
    # tell it (docs/decisions.md): weights of which nothing is larger stay float.
    error = np.where((high - low < 255 * TINY) & (high - low < EPSILON * np.abs(w).max()), largest, error)
    return np.broadcast_to(error, w.shape) * (1 + 1e-5)


def keeps_typical(w: np.ndarray, step: np.ndarray) -> bool:
    """What docs/decisions.md ("What 8 bits leave of a typical number") lets 8 bits lose."""
    _, groups = np.unique(step, return_inverse=True)
    groups, magnitudes, shares = groups.reshape(w.shape), np.abs(w), []
    ordinary = (magnitudes >= 2**-10) & (magnitudes <= 2**10)
    for group in range(groups.max(initial=-1) + 1):
        own = groups == group
        if (own & ordinary).any():
            bits = np.log2(magnitudes[own & ordinary]).mean() - np.log2(step[own].flat[0])
            shares.append((bits, own.sum() / w.size))
    lost = sum(share for bits, share in shares if bits < -2.1)
    return bool(shares) and min(shares)[0] >= -6.1 and lost <= 0.05


def activation_error(x: np.ndarray, o: Options, axis: int) -> np.ndarray:
    """DynamicQuantizeLinear: a step of the whole range; MatMulNBits: half a step of each row."""
    x = x.astype(np.float64)
    if not x.size:
        return x
    if o.in_blocks:
        error = 0.0 if o.bits == "nf4" else row_error(np.abs(x).max(axis, keepdims=True))
    else:
        error = (max(x.max(), 0) - min(x.min(), 0)) / 255
        error = error if error >= TINY else 255 * error
    return np.broadcast_to(error, x.shape) * (1 + 1e-5)


def spans_floats(x: np.ndarray) -> bool:
    """
    From the least to the largest number is more than float32 holds: DynamicQuantizeLinear, as ONNX defines it,
    divides just that by 255, and all operators of integers take float32. No weight tells that activations do so.
    """
    x = x.astype(np.float64)
    return x.size > 0 and bool(max(x.max(), 0) - min(x.min(), 0) > LARGEST * (1 - 2.0**-22))


def row_error(largest: np.ndarray) -> np.ndarray:
    """Half a step of a row that MatMulNBits quantizes; of blocks without a step that is normal nothing is left."""
    return np.maximum(largest / 127 * 0.51, np.minimum(largest, 127 * TINY))


def recurrent_rounding(op: str, x, w, r, b, h0, epsilon: float) -> float:
    """What roundings of one step grow to over all steps, for GRU and RNN: [steps, batch, ..], one direction."""
    gates = 3 if op == "GRU" else 1
    reach = np.abs(r).sum(1)
    state = max(1.0, np.abs(h0).max(initial=0))  # a gate lets all of the first state through, or none
    size = np.abs(x).max(initial=0) * np.abs(w).sum(1).max() + reach.max() * state + np.abs(b).max(initial=0)
    growth = (op == "GRU") + reach.reshape(gates, -1).sum(0).max()
    error = 0.0
    for _ in range(len(x)):
        error = min(error * growth + epsilon * size, 2 * state)
    return error


def lstm_error(x, w, r, dw, dr, dx, reverse: bool, h0, c0, quantizes: bool):
    """(error of Y [steps, batch, H], of the last c) for one direction."""
    hidden = r.shape[-1]
    limit = max(1.0, np.abs(h0).max(initial=0))
    eh, ec, c = np.zeros(h0.shape), np.zeros(c0.shape), np.abs(c0)
    wide_r = np.abs(r) + dr
    found = []
    for t in range(len(x))[:: -1 if reverse else 1]:
        pre = np.abs(x[t]) @ dw.T + dx * (np.abs(w) + dw).sum(1)
        pre = pre + limit * dr.sum(1) + eh @ wide_r.T + (2 * limit / 255 * wide_r.sum(1) if quantizes else 0)
        i, o, f, g = (pre[:, k * hidden : (k + 1) * hidden] for k in range(4))
        ec = ec + np.minimum(f / 4, 1) * c + np.minimum(i / 4, 1) + np.minimum(g, 2)
        c = c + 1
        eh = np.minimum(np.minimum(o / 4, 1) + ec, 2)
        found.append(eh)
    return np.stack(found[:: -1 if reverse else 1]), ec


def attention_error(x, w, b, dw, dx, heads: int, scale: float | None) -> np.ndarray:
    """Of a convex combination of values, whose weights are a softmax of products."""
    batch, length, _ = x.shape
    e = np.abs(x) @ dw + dx * (np.abs(w) + dw).sum(0)
    parts = [p.reshape(batch, length, heads, -1).swapaxes(1, 2) for p in np.split(x @ w + b, 3, 2)]
    errors = [p.reshape(batch, length, heads, -1).swapaxes(1, 2) for p in np.split(e, 3, 2)]
    (q, k, v), (eq, ek, ev) = parts, errors
    factor = scale or 1 / np.sqrt(q.shape[-1])
    score = np.abs(q) @ ek.swapaxes(2, 3) + eq @ np.abs(k).swapaxes(2, 3) + eq @ ek.swapaxes(2, 3)
    delta = np.minimum(factor * score.max(3, keepdims=True), 30)
    largest = np.abs(v).max(2, keepdims=True) + ev.max(2, keepdims=True)
    error = ev.max(2, keepdims=True) + np.minimum(np.expm1(2 * delta), 2) * largest
    return error.swapaxes(1, 2).reshape(batch, length, -1)
