"""Another process takes the memory in the middle of a run, within a limit that is enforced."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from control_groups import control_group

ROOT = Path(__file__).parents[2]
LIMIT = 320 << 20

RUN = """
import subprocess, sys
from pathlib import Path
import torch
import swin2sr_core as s2
from swin2sr_core.engine import watch
from swin2sr_core.machine import host_memory
from swin2sr_core.models.model import build_model
from swin2sr_core.network.network import Swin2SR

torch.set_num_threads(1)
torch.manual_seed(0)
config = s2.Swin2SRConfig(3, 60, (2, 2), (6, 6), 8, 120, 2, "pixelshuffledirect", "1conv", 1.0)
model = build_model("few", config, Swin2SR(config).state_dict(), "fp32", torch.device("cpu"))
image = torch.rand(1, 3, 400, 400)
s2.upscale(model, image[..., :64, :64], 2)
plan = s2.make_plan(model, 400, 400, 2)
expected = s2.upscale(model, image, plan=plan).image
Path(sys.argv[1], "cgroup.procs").write_text(str(__import__("os").getpid()))
watch._SECONDS = 0
neighbours = []

def progress(done, total):
    if neighbours or done < 0.4 * total:
        return
    leave = 4 << 20
    take = host_memory.free_host_bytes() - leave - (12 << 20)  # an interpreter needs some itself
    code = f"import sys; b = bytearray(b'x') * {take}; print('taken', flush=True); sys.stdin.read()"
    neighbours.append(subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1))
    assert neighbours[0].stdout.readline() == b"taken\\n"

result = s2.upscale(model, image, plan=plan, progress=progress)
neighbours[0].kill()
print(len(result.report.fallbacks), float((result.image - expected).abs().max()))
print(result.report.fallbacks)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")
def test_a_neighbour_that_takes_nearly_all_is_survived():
    folder = control_group(LIMIT)
    if folder is None:
        pytest.skip("may not make a control group here")
    try:
        result = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(RUN), str(folder)],
            cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
    finally:
        folder.rmdir()
    assert result.returncode == 0, result.stderr
    steps, difference = result.stdout.split()[:2]
    assert int(steps) >= 1, result.stdout
    assert float(difference) < 0.05, result.stdout
