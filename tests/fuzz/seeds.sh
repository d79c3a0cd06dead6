#!/bin/sh
# Fills a folder with small valid models to start fuzzing from: seeds.sh FOLDER
# MAKE_MODEL names the program that makes them.
set -eu
rm -rf "$1"
mkdir -p "$1"
for kind in $("$MAKE_MODEL" --list); do
    "$MAKE_MODEL" "$kind" "$1/$kind.onnx"
done
