"""Models that ONNX Runtime has optimized and saved: operators of com.microsoft, and layouts of its own."""

from pathlib import Path

import onnx
import torch
from onnxruntime.transformers import optimizer
from onnxruntime.transformers.fusion_options import FusionOptions

import common
from exported import Exported, ExportTest, Maker, table
from harness import cases
from test_torch import torch_export

# Conv of com.microsoft.nchwc: weights in the blocked layout of one processor, which no rule knows.
BLOCKED = ("Conv:1",)


# What the optimization makes of a network.
FUSED = {
    "mlp": ("com.microsoft.FusedGemm", "com.microsoft.Gelu"),
    "cnn": ("com.microsoft.FusedConv",),
    "weight_norm": ("com.microsoft.FusedConv",),
    "transformer": ("com.microsoft.FusedMatMul",),
}


def optimize(path: Path, network: str, level: str, expected: dict) -> Exported:
    """By the session, as with optimized_model_filepath."""
    folder = path.parent / "float"
    folder.mkdir()
    options = {"dynamo": False, "opset_version": 17}
    exported = torch_export(folder / "model.onnx", network, torch.float32, expected, options)
    common.session(exported.path, level, save=str(path))
    exported.path.unlink()
    folder.rmdir()
    exported.path = path
    return exported


def fuse(path: Path, network: str, heads: int, hidden: int, expected: dict) -> Exported:
    """By the script for transformers: Attention, SkipLayerNormalization, BiasGelu."""
    options = {"dynamo": False, "opset_version": 17}
    exported = torch_export(path, network, torch.float32, expected, options)
    fused = optimizer.optimize_model(
        str(path), "bert", heads, hidden, optimization_options=FusionOptions("bert"), opt_level=1
    )
    onnx.save(fused.model, path)
    return exported


def session(network: str, level: str, **expected) -> Maker:
    return lambda path: optimize(path, network, level, expected)


EXPORTS: dict[str, Maker] = {
    **{
        f"{network}_{level}": session(network, level, has=FUSED.get(network, ()))
        for network in (
            "mlp",
            "cnn",
            "lstm",
            "gru",
            "transformer",
            "attention",
            "tied",
            "weight_norm",
            "loop",
        )
        for level in ("extended", "all")
        if (network, level) != ("cnn", "all")
    },
    "mlp_basic": session("mlp", "basic"),
    "cnn_basic": session("cnn", "basic"),
    "cnn_all": session("cnn", "all", shrinks=2, may_stay=BLOCKED, has=("com.microsoft.nchwc.Conv",)),
    "transformer_fused": lambda path: fuse(path, "transformer", 4, 256, {}),
}


class Optimized(ExportTest):
    @cases(table(EXPORTS))
    def export(self, name, maker, method):
        self.check(name, maker, method)
