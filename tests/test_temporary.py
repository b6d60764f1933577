"""Temporary files tell their owner, follow no links, and go once their owner is gone."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from swin2sr_core import temporary
from swin2sr_core.models.checksums import RECORD_NAME, record_sha256
from swin2sr_core.models.lock import held
from swin2sr_core.models.partfile import PartFile
from swin2sr_core.pictures.files.output_file import output_file
from swin2sr_headless.workflow.journal import NAME, WORK, Journal

ROOT = Path(__file__).resolve().parents[1]

MAKE = """
import os, sys
from pathlib import Path
from swin2sr_core import temporary
path, descriptor = temporary.temporary_file(Path(sys.argv[1]))
os.write(descriptor, b"half of it")
inside = temporary.temporary_folder()
Path(inside.name, "a").write_text("b")
print(path, inside.name, sep="\\n", flush=True)
sys.stdin.read()
os._exit(9)  # as a kill does: nothing is tidied up
"""


@pytest.fixture(autouse=True)
def nothing_swept(monkeypatch):
    monkeypatch.setattr(temporary, "_swept", set())


@pytest.fixture
def system_folder(tmp_path, monkeypatch):
    """The system's folder for temporary files, of this test and its processes."""
    folder = tmp_path / "system"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


@pytest.fixture
def started(tmp_path, system_folder):
    """A process that has made a file and a folder: (process, file, folder)."""
    process = subprocess.Popen(
        [sys.executable, "-c", MAKE, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        text=True,
    )
    made = [Path(process.stdout.readline().strip()) for _ in range(2)]
    yield process, *made
    process.kill()
    process.communicate()


def sweep(*folders):
    temporary._swept.clear()
    for folder in folders:
        temporary.sweep(folder)


def test_what_a_killed_process_left_is_swept_and_what_a_living_one_has_is_not(
    started, tmp_path, system_folder
):
    process, file, folder = started
    sweep(tmp_path, system_folder)
    assert file.read_bytes() == b"half of it"
    assert (folder / "a").exists()
    process.kill()
    process.wait()
    sweep(tmp_path, system_folder)
    assert not file.exists()
    assert not folder.exists()


def test_the_next_output_in_that_place_sweeps(started, tmp_path):
    process, file, _ = started
    process.kill()
    process.wait()
    with output_file(tmp_path / "x.png") as sink:
        sink.write(b"x")
    assert not file.exists()
    assert (tmp_path / "x.png").read_bytes() == b"x"


def test_a_process_of_the_same_number_is_another(started, tmp_path):
    """Numbers come again: here a living process has the one of a name with another start."""
    process, file, _ = started
    machine, number, birth = file.name.split("-")[1:4]
    reborn = file.with_name(file.name.replace(birth, f"{int(birth, 16) ^ 1:08x}"))
    file.rename(reborn)
    assert int(number) == process.pid
    sweep(tmp_path)
    assert not reborn.exists()
    assert machine == temporary._machine()


def test_another_machine_is_left_alone_for_a_week(tmp_path):
    names = [f".swin2sr-0123abcd-1-0123abcd-{each}.tmp" for each in ("young", "old")]
    for name in names:
        (tmp_path / name).touch()
    old = time.time() - 8 * 24 * 3600
    os.utime(tmp_path / names[1], (old, old))
    sweep(tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == names[:1]


@pytest.mark.parametrize(
    "name",
    ["photo.tmp", ".swin2sr-x.tmp", "swin2sr-work", ".swin2sr-work", "swin2sr-journal.jsonl"],
)
def test_other_files_are_never_swept(name, tmp_path):
    (tmp_path / name).touch()
    os.utime(tmp_path / name, (0, 0))
    sweep(tmp_path)
    assert (tmp_path / name).exists()


def test_a_folder_that_is_a_link_loses_the_link_alone(started, tmp_path):
    process, file, _ = started
    process.kill()
    process.wait()
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "photo").touch()
    file.unlink()
    file.symlink_to(kept)
    sweep(tmp_path)
    assert not file.is_symlink()
    assert (kept / "photo").exists()


@pytest.mark.parametrize("how", [temporary._birth, temporary._birth_by_ps])
def test_when_a_process_started_is_told_for_living_ones_alone(how, started):
    process, *_ = started
    birth = how(process.pid)
    if birth == temporary._UNKNOWN:
        pytest.skip("there is no ps here")
    assert birth == how(process.pid)
    assert len(birth) == 8
    process.kill()
    process.communicate()
    assert how(process.pid) is None


def test_names_differ_each_time(tmp_path):
    made = [temporary.temporary_file(tmp_path) for _ in range(20)]
    for _, descriptor in made:
        os.close(descriptor)
    assert len({path for path, _ in made}) == 20
    assert all(path.name.startswith(".swin2sr-") for path, _ in made)


def test_what_is_replaced_is_whole_or_as_it_was(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError), temporary.replacing(path) as file:
        file.write(b"half")
        raise RuntimeError
    assert path.read_bytes() == b"old"
    with temporary.replacing(path) as file:
        file.write(b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def _record(folder):
    record_sha256(folder / "m.pth", "0" * 64)


def _part(folder):
    part = PartFile(folder / "m.pth", "http://x/m.pth")
    assert part.size() == 0
    part.begin({"etag": '"1"'}, 5)
    with part.open() as file:
        file.write(b"hello")


def _continued(folder):
    with PartFile(folder / "m.pth", "http://x/m.pth").open() as file:
        file.write(b"hello")


def _journal(folder):
    Journal(folder, "digest").close()


def _lock(folder):
    with held(folder / ".m.pth.lock", lambda: None):
        pass


def _output(folder):
    with output_file(folder / "m.pth", overwrite=True) as sink:
        sink.write(b"x")


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
@pytest.mark.parametrize(
    ("link", "write"),
    [
        ("m.pth.part", _part),
        ("m.pth.part", _continued),
        ("m.pth.part.json", _part),
        (RECORD_NAME, _record),
        (f".{RECORD_NAME}.lock", _record),
        (".m.pth.lock", _lock),
        ("m.pth", _output),
        (NAME, _journal),
        (WORK, _journal),
    ],
)
def test_links_in_the_way_do_not_change_what_they_lead_to(link, write, tmp_path):
    """Whoever may write into a folder of models must not reach files elsewhere by a link."""
    victim = tmp_path / "victim"
    folder = tmp_path / "models"
    folder.mkdir()
    if link == WORK:
        victim.mkdir()
        (victim / "content").write_text("{}")
    else:
        victim.write_text("{}")
    (folder / link).symlink_to(victim)
    write(folder)
    assert (victim / "content" if link == WORK else victim).read_text() == "{}"
    assert not (folder / link).is_symlink(), "what is written there later would follow it"
