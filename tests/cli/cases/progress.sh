# The bar: forced here, as nothing in this case takes long enough to show it by itself.
make_model demo demo.onnx
onnxq quantize --progress demo.onnx >out 2>err
[ -s err ] || echo "no bar"
tr '\r' '\n' <err | grep -c '^  measure \[[#-]*\] *[0-9]*%   [0-9.]* of [0-9.]* [KM]B   [0-9.]* [KMGT]B/s   [0-9:]* left *$' >/dev/null || echo "no bar of measuring"
tr '\r' '\n' <err | grep -c '^  write   \[' >/dev/null || echo "no bar of writing"
# The last thing that is done with it is to erase it.
[ -z "$(tr '\r' '\n' <err | tail -n 1 | tr -d ' ')" ] || echo "not erased"
grep -c '[#%]' out
onnxq quantize --no-progress -f demo.onnx >/dev/null
onnxq quantize -f demo.onnx >/dev/null
CI=1 onnxq quantize -f demo.onnx >/dev/null
