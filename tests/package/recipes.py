#!/usr/bin/env python3
"""recipes.py: the recipes of packaging/ in the eyes of the tools that read them.

The Dockerfile in hadolint, the recipe for conda as rattler-build renders it, filled in as tools/release
does; the formula in Ruby's parser where there is one. What is wrong has to be noticed, too.
"""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

from rattler_build import RattlerBuildError, RenderConfig, Stage0Recipe, VariantConfig

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
VALUES = {"VERSION": "1.2.3", "SHA256": "0" * 64, "URL": "https://example.org/dist", "HOMEPAGE": "https://example.org"}


def fill(name):
    """A recipe as a release has it."""
    text = (ROOT / "packaging" / name).read_text()
    return re.sub("@([A-Z0-9]+)@", lambda match: VALUES[match[1]], text)


class Conda(unittest.TestCase):
    def render(self, text):
        variants = VariantConfig({"python": ["3.11.*"], "c_compiler": ["gcc"], "c_stdlib": ["sysroot"]})
        (variant,) = Stage0Recipe.from_yaml(text).render(variants, RenderConfig())
        return variant.recipe

    def test_rendered(self):
        recipe = self.render(fill("conda/recipe.yaml.in"))
        self.assertEqual((recipe.package.name, str(recipe.package.version)), ("onnxq", "1.2.3"))

    def test_what_is_wrong(self):
        text = fill("conda/recipe.yaml.in")
        for wrong in (text.replace("requirements:", "requirement:"), text.replace("0" * 64, "0" * 63),
                      text.replace("license: Apache-2.0", "license: Apache-2")):
            with self.subTest(), self.assertRaises(RattlerBuildError):
                self.render(wrong)


class Docker(unittest.TestCase):
    def lint(self, text):
        with tempfile.NamedTemporaryFile("w", prefix="Dockerfile") as file:
            file.write(text)
            file.flush()
            done = subprocess.run([pathlib.Path(sys.executable).parent / "hadolint", "--no-color", file.name],
                                  capture_output=True, text=True, check=False)
        return done.returncode, done.stdout

    def test_dockerfile(self):
        self.assertEqual(self.lint((ROOT / "packaging/Dockerfile").read_text()), (0, ""))

    def test_what_is_wrong(self):
        code, said = self.lint("FROM debian:latest\nRUN cd /\n")
        self.assertEqual(code, 1)
        self.assertIn("DL3007", said)


@unittest.skipUnless(shutil.which("ruby"), "no ruby")
class Homebrew(unittest.TestCase):
    def test_syntax(self):
        subprocess.run(["ruby", "-c", "-"], input=fill("homebrew/onnxq.rb.in"), text=True, check=True)


if __name__ == "__main__":
    unittest.main()
