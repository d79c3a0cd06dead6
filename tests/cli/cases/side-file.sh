# A side file is replaced with the output that names it, and leaves with it; what is none stays.
make_model external e.onnx
echo precious >o.onnx.data
run onnxq quantize -q --external-data always e.onnx o.onnx
cat o.onnx.data
run ls
run onnxq quantize -q --external-data never e.onnx o.onnx
run ls
run onnxq quantize -q --external-data always e.onnx o.onnx
cat o.onnx.data
run onnxq quantize -q -f --external-data always e.onnx o.onnx
run onnxq quantize -q --external-data always -t uint8 e.onnx o.onnx
run onnxq inspect -q --validate o.onnx
run onnxq quantize -q --external-data never e.onnx o.onnx
run ls
# One that another model has stays as well, also where the output is a new one of its kind.
run onnxq quantize -q --external-data always e.onnx o.onnx
mv o.onnx p.onnx
run onnxq quantize -q --external-data always e.onnx o.onnx
run onnxq quantize -q --external-data never e.onnx o.onnx
run onnxq inspect -q --validate p.onnx
