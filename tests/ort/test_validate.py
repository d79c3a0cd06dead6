"""`onnxq inspect --validate`: silent on what is right, whoever wrote it; not on what is broken."""

import json
import logging
import re
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
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
import mutations
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


# --- what onnx's schemas allow ------------------------------------------------------------------------------

ATTRIBUTES = {"INT": 1, "FLOAT": 1.0, "STRING": "x", "INTS": [0], "FLOATS": [1.0], "STRINGS": ["x"]}
ATTRIBUTES["TENSOR"] = numpy_helper.from_array(np.ones(1, np.float32))


def tensor_type(text: str) -> int:
    """TensorProto.DataType of "tensor(float)"; 0: it is something else."""
    name = text[len("tensor(") : -1].upper() if text.startswith("tensor(") else ""
    return TensorProto.DataType.Value(name) if name in TensorProto.DataType.keys() else 0


def inputs_of(schema: onnx.defs.OpSchema, bound: dict[str, int]) -> list[int]:
    """The type of each input, variadic ones once; [] where one cannot be a tensor."""
    types = []
    for parameter in schema.inputs:
        types.append(bound.get(parameter.type_str) or tensor_type(parameter.type_str))
    return types if all(types) else []


def attributes_of(schema: onnx.defs.OpSchema, everything: bool) -> dict | None:
    """Those that are needed, or all; None where one is a graph."""
    made = {}
    for name, attribute in schema.attributes.items():
        kind = str(attribute.type).split(".")[-1]
        if kind in ATTRIBUTES and (attribute.required or everything):
            made[name] = ATTRIBUTES[kind]
        elif attribute.required:
            return None
    if schema.name == "Constant":
        return {"value": ATTRIBUTES["TENSOR"]}
    return made


def bindings(schema: onnx.defs.OpSchema) -> list[dict[str, int]]:
    """Every type of every type parameter, with the first of all others."""
    allowed = {c.type_param_str: [t for t in map(tensor_type, c.allowed_type_strs) if t] for c in schema.type_constraints}
    if not all(allowed.values()):
        return []
    first = {name: types[0] for name, types in allowed.items()}
    return [first | {name: t} for name, types in allowed.items() for t in types] or [first]


def of_schema(schema: onnx.defs.OpSchema) -> Iterator[onnx.ModelProto]:
    """A node of every type of operands that it takes, without and with all attributes."""
    version = schema.since_version
    for n, bound in enumerate(bindings(schema)):
        types, attributes = inputs_of(schema, bound), attributes_of(schema, n == 0)
        if attributes is None or (schema.inputs and not types):
            return
        names = [f"x{i}" for i in range(len(types))]
        outputs = [f"y{i}" for i in range(max(schema.min_output, 1))]
        infos = [build.info(name, None, t) for name, t in zip(names, types)]
        made = helper.make_node(schema.name, names, outputs, **attributes)
        graph = helper.make_graph([made], "g", infos, [onnx.ValueInfoProto(name=outputs[0])])
        yield helper.make_model(graph, opset_imports=[helper.make_opsetid("", version)], ir_version=13)


# --- what the engine refuses --------------------------------------------------------------------------------

# What ONNX Runtime says of models that it does not load, where that is not looked at here (docs/report.md):
NOT_KNOWN = re.compile(
    "|".join(
        (
            # shapes, and what follows from them
            "InferenceError", "Invalid value of attribute 'axis'",
            # types that only inference tells
            "does not match expected type",
            # how new a version may be, what it has code for, what others may have registered with it
            "till opset", "max supported IR version", "Could not find an implementation", "not a registered function",
            # schemas of operators that are not in the table, and of others before their form changed
            r", (MaxPool|Split|GlobalAveragePool|Flatten|ReduceMean|Reshape|Clip|BatchNormalization), ",
            r"of operator \((MaxPool|Scan|Split|Twice)\)", "'cast_. : to'. Expected: 'STRING'",
            # a function that has more outputs than its calls take, which is allowed
            "output index 1 is out of range",
            "aborted",
        )
    )
)

LOADER = """
import sys, onnxruntime
onnxruntime.set_default_logger_severity(4)
options = onnxruntime.SessionOptions()
options.log_severity_level, options.intra_op_num_threads = 4, 1
options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
for path in sys.stdin.read().split():
    try:
        onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        print(flush=True)
    except Exception as error:
        print(" ".join(str(error).split()), flush=True)
"""


def load(paths: list[Path]) -> list[str]:
    """What the engine says of each model, "" where it loads; some make it abort."""
    said: list[str] = []
    while len(said) < len(paths):
        rest = "\n".join(map(str, paths[len(said) :]))
        done = subprocess.run([sys.executable, "-c", LOADER], input=rest, capture_output=True, text=True)
        said += done.stdout.splitlines()
        if len(said) < len(paths):
            said.append("aborted")
    return said


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

    def test_schemas(self):
        """Whatever a schema takes, of all operators in all versions."""
        paths = []
        for schema in onnx.defs.get_all_schemas_with_history():
            for model in of_schema(schema) if schema.domain == "" and not schema.deprecated else ():
                paths.append(self.dir / f"{len(paths)}_{schema.name}.onnx")
                onnx.save(model, paths[-1])
        self.assertGreater(len(paths), 3000)
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

    @cases(list(mutations.MODELS))
    def engine(self, name):
        """Valid models with one change each: what the engine does not load is not valid, as far as that is known."""
        made = [("unchanged", mutations.MODELS[name]()), *mutations.mutants(mutations.MODELS[name]())]
        paths = [self.dir / f"{k}.onnx" for k in range(len(made))]
        for path, (_, model) in zip(paths, made):
            path.write_bytes(model.SerializeToString())
        valid = set()
        for first in range(0, len(paths), CHUNK):
            done = self.onnxq_any("inspect", "-q", "--validate", *paths[first : first + CHUNK])
            valid |= {line.removesuffix(": valid") for line in done.stdout.splitlines() if line.endswith(": valid")}
        said = load(paths)
        self.assertEqual((said[0], str(paths[0]) in valid), ("", True))
        refused = [(what, why) for (what, _), path, why in zip(made, paths, said) if why and str(path) in valid]
        self.assertEqual([r for r in refused if not NOT_KNOWN.search(r[1])], [])
        self.assertGreater(sum(map(bool, said)), 2 * len(refused))

    def check_refused(self, model: onnx.ModelProto, reason: str) -> None:
        onnx.save(model, self.dir / "refused.onnx")
        done = self.onnxq("inspect", "-q", "--validate", self.dir / "refused.onnx", status=3)
        self.assertIn(reason, done.stdout)

    @cases(["int8", "uint4"])
    def one_block(self, kind):
        """A vector of one block has one scale, without blocks: no engine runs it otherwise."""
        data = TensorProto.DataType.Value(kind.upper())
        tensors = [helper.make_tensor("q", data, [32], [1] * 32), numpy_helper.from_array(np.ones(1, np.float32), "s")]
        nodes = [node("DequantizeLinear", "q s", "w", axis=0, block_size=32), node("Add", "x w", "y")]
        x = np.zeros(32, np.float32)
        self.check_refused(build.model(nodes, {"x": x}, {"y": x}, {t.name: t for t in tensors}), "is one number")

    @cases({op: (op,) for op in ("MatMul", "Gemm", "Einsum", "Add", "Where", "Concat")})
    def weight_of_half(self, op):
        """A weight in the type that its scale is stored in, among others of the type that it is cast to."""
        inputs = {"Where": "c x w"}.get(op, "x w")
        attributes = {"Einsum": {"equation": "ij,jk->ik"}, "Concat": {"axis": 0}}.get(op, {})
        x = np.zeros((4, 4), np.float32)
        constants = {"w": np.ones((4, 4), np.float16)} | ({"c": np.ones((4, 4), bool)} if op == "Where" else {})
        main = build.graph([node(op, inputs, "y", **attributes)], {"x": x}, {"y": (None, 4)}, constants)
        model = helper.make_model(main, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
        self.check_refused(model, "is float16, expected float32")

    @cases(
        {
            "another": ({"alpha": 1.0}, {"i": 1}, "attribute \"alpha\" holds more than a value of its type"),
            "list": ({"transB": 0}, {"ints": [1]}, "attribute \"transB\" holds more than a value of its type"),
        }
    )
    def attribute_of_two_values(self, attributes, more, reason):
        x = np.zeros((4, 4), np.float32)
        model = build.model([node("Gemm", "x w", "y", **attributes)], {"x": x}, {"y": x}, {"w": x})
        model.graph.node[0].attribute[0].MergeFrom(onnx.AttributeProto(name=next(iter(attributes)), **more))
        self.check_refused(model, reason)

    def test_constant_without_value(self):
        x = np.zeros((4, 4), np.float32)
        model = build.model([node("Constant", "", "w", value_float=1.0), node("Add", "x w", "y")], {"x": x}, {"y": x}, {})
        del model.graph.node[0].attribute[:]
        self.check_refused(model, "has 0 values, expected one")

    def test_attribute_types(self):
        """The list of attributes is onnx's."""
        types: dict[str, set] = {}
        for schema in onnx.defs.get_all_schemas_with_history():
            for name, attribute in schema.attributes.items() if schema.domain == "" else ():
                types.setdefault(name, set()).add(str(attribute.type).split(".")[-1])
        text = (Path(__file__).parents[2] / "src/validate/attributes.h").read_text()
        rows = re.findall(r"^TYPED\((\w+), +(\w+)\)", text, re.M)
        self.assertEqual([name for _, name in rows], sorted(types))
        for kind, name in rows:
            self.assertTrue(kind == "UNDEFINED" or {kind} == types[name], name)

    def test_needed_inputs(self):
        """How many inputs are needed is what onnx's schemas say, of the first so many."""
        expected = []
        schemas = [s for s in onnx.defs.get_all_schemas_with_history() if s.domain == "" and not s.deprecated]
        for schema in sorted(schemas, key=lambda s: (s.name, s.since_version)):
            before = expected[-1][2] if expected and expected[-1][0] == schema.name else "1"
            if str(schema.min_input) != before:
                expected.append((schema.name, str(schema.since_version), str(schema.min_input)))
            if schema.name not in ("Loop", "Scan"):
                left_out = {str(formal.option).split(".")[-1] for formal in schema.inputs[: schema.min_input]}
                self.assertLessEqual(left_out, {"Single", "Variadic"}, schema.name)
        text = (Path(__file__).parents[2] / "src/validate/needed_inputs.h").read_text()
        self.assertEqual(re.findall(r"^NEEDS\((\w+), +(\d+), (\d+)\)", text, re.M), expected)

    def test_report(self):
        outcome = self.quantize(mixed(), "--force-integer")
        misname(outcome.model)
        onnx.save(outcome.model, self.dir / "broken.onnx")
        done = self.onnxq("inspect", "--validate", "--json", self.dir / "broken.onnx", status=3)
        found = json.loads(done.stdout)["validation"]
        self.assertEqual((found["valid"], found["found"], len(found["problems"])), (False, 1, 1))
        self.assertEqual(found["problems"][0]["value"], "nowhere")
        self.assertEqual(found["problems"][0]["op_type"], "MatMulInteger")
