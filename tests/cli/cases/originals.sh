# Two models that a shell's pattern gives are no MODEL and OUT: the second one stays, unless it is meant.
make_model matmul a.onnx
make_model matmul b.onnx
cp b.onnx before.onnx
onnxq quantize -qq a.onnx int8.onnx
run onnxq quantize a.onnx b.onnx
run onnxq quantize --dry-run a.onnx b.onnx
run onnxq dequantize int8.onnx b.onnx
run onnxq tune a.onnx b.onnx
same b.onnx before.onnx
# What was written before, what is quantized by whomever, and what nothing can be done with is replaced.
run onnxq quantize -q a.onnx int8.onnx
run onnxq dequantize -q int8.onnx float.onnx
run onnxq dequantize -q int8.onnx float.onnx
run onnxq quantize -q --allow-noop --min-elements 1000000 a.onnx copy.onnx
run onnxq quantize -q --allow-noop --min-elements 1000000 a.onnx copy.onnx
make_model nothing none.onnx
run onnxq quantize -q a.onnx none.onnx
run onnxq quantize -qf a.onnx b.onnx
cp before.onnx b.onnx
run onnxq quantize -q a.onnx -o b.onnx
same b.onnx int8.onnx
