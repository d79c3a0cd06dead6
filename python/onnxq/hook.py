"""``python -m onnxq.hook MODEL...``, for pre-commit: writes each NAME.int8.onnx that is there anew.

A file that changed is named, and the exit code is 1: it has to be added. Options of
``onnxq quantize`` may stand in front of the models.
"""

import os
import subprocess
import sys
import tempfile
from typing import List

from ._commands import command_path

_ENDING = ".int8.onnx"


def refresh(model: str, options: List[str]) -> bool:
    """Whether the file beside the model was another one; it is replaced then."""
    output = model[: -len(".onnx")] + _ENDING
    if not os.path.exists(output):
        return False
    with tempfile.TemporaryDirectory(prefix="onnxq-", dir=os.path.dirname(output) or ".") as folder:
        made = os.path.join(folder, os.path.basename(output))
        subprocess.run([command_path(), "quantize", "-qq", "--external-data=never", *options, "--", model, made],
                       check=True)
        with open(made, "rb") as new, open(output, "rb") as old:
            if new.read() == old.read():
                return False
        os.replace(made, output)
    return True


def main(arguments: List[str]) -> int:
    options = [one for one in arguments if one.startswith("-")]
    paths = [one for one in arguments if not one.startswith("-")]
    models = sorted({path[: -len(_ENDING)] + ".onnx" if path.endswith(_ENDING) else path for path in paths})
    changed = [model for model in models if os.path.exists(model) and refresh(model, options)]
    for model in changed:
        print(f"{model[:-len('.onnx')]}{_ENDING} was made again")
    return 1 if changed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
