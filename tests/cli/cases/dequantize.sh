# The way back to float.
make_model demo demo.onnx
make_model nothing nothing.onnx
make_model external external.onnx
make_model static static.onnx
make_model few-bits few-bits.onnx
make_model hostile-name hostile.onnx
onnxq quantize -qq demo.onnx
onnxq quantize -qq external.onnx
onnxq quantize -qq hostile.onnx
run onnxq dequantize demo.int8.onnx
run onnxq dequantize -v demo.int8.onnx a.onnx
run onnxq dequantize -q demo.int8.onnx -o b.onnx
run onnxq dequantize -qq -j 1 demo.int8.onnx c.onnx
for file in a b c; do same $file.onnx demo.float32.onnx; done
run onnxq dequantize demo.int8.onnx
run onnxq dequantize -n demo.int8.onnx a.onnx
run onnxq dequantize --float-type float16 demo.int8.onnx
run onnxq dequantize external.int8.onnx
run onnxq dequantize -v static.onnx
run onnxq dequantize -v few-bits.onnx
run onnxq dequantize -v hostile.int8.onnx
run onnxq dequantize --dry-run few-bits.onnx
run onnxq dequantize nothing.onnx
run onnxq dequantize demo.onnx new.onnx
run onnxq dequantize --allow-noop demo.onnx same.onnx
same same.onnx demo.onnx
run onnxq dequantize -d folder demo.int8.onnx few-bits.onnx nothing.onnx
run onnxq dequantize --json few-bits.onnx d.onnx
cat few-bits.onnx | run onnxq dequantize -q - - >e.onnx
tail -n 1 e.onnx | grep -a '^! ' >/dev/null && echo "messages in the model"
run onnxq dequantize
run onnxq dequantize --float-type float64 demo.int8.onnx
run onnxq dequantize nosuch.onnx
run ls . folder
# Floats of the model itself, too: what float16 has no room or no bits for stays.
run onnxq dequantize --float-type float16 --narrow-floats demo.onnx narrow.onnx
run onnxq inspect -qq --validate narrow.onnx
run onnxq dequantize --narrow-floats demo.onnx narrow.onnx
