"""Inputs for the models of shared/models: real data where there are some, else seeded random values."""
import wave
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnxruntime as ort

from common import Feeds

NAMES = ("minilm", "silero_vad", "audio_lstm", "music_mlp", "keras_tf2", "ultraface", "super_resolution_10", "mnist")
NOTHING_TO_DO = "xgb"

SILERO_CHUNK, SILERO_CONTEXT, SILERO_STEPS = 512, 64, 200


@dataclass(frozen=True)
class RealModel:
    name: str
    path: Path
    source: str               # where the inputs come from
    inputs: list[Feeds]       # of the runs, one after the other
    feedback: dict[str, int] = field(default_factory=dict)  # input name -> number of the output of the run before
    n_outputs: int = 99       # how many outputs count; the others are internal state
    mask: np.ndarray | None = None  # the elements that count, of the first axes of an output

    def run(self, session: ort.InferenceSession, limit: int | None = None) -> list[np.ndarray]:
        """The outputs that count, of all runs, one behind the other."""
        results: list[list[np.ndarray]] = []
        for feeds in self.inputs[:limit]:
            if results:
                feeds = {**feeds, **{name: results[-1][index] for name, index in self.feedback.items()}}
            results.append(session.run(None, feeds))
        outputs = [np.stack(values) for values in zip(*results, strict=True)][:self.n_outputs]
        return outputs if self.mask is None else [output[:, self.mask] for output in outputs]

    def workloads(self) -> dict[str, Feeds]:
        """Inputs of single runs, to measure how long one takes."""
        if self.name == "minilm":
            return {"32 sentences": self.inputs[0],
                    "1 sentence": {name: value[:1] for name, value in self.inputs[0].items()}}
        return {"": self.inputs[len(self.inputs) // 2]}


def load(folder: Path, name: str) -> RealModel:
    path = folder / f"{name}.onnx"
    if name == "minilm":
        with np.load(folder / "minilm_inputs.npz") as arrays:
            feeds = dict(arrays)
        return RealModel(name, path, "32 English sentences", [feeds], mask=feeds["attention_mask"].astype(bool))
    if name == "silero_vad":
        return RealModel(name, path, "6 s of speech", silero_inputs(folder), {"state": 1}, n_outputs=1)
    if name == "audio_lstm":
        frames = speech(folder)[8000:8000 + 50 * 512].reshape(50, 1, 1, 512)
        return RealModel(name, path, "1.6 s of speech", [{"input_1": frame} for frame in frames])
    return RealModel(name, path, "random", [random_input(name)])


def speech(folder: Path) -> np.ndarray:
    """16 kHz, -1..1"""
    with wave.open(str(folder / "speech.wav")) as file:
        assert (file.getframerate(), file.getsampwidth(), file.getnchannels()) == (16000, 2, 1)
        return np.frombuffer(file.readframes(file.getnframes()), np.int16).astype(np.float32) / np.float32(32768)


def silero_inputs(folder: Path) -> list[Feeds]:
    samples = np.concatenate([np.zeros(SILERO_CONTEXT, np.float32), speech(folder)])
    starts = range(0, SILERO_STEPS * SILERO_CHUNK, SILERO_CHUNK)
    return [{"input": samples[None, i:i + SILERO_CHUNK + SILERO_CONTEXT], "sr": np.array(16000),
             "state": np.zeros((2, 1, 128), np.float32)} for i in starts]


def random_input(name: str) -> Feeds:
    rng = np.random.default_rng(3)

    def smooth_image(channels: int, height: int, width: int) -> np.ndarray:
        """Blocks of 8x8 and a little noise, 0..1."""
        blocks = rng.random((1, channels, height // 8 + 1, width // 8 + 1)).repeat(8, 2).repeat(8, 3)
        image = 0.9 * blocks[:, :, :height, :width] + 0.1 * rng.random((1, channels, height, width))
        return image.astype(np.float32)

    if name == "music_mlp":
        return {"flatten_input": rng.standard_normal((8, 130, 13), dtype=np.float32)}
    if name == "keras_tf2":
        return {"main_input_input": rng.random((8, 100), dtype=np.float32)}
    if name == "ultraface":
        return {"input": smooth_image(3, 240, 320) * 2 - 1}
    if name == "super_resolution_10":
        return {"input": smooth_image(1, 224, 224)}
    assert name == "mnist", name
    return {"Input3": smooth_image(1, 28, 28) * 255}
