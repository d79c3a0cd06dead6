"""Random inputs that onnxq draws from models: ONNX Runtime takes them."""

import json
import os
import subprocess
import unittest
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper
from onnx.backend.test import loader

import backend_suite
import build
import common
import harness
from build import FLOAT, activations, node, weights
from common import Feeds
from harness import OrtTest, cases

I32, I64, BOOL = TensorProto.INT32, TensorProto.INT64, TensorProto.BOOL
MODELS = (
    "audio_lstm",
    "keras_tf2",
    "minilm",
    "mnist",
    "music_mlp",
    "silero_vad",
    "super_resolution_10",
    "ultraface",
    "xgb",
)
METHODS = {
    "dynamic": (),
    "weights": ("--method=weights",),
    "qdq": ("--method=qdq",),
    "qdq_blocks": ("--method=qdq", "--block-size=32"),
    "blocks": ("--method=blocks",),
    "blocks_4": ("--method=blocks", "--bits=4"),
    "uint8": ("--no-symmetric", "--weight-type=uint8"),
}

# Of the models of the onnx package that the engine loads and whose inputs are drawn; measured: 1540 of 1611 run.
MIN_RUNNING = 1500

ROWS, WIDTH, POSITIONS = 100, 8, 12


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def scalar(value: int) -> np.ndarray:
    return np.array(value, np.int64)


TABLE, POSITION_TABLE = weights(ROWS, WIDTH), weights(POSITIONS, WIDTH, seed=3)

EMBED = [node("Gather", "table input_ids", "e")]
MASKED = [
    node("Cast", "attention_mask", "mf", to=FLOAT),
    node("Unsqueeze", "mf one", "mu"),
    node("Sub", "f1 mu", "inv"),
    node("Unsqueeze", "mf two", "m3"),
]
CONSTANTS = {"table": TABLE, "one": ints(1), "two": ints(2), "f1": np.float32(1), "i1": scalar(1), "i0": scalar(0)}


def bert() -> tuple:
    """Positions are a constant that is cut to the length: at most POSITIONS."""
    nodes = [
        *EMBED,
        *MASKED,
        node("Shape", "input_ids", "s"),
        node("Slice", "s one two", "n"),
        node("Slice", "positions zero n one", "p"),
        node("Gather", "position_table p", "pe"),
        node("Gather", "types token_type_ids", "te"),
        node("Add", "e pe", "a"),
        node("Add", "a te", "b"),
        node("Mul", "b m3", "y"),
    ]
    inputs = {name: ("batch", "seq") for name in ("input_ids", "attention_mask", "token_type_ids")}
    more = {
        "positions": np.arange(POSITIONS).reshape(1, -1),
        "zero": ints(0),
        "position_table": POSITION_TABLE,
        "types": weights(2, WIDTH, seed=5),
    }
    return nodes, inputs, more, {name: I64 for name in inputs}


def roberta() -> tuple:
    """Positions count the tokens that are no padding, from 2 on."""
    nodes = [
        *EMBED,
        node("Equal", "input_ids i1", "pad"),
        node("Not", "pad", "real"),
        node("Cast", "real", "ri", to=TensorProto.INT32),
        node("CumSum", "ri i1", "count"),
        node("Mul", "count ri", "masked"),
        node("Cast", "masked", "long", to=I64),
        node("Add", "long i1", "p"),
        node("Gather", "position_table p", "pe"),
        node("Add", "e pe", "y"),
    ]
    return nodes, {"input_ids": ("batch", "seq")}, {"position_table": POSITION_TABLE}, {"input_ids": I64}


def opt() -> tuple:
    """Positions count the mask."""
    nodes = [
        *EMBED,
        node("CumSum", "attention_mask i1", "count"),
        node("Mul", "count attention_mask", "c2"),
        node("Sub", "c2 i1", "c3"),
        node("Add", "c3 two", "p"),
        node("Gather", "position_table p", "pe"),
        node("Add", "e pe", "y"),
    ]
    inputs = {name: ("batch_size", "sequence_length") for name in ("input_ids", "attention_mask")}
    return nodes, inputs, {"position_table": POSITION_TABLE}, {name: I64 for name in inputs}


def decoder() -> tuple:
    """Keys of the past in front of the new ones; the mask covers both."""
    nodes = [
        *EMBED,
        *MASKED[:1],
        node("Gather", "position_table position_ids", "pe"),
        node("Add", "e pe", "x"),
        node("Unsqueeze", "x one", "k"),
        node("Concat", "past_key_values.0.key k", "keys", axis=2),
        node("Unsqueeze", "mf axes", "m4"),
        node("Mul", "keys m4", "y"),
    ]
    inputs = {
        "input_ids": ("batch_size", "sequence_length"),
        "attention_mask": ("batch_size", "past_sequence_length + sequence_length"),
        "position_ids": ("batch_size", "sequence_length"),
        "past_key_values.0.key": ("batch_size", 1, "past_sequence_length", WIDTH),
    }
    types = {name: I64 for name in ("input_ids", "attention_mask", "position_ids")}
    return nodes, inputs, {"position_table": POSITION_TABLE, "axes": ints(1, 3)}, types, 4


def merged_decoder() -> tuple:
    """Optimum's decoder_model_merged."""
    then = helper.make_graph(
        [node("Concat", "past k", "t", axis=1)], "then", [], [build.info("t", [None] * 3)]
    )
    otherwise = helper.make_graph([node("Identity", "k", "u")], "else", [], [build.info("u", [None] * 3)])
    nodes = [
        *EMBED,
        node("Identity", "e", "k"),
        node("If", "use_cache_branch", "y", then_branch=then, else_branch=otherwise),
    ]
    inputs = {
        "input_ids": ("batch", "seq"),
        "past": ("batch", "past_len", WIDTH),
        "use_cache_branch": (1,),
    }
    return nodes, inputs, {}, {"input_ids": I64, "use_cache_branch": BOOL}


def vit() -> tuple:
    """All dimensions are symbols; positions are those of 224 x 224 in patches of 16."""
    nodes = [
        node("Conv", "pixel_values patch", "c", strides=[16, 16]),
        node("Reshape", "c shape", "r"),
        node("Transpose", "r", "t", perm=[0, 2, 1]),
        node("Add", "t positions", "y"),
    ]
    more = {"patch": weights(WIDTH, 3, 16, 16), "shape": ints(0, WIDTH, -1), "positions": weights(1, 196, WIDTH)}
    return nodes, {"pixel_values": ("batch_size", "num_channels", "height", "width")}, more, {}


def wav2vec() -> tuple:
    """Sound, the first Conv of 10 samples, then several of strides 2."""
    nodes = [node("Unsqueeze", "input_values one", "h0"), node("Conv", "h0 w0", "h1", strides=[5])]
    nodes += [node("Conv", f"h{i} w1", f"h{i + 1}", strides=[2]) for i in range(1, 6)]
    nodes += [node("Identity", "h6", "y")]
    more = {"w0": weights(WIDTH, 1, 10), "w1": weights(WIDTH, WIDTH, 3)}
    return nodes, {"input_values": ("batch_size", "sequence_length")}, more, {}


def keras_tokens() -> tuple:
    """tf2onnx: an Embedding whose input layer is float."""
    nodes = [node("Cast", "input_1", "i", to=TensorProto.INT32), node("Gather", "table i", "y")]
    return nodes, {"input_1": ("unk__6", 20)}, {}, {}


def unet() -> tuple:
    nodes = [
        node("Conv", "sample w", "c", pads=[1, 1, 1, 1]),
        node("Cast", "timestep", "t", to=FLOAT),
        node("MatMul", "encoder_hidden_states q", "h"),
        node("ReduceMean", "h", "m", keepdims=0),
        node("Add", "c t", "a"),
        node("Add", "a m", "y"),
    ]
    inputs = {
        "sample": ("batch", "channels", "height", "width"),
        "timestep": ("steps",),
        "encoder_hidden_states": ("batch", "sequence", "?"),
    }
    return nodes, inputs, {"w": weights(WIDTH, 4, 3, 3), "q": weights(24, 6)}, {"timestep": I64}, 4


def recurrent() -> tuple:
    nodes = [node("LSTM", "x w r - lengths h c", "y", hidden_size=5)]
    inputs = {"x": ("time", "batch", 3), "lengths": ("batch",), "h": (1, "batch", 5), "c": (1, "batch", 5)}
    more = {"w": weights(1, 20, 3), "r": weights(1, 20, 5)}
    return nodes, inputs, more, {"lengths": TensorProto.INT32}, 4


def text_line() -> tuple:
    """A recognizer of text (PP-OCR): lines of 48 rows become one, which is squeezed away."""
    nodes = [node("Conv", "x w0", "c0", strides=[2, 2], pads=[1, 1, 1, 1]), node("HardSwish", "c0", "h0")]
    for i in range(1, 4):
        nodes.append(node("Conv", f"h{i - 1} w1", f"c{i}", strides=[2, 1], pads=[1, 1, 1, 1]))
        nodes.append(node("HardSwish", f"c{i}", f"h{i}"))
    nodes += [
        node("AveragePool", "h3", "line", kernel_shape=[3, 2], strides=[3, 2]),
        node("Squeeze", "line two", "s"),
        node("Transpose", "s", "t", perm=[0, 2, 1]),
        node("MatMul", "t letters", "y"),
    ]
    more = {"w0": weights(WIDTH, 3, 3, 3), "w1": weights(WIDTH, WIDTH, 3, 3), "letters": weights(WIDTH, 30)}
    return nodes, {"x": ("N", 3, "DynamicDimension.1", "DynamicDimension.2")}, more, {}


def crnn() -> tuple:
    """Its elder: 32 rows, halved until a Conv of two rows is left."""
    nodes = [node("Identity", "x", "p0")]
    for i, stride in enumerate(([2, 2], [2, 2], [2, 1], [2, 1])):
        nodes.append(node("Conv", f"p{i} w{min(i, 1)}", f"c{i}", pads=[1, 1, 1, 1]))
        pads = [0, 2 - stride[1], 0, 2 - stride[1]]
        pool = dict(kernel_shape=[2, 2], strides=stride, pads=pads)
        nodes.append(node("MaxPool", f"c{i}", f"p{i + 1}", **pool))
    nodes += [
        node("Conv", "p4 last", "line"),
        node("Squeeze", "line two", "s"),
        node("Transpose", "s", "t", perm=[2, 0, 1]),
        node("LSTM", "t w r", "h", hidden_size=5),
        node("Squeeze", "h one", "y"),
    ]
    more = {
        "w0": weights(WIDTH, 1, 3, 3),
        "w1": weights(WIDTH, WIDTH, 3, 3),
        "last": weights(WIDTH, WIDTH, 2, 2),
        "w": weights(1, 20, WIDTH),
        "r": weights(1, 20, 5),
    }
    return nodes, {"x": ("batch", 1, "height", "width")}, more, {}


SIGNATURES = {
    make.__name__: (make,)
    for make in (
        bert,
        roberta,
        opt,
        decoder,
        merged_decoder,
        vit,
        wav2vec,
        keras_tokens,
        unet,
        recurrent,
        text_line,
        crnn,
    )
}


def made(nodes: list, inputs: dict, constants: dict, types: dict, rank: int = 3) -> onnx.ModelProto:
    main = build.graph(nodes, {}, {"y": [None] * rank}, {**CONSTANTS, **constants})
    used = {name for n in build_all_nodes(nodes) for name in n.input}
    kept = [t for t in main.initializer if t.name in used]
    del main.initializer[:]
    main.initializer.extend(kept)
    main.input.extend(build.info(name, shape, types.get(name, FLOAT)) for name, shape in inputs.items())
    return build.model(main, opset=17)


def build_all_nodes(nodes: list) -> list:
    return [n for n in nodes] + [
        inner for n in nodes for a in n.attribute if a.HasField("g") for inner in a.g.node
    ]


class Unsupported(Exception):
    """numpy or the engine's Python interface has no such type."""


def to_array(entry: dict, raw: bytes) -> np.ndarray:
    if entry["data_type"] == TensorProto.STRING:
        return np.array(raw.decode().split("\0")[:-1], object).reshape(entry["dims"])
    dtype = helper.tensor_dtype_to_np_dtype(entry["data_type"])
    if dtype.kind not in "biuf":
        raise Unsupported(dtype.name)
    return np.frombuffer(raw, dtype).reshape(entry["dims"])


class Draw(OrtTest):
    def draw_sets(self, paths: list, *options, status: int = 0) -> list[Feeds] | str:
        """What draw_inputs gives, or its message."""
        program = Path(harness.ONNXQ).parent / "tests" / "draw_inputs"
        out = self.dir / "drawn"
        command = [program, *options, out, *paths]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
        self.assertEqual(done.returncode, status, done.stderr)
        if status:
            return done.stderr
        entries = json.loads(out.with_suffix(".json").read_text())
        raw, at, sets = out.with_suffix(".bin").read_bytes(), 0, []
        for arrays in entries:
            sets.append({})
            for entry in arrays:
                sets[-1][entry["name"]] = to_array(entry, raw[at : at + entry["nbytes"]])
                at += entry["nbytes"]
        self.assertEqual(at, len(raw))
        return sets

    def draw(self, *paths, options: tuple = ()) -> Feeds:
        return self.draw_sets(list(paths), *options)[0]

    def assert_same(self, one: Feeds, other: Feeds) -> None:
        self.assertEqual(list(one), list(other))
        for name, value in one.items():
            np.testing.assert_array_equal(value, other[name], name)


class RealModels(Draw):
    def path(self, name: str) -> Path:
        path = harness.MODELS / f"{name}.onnx"
        if not path.exists():
            raise unittest.SkipTest(f"{path} is missing")
        return path

    @cases(list(MODELS))
    def real_model(self, name):
        session = common.session(self.path(name))
        for feeds in self.draw_sets([self.path(name)], "--sets", 3, "--seed", 7):
            for output in session.run(None, feeds):
                self.assertGreater(output.size, 0)
                self.assertTrue(np.isfinite(output).all())

    def test_minilm(self):
        feeds = self.draw(self.path("minilm"), options=("--dim", "batch=200", "--dim", "seq=128"))
        self.assertEqual({name: value.shape for name, value in feeds.items()}, dict.fromkeys(feeds, (200, 128)))
        self.assertTrue((feeds["attention_mask"] == 1).all())
        self.assertEqual((feeds["token_type_ids"].min(), feeds["token_type_ids"].max()), (0, 1))
        self.assertEqual(feeds["input_ids"].min() < 100, True)
        self.assertIn(feeds["input_ids"].max(), range(30400, 30522))

    @cases({name: flags for name, flags in METHODS.items() if name != "qdq_blocks"})  # needs opset 21
    def minilm_quantized(self, *flags):
        quantized = self.dir / "quantized.onnx"
        self.onnxq("quantize", *flags, self.path("minilm"), quantized)
        feeds = self.draw(self.path("minilm"))
        self.assert_same(self.draw(quantized), feeds)
        self.assert_same(self.draw(self.path("minilm"), quantized), feeds)
        common.run(quantized, feeds)


class Signatures(Draw):
    @cases(SIGNATURES)
    def signature(self, make):
        path = self.dir / "model.onnx"
        onnx.save(made(*make()), path)
        session = common.session(path)
        for feeds in self.draw_sets([path], "--sets", 5):
            session.run(None, feeds)

    def test_decoder_with_a_past(self):
        path = self.dir / "model.onnx"
        onnx.save(made(*decoder()), path)
        options = ("--dim", "past_sequence_length=7", "--dim", "sequence_length=1")
        feeds = self.draw(path, options=options)
        self.assertEqual(feeds["attention_mask"].shape, (1, 8))
        self.assertEqual(common.run(path, feeds)[0].shape, (1, 1, 8, WIDTH))

    @cases({"text_line": (text_line, 48), "crnn": (crnn, 32)})
    def height_of_text(self, make, height):
        """Out of the graph, and the same for what is made of it."""
        model = made(*make())
        path = self.dir / "model.onnx"
        onnx.save(model, path)
        self.assertEqual(self.draw(path)["x"].shape[2], height)
        for flags in (("--min-elements=1",), ("--conv=integer", "--min-elements=1")):
            quantized = self.dir / "quantized.onnx"
            self.onnxq("quantize", *flags, path, quantized)
            self.assertEqual(self.draw(path, quantized)["x"].shape[2], height)
            self.assertEqual(self.draw(quantized)["x"].shape[2], height)

    @cases(METHODS)
    def quantized(self, *flags):
        """A table that is gathered as int8, and products, by each method: the same inputs."""
        rows = 8300  # 4 MB and more: they stay int8 until they are gathered
        main = build.graph(
            [node("Gather", "table ids", "e"), node("MatMul", "e w", "p"), node("MatMul", "x w", "q")]
            + [node("Add", "p q", "y")],
            {"x": ("batch", "seq", None)},
            {"y": [None] * 3},
            {"table": weights(rows, 128), "w": weights(128, 512, seed=4)},
        )
        main.input.append(build.info("ids", ("batch", "seq"), I64))
        outcome = self.quantize(build.model(main), *flags)
        feeds = self.draw(outcome.source)
        self.assertEqual((feeds["x"].shape, feeds["ids"].shape), ((1, 16, 128), (1, 16)))
        self.assertGreater(feeds["ids"].max(), 1000)
        self.assert_same(self.draw(outcome.path), feeds)
        self.assert_same(self.draw(outcome.source, outcome.path), feeds)
        common.run(outcome.path, feeds)


HEADS, HEAD_SIZE, WORDS = 2, 4, 40


def language_model() -> onnx.GraphProto:
    """As the searches of ONNX Runtime take it, with the shapes of a GPT: one layer that adds up its past."""
    nodes = [
        node("Gather", "table input_ids", "e"),
        node("Gather", "places position_ids", "p"),
        node("Add", "e p", "h"),
        node("Reshape", "h split", "r"),
        node("Transpose", "r", "t", perm=[0, 2, 1, 3]),
        node("Unsqueeze", "t first", "u"),
        node("Concat", "u u", "kv", axis=0),
        node("Concat", "past_0 kv", "present_0", axis=3),
        node("ReduceSum", "present_0 all", "m", keepdims=0),
        node("Tanh", "m", "bounded"),
        node("Add", "h bounded", "hidden"),
        node("MatMul", "hidden out", "logits"),
    ]
    past = [2, "batch", HEADS, "past", HEAD_SIZE]
    constants = {
        "table": weights(WORDS, HEADS * HEAD_SIZE),
        "places": weights(60, HEADS * HEAD_SIZE, seed=2),
        "out": weights(HEADS * HEAD_SIZE, WORDS, seed=3),
        "split": ints(0, 0, HEADS, HEAD_SIZE),
        "first": ints(0),
        "all": ints(0, 1, 2, 3, 4),
    }
    main = build.graph(nodes, {"past_0": past}, {"logits": ["batch", "seq", WORDS]}, constants)
    inputs = [build.info(name, ["batch", "seq"], I32) for name in ("input_ids", "position_ids")]
    inputs.append(build.info("attention_mask", ["batch", "all"], I32))
    inputs.append(main.input.pop())
    main.input.extend(inputs)
    main.output.append(build.info("present_0", [2, "batch", HEADS, "all", HEAD_SIZE]))
    return main


def search(op_type: str, inputs: dict[str, list], rank: int, **attributes) -> onnx.ModelProto:
    """A model that is one search; "-": an input that it does without."""
    attributes |= {"eos_token_id": WORDS - 1, "pad_token_id": WORDS - 1, "model_type": 0}
    made = helper.make_node(
        op_type, [name.strip("-") for name in inputs], ["sequences"], domain="com.microsoft",
        decoder=language_model(), **attributes
    )
    floats = ("length_penalty", "repetition_penalty")
    graph = helper.make_graph(
        [made],
        "g",
        [build.info(name, shape, FLOAT if name in floats else I32) for name, shape in inputs.items() if shape],
        [build.info("sequences", [None] * rank, I32)],
    )
    return helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)],
        ir_version=8,
    )


PROMPT = {"input_ids": ["batch", "seq"], "max_length": [1], "min_length": [1]}
MASKS = {"vocab_mask": ["words"], "prefix_vocab_mask": ["batch", "words"], "attention_mask": ["batch", "seq"]}
SEARCHES = {
    "greedy": ("GreedySearch", {**PROMPT, "repetition_penalty": [1], **MASKS}, 2, {}),
    "greedy_prompt": ("GreedySearch", {"input_ids": ["batch", "seq"], "max_length": [1]}, 2, {}),
    "beams": (
        "BeamSearch",
        {
            **PROMPT,
            "num_beams": [1],
            "num_return_sequences": [1],
            "length_penalty": [1],
            "repetition_penalty": [1],
            **MASKS,
            "-": None,
            "logits_processor": [1],
        },
        3,
        {"vocab_size": WORDS},
    ),
    "sampling": (
        "Sampling",
        {**PROMPT, "repetition_penalty": [1], **MASKS, "presence_mask": ["batch", "words"], "seed": [1]},
        2,
        {"temperature": 0.8, "top_p": 0.9, "vocab_size": WORDS},
    ),
}


class Searches(Draw):
    @cases(SEARCHES)
    def search(self, op_type, inputs, rank, attributes):
        path = self.dir / "model.onnx"
        onnx.save(search(op_type, inputs, rank, **attributes), path)
        session = common.session(path)
        for options in ((), ("--dim", "batch=3", "--dim", "seq=5")):
            for feeds in self.draw_sets([path], "--sets", 3, *options):
                prompt = feeds["input_ids"]
                (sequences,) = session.run(None, feeds)
                self.assertEqual((sequences.ndim, len(sequences)), (rank, len(prompt)))
                self.assertEqual(sequences.shape[-1], prompt.shape[1] + 16)
                np.testing.assert_array_equal(sequences.reshape(len(prompt), -1)[:, : prompt.shape[1]], prompt)


class Files(Draw):
    def test_message(self):
        path = self.dir / "model.onnx"
        onnx.save(build.matmul(activations(2, 4), weights(4, 3)), path)
        text = self.draw_sets([path], "--dim", "rows=3", status=2)
        self.assertIn('no input has a dimension "rows"', text)


class Backend(Draw):
    """Every model of the onnx package that the engine loads: most take what is drawn."""

    def verdict(self, model: onnx.ModelProto) -> str:
        path = self.dir / "model.onnx"
        model.ir_version = min(model.ir_version, backend_suite.MAX_IR_VERSION)
        onnx.save(model, path)
        session, _ = backend_suite.attempt(common.session, path)
        if session is None:
            return "does not load"
        kinds = {i.type.WhichOneof("value") for i in backend_suite.free_inputs(model)}
        if kinds - {"tensor_type"}:
            return "takes no tensors"
        feeds, wrong = backend_suite.attempt(self.draw, path)
        if feeds is None:
            return "not drawn" if "values of that type" in wrong or wrong.islower() else f"fails: {wrong}"
        _, wrong = backend_suite.attempt(session.run, None, feeds)
        return "refused" if wrong else "runs"

    def test_backend_models(self):
        ort.set_default_logger_severity(4)
        self.addCleanup(ort.set_default_logger_severity, 3)
        os.environ["ALLOW_RELEASED_ONNX_OPSET_ONLY"] = "0"
        self.addCleanup(os.environ.pop, "ALLOW_RELEASED_ONNX_OPSET_ONLY")
        verdicts = Counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for kind in backend_suite.KINDS:
                for test in loader.load_model_tests(kind=kind):
                    model = test.model or onnx.load(Path(test.model_dir, "model.onnx"))
                    verdicts[self.verdict(model)] += 1
        self.assertGreaterEqual(verdicts["runs"], MIN_RUNNING, verdicts)
        self.assertEqual([v for v in verdicts if v.startswith("fails")], [], verdicts)
