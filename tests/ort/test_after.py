"""What the engine itself makes of a model that is saved again: ORT format, and the optimized graph as ONNX."""

import numpy as np
import onnx
import onnxruntime as ort

import build
import common
from build import node
from harness import OrtTest, cases

SIZE = 160
X = build.activations(1, 8, 9, 9)
FLAT = build.activations(3, SIZE)

# What is folded loses its size when it is saved, all else keeps it.
FORMS = {
    "conv_folded": ("Conv", "dynamic", False),
    "conv_weights": ("Conv", "weights", False),
    "conv_behind_dequantize_linear": ("Conv", "qdq", True),
    "matmul_integers": ("MatMul", "dynamic", True),
    "matmul_folded": ("MatMul", "weights", False),
    "matmul_behind_dequantize_linear": ("MatMul", "qdq", True),
    "matmul_in_blocks": ("MatMul", "blocks", True),
}


def make(op_type: str) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    if op_type == "Conv":
        weight = build.weights(256, 8 * 9).reshape(256, 8, 3, 3)
        return build.model([node("Conv", "x w", "y")], {"x": X.shape}, {"y": (1, 256, 7, 7)}, {"w": weight}), {"x": X}
    weight = build.weights(SIZE, 512)
    return build.model([node("MatMul", "x w", "y")], {"x": FLAT.shape}, {"y": (3, 512)}, {"w": weight}), {"x": FLAT}


class After(OrtTest):
    @cases(FORMS)
    def saved(self, op_type, method, survives):
        model, feeds = make(op_type)
        outcome = self.quantize(model, f"--method={method}")
        want = common.run(outcome.path, feeds)
        nbytes = sum(onnx.numpy_helper.to_array(t).nbytes for t in model.graph.initializer)
        for name, level in {"saved.ort": "ALL", "saved.onnx": "EXTENDED"}.items():
            path = self.dir / name
            options = ort.SessionOptions()
            options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, f"ORT_ENABLE_{level}")
            options.optimized_model_filepath = str(path)
            if path.suffix == ".ort":
                options.add_session_config_entry("session.save_model_format", "ORT")
            ort.InferenceSession(str(outcome.path), options, providers=["CPUExecutionProvider"])
            got = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, feeds)
            self.assertLess(common.relative_error(want, got), 0.1, name)
            self.assertEqual(path.stat().st_size < 0.5 * nbytes, survives, (name, path.stat().st_size, nbytes))
        # And inspect says so, of the weight and of the file.
        said = self.onnxq("inspect", outcome.path).stdout
        self.assertEqual("what is folded becomes float again" in said, not survives)
