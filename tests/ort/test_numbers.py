"""Numbers at the edges: attributes of 0 that are left out, scales of huge, tiny and mixed values."""

import numpy as np
import onnx

import build
import common
from build import node
from harness import OrtTest, cases

K, N = build.K, build.N


def leave_zeros_out(model: onnx.ModelProto) -> onnx.ModelProto:
    """As writers of proto3 do: an attribute whose value is 0 has a type and no value."""
    for n in model.graph.node:
        for attribute in n.attribute:
            for field in ("i", "f"):
                if attribute.HasField(field) and not getattr(attribute, field):
                    attribute.ClearField(field)
    return model


class ZerosLeftOut(OrtTest):
    """What a reader must not take for a default that is not 0."""

    @cases(
        {
            f"{name}_{method}": (name, method)
            for name in ("alpha", "beta")
            for method in ("dynamic", "blocks", "qdq")
        }
    )
    def gemm(self, name: str, method: str) -> None:
        x, c = build.activations(5, K), build.activations(5, N, seed=9)
        gemm = node("Gemm", "x w c", "y", **{name: 0.0})
        constants = {"w": build.weights(K, N), "c": c}
        model = leave_zeros_out(build.model([gemm], {"x": x.shape}, {"y": (5, N)}, constants))
        outcome = self.quantize(model, f"--method={method}")
        want, got = common.run(outcome.source, {"x": x})[0], common.run(outcome.path, {"x": x})[0]
        self.assertLess(np.linalg.norm(want - got), 0.02 * np.linalg.norm(want))

    def test_dequantize_axis(self) -> None:
        q = build.rng().integers(-127, 128, (48, 48)).astype(np.int8)
        nodes = [node("DequantizeLinear", "q s", "w", axis=0), node("MatMul", "x w", "y")]
        constants = {"q": q, "s": np.geomspace(1e-3, 1, 48).astype(np.float32)}
        x = build.activations(5, 48)
        path, back = self.dir / "q.onnx", self.dir / "back.onnx"
        onnx.save(leave_zeros_out(build.model(nodes, {"x": x.shape}, {"y": (5, 48)}, constants)), path)
        self.onnxq("inspect", "--validate", path)
        self.onnxq("dequantize", path, back)
        np.testing.assert_allclose(common.run(back, {"x": x})[0], common.run(path, {"x": x})[0], rtol=1e-5)

    def test_validate_bits_of_zero(self) -> None:
        """An attribute that has to be there is there; its value is what is wrong with it."""
        nodes = [node("MatMulNBits", "x q s", "y", domain="com.microsoft", K=64, N=0, block_size=32, bits=8)]
        constants = {"q": np.zeros((1, 2, 32), np.uint8), "s": np.ones(2, np.float32)}
        path = self.dir / "q.onnx"
        made = build.model(nodes, {"x": (1, 64)}, {"y": (1, 1)}, constants, imports={"com.microsoft": 1})
        onnx.save(leave_zeros_out(made), path)
        done = self.onnxq("inspect", "--validate", path, status=3)
        self.assertNotIn("no integer", done.stdout + done.stderr)
