# A folder of models, mirrored: what the Hub has, with models at several places.
mkdir -p in/onnx in/other/deep in/.cache in/nothing
make_model demo in/onnx/encoder.onnx
make_model external in/onnx/decoder.onnx
make_model nothing in/other/deep/none.onnx
make_model matmul in/Top.ONNX
echo text >in/other/broken.onnx
echo '{}' >in/config.json
echo vocabulary >in/other/vocab.txt
echo hidden >in/.cache/lock
echo named >in/.gitattributes
ls in/onnx
run onnxq quantize --dry-run in out
ls -d out
run onnxq quantize in out
(cd out && find . | sort)
run onnxq inspect -qq --validate out/onnx/encoder.onnx out/onnx/decoder.onnx out/Top.ONNX
same in/other/deep/none.onnx out/other/deep/none.onnx
same in/config.json out/config.json
same in/.gitattributes out/.gitattributes
ls in/onnx
# Again: what is there is kept, and what is the same is no failure.
rm in/other/broken.onnx
run onnxq quantize in out
echo '{"a": 1}' >in/config.json
run onnxq quantize -fqq in/ out/
cat out/config.json
echo '{"a": 2}' >in/config.json
run onnxq quantize in/ -d out
run onnxq quantize -f in/ -o out
cat out/config.json
# A model with nothing to do takes its side files along; a report on each.
mkdir ready
onnxq quantize -qq --external-data always in/onnx/encoder.onnx ready/model.onnx
run onnxq quantize --json=report.json ready copies
ls copies
head -n 1 report.json
same ready/model.onnx.data copies/model.onnx.data
# The way back is a folder, too.
run onnxq dequantize out floats
(cd floats && find . -name '*nnx' | sort)
# OUT inside the folder is left out, every time.
run onnxq quantize -qq ready ready/int8
run onnxq quantize -qqf ready ready/int8
(cd ready && find . | sort)
# What cannot be.
run onnxq quantize in
run onnxq quantize in in
run onnxq quantize in .
run onnxq quantize in in/config.json
run onnxq quantize in -
run onnxq quantize -d out in ready
run onnxq quantize in/nothing out2
run onnxq quantize no/where/ out2
ls -d out2
