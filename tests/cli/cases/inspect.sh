# What is in a model, and what quantizing would make of it.
for kind in demo nothing external scopes static few-bits float16 nan hostile-name; do
    make_model $kind $kind.onnx
done
for kind in demo nothing scopes static few-bits; do run onnxq inspect $kind.onnx; done
run onnxq inspect external.onnx | head -7
run onnxq inspect hostile-name.onnx | cat -v
run onnxq inspect -v scopes.onnx
# A line each; a model with nothing to quantize is no failure.
run onnxq inspect -q demo.onnx nothing.onnx float16.onnx few-bits.onnx
run onnxq inspect -qq demo.onnx
# The options of quantize, and sizes as it makes them.
for options in '' '--method weights' '--method blocks --bits 4' '--no-symmetric' '--op-types Conv' '-t uint8'; do
    run onnxq inspect -q $options demo.onnx
    onnxq quantize -q $options demo.onnx -o out.onnx | steady >/dev/null
    onnxq inspect --json $options demo.onnx | awk -v expected="$(wc -c <out.onnx)" '
        /"quantize":/ { inside = 1 }
        inside && /"nbytes_after"/ { print $2 + 0 == expected + 0 ? "as estimated" : "differs: " $0; exit }'
done
# Values decide only where nobody looks: an estimate does not know of NaN.
run onnxq inspect -q nan.onnx
# Standard input, and JSON.
cat demo.onnx | run onnxq inspect -q -
run onnxq inspect -q - <demo.onnx
run onnxq inspect --json few-bits.onnx | sed -E 's/^( +"nbytes_after": )[0-9]+/\1N/'
onnxq inspect --json=report.json -qq demo.onnx nothing.onnx
if has python3; then
    python3 - <<'END'
import json
found = [(m["input"], m["model"]["nodes"], m["quantize"]["summary"]["quantized"]) for m in json.load(open("report.json"))]
assert found == [("demo.onnx", 5, 3), ("nothing.onnx", 1, 0)], found
END
fi
# What goes wrong.
echo text >broken.onnx
run onnxq inspect -q broken.onnx demo.onnx nosuch.onnx
run onnxq inspect
run onnxq inspect - - <demo.onnx
run onnxq inspect --json=demo.onnx demo.onnx
run onnxq inspect --json=no/where.json demo.onnx
run onnxq inspect --include nosuch demo.onnx
run onnxq inspect --bits 4 demo.onnx
run onnxq inspect - </dev/null
run onnxq inspect --output x demo.onnx
run ls
# What is wrong with a model.
run onnxq inspect -q --validate demo.onnx external.onnx scopes.onnx few-bits.onnx
run onnxq inspect --validate nothing.onnx
make_model invalid invalid.onnx
run onnxq inspect --validate -q invalid.onnx demo.onnx | cat -v
onnxq inspect --validate -qq invalid.onnx; echo "exit $?"
run onnxq inspect --validate --json invalid.onnx | sed -n '/"validation"/,/^  }/p'
run onnxq inspect --json demo.onnx | grep '"validation"'
