#!/usr/bin/env python3
"""What inputs are worth for 4 bits in blocks: the table in docs/choosing.md. Cosine of sentences that were not
rounded for (means over the tokens of each, as sentence-transformers has them), relative error of what the model
gives, and time and memory of `quantize`. Time is the processor's, with one thread in the engine and what onnxq takes.

    build/venv/bin/python tools/low_bits.py --onnxq build/release/onnxq MODEL --unseen A.npz B.npz --round NAME=C.npz...
"""
from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from folding import run


def embed(output: np.ndarray, feeds: dict[str, np.ndarray]) -> np.ndarray:
    mask = feeds["attention_mask"][..., None]
    mean = (output * mask).sum(1) / mask.sum(1)
    return mean / np.linalg.norm(mean, axis=1, keepdims=True)


def compare(want: np.ndarray, got: np.ndarray, feeds: dict[str, np.ndarray]) -> tuple[float, float]:
    """Mean cosine of sentences, and the error of tokens in percent."""
    tokens = feeds["attention_mask"] > 0
    cosine = (embed(want, feeds) * embed(got, feeds)).sum(1).mean()
    return cosine, 100 * np.linalg.norm((got - want)[tokens]) / np.linalg.norm(want[tokens])


# A process's most memory counts that of the one that started it: a small one in between.
STARTER = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
print(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
"""


def quantize(command: list[str]) -> list[float]:
    """Processor time in seconds, and the most memory in MB."""
    done = subprocess.run([sys.executable, "-c", STARTER, *command], check=True, capture_output=True, text=True)
    return [float(number) for number in done.stdout.split()]


def count_tokens(path: Path) -> int:
    files = path.glob("*.npz") if path.is_dir() else [path]
    return sum(int(np.load(file)["attention_mask"].sum()) for file in files)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--onnxq", required=True)
    parser.add_argument("--unseen", nargs="+", required=True)
    parser.add_argument("--round", nargs="*", default=[], metavar="NAME=FILE")
    parser.add_argument("--flags", default="", help="more options of quantize")
    parser.add_argument("model")
    arguments = parser.parse_args()
    unseen = {Path(path).stem: dict(np.load(path)) for path in arguments.unseen}
    want = {name: run(arguments.model, feeds)[0] for name, feeds in unseen.items()}
    print("| rounded for | tokens |", " | ".join(f"{name}: cosine, error %" for name in unseen), "| s | MB |")
    print("|---" * (len(unseen) + 4) + "|")
    with tempfile.TemporaryDirectory() as folder:
        for text in ["none=", *arguments.round]:
            name, _, path = text.partition("=")
            tokens = count_tokens(Path(path)) if path else 0
            inputs = ["-i", path] if path else []
            output = str(Path(folder, "out.onnx"))
            command = [arguments.onnxq, "quantize", "-qq", "-f", "--method=blocks", "--bits=4", *inputs]
            seconds, memory = quantize([*command, *arguments.flags.split(), arguments.model, output])
            cells = []
            for key, feeds in unseen.items():
                cosine, error = compare(want[key], run(output, feeds)[0], feeds)
                cells.append(f"{cosine:.4f}, {error:.1f}")
            print(f"| {name} | {tokens} |", " | ".join(cells), f"| {seconds:.1f} | {memory:.0f} |", flush=True)


if __name__ == "__main__":
    main()
