"""PyTorch: the TorchScript exporter and the one that traces with torch.export."""

import functools
import logging
from pathlib import Path

import numpy as np
import torch
from torch import nn

from exported import Exported, ExportTest, Maker, table
from harness import cases

for name in ("torch.onnx", "onnxscript", "onnx_ir"):
    logging.getLogger(name).setLevel(logging.ERROR)

D = 256
VOCABULARY = 5000


# --- the networks ----------------------------------------------------------------


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(D, 512), nn.ReLU(), nn.Linear(512, 512), nn.GELU(), nn.Linear(512, D))


class Cnn(nn.Module):
    """Convolutions of all kinds, with batch normalization, and a large last layer."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *(nn.Conv2d(3, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU()),
            *(nn.Conv2d(32, 32, 3, padding=1, groups=32), nn.BatchNorm2d(32), nn.ReLU6()),
            *(nn.Conv2d(32, 128, 1), nn.BatchNorm2d(128), nn.Hardswish()),
            *(nn.ConvTranspose2d(128, 64, 2, stride=2), nn.BatchNorm2d(64), nn.LeakyReLU(0.1)),
            *(nn.Conv2d(64, 128, 3, stride=2, padding=1), nn.GroupNorm(8, 128), nn.SiLU()),
            *(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(512, 1000)),
        )
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.running_mean, -0.2, 0.2)
                nn.init.uniform_(module.running_var, 0.5, 1.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x)


class Recurrent(nn.Module):
    """Two layers in both directions, and a product."""

    def __init__(self, kind: type, bias: bool = True) -> None:
        super().__init__()
        self.layers = kind(128, 128, num_layers=2, bidirectional=True, batch_first=True, bias=bias)
        self.last = nn.Linear(256, 512)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.layers(x)[0])


def transformer() -> nn.Module:
    layer = nn.TransformerEncoderLayer(D, 4, 4 * D, batch_first=True, norm_first=True)
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)


class Attention(nn.Module):
    """Query, key and value in one product; scaled_dot_product_attention."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(D, 3 * D), nn.Linear(D, D)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (part.unflatten(-1, (4, -1)).transpose(1, 2) for part in self.qkv(x).chunk(3, -1))
        mixed = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(mixed.transpose(1, 2).flatten(2))


class Tied(nn.Module):
    """The table of the words is the weight of the last product."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(VOCABULARY, D), nn.Embedding(64, D)
        self.middle, self.norm = nn.Linear(D, D), nn.LayerNorm(D)
        self.last = nn.Linear(D, VOCABULARY, bias=False)
        self.last.weight = self.words.weight

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.words(ids) + self.places(torch.arange(ids.shape[1]))
        return self.last(self.norm(torch.tanh(self.middle(x))))


class WeightNorm(nn.Module):
    """The weight is computed from two parameters."""

    def __init__(self) -> None:
        super().__init__()
        normed = torch.nn.utils.parametrizations.weight_norm
        self.body = nn.Sequential(normed(nn.Conv1d(64, 128, 5)), nn.ReLU(), normed(nn.Conv1d(128, 64, 3)))
        self.last = normed(nn.Linear(60, 512))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.body(x))


class Bilinear(nn.Module):
    """The exporter makes an Einsum, or products, of it."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.pairs = nn.Linear(D, 64), nn.Bilinear(64, 64, 128)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.first(x)
        return self.pairs(y, torch.tanh(y))


class Products(nn.Module):
    """Weights that are parameters, not layers."""

    def __init__(self) -> None:
        super().__init__()
        self.right = nn.Parameter(torch.randn(D, D) / 16)
        self.batched = nn.Parameter(torch.randn(4, D, D) / 16)
        self.left = nn.Parameter(torch.randn(D, D) / 16)
        self.einsum = nn.Parameter(torch.randn(D, 4, 64) / 16)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        y = x @ self.right
        return (
            y.unsqueeze(0) @ self.batched,
            self.left @ x.transpose(0, 1),
            torch.einsum("bi,ihd->bhd", y, self.einsum),
            torch.addmm(y, x, self.right.t(), beta=0.5, alpha=2.0),
        )


class Loop(nn.Module):
    """Scripted: control flow becomes Loop and If."""

    def __init__(self) -> None:
        super().__init__()
        self.step, self.last = nn.Linear(D, D), nn.Linear(D, D)

    def forward(self, x: torch.Tensor, n: torch.Tensor) -> torch.Tensor:
        for _ in range(int(n)):
            x = torch.tanh(self.step(x)) + x
        if int(n) > 2:
            x = self.last(x)
        else:
            x = self.step(x)
        return x


class Choice(nn.Module):
    """torch.cond: two bodies that take weights of the module."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.one, self.other = nn.Linear(D, D), nn.Linear(D, D), nn.Linear(D, D)

    def forward(self, x: torch.Tensor, choose: torch.Tensor) -> torch.Tensor:
        def yes(x: torch.Tensor) -> torch.Tensor:
            return self.one(self.first(x))

        def no(x: torch.Tensor) -> torch.Tensor:
            return self.other(torch.relu(self.first(x)))

        return torch.cond(choose, yes, no, (self.first(x),))


# --- how they are exported -------------------------------------------------------


NETWORKS = {
    "mlp": (mlp, lambda: (torch.randn(7, D),)),
    "cnn": (Cnn, lambda: (torch.randn(2, 3, 24, 24),)),
    "lstm": (functools.partial(Recurrent, nn.LSTM), lambda: (torch.randn(2, 9, 128),)),
    "lstm_without_bias": (
        functools.partial(Recurrent, nn.LSTM, bias=False),
        lambda: (torch.randn(2, 9, 128),),
    ),
    "gru": (functools.partial(Recurrent, nn.GRU), lambda: (torch.randn(2, 9, 128),)),
    "rnn": (functools.partial(Recurrent, nn.RNN), lambda: (torch.randn(2, 9, 128),)),
    "transformer": (transformer, lambda: (torch.randn(2, 11, D),)),
    "attention": (Attention, lambda: (torch.randn(2, 11, D),)),
    "tied": (Tied, lambda: (torch.randint(VOCABULARY, (2, 9)),)),
    "weight_norm": (WeightNorm, lambda: (torch.randn(2, 64, 66),)),
    "products": (Products, lambda: (torch.randn(6, D),)),
    "bilinear": (Bilinear, lambda: (torch.randn(6, D),)),
    "plain_mlp": (
        lambda: nn.Sequential(nn.Linear(D, 512), nn.ReLU(), nn.Linear(512, D)),
        lambda: (torch.randn(7, D),),
    ),
    "loop": (lambda: torch.jit.script(Loop()), lambda: (torch.randn(6, D), torch.tensor(3))),
    "choice": (Choice, lambda: (torch.randn(6, D), torch.tensor(True))),
}


def torch_export(path: Path, network: str, dtype: torch.dtype, expected: dict, options: dict) -> Exported:
    torch.manual_seed(5)
    make, make_inputs = NETWORKS[network]
    module, inputs = make().eval(), make_inputs()
    if dtype != torch.float32:
        module, inputs = module.to(dtype), tuple(x.to(dtype) if x.is_floating_point() else x for x in inputs)
    names = [f"input_{i}" for i in range(len(inputs))]
    torch.backends.mha.set_fastpath_enabled(False)
    with torch.no_grad():
        torch.onnx.export(module, inputs, str(path), input_names=names, verbose=False, **options)
    feeds = {name: np.asarray(value.numpy()) for name, value in zip(names, inputs)}
    return Exported(path, feeds, **expected)


def script(network: str, opset: int, dtype=torch.float32, options: dict | None = None, **expected) -> Maker:
    """By way of TorchScript."""
    options = {"dynamo": False, "opset_version": opset, **(options or {})}
    return lambda path: torch_export(path, network, dtype, expected, options)


def dynamo(network: str, opset: int, dtype=torch.float32, options: dict | None = None, **expected) -> Maker:
    """By way of torch.export."""
    options = {"dynamo": True, "opset_version": opset, "external_data": False, **(options or {})}
    return lambda path: torch_export(path, network, dtype, expected, options)


LISTED = {"keep_initializers_as_inputs": True}
SIDE_FILE = {"external_data": True}
AS_IT_IS = {"optimize": False}

# This exporter leaves g * v / |v| to the engine: v of a convolution has rows too short for Mul.
COMPUTED = ("another node needs it in float",)
PRODUCTS = ("DynamicQuantizeLinear", "MatMulInteger")
LSTM = ("com.microsoft.DynamicQuantizeLSTM",)

EXPORTS: dict[str, Maker] = {
    "script_mlp_11": script("mlp", 11),
    "script_mlp_17": script("mlp", 17, becomes=PRODUCTS),
    "script_mlp_20": script("mlp", 20),
    "script_mlp_9": script(
        "mlp", 9, methods=("dynamic", "weights", "blocks"), becomes=("com.microsoft.DynamicQuantizeMatMul",)
    ),
    "script_cnn_11": script("cnn", 11),
    "script_cnn_17": script("cnn", 17),
    "script_cnn_training_form": script("cnn", 17, options={"do_constant_folding": False}),
    "script_lstm_11": script("lstm", 11),
    "script_lstm_17": script("lstm", 17, becomes=LSTM),
    "script_lstm_unfolded": script("lstm", 17, options={"do_constant_folding": False}, becomes=LSTM),
    "script_lstm_without_bias_17": script("lstm_without_bias", 17),
    "script_gru_13": script("gru", 13),
    "script_rnn_13": script("rnn", 13),
    "script_transformer_14": script("transformer", 14),
    "script_transformer_17": script("transformer", 17),
    "script_transformer_20": script("transformer", 20),
    "script_attention_17": script("attention", 17),
    "script_tied_13": script("tied", 13),
    "script_tied_unfolded": script("tied", 17, options={"do_constant_folding": False}),
    "script_weight_norm_17": script("weight_norm", 17),
    "script_products_17": script("products", 17, shrinks=3.3),
    "script_loop_17": script("loop", 17, has=("Loop", "If"), becomes=PRODUCTS),
    "script_mlp_inputs": script("mlp", 17, options=LISTED),
    "script_cnn_inputs": script("cnn", 11, options=LISTED),
    "script_mlp_float16": script("mlp", 17, torch.float16, shrinks=1.75),
    "script_cnn_float16": script("cnn", 17, torch.float16, shrinks=1.75),
    "script_transformer_float16": script("transformer", 17, torch.float16, shrinks=1.75),
    "script_mlp_float64": script("plain_mlp", 17, torch.float64, shrinks=7),
    "dynamo_mlp_18": dynamo("mlp", 18),
    "dynamo_mlp_20": dynamo("mlp", 20, becomes=PRODUCTS),
    "dynamo_mlp_23": dynamo("mlp", 23),
    "dynamo_mlp_as_it_is": dynamo("mlp", 18, options=AS_IT_IS),
    "dynamo_cnn_18": dynamo("cnn", 18),
    "dynamo_cnn_as_it_is": dynamo("cnn", 20, options=AS_IT_IS),
    "dynamo_lstm_18": dynamo("lstm", 18, becomes=LSTM),
    "dynamo_gru_20": dynamo("gru", 20),
    "dynamo_rnn_20": dynamo("rnn", 20),
    "dynamo_transformer_18": dynamo("transformer", 18),
    "dynamo_transformer_23": dynamo("transformer", 23),
    "dynamo_transformer_as_it_is": dynamo("transformer", 18, options=AS_IT_IS),
    "dynamo_attention_18": dynamo("attention", 18),
    "dynamo_attention_23": dynamo("attention", 23, has=("Attention",)),
    "dynamo_tied_18": dynamo("tied", 18),
    "dynamo_tied_as_it_is": dynamo("tied", 18, options=AS_IT_IS),
    "dynamo_weight_norm_18": dynamo("weight_norm", 18, shrinks=1.2, may_stay=COMPUTED),
    "dynamo_products_18": dynamo("products", 18, shrinks=3.3),
    "dynamo_bilinear_18": dynamo("bilinear", 18),
    "dynamo_choice_20": dynamo("choice", 20, has=("If",), becomes=PRODUCTS),
    "dynamo_mlp_inputs": dynamo("mlp", 20, options=LISTED),
    "dynamo_mlp_side_file": dynamo("mlp", 20, options=SIDE_FILE),
    "dynamo_transformer_side_file": dynamo("transformer", 20, options=SIDE_FILE),
    "dynamo_mlp_float16": dynamo("mlp", 20, torch.float16, shrinks=1.75),
    "dynamo_cnn_float16": dynamo("cnn", 20, torch.float16, shrinks=1.75),
    "dynamo_transformer_float16": dynamo("transformer", 20, torch.float16, shrinks=1.75),
}


class Torch(ExportTest):
    @cases(table(EXPORTS))
    def export(self, name, maker, method):
        self.check(name, maker, method)
