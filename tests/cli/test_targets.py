"""Where outputs go, and the folders that are made for them."""

from pathlib import Path

import pytest

from swin2sr_core.errors import InputError, OutputExistsError
from swin2sr_headless.cli.targets import (
    Naming,
    check_absent,
    check_distinct,
    folder_of,
    proposed_targets,
)


def plan_targets(sources, output, label, compare=False, overwrite=False, **naming):
    """What the command makes of the names that it is given."""
    targets = proposed_targets(sources, Naming(output, label, **naming), compare)
    check_distinct(targets)
    if not overwrite:
        check_absent([file for target in targets for file in target.files])
    return targets


def outputs(sources, output=None, **options):
    targets = plan_targets([Path(s) for s in sources], output, "_x4", **options)
    return [target.output.as_posix() for target in targets]


def test_beside_the_input_with_its_format():
    assert outputs(["d/a.jpg", "b.WEBP"]) == ["d/a_x4.jpg", "b_x4.WEBP"]


def test_a_format_that_is_not_written_becomes_png():
    assert outputs(["a.jfif", "b"]) == ["a_x4.png", "b_x4.png"]


def test_one_input_may_name_its_file():
    assert outputs(["a.png"], "large.jpg") == ["large.jpg"]


@pytest.mark.parametrize("sources", [["a.png"], ["a.png", "d/b.jpg"]])
def test_a_separator_or_an_existing_folder_means_a_folder(sources, tmp_path):
    names = ["a_x4.png", "b_x4.jpg"][: len(sources)]
    assert outputs(sources, "new/") == [f"new/{name}" for name in names]
    assert outputs(sources, str(tmp_path)) == [f"{tmp_path.as_posix()}/{name}" for name in names]


def test_several_inputs_make_it_a_folder():
    assert outputs(["a.png", "b.png"], "new") == ["new/a_x4.png", "new/b_x4.png"]
    assert outputs(["a.png"], "new", into_folder=True) == ["new/a_x4.png"]


def test_one_file_for_several_inputs_is_refused(tmp_path):
    (tmp_path / "notes").write_text("")
    for name in ("large.png", str(tmp_path / "notes")):
        with pytest.raises(InputError, match="names one file for what may be many"):
            outputs(["a.png", "b.png"], name)


def test_an_unknown_format_is_refused():
    with pytest.raises(InputError, match=r"cannot tell the format of large\.xyz"):
        outputs(["a.png"], "large.xyz")


def test_two_inputs_with_one_output_are_refused():
    with pytest.raises(InputError, match=r"c.a\.png and d.a\.png would both become"):
        outputs(["c/a.png", "d/a.png"], "out/")


def test_a_comparison_is_an_output_like_the_picture(tmp_path):
    (target,) = plan_targets([tmp_path / "a.jpg"], None, "_x2", compare=True)
    assert [path.name for path in target.files] == ["a_x2.jpg", "a_x2_compare.png"]
    (tmp_path / "a_x2_compare.png").write_bytes(b"")
    with pytest.raises(OutputExistsError, match=r"a_x2_compare\.png exists already"):
        plan_targets([tmp_path / "a.jpg"], None, "_x2", compare=True)
    assert plan_targets([tmp_path / "a.jpg"], None, "_x2", compare=True, overwrite=True)


def test_several_existing_outputs_are_counted(tmp_path):
    for name in ("a_x4.png", "c_x4.png"):
        (tmp_path / name).write_bytes(b"")
    sources = [str(tmp_path / f"{name}.png") for name in "abc"]
    with pytest.raises(OutputExistsError, match=r"2 of 3 outputs exist \(the first is .*a_x4\.png"):
        outputs(sources)


def test_new_folders_vanish_when_the_work_fails(tmp_path):
    (tmp_path / "old").mkdir()
    with pytest.raises(ValueError), folder_of(tmp_path / "old" / "new" / "er" / "a.png"):
        assert (tmp_path / "old" / "new" / "er").is_dir()
        raise ValueError
    assert list(tmp_path.rglob("*")) == [tmp_path / "old"]


def test_folders_with_something_in_them_stay(tmp_path):
    with pytest.raises(ValueError), folder_of(tmp_path / "new" / "a.png"):
        (tmp_path / "new" / "other.png").write_bytes(b"")
        raise ValueError
    assert (tmp_path / "new" / "other.png").is_file()


def test_a_file_in_place_of_the_folder_is_told(tmp_path):
    (tmp_path / "new").write_bytes(b"")
    with (
        pytest.raises(InputError, match="cannot make the output folder"),
        folder_of(tmp_path / "new" / "er" / "a.png"),
    ):
        pass
