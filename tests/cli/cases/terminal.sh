# On a terminal: colors, the progress bar, and no model bytes.
has script || skip "there is no script(1)"
script -qec true /dev/null >/dev/null 2>&1 || skip "script(1) is another one"
make_model demo demo.onnx
tty() { # runs the command line on a terminal; control characters become visible
    echo "\$ $1"
    script -qec "$1" /dev/null | sed 's,\r$,,; s,.*\r,,' | steady | cat -v
}
tty 'onnxq quantize nosuch.onnx'
tty 'onnxq quantise'
tty 'NO_COLOR=1 onnxq quantise'
tty 'TERM=dumb onnxq quantise'
tty 'onnxq quantise --color always 2>&1 | cat'
tty 'onnxq quantize --colr x'
tty 'onnxq quantize --color=always nosuch.onnx 2>&1 | cat'
tty 'onnxq quantize --color=never nosuch.onnx'
tty 'onnxq quantize demo.onnx -'
tty 'onnxq quantize - out.onnx'
tty 'onnxq quantize demo.onnx'
# Help fits the terminal, but for an option and its values.
for columns in 40 60 71 72; do
    script -qec "stty columns $columns; onnxq help; onnxq help quantize; onnxq help check" /dev/null | tr -d '\r' |
        awk -v n=$columns 'length($0) > n && / / && !/^ +(-., )?--[^ ]+( [^ ]+)?$/'
done
# Bars are finer where the terminal shows UTF-8.
tty 'LC_ALL=C.UTF-8 onnxq inspect demo.onnx' | grep '%'
tty 'onnxq inspect demo.onnx' | grep '%'
tty 'onnxq inspect -'
