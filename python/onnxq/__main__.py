"""``python -m onnxq``: the command."""

import os
import sys

from ._commands import command_path

if __name__ == "__main__":
    os.execv(command_path(), ["onnxq", *sys.argv[1:]])
