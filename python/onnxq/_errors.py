"""Failures as exceptions: one class for each exit code of the command."""

from typing import Dict, Optional, Type


class Error(Exception):
    """What went wrong, and where. ``code`` is the exit code of the command."""

    code = 70

    def __init__(self, message: str, *, code: Optional[int] = None, file: str = "", place: str = "",
                 hint: str = "", offset: Optional[int] = None) -> None:
        self.message, self.file, self.place, self.hint, self.offset = message, file, place, hint, offset
        if code is not None:
            self.code = code
        super().__init__(message)

    def rename(self, path: str, name: str) -> None:
        """Says ``name`` for a file of which the caller knows nothing."""
        self.file, self.message = self.file.replace(path, name), self.message.replace(path, name)

    def __str__(self) -> str:
        text = ": ".join(part for part in (self.file, self.place, self.message) if part)
        text += f" (at byte {self.offset})" if self.offset is not None else ""
        return text + (f"\nhint: {self.hint}" if self.hint else "")


class OptionError(Error, ValueError):
    """An option's value, or a name that matches nothing."""

    code = 2


class InputError(Error):
    """The input cannot be read, or is not a valid model."""

    code = 3


class OutputError(Error):
    """The output cannot be written."""

    code = 4


class NothingToDo(Error):
    """Nothing can be quantized; nothing was written."""

    code = 5


class EngineError(Error):
    """ONNX Runtime was not found, or cannot be used."""

    code = 6


class InternalError(Error):
    """A bug in onnxq."""

    code = 70


class OutOfMemory(Error, MemoryError):
    """Out of memory, or over the budget for a model's structure."""

    code = 71


class Cancelled(Error):
    """The progress callback asked to stop."""

    code = 130


_KINDS: Dict[int, Type[Error]] = {
    kind.code: kind
    for kind in (OptionError, InputError, OutputError, NothingToDo, EngineError, InternalError,
                 OutOfMemory, Cancelled)
}


def make_error(code: int, message: str, file: str = "", place: str = "", hint: str = "",
               offset: Optional[int] = None) -> Error:
    """The exception of the class that belongs to the code."""
    return _KINDS.get(code, Error)(message, code=code, file=file, place=place, hint=hint, offset=offset)
