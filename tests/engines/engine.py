"""One version of ONNX Runtime in a process of its own, which may crash."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

WORKER = Path(__file__).resolve().parent / "worker.py"


def number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


class Engine:
    def __init__(self, version: str, wheels: Path, scratch: Path):
        self.version, self.out = version, scratch / f"{version}.npz"
        folders = [wheels / version] + [wheels / "numpy1"] * (number(version) < (1, 19))
        self.environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, folders))}
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, WORKER],
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        found = json.loads(self.process.stdout.readline() or '{"version": "nothing"}')["version"]
        assert found == self.version, f"found ONNX Runtime {found} where {self.version} should be"

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def load(self, model: Path) -> str:
        """What it says of the model, "" if nothing."""
        return self.run(model, None, "all")[0]

    def run(self, model: Path, feeds: Path | None, level: str) -> tuple[str, list[np.ndarray]]:
        """What it says of the model, "" if nothing, and the outputs; without feeds it is loaded only."""
        job = {"model": str(model), "feeds": str(feeds or ""), "out": str(self.out), "level": level}
        try:
            print(json.dumps(job), file=self.process.stdin, flush=True)
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            status = self.process.wait()
            self.start()
            return f"crashed: {status}", []
        error = json.loads(line)["error"]
        if error:
            return error, []
        if feeds is None:
            return "", []
        with np.load(self.out) as arrays:
            return "", [arrays[name] for name in arrays]
