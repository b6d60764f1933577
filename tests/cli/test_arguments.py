"""The command line's arguments: units, choices that are copies of the core's, help texts."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swin2sr_core import pictures as images
from swin2sr_core import units
from swin2sr_core.errors import InputError
from swin2sr_headless.cli import arguments
from swin2sr_headless.cli import upscale as upscale_command
from swin2sr_headless.cli.main import build_parser, main

COMMANDS = [
    *("upscale", "plan", "models", "models list", "models download", "models verify"),
    *("quantize", "dequantize", "bench"),
]


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("2GB", 2 << 30),
        ("1.5GiB", 3 << 29),
        ("800MB", 800 << 20),
        ("800 mb", 800 << 20),
        ("64k", 64 << 10),
        (".5T", 1 << 39),
        ("123456", 123456),
        ("7B", 7),
    ],
)
def test_amounts_of_memory(text, size):
    assert arguments.parse_bytes(text) == size


@given(st.integers(1, 1 << 45))
def test_a_budget_that_the_core_names_can_be_typed_and_is_enough(size):
    typed = arguments.parse_bytes(units.format_bytes(size, up=True))
    assert size <= typed <= size * 1.01 + 1


@pytest.mark.parametrize("text", ["", "GB", "2 parsecs", "-1GB", "0", "0.2", "1e9", "2GBB", "nan"])
def test_what_is_no_amount_of_memory_is_told(text, capsys):
    with pytest.raises(InputError, match=r"--max-memory must be .* write 2GB, 1\.5GiB, 800MB"):
        arguments.parse_bytes(text)
    assert main(["plan", "8x8", f"--max-memory={text}"]) == 2
    assert "swin2sr: error: --max-memory must be" in capsys.readouterr().err


def test_a_size_has_its_height_first():
    assert arguments.parse_size("1080x1920") == (1080, 1920)
    assert arguments.parse_size("8X9") == (8, 9)
    assert arguments.parse_size("photo.png") is None
    assert arguments.parse_size("8x9x10") is None


def test_the_copied_constants_equal_the_cores():
    assert upscale_command.MAX_PIXELS == images.MAX_PIXELS


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_is_complete_and_fits_a_terminal(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert main([*command.split(), "--help"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("usage: swin2sr") and not err
    assert max(map(len, out.splitlines())) < 90


def test_every_option_has_a_help_text():
    pending = [build_parser()]
    while pending:
        for action in pending.pop()._actions:
            if isinstance(action.choices, dict):
                pending += action.choices.values()
            else:
                assert action.help, action


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("", "the following arguments are required: COMMAND; see `swin2sr --help`"),
        ("enlarge a.png", "invalid choice: 'enlarge'"),
        ("upscale", "the following arguments are required: IN; see `swin2sr upscale --help`"),
        ("upscale a.png --precision fp7", "--precision: invalid choice: 'fp7'"),
        (
            "upscale a.png --scale big",
            "--scale: expected a number over 0 and at most 64, got 'big'",
        ),
        ("upscale a.png --bits 12", "--bits: invalid choice: 12"),
        ("upscale a.png --quality 101", "--quality: expected a whole number from 0 to 100"),
        ("upscale a.png --overwite", "unrecognized arguments: --overwite"),
        ("bench --size wide", "--size must be N or HEIGHTxWIDTH"),
        ("bench --size 0", "--size must be N or HEIGHTxWIDTH"),
        ("models", "the following arguments are required: ACTION"),
    ],
)
def test_mistyped_arguments_are_one_sentence_and_exit_2(line, sentence, capsys):
    assert main(line.split()) == 2
    out, err = capsys.readouterr()
    assert not out
    assert err.startswith("swin2sr: error: ") and err.count("\n") == 1
    assert sentence in err
    assert main([*line.split(), "--json"]) == 2
    document = json.loads(capsys.readouterr().out)
    assert document["status"] == "error" and sentence in document["error"]
    assert document["exit_code"] == 2


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("swin2sr 0.")
