"""Keras, by way of tf2onnx."""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import onnx
import tensorflow as tf
import tf2onnx
from keras import layers

from exported import Exported, ExportTest, Maker, table
from harness import cases

tf2onnx.logging.set_level(tf2onnx.logging.ERROR)

VOCABULARY = 4000


def dense() -> tuple[keras.Model, np.ndarray]:
    x = keras.Input((256,))
    y = layers.Dense(512, activation="relu")(x)
    y = layers.Dense(512, activation="elu")(layers.BatchNormalization()(y))
    return keras.Model(x, layers.Dense(256, activation="softmax")(y)), normal(7, 256)


def conv() -> tuple[keras.Model, np.ndarray]:
    """Channels last: tf2onnx puts Transpose nodes around."""
    x = keras.Input((24, 24, 3))
    y = layers.Conv2D(32, 3, padding="same", activation="relu")(x)
    y = layers.DepthwiseConv2D(3, padding="same")(y)
    y = layers.SeparableConv2D(64, 3, strides=2, activation="relu")(layers.BatchNormalization()(y))
    y = layers.Conv2DTranspose(64, 2, strides=2)(y)
    y = layers.Conv2D(128, 3, strides=2, dilation_rate=1, activation="swish")(y)
    return keras.Model(x, layers.Dense(512)(layers.GlobalAveragePooling2D()(y))), normal(2, 24, 24, 3)


def conv1d() -> tuple[keras.Model, np.ndarray]:
    x = keras.Input((64, 64))
    y = layers.Conv1D(128, 5, padding="causal", activation="relu")(x)
    return keras.Model(x, layers.Conv1D(256, 3, dilation_rate=2)(y)), normal(2, 64, 64)


def lstm() -> tuple[keras.Model, np.ndarray]:
    x = keras.Input((12, 128))
    y = layers.Bidirectional(layers.LSTM(128, return_sequences=True))(x)
    return keras.Model(x, layers.Dense(256)(layers.LSTM(128)(y))), normal(2, 12, 128)


def gru() -> tuple[keras.Model, np.ndarray]:
    x = keras.Input((12, 128))
    y = layers.Bidirectional(layers.GRU(128, return_sequences=True))(x)
    return keras.Model(x, layers.Dense(256)(layers.GRU(128)(y))), normal(2, 12, 128)


def embedding() -> tuple[keras.Model, np.ndarray]:
    ids = keras.Input((9,), dtype="int32")
    y = layers.Embedding(VOCABULARY, 256)(ids)
    y = layers.MultiHeadAttention(4, 64)(y, y)
    y = layers.Dense(512)(layers.LayerNormalization()(y))
    return keras.Model(ids, y), np.random.default_rng(2).integers(VOCABULARY, size=(2, 9), dtype=np.int32)


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).standard_normal(shape, dtype=np.float32)


def keras_export(
    path: Path, make: Callable[[], tuple[keras.Model, np.ndarray]], opset: int, expected: dict
) -> Exported:
    keras.utils.set_random_seed(5)
    model, x = make()
    signature = [tf.TensorSpec((None, *x.shape[1:]), x.dtype, name="x")]
    function = tf.function(lambda x: model(x, training=False))
    exported, _ = tf2onnx.convert.from_function(function, signature, opset=opset)
    onnx.save(exported, path)
    return Exported(path, {exported.graph.input[0].name: x}, **expected)


def make(function: Callable, opset: int, **expected) -> Maker:
    return lambda path: keras_export(path, function, opset, expected)


EXPORTS: dict[str, Maker] = {
    "keras_dense_9": make(dense, 9, methods=("dynamic", "weights", "blocks")),
    "keras_dense_13": make(dense, 13),
    "keras_dense_18": make(dense, 18),
    "keras_conv_11": make(conv, 11),
    "keras_conv_17": make(conv, 17),
    "keras_conv1d_17": make(conv1d, 17),
    "keras_lstm_11": make(lstm, 11),
    "keras_lstm_17": make(lstm, 17),
    "keras_gru_17": make(gru, 17),
    "keras_embedding_13": make(embedding, 13),
    "keras_embedding_17": make(embedding, 17),
}


class Keras(ExportTest):
    @cases(table(EXPORTS))
    def export(self, name, maker, method):
        self.check(name, maker, method)
