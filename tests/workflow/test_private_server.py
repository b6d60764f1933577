"""A private server that cannot start: the words of the checkout are told, its folder is gone."""

import sys

import pytest

from swin2sr_headless.workflow.hosts import private_server
from swin2sr_headless.workflow.problems import HostError


@pytest.mark.parametrize(
    ("program", "sentence"),
    [("raise SystemExit('no module named x')", "no module named x"), ("", "its log is empty")],
)
def test_why_it_does_not_start(program, sentence, tmp_path, monkeypatch):
    monkeypatch.setenv(private_server.PYTHON, sys.executable)
    (tmp_path / "main.py").write_text(program)
    server = private_server.PrivateServer(tmp_path)
    try:
        with pytest.raises(HostError, match=f"does not start with .*: {sentence}; set"):
            server.wait()
    finally:
        server.close()
    assert not server.base.exists()


def test_a_folder_that_is_no_checkout(tmp_path):
    with pytest.raises(HostError, match=r"is no ComfyUI checkout: it has no main.py"):
        private_server.PrivateServer(tmp_path)
