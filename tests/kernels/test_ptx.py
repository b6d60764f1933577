"""Triton's kernels compile for every kind of card, and take no more of it than it has."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("triton", minversion="3.2")

SCRIPT = Path(__file__).parents[1] / "support" / "compile_for_cards.py"
SHARED = 96 << 10
"""Bytes that every one of these cards has for a program."""
SPILLED = 128
"""Bytes of a thread: a few numbers that are needed again at the end, and none in the loops."""


@pytest.mark.parametrize("card", [80, 86, 89, 90])
def test_it_fits(card):
    made = subprocess.run(
        [sys.executable, str(SCRIPT), "classical", str(card)],
        env={**os.environ, "TRITON_INTERPRET": "0"},
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert made.returncode == 0, made.stderr
    rows = [json.loads(line) for line in made.stdout.splitlines()]
    assert {row["kernel"] for row in rows} == {
        "attention_core", "add_normalised", "attention_half", "mlp_half",
    }  # fmt: skip
    for row in rows:
        assert row["registers"] <= 255 and row["spilled"] <= SPILLED, row
        assert row["shared"] <= SHARED, row
        assert row["products"] or row["kernel"] == "add_normalised", row
