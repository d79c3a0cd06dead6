"""A model of --method static, node by node: each float node on the values that its integer form really has in front of it.

What may come on top is what that node rounds: its result, by half a step of the integers that are written behind it,
and what lies beyond them; a weight, by half a step of each element; a bias, by half a step, and by what rounding
the weight adds to the mean of the result, which it takes back.
"""

import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import NodeProto, helper, numpy_helper

import engine
import oracle
from oracle import Finding

sys.path.append(str(Path(__file__).resolve().parent.parent / "ort"))

import ranges  # noqa: E402

QUANTIZE, DEQUANTIZE = "QuantizeLinear", "DequantizeLinear"
TO_FLOAT = "MatMulIntegerToFloat"  # what a Conv of one point is where its result is no integer
PRODUCTS = ("Conv", "Gemm", "MatMul")
HARD = ("HardSigmoid", "HardSwish")
MOVES = ("Flatten", "MaxPool", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze")
FOLDED = ("BatchNormalization", "Mul", "Div", "Add", "Sub")
EPSILON = 1e-5  # of floats that are summed in another order


def write_ranges(path: Path, model: onnx.ModelProto, feeds: dict) -> str:
    return str(ranges.write(path, model, [feeds]))


def shown_name(to_float: NodeProto) -> str:
    """Of what it takes, as floats."""
    return f"{to_float.output[0]}/shown"


class Steps:
    """Of a QuantizeLinear or DequantizeLinear whose scale is a number."""

    def __init__(self, node: NodeProto, constants: dict[str, np.ndarray]):
        self.scale = float(constants[node.input[1]])
        self.zero = int(constants[node.input[2]])

    def clip(self, x: np.ndarray) -> np.ndarray:
        return np.clip(x, -self.zero * self.scale, (255 - self.zero) * self.scale)

    def beyond(self, x: np.ndarray) -> np.ndarray:
        return np.abs(x - self.clip(x))


class Static:
    def __init__(self, drawn, path: str):
        self.floats, self.quantized = drawn.model, onnx.load(path)
        self.feeds = drawn.feeds
        self.opset = next(o.version for o in self.quantized.opset_import if o.domain in ("", "ai.onnx"))
        self.was = {o: n for n in self.floats.graph.node for o in n.output if o}
        self.made = {o: n for n in self.quantized.graph.node for o in n.output if o}
        self.users: dict[str, list[NodeProto]] = {}
        for node in self.quantized.graph.node:
            for name in node.input:
                self.users.setdefault(name, []).append(node)
        self.tensors = {t.name: numpy_helper.to_array(t) for t in self.quantized.graph.initializer}
        self.show_integers()
        hidden = oracle.hidden_names(self.floats)
        names = [n for n in oracle.all_names(self.floats) if n not in hidden]
        self.constants = oracle.constant_names(self.floats)
        self.own = oracle.observe(self.floats, names, drawn.feeds, "disabled")
        self.findings: list[Finding] = []
        self.checked = 0

    # --- the form ---

    def show_integers(self) -> None:
        """What a MatMulIntegerToFloat takes, as floats beside it."""
        for node in [n for n in self.quantized.graph.node if n.op_type == TO_FLOAT]:
            integers = self.made[node.input[0]].input[0]  # before channels went last
            domain = next(n.domain for n in self.quantized.graph.node if n.op_type == QUANTIZE)
            names = [integers, node.input[2], node.input[4]]
            shown = helper.make_node(DEQUANTIZE, names, [shown_name(node)], domain=domain)
            self.made[shown.output[0]] = shown
            self.quantized.graph.node.append(shown)

    def result_of(self, to_float: NodeProto) -> str:
        """With channels back in their place."""
        return self.users[to_float.output[0]][0].output[0]

    def pair_behind(self, name: str) -> tuple[str, Steps | None]:
        """The name behind QuantizeLinear and DequantizeLinear, and their steps; the name itself where there are none."""
        for q in self.users.get(name, []):
            back = [d for d in self.users.get(q.output[0], []) if d.op_type == DEQUANTIZE] if q.op_type == QUANTIZE else []
            for d in back:
                if d.input[1] == q.input[1] and d.output[0] in self.was:
                    return d.output[0], Steps(q, self.tensors)
        return name, None

    def steps_behind_moves(self, name: str) -> Steps | None:
        """The engine takes a QuantizeLinear to the front of what only moves elements."""
        for user in self.users.get(name, []):
            behind = self.users.get(user.output[0], []) if user.op_type in MOVES else []
            steps = [Steps(q, self.tensors) for q in behind if q.op_type == QUANTIZE]
            if steps or (steps := [self.steps_behind_moves(user.output[0])] if behind else []):
                return steps[0]
        return None

    def is_integer(self, node: NodeProto) -> bool:
        if node.op_type in (QUANTIZE, DEQUANTIZE, "Sum") or any(a.HasField("g") for a in node.attribute):
            return False  # a body takes floats
        makers = [self.made.get(name) for name in node.input[:2]]
        pairs = [d is not None and d.op_type == DEQUANTIZE and self.is_new(d.output[0]) for d in makers]
        if node.op_type in PRODUCTS:
            return len(pairs) == 2 and all(pairs) and makers[1].input[0] in self.tensors
        return any(pairs) and any(d is not None and d.input and d.input[0] in self.made for d in makers)

    def is_new(self, name: str) -> bool:
        """What the float model computed in another way."""
        before = self.was.get(name)
        return before is None or before.op_type != DEQUANTIZE

    def chain(self, op_type: str, output: str) -> list[NodeProto]:
        """The float nodes that an operator does the work of: its own, and what is folded into it."""
        found, name = [], output
        while (before := self.was.get(name)) is not None:
            found.insert(0, before)
            if before.op_type == op_type and (op_type in PRODUCTS or before.output[0] == output):
                return found
            inner = [n for n in before.input if n and n not in self.constants]
            if op_type != "Conv" or before.op_type not in FOLDED or len(inner) != 1:
                return []
            name = inner[0]
        return []

    # --- values ---

    def names(self) -> list[str]:
        wanted = []
        for node in self.quantized.graph.node:
            if self.is_integer(node):
                wanted += [*node.input, self.pair_behind(node.output[0])[0]]
            elif node.op_type == TO_FLOAT:
                wanted += [shown_name(node), self.result_of(node)]
        wanted += [n for n, before in self.was.items() if before.op_type in (*HARD, "Mul", "Div") and n in self.made]
        wanted += [n for name in wanted for n in (self.was[name].input if name in self.was else [])]
        there = set(self.made) & set(self.quantized_floats())
        return [n for n in dict.fromkeys(wanted) if n in there]

    def quantized_floats(self) -> list[str]:
        """Names of which the optimizer may still be asked: no integers."""
        return [o for o, n in self.made.items() if n.op_type != QUANTIZE and o not in self.constants]

    def run_chain(self, chain: list[NodeProto], feeds: dict) -> np.ndarray:
        for node in chain:
            inputs = {n: feeds.get(n, self.own.get(n)) for n in node.input if n}
            fixed = {n for n in inputs if n in self.constants}
            feeds = {**feeds, node.output[0]: engine.run_node(node, inputs, fixed, self.float_opset())[0]}
        return feeds[chain[-1].output[0]]

    def float_opset(self) -> int:
        return next(o.version for o in self.floats.opset_import if o.domain in ("", "ai.onnx"))

    # --- the checks ---

    def check(self, level: str) -> list[Finding]:
        if not self.names():
            return []
        values = {**self.feeds, **oracle.observe(self.quantized, self.names(), self.feeds, level)}
        roundings = 0.501 if level == "disabled" else 1.501  # integer operators round once more
        for node in self.quantized.graph.node:
            if self.is_integer(node) and node.op_type not in ("Clip",):
                self.check_node(node, values, roundings, level)
            elif node.op_type == TO_FLOAT:
                self.check_to_float(node, values, level)
        return self.findings

    def inputs_of(self, node: NodeProto, first: NodeProto, values: dict) -> dict | None:
        """Of the float node: what the integer one takes, but float weights and biases."""
        feeds = {}
        for i, name in enumerate(first.input):
            if not name or (node.op_type in PRODUCTS and name in self.constants):
                continue
            taken = node.input[i]
            if name in self.constants:
                feeds[name] = self.constant(taken)
            elif taken in values:
                feeds[name] = values[taken]
            if name in feeds and feeds[name] is None or name not in feeds and name not in self.constants:
                return None
        return feeds

    def constant(self, name: str) -> np.ndarray | None:
        d = self.made.get(name)
        if d is None:
            return self.tensors.get(name)
        if d.op_type != DEQUANTIZE or d.input[0] not in self.tensors:
            return None  # folded: what it is now, nobody has looked at
        integers, scale, zero = (self.tensors[n] for n in d.input)
        return ((integers.astype(np.float64) - zero) * scale).astype(np.float32)

    def check_node(self, node: NodeProto, values: dict, roundings: float, level: str) -> None:
        output, steps = self.pair_behind(node.output[0])
        chain = self.chain(node.op_type, output)
        feeds = self.inputs_of(node, chain[0], values) if chain else None
        if feeds is None or output not in values:
            return
        want = self.run_chain(chain, feeds).astype(np.float64)
        allowed = 0.0
        if node.op_type in PRODUCTS:
            allowed = allowed + self.product_error(node, chain[0], feeds)
        if steps is None and level != "disabled":
            steps = self.steps_behind_moves(output)
        if steps is not None:
            allowed = allowed + steps.beyond(want) + roundings * steps.scale
        if node.op_type == "Softmax" and level != "disabled":
            allowed = allowed + 2 / 255
        self.judge(node, output, values[output], want, allowed, level)

    def check_to_float(self, node: NodeProto, values: dict, level: str) -> None:
        output = self.result_of(node)
        chain = self.chain("Conv", output)
        feeds = {chain[0].input[0]: values[shown_name(node)]}
        want = self.run_chain(chain, feeds).astype(np.float64)
        self.judge(node, output, values[output], want, self.product_error(node, chain[0], feeds), level)

    def judge(self, node: NodeProto, output: str, got: np.ndarray, want: np.ndarray, allowed, level: str) -> None:
        """Of floats that are summed in another order there is always some error."""
        got = got.astype(np.float64)
        self.checked += 1
        if got.shape != want.shape:
            self.findings.append(Finding("shape", f"{node.op_type} {output} ({level})"))
            return
        allowed = allowed + EPSILON * (np.abs(want) + np.abs(want).max(initial=0)) + 1e-30
        off = np.abs(got - want)
        if not np.isfinite(got).all() or (off > allowed).any():
            worst = (off - allowed).argmax()
            self.findings.append(
                Finding("wrong", f"{node.op_type} {node.name} -> {output} ({level}): {got.flat[worst]} for "
                        f"{want.flat[worst]}, {np.broadcast_to(allowed, off.shape).flat[worst]:.3g} allowed")
            )  # fmt: skip

    def weight_of(self, node: NodeProto) -> tuple[np.ndarray, np.ndarray, int]:
        """Integers, scales, and the axis of these."""
        if node.op_type == TO_FLOAT:  # as a matrix, transposed
            flat = self.made[self.made[node.input[1]].input[0]]
            return self.tensors[flat.input[0]], self.tensors[node.input[3]].astype(np.float64), 0
        d = self.made[node.input[1]]
        scale = self.tensors[d.input[1]].astype(np.float64)
        return self.tensors[d.input[0]], scale, oracle.flat_attribute(d, "axis", 0) if scale.ndim else 0

    def product_error(self, node: NodeProto, first: NodeProto, feeds: dict) -> np.ndarray:
        x = np.abs(feeds[first.input[0]].astype(np.float64))
        weight, scale, axis = self.weight_of(node)
        shape = [-1 if i == axis else 1 for i in range(weight.ndim)] if scale.ndim else [1] * weight.ndim
        dw = np.broadcast_to(scale.reshape(shape) / 2 * (1 + 1e-4), weight.shape)
        alone = NodeProto()
        alone.CopyFrom(first if node.op_type == TO_FLOAT else node)
        alone.input[:], alone.output[:] = ["a", "b"], ["y"]
        if node.op_type == "Gemm" and self.opset < 11:
            alone.input.append("c")
        own = {"a": x.astype(np.float32), "b": dw.astype(np.float32), "c": np.zeros(1, np.float32)}
        error = engine.run_node(alone, {n: own[n] for n in alone.input}, {"b", "c"}, self.opset)[0].astype(np.float64)
        is_conv = alone.op_type == "Conv"
        channels = error.shape[1 if is_conv else -1]
        by_channel = np.broadcast_to(scale.reshape(-1), channels)
        # The bias takes back what rounding makes of the means of the float model.
        largest = max(x.max(initial=0), np.abs(self.own.get(first.input[0], x)).max(initial=0))
        moved = by_channel / 2 * weight.size / channels * largest
        if node.op_type in PRODUCTS and len(node.input) > 2 and node.input[2]:
            bias = self.tensors[self.made[node.input[2]].input[1]].astype(np.float64)
            moved = moved + np.abs(bias) / 2
        last = error.ndim - 2 if is_conv else 0
        return error + moved.reshape([-1] + [1] * last)
