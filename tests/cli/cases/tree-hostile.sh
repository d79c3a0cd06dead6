# Folders that mean no good.
mkdir -p in/sub
make_model matmul in/sub/m.onnx
ln -s .. in/sub/up
ln -s loop in/loop
ln -s nowhere in/dangling.txt
ln -s nowhere in/dangling.onnx
ln -s sub/m.onnx in/link.onnx
mkfifo in/pipe in/pipe.onnx
mkdir 'in/two
lines' in/folder.onnx
cp in/sub/m.onnx 'in/two
lines/a
b.onnx'
printf text >'in/two
lines/c	d.txt'
run onnxq quantize in out
(cd out && find . -type f -print0 | sort -z | tr '\0\n' '\n?')
find out -type l
# A side file that a new model and a copied one share could end as the new one's own.
mkdir shared
make_model external e.onnx
onnxq quantize -qq --external-data always e.onnx shared/m.onnx
mv shared/m.onnx shared/n.onnx
make_model matmul shared/m.onnx
run onnxq quantize -q shared shared.out
ls shared.out
# Links in OUT are not written through, nor is the input by way of them.
mkdir -p plain trap
make_model matmul plain/m.onnx
echo mine >plain/config.json
echo theirs >precious
ln -s ../precious trap/config.json
run onnxq quantize -f -q plain trap
cat precious
ln plain/config.json kept
mkdir twin
ln plain/config.json twin/config.json
run onnxq quantize -f -qq plain twin
same plain/config.json kept
ln -s ../plain/m.onnx twin/other
rm twin/m.onnx
mv twin/other twin/m.onnx
run onnxq quantize -f -qq plain twin
run onnxq inspect -qq --validate plain/m.onnx
# Links of others out of the folder are not followed; those of a cache are, as its models' links
# lead to the same folder.
mkdir -p cache/blobs cache/snapshot/onnx private
make_model matmul cache/blobs/1
echo '{}' >cache/blobs/2
echo secret >private/key
ln -s ../../blobs/1 cache/snapshot/onnx/m.onnx
ln -s ../blobs/2 cache/snapshot/config.json
ln -s ../../private/key cache/snapshot/key
ln -s "$PWD/private/key" cache/snapshot/whole
ln -s onnx/../config.json cache/snapshot/inner
run onnxq quantize -q cache/snapshot snapshot
find snapshot | sort
# A folder that cannot be read, which root can, stops nothing else.
mkdir -p locked/in
cp plain/config.json locked
make_model matmul locked/m.onnx
if [ "$(id -u)" = 0 ]; then
    echo 'onnxq: locked/in: cannot read the folder: Permission denied
exit 3'
else
    chmod 0 locked/in
    onnxq quantize -qq locked locked.out 2>&1
    echo "exit $?"
    chmod 700 locked/in
fi
# A path longer than any may be.
name=$(printf '%0200d' 0)
(mkdir long && cd long && make_model matmul m.onnx &&
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22; do
        mkdir "$name" && cd -P "$name" || exit
    done)
run onnxq quantize -qq long long.out 2>&1 | sed 's/000*/0/g; s/\(0.\)*0:/...:/'
ls long.out
# At any moment of an interrupted run: files as a whole, and no folder with nothing in it.
has timeout || exit 0
mkdir -p many/a/b
make_model demo many/a/b/m.onnx
make_model external many/a/e.onnx
head -c 3000000 /dev/zero >many/a/zeros
onnxq quantize -qq many whole
for delay in 0.002 0.004 0.006 0.008 0.01 0.012 0.015 0.02 0.03 0.05; do
    timeout -s INT $delay onnxq quantize -qq many part 2>/dev/null
    [ -d part ] || continue
    find part -type d -empty
    find part -type f | while read -r file; do cmp "$file" "whole/${file#part/}"; done
    rm -r part
done
