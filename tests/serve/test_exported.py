"""An exported file behind the service: what `upscale` makes of it, reported as what it is."""

import io
import json
import os

import numpy as np
from http_service import ROOT, encoded, noise, serving
from PIL import Image

from swin2sr_headless.cli.main import main


def test_an_exported_file_is_served_like_a_model(tmp_path, tiny):
    file, small, large = (tmp_path / name for name in ("served.onnx", "a.png", "b.png"))
    assert main(["export", tiny, "-o", str(file)]) == 0
    small.write_bytes(encoded(noise(40, 24)))
    assert main(["upscale", str(small), "--model", str(file), "-o", str(large)]) == 0
    named = os.path.relpath(file, ROOT)  # the worker runs elsewhere
    with serving(tmp_path / "spool", "--model", named, "--precision", "auto") as server:
        assert [row["name"] for row in server.client.get("/models").json()["models"]] == ["served"]
        answer = server.client.post("/upscale", files={"file": ("a.png", small.read_bytes())})
    report = json.loads(answer.headers["X-Swin2SR-Report"])
    assert (report["kernel"], report["strategy"]) == ("onnxruntime cpu", "tiled")
    made, expected = (np.asarray(Image.open(each)) for each in (io.BytesIO(answer.content), large))
    assert np.array_equal(made, expected)
