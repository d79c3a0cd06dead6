"""Models and arrays of the caller as files: by their protocols, so that no other package is imported."""

import contextlib
import os
import tempfile
import zipfile
from typing import Any, Iterable, Iterator, List, Mapping, Optional, Union

PathLike = Union[str, "os.PathLike[str]"]
Model = Union[PathLike, Any]  # a path, or an onnx.ModelProto
Inputs = Union[None, PathLike, List[PathLike], Mapping[str, Any], Iterable[Mapping[str, Any]]]


@contextlib.contextmanager
def model_path(model: Model) -> Iterator[str]:
    """The path of a model; one in memory is written to a file for that long."""
    if not hasattr(model, "SerializeToString"):
        yield os.fspath(model)
        return
    with tempfile.TemporaryDirectory(prefix="onnxq-") as folder:
        path = os.path.join(folder, "model.onnx")
        with open(path, "wb") as file:
            file.write(model.SerializeToString())
        yield path


def npy_bytes(array: Any) -> bytes:
    """An array (of numpy, or whatever converts itself to one) in the format .npy, version 1.0."""
    if not hasattr(array, "__array_interface__"):
        array = array.__array__()
    interface = array.__array_interface__
    if interface["typestr"][1] in "OV":
        raise TypeError(f"arrays of {interface['typestr']} cannot be inputs")
    header = "{'descr': %r, 'fortran_order': False, 'shape': %r, }" % (interface["typestr"],
                                                                       tuple(interface["shape"]))
    padded = header + " " * (-(len(header) + 11) % 64) + "\n"
    start = b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little")
    return start + padded.encode() + bytes(array.tobytes())


def write_npz(path: str, arrays: Mapping[str, Any]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), npy_bytes(array))


def _is_path(value: Any) -> bool:
    return isinstance(value, (str, os.PathLike))


@contextlib.contextmanager
def input_paths(inputs: Inputs) -> Iterator[Optional[List[str]]]:
    """Paths for --inputs; arrays go to a folder of .npz files for that long, one for each run."""
    if inputs is None:
        yield None
    elif _is_path(inputs):
        yield [os.fspath(inputs)]  # type: ignore[arg-type]
    elif isinstance(inputs, (list, tuple)) and all(_is_path(one) for one in inputs):
        yield [os.fspath(one) for one in inputs]
    else:
        runs: Iterable[Mapping[str, Any]] = [inputs] if isinstance(inputs, Mapping) else inputs  # type: ignore
        with tempfile.TemporaryDirectory(prefix="onnxq-") as folder:
            count = 0
            for count, arrays in enumerate(runs, 1):
                write_npz(os.path.join(folder, f"{count:08d}.npz"), arrays)
            if count == 0:
                raise ValueError("there are no inputs")
            yield [folder]
