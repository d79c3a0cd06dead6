# What is no model is one line, exit code 3, and no file.
make_model demo demo.onnx
make_model external side.onnx
size=$(($(wc -c <demo.onnx)))
mkdir bad
: >bad/empty.onnx
mkdir bad/folder.onnx
echo 'hello, this is text' >bad/text.onnx
printf 'GGUF\003\000\000\000\001\000\000\000' >bad/gguf.onnx
printf '\100\000\000\000\000\000\000\000{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}' >bad/safetensors.onnx
printf 'PK\003\004\024\000\000\000' >bad/zip.onnx
printf '<!DOCTYPE html><html><body>Sign in</body></html>' >bad/html.onnx
printf 'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n' >bad/lfs.onnx
printf '{"error": "not found"}' >bad/json.onnx
printf '\211HDF\r\n\032\n' >bad/hdf5.onnx
mkfifo bad/fifo.onnx
head -c 100 /dev/zero >bad/zeros.onnx
head -c 10 demo.onnx >bad/cut-10.onnx
head -c $((size / 2)) demo.onnx >bad/cut-half.onnx
head -c $((size - 1)) demo.onnx >bad/cut-1.onnx
cp side.onnx bad/no-side-file.onnx
sed 's/side.onnx.data/side.onnx.datb/' side.onnx >bad/other-side-file.onnx
ls bad >before
for file in bad/*.onnx nosuch.onnx bad/empty.onnx/x /dev/null; do
    run onnxq quantize "$file" out.onnx
done
run onnxq quantize bad/text.onnx
head -c 1000 side.onnx.data >short && mv short side.onnx.data
run onnxq quantize side.onnx out.onnx
ls bad >after
same before after
run ls
