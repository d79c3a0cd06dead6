"""--weights-from: what GPTQ and AWQ have quantized, in ONNX Runtime as it was."""

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import build
import checkpoints
import common
import harness
from build import node
from checkpoints import Checkpoint
from harness import OrtTest, cases

ROWS, COLUMNS = 256, 96
MODULE = "model.layers.0.mlp.up_proj"


def scope(module: str) -> str:
    """/model/layers.0/mlp/up_proj, as torch.onnx names what a module does."""
    parts = []
    for part in module.split("."):
        if part.isdigit():
            parts[-1] += f".{part}"
        else:
            parts.append(part)
    return "/" + "/".join(parts)


def product(w: np.ndarray, name: str = f"{scope(MODULE)}/MatMul", weight: str = "onnx::MatMul_7") -> onnx.ModelProto:
    x = np.zeros((3, len(w)), np.float32)
    return build.model([node("MatMul", f"x {weight}", "y", name=name)], {"x": x.shape}, {"y": (3, w.shape[1])}, {weight: w})


def order_of(rows: int, seed: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).permutation(rows)


class ImportTest(OrtTest):
    def checkpoint(self, parts: dict, module: str = MODULE, config: dict | None = None, name: str = "quantize_config.json") -> Path:
        stored = Checkpoint()
        stored.add(module, parts)
        stored.tensors["model.norm.weight"] = np.ones(8, np.float16)
        return self.save(stored, config, name)

    def save(self, stored: Checkpoint, config: dict | None = None, name: str = "quantize_config.json") -> Path:
        folder = self.dir / "checkpoint"
        folder.mkdir(exist_ok=True)
        if config is not None:
            (folder / name).write_text(json.dumps(config))
        return stored.write(folder / "model.safetensors")

    def take(self, model: onnx.ModelProto, checkpoint: Path, *flags: str) -> harness.Outcome:
        return self.quantize(model, "--weights-from", str(checkpoint), "--accuracy-level=1", *flags)

    def assert_taken(self, outcome: harness.Outcome, weight: np.ndarray, x: np.ndarray) -> None:
        """What the engine computes is the product with what the checkpoint stands for."""
        for level in common.LEVELS:
            got = common.run(outcome.path, {"x": x}, level)[0]
            np.testing.assert_allclose(got, x @ weight, atol=1e-5 * np.abs(x).sum(1).max(), err_msg=level)

    def refuse(self, model: onnx.ModelProto, checkpoint: Path, *texts: str, status: int = 3, flags: tuple = ()) -> None:
        onnx.save(model, self.dir / "model.onnx")
        out = self.dir / "out.onnx"
        done = self.onnxq("quantize", "--weights-from", checkpoint, self.dir / "model.onnx", out, *flags, status=status)
        for text in texts:
            self.assertIn(text, done.stderr)
        self.assertLessEqual(done.stderr.count("\n"), 2)  # what is wrong, and a hint
        self.assertFalse(out.exists())


class Formats(ImportTest):
    """Every packing, to the last integer: the weight that comes back is the checkpoint's."""

    @cases(
        {
            f"{form}_{bits}_{size}_{'symmetric' if symmetric else 'asymmetric'}": (form, bits, size, symmetric)
            for form in ("gptq", "gptq_v2", "awq")
            for bits in ((4,) if form == "awq" else (2, 4, 8))
            for size in (-1, 16, 32, 64, 128, 48)
            for symmetric in (True, False)
        }
    )
    def one(self, form: str, bits: int, size: int, symmetric: bool) -> None:
        w, x = build.weights(288 if size == 48 else ROWS, COLUMNS), build.activations(3, 288 if size == 48 else ROWS)
        layer = checkpoints.rounded(w, bits, size, symmetric)
        parts = checkpoints.awq(layer) if form == "awq" else checkpoints.gptq(layer, 2 if form == "gptq_v2" else 1)
        config = {"bits": bits, "group_size": size, "quant_method": form[:4].rstrip("_"), "sym": symmetric}
        config |= {"version": "gemm"} if form == "awq" else {"checkpoint_format": form}
        outcome = self.take(product(w), self.checkpoint(parts, config=config))
        self.assert_taken(outcome, layer.weight, x)
        (told,) = outcome.report["imports"]
        self.assertEqual((told["module"], told["weight"], told["reason"]), (MODULE, "onnx::MatMul_7", ""))
        self.assertEqual((told["format"], told["bits"], told["rows"], told["columns"]), (form, bits, *w.shape))
        self.assertAlmostEqual(told["distance"], np.linalg.norm(w - layer.weight) / np.linalg.norm(w), places=5)
        (matmul,) = [n for n in outcome.model.graph.node if n.op_type == "MatMulNBits"]
        self.assertEqual(len(matmul.input) < 4 or matmul.input[3] == "", symmetric)

    @cases({f"{bits}_{version}": (bits, version) for bits in (2, 4, 8) for version in (1, 2)})
    def act_order(self, bits: int, version: int) -> None:
        """Groups of rows that do not follow each other: the inputs are gathered."""
        w, x = build.weights(ROWS, COLUMNS), build.activations(3, ROWS)
        layer = checkpoints.rounded(w, bits, 32, order=order_of(ROWS))
        config = {"bits": bits, "group_size": 32, "desc_act": True, "checkpoint_format": "gptq" if version == 1 else "gptq_v2"}
        outcome = self.take(product(w), self.checkpoint(checkpoints.gptq(layer, version), config=config))
        self.assert_taken(outcome, layer.weight, x)
        self.assertEqual([n.op_type for n in outcome.model.graph.node], ["Gather", "MatMulNBits"])
        self.assertTrue(outcome.report["imports"][0]["reordered"])
        self.assertLess(outcome.report["imports"][0]["distance"], 0.7)

    def test_last_group_is_shorter(self) -> None:
        """320 rows in groups of 128, of which the last one has 64; in order, and not."""
        for order in (None, order_of(320)):
            w, x = build.weights(320, COLUMNS), build.activations(3, 320)
            layer = checkpoints.rounded(w, 4, 128, order=order)
            outcome = self.take(product(w), self.checkpoint(checkpoints.gptq(layer), config={"bits": 4, "group_size": 128}))
            self.assert_taken(outcome, layer.weight, x)

    @cases(["float32", "bfloat16"])
    def scales(self, dtype: str) -> None:
        w, x = build.weights(ROWS, COLUMNS), build.activations(3, ROWS)
        layer = checkpoints.rounded(w, 4, 32)
        layer.s = layer.s.astype(np.float32)
        stored = Checkpoint()
        if dtype == "bfloat16":
            layer.s = (layer.s.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)
            stored.bfloat16.add(f"{MODULE}.scales")
        stored.add(MODULE, checkpoints.gptq(layer))
        self.assert_taken(self.take(product(w), self.save(stored)), layer.weight, x)

    def test_without_configuration(self) -> None:
        """Shapes tell all but what of the zero points is stored."""
        w, x = build.weights(ROWS, COLUMNS), build.activations(3, ROWS)
        layer = checkpoints.rounded(w, 4, 64)
        for parts in (checkpoints.gptq(layer, g_idx=False), checkpoints.awq(layer)):
            self.assert_taken(self.take(product(w), self.checkpoint(parts)), layer.weight, x)

    def test_second_format_under_the_first_name(self) -> None:
        """Symmetric zero points say themselves how they are stored."""
        w, x = build.weights(ROWS, COLUMNS), build.activations(3, ROWS)
        layer = checkpoints.rounded(w, 4, 64, symmetric=True)
        outcome = self.take(product(w), self.checkpoint(checkpoints.gptq(layer, 2), config={"checkpoint_format": "gptq"}))
        self.assert_taken(outcome, layer.weight, x)
        self.assertEqual(outcome.report["imports"][0]["format"], "gptq_v2")

    @cases({"config.json": ("config.json",), "quant_config.json": ("quant_config.json",)})
    def configuration(self, name: str) -> None:
        """The second format, which only the configuration tells from the first."""
        w, x = build.weights(ROWS, COLUMNS), build.activations(3, ROWS)
        layer = checkpoints.rounded(w, 4, 64)
        config = {"bits": 4, "group_size": 64, "quant_method": "gptq", "checkpoint_format": "gptq_v2", "meta": {"a": [1.5, None]}}
        if name == "config.json":
            config = {"architectures": ["X"], "quantization_config": config, "vocab_size": 9}
        outcome = self.take(product(w), self.checkpoint(checkpoints.gptq(layer, 2), config=config, name=name))
        self.assert_taken(outcome, layer.weight, x)


class Places(ImportTest):
    """Which weight a module is for."""

    @cases(
        {
            "node": (f"{scope(MODULE)}/MatMul", "onnx::MatMul_7"),
            "node_numbered": (f"{scope(MODULE)}/MatMul_3", "onnx::MatMul_7"),
            "node_without_wrapper": ("/layers.0/mlp/up_proj/MatMul", "onnx::MatMul_7"),
            "node_in_wrapper": (f"/wrapped{scope(MODULE)}/MatMul", "onnx::MatMul_7"),
            "weight": ("node_linear_3", f"{MODULE}.weight"),
            "weight_of_operator": ("n", f"{MODULE}.MatMul.weight"),
        }
    )
    def name(self, name: str, weight: str) -> None:
        w, x = build.weights(ROWS, COLUMNS), build.activations(3, ROWS)
        layer = checkpoints.rounded(w, 4, 32)
        outcome = self.take(product(w, name, weight), self.checkpoint(checkpoints.gptq(layer)))
        self.assert_taken(outcome, layer.weight, x)

    @cases(["Gemm", "Gemm_transB", "Transpose", "alpha_and_bias"])
    def form(self, form: str) -> None:
        w, x, c = build.weights(ROWS, COLUMNS), build.activations(3, ROWS), build.weights(COLUMNS)
        layer = checkpoints.rounded(w, 4, 32, order=order_of(ROWS))
        weight, label, attributes, want = f"{MODULE}.weight", f"{scope(MODULE)}/Gemm", {}, x @ layer.weight
        stored = w.T.copy() if form in ("Gemm_transB", "Transpose", "alpha_and_bias") else w
        constants, nodes = {weight: stored}, []
        if form == "Transpose":
            nodes = [node("Transpose", weight, "t", perm=[1, 0]), node("MatMul", "x t", "y", name="matmul")]
        elif form == "alpha_and_bias":
            constants["c"] = c
            nodes = [node("Gemm", f"x {weight} c", "y", name=label, transB=1, alpha=0.5)]
            want = 0.5 * want + c
        else:
            nodes = [node("Gemm", f"x {weight}", "y", name=label, transB=int(form == "Gemm_transB"))]
        model = build.model(nodes, {"x": x.shape}, {"y": (3, COLUMNS)}, constants)
        outcome = self.take(model, self.checkpoint(checkpoints.gptq(layer)))
        got = common.run(outcome.path, {"x": x})[0]
        np.testing.assert_allclose(got, want, atol=1e-3)
        self.assertIn("MatMulNBits", [n.op_type for n in outcome.model.graph.node])
        self.assertLess(outcome.report["imports"][0]["distance"], 0.2)

    def test_float16_model(self) -> None:
        w, x = build.weights(ROWS, COLUMNS).astype(np.float16), build.activations(3, ROWS).astype(np.float16)
        layer = checkpoints.rounded(w.astype(np.float32), 4, 32)
        weight = f"{MODULE}.weight"
        graph = helper.make_graph(
            [node("MatMul", f"x {weight}", "y")],
            "g",
            [build.info("x", x.shape, TensorProto.FLOAT16)],
            [build.info("y", (3, COLUMNS), TensorProto.FLOAT16)],
            [numpy_helper.from_array(w, weight)],
        )
        outcome = self.take(build.model(graph), self.checkpoint(checkpoints.gptq(layer)))
        got = common.run(outcome.path, {"x": x})[0]
        np.testing.assert_allclose(got, (x.astype(np.float32) @ layer.weight), atol=0.05, rtol=2e-3)

    def attention(self, order: np.ndarray | None) -> tuple[onnx.ModelProto, Checkpoint, dict]:
        """q and k of two layers, o behind them, a norm, and a product that is not in the checkpoint."""
        stored, layers, constants, nodes, flow = Checkpoint(), {}, {}, [], "x"
        for i in range(2):
            for part in ("q_proj", "k_proj", "o_proj"):
                module = f"model.layers.{i}.self_attn.{part}"
                w = build.weights(ROWS, ROWS, seed=10 * i + len(layers)) / 16
                layers[module] = checkpoints.rounded(w, 4, 64, order=order)
                stored.add(module, checkpoints.gptq(layers[module]))
                weight = f"onnx::MatMul_{100 + len(layers)}"
                constants[weight] = w
                source = f"s{i}" if part == "o_proj" else flow
                nodes.append(node("MatMul", f"{source} {weight}", f"{part}{i}", name=f"{scope(module)}/MatMul"))
                if part == "k_proj":
                    nodes.append(node("Add", f"q_proj{i} k_proj{i}", f"s{i}"))
            flow = f"o_proj{i}"
        constants["lm_head.weight"] = build.weights(ROWS, 40, seed=99)
        nodes.append(node("MatMul", f"{flow} lm_head.weight", "y", name="/lm_head/MatMul"))
        return build.model(nodes, {"x": (3, ROWS)}, {"y": (3, 40)}, constants), stored, layers

    def reference(self, model: onnx.ModelProto, layers: dict, x: np.ndarray) -> np.ndarray:
        """The float model with what the checkpoint stands for in its place."""
        replaced = onnx.ModelProto()
        replaced.CopyFrom(model)
        weights = {n.input[1]: n.name for n in model.graph.node if n.op_type == "MatMul"}
        for tensor in replaced.graph.initializer:
            module = weights[tensor.name].removesuffix("/MatMul").strip("/").replace("/", ".")
            if module in layers:
                tensor.CopyFrom(numpy_helper.from_array(layers[module].weight, tensor.name))
        return common.run(replaced, {"x": x})[0]

    @cases({"in_order": (None,), "act_order": (order_of(ROWS),)})
    def network(self, order: np.ndarray | None) -> None:
        model, stored, layers = self.attention(order)
        x = build.activations(3, ROWS)
        (self.dir / "shards").mkdir()
        outcome = self.take(model, stored.write_shards(self.dir / "shards", 4))
        want = self.reference(model, layers, x)
        np.testing.assert_allclose(common.run(outcome.path, {"x": x})[0], want, rtol=1e-3, atol=1e-4 * np.abs(want).max())
        imports = outcome.report["imports"]
        self.assertEqual({told["module"] for told in imports if told["reason"] == ""}, set(layers))
        kept = outcome.weight("lm_head.weight")["uses"][0]
        self.assertEqual((kept["action"], kept["reason"]), ("keep", "not in the checkpoint"))
        # q and k of a layer take the same inputs in the same order: one Gather for both
        gathers = [n for n in outcome.model.graph.node if n.op_type == "Gather"]
        self.assertEqual(len(gathers), 0 if order is None else 4)
        self.assertEqual(len({n.input[1] for n in gathers}), 0 if order is None else 1)

    @cases(["float32", "float16", "bfloat16"])
    def scaled_norm(self, dtype: str) -> None:
        """AWQ multiplies rows by what it divides the norm in front by: the export has neither, the output both."""
        w, g, x = build.weights(ROWS, COLUMNS), build.weights(ROWS, seed=3), build.activations(3, ROWS)
        factor = np.exp(build.rng(8).uniform(-1, 1.5, ROWS)).astype(np.float32)
        layer = checkpoints.rounded(w * factor[:, None], 4, 32)
        norm = (g / factor).astype(np.float16 if dtype == "float16" else np.float32)
        stored = Checkpoint()
        if dtype == "bfloat16":
            norm = (norm.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)
            stored.bfloat16.add("model.norm.weight")
        stored.add(MODULE, checkpoints.awq(layer))
        stored.tensors |= {"model.norm.weight": norm, "model.other.weight": norm, "bias": norm[:7]}
        nodes = [node("Mul", "x model.norm.weight", "a"), node("MatMul", "a w", "b", name=f"{scope(MODULE)}/MatMul")]
        nodes += [node("Add", "b bias", "y")]
        constants = {"model.norm.weight": g, "w": w, "bias": build.weights(COLUMNS)}  # bias has another shape
        model = build.model(nodes, {"x": x.shape}, {"y": (3, COLUMNS)}, constants)
        outcome = self.take(model, self.save(stored))
        want = (x * norm.astype(np.float32)) @ layer.weight + constants["bias"]
        np.testing.assert_allclose(common.run(outcome.path, {"x": x})[0], want, atol=1e-4 * np.abs(want).max())
        self.assertEqual(outcome.report["imported_floats"], 1)
        (told,) = outcome.report["imports"]
        self.assertFalse(told["suspect"])
        self.assertGreater(told["distance"], 0.4)
        self.assertEqual(outcome.weight("model.norm.weight")["uses"][0]["reason"], "float, as the checkpoint has it")

    def test_folder(self) -> None:
        model, stored, layers = self.attention(None)
        stored.write(self.dir / "model.safetensors")
        outcome = self.take(model, self.dir)
        self.assertTrue(all(told["reason"] == "" for told in outcome.report["imports"]))

    def test_back_to_float(self) -> None:
        """dequantize gives the checkpoint's weights, and the rest is quantized by a second run."""
        model, stored, layers = self.attention(order_of(ROWS))
        outcome, x = self.take(model, self.save(stored)), build.activations(3, ROWS)
        back, again = self.dir / "back.onnx", self.dir / "again.onnx"
        self.onnxq("dequantize", outcome.path, back)
        want = self.reference(model, layers, x)
        np.testing.assert_allclose(common.run(back, {"x": x})[0], want, rtol=1e-3, atol=1e-4 * np.abs(want).max())
        self.onnxq("quantize", "--force-integer", outcome.path, again)
        operators = [n.op_type for n in onnx.load(again).graph.node]
        self.assertEqual((operators.count("MatMulNBits"), operators.count("MatMulInteger")), (6, 1))

    def test_selection(self) -> None:
        """Only what an include matches is taken; the reason is told of the others."""
        model, stored, layers = self.attention(None)
        outcome = self.take(model, self.save(stored), "--include=*layers.1*")
        taken = {told["module"] for told in outcome.report["imports"] if told["reason"] == ""}
        self.assertEqual(taken, {name for name in layers if "layers.1" in name})

    def test_threads_and_pieces(self) -> None:
        """The bytes depend on nothing but the input."""
        model, stored, layers = self.attention(order_of(ROWS))
        onnx.save(model, self.dir / "model.onnx")
        checkpoint, outputs = self.save(stored), []
        for threads in (1, 2, 5):
            out = self.dir / f"out{threads}.onnx"
            self.onnxq("quantize", "--weights-from", checkpoint, f"--threads={threads}", self.dir / "model.onnx", out)
            outputs.append(out.read_bytes())
        self.assertEqual(len(set(outputs)), 1)

    def test_text(self) -> None:
        """People see what was taken, what was not, and why; also without writing anything."""
        model, stored, layers = self.attention(None)
        stored.add("model.layers.7.mlp.down_proj", checkpoints.gptq(checkpoints.rounded(build.weights(64, 64), 4, 64)))
        onnx.save(model, self.dir / "model.onnx")
        done = self.onnxq("quantize", "--dry-run", "--weights-from", self.save(stored), self.dir / "model.onnx")
        self.assertIn("6 of 7 modules", done.stdout + done.stderr)
        self.assertIn("model.layers.7.mlp.down_proj: no weight of the model has its name", done.stdout + done.stderr)

    def test_other_model(self) -> None:
        """The same names and shapes, other numbers: the distance tells."""
        w = build.weights(ROWS, COLUMNS)
        layer = checkpoints.rounded(build.weights(ROWS, COLUMNS, seed=33), 4, 32)
        outcome = self.take(product(w), self.checkpoint(checkpoints.gptq(layer)))
        (told,) = outcome.report["imports"]
        self.assertGreater(told["distance"], 1)
        self.assertTrue(told["suspect"])
        done = self.onnxq("quantize", "--dry-run", "--weights-from", self.dir / "checkpoint", self.dir / "model.onnx")
        self.assertIn("another model", done.stdout + done.stderr)


class Refusals(ImportTest):
    def layer(self, **arguments) -> checkpoints.Layer:
        return checkpoints.rounded(build.weights(ROWS, COLUMNS), **({"bits": 4, "group_size": 32} | arguments))

    def test_unmatched(self) -> None:
        parts = checkpoints.gptq(self.layer())
        self.refuse(product(build.weights(ROWS, COLUMNS)), self.checkpoint(parts, "other.name"), "other.name", "no weight of the model", status=2)

    def test_unmatched_is_allowed(self) -> None:
        parts = checkpoints.gptq(self.layer())
        self.refuse(product(build.weights(ROWS, COLUMNS)), self.checkpoint(parts, "other.name"), status=5, flags=("--allow-unmatched",))

    def test_shape(self) -> None:
        parts = checkpoints.gptq(self.layer())
        self.refuse(product(build.weights(ROWS, 64)), self.checkpoint(parts), "256 x 96", "256 x 64", status=2)

    def test_uneven_groups(self) -> None:
        layer = self.layer()
        layer.group_of[0] = 1
        self.refuse(product(build.weights(ROWS, COLUMNS)), self.checkpoint(checkpoints.gptq(layer)), "g_idx", status=2)

    def test_three_bits(self) -> None:
        layer = self.layer(bits=3)
        self.refuse(product(build.weights(ROWS, COLUMNS)), self.checkpoint(checkpoints.gptq(layer)), "3 bits", status=2)

    def test_zero_point_beyond(self) -> None:
        layer = self.layer()
        layer.z[0, 0] = 16
        self.refuse(product(build.weights(ROWS, COLUMNS)), self.checkpoint(checkpoints.gptq(layer)), "zero point", status=2)

    def test_ambiguous(self) -> None:
        """Two weights whose names are as good."""
        w = build.weights(ROWS, COLUMNS)
        nodes = [
            node("MatMul", "x v", "a", name="/a/layers.0/mlp/up_proj/MatMul"),
            node("MatMul", "x w", "b", name="/b/layers.0/mlp/up_proj/MatMul"),
        ]
        model = build.model(nodes, {"x": (3, ROWS)}, {"a": (3, COLUMNS), "b": (3, COLUMNS)}, {"v": w, "w": w + 1})
        self.refuse(model, self.checkpoint(checkpoints.gptq(self.layer()), "layers.0.mlp.up_proj"), "several weights", status=2)

    @cases(
        {
            "bits": ({"bits": 8}, "says 8"),
            "group_size": ({"group_size": 64}, "group_size 64"),
            "method": ({"quant_method": "awq"}, "says otherwise"),
            "other_method": ({"quant_method": "compressed-tensors"}, "compressed-tensors"),
            "format": ({"checkpoint_format": "marlin"}, "marlin"),
            "pack_dtype": ({"pack_dtype": "int16"}, "pack_dtype"),
            "version": ({"quant_method": "awq", "version": "gemv"}, "gemv"),
        }
    )
    def configuration(self, config: dict, text: str) -> None:
        parts = checkpoints.gptq(self.layer())
        self.refuse(product(build.weights(ROWS, COLUMNS)), self.checkpoint(parts, config=config), text)

    @cases(["bits=4", "block-size=32", "method=qdq", "no-symmetric", "force-integer", "method=weights"])
    def option(self, flag: str) -> None:
        checkpoint = self.checkpoint(checkpoints.gptq(self.layer()))
        done = self.onnxq("quantize", "--weights-from", checkpoint, f"--{flag}", self.dir / "m.onnx", self.dir / "o.onnx", status=2)
        self.assertIn("--weights-from", done.stderr)
