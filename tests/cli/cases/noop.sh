# A model without anything to quantize.
make_model nothing nothing.onnx
make_model matmul matmul.onnx
run onnxq quantize nothing.onnx
run onnxq quantize --allow-noop nothing.onnx
same nothing.onnx nothing.int8.onnx
run onnxq quantize --min-elements 1M matmul.onnx
run onnxq quantize --min-elements 1M matmul.onnx out.onnx --allow-noop
same matmul.onnx out.onnx
run onnxq quantize -qq --min-elements 1M matmul.onnx -
run ls
