# The oldest ONNX Runtime that has to run the output.
make_model demo demo.onnx
make_model few-bits few-bits.onnx
run onnxq quantize --target-ort 1.16 demo.onnx out.onnx
run onnxq inspect --json out.onnx | grep -A1 -E '"requirements"|"onnxq.settings"' | sed 's/"value": .* target/... target/'
run onnxq quantize --method blocks demo.onnx -o blocks.onnx
run onnxq inspect blocks.onnx | grep needs
run onnxq inspect --json blocks.onnx | sed -n '/"requirements"/,/\]/p'
# What cannot be, in one line that says what can.
run onnxq quantize --method blocks --target-ort 1.20 demo.onnx -o no.onnx
run onnxq quantize --method qdq --target-ort 1.16.3 demo.onnx -o no.onnx
run onnxq quantize --target-ort 1.15 demo.onnx -o no.onnx
run onnxq quantize --target-ort newest demo.onnx -o no.onnx
run onnxq quantize --target-ort 1.21 blocks.onnx -o no.onnx
run onnxq inspect -q --method blocks --target-ort 1.20 demo.onnx
run ls
