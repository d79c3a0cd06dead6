"""How weights are stored in the input and in the output, element types, and reproducible bytes."""

import ml_dtypes
import numpy as np
import onnx
from onnx import TensorProto, external_data_helper, helper, numpy_helper

import build
import common
import reference
from build import node
from harness import OrtTest, cases
from reference import Scheme

DEFAULT = Scheme()
M, K, N = 5, build.K, build.N
X = build.activations(M, K)
W = build.weights(K, N)
SMALL = build.weights(K, 12, seed=4)
FILTER = build.weights(16, 8, 3, 3, seed=5)
IMAGE = build.activations(1, 8, 10, 10)
FEEDS = {"x": X, "image": IMAGE}
ELEMENT_TYPES = {
    "float16": np.dtype(np.float16),
    "float64": np.dtype(np.float64),
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
}


def typed(w: np.ndarray, name: str) -> TensorProto:
    """With the values in float_data."""
    return helper.make_tensor(name, build.FLOAT, w.shape, w.reshape(-1).tolist())


def three_weights(make=lambda w, name: numpy_helper.from_array(w, name)) -> onnx.ModelProto:
    """A large product, a small one and a Conv."""
    nodes = [node("MatMul", "x w", "y"), node("MatMul", "x small", "z"), node("Conv", "image filter", "c")]
    constants = {"w": make(W, "w"), "small": make(SMALL, "small"), "filter": make(FILTER, "filter")}
    return build.model(
        nodes,
        {"x": X.shape, "image": IMAGE.shape},
        {"y": (M, N), "z": (M, 12), "c": (1, 16, 8, 8)},
        constants,
    )


class StorageTest(OrtTest):
    def check_three(self, outcome) -> None:
        self.assertEqual([outcome.match(name).form for name in "yzc"], ["dynamic", "fold", "fold"])
        self.assert_stored(outcome.match("y"), reference.quantize_matmul(W, DEFAULT))
        self.assert_stored(outcome.match("z"), reference.fold_matmul(SMALL, DEFAULT))
        self.assert_stored(outcome.match("c"), reference.fold_conv(FILTER, DEFAULT))
        want = reference.dynamic_matmul(X, reference.quantize_matmul(W, DEFAULT))
        plain = common.run(three_weights(), FEEDS)
        for level, outputs in self.run_levels(outcome.path, FEEDS).items():
            self.assert_close(outputs[0], want, 1e-5 * np.abs(want), level)
            self.assertLess(common.relative_error(plain, outputs), 2)


class Fields(StorageTest):
    def test_raw_data(self):
        self.check_three(self.quantize(three_weights()))

    def test_float_data(self):
        self.check_three(self.quantize(three_weights(typed)))

    def test_same_bytes_from_both(self):
        raw = self.quantize(three_weights()).path.read_bytes()
        self.assertEqual(raw, self.quantize(three_weights(typed)).path.read_bytes())

    def test_metadata_stays(self):
        model = three_weights()
        helper.set_model_props(model, {"author": "somebody", "notes": "ö"})
        model.doc_string, model.graph.doc_string, model.model_version, model.domain = (
            "doc",
            "graph",
            7,
            "org.example",
        )
        outcome = self.quantize(model)
        made = outcome.model
        self.assertEqual(
            (made.doc_string, made.graph.doc_string, made.model_version, made.domain),
            ("doc", "graph", 7, "org.example"),
        )
        self.assertLessEqual(
            {("author", "somebody"), ("notes", "ö")}, {(p.key, p.value) for p in made.metadata_props}
        )


class External(StorageTest):
    def save(self, all_in_one: bool, threshold: int = 0) -> None:
        self.folder = self.dir / "in"
        self.folder.mkdir()
        onnx.save_model(
            three_weights(),
            self.folder / "model.onnx",
            save_as_external_data=True,
            all_tensors_to_one_file=all_in_one,
            location="weights.bin" if all_in_one else None,
            size_threshold=threshold,
        )

    def side_files(self, outcome) -> set[str]:
        return {
            info.location
            for tensor in outcome.model.graph.initializer
            if external_data_helper.uses_external_data(tensor)
            for info in [external_data_helper.ExternalDataInfo(tensor)]
        }

    @cases(
        {
            f"{'one' if one else 'many'}_{out}": (one, out)
            for one in (True, False)
            for out in ("auto", "always", "never")
        }
    )
    def read(self, one, out):
        self.save(one)
        outcome = self.quantize(self.folder / "model.onnx", f"--external-data={out}")
        self.check_three(outcome)
        self.assertEqual(bool(self.side_files(outcome)), out != "never")

    def test_written(self):
        """One side file beside the model; where weights begin in it can be mapped."""
        outcome = self.quantize(three_weights(), "--external-data=always")
        self.check_three(outcome)
        (name,) = self.side_files(outcome)
        self.assertEqual({p.name for p in outcome.path.parent.iterdir()}, {outcome.path.name, name})
        places = []
        for tensor in outcome.model.graph.initializer:
            if external_data_helper.uses_external_data(tensor):
                info = external_data_helper.ExternalDataInfo(tensor)
                offset = info.offset or 0
                self.assertEqual(offset % 4096, 0, tensor.name)
                places.append((offset, offset + info.length))
        places.sort()
        self.assertTrue(all(a[1] <= b[0] for a, b in zip(places, places[1:])), "payloads overlap")
        self.assertEqual((outcome.path.parent / name).stat().st_size, places[-1][1])

    def external_constant(self, name: str, file: str, array: np.ndarray | tuple) -> onnx.NodeProto:
        """A Constant node whose tensor is in a side file; of a shape alone: of zeros, in a sparse file."""
        shape = array if isinstance(array, tuple) else array.shape
        tensor = TensorProto(name=name, data_type=build.FLOAT, dims=shape, data_location=TensorProto.EXTERNAL)
        with open(self.dir / file, "wb") as stream:
            stream.truncate(int(np.prod(shape)) * 4) if array is shape else stream.write(array.tobytes())
        tensor.external_data.add(key="location", value=file)
        node = helper.make_node("Constant", [], [name], name=name)
        node.attribute.add(name="value", type=onnx.AttributeProto.TENSOR).t.CopyFrom(tensor)
        return node

    def test_constant_nodes(self):
        """What stays float in a node goes to the side file as well, if it came from one."""
        constants = [self.external_constant("w", "w.bin", W), self.external_constant("v", "v.bin", -W)]
        nodes = [*constants, node("MatMul", "x w", "y"), node("MatMul", "x v", "z")]
        graph = build.graph(nodes, {"x": X.shape}, {"y": (M, N), "z": (M, N)})
        source = self.dir / "model.onnx"
        source.write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
                           .SerializeToString())
        outcome = self.quantize(source, "--exclude=matmul_z")
        self.assertLess(outcome.path.stat().st_size, 4096)
        got = common.run(outcome.path, {"x": X})
        np.testing.assert_allclose(got[1], X @ -W, rtol=1e-4, atol=1e-4)
        self.assertLess(common.relative_error([X @ W], got[:1]), 2)

    def test_large_constant_nodes(self):
        """Two of 1.28 GB, of which no byte is on the disk."""
        constants = [self.external_constant(name, f"{name}.bin", (320_000, 1000)) for name in "vw"]
        nodes = [*constants, node("Sin", "v", "y"), node("Sin", "w", "z")]
        graph = build.graph(nodes, {"x": X.shape}, {"y": [None] * 2, "z": [None] * 2, "p": [None] * 2}, {"u": W})
        graph.node.append(node("MatMul", "x u", "p"))
        source = self.dir / "model.onnx"
        source.write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
                           .SerializeToString())
        done = self.onnxq("quantize", "--dry-run", source)
        self.assertIn("Would write", done.stdout)

    def test_small_model_stays_in_one_file(self):
        outcome = self.quantize(three_weights())
        self.assertEqual(self.side_files(outcome), set())
        self.assertEqual([p.name for p in outcome.path.parent.iterdir()], [outcome.path.name])

    def test_same_weights_from_both(self):
        inside = self.quantize(three_weights()).path.read_bytes()
        self.save(True)
        self.assertEqual(
            inside, self.quantize(self.folder / "model.onnx", "--external-data=never").path.read_bytes()
        )


class Bytes(StorageTest):
    """The same bytes in every run and with every number of threads."""

    @cases({"inside": ("never",), "side_file": ("always",)})
    def reproducible(self, external):
        weights = {f"w{i}": build.weights(257 + i, 300, seed=i) for i in range(6)}
        nodes = [node("MatMul", f"x{i} w{i}", f"y{i}") for i in range(6)]
        model = build.model(
            nodes, {f"x{i}": (M, 257 + i) for i in range(6)}, {f"y{i}": (M, 300) for i in range(6)}, weights
        )
        made = set()
        for flags in ((), (), ("-j1",), ("-j2",), ("-j5",)):
            outcome = self.quantize(model, f"--external-data={external}", *flags)
            made.add(tuple((p.name, p.read_bytes()) for p in sorted(outcome.path.parent.iterdir())))
        self.assertEqual(len(made), 1)

    def test_path_leaves_no_trace(self):
        first = self.quantize(three_weights()).path.read_bytes()
        self.dir = self.dir / "elsewhere"
        self.dir.mkdir()
        self.assertEqual(first, self.quantize(three_weights()).path.read_bytes())


class ElementTypes(OrtTest):
    """Weights that are not float32. Each is quantized from its float32 value, or left alone with a reason."""

    def make(
        self, op: str, dtype: np.dtype, opset: int
    ) -> tuple[onnx.ModelProto, dict, np.ndarray, np.ndarray]:
        """Model, feeds, weight and the result in float64."""
        x, w = {"large": (X, W), "small": (X, SMALL), "gemm": (X, W), "conv": (IMAGE, FILTER)}[op]
        x, w, b = x.astype(dtype), w.astype(dtype), np.float32(0.3)
        plain = build.model(
            [node("Conv", "x w", "y")], {"x": x.shape}, {"y": [None] * 4}, {"w": w.astype(np.float32)}
        )
        wide_x, wide_w = x.astype(np.float64), w.astype(np.float64)
        constants = {"w": w}
        if op == "conv":
            nodes, y = [node("Conv", "x w", "y")], common.run(plain, {"x": x.astype(np.float32)})[0]
        elif op == "gemm":
            constants["c"] = np.full(N, b).astype(dtype)
            nodes, y = [node("Gemm", "x w c", "y", alpha=0.5)], 0.5 * (wide_x @ wide_w) + np.float64(b)
        else:
            nodes, y = [node("MatMul", "x w", "y")], wide_x @ wide_w
        model = build.model(nodes, {"x": x}, {"y": np.zeros(y.shape, dtype)}, constants, opset)
        return model, {"x": x}, w, y

    @cases(
        {
            f"{kind}_{op}_opset_{opset}": (ELEMENT_TYPES[kind], op, opset)
            for kind in ("float16", "float64")
            for op in ("large", "small", "gemm", "conv")
            for opset in (9, 13, 21)
            if (kind, op) != ("float64", "conv")
        }
    )  # ONNX Runtime has no such Conv
    def right(self, dtype, op, opset):
        model, feeds, w, want = self.make(op, dtype, opset)
        outcome = self.quantize(model)
        found = outcome.match("y")
        folds = op in ("small", "conv")
        self.assertEqual(found.form, "fold" if folds else "dynamic" if opset >= 11 else "contrib")
        quantize = {"conv": reference.fold_conv, "small": reference.fold_matmul}.get(op, reference.quantize_matmul)
        self.assert_stored(found, quantize(w.astype(np.float32), DEFAULT), factor=0.5 if op == "gemm" else 1)
        for level, outputs in self.run_levels(outcome.path, feeds).items():
            self.assertEqual(outputs[0].dtype, dtype)
            self.assertLess(common.relative_error([want], outputs), 2, level)
        if folds:
            self.assert_folded(outcome)
        else:
            ops = self.optimized(outcome.path)
            self.assertEqual(
                (ops["com.microsoft.DynamicQuantizeMatMul"], ops["MatMulInteger"], ops["Cast"]),
                (1, 0, 2),
                ops,
            )

    @cases({"int8": (np.int8,), "int32": (np.int32,), "uint8": (np.uint8,), "float16": (np.float16,)})
    def other_constants_are_untouched(self, dtype):
        other = (build.weights(4000) * 100).astype(dtype)
        nodes = [node("MatMul", "x w", "y"), node("Identity", "other", "z")]
        outcome = self.quantize(
            build.model(nodes, {"x": X.shape}, {"y": (M, N), "z": other}, {"w": W, "other": other})
        )
        np.testing.assert_array_equal(common.run(outcome.path, {"x": X})[1], other)

    def test_bfloat16(self):
        """ONNX Runtime's CPU kernels cannot run such a float model; the quantized one they can."""
        w, x = W.astype(ELEMENT_TYPES["bfloat16"]), X.astype(ELEMENT_TYPES["bfloat16"])
        model = build.model(
            [
                node("Cast", "x", "h", to=TensorProto.BFLOAT16),
                node("MatMul", "h w", "p"),
                node("Cast", "p", "y", to=build.FLOAT),
            ],
            {"x": X.shape},
            {"y": (M, N)},
            {"w": w},
        )
        outcome = self.quantize(model)
        self.assert_stored(outcome.match("p"), reference.quantize_matmul(w.astype(np.float32), DEFAULT))
        want = x.astype(np.float32) @ w.astype(np.float32)
        for level, outputs in self.run_levels(outcome.path, {"x": X}).items():
            self.assertLess(common.relative_error([want], outputs), 2, level)
