"""``python -m onnxq.summary FOLDER``: quantize.json and check.json of a folder as Markdown."""

import json
import os
import sys
from typing import Any, Iterator, List, Optional, Union

_UNITS = ("B", "KB", "MB", "GB")


def _size(nbytes: float) -> str:
    for unit in _UNITS:
        if nbytes < 1000 or unit == _UNITS[-1]:
            break
        nbytes /= 1000
    return f"{nbytes:.0f} {unit}" if unit == "B" else f"{nbytes:.1f} {unit}"


def _cell(value: Any) -> str:
    text = "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


def _table(head: List[str], rows: List[List[Any]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(_cell(cell) for cell in row) + " |"


def quantization(report: Any) -> Iterator[str]:
    """Of what ``onnxq quantize --json`` writes."""
    summary = report["summary"]
    before, after = summary["nbytes_before"], summary["nbytes_after"]
    yield f"### {_cell(report['output'] or report['input'])}"
    yield ""
    yield (f"{_size(before)} → {_size(after)} ({before / max(after, 1):.1f} times smaller), "
           f"{summary['quantized']} of {summary['weights']} weights quantized")
    yield ""
    rows = [[one["op_type"], one["weights"], one["quantized"], _size(one["nbytes_before"]),
             _size(one["nbytes_after"]), ", ".join(form["form"] for form in one["forms"])]
            for one in report["operators"] or []]
    yield from _table(["operator", "weights", "quantized", "before", "after", "form"], rows)


def comparison(report: Any) -> Iterator[str]:
    """Of what ``onnxq check --json`` writes."""
    yield "**passed**" if report["passed"] else "**failed**"
    yield ""
    measures = ["max_abs_diff", "mean_abs_diff", "rel_error", "cosine", "argmax_agreement", "agreement"]
    yield from _table(["output", "", *measures], [
        [one["name"], "passed" if one["passed"] else "failed", *(one[name] for name in measures)]
        for one in report["outputs"]])
    if report["failures"]:
        yield ""
        yield from _table(["failure", "cause", "found", "allowed"], [
            [one["output"], one["cause"], one["found"], one["allowed"]] for one in report["failures"]])


def _load(path: str) -> Optional[Any]:
    if not os.path.exists(path):
        return None
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def markdown(folder: Union[str, "os.PathLike[str]"]) -> str:
    """The summary of the reports that are there."""
    lines: List[str] = []
    for name, section in (("quantize.json", quantization), ("check.json", comparison)):
        report = _load(os.path.join(folder, name))
        if report is not None:
            lines += [*section(report), ""]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(markdown(sys.argv[1]))
