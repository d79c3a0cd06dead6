# What is read is never written.
make_model demo demo.onnx
cp demo.onnx before
ln demo.onnx hard.onnx
ln -s demo.onnx soft.onnx
run onnxq quantize demo.onnx demo.onnx
run onnxq quantize demo.onnx ./demo.onnx
run onnxq quantize demo.onnx hard.onnx
run onnxq quantize -f demo.onnx soft.onnx
run onnxq quantize demo.onnx --json=demo.onnx
run onnxq quantize demo.onnx --json=soft.onnx
run onnxq quantize demo.onnx --json=./demo.int8.onnx
run onnxq quantize demo.onnx out.onnx --json=out.onnx
same demo.onnx before
make_model external e.onnx
run onnxq quantize e.onnx e.onnx.data
run ls
