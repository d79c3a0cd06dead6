# What can be said without ONNX Runtime.
make_model demo demo.onnx
make_model demo other.onnx
run onnxq tune
run onnxq tune demo.onnx a.onnx b.onnx
run onnxq tune demo.onnx a.onnx -o b.onnx
run onnxq tune -
run onnxq tune demo.onnx -
run onnxq tune demo.onnx demo.onnx
run onnxq tune demo.onnx a.onnx --save-plan a.onnx
run onnxq tune demo.onnx a.onnx --plot demo.onnx
run onnxq tune demo.onnx --budget "cosine>=0.9,l2<=3"
run onnxq tune demo.onnx --budget "rel>=0.9"
run onnxq tune demo.onnx --time 0
run onnxq tune demo.onnx --held-back 1
run onnxq tune demo.onnx --random 0
run onnxq tune demo.onnx --no-timing --min-speedup 2
run onnxq tune nothing.onnx
# The engine is looked for where it is said to be, and nowhere else.
mkdir empty
run onnxq tune demo.onnx --ort-lib empty
touch demo.int8.onnx
run onnxq tune demo.onnx
# Plans need none.
run onnxq quantize --plan nothing.json demo.onnx a.onnx
echo "{}" >plan.json
run onnxq quantize --plan plan.json demo.onnx a.onnx
run onnxq quantize --plan plan.json --method qdq demo.onnx a.onnx
echo '{"onnxq_plan": 1, "model": {"digest": "0123456789abcdef", "node_outputs": 3}, "weights": []}' >plan.json
run onnxq quantize --plan plan.json demo.onnx a.onnx
ls
digest() { onnxq calibrate demo.onnx --merge other.json 2>&1 | sed -n "s/$1/\1/p"; }
printf '{"onnxq_ranges": 1, "model": {"digest": "0123456789abcdef", "node_outputs": 1}, "runs": 1, "drawn_runs": 0, "values": []}' >other.json
plan() {
    printf '{"onnxq_plan": 1, "model": {"digest": "%s", "node_outputs": %s}, "weights": [%s]}' \
        "$(digest '.*digest \([0-9a-f]*\)$')" "$(digest '.*expected \([0-9]*\),.*')" "$1" >plan.json
}
plan '{"node": "no such node", "weight": "w", "form": "float"}'
run onnxq quantize --plan plan.json demo.onnx a.onnx
plan '{"node": "fc2", "weight": "fc2.weight", "form": "float"}, {"node": "fc1", "weight": "fc1.weight", "form": "blocks-4"}'
run onnxq quantize --plan plan.json --method qdq demo.onnx a.onnx
run onnxq quantize --plan plan.json --dry-run -v demo.onnx
plan ''
onnxq quantize -qq --plan plan.json demo.onnx a.onnx
onnxq quantize -qq demo.onnx b.onnx
cmp a.onnx b.onnx
