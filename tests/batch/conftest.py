"""Pictures for a batch, and where they go."""

import pytest
from batches import picture


@pytest.fixture
def folder(tmp_path):
    """Three pictures, one below, of two sizes and formats."""
    picture(tmp_path / "in" / "a.png", 1)
    picture(tmp_path / "in" / "b.jpg", 2, 16, 16)
    picture(tmp_path / "in" / "x" / "c.png", 3)
    return tmp_path / "in"


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"
