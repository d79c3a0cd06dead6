#!/usr/bin/env python3
"""Installs versions of ONNX Runtime side by side.

Each into a folder of its own, without what it depends on: the environment has a numpy that the newer
ones take, and the folder numpy1 has one for those before 1.19. A version that has no wheel for this
Python is left out, and says so.
"""

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
NUMPY_1 = "1.26.4"


def versions(long: bool) -> list[str]:
    lines = (HERE / "versions.txt").read_text().splitlines()
    main = lines.index("# --long")
    return [line for line in (lines if long else lines[:main]) if not line.startswith("#")]


def install(folder: Path, requirement: str) -> bool:
    if folder.exists():
        return True
    part = folder.with_name(folder.name + ".part")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-cache-dir"]
    options = ["--no-deps", "--no-compile", "--only-binary", ":all:", "--upgrade", "--target", str(part)]
    done = subprocess.run([*pip, *options, requirement], capture_output=True, text=True)
    if done.returncode == 0:
        part.rename(folder)
    elif "No matching distribution" not in done.stderr:
        sys.exit(done.stderr)
    return done.returncode == 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", type=Path, metavar="DIR", help="where each gets a folder")
    parser.add_argument("--long", action="store_true", help="all versions, not only those of every run")
    args = parser.parse_args()
    args.root.mkdir(parents=True, exist_ok=True)
    install(args.root / "numpy1", f"numpy=={NUMPY_1}")
    for version in versions(args.long):
        if not install(args.root / version, f"onnxruntime=={version}"):
            print(f"onnxruntime {version}: no wheel for this Python")


if __name__ == "__main__":
    main()
