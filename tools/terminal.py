#!/usr/bin/env python3
"""Records commands in a terminal as a picture: an SVG, light or dark as the reader's system is.

    tools/terminal.py [--columns 100] [--folder DIR] [--path DIR] OUT.svg COMMAND...

Each COMMAND runs by the shell in DIR, with a terminal of its own of that width; what it writes is
drawn as it is: colours (16), bold and faint text. A bar that is overwritten is not. --path is
where programs are looked for first, as build/release. The picture of README.md, where the models
are that it shows:

    tools/terminal.py --columns 96 --folder MODELS --path build/release docs/pictures/terminal.svg \\
        'onnxq quantize minilm.onnx' \\
        'onnxq check minilm.onnx minilm.int8.onnx -i minilm_inputs.npz --mask attention_mask'
"""

import argparse
import fcntl
import html
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import unicodedata
from pathlib import Path

ROWS = 50
CHARACTER, LINE, MARGIN = 8.0, 19, 18  # of the font's size, 13.3: widths are forced by textLength
PIECE = re.compile(r"\x1b\[([0-9;]*)m|\x1b\[[0-9;?]*[A-Za-z]|([^\x1b]+)")

STYLE = """
.page { fill: #ffffff; stroke: #d0d7de } text { fill: #1f2328 } .prompt { fill: #0969da; font-weight: 600 }
.bold { font-weight: 600 } .faint { fill: #656d76 } .c1 { fill: #cf222e } .c2 { fill: #1a7f37 }
.c3 { fill: #9a6700 } .c4 { fill: #0969da } .c5 { fill: #8250df } .c6 { fill: #1b7c83 }
text { font: 13.3px ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; white-space: pre }
@media (prefers-color-scheme: dark) {
.page { fill: #0d1117; stroke: #30363d } text { fill: #e6edf3 } .prompt { fill: #58a6ff } .faint { fill: #8d96a0 }
.c1 { fill: #ff7b72 } .c2 { fill: #3fb950 } .c3 { fill: #d29922 } .c4 { fill: #58a6ff }
.c5 { fill: #bc8cff } .c6 { fill: #39c5cf } }
"""


def record(command, columns, folder, environment):
    """What the command writes to a terminal, and its exit code."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))
    process = subprocess.Popen(command, shell=True, cwd=folder, env=environment, stdin=subprocess.DEVNULL,
                               stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    said = b""
    while True:
        try:
            some = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not some:
            break
        said += some
    os.close(ours)
    return said.decode(), process.wait()


def screen_lines(text):
    """The lines that are left on the screen, without what a return has overwritten."""
    lines = text.replace("\r\n", "\n").rstrip("\n").split("\n")
    return [line.rsplit("\r", 1)[-1] for line in lines]


def spans(line):
    """(text, classes) of a line with its escapes."""
    classes = []
    for match in PIECE.finditer(line):
        codes, text = match.groups()
        if text:
            yield text, " ".join(classes)
        elif codes is not None:
            for code in (int(word or 0) for word in codes.split(";")):
                if code in (0, 39, 22):
                    classes = []
                elif code == 1:
                    classes.append("bold")
                elif code == 2:
                    classes.append("faint")
                elif 31 <= code <= 36 or 91 <= code <= 96:
                    classes.append(f"c{code % 10}")


def width_of(text):
    return sum(2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text)


def draw_line(y, pieces):
    """Each piece at its column, so that no font can move it."""
    column, out = 0, []
    for text, classes in pieces:
        name = f' class="{classes}"' if classes else ""
        if text.strip():
            width = width_of(text.rstrip())
            shown = html.escape(text.rstrip())
            out.append(f'<tspan x="{MARGIN + column * CHARACTER:g}" textLength="{width * CHARACTER:g}"'
                       f' lengthAdjust="spacingAndGlyphs"{name}>{shown}</tspan>')
        column += width_of(text)
    return f'<text xml:space="preserve" y="{y}">{"".join(out)}</text>\n'


def draw(blocks, columns, title):
    """blocks: (command, lines) each."""
    rows = []
    for number, (command, lines) in enumerate(blocks):
        if number:
            rows.append([])
        rows.append([("$ ", "prompt"), (command, "bold")])
        rows += [list(spans(line)) for line in lines]
    width = 2 * MARGIN + columns * CHARACTER
    height = 2 * MARGIN + len(rows) * LINE - 4
    body = "".join(draw_line(MARGIN + 11 + i * LINE, row) for i, row in enumerate(rows) if row)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height}" '
            f'viewBox="0 0 {width:g} {height}" role="img">\n<title>{html.escape(title)}</title>\n'
            f'<style>{STYLE}</style>\n<rect class="page" x=".5" y=".5" width="{width - 1:g}" '
            f'height="{height - 1}" rx="8"/>\n{body}</svg>\n')


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("commands", nargs="+")
    parser.add_argument("--columns", type=int, default=100)
    parser.add_argument("--folder", type=Path, default=Path.cwd())
    parser.add_argument("--path", type=Path)
    arguments = parser.parse_args()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(arguments.columns)}
    environment.pop("NO_COLOR", None)
    if arguments.path:
        environment["PATH"] = f"{arguments.path.resolve()}:{environment['PATH']}"
    blocks = []
    for command in arguments.commands:
        text, code = record(command, arguments.columns, arguments.folder, environment)
        if code not in (0, 1):
            sys.exit(f"{command}: exit code {code}\n{text}")
        blocks.append((command, screen_lines(text)))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(draw(blocks, arguments.columns, "; ".join(arguments.commands)))


if __name__ == "__main__":
    main()
