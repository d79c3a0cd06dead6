"""onnxq check --layers: errors of single sites are those computed apart; excluding the worst helps most."""

import json
import os
import unittest
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_dynamic, quantize_static

import build
import common
import harness
import realmodels
from build import node
from harness import OrtTest, cases

LIBRARY = Path(onnxruntime.__file__).parent / "capi"
SIZE, LAYERS, ROWS = 272, 4, 32
CANCELLED = 1e-3  # errors of sites as small as this take each other away by chance


def tower(planted: int | None = None, opset: int = 17, **fields) -> onnx.ModelProto:
    """LAYERS products with a Relu between; `planted` has a row of outliers that meets zeros only."""
    constants, nodes = {}, []
    for k in range(LAYERS):
        w = build.rng(k + 1).standard_normal((SIZE, SIZE)).astype(np.float32) / np.float32(SIZE**0.5)
        constants[f"w{k}"] = w
        value = f"r{k - 1}" if k > 0 else "x"
        nodes.append(node("MatMul", f"{value} w{k}", f"h{k}", name=f"layer{k}"))
        if k + 1 < LAYERS:
            nodes.append(node("Relu", f"h{k}", f"r{k}", name=f"relu{k}"))
    if planted is not None:
        constants[f"w{planted}"][0, :] = 10
        if planted > 0:
            constants[f"w{planted - 1}"][:, 0] = 0
    last = f"h{LAYERS - 1}"
    return build.model(nodes, {"x": ("n", SIZE)}, {last: ("n", SIZE)}, constants, opset, **fields)


def tower_input(seed: int = 5) -> np.ndarray:
    x = build.rng(seed).standard_normal((ROWS, SIZE)).astype(np.float32)
    x[:, 0] = 0
    return x


def relative(want: np.ndarray, got: np.ndarray) -> float:
    want, got = want.astype(np.float64), got.astype(np.float64)
    return float(np.linalg.norm(want - got) / np.linalg.norm(want))


def with_outputs(model: onnx.ModelProto) -> onnx.ModelProto:
    """All values that nodes of the main graph make are outputs."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    known = {output.name for output in copy.graph.output}
    for step in copy.graph.node:
        copy.graph.output.extend(onnx.ValueInfoProto(name=name) for name in step.output if name not in known)
    return copy


def values_of(model: onnx.ModelProto, feeds: common.Feeds) -> dict[str, np.ndarray]:
    session = common.session(with_outputs(model))
    names = [output.name for output in session.get_outputs()]
    return {**feeds, **dict(zip(names, session.run(names, feeds), strict=True))}


def part(model: onnx.ModelProto, given: common.Feeds, name: str) -> np.ndarray:
    """The value `name`, computed from those that are given."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    needed, nodes = [name], []
    while needed:
        wanted = needed.pop()
        for step in copy.graph.node:
            if wanted in step.output and step not in nodes:
                nodes.append(step)
                needed += [i for i in step.input if i not in given]
    nodes = [step for step in copy.graph.node if step in nodes]
    read = {i for step in nodes for i in step.input}
    del copy.graph.node[:], copy.graph.input[:], copy.graph.output[:], copy.graph.value_info[:]
    copy.graph.node.extend(nodes)
    feeds = {key: value for key, value in given.items() if key in read}
    copy.graph.input.extend(build.infos(feeds))
    copy.graph.output.append(onnx.ValueInfoProto(name=name))
    return common.run(copy, feeds)[0]


class LayersTest(OrtTest):
    def save(self, model: onnx.ModelProto, name: str, **options) -> Path:
        path = self.dir / name
        path.parent.mkdir(exist_ok=True)
        onnx.save(model, path, **options)
        return path

    def inputs(self, name: str = "inputs.npz", **values) -> Path:
        np.savez(self.dir / name, **values)
        return self.dir / name

    def quantized(self, path: Path, *flags: str, name: str = "candidate.onnx") -> Path:
        self.onnxq("quantize", "-f", path, self.dir / name, *flags)
        return self.dir / name

    def layers(self, *arguments) -> dict[str, dict]:
        """By name, in the order of the report."""
        report = self.dir / "layers.json"
        done = self.onnxq_any("check", "--ort-lib", LIBRARY, "--layers", f"--json={report}", *arguments)
        self.assertIn(done.returncode, (0, 1), done.stderr)
        self.text = done.stdout
        self.report = json.loads(report.read_text())
        return {layer["name"]: layer for layer in self.report["layers"]}


class Nothing(LayersTest):
    def test_empty_values(self):
        """An error of 0 would be that of a site that loses nothing."""
        path = self.save(tower(), "reference.onnx")
        layers = self.layers("-i", self.inputs(x=np.zeros((0, SIZE), np.float32)), path, self.quantized(path))
        self.assertEqual(len(layers), LAYERS)
        for layer in layers.values():
            self.assertEqual((layer["added_error"], layer["output_error"]), (None, None))
            self.assertEqual(layer["unmeasured"], "its values are empty, or NaN or infinite in both")


class Ranking(LayersTest):
    @cases([str(k) for k in range(1, LAYERS)])
    def planted(self, k: str):
        """
        The site with outliers is the first, and leaving it float helps more than any other. (Of the first
        layer they say that its features are of unlike size: it gets 16 bits.)
        """
        path, x = self.save(tower(int(k)), "reference.onnx"), tower_input()
        candidate, inputs = self.quantized(path), self.inputs(x=x)
        layers = self.layers("-i", inputs, path, candidate)
        self.assertEqual(list(layers)[0], f"layer{k}")
        self.assertIn(f"onnxq quantize --exclude=layer{k} {path}", self.text)
        want = common.run(path, {"x": x})[0]
        errors = {}
        for name, layer in layers.items():
            flags = [f"--exclude={excluded}" for excluded in layer["exclude"]]
            without = self.quantized(path, *flags, name="without.onnx")
            errors[name] = relative(want, common.run(without, {"x": x})[0])
        self.assertEqual(min(errors, key=errors.get), f"layer{k}")
        self.assertLess(errors[f"layer{k}"], 0.2 * relative(want, common.run(candidate, {"x": x})[0]))

    def test_squares_of_effects_add_up(self):
        path, x = self.save(tower(), "reference.onnx"), tower_input()
        layers = self.layers("-i", self.inputs(x=x), path, self.quantized(path))
        total = sum(layer["output_error"] ** 2 for layer in layers.values()) ** 0.5
        self.assertAlmostEqual(total, self.report["rel_error"], delta=0.2 * total)

    @cases(["minilm", "audio_lstm", "ultraface", "super_resolution_10", "music_mlp", "mnist"])
    def real_model(self, name: str):
        """Leaving out the site that is ranked first is better than the one with the largest own error."""
        path = harness.MODELS / f"{name}.onnx"
        if not path.exists():
            self.skipTest(f"{path} is not there")
        model = realmodels.load(harness.MODELS, name)
        feeds = model.inputs[0]
        candidate, inputs = self.quantized(path), self.inputs(**feeds)
        layers = self.layers("-i", inputs, path, candidate)
        want = common.run(path, feeds)

        def error(candidate: Path) -> float:
            got = common.run(candidate, feeds)
            return max(relative(a, b) for a, b in zip(want, got, strict=True))

        def without(layer: dict) -> float:
            flags = [f"--exclude={excluded}" for excluded in layer["exclude"]]
            return error(self.quantized(path, *flags, name="without.onnx"))

        first = next(iter(layers.values()))
        worst = max(layers.values(), key=lambda layer: layer["added_error"])
        self.assertLess(without(first), max(error(candidate), CANCELLED))
        self.assertLessEqual(without(first), max(without(worst), CANCELLED))


class Numbers(LayersTest):
    def assert_numbers(
        self, reference: Path, candidate: Path, feeds: list[common.Feeds], threshold: float = 2e-3
    ) -> dict[str, dict]:
        """All three errors of every site, as computed here from pieces of both models."""
        files = [a for k, f in enumerate(feeds) for a in ("-i", self.inputs(f"{k}.npz", **f))]
        layers = self.layers(*files, reference, candidate)
        a, b = onnx.load(reference), onnx.load(candidate)
        output = a.graph.output[0].name
        wants = [values_of(a, f) for f in feeds]
        gots = [values_of(b, f) for f in feeds]
        for layer in layers.values():
            (name,) = layer["values"]
            inputs = [
                {key: value for key, value in want.items() if key in got and key != name}
                for want, got in zip(wants, gots, strict=True)
            ]
            apart = [part(b, given, name) for given in inputs]
            tails = [
                part(a, {**feed, name: value}, output) if name != output else value
                for feed, value in zip(feeds, apart, strict=True)
            ]
            stack = lambda arrays: np.concatenate([array.ravel() for array in arrays])  # noqa: E731
            want = stack(w[name] for w in wants)
            expected = {
                "added_error": relative(want, stack(apart)),
                "accumulated_error": relative(want, stack(g[name] for g in gots)),
                "output_error": relative(stack(w[output] for w in wants), stack(tails)),
            }
            for key, value in expected.items():
                self.assertAlmostEqual(layer[key], value, delta=threshold * value, msg=f"{name} {key}")
            self.assertAlmostEqual(layer["added_sqnr"], -20 * np.log10(layer["added_error"]), places=6)
        return layers

    @cases(
        {
            "dynamic": ([],),
            "weights": (["--method=weights"],),
            "qdq": (["--method=qdq"],),
            "blocks": (["--method=blocks"],),
        }
    )
    def method(self, flags: list[str]):
        path = self.save(tower(2), "reference.onnx")
        layers = self.assert_numbers(path, self.quantized(path, *flags), [{"x": tower_input()}])
        self.assertEqual(len(layers), LAYERS)

    def test_several_inputs_of_unlike_sizes(self):
        path = self.save(tower(1), "reference.onnx")
        inputs = [{"x": tower_input(k)[: 4 * k + 1]} for k in range(4)]
        self.assert_numbers(path, self.quantized(path), inputs)

    def test_dynamic_model_of_the_peer(self):
        path = self.save(tower(1), "reference.onnx")
        quantize_dynamic(path, self.dir / "candidate.onnx")
        layers = self.assert_numbers(path, self.dir / "candidate.onnx", [{"x": tower_input()}])
        self.assertEqual({layer["form"] for layer in layers.values()}, {"MatMulInteger"})

    @cases(["QDQ", "QOperator"])
    def static_model_of_the_peer(self, form: str):
        class Reader(CalibrationDataReader):
            data = iter([{"x": tower_input()}])

            def get_next(self):
                return next(self.data, None)

        path = self.save(tower(1), "reference.onnx")
        quantize_static(path, self.dir / "candidate.onnx", Reader(), quant_format=getattr(QuantFormat, form))
        self.assert_numbers(path, self.dir / "candidate.onnx", [{"x": tower_input()}], threshold=0.05)

    def test_float16(self):
        model = tower(1)
        half = TensorProto.FLOAT16
        for tensor in model.graph.initializer:
            value = onnx.numpy_helper.to_array(tensor).astype(np.float16)
            tensor.CopyFrom(onnx.numpy_helper.from_array(value, tensor.name))
        for value in (*model.graph.input, *model.graph.output):
            value.type.tensor_type.elem_type = half
        path = self.save(model, "reference.onnx")
        x = tower_input().astype(np.float16)
        layers = self.layers("-i", self.inputs(x=x), path, self.quantized(path))
        self.assertEqual(list(layers)[0], "layer1")
        self.assertTrue(all(layer["output_error"] > 0 for layer in layers.values()), layers)

    def test_other_weights(self):
        """What `onnxq dequantize` gives back has the same operators and rounded weights."""
        path = self.save(tower(2), "reference.onnx")
        folded = self.quantized(path, "--method=weights", name="folded.onnx")
        self.onnxq("dequantize", folded, self.dir / "candidate.onnx")
        self.assert_numbers(path, self.dir / "candidate.onnx", [{"x": tower_input()}])

    def test_model_with_itself(self):
        path = self.save(tower(), "reference.onnx")
        self.assertEqual(self.layers("-i", self.inputs(x=tower_input()), path, path), {})
        self.assertIn("both models compute all their 7 common values alike", self.text)


class Models(LayersTest):
    """Whatever form a model has, all its sites are measured."""

    def assert_measured(self, layers: dict, count: int) -> None:
        self.assertEqual(len(layers), count)
        for name, layer in layers.items():
            self.assertIsNone(layer["unmeasured"], name)
            self.assertGreater(layer["added_error"], 0, name)

    def test_files_in_other_folders(self):
        """The model in one folder, its side file below it; the candidate in another."""
        path = self.save(
            tower(1),
            "a/reference.onnx",
            save_as_external_data=True,
            location="weights.bin",
            size_threshold=1024,
        )
        (self.dir / "b").mkdir()
        candidate = self.quantized(path, "--external-data=always", name="b/candidate.onnx")
        layers = self.layers("-i", self.inputs(x=tower_input()), path, candidate)
        self.assert_measured(layers, LAYERS)
        self.assertEqual(list(layers)[0], "layer1")

    def test_links_of_the_hugging_face_cache(self):
        path = self.save(
            tower(1), "blobs/m", save_as_external_data=True, location="m.onnx_data", size_threshold=1024
        )
        (self.dir / "snapshot").mkdir()
        os.rename(self.dir / "blobs" / "m.onnx_data", self.dir / "blobs" / "d")
        os.symlink("../blobs/m", self.dir / "snapshot" / "m.onnx")
        os.symlink("../blobs/d", self.dir / "snapshot" / "m.onnx_data")
        path = self.dir / "snapshot" / "m.onnx"
        done = self.onnxq_any("check", "--ort-lib", LIBRARY, path, path)
        if done.returncode == 3:  # the engine itself does not load it
            self.skipTest(done.stderr)
        layers = self.layers("-i", self.inputs(x=tower_input()), path, self.quantized(path))
        self.assert_measured(layers, LAYERS)

    def test_relative_path_without_folder(self):
        self.save(tower(1), "reference.onnx")
        self.quantized(self.dir / "reference.onnx")
        inputs = self.inputs(x=tower_input())
        before = os.getcwd()
        self.addCleanup(os.chdir, before)
        os.chdir(self.dir)
        self.assert_measured(self.layers("-i", inputs, "reference.onnx", "candidate.onnx"), LAYERS)

    @cases({"3": (3, 8), "4": (4, 9)})
    def old_ir_version(self, ir_version: int, opset: int):
        path = self.save(tower(1, opset, ir_version=ir_version), "reference.onnx")
        layers = self.layers("-i", self.inputs(x=tower_input()), path, self.quantized(path))
        self.assert_measured(layers, LAYERS)
        self.assertEqual(list(layers)[0], "layer1")

    def test_opset_without_broadcasting(self):
        model = build.model(
            [node("MatMul", "x w", "h"), node("Relu", "h", "y")],
            {"x": (4, 200)},
            {"y": (4, 500)},
            {"w": build.weights(200, 500)},
            opset=6,
        )
        path = self.save(model, "reference.onnx")
        other = build.with_weights(model, {"w": build.weights(200, 500, seed=3)})
        candidate = self.save(other, "candidate.onnx")
        layers = self.layers("-i", self.inputs(x=build.activations(4, 200)), path, candidate)
        self.assert_measured(layers, 1)
        self.assertIsNone(layers["matmul_h"]["output_error"])
        self.assertIn("opset is below 7", self.report["layers_no_effects"])
        self.assertIn("effects on the outputs are not known", self.text)

    def test_bodies(self):
        """An If is one site, and names its weights; what is inside is counted."""
        w = {name: build.weights(SIZE, SIZE, seed=k) for k, name in enumerate(("a", "b"))}
        branches = [
            build.graph([node("MatMul", f"r {name}", f"t_{name}")], {}, {f"t_{name}": None}, {name: value})
            for name, value in w.items()
        ]
        for branch in branches:
            branch.output[0].CopyFrom(build.info(branch.output[0].name, ("n", SIZE)))
        model = build.model(
            [
                node("Relu", "x", "r"),
                node("If", "c", "h", name="choice", then_branch=branches[0], else_branch=branches[1]),
                node("Tanh", "h", "y"),
            ],
            {"x": ("n", SIZE), "c": np.array(True)},
            {"y": ("n", SIZE)},
            opset=17,
        )
        path = self.save(model, "reference.onnx")
        feeds = self.inputs(x=tower_input(), c=np.array(True))
        layers = self.layers("-i", feeds, path, self.quantized(path))
        self.assert_measured(layers, 1)
        self.assertEqual(layers["choice"]["quantized_inside"], 2)
        self.assertEqual(set(layers["choice"]["exclude"]), {"matmul_t_a", "matmul_t_b"})
        self.assertIn("2 quantized operators in bodies of If, Loop or Scan are not told apart", self.text)

    def test_loop(self):
        def flag(name: str) -> onnx.ValueInfoProto:
            return build.info(name, (), TensorProto.BOOL)

        body = helper.make_graph(
            [node("Identity", "go", "go_on"), node("MatMul", "before w", "after")],
            "body",
            [build.info("i", (), TensorProto.INT64), flag("go"), build.info("before", ("n", SIZE))],
            [flag("go_on"), build.info("after", ("n", SIZE))],
        )
        model = build.model(
            [node("Loop", "count - x", "y", name="loop", body=body)],
            {"x": ("n", SIZE)},
            {"y": ("n", SIZE)},
            {"count": np.array(2), "w": build.weights(SIZE, SIZE)},
            opset=17,
        )
        path = self.save(model, "reference.onnx")
        layers = self.layers("-i", self.inputs(x=tower_input()), path, self.quantized(path))
        self.assert_measured(layers, 1)

    def test_local_function(self):
        function = helper.make_function(
            "own",
            "Twice",
            ["a"],
            ["b"],
            [helper.make_node("Add", ["a", "a"], ["b"])],
            [helper.make_opsetid("", 17)],
        )
        model = build.model(
            [
                helper.make_node("Twice", ["x"], ["d"], domain="own"),
                node("MatMul", "d w", "h", name="product"),
                helper.make_node("Twice", ["h"], ["y"], domain="own"),
            ],
            {"x": ("n", SIZE)},
            {"y": ("n", SIZE)},
            {"w": build.weights(SIZE, SIZE)},
            opset=17,
            imports={"own": 1},
            functions=[function],
        )
        path = self.save(model, "reference.onnx")
        layers = self.layers("-i", self.inputs(x=tower_input()), path, self.quantized(path))
        self.assert_measured(layers, 1)

    def test_several_outputs_of_one_node(self):
        hidden = 128
        constants = {
            "w": build.weights(1, 4 * hidden, SIZE),
            "r": build.weights(1, 4 * hidden, hidden, seed=4),
        }
        model = build.model(
            [node("LSTM", "x w r", "all last cell", name="rnn", hidden_size=hidden)],
            {"x": ("t", 1, SIZE)},
            {"all": ("t", 1, 1, hidden), "last": (1, 1, hidden), "cell": (1, 1, hidden)},
            constants,
            opset=14,
        )
        path = self.save(model, "reference.onnx")
        layers = self.layers("-i", self.inputs(x=tower_input()[:, None]), path, self.quantized(path))
        self.assert_measured(layers, 1)
        self.assertEqual(layers["rnn"]["values"], ["all", "last", "cell"])

    def test_feedback(self):
        """The state of each model is its own; sites are measured from the reference's."""
        model = build.model(
            [
                node("Add", "x state", "s"),
                node("MatMul", "s w", "h", name="product"),
                node("Tanh", "h", "next"),
                node("Relu", "next", "y"),
            ],
            {"x": ("n", SIZE), "state": ("n", SIZE)},
            {"y": ("n", SIZE), "next": ("n", SIZE)},
            {"w": build.weights(SIZE, SIZE) / np.float32(40)},
            opset=17,
        )
        path = self.save(model, "reference.onnx")
        candidate = self.quantized(path)
        xs = [tower_input(k) for k in range(3)]
        files = [a for k, x in enumerate(xs) for a in ("-i", self.inputs(f"{k}.npz", x=x))]
        layers = self.layers(*files, "--feedback=next=state", path, candidate)
        states = {name: [np.zeros_like(xs[0])] for name in ("a", "b")}
        values = {"a": [], "b": [], "apart": []}
        models = {"a": onnx.load(path), "b": onnx.load(candidate)}
        for k, x in enumerate(xs):
            for name in "ab":
                found = values_of(models[name], {"x": x, "state": states[name][k]})
                values[name].append(found["h"])
                states[name].append(found["next"])
            given = {"s": x + states["a"][k]}
            values["apart"].append(part(models["b"], given, "h"))
        want, total, apart = (np.concatenate(values[name]) for name in ("a", "b", "apart"))
        errors = {"added_error": relative(want, apart), "accumulated_error": relative(want, total)}
        for key, value in errors.items():
            self.assertAlmostEqual(layers["product"][key], value, delta=2e-3 * value, msg=key)

    def test_constant_that_the_inputs_replace(self):
        """A site is measured with what the caller gives, not with the model's default."""
        model = build.model(
            [
                node("Clip", "x - top", "c"),
                node("MatMul", "c w", "h"),
                node("Mul", "h gain", "y", name="last"),
            ],
            {"x": ("n", SIZE), "gain": (), "top": ()},
            {"y": ("n", SIZE)},
            {"w": build.weights(SIZE, SIZE), "gain": np.float32(1), "top": np.float32(9)},
            opset=17,
        )
        path = self.save(model, "reference.onnx")
        candidate = onnx.load(self.quantized(path))
        for step in candidate.graph.node:  # the site is all of it: only the output keeps its name
            for names in (step.input, step.output):
                for k, name in enumerate(names):
                    if name in ("c", "h"):
                        names[k] = name + "_other"
        renamed = self.save(candidate, "renamed.onnx")
        feeds = {"x": tower_input(), "gain": np.array(3, np.float32), "top": np.array(0.1, np.float32)}
        layers = self.layers("-i", self.inputs(**feeds), path, renamed)
        self.assert_measured(layers, 1)
        want = relative(common.run(path, feeds)[0], common.run(renamed, feeds)[0])
        for key in ("added_error", "accumulated_error", "output_error"):
            self.assertAlmostEqual(layers["last"][key], want, delta=2e-3 * want, msg=key)

    def test_one_product(self):
        a = build.matmul(build.activations(4, 200), build.weights(200, 400))
        path = self.save(a, "a.onnx")
        layers = self.layers("-i", self.inputs(x=build.activations(4, 200)), path, self.quantized(path))
        self.assert_measured(layers, 1)  # the output itself is common
        layer = layers["matmul_y"]
        self.assertAlmostEqual(layer["output_error"], layer["added_error"], places=7)

    def test_one_model(self):
        path = self.save(tower(), "a.onnx")
        done = self.onnxq("check", "--layers", "-i", self.inputs(x=tower_input()), path, status=2)
        self.assertIn("--layers compares two models", done.stderr)

    def test_more_sites_than_shown(self):
        nodes, constants = [], {}
        for k in range(30):
            constants[f"w{k}"] = build.weights(256, 256, seed=k)
            nodes.append(node("MatMul", f"x w{k}", f"y{k}", name=f"layer{k}"))
        model = build.model(nodes, {"x": (2, 256)}, {f"y{k}": (2, 256) for k in range(30)}, constants, 17)
        path = self.save(model, "reference.onnx")
        arguments = ("-i", self.inputs(x=build.activations(2, 256)), path, self.quantized(path))
        self.assert_measured(self.layers(*arguments), 30)
        self.assertIn("and 10 more (-v)", self.text)
        self.layers("-v", *arguments)
        self.assertNotIn("more (-v)", self.text)


class Memory(LayersTest):
    def test_weights_stay_in_their_files(self):
        """Weights are not read once more: what comes on top is what malloc keeps between sessions."""
        size, count = 2048, 12
        constants = {f"w{k}": build.weights(size, size, seed=k) / np.float32(40) for k in range(count)}
        nodes = [node("MatMul", f"h{k} w{k}", f"h{k + 1}") for k in range(count)]
        model = build.model(nodes, {"h0": (1, size)}, {f"h{count}": (1, size)}, constants, 17)
        path = self.save(model, "reference.onnx")
        candidate = self.quantized(path)
        inputs = self.inputs(h0=build.activations(1, size))
        command = [harness.ONNXQ, "check", "--rel-tol=9", "--ort-lib", LIBRARY, "-i", inputs, path, candidate]
        plain, layers = common.peak_nbytes(command), common.peak_nbytes([*command, "--layers"])
        self.assertLess(layers, plain + path.stat().st_size // 2)
        self.assertLess(layers, 1.5 * path.stat().st_size + (96 << 20))


if __name__ == "__main__":
    unittest.main()
