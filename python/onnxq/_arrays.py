"""Models and arrays of the caller as files: by their protocols, so that no other package is imported."""

import contextlib
import math
import os
import tempfile
import zipfile
from typing import Any, Iterable, Iterator, List, Mapping, Optional, Union

from ._errors import Error

PathLike = Union[str, "os.PathLike[str]"]
Model = Union[PathLike, Any]  # a path, an onnx.ModelProto, or its bytes
Inputs = Union[None, PathLike, List[PathLike], Mapping[str, Any], Iterable[Mapping[str, Any]]]

# A message has at most 2 GB: 8 bytes for each element are more than any type takes.
_MOST_ELEMENTS = 2**31 // 8
_EXTERNAL = 1  # TensorProto.DataLocation


def _copy_without(message: Any, left_out: str) -> Any:
    """A copy of a protobuf message but for one field: what is large in it is never copied."""
    copy = type(message)()
    for field, value in message.ListFields():
        if field.name == left_out:
            continue
        if hasattr(value, "extend"):
            getattr(copy, field.name).extend(value)
        elif hasattr(value, "CopyFrom"):
            getattr(copy, field.name).CopyFrom(value)
        else:
            setattr(copy, field.name, value)
    return copy


def _write_with_side_file(model: Any, path: str) -> None:
    """Payloads of 1 KB and more beside the model; ``model`` stays as it is."""
    graph = _copy_without(model.graph, "initializer")
    with open(path + ".data", "wb") as side_file:
        for tensor in model.graph.initializer:
            payload = tensor.raw_data
            if len(payload) < 1024:
                graph.initializer.append(tensor)
                continue
            outside = _copy_without(tensor, "raw_data")
            outside.data_location = _EXTERNAL
            for key, value in (("location", os.path.basename(path) + ".data"),
                               ("offset", side_file.tell()), ("length", len(payload))):
                outside.external_data.add(key=key, value=str(value))
            side_file.write(payload)
            graph.initializer.append(outside)
    outer = _copy_without(model, "graph")
    outer.graph.CopyFrom(graph)
    with open(path, "wb") as file:
        file.write(outer.SerializeToString())


def _write_model(model: Any, path: str) -> None:
    is_bytes = isinstance(model, (bytes, bytearray, memoryview))
    if not is_bytes and sum(math.prod(one.dims) for one in model.graph.initializer) >= _MOST_ELEMENTS:
        _write_with_side_file(model, path)
        return
    with open(path, "wb") as file:
        file.write(model if is_bytes else model.SerializeToString())


def _is_loaded(model: Any) -> bool:
    graph = getattr(model, "graph", None)
    return graph is None or all(one.data_location != _EXTERNAL for one in graph.initializer)


@contextlib.contextmanager
def model_path(model: Model) -> Iterator[str]:
    """The path of a model; one in memory is written to a file for that long."""
    if not isinstance(model, (bytes, bytearray, memoryview)) and not hasattr(model, "SerializeToString"):
        yield os.fspath(model)
        return
    with tempfile.TemporaryDirectory(prefix="onnxq-") as folder:
        path = os.path.join(folder, "model.onnx")
        _write_model(model, path)
        try:
            yield path
        except Error as error:
            error.rename(path, "<model>")
            if not error.hint and not _is_loaded(model):
                error.hint = "its side files are not loaded: give the path, or load them before"
            raise


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
    if not hasattr(arrays, "items"):
        raise TypeError(f"inputs are dicts of arrays, or paths, and no {type(arrays).__name__}")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            if not hasattr(array, "__array__"):
                raise TypeError(f"input {name!r} is a {type(array).__name__}, and no array")
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
            paths = [os.path.join(folder, "00000001.npz")] if count == 1 else [folder]
            try:
                yield paths
            except Error as error:
                error.rename(paths[0] if count == 1 else folder, "<inputs>")
                raise
