"""What an exported file takes in onnxruntime is what its plan says: enough, and not far more."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from swin2sr_core.export.contract import Contract
from swin2sr_core.export.writing import onnx_bytes

BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks" / "exported_memory.py"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("case", ["128:128", "200:128"])
def test_the_forecast_holds_in_a_process_of_its_own(bundled, tmp_path, case):
    contract = Contract.of(
        bundled.config, model="x", precision="fp32", licence="", weights_sha256="0" * 64
    )
    path = tmp_path / "bundled.onnx"
    path.write_bytes(onnx_bytes(bundled, contract)[0])
    command = [sys.executable, str(BENCHMARK), str(path), "--cases", case, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert 0.95 < found["ratio"] < 1.4, found
