"""Gather, and operators without a rule of their own, whose weights are folded."""

import numpy as np
import onnx
from onnx import helper, numpy_helper

import build
import common
import reference
from build import node
from harness import OrtTest, Outcome, cases
from reference import SCHEMES, Scheme

DEFAULT = Scheme()
LARGE = (2100, 512)  # more than 2^20 elements
SMALL = (300, 48)
INDICES = {
    "rows": np.array([3, 0, 17, 3]),
    "one": np.array(5),
    "negative": np.array([-1, -300]),
    "matrix": np.array([[1, 2, 3], [4, 5, 299]]),
    "int32": np.array([7, 8], np.int32),
}


class Gather(OrtTest):
    def make(
        self, table: np.ndarray, indices: np.ndarray, axis: int = 0, opset: int = build.OPSET
    ) -> onnx.ModelProto:
        rows = np.take(table, indices, axis)
        return build.model(
            [node("Gather", "table rows", "y", axis=axis)],
            {"rows": indices},
            {"y": rows.shape},
            {"table": table},
            opset,
        )

    def check(
        self,
        outcome: Outcome,
        indices: np.ndarray,
        table: np.ndarray,
        axis: int = 0,
        scheme: Scheme = DEFAULT,
    ) -> None:
        """Exactly the rows of the dequantized table, at every level of optimization."""
        want = np.take(reference.quantize(table, scheme.folded, (axis,)).dequantize(), indices, axis)
        for level, outputs in self.run_levels(outcome.path, {"rows": indices}).items():
            np.testing.assert_array_equal(outputs[0], want, level)

    @cases(
        {
            f"{size}_{name}": (shape, indices)
            for size, shape in (("large", LARGE), ("small", SMALL))
            for name, indices in INDICES.items()
        }
    )
    def indices(self, shape, indices):
        table = build.weights(*shape)
        outcome = self.quantize(self.make(table, indices))
        self.check(outcome, indices, table)
        large = shape == LARGE
        self.assertEqual(outcome.weight("table")["action"], "dynamic" if large else "fold")
        if large:  # the table stays small in memory
            self.assertEqual(self.optimized(outcome.path)["Gather"], 2)
        else:
            self.assert_folded(outcome)

    @cases(
        {
            f"rank_{len(shape)}_axis_{axis}": (shape, axis)
            for shape in ((2100, 512), (64, 32, 520), (20, 30, 40, 50))
            for axis in range(-len(shape), len(shape))
        }
    )
    def axes(self, shape, axis):
        table, indices = build.weights(*shape), np.array([[1, 3], [-1, 0]])
        outcome = self.quantize(self.make(table, indices, axis))
        self.assertEqual(outcome.weight("table")["action"], "dynamic")
        self.check(outcome, indices, table, axis)

    @cases(
        {
            f"{size}_{name}": (shape, scheme)
            for size, shape in (("large", LARGE), ("small", SMALL))
            for name, scheme in SCHEMES.items()
        }
    )
    def schemes(self, shape, scheme):
        table = build.weights(*shape)
        self.check(
            self.quantize(self.make(table, INDICES["rows"]), *scheme.flags()),
            INDICES["rows"],
            table,
            scheme=scheme,
        )

    @cases([7, 9, 10, 11, 13, build.NEWEST])
    def opsets(self, opset):
        table, indices = build.weights(*LARGE), np.array([1, 3])
        self.check(self.quantize(self.make(table, indices, opset=opset)), indices, table)

    def test_two_gathers_share_the_table(self):
        table = build.weights(*LARGE)
        nodes = [node("Gather", "table rows", "y"), node("Gather", "table more", "z")]
        outcome = self.quantize(
            build.model(
                nodes,
                {"rows": INDICES["rows"], "more": INDICES["one"]},
                {"y": (4, 512), "z": (512,)},
                {"table": table},
            )
        )
        self.assertLess(outcome.path.stat().st_size, 1.02 * table.size)
        want = reference.quantize(table, DEFAULT, (0,)).dequantize()
        y, z = common.run(outcome.path, {"rows": INDICES["rows"], "more": INDICES["one"]})
        np.testing.assert_array_equal(y, want[INDICES["rows"]])
        np.testing.assert_array_equal(z, want[5])

    def test_integer_table_is_left_alone(self):
        ids = np.arange(5000, dtype=np.int64)
        nodes = [node("Gather", "ids rows", "picked"), node("Gather", "table picked", "y")]
        table = build.weights(5000, 300)
        outcome = self.quantize(
            build.model(nodes, {"rows": INDICES["rows"]}, {"y": (4, 300)}, {"ids": ids, "table": table})
        )
        self.check(outcome, INDICES["rows"], table)


def folded_models() -> dict[str, tuple]:
    """name -> (nodes, input shapes, constants, axes of the large weight that have scales of their own)"""
    x = (1, 8, 9, 9)
    return {
        "conv_transpose": ([node("ConvTranspose", "x w", "y")], {"x": x}, {"w": (8, 6, 3, 3)}, {"w": (1,)}),
        "conv_transpose_grouped": (
            [node("ConvTranspose", "x w", "y", group=2)],
            {"x": x},
            {"w": (8, 6, 3, 3)},
            {"w": (0, 1)},
        ),
        "rnn": (
            [node("RNN", "x w r", "y", hidden_size=24)],
            {"x": (5, 1, 16)},
            {"w": (1, 24, 16), "r": (1, 24, 24)},
            {"w": (0, 1), "r": (0, 1)},
        ),
        "gru": (
            [node("GRU", "x w r", "y", hidden_size=24)],
            {"x": (5, 1, 16)},
            {"w": (1, 3 * 24, 16), "r": (1, 3 * 24, 24)},
            {"w": (0, 1), "r": (0, 1)},
        ),
        "einsum": (
            [node("Einsum", "x w", "y", equation="bi,io->bo")],
            {"x": (3, 64)},
            {"w": (64, 48)},
            {"w": (0,)},
        ),
    }


class Folded(OrtTest):
    @cases(
        {
            f"{name}_opset_{opset}": (name, opset)
            for name in folded_models()
            for opset in (9, 13, 21)
            if (name, opset) != ("einsum", 9)
        }
    )
    def operators(self, name, opset):
        """The same graph after optimization, and exactly the dequantized weights."""
        nodes, inputs, shapes, axes = folded_models()[name]
        constants = {key: build.weights(*shape, seed=i) for i, (key, shape) in enumerate(shapes.items())}
        outputs = {"y": [None] * (2 if name == "einsum" else 4)}
        outcome = self.quantize(build.model(nodes, inputs, outputs, constants, opset), min_elements=256)
        if name.startswith("conv_transpose"):
            stored = {"w": reference.fold(constants["w"], DEFAULT, 1, True, len(axes["w"]) > 1).dequantize()}
        else:
            stored = {k: reference.quantize(constants[k], DEFAULT, keep).dequantize() for k, keep in axes.items()}
        self.assertEqual(
            {key: outcome.weight(key)["action"] for key in stored}, dict.fromkeys(stored, "fold")
        )
        self.assert_folds_to(outcome, {"x": build.activations(*inputs["x"])}, stored)

    def test_contrib_operator(self):
        """FusedMatMul, as in models that ONNX Runtime optimized before."""
        w, x = build.weights(64, 48), build.activations(3, 48)
        fused = helper.make_node(
            "FusedMatMul", ["x", "w"], ["y"], domain="com.microsoft", transB=1, alpha=0.5
        )
        outcome = self.quantize(
            build.model([fused], {"x": x.shape}, {"y": (3, 64)}, {"w": w}, imports={"com.microsoft": 1})
        )
        want = 0.5 * x @ reference.quantize(w, DEFAULT, (0,)).dequantize().T
        self.assertEqual(outcome.weight("w")["action"], "fold")
        self.assert_close(common.run(outcome.path, {"x": x})[0], want, 1e-4 * np.abs(want).max())

    def test_quantized_models_are_left_alone(self):
        """What is in integers already has nothing to gain."""
        q = numpy_helper.from_array(np.ones((64, 48), np.int8), "q")
        nodes = [node("DequantizeLinear", "q s", "w", axis=1), node("MatMul", "x w", "y")]
        onnx.save(
            build.model(nodes, {"x": (3, 64)}, {"y": (3, 48)}, {"q": q, "s": np.ones(48, np.float32)}),
            self.dir / "model.onnx",
        )
        self.onnxq("quantize", self.dir / "model.onnx", self.dir / "out.onnx", "--min-elements=1", status=5)

    def test_quantizing_twice_does_nothing(self):
        """The output of onnxq has nothing left to quantize."""
        x, w, v = (build.K,), build.weights(build.K, build.N), build.weights(build.K, build.SMALL_N)
        nodes = [node("MatMul", "x w", "y"), node("MatMul", "x v", "z")]
        model = build.model(nodes, {"x": x}, {"y": (build.N,), "z": (build.SMALL_N,)}, {"w": w, "v": v})
        outcome = self.quantize(model)
        self.onnxq("quantize", outcome.path, self.dir / "again.onnx", status=5)
        self.onnxq("quantize", outcome.path, self.dir / "again.onnx", "--allow-noop")
        self.assertEqual((self.dir / "again.onnx").read_bytes(), outcome.path.read_bytes())
