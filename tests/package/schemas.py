#!/usr/bin/env python3
"""schemas.py: every JSON that onnxq writes, against docs/schemas.

The schemas let members be added; here none may be that they do not name. Needs build/release and
ONNXQ_ORT_LIB.
"""

import json
import pathlib
import subprocess
import tempfile
import unittest

import jsonschema

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
COMMAND, MAKE_MODEL = ROOT / "build/release/onnxq", ROOT / "build/release/tests/make_model"
FOLDER = ROOT / "docs/schemas"


def strict(schema):
    """The same schema, where objects have no other members than it names."""
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: strict(one) for name, one in schema.items()}
    if "required" in made and isinstance(made.get("properties"), dict):
        made["additionalProperties"] = False
    return made


def validator(name):
    schema = json.loads((FOLDER / f"{name}.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(strict(schema))


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.kinds = subprocess.run([MAKE_MODEL, "--list"], check=True, capture_output=True, text=True).stdout.split()
        cls.models = []
        for kind in cls.kinds:
            subprocess.run([MAKE_MODEL, kind, cls.folder / f"{kind}.onnx"], check=True)
            cls.models.append(f"{kind}.onnx")
        subprocess.run([COMMAND, "quantize", "-qq", "demo.onnx", "small.onnx"], check=True, cwd=cls.folder)

    def say(self, *arguments, codes=(0, 1, 3, 5)):
        done = subprocess.run([COMMAND, *arguments], cwd=self.folder, capture_output=True, text=True)
        self.assertIn(done.returncode, codes, done.stderr)
        return json.loads(done.stdout) if done.stdout else None

    def holds(self, name, document):
        check = validator(name)
        for one in document if isinstance(document, list) else [document]:
            with self.subTest(name):
                error = next(check.iter_errors(one), None)
                self.assertIsNone(error, error and f"{error.json_path}: {error.message}")

    def test_quantize(self):
        for options in ((), ("--method=blocks", "--bits=4"), ("--method=qdq",), ("--method=weights", "--fold-bits=16")):
            for model in self.models:
                report = self.say("quantize", "--dry-run", "--allow-noop", "--json", *options, model)
                self.assertIsNotNone(report, model)
                self.holds("quantize", report)

    def test_dequantize(self):
        self.holds("dequantize", self.say("dequantize", "--dry-run", "--json", "small.onnx"))

    def test_inspect(self):
        self.holds("inspect", self.say("inspect", "--json", *self.models, "small.onnx"))
        self.holds("inspect", self.say("inspect", "--json", "--validate", *self.models))

    def test_check(self):
        for options in ((), ("--abs-tol=1e-12",), ("--layers",)):
            self.holds("check", self.say("check", "--json", "--random=2", *options, "demo.onnx", "small.onnx"))
        self.holds("check", self.say("check", "--json", "--random=2", "demo.onnx", "demo.onnx"))

    def test_bench(self):
        self.holds("bench", self.say("bench", "--json", "--runs=3", "demo.onnx", "small.onnx"))
        self.holds("bench", self.say("bench", "--json", "--runs=3", "-v", "--min-speedup=1e9", "demo.onnx", "small.onnx"))

    def test_calibrate(self):
        self.holds("calibrate", self.say("calibrate", "--json", "--random=2", "demo.onnx", "ranges.json"))
        self.holds("ranges", json.loads((self.folder / "ranges.json").read_text()))

    def test_tune(self):
        self.holds("tune", self.say("tune", "--json", "--random=4", "--time=5", "--save-plan=plan.json", "-f", "demo.onnx", "tuned.onnx"))
        self.holds("plan", json.loads((self.folder / "plan.json").read_text()))

    def test_one_version_key(self):
        """Reports have `report`; the two files that are read again have a mark of their own."""
        for path in sorted(FOLDER.glob("*.json")):
            first = next(iter(json.loads(path.read_text())["properties"]))
            self.assertEqual(first, {"ranges": "onnxq_ranges", "plan": "onnxq_plan"}.get(path.stem, "report"), path.name)


if __name__ == "__main__":
    unittest.main()
