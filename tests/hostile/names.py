#!/usr/bin/env python3
"""
names.py ONNXQ MAKE_MODEL: names from a file, in everything that onnxq shows.

Models whose nodes, weights, inputs, outputs, operators, domains and metadata have hostile names go
through every command. No control byte and no invalid UTF-8 may come out, JSON has to parse and say of
every weight what the text says, exact selectors have to work, and outputs have to open again.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

ONNXQ = sys.argv[1]

NAMES = {
    "escapes": b"\x1b[2J\x1b]0;title\x07\x1b[31mred",
    "control": bytes(range(1, 32)) + b"\x7f",
    "c1": "\u0080\u009b31m\u009d".encode(),
    "latin": b"\xff\xfe\xc3\x28\xe9",
    "overlong": b"\xc0\x80\xe0\x80\x80\xf0\x80\x80\x80",
    "surrogates": b"\xed\xa0\x80\xed\xbf\xbf",
    "cut": "na\u00efve".encode()[:3] + b"\xf0\x9f\x98",
    "beyond": b"\xf4\x90\x80\x80\xf8\x88\x80\x80\x80",
    "right-to-left": "a\u061c\u202eb\u2066c\u200fd".encode(),
    "zero width": "a\u200bb\ufeffc\u2028d\u2029e".encode(),
    "combining": ("e" + "\u0301" * 500).encode(),
    "percent": b"%s%n%d%99999d%*c",
    "quotes": b"\"'`$(id)\\\"\\n\\u0000</script>",
    "newlines": b"a\nb\r\nc\td",
    "glob": b"[a-z]*?{x,y}[!",
    "regex": b"(((a+)+)+$^[",
    "comma": b"a,b,,c",
    "space": b" ",
    "dash": b"--help",
    "json": b'"}],"x":[{"',
    "long": b"n" * 70_000,
    "long escapes": b"\x1b\xff" * 35_000,
    "ours": b"w_quantized",
    "ours as well": b"x_scale",
    "separator": b"a::b/c.d",
    "empty": b"",
}


def varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def data(field: int, value: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(value)) + value


def value_info(name: bytes, dims: list[bytes]) -> bytes:
    shape = b"".join(data(1, dim) for dim in dims)
    return data(1, name) + data(2, data(1, number(1, 1) + data(2, shape)))


def weight(name: bytes) -> bytes:
    return number(1, 64) + number(1, 64) + number(2, 1) + data(8, name) + data(9, bytes(range(1, 65)) * 256)


def node(op_type: bytes, inputs: list[bytes], output: bytes, name: bytes, domain: bytes = b"") -> bytes:
    fields = b"".join(data(1, one) for one in inputs) + data(2, output) + data(3, name) + data(4, op_type)
    return fields + (data(7, domain) if domain else b"")


def model(name: bytes) -> bytes:
    """Everything that has a name has this one, twice where that is allowed, and what clashes with ours."""
    w, x, y, doc = b"w" + name, b"x" + name, b"y" + name, name
    graph = data(1, node(b"MatMul", [x, w], y, name))
    graph += data(1, node(b"MatMul", [x, w + b"_2"], y + b"_2", name))
    graph += data(1, node(b"Relu", [x], w + b"_quantized", name))
    graph += data(1, node(b"Relu", [x], w + b"_scale", name))
    graph += data(1, node(name or b"Op", [x, w + b"_3"], b"z", b"", name))
    graph += data(2, name)
    graph += b"".join(data(5, weight(one)) for one in (w, w + b"_2", w + b"_3"))
    graph += data(10, doc)
    graph += data(11, value_info(x, [data(2, name), number(1, 64)]))
    graph += b"".join(data(12, value_info(one, [data(2, name), number(1, 64)])) for one in (y, y + b"_2"))
    head = number(1, 8) + data(2, name) + data(3, name) + data(4, name) + data(6, name)
    head += data(8, number(2, 17)) + data(8, data(1, name) + number(2, 1)) * bool(name)
    head += data(14, data(1, name) + data(2, name)) * 2
    return head + data(7, graph)


class Failures:
    def __init__(self) -> None:
        self.count = 0
        self.checks = 0

    def check(self, right: bool, what: str) -> None:
        self.checks += 1
        if not right:
            self.count += 1
            print(f"FAILED names: {what}")


failures = Failures()


def run(kind: str, *arguments: str | bytes, codes: tuple[int, ...] = (0,)) -> bytes:
    """Standard output; both streams are clean."""
    result = subprocess.run([ONNXQ, *arguments], capture_output=True, check=False)
    shown = " ".join(str(one)[:60] for one in arguments)
    failures.check(result.returncode in codes, f"{kind}: exit code {result.returncode}: {shown}: "
                   f"{result.stderr[:300]!r}")
    for stream in (result.stdout, result.stderr):
        if re.fullmatch(rb"[\n -~]*", stream):
            continue
        bad = [byte for byte in stream if (byte < 32 and byte != 10) or byte == 127]
        failures.check(not bad, f"{kind}: control bytes {bad[:5]}: {shown}")
        try:
            text = stream.decode()
        except UnicodeDecodeError as error:
            failures.check(False, f"{kind}: {error.reason}: {shown}")
            continue
        hidden = [c for c in text if "\u0080" <= c <= "\u009f" or c in "\u200e\u200f\u202a\u202b\u202c\u202d"
                  "\u202e\u061c\u2066\u2067\u2068\u2069\u2028\u2029\ufeff"]
        failures.check(not hidden, f"{kind}: characters that steer a terminal, {hidden[:5]!r}: {shown}")
    return result.stdout


def parsed(kind: str, *arguments: str | bytes, codes: tuple[int, ...] = (0,)) -> dict:
    out = run(kind, *arguments, codes=codes)
    try:
        return json.loads(out)
    except ValueError as error:
        failures.check(False, f"{kind}: JSON: {error}")
        return {}


def check_name(kind: str, name: bytes) -> None:
    Path("m.onnx").write_bytes(model(name))
    run(kind, "quantize", "-v", "--min-elements=1", "m.onnx", "q.onnx")
    run(kind, "quantize", "--dry-run", "-v", "m.onnx")
    run(kind, "inspect", "-v", "m.onnx", "q.onnx")
    run(kind, "dequantize", "-v", "q.onnx", "d.onnx")
    run(kind, "quantize", "-qq", "--allow-noop", "q.onnx", "qq.onnx")
    report = parsed(kind, "quantize", "--dry-run", "--json", "--min-elements=1", "m.onnx")
    parsed(kind, "inspect", "--json", "m.onnx", "q.onnx")
    parsed(kind, "dequantize", "--dry-run", "--json", "q.onnx")
    everything = json.dumps(report)
    try:
        failures.check(not name or json.dumps("w" + name.decode())[1:-1] in everything, f"{kind}: not in JSON")
    except UnicodeDecodeError:
        pass
    if name and len(name) < 100_000:
        for option in (b"--exclude=" + b"w" + name, b"--nodes_to_exclude=" + b"w" + name):
            if b"," in name and b"nodes" in option:
                continue
            excluded = parsed(kind, "quantize", "--dry-run", "--json", "--min-elements=1", option, "m.onnx")
            failures.check("excluded" in json.dumps(excluded), f"{kind}: {option[:40]!r} excludes nothing")
        run(kind, "quantize", "--dry-run", b"--exclude=" + name + b"no such", "m.onnx", codes=(2,))
        run(kind, "quantize", "--dry-run", b"--include-regex=[" + name, "m.onnx", codes=(0, 2, 5))
    broken = model(name)[:-700]
    Path("b.onnx").write_bytes(broken)
    run(kind, "quantize", "b.onnx", "never.onnx", codes=(3,))
    twice = model(name) + data(7, data(1, node(b"Relu", [b"x"], b"y" + name, name)))
    Path("b.onnx").write_bytes(twice)
    run(kind, "quantize", "b.onnx", "never.onnx", codes=(3,))
    failures.check(not Path("never.onnx").exists(), f"{kind}: an output of a broken model")


for kind, name in NAMES.items():
    check_name(kind, name)
print(f"{len(NAMES)} names, {failures.checks} checks, {failures.count} failed")
sys.exit(failures.count > 0)
