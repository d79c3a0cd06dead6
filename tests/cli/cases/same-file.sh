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
# Whatever it is called, and whatever else is read: inputs, ranges, plans, checkpoints, stored outputs.
ln -s demo.onnx soft
echo inputs >inputs.pb
cp inputs.pb kept.pb
run onnxq quantize demo.onnx --json=soft
run onnxq inspect demo.onnx --html soft
run onnxq bench demo.onnx --plot soft
for command in "check demo.onnx hard.onnx" "bench demo.onnx" "calibrate demo.onnx" "tune demo.onnx" \
    "quantize --method static demo.onnx"; do
    # shellcheck disable=SC2086 # they are words
    run onnxq $command -i inputs.pb --json=./inputs.pb
done
run onnxq calibrate -i inputs.pb demo.onnx inputs.pb
run onnxq calibrate --merge inputs.pb --json=inputs.pb demo.onnx
run onnxq quantize --method static -i inputs.pb -o inputs.pb demo.onnx
run onnxq check -i other.pb --expected inputs.pb --report inputs.pb demo.onnx
run onnxq tune -i inputs.pb --save-plan inputs.pb demo.onnx
run onnxq tune -i inputs.pb --resume inputs.pb demo.onnx
for option in "--method static --ranges" --plan --weights-from; do
    # shellcheck disable=SC2086 # they are words
    run onnxq inspect $option inputs.pb --markdown=inputs.pb demo.onnx
done
# Nor is what else is written.
run onnxq tune demo.onnx --json=a.json --save-plan ./a.json
run onnxq tune demo.onnx --save-plan a.json --resume a.json
run onnxq tune demo.onnx --save-plan -
run onnxq check --report a.json --json=a.json demo.onnx hard.onnx
same inputs.pb kept.pb
same demo.onnx before
