"""Checkpoints as AutoGPTQ, GPTQModel and AutoAWQ write them, from the published descriptions of the formats.

A layer y = x W, W [rows, columns], has integers q, and scales s and zero points z for each group of rows and
column; W = (q - z) s. Nothing here knows how onnxq reads or writes anything.
"""

import json
import struct
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

DTYPES = {"float32": "F32", "float16": "F16", "int32": "I32", "int64": "I64", "uint8": "U8", "int8": "I8"}

# AutoAWQ packs column AWQ_ORDER[i] of eight as number i.
AWQ_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)


@dataclass
class Layer:
    q: np.ndarray  # [rows, columns]
    z: np.ndarray  # [groups, columns]
    s: np.ndarray  # [groups, columns], float16
    group_of: np.ndarray  # [rows]
    bits: int
    group_size: int

    @property
    def weight(self) -> np.ndarray:
        """What it stands for, float32 [rows, columns]."""
        steps = self.q.astype(np.float32) - self.z.astype(np.float32)[self.group_of]
        return steps * self.s.astype(np.float32)[self.group_of]


def rounded(w: np.ndarray, bits: int, group_size: int, symmetric: bool = False, order: np.ndarray | None = None) -> Layer:
    """To the nearest, group by group; `order`: rows in the order in which groups take them (act-order)."""
    rows, columns = w.shape
    size = rows if group_size == -1 else group_size
    group_of = np.arange(rows) // size
    if order is not None:
        group_of[order] = np.arange(rows) // size
    n, top = group_of.max() + 1, 2**bits - 1
    z, s = np.zeros((n, columns), np.int64), np.zeros((n, columns), np.float16)
    for g in range(n):
        part = w[group_of == g]
        if symmetric:
            s[g] = 2 * np.abs(part).max(0) / top
            z[g] = 2 ** (bits - 1)
        else:
            low, high = np.minimum(part.min(0), 0), np.maximum(part.max(0), 0)
            s[g] = (high - low) / top
            z[g] = np.clip(np.rint(-low / s[g].astype(np.float32)), 1, top)  # 0 is none of the first format's
    q = np.clip(np.rint(w / s.astype(np.float32)[group_of]) + z[group_of], 0, top).astype(np.int64)
    return Layer(q, z, s, group_of, bits, group_size)


def into_words(numbers: np.ndarray, bits: int) -> np.ndarray:
    """The last axis into int32, the first number in the lowest bits. Bit by bit, so that 3 bits work, too."""
    planes = (numbers[..., None] >> np.arange(bits)) & 1
    stream = planes.reshape(*numbers.shape[:-1], -1, 32).astype(np.uint64)
    return (stream << np.arange(32, dtype=np.uint64)).sum(-1).astype(np.uint32).view(np.int32)


def gptq(layer: Layer, version: int = 1, g_idx: bool = True) -> dict[str, np.ndarray]:
    stored = layer.z - 1 if version == 1 else layer.z
    assert stored.min() >= 0
    tensors = {
        "qweight": np.ascontiguousarray(into_words(layer.q.T, layer.bits).T),
        "qzeros": into_words(stored, layer.bits),
        "scales": layer.s,
    }
    if g_idx:
        tensors["g_idx"] = layer.group_of.astype(np.int32)
    return tensors


def awq(layer: Layer) -> dict[str, np.ndarray]:
    def interleaved(numbers: np.ndarray) -> np.ndarray:
        eights = numbers.reshape(len(numbers), -1, 8)
        return into_words(eights[:, :, AWQ_ORDER].reshape(numbers.shape), layer.bits)

    return {"qweight": interleaved(layer.q), "qzeros": interleaved(layer.z), "scales": layer.s}


@dataclass
class Checkpoint:
    """Tensors by name; a file of safetensors, or several with an index."""

    tensors: dict[str, np.ndarray] = field(default_factory=dict)
    bfloat16: set[str] = field(default_factory=set)  # float32 arrays that are stored as that

    def add(self, module: str, parts: dict[str, np.ndarray]) -> None:
        self.tensors |= {f"{module}.{name}": value for name, value in parts.items()}

    def write(self, path: Path, names: list[str] | None = None) -> Path:
        header, data = {"__metadata__": {"format": "pt"}}, b""
        for name in names or self.tensors:
            value = self.tensors[name]
            raw, dtype = value.tobytes(), DTYPES[str(value.dtype)]
            if name in self.bfloat16:
                raw, dtype = (value.view(np.uint32) >> 16).astype(np.uint16).tobytes(), "BF16"
            place = [len(data), len(data) + len(raw)]
            header[name] = {"dtype": dtype, "shape": list(value.shape), "data_offsets": place}
            data += raw
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        path.write_bytes(struct.pack("<Q", len(text)) + text + data)
        return path

    def write_shards(self, folder: Path, count: int) -> Path:
        names = list(self.tensors)
        where = {name: f"model-{i % count + 1:05}-of-{count:05}.safetensors" for i, name in enumerate(names)}
        for file in sorted(set(where.values())):
            self.write(folder / file, [name for name in names if where[name] == file])
        index = folder / "model.safetensors.index.json"
        index.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": where}))
        return index
