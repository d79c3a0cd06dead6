run onnxq help
run onnxq help quantize
run onnxq help inspect
run onnxq help calibrate
run onnxq help check
run onnxq help bench
run onnxq help dequantize
run onnxq help help
run onnxq help completion
onnxq quantize -h >a && onnxq quantize demo.onnx --help >b && onnxq help quantize >c
same a b
same a c
onnxq --help >a && onnxq help >b && onnxq -h >c
same a b
same a c
# Lines stay within 80 columns.
onnxq help quantize | awk 'length > 80'
onnxq help inspect | awk 'length > 80'
onnxq help check | awk 'length > 80'
onnxq help bench | awk 'length > 80'
onnxq help dequantize | awk 'length > 80'
