"""The command as a process of its own: signals, streams, start-up, and too little memory."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import swin2sr_core
from swin2sr_headless.cli.stopping import StopSwitch

ROOT = Path(swin2sr_core.__file__).parents[1]
COMMAND = [sys.executable, "-m", "swin2sr_core"]
posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")


@pytest.fixture
def environment():
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}


@pytest.fixture
def run(environment):
    def run(*arguments, command=COMMAND):
        line = [*command, *map(str, arguments)]
        return subprocess.run(line, capture_output=True, text=True, env=environment, timeout=300)

    return run


def picture(path, width=24, height=16):
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(noise).save(path)
    return path


def test_standard_output_holds_one_json_object_and_nothing_else(run, tmp_path):
    source = picture(tmp_path / "a.png")
    done = run("upscale", source, "--json", "--progress")
    assert done.returncode == 0
    assert json.loads(done.stdout)["output_size"] == [96, 64]
    assert " left" in done.stderr
    failed = run("upscale", source, "--json")
    assert failed.returncode == 2
    document = json.loads(failed.stdout)
    assert (document["status"], document["error_type"]) == ("error", "OutputExistsError")
    assert "a_x4.png exists already" in document["error"]
    assert failed.stderr == f"swin2sr: error: {document['error']}\n"


STUBBED = """
import sys, types
# The package without its own __init__, which may import what it likes.
package = types.ModuleType("swin2sr_core")
package.__path__, package.__version__ = [sys.argv.pop(1)], "0"
sys.modules["swin2sr_core"] = package
from swin2sr_headless.cli.main import main
code = main()
heavy = [name for name in ("torch", "numpy", "PIL", "safetensors") if name in sys.modules]
sys.exit(f"imported {heavy}" if heavy else code)
"""


@pytest.mark.parametrize(
    "line", ["--help", "upscale --help", "bench --help", "models list", "upscale nothing.png"]
)
def test_simple_questions_are_answered_without_importing_torch(line, run):
    command = [sys.executable, "-c", STUBBED, str(ROOT / "swin2sr_core")]
    done = run(*line.split(), command=command)
    assert done.returncode == (2 if "nothing" in line else 0), done.stderr
    assert "imported" not in done.stderr


@pytest.fixture
def begun(environment):
    """Start a command line and wait until it is upscaling into `folder`."""
    processes = []

    def begin(folder, *arguments):
        process = subprocess.Popen(
            [*COMMAND, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        processes.append(process)
        until = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < until:
            if any(each.suffix == ".tmp" for each in folder.iterdir()):
                return process
            time.sleep(0.01)
        pytest.fail(f"it never began: {process.communicate(timeout=10)}")
        return None

    yield begin
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_in_the_middle_leaves_nothing(number, begun, tmp_path):
    source = picture(tmp_path / "a.png", 1024, 1024)
    process = begun(tmp_path, "upscale", source)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert out == "" and "Traceback" not in err
    assert err.startswith("swin2sr: error: ") and err.count("\n") == 1
    assert list(tmp_path.iterdir()) == [source]


@posix
def test_an_interrupt_keeps_the_pictures_that_are_finished(begun, tmp_path):
    (tmp_path / "out").mkdir()
    sources = [picture(tmp_path / "a.png"), picture(tmp_path / "b.png", 1024, 1024)]
    sources.append(picture(tmp_path / "c.png"))
    process = begun(tmp_path / "out", "upscale", *sources, "-o", tmp_path / "out", "--json")
    finished = tmp_path / "out" / "a_x4.png"
    until = time.monotonic() + 60
    while not finished.exists() and time.monotonic() < until:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    document = json.loads(out)
    assert process.returncode == document["exit_code"] == 130, err
    assert [each["status"] for each in document["results"]] == ["ok", "error"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a_x4.png"]
    with Image.open(finished) as image:
        image.load()


@posix
def test_a_signal_in_a_polled_block_waits_for_the_next_question():
    stop = StopSwitch()
    asked = []
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), stop.installed(), stop.polled():
        asked.append(stop())
        signal.raise_signal(signal.SIGINT)
        asked.append(stop())
    assert asked == [False, True]
    assert signal.getsignal(signal.SIGINT) is before


@posix
def test_a_second_signal_insists():
    stop = StopSwitch()
    with stop.installed(), stop.polled():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        stop.requested = False


@posix
def test_a_reader_that_leaves_is_no_error_to_shout_about(environment):
    line = " ".join(f"'{part}'" for part in COMMAND)
    done = subprocess.run(
        ["sh", "-c", f"{line} models list | true"],
        capture_output=True,
        text=True,
        env=environment,
        timeout=300,
    )
    assert done.stderr == ""


LIMITED = """
import resource, sys
import swin2sr_core.engine.upscale
from swin2sr_headless.cli.main import main
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + (90 << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
sys.exit(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's limit of address space")
def test_too_little_memory_is_one_sentence(run, tmp_path):
    source = picture(tmp_path / "a.png", 1500, 1500)
    # a budget that this process is not going to get
    options = ["--device", "cpu", "--max-memory", "8GB"]
    done = run("upscale", source, *options, command=[sys.executable, "-c", LIMITED])
    assert done.returncode == 1, done.stderr
    *steps, last = done.stderr.splitlines()
    assert last.startswith("swin2sr: error: ") and "out of memory" in last
    assert all(line.startswith("swin2sr: warning: a.png: out of memory with ") for line in steps)
    assert list(tmp_path.iterdir()) == [source]
