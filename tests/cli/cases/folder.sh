# Several models at once.
mkdir in
make_model demo in/encoder.onnx
make_model matmul in/decoder.onnx
make_model external in/side.onnx
run onnxq quantize -d out in/encoder.onnx in/decoder.onnx in/side.onnx
run ls out
run onnxq quantize -d out in/encoder.onnx in/decoder.onnx
run onnxq quantize -f -q -d out in/encoder.onnx in/decoder.onnx
run onnxq quantize -fqq -d out in/encoder.onnx in/decoder.onnx
run onnxq quantize -fv -d out/ in/encoder.onnx in/decoder.onnx
run onnxq quantize -d one in/encoder.onnx
# A failure stops nobody else; the first one is the exit code.
make_model nothing in/nothing.onnx
echo text >in/broken.onnx
run onnxq quantize -d some in/nothing.onnx in/encoder.onnx in/broken.onnx in/decoder.onnx
run ls some
# Where all fail, the folder does not stay behind.
run onnxq quantize -d none in/broken.onnx in/nothing.onnx
run onnxq quantize -d no/where in/encoder.onnx
run onnxq quantize -d in/broken.onnx in/encoder.onnx
mkdir other
cp in/encoder.onnx other
# Models of one name keep the folders that tell them apart; where that leads out of DIR, or is no
# help, it is said.
run onnxq quantize -q -d apart in/encoder.onnx other/encoder.onnx
onnxq quantize -fqq -d apart "$PWD/in/encoder.onnx" "$PWD//other/./encoder.onnx"
echo "exit $?"
run onnxq quantize -fqq -d apart in/encoder.onnx ./other//encoder.onnx
find apart | sort
run onnxq quantize -d out in/encoder.onnx in/../other/encoder.onnx
run onnxq quantize -d out in/encoder.onnx ./in//encoder.onnx
run onnxq quantize -d out in/encoder.onnx /in/encoder.onnx
run ls
# OUT that is a folder takes the model in; folders above DIR are made, too.
mkdir there
make_model demo demo.onnx
run onnxq quantize -q demo.onnx there
run onnxq quantize -q demo.onnx new/
run onnxq quantize -q -d deep/er/still demo.onnx
run onnxq dequantize -q there/demo.int8.onnx deep/er/
find there new deep | sort
run onnxq quantize -q --dry-run demo.onnx not/made/
ls -d not
touch file
run onnxq quantize -q -d file/below demo.onnx
