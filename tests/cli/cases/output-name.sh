# A name that was not given is derived, and then what exists is kept unless -f says otherwise.
mkdir sub
make_model demo sub/demo.onnx
cp sub/demo.onnx plain
run onnxq quantize -q sub/demo.onnx
run onnxq quantize -q sub/demo.onnx
run onnxq quantize -q -n sub/demo.onnx
run onnxq quantize -q -f sub/demo.onnx
run onnxq quantize -q -t uint8 sub/demo.onnx
run onnxq quantize -q plain
run ls sub .
# A name that was given is replaced unless -n says otherwise.
echo old >out.onnx
run onnxq quantize -q sub/demo.onnx out.onnx -n
cat out.onnx
run onnxq quantize -q sub/demo.onnx out.onnx
same out.onnx sub/demo.int8.onnx
run onnxq quantize -q -o out.onnx sub/demo.onnx
ln -s nowhere dangling.onnx
run onnxq quantize -q sub/demo.onnx -n dangling.onnx
run ls sub .
# A folder takes the file in, whichever way it is named; there its name is one that was not given.
mkdir into
run onnxq quantize -q sub/demo.onnx -o into
run onnxq quantize -q sub/demo.onnx -o into/
run onnxq tune sub/demo.onnx into
echo old >into/demo.ranges.json
run onnxq calibrate sub/demo.onnx into/
run ls into
