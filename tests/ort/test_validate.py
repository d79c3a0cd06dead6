"""`onnxq inspect --validate`: silent on what is right, whoever wrote it; not on what is broken."""

import json
import logging
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, checker, helper, numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)

import backend_suite
import build
import common
import harness
from build import node
from harness import OrtTest, cases

logging.getLogger().setLevel(logging.ERROR)  # the peer asks for a step before its own

HIDDEN = 32
CHUNK = 128  # models that one call takes
METHODS = {
    "dynamic": ("--force-integer",),
    "asymmetric": ("--force-integer", "--no-symmetric", "--weight-type=uint8"),
    "qdq": ("--method=qdq", "--no-symmetric"),
    "qdq_blocks": ("--method=qdq", "--bits=4", "--block-size=32", "--no-symmetric"),
    "blocks": ("--method=blocks", "--bits=4", "--no-symmetric", "--force-integer"),
    "nf4": ("--method=blocks", "--bits=nf4", "--force-integer"),
}


def mixed() -> onnx.ModelProto:
    """An operator of each kind that becomes another."""
    nodes = [
        node("Gather", "e i", "a"),
        node("MatMul", "a w", "b"),
        node("Add", "b wb", "c"),
        node("LSTM", "c lw lr", "d", hidden_size=HIDDEN),
        node("Squeeze", "d axes", "f"),
        node("Conv", "f cw cb", "y"),
    ]
    constants = {
        "e": build.weights(50, build.K),
        "w": build.weights(build.K, 64),
        "wb": build.weights(64),
        "lw": build.weights(1, 4 * HIDDEN, 64),
        "lr": build.weights(1, 4 * HIDDEN, HIDDEN),
        "cw": build.weights(8, 1, 3),
        "cb": build.weights(8),
        "axes": np.array([1]),
    }
    index = build.rng().integers(0, 50, (6, 1))
    return build.model(nodes, {"i": index}, {"y": (6, 8, 30)}, constants, 21)


# --- what breaks a model ----------------------------------------------------------------------------------


def find(model: onnx.ModelProto, op_type: str) -> onnx.NodeProto:
    return next(n for n in model.graph.node if n.op_type == op_type)


def tensor(model: onnx.ModelProto, name: str) -> TensorProto:
    return next(t for t in model.graph.initializer if t.name == name)


def replace(model: onnx.ModelProto, name: str, change: Callable[[np.ndarray], np.ndarray]) -> None:
    old = tensor(model, name)
    old.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(old)), name))


def operand(op_type: str, index: int, change: Callable[[np.ndarray], np.ndarray]):
    """Changes a constant operand."""
    return lambda model: replace(model, find(model, op_type).input[index], change)


def attribute(op_type: str, name: str, value: int | None):
    """Changes an attribute, or takes it away."""

    def apply(model: onnx.ModelProto) -> None:
        target = find(model, op_type)
        kept = [a for a in target.attribute if a.name != name]
        del target.attribute[:]
        target.attribute.extend(kept)
        if value is not None:
            target.attribute.append(helper.make_attribute(name, value))

    return apply


def swap_first_nodes(model: onnx.ModelProto) -> None:
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(reversed(nodes))


def drop_initializer(model: onnx.ModelProto) -> None:
    name = find(model, "MatMulInteger").input[1]
    model.graph.initializer.remove(tensor(model, name))


def twice(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Relu", ["y"], [find(model, "MatMulInteger").output[0]]))


def set_opset(version: int, domain: str = ""):
    def apply(model: onnx.ModelProto) -> None:
        next(o for o in model.opset_import if o.domain == domain).version = version

    return apply


def drop_import(model: onnx.ModelProto) -> None:
    model.opset_import.remove(next(o for o in model.opset_import if o.domain == "com.microsoft"))


def lose_output(model: onnx.ModelProto) -> None:
    model.graph.output[0].name = "nowhere"


def misname(model: onnx.ModelProto) -> None:
    find(model, "MatMulInteger").input[1] = "nowhere"


def redeclare(model: onnx.ModelProto) -> None:
    model.graph.value_info.append(build.info(find(model, "MatMulInteger").output[0], None, TensorProto.INT8))


def lose_ir(model: onnx.ModelProto) -> None:
    model.ClearField("ir_version")


def lower_ir(model: onnx.ModelProto) -> None:
    model.ir_version = 3


def lose_output_of_three(model: onnx.ModelProto) -> None:
    del find(model, "DynamicQuantizeLinear").output[2:]


def shorter(value: np.ndarray) -> np.ndarray:
    return value.reshape(-1)[:-1]


def as_uint8(value: np.ndarray) -> np.ndarray:
    return value.astype(np.uint8) if value.dtype != np.uint8 else value.astype(np.int8)


def as_float16(value: np.ndarray) -> np.ndarray:
    return value.astype(np.float16)


# name -> method, what is broken, does onnx's checker see it (it knows no operator of com.microsoft, and looks
# at neither types nor lengths unless it infers shapes, which stops at the first of those operators)
BROKEN: dict[str, tuple[str, Callable[[onnx.ModelProto], None], bool]] = {
    "order": ("dynamic", swap_first_nodes, True),
    "no_initializer": ("dynamic", drop_initializer, True),
    "made_twice": ("dynamic", twice, True),
    "old_opset": ("dynamic", set_opset(10), True),
    "old_opset_of_cast": ("qdq", set_opset(9), True),
    "no_import": ("dynamic", drop_import, True),
    "no_output": ("dynamic", lose_output, True),
    "no_value": ("dynamic", misname, True),
    "no_ir": ("dynamic", lose_ir, True),
    "old_ir": ("dynamic", lower_ir, True),
    "outputs": ("dynamic", lose_output_of_three, True),
    "declared": ("dynamic", redeclare, False),
    "weight_of_float": ("dynamic", operand("MatMulInteger", 1, lambda w: w.astype(np.float32)), False),
    "lstm_scale": ("dynamic", operand("DynamicQuantizeLSTM", 8, shorter), False),
    "lstm_scale_type": ("dynamic", operand("DynamicQuantizeLSTM", 8, as_float16), False),
    "lstm_weight": ("dynamic", operand("DynamicQuantizeLSTM", 2, shorter), False),
    "lstm_zero_point": ("dynamic", operand("DynamicQuantizeLSTM", 9, shorter), False),
    "lstm_size": ("dynamic", attribute("DynamicQuantizeLSTM", "hidden_size", None), False),
    "zero_point_type": ("asymmetric", operand("MatMulInteger", 3, as_uint8), False),
    "zero_points": ("asymmetric", operand("MatMulInteger", 3, shorter), False),
    "qdq_scale": ("qdq", operand("DequantizeLinear", 1, shorter), False),
    "qdq_zero_points": ("qdq", operand("DequantizeLinear", 2, shorter), False),
    "qdq_zero_point_type": ("qdq", operand("DequantizeLinear", 2, as_uint8), False),
    "qdq_axis": ("qdq", attribute("DequantizeLinear", "axis", 7), False),
    "qdq_block": ("qdq_blocks", attribute("DequantizeLinear", "block_size", 64), False),
    "qdq_block_opset": ("qdq_blocks", set_opset(20), True),
    "nbits_n": ("blocks", attribute("MatMulNBits", "N", 63), False),
    "nbits_k": ("blocks", attribute("MatMulNBits", "K", 2 * build.K), False),
    "nbits_block": ("blocks", attribute("MatMulNBits", "block_size", 24), False),
    "nbits_bits": ("blocks", attribute("MatMulNBits", "bits", 8), False),
    "nbits_no_k": ("blocks", attribute("MatMulNBits", "K", None), False),
    "nbits_weight": ("blocks", operand("MatMulNBits", 1, shorter), False),
    "nbits_scale": ("blocks", operand("MatMulNBits", 2, shorter), False),
    "nbits_zero_points": ("blocks", operand("MatMulNBits", 3, shorter), False),
    "nf4_type": ("nf4", attribute("MatMulBnb4", "quant_type", 3), False),
    "nf4_weight": ("nf4", operand("MatMulBnb4", 1, shorter), False),
    "nf4_scale": ("nf4", operand("MatMulBnb4", 2, shorter), False),
    "gather_scale": ("blocks", operand("GatherBlockQuantized", 2, lambda s: s[:, :-1]), False),
    "gather_block": ("blocks", attribute("GatherBlockQuantized", "block_size", 64), False),
    "gather_zero_points": ("blocks", operand("GatherBlockQuantized", 3, shorter), False),
}

# Peers' models: format, types of activations and weights.
STATIC = {
    f"{style}_{weight}": (style, activation, weight)
    for style, activation, weight in (
        ("QDQ", "QUInt8", "QInt8"),
        ("QDQ", "QInt8", "QInt8"),
        ("QDQ", "QUInt16", "QInt16"),
        ("QDQ", "QInt8", "QInt4"),
        ("QOperator", "QUInt8", "QInt8"),
        ("QOperator", "QUInt8", "QUInt8"),
    )
}


class Reader(CalibrationDataReader):
    def __init__(self, feeds: common.Feeds):
        self.feeds = iter([feeds])

    def get_next(self):
        return next(self.feeds, None)


def is_accepted(path: Path) -> bool:
    try:
        checker.check_model(str(path))
    except Exception:
        return False
    return True


class Validate(OrtTest):
    def assert_silent(self, paths: list[Path]) -> None:
        for first in range(0, len(paths), CHUNK):
            done = self.onnxq_any("inspect", "-q", "--validate", *paths[first : first + CHUNK])
            self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
            lines = done.stdout.splitlines()
            self.assertEqual(sum(line.endswith(": valid") for line in lines), len(lines) // 2)

    def test_models_of_the_onnx_package(self):
        """Whatever onnx's checker takes, in several opsets."""
        paths, warned = [], warnings.catch_warnings()
        with warned:
            warnings.simplefilter("ignore")
            for index, (_, model, _) in enumerate(backend_suite.originals()):
                if backend_suite.accepts(model, full_check=False):
                    paths.append(self.dir / f"{index}.onnx")
                    onnx.save(model, paths[-1])
        self.assertGreater(len(paths), 2000)
        self.assert_silent(paths)

    def test_files_of_the_onnx_package(self):
        folder = Path(onnx.__file__).parent / "backend" / "test" / "data"
        paths = sorted(folder.rglob("*.onnx"))
        self.assertTrue(paths)
        self.assert_silent(paths)

    def test_real_models(self):
        if harness.MODELS is None or not harness.MODELS.exists():
            self.skipTest("there are no real models")
        self.assert_silent(sorted(harness.MODELS.glob("*.onnx")))

    @cases(METHODS)
    def own(self, *flags):
        self.quantize(mixed(), *flags)  # validates
        self.onnxq("dequantize", self.dir / "out" / "model.onnx", self.dir / "back.onnx")
        self.assert_silent([self.dir / "back.onnx"])

    @cases({f"{kind}_{channel}": (kind, channel) for kind in ("QInt8", "QUInt8") for channel in (False, True)})
    def peers_dynamic(self, kind, per_channel):
        onnx.save(mixed(), self.dir / "f.onnx")
        path = self.dir / "q.onnx"
        quantize_dynamic(
            self.dir / "f.onnx", path, weight_type=getattr(QuantType, kind), per_channel=per_channel
        )
        self.assert_silent([path])

    @cases(STATIC)
    def peers_static(self, style, activation, weight):
        model, feeds = mixed(), {"i": build.rng().integers(0, 50, (6, 1))}
        onnx.save(model, self.dir / "f.onnx")
        for per_channel in (False, True):
            path = self.dir / f"{per_channel}.onnx"
            quantize_static(
                self.dir / "f.onnx",
                path,
                Reader(feeds),
                quant_format=getattr(QuantFormat, style),
                activation_type=getattr(QuantType, activation),
                weight_type=getattr(QuantType, weight),
                per_channel=per_channel,
            )
            self.assert_silent([path])

    @cases(BROKEN)
    def broken(self, method, change, seen_by_checker):
        outcome = self.quantize(mixed(), *METHODS[method])
        path = self.dir / "broken.onnx"
        change(outcome.model)
        onnx.save(outcome.model, path)
        done = self.onnxq("inspect", "-q", "--validate", path, status=3)
        said = done.stderr if change is twice else done.stdout  # such a model is not even opened
        self.assertIn("is defined twice" if change is twice else ": not valid: ", said)
        self.assertEqual(is_accepted(path), not seen_by_checker)

    def test_report(self):
        outcome = self.quantize(mixed(), "--force-integer")
        misname(outcome.model)
        onnx.save(outcome.model, self.dir / "broken.onnx")
        done = self.onnxq("inspect", "--validate", "--json", self.dir / "broken.onnx", status=3)
        found = json.loads(done.stdout)["validation"]
        self.assertEqual((found["valid"], found["found"], len(found["problems"])), (False, 1, 1))
        self.assertEqual(found["problems"][0]["value"], "nowhere")
        self.assertEqual(found["problems"][0]["op_type"], "MatMulInteger")
