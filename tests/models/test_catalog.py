"""The catalog: what is known, what is here, and what a user is told when it is not."""

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from swin2sr_core.errors import InputError, ModelNotFoundError
from swin2sr_core.machine.cache_folder import cache_folder
from swin2sr_core.models.catalog import (
    CATALOG,
    CatalogEntry,
    find_entry,
    list_models,
    locate,
    models_dir,
    resolve_model,
    verify,
)
from swin2sr_core.models.checksums import RECORD_NAME, record_sha256, recorded_sha256

ROOT = Path(__file__).resolve().parents[2]
OFFICIAL = {
    "classical-x2": "Swin2SR_ClassicalSR_X2_64.pth",
    "classical-x4": "Swin2SR_ClassicalSR_X4_64.pth",
    "realworld-x4": "Swin2SR_RealworldSR_X4_64_BSRGAN_PSNR.pth",
    "compressed-x4": "Swin2SR_CompressedSR_X4_48.pth",
    "lightweight-x2": "Swin2SR_Lightweight_X2_64.pth",
}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A models folder and a working folder of the test's own, neither of which exists yet."""
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    monkeypatch.setenv("SWIN2SR_MODELS_DIR", str(tmp_path / "models"))
    return tmp_path / "models"


def put(path: Path, content: bytes = b"weights") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_names_and_files_are_unique_and_fit_their_scale():
    assert len({e.name for e in CATALOG}) == len({e.file_name for e in CATALOG}) == len(CATALOG)
    upscalers = [e for e in CATALOG if e.kind == "upscaler"]
    assert {e.name for e in upscalers} == {"compact-x4", "compact-real-x4", *OFFICIAL}
    assert all(e.name.endswith(f"-x{e.scale}") for e in upscalers)


@pytest.mark.parametrize(("name", "file_name"), OFFICIAL.items())
def test_official_files_come_from_the_authors_release(name: str, file_name: str):
    entry = find_entry(name)
    release = "https://github.com/mv-lab/swin2sr/releases/download/v0.0.1/"
    assert (entry.file_name, entry.url) == (file_name, release + file_name)


@pytest.mark.parametrize("entry", CATALOG, ids=lambda e: e.name)
def test_sums_are_lower_case_sha256(entry: CatalogEntry):
    if entry.sha256 is not None:
        assert len(entry.sha256) == 64
        assert int(entry.sha256, 16) >= 0
        assert entry.sha256 == entry.sha256.lower()


@pytest.mark.parametrize("name", ["compact-x4", "compact-real-x4", "yunet"])
def test_the_bundled_file_is_the_one_in_the_catalog(name: str):
    entry = find_entry(name)
    path = resolve_model(name)
    content = path.read_bytes()
    assert path.parent == ROOT / "swin2sr_core" / "models" / "bundled"
    assert (len(content), hashlib.sha256(content).hexdigest()) == (entry.size, entry.sha256)
    assert verify(entry).status == "ok"


@pytest.mark.parametrize("name", ["compact-x4", "compact-real-x4"])
def test_the_bundled_file_has_its_card(name: str):
    card = resolve_model(name).with_suffix(".md").read_text(encoding="utf-8")
    assert card.startswith(f"# {name}\n")
    assert "Apache-2.0" in card


def test_the_bundled_detector_has_its_licence():
    path = resolve_model("yunet").with_suffix(".LICENSE.txt")
    text = path.read_text(encoding="utf-8")
    assert "MIT License" in text and "Copyright (c) 2020 Shiqi Yu" in text


@pytest.mark.parametrize(
    ("started", "command"),
    [("/usr/bin/swin2sr", "swin2sr"), ("/x/swin2sr_core/__main__.py", "python -m swin2sr_core")],
)
def test_commands_are_named_as_this_one_was_started(started, command, monkeypatch):
    monkeypatch.setattr("sys.argv", [started])
    with pytest.raises(ModelNotFoundError, match=f"run `{command} models download classical-x4`"):
        resolve_model("classical-x4")


@pytest.mark.parametrize("text", ["classical-x4", " Classical-X4 ", OFFICIAL["classical-x4"]])
def test_an_entry_is_found_by_name_in_any_case_and_by_file_name(text: str):
    assert find_entry(text).name == "classical-x4"


def test_a_mistyped_name_gets_suggestions():
    with pytest.raises(ModelNotFoundError, match=r"'clasical-x4'; did you mean classical-x4"):
        find_entry("clasical-x4")


@pytest.mark.parametrize("text", ["", "  ", "zzzz"])
def test_a_strange_name_gets_the_list(text: str):
    known = "known names: compact-x4, compact-real-x4, classical-x2"
    with pytest.raises(ModelNotFoundError, match=known):
        resolve_model(text)


def test_a_known_but_absent_model_says_how_to_get_it(home: Path):
    with pytest.raises(ModelNotFoundError) as caught:
        resolve_model("realworld-x4")
    text = str(caught.value)
    entry = find_entry("realworld-x4")
    assert "`swin2sr models download realworld-x4`" in text
    assert f"fetch {entry.url}" in text
    assert f"put {entry.file_name} into {home}" in text
    assert not home.exists()


def test_an_absent_model_names_the_callers_folder(tmp_path: Path):
    with pytest.raises(ModelNotFoundError, match=r"into .*upscale_models"):
        resolve_model("realworld-x4", folder=tmp_path / "upscale_models")


def test_an_existing_path_is_taken_as_it_is(tmp_path: Path):
    path = put(tmp_path / "elsewhere" / "mine.weights")
    assert resolve_model(path) == path
    assert resolve_model(str(path)) == path


def test_a_path_may_start_with_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    path = put(tmp_path / "mine.pth")
    assert resolve_model("~/mine.pth") == path


@pytest.mark.parametrize("text", ["nowhere.pth", "a/b", "a\\b", "x.safetensors", "x.BIN", "x.pt"])
def test_a_missing_path_is_no_such_file(text: str):
    with pytest.raises(ModelNotFoundError, match="no such file"):
        resolve_model(text)


def test_a_folder_is_no_model(tmp_path: Path):
    with pytest.raises(ModelNotFoundError, match="is a folder"):
        resolve_model(tmp_path)


def test_a_downloaded_file_is_found(home: Path):
    path = put(home / OFFICIAL["classical-x4"])
    assert resolve_model("classical-x4") == path
    assert resolve_model(OFFICIAL["classical-x4"]) == path


def test_a_name_beats_a_file_of_that_name_here_but_a_path_object_does_not():
    put(Path("compact-x4"), b"not a model")
    assert resolve_model("compact-x4").suffix == ".safetensors"
    assert resolve_model(Path("compact-x4")) == Path("compact-x4")


def test_a_converted_twin_stands_in_until_the_official_file_is_there(home: Path):
    twin = put(home / "Swin2SR_ClassicalSR_X4_64.safetensors")
    assert resolve_model("classical-x4") == twin
    official = put(home / OFFICIAL["classical-x4"])
    assert resolve_model("classical-x4") == official


def test_search_paths_come_after_the_folder(tmp_path: Path, home: Path):
    entry = find_entry("classical-x4")
    second = put(tmp_path / "b" / entry.file_name)
    assert locate(entry) is None
    assert locate(entry, None, [tmp_path / "a", tmp_path / "b"]) == second
    first = put(home / entry.file_name)
    assert locate(entry, None, [tmp_path / "b"]) == first


def test_a_bare_file_name_is_looked_for_in_the_folders(tmp_path: Path, home: Path):
    mine = put(tmp_path / "b" / "mine.pth")
    assert resolve_model("mine.pth", search_paths=[tmp_path / "b"]) == mine
    with pytest.raises(ModelNotFoundError, match=f"no such file.* nor in {home.name}|{home}"):
        resolve_model("mine.pth")


def test_the_list_shows_what_is_here(home: Path):
    put(home / OFFICIAL["classical-x2"], b"12345")
    rows = {row.entry.name: row for row in list_models()}
    assert list(rows) == [e.name for e in CATALOG]
    assert rows["classical-x2"].path == home / OFFICIAL["classical-x2"]
    assert rows["classical-x2"].bytes == 5
    assert rows["compact-x4"].bytes == find_entry("compact-x4").size
    assert (rows["realworld-x4"].path, rows["realworld-x4"].bytes) == (None, 0)


def test_the_list_can_be_of_one_kind():
    assert [row.entry.name for row in list_models(kind="face-detector")] == ["yunet"]


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, "ok"),
        ({"size": 8}, "damaged"),
        ({"sha256": "0" * 64}, "damaged"),
        ({"sha256": None}, "unknown-hash"),
        ({"sha256": None, "size": 8}, "damaged"),
        ({"size": None}, "ok"),
    ],
)
def test_verify_compares_size_and_sum(home: Path, changes: dict[str, object], status: str):
    sha256 = hashlib.sha256(b"weights").hexdigest()
    entry = replace(find_entry("classical-x2"), size=7, sha256=sha256)
    path = put(home / entry.file_name)
    result = verify(replace(entry, **changes))  # pyright: ignore[reportArgumentType]
    assert (result.status, result.path, result.size, result.sha256) == (status, path, 7, sha256)


def test_verify_compares_with_the_record_where_nothing_is_published(home: Path):
    entry = find_entry("lightweight-x2")
    path = put(home / entry.file_name)
    record_sha256(path, hashlib.sha256(b"weights").hexdigest())
    assert verify(entry).status == "ok"
    path.write_bytes(b"damaged")
    assert verify(entry).status == "damaged"


def test_verify_of_nothing_is_missing():
    assert verify(find_entry("classical-x4")).status == "missing"


def test_verify_does_not_hold_a_twin_against_the_official_sum(home: Path):
    put(home / "Swin2SR_ClassicalSR_X4_64.safetensors")
    assert verify(find_entry("classical-x4")).status == "unknown-hash"


def test_records_of_several_files_live_together(home: Path):
    a, b = put(home / "a"), put(home / "b")
    record_sha256(a, "1")
    record_sha256(b, "2")
    record_sha256(a, "3")
    assert (recorded_sha256(a), recorded_sha256(b), recorded_sha256(home / "c")) == ("3", "2", None)
    assert {p.name for p in home.iterdir()} - {f".{RECORD_NAME}.lock"} == {"a", "b", RECORD_NAME}


@pytest.mark.parametrize("content", ["{", "[]", '{"a": 1}'])
def test_a_damaged_record_is_named(home: Path, content: str):
    put(home / RECORD_NAME, content.encode())
    with pytest.raises(InputError, match=f"{RECORD_NAME}.*delete or repair"):
        recorded_sha256(home / "a")


def test_the_models_folder_is_the_one_in_the_environment(home: Path):
    assert models_dir() == home


@pytest.mark.parametrize(
    ("platform", "environment", "expected"),
    [
        ("linux", {}, "H/.cache/swin2sr"),
        ("linux", {"XDG_CACHE_HOME": "X"}, "X/swin2sr"),
        ("darwin", {"XDG_CACHE_HOME": "X"}, "H/Library/Caches/swin2sr"),
        ("win32", {"LOCALAPPDATA": "L"}, "L/swin2sr"),
        ("win32", {}, "H/AppData/Local/swin2sr"),
    ],
)
def test_each_platform_has_its_cache_folder(
    platform: str, environment: dict[str, str], expected: str
):
    assert cache_folder(platform, environment, Path("H")) == Path(expected)


def test_without_the_variable_it_is_below_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name in ("SWIN2SR_MODELS_DIR", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert models_dir().name == "swin2sr"
    assert models_dir().is_relative_to(tmp_path)
    assert not models_dir().exists()


def test_importing_opens_no_connection():
    # A package stub keeps the child from importing all of the core: these two files are enough.
    script = (
        "import sys, types\n"
        "def no_network(event, args):\n"
        "    if event.startswith('socket.') and event != 'socket.gethostname':\n"
        "        raise SystemExit(f'network at import: {event} {args}')\n"
        "sys.addaudithook(no_network)\n"
        "package = types.ModuleType('swin2sr_core')\n"
        f"package.__path__ = [{str(ROOT / 'swin2sr_core')!r}]\n"
        "sys.modules['swin2sr_core'] = package\n"
        "import swin2sr_core.models.catalog, swin2sr_core.models.download\n"
        "print('quiet')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=os.environ, check=False
    )
    assert (done.stdout.strip(), done.stderr) == ("quiet", "")


def test_a_published_sum_beats_what_was_recorded(home: Path):
    """A record is of what arrived once; where they differ, the file is not the published one."""
    sums = {each: hashlib.sha256(each).hexdigest() for each in (b"weights", b"changed")}
    entry = replace(find_entry("classical-x2"), size=7, sha256=sums[b"weights"])
    path = put(home / entry.file_name, b"changed")
    record_sha256(path, sums[b"changed"])
    assert verify(entry).status == "damaged"
    path.write_bytes(b"weights")
    assert verify(entry).status == "ok"


RECORD = """
import sys
from pathlib import Path
from swin2sr_core.models.checksums import record_sha256
for number in range(40):
    record_sha256(Path(sys.argv[1], f"{sys.argv[2]}-{number}"), "0" * 64)
"""


def test_two_processes_record_at_once(tmp_path: Path):
    """Each reads the record, adds to it and replaces it: nothing of the other's may be lost."""
    running = [
        subprocess.Popen(
            [sys.executable, "-c", RECORD, tmp_path, name],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        for name in "abc"
    ]
    assert [each.wait(60) for each in running] == [0, 0, 0]
    assert len(json.loads((tmp_path / RECORD_NAME).read_text())) == 3 * 40
