# What is easily typed, and would cost a file or be ignored.
make_model demo demo.onnx
cp demo.onnx other.onnx
echo '{}' >report.json

# A value behind an option whose value may be left out.
run onnxq quantize --json report.json demo.onnx
run onnxq quantize --reduce-range pairs demo.onnx
run onnxq quantize --per_channel True demo.onnx
run onnxq quantize --symmetric auto demo.onnx
run onnxq check --json report.json demo.onnx other.onnx
run onnxq dequantize demo.onnx --json report.json
# Outputs under names of other files, and reports under those of models.
run onnxq quantize demo.onnx report.json
run onnxq quantize demo.onnx -o WEIGHTS.NPZ
run onnxq dequantize demo.onnx report.json
run onnxq quantize -q --json=other.onnx demo.onnx
run onnxq inspect -q --json=other.onnx demo.onnx
run onnxq check demo.onnx demo.onnx --report other.onnx
run onnxq calibrate demo.onnx other.onnx
run onnxq bench demo.onnx --plot bench.png
run onnxq tune demo.onnx report.json
run onnxq tune demo.onnx --plot tune.png
run onnxq bench demo.onnx --plot other.onnx
for ending in pdf svg md json; do
    run onnxq check --html page.$ending demo.onnx other.onnx
done
run onnxq inspect --markdown=page.html demo.onnx
run onnxq quantize --json=page.html demo.onnx
run onnxq check --report page.svg demo.onnx other.onnx
# What cannot be written is said before models run (and here without an engine).
mkdir none
for report in --html --json --report; do
    run onnxq check --ort-lib none $report=nowhere/report demo.onnx other.onnx
done
run onnxq tune --ort-lib none demo.onnx nowhere/out.onnx
run onnxq calibrate --ort-lib none demo.onnx nowhere/out.json
run onnxq quantize --bits 5 demo.onnx
# A share that is never reached.
run onnxq check --cosine 1.5 demo.onnx other.onnx
run onnxq check --argmax 1.01 demo.onnx other.onnx
run onnxq tune --budget "cosine>=1.5" demo.onnx
rmdir none
# An option behind --json is none of them, whatever its value ends in.
onnxq inspect --json --html=page.html demo.onnx | head -2
same demo.onnx other.onnx
cat report.json
ls

# Random inputs are not mixed with given ones.
run onnxq check demo.onnx other.onnx -i x.npz --random 3
run onnxq bench demo.onnx other.onnx -i x.npz --seed 7
run onnxq calibrate demo.onnx -i x.npz --random 3

# Options before the command, and the version by its other names.
onnxq -V | sed 's/[0-9.]*$/N/'
onnxq version | sed 's/[0-9.]*$/N/'
run onnxq -q quantize demo.onnx a.onnx
run onnxq -q --threads 2 --color=never quantize demo.onnx a.onnx
run onnxq --bits 4 quantize demo.onnx
run onnxq quantize --exclud x demo.onnx
run onnxq quantize --inclde x demo.onnx

# As ONNX Runtime's scripts are called.
run onnxq quantize -q --model_input demo.onnx --model_output b.onnx
run onnxq quantize -q --op_types_to_quantize MatMul Gemm --model_input demo.onnx -o c.onnx
run onnxq quantize -q --op-types MatMul,Gemm demo.onnx d.onnx
same c.onnx d.onnx
run onnxq quantize -q --nodes_to_exclude fc1 conv demo.onnx c.onnx
run onnxq quantize -q --exclude fc1 --exclude conv demo.onnx d.onnx
same c.onnx d.onnx
run onnxq quantize -q --extra_options WeightSymmetric=False EnableSubgraph=True MatMulConstBOnly=True \
    --model_input demo.onnx --model_output c.onnx
run onnxq quantize -q --no-symmetric demo.onnx d.onnx
same c.onnx d.onnx
run onnxq quantize --extra_options ActivationSymmetric=True demo.onnx
run onnxq quantize --extra_options WeightSymmetric=maybe demo.onnx
run onnxq quantize --extra_options Sigmoid demo.onnx
run onnxq quantize --model_input demo.onnx other.onnx

# Where both go to one place, what came first stands first.
onnxq quantize --dry-run --exclude '*' demo.onnx 2>&1 | tail -n 2

# What was cut off, and what 4 bits need.
head -c 20000 demo.onnx >cut.onnx
run onnxq quantize cut.onnx
run onnxq quantize --method qdq --bits 4 -q demo.onnx
# Small models get no side file: its weights have 4 KB or more.
onnxq quantize -q --external-data always demo.onnx e.onnx >/dev/null
ls e.onnx*

# An empty variable of the shell; options that nothing takes note of; one message for one fault.
run onnxq quantize demo.onnx ""
run onnxq check "" other.onnx
run onnxq calibrate --merge x.json --seed 3 demo.onnx
run onnxq calibrate --merge x.json --dim batch=4 demo.onnx
run onnxq check --dim x --range a=1:2 -i x.npz demo.onnx other.onnx
run onnxq check --random 0 demo.onnx other.onnx
# What --bits is called elsewhere, and a flag that is taken back.
run onnxq quantize -q --method blocks --bits int4 demo.onnx f.onnx
onnxq quantize -qq --method blocks --bits 4 demo.onnx g.onnx
same f.onnx g.onnx
run onnxq quantize -q -f --no-force --method blocks --bits 4 demo.onnx
run onnxq quantize -q -f --no-force --method blocks --bits 4 demo.onnx
# A model that fails leaves standard input open to the next.
mkdir -p dir/demo.int8.onnx
run onnxq quantize -f --method static -i x.npz --ort-lib none -d dir demo.onnx /dev/stdin <other.onnx
