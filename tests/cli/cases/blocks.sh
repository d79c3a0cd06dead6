# Weights in blocks, and what goes with which method.
make_model demo demo.onnx
run onnxq quantize --method blocks -v demo.onnx
run onnxq quantize --method blocks --bits 4 demo.onnx
run onnxq quantize --method blocks --bits nf4 --block-size 64 demo.onnx
run onnxq quantize --method blocks --no-symmetric --block-size 16 -f demo.onnx
run onnxq quantize --method qdq --bits 4 -f demo.onnx
run ls
run onnxq quantize --bits 4 demo.onnx
run onnxq quantize --method weights --bits nf4 demo.onnx
run onnxq quantize --block-size 32 demo.onnx
run onnxq quantize --method qdq --bits nf4 demo.onnx
run onnxq quantize --method blocks --conv integer demo.onnx
run onnxq quantize --method weights --conv matmul demo.onnx
run onnxq quantize --method qdq --force-integer demo.onnx
run onnxq quantize --method qdq --join-norms demo.onnx
run onnxq quantize --method blocks --no-per-channel demo.onnx
run onnxq quantize --method blocks --reduce-range demo.onnx
run onnxq quantize --method blocks -t uint8 demo.onnx
run onnxq quantize --method blocks --bits nf4 --no-symmetric demo.onnx
run onnxq quantize --method blocks --block-size 8 demo.onnx
run onnxq quantize --method blocks --bits 3 demo.onnx
