"""Matrices and tables that nobody trained, of which a step of 8 bits of the largest number leaves too little."""

import numpy as np
import onnx

import build
from build import node
from harness import OrtTest, cases

N = 64
METHODS = {
    "dynamic": ("--force-integer",),
    "weights": ("--method=weights",),
    "blocks": ("--method=blocks", "--force-integer"),
    "qdq": ("--method=qdq",),
}


class Exact(OrtTest):
    """Off by little with every method, beside a product that is quantized in any case."""

    def check(self, nodes, feeds, constants, allowed=0.02, rank=2):
        imports = {n.domain: 1 for n in nodes if n.domain}
        outputs = {nodes[-1].output[0]: [f"d{i}" for i in range(rank)], "beside_y": (4, 96)}
        feeds, constants = feeds | {"beside_x": build.activations(4, 96)}, constants | {"beside_w": build.weights(96, 96)}
        nodes = [*nodes, node("MatMul", "beside_x beside_w", "beside_y")]
        model = build.model(nodes, feeds, outputs, constants, imports=imports)
        onnx.save(model, self.dir / "float.onnx")
        want = self.run_levels(self.dir / "float.onnx", feeds)["disabled"][0]
        for name, flags in METHODS.items():
            with self.subTest(name):
                outcome = self.quantize(model, *flags)
                for found in self.run_levels(outcome.path, feeds).values():
                    self.assertLessEqual(np.linalg.norm(found[0] - want), allowed * np.linalg.norm(want))


def sticky(n: int, stay: float) -> np.ndarray:
    """Of states that are mostly kept: what leads out of one is all that there is beside the diagonal."""
    w = build.rng(2).dirichlet(np.ones(n), n) * (1 - stay)
    w[np.arange(n), np.arange(n)] += stay
    return w.astype(np.float32)


class Steps(Exact):
    """The same matrix again and again: what it changes is beside its diagonal."""

    @cases({"heat": (np.eye(N) + 0.02 * (np.eye(N, k=1) + np.eye(N, k=-1) - 2 * np.eye(N)),),
            "weak": (np.eye(N) + 0.003 * (np.eye(N, k=1) + np.eye(N, k=-1) - 2 * np.eye(N)),),
            "large": (np.eye(300) + 0.1 * build.rng(4).standard_normal((300, 300)) / 17,)})
    def of_time(self, w):
        x = np.zeros((1, len(w)), np.float32)
        x[0, len(w) // 3 : len(w) // 2] = 1
        names = ["x", *(f"t{i}" for i in range(39)), "y"]
        nodes = [node("MatMul", f"{a} w", b) for a, b in zip(names, names[1:], strict=False)]
        self.check(nodes, {"x": x}, {"w": w.astype(np.float32)})

    @cases({"32": (32, 0.9), "64": (64, 0.99), "128": (128, 0.9)})
    def of_a_filter(self, n, stay):
        """Of a hidden Markov model, with what is seen."""
        feeds = {f"e{i}": (0.01 + np.exp(-((np.arange(n) - i // 3) ** 2))).astype(np.float32)[None] for i in range(12)}
        nodes, a = [], "start"
        for e in feeds:
            nodes += [node("MatMul", f"{a} w", f"p{e}"), node("Mul", f"p{e} {e}", f"u{e}"),
                      node("ReduceSum", f"u{e} axes", f"s{e}"), node("Div", f"u{e} s{e}", f"a{e}")]
            a = f"a{e}"
        nodes += [node("Concat", " ".join(f"a{e}" for e in feeds), "y", axis=0)]
        start = np.full((1, n), 1 / n, np.float32)
        self.check(nodes, feeds, {"w": sticky(n, stay), "start": start, "axes": np.array([1])})

    def test_looked_up(self):
        """Transitions of every step, as discrete diffusion has them."""
        w = np.stack([sticky(N, 1 - 0.001 * (i + 1)) for i in range(20)])
        x = np.eye(N, dtype=np.float32)[:8]
        nodes = [node("Gather", "w i", "q", axis=0), node("MatMul", "x q", "m"), node("Log", "m", "y")]
        self.check(nodes, {"x": x, "i": np.array(3)}, {"w": w})

    def test_kernels(self):
        """Filters that are one less something, here a band of hum."""
        t = np.arange(257) - 128
        w = (np.arange(257) == 128) - 0.03 * np.cos(0.3 * t) * np.hanning(257)
        x = (np.sin(np.arange(2000) / 100) + 10 * np.cos(0.3 * np.arange(2000))).astype(np.float32)
        kernels = np.tile(w, (2, 1))[:, None].astype(np.float32)
        self.check([node("Conv", "x w", "y", group=2)], {"x": np.tile(x, (2, 1))[None]}, {"w": kernels}, rank=3)


class Sums(Exact):
    """Sums of one hand on what all inputs have in common."""

    def check_places(self, w, x):
        nodes = [node("MatMul", "x w", "m"), node("Sub", "m level", "y")]
        self.check(nodes, {"x": x.astype(np.float32)}, {"w": w.astype(np.float32), "level": np.float32(x.mean())})

    def test_interpolation(self):
        at = np.linspace(0, N - 1.001, 96)
        w = np.maximum(0, 1 - abs(np.arange(N)[:, None] - at))
        self.check_places(w, 288 + 5 * np.sin(np.arange(N) / 7)[None])

    def test_smoothing(self):
        w = np.exp(-(((np.arange(300)[:, None] - np.arange(300)) / 6) ** 2))
        self.check_places(w / w.sum(0), 1e5 + 300 * np.sin(np.arange(300) / 20)[None])

    def test_of_both_signs(self):
        w = 0.02 * build.rng(3).standard_normal((336, 96))
        w += (1 - w.sum(0)) / 336
        self.check_places(w, 5e4 + 300 * np.sin(np.arange(336) / 4)[None])


class Few(Exact):
    """Points on the one side of a product; readouts of few outputs."""

    def test_homogeneous_coordinates(self):
        u, v = np.meshgrid(np.arange(64.0), np.arange(32.0))
        pixels = np.stack([u.ravel(), v.ravel(), np.ones(u.size)]).astype(np.float32)
        camera = np.linalg.inv([[50, 0, 32], [0, 50, 16], [0, 0, 1]]).astype(np.float32)
        self.check([node("MatMul", "x w", "y")], {"x": camera[None]}, {"w": pixels[None]}, 1e-6, 3)

    def test_readouts(self):
        """Of many features that are nearly the same: large weights take each other away."""
        x = build.rng(5).uniform(-1, 1, (600, 2))
        features = np.exp(-3 * ((x[:, None] - build.rng(6).uniform(-1, 1, (1200, 2))) ** 2).sum(2))
        w = np.linalg.solve(features.T @ features + 1e-4 * np.eye(1200), features.T @ np.sin(3 * x[:, :1]))
        self.check([node("MatMul", "x w", "y")], {"x": features[:64].astype(np.float32)}, {"w": w.astype(np.float32)})

    def test_variances(self):
        """1 - k . K^-1 . k, below a root."""
        points = build.rng(7).uniform(0, 1, (N, 2))

        def kernel(a):
            return np.exp(-6 * ((a[:, None] - points) ** 2).sum(2))

        w = np.linalg.inv(kernel(points) + 0.01 * np.eye(N)).astype(np.float32)
        nodes = [
            node("MatMul", "x w", "m"), node("Mul", "m x", "q"), node("ReduceSum", "q axes", "s"),
            node("Sub", "one s", "v"), node("Max", "v zero", "z"), node("Sqrt", "z", "y"),
        ]
        x = kernel(build.rng(8).uniform(0, 1, (32, 2))).astype(np.float32)
        self.check(nodes, {"x": x}, {"w": w, "one": np.float32(1), "zero": np.float32(0), "axes": np.array([1])}, 1e-6)


class Tables(Exact):
    ROWS = 1000 + 50 * build.rng(9).standard_normal((100, 24))
    WHICH = np.arange(0, 90, 3)

    def test_what_is_taken_off(self):
        """A profile by customer."""
        x = (self.ROWS[self.WHICH] + 10 * build.rng(10).standard_normal((30, 24))).astype(np.float32)
        nodes = [node("Gather", "t i", "r"), node("Sub", "x r", "y")]
        self.check(nodes, {"x": x, "i": self.WHICH}, {"t": self.ROWS.astype(np.float32)})

    def test_what_rows_are_off_from_themselves(self):
        nodes = [
            node("Gather", "t i", "r"), node("Slice", "r one end one", "a"), node("Slice", "r zero last one", "b"),
            node("Sub", "a b", "y"),
        ]
        walk = 100 + build.rng(11).standard_normal((50, 400)).cumsum(1).astype(np.float32)
        ends = {n: np.array([a]) for n, a in {"zero": 0, "one": 1, "end": 400, "last": 399}.items()}
        self.check(nodes, {"i": np.arange(6)}, {"t": walk, **ends})

    def test_embeddings_that_are_compared_have_8(self):
        """Head and relation less tail, of tables alone."""
        nodes = [node("Gather", "t i", "h"), node("Gather", "r j", "s"), node("Add", "h s", "p"),
                 node("Gather", "t k", "e"), node("Sub", "p e", "d"), node("ReduceL2", "d axes", "y")]
        feeds = {n: np.arange(8) for n in "ijk"}
        constants = {"t": build.weights(200, 64), "r": build.weights(32, 64), "axes": np.array([1])}
        model = build.model(nodes, feeds, {"y": (8, 1)}, constants)
        self.assertEqual(self.quantize(model).weight("t")["uses"][0]["form"], "int8 folded at load")

    @cases(["GatherElements", "GatherND"])
    def single_numbers(self, op_type):
        t = (np.linspace(0, 1, 2048) ** 0.5).astype(np.float32).reshape(2, 1024)
        at = build.rng(12).integers(0, 1023, (2, 200))
        i, j = (at, at + 1) if op_type == "GatherElements" else (np.stack([at % 2, a], 2) for a in (at, at + 1))
        attributes = {"axis": 1} if op_type == "GatherElements" else {}
        nodes = [node(op_type, "t i", "a", **attributes), node(op_type, "t j", "b", **attributes), node("Sub", "b a", "y")]
        self.check(nodes, {"i": i, "j": j}, {"t": t}, 0.05)

    def test_places_far_away(self):
        """Distances in metres, of coordinates that count from the equator."""
        places = np.stack([build.rng(13).uniform(4e5, 6e5, 1000), build.rng(14).uniform(5e6, 5.2e6, 1000)])[None]
        x = (places[:, :, :20].transpose(2, 1, 0) + 200 * build.rng(15).standard_normal((20, 2, 1))).astype(np.float32)
        nodes = [node("Sub", "x t", "d"), node("ReduceSumSquare", "d axes", "s"), node("ReduceMin", "s axes", "y")]
        self.check(nodes, {"x": x}, {"t": places.astype(np.float32), "axes": np.array([1])}, 1e-6, 3)

    def test_distances(self):
        nodes = [node("CDist", "x t", "y", domain="com.microsoft", metric="sqeuclidean")]
        points = build.rng(16).standard_normal((400, 3)).astype(np.float32)
        x = points[:40] + np.float32(0.01)
        self.check([*nodes, node("ReduceMin", "y axes", "z")], {"x": x}, {"t": points, "axes": np.array([1])}, 1e-6)


class Experts(Exact):
    def test_matrices_of_unlike_size(self):
        """DequantizeLinear has one axis: a scale for each column of all."""
        sizes = np.array([1, 1, 0.1, 0.01], np.float32)[:, None, None]
        w = sizes * build.rng().standard_normal((4, 96, 64)).astype(np.float32)
        nodes = [node("MatMul", "x w", "m"), node("Div", "m sizes", "y")]
        self.check(nodes, {"x": build.activations(1, 5, 96)}, {"w": w, "sizes": sizes}, 0.025, 3)

    def test_of_like_size(self):
        w = build.rng().standard_normal((4, 96, 64)).astype(np.float32)
        model = build.model([node("MatMul", "x w", "y")], {"x": (1, 5, 96)}, {"y": (4, 5, 64)}, {"w": w})
        self.assertEqual(self.quantize(model, "--method=qdq").weight("w")["uses"][0]["form"], "DequantizeLinear")


class Others(OrtTest):
    @cases(
        {
            "outliers": (np.where(build.rng(1).random((256, 256)) < 0.002, 8, 1) * build.weights(256, 256),),
            "heavy tails": (build.rng(2).standard_t(2, (256, 256)),),
            "pruned": (build.rng(4).standard_normal((256, 256)) * (build.rng(3).random((256, 256)) < 0.1),),
            "a channel of outliers": (build.weights(256, 256) * np.where(np.arange(256) == 9, 10, 1)[:, None],),
            "averages": (np.abs(build.weights(256, 256)),),
        }
    )
    def stay_products_of_integers(self, w):
        nodes = [node("Relu", "x", "h"), node("MatMul", "h w", "y")]
        model = build.model(nodes, {"x": (4, 256)}, {"y": (4, 256)}, {"w": w.astype(np.float32)})
        self.assertEqual(self.quantize(model).weight("w")["action"], "dynamic")
