"""What the command line remembers goes into a folder of each test's own."""

import pytest


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    """The folder of records and timings; processes that a test starts use it, too."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("SWIN2SR_CACHE_DIR", str(folder))
    return folder
