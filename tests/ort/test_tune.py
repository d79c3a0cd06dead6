"""onnxq tune: models whose best plan is known by how they are made; budgets, plans, and what is refused."""

import json
import re
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

import build
import common
import harness
from build import node
from harness import OrtTest, cases

LIBRARY = Path(onnxruntime.__file__).parent / "capi"
WIDTH = 256
OUTLIER = 300.0  # times the other inputs of the second product


def network(outlier: float = OUTLIER, width: int = WIDTH, seed: int = 1) -> onnx.ModelProto:
    """Three products; what goes into the second has a column that is `outlier` times as large as the others."""
    r = np.random.default_rng(seed)
    scale = np.ones(width, np.float32)
    scale[7] = outlier
    w = {f"w{i}": (r.standard_normal((width, width)) / width**0.5).astype(np.float32) for i in range(3)}
    w["w1"][7] /= outlier  # so that the result does not hang on it
    nodes = [
        node("MatMul", "x w0", "a"),
        node("Mul", "a scale", "b"),
        node("MatMul", "b w1", "c"),
        node("Relu", "c", "d"),
        node("MatMul", "d w2", "y"),
    ]
    tensors = [numpy_helper.from_array(v, k) for k, v in {**w, "scale": scale}.items()]
    graph = helper.make_graph(nodes, "g", [build.info("x", ("n", width))], [build.info("y", ("n", width))], tensors)
    return build.model(graph, opset=17)


class TuneTest(OrtTest):
    def save(self, model: onnx.ModelProto, name: str = "model.onnx") -> Path:
        onnx.save(model, self.dir / name)
        return self.dir / name

    def rows(self, count: int, seed: int, width: int = WIDTH) -> np.ndarray:
        return np.random.default_rng(seed).standard_normal((count, width)).astype(np.float32)

    def inputs(self, count: int = 64, seed: int = 3) -> Path:
        np.savez(self.dir / "inputs.npz", x=self.rows(count, seed))
        return self.dir / "inputs.npz"

    def tune(self, model: Path, *arguments, status: int = 0, out: str = "out.onnx", timing: bool = False) -> dict:
        if not timing:
            arguments = ("--no-timing", *arguments)
        report = self.dir / "report.json"
        done = self.onnxq(
            "tune", "--ort-lib", LIBRARY, "-j1", f"--json={report}", "-o", self.dir / out, *arguments, model,
            status=status,
        )  # fmt: skip
        self.text, self.messages = done.stdout, done.stderr
        return json.loads(report.read_text()) if report.exists() else {}

    def forms(self, plan: str = "plan.json") -> dict[str, str]:
        return {row["weight"]: row["form"] for row in json.loads((self.dir / plan).read_text())["weights"]}

    def row(self, weight: str, plan: str = "plan.json") -> dict:
        return next(row for row in json.loads((self.dir / plan).read_text())["weights"] if row["weight"] == weight)

    def chosen(self, report: dict) -> dict:
        return next(point for point in report["points"] if point["chosen"])

    # --- what is chosen ---------------------------------------------------------------

    def test_the_outlier_of_a_site_is_no_integer(self):
        report = self.tune(
            self.save(network()), "-i", self.inputs(), "--budget", "rel<=0.03", "--save-plan", self.dir / "plan.json"
        )
        forms, outlier = self.forms(), self.row("w1")
        self.assertTrue(outlier["form"] != "integers" or 7 in outlier.get("columns", []) or outlier["divisors"][7] == 1)
        self.assertIn("integers", (forms["w0"], forms["w2"]))
        self.assertLess(self.chosen(report)["unseen"]["rel_error"], 0.03)
        default = next(point for point in report["points"] if point["name"] == "default")
        self.assertGreater(default["search"]["rel_error"], 0.03)

    def test_without_an_outlier_all_are_integers(self):
        self.tune(
            self.save(network(outlier=1)), "-i", self.inputs(), "--budget=rel<=0.1", "--save-plan", self.dir / "plan.json"
        )
        self.assertNotIn("float", self.forms().values())
        self.assertNotIn("folded", self.forms().values())

    def test_the_smallest_file_has_blocks_of_4_bits_where_the_budget_is_wide(self):
        model = self.save(network(outlier=1))
        self.tune(model, "-i", self.inputs(), "--budget=rel<=0.5", "--objective=size", "--save-plan", self.dir / "p.json")
        self.assertEqual(set(self.forms("p.json").values()), {"blocks-4"})
        self.assertLess((self.dir / "out.onnx").stat().st_size, model.stat().st_size / 6)

    @cases({str(seed): (seed,) for seed in range(20)})
    def the_budget_holds_on_rows_that_nobody_has_seen(self, seed: int):
        model = self.save(network(outlier=30, seed=seed))
        self.tune(model, "-i", self.inputs(96, seed), "--budget=rel<=0.02")
        x = self.rows(512, 1000 + seed)  # as many at a time as the search has: scales depend on it
        float_rows, rows = (
            np.concatenate([common.run(path, {"x": part})[0] for part in np.split(x, 64)]) for path in (model, self.dir / "out.onnx")
        )
        error = common.relative_error([float_rows], [rows])
        self.assertLess(error, 2.0 * 1.15)  # of percents; another draw of rows is as far off as rows differ
        self.assertGreater(error, 0.01)

    def test_errors_of_sites_add_up_to_that_of_the_model(self):
        report = self.tune(self.save(network()), "-i", self.inputs(), "--budget=rel<=0.03")
        for point in report["points"]:
            if point["predicted_error"] and point["predicted_error"] > 1e-3:
                ratio = point["search"]["rel_error_of_all"] / point["predicted_error"]
                self.assertTrue(0.7 < ratio < 1.4, (ratio, point))

    def test_times_are_measured(self):
        report = self.tune(
            self.save(network(outlier=1, width=512)), "--random=8", "--budget=rel<=0.1", "--time=10", timing=True
        )
        self.assertGreater(report["float_ms"], 0)
        best = self.chosen(report)
        self.assertGreaterEqual(best["speed_high"], best["speed_low"])
        self.assertIn("warning: random inputs", self.messages)

    def test_the_form_that_takes_less_is_chosen_of_those_that_fit(self):
        model, inputs, kept = self.save(network()), self.inputs(), self.dir / "measured.json"
        arguments = ("-i", inputs, "--budget=rel<=0.03", "--time=20", f"--resume={kept}", "--save-plan", self.dir / "plan.json")
        self.tune(model, *arguments, timing=True)
        first = json.loads(kept.read_text())
        timed = {row["form"] for row in first["measured"] if row["what"] == "time"}
        self.assertNotIn("integers", timed)  # the others are so much slower than them
        self.assertLessEqual({"folded", "columns-4", "columns-16"}, timed)
        for row in first["measured"]:
            if row["what"] == "time":
                row["value"] = 0.01 if row["form"].startswith("smooth") else 1000
        kept.write_text(json.dumps(first))
        report = self.tune(model, *arguments, timing=True)
        found = {form for point in report["points"] if point["name"] == "" for form in point["weights"]}
        self.assertTrue(any(form.startswith("smooth") for form in found), found)
        self.assertFalse(any(form.startswith(("columns", "blocks")) for form in found), found)

    def test_weights_of_bodies_are_decided_with_their_node(self):
        r = build.rng()
        w = {f"w{i}": (r.standard_normal((WIDTH, WIDTH)) / 16).astype(np.float32) for i in range(2)}
        tensors = [numpy_helper.from_array(v, k) for k, v in w.items()]
        bodies = [
            helper.make_graph([node("MatMul", f"x w{i}", f"b{i}", name=f"n{i}")], f"g{i}", [], [build.info(f"b{i}", None)])
            for i in range(2)
        ]
        choice = helper.make_node("If", ["c"], ["y"], name="if", then_branch=bodies[0], else_branch=bodies[1])
        graph = helper.make_graph(
            [choice],
            "g",
            [build.info("c", (), onnx.TensorProto.BOOL), build.info("x", ("n", WIDTH))],
            [build.info("y", ("n", WIDTH))],
            tensors,
        )
        np.savez(self.dir / "inputs.npz", x=self.rows(8, 1), c=np.array(True))
        report = self.tune(self.save(build.model(graph, opset=17)), "-i", self.dir / "inputs.npz", "--budget=rel<=0.1",
                           "--save-plan", self.dir / "plan.json")  # fmt: skip
        self.assertEqual([site["node"] for site in report["sites"]], ["if"])
        self.assertEqual(len(set(self.forms().values())), 1)

    def convolutions(self) -> onnx.ModelProto:
        r = np.random.default_rng(5)
        sizes = [(16, 3), (32, 16), (32, 32)]
        w = {f"w{i}": (r.standard_normal((o, c, 3, 3)) / (9 * c) ** 0.5).astype(np.float32) for i, (o, c) in enumerate(sizes)}
        nodes = []
        for i in range(3):
            nodes.append(node("Conv", f"{'x' if i == 0 else f'r{i - 1}'} w{i}", f"c{i}", pads=[1, 1, 1, 1]))
            nodes.append(node("Relu", f"c{i}", f"r{i}"))
        nodes.append(node("GlobalAveragePool", "r2", "y"))
        graph = helper.make_graph(
            nodes,
            "g",
            [build.info("x", ("n", 3, 24, 24))],
            [build.info("y", ("n", 32, 1, 1))],
            [numpy_helper.from_array(v, k) for k, v in w.items()],
        )
        return build.model(graph, opset=17)

    def test_convolutions_are_integers_of_known_ranges_which_the_plan_holds(self):
        model = self.save(self.convolutions())
        report = self.tune(model, "--budget=rel<=0.1", "--save-plan", self.dir / "plan.json")
        self.assertIn("static", [point["name"] for point in report["points"]])
        self.assertIn("integers", self.forms().values())
        self.assertIn("ranges", json.loads((self.dir / "plan.json").read_text()))
        self.assertIn("com.microsoft.QLinearConv", self.optimized(self.dir / "out.onnx", "all"))
        self.onnxq("quantize", "--plan", self.dir / "plan.json", model, self.dir / "again.onnx")
        self.assertEqual((self.dir / "again.onnx").read_bytes(), (self.dir / "out.onnx").read_bytes())
        self.assert_valid(self.dir / "out.onnx")

    def test_the_first_convolutions_are_tried_as_floats(self):
        model, kept = self.save(self.convolutions()), self.dir / "measured.json"
        arguments = ("--budget=rel<=0.5", "--time=20", f"--resume={kept}")
        self.tune(model, *arguments, timing=True)
        measured = json.loads(kept.read_text())
        for row in measured["measured"]:
            if row["what"] == "time":
                row["value"] = 1000  # so that all are integers, as far as single times tell
        kept.write_text(json.dumps(measured))
        report = self.tune(model, *arguments, timing=True)
        timed = [point for point in report["points"] if point["name"] == "" and point["speed"]]
        self.assertEqual(sorted(point["weights"].get("integers", 0) for point in timed), [0, 1, 2, 3])

    def test_what_is_chosen_to_be_folded_is_no_integer_convolution(self):
        model, plan = self.save(self.convolutions()), self.dir / "plan.json"
        self.tune(model, "--budget=rel<=0.1", "--save-plan", plan)
        content = json.loads(plan.read_text())
        for row in content["weights"]:
            row["form"] = "folded" if row["weight"] == "w1" else "integers"
        plan.write_text(json.dumps(content))
        self.onnxq("quantize", "--plan", plan, model, self.dir / "again.onnx")
        counts = self.optimized(self.dir / "again.onnx", "all")
        self.assertEqual((counts["com.microsoft.QLinearConv"], sum(n for name, n in counts.items() if name.endswith(".Conv"))), (2, 1))

    # --- inputs ---------------------------------------------------------------------

    @cases({"rows": (32, 3, 1), "two": (2, 1, 1), "one": (1, 1, 0)})
    def rows_of_one_file_are_searched_and_held_back(self, rows: int, search: int, unseen: int):
        report = self.tune(self.save(network(outlier=1)), "-i", self.inputs(rows), "--budget=rel<=0.1")
        self.assertEqual((report["search_sets"], report["unseen_sets"]), (search, unseen))

    def test_all_inputs_may_search(self):
        report = self.tune(self.save(network(outlier=1)), "-i", self.inputs(), "--held-back=0", "--budget=rel<=0.1")
        self.assertEqual(report["unseen_sets"], 0)
        self.assertNotIn("unseen", self.chosen(report))

    # --- other judges -----------------------------------------------------------------

    def evaluate(self, text: str) -> str:
        """A command; what it prints is `text`, in which $size is that of the model."""
        script = self.dir / "evaluate it.sh"
        script.write_text(f'size=$(stat -c %s "$2")\ntest "$1" = --fast || exit 9\necho progress\necho "{text}"\n')
        return f"sh '{script}' --fast"

    def test_a_command_of_ones_own_judges(self):
        model = self.save(network(outlier=1))
        small = model.stat().st_size // 2
        long = self.evaluate(f"bytes: {'.' * 4085} $size")  # the number stands across byte 4096 of its line
        report = self.tune(model, "-i", self.inputs(), "--metric-command", long, f"--budget=metric<={small}")
        best = self.chosen(report)
        self.assertEqual(best["metric"], (self.dir / "out.onnx").stat().st_size)
        self.assertLessEqual(best["metric"], small)
        self.assertEqual(report["budget"], {"metric": small})

    @cases(
        {
            "words": ("all is well", "printed no number as its last word"),
            "nan": ("nan", "printed no number as its last word"),
            "nothing": ("", "printed no number as its last word"),
            "failure": ("$(kill -9 $$)", "ended with "),
        }
    )
    def a_command_that_says_nothing_useful_is_told(self, text: str, message: str):
        self.tune(self.save(network()), "--metric-command", self.evaluate(text), "--budget=metric>=1", status=2)
        self.assertIn(message, self.messages)
        self.assertFalse((self.dir / "out.onnx").exists())

    @cases({"command": (["--metric-command=true"],), "budget": (["--budget=metric>=1"],)})
    def a_metric_needs_both(self, arguments: list[str]):
        self.tune(self.save(network()), *arguments, status=2)
        self.assertIn("go together", self.messages)

    def test_another_model_of_the_table_may_be_chosen(self):
        model, inputs = self.save(network()), self.inputs()
        report = self.tune(model, "-i", inputs, "--budget=rel<=0.03")
        numbers = [i for i, point in enumerate(report["points"]) if i > 0 and not point["chosen"]]
        again = self.tune(model, "-i", inputs, "--budget=rel<=0.03", f"--choose={numbers[-1]}", out="other.onnx")
        self.assertTrue(again["points"][numbers[-1]]["chosen"])
        self.assertEqual((self.dir / "other.onnx").stat().st_size, report["points"][numbers[-1]]["bytes"])

    def test_a_model_that_is_not_in_the_table_is_told(self):
        self.tune(self.save(network(outlier=1)), "-i", self.inputs(), "--choose=99", status=2)
        self.assertIn("--choose 99: there are models 1 to ", self.messages)

    # --- plans --------------------------------------------------------------------------

    def test_a_plan_gives_the_same_bytes_without_an_engine(self):
        model = self.save(network())
        self.tune(model, "-i", self.inputs(), "--budget=rel<=0.03", "--save-plan", self.dir / "plan.json")
        self.onnxq("quantize", "--plan", self.dir / "plan.json", model, self.dir / "again.onnx")
        self.assertEqual((self.dir / "again.onnx").read_bytes(), (self.dir / "out.onnx").read_bytes())
        self.assert_valid(self.dir / "out.onnx")

    def test_without_timing_the_same_plan_comes_out(self):
        model, inputs = self.save(network()), self.inputs()
        for name in ("a.json", "b.json"):
            self.tune(model, "-i", inputs, "--budget=rel<=0.03", "--save-plan", self.dir / name)
        self.assertEqual((self.dir / "a.json").read_bytes(), (self.dir / "b.json").read_bytes())

    def test_a_plan_of_another_model_is_refused(self):
        model = self.save(network())
        self.tune(model, "-i", self.inputs(), "--budget=rel<=0.03", "--save-plan", self.dir / "plan.json")
        other = network()
        other.graph.node[0].output[0] = other.graph.node[1].input[0] = "renamed"
        done = self.onnxq(
            "quantize", "--plan", self.dir / "plan.json", self.save(other, "other.onnx"), self.dir / "o.onnx", status=3
        )
        self.assertIn("plan.json: it is of another model", done.stderr)
        self.assertFalse((self.dir / "o.onnx").exists())

    HEAD = '{"onnxq_plan": 1, "model": {"digest": "0123456789abcdef", "node_outputs": 1}'

    @cases(
        {
            "empty": ("", "not a plan"),
            "ranges": ('{"onnxq_ranges": 1}', "not a plan"),
            "version": ('{"onnxq_plan": 7}', "format version 7; this onnxq reads version 1"),
            "form": (HEAD + ', "weights": [{"node": "a", "weight": "b", "form": "int9"}]}', "expected a form"),
            "no form": (HEAD + ', "weights": [{"node": "a", "weight": "b"}]}', '"form" is missing'),
            "no weights": (HEAD + "}", '"weights" is missing'),
            "digest": ('{"onnxq_plan": 1, "model": {"digest": "xyz"}, "weights": []}', "16 hexadecimal digits"),
            "cut short": (HEAD + ', "weights": [{"node"', "plan.json"),
        }
    )
    def what_is_no_plan_is_told(self, text: str, message: str):
        (self.dir / "plan.json").write_text(text)
        done = self.onnxq(
            "quantize", "--plan", self.dir / "plan.json", self.save(network()), self.dir / "o.onnx", status=3
        )
        self.assertIn(message, done.stderr)
        self.assertEqual(len(done.stderr.splitlines()[0].split("plan.json")), 2, done.stderr)

    # --- channels of activations --------------------------------------------------------

    def write_plan(self, rows: dict[str, dict], model: Path) -> Path:
        """A plan of integers for every weight, with the members of `rows` besides."""
        self.onnxq("calibrate", "--ort-lib", LIBRARY, "-q", "-f", "-o", self.dir / "r.json", model)
        digest = json.loads((self.dir / "r.json").read_text())["model"]
        graph = onnx.load(model).graph
        weights = [
            {"node": n.name or n.output[0], "weight": n.input[1], "form": "integers", **rows.get(n.input[1], {})}
            for n in graph.node
            if n.op_type == "MatMul"
        ]
        plan = self.dir / "channels.json"
        plan.write_text(json.dumps({"onnxq_plan": 1, "model": digest, "weights": weights}))
        return plan

    def error_of(self, model: Path, out: Path) -> float:
        x = {"x": self.rows(32, 9)}
        return common.relative_error(common.run(model, x), common.run(out, x))

    def test_a_column_in_float_takes_its_error_away_and_comes_back(self):
        model, out = self.save(network()), self.dir / "out.onnx"
        self.onnxq("quantize", "--plan", self.write_plan({}, model), model, self.dir / "plain.onnx")
        plan = self.write_plan({"w1": {"columns": [7]}}, model)
        self.onnxq("quantize", "--plan", plan, model, out)
        self.assert_valid(out)
        self.assertLess(self.error_of(model, out), self.error_of(model, self.dir / "plain.onnx") / 5)
        self.assertLess(self.error_of(model, out), 3)
        done = self.onnxq("quantize", out, self.dir / "twice.onnx", status=5)
        self.assertIn("quantized already", done.stderr + done.stdout)
        self.onnxq("dequantize", out, self.dir / "back.onnx")
        self.assertNotIn("MatMulInteger", {n.op_type for n in onnx.load(self.dir / "back.onnx").graph.node})
        self.assertLess(self.error_of(model, self.dir / "back.onnx"), self.error_of(model, out))

    @cases(
        {
            "right": ("c b", False, 0),
            "left": ("b c", False, 0),
            "read_twice": ("c b", True, 1),  # the product has to be there, and then its columns come first
        }
    )
    def columns_come_behind_the_bias(self, terms: str, is_read: bool, n_left: int):
        r = np.random.default_rng(5)
        w = (r.standard_normal((WIDTH, 64)) / 16).astype(np.float32)
        bias = r.standard_normal(64).astype(np.float32)
        nodes = [node("MatMul", "x w", "c"), node("Add", terms, "d"), node("Relu", "d", "y")]
        outputs = {"y": ("n", 4, 64), **({"c": ("n", 4, 64)} if is_read else {})}
        model = self.save(build.model(nodes, {"x": ("n", 4, WIDTH)}, outputs, {"w": w, "b": bias}, opset=17))
        plan, out = self.write_plan({"w": {"columns": [7, 9]}}, model), self.dir / "out.onnx"
        self.onnxq("quantize", "--plan", plan, model, out)
        self.assert_valid(out)
        ops = self.optimized(out)
        self.assertEqual((ops["com.microsoft.DynamicQuantizeMatMul"], ops["Add"]), (1, 1 + n_left), ops)
        x = self.rows(16, 9).reshape(4, 4, WIDTH)
        x[..., 7] *= OUTLIER
        want = common.run(model, {"x": x})[0]
        for level in common.LEVELS:
            self.assertLess(common.relative_error([want], common.run(out, {"x": x}, level)[:1]), 2, level)
        done = self.onnxq("quantize", "-f", out, self.dir / "twice.onnx", status=5)
        self.assertIn("quantized already", done.stderr + done.stdout)
        self.onnxq("dequantize", out, self.dir / "back.onnx")
        left = {n.op_type for n in onnx.load(self.dir / "back.onnx").graph.node}
        self.assertFalse(left & {"MatMulInteger", "DynamicQuantizeLinear"}, left)
        self.assertLess(common.relative_error([want], common.run(self.dir / "back.onnx", {"x": x})[:1]), 1)

    def test_divisors_change_no_product(self):
        model, r = self.save(network(outlier=1)), np.random.default_rng(1)
        divisors = {f"w{i}": {"divisors": (2.0 ** r.integers(-1, 1, WIDTH)).tolist()} for i in range(3)}
        self.onnxq("quantize", "--plan", self.write_plan(divisors, model), model, self.dir / "out.onnx")
        self.onnxq("dequantize", self.dir / "out.onnx", self.dir / "back.onnx")
        self.assertLess(self.error_of(model, self.dir / "back.onnx"), 2)  # of rounded weights alone

    def test_products_of_one_value_share_what_is_made_of_it(self):
        r = build.rng()
        w = {f"w{i}": (r.standard_normal((WIDTH, WIDTH)) / 16).astype(np.float32) for i in range(3)}
        graph = helper.make_graph(
            [node("MatMul", f"x w{i}", f"y{i}") for i in range(3)],
            "g",
            [build.info("x", ("n", WIDTH))],
            [build.info(f"y{i}", ("n", WIDTH)) for i in range(3)],
            [numpy_helper.from_array(v, k) for k, v in w.items()],
        )
        model, channels = self.save(build.model(graph, opset=17)), {"columns": [3, 9], "divisors": [0.5] * WIDTH}
        plan = self.write_plan({f"w{i}": channels for i in range(3)}, model)
        self.onnxq("quantize", "--plan", plan, model, self.dir / "out.onnx")
        ops = [n.op_type for n in onnx.load(self.dir / "out.onnx").graph.node]
        self.assertEqual((ops.count("DynamicQuantizeLinear"), ops.count("Gather"), ops.count("MatMulInteger")), (1, 1, 3))
        self.assert_valid(self.dir / "out.onnx")

    def test_products_of_one_value_go_together(self):
        r = build.rng()
        w = {f"w{i}": (r.standard_normal((WIDTH, WIDTH)) / 16).astype(np.float32) for i in range(3)}
        w["w0"][7] /= OUTLIER
        w["w1"][7] /= OUTLIER
        constants = {**w, "scale": np.where(np.arange(WIDTH) == 7, OUTLIER, 1).astype(np.float32)}
        constants["little"] = np.float32(0.003)  # for one of them any form would do
        nodes = [node("MatMul", "x w2", "a"), node("Mul", "a scale", "b")]
        nodes += [node("MatMul", "b w0", "c"), node("MatMul", "b w1", "d")]
        nodes += [node("Mul", "d little", "e"), node("Add", "c e", "y")]
        model = self.save(build.model(nodes, {"x": ("n", WIDTH)}, {"y": ("n", WIDTH)}, constants, opset=17))
        plan = self.dir / "plan.json"
        self.tune(model, "-i", self.inputs(), "--budget", "rel<=0.04", "--save-plan", plan)
        rows = [{k: v for k, v in self.row(w).items() if k not in ("node", "weight")} for w in ("w0", "w1")]
        self.assertEqual(rows[0], rows[1])
        self.assertIn("divisors", rows[0])

    def test_what_still_fits_behind_a_step_that_does_not_is_found(self):
        r = np.random.default_rng(1)
        wide, small = (r.standard_normal((WIDTH, n)).astype(np.float32) / 16 for n in (8 * WIDTH, WIDTH))
        nodes = [node("MatMul", "x wide", "a"), node("MatMul", "z small", "b"), node("Mul", "b twice", "c")]
        nodes += [node("Concat", "a c", "y", axis=-1)]
        constants = {"wide": wide, "small": small, "twice": np.float32(2)}
        inputs, outputs = {"x": ("n", WIDTH), "z": ("n", WIDTH)}, {"y": ("n", 9 * WIDTH)}
        model = self.save(build.model(nodes, inputs, outputs, constants, opset=17))
        np.savez(self.dir / "inputs.npz", x=self.rows(64, 3), z=self.rows(64, 4))
        # The wide one gains the most, and is over the budget alone.
        arguments = ("-i", self.dir / "inputs.npz", "--save-plan", self.dir / "plan.json")
        self.tune(model, *arguments, "--budget", "rel<=0.0065")
        self.assertEqual(self.forms(), {"wide": "float", "small": "integers"})

    def test_columns_that_are_not_there_are_told(self):
        model = self.save(network())
        plan = self.write_plan({"w1": {"columns": [WIDTH]}}, model)
        done = self.onnxq("quantize", "--plan", plan, model, self.dir / "out.onnx", status=2)
        self.assertIn("column 256, the weight has 256 rows", done.stderr)
        self.assertFalse((self.dir / "out.onnx").exists())

    # --- a search that goes on -----------------------------------------------------------

    def test_what_was_measured_is_not_measured_again(self):
        model, inputs, kept = self.save(network()), self.inputs(), self.dir / "measured.json"
        arguments = ("-i", inputs, "--budget=rel<=0.03", f"--resume={kept}", "--save-plan", self.dir / "plan.json")
        first = self.tune(model, *arguments)
        plan, measured = (self.dir / "plan.json").read_bytes(), kept.read_bytes()
        again = self.tune(model, *arguments)
        self.assertEqual(first["resumed"], 0)
        self.assertEqual(again["resumed"], len(json.loads(measured)["measured"]))
        self.assertGreater(again["resumed"], 10)
        self.assertEqual((self.dir / "plan.json").read_bytes(), plan)
        self.assertEqual(kept.read_bytes(), measured)
        self.assertIn("measurements of an earlier search", self.text)

    def test_measurements_with_other_inputs_are_passed_over(self):
        model, kept = self.save(network()), self.dir / "measured.json"
        self.tune(model, "-i", self.inputs(), "--budget=rel<=0.03", f"--resume={kept}")
        again = self.tune(model, "-i", self.inputs(seed=4), "--budget=rel<=0.03", f"--resume={kept}")
        self.assertEqual(again["not_resumed_as_measured"], "with other inputs, weights or settings")
        self.assertEqual(again["resumed"], 0)
        self.assertIn("all is measured anew", self.text)
        third = self.tune(model, "-i", self.inputs(seed=4), "--budget=rel<=0.03", f"--resume={kept}")
        self.assertGreater(third["resumed"], 10)

    def test_measurements_of_another_model_are_refused(self):
        kept, other = self.dir / "measured.json", network()
        self.tune(self.save(network()), "-i", self.inputs(), "--budget=rel<=0.03", f"--resume={kept}")
        measured = kept.read_bytes()
        other.graph.node[0].output[0] = other.graph.node[1].input[0] = "renamed"
        self.tune(self.save(other, "o.onnx"), "-i", self.inputs(), f"--resume={kept}", status=3, out="no.onnx")
        self.assertIn("measured.json: measurements of another model", self.messages)
        self.assertEqual(kept.read_bytes(), measured)
        self.assertFalse((self.dir / "no.onnx").exists())

    def test_what_holds_no_measurements_is_refused_and_stays(self):
        kept = self.dir / "notes.json"
        kept.write_text('{"mine": 1}')
        self.tune(self.save(network()), "-i", self.inputs(), f"--resume={kept}", status=3)
        self.assertIn("notes.json: not a file of measurements", self.messages)
        self.assertEqual(kept.read_text(), '{"mine": 1}')

    def test_the_model_is_no_file_of_measurements(self):
        model = self.save(network())
        self.tune(model, f"--resume={model}", status=2)
        self.assertIn("is the name of a model", self.messages)

    def test_the_first_model_within_the_budget_is_told(self):
        report = self.tune(self.save(network()), "-i", self.inputs(), "--budget=rel<=0.03")
        self.assertLessEqual(report["seconds_until_first_within"], report["seconds"])
        self.assertIn("the first model within the budget after", self.text)

    # --- no for an answer ----------------------------------------------------------------

    def test_a_budget_that_nothing_meets_leaves_no_file(self):
        self.tune(self.save(network()), "-i", self.inputs(), "--budget=rel<=0.0000001", status=1)
        self.assertFalse((self.dir / "out.onnx").exists())
        self.assertIn("Nothing found: no form", self.text)

    def test_padding_that_is_judged_with_the_rest_is_pointed_out(self):
        model = network()
        model.graph.input.append(helper.make_tensor_value_info("attention_mask", onnx.TensorProto.INT64, ["n"]))
        tensors = [helper.make_node("Unsqueeze", ["attention_mask", "last"], ["column"]),
                   helper.make_node("Cast", ["column"], ["ones"], to=onnx.TensorProto.FLOAT),
                   helper.make_node("Mul", ["y0", "ones"], ["y"])]
        model.graph.node[-1].output[0] = "y0"
        model.graph.node.extend(tensors)
        model.graph.initializer.append(numpy_helper.from_array(np.array([1]), "last"))
        path, says = self.save(model), "attention_mask has zeros: with --mask attention_mask"
        mask = np.arange(64) % 3 > 0
        np.savez(self.dir / "masked.npz", x=self.rows(64, 3), attention_mask=mask.astype(np.int64))
        arguments = ("-i", self.dir / "masked.npz", "--budget=rel<=0.03")
        self.tune(path, *arguments)
        self.assertIn(says, self.text)
        self.tune(path, *arguments, "--mask=attention_mask")
        self.assertNotIn("has zeros", self.text)

    def test_too_little_time_is_told_from_no_such_model(self):
        self.tune(self.save(network()), "-i", self.inputs(), "--budget=rel<=0.0000001", "--time=0.001", status=1)
        self.assertIn("Nothing found in time", self.text)
        self.assertIn("--time searches longer", self.text)

    def test_a_model_without_weights_is_nothing_to_do(self):
        graph = helper.make_graph(
            [node("Relu", "x", "y")], "g", [build.info("x", ("n", 4))], [build.info("y", ("n", 4))], []
        )
        self.tune(self.save(build.model(graph)), status=5)
        self.assertIn("no weight to choose a form for", self.messages)

    def test_a_size_that_is_not_reached_is_told(self):
        self.tune(self.save(network(outlier=1)), "-i", self.inputs(), "--budget=rel<=0.1", "--max-size=1K", status=1)
        self.assertIn("--max-size allows 1000", self.messages)

    @cases({"sign": ("cosine<=0.9",), "measure": ("l2<=0.9",), "number": ("rel<=x",), "nothing": ("rel<=",)})
    def a_budget_that_is_no_limit_is_refused(self, budget: str):
        self.tune(self.save(network()), f"--budget={budget}", status=2)
        self.assertIn(f"'{budget}' is not a limit of a measure", self.messages)

    def test_a_file_in_the_way_stays(self):
        model = self.save(network(outlier=1))
        (self.dir / "model.int8.onnx").write_bytes(b"mine")
        done = self.onnxq("tune", "--ort-lib", LIBRARY, "--no-timing", model, status=4)
        self.assertIn("it exists and is kept", done.stderr)
        self.assertEqual((self.dir / "model.int8.onnx").read_bytes(), b"mine")

    def test_an_interrupt_leaves_the_best_model_or_none_and_nothing_else(self):
        model, before = self.save(network(width=768)), {"model.onnx", "out.onnx"}
        process = subprocess.Popen(
            [*map(str, (harness.ONNXQ, "tune", "--ort-lib", LIBRARY, "-o", self.dir / "out.onnx", model))],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={"TMPDIR": str(self.dir), "PATH": "/usr/bin:/bin"},
        )
        time.sleep(1.5)
        process.send_signal(signal.SIGINT)
        process.communicate()
        self.assertEqual(process.returncode, -signal.SIGINT)
        self.assertLessEqual({path.name for path in self.dir.iterdir()}, before)

    def test_an_interrupt_does_not_wait_for_the_form_that_is_measured(self):
        model, resume = self.save(network(outlier=1, width=768)), self.dir / "resume.json"
        inputs = [self.dir / f"{i}.npz" for i in range(4)]
        for i, path in enumerate(inputs):
            np.savez(path, x=self.rows(1024, i, 768))
        process = subprocess.Popen(
            [harness.ONNXQ, "tune", "--ort-lib", LIBRARY, "-j1", "--progress", "--budget=rel<=0.5", f"--resume={resume}",
             *(f"-i{path}" for path in inputs), "-o", self.dir / "out.onnx", model],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={"TMPDIR": str(self.dir), "PATH": "/usr/bin:/bin"},
        )  # fmt: skip
        seen = b""
        while not re.search(rb"errors [^\r]* of (?!9 )", seen):  # of 9 forms, of so many steps of the first
            seen += (one := process.stderr.read1())
            self.assertTrue(one, seen)
        process.send_signal(signal.SIGINT)
        said = process.communicate()[0].decode()
        self.assertEqual(process.returncode, -signal.SIGINT)
        self.assertIn("stopped: the best that was found until then", said)
        self.assertTrue((self.dir / "out.onnx").exists())
        self.assertFalse(resume.exists())

    def test_an_interrupt_of_the_metric_is_no_failure_of_it(self):
        once = self.dir / "once"
        command = f"if [ -e {once} ]; then kill -INT $PPID; exit 1; fi; touch {once}; echo 1 #"
        self.tune(self.save(network(outlier=1)), f"--metric-command={command}", "--budget=metric>=1", status=-signal.SIGINT)
        self.assertFalse((self.dir / "out.onnx").exists())  # the float model was all that had one
        once.write_text("")
        command = f"n=$(wc -l <{once}); echo >>{once}; [ $n -lt 2 ] || {{ kill -INT $PPID; exit 1; }}; echo 1 #"
        self.tune(self.save(network(outlier=1)), f"--metric-command={command}", "--budget=metric>=1", status=-signal.SIGINT)
        self.assertIn("stopped: the best that was found until then", self.text)
        self.assertTrue((self.dir / "out.onnx").exists())
