"""What runs the command that is installed with this package, and gives back what it says as JSON."""

import contextlib
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
from typing import IO, Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Union

from ._arrays import Inputs, Model, PathLike, input_paths, model_path
from ._errors import make_error

Report = Dict[str, Any]
Progress = Callable[[str, int, int], Optional[bool]]


def _places() -> Iterator[str]:
    """Folders where pip puts commands: of this environment, of the user, beside --target."""
    yield sysconfig.get_path("scripts")
    with contextlib.suppress(KeyError):
        yield sysconfig.get_path("scripts", f"{os.name}_user")
    package = os.path.dirname(os.path.abspath(__file__))
    yield os.path.join(os.path.dirname(package), "bin")
    yield os.path.normpath(os.path.join(package, "..", "..", "..", "..", "bin"))


def command_path() -> str:
    """The path of the ``onnxq`` command; ``ONNXQ_COMMAND`` in the environment names another."""
    if "ONNXQ_COMMAND" in os.environ:
        return os.environ["ONNXQ_COMMAND"]
    for folder in _places():
        path = os.path.join(folder, "onnxq")
        # A script of Python here would be some other one.
        if os.access(path, os.X_OK) and os.path.isfile(path):
            return path
    found = shutil.which("onnxq")
    if found is None:
        raise FileNotFoundError("the onnxq command is not installed with this package")
    return found


def _environment() -> Dict[str, str]:
    """With the ONNX Runtime that this Python would import, unless another one is named."""
    environment = dict(os.environ)
    if "ONNXQ_ORT_LIB" not in environment:
        with contextlib.suppress(ImportError, ValueError):
            spec = importlib.util.find_spec("onnxruntime")
            if spec is not None and spec.submodule_search_locations:
                environment["ONNXQ_ORT_LIB"] = os.path.join(spec.submodule_search_locations[0], "capi")
    return environment


def words(value: Any) -> List[str]:
    """A value as an option takes it; several for what is given one by one."""
    if isinstance(value, (str, bytes, os.PathLike)):
        return [os.fsdecode(value)]
    if hasattr(value, "__iter__"):
        return [word for one in value for word in words(one)]
    text = str(value)
    return [text.lower() if text in ("True", "False") else text]  # of Python and of numpy


def _flags(options: Mapping[str, Any]) -> Iterator[str]:
    for name, value in options.items():
        flag = name.replace("_", "-")
        if flag == "json":
            raise TypeError("the report is what is returned: json is no option here")
        if value is None:
            continue
        if value is True:
            yield f"--{flag}"
        elif value is False:
            yield f"--no-{flag}"
        else:
            for word in words(value):
                yield f"--{flag}={word}"


# What the command says of a failure; FILE and PLACE are there where they are known.
_FAILURE = re.compile(r"^onnxq: (?!warning: )(?P<message>.*)(?:\n +hint: (?P<hint>.*))?", re.MULTILINE)
_PLACE = re.compile(r"(?P<place>[a-z]+(?: [a-z]+)* \"[^\"]*\"): (?P<message>.*)")
_OFFSET = re.compile(r"(?P<message>.*) \(at byte (?P<offset>\d+)\)$")


def _raise(code: int, stderr: str, files: Sequence[str]) -> None:
    failures = list(_FAILURE.finditer(stderr))
    if not failures:
        raise make_error(code, "cancelled" if code == 130 else stderr.strip() or f"onnxq ended with {code}")
    message, hint, place, offset = failures[-1]["message"], failures[-1]["hint"] or "", "", None
    file = max((one for one in files if message.startswith(f"{one}: ")), key=len, default="")
    message = message[len(file) + 2:] if file else message
    if file and (found := _OFFSET.match(message)) is not None:
        message, offset = found["message"], int(found["offset"])
    if file and (found := _PLACE.match(message)) is not None:
        place, message = found["place"], found["message"]
    raise make_error(code, message, file=file, place=place, hint=hint, offset=offset)


# A bar of the command: it begins with a return, as that to which it is drawn is overwritten.
_BAR = re.compile(r"\r  (?P<what>.*) \[[#-]*\] +\d+%   (?P<done>\d+) of (?P<total>\d+) *$")


def _pieces(stream: IO[bytes]) -> Iterator[str]:
    """What a stream says, cut before each return and behind each end of a line."""
    piece = b""
    while byte := stream.read(1):
        if byte == b"\r" and piece:
            yield os.fsdecode(piece)
            piece = b""
        piece += byte
        if byte == b"\n":
            yield os.fsdecode(piece)
            piece = b""
    yield os.fsdecode(piece)


def _listen(process: "subprocess.Popen[bytes]", progress: Optional[Progress]) -> str:
    """Hands bars on; all else is what was said. What he wants no more of is stopped by Ctrl-C."""
    said, stopped = [], False
    assert process.stderr is not None
    for piece in _pieces(process.stderr):
        bar = _BAR.match(piece)
        if bar is None or progress is None:
            said.append(piece.lstrip("\r ") if piece.startswith("\r") else piece)
        elif not stopped and progress(bar["what"], int(bar["done"]), int(bar["total"])) is False:
            stopped = True
            process.send_signal(signal.SIGINT)
    return "".join(said)


def run_command(arguments: Sequence[str], answers: Sequence[int] = (0,),
                progress: Optional[Progress] = None) -> Any:
    """Runs the command with --json; what is in ``answers`` is no failure. None: nothing was printed."""
    name, *rest = arguments
    bar = "--no-progress" if progress is None else "--progress"
    with tempfile.TemporaryFile() as stdout, \
            subprocess.Popen([command_path(), name, "--json", "--color=never", bar, *rest], stdout=stdout,
                             stderr=subprocess.PIPE, env=_environment()) as process:
        try:
            stderr = _listen(process, progress)
        except BaseException:  # of the caller's function, or Ctrl-C
            process.send_signal(signal.SIGINT)
            raise
        code = process.wait()
        code = 128 - code if code < 0 else code  # as shells count signals
        stdout.seek(0)
        said = os.fsdecode(stdout.read())
    if code not in answers:
        _raise(code, stderr, [one.rpartition("=")[2] if one.startswith("--") else one for one in rest])
    if code == 0:  # warnings; a verdict is in the result
        sys.stderr.write(stderr)
    return json.loads(said) if said else None


def run(name: str, operands: Sequence[PathLike], options: Mapping[str, Any],
        answers: Sequence[int] = (0,), progress: Optional[Progress] = None) -> Any:
    return run_command([name, *_flags(options), "--", *(os.fspath(one) for one in operands)], answers, progress)


def inspect(model: Model, *, validate: bool = False, **options: Any) -> Report:
    """What a model is made of and what could be done with it: ``onnxq inspect --json``.

    With ``validate``, the member ``validation`` lists what is wrong with the model. ``options`` are those
    of ``onnxq inspect``, with ``_`` for ``-``.
    """
    with model_path(model) as path:
        report: Report = run("inspect", [path], {"validate": validate, **options},
                                  (0, 3) if validate else (0,))
        if report is None:
            raise make_error(3, "cannot be read as a model", file=path)
        return report


def check(reference: Optional[Model], candidate: Model, *, inputs: Inputs = None,
          expected: Inputs = None, abs_tol: Optional[float] = None,
          mean_tol: Optional[float] = None, rel_tol: Optional[float] = None,
          cosine: Optional[float] = None, sqnr: Optional[float] = None,
          argmax: Optional[float] = None, agreement: Optional[float] = None,
          layers: bool = False, progress: Optional[Progress] = None, **options: Any) -> Report:
    """Runs both models on the same inputs and compares; ``passed`` in the result is the verdict.

    ``inputs`` are paths, a dict of arrays by name, or a list of either, one for each run; None draws
    them at random. ``expected`` takes the same and holds what the outputs should be; ``reference`` is
    then None. Further options are those of ``onnxq check``, with ``_`` for ``-``.
    ``progress(what, done, total)`` is called several times a second; if it returns False, the call stops.
    """
    with contextlib.ExitStack() as stack:
        models = [] if reference is None else [stack.enter_context(model_path(reference))]
        models.append(stack.enter_context(model_path(candidate)))
        paths = stack.enter_context(input_paths(inputs))
        report: Report = run("check", models, {
            "inputs": paths, "expected": stack.enter_context(input_paths(expected)), "abs_tol": abs_tol, "mean_tol": mean_tol,
            "rel_tol": rel_tol, "cosine": cosine, "sqnr": sqnr, "argmax": argmax,
            "agreement": agreement, "layers": layers, **options}, (0, 1), progress)
        return report


def bench(*models: Model, inputs: Inputs = None, min_speedup: Optional[float] = None,
          time: Optional[float] = None, threads: Optional[int] = None,
          plot: Optional[PathLike] = None, progress: Optional[Progress] = None, **options: Any) -> Report:
    """Times models against the first one; ``passed`` in the result tells whether ``min_speedup`` was reached.

    The rest of the result is that of ``onnxq bench --json``; ``models[1]["speedup"]["median"]`` is the speed.
    """
    with contextlib.ExitStack() as stack:
        paths = [stack.enter_context(model_path(model)) for model in models]
        files = stack.enter_context(input_paths(inputs))
        report: Report = run("bench", paths, {
            "inputs": files, "min_speedup": min_speedup, "time": time, "threads": threads,
            "plot": plot, **options}, (0, 1), progress)
        return report


def dequantize(model: Model, output: PathLike, *, float_type: Optional[str] = None,
               **options: Any) -> Report:
    """Makes a quantized model a float one again."""
    with model_path(model) as path:
        report: Report = run("dequantize", [path], {
            "output": output, "float_type": float_type, **options})
        return report


def calibrate(model: Model, output: PathLike, *, inputs: Inputs = None,
              merge: Union[None, PathLike, List[PathLike]] = None,
              progress: Optional[Progress] = None, **options: Any) -> Report:
    """Writes the ranges of inner values over the inputs, for ``quantize(method="static", ranges=output)``."""
    with model_path(model) as path, input_paths(inputs) as paths:
        report: Report = run("calibrate", [path, output], {"inputs": paths, "merge": merge, **options},
                                  (0,), progress)
        return report


def tune(model: Model, output: PathLike, *, budget: Optional[str] = None, inputs: Inputs = None,
         save_plan: Optional[PathLike] = None, plot: Optional[PathLike] = None, time: Optional[float] = None,
         min_speedup: Optional[float] = None, max_size: Union[None, int, str] = None,
         progress: Optional[Progress] = None, **options: Any) -> Report:
    """Finds the fastest form of every weight within an error budget, and writes that model.

    ``budget`` is such as "cosine>=0.999" or "rel<=0.05,argmax>=0.99". ``met`` in the result tells whether
    there is such a model; if not, ``output`` is None and nothing was written. ``save_plan`` names a file
    for ``quantize(plan=...)``. If ``progress(what, done, total)`` returns False, the result is the best
    model found so far, and ``stopped`` is true.
    """
    with model_path(model) as path, input_paths(inputs) as paths:
        report: Report = run("tune", [path], {
            "output": output, "budget": budget, "inputs": paths, "save_plan": save_plan, "plot": plot, "time": time,
            "min_speedup": min_speedup, "max_size": max_size, **options}, (0, 1, 130), progress)
        return report
