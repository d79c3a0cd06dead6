onnxq --version
