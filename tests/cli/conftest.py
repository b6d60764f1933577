"""How tests run the command line: in this process, on one thread, with a memory of its own."""

import pytest
import torch

from swin2sr_headless.cli.main import main


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    """The folder of records and timings; processes that a test starts use it, too."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("SWIN2SR_CACHE_DIR", str(folder))
    return folder


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def run(capsys):
    """Run a command line: (exit code, standard output, standard error)."""

    def run(*arguments):
        code = main([str(argument) for argument in arguments])
        return code, *capsys.readouterr()

    return run
