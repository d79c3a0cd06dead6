"""Compares a quantized model with its float model, value by value.

Every node of the float model is run alone, on the values that the quantized model has in front of
it; so an error is found where it is made, and no bound has to be carried through what is not
linear. A node that is as it was has to give the same. A product that became integers has to be
within what the rounding of its own operands makes. A constant that was rounded has to be within
its step, and nothing that decides (comparisons, divisors, indices ..) may read it.
"""

from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

import bounds
import engine
import flat
from bounds import Options

WRITTEN_OUT = ("Einsum", "FusedMatMul", "FusedGemm")
PRODUCTS = ("MatMul", "Gemm", "Conv", "ConvTranspose", *WRITTEN_OUT)
INTEGER = (np.integer, np.bool_)

# Inputs whose rounding is no rounding of the result.
DECIDING = {
    **dict.fromkeys(
        "Log Reciprocal Floor Ceil Round Sign NonZero TopK ArgMax ArgMin Not IsInf IsNaN Unique".split(), (0,)
    ),
    **dict.fromkeys("Mod Less Greater Equal LessOrEqual GreaterOrEqual".split(), (0, 1)),
    "Div": (1,),
    "Pow": (1,),
    "Resize": (1, 2),
    "Upsample": (1,),
    "GridSample": (1,),
    "RoiAlign": (1,),
    "Range": (0, 1, 2),
    "QuantizeLinear": (1,),
    "DequantizeLinear": (1,),
    "MatMulNBits": (2,),
}


# Of these, inputs that are cut to integers, or have to be exactly equal: no weight of the product is rounded, either.
CUTTING = {**dict.fromkeys("Floor Ceil Round NonZero Mod".split(), (0,)), "Equal": (0, 1)}


@dataclass
class Finding:
    kind: str
    text: str


@dataclass
class Seen:
    """A model as it ran: flat, with the values of all names that the float model has, too."""

    model: onnx.ModelProto
    values: dict[str, np.ndarray]
    producers: dict[str, NodeProto] = field(default_factory=dict)
    tensors: dict[str, TensorProto] = field(default_factory=dict)

    def __post_init__(self):
        self.producers = {o: n for n in self.model.graph.node for o in n.output if o}
        self.tensors = {t.name: t for t in self.model.graph.initializer}


def hidden_names(model: onnx.ModelProto) -> set[str]:
    """bfloat16 has no form in numpy that the engine gives."""
    names = {t.name for t in model.graph.initializer if t.data_type == TensorProto.BFLOAT16}
    for node in model.graph.node:
        for a in node.attribute:
            if node.op_type == "Constant" and a.t.data_type == TensorProto.BFLOAT16:
                names.update(node.output)
    return names


def all_names(model: onnx.ModelProto) -> list[str]:
    made = [o for n in model.graph.node for o in n.output if o]
    return list(dict.fromkeys([*(t.name for t in model.graph.initializer), *made]))


def observe(model: onnx.ModelProto, names: list[str], feeds: dict, level: str) -> dict[str, np.ndarray]:
    """Values of these names, and what was fed."""
    made = engine.session(engine.with_outputs(model, names), level)
    return {**feeds, **dict(zip(names, engine.run(made, feeds), strict=True))}


def constant_names(model: onnx.ModelProto) -> set[str]:
    """What bodies return does not count, though it be constant after unrolling."""
    found = {t.name for t in model.graph.initializer}
    for node in model.graph.node:
        if all(name in found for name in node.input if name) and not node.name.endswith(("/alias", "/stack")):
            found.update(node.output)
    return found - {""}


class Reference:
    """The float model, as it runs with the decisions of one quantized model."""

    def __init__(self, model: onnx.ModelProto, feeds: dict, decisions: dict | None):
        self.model, self.decisions = flat.flatten(model, feeds, decisions)
        self.feeds = feeds
        self.hidden = hidden_names(self.model)
        self.names = [n for n in all_names(self.model) if n not in self.hidden]
        self.seen = Seen(self.model, observe(self.model, self.names, feeds, "disabled"))
        self.constants = constant_names(self.model)
        self.opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
        self.nodes = [n for n in self.model.graph.node if self.can_cut(n)]
        self.cut = engine.session(self.make_cut(), "disabled")
        self.terms: dict[str, object] = {}
        self.is_half = any(a.dtype == np.float16 for a in self.seen.values.values())

    def check_flat(self, model: onnx.ModelProto) -> None:
        """Where a body's name hides another one, the engine may see it in its own way."""
        outputs = engine.run(engine.session(model, "disabled"), self.feeds)
        for info, want in zip(model.graph.output, outputs, strict=True):
            got = self.seen.values.get(info.name)
            if got is not None and not np.allclose(got, want, 1e-3, 1e-5, equal_nan=True):
                raise engine.Refused(f"{info.name} is another value in the flat model")

    def can_cut(self, node: NodeProto) -> bool:
        return bool(node.input) and all(n in self.seen.values for n in [*node.input, *node.output] if n)

    def is_like(self, name: str, array: np.ndarray) -> bool:
        own = self.seen.values[name]
        return own.shape == array.shape and own.dtype == array.dtype

    def stays(self, name: str) -> bool:
        """Parameters that engines like to know in advance."""
        return name in self.seen.tensors and self.seen.values[name].dtype.kind != "f"

    def make_cut(self) -> onnx.ModelProto:
        nodes, inputs = [], {}
        for node in self.nodes:
            copy = NodeProto()
            copy.CopyFrom(node)
            copy.output[:] = [f"{o}/local" if o else "" for o in node.output]
            nodes.append(copy)
            inputs.update({n: None for n in node.input if n})
        values = self.seen.values
        infos = [
            helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(values[n].dtype), None)
            for n in inputs
            if not self.stays(n)
        ]
        tensors = [self.seen.tensors[n] for n in inputs if self.stays(n)]
        outputs = engine.untyped(o for n in nodes for o in n.output if o)
        return engine.model_of(helper.make_graph(nodes, "cut", infos, outputs, tensors), self.opset)

    def local(self, values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What each float node makes of these values; float values stand in where there are none."""
        feeds = {**self.seen.values, **values}
        for _ in range(3):
            made = engine.run(self.cut, feeds)
            found = {o.name.removesuffix("/local"): a for o, a in zip(self.cut.get_outputs(), made, strict=True)}
            stale = [n for n in found if n not in values and n not in self.constants]
            if all(same(found[n], feeds[n]) for n in stale):
                break
            feeds.update({n: found[n] for n in stale})
        return found

    def product(self, node: NodeProto, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """The bare product of the node: no bias, alpha positive."""
        key = f"{node.output[0]} {a.shape} {b.shape}"
        if key not in self.terms:
            copy = NodeProto()
            copy.CopyFrom(node)
            copy.input[:], copy.output[:] = ["a", "b"], ["y"]
            for attribute in copy.attribute:
                if attribute.name == "alpha":
                    attribute.f = abs(attribute.f)
            needs_c = node.op_type == "Gemm" and self.opset < 11
            if needs_c:
                copy.input.append("zero")
            feeds = {"a": a.astype(np.float32), "b": b.astype(np.float32)}
            tensors = [helper.make_tensor("zero", TensorProto.FLOAT, (), [0.0])]
            graph = helper.make_graph(
                [copy], "g", [engine.info(n, v) for n, v in feeds.items()], engine.untyped("y"), tensors if needs_c else []
            )
            self.terms[key] = engine.session(engine.model_of(graph, self.opset), "disabled")
        with np.errstate(over="ignore"):
            feeds = {"a": a.astype(np.float32), "b": b.astype(np.float32)}
        return engine.run(self.terms[key], feeds)[0].astype(np.float64)


def same(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()


def epsilon(dtype: np.dtype) -> float:
    return {2: 2e-3, 4: 2e-5, 8: 2e-5}[dtype.itemsize]


class Comparison:
    def __init__(self, reference: Reference, seen: Seen, options: Options, is_float: bool = False):
        self.reference, self.seen, self.options = reference, seen, options
        # On the way back, and where all is folded, activations are not rounded.
        self.is_float = is_float or options.method in ("weights", "qdq")
        self.is_back = is_float
        self.findings: list[Finding] = []
        self.has_blocks = any(n.op_type in ("MatMulNBits", "DequantizeLinear") for n in seen.model.graph.node)
        self.has_dequantizers = any(n.op_type == "DequantizeLinear" for n in seen.model.graph.node)
        self.checked = 0

    def report(self, kind: str, text: str) -> None:
        self.findings.append(Finding(kind, text))

    # --- constants ---

    def check_constants(self) -> None:
        reference = self.reference
        for name in reference.names:
            if name in reference.constants and name in self.seen.values and self.means_the_same(name):
                w, got = reference.seen.values[name], self.seen.values[name]
                if w.dtype.kind != "f":
                    if not same(w, got):
                        self.report("constant changed", f"{name}: integers or booleans differ")
                elif not same(w, got):
                    self.check_rounded(name, w, got)
        for node in reference.model.graph.node:
            if node.output[0] in reference.constants and node.output[0] not in self.seen.producers:
                continue  # evaluated from what it had, and gone
            for i in deciding(node):
                if i < len(node.input):
                    self.check_deciding(node, i)
            for i in CUTTING.get(node.op_type, deciding(node) if node.op_type == "Cast" else ()):
                product = reference.seen.producers.get(node.input[i])
                if product is not None and product.op_type in PRODUCTS:
                    for k in range(2):
                        self.check_deciding(product, k)

    def means_the_same(self, name: str) -> bool:
        """On the way back a weight may have kept its name but not its form: what still reads it decides."""
        if not self.is_back:
            return True
        readers = [n for n in self.reference.model.graph.node if name in n.input]
        return all(self.is_unchanged(n, n.output[0]) for n in readers)

    def check_rounded(self, name: str, w: np.ndarray, got: np.ndarray) -> None:
        if w.shape != got.shape or w.dtype != got.dtype:
            self.report("constant changed", f"{name}: {w.dtype}{w.shape} became {got.dtype}{got.shape}")
            return
        if not np.isfinite(got).all() and np.isfinite(w).all():
            self.report("not finite", f"constant {name}: {w[~np.isfinite(got)][:3]} became {got[~np.isfinite(got)][:3]}")
            return
        if not is_root(self.reference.seen, name):
            return
        w64, got64 = w.astype(np.float64), got.astype(np.float64)
        if (got64[w64 == 0] != 0).any():
            self.report("zero moved", f"constant {name}")
        step = find_step(self.seen, name, w.shape)
        if step is not None:
            # Kept sums take the other one of two integers; a zero point is rounded as well.
            allowed = step * (1 + 1e-5) + self.rounding(w64, w.dtype)
            if (np.abs(w64 - got64) > allowed).any():
                worst = np.abs(w64 - got64).argmax()
                self.report("over a step", f"constant {name}: {w.flat[worst]} became {got.flat[worst]}")
        norm = np.sqrt(np.square(w64).sum()) if np.abs(w64).max(initial=0) < 1e150 else 0
        # The way back has what the quantized model had.
        if norm > 0 and not self.is_back and not (step is not None and bounds.keeps_typical(w64, step)):
            has_one_scale = step is not None and step.min() == step.max()
            self.check_coarse(name, w64, got64, has_one_scale or not self.options.per_channel)

    def check_coarse(self, name: str, w: np.ndarray, got: np.ndarray, has_one_scale: bool) -> None:
        """What is left of each row along some axis is more than noise; with one scale, of all of it."""
        limit = 0.7 if self.options.bits != "8" else 0.3
        axes = [None] if w.ndim < 2 or has_one_scale else range(w.ndim)
        worst = []
        for axis in axes:
            others = None if axis is None else tuple(i for i in range(w.ndim) if i != axis)
            norms, errors = (np.sqrt(np.square(v).sum(others)) for v in (w, w - got))
            largest, eps = np.abs(w).max(others), np.finfo(np.float32).eps
            # Too small for a scale, and float32 would not tell them beside the largest number.
            errors = np.where((largest < 255 * bounds.TINY) & (largest < eps * np.abs(w).max()), 0, errors)
            worst.append(float((errors / np.where(norms > 0, norms, 1)).max()))
        if min(worst) > limit:
            self.report("coarse", f"constant {name}: {min(worst):.3f} of the norm of some channel")

    @staticmethod
    def rounding(w: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """Of a result that is stored in that type."""
        return np.abs(w) * (1e-3 if dtype.itemsize == 2 else 1e-6) + (6e-8 if dtype.itemsize == 2 else 1e-44)

    def check_deciding(self, node: NodeProto, i: int) -> None:
        name = node.input[i]
        if name not in self.reference.constants or name not in self.seen.values:
            return
        w = self.reference.seen.values.get(name)
        if w is not None and w.dtype.kind == "f" and not same(w, self.seen.values[name]):
            if not self.is_near_norm(name, w, self.seen.values[name]) and not self.is_sum(name, w):
                self.report("decides", f"input {i} of {node.op_type} {node.name} ({name}) was rounded")

    def is_sum(self, name: str, w: np.ndarray) -> bool:
        """Of products, which the engine adds in another order where an input of the graph has become a constant."""
        makers, got = self.reference.seen.producers, self.seen.values[name]
        node, found = makers.get(name), False
        while node is not None and not found:
            found = node.op_type in ("MatMul", "Gemm")
            node = next((makers[n] for n in reversed(node.input) if n in makers), None)
        return found and w.shape == got.shape and bool((np.abs(got - w) <= 1e-6 * np.abs(w).max(initial=0)).all())

    def is_near_norm(self, name: str, w: np.ndarray, got: np.ndarray) -> bool:
        """A norm of a tensor: zero where it was, and elsewhere as exact as what it is of."""
        norm = self.reference.seen.producers.get(name)
        if norm is None or norm.op_type not in ("ReduceL1", "ReduceL2") or w.shape != got.shape:
            return False
        limit = 0.7 if self.options.bits != "8" else 0.3
        return bool((np.abs(got - w) <= limit * np.abs(w)).all())

    # --- nodes ---

    def check_nodes(self, level: str, values: dict[str, np.ndarray]) -> None:
        weights = self.integer_weights()
        unrounded = {n: a for n, a in values.items() if n not in weights}
        as_it_is, of_floats = self.reference.local(values), self.reference.local(unrounded)
        slack = self.slack_of_halves(values)
        for node in self.reference.nodes:
            for output in node.output:
                if output and output in self.seen.values and output in values:
                    is_same = self.is_unchanged(node, output)
                    known, local = (values, as_it_is) if is_same else (unrounded, of_floats)
                    self.check_output(node, output, known, values[output], local[output], level, slack.get(output, 0))

    def integer_weights(self) -> set[str]:
        """Constants that some operator has as integers: for it, the floats are what they are compared with."""
        found = set()
        for node in self.reference.nodes:
            if not self.is_unchanged(node, node.output[0]):
                found.update(node.input[:3] if node.op_type == "LSTM" else node.input[:2])
        return found & self.reference.constants

    def slack_of_halves(self, values: dict) -> dict:
        """The engine leaves out casts to float16 and back: a node may have had a finer input than is seen.

        Each number was rounded up or down by itself. The larger of |a + b| and |a - b| is |a| + |b|; so all
        are moved one way, then by turns those whose numbers have a bit: any two of them differ in some bit.
        """
        halves = {n: a for n, a in values.items() if a.dtype == np.float16}
        if not halves:
            return {}
        numbers = np.random.default_rng(1).permutation(sum(a.size for a in halves.values()))
        middle = self.reference.local(values)
        found = {n: np.zeros(a.shape) for n, a in middle.items() if a.dtype.kind == "f"}
        for bit in range(-1, len(numbers).bit_length()):
            ends = np.where(numbers >> bit & 1 if bit >= 0 else numbers < 0, np.float16(65504), np.float16(-65504))
            moved, done = {}, 0
            for n, a in halves.items():
                moved[n] = np.asarray(np.nextafter(a, ends[done : done + a.size].reshape(a.shape)))
                done += a.size
            made = self.reference.local({**values, **moved})
            found = {
                n: np.maximum(most, 2 * np.abs(made[n].astype(np.float64) - middle[n]))
                for n, most in found.items()
                if made[n].shape == most.shape
            }
        return found

    def check_output(self, node, output: str, values: dict, got, want, level: str, slack) -> None:
        where = f"{node.op_type} {node.name} -> {output} ({level})"
        if output in self.reference.constants and is_folded(self.seen, output):
            return  # check_constants has seen it
        if got.shape != want.shape or got.dtype != want.dtype:
            self.report("shape", f"{where}: {want.dtype}{want.shape} became {got.dtype}{got.shape}")
            return
        missing = [n for n in node.input if n and n not in values and not self.reference.stays(n)]
        if any(n not in self.reference.constants for n in missing) and self.is_back:
            return
        if not np.isfinite(want.astype(np.float64)).all():
            return
        if got.dtype.kind != "f":
            if level == "disabled" and not missing and not self.reference.is_half and not same(got, want):
                self.report("wrong", f"{where}: integers or booleans differ")
            return
        with np.errstate(over="ignore", invalid="ignore"):
            allowed = self.allowed(node, output, values, want, missing, level)
        infinite = ~np.isfinite(got.astype(np.float64))
        if (infinite & (allowed is None or np.isfinite(allowed))).any():
            self.report("not finite", where)
            return
        if allowed is None or (self.reference.is_half and self.has_large_angle(node, values)):
            return
        if level == "all" and self.is_between_quantizers(node):
            return  # the engine rounds its weight and bias, in the float model as well
        if level == "all" and self.reference.is_half and self.has_computed_constant(node):
            return  # the engine computed it without the roundings to float16 that are seen
        allowed = allowed + slack
        self.checked += 1
        off = np.where(infinite, 0, np.abs(got.astype(np.float64) - want.astype(np.float64)))
        if (off > allowed).any():
            excess = (off - allowed).argmax()
            allowed = np.broadcast_to(allowed, off.shape)
            self.report(
                "wrong",
                f"{where}: {got.flat[excess]} for {want.flat[excess]}, {allowed.flat[excess]:.3g} allowed; "
                f"{(off > allowed).sum()} of {off.size} elements, worst off by {off.max():.4g}",
            )

    def has_computed_constant(self, node: NodeProto) -> bool:
        made = {o for n in self.reference.nodes for o in n.output}
        return any(n in self.reference.constants and n in made for n in node.input)

    @staticmethod
    def has_large_angle(node: NodeProto, values: dict) -> bool:
        """Of which the step of float16 is more than an angle."""
        x = values.get(node.input[0]) if node.op_type in ("Sin", "Cos", "Tan") else None
        return x is not None and bool((np.abs(x.astype(np.float64)) > 100).any())

    def is_between_quantizers(self, node: NodeProto) -> bool:
        """Behind DequantizeLinear, which may be rearranged, and in front of QuantizeLinear."""
        makers = self.reference.seen.producers
        maker = makers.get(node.input[0]) if node.op_type in ("Conv", "ConvTranspose", "Gemm") else None
        while maker is not None and maker.op_type in ("Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten"):
            maker = makers.get(maker.input[0])
        readers = {n.op_type for n in self.reference.nodes if node.output[0] in n.input}
        return maker is not None and maker.op_type == "DequantizeLinear" and "QuantizeLinear" in readers

    def is_unchanged(self, node: NodeProto, output: str) -> bool:
        now = self.seen.producers.get(output)
        if now is None or now.op_type != node.op_type or len(now.input) != len(node.input):
            return False
        return all(a in (b, f"{b}_folded") for a, b in zip(now.input, node.input, strict=True))

    def allowed(self, node, output, values, want, missing, level):
        """How far the output may be off, or None where nothing can be said."""
        inputs = {n: values.get(n, self.reference.seen.values.get(n)) for n in node.input if n}
        base = epsilon(want.dtype) * (np.abs(want.astype(np.float64)) + 0.1 * np.abs(want.astype(np.float64)).max(initial=0))
        base = base + (1e-6 if want.dtype.itemsize == 2 else 1e-37)
        if want.dtype == np.float16 and node.op_type == "Softmax":
            # Where casts are left out, one element may be half a step lower than is seen, and all others higher.
            base = base + np.abs(want) * np.expm1(float(np.spacing(np.abs(values[node.input[0]]).max(initial=0))))
        if want.dtype.itemsize == 2 and node.op_type in ("LSTM", "GRU", "RNN"):
            base = base * 8  # each step is rounded
        if node.op_type in ("LSTM", "GRU", "RNN"):
            base = base + 1e-7  # differences of values around 1
            if self.is_unchanged(node, output):
                base = self.recurrent_error(node, output, inputs, base, want.dtype)
        if node.op_type == "Attention" and all(inputs.get(n) is not None for n in node.input[:3]):
            # Scores are sums, of which a softmax is taken.
            w = np.abs(inputs[node.input[1]].astype(np.float64))
            base = base + self.attention_error(node, inputs, epsilon(want.dtype) * w, 0.0)
        if node.op_type == "MatMulNBits":  # sums of products of either sign
            x, scale = (np.abs(inputs[node.input[i]].astype(np.float64)).max(initial=0) for i in (0, 2))
            base = base + 1e-5 * 15 * x * scale * flat_attribute(node, "K", 1)
        if node.op_type in PRODUCTS and all(inputs[n] is not None for n in node.input[:2]):
            a, b = (np.abs(inputs[n].astype(np.float64)) for n in node.input[:2])
            terms = epsilon(want.dtype) * self.reference.product(node, a, b)
            # Blocks of zeros have the step of their neighbours, and kernels do not sum it up to 0.
            base = base + terms + (0.1 * terms.max(initial=0) if self.has_blocks else 0)
            x = max(a.max(initial=0), b.max(initial=0)) if node.op_type == "Einsum" else a.max(initial=0)
            base = base + (1e-9 * x if self.has_blocks else 0)
            if len(node.input) > 2 and node.input[2] and inputs[node.input[2]] is not None:
                base = base + epsilon(want.dtype) * np.abs(inputs[node.input[2]]).max(initial=0)
        if self.is_unchanged(node, output):
            # The engine makes MatMulNBits of DequantizeLinear and MatMul, which rounds activations.
            fused = level == "all" and self.has_dequantizers
            if fused and node.op_type in ("MatMul", "Gemm"):
                x = np.abs(inputs[node.input[0]].astype(np.float64))
                # It adds up rows, of integers times a scale that was rounded: no number.
                if x.sum(-1).max(initial=0) * (1 + 2.0**-22) > np.finfo(np.float32).max:
                    return np.full(want.shape, np.inf)
                dx = bounds.row_error(x.max(initial=0))
                return base + self.reference.product(node, np.full(x.shape, dx), np.abs(inputs[node.input[1]]))
            return base if not missing else None
        return self.product_error(node, output, inputs, base)

    def product_error(self, node, output, inputs, base):
        op = node.op_type
        activations = [a for n, a in inputs.items() if n not in self.reference.constants and a is not None]
        if not self.is_float and any(a.dtype.kind == "f" and bounds.spans_floats(a) for a in activations):
            return np.full(base.shape, np.inf)
        if op in ("MatMul", "Gemm", "Conv", *WRITTEN_OUT):
            return self.linear_error(node, inputs, base + self.bias_error(node))
        if op == "Gather":
            w = inputs[node.input[0]]
            axis = flat_attribute(node, "axis", 0)
            readers = [n for n in self.reference.nodes if node.input[0] in n.input]
            error = bounds.weight_error(w, (axis,), self.options, integer=len(readers) > 1)  # with a product
            index = inputs[node.input[1]]
            return base + np.take(error, index, axis)
        if op == "LSTM":
            return self.lstm_error(node, output, inputs, base)
        if op == "Attention":
            x, w = (inputs[n].astype(np.float64) for n in node.input[:2])
            dx = 0.0 if self.is_float else bounds.activation_error(x, self.options, -1).max()
            return base + self.attention_error(node, inputs, bounds.weight_error(w, (1,), self.options), dx)
        return None

    @staticmethod
    def attention_error(node, inputs, dw, dx):
        x, w, b = (inputs[n].astype(np.float64) for n in node.input[:3])
        heads = flat_attribute(node, "num_heads", 1)
        return bounds.attention_error(x, w, b, dw, dx, heads, flat_attribute(node, "scale", None))

    def bias_error(self, node) -> float:
        """Of a bias that is a weight elsewhere, and has been folded."""
        name = node.input[2] if len(node.input) > 2 else ""
        now, was = self.seen.values.get(name), self.reference.seen.values.get(name)
        if name not in self.reference.constants or now is None or now.shape != was.shape:
            return 0.0
        return np.abs(now.astype(np.float64) - was).max(initial=0)

    def linear_error(self, node, inputs, base):
        op, (a, b) = node.op_type, (inputs[n].astype(np.float64) for n in node.input[:2])
        ta, tb = flat_attribute(node, "transA", 0), flat_attribute(node, "transB", 0)
        left = node.input[0] in self.reference.constants
        if left and node.input[1] in self.reference.constants:
            return None
        x, w = (b, a) if left else (a, b)
        if op in WRITTEN_OUT:  # whatever the channels are, no step is larger than with one scale
            keep, axis = (), None
        elif op == "Conv":
            keep, axis = (0,), 1
        elif left:
            keep, axis = ((1,) if ta else (0,)), (-1 if op == "Gemm" and tb else -2 if x.ndim > 1 else 0)
        else:
            last = -2 if tb else -1
            keep = tuple(i for i in range(w.ndim) if i != (w.ndim - 2 if last == -1 else w.ndim - 1)) if w.ndim > 1 else ()
            axis = -2 if ta else -1
        dw = bounds.weight_error(w, keep, self.options)
        dx = np.zeros(x.shape) if self.is_float else bounds.activation_error(x, self.options, axis)
        pairs = [(np.abs(x), dw), (dx, np.abs(w) + dw)]
        for one, other in pairs:
            one, other = (other, one) if left else (one, other)
            base = base + self.reference.product(node, one, other) * (1 + 1e-4)
        return base

    def recurrent_error(self, node, output, inputs, base, dtype):
        """Large weights make much of a rounding: with what a few of them do to each operand."""
        epsilon = 4 * float(np.finfo(dtype).eps) / 2
        if flat_attribute(node, "layout", 0) or any(a is None for a in inputs.values()):
            return base
        if node.op_type == "LSTM":
            x, w, r = (np.abs(inputs[n].astype(np.float64)) for n in node.input[:3])
            return self.carry_lstm(node, output, inputs, base, epsilon * w, epsilon * r, epsilon * x.max(initial=0), False)
        x, w, r = (inputs[n].astype(np.float64) for n in node.input[:3])
        b, h0 = (inputs[n].astype(np.float64) if n else np.zeros(1) for n in [*node.input[3:6], "", "", ""][:3:2])
        return base + max(bounds.recurrent_rounding(node.op_type, x, w[k], r[k], b, h0, epsilon) for k in range(len(w)))

    def lstm_error(self, node, output, inputs, base):
        if len(node.input) > 7 and node.input[7]:
            return None
        x, w, r = (inputs[n].astype(np.float64) for n in node.input[:3])
        dx = 0.0 if self.is_float else bounds.activation_error(x, self.options, -1).max()
        dw, dr = (bounds.weight_error(m, (0, 1), self.options) for m in (w, r))
        return self.carry_lstm(node, output, inputs, base, dw, dr, dx, not self.is_float)

    def carry_lstm(self, node, output, inputs, base, dw, dr, dx, quantizes: bool):
        x, w, r = (inputs[n].astype(np.float64) for n in node.input[:3])
        given = [inputs[n].astype(np.float64) if n else None for n in node.input[5:7]]
        given += [None] * (2 - len(given))
        direction = flat_attribute(node, "direction", b"forward").decode()
        ways = {"forward": [False], "reverse": [True], "bidirectional": [False, True]}[direction]
        errors = []
        for k, reverse in enumerate(ways):
            h0, c0 = (np.zeros((x.shape[1], r.shape[2])) if g is None else g[k] for g in given)
            errors.append(bounds.lstm_error(x, w[k], r[k], dw[k], dr[k], dx, reverse, h0, c0, quantizes))
        if output == node.output[0]:
            return base + np.stack([e for e, _ in errors], 1)
        if output == node.output[1]:
            return base + np.stack([e[0 if reverse else -1] for (e, _), reverse in zip(errors, ways, strict=True)])
        return base + np.stack([c for _, c in errors])


def flat_attribute(node: NodeProto, name: str, default):
    return next((helper.get_attribute_value(a) for a in node.attribute if a.name == name), default)


def deciding(node: NodeProto) -> tuple[int, ...]:
    if node.op_type == "Cast":
        to = helper.tensor_dtype_to_np_dtype(flat_attribute(node, "to", 1))
        return (0,) if issubclass(to.type, INTEGER) else ()
    return DECIDING.get(node.op_type, ())


def is_root(seen: Seen, name: str) -> bool:
    return name not in seen.producers or seen.producers[name].op_type == "Constant"


def is_folded(seen: Seen, name: str) -> bool:
    return name in seen.tensors


def initializer(seen: Seen, name: str) -> np.ndarray | None:
    if name in seen.tensors:
        return numpy_helper.to_array(seen.tensors[name])
    return None


def find_step(seen: Seen, name: str, shape: tuple[int, ...]) -> np.ndarray | None:
    """The step of each element of a constant that is computed from integers."""
    node = seen.producers.get(name) or seen.producers.get(f"{name}_folded")
    while node is not None and node.op_type in ("Cast", "Identity", "Reshape"):
        node = seen.producers.get(node.input[0])
    if node is None or node.op_type not in ("Mul", "DequantizeLinear"):
        return None
    scale = initializer(seen, node.input[1])
    if scale is None:
        return None
    scale = np.abs(scale.astype(np.float64))
    if node.op_type == "DequantizeLinear" and flat_attribute(node, "block_size", 0):
        axis, size = flat_attribute(node, "axis", 1), flat_attribute(node, "block_size", 0)
        scale = np.repeat(scale, size, axis)
        scale = np.take(scale, range(shape[axis]), axis)
    elif node.op_type == "DequantizeLinear" and scale.ndim == 1 and scale.size > 1:
        axis = flat_attribute(node, "axis", 1) % len(shape)
        scale = scale.reshape([-1 if i == axis else 1 for i in range(len(shape))])
    try:
        return np.broadcast_to(scale, shape)
    except ValueError:
        return None
