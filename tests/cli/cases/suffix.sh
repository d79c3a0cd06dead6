# Names that others look for: beside a model, in a folder, and all over one.
make_model demo demo.onnx
run onnxq quantize -q demo.onnx --suffix _quantized
run onnxq quantize -q demo.onnx --suffix _quantized
run onnxq quantize -qq demo.onnx out/ --suffix _quantized
run onnxq dequantize -q out/demo_quantized.onnx --suffix .back
ls . out
mkdir -p in/onnx
make_model demo in/onnx/encoder.onnx
make_model external in/decoder.onnx
make_model nothing in/none.onnx
echo '{}' >in/config.json
run onnxq quantize in --suffix _quantized
(cd in && find . | sort)
# Again: what came out is no input, in whatever way the folder is said to be its own mirror.
run onnxq quantize in --suffix _quantized
run onnxq quantize -f in ./in --suffix _quantized
run onnxq quantize in mirror --suffix _quantized
(cd mirror && find . | sort)
run onnxq inspect -qq --validate mirror/decoder_quantized.onnx in/decoder_quantized.onnx
# With another ending in another folder both models with a side file have what they need.
mkdir both
onnxq quantize -qq --external-data always in/onnx/encoder.onnx both/m.onnx
mv both/m.onnx both/n.onnx
make_model matmul both/m.onnx
run onnxq quantize -q both both.out --suffix _q
run onnxq inspect -qq --validate both.out/m_q.onnx both.out/n_q.onnx
ls both.out
run onnxq quantize demo.onnx out.onnx --suffix _quantized
run onnxq quantize demo.onnx --suffix a/b
run onnxq quantize - --suffix _quantized
run onnxq quantize demo.onnx --suffix ''
