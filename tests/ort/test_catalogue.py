"""The list of operators (src/operators/list.h) against the schemas of onnx and ONNX Runtime."""

import re
import unittest
from pathlib import Path

import onnx
from onnxruntime.capi.onnxruntime_pybind11_state import get_all_operator_schema

LIST = Path(__file__).resolve().parents[2] / "src" / "operators" / "list.h"
ROW = re.compile(r'^(OP|TWIN|INTEGER)\((\w+), (\w+), +(\d+), "([^"]*)", +([^,)]+)', re.MULTILINE)
DOMAINS = {"ONNX": "", "ML": "ai.onnx.ml", "MS": "com.microsoft"}

FLOATS = {"tensor(float)", "tensor(float16)", "tensor(bfloat16)", "tensor(double)"}
NARROW = {"tensor(int8)", "tensor(uint8)", "tensor(int4)", "tensor(uint4)"}

# Scales of another kind: gains of normalizations, factors by which images grow, of rotations.
NOT_OF_INTEGERS = {
    ("", "Resize"),
    ("", "Upsample"),
    ("com.microsoft", "MatMulNBitsMlp", "norm_scale"),
    ("com.microsoft", "MatMulNBitsQkv", "norm_scale"),
    ("com.microsoft", "QOrderedLayerNormalization", "scale"),
    ("com.microsoft", "TorchEmbedding"),
}


class Row:
    def __init__(self, macro: str, since: str, inputs: str):
        self.macro, self.since = macro, int(since)
        self.first, star, self.again = inputs.partition("*")
        self.is_variadic = star == "*"

    def role(self, number: int) -> str:
        if number < len(self.first):
            return self.first[number]
        rest = number - len(self.first)
        return self.again[rest % len(self.again)] if self.is_variadic else ""


def read_rows() -> dict[tuple[str, str], Row]:
    rows = {}
    for macro, domain, name, since, inputs, _ in ROW.findall(LIST.read_text()):
        rows[DOMAINS[domain], name] = Row(macro, since, inputs)
    return rows


def types_of(schema, formal) -> set[str]:
    """The types that an input may have; ONNX Runtime and onnx name them in different ways."""
    for constraint in schema.type_constraints:
        if constraint.type_param_str in (getattr(formal, "typeStr", ""), getattr(formal, "type_str", "")):
            return set(constraint.allowed_type_strs)
    return {getattr(formal, "typeStr", "") or getattr(formal, "type_str", "")}


def is_scale(name: str) -> bool:
    return re.search(r"scale|zero_?point|absmax", name, re.IGNORECASE) is not None


class Catalogue(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls) -> None:
        cls.rows = read_rows()
        cls.schemas = {}
        for schema in [*onnx.defs.get_all_schemas_with_history(), *get_all_operator_schema()]:
            if schema.domain in ("", "com.microsoft"):
                cls.schemas.setdefault((schema.domain, schema.name), []).append(schema)

    def newest(self):
        for key, schemas in self.schemas.items():
            yield key, self.rows[key], max(schemas, key=lambda schema: schema.since_version)

    def test_every_operator_has_a_row(self) -> None:
        self.assertEqual(sorted(set(self.schemas) - set(self.rows)), [])
        self.assertGreater(len(self.schemas), 300)

    def test_versions(self) -> None:
        wrong = {
            key: (self.rows[key].since, first)
            for key, schemas in self.schemas.items()
            if (first := min(schema.since_version for schema in schemas)) != self.rows[key].since
        }
        self.assertEqual(wrong, {})

    def test_every_input_has_a_letter(self) -> None:
        """A newer engine may have more inputs than the one that tests run with, never fewer."""
        missing = [
            (key, formal.name)
            for key, row, schema in self.newest()
            for number, formal in enumerate(schema.inputs)
            if not row.role(number)
        ]
        self.assertEqual(missing, [])

    def test_scales_are_known(self) -> None:
        """What stands beside integers is no weight of its own."""
        missing = []
        for key, row, schema in self.newest():
            takes_integers = any(
                types_of(schema, formal) & NARROW and row.role(number) in "qn"
                for number, formal in enumerate(schema.inputs)
            ) or row.macro == "INTEGER"
            for number, formal in enumerate(schema.inputs):
                known = row.role(number) in "sz" or {key, (*key, formal.name)} & NOT_OF_INTEGERS
                if takes_integers and is_scale(formal.name) and not known:
                    missing.append((key, formal.name, row.role(number)))
        self.assertEqual(missing, [])

    def test_what_takes_narrow_integers_with_scales_is_no_float_operator(self) -> None:
        missing = []
        for key, row, schema in self.newest():
            only_integers = any(types_of(schema, formal) <= NARROW for formal in schema.inputs)
            has_scales = any(is_scale(formal.name) for formal in schema.inputs)
            if only_integers and has_scales and row.macro != "INTEGER":
                missing.append(key)
        self.assertEqual(missing, [])

    def test_letters_fit_the_types(self) -> None:
        """What is never a float is no weight, and what is never an integer holds no integers of one."""
        wrong = []
        for key, row, schema in self.newest():
            for number, formal in enumerate(schema.inputs):
                types, role = types_of(schema, formal), row.role(number)
                is_tensor = all(t.startswith("tensor(") for t in types)
                if is_tensor and not types & FLOATS and role in "wleodu":
                    wrong.append((key, formal.name, role, "is never a float"))
                if is_tensor and types <= FLOATS and role in "qim":
                    wrong.append((key, formal.name, role, "is always a float"))
        self.assertEqual(wrong, [])


if __name__ == "__main__":
    unittest.main()
