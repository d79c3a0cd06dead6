# What can be said without ONNX Runtime.
make_model demo demo.onnx
make_model demo other.onnx
run onnxq calibrate
run onnxq calibrate demo.onnx a.json b.json
run onnxq calibrate demo.onnx a.json -o b.json
run onnxq calibrate -
run onnxq calibrate demo.onnx -f -n
run onnxq calibrate demo.onnx --append -n
run onnxq calibrate demo.onnx --random 0
run onnxq calibrate demo.onnx -o demo.onnx
run onnxq calibrate demo.onnx -o a.json --json=a.json
run onnxq calibrate demo.onnx -a -o -
run onnxq calibrate nothing.onnx
run onnxq calibrate demo.onnx -i in.npz --range x=0:1
# The engine is looked for where it is said to be, and nowhere else.
mkdir empty
run onnxq calibrate demo.onnx --ort-lib empty
# Files of ranges need none.
run onnxq calibrate demo.onnx --merge nothing.json
echo "{}" >not.json
run onnxq calibrate demo.onnx --merge not.json
run onnxq calibrate demo.onnx --merge demo.onnx
ranges() {
    printf '{"onnxq_ranges": 1, "model": {"digest": "%s", "node_outputs": %s}, "runs": 2, "drawn_runs": 0,\n' "$1" "$2"
    printf ' "values": [{"name": "x", "tensors": 1, "count": 3, "zeros": 0, "nan": 1, "infinite": 0,\n'
    printf '  "min": 1, "max": 1, "mean": 1, "histogram": {"exponent": -15, "first": 32768, "counts": [%s]}}]}\n' "$3"
}
ranges 0123456789abcdef 1 3 >other.json
run onnxq calibrate demo.onnx --merge other.json
ranges 0123456789abcdef 1 4 >broken.json
run onnxq calibrate demo.onnx --merge broken.json
# The digest is that of the model, as the message has it.
digest=$(onnxq calibrate demo.onnx --merge other.json 2>&1 | sed -n 's/.*digest \([0-9a-f]*\)$/\1/p')
outputs=$(onnxq calibrate demo.onnx --merge other.json 2>&1 | sed -n 's/.*expected \([0-9]*\),.*/\1/p')
ranges "$digest" "$outputs" 3 >a.json
run onnxq calibrate demo.onnx --merge a.json
cat demo.ranges.json
run onnxq calibrate demo.onnx --merge a.json
run onnxq calibrate demo.onnx --merge a.json --append -v
run onnxq calibrate demo.onnx --merge demo.ranges.json --merge a.json -qq -o - --json=report.json
cat report.json
run onnxq calibrate demo.onnx --merge a.json -o nowhere/a.json
run ls
