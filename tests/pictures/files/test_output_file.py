import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from swin2sr_core.errors import InputError, OutputExistsError
from swin2sr_core.pictures.files.output_file import output_file


def names(folder):
    return [path.name for path in folder.iterdir()]


def test_the_file_appears_at_the_end_and_whole(tmp_path):
    target = tmp_path / "a.bin"
    with output_file(target) as sink:
        sink.write(b"12345")
        sink.seek(1)
        sink.write(b"x")
        assert not target.exists()
    assert target.read_bytes() == b"1x345"
    assert names(tmp_path) == ["a.bin"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no umask")
def test_permissions_are_those_of_any_new_file(tmp_path):
    (tmp_path / "usual").write_bytes(b"")
    with output_file(tmp_path / "a.bin"):
        pass
    assert (tmp_path / "a.bin").stat().st_mode == (tmp_path / "usual").stat().st_mode


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_any_exception_leaves_nothing(tmp_path, error):
    with pytest.raises(error), output_file(tmp_path / "a.bin") as sink:
        sink.write(b"half")
        raise error
    assert names(tmp_path) == []


def test_a_failure_leaves_the_old_file(tmp_path):
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")
    with pytest.raises(ValueError), output_file(target, overwrite=True) as sink:
        sink.write(b"new")
        raise ValueError
    assert target.read_bytes() == b"old"
    assert names(tmp_path) == ["a.bin"]


def test_an_existing_file_is_overwritten_only_if_allowed(tmp_path):
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")
    with (
        pytest.raises(OutputExistsError, match=r"a\.bin exists already; allow overwriting"),
        output_file(target),
    ):
        raise AssertionError("must not get here")
    with output_file(target, overwrite=True) as sink:
        sink.write(b"new")
    assert target.read_bytes() == b"new"


def test_a_file_that_appears_meanwhile_is_kept(tmp_path):
    target = tmp_path / "a.bin"
    with pytest.raises(OutputExistsError), output_file(target) as sink:
        sink.write(b"mine")
        target.write_bytes(b"theirs")
    assert target.read_bytes() == b"theirs"
    assert names(tmp_path) == ["a.bin"]


def test_a_missing_folder(tmp_path):
    with (
        pytest.raises(InputError, match="does not exist; create it first"),
        output_file(tmp_path / "no" / "a.bin"),
    ):
        pass


def test_a_folder_as_output(tmp_path):
    with (
        pytest.raises(InputError, match="is a folder; name a file in it"),
        output_file(tmp_path, overwrite=True),
    ):
        pass


def test_a_name_at_the_limit_of_the_file_system(tmp_path):
    name = "x" * 250 + ".png"
    with output_file(tmp_path / name) as sink:
        sink.write(b"1")
    assert (tmp_path / name).read_bytes() == b"1"


def test_an_interrupted_process_leaves_nothing(tmp_path):
    """A real signal to a real process."""
    if os.name == "nt":
        pytest.skip("no SIGINT to another process on Windows")
    code = (
        "import signal, sys, time, pathlib\n"
        # which a test run in the background has its children ignore
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from swin2sr_core.pictures.files.output_file import output_file\n"
        "with output_file(pathlib.Path(sys.argv[1])) as sink:\n"
        "    sink.write(b'x' * 5_000_000)\n"
        "    print('writing', flush=True)\n"
        "    time.sleep(60)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "a.bin")],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=Path(__file__).parents[3],
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip() == b"writing"
    assert len(names(tmp_path)) == 1
    time.sleep(0.05)  # let it get into sleep()
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) != 0
    process.stdout.close()
    assert names(tmp_path) == []


def test_a_read_only_file_system(tmp_path, small_disk):
    small_disk("ro")
    with (
        pytest.raises(InputError, match="read-only; choose another place"),
        output_file(tmp_path / "disk" / "a.bin"),
    ):
        pass


@pytest.mark.skipif(
    os.name == "nt" or os.geteuid() == 0, reason="root and Windows may write into such folders"
)
def test_a_read_only_folder(tmp_path):
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o555)
    with (
        pytest.raises(InputError, match="read-only; choose another place"),
        output_file(folder / "a.bin"),
    ):
        pass


@pytest.mark.parametrize("amount", [300_000, 3_000_000])
def test_a_full_disk(tmp_path, small_disk, amount):
    """Whether it shows while writing or only when the last bytes are flushed."""
    small_disk("size=128k")
    with (
        pytest.raises(InputError, match="the disk is full"),
        output_file(tmp_path / "disk" / "a.bin") as sink,
    ):
        sink.write(b"x" * amount)
    assert names(tmp_path / "disk") == []


@pytest.fixture
def small_disk(tmp_path):
    """Mounts a tmpfs with given options at tmp_path/disk."""
    folder = tmp_path / "disk"
    mounted = []

    def mount(options):
        if sys.platform != "linux" or os.geteuid() != 0:
            pytest.skip("mounting a small disk needs root on Linux")
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("this machine does not allow to mount a tmpfs")
        mounted.append(folder)

    yield mount
    for place in mounted:
        subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("name", ["x" * 300 + ".png", "a\0.png", "\ud800.png"])
def test_names_that_no_file_has(name, tmp_path):
    with pytest.raises(InputError, match="cannot write"), output_file(tmp_path / name):
        pass
    assert not list(tmp_path.iterdir())
