"""Products whose large terms take each other away: what is left is not what rounding did to the terms."""

import numpy as np
import onnx
from onnx import TensorProto, helper

import build
from build import node
from harness import OrtTest, cases

N = 96
METHODS = {
    "dynamic": ("--force-integer",),
    "weights": ("--method=weights",),
    "blocks": ("--method=blocks", "--force-integer"),
    "qdq": ("--method=qdq",),
}


def laplacian() -> np.ndarray:
    edges = np.triu(build.rng().random((N, N)) < 6 / N, 1).astype(np.float32)
    edges += edges.T
    return np.diag(edges.sum(1)) - edges


def turn() -> np.ndarray:
    return np.linalg.qr(build.rng().standard_normal((N, N)))[0]


SIZES = np.logspace(0, -2, N)
MATRICES = {
    "a Laplacian": laplacian(),
    "a Laplacian with sizes": laplacian() * np.linspace(0.5, 2, N)[:, None],
    "differences": np.eye(N) - np.eye(N, k=-1),
    "components": (turn() / SIZES).T,
    "symmetric": (turn() / SIZES) @ turn().T,
}


class Cancelling(OrtTest):
    def check(self, nodes, w, x, allowed=0.02, **constants):
        """Beside a product that is quantized in any case."""
        constants |= {"w": w.astype(np.float32), "beside": build.weights(x.shape[-1], 96)}
        nodes, outputs = [*nodes, node("MatMul", "x beside", "z")], {"y": ("a", "b"), "z": (*x.shape[:-1], 96)}
        imports = {n.domain: 1 for n in nodes if n.domain}
        model = build.model(nodes, {"x": x}, outputs, constants, imports=imports)
        for name, flags in METHODS.items():
            with self.subTest(name):
                outcome = self.quantize(model, *flags)
                want = self.run_levels(self.dir / "model.onnx", {"x": x})["disabled"][0]
                for found in self.run_levels(outcome.path, {"x": x}).values():
                    self.assertLess(np.linalg.norm(found[0] - want), allowed * np.linalg.norm(want))


class Matrices(Cancelling):
    """W . x, told from the numbers of W."""

    def inputs(self, w):
        """What they are for: an offset that vanishes, or what components make as large as the rest."""
        noise = build.rng(3).standard_normal((64, N))
        x = 50 + noise if abs(w.sum(1)).max() < 1e-3 else noise @ np.linalg.pinv(w.T)
        return x.astype(np.float32)

    @cases(list(MATRICES))
    def on_the_right(self, name):
        w = MATRICES[name]
        self.check([node("Gemm", "x w", "y", transB=1)], w, self.inputs(w))

    @cases(list(MATRICES))
    def as_it_is_multiplied(self, name):
        w = MATRICES[name]
        self.check([node("MatMul", "x w", "y")], w.T.copy(), self.inputs(w))

    @cases(["a Laplacian", "symmetric"])
    def on_the_left(self, name):
        w = MATRICES[name]
        self.check([node("MatMul", "w x", "y")], w, self.inputs(w).T.copy())

    def test_behind_transpose(self):
        w = MATRICES["a Laplacian with sizes"]
        self.check([node("Transpose", "w", "t", perm=[1, 0]), node("MatMul", "x t", "y")], w, self.inputs(w))

    def test_in_any_sum(self):
        w = MATRICES["a Laplacian with sizes"]
        self.check([node("Einsum", "x w", "y", equation="nv,wv->nw")], w, self.inputs(w))

    def test_large_ones_are_told_from_their_first_rows(self):
        n = 400
        w = np.eye(n) - np.eye(n, k=1)
        nodes, constants = [node("Relu", "x", "h"), node("MatMul", "h w", "y")], {"w": w.astype(np.float32)}
        outcome = self.quantize(build.model(nodes, {"x": (4, n)}, {"y": (4, n)}, constants))
        self.assertIn("its sums are zero", outcome.weight("w")["uses"][0]["reason"])

    @cases(
        {
            "at random": (build.weights(256, 256),),
            "ternary": (build.rng().integers(-1, 2, (256, 256)).astype(np.float32),),
            "symmetric, of one sign": (np.abs(build.weights(256, 256) + build.weights(256, 256).T),),
            "a rotation": (np.linalg.qr(build.rng().standard_normal((256, 256)))[0].astype(np.float32),),
        }
    )
    def others_stay_products_of_integers(self, w):
        nodes = [node("Relu", "x", "h"), node("MatMul", "h w", "y")]
        model = build.model(nodes, {"x": (4, 256)}, {"y": (4, 256)}, {"w": w})
        self.assertEqual(self.quantize(model).weight("w")["action"], "dynamic")


class Graphs(Cancelling):
    """Told from what is done with the product."""

    SQUARE = [node("Mul", "x x", "q"), node("ReduceSum", "q axes", "xx", keepdims=1)]
    POINTS = (3 + build.rng().standard_normal((N, 64))).astype(np.float32)

    @cases(
        {
            "of a Gemm": (
                [
                    node("ReduceSumSquare", "x axes", "xx"), node("Gemm", "x w", "xw", alpha=-2.0, transB=1),
                    node("Add", "xx xw", "s"), node("Add", "s ww", "y"),
                ],
            ),
            "constants first": (
                [
                    *SQUARE, node("Gemm", "x w", "xw", transB=1), node("Mul", "xw two", "x2"),
                    node("Sub", "ww x2", "s"), node("Add", "s xx", "y"),
                ],
            ),
            "taken off": (
                [
                    *SQUARE, node("Gemm", "x w", "xw", transB=1), node("Mul", "two xw", "x2"),
                    node("Sub", "xx x2", "s"), node("Add", "ww s", "y"),
                ],
            ),
            "of an Einsum": (
                [
                    node("Einsum", "x x", "q", equation="bd,bd->b"), node("Unsqueeze", "q axes", "xx"),
                    node("Einsum", "x w", "xw", equation="bd,nd->bn"), node("Mul", "two xw", "x2"),
                    node("Sub", "xx x2", "s"), node("Add", "ww s", "y"),
                ],
            ),
            "of a product that the engine has joined": (
                [
                    node("Mul", "x x", "q"), node("MatMul", "q ones", "xx"),
                    node("FusedMatMul", "x w", "xw", domain="com.microsoft", transB=1, alpha=-2.0),
                    node("Add", "xx xw", "s"), node("Add", "ww s", "y"),
                ],
            ),
            "from the mean": (
                [
                    node("Pow", "x two", "q"), node("ReduceMean", "q axes", "m", keepdims=1),
                    node("Mul", "m count", "xx"), node("Neg", "x", "n"), node("Identity", "n", "i"),
                    node("Gemm", "i w", "xw", transB=1), node("Mul", "two xw", "x2"),
                    node("Add", "xx x2", "s"), node("Add", "ww s", "y"),
                ],
            ),
        }
    )
    def distances_from_points_that_are_near(self, nodes):
        w = self.POINTS
        x = np.repeat(w, 2, 0)[:64] + 0.1 * build.rng(5).standard_normal((64, 64)).astype(np.float32)
        last = node(nodes[-1].op_type, " ".join(nodes[-1].input), "d")
        nodes = [*nodes[:-1], last, node("ReduceMin", "d axes", "y")]
        constants = {"ww": (w**2).sum(1), "two": np.float32(2), "axes": np.array([1])}
        constants |= {"ones": np.ones((64, 1), np.float32), "count": np.float32(64)}
        used = {n for made in nodes for n in made.input}
        self.check(nodes, w, x, allowed=0.05, **{n: a for n, a in constants.items() if n in used})

    def test_distances_in_one_product(self):
        """Of [x, x^2, 1] and [-2 w, 1, w^2]."""
        w = self.POINTS
        x = np.repeat(w, 2, 0)[:64] + 0.1 * build.rng(5).standard_normal((64, 64)).astype(np.float32)
        nodes = [*self.SQUARE, node("Concat", "x xx one", "c", axis=1), node("MatMul", "c w", "d"), node("ReduceMin", "d axes", "y")]
        joined = np.concatenate([-2 * w, np.ones((N, 1)), (w**2).sum(1, keepdims=True)], 1).T
        self.check(nodes, joined, x, axes=np.array([1]), one=np.ones((64, 1), np.float32))

    @cases(
        {
            "itself": ([node("MatMul", "x w", "m"), node("Sub", "m x", "y")], {}),
            "another product of it": (
                [node("MatMul", "x w", "m"), node("MatMul", "x v", "k"), node("Sub", "m k", "y")],
                {"v": np.eye(N, dtype=np.float32)},
            ),
        }
    )
    def what_is_taken_off_the_same(self, nodes, constants):
        w = np.eye(N) + 0.01 * build.rng().standard_normal((N, N))
        x = build.activations(64, N)
        self.check(nodes, w, x, **constants)

    def test_between_integers(self):
        """As --method static and quantization-aware training write them, more nodes than are followed else."""
        nodes, value = [node("MatMul", "x w", "m")], "m"
        for i in range(4):
            nodes += [node("QuantizeLinear", f"{value} scale", f"q{i}"), node("DequantizeLinear", f"q{i} scale", f"d{i}")]
            value = f"d{i}"
        nodes.append(node("Sub", f"{value} x", "y"))
        constants = {"w": np.eye(N, dtype=np.float32) + 0.01 * build.weights(N, N), "scale": np.float32(0.02)}
        model = build.model(nodes, {"x": (4, N)}, {"y": (4, N)}, constants)
        outcome = self.quantize(model, "--method=weights")
        self.assertIn("taken off its product", outcome.weight("w")["uses"][0]["reason"])

    def test_what_a_projection_leaves(self):
        """x - x . U . U', of two products, for a vector that is nearly in the span of U."""
        u = turn()[:, :16].astype(np.float32)
        x = (10 * build.rng(3).standard_normal((64, 16)) @ u.T + 0.05 * build.rng(4).standard_normal((64, N))).astype(np.float32)
        nodes = [node("MatMul", "x w", "h"), node("MatMul", "h back", "r"), node("Sub", "x r", "y")]
        self.check(nodes, u, x, back=u.T.copy())

    @cases(["Add", "Sub"])
    def what_moves_when_its_input_does(self, op_type):
        nodes = [node("Relu", "x", "r"), node("Mul", "r d", "a"), node(op_type, "x a", "x2")]
        nodes += [node("MatMul", "x w", "m"), node("MatMul", "x2 w", "k"), node("Sub", "k m", "y")]
        self.check(nodes, build.weights(N, N), build.activations(64, N), d=np.float32(0.01))

    def test_convolutions_of_several_inputs(self):
        """Kernels that sum up to zero, as those that look for noise in pictures do."""
        w = build.rng().standard_normal((24, 3, 5, 5))
        w -= w.mean((1, 2, 3), keepdims=True)
        x = (200 + build.rng(3).standard_normal((1, 3, 16, 16))).astype(np.float32)
        model = build.model([node("Conv", "x w", "y")], {"x": x}, {"y": ("a", "b", "c", "d")}, {"w": w.astype(np.float32)})
        onnx.save(model, self.dir / "float.onnx")
        want = self.run_levels(self.dir / "float.onnx", {"x": x})["disabled"][0]
        for flags in ((), ("--method=qdq",), ("--no-symmetric",)):
            with self.subTest(flags):
                for found in self.run_levels(self.quantize(model, *flags).path, {"x": x}).values():
                    self.assertLess(np.linalg.norm(found[0] - want), 0.02 * np.linalg.norm(want))

    def test_sums_of_powers(self):
        rows = [np.polynomial.chebyshev.cheb2poly(np.eye(12)[i]) for i in range(12)]
        w = np.tile(np.stack([np.pad(row, (0, 12 - len(row))) for row in rows], 1), (1, 16))
        x = build.rng().uniform(-1, 1, (64, 1)).astype(np.float32)
        self.check([node("Pow", "x e", "p"), node("MatMul", "p w", "y")], w, x, e=np.arange(12, dtype=np.float32))

    def test_what_is_added_to_itself_is_a_layer(self):
        nodes = [node("Relu", "x", "h"), node("MatMul", "h w", "m"), node("Add", "m h", "y")]
        model = build.model(nodes, {"x": (4, 256)}, {"y": (4, 256)}, {"w": build.weights(256, 256)})
        self.assertEqual(self.quantize(model).weight("w")["action"], "dynamic")


class Ends(Cancelling):
    @cases(["Acos", "Asin", "Atanh"])
    def of_what_an_operator_takes(self, op_type):
        """A little beyond 1 there is nothing."""
        w = build.rng().standard_normal((N, 64))
        w *= 0.999 / np.linalg.norm(w, axis=1, keepdims=True)
        x = (w / 0.999).astype(np.float32)
        self.check([node("Gemm", "x w", "m", transB=1), node(op_type, "m", "y")], w, x)


class LookedUp(OrtTest):
    @cases(["Softmax", "LogSoftmax", "ReduceLogSumExp"])
    def a_bias_of_scores_has_16_bits(self, op_type):
        nodes = [
            node("Gather", "t i", "b"), node("Transpose", "b", "s", perm=[2, 0, 1]), node("Add", "x s", "z"),
            node(op_type, "z", "y"),
        ]
        inputs = {"x": np.zeros((8, 16, 16), np.float32), "i": np.zeros((16, 16), np.int64)}
        model = build.model(nodes, inputs, {"y": ("a", "b", "c")}, {"t": build.weights(64, 8)})
        outcome = self.quantize(model)
        self.assertEqual(outcome.weight("t")["uses"][0]["form"], "int16 folded at load")
        self.assertIn("is added to what Softmax or ArgMax takes", outcome.weight("t")["uses"][0]["reason"])

    @cases({"1000": (-1e3, "int16 folded at load"), "10000": (-1e4, "")})
    def penalties_leave_scores_their_steps(self, penalty, form):
        t = 2 * build.weights(64, 96)
        t[build.rng().random(t.shape) < 0.5] = penalty
        nodes = [node("Gather", "t i", "b"), node("MatMul", "x w", "s"), node("Add", "s b", "z"), node("LogSoftmax", "z", "y")]
        inputs = {"x": np.zeros((16, 96), np.float32), "i": np.zeros(16, np.int64)}
        model = build.model(nodes, inputs, {"y": (16, 96)}, {"t": t, "w": build.weights(96, 96)})
        use = self.quantize(model).weight("t")["uses"][0]
        self.assertEqual(use["form"], form)

    @cases(["Sign", "Floor"])
    def what_is_taken_off_is_compared(self, op_type):
        """x - c > 0 asks whether x is larger than c."""
        nodes = [node("Sub", "x t", "d"), node(op_type, "d", "z"), node("MatMul", "z w", "y")]
        constants = {"t": build.weights(16, 96), "w": build.weights(96, 96)}
        model = build.model(nodes, {"x": (16, 96)}, {"y": (16, 96)}, constants)
        self.assertEqual(self.quantize(model).weight("t")["action"], "keep")

    def test_embeddings_have_8(self):
        nodes = [node("Gather", "t i", "b"), node("Add", "x b", "z"), node("LayerNormalization", "z g", "y")]
        inputs = {"x": np.zeros((16, 64), np.float32), "i": np.zeros(16, np.int64)}
        model = build.model(nodes, inputs, {"y": (16, 64)}, {"t": build.weights(64, 64), "g": build.weights(64)})
        self.assertEqual(self.quantize(model).weight("t")["uses"][0]["form"], "int8 folded at load")

    @cases({"looked up": (True,), "a row a step": (False,)})
    def decays_in_a_body(self, is_looked_up):
        value = build.info
        given = value("i", [], TensorProto.INT64) if is_looked_up else value("a", [32])
        gather = [node("Gather", "w i", "a")] if is_looked_up else []
        body = helper.make_graph(
            [*gather, node("Mul", "s a", "m"), node("Add", "m x", "t"), node("Identity", "t", "o")], "body",
            [value("s", [32]), given, value("x", [32])], [value("t", [32]), value("o", [32])],
        )
        w = (1 - 10 ** build.rng().uniform(-4, -1, (64, 32))).astype(np.float32)
        feeds = {"x": build.activations(64, 32), **({"i": np.zeros(64, np.int64)} if is_looked_up else {})}
        nodes = [node("Scan", f"zero {'i' if is_looked_up else 'w'} x", "last y", body=body, num_scan_inputs=2)]
        model = build.model(nodes, feeds, {"y": (64, 32)}, {"w": w, "zero": np.zeros(32, np.float32)})
        outcome = self.quantize(model)
        self.assertEqual(outcome.weight("w")["uses"][0]["form"], "int16 folded at load")


class Sizes(OrtTest):
    """What is decided does not depend on how large numbers are altogether."""

    @cases({"tiny": (2.0**-70,), "small": (2.0**-20,), "as usual": (1.0,), "large": (2.0**50,)})
    def outliers_are_found(self, size):
        w = build.rng().standard_normal((256, 256)).astype(np.float32)
        w[7] = 1e6
        nodes = [node("Softmax", "x", "h"), node("MatMul", "h w", "y"), node("MatMul", "x v", "z")]
        constants = {"w": (w * size).astype(np.float32), "v": build.weights(256, 256)}
        model = build.model(nodes, {"x": (4, 256)}, {"y": (4, 256), "z": (4, 256)}, constants)
        for flags in ((), ("--method=blocks", "--force-integer"), ("--method=qdq",)):
            outcome = self.quantize(model, *flags)
            reason = outcome.weight("w")["uses"][0]["reason"]
            self.assertRegex(reason, "most of it is lost|hides the others", flags)
