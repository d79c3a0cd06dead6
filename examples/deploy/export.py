"""export.py FOLDER: the float model to be shipped, and what its framework says of test inputs.

With scikit-learn and skl2onnx a classifier is trained on digits and exported. Without them a network
of the same kind is drawn, so that the rest of the pipeline can be tried anyhow.
"""

import pathlib
import sys

import numpy as np


def trained():
    from skl2onnx import to_onnx
    from sklearn.datasets import load_digits
    from sklearn.neural_network import MLPClassifier

    digits = load_digits()
    inputs = (digits.data / 16).astype(np.float32)
    classifier = MLPClassifier((512, 256), max_iter=30, random_state=0)
    classifier.fit(inputs[:1500], digits.target[:1500])
    model = to_onnx(classifier, inputs[:1], options={"zipmap": False}, target_opset=17)
    expected = classifier.predict_proba(inputs[1500:]).astype(np.float32)
    return model, {"X": inputs[1500:]}, {"probabilities": expected}


def drawn():
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    sizes = [64, 512, 256, 10]
    weights = [(rng.standard_normal(shape) / np.sqrt(shape[0])).astype(np.float32)
               for shape in zip(sizes, sizes[1:])]
    inputs = rng.random((200, 64), np.float32)
    nodes, name, value = [], "X", inputs
    for i, weight in enumerate(weights):
        last = i == len(weights) - 1
        result = "probabilities" if last else f"hidden{i}"
        nodes += [helper.make_node("MatMul", [name, f"w{i}"], [f"product{i}"], f"layer{i}"),
                  helper.make_node("Softmax" if last else "Relu", [f"product{i}"], [result])]
        value, name = value @ weight, result
        value = np.exp(value) / np.exp(value).sum(1, keepdims=True) if last else np.maximum(value, 0)
    graph = helper.make_graph(
        nodes, "digits", [helper.make_tensor_value_info("X", TensorProto.FLOAT, ["batch", 64])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 10])],
        [numpy_helper.from_array(weight, f"w{i}") for i, weight in enumerate(weights)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return model, {"X": inputs}, {"probabilities": value.astype(np.float32)}


def main(folder):
    try:
        model, inputs, expected = trained()
    except ImportError:
        model, inputs, expected = drawn()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    np.savez(folder / "inputs.npz", **inputs)
    np.savez(folder / "expected.npz", **expected)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
