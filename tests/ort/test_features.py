"""First layers: features of unlike size, whatever hands them on, and features that are a mean and little else."""

import numpy as np
from onnx import TensorProto

import build
from build import node
from harness import OrtTest, cases

N = 128
METHODS = {
    "dynamic": ("--force-integer",),
    "blocks": ("--method=blocks", "--force-integer"),
    "qdq": ("--method=qdq",),
    "zero points": ("--no-symmetric",),
}


class Features(OrtTest):
    def check(self, nodes, feeds, constants, reason, rank=2, methods=METHODS):
        """The weight is w; beside a product that is quantized in any case."""
        constants = {n: a if a.dtype == np.int64 else a.astype(np.float32) for n, a in constants.items()}
        constants["beside"] = build.weights(N, 64)
        feeds = {n: a if a.dtype == np.int64 else a.astype(np.float32) for n, a in feeds.items()}
        feeds["other"] = build.activations(4, N)
        outputs = {"y": ["a", "b", "c", "d"][:rank], "z": (4, 64)}
        nodes = [*nodes, node("MatMul", "other beside", "z")]
        imports = {n.domain: 1 for n in nodes if n.domain}
        model = build.model(nodes, feeds, outputs, constants, imports=imports)
        for name, flags in methods.items():
            with self.subTest(name):
                outcome = self.quantize(model, *flags)
                self.assertIn(reason, outcome.weight("w")["uses"][0]["reason"])
                want = self.run_levels(self.dir / "model.onnx", feeds)["disabled"][0]
                for found in self.run_levels(outcome.path, feeds).values():
                    self.assertLess(np.linalg.norm(found[0] - want), 0.02 * np.linalg.norm(want))


class UnlikeSizes(Features):
    REASON = "its inputs are of unlike size"
    SIZES = 10 ** np.random.default_rng(1).permutation(np.linspace(0, 3, N))

    def x(self, *shape):
        return build.activations(*shape, N) * self.SIZES

    def w(self, outputs=N):
        return build.weights(N, outputs) / self.SIZES[:, None]

    @cases(
        {
            "missing ones": ([node("IsNaN", "x", "n"), node("Where", "n zero x", "h")],),
            "infinite ones": ([node("IsInf", "x", "n"), node("Not", "n", "k"), node("Where", "k x zero", "h")],),
            "cut": ([node("Clip", "x low high", "h")],),
            "shifted and scaled": ([node("Sub", "x zero", "a"), node("Div", "a one", "b"), node("Mul", "b one", "h")],),
            "of a mask": ([
                node("Greater", "x low", "g"), node("Cast", "g", "c", to=TensorProto.FLOAT), node("Mul", "c x", "h"),
            ],),
            "rearranged": ([node("Unsqueeze", "x axes", "u"), node("Squeeze", "u axes", "i"), node("Identity", "i", "h")],),
            "chosen": ([node("Gather", "x all", "h", axis=1)],),
            "Relu": ([node("Abs", "x", "a"), node("Relu", "a", "h")],),
            "LeakyRelu": ([node("LeakyRelu", "x", "h")],),
            "Sum": ([node("Sum", "x x x", "h")],),
            "a power": ([node("Pow", "x one", "h")],),
            "an average": ([node("Unsqueeze", "x axes", "u"), node("ReduceMean", "u axes", "h", keepdims=0)],),
            "pooled": ([
                node("Unsqueeze", "x last", "u"), node("AveragePool", "u", "p", kernel_shape=[1]),
                node("Squeeze", "p last", "h"),
            ],),
            "normalized by channel": ([node("BatchNormalization", "x ones zeros zeros ones", "h")],),
            "crossed": ([node("MatMul", "x v", "p"), node("Mul", "x p", "q"), node("Add", "q x", "h")],),
        }
    )
    def handed_on(self, nodes):
        numbers = {"zero": np.zeros(()), "one": np.ones(()), "low": np.array(-1e6), "high": np.array(1e6)}
        constants = {"w": self.w(), "axes": np.array([1]), "last": np.array([2]), "all": np.arange(N), **numbers}
        constants.update(zeros=np.zeros(N), ones=np.ones(N), v=0.1 * build.weights(N, N) / self.SIZES[:, None])
        self.check([*nodes, node("MatMul", "h w", "y")], {"x": self.x(16)}, constants, self.REASON)

    @cases({"few outputs": (48, ()), "one scale": (N, ("--no-per-channel",))})
    def without_scales_of_inputs(self, outputs, flags):
        """What is folded has such scales where enough outputs share them, and channels have theirs."""
        methods = {"weights": ("--method=weights", *flags), "dynamic": flags}
        self.check([node("MatMul", "x w", "y")], {"x": self.x(16)}, {"w": self.w(outputs)}, self.REASON, methods=methods)

    def test_missing_ones_count_as_zeros(self):
        x = self.x(16)
        x[3, 5] = np.nan
        nodes = [node("IsNaN", "x", "n"), node("Where", "n zero x", "h"), node("MatMul", "h w", "y")]
        self.check(nodes, {"x": x}, {"w": self.w(), "zero": np.zeros(())}, self.REASON)

    def test_masked_by_an_input(self):
        nodes = [node("Mul", "x mask", "h"), node("MatMul", "h w", "y")]
        self.check(nodes, {"x": self.x(16), "mask": np.ones((16, 1))}, {"w": self.w()}, self.REASON)

    def test_beside_rows_of_a_table(self):
        """Rows of like size: the table's own rounding is another matter."""
        x = self.x(16)
        nodes = [node("Gather", "t i", "e"), node("Concat", "x e", "h", axis=1), node("MatMul", "h w", "y")]
        w = np.concatenate([self.w(), build.weights(32, N)])
        constants = {"w": w, "t": build.rng(2).standard_normal((64, 32))}
        self.check(nodes, {"x": x, "i": np.arange(16)}, constants, self.REASON)

    @cases(
        {
            "on the left": (node("MatMul", "w x", "y"), True, True),
            "Einsum": (node("Einsum", "x w", "y", equation="bi,oi->bo"), False, True),
            "FusedMatMul": (node("FusedMatMul", "x w", "y", domain="com.microsoft", transB=1), False, True),
            "FusedGemm": (node("FusedGemm", "x w", "y", domain="com.microsoft", activation="Relu"), False, False),
        }
    )
    def multiplied(self, product, turns_x, turns_w):
        x, w = self.x(16), self.w()
        constants = {"w": w.T.copy() if turns_w else w, "bias": np.zeros(N)}
        if product.op_type == "FusedGemm":
            product = node("FusedGemm", "x w bias", "y", domain="com.microsoft", activation="Relu")
        self.check([product], {"x": x.T.copy() if turns_x else x}, constants, self.REASON)

    @cases({"one tap": (1,), "three taps": (3,)})
    def convolved(self, taps):
        """Other methods have it so for what integers there are: of one tap, products."""
        x = self.x(4, 16).transpose(0, 2, 1).copy()
        w = np.stack([self.w().T] * taps, 2) * np.linspace(0.5, 1, taps)
        methods = {n: METHODS[n] for n in ("qdq", "zero points")}
        self.check([node("Conv", "x w", "y")], {"x": x}, {"w": w}, self.REASON, rank=3, methods=methods)

    @cases({"LSTM": ("LSTM", 4), "GRU": ("GRU", 3), "RNN": ("RNN", 1)})
    def recurrent(self, op_type, gates):
        w = np.stack([build.weights(N, gates * 64).T / self.SIZES])
        constants = {"w": w, "r": 0.1 * build.rng(3).standard_normal((1, gates * 64, 64))}
        nodes = [node(op_type, "x w r", "y", hidden_size=64)]
        self.check(nodes, {"x": self.x(5, 2)}, constants, self.REASON, rank=4)

    def test_attention(self):
        attention = node("Attention", "x w bias", "y", domain="com.microsoft", num_heads=4)
        w = build.weights(N, 3 * N) / self.SIZES[:, None]
        self.check([attention], {"x": self.x(2, 8)}, {"w": w, "bias": np.zeros(3 * N)}, self.REASON, rank=3)

    @cases({"another sum": (node("MatMul", "x v", "h"),), "Softmax": (node("Softmax", "x", "h"),)})
    def what_is_made_of_features_is_none(self, before):
        """Of inner layers norms say nothing: what died out has a small one."""
        nodes = [before, node("MatMul", "h w", "y")]
        w = np.concatenate([build.weights(N - 1, 1024), 1e-2 * build.weights(1, 1024)])
        constants = {"w": w, "v": build.weights(N, N)}
        model = build.model(nodes, {"x": (16, N)}, {"y": ("n", 1024)}, constants, opset=17)
        self.assertEqual(self.quantize(model).weight("w")["action"], "dynamic")


class BesideComputed(Features):
    """Features beside what the network has computed: their rows of the weight tell."""

    REASON = "its inputs are of unlike size"
    SIZES = np.array([1e5, 40, 170, 2000])
    HIDDEN = node("MatMul", "x v", "m"), node("Relu", "m", "r")

    def constants(self, outputs=N):
        w = np.concatenate([build.weights(N, outputs), build.weights(4, outputs) / self.SIZES[:, None]])
        return {"w": w, "v": build.weights(N, N)}

    def features(self, *shape):
        return (1 + 0.3 * build.rng(5).standard_normal((*shape, 4))) * self.SIZES

    @cases(
        {
            "behind": ([node("Concat", "r s", "h", axis=1), node("MatMul", "h w", "y")],),
            "handed on": ([
                node("Identity", "s", "i"), node("Concat", "r i", "h", axis=-1), node("Gemm", "h w bias", "y"),
            ],),
        }
    )
    def fused_late(self, nodes):
        constants = {**self.constants(), "bias": np.zeros(N)}
        feeds = {"x": build.activations(16, N), "s": self.features(16)}
        self.check([*self.HIDDEN, *nodes], feeds, constants, self.REASON)

    def test_of_a_recurrent_state(self):
        lstm = node("LSTM", "x wl rl", "o last", hidden_size=N)
        nodes = [lstm, node("Squeeze", "last axes", "r"), node("Concat", "r s", "h", axis=1), node("MatMul", "h w", "y")]
        recurrent = {"wl": build.weights(1, 4 * N, 32), "rl": 0.1 * build.weights(1, 4 * N, N), "axes": np.array([0])}
        feeds = {"x": build.activations(5, 8, 32), "s": self.features(8)}
        self.check(nodes, feeds, {**self.constants(), **recurrent}, "")  # recurrent models have reasons of their own

    @cases({"TransposeMatMul": ("TransposeMatMul",), "FusedMatMul": ("FusedMatMul",)})
    def multiplied_as_it_is(self, op_type):
        """A factor whose rank is not known is not turned, so that the product stays what it is."""
        nodes = [
            node("MatMul", "v x", "m"), node("Relu", "m", "r"), node("Concat", "r s", "h", axis=-2),
            node(op_type, "h w", "y", domain="com.microsoft", transA=1),
        ]
        feeds = {"x": build.activations(N, 16), "s": self.features(16).T.copy()}
        self.check(nodes, feeds, self.constants(), self.REASON)

    def test_convolved(self):
        w = np.concatenate([build.weights(N, N, 3), build.weights(N, 4, 3) / self.SIZES[:, None]], 1)
        nodes = [node("Relu", "c", "r"), node("Concat", "r s", "h", axis=1), node("Conv", "h w", "y", pads=[1, 1])]
        feeds = {"x": build.activations(2, N, 16), "s": self.features(2, 16).transpose(0, 2, 1).copy()}
        constants = {"w": w, "v": build.weights(N, N, 1)}
        methods = {"qdq": METHODS["qdq"], "integers": ("--conv=integer", "--force-integer")}
        self.check([node("Conv", "x v", "c"), *nodes], feeds, constants, self.REASON, rank=3, methods=methods)

    def test_pooled_embeddings(self):
        nodes = [
            node("Gather", "t i", "e"), node("ReduceMean", "e axes", "r", keepdims=0),
            node("Concat", "r s", "h", axis=1), node("MatMul", "h w", "y"),
        ]
        constants = {"w": self.constants()["w"], "t": build.rng(2).standard_normal((64, N)), "axes": np.array([1])}
        feeds = {"i": build.rng(3).integers(0, 64, (16, 5)), "s": self.features(16)}
        self.check(nodes, feeds, constants, self.REASON)

    def test_died_out(self):
        """A hidden input with a small norm is nothing that counts; features like the others are none either."""
        w = self.constants(1024)["w"]
        w[N:] *= self.SIZES[:, None]
        w[3] *= 1e-3
        nodes = [*self.HIDDEN, node("Concat", "r s", "h", axis=1), node("MatMul", "h w", "y")]
        constants = {"w": w.astype(np.float32), "v": build.weights(N, N)}
        model = build.model(nodes, {"x": (16, N), "s": (16, 4)}, {"y": ("n", 1024)}, constants, opset=17)
        self.assertEqual(self.quantize(model).weight("w")["action"], "dynamic")


class Offsets(Features):
    REASON = "its bias takes off what its inputs have in common"

    def parts(self, mean, *shape):
        means = mean * build.rng(4).uniform(0.5, 1.5, N)
        w = build.weights(N, N)
        return build.activations(*shape, N) + means, w, -means @ w

    @cases(
        {
            "Gemm": ([node("Gemm", "x w b", "h")],),
            "factors": ([node("Gemm", "x w b", "h", alpha=0.5, beta=0.5)],),
            "MatMul and Add": ([node("MatMul", "x w", "m"), node("Add", "b m", "h")],),
            "MatMul and Sub": ([node("MatMul", "x w", "m"), node("Sub", "m b", "h")],),
            "rearranged": ([
                node("Unsqueeze", "x axes", "u"), node("MatMul", "u w", "m"), node("Squeeze", "m axes", "s"),
                node("Add", "s b", "h"),
            ],),
        }
    )
    def taken_off(self, nodes):
        x, w, b = self.parts(60, 16)
        b = -b if nodes[-1].op_type == "Sub" else b
        nodes = [*nodes, node("Relu", "h", "y")]
        self.check(nodes, {"x": x}, {"w": w, "b": b, "axes": np.array([1])}, self.REASON)

    def test_convolved(self):
        x, w, b = self.parts(60, 4, 16)
        x = x.transpose(0, 2, 1).copy()
        self.check([node("Conv", "x w b", "h"), node("Relu", "h", "y")], {"x": x}, {"w": w.T[:, :, None], "b": b},
                   self.REASON, rank=3)

    @cases({"MatMul": (node("MatMul", "x w", "h"),), "Gemm": (node("Gemm", "x w zeros", "h"),)})
    def normalized(self, product):
        x, w, b = self.parts(60, 16)
        nodes = [product, node("BatchNormalization", "h ones zeros mean variance", "n"), node("Relu", "n", "y")]
        constants = {"w": w, "mean": -b, "variance": (w**2).sum(0), "zeros": np.zeros(N), "ones": np.ones(N)}
        self.check(nodes, {"x": x}, constants, self.REASON)

    def test_convolved_and_normalized(self):
        x, w, b = self.parts(60, 4, 16)
        nodes = [node("Conv", "x w", "h"), node("BatchNormalization", "h ones zeros mean variance", "y")]
        constants = {"mean": -b, "variance": (w**2).sum(0), "zeros": np.zeros(N), "ones": np.ones(N)}
        feeds = {"x": x.transpose(0, 2, 1).copy()}
        self.check(nodes, feeds, {"w": w.T[:, :, None], **constants}, self.REASON, rank=3)

    def test_in_a_row(self):
        x, w, b = self.parts(60, 16)
        nodes = [node("MatMul", "x w", "m"), node("Add", "m bias", "a"), node("Sub", "a mean", "h"), node("Relu", "h", "y")]
        self.check(nodes, {"x": x}, {"w": w, "bias": np.ones(N), "mean": 1 - b}, self.REASON)

    def test_distances_of_a_mixture(self):
        x, w, b = self.parts(60, 16)
        nodes = [node("Gemm", "x w b", "h"), node("Mul", "h h", "q"), node("ReduceSum", "q axes", "y")]
        self.check(nodes, {"x": x}, {"w": w, "b": b, "axes": np.array([1])}, self.REASON)

    def test_too_much_for_16_bits(self):
        x, w, b = self.parts(2000, 16)
        nodes = [node("Gemm", "x w b", "h"), node("Relu", "h", "y")]
        self.check(nodes, {"x": x}, {"w": w, "b": b}, self.REASON)
        self.assertEqual(self.quantize(self.dir / "model.onnx").weight("w")["action"], "keep")

    @cases({"features": (1.0, False), "an inner layer": (60.0, True)})
    def others_stay_integers(self, mean, is_inner):
        """Where a layer computes what comes in, its bias may be large for other reasons."""
        _, w, b = self.parts(mean, 16)
        w, b = np.tile(w, 8), np.tile(b, 8)
        nodes = [node("Softmax" if is_inner else "Identity", "x", "r"), node("Gemm", "r w b", "y")]
        model = build.model(nodes, {"x": (16, N)}, {"y": (16, 8 * N)}, {"w": w, "b": b.astype(np.float32)})
        self.assertEqual(self.quantize(model).weight("w")["action"], "dynamic")
