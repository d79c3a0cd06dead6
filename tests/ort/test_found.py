"""What random models have found (tests/random), each as a small model."""

import numpy as np
import onnx
from onnx import TensorProto

import build
from build import node
from harness import OrtTest, cases


class AmongIntegers(OrtTest):
    def test_quantized_weights_do_not_make_their_operator_one_of_integers(self):
        """R would have a scale for all of it because W, in a first run, became DequantizeLinear."""
        hidden, width = 1, 33
        lstm = node("LSTM", "x w r", "y", hidden_size=hidden)
        x = build.activations(1, 4, width)
        constants = {
            "w": build.weights(1, 4 * hidden, width),
            "r": build.weights(1, 4 * hidden, hidden),
        }
        model = build.model([lstm], {"x": x.shape}, {"y": (1, 1, 4, hidden)}, constants, 18)
        outcome = self.quantize(model, "--method", "qdq")
        self.assertEqual([outcome.weight(n)["action"] for n in "wr"], ["fold", "keep"])
        self.assertTrue(np.isfinite(self.run_levels(outcome.path, {"x": x})["all"][0]).all())


class Size(OrtTest):
    def test_float_zero_points_count(self):
        """64 rows of 2 with a scale and a float zero point for each would be larger than the floats."""
        w, x = build.weights(64, 2), build.activations(4, 64)
        nodes = [node("Identity", "w", "v"), node("MatMul", "x v", "y")]
        large = {"w": w, "a": build.weights(64, 64)}
        nodes.append(node("MatMul", "x a", "z"))
        model = build.model(nodes, {"x": x.shape}, {"y": (4, 2), "z": (4, 64)}, large)
        outcome = self.quantize(model, "--no-symmetric")
        found = outcome.weight("w")
        self.assertLessEqual(found["nbytes_after"], found["nbytes"])

    @cases(
        {
            "one number, many columns": ({"alpha": 0.5, "transB": 1}, (33, 1), np.float32(0.5)),
            "a row times beta": ({"beta": 2.0, "transB": 1}, (40, 2), build.weights(40)),
        }
    )
    def bias_and_scales_of_a_gemm_count(self, attributes, shape, c):
        """Per tensor, the scale is written for each column, and C as a row."""
        x, w = build.activations(4, shape[1]), build.weights(*shape)
        gemm = node("Gemm", "x w c", "y", **attributes)
        large = {"w": w, "c": c, "a": build.weights(shape[1], 256)}
        model = build.model(
            [gemm, node("MatMul", "x a", "z")], {"x": x.shape}, {"y": (4, shape[0]), "z": (4, 256)}, large
        )
        outcome = self.quantize(model, "--force-integer", "--no-per-channel")
        found = [outcome.weight(name) for name in "wc"]
        self.assertLess(sum(f["nbytes_after"] for f in found), sum(f["nbytes"] for f in found))

    def test_a_row_that_is_too_much_beside_a_gemm_is_added(self):
        """In a second run it is computed, as it was folded for others, and would be added anyway."""
        x, w = build.activations(4, 3).astype(np.float64), build.weights(2, 3).astype(np.float64)
        gemm = node("Gemm", "x w c", "y", transB=1, beta=-1.0)
        constants = {"w": w, "c": build.weights(2).astype(np.float64)}
        model = build.model([gemm], {"x": x}, {"y": np.zeros((4, 2))}, constants)
        outcome = self.quantize(model, "--method=blocks", "--bits=4", "--force-integer")
        self.assertEqual(outcome.weight("w")["action"], "dynamic")
        want = x @ w.T - constants["c"]
        for (found,) in self.run_levels(outcome.path, {"x": x}).values():
            self.assert_close(found, want, 0.3 * np.abs(want).max())

    def test_scales_of_a_convolution_count(self):
        """Of kernels of one point of one channel, a scale for each weighs as much as their floats."""
        x, w = build.activations(1, 3, 4, 4), build.weights(24, 1, 1, 1).astype(np.float16)
        conv = node("Conv", "x w", "y", group=3)
        model = build.model([conv], {"x": x.astype(np.float16)}, {"y": np.zeros((1, 24, 4, 4), np.float16)}, {"w": w})
        outcome = self.quantize(model, "--conv=integer", "--no-per-channel")
        self.assertEqual(outcome.weight("w")["action"], "fold")

    def test_short_rows_get_no_16_bits(self):
        """Rows of 2: two integers of 16 bits and a scale are what two floats were."""
        x, w = build.activations(4, 2), build.weights(2, 64)
        model = build.model([node("MatMul", "x w", "y")], {"x": x.shape}, {"y": (4, 64)}, {"w": w})
        outcome = self.quantize(model, "--method=weights", "--fold-bits=16")
        self.assertEqual(outcome.weight("w")["bits"], 8)
        self.assertLess(outcome.weight("w")["nbytes_after"], w.nbytes)


class Tiny(OrtTest):
    """The smallest normal float32 is 1.2e-38: so is the smallest scale."""

    @cases(
        {
            "zero points": (("--method=weights", "--no-symmetric"), 1.0),
            "blocks": (("--method=blocks", "--no-symmetric", "--force-integer"), 1.0),
            "DequantizeLinear": (("--method=qdq",), 1.0),
            "16 bits": (("--method=weights", "--fold-bits=16"), 1.0),
            "times alpha": (("--force-integer",), 3e38),
        }
    )
    def each_scale_has_to_hold(self, flags, alpha):
        """The largest row has a scale, the others have none: they would be zeros, or a step."""
        w = build.rng().uniform(-1, 1, (64, 32)).astype(np.float32) * np.float32(1e-37)
        w[5] *= 20
        x = build.activations(4, 32)
        gemm = node("Gemm", "x w", "y", transB=1, alpha=alpha)
        other = node("MatMul", "x a", "z")
        constants = {"w": w, "a": build.weights(32, 256)}
        model = build.model([gemm, other], {"x": x.shape}, {"y": (4, 64), "z": (4, 256)}, constants)
        use = self.quantize(model, *flags).weight("w")["uses"][0]
        self.assertEqual((use["action"], use["reason"]), ("keep", "too small for a scale in float32"))

    def test_beside_large_numbers_it_is_nothing(self):
        w = build.weights(64, 64)
        w[5] *= np.float32(1e-37)
        model = build.model([node("MatMul", "x w", "y")], {"x": (4, 64)}, {"y": (4, 64)}, {"w": w})
        for bits in ("8", "16"):
            outcome = self.quantize(model, "--method=weights", f"--fold-bits={bits}")
            self.assertEqual(outcome.weight("w")["action"], "fold")


class BetweenWeightAndIntegers(OrtTest):
    @cases(
        {
            "Identity": ("Identity", {}, (8, 16), None),
            "Dropout": ("Dropout", {}, (8, 16), None),
            "Transpose": ("Transpose", {"perm": [1, 0]}, (16, 8), None),
            "Reshape": ("Reshape", {}, (4, 32), np.array([8, 16])),
            "Cast": ("Cast", {"to": 1}, (8, 16), None),
            "Expand": ("Expand", {}, (8, 16), np.array([8, 16])),
            "times 1": ("Mul", {}, (8, 16), np.float32(1)),
            "plus 0": ("Add", {}, (8, 16), np.float32(0)),
        }
    )
    def there_is_one_scale(self, op_type, attributes, shape, second):
        """The engine takes the node away, and then no scales along the rows of a product."""
        w, xq = build.weights(*shape), build.rng().integers(0, 20, (4, 8)).astype(np.uint8)
        constants = {"w": w, "s": np.float32(0.1), "p": np.uint8(3)}
        if second is not None:
            constants["c"] = second
        nodes = [
            node("DequantizeLinear", "q s p", "x"),
            node(op_type, "w c" if second is not None else "w", "v", **attributes),
            node("Identity", "v", "u"),
            node("MatMul", "x u", "y"),
        ]
        for weight_type in ("int8", "uint8"):
            outcome = self.quantize(
                build.model(nodes, {"q": xq}, {"y": (4, 16)}, constants, 16),
                "--method=qdq",
                f"--weight-type={weight_type}",
            )
            found = self.run_levels(outcome.path, {"q": xq})
            np.testing.assert_allclose(found["all"][0], found["disabled"][0], rtol=1e-4, atol=1e-4)
            self.assertEqual(outcome.weight("w")["action"], "fold")

    def test_two_weights_of_uint8(self):
        """They are a product of integers by themselves; one of them and floats are none."""
        w, v, x = build.weights(8, 16), build.weights(16, 32), build.activations(4, 8)
        one = [node("Identity", "w", "i"), node("MatMul", "x i", "y")]
        two = [node("Identity", "w", "i"), node("Identity", "v", "j"), node("MatMul", "i j", "y")]
        for nodes, inputs, shape, n_scales in ((one, {"x": x}, (4, 16), 8), (two, {}, (8, 32), 1)):
            constants = {"w": w, "v": v} if nodes is two else {"w": w}
            model = build.model(nodes, inputs, {"y": shape}, constants, 16)
            outcome = self.quantize(model, "--method=qdq", "--weight-type=uint8")
            self.assertEqual(outcome.weight("w")["scales"], n_scales)
            found = self.run_levels(outcome.path, inputs)
            np.testing.assert_allclose(found["all"][0], found["disabled"][0], rtol=0.02, atol=0.1)


class Rows(OrtTest):
    @cases({"rows": (1,), "rows_and_a_product": (2,), "rows_twice": (3,)})
    def float_zero_points_of_rows_count(self, users):
        """A scale and a zero point for every two floats; a product would have integer ones beside them."""
        w = build.weights(2, 64)
        nodes = [node("Gather", "w i", "y", axis=1)]
        outputs = {"y": (2, 3)}
        if users == 2:
            nodes += [node("MatMul", "x w", "z")]
            outputs["z"] = (4, 64)
        if users == 3:
            w = build.weights(64, 24)
            nodes = [node("Gather", "w i", "y"), node("Gather", "w j", "z")]
            outputs = {"y": (3, 24), "z": (3, 24)}
        nodes.append(node("MatMul", "v large", "u"))
        outputs["u"] = (4, 64)
        integers = np.zeros(3, np.int64)
        inputs = {"i": integers, "j": integers, "x": (4, 2), "v": (4, 64)}
        model = build.model(nodes, inputs, outputs, {"w": w, "large": build.weights(64, 64)})
        outcome = self.quantize(model, "--no-symmetric", "--force-integer")
        found = outcome.weight("w")
        most = w.size + 64 * 8 if users == 3 else w.nbytes
        self.assertLessEqual(found["nbytes_after"], most)


class SeveralUses(OrtTest):
    @cases(["8", "4"])
    def of_which_one_takes_no_dequantize_linear(self, bits):
        """A float16 weight that is rearranged is multiplied out, and its shape is asked for beside."""
        w, x = build.weights(2, 4, 32, 64).astype(np.float16), build.activations(2, 4, 16, 64).astype(np.float16)
        nodes = [
            node("Shape", "w", "s"),
            node("Transpose", "w", "t", perm=[0, 1, 3, 2]),
            node("MatMul", "x t", "y"),
        ]
        model = build.model(nodes, {"x": x}, {"y": np.matmul(x, w.swapaxes(2, 3)), "s": np.array([2, 4, 32, 64])}, {"w": w}, 21)
        outcome = self.quantize(model, "--method=qdq", "--block-size=16", f"--bits={bits}")
        want = self.run_levels(self.dir / "model.onnx", {"x": x})["disabled"][0].astype(np.float64)
        for found in self.run_levels(outcome.path, {"x": x}).values():
            self.assertLess(np.linalg.norm(found[0] - want) / np.linalg.norm(want), 0.03)


class Returned(OrtTest):
    @cases(["dynamic", "blocks"])
    def a_gemm_that_is_transposed_stays_an_output(self, method):
        """A Transpose behind it would be made part of it, and what it computes lost."""
        w, v, x = build.weights(64, 48), build.weights(16, 32, seed=5), build.activations(16, 64)
        nodes = [node("Gemm", "x w", "a"), node("Gemm", "a v", "b", transA=1)]
        model = build.model(nodes, {"x": x.shape}, {"a": (16, 48), "b": (48, 32)}, {"w": w, "v": v})
        outcome = self.quantize(model, "--force-integer", "--method", method, "--exclude", "w")
        self.assertEqual(outcome.weight("v")["action"], "fold")
        want = self.run_levels(self.dir / "model.onnx", {"x": x})["disabled"]
        for found in self.run_levels(outcome.path, {"x": x}).values():
            np.testing.assert_allclose(found[0], want[0], rtol=1e-5, atol=1e-5)


class SmallResults(OrtTest):
    """Activations in 8 bits have a step of the largest one; a logarithm or divisor sees what is smaller."""

    @cases(
        {
            f"{method}_{name}": (method, nodes)
            for method in ("dynamic", "blocks", "qdq")
            for name, nodes in {
                "log": [node("Clip", "m low", "c"), node("Log", "c", "y")],
                "divisor": [node("Div", "one m", "y")],
                "reciprocal": [node("Reciprocal", "m", "y")],
                "power": [node("Pow", "m p", "y")],
                "root": [node("Sqrt", "m", "y")],
                "fraction": [node("Relu", "m", "r"), node("Pow", "r q", "y")],
            }.items()
        }
    )
    def products(self, method, nodes):
        rng = np.random.default_rng(1)
        x = np.exp(3 * rng.standard_normal((8, 256))).astype(np.float32)
        constants = {
            "w": np.abs(rng.standard_normal((256, 256))).astype(np.float32),
            "low": np.float32(1e-10),
            "one": np.float32(1),
            "p": np.float32(-0.5),
            "q": np.float32(0.3),
        }
        model = build.model([node("MatMul", "x w", "m"), *nodes], {"x": x.shape}, {"y": (8, 256)}, constants)
        outcome = self.quantize(model, "--method", method)
        # Behind DequantizeLinear of 8 bits the engine would make MatMulNBits, which rounds activations.
        is_root = nodes[-1].op_type == "Sqrt" or "q" in nodes[-1].input
        wide = "DequantizeLinear" if method == "qdq" else "int16 folded at load"
        form = "int8 folded at load" if is_root else wide
        self.assertEqual([u["form"] for u in outcome.weight("w")["uses"]], [form])
        want = self.run_levels(self.dir / "model.onnx", {"x": x})["disabled"][0]
        for found in self.run_levels(outcome.path, {"x": x}).values():
            self.assertLess(np.linalg.norm(found[0] - want) / np.linalg.norm(want), 0.02)

    def test_what_is_divided(self):
        """A dividend may be as rounded as any result."""
        w, x = build.weights(256, 256), build.activations(4, 256)
        nodes = [node("MatMul", "x w", "m"), node("Div", "m s", "y")]
        model = build.model(nodes, {"x": x.shape}, {"y": (4, 256)}, {"w": w, "s": np.float32(8)})
        self.assertEqual(self.quantize(model).weight("w")["action"], "dynamic")

    def test_a_spectrum(self):
        """Both the transform and the filterbank: cancellation leaves small results of either."""
        basis, mel = build.weights(128, 64), np.abs(build.weights(64, 64, seed=2))
        nodes = [
            node("MatMul", "x basis", "re"),
            node("Mul", "re re", "a"),
            node("MatMul", "x other", "im"),
            node("Mul", "im im", "b"),
            node("Add", "a b", "p"),
            node("MatMul", "p mel", "m"),
            node("Clip", "m low", "c"),
            node("Log", "c", "y"),
        ]
        constants = {"basis": basis, "other": basis[::-1].copy(), "mel": mel, "low": np.float32(1e-10)}
        x = build.activations(4, 128)
        outcome = self.quantize(build.model(nodes, {"x": x.shape}, {"y": (4, 64)}, constants))
        for name in ("basis", "other", "mel"):
            self.assertEqual([u["form"] for u in outcome.weight(name)["uses"]], ["int16 folded at load"])

    @cases(
        {
            "magnitude": ([node("Sqrt", "p", "s"), node("MatMul", "s mel", "m"), node("Log", "m", "y")],),
            "norm": ([node("Pow", "p half", "s"), node("MatMul", "s mel", "m"), node("Log", "m", "y")],),
            "no_filters": ([node("Sqrt", "p", "s"), node("Add", "s low", "m"), node("Log", "m", "y")],),
            "phase": ([node("Sqrt", "p", "s"), node("Div", "re s", "y")],),
        }
    )
    def a_spectrum_of_roots(self, nodes):
        """The root of what is small is small, and a logarithm sees it."""
        nodes = [
            node("MatMul", "x basis", "re"), node("MatMul", "x other", "im"), node("Mul", "re re", "a"),
            node("Mul", "im im", "b"), node("Add", "a b", "p"), *nodes,
        ]  # fmt: skip
        basis = build.weights(128, 64)
        constants = {"basis": basis, "other": basis[::-1].copy(), "mel": np.abs(build.weights(64, 64, seed=2))}
        constants |= {"low": np.float32(1e-5), "half": np.float32(0.5)}
        used = {n for made in nodes for n in made.input}
        constants = {n: a for n, a in constants.items() if n in used}
        outcome = self.quantize(build.model(nodes, {"x": (4, 128)}, {"y": (4, 64)}, constants))
        for name in {"basis", "other", "mel"} & used:
            self.assertEqual([u["form"] for u in outcome.weight(name)["uses"]], ["int16 folded at load"], name)

    @cases({"l2": ("ReduceL2",), "square": ("ReduceSumSquare",)})
    def a_spectrum_by_its_norm(self, op_type):
        """Of real and imaginary parts beside each other."""
        nodes = [
            node("MatMul", "x basis", "f"), node("Reshape", "f shape", "r"), node(op_type, "r axes", "p", keepdims=0),
            node("MatMul", "p mel", "m"), node("Log", "m", "y"),
        ]  # fmt: skip
        constants = {
            "basis": build.weights(128, 128), "mel": np.abs(build.weights(64, 64, seed=2)),
            "shape": np.array([4, 64, 2]), "axes": np.array([2]),
        }  # fmt: skip
        outcome = self.quantize(build.model(nodes, {"x": (4, 128)}, {"y": (4, 64)}, constants))
        for name in "basis", "mel":
            self.assertEqual([u["form"] for u in outcome.weight(name)["uses"]], ["int16 folded at load"], name)

    @cases({"dynamic": (), "qdq": ("--method=qdq",)})
    def probabilities_over_decades(self, *options):
        p = 10 ** np.random.default_rng(3).uniform(-7, 0, (128, 128)).astype(np.float32)
        nodes = [node("MatMul", "x p", "m"), node("Log", "m", "l"), node("MatMul", "l v", "y")]
        constants = {"p": p, "v": build.weights(128, 128)}
        model = build.model(nodes, {"x": (4, 128)}, {"y": (4, 128)}, constants)
        weight = self.quantize(model, *options).weight("p")
        self.assertEqual(weight["action"], "keep")
        self.assertIn("spans too much for 16 bits", weight["uses"][0]["reason"])

    @cases(
        {
            "deviation": ([
                node("ReduceMean", "m", "a"),
                node("Sub", "m a", "d"),
                node("Pow", "d two", "s"),
                node("ReduceMean", "s", "v"),
                node("Sqrt", "v", "y"),
            ],),
            "square": ([node("Mul", "m m", "s"), node("Add", "s two", "a"), node("Sqrt", "a", "y")],),
            "power": ([node("Pow", "m two", "s"), node("Sqrt", "s", "y")],),
            "integer_power": ([node("Pow", "m four", "y")],),
        }
    )
    def roots_of_squares(self, nodes):
        """Of a square or an average, a root is no steeper than what it is made of."""
        w, x = build.weights(256, 256), build.activations(4, 256)
        constants = {"w": w, "two": np.float32(2), "four": np.float32(4)}
        model = build.model([node("MatMul", "x w", "m"), *nodes], {"x": x.shape}, {"y": ("n", "m")}, constants)
        self.assertEqual(self.quantize(model).weight("w")["action"], "dynamic")


class FirstLayers(OrtTest):
    """All activations have one scale in integers, whatever their features are."""

    def make(self, x, w):
        nodes = [node("Reshape", "x flat", "f"), node("Gemm", "f w", "h", transB=1), node("MatMul", "h v", "y")]
        constants = {"flat": np.array([0, -1]), "w": w.T.copy(), "v": build.weights(w.shape[1], 64)}
        return build.model(nodes, {"x": x.shape}, {"y": (len(x), 64)}, constants)

    @cases(
        {
            "dynamic": ((), "int8 folded at load", 3),
            "blocks": (("--method=blocks",), "int8 folded at load", 3),
            "qdq": (("--method=qdq",), "DequantizeLinear", 2.5),
            "zero points": (("--no-symmetric",), "int16 folded at load", 2.5),
            "qdq, wide": (("--method=qdq",), "", 3),
            "zero points, wide": (("--no-symmetric",), "", 3),
        }
    )
    def features_of_unlike_size(self, options, form, decades):
        """Where one scale has to do for all inputs, even 16 bits are too few from 512 times on."""
        sizes = 10 ** np.linspace(0, decades, 256)
        x = (build.activations(8, 256) * sizes).astype(np.float32)
        w = (build.weights(256, 256) / sizes[:, None]).astype(np.float32)
        outcome = self.quantize(self.make(x, w), *options)
        use = outcome.weight("w")["uses"][0]
        self.assertEqual(use["form"], form)
        self.assertIn("its inputs are of unlike size", use["reason"])
        want = self.run_levels(self.dir / "model.onnx", {"x": x})["disabled"][0]
        for found in self.run_levels(outcome.path, {"x": x}).values():
            self.assertLess(np.linalg.norm(found[0] - want) / np.linalg.norm(want), 0.03)

    def test_features_of_like_size(self):
        x, w = build.activations(8, 256), build.weights(256, 256)
        self.assertEqual(self.quantize(self.make(x, w)).weight("w")["action"], "dynamic")

    def test_outputs_that_are_one_input_each(self):
        x, w = build.activations(8, 256), np.eye(256, dtype=np.float32)[:, ::-1].copy()
        outcome = self.quantize(self.make(x, w))
        self.assertEqual(outcome.weight("w")["action"], "fold")
        self.assertIn("each of its outputs is one input", outcome.weight("w")["uses"][0]["reason"])


METHODS = {
    "dynamic": (),
    "weights": ("--method=weights",),
    "blocks": ("--method=blocks",),
    "qdq": ("--method=qdq",),
    "qdq_blocks": ("--method=qdq", "--block-size=32"),
}


def beside(nodes: list, x: np.ndarray, y: np.ndarray, constants: dict, opset: int) -> onnx.ModelProto:
    """Nodes from x to y, and a product that is quantized all the same."""
    v = build.weights(x.shape[-1], 96).astype(x.dtype)
    z = np.zeros((*x.shape[:-1], 96), x.dtype)
    return build.model([*nodes, node("MatMul", "x v", "z")], {"x": x}, {"y": y, "z": z}, {**constants, "v": v}, opset)


class Cut(OrtTest):
    """A result that is off by anything is another integer; so nothing in front of it is rounded."""

    @cases(
        {
            f"{method}_{name}": (flags, nodes)
            for method, flags in METHODS.items()
            for name, nodes in {
                "cast": [node("Cast", "m", "i", to=TensorProto.INT64), node("Cast", "i", "y", to=1)],
                "bool": [node("Floor", "m", "f"), node("Equal", "f m", "e"), node("Cast", "e", "y", to=1)],
                "durations": [
                    node("Mul", "m small", "n"), node("Exp", "n", "e"), node("Add", "e one", "a"),
                    node("Ceil", "a", "y"),
                ],
                "remainder": [node("Mod", "m one", "y", fmod=1)],
            }.items()
        }
    )  # fmt: skip
    def products(self, flags, nodes):
        rng = np.random.default_rng(1)
        constants = {
            "w": rng.integers(-1000, 1000, (256, 256)).astype(np.float32),
            "small": np.float32(1e-4),
            "one": np.float32(1),
        }
        x = rng.integers(0, 2, (64, 256)).astype(np.float32)
        model = beside([node("MatMul", "x w", "m"), *nodes], x, x, constants, 21)
        outcome = self.quantize(model, *flags)
        want = self.run_levels(self.dir / "model.onnx", {"x": x})
        for level, found in self.run_levels(outcome.path, {"x": x}).items():
            np.testing.assert_array_equal(found[0], want[level][0], level)
        self.assertIn("compared, or cut to integers, in", outcome.weight("w")["uses"][0]["reason"])

    def test_scores(self):
        """Every classifier ends in ArgMax."""
        w, x = build.weights(256, 256), build.activations(4, 256)
        nodes = [node("MatMul", "x w", "m"), node("ArgMax", "m", "a"), node("Cast", "a", "y", to=1)]
        model = build.model(nodes, {"x": x.shape}, {"y": (1, 256)}, {"w": w})
        self.assertEqual(self.quantize(model).weight("w")["action"], "dynamic")


class Angles(OrtTest):
    """A turn is a turn, whatever the largest angle is."""

    @cases(
        {
            f"{method}_{opset}_{dtype.__name__}": (flags, opset, dtype)
            for method, flags in {**METHODS, "qdq_4": ("--method=qdq", "--bits=4")}.items()
            for opset in (17, 21)
            for dtype in (np.float32, np.float16)
            if opset == 21 or not {"qdq_blocks", "qdq_4"} & {method}
        }
    )
    def features(self, flags, opset, dtype):
        rng = np.random.default_rng(1)
        x = rng.standard_normal((64, 128))
        x = (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(dtype)
        constants = {"w": rng.standard_normal((512, 128)).astype(dtype), "f": np.array(20 * np.pi, dtype)}
        nodes = [
            node("Transpose", "w", "t", perm=[1, 0]), node("MatMul", "x t", "m"), node("Mul", "m f", "a"),
            node("Sin", "a", "y"),
        ]  # fmt: skip
        model = beside(nodes, x, np.zeros((64, 512), dtype), constants, opset)
        outcome = self.quantize(model, *flags)
        self.assertEqual(outcome.weight("w")["action"], "fold" if dtype == np.float32 else "keep")
        self.assertIn("its product is an angle", str(outcome.weight("w")["uses"]))
        want = self.run_levels(self.dir / "model.onnx", {"x": x})["disabled"][0].astype(np.float64)
        for found in self.run_levels(outcome.path, {"x": x}).values():
            self.assertLess(np.linalg.norm(found[0] - want) / np.linalg.norm(want), 0.01)


class Places(OrtTest):
    """Where a picture is looked at: terms of a sum that nearly take each other away."""

    @cases(METHODS)
    def grid(self, *flags):
        rng = np.random.default_rng(1)
        large, small = rng.standard_normal((2, 48, 2 * 32 * 32)).astype(np.float32)
        constants = {"w": np.concatenate([3 * large, 0.1 * small]), "s": np.array([1, 32, 32, 2])}
        x = np.concatenate([np.zeros((1, 48)), 0.3 * rng.standard_normal((1, 48))], 1).astype(np.float32)
        nodes = [node("MatMul", "x w", "m"), node("Reshape", "m s", "g"), node("GridSample", "z g", "y")]
        feeds = {"x": x, "z": rng.standard_normal((1, 1, 32, 32)).astype(np.float32)}
        model = build.model(nodes, {n: a.shape for n, a in feeds.items()}, {"y": (1, 1, 32, 32)}, constants, opset=21)
        outcome = self.quantize(model, *flags)
        self.assertIn("an angle or a coordinate", str(outcome.weight("w")["uses"]))
        want = self.run_levels(self.dir / "model.onnx", feeds)["disabled"][0]
        for found in self.run_levels(outcome.path, feeds).values():
            self.assertLess(np.linalg.norm(found[0] - want) / np.linalg.norm(want), 0.02)


class Coarse(OrtTest):
    """Where 16 bits are wanted and cannot be had, 8 are not what is written instead."""

    @cases({f"opset_{opset}_{dtype.__name__}": (opset, dtype) for opset in (13, 17, 21) for dtype in (np.float32, np.float16)})
    def elements(self, opset, dtype):
        w = (1000 * np.random.default_rng(1).standard_normal((64, 128))).astype(dtype)
        x = build.activations(64, 128).astype(dtype)
        model = beside([node("Add", "x w", "y")], x, x, {"w": w}, opset)
        outcome = self.quantize(model, "--method=qdq")
        self.assertEqual(outcome.weight("w")["action"], "fold" if dtype == np.float32 else "keep")
        want = self.run_levels(self.dir / "model.onnx", {"x": x})["disabled"][0].astype(np.float64)
        for found in self.run_levels(outcome.path, {"x": x}).values():
            self.assertLess(np.abs(found[0] - want).max(), 0.06)

    @cases({f"opset_{opset}_{dtype.__name__}": (opset, dtype) for opset in (13, 21) for dtype in (np.float32, np.float16)})
    def recurrent(self, opset, dtype):
        """Channels with outliers, folded in a model that has a GRU."""
        w = build.weights(64, 64).astype(dtype)
        w[:, ::16] *= 16
        constants = {"w": w, "r": build.weights(1, 48, 64).astype(dtype), "h": build.weights(1, 48, 16).astype(dtype)}
        x = build.activations(4, 1, 64).astype(dtype)
        nodes = [node("Transpose", "w", "t"), node("MatMul", "x t", "a"), node("GRU", "a r h", "y", hidden_size=16)]
        model = beside(nodes, x, np.zeros((4, 1, 1, 16), dtype), constants, opset)
        outcome = self.quantize(model, "--method=qdq")
        weight = outcome.weight("w")
        self.assertEqual((weight["action"], weight["bits"]), ("fold", 16) if dtype == np.float32 else ("keep", 0))


MEAN = [node("ReduceMean", "w", "mean", axes=[1]), node("Sub", "w mean", "c"), node("MatMul", "x c", "y")]
CENTERED = {
    "norm": [node("MatMul", "x w", "m"), node("LayerNormalization", "m g", "y")],
    "residual": [
        node("MatMul", "x w", "m"), node("Add", "m x", "a"), node("Add", "a x", "b"),
        node("LayerNormalization", "b g", "y"),
    ],
    "softmax": [node("MatMul", "x w", "m"), node("Softmax", "m", "y")],
    "rows": [node("Gather", "w i", "r"), node("Mul", "r two", "d"), node("LayerNormalization", "d g", "y")],
    "subtracted": [node("MatMul", "x w", "m"), node("ReduceMean", "m", "n", axes=[-1]), node("Sub", "m n", "y")],
}  # fmt: skip


class Offsets(OrtTest):
    """Numbers that differ by little beside what they have in common, which is taken off behind them."""

    @cases(
        {
            f"{name}_{method}_{spread}": (nodes, flags, spread)
            for name, nodes in CENTERED.items()
            for method, flags in {**METHODS, "blocks_4": ("--method=blocks", "--bits=4")}.items()
            for spread in (0.01, 5)
            if method != "qdq_blocks"
        }
    )
    def offset(self, nodes, flags, spread):
        rng = np.random.default_rng(1)
        w = (1000 + spread * rng.standard_normal((128, 128))).astype(np.float32)
        x = (rng.standard_normal((128, 128)) / 16).astype(np.float32)
        constants = {"w": w, "g": np.ones(128, np.float32), "i": np.arange(128), "two": np.float32(2)}
        used = {name for n in nodes for name in n.input}
        model = beside(nodes, x, x, {n: a for n, a in constants.items() if n in used}, 17)
        outcome = self.quantize(model, "--force-integer" if flags in ((), ("--method=blocks",)) else "-q", *flags)
        self.assertEqual(outcome.weight("w")["action"], "keep" if spread < 1 else "fold")
        want = self.run_levels(self.dir / "model.onnx", {"x": x})["disabled"][0]
        for found in self.run_levels(outcome.path, {"x": x}).values():
            self.assertLess(np.linalg.norm(found[0] - want), 0.01 * np.linalg.norm(want - want.mean(-1, keepdims=True)))

    @cases({name: flags for name, flags in METHODS.items() if name != "qdq_blocks"})
    def less_its_mean(self, *flags):
        """The model takes off what they have in common, of constants: what is left is the weight."""
        w = (1000 + 0.01 * np.random.default_rng(1).standard_normal((128, 128))).astype(np.float32)
        x = build.activations(128, 128)
        outcome = self.quantize(beside(MEAN, x, x, {"w": w}, 17), *flags)
        self.assertIn(outcome.weight("w")["action"], ("fold", "dynamic"))
        want = self.run_levels(self.dir / "model.onnx", {"x": x})["disabled"][0]
        for found in self.run_levels(outcome.path, {"x": x}).values():
            self.assertLess(np.linalg.norm(found[0] - want), 0.02 * np.linalg.norm(want))

    @cases({"blocks": ("--method=blocks", "--bits=4"), "qdq": ("--method=qdq", "--bits=4")})
    def of_4_bits(self, *flags):
        """They lose what 8 bits would keep."""
        w = (10 + np.random.default_rng(1).standard_normal((256, 256))).astype(np.float32)
        x = build.activations(16, 256)
        nodes = [node("MatMul", "x w", "m"), node("LayerNormalization", "m g", "y")]
        outcome = self.quantize(beside(nodes, x, x, {"w": w, "g": np.ones(256, np.float32)}, 21), *flags)
        self.assertEqual(outcome.weight("w")["action"], "fold")
        want = self.run_levels(self.dir / "model.onnx", {"x": x})["disabled"][0]
        for found in self.run_levels(outcome.path, {"x": x}).values():
            self.assertLess(np.linalg.norm(found[0] - want), 0.01 * np.linalg.norm(want))

    @cases(METHODS)
    def difference(self, *flags):
        """Of two constants that are nearly equal."""
        rng = np.random.default_rng(1)
        w = (1000 * rng.standard_normal((128, 128))).astype(np.float32)
        v = (w + 0.1 * rng.standard_normal((128, 128))).astype(np.float32)
        x = build.activations(16, 128)
        nodes = [node("Sub", "w u", "d"), node("MatMul", "x d", "y")]
        outcome = self.quantize(beside(nodes, x, x, {"w": w, "u": v}, 21), *flags)
        want = self.run_levels(self.dir / "model.onnx", {"x": x})["disabled"][0]
        for found in self.run_levels(outcome.path, {"x": x}).values():
            self.assertLess(np.linalg.norm(found[0] - want), 0.01 * np.linalg.norm(want))


class Chain(OrtTest):
    def test_what_follows_from_a_refusal_stays_among_those_that_share_weights(self):
        """NaN in one LSTM; each shares a weight with the next. A last one has two of its own."""
        hidden, n = 4, 12
        x = build.activations(1, 1, hidden)
        constants = {f"w{i}": build.weights(1, 4 * hidden, hidden, seed=3 * i + 1) for i in range(n + 3)}
        constants["w0"][0, 0, 0] = np.nan
        constants["directions"] = np.array([1], np.int64)
        pairs = [(f"w{i}", f"w{i + 1}") for i in range(n)] + [(f"w{n + 1}", f"w{n + 2}")]
        nodes, value = [], "x"
        for i, (w, r) in enumerate(pairs):
            nodes.append(node("LSTM", f"{value} {w} {r}", f"y{i}", hidden_size=hidden))
            nodes.append(node("Squeeze", f"y{i} directions", f"s{i}"))
            value = f"s{i}"
        model = build.model(nodes, {"x": x.shape}, {value: x.shape}, constants)
        outcome = self.quantize(model, "--min-elements", "1")
        actions = [outcome.weight(f"w{i}")["action"] for i in range(n + 3)]
        self.assertEqual(actions, ["keep"] + n * ["fold"] + 2 * ["dynamic"])


class Again(OrtTest):
    """A second run finds nothing: quantize() of the base class asks for that."""

    def test_a_bias_that_is_not_read_keeps_no_weight(self):
        """beta is 0: once the Gemm is a product of integers, nobody takes w as it is."""
        w, x = build.weights(64, 33), build.activations(64, 64)
        gemm = node("Gemm", "x v w", "a", beta=0.0)
        model = build.model(
            [gemm, node("MatMul", "x w", "b")],
            {"x": x.shape},
            {"a": (64, 33), "b": (64, 33)},
            {"v": build.weights(64, 33, seed=5), "w": w},
        )
        outcome = self.quantize(model, "--force-integer")
        self.assertEqual(outcome.weight("w")["action"], "dynamic")

    def test_a_bias_that_is_copied_keeps_no_weight(self):
        """2 * w is written as a bias of its own."""
        w, x = build.weights(1, 64), build.activations(8, 64)
        gemm = node("Gemm", "x v w", "a", beta=2.0)
        model = build.model(
            [gemm, node("MatMul", "t w", "b")],
            {"x": x.shape, "t": (8, 1)},
            {"a": (8, 64), "b": (8, 64)},
            {"v": build.weights(64, 64, seed=5), "w": w},
        )
        outcome = self.quantize(model, "--force-integer", "--no-per-channel")
        self.assertNotIn("w", [t.name for t in outcome.model.graph.initializer])

    @cases(["dynamic", "weights", "qdq", "blocks"])
    def integers_are_weights_that_are_not_listed(self, method):
        """One weight is no graph input, so that those that are stay; also when it is integers."""
        x, w = build.activations(8, 32), build.weights(32, 32)
        nodes = [node("MatMul", "x w", "a"), node("MatMul", "x v", "b")]
        constants = {"w": w, "v": build.weights(32, 32, seed=5)}
        model = build.model(nodes, {"x": x.shape}, {"a": (8, 32), "b": (8, 32)}, constants)
        model.graph.input.append(build.info("v", (32, 32)))
        flags = [] if method == "blocks" else ["--no-per-channel"]
        outcome = self.quantize(model, "--method", method, *flags)
        self.assertEqual([outcome.weight(n)["action"] for n in "wv"], ["fold", "keep"])


    def test_two_numbers_in_a_byte_are_a_weight_that_is_not_listed(self):
        """As floats they are none of the graph inputs, so that the other weight stays one."""
        x, w = build.activations(8, 32), build.weights(32, 2)
        nodes = [node("MatMul", "x w", "a"), node("MatMul", "a v", "b")]
        model = build.model(nodes, {"x": x.shape}, {"b": (8, 1)}, {"w": w, "v": build.weights(2, 1)})
        model.graph.input.append(build.info("w", w.shape))
        outcome = self.quantize(model, "--method=blocks", "--bits=nf4", "--force-integer")
        self.assertEqual([outcome.weight(n)["action"] for n in "wv"], ["keep", "dynamic"])


class Overridden(OrtTest):
    @cases({"times_2": (2.0, ()), "times_0": (0.0, ()), "in_blocks": (2.0, ("--method=blocks",))})
    def a_bias_that_callers_may_override_stays_one(self, beta, flags):
        x, c = build.activations(4, 64), build.weights(1, 32)
        gemm = node("Gemm", "x w c", "y", beta=beta)
        constants = {"w": build.weights(64, 32), "c": c}
        model = build.model([gemm], {"x": x.shape}, {"y": (4, 32)}, constants)
        model.graph.input.append(build.info("c", c.shape))
        outcome = self.quantize(model, "--force-integer", *flags)
        runs = [
            self.run_levels(path, {"x": x, "c": 5 * c})["all"][0] for path in (outcome.source, outcome.path)
        ]
        self.assert_close(runs[1], runs[0], 0.05 * np.abs(runs[0]).max())


class Chains(OrtTest):
    def test_a_bias_that_is_copied_keeps_no_chain(self):
        """Concat of the parts is a weight for one operator; the other has its own copy of it as bias."""
        t, x = build.activations(8, 1), build.activations(8, 64)
        nodes = [node("Concat", "p q", "w", axis=1), node("MatMul", "t w", "a"), node("Gemm", "x v w", "b", beta=-1.0)]
        parts = {"p": build.weights(1, 16), "q": build.weights(1, 48), "v": build.weights(64, 64)}
        model = build.model(nodes, {"t": t.shape, "x": x.shape}, {"a": (8, 64), "b": (8, 64)}, parts)
        outcome = self.quantize(model, "--method=blocks", "--bits=nf4", "--force-integer")
        self.assertFalse([n for n in outcome.model.graph.node if n.op_type == "Concat"])
        feeds = {"t": t, "x": x}
        want, got = (self.run_levels(p, feeds)["disabled"] for p in (outcome.source, outcome.path))
        for left, right in zip(want, got, strict=True):
            self.assert_close(right, left, 0.3 * np.abs(left).max())


class Engine(OrtTest):
    @cases({"turned": ("Transpose",), "reshaped": ("Reshape",)})
    def a_half_whose_axes_are_exchanged_is_folded(self, first):
        """ONNX Runtime crashes when it loads the DequantizeLinear with all optimizations."""
        w, x = build.weights(4, 3, 33).astype(np.float16), build.activations(5, 33).astype(np.float16)
        nodes = []
        constants = {"w": w, "b": build.weights(4).astype(np.float16)}
        value = "w"
        if first == "Reshape":
            constants |= {"w": w.reshape(12, 33), "shape": np.array(w.shape, np.int64)}
            nodes.append(node("Reshape", "w shape", "r"))
            value = "r"
        nodes += [
            node("Transpose", value, "t", perm=[1, 2, 0]),
            node("MatMul", "x t", "p"),
            node("Add", "p b", "y"),
        ]
        model = build.model(nodes, {"x": x}, {"y": np.zeros((3, 5, 4), np.float16)}, constants)
        outcome = self.quantize(model, "--method=qdq")
        self.assertFalse([n for n in outcome.model.graph.node if n.op_type == "DequantizeLinear"])
        got, want = (self.run_levels(p, {"x": x})["all"][0] for p in (outcome.path, outcome.source))
        self.assert_close(got, want, 0.05 * np.abs(want).max())

    @cases({"declared": (True,), "not_declared": (False,), "behind_a_cast": (True, np.float64)})
    def a_transposed_matrix_times_a_vector_is_folded(self, is_declared, dtype=np.float32):
        """ONNX Runtime joins the Transpose that stands behind DequantizeLinear to the MatMul, which is wrong then."""
        w, v = build.weights(64, 48), build.activations(64)
        nodes = [node("Transpose", "c", "t"), node("Relu", "v", "r"), node("MatMul", "t r", "y"), node("Relu", "t", "z")]
        inner = [build.info("r", (64,))] if is_declared else []
        first = node("Identity", "w", "c") if dtype == np.float32 else node("Cast", "w", "c", to=1)
        model = build.model([first, *nodes], {"v": v}, {"y": (48,), "z": (48, 64)}, {"w": w.astype(dtype)})
        model.graph.value_info.extend(inner)
        outcome = self.quantize(model, "--method=qdq")
        want = w.T @ np.maximum(v, 0)
        for found, _ in self.run_levels(outcome.path, {"v": v}).values():
            self.assert_close(found, want, 0.05 * np.abs(want).max())
