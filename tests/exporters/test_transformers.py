"""Transformers, small and random, by way of optimum: decoders with past keys and values, one with If."""

import functools
import logging
import shutil
from pathlib import Path

import numpy as np
import onnx
import torch
import transformers
from onnxruntime.transformers import optimizer
from optimum.exporters.onnx import onnx_export_from_model

from common import Feeds
from exported import Exported, ExportTest, Maker, folder, table
from harness import cases

for name in ("optimum", "transformers", "torch.onnx"):
    logging.getLogger(name).setLevel(logging.ERROR)

BATCH, LENGTH, PAST, SOURCE = 2, 5, 3, 7
HIDDEN, VOCABULARY = 256, 4200


def gpt2() -> transformers.PreTrainedModel:
    config = transformers.GPT2Config(
        n_embd=HIDDEN, n_layer=2, n_head=4, vocab_size=VOCABULARY, n_positions=64
    )
    return transformers.GPT2LMHeadModel(config)


def llama() -> transformers.PreTrainedModel:
    config = transformers.LlamaConfig(
        hidden_size=HIDDEN,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=512,
        vocab_size=VOCABULARY,
    )
    return transformers.LlamaForCausalLM(config)


def bert() -> transformers.PreTrainedModel:
    config = transformers.BertConfig(
        hidden_size=HIDDEN,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=1024,
        vocab_size=VOCABULARY,
    )
    return transformers.BertModel(config)


def t5() -> transformers.PreTrainedModel:
    config = transformers.T5Config(
        d_model=HIDDEN, d_kv=64, d_ff=512, num_layers=2, num_heads=4, vocab_size=VOCABULARY
    )
    return transformers.T5ForConditionalGeneration(config)


NETWORKS = {
    "gpt2": (gpt2, "text-generation-with-past"),
    "llama": (llama, "text-generation-with-past"),
    "bert": (bert, "feature-extraction"),
    "t5": (t5, "text2text-generation-with-past"),
}


@functools.cache
def export_all(network: str) -> Path:
    """The folder with all models that optimum makes of it."""
    torch.manual_seed(5)
    make, task = NETWORKS[network]
    path = folder() / f"{network}-all"
    onnx_export_from_model(make().eval(), path, task=task, opset=17, do_validation=False)
    return path


def make_feeds(model: onnx.ModelProto, use_cache: bool) -> Feeds:
    """Random values by the names of inputs and their dimensions."""
    rng = np.random.default_rng(1)
    sizes = {
        "batch_size": BATCH,
        "sequence_length": LENGTH,
        "decoder_sequence_length": 1 if use_cache else LENGTH,
        "encoder_sequence_length": SOURCE,
        "past_sequence_length": PAST,
        "past_decoder_sequence_length": PAST,
        "past_sequence_length + sequence_length": PAST + LENGTH,
    }
    feeds: Feeds = {}
    for value in model.graph.input:
        dims = value.type.tensor_type.shape.dim
        shape = [sizes[d.dim_param] if d.dim_param else d.dim_value for d in dims]
        if value.name == "use_cache_branch":
            feeds[value.name] = np.full(shape, use_cache)
        elif value.name == "input_ids":
            feeds[value.name] = rng.integers(VOCABULARY, size=shape)
        elif value.name == "position_ids":
            feeds[value.name] = np.broadcast_to(np.arange(PAST, PAST + LENGTH), shape)
        elif "mask" in value.name or "type" in value.name:
            feeds[value.name] = np.full(shape, int("mask" in value.name))
        else:
            feeds[value.name] = rng.standard_normal(shape, dtype=np.float32)
    return feeds


def pick(path: Path, network: str, file: str, use_cache: bool, expected: dict) -> Exported:
    shutil.copy(export_all(network) / file, path)
    return Exported(path, make_feeds(onnx.load(path), use_cache), **expected)


def make(network: str, file: str = "model.onnx", use_cache: bool = False, **expected) -> Maker:
    return lambda path: pick(path, network, file, use_cache, expected)


def fuse(path: Path, network: str, kind: str, expected: dict) -> Exported:
    """By ONNX Runtime's script: Attention, EmbedLayerNormalization and others of com.microsoft."""
    exported = pick(path, network, "model.onnx", False, expected)
    fused = optimizer.optimize_model(str(path), kind, 4, HIDDEN, opt_level=1)
    onnx.save(fused.model, path)
    return exported


EXPORTS: dict[str, Maker] = {
    "gpt2": make("gpt2"),
    "llama": make("llama"),
    "bert": make("bert"),
    "bert_fused": lambda path: fuse(path, "bert", "bert", {}),
    "gpt2_fused": lambda path: fuse(path, "gpt2", "gpt2", {}),
    "t5_encoder": make("t5", "encoder_model.onnx"),
    "t5_decoder": make("t5", "decoder_model.onnx"),
    "t5_decoder_with_past": make("t5", "decoder_with_past_model.onnx", use_cache=True),
    "t5_merged_first": make("t5", "decoder_model_merged.onnx", has=("If",)),
    "t5_merged_later": make("t5", "decoder_model_merged.onnx", use_cache=True, has=("If",)),
}


class Transformers(ExportTest):
    @cases(table(EXPORTS))
    def export(self, name, maker, method):
        self.check(name, maker, method)
