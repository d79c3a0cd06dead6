"""Every operator test that comes with the onnx package, as a model for onnxq: nothing to do, or right."""

import multiprocessing
import os
import tempfile
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

import backend_suite
import build
import harness
from backend_suite import AGREES, FAILED, NOT_RUN, NOTHING, Case, Configuration, Verdict
from build import node
from harness import OrtTest, cases

INTEGER = ("--force-integer", "--conv=integer")
FOLDED = {"off_by": 1}  # some integers are not the nearest, so that sums are kept
OFF_CENTER = {"levels": 255, "off_by": 1, "symmetric": False}  # both ends and the zero point are rounded
PRODUCTS = frozenset({"MatMulInteger", "DynamicQuantizeMatMul", "rows"})

BLOCKS = ("--method=blocks", "--force-integer")
NF4_LEVELS = 1 / backend_suite.NF4_STEP

CONFIGURATIONS = {
    "dynamic": Configuration((), **FOLDED, forms=frozenset({"Mul", "DynamicQuantizeLSTM"})),
    "integer": Configuration(INTEGER, **FOLDED, forms=PRODUCTS | {"ConvInteger", "DynamicQuantizeLSTM"}),
    "integer_asymmetric": Configuration((*INTEGER, "--no-symmetric"), **OFF_CENTER, forms=PRODUCTS),
    "integer_asymmetric_tensor": Configuration(
        (*INTEGER, "--no-symmetric", "--no-per-channel"),
        **OFF_CENTER,
        per_channel=False,
        forms=PRODUCTS | {"ConvInteger"},
    ),
    "integer_pairs": Configuration(  # scales may have to be up to twice as large
        (*INTEGER, "--reduce-range=pairs"), levels=64, **FOLDED, forms=PRODUCTS | {"ConvInteger"}
    ),
    "weights": Configuration(("--method=weights",), **FOLDED, forms=frozenset({"Mul", "Cast"})),
    "weights_uint8_asymmetric": Configuration(
        ("--method=weights", "--weight-type=uint8", "--no-symmetric"),
        **OFF_CENTER,
        forms=frozenset({"Mul", "Cast"}),
    ),
    "qdq": Configuration(
        ("--method=qdq",), rounds_activations=True, forms=frozenset({"DequantizeLinear", "Cast"})
    ),
    "qdq_uint8": Configuration(
        ("--method=qdq", "--weight-type=uint8"),
        rounds_activations=True,
        forms=frozenset({"DequantizeLinear", "Cast"}),
    ),
    "integer_conv_matmul": Configuration(("--force-integer", "--conv=matmul"), **FOLDED, forms=PRODUCTS),
    "weights_16": Configuration(
        ("--method=weights", "--fold-bits=16"),  # what is float16 keeps 8
        forms=frozenset({"Mul", "Cast"}),
    ),
    "blocks": Configuration(
        (*BLOCKS, "--block-size=16"), **FOLDED, forms=frozenset({"MatMulNBits", "GatherBlockQuantized"})
    ),
    "blocks_4": Configuration(  # the largest is -8 steps, one of the other sign has only 7
        (*BLOCKS, "--bits=4", "--block-size=16", "--symmetric"), levels=7, off_by=1, forms=frozenset({"MatMulNBits"})
    ),
    "blocks_4_asymmetric": Configuration(
        (*BLOCKS, "--bits=4"), levels=15, off_by=1, symmetric=False
    ),
    "blocks_nf4": Configuration(  # off_by: 4-bit rows of Gather
        (*BLOCKS, "--bits=nf4"), levels=NF4_LEVELS, off_by=1, forms=frozenset({"MatMulBnb4"})
    ),
    "qdq_4": Configuration(("--method=qdq", "--bits=4", "--symmetric"), levels=7, rounds_activations=True),
    "qdq_blocks": Configuration(("--method=qdq", "--block-size=16"), rounds_activations=True),
}

WORKERS = len(os.sched_getaffinity(0))
MIN_AGREEING = 1500


class Backend(OrtTest):
    @classmethod
    def setUpClass(cls) -> None:
        folder = tempfile.TemporaryDirectory(prefix="onnxq-backend-")
        cls.addClassCleanup(folder.cleanup)
        cls.chunks = backend_suite.save_chunks(backend_suite.load_cases(), Path(folder.name))
        context = multiprocessing.get_context("spawn")
        cls.pool = ProcessPoolExecutor(WORKERS, context, backend_suite.start_worker)
        cls.addClassCleanup(cls.pool.shutdown)

    def check_all(self, configuration: Configuration) -> list[Verdict]:
        parts = self.pool.map(
            backend_suite.check_chunk, self.chunks, repeat(harness.ONNXQ), repeat(configuration)
        )
        return [verdict for part in parts for verdict in part]

    @cases({name: (name,) for name in CONFIGURATIONS})
    def suite(self, name: str) -> None:
        configuration = CONFIGURATIONS[name]
        verdicts = self.check_all(configuration)
        kinds = Counter(verdict.kind for verdict in verdicts)
        forms = sum((verdict.forms for verdict in verdicts), Counter())
        counts = ", ".join(f"{kinds[kind]} {kind}" for kind in (AGREES, NOTHING, NOT_RUN, FAILED))
        print(f"      backend suite, {name}: {len(verdicts)} models, {counts}", flush=True)
        failed = [f"{verdict.case}: {verdict.message}" for verdict in verdicts if verdict.kind == FAILED]
        if failed:
            self.fail("\n".join([f"{len(failed)} models", *failed]))
        self.assertGreater(kinds[AGREES], MIN_AGREEING)
        self.assertLessEqual(configuration.forms, set(forms), "forms that never occurred")


# --- the checks themselves: an output with any one thing wrong fails ---------------------------------------

Corruption = Callable[[onnx.ModelProto], None]
K = 24


def replace_constant(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Corruption:
    def corrupt(model: onnx.ModelProto) -> None:
        tensor = next(t for t in model.graph.initializer if t.name == name)
        tensor.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(tensor)), name))

    return corrupt


def set_input(op_type: str, index: int, name: str) -> Corruption:
    def corrupt(model: onnx.ModelProto) -> None:
        next(n for n in model.graph.node if n.op_type == op_type).input[index] = name

    return corrupt


def add_attribute(model: onnx.ModelProto) -> None:
    leaky = next(n for n in model.graph.node if n.op_type == "LeakyRelu")
    leaky.attribute[0].f *= 1.01


def turn_activation(model: onnx.ModelProto) -> None:
    set_input("DynamicQuantizeLinear", 0, "turned")(model)
    model.graph.node.insert(0, node("Transpose", "x", "turned"))


def add_one(values: np.ndarray) -> np.ndarray:
    changed = values.copy()
    changed.flat[7] += 1 if changed.flat[7] < 1 else -1
    return changed


class Checks(OrtTest):
    """y = LeakyRelu(x @ w) - z * c"""

    def case(self) -> Case:
        w, c, x, z = (build.weights(K, K, seed=seed) for seed in range(4))
        nodes = [
            node("MatMul", "x w", "p"),
            node("LeakyRelu", "p", "r", alpha=0.3),
            node("Mul", "z c", "s"),
            node("Sub", "r s", "y"),
        ]
        feeds = {"x": x, "z": z}
        model = build.model(nodes, {"x": x.shape, "z": z.shape}, {"y": x.shape}, {"w": w, "c": c[0]})
        return Case("made by hand", model.SerializeToString(), feeds)

    def verdict(self, name: str, corrupt: Corruption) -> Verdict:
        configuration, case = CONFIGURATIONS[name], self.case()
        path = self.dir / "model.onnx"
        path.write_bytes(case.model)
        (self.dir / "out").mkdir()
        (result,) = backend_suite.quantize(harness.ONNXQ, configuration.flags, [path], self.dir / "out")
        model = onnx.load(result)
        corrupt(model)
        return backend_suite.check(case, model.SerializeToString(), configuration)

    @cases(["integer", "weights", "qdq"])
    def untouched(self, name: str) -> None:
        verdict = self.verdict(name, lambda model: None)
        self.assertEqual((verdict.kind, verdict.message), (AGREES, ""))

    @cases(
        {
            "integers": ("weights", replace_constant("w_quantized", add_one), "a weight is off by"),
            "scale": ("weights", replace_constant("w_scale", lambda s: s * np.float32(1.02)), "steps of"),
            "integers_of_qdq": ("qdq", replace_constant("w_quantized", add_one), "a weight is off by"),
            "integers_of_product": (
                "integer",
                replace_constant("w_quantized", add_one),
                "a weight is off by",
            ),
            "scale_of_product": (
                "integer",
                replace_constant("w_scale", lambda s: s * np.float32(0.98)),
                "a weight is off by",
            ),
            "other_constant": ("weights", replace_constant("c", add_one), "c changed"),
            "attribute": ("weights", add_attribute, "LeakyRelu changed"),
            "input": ("weights", set_input("Sub", 0, "p"), "inputs of Sub changed"),
            "activation": ("integer", set_input("DynamicQuantizeLinear", 0, "z"), "nothing produces 'z'"),
            "outputs": ("integer", turn_activation, "level disabled: off by"),
            "unknown_name": ("integer", set_input("DynamicQuantizeLinear", 0, "none"), "structure: "),
        }
    )
    def corrupted(self, name: str, corrupt: Corruption, message: str) -> None:
        verdict = self.verdict(name, corrupt)
        self.assertEqual(verdict.kind, FAILED)
        self.assertIn(message, verdict.message)

    def test_crashes(self) -> None:
        """What fails is told from what has nothing to quantize, in a call for several models."""
        good, empty, broken = (self.dir / f"{name}.onnx" for name in ("good", "empty", "broken"))
        good.write_bytes(self.case().model)
        empty.write_bytes(build.model([node("Abs", "x", "y")], {"x": (3,)}, {"y": (3,)}).SerializeToString())
        broken.write_bytes(b"no model")
        (self.dir / "out").mkdir()
        results = backend_suite.quantize(harness.ONNXQ, (), [broken, empty, good], self.dir / "out")
        self.assertTrue(results[0].startswith("exit 3: "), results)
        self.assertIsNone(results[1])
        self.assertTrue(results[2].exists())


# --- operators with blocks, made by hand -------------------------------------------------------------------

N, SIZE = 6, 16
W = build.weights(2 * SIZE, N)
NF4 = np.array(
    [-1, -0.6961928, -0.52507305, -0.3949175, -0.28444138, -0.18477343, -0.091050036, 0]
    + [0.0795803, 0.1609302, 0.2461123, 0.33791524, 0.44070983, 0.562617, 0.72295684, 1],
    np.float32,
)


def in_blocks(w: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Integers [.., blocks, SIZE] around zero, and a scale for each block."""
    blocks = w.reshape(*w.shape[:-1], -1, SIZE)
    scale = np.abs(blocks).max(-1) / np.float32(2 ** (bits - 1) - 1)
    return np.rint(blocks / scale[..., np.newaxis]).astype(np.int32), scale


def matmul_nbits(bits: int):
    q, scale = in_blocks(W.T, bits)
    q = (q + 2 ** (bits - 1)).astype(np.uint8)
    packed = q if bits == 8 else q[..., 0::2] | q[..., 1::2] << 4
    attributes = {"K": len(W), "N": N, "bits": bits, "block_size": SIZE}
    return "MatMulNBits", "x q s", {"q": packed, "s": scale}, attributes


def matmul_bnb4():
    blocks = W.T.reshape(-1, SIZE)
    scale = np.abs(blocks).max(-1)
    q = np.abs(blocks[..., np.newaxis] / scale[:, np.newaxis, np.newaxis] - NF4).argmin(-1).astype(np.uint8)
    attributes = {"K": len(W), "N": N, "block_size": SIZE, "quant_type": 1}
    return "MatMulBnb4", "x q s", {"q": (q[:, 0::2] << 4 | q[:, 1::2]).reshape(-1), "s": scale}, attributes


def gather_block_quantized():
    q, scale = in_blocks(W.T, 4)
    table = onnx.helper.make_tensor("q", onnx.TensorProto.INT4, W.T.shape, q.reshape(-1))
    attributes = {"gather_axis": 0, "quantize_axis": 1, "block_size": SIZE}
    return "GatherBlockQuantized", "q x s", {"q": table, "s": scale}, attributes


def dequantize_linear():
    q, scale = in_blocks(W.T, 4)
    table = onnx.helper.make_tensor("q", onnx.TensorProto.INT4, W.T.shape, q.reshape(-1))
    return "DequantizeLinear", "q s", {"q": table, "s": scale}, {"axis": 1, "block_size": SIZE}


class Blocks(OrtTest):
    @cases(
        {
            "8": (matmul_nbits(8), Configuration(())),
            "4": (matmul_nbits(4), Configuration((), levels=7)),
            "nf4": (matmul_bnb4(), Configuration((), levels=NF4_LEVELS)),
            "rows": (gather_block_quantized(), Configuration((), levels=7)),
            "folded": (dequantize_linear(), Configuration((), levels=7)),
        }
    )
    def forms(self, made: tuple, configuration: Configuration) -> None:
        op_type, inputs, constants, attributes = made
        foreign = op_type != "DequantizeLinear"
        if "Gather" in op_type or not foreign:
            x, y = np.array([1, 5, 0]), (3, len(W))
            float_node, constant = node("Gather", "w x", "y"), np.ascontiguousarray(W.T)
        else:
            x, y = build.activations(3, len(W)), (3, N)
            float_node, constant = node("MatMul", "x w", "y"), W
        original = build.model([float_node], {"x": x}, {"y": y}, {"w": constant})
        domain = {"domain": "com.microsoft"} if foreign else {}
        nodes = [node(op_type, inputs, "y" if foreign else "w", **attributes, **domain)]
        nodes += [] if foreign else [float_node]
        model = build.model(
            nodes, {"x": x}, {"y": y}, constants, imports={"com.microsoft": 1} if foreign else {}
        )
        onnx.helper.set_model_props(model, {"onnxq.version": "0"})
        case = Case("made by hand", original.SerializeToString(), {"x": x})
        verdict = backend_suite.check(case, model.SerializeToString(), configuration)
        self.assertEqual((verdict.kind, verdict.message), (AGREES, ""))
        self.assertEqual(verdict.forms, {op_type: 1})
        scale = next(t for t in model.graph.initializer if t.name == "s")
        scale.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(scale) * np.float32(0.9), "s"))
        verdict = backend_suite.check(case, model.SerializeToString(), configuration)
        self.assertIn("a weight is off by", verdict.message)
