"""Weights in few bits, as other quantizers store them: integers, how they are packed, what they stand for."""

from dataclasses import dataclass

import numpy as np

FP4 = np.array(
    [0, 5.208333333e-03, 0.66666667, 1, 0.33333333, 0.5, 0.16666667, 0.25]
    + [-0.0, -5.208333333e-03, -0.66666667, -1, -0.33333333, -0.5, -0.16666667, -0.25],
    np.float32,
)
NF4 = np.array(
    [-1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635]
    + [-0.18477343022823334, -0.09105003625154495, 0, 0.07958029955625534, 0.16093020141124725]
    + [0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941]
    + [0.7229568362236023, 1],
    np.float32,
)


def pack(q: np.ndarray, bits: int) -> np.ndarray:
    """Integers of the last axis in bytes, the first in the low bits, filled up with zeros."""
    per_byte = 8 // bits
    q = np.pad(q.astype(np.uint8), [(0, 0)] * (q.ndim - 1) + [(0, -q.shape[-1] % per_byte)])
    q = q.reshape(*q.shape[:-1], -1, per_byte) & np.uint8(2**bits - 1)
    return np.bitwise_or.reduce(q << (np.arange(per_byte, dtype=np.uint8) * np.uint8(bits)), axis=-1)


@dataclass(frozen=True)
class Blocks:
    """w [K, N] = (q - zero) * scale, with a scale for each block along K of each of the N columns."""

    bits: int
    block: int
    q: np.ndarray  # [N, K]
    scale: np.ndarray  # [N, blocks]
    zero: np.ndarray  # [N, blocks], integers or floats
    groups: np.ndarray  # [K]: the block of each

    @property
    def weight(self) -> np.ndarray:
        """[K, N] in the type of the scales."""
        steps = self.q.astype(np.float32) - self.zero.astype(np.float32)[:, self.groups]
        return (steps * self.scale.astype(np.float32)[:, self.groups]).T.astype(self.scale.dtype)

    @property
    def bytes(self) -> np.ndarray:
        """[N, blocks, bytes], the last block filled up."""
        blocks = -(-self.q.shape[1] // self.block)
        filled = np.pad(self.q, ((0, 0), (0, blocks * self.block - self.q.shape[1])))
        return pack(filled.reshape(len(filled), blocks, self.block), self.bits)

    @property
    def packed_zero(self) -> np.ndarray:
        return pack(self.zero, self.bits).reshape(-1)


def blocks(
    rng: np.random.Generator,
    k: int,
    n: int,
    bits: int,
    block: int,
    zero: str = "none",
    ordered: bool = True,
    dtype: type = np.float32,
) -> Blocks:
    """Random ones; zero is none, packed or float."""
    count = -(-k // block)
    q = rng.integers(0, 2**bits, (n, k))
    scale = rng.uniform(0.01, 0.1, (n, count)).astype(dtype)
    points = {
        "none": np.full((n, count), 2 ** (bits - 1)),
        "packed": rng.integers(0, 2**bits, (n, count)),
        "float": rng.uniform(0, 2**bits, (n, count)).astype(dtype),
    }[zero]
    groups = np.arange(k) // block
    return Blocks(bits, block, q, scale, points, groups if ordered else rng.permutation(groups))


def bnb4(table: np.ndarray, q: np.ndarray, absmax: np.ndarray, block: int) -> np.ndarray:
    """[K, N] of q [N, K], whose blocks go on from row to row."""
    flat = q.reshape(-1)
    scale = absmax[np.arange(flat.size) // block].astype(np.float32)
    return (table[flat] * scale).reshape(q.shape).T.astype(absmax.dtype)


def pack_bnb4(q: np.ndarray) -> np.ndarray:
    """The first of two in the high half of a byte."""
    flat = np.pad(q.reshape(-1).astype(np.uint8), (0, q.size % 2))
    return (flat[::2] << 4 | flat[1::2]).astype(np.uint8)
