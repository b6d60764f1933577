from pathlib import Path

import pytest

from swin2sr_core.errors import InputError
from swin2sr_core.pictures.input_paths import expand_inputs


@pytest.fixture
def folder(tmp_path):
    for name in ("b.png", "a.JPG", "c.webp", "notes.txt", "sub/d.tif", "sub/deeper/e.gif"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(b"")
    (tmp_path / "empty").mkdir()
    (tmp_path / "folder.png").mkdir()
    return tmp_path


def names(folder, arguments):
    return [str(path.relative_to(folder).as_posix()) for path in expand_inputs(arguments)]


def test_a_folder_is_its_pictures_sorted_and_not_those_below(folder):
    assert names(folder, [folder]) == ["a.JPG", "b.png", "c.webp"]


def test_a_file_is_itself_whatever_its_name(folder):
    assert names(folder, [str(folder / "notes.txt")]) == ["notes.txt"]


def test_patterns(folder):
    assert names(folder, [f"{folder}/*"]) == ["a.JPG", "b.png", "c.webp"]
    assert names(folder, [f"{folder}/[bc].*"]) == ["b.png", "c.webp"]
    below = ["a.JPG", "b.png", "c.webp", "sub/d.tif", "sub/deeper/e.gif"]
    assert names(folder, [f"{folder}/**/*"]) == below


def test_a_relative_pattern(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert expand_inputs(["*.png", "sub"]) == [Path("b.png"), Path("sub/d.tif")]


def test_order_is_kept_and_nothing_comes_twice(folder):
    dotted = folder / "sub" / ".." / "b.png"
    arguments = [folder / "c.webp", folder, dotted, f"{folder}/*.png"]
    assert names(folder, arguments) == ["c.webp", "a.JPG", "b.png"]


def test_a_file_whose_name_looks_like_a_pattern(folder):
    (folder / "x[1].png").write_bytes(b"")
    assert names(folder, [folder / "x[1].png"]) == ["x[1].png"]


def test_the_home_folder(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("USERPROFILE", str(folder))
    assert names(folder, ["~/*.png"]) == ["b.png"]


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("nothing.png", "there is no file or folder"),
        ("empty", "has no pictures in it (.apng, .bmp,"),
        ("*.xyz", "matches no picture"),
        ("*.txt", "matches no picture"),
        ("no/where/*.png", "matches no picture"),
    ],
)
def test_what_is_not_there(folder, argument, words):
    with pytest.raises(InputError) as caught:
        expand_inputs([folder / argument])
    assert words in str(caught.value)
