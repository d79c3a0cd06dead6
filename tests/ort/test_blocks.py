"""Weights in blocks: the operators of com.microsoft, DequantizeLinear-21, and pairs that leave."""

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper
from onnx.reference import ReferenceEvaluator

import build
import common
import harness
import reference
from build import node
from harness import OrtTest, cases
from patterns import attributes, op_name

SIZES = (16, 32, 64, 128, 256)
DEFAULT_SIZE = {8: 128, 4: 32}

# K x N: whole blocks, a part of one, an odd number of them, less than one
SHAPES = {"whole": (512, 144), "part": (500, 257), "odd": (288, 301), "short": (20, 4000)}


def flags(bits: int | str = 8, size: int | None = None, symmetric: bool = True, method: str = "blocks"):
    size_flags = [] if size is None else ["--block-size", str(size)]
    return ["--method", method, "--bits", str(bits), *size_flags, "--symmetric" if symmetric else "--no-symmetric"]


def constants(outcome: harness.Outcome) -> dict[str, np.ndarray]:
    tensors = outcome.model.graph.initializer
    return {t.name: numpy_helper.to_array(t, str(outcome.path.parent)) for t in tensors}


def raw_bytes(outcome: harness.Outcome, name: str) -> np.ndarray:
    """What is in the file."""
    tensor = next(t for t in outcome.model.graph.initializer if t.name == name)
    return np.frombuffer(tensor.raw_data, np.uint8)


class OneBlock(OrtTest):
    """DequantizeLinear of a vector that is one block, of which the scale is one number."""

    @cases({f"{bits}_{size}": (bits, size) for bits in (4, 8) for size in SIZES})
    def vector(self, bits, size) -> None:
        w, x = build.weights(size), build.activations(5, size)
        outcome = self.quantize(build.matmul(x, w), *flags(bits, size, method="qdq"))
        for level, got in self.run_levels(outcome.path, {"x": x}).items():
            rounding = np.abs(w).max() / (7 if bits == 4 else 127) / 2
            self.assert_close(got[0], x @ w, np.abs(x).sum(1) * rounding * 1.001 + 1e-5, level)


class Products(OrtTest):
    """MatMulNBits and MatMulBnb4."""

    @cases(
        {
            f"{op}_{bits}_{size}": (op, bits, size)
            for op in ("Add", "Conv")
            for bits in (8, 4, "nf4")
            for size in (None, 32)
        }
    )
    def weight_that_is_folded_too(self, op, bits, size):
        """What takes no blocks has it folded, and then the product takes the same: it is stored once."""
        w = build.weights(256, 288)
        nodes = [node("MatMul", "x w", "y"), node("MatMul", "x v", "u")]
        other = {"z": w.shape}
        if op == "Add":
            nodes.append(node("Add", "w z", "s"))
        else:
            other = {"z": (1, 288, 5)}
            nodes += [node("Unsqueeze", "w axis", "k"), node("Conv", "z k", "s")]
        s = w.shape if op == "Add" else (1, 256, 5)
        x = build.activations(5, 256)
        constants = {"w": w, "v": build.weights(256, 300)} | ({} if op == "Add" else {"axis": np.array([2])})
        model = build.model(
            nodes, {"x": x.shape, **other}, {"y": (5, 288), "u": (5, 300), "s": s}, constants
        )
        outcome = self.quantize(model, *flags(bits, size))
        self.find(outcome, "MatMulBnb4" if bits == "nf4" else "MatMulNBits")  # of the other weight
        uses = {use["node"]: use for use in outcome.weight("w")["uses"]}
        self.assertEqual(uses["matmul_y"]["action"], "fold")
        self.assertRegex(uses["matmul_y"]["reason"], "stored once, folded for (Add|Unsqueeze|Conv) ")
        self.assertLess(outcome.weight("w")["nbytes_after"], 1.1 * w.size)
        feeds = {"x": x, "z": build.activations(*other["z"])}
        want = common.run(outcome.original, feeds)
        for level, outputs in self.run_levels(outcome.path, feeds).items():
            for i in (0, 2):
                self.assertLess(common.relative_error(want[i : i + 1], outputs[i : i + 1]), 2, level)

    def find(self, outcome: harness.Outcome, op_type: str) -> onnx.NodeProto:
        found = [n for n in outcome.model.graph.node if op_name(n) == f"com.microsoft.{op_type}"]
        self.assertEqual(len(found), 1, outcome.report["weights"])
        return found[0]

    def assert_nbits(self, outcome: harness.Outcome, w: np.ndarray, bits, size, symmetric, factor=1.0):
        """What is stored of w [K, N]; returns the weight that it stands for."""
        product, stored = self.find(outcome, "MatMulNBits"), outcome.view().constant
        want = reference.quantize_blocks(np.ascontiguousarray(w.T), size, bits, symmetric)
        integers = want.q.astype(np.uint8)
        # What fills up the last block stands for 0.
        padded = np.arange(integers.shape[1] * size).reshape(1, -1, size) >= len(w)
        integers = np.where(padded, want.zero_point[..., None], integers).astype(np.uint8)
        integers = reference.pack(integers) if bits == 4 else integers
        np.testing.assert_array_equal(stored(product.input[1]), integers)
        scale = (want.scale * np.float32(factor)).reshape(-1)
        np.testing.assert_array_equal(stored(product.input[2]), scale)
        if symmetric:
            self.assertTrue(len(product.input) < 4 or product.input[3] == "")
        else:
            zero = reference.pack(want.zero_point) if bits == 4 else want.zero_point.astype(np.uint8)
            np.testing.assert_array_equal(stored(product.input[3]), zero.reshape(-1))
        expected = {"K": w.shape[0], "N": w.shape[1], "bits": bits, "block_size": size, "accuracy_level": 4}
        self.assertEqual(attributes(product), expected)
        return want.dequantize().T * np.float32(factor)

    def assert_computed(self, outcome, x, weight, size, bias=0.0, dtype=np.float32):
        tolerance = reference.block_matmul_error(x.astype(np.float32), weight, size)
        want = x.astype(np.float64) @ weight + bias
        for level, got in self.run_levels(outcome.path, {"x": x}).items():
            self.assertEqual(got[0].dtype, dtype)
            rounding = np.abs(want) * np.finfo(dtype).eps
            self.assert_close(got[0].astype(np.float64), want, tolerance + rounding, level)

    @cases(
        {
            f"{shape}_{bits}_{size}_{'sym' if symmetric else 'asym'}": (shape, bits, size, symmetric)
            for shape in SHAPES
            for bits in (4, 8)
            for size in SIZES
            for symmetric in (True, False)
            if shape != "short" or size <= 32  # whole blocks of more would be larger than floats
        }
    )
    def matmul(self, shape, bits, size, symmetric) -> None:
        k, n = SHAPES[shape]
        w, x = build.weights(k, n), build.activations(5, k)
        model = build.matmul(x, w)
        outcome = self.quantize(model, *flags(bits, size, symmetric), "--force-integer")
        weight = self.assert_nbits(outcome, w, bits, size, symmetric)
        self.assert_computed(outcome, x, weight, size)
        found = outcome.weight("w")
        self.assertEqual(found["uses"][0]["form"], f"MatMulNBits, {bits} bits in blocks of {size}")
        described = {key: found[key] for key in ("bits", "block_size", "channel_axis", "scales")}
        want = {"bits": bits, "block_size": size, "channel_axis": 0, "scales": n * -(-k // size)}
        self.assertEqual(described, want)

    @cases({str(bits): (bits,) for bits in (4, 8)})
    def default_size(self, bits) -> None:
        w, x = build.weights(512, 144), build.activations(5, 512)
        outcome = self.quantize(build.matmul(x, w), *flags(bits))
        self.assert_nbits(outcome, w, bits, DEFAULT_SIZE[bits], True)

    @cases({str(opset): (opset,) for opset in (7, 10, 11, 13, 17, 21, build.NEWEST)})
    def opsets(self, opset) -> None:
        w, x = build.weights(512, 144), build.activations(5, 512)
        outcome = self.quantize(build.matmul(x, w, opset=opset), *flags(4))
        self.assert_computed(outcome, x, self.assert_nbits(outcome, w, 4, 32, True), 32)

    @cases(
        {
            f"{a}{b}_{alpha}_{beta}_{bias}": (a, b, alpha, beta, bias)
            for a in (0, 1)
            for b in (0, 1)
            for alpha, beta, bias in ((1.0, 1.0, None), (-0.5, 1.0, "row"), (2.0, 0.25, "row"))
            + ((1.0, 3.0, "matrix"), (0.0, 1.0, "column"), (1.5, 0.0, "row"), (1.0, 2.0, "scalar"))
        }
    )
    def gemm(self, trans_a, trans_b, alpha, beta, bias) -> None:
        w, x = build.weights(500, 144), build.activations(5, 500)
        shapes = {"row": (144,), "matrix": (5, 144), "column": (5, 1), "scalar": ()}
        stored = {"w": np.ascontiguousarray(w.T) if trans_b else w}
        if bias is not None:
            stored["c"] = build.weights(*shapes[bias], seed=9)
        gemm = node("Gemm", "x w c" if bias else "x w", "y")
        values = {"transA": trans_a, "transB": trans_b, "alpha": alpha, "beta": beta}
        gemm.attribute.extend(onnx.helper.make_attribute(key, value) for key, value in values.items())
        fed = np.ascontiguousarray(x.T) if trans_a else x
        model = build.model([gemm], {"x": fed.shape}, {"y": (5, 144)}, stored)
        outcome = self.quantize(model, *flags(4))
        weight = self.assert_nbits(outcome, w, 4, 32, True, alpha)
        tolerance = reference.block_matmul_error(x, weight, 32)
        want = x.astype(np.float64) @ weight + beta * (stored["c"] if bias else 0)
        for level, got in self.run_levels(outcome.path, {"x": fed}).items():
            self.assert_close(got[0].astype(np.float64), want, tolerance + 1e-5 * np.abs(want), level)

    @cases({"float16": (np.float16,), "float64": (np.float64,)})
    def types(self, dtype) -> None:
        w, x = build.weights(512, 144).astype(dtype), build.activations(5, 512).astype(dtype)
        model = build.model([node("MatMul", "x w", "y")], {"x": x}, {"y": x @ w}, {"w": w})
        outcome = self.quantize(model, *flags(8, 32))
        weight = self.assert_nbits(outcome, w.astype(np.float32), 8, 32, True)
        self.assert_computed(outcome, x, weight, 32, dtype=dtype)

    def test_batched_activations(self) -> None:
        w, x = build.weights(512, 144), build.activations(2, 3, 4, 512)
        outcome = self.quantize(build.matmul(x, w), *flags(4))
        weight = self.assert_nbits(outcome, w, 4, 32, True)
        tolerance = reference.block_matmul_error(x.reshape(-1, 512), weight, 32).reshape(2, 3, 4, 144)
        for level, got in self.run_levels(outcome.path, {"x": x}).items():
            self.assert_close(got[0].astype(np.float64), x.astype(np.float64) @ weight, tolerance, level)

    def test_transposed_and_tied(self) -> None:
        """The logits of a tied embedding: MatMul with its transpose, and Gather from it."""
        table, index = build.weights(17000, 64), np.array([[0, 16999, -1]])
        nodes = [node("Gather", "w i", "e"), node("Transpose", "w", "t", perm=[1, 0])]
        nodes.append(node("MatMul", "e t", "y"))
        model = build.model(nodes, {"i": index}, {"y": (1, 3, 17000)}, {"w": table})
        outcome = self.quantize(model, *flags(8, 32), "--force-integer")
        self.assert_nbits(outcome, table.T, 8, 32, True)
        rows = reference.quantize_blocks(table, 32, 8, True).dequantize()
        want = rows[index].astype(np.float64) @ rows.T
        tolerance = reference.block_matmul_error(rows[index[0]], rows.T, 32)
        for level, got in self.run_levels(outcome.path, {"i": index}).items():
            self.assert_close(got[0].astype(np.float64), want, tolerance, level)

    def test_bias_is_fused(self) -> None:
        """An Add behind the product becomes its bias."""
        w, x = build.weights(512, 144), build.activations(5, 512)
        nodes = [node("MatMul", "x w", "p"), node("Add", "p b", "y")]
        model = build.model(nodes, {"x": x.shape}, {"y": (5, 144)}, {"w": w, "b": build.weights(144)})
        outcome = self.quantize(model, *flags(4))
        self.assertEqual(dict(self.optimized(outcome.path)), {"com.microsoft.MatMulNBits": 1})

    def test_in_a_body(self) -> None:
        """A weight around two bodies is stored once."""
        w, x = build.weights(512, 144), build.activations(5, 512)
        bodies = [
            build.graph([node("MatMul", "x w", f"y{i}")], {}, {f"y{i}": (5, 144)}, name=f"b{i}") for i in "te"
        ]
        choice = node("If", "c", "y", then_branch=bodies[0], else_branch=bodies[1])
        inputs = {"c": np.array(True), "x": x}
        model = build.model([choice], inputs, {"y": (5, 144)}, {"w": w})
        outcome = self.quantize(model, *flags(4))
        self.assertEqual(len(outcome.model.graph.initializer), 2)
        weight = reference.quantize_blocks(np.ascontiguousarray(w.T), 32, 4, True).dequantize().T
        tolerance = reference.block_matmul_error(x, weight, 32)
        for level, got in self.run_levels(outcome.path, inputs).items():
            self.assert_close(got[0].astype(np.float64), x.astype(np.float64) @ weight, tolerance, level)

    def test_side_file(self) -> None:
        w, x = build.weights(512, 144), build.activations(5, 512)
        outcome = self.quantize(build.matmul(x, w), *flags(4), "--external-data=always")
        self.assert_computed(outcome, x, self.assert_nbits(outcome, w, 4, 32, True), 32)

    @cases(
        {
            f"{shape}_{size}_{trans}": (shape, size, trans)
            for shape in ("whole", "part", "odd")
            for size in SIZES
            for trans in (0, 1)
        }
    )
    def nf4(self, shape, size, trans) -> None:
        k, n = SHAPES[shape]
        w, x, b = build.weights(k, n), build.activations(5, k), build.weights(n, seed=4)
        stored = {"w": np.ascontiguousarray(w.T) if trans else w, "b": b}
        nodes = [node("Gemm", "x w b", "y", transB=trans)]
        model = build.model(nodes, {"x": x.shape}, {"y": (5, n)}, stored)
        outcome = self.quantize(model, *flags("nf4", size))
        product, found = self.find(outcome, "MatMulBnb4"), constants(outcome)
        codes, scale = reference.quantize_nf4(np.ascontiguousarray(w.T).reshape(-1), size)
        np.testing.assert_array_equal(found[product.input[1]], reference.pack(codes, high_first=True))
        np.testing.assert_array_equal(found[product.input[2]], scale)
        self.assertEqual(attributes(product), {"K": k, "N": n, "block_size": size, "quant_type": 1})
        weight = (reference.NF4[codes] * np.repeat(scale, size)[: codes.size]).reshape(n, k).T
        want = x.astype(np.float64) @ weight + b
        tolerance = 1e-5 * (np.abs(x) @ np.abs(weight)) + 1e-5
        for level, got in self.run_levels(outcome.path, {"x": x}).items():
            self.assert_close(got[0].astype(np.float64), want, tolerance, level)


class Tables(OrtTest):
    """GatherBlockQuantized."""

    @cases(
        {
            f"{rows}_{bits}_{size}_{'sym' if symmetric else 'asym'}": (rows, bits, size, symmetric)
            for rows in (130, 64, 20)
            for bits in (4, 8)
            for size in (16, 32, 128)
            for symmetric in (True, False)
        }
    )
    def table(self, length, bits, size, symmetric) -> None:
        w, index = build.weights(500, length), np.array([[0, 499], [-1, 7]])
        model = build.model([node("Gather", "w i", "y")], {"i": index}, {"y": (2, 2, length)}, {"w": w})
        outcome = self.quantize(model, *flags(bits, size, symmetric), "--force-integer")
        want, stored = reference.quantize_blocks(w, size, bits, symmetric), constants(outcome)
        gather = next(n for n in outcome.model.graph.node if n.op_type == "GatherBlockQuantized")
        integers = want.q.reshape(len(w), -1)[:, :length]
        packed = reference.pack if bits == 4 else (lambda a: a.astype(np.uint8))
        np.testing.assert_array_equal(stored[gather.input[0]], packed(integers))
        np.testing.assert_array_equal(stored[gather.input[2]], want.scale)
        if not symmetric:
            np.testing.assert_array_equal(stored[gather.input[3]], packed(want.zero_point))
        for level, got in self.run_levels(outcome.path, {"i": index}).items():
            np.testing.assert_allclose(got[0], want.dequantize()[index], rtol=1e-6, atol=0, err_msg=level)

    @cases({"float16": (np.float16,), "three_axes": (np.float32,)})
    def others(self, dtype) -> None:
        shape = (300, 40) if dtype == np.float16 else (300, 3, 40)
        w, index = build.weights(*shape).astype(dtype), np.array([2, 299])
        model = build.model([node("Gather", "w i", "y")], {"i": index}, {"y": w[index]}, {"w": w})
        outcome = self.quantize(model, *flags(4), "--force-integer")
        lines = w.astype(np.float32).reshape(-1, 40)
        want = reference.quantize_blocks(lines, 32, 4, True).dequantize().reshape(shape)[index].astype(dtype)
        for level, got in self.run_levels(outcome.path, {"i": index}).items():
            np.testing.assert_array_equal(got[0], want, level)

    def test_odd_rows_are_folded(self) -> None:
        w, index = build.weights(500, 33), np.array([0, 499])
        model = build.model([node("Gather", "w i", "y")], {"i": index}, {"y": (2, 33)}, {"w": w})
        outcome = self.quantize(model, *flags(4), "--force-integer")
        self.assertIn("even length", outcome.weight("w")["uses"][0]["reason"])
        self.assert_folded(outcome)

    def test_others_are_folded(self) -> None:
        w, x = build.weights(24, 8, 3, 3), build.activations(1, 8, 9, 9)
        model = build.model([node("Conv", "x w", "y")], {"x": x.shape}, {"y": (1, 24, 7, 7)}, {"w": w})
        outcome = self.quantize(model, *flags(4))
        self.assertEqual(outcome.weight("w")["uses"][0]["reason"], "no operator takes it in blocks")
        self.assert_folds_to(
            outcome, {"x": x}, {"w": reference.fold_conv(w, reference.Scheme()).dequantize()}
        )


# name -> (dims of the weight, axis of the blocks, nodes, inputs, output)
PLAIN = {
    "matmul": ((500, 144), 0, "MatMul", {}, (5, 500), (5, 144)),
    "odd": ((257, 301), 0, "MatMul", {}, (5, 257), (5, 301)),
    "batch": ((3, 70, 130), 1, "MatMul", {}, (3, 5, 70), (3, 5, 130)),
    "gemm": ((144, 500), 1, "Gemm", {"transB": 1}, (5, 500), (5, 144)),
    "conv": ((9, 70, 3, 3), 1, "Conv", {}, (1, 70, 9, 9), (1, 9, 7, 7)),
    "conv_transpose": ((70, 9, 3, 3), 0, "ConvTranspose", {}, (1, 70, 9, 9), (1, 9, 11, 11)),
}


class Plain(OrtTest):
    """--method qdq in blocks, and with 4 bits."""

    def lines(self, w: np.ndarray, axis: int) -> np.ndarray:
        return np.ascontiguousarray(np.moveaxis(w, axis, -1)).reshape(-1, w.shape[axis])

    def back(self, lines: np.ndarray, w: np.ndarray, axis: int, length: int) -> np.ndarray:
        moved = np.moveaxis(w, axis, -1).shape[:-1] + (length,)
        return np.moveaxis(lines.reshape(moved), -1, axis)

    def assert_plain(self, outcome, feeds, want, scale, zero_point, values, bits) -> None:
        view = outcome.view()
        dequantize = view.node("w", "DequantizeLinear")
        self.assertEqual({n.domain for n in outcome.model.graph.node}, {""})
        codes = np.ascontiguousarray(want).reshape(-1)
        packed = reference.pack(codes) if bits == 4 else codes.astype(np.uint8)
        np.testing.assert_array_equal(raw_bytes(outcome, dequantize.input[0]), packed)
        np.testing.assert_array_equal(view.constant(dequantize.input[1]), scale)
        if len(dequantize.input) > 2:
            zero = np.ascontiguousarray(zero_point).reshape(-1)
            zero = reference.pack(zero) if bits == 4 else zero.astype(np.uint8)
            np.testing.assert_array_equal(raw_bytes(outcome, dequantize.input[2]), zero)
        else:
            self.assertFalse(zero_point.any())
        replaced = build.with_weights(outcome.original, {"w": np.ascontiguousarray(values)})
        expected = common.run(replaced, feeds, "disabled")[0]
        evaluated = ReferenceEvaluator(str(outcome.path)).run(None, feeds)[0]
        tolerance = {"rtol": 1e-4, "atol": 1e-5 * np.abs(expected).max()}
        np.testing.assert_allclose(evaluated, expected, **tolerance)
        np.testing.assert_allclose(common.run(outcome.path, feeds, "disabled")[0], expected, **tolerance)
        for level, got in self.run_levels(outcome.path, feeds).items():  # may have integers for x
            error = np.linalg.norm(got[0] - expected) / np.linalg.norm(expected)
            self.assertLess(error, 0.02, level)

    @cases(
        {
            f"{name}_{b}_{size}_{'sym' if symmetric else 'asym'}_{kind}": (name, b, size, symmetric, kind)
            for name in PLAIN
            for size in (16, 32)
            for b, symmetric, kind in ((8, True, "int8"), (8, False, "int8"), (8, True, "uint8"))
            + ((8, False, "uint8"), (4, True, "int4"), (4, False, "uint4"))
        }
    )
    def blocks(self, name, bits, size, symmetric, kind) -> None:
        dims, axis, op_type, values, x_shape, y_shape = PLAIN[name]
        w, x = build.weights(*dims), build.activations(*x_shape)
        model = build.model([node(op_type, "x w", "y", **values)], {"x": x.shape}, {"y": y_shape}, {"w": w})
        types = ["--weight-type", kind] if bits == 8 else []
        outcome = self.quantize(model, *flags(bits, size, symmetric, "qdq"), *types)
        want = reference.quantize_blocks(
            self.lines(w, axis), size, bits, symmetric, plain=True, signed=kind in ("int8", "int4")
        )
        length, n_blocks = w.shape[axis], want.scale.shape[1]
        codes = want.q.reshape(len(want.q), -1)[:, :length]
        self.assert_plain(
            outcome,
            {"x": x},
            self.back(codes, w, axis, length),
            self.back(want.scale, w, axis, n_blocks),
            self.back(want.zero_point, w, axis, n_blocks),
            self.back(want.dequantize(), w, axis, length),
            bits,
        )
        dequantize = outcome.view().node("w", "DequantizeLinear")
        self.assertEqual(attributes(dequantize), {"axis": axis, "block_size": size})
        self.assertEqual(outcome.weight("w")["block_size"], size)

    @cases({f"{name}_{s}": (name, s) for name in ("matmul", "odd", "conv") for s in (True, False)})
    def four_bits(self, name, symmetric) -> None:
        """Without a block size, a scale for each channel."""
        dims, axis, op_type, values, x_shape, y_shape = PLAIN[name]
        channel = 1 - axis if len(dims) == 2 else 0
        w, x = build.weights(*dims), build.activations(*x_shape)
        model = build.model([node(op_type, "x w", "y", **values)], {"x": x.shape}, {"y": y_shape}, {"w": w})
        outcome = self.quantize(model, *flags(4, None, symmetric, "qdq"))
        lines = np.moveaxis(w, channel, 0).reshape(dims[channel], -1)
        want = reference.quantize_blocks(
            np.ascontiguousarray(lines), lines.shape[1], 4, symmetric, plain=True, signed=symmetric
        )
        shape = np.moveaxis(w, channel, 0).shape

        def back(a):
            return np.moveaxis(a.reshape(shape), 0, channel)

        self.assert_plain(
            outcome,
            {"x": x},
            back(want.q),
            want.scale[:, 0],
            want.zero_point[:, 0],
            back(want.dequantize()),
            4,
        )

    @cases({f"{b}_{s}_{n}": (b, s, n) for b in (4, 8) for s in (32, 128) for n in ("matmul", "odd")})
    def fused(self, bits, size, name) -> None:
        """ONNX Runtime makes MatMulNBits of it."""
        dims, *_, x_shape, y_shape = PLAIN[name]
        w, x = build.weights(*dims), build.activations(*x_shape)
        outcome = self.quantize(build.matmul(x, w), *flags(bits, size, True, "qdq"))
        self.assertEqual(dict(self.optimized(outcome.path)), {"com.microsoft.MatMulNBits": 1})

    def test_older_opset(self) -> None:
        w, x = build.weights(500, 144), build.activations(5, 500)
        path = self.dir / "old.onnx"
        path.write_bytes(build.matmul(x, w, opset=20).SerializeToString())
        done = self.onnxq("quantize", *flags(4, 32, True, "qdq"), "-v", path, self.dir / "o.onnx", status=5)
        self.assertIn("need opset 21, the model has 20", done.stdout)

    def test_ir_version(self) -> None:
        """Types of 4 bits are there from IR version 10 on."""
        w, x = build.weights(500, 144), build.activations(5, 500)
        outcome = self.quantize(build.matmul(x, w, ir_version=9), *flags(4, 32, True, "qdq"))
        self.assertEqual(outcome.model.ir_version, 10)


class RoundTrips(OrtTest):
    """DequantizeLinear -> QuantizeLinear that changes nothing."""

    def model(self, scale_2: float = 0.05) -> onnx.ModelProto:
        values = {"s": np.float32(0.05), "z": np.int8(3), "s2": np.float32(scale_2), "z2": np.int8(3)}
        nodes = [
            node("QuantizeLinear", "x s z", "q"),
            node("DequantizeLinear", "q s z", "d"),
            node("QuantizeLinear", "d s2 z2", "r"),
            node("DequantizeLinear", "r s2 z2", "y"),
        ]
        return build.model(nodes, {"x": (40, 50)}, {"y": (40, 50)}, values)

    def test_removed(self) -> None:
        outcome = self.quantize(self.model(), "--method=qdq")
        left = [n.op_type for n in outcome.model.graph.node]
        self.assertEqual(left, ["QuantizeLinear", "DequantizeLinear"])
        self.assertEqual(outcome.report["summary"]["round_trips_removed"], 1)
        x = 8 * build.activations(40, 50)
        got, want = self.run_levels(outcome.path, {"x": x}), self.run_levels(outcome.source, {"x": x})
        for level in common.LEVELS:
            np.testing.assert_array_equal(got[level][0], want[level][0], level)

    @cases({"method": (0.05, "weights"), "scale": (0.06, "qdq")})
    def left(self, scale, method) -> None:
        path = self.dir / "m.onnx"
        onnx.save(self.model(scale), path)
        self.onnxq("quantize", f"--method={method}", path, self.dir / "o.onnx", status=5)

    @cases(["INT8", "UINT8", "INT16", "UINT16", "INT4", "UINT4"])
    def every_integer(self, name) -> None:
        """All integers of a type survive, whatever the scale."""
        kind = getattr(TensorProto, name)
        bits = int("".join(filter(str.isdigit, name)))
        low = 0 if name[0] == "U" else -(2 ** (bits - 1))
        numbers = np.arange(low, low + 2**bits)
        for seed in range(3):
            exponent = build.rng(seed).uniform(-37, 33)
            scale = np.float32(10**exponent)
            tensors = [
                numpy_helper.from_array(scale, "s"),
                onnx.helper.make_tensor("z", kind, [], [low + 5]),
                onnx.helper.make_tensor("q", kind, [len(numbers)], numbers),
            ]
            nodes = [node("DequantizeLinear", "q s z", "d"), node("QuantizeLinear", "d s z", "r")]
            nodes.append(node("Cast", "r", "y", to=TensorProto.INT32))
            graph = build.graph(nodes, {}, {})
            graph.initializer.extend(tensors)
            graph.output.append(build.info("y", (len(numbers),), TensorProto.INT32))
            outcome = self.quantize(build.model(graph), "--method=qdq")
            self.assertEqual([n.op_type for n in outcome.model.graph.node], ["Cast"])
            for path in (outcome.source, outcome.path):
                np.testing.assert_array_equal(common.run(path, {}, "disabled")[0], numbers)
