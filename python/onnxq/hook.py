"""``python -m onnxq.hook MODEL...``, for pre-commit: writes each NAME.int8.onnx that is there anew.

A file that changed is named, and the exit code is 1: it has to be added. Where it cannot be made the
code is that of onnxq. Options of ``onnxq quantize``, with their values, may stand in front of the models.
"""

import os
import subprocess
import sys
import tempfile
from typing import List

from ._commands import command_path

_ENDING = ".int8.onnx"


def refresh(model: str, options: List[str]) -> int:
    """1 where the file beside the model was another one; it is replaced then. What onnxq says of a failure."""
    output = model[: -len(".onnx")] + _ENDING
    if not os.path.exists(output):
        return 0
    with tempfile.TemporaryDirectory(prefix="onnxq-", dir=os.path.dirname(output) or ".") as folder:
        made = os.path.join(folder, os.path.basename(output))
        code = subprocess.run([command_path(), "quantize", "-qq", "--external-data=never", *options, "--", model,
                               made]).returncode
        if code != 0:
            return code
        with open(made, "rb") as new, open(output, "rb") as old:
            if new.read() == old.read():
                return 0
        os.replace(made, output)
    print(f"{output} was made again")
    return 1


def main(arguments: List[str]) -> int:
    n_options = len(arguments)
    while n_options > 0 and arguments[n_options - 1].endswith(".onnx") and arguments[n_options - 1][0] != "-":
        n_options -= 1
    options, paths = arguments[:n_options], arguments[n_options:]
    models = sorted({path[: -len(_ENDING)] + ".onnx" if path.endswith(_ENDING) else path for path in paths})
    return max((refresh(model, options) for model in models if os.path.exists(model)), default=0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
