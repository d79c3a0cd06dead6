#!/usr/bin/env python3
"""Lines of src/ that a build with --coverage ran: per folder and in all, then those
that never ran, as FILE: LINES. Reads what `gcov --json-format` makes of the counters.

    tools/coverage.py BUILD-FOLDER [--least PERCENT]
"""
from __future__ import annotations

import argparse
import collections
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def read_counts(build: Path) -> dict[str, dict[int, int]]:
    """File -> line -> how often it ran, added up over all programs that have it."""
    counts: dict[str, dict[int, int]] = collections.defaultdict(lambda: collections.defaultdict(int))
    # Also those that no test touched: they have notes, but no counters.
    notes = [str(path) for path in build.rglob("*.gcno") if "/tests/" not in str(path)]
    found = subprocess.run(["gcov", "--json-format", "--stdout", *notes], cwd=build, check=True,
                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    for document in found.splitlines():
        report = json.loads(document)
        for file in report["files"]:
            path = Path(os.path.normpath(Path(report["current_working_directory"], file["file"])))
            if path.is_relative_to(ROOT / "src"):
                lines = counts[str(path.relative_to(ROOT))]
                for line in file["lines"]:
                    lines[line["line_number"]] += line["count"]
    return counts


def missed_ranges(lines: dict[int, int]) -> list[str]:
    """Neighbours among the lines that hold code are one range."""
    ranges: list[list[int]] = []
    before_missed = False
    for number, count in sorted(lines.items()):
        if count == 0 and before_missed:
            ranges[-1][1] = number
        elif count == 0:
            ranges.append([number, number])
        before_missed = count == 0
    return [str(first) if first == last else f"{first}-{last}" for first, last in ranges]


def show(name: str, lines: list[int]) -> float:
    ran = sum(count > 0 for count in lines)
    percent = 100 * ran / len(lines)
    print(f"{name:24} {ran:6} of {len(lines):6} lines  {percent:5.1f} %")
    return percent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("build", type=Path)
    parser.add_argument("--least", type=float, default=0, metavar="PERCENT")
    options = parser.parse_args()
    counts = read_counts(options.build.resolve())
    print("Lines that never ran:")
    for path, lines in sorted(counts.items()):
        missed = missed_ranges(lines)
        if missed:
            print(f"  {path}: {', '.join(missed)}")
    folders = collections.defaultdict(list)
    for path, lines in counts.items():
        folders["/".join(path.split("/")[:2])] += lines.values()
    print()
    for folder, lines in sorted(folders.items()):
        show(folder, lines)
    percent = show("all of src", [count for lines in counts.values() for count in lines.values()])
    sys.exit(percent < options.least)


if __name__ == "__main__":
    main()
