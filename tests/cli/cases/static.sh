# --method static: what goes with it, and with which ranges it does not.
make_model demo demo.onnx
echo '{"onnxq_ranges": 1, "model": {"digest": "0000000000000000", "node_outputs": 1}, "runs": 1, "drawn_runs": 0, "values": []}' >other.json
run onnxq quantize --method static demo.onnx
run onnxq quantize --method static --ranges missing.json demo.onnx
run onnxq quantize --method static --ranges other.json demo.onnx
run onnxq quantize --ranges other.json demo.onnx
run onnxq quantize --range-method mse demo.onnx
run onnxq quantize --method static --ranges other.json --percentile 99 demo.onnx
run onnxq quantize --method static --ranges other.json --range-method percentile --percentile 101 demo.onnx
run onnxq quantize --method static --ranges other.json -t uint8 demo.onnx
run onnxq quantize --method static --ranges other.json --no-symmetric demo.onnx
run onnxq quantize -i other.json demo.onnx
run onnxq quantize --method static -i other.json --ranges other.json demo.onnx
run onnxq quantize --activation-bits 16 demo.onnx
run onnxq quantize --qdq-standard demo.onnx
run onnxq quantize --method static --ranges other.json --activation-bits 4 demo.onnx
run ls
# Inputs are not run for an output that cannot be written; folders that were made for it go.
run onnxq quantize --method static -i inputs.npz demo.onnx none/out.onnx
run onnxq quantize --method blocks --bits 4 -i inputs.npz demo.onnx none/out.onnx
onnxq quantize -qq --method static -i inputs.npz demo.onnx -d new/folder 2>/dev/null
run ls
