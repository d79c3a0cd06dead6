# What a person sees.
make_model demo demo.onnx
run onnxq quantize demo.onnx
run onnxq quantize -v demo.onnx a.onnx
run onnxq quantize -q demo.onnx b.onnx
run onnxq quantize -qq demo.onnx c.onnx
run onnxq quantize -qv demo.onnx d.onnx
run onnxq quantize -t uint8 --no-per-channel --no-symmetric --reduce-range demo.onnx e.onnx
for file in a b c d; do same $file.onnx demo.int8.onnx; done
make_model external external.onnx
run onnxq quantize external.onnx
run ls
make_model nan nan.onnx
run onnxq quantize -v nan.onnx
