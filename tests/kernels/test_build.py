"""Building: where the library goes, what is said where it can't be built, what is not loaded."""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from swin2sr_core.kernels import __main__ as command
from swin2sr_core.kernels import build, library


@pytest.fixture
def fake_compiler(tmp_path, monkeypatch):
    """(script) -> CXX names an executable that runs it."""
    if os.name == "nt":
        pytest.skip("the fake compiler is a shell script")

    def make(script: str) -> None:
        path = tmp_path / "cxx"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("CXX", str(path))

    return make


@pytest.fixture
def places(tmp_path, monkeypatch):
    """The folders for libraries, all in the test's own."""
    made = tmp_path / "beside", tmp_path / "cache"
    monkeypatch.setattr(library, "folders", lambda: made)
    monkeypatch.setattr(build, "folders", lambda: made)
    library.loaded.cache_clear()
    yield made
    library.loaded.cache_clear()


def test_no_compiler_is_told_with_what_to_do(monkeypatch, capsys):
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(build.platform, "machine", lambda: "x86_64")
    assert command.main(["build"]) == 3
    said = capsys.readouterr().err
    assert "no C++ compiler" in said and "install g++" in said and "works without" in said


def test_a_broken_compiler_is_quoted(fake_compiler, monkeypatch, places):
    monkeypatch.setattr(build.platform, "machine", lambda: "x86_64")
    fake_compiler("echo segmentation fault in pass 7 >&2; exit 4")
    with pytest.raises(build.BuildError, match="compiles none of the kernels"):
        build.build()
    assert not any(each.exists() for each in places)


def test_another_kind_of_cpu_is_told(monkeypatch):
    monkeypatch.setattr(build.platform, "machine", lambda: "arm64")
    with pytest.raises(build.BuildError, match=r"no fused kernels for arm64, only for x86-64"):
        build.build()


def test_what_is_no_library_is_not_put_anywhere(fake_compiler, monkeypatch, places):
    """A compiler whose output can't be loaded here, as one for another computer."""
    monkeypatch.setattr(build.platform, "machine", lambda: "x86_64")
    fake_compiler('while [ "$1" != -o ]; do shift; done; echo nothing > "$2"')
    with pytest.raises((build.BuildError, OSError)):
        build.build()
    assert not any(each.exists() for each in places)


def test_a_read_only_place_leads_to_the_cache(built, places):
    beside, cache = places
    beside.write_text("a file where the folder should be: nothing can be put into it")
    assert build._placed(built.path, places) == cache / built.path.name
    assert library.find() == cache / library.file_name()
    assert library.loaded().kernels


def test_nowhere_to_write_is_told(built, places):
    for place in places:
        place.write_text("a file")
    with pytest.raises(build.BuildError, match="make one of them writable"):
        build._placed(built.path, places)


def test_a_damaged_library_is_not_used(places, caplog):
    places[0].mkdir()
    (places[0] / library.file_name()).write_bytes(b"\x7fELF damaged")
    assert library.loaded() is None
    assert "can't be loaded" in caplog.text


def test_a_library_of_other_sources_is_not_found(built, places, monkeypatch, tmp_path):
    places[0].mkdir()
    shutil.copy(built.path, places[0])
    assert library.find() is not None
    other = tmp_path / "native"
    shutil.copytree(library.SOURCES, other)
    (other / "maths.h").write_text("// another\n")
    monkeypatch.setattr(library, "SOURCES", other)
    library._source_hash.cache_clear()
    assert library.find() is None
    monkeypatch.undo()
    library._source_hash.cache_clear()


def test_a_library_for_another_cpu_is_not_found(built, places, monkeypatch):
    places[0].mkdir()
    shutil.copy(built.path, places[0])
    monkeypatch.setattr(library.platform, "machine", lambda: "riscv64")
    assert library.find() is None


def test_nothing_is_compiled_by_itself(tmp_path):
    """Neither at import nor in a run: a compiler that is called leaves a trace."""
    if os.name == "nt":
        pytest.skip("the fake compiler is a shell script")
    trace = tmp_path / "called"
    for name in ("g++", "clang++", "c++", "cc", "gcc"):
        (tmp_path / name).write_text(f"#!/bin/sh\ntouch {trace}\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    script = (
        "import torch, swin2sr_core as s2\n"
        "model = s2.load_model('compact-x4', 'fp32')\n"
        "print(s2.upscale(model, torch.rand(1, 3, 8, 8)).report.kernel)\n"
    )
    root = Path(library.__file__).resolve().parents[2]
    environment = os.environ | {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    environment |= {"PYTHONPATH": str(root), "SWIN2SR_KERNELS": "auto"}
    subprocess.run([sys.executable, "-c", script], env=environment, check=True)
    assert not trace.exists()
