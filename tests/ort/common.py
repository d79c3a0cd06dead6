"""Sessions of ONNX Runtime, and the figures that compare two outputs. Shared with tools/bench."""

import os
import subprocess
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort

ort.set_default_logger_severity(3)

LEVELS = {
    name: getattr(ort.GraphOptimizationLevel, f"ORT_{label}")
    for name, label in (
        ("disabled", "DISABLE_ALL"),
        ("basic", "ENABLE_BASIC"),
        ("extended", "ENABLE_EXTENDED"),
        ("all", "ENABLE_ALL"),
    )
}

Feeds = dict[str, np.ndarray]


def has_saturating_products() -> bool:
    """x86 without VNNI adds pairs of u8 x s8 products in 16 bits: results would not be exact."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "flags" in text and "vnni" not in text


def session(
    model: str | os.PathLike | onnx.ModelProto, level: str = "all", save: str | None = None, threads: int = 1
) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.graph_optimization_level = LEVELS[level]
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if has_saturating_products():
        options.add_session_config_entry("session.x64quantprecision", "1")
    if save:
        options.optimized_model_filepath = save
    source = model.SerializeToString() if isinstance(model, onnx.ModelProto) else os.fspath(model)
    return ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def run(model: str | os.PathLike | onnx.ModelProto, feeds: Feeds, level: str = "all") -> list[np.ndarray]:
    return session(model, level).run(None, feeds)


def relative_error(reference: list[np.ndarray], outputs: list[np.ndarray]) -> float:
    """||reference - output|| / ||reference|| over all float outputs, in percent."""
    difference = norm = 0.0
    for want, got in zip(reference, outputs, strict=True):
        want, got = np.asarray(want), np.asarray(got)
        if want.dtype.kind == "f":
            difference += float(np.square(want.astype(np.float64) - got).sum())
            norm += float(np.square(want.astype(np.float64)).sum())
    return 100 * (difference / norm) ** 0.5 if norm else 0.0


def peak_nbytes(command: list) -> int:
    """VmHWM of the process; what getrusage() says is inherited from this one."""
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak = 0
    while process.poll() is None:
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
            peak = max([peak] + [int(s.split()[1]) * 1024 for s in status.splitlines() if "VmHWM" in s])
        except OSError:
            pass
        time.sleep(0.002)
    assert process.returncode == 0
    return peak
