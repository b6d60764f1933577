"""What reaches the terminal: texts, and no commands to it."""

import os

import numpy as np
import pytest
from PIL import Image

from swin2sr_headless.cli.output import Console

UGLY = "a\x1b]0;owned\x07\r\u202eb"


@pytest.mark.parametrize("say", [Console().show, Console().note, Console().error])
def test_what_moves_cursors_is_escaped(say, capsys):
    say(f"{UGLY}\n\tä")
    out, err = capsys.readouterr()
    assert (out + err).removeprefix("swin2sr: error: ") == ("a\\x1b]0;owned\\x07\\r\\u202eb\n\tä\n")


@pytest.mark.skipif(os.name == "nt", reason="no file has such a name there")
def test_names_of_files_are_no_commands(run, tmp_path):
    (tmp_path / "out").mkdir()
    path = tmp_path / f"{UGLY}.png"
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(path)
    code, out, err = run("upscale", path, "-o", tmp_path / "out")
    assert code == 0, err
    assert "owned" in out
    assert all(line.isprintable() for line in (out + err).splitlines())
