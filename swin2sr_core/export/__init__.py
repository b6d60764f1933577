"""One file with a contract, for other runtimes: ONNX, and torch's exported programs."""
