#!/usr/bin/env python3
"""pipelines.py: what other projects' pipelines take from here, step by step.

A small runner of the steps of action.yml and of the GitLab job: expressions, outputs, conditions,
the summary. `uses` is recorded, not run. The installed package is what ONNXQ_COMMAND and PYTHONPATH
name; pip is replaced by a program that records its call.
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
MAKE_MODEL = ROOT / "build/release/tests/make_model"
COMMAND = ROOT / "build/release/onnxq"


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        subprocess.run([MAKE_MODEL, "demo", self.folder / "model.onnx"], check=True)
        programs = self.folder / "bin"
        programs.mkdir()
        (programs / "onnxq").symlink_to(COMMAND)
        python = programs / "python3"
        python.write_text(f'#!/bin/sh\nif [ "$1 $2" = "-m pip" ]; then echo "$*" >>"{self.folder}/pip"; exit 0; fi\n'
                          f'exec "{sys.executable}" "$@"\n')
        python.chmod(0o755)
        self.environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": f"{ROOT}/python",
                            "ONNXQ_COMMAND": str(COMMAND), "ONNXQ_LIBRARY": str(ROOT / "build/release/libonnxq.so"),
                            "RUNNER_TEMP": str(self.folder / "temp")}
        (self.folder / "temp").mkdir()


class Runner:
    """Runs the steps of a composite action as GitHub does."""

    def __init__(self, case, **inputs):
        self.case, self.action = case, yaml.safe_load((ROOT / "action.yml").read_text())
        self.inputs = {name: str(one.get("default", "")) for name, one in self.action["inputs"].items()}
        case.assertLessEqual(set(inputs), set(self.inputs))
        self.inputs.update(inputs)
        self.outputs, self.used, self.status = {}, [], 0
        self.summary = case.folder / "summary"
        for step in self.action["runs"]["steps"]:
            self.run(step)
            if self.status != 0:
                break

    def value(self, path):
        parts = path.strip().split(".")
        if parts[0] == "inputs":
            return self.inputs[parts[1]]
        self.case.assertEqual((parts[0], parts[2]), ("steps", "outputs"), path)
        return self.outputs.get(parts[1], {}).get(parts[3], "")

    def expand(self, text):
        return re.sub(r"\$\{\{(.*?)\}\}", lambda match: self.value(match[1]), text)

    def holds(self, condition):
        left, operator, right = re.fullmatch(r"(\S+) (==|!=) '(.*)'", condition).groups()
        return (self.value(left) == right) == (operator == "==")

    def run(self, step):
        if "if" in step and not self.holds(step["if"]):
            return
        if "uses" in step:
            self.case.assertRegex(step["uses"], r"@[0-9a-f]{40}$")
            self.used.append((step["uses"], {name: self.expand(one) for name, one in step["with"].items()}))
            return
        # What comes from callers goes through the environment: no expression stands in a script.
        self.case.assertNotIn("${{", step["run"])
        output = self.case.folder / "output"
        output.write_text("")
        environment = {**self.case.environment, "GITHUB_OUTPUT": str(output), "GITHUB_STEP_SUMMARY": str(self.summary),
                       **{name: self.expand(one) for name, one in step.get("env", {}).items()}}
        script = self.case.folder / "script.sh"
        script.write_text(step["run"])
        self.status = subprocess.run(["bash", "--noprofile", "--norc", "-eo", "pipefail", script],
                                     cwd=self.case.folder, env=environment).returncode
        if "id" in step:
            self.outputs[step["id"]] = dict(line.split("=", 1) for line in output.read_text().splitlines())

    def result(self, name):
        return self.expand(self.action["outputs"][name]["value"])


class Action(Case):
    def test_defaults(self):
        runner = Runner(self, model="model.onnx")
        self.assertEqual(runner.status, 0)
        self.assertEqual(runner.result("model"), "model.int8.onnx")
        self.assertEqual(runner.result("passed"), "true")
        self.assertTrue((self.folder / "model.int8.onnx").exists())
        self.assertIn("install --quiet onnxq[ort]", (self.folder / "pip").read_text())
        text = runner.summary.read_text()
        self.assertRegex(text, r"(?s)## onnxq quantize.*x smaller.*\| MatMul \|.*## onnxq check.*Works: ")
        (_, upload), = runner.used
        self.assertEqual(upload["name"], "quantized-model")
        self.assertEqual(upload["path"].split()[0], "model.int8.onnx")

    def test_over_the_tolerance(self):
        runner = Runner(self, model="model.onnx", check="--abs-tol 1e-12", artifact="")
        self.assertEqual(runner.status, 1)
        self.assertEqual((runner.result("passed"), runner.used), ("false", []))
        self.assertIn("Failed: ", runner.summary.read_text())

    def test_options_and_odd_names(self):
        (self.folder / "model.onnx").rename(self.folder / "a $(touch x) 'b'.onnx")
        runner = Runner(self, model="a $(touch x) 'b'.onnx", output="small.onnx", check="skip",
                        options="--method blocks --bits 4")
        self.assertEqual((runner.status, runner.result("passed")), (0, ""))
        self.assertTrue((self.folder / "small.onnx").exists())
        self.assertFalse((self.folder / "x").exists())

    def test_no_model(self):
        self.assertEqual(Runner(self, model="none.onnx").status, 3)


class GitLab(Case):
    def run_job(self, **variables):
        job = yaml.safe_load((ROOT / "packaging/ci/onnxq.gitlab-ci.yml").read_text())[".onnxq"]
        environment = {**self.environment, **job["variables"], **variables}
        status = subprocess.run(["bash", "-eo", "pipefail", "-c", "\n".join(job["script"])], cwd=self.folder,
                                env=environment).returncode
        after = subprocess.run(["bash", "-c", "\n".join(job["after_script"])], cwd=self.folder, env=environment,
                               capture_output=True, text=True)
        return status, after.stdout

    def test_job(self):
        status, said = self.run_job()
        self.assertEqual(status, 0)
        self.assertRegex(said, r"(?s)## onnxq quantize.*## onnxq check.*Works: ")
        self.assertTrue((self.folder / "model.int8.onnx").exists())

    def test_over_the_tolerance(self):
        status, said = self.run_job(ONNXQ_CHECK="--abs-tol 1e-12")
        self.assertEqual(status, 1)
        self.assertIn("Failed: ", said)


class PreCommit(Case):
    def hook(self, identity, *files):
        hooks = {one["id"]: one for one in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())}
        words = hooks[identity]["entry"].split()
        words[0] = sys.executable if words[0] == "python" else words[0]
        pattern = re.compile(hooks[identity]["files"])
        return subprocess.run([*words, *filter(pattern.search, files)], cwd=self.folder, env=self.environment).returncode

    def test_validate(self):
        self.assertEqual(self.hook("onnxq-validate", "model.onnx", "notes.txt"), 0)
        (self.folder / "bad.onnx").write_bytes((self.folder / "model.onnx").read_bytes()[:-10])
        self.assertNotEqual(self.hook("onnxq-validate", "model.onnx", "bad.onnx"), 0)

    def test_up_to_date(self):
        quantized = self.folder / "model.int8.onnx"
        self.assertEqual(self.hook("onnxq-quantized", "model.onnx"), 0) # there is none
        self.assertFalse(quantized.exists())
        quantized.write_bytes(b"old")
        self.assertEqual(self.hook("onnxq-quantized", "model.onnx", "model.int8.onnx"), 1)
        self.assertEqual(self.hook("onnxq-quantized", "model.onnx", "model.int8.onnx"), 0)
        self.assertEqual(subprocess.run([COMMAND, "quantize", "-qq", "model.onnx", "again.onnx"], cwd=self.folder).returncode, 0)
        self.assertEqual(quantized.read_bytes(), (self.folder / "again.onnx").read_bytes())

    def test_options_with_values_and_failures(self):
        quantized = self.folder / "model.int8.onnx"
        quantized.write_bytes(b"old")
        options = ["--method", "blocks", "--bits", "4", "--exclude=x*", "--allow-unmatched"]
        hook = [sys.executable, "-m", "onnxq.hook", *options, "model.onnx"]
        self.assertEqual(subprocess.run(hook, cwd=self.folder, env=self.environment).returncode, 1)
        self.assertEqual(subprocess.run(hook, cwd=self.folder, env=self.environment).returncode, 0)
        (self.folder / "model.onnx").write_bytes(b"bad")
        done = subprocess.run(hook, cwd=self.folder, env=self.environment, capture_output=True, text=True)
        self.assertEqual(done.returncode, 3)
        self.assertNotIn("Traceback", done.stderr)


class Workflows(unittest.TestCase):
    """Of this project itself: pinned actions, least permissions."""

    def test_pinned_and_bounded(self):
        for path in (ROOT / ".github/workflows").glob("*.yml"):
            workflow = yaml.safe_load(path.read_text())
            with self.subTest(path.name):
                self.assertEqual(workflow["permissions"], {"contents": "read"})
                for job in workflow["jobs"].values():
                    self.assertIn("timeout-minutes", job)
                    for step in job["steps"]:
                        if "uses" in step:
                            self.assertRegex(step["uses"], r"^[\w./-]+@[0-9a-f]{40}$")
                        # Nothing that others may choose is part of a script.
                        self.assertNotIn("${{", step.get("run", ""))


if __name__ == "__main__":
    unittest.main()
