"""quantize(): the library in this process, with a progress callback."""

import contextlib
import json
import os
import tempfile
from typing import Any, Dict, Iterable, Mapping, Optional, Union

from ._arrays import Inputs, Model, PathLike, input_paths, model_path
from ._commands import Progress, Report, calibrate, run, words
from ._errors import OptionError
from ._library import PROGRESS, ErrorPlace, encode, lib, report_json

Names = Union[str, Iterable[str]]

_PHASES = ("measure", "write")


def version() -> str:
    """Of the library that is loaded."""
    return str(lib.onnxq_version().decode())


class _Listener:
    """Hands progress to the caller. An exception of his stops the library, and is raised again."""

    def __init__(self, progress: Optional[Progress]) -> None:
        self.progress, self.exception = progress, None  # type: Optional[Progress], Optional[BaseException]
        self.function = PROGRESS(self._call)

    def _call(self, _data: Any, phase: int, done: int, total: int) -> bool:
        try:
            return self.progress is None or self.progress(_PHASES[phase], done, total) is not False
        except BaseException as exception:  # KeyboardInterrupt as well
            self.exception = exception
            return False


@contextlib.contextmanager
def _options(values: Mapping[str, Any], listener: _Listener, error: ErrorPlace) -> Any:
    options = lib.onnxq_options_new()
    if not options:
        raise MemoryError
    try:
        for name, value in values.items():
            if value is None:
                continue
            for word in words(value):
                error.check_status(lib.onnxq_options_set(options, name.encode(), encode(word),
                                                         error.pointer))
        lib.onnxq_options_set_progress(options, listener.function, None)
        yield options
    finally:
        lib.onnxq_options_free(options)


def _run(source: str, output: Optional[str], values: Mapping[str, Any], progress: Optional[Progress]) -> Report:
    listener = _Listener(progress)
    try:
        with ErrorPlace() as error, _options(values, listener, error) as options, \
                contextlib.ExitStack() as stack:
            model = error.check(lib.onnxq_model_open(encode(source), error.pointer))
            stack.callback(lib.onnxq_model_close, model)
            plan = error.check(lib.onnxq_plan_create(model, options, error.pointer))
            stack.callback(lib.onnxq_plan_destroy, plan)
            if output is not None:
                error.check_status(lib.onnxq_plan_write(plan, encode(output), error.pointer))
            report: Report = json.loads(report_json(plan, encode(source),
                                                    None if output is None else encode(output)))
            return report
    except Exception:
        if listener.exception is not None:
            raise listener.exception from None
        raise


# What the command calls otherwise.
_FLAGS = {"include_name": "nodes_to_quantize", "exclude_name": "nodes_to_exclude",
          "keep_existing": "no_clobber"}


def _round_with(inputs: Inputs, source: str, output: Optional[str], values: Dict[str, Any],
                progress: Optional[Progress]) -> Report:
    """4 bits that suit the inputs: what runs models is the command."""
    if values.pop("hub_side_file"):
        raise OptionError("hub_side_file does not go with inputs")
    with input_paths(inputs) as paths:
        report: Report = run("quantize", [source] if output is None else [source, output],
                             {**{_FLAGS.get(name, name): value for name, value in values.items()},
                              "inputs": paths, "dry_run": True if output is None else None}, (0,), progress)
        return report


def quantize(src: Model, dst: Optional[PathLike] = None, *,
             method: Optional[str] = None, weight_type: Optional[str] = None,
             per_channel: Optional[bool] = None, symmetric: Optional[bool] = None,
             reduce_range: Union[None, bool, str] = None, conv: Optional[str] = None,
             bits: Union[None, int, str] = None, block_size: Optional[int] = None,
             fold_bits: Union[None, int, str] = None, min_elements: Optional[int] = None,
             op_types: Optional[Names] = None, exclude_op_types: Optional[Names] = None,
             include: Optional[Names] = None, exclude: Optional[Names] = None,
             include_regex: Optional[Names] = None, exclude_regex: Optional[Names] = None,
             include_name: Optional[Names] = None, exclude_name: Optional[Names] = None,
             allow_unmatched: Optional[bool] = None, accuracy_level: Optional[int] = None,
             force_integer: Optional[bool] = None, freeze_inputs: Optional[bool] = None,
             subgraphs: Optional[bool] = None, plan: Optional[PathLike] = None,
             ranges: Optional[PathLike] = None,
             range_method: Optional[str] = None, percentile: Optional[float] = None,
             activation_bits: Optional[int] = None, qdq_standard: Optional[bool] = None,
             join_norms: Optional[bool] = None, no_smooth: Optional[bool] = None,
             weights_from: Optional[PathLike] = None,
             target_ort: Optional[str] = None, external_data: Optional[str] = None,
             sync: Optional[bool] = None, keep_existing: Optional[bool] = None,
             force: Optional[bool] = None, allow_noop: Optional[bool] = None,
             hub_side_file: Optional[bool] = None,
             threads: Optional[int] = None, inputs: Inputs = None,
             progress: Optional[Progress] = None) -> Report:
    """Quantizes the model ``src``, a path, a ModelProto or its bytes, into the file ``dst``.

    The options are those of ``onnxq quantize``; None means the default. With ``method="static"``
    the model first runs on ``inputs`` (paths, or dicts of arrays), as in ``calibrate``; with
    ``method="blocks", bits=4`` weights are rounded to suit them. ``plan`` is a file that
    ``tune(save_plan=...)`` wrote: it gives the same model again, without an engine. Without ``dst``
    nothing is written (a dry run). ``progress(phase, done, total)`` is called every few MB;
    if it returns False, the call stops.

    Returns what ``onnxq quantize --json`` prints, see docs/report.md. Raises NothingToDo if there is
    nothing to quantize, unless ``allow_noop``; other failures are an onnxq.Error as well.
    """
    values: Dict[str, Any] = dict(
        method=method, weight_type=weight_type, per_channel=per_channel, symmetric=symmetric,
        reduce_range=reduce_range, conv=conv, bits=bits, block_size=block_size, fold_bits=fold_bits,
        min_elements=min_elements, op_types=op_types, exclude_op_types=exclude_op_types,
        include=include, exclude=exclude, include_regex=include_regex, exclude_regex=exclude_regex,
        include_name=include_name, exclude_name=exclude_name, allow_unmatched=allow_unmatched,
        accuracy_level=accuracy_level, force_integer=force_integer, freeze_inputs=freeze_inputs,
        subgraphs=subgraphs, plan=plan, ranges=ranges, range_method=range_method, percentile=percentile,
        activation_bits=activation_bits, qdq_standard=qdq_standard,
        join_norms=join_norms, no_smooth=no_smooth, weights_from=weights_from, target_ort=target_ort,
        external_data=external_data,
        sync=sync, keep_existing=keep_existing,
        force=force, allow_noop=allow_noop, hub_side_file=hub_side_file, threads=threads)
    output = None if dst is None else os.fspath(dst)
    with model_path(src) as source, contextlib.ExitStack() as stack:
        if inputs is not None and method == "blocks" and str(bits) == "4":
            return _round_with(inputs, source, output, values, progress)
        if inputs is not None:
            if method != "static" or ranges is not None:
                raise OptionError("inputs go with method='static' without ranges, or method='blocks' with bits=4")
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="onnxq-"))
            values["ranges"] = os.path.join(folder, "ranges.json")
            calibrate(source, values["ranges"], inputs=inputs, quiet=True)
        return _run(source, output, values, progress)
