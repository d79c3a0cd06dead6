"""onnxq dequantize: every form of quantized weight becomes the floats that it stands for."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import build
import common
import lowbit
import patterns
import ranges
import reference
import structure
from build import node
from harness import OrtTest, cases
from reference import SCHEMES, Scheme

K, N = 256, 300
CONTRIB = {"com.microsoft": 1}
HALF = TensorProto.FLOAT16


class DequantizeTest(OrtTest):
    def dequantize(
        self, model: onnx.ModelProto | Path, *flags: str, feeds: common.Feeds | None = None
    ) -> onnx.ModelProto:
        """Dequantizes, and checks what holds for every output. The report is self.report."""
        source = model if isinstance(model, Path) else self.dir / "quantized.onnx"
        if not isinstance(model, Path):
            onnx.save(model, source)
        self.source, self.path = source, self.dir / "float" / "model.onnx"
        self.path.parent.mkdir(exist_ok=True)
        report = self.dir / "dequantize.json"
        self.onnxq("dequantize", source, self.path, f"--json={report}", *flags)
        self.report = json.loads(report.read_text())
        before, after = onnx.load(source), onnx.load(self.path)
        structure.check_schema(after, str(self.path))
        structure.check_interface(before, after)
        structure.check_new_names(before, after)
        structure.check_unused(before, after)
        structure.check_value_info(before, after)
        structure.check_metadata(before, after)
        self.assert_sizes()
        for level in common.LEVELS if feeds is not None else ():
            common.run(self.path, feeds, level)
        return after

    def assert_sizes(self) -> None:
        summary = self.report["summary"]
        self.assertEqual(summary["nbytes_after"], sum(p.stat().st_size for p in self.path.parent.iterdir()))
        self.assertEqual(summary["dequantized"], sum(bool(n["form"]) for n in self.report["nodes"]))
        self.assertEqual(summary["kept"], sum(bool(n["reason"]) for n in self.report["nodes"]))

    def refuse(self, model: onnx.ModelProto, reason: str) -> None:
        """Nothing can be done, and the report says why."""
        onnx.save(model, self.dir / "refused.onnx")
        done = self.onnxq("dequantize", "-v", self.dir / "refused.onnx", self.dir / "no.onnx", status=5)
        self.assertIn(reason, done.stdout)
        self.assertFalse((self.dir / "no.onnx").exists())

    def forms(self) -> dict[str, int]:
        return {form["form"]: form["nodes"] for form in self.report["forms"]}

    def kept(self) -> list[tuple[str, str]]:
        return [(n["op_type"], n["reason"]) for n in self.report["nodes"] if n["reason"]]

    def only_weight(self, model: onnx.ModelProto, size: int) -> np.ndarray:
        found = [t for g in patterns.all_graphs(model.graph) for t in g.initializer]
        found = [numpy_helper.to_array(t) for t in found if np.prod(t.dims) == size]
        self.assertEqual(len(found), 1)
        return found[0]

    def assert_same_result(self, feeds: common.Feeds, rtol: float = 1e-4) -> None:
        """The quantized model computes with the same weights, in float."""
        want, got = (common.run(path, feeds, "disabled") for path in (self.source, self.path))
        for left, right in zip(want, got, strict=True):
            scale = np.abs(left.astype(np.float64)).max(initial=0)
            np.testing.assert_allclose(right, left, rtol=rtol, atol=rtol * scale)

    def assert_near(self, feeds: common.Feeds, percent: float) -> None:
        """The same but for the rounding of activations."""
        want, got = (common.run(path, feeds) for path in (self.source, self.path))
        self.assertLess(common.relative_error(got, want), percent)


def ops(model: onnx.ModelProto) -> Counter:
    return patterns.op_counts(model)


# --- and back: what onnxq quantize writes ---------------------------------------------------------


def matmul():
    w, x = build.weights(K, N), build.activations(5, K)
    return build.matmul(x, w), {"x": x}, w, 1


def tied():
    """A table that is gathered, and multiplied with its transpose."""
    w, index = build.weights(5000, 256), np.array([[0, 4999], [7, 7]])
    nodes = [
        node("Gather", "w i", "h"),
        node("Transpose", "w", "t", perm=[1, 0]),
        node("MatMul", "h t", "y"),
    ]
    return build.model(nodes, {"i": index}, {"y": (2, 2, 5000)}, {"w": w}), {"i": index}, w, 0


def conv():
    w, b, x = build.weights(24, 8, 3, 3), build.weights(24), build.activations(1, 8, 9, 9)
    nodes = [node("Conv", "x w b", "y", pads=[1, 1, 1, 1])]
    return build.model(nodes, {"x": x}, {"y": (1, 24, 9, 9)}, {"w": w, "b": b}), {"x": x}, w, 0


def table():
    w, index = build.weights(5000, 256), np.array([[0, 4999], [7, 7]])
    model = build.model([node("Gather", "w i", "y")], {"i": index}, {"y": (2, 2, 256)}, {"w": w})
    return model, {"i": index}, w, 0


MAKERS = {"matmul": matmul, "tied": tied, "conv": conv, "table": table}
METHODS = {"dynamic": ["--conv=integer", "--force-integer"], "weights": [], "qdq": []}


class RoundTrip(DequantizeTest):
    def quantized(self, model: onnx.ModelProto, *flags: str) -> Path:
        onnx.save(model, self.dir / "original.onnx")
        path = self.dir / "quantized.onnx"
        self.onnxq("quantize", self.dir / "original.onnx", path, "--min-elements=1", *flags)
        return path

    @cases(
        {
            f"{maker}_{method}_{scheme}": (maker, method, scheme)
            for maker in MAKERS
            for method in METHODS
            for scheme in SCHEMES
            if not SCHEMES[scheme].reduce_range
        }
    )
    def round_trip(self, maker: str, method: str, scheme: str) -> None:
        """The float graph again, with the weight rounded."""
        model, feeds, w, axis = MAKERS[maker]()
        flags = [*METHODS[method], "--method", method, *SCHEMES[scheme].flags()]
        made = self.dequantize(self.quantized(model, *flags), feeds=feeds)
        folds = method == "weights"
        want = reference.fold_as(maker if folds else "", w, SCHEMES[scheme], axis).dequantize()
        if ops(made) != ops(model):  # where the integers were unsigned, or the matrix turned
            self.fail(f"{ops(model)} became {ops(made)}")
        self.assertEqual(self.kept(), [])
        stored = {t.name: numpy_helper.to_array(t) for t in made.graph.initializer}
        self.assertEqual(sorted(stored), sorted(t.name for t in model.graph.initializer))
        if maker == "conv" and method == "dynamic":  # stored as uint8
            if "ConvInteger" in self.forms():
                unsigned = replace(SCHEMES[scheme], weight_type="uint8")
                want = reference.quantize(w, unsigned, (axis,)).dequantize()
        np.testing.assert_array_equal(stored["w"], want)

    def test_gemm(self) -> None:
        """MatMul and Add take the place of Gemm."""
        w, b, x = build.weights(N, K), build.weights(N), build.activations(5, K)
        nodes = [node("Gemm", "x w b", "y", transB=1, alpha=0.5)]
        model = build.model(nodes, {"x": x}, {"y": (5, N)}, {"w": w, "b": b})
        made = self.dequantize(self.quantized(model), feeds={"x": x})
        self.assertEqual(ops(made), {"MatMul": 1, "Add": 1})
        self.assert_near({"x": x}, 2)

    @cases(["float32", "float16"])
    def batches(self, dtype: str) -> None:
        w, x = build.weights(3, K, N).astype(dtype), build.activations(3, 5, K).astype(dtype)
        model = build.model([node("MatMul", "x w", "y")], {"x": x}, {"y": np.matmul(x, w)}, {"w": w})
        made = self.dequantize(self.quantized(model), feeds={"x": x})
        self.assertEqual(ops(made)["MatMul"], 1)
        want = reference.quantize(w.astype(np.float32), Scheme(), (0, 2)).dequantize()
        np.testing.assert_array_equal(self.only_weight(made, w.size), want)
        self.assert_near({"x": x}, 2)

    @cases(
        {
            f"{method}_{bits}_{maker}_{'sym' if symmetric else 'asym'}": (method, bits, maker, symmetric)
            for method, kinds in (("blocks", ("8", "4", "nf4")), ("qdq", ("8", "4")))
            for bits in kinds
            for maker in MAKERS
            for symmetric in (True, False)
            if bits != "nf4" or symmetric
        }
    )
    def blocks(self, method: str, bits: str, maker: str, symmetric: bool) -> None:
        """Blocks of 32: the float graph again, and the same result."""
        model, feeds, w, _ = MAKERS[maker]()
        flags = ["--method", method, "--bits", bits, "--block-size", "32"]
        flags += [] if symmetric else ["--no-symmetric"]
        made = self.dequantize(self.quantized(model, *flags), feeds=feeds)
        self.assertEqual(self.kept(), [])
        # MatMulNBits holds its weight the other way round than a table: that is a weight of its own.
        turned = method == "blocks" and maker == "tied"
        self.assertEqual(ops(made), ops(model) - Counter({"Transpose": 1} if turned else {}))
        self.assert_same_result(feeds, 1e-2)

    @cases(["bias", "plain"])
    def pointwise(self, bias: str) -> None:
        """Conv that was computed as a product of matrices."""
        w, b, x = build.weights(72, 136, 1, 1), build.weights(72), build.activations(2, 136, 5, 7)
        inputs = "x w b" if bias == "bias" else "x w"
        constants = {"w": w} | ({"b": b} if bias == "bias" else {})
        model = build.model([node("Conv", inputs, "y")], {"x": x}, {"y": (2, 72, 5, 7)}, constants)
        made = self.dequantize(self.quantized(model, "--conv=matmul"), feeds={"x": x})
        self.assertEqual(self.forms(), {"MatMulInteger": 1})
        self.assertEqual(ops(made), {"Conv": 1})
        stored = {t.name: numpy_helper.to_array(t) for t in made.graph.initializer}
        self.assertEqual(set(stored), set(constants))
        np.testing.assert_array_equal(stored["w"], reference.quantize_conv(w, Scheme()).dequantize())
        self.assert_near({"x": x}, 2)

    @cases({"matrix": ((K, 5),), "batches": ((3, 2, K, 5),)})
    def left(self, shape: tuple[int, ...]) -> None:
        """A constant on the left, which was multiplied the other way round."""
        w, x = build.weights(N, K), build.activations(*shape)
        y = np.matmul(w, x)
        model = build.model([node("MatMul", "w x", "y")], {"x": x}, {"y": y}, {"w": w})
        made = self.dequantize(self.quantized(model, "--force-integer"), feeds={"x": x})
        self.assertEqual(self.forms(), {"MatMulInteger": 1})
        self.assertEqual(ops(made), {"MatMul": 1})
        want = reference.quantize(w, Scheme(), (0,)).dequantize()
        np.testing.assert_array_equal(self.only_weight(made, w.size), want)
        self.assert_near({"x": x}, 2)

    @cases(
        {f"A{a}_B{b}": (a, b) for a in (0, 1) for b in (0, 1)}
    )
    def left_gemm(self, a: int, b: int) -> None:
        w = build.weights(*((K, N) if a else (N, K)))
        x = build.activations(*((5, K) if b else (K, 5)))
        nodes = [node("Gemm", "w x", "y", transA=a, transB=b)]
        model = build.model(nodes, {"x": x}, {"y": (N, 5)}, {"w": w})
        self.dequantize(self.quantized(model, "--force-integer"), feeds={"x": x})
        self.assertEqual(self.kept(), [])
        self.assert_near({"x": x}, 2)

    def test_other_order(self) -> None:
        """A Transpose on integers that is not known: one on floats."""
        rng, x = build.rng(), build.activations(3, K, 5)
        nodes = [node("DynamicQuantizeLinear", "x", "xq xs xz"), node("Transpose", "xq", "t", perm=[2, 0, 1])]
        nodes += [node("MatMulInteger", "t q xz", "i"), node("Cast", "i", "c", to=1)]
        nodes += [node("Mul", "xs s", "sc"), node("Mul", "c sc", "y")]
        constants = {"q": rng.integers(-9, 9, (K, 8)).astype(np.int8), "s": np.float32(0.1)}
        made = self.dequantize(build.model(nodes, {"x": x}, {"y": (5, 3, 8)}, constants), feeds={"x": x})
        self.assertEqual(ops(made), {"Transpose": 1, "MatMul": 1})
        self.assert_near({"x": x}, 2)

    @cases({"opset7": (7,), "opset10": (10,)})
    def old(self, opset: int) -> None:
        w, x = build.weights(K, N), build.activations(5, K)
        made = self.dequantize(self.quantized(build.matmul(x, w, opset=opset)), feeds={"x": x})
        self.assertEqual(self.forms(), {"DynamicQuantizeMatMul": 1})
        self.assertEqual(ops(made), {"MatMul": 1})
        self.assertEqual([o.domain for o in made.opset_import], [""])

    @cases(["forward", "reverse", "bidirectional"])
    def lstm(self, direction: str) -> None:
        d, hidden, size = 1 + (direction == "bidirectional"), 48, 40
        w, r = build.weights(d, 4 * hidden, size), build.weights(d, 4 * hidden, hidden)
        b, x = build.weights(d, 8 * hidden), build.activations(6, 2, size)
        nodes = [node("LSTM", "x w r b", "y", hidden_size=hidden, direction=direction)]
        model = build.model(
            nodes, {"x": x}, {"y": (6, d, 2, hidden)}, {"w": w, "r": r, "b": b}
        )
        made = self.dequantize(self.quantized(model, "--force-integer"), feeds={"x": x})
        self.assertEqual(self.forms(), {"DynamicQuantizeLSTM": 1})
        self.assertEqual(ops(made), {"LSTM": 1})
        stored = {t.name: numpy_helper.to_array(t) for t in made.graph.initializer}
        for name, value in (("w", w), ("r", r)):
            np.testing.assert_array_equal(
                stored[name], reference.quantize(value, Scheme(), (0, 1)).dequantize()
            )
        self.assertEqual(list(made.graph.node[0].attribute), list(model.graph.node[0].attribute))
        self.assert_near({"x": x}, 4)

    def test_optimized(self) -> None:
        """What ONNX Runtime makes of our models: fused operators."""
        w, x = build.weights(K, K), build.activations(5, K)
        nodes = [node("MatMul", "x w", "h"), node("Add", "h b", "z"), node("MatMul", "x v", "u")]
        nodes += [node("MatMul", "u a", "t"), node("Add", "t z", "y")]
        constants = {"w": w, "v": build.weights(K, K, seed=4), "a": build.weights(K, K, seed=5)}
        constants["b"] = build.weights(K)
        model = build.model(nodes, {"x": x}, {"y": (5, K)}, constants)
        optimized = self.dir / "optimized.onnx"
        common.session(self.quantized(model), "extended", save=str(optimized))
        made = self.dequantize(optimized, feeds={"x": x})
        self.assertEqual(self.forms(), {"MatMulIntegerToFloat": 2, "DynamicQuantizeMatMul": 1})
        self.assertEqual(ops(made), {"MatMul": 3, "Add": 2})
        self.assert_near({"x": x}, 5)

    def test_bodies(self) -> None:
        w, own, x = build.weights(K, K), build.weights(K, K, seed=3), build.activations(5, K)
        inner = [node("MatMul", "x own", "e0"), node("MatMul", "x w", "e1"), node("Add", "e0 e1", "e")]
        other = build.graph(inner, {}, {"e": (5, K)}, {"own": own}, "else")
        then = build.graph([node("MatMul", "x w", "t")], {}, {"t": (5, K)}, {}, "then")
        nodes = [node("If", "c", "y", then_branch=then, else_branch=other)]
        model = build.model(nodes, {"x": x, "c": np.array(True)}, {"y": (5, K)}, {"w": w})
        for method in METHODS:
            made = self.dequantize(self.quantized(model, "--method", method))
            self.assertEqual(ops(made), ops(model))
            for choice in (True, False):
                self.assert_near({"x": x, "c": np.array(choice)}, 2)

    def test_side_file(self) -> None:
        w, x = build.weights(K, N), build.activations(5, K)
        path = self.quantized(build.matmul(x, w), "--external-data=always")
        made = self.dequantize(path, feeds={"x": x})
        np.testing.assert_array_equal(
            self.only_weight(made, w.size), reference.quantize(w, Scheme(), (1,)).dequantize()
        )
        self.assertEqual(len(list(self.path.parent.iterdir())), 2)

    def test_threads(self) -> None:
        path = self.quantized(tied()[0])
        for threads in (1, 3):
            self.onnxq("dequantize", path, self.dir / f"{threads}.onnx", "-j", threads)
        self.assertEqual((self.dir / "1.onnx").read_bytes(), (self.dir / "3.onnx").read_bytes())


# --- DequantizeLinear -----------------------------------------------------------------------------

TYPES = {
    "int8": (-128, 127),
    "uint8": (0, 255),
    "int16": (-32768, 32767),
    "uint16": (0, 65535),
    "int4": (-8, 7),
    "uint4": (0, 15),
    "int2": (-2, 1),
    "uint2": (0, 3),
}


def elem_type(name: str) -> int:
    return TensorProto.DataType.Value(name.upper())


def integer_tensor(name: str, kind: str, q: np.ndarray, raw: bool) -> onnx.TensorProto:
    """q in raw_data, or in int32_data as onnx's helper packs it."""
    data_type = elem_type(kind)
    bits = int("".join(c for c in kind if c.isdigit()))
    if bits >= 8:
        typed = q.astype(kind)
        if raw:
            return numpy_helper.from_array(typed, name)
        return helper.make_tensor(name, data_type, q.shape, typed.reshape(-1).tolist())
    data = lowbit.pack(q.reshape(-1), bits)
    tensor = TensorProto(name=name, data_type=data_type, dims=q.shape)
    if raw:
        tensor.raw_data = data.tobytes()
    else:
        tensor.int32_data.extend(data.tolist())
    return tensor


def blocked(values: np.ndarray, axis: int, block: int, size: int) -> np.ndarray:
    return np.repeat(values, block, axis).take(range(size), axis)


class DequantizeLinear(DequantizeTest):
    SHAPE = (37, 5, 3)

    def make(self, kind: str, layout: str, zero: bool, scale_type: str, raw: bool):
        """A model y = x + DequantizeLinear(q, s, z), and what the weight has to be."""
        rng, low, high = build.rng(), *TYPES[kind]
        q = rng.integers(low, high + 1, self.SHAPE)
        axis, block = {"tensor": (0, 0), "axis0": (0, 0), "axis2": (-1, 0), "block": (0, 16)}[layout]
        shape = {"tensor": (), "axis0": (37,), "axis2": (3,), "block": (3, 5, 3)}[layout]
        s = np.asarray(rng.uniform(0.001, 0.1, shape)).astype(scale_type)
        z = rng.integers(low, high + 1, shape) if zero else np.zeros(shape, np.int64)
        spread = {
            "tensor": lambda v: v,
            "axis0": lambda v: v.reshape(37, 1, 1),
            "axis2": lambda v: v,
            "block": lambda v: blocked(v, 0, 16, 37),
        }[layout]
        want = (q - spread(z)).astype(np.float32) * spread(s).astype(np.float32)
        constants = {"q": integer_tensor("q", kind, q, raw), "s": s}
        if zero:
            constants["z"] = integer_tensor("z", kind, np.asarray(z), raw)
        attributes = {"axis": axis} if layout != "tensor" else {}
        attributes |= {"block_size": block} if block else {}
        nodes = [node("DequantizeLinear", "q s z" if zero else "q s", "w", **attributes)]
        nodes.append(node("Add", "x w", "y"))
        x = np.zeros(self.SHAPE, scale_type)
        opset = 25 if "2" in kind else 21
        return build.model(nodes, {"x": x}, {"y": x}, constants, opset), want.astype(scale_type)

    @cases(
        {
            f"{kind}_{layout}_{'zero' if zero else 'plain'}_{scale}_{'raw' if raw else 'data'}": (
                kind,
                layout,
                zero,
                scale,
                raw,
            )
            for kind in TYPES
            for layout in ("tensor", "axis0", "axis2", "block")
            for zero in (True, False)
            for scale in ("float32", "float16")
            for raw in (True, False)
        }
    )
    def constant(self, kind: str, layout: str, zero: bool, scale: str, raw: bool) -> None:
        model, want = self.make(kind, layout, zero, scale, raw)
        made = self.dequantize(model)
        self.assertEqual(ops(made), {"Add": 1})
        got = numpy_helper.to_array(made.graph.initializer[0])
        np.testing.assert_array_equal(got, want)
        self.assertEqual(made.graph.initializer[0].name, "w")
        if "2" not in kind and scale == "float32":  # as the engine has it
            y = common.run(self.source, {"x": np.zeros(self.SHAPE, scale)}, "disabled")[0]
            np.testing.assert_array_equal(y, want)

    def test_bias(self) -> None:
        """int32 with a zero point of zeros, as ONNX Runtime writes biases."""
        b = build.rng().integers(-(2**31), 2**31, 32).astype(np.int32)
        s = build.rng().uniform(1e-6, 1e-5, 32).astype(np.float32)
        constants = {"b": b, "s": s, "z": np.zeros(32, np.int32)}
        nodes = [node("DequantizeLinear", "b s z", "w", axis=0), node("Add", "x w", "y")]
        x = np.zeros((2, 32), np.float32)
        made = self.dequantize(build.model(nodes, {"x": x}, {"y": x}, constants), feeds={"x": x})
        np.testing.assert_array_equal(self.only_weight(made, 32), b.astype(np.float32) * s)
        self.assert_same_result({"x": x}, 1e-7)

    def test_int32_with_zero_point(self) -> None:
        constants = {"b": np.arange(32, dtype=np.int32), "s": np.float32(1), "z": np.int32(1)}
        nodes = [node("DequantizeLinear", "b s z", "w"), node("Add", "x w", "y")]
        x = np.zeros((2, 32), np.float32)
        self.refuse(build.model(nodes, {"x": x}, {"y": x}, constants), "int32 with a zero point")

    def test_output_type(self) -> None:
        q, s = np.arange(32, dtype=np.int8), np.float32(0.1)
        nodes = [node("DequantizeLinear", "q s", "w", output_dtype=HALF), node("Add", "x w", "y")]
        x = np.zeros((2, 32), np.float16)
        made = self.dequantize(build.model(nodes, {"x": x}, {"y": x}, {"q": q, "s": s}, 23))
        np.testing.assert_array_equal(self.only_weight(made, 32), (q * s).astype(np.float16))

    def test_one_for_each_consumer(self) -> None:
        """Several that are alike: one weight."""
        w, x = reference.quantize(build.weights(K, K), Scheme(), (1,)), build.activations(5, K)
        nodes = [node("DequantizeLinear", f"q s{i}", f"w{i}", axis=1) for i in range(3)]
        nodes += [node("MatMul", "x w0", "a"), node("MatMul", "a w1", "b"), node("MatMul", "b w2", "y")]
        scales = {f"s{i}": w.scale.reshape(-1) for i in range(3)}
        model = build.model(nodes, {"x": x}, {"y": x}, {"q": w.q, **scales})
        made = self.dequantize(model, feeds={"x": x})
        np.testing.assert_array_equal(self.only_weight(made, K * K), w.dequantize())
        self.assertEqual(len(made.graph.initializer), 1)
        self.assert_same_result({"x": x})

    def test_other_scales(self) -> None:
        """The same integers with two scales: two weights."""
        q, x = np.arange(K * 3, dtype=np.int64).reshape(K, 3).astype(np.int8), build.activations(3, K)
        nodes = [node("DequantizeLinear", "q s", "v"), node("DequantizeLinear", "q t", "w")]
        nodes += [node("MatMul", "x v", "a"), node("MatMul", "x w", "b"), node("Add", "a b", "y")]
        constants = {"q": q, "s": np.float32(0.1), "t": np.float32(0.3)}
        made = self.dequantize(build.model(nodes, {"x": x}, {"y": (3, 3)}, constants), feeds={"x": x})
        self.assertEqual({t.name for t in made.graph.initializer}, {"v", "w"})
        self.assert_same_result({"x": x})

    @cases(["float32", "float16"])
    def stored_as(self, dtype: str) -> None:
        """--float-type: a Cast behind float16, which the engine folds."""
        model, feeds, w, _ = matmul()
        want = reference.quantize(w, Scheme(), (1,)).dequantize()
        self.quantize(model, "--method=qdq")
        made = self.dequantize(self.dir / "out" / "model.onnx", "--float-type", dtype, feeds=feeds)
        self.assertEqual(ops(made), {"MatMul": 1} | ({"Cast": 1} if dtype == "float16" else {}))
        np.testing.assert_array_equal(self.only_weight(made, w.size), want.astype(dtype))
        self.assertEqual(self.optimized(self.path), {"MatMul": 1})

    def test_too_large_for_half(self) -> None:
        """What float16 cannot hold stays float32."""
        nodes = [node("DequantizeLinear", "q s", "w"), node("Add", "x w", "y")]
        x, q = np.zeros((2, 32), np.float32), np.arange(32, dtype=np.int8)
        model = build.model(nodes, {"x": x}, {"y": x}, {"q": q, "s": np.float32(1e4)})
        made = self.dequantize(model, "--float-type=float16")
        self.assertEqual(ops(made), {"Add": 1})
        np.testing.assert_array_equal(self.only_weight(made, 32), q * np.float32(1e4))

    @cases({"DequantizeLinear": (False,), "MatMulNBits": (True,)})
    def beyond_the_type(self, in_blocks: bool) -> None:
        """Integers that stand for infinity stay: engines may multiply by more than float16 holds."""
        x, q = np.full((2, 32), 0.01, np.float16), np.full((8, 1, 16), 0xF1, np.uint8)
        scale = np.full(8, 1e4, np.float16)
        attributes = {"K": 32, "N": 8, "bits": 4, "block_size": 32}
        nodes = [contrib("MatMulNBits", "x q s", "y", **attributes)]
        if not in_blocks:
            q, scale = np.full((32, 8), 100, np.int8), np.float16(1e3)
            nodes = [node("DequantizeLinear", "q s", "w"), node("MatMul", "x w", "y")]
        y = np.zeros((2, 8), np.float16)
        imports = CONTRIB if in_blocks else {}
        model = build.model(nodes, {"x": x}, {"y": y}, {"q": q, "s": scale}, imports=imports)
        self.refuse(model, "numbers that its type does not hold")

    @cases(
        {
            "scales": ("q s3", {}, "do not fit"),
            "axis": ("q s3", {"axis": 7}, "out of range"),
            "computed": ("q x", {}, "scale is no constant"),
            "double": ("q s64", {}, "not float32"),
        }
    )
    def unusual(self, inputs: str, attributes: dict, reason: str) -> None:
        q = np.zeros((4, 5), np.int8)
        constants = {"q": q, "s3": np.ones(3, np.float32), "s64": np.float64(1)}
        constants = {name: constants[name] for name in inputs.split() if name in constants}
        nodes = [node("DequantizeLinear", inputs, "w", **attributes), node("Add", "x w", "y")]
        main = build.graph(nodes, {"x": (1,)}, {"y": (4, 5)}, constants)
        opsets = [helper.make_opsetid("", 21)]
        self.refuse(helper.make_model(main, opset_imports=opsets, ir_version=10), reason)


# --- pairs around operators -----------------------------------------------------------------------


class Pairs(DequantizeTest):
    def pair(self, x: str, y: str, grid: str = "s z") -> list[onnx.NodeProto]:
        return [
            node("QuantizeLinear", f"{x} {grid}", f"{y}_q"),
            node("DequantizeLinear", f"{y}_q {grid}", y),
        ]

    def test_passes(self) -> None:
        x = build.activations(4, 8)
        nodes = [*self.pair("x", "a"), node("Tanh", "a", "b"), *self.pair("b", "c")]
        nodes += [*self.pair("c", "d"), node("Neg", "d", "e"), *self.pair("e", "y")]
        constants = {"s": np.float32(0.0213), "z": np.uint8(120)}
        made = self.dequantize(build.model(nodes, {"x": x}, {"y": x}, constants), feeds={"x": x})
        self.assertEqual(ops(made), {"Tanh": 1, "Neg": 1, "Identity": 1})
        self.assert_near({"x": x}, 3)

    @cases({"kept": (True,), "dropped": (False,)})
    def relu(self, kept: bool) -> None:
        """Where the integers do the work of a Relu, there is one afterwards."""
        x = build.activations(4, 8) * 3
        nodes = [node("Neg", "x", "a"), *([node("Relu", "a", "b")] if kept else [])]
        nodes += self.pair("b" if kept else "a", "c") + [node("Flatten", "c", "d"), *self.pair("d", "e")]
        nodes += [node("Neg", "e", "y")]
        constants = {"s": np.float32(6.0321 / 255), "z": np.uint8(0)}
        made = self.dequantize(build.model(nodes, {"x": x}, {"y": x}, constants), feeds={"x": x})
        self.assertEqual(ops(made), {"Neg": 2, "Flatten": 1, "Relu" if kept else "Clip": 1})
        got = common.run(self.path, {"x": x})[0]
        want = -np.maximum(-x, 0) if kept else -np.clip(-x, 0, 6.0321)
        np.testing.assert_allclose(got, want, atol=1e-5)

    @cases(
        {
            f"{kind}_{low}_{high}_{opset}": (kind, low, high, opset)
            for kind in ("uint8", "int8", "narrow", "uint16", "int16")
            for low, high in ((0, 6), (-1, 1), (-0.3, 2.7), (-6, 0), (0, 3.21))
            for opset in ((10, 21) if "8" in kind or kind == "narrow" else (21,))
        }
    )
    def dropped(self, kind: str, low: float, high: float, opset: int) -> None:
        """A Clip or Relu that a quantizer left to the integers comes back."""
        x = build.activations(4, 8) * 3
        dtype = np.dtype("int8" if kind == "narrow" else kind)
        first, last = np.iinfo(dtype).min + (kind == "narrow"), np.iinfo(dtype).max
        s = np.float32((high - low) / (last - first))
        z = np.asarray(round(first - low / s), dtype)
        nodes = [node("Neg", "x", "a"), *self.pair("a", "b"), node("Flatten", "b", "c")]
        nodes += [*self.pair("c", "d"), node("Neg", "d", "y")]
        made = self.dequantize(build.model(nodes, {"x": x}, {"y": x}, {"s": s, "z": z}, opset), feeds={"x": x})
        self.assertEqual(ops(made), {"Neg": 2, "Clip": 1, "Flatten": 1})
        got, want = common.run(self.path, {"x": x})[0], -np.clip(-x, low, high)
        np.testing.assert_allclose(got, want, atol=1.01 * s)

    def test_ranges_of_others_in_a_static_model(self) -> None:
        """Where --method static had no more to do than weights, the Relu that another tool dropped comes back."""
        x, w = build.activations(4, 8) * 3, build.weights(8, 64)
        nodes = [node("Neg", "x", "a"), *self.pair("a", "c"), node("QuantizeLinear", "w s v", "wq")]
        nodes += [node("DequantizeLinear", "wq s v", "wd"), node("MatMul", "c wd", "y")]
        constants = {"s": np.float32(6.0321 / 255), "z": np.uint8(0), "w": w, "v": np.int8(0)}
        model = build.model(nodes, {"x": x}, {"y": (4, 64)}, constants)
        onnx.save(model, self.dir / "peer.onnx")
        flag = f"--ranges={ranges.write(self.dir / 'ranges.json', model, [{'x': x}])}"
        source, path = self.dir / "static.onnx", self.dir / "back.onnx"
        self.onnxq("quantize", "--method=static", flag, "--min-elements=1", self.dir / "peer.onnx", source)
        self.onnxq("dequantize", source, path)
        want, got = (common.run(p, {"x": x})[0] for p in (source, path))
        self.assertLess(np.linalg.norm(want - got), 0.01 * np.linalg.norm(want))

    @cases({"calibrated": ("t", 3.2137), "input": ("x", 2)})
    def calibrated(self, value: str, length: float) -> None:
        """A range that was measured, or that of an input, needs no Clip."""
        x, s = build.activations(4, 8), length / 255
        nodes = [node("Neg", "x", "t")] if value == "t" else []
        nodes += [*self.pair(value, "b"), node("Neg", "b", "y")]
        constants = {"s": np.float32(s), "z": np.uint8(120)}
        made = self.dequantize(build.model(nodes, {"x": x}, {"y": x}, constants), feeds={"x": x})
        self.assertNotIn("Clip", ops(made))

    def test_kept_ranges(self) -> None:
        """What passes beyond a range is said; --keep-ranges cuts it off, once."""
        x, s = build.activations(64, 8), np.float32(1.2137 / 255)
        nodes = [node("Neg", "x", "t"), *self.pair("t", "b"), node("Flatten", "b", "c"), *self.pair("c", "d")]
        nodes += [node("Neg", "d", "y")]
        source, path = self.dir / "cut.onnx", self.dir / "float.onnx"
        onnx.save(build.model(nodes, {"x": x}, {"y": x}, {"s": s, "z": np.uint8(120)}), source)
        want = common.run(source, {"x": x})[0]
        for flags, left, error in (((), 1, np.inf), (("--keep-ranges",), 0, 1.01 * s / 2)):
            done = self.onnxq("dequantize", f"--json={self.dir / 'report.json'}", *flags, source, path)
            summary = json.loads((self.dir / "report.json").read_text())["summary"]
            self.assertEqual(summary["ranges_removed"], left)
            line = "ranges of activations that cut nothing off any more: 1\n"
            (self.assertIn if left else self.assertNotIn)(line, done.stdout)
            self.assertEqual(ops(onnx.load(path)).get("Clip", 0), 1 - left)
            self.assertLess(np.abs(common.run(path, {"x": x})[0] - want).max(), error)

    def test_other_grid(self) -> None:
        x = build.activations(4, 8)
        nodes = [node("QuantizeLinear", "x s z", "q"), node("DequantizeLinear", "q t z", "y")]
        constants = {"s": np.float32(0.02), "t": np.float32(0.03), "z": np.int8(3)}
        self.refuse(build.model(nodes, {"x": x}, {"y": x}, constants), "does not undo")

    def test_dynamic(self) -> None:
        x = build.activations(4, 8)
        nodes = [node("DynamicQuantizeLinear", "x", "q s z"), node("DequantizeLinear", "q s z", "a")]
        nodes += [node("Neg", "a", "y")]
        made = self.dequantize(build.model(nodes, {"x": x}, {"y": x}), feeds={"x": x})
        self.assertEqual(ops(made), {"Neg": 1})

    @cases({f"{low}_{high}_{kind}": (low, high, kind) for low, high in ((-1, 1), (0, 6), (-0.3, 2.7)) for kind in ("QUInt8", "QInt8")})
    def static_clip(self, low: float, high: float, kind: str) -> None:
        """ONNX Runtime's quantizer does drop it."""
        from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

        x = build.activations(1, 3, 8, 8)
        nodes = [node("Conv", "x w b", "a"), node("Clip", "a lo hi", "c"), node("Conv", "c v", "y")]
        constants = {"w": build.weights(16, 3, 3, 3), "b": build.weights(16), "v": build.weights(8, 16, 3, 3)}
        constants |= {"lo": np.float32(low), "hi": np.float32(high)}
        onnx.save(build.model(nodes, {"x": x}, {"y": (1, 8, 4, 4)}, constants, 17), self.dir / "f.onnx")

        class Reader(CalibrationDataReader):
            feeds = iter([{"x": x}])

            def get_next(self):
                return next(self.feeds, None)

        path = self.dir / "static.onnx"
        quantize_static(
            self.dir / "f.onnx", path, Reader(), quant_format=QuantFormat.QDQ, activation_type=getattr(QuantType, kind)
        )
        self.assertNotIn("Clip", ops(onnx.load(path)))
        self.dequantize(path, feeds={"x": x})
        want, got = common.run(self.dir / "f.onnx", {"x": x}), common.run(self.path, {"x": x})
        self.assertLess(common.relative_error(want, got), 8)

    @cases(["QDQ", "QOperator"])
    def static(self, form: str) -> None:
        """ONNX Runtime's own static quantizer, with all its habits."""
        from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

        w1, w2 = build.weights(16, 3, 3, 3) / 4, build.weights(16, 16, 3, 3, seed=3) / 8
        b1 = build.weights(16)
        nodes = [node("Conv", "x w1 b1", "a", pads=[1, 1, 1, 1]), node("Relu", "a", "b")]
        nodes += [node("MaxPool", "b", "c", kernel_shape=[2, 2], strides=[2, 2])]
        nodes += [node("Conv", "c w2", "d", pads=[1, 1, 1, 1]), node("Relu", "d", "e")]
        nodes += [node("Flatten", "e", "f"), node("MatMul", "f w3", "g"), node("Softmax", "g", "y")]
        constants = {"w1": w1, "b1": b1, "w2": w2, "w3": build.weights(256, 10) / 16}
        x = build.activations(1, 3, 8, 8)
        onnx.save(build.model(nodes, {"x": x}, {"y": (1, 10)}, constants, 13), self.dir / "f.onnx")

        class Reader(CalibrationDataReader):
            feeds = iter([{"x": x}, {"x": build.activations(1, 3, 8, 8, seed=8)}])

            def get_next(self):
                return next(self.feeds, None)

        path = self.dir / "static.onnx"
        formats = {"QDQ": QuantFormat.QDQ, "QOperator": QuantFormat.QOperator}
        quantize_static(self.dir / "f.onnx", path, Reader(), quant_format=formats[form], per_channel=True)
        if form == "QOperator":
            done = self.onnxq("dequantize", path, self.dir / "none.onnx", status=5)
            self.assertIn("scales from calibration", done.stdout)
            return
        made = self.dequantize(path, feeds={"x": x})
        self.assertEqual(self.kept(), [])
        self.assertFalse({"QuantizeLinear", "DequantizeLinear"} & set(ops(made)))
        self.assert_near({"x": x}, 5)
        want, got = common.run(self.dir / "f.onnx", {"x": x}), common.run(self.path, {"x": x})
        self.assertLess(common.relative_error(want, got), 3)


# --- dynamic patterns of others --------------------------------------------------------------------


class Dynamic(DequantizeTest):
    @cases(
        {
            f"{kind}_{channel}": (kind, channel == "channel")
            for kind in ("QInt8", "QUInt8")
            for channel in ("tensor", "channel")
        }
    )
    def quantize_dynamic(self, kind: str, per_channel: bool) -> None:
        from onnxruntime.quantization import QuantType, quantize_dynamic

        hidden = 32
        w, e = build.weights(K, 64), build.weights(50, K)
        lw, lr = build.weights(1, 4 * hidden, 64), build.weights(1, 4 * hidden, hidden)
        cw, cb = build.weights(8, 1, 3), build.weights(8)
        nodes = [
            node("Gather", "e i", "a"),
            node("MatMul", "a w", "b"),
            node("Add", "b wb", "c"),
            node("LSTM", "c lw lr", "d", hidden_size=hidden),
            node("Squeeze", "d axes", "f"),
            node("Conv", "f cw cb", "y"),
        ]
        constants = {"e": e, "w": w, "wb": build.weights(64), "lw": lw, "lr": lr, "cw": cw, "cb": cb}
        constants["axes"] = np.array([1])
        index = build.rng().integers(0, 50, (6, 1))
        model = build.model(nodes, {"i": index}, {"y": (6, 8, 30)}, constants, 17)
        onnx.save(model, self.dir / "f.onnx")
        path = self.dir / "dynamic.onnx"
        quantize_dynamic(
            self.dir / "f.onnx", path, weight_type=getattr(QuantType, kind), per_channel=per_channel,
            extra_options={"MatMulConstBOnly": True},
        )
        feeds = {"i": index}
        made = self.dequantize(path, feeds=feeds)
        self.assertEqual(self.kept(), [])
        left = {op for op in ops(made) if "Quant" in op or "Integer" in op}
        self.assertEqual(left, set())
        before = {t.name: numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer}
        after = {t.name: numpy_helper.to_array(t) for t in made.graph.initializer}
        for name, axis in (("e", 1), ("w", 1), ("cw", 0), ("lw", None), ("lr", None)):
            q, s, z = (before[f"{name}_{kind}"] for kind in ("quantized", "scale", "zero_point"))
            if axis is None:  # a scale for each direction or gate row
                s, z = (v.reshape(1, 1, -1) for v in (s, z))
            elif s.ndim == 1 and s.size > 1:
                s, z = (np.expand_dims(v, tuple(i for i in range(q.ndim) if i != axis)) for v in (s, z))
            want = (q.astype(np.float32) - z.astype(np.float32)) * s
            want = want if axis is not None else want.transpose(0, 2, 1)
            np.testing.assert_array_equal(after[name], want, name)
        self.assert_near(feeds, 5)

    ORDERS = {
        "product": [("Mul", "xs s", "sc"), ("Mul", "c sc", "y")],
        "product_left": [("Mul", "s xs", "sc"), ("Mul", "sc c", "y")],
        "two": [("Mul", "c xs", "t"), ("Mul", "t s", "y")],
        "two_other": [("Mul", "s c", "t"), ("Mul", "xs t", "y")],
    }

    @cases(
        {
            f"{order}_{shape}_{zero}": (order, shape, zero)
            for order in ORDERS
            for shape in ("scalar", "one", "vector", "row")
            for zero in ("none", "one", "vector")
        }
    )
    def matmul(self, order: str, shape: str, zero: str) -> None:
        rng = build.rng()
        q = rng.integers(-128, 128, (K, 40)).astype(np.int8)
        s = rng.uniform(0.01, 0.1, {"scalar": (), "one": (1,), "vector": (40,), "row": (1, 40)}[shape])
        s = np.asarray(s).astype(np.float32)
        z = rng.integers(-9, 9, {"none": (), "one": (), "vector": (40,)}[zero]).astype(np.int8)
        nodes = [node("DynamicQuantizeLinear", "x", "xq xs xz")]
        nodes += [node("MatMulInteger", "xq q xz" + (" z" if zero != "none" else ""), "i")]
        nodes += [node("Cast", "i", "c", to=TensorProto.FLOAT)]
        nodes += [node(*parts) for parts in self.ORDERS[order]]
        constants = {"q": q, "s": s} | ({"z": z} if zero != "none" else {})
        x = build.activations(5, K)
        made = self.dequantize(build.model(nodes, {"x": x}, {"y": (5, 40)}, constants), feeds={"x": x})
        steps = q.astype(np.float32) - (z.astype(np.float32) if zero != "none" else 0)
        np.testing.assert_array_equal(self.only_weight(made, q.size), steps * s)
        self.assertEqual(ops(made), {"MatMul": 1})
        self.assert_near({"x": x}, 1)

    # How ONNX Runtime's quantizer writes activations below opset 11, where there is no DynamicQuantizeLinear.
    RANGE = [
        ("ReduceMin", "x", "lo", {"keepdims": 0}),
        ("ReduceMax", "x", "hi", {"keepdims": 0}),
        ("Sub", "hi lo", "width", {}),
        ("Div", "width steps", "xs", {}),
        ("Sub", "zero lo", "below", {}),
        ("Div", "below xs", "zf", {}),
        ("Floor", "zf", "zi", {}),
        ("Cast", "zi", "xz", {"to": TensorProto.UINT8}),
        ("QuantizeLinear", "x xs xz", "xq", {}),
    ]

    def quantized_activation(self, opset: int) -> tuple[list[onnx.NodeProto], dict]:
        if opset >= 11:
            return [node("DynamicQuantizeLinear", "x", "xq xs xz")], {}
        nodes = [node(op, inputs, output, **attributes) for op, inputs, output, attributes in self.RANGE]
        return nodes, {"steps": np.float32(255), "zero": np.float32(0)}

    @cases(
        {
            f"{rank - 2}d_{shape}_{order}_opset{opset}": (rank, shape, order, opset)
            for rank, shape, order, opset in (
                (4, "minus", "xs s", 10), (4, "minus", "xs s", 12), (4, "minus", "s xs", 17), (4, "plain", "xs s", 21),
                (3, "minus", "xs s", 12), (5, "minus", "xs s", 13), (4, "short", "xs s", 12),
            )
        }
    )
    def integer_bias(self, rank: int, shape: str, order: str, opset: int) -> None:
        """quantize_dynamic of ONNX Runtime 1.4 to 1.8: the bias of a Conv is added in front of the Cast."""
        model, feeds, bias, w = self.conv_of_integers(rank, shape, order, opset)
        made = self.dequantize(model, feeds=feeds)
        self.assertEqual((ops(made), self.kept()), ({"Conv": 1}, []))
        stored = {t.name: numpy_helper.to_array(t) for t in made.graph.initializer}
        np.testing.assert_array_equal(stored["b"], bias)
        np.testing.assert_array_equal(self.only_weight(made, w.size), w)
        self.assert_near(feeds, 1)

    def conv_of_integers(self, rank: int, shape: str, order: str, opset: int, others: dict | None = None):
        x, q = build.activations(1, 3, *[9] * (rank - 2)), build.rng().integers(0, 256, (7, 3, *[3] * (rank - 2)))
        shapes = {"minus": [1, -1] + [1] * (rank - 2), "plain": [1, 7] + [1] * (rank - 2)}
        shapes["short"] = shapes["plain"][1:]
        nodes, constants = self.quantized_activation(opset)
        nodes += [
            node("Mul", order, "bs"),
            node("Div", "b bs", "bf"),
            node("Floor", "bf", "bi"),
            node("Cast", "bi", "bq", to=TensorProto.INT32),
            node("ConvInteger", "xq q xz z", "i", pads=[1, 1] * (rank - 2)),
            node("Reshape", "bq shape", "br"),
            node("Add", "i br", "sum"),
            node("Cast", "sum", "c", to=TensorProto.FLOAT),
            node("Mul", order, "sc"),
            node("Mul", "c sc", "y"),
        ]
        constants |= {"q": q.astype(np.uint8), "z": np.uint8(117), "s": np.float32(0.003), "b": build.weights(7)}
        constants |= {"shape": np.array(shapes[shape])} | (others or {})
        y = np.zeros((1, 7, *[9] * (rank - 2)), np.float32)
        weight = (q - 117).astype(np.float32) * np.float32(0.003)
        return build.model(nodes, {"x": x}, {"y": y}, constants, opset), {"x": x}, constants["b"], weight

    @cases(
        {
            "along_rows": ({"shape": np.array([1, 1, 1, -1])}, {}),
            "other_scale": ({}, {"Mul": ["xs", "steps"]}),
            "rounded": ({}, {"Floor": "Ceil"}),
            "computed": ({}, {"Div": ["x", "bs"]}),
        }
    )
    def no_bias(self, constants: dict, changed: dict) -> None:
        """What is added to the integers is something else."""
        model, *_ = self.conv_of_integers(4, "minus", "xs s", 10, constants)
        for op_type, change in changed.items():
            found = next(n for n in model.graph.node if n.op_type == op_type and n.output[0] in ("bs", "bf", "bi"))
            if isinstance(change, str):
                found.op_type = change
            else:
                found.input[:] = change
        self.refuse(model, "what is added to its integers is no bias")

    @cases({"opset10": (10,), "opset12": (12,)})
    def two_activations(self, opset: int) -> None:
        """Both factors are quantized when the model runs."""
        x, v = build.activations(2, 5, K), build.weights(K, 20)
        nodes, constants = self.quantized_activation(opset)
        nodes += [node("Transpose", "xq", "tq", perm=[0, 2, 1])]
        nodes += [node("MatMulInteger", "xq tq xz xz", "i"), node("Cast", "i", "c", to=TensorProto.FLOAT)]
        nodes += [node("Mul", "xs xs", "sc"), node("Mul", "c sc", "y")]
        self.refuse(build.model(nodes, {"x": x}, {"y": (2, 5, 5)}, constants, opset), "no constant")
        other, more = [node("DynamicQuantizeLinear", "v", "vq vs vz")], {}
        if opset < 11:
            rename = {"x": "v", "xs": "vs", "xz": "vz", "xq": "vq", "steps": "steps", "zero": "zero"}
            other = [
                node(op, " ".join(rename.get(n, n + "v") for n in inputs.split()), rename.get(output, output + "v"), **more)
                for op, inputs, output, more in self.RANGE
            ]
        nodes, constants = self.quantized_activation(opset)
        nodes += [*other, node("MatMulInteger", "xq vq xz vz", "i"), node("Cast", "i", "c", to=TensorProto.FLOAT)]
        nodes += [node("Mul", "xs vs", "sc"), node("Mul", "c sc", "y")]
        model = build.model(nodes, {"x": x, "v": v}, {"y": (2, 5, 20)}, constants, opset)
        made = self.dequantize(model, feeds={"x": x, "v": v})
        self.assertEqual((ops(made), self.kept()), ({"MatMul": 1}, []))
        self.assert_near({"x": x, "v": v}, 3)

    @cases({"steps": ({"steps": np.float32(100)},), "zero": ({"zero": np.float32(1)},)})
    def unusual_range(self, changed: dict) -> None:
        """Integers that do not reach over the whole activation cut something off: that stays."""
        x = build.activations(5, K)
        nodes, constants = self.quantized_activation(10)
        nodes += [node("MatMulInteger", "xq q xz", "i"), node("Cast", "i", "c", to=TensorProto.FLOAT)]
        nodes += [node("Mul", "xs s", "sc"), node("Mul", "c sc", "y")]
        constants |= {"q": np.ones((K, 5), np.int8), "s": np.float32(0.1)} | changed
        self.refuse(build.model(nodes, {"x": x}, {"y": (5, 5)}, constants, 10), "not in a pattern that is known")

    @cases(
        {
            "rows": (np.ones((5, 1), np.float32), "do not fit"),
            "wrong": (np.ones(7, np.float32), "do not fit"),
            "computed": (None, "no constant"),
        }
    )
    def unusual_scale(self, s: np.ndarray | None, reason: str) -> None:
        nodes = [node("DynamicQuantizeLinear", "x", "xq xs xz"), node("MatMulInteger", "xq q xz", "i")]
        nodes += [node("Cast", "i", "c", to=TensorProto.FLOAT), node("Mul", "xs t", "sc")]
        nodes += [node("Mul", "c sc", "y")]
        constants, inputs = {"q": np.zeros((K, 5), np.int8)}, {"x": (5, K)}
        if s is None:
            inputs["t"] = ()
        else:
            constants["t"] = s
        main = build.graph(nodes, inputs, {"y": (5, 5)}, constants)
        opsets = [helper.make_opsetid("", 21)]
        self.refuse(helper.make_model(main, opset_imports=opsets, ir_version=10), reason)

    def test_fixed_activation(self) -> None:
        """Integers from elsewhere than DynamicQuantizeLinear stay."""
        nodes = [node("MatMulInteger", "x q", "i"), node("Cast", "i", "c", to=1), node("Mul", "c s", "y")]
        x, constants = np.zeros((2, K), np.uint8), {"q": np.ones((K, 5), np.int8), "s": np.float32(1)}
        model = build.model(nodes, {"x": x}, {"y": (2, 5)}, constants)
        self.refuse(model, "not in a pattern that is known")

    def test_attention(self) -> None:
        size, heads = 64, 4
        w = reference.quantize(build.weights(size, 3 * size) / 8, Scheme(), (1,))
        x = build.activations(2, 6, size)
        nodes = [node("DynamicQuantizeLinear", "x", "xq xs xz")]
        nodes += [node("QAttention", "xq q b xs s - xz z", "y", domain="com.microsoft", num_heads=heads,
                       unidirectional=1)]
        constants = {"q": w.q, "s": w.scale.reshape(-1), "b": build.weights(3 * size)}
        constants["z"] = np.zeros(3 * size, np.int8)
        model = build.model(nodes, {"x": x}, {"y": x}, constants, imports=CONTRIB)
        made = self.dequantize(model, feeds={"x": x})
        self.assertEqual(ops(made), {"com.microsoft.Attention": 1})
        np.testing.assert_array_equal(self.only_weight(made, w.q.size), w.dequantize())
        self.assert_near({"x": x}, 3)

    def test_half(self) -> None:
        """float16 models: the product stays in float32, between the Casts that were there."""
        w, x = build.weights(K, N).astype(np.float16), build.activations(5, K).astype(np.float16)
        self.quantize(build.model([node("MatMul", "x w", "y")], {"x": x}, {"y": x @ w}, {"w": w}))
        made = self.dequantize(self.dir / "out" / "model.onnx", feeds={"x": x})
        self.assertEqual(ops(made), {"Cast": 2, "MatMul": 1})
        self.assert_near({"x": x}, 2)


# --- few bits -------------------------------------------------------------------------------------


def contrib(op_type: str, inputs: str, outputs: str, **attributes) -> onnx.NodeProto:
    return node(op_type, inputs, outputs, domain="com.microsoft", **attributes)


NBITS = {
    f"{bits}bit_{block}_{k}x{n}_{zero}{'' if ordered else '_g_idx'}": (bits, block, k, n, zero, ordered)
    for bits in (2, 4, 8)
    for block, k, n in ((16, 64, 24), (32, 200, 70), (64, 40, 3), (32, 97, 65), (128, 1024, 130))
    for zero in ("none", "packed", "float")
    for ordered in (True, False)
}


class NBits(DequantizeTest):
    def model(self, w: lowbit.Blocks, x: np.ndarray, zero: str, ordered: bool, bias=None, **more):
        n, k = w.q.shape
        z = "z" if zero != "none" else "-"
        inputs = f"x q s {z} {'-' if ordered else 'g'} {'b' if bias is not None else '-'}"
        attributes = {"K": k, "N": n, "bits": w.bits, "block_size": w.block}
        constants = {"q": w.bytes, "s": w.scale.reshape(-1)}
        constants |= {"z": w.zero.reshape(-1) if zero == "float" else w.packed_zero} if zero != "none" else {}
        constants |= {} if ordered else {"g": w.groups.astype(np.int32)}
        constants |= {} if bias is None else {"b": bias}
        nodes = [contrib("MatMulNBits", inputs, "y", **attributes, **more)]
        y = np.zeros((*x.shape[:-1], n), x.dtype)
        return build.model(nodes, {"x": x}, {"y": y}, constants, imports=CONTRIB)

    @cases(NBITS)
    def stored(self, bits: int, block: int, k: int, n: int, zero: str, ordered: bool) -> None:
        w = lowbit.blocks(build.rng(), k, n, bits, block, zero, ordered)
        x = build.activations(2, 3, k)
        made = self.dequantize(self.model(w, x, zero, ordered), feeds={"x": x})
        self.assertEqual(ops(made), {"MatMul": 1})
        self.assertEqual([o.domain for o in made.opset_import], [""])
        np.testing.assert_array_equal(self.only_weight(made, k * n), w.weight)
        # The engine has no kernel for some of these, and with g_idx ignores zero points in bytes.
        if (ordered and (bits < 8 or zero != "float")) or (bits == 4 and zero != "packed"):
            self.assert_same_result({"x": x})

    @cases(["float32", "float16"])
    def bias(self, dtype: str) -> None:
        w = lowbit.blocks(build.rng(), 96, 40, 4, 32, "packed", dtype=np.dtype(dtype).type)
        x, b = build.activations(5, 96).astype(dtype), build.weights(40).astype(dtype)
        made = self.dequantize(self.model(w, x, "packed", True, b), feeds={"x": x})
        self.assertEqual(ops(made), {"MatMul": 1, "Add": 1})
        np.testing.assert_array_equal(self.only_weight(made, 96 * 40), w.weight)
        self.assert_same_result({"x": x}, 1e-4 if dtype == "float32" else 1e-2)

    def test_fused(self) -> None:
        """What the engine fuses from blocked DequantizeLinear and MatMul."""
        rng, x = build.rng(), build.activations(2, 128)
        q, s = rng.integers(-8, 8, (128, 48)), rng.uniform(0.01, 0.1, (4, 48)).astype(np.float32)
        nodes = [node("DequantizeLinear", "q s", "w", axis=0, block_size=32), node("MatMul", "x w", "y")]
        constants = {"q": integer_tensor("q", "int4", q, True), "s": s}
        model = build.model(nodes, {"x": x}, {"y": (2, 48)}, constants)
        optimized = self.dir / "optimized.onnx"
        common.session(model, "extended", save=str(optimized))
        made = self.dequantize(optimized, feeds={"x": x})
        self.assertEqual(self.forms(), {"MatMulNBits": 1})
        want = q.astype(np.float32) * np.repeat(s, 32, 0)
        np.testing.assert_array_equal(self.only_weight(made, want.size), want)

    @cases(
        {
            "K": ({"K": 97}, "not as large"),
            "N": ({"N": 2**31}, "out of range"),
            "bits": ({"bits": 3}, "not 2, 4 or 8 bits"),
            "block": ({"block_size": 24}, "power of two"),
            "block0": ({"block_size": 0}, "power of two"),
            "negative": ({"K": -1}, "out of range"),
        }
    )
    def insane(self, changed: dict, reason: str) -> None:
        w = lowbit.blocks(build.rng(), 96, 40, 4, 32)
        model = self.model(w, build.activations(5, 96), "none", True)
        for attribute in model.graph.node[0].attribute:
            attribute.i = changed.get(attribute.name, attribute.i)
        self.refuse(model, reason)

    @cases(
        {
            "scales": ({"s": np.ones(7, np.float32)}, "do not fit"),
            "zero": ({"z": np.ones(7, np.uint8)}, "do not fit"),
            "zero_int": ({"z": np.ones(120, np.int32)}, "do not fit"),
            "g_idx": ({"g": np.full(96, 3, np.int32)}, "names a block that is not there"),
            "g_idx_negative": ({"g": np.full(96, -1, np.int32)}, "names a block that is not there"),
            "g_idx_short": ({"g": np.zeros(95, np.int32)}, "one constant number for each"),
            "scale_int": ({"s": np.ones(120, np.int8)}, "not float32"),
        }
    )
    def misfit(self, changed: dict, reason: str) -> None:
        w = lowbit.blocks(build.rng(), 96, 40, 4, 32, "packed", False)
        model = self.model(w, build.activations(5, 96), "packed", False)
        for tensor in model.graph.initializer:
            if tensor.name in changed:
                tensor.CopyFrom(numpy_helper.from_array(changed[tensor.name], tensor.name))
        self.refuse(model, reason)

    @cases(
        {
            f"{kind}_{k}x{n}_{block}": (kind, k, n, block)
            for kind in ("fp4", "nf4")
            for k, n, block in ((64, 32, 16), (70, 33, 64), (129, 65, 32), (256, 10, 128))
        }
    )
    def bnb4(self, kind: str, k: int, n: int, block: int) -> None:
        rng, x = build.rng(), build.activations(3, k)
        q = rng.integers(0, 16, (n, k))
        absmax = rng.uniform(0.1, 1, -(-n * k // block)).astype(np.float32)
        attributes = {"K": k, "N": n, "block_size": block, "quant_type": ["fp4", "nf4"].index(kind)}
        nodes = [contrib("MatMulBnb4", "x q s", "y", **attributes)]
        constants = {"q": lowbit.pack_bnb4(q), "s": absmax}
        model = build.model(nodes, {"x": x}, {"y": (3, n)}, constants, imports=CONTRIB)
        made = self.dequantize(model, feeds={"x": x})
        want = lowbit.bnb4(getattr(lowbit, kind.upper()), q, absmax, block)
        np.testing.assert_array_equal(self.only_weight(made, k * n), want)
        self.assert_same_result({"x": x})

    @cases(
        {
            f"{kind}_{axis}_{size}_{zero}": (kind, bits, axis, size, zero)
            for kind, bits in (("int4", 4), ("uint4", 4), ("uint8", 4), ("uint8", 8), ("uint8", 2))
            for axis in (1, 2)
            for size in (32, 48)
            for zero in (False, True)
        }
        | {
            f"uint8_{bits}bit_{size}_{zero}": ("uint8", bits, 2, size, zero)
            for bits in (2, 4, 8)
            for size in (32, 80)
            for zero in (False, True)
        }
    )
    def gather(self, kind: str, bits: int, axis: int, size: int, zero: bool) -> None:
        rng, index = build.rng(), np.array([[0, 2], [6, -7]])
        shape, block = (7, 40, size), 16
        low, high = (-8, 8) if kind == "int4" else (0, 2**bits)
        q = rng.integers(low, high, shape)
        blocks = tuple(-(-d // block) if i == axis else d for i, d in enumerate(shape))
        s = rng.uniform(0.01, 0.1, blocks).astype(np.float32)
        middle = 2 ** (bits - 1) if kind == "uint8" else 0
        z = rng.integers(low, high, blocks) if zero else np.full(blocks, middle)
        spread = [blocked(v, axis, block, shape[axis]) for v in (s, z)]
        want = (q - spread[1]).astype(np.float32) * spread[0]

        def stored(name: str, values: np.ndarray) -> onnx.TensorProto:
            if kind == "uint8":
                return numpy_helper.from_array(lowbit.pack(values, bits), name)
            return integer_tensor(name, kind, values, True)

        attributes = {"gather_axis": 0, "quantize_axis": axis, "block_size": block}
        attributes |= {"bits": bits} if kind == "uint8" else {}
        nodes = [contrib("GatherBlockQuantized", "q i s" + (" z" if zero else ""), "y", **attributes)]
        constants = {"q": stored("q", q), "s": s} | ({"z": stored("z", z)} if zero else {})
        model = build.model(nodes, {"i": index}, {"y": (2, 2, 40, size)}, constants, imports=CONTRIB)
        made = self.dequantize(model, feeds={"i": index})
        self.assertEqual(ops(made), {"Gather": 1})
        np.testing.assert_array_equal(self.only_weight(made, q.size), want)
        if kind != "uint8" or bits == 8 or axis == 2:  # with others the engine has no kernel
            self.assert_same_result({"i": index}, 1e-6)


class CastScales(DequantizeTest):
    """A scale that is stored in one float type and cast to another: the weight is of the latter."""

    @cases(
        {
            f"{form}_{stored.__name__}": (form, stored)
            for form in ("linear", "blocks", "folded", "nbits")
            for stored in (np.float16, np.float64)
        }
    )
    def cast(self, form: str, stored: type) -> None:
        rng, x = np.random.default_rng(2), build.activations(5, 64)
        q = rng.integers(-127, 128, (64, 96)).astype(np.int8)
        shape = {"linear": 96, "folded": 96, "blocks": (2, 96), "nbits": (96, 2)}[form]
        scale = rng.uniform(0.001, 0.01, shape).astype(stored)
        nodes, constants = [node("Cast", "s", "f", to=build.FLOAT)], {"s": scale, "q": q}
        if form in ("linear", "blocks"):
            attributes = {"axis": 1} if form == "linear" else {"axis": 0, "block_size": 32}
            nodes += [node("DequantizeLinear", "q f", "w", **attributes), node("Einsum", "x w", "y", equation="bk,kn->bn")]
        elif form == "folded":
            nodes += [node("Cast", "q", "c", to=build.FLOAT), node("Mul", "c f", "w"), node("MatMul", "x w", "y")]
        else:
            attributes = {"K": 64, "N": 96, "bits": 8, "block_size": 32, "domain": "com.microsoft"}
            nodes += [node("MatMulNBits", "x q f", "y", **attributes)]
            constants["q"] = (q.T.astype(np.int16) + 128).astype(np.uint8).reshape(96, 2, 32)
        model = build.model(nodes, {"x": x.shape}, {"y": (5, 96)}, constants, imports=CONTRIB)
        self.dequantize(model, feeds={"x": x})
        self.assert_valid(self.path)
        self.assert_same_result({"x": x})
