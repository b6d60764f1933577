"""One running service for all tests that do it no harm, and pictures for it."""

import pytest
from http_service import encoded, noise, serving


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("spool")) as made:
        yield made


@pytest.fixture
def png():
    return encoded(noise(24, 16))
