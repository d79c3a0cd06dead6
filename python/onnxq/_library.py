"""The C library by ctypes. No struct of it is known here: all goes through functions."""

import ctypes
import os
from typing import Any, Optional, Union

from ._errors import Error, make_error

_NO_OFFSET = 2**64 - 1

# bool (*)(void *data, onnxq_phase phase, uint64_t done, uint64_t total)
PROGRESS = ctypes.CFUNCTYPE(ctypes.c_bool, ctypes.c_void_p, ctypes.c_int, ctypes.c_uint64,
                            ctypes.c_uint64)

_text, _object = ctypes.c_char_p, ctypes.c_void_p

_FUNCTIONS: "dict[str, tuple[Any, list[Any]]]" = {
    "onnxq_version": (_text, []),
    "onnxq_options_new": (_object, []),
    "onnxq_options_free": (None, [_object]),
    "onnxq_options_set": (ctypes.c_int, [_object, _text, _text, _object]),
    "onnxq_options_set_progress": (None, [_object, PROGRESS, _object]),
    "onnxq_options_name": (_text, [ctypes.c_size_t]),
    "onnxq_error_new": (_object, []),
    "onnxq_error_free": (None, [_object]),
    "onnxq_error_get": (_text, [_object, _text]),
    "onnxq_error_get_status": (ctypes.c_int, [_object]),
    "onnxq_error_get_offset": (ctypes.c_uint64, [_object]),
    "onnxq_model_open": (_object, [_text, _object]),
    "onnxq_model_close": (None, [_object]),
    "onnxq_plan_create": (_object, [_object, _object, _object]),
    "onnxq_plan_destroy": (None, [_object]),
    "onnxq_plan_write": (ctypes.c_int, [_object, _text, _object]),
    "onnxq_report_json": (None, [_object, _text, _text, _object]),
}


def _load() -> ctypes.CDLL:
    path = os.environ.get("ONNXQ_LIBRARY") or os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                                          "libonnxq.so")
    try:
        library = ctypes.CDLL(path)
    except OSError as error:
        raise ImportError(f"{error}; pip install onnxq has it, and from a clone ONNXQ_LIBRARY names it: "
                          "build/release/libonnxq.so") from None
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


lib = _load()


def encode(text: Union[str, bytes]) -> bytes:
    """For a parameter of the library, which would end at a NUL."""
    encoded = os.fsencode(text)
    if b"\0" in encoded:
        raise ValueError(f"a NUL in {text!r}")
    return encoded


class ErrorPlace:
    """An onnxq_error for the calls inside a ``with``; check() raises what it holds."""

    def __enter__(self) -> "ErrorPlace":
        self.pointer = lib.onnxq_error_new()
        if not self.pointer:
            raise MemoryError
        return self

    def __exit__(self, *_: object) -> None:
        lib.onnxq_error_free(self.pointer)

    def _get(self, name: bytes) -> str:
        return str(lib.onnxq_error_get(self.pointer, name).decode(errors="replace"))

    def exception(self) -> Error:
        offset = lib.onnxq_error_get_offset(self.pointer)
        return make_error(lib.onnxq_error_get_status(self.pointer), self._get(b"message"),
                          self._get(b"file"), self._get(b"place"), self._get(b"hint"),
                          None if offset == _NO_OFFSET else offset)

    def check(self, result: Optional[int]) -> int:
        """The pointer that a function returned; raises where that is NULL."""
        if not result:
            raise self.exception()
        return result

    def check_status(self, status: int) -> None:
        if status != 0:
            raise self.exception()


def report_json(plan: int, source: bytes, output: Optional[bytes]) -> str:
    """onnxq_report_json() into memory, by the C library's own stream."""
    libc = ctypes.CDLL(None)
    libc.open_memstream.restype = _object
    libc.open_memstream.argtypes = [_object, _object]
    libc.fclose.argtypes = [_object]
    libc.free.argtypes = [_object]
    buffer, length = ctypes.c_void_p(), ctypes.c_size_t()
    stream = libc.open_memstream(ctypes.byref(buffer), ctypes.byref(length))
    if not stream:
        raise MemoryError
    lib.onnxq_report_json(plan, source, output, stream)
    libc.fclose(stream)
    try:
        return ctypes.string_at(buffer, length.value).decode()
    finally:
        libc.free(buffer)
