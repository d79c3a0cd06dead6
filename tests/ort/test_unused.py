"""Constants that nothing uses leave; what is used, named or owned by callers stays."""

import json

import numpy as np
import onnx
from onnx import helper, numpy_helper

import build
import common
from build import node
from harness import OrtTest, cases

M, K, N = 4, build.K, build.N
X = build.activations(M, K)
W = build.weights(K, N)
IDLE = build.weights(40, 50, seed=3)
SMALL = build.weights(3, 5, seed=4)
TRUE, FALSE = np.array(True), np.array(False)


def with_idle(**idle) -> onnx.ModelProto:
    """y = x @ w, and constants beside it."""
    return build.model([node("MatMul", "x w", "y")], {"x": X.shape}, {"y": (M, N)}, {"w": W, **idle})


def names(graph: onnx.GraphProto) -> set[str]:
    return {t.name for t in graph.initializer}


class Unused(OrtTest):
    def assert_left(self, outcome, *left: str) -> None:
        """These have left, and are reported so."""
        drops = {w["name"] for w in outcome.report["weights"] if w["action"] == "drop"}
        self.assertEqual(drops, set(left))
        for name in left:
            weight = outcome.weight(name)
            self.assertEqual((weight["nbytes_after"], weight["uses"][0]["op_type"]), (0, "unused"))
        common.run(outcome.path, {"x": X})

    def test_leave(self):
        """Of any type, and what the model declares of them."""
        model = with_idle(idle=IDLE, ids=np.arange(9), half=IDLE.astype(np.float16))
        model.graph.value_info.append(build.info("idle", IDLE.shape))
        outcome = self.quantize(model)
        self.assert_left(outcome, "idle", "ids", "half")
        self.assertEqual(outcome.report["summary"]["nbytes_unused"], IDLE.nbytes * 3 // 2 + 72)
        self.assertFalse({"idle", "ids", "half"} & (names(outcome.model.graph) | {i.name for i in outcome.model.graph.value_info}))
        plain = self.quantize(with_idle())
        self.assertEqual(outcome.model.graph, plain.model.graph)

    def test_said(self):
        source = self.dir / "model.onnx"
        onnx.save(with_idle(idle=IDLE), source)
        line = "constants that nothing uses, left out: 1, 8.0 KB"
        self.assertIn(line, self.onnxq("quantize", "-f", source, self.dir / "out.onnx").stdout)
        dry = self.onnxq("quantize", "--dry-run", "-v", source).stdout
        self.assertIn(line, dry)
        self.assertRegex(dry, r"idle +\[40,50\] +float32 .*drop +left out")
        self.assertIn(line, self.onnxq("inspect", source).stdout)
        self.assertIn(line, self.onnxq("dequantize", self.twice(source)).stdout)

    def twice(self, source):
        """A quantized model to which a constant was added."""
        path = self.dir / "quantized.onnx"
        self.onnxq("quantize", "-f", source, path)
        model = onnx.load(path)
        model.graph.initializer.append(numpy_helper.from_array(IDLE, "idle"))
        onnx.save(model, path)
        return path

    def test_predicted(self):
        """--dry-run and inspect say the size that is written."""
        source, path = self.dir / "model.onnx", self.dir / "out.onnx"
        onnx.save(with_idle(idle=IDLE, other=SMALL), source)
        self.onnxq("quantize", "-f", source, path)
        dry = json.loads(self.onnxq("quantize", "--dry-run", "--json", source).stdout)
        estimate = json.loads(self.onnxq("inspect", "--json", source).stdout)["quantize"]
        for report in (dry, estimate):
            self.assertEqual(report["summary"]["nbytes_after"], path.stat().st_size)
            self.assertEqual(report["summary"]["unused"], 2)

    @cases({"alone": ({"idle": IDLE}, ()), "beside_kept": ({"idle": IDLE, "w": W}, ("--exclude=*",))})
    def nothing_else_to_do(self, constants, flags):
        """They are no reason to write a file: there is nothing to quantize."""
        nodes = [node("MatMul", "x w", "y")] if "w" in constants else [node("Relu", "x", "y")]
        model = build.model(nodes, {"x": X.shape}, {"y": (M, N if "w" in constants else K)}, constants)
        source, path = self.dir / "model.onnx", self.dir / "out.onnx"
        onnx.save(model, source)
        done = self.onnxq("quantize", "--json", *flags, source, path, status=5)
        self.assertEqual(json.loads(done.stdout)["summary"]["unused"], 0)
        self.assertFalse(path.exists())
        self.onnxq("quantize", *flags, "--allow-noop", source, path)
        self.assertEqual(path.read_bytes(), source.read_bytes())

    def test_constant_nodes(self):
        model = with_idle()
        for name, value in (("idle", {"value": numpy_helper.from_array(IDLE, "t")}), ("few", {"value_ints": [1, 2]})):
            model.graph.node.append(helper.make_node("Constant", [], [name], **value))
        outcome = self.quantize(model)
        self.assertEqual(outcome.report["summary"]["unused"], 2)
        self.assertNotIn("Constant", {n.op_type for n in outcome.model.graph.node})

    def if_model(self, outer: dict, inner: dict, nodes: list) -> onnx.ModelProto:
        """y = x @ w; z = c ? s + s : s"""
        then_branch = build.graph(nodes, {}, {"t": SMALL.shape}, inner, "then_body")
        else_branch = build.graph([node("Identity", "s", "e")], {}, {"e": SMALL.shape}, None, "else_body")
        body = node("If", "c", "z", then_branch=then_branch, else_branch=else_branch)
        return build.model(
            [node("MatMul", "x w", "y"), body],
            {"x": X.shape, "c": TRUE},
            {"y": (M, N), "z": SMALL.shape},
            {"w": W, "s": SMALL, **outer},
        )

    def check_if(self, model, *left: str) -> None:
        outcome = self.quantize(model)
        drops = [w["name"] for w in outcome.report["weights"] if w["action"] == "drop"]
        self.assertEqual(sorted(drops), sorted(left))
        for condition in (TRUE, FALSE):
            feeds = {"x": X, "c": condition}
            error = common.relative_error(common.run(model, feeds)[1:], common.run(outcome.path, feeds)[1:])
            self.assertLess(error, 2)

    def test_in_a_body(self):
        self.check_if(self.if_model({}, {"idle": IDLE}, [node("Add", "s s", "t")]), "idle")

    def test_used_in_a_body_only(self):
        self.check_if(self.if_model({"d": SMALL}, {}, [node("Add", "s d", "t")]))

    def test_shadowed(self):
        """The one outside, which the body hides, is not what the body uses."""
        model = self.if_model({}, {"d": SMALL}, [node("Add", "s d", "t")])
        model.graph.initializer.append(numpy_helper.from_array(IDLE, "d"))
        source, path = self.dir / "model.onnx", self.dir / "out.onnx"
        onnx.save(model, source)
        self.onnxq("quantize", "-f", source, path)
        made = onnx.load(path).graph
        self.assertNotIn("d", names(made))
        (body,) = (a.g for n in made.node if n.op_type == "If" for a in n.attribute if a.name == "then_branch")
        self.assertIn("d", names(body))

    @cases({"listed": ((), ("idle",)), "frozen": (("--freeze-inputs",), ())})
    def default_values(self, flags, stay):
        """A default value belongs to its input, and that to callers."""
        model = with_idle(idle=IDLE)
        model.graph.input.append(build.info("idle", IDLE.shape))
        outcome = self.quantize(model, *flags)
        self.assert_left(outcome, *({"idle"} - set(stay)))
        self.assertEqual([i.name for i in outcome.model.graph.input], ["x", *stay])
        self.assertLessEqual(set(stay), names(outcome.model.graph))

    def test_listed_by_habit(self):
        """Before IR version 4 all constants were inputs: that says nothing."""
        nodes = [node("MatMul", "x w", "y")]
        model = build.model(nodes, {"x": X.shape}, {"y": (M, N)}, {"w": W, "idle": IDLE}, opset=11, ir_version=3)
        outcome = self.quantize(model)
        self.assert_left(outcome, "idle")
        self.assertEqual([i.name for i in outcome.model.graph.input], ["x"])
        self.assertEqual(outcome.report["summary"]["inputs_removed"], ["w", "idle"])
        said = self.onnxq("quantize", "-f", "-v", "--min-elements=1", outcome.source, self.dir / "again.onnx").stdout
        self.assertIn("  no graph input any more, a constant: w\n  no graph input any more, a constant: idle\n", said)
        back = json.loads(self.onnxq("dequantize", "--json", outcome.path, self.dir / "back.onnx").stdout)
        self.assertEqual(back["summary"]["inputs_removed"], [])

    def test_annotations(self):
        """What an annotation is about, and what it names, stays; but not what is quantized."""
        model = with_idle(idle=IDLE, scale=SMALL, other=SMALL, about=SMALL)
        for about, parameter in (("y", "scale"), ("about", "other")):
            annotation = model.graph.quantization_annotation.add(tensor_name=about)
            annotation.quant_parameter_tensor_names.add(key="SCALE_TENSOR", value=parameter)
        self.assert_left(self.quantize(model), "idle")

    @cases({"folded": ((M, 3), True), "computed": ((M, N), False)})
    def annotated_weight(self, shape, stays):
        """An annotation goes with its tensor, and that is said; its scale, used elsewhere too, stays."""
        w = build.weights(K, shape[1])
        model = build.model(
            [node("MatMul", "x w", "y"), node("Add", "s s", "z")],
            {"x": X.shape}, {"y": shape, "z": (600,)}, {"w": w, "s": build.weights(600)},
        )
        annotation = model.graph.quantization_annotation.add(tensor_name="w")
        annotation.quant_parameter_tensor_names.add(key="SCALE_TENSOR", value="s")
        outcome = self.quantize(model)
        self.assertEqual(outcome.report["summary"]["annotations_removed"], 1 - stays)
        self.assertEqual([a.tensor_name for a in outcome.model.graph.quantization_annotation], ["w"] * stays)
        self.assertIn("s", names(outcome.model.graph))
        line = "quantization annotations of tensors that left, left out: 1"
        again = self.onnxq("quantize", "-f", "--min-elements=1", outcome.source, self.dir / "again.onnx").stdout
        (self.assertNotIn if stays else self.assertIn)(line, again)

    def trained(self, nodes, constants, outputs, *named) -> onnx.ModelProto:
        """Training adds up what it names, and stores the sum."""
        model = build.model(nodes, {"x": X.shape}, outputs, constants)
        training = model.training_info.add()
        training.algorithm.name = "algorithm"
        for name in named:
            training.algorithm.node.append(node("Add", f"{name} {name}", f"new_{name}"))
            training.algorithm.output.append(build.info(f"new_{name}", None))
            training.update_binding.add(key=name, value=f"new_{name}")
        return model

    def test_trained_weight(self):
        """Training updates a weight by name, so that it has to stay one; its twin does not."""
        nodes = [node("MatMul", "x w", "y"), node("MatMul", "x v", "z")]
        constants = {"w": W, "v": build.weights(K, N, seed=5)}
        model = self.trained(nodes, constants, {"y": (M, N), "z": (M, N)}, "w")
        onnx.checker.check_model(model)
        for method in ("dynamic", "weights", "qdq", "blocks"):
            outcome = self.quantize(model, f"--method={method}")
            onnx.checker.check_model(outcome.model)
            self.assertIn("w", names(outcome.model.graph))
            self.assertEqual(
                [(u["action"], u["reason"]) for u in outcome.weight("w")["uses"]],
                [("keep", "training information or an annotation names it")],
            )
            self.assertNotEqual(outcome.weight("v")["action"], "keep")

    def test_trained_through_a_chain(self):
        """So has one that reaches its operator through others, and what these make where it is named."""
        nodes = [node("Transpose", "w", "t", perm=[1, 0]), node("MatMul", "x t", "y"), node("MatMul", "x v", "z")]
        constants = {"w": np.ascontiguousarray(W.T), "v": build.weights(K, N, seed=5)}
        model = self.trained(nodes, constants, {"y": (M, N), "z": (M, N)}, "w")
        outcome = self.quantize(model)
        onnx.checker.check_model(outcome.model)
        self.assertIn("w", names(outcome.model.graph))
        model.training_info[0].update_binding[0].key = "v"
        model.training_info[0].algorithm.node[0].input[:] = ["t", "t"]
        source = self.dir / "named.onnx"
        onnx.save(model, source)
        self.assertIn("all kept", self.onnxq("quantize", source, self.dir / "out.onnx", status=5).stderr)

    def test_trained_integers(self):
        """On the way back: an activation that passes on is not known by another name there."""
        path, back = self.dir / "q.onnx", self.dir / "float.onnx"
        zero, scale = np.array(0, np.int8), np.array(0.01, np.float32)
        nodes = [
            node("QuantizeLinear", "x s z", "q"),
            node("DequantizeLinear", "q s z", "d"),
            node("DequantizeLinear", "i s z", "w"),
            node("MatMul", "d w", "y"),
        ]
        integers = build.rng(2).integers(-99, 99, (K, N)).astype(np.int8)
        model = self.trained(nodes, {"s": scale, "z": zero, "i": integers}, {"y": (M, N)}, "i")
        model.training_info[0].algorithm.node.append(node("Add", "d d", "e"))
        onnx.save(model, path)
        self.onnxq("dequantize", path, back)
        made = onnx.load(back)
        onnx.checker.check_model(made)
        self.assertIn("i", names(made.graph))
        self.assertIn("d", {o for n in made.graph.node for o in n.output})

    def test_training(self):
        """Training sees the main graph, and gives its initializers new values."""
        model = with_idle(idle=IDLE, rate=SMALL, step=np.zeros((1,), np.int64))
        training = model.training_info.add()
        training.algorithm.name = "algorithm"
        training.algorithm.node.append(node("Add", "rate rate", "moved"))
        training.algorithm.output.append(build.info("moved", SMALL.shape))
        training.update_binding.add(key="step", value="moved")
        source, report = self.dir / "model.onnx", self.dir / "report.json"
        onnx.save(model, source)
        self.onnxq("quantize", f"--json={report}", source, self.dir / "out.onnx")
        weights = json.loads(report.read_text())["weights"]
        self.assertEqual({w["name"] for w in weights if w["action"] == "drop"}, {"idle"})

    @cases(["auto", "always", "never"])
    def side_file(self, out):
        """Its bytes are not copied."""
        folder = self.dir / "in"
        folder.mkdir()
        onnx.save_model(
            with_idle(idle=build.weights(400, 500, seed=3)), folder / "model.onnx",
            save_as_external_data=True, all_tensors_to_one_file=False, size_threshold=0,
        )
        outcome = self.quantize(folder / "model.onnx", f"--external-data={out}")
        self.assert_left(outcome, "idle")
        self.assertLess(sum(p.stat().st_size for p in outcome.path.parent.iterdir()), 2 * W.size)

    def test_dequantize(self):
        """The way back leaves them out as well, and says so."""
        source = self.dir / "model.onnx"
        onnx.save(with_idle(), source)
        path = self.dir / "float.onnx"
        done = self.onnxq("dequantize", "--json", self.twice(source), path)
        summary = json.loads(done.stdout)["summary"]
        self.assertEqual((summary["unused"], summary["nbytes_unused"]), (1, IDLE.nbytes))
        self.assertEqual(len(onnx.load(path).graph.initializer), 1)
        self.assertEqual(summary["nbytes_after"], path.stat().st_size)
