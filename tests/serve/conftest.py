"""One running service for all tests that do it no harm, pictures for it, and its page."""

import base64

import pytest
import torch
from browser import opened_browser, quiet_pages
from http_service import encoded, noise, serving
from safetensors.torch import save_file

from swin2sr_core.network.network import Swin2SR

DROP = """([names, data]) => {
  const transfer = new DataTransfer()
  const bytes = Uint8Array.from(atob(data), (each) => each.charCodeAt(0))
  for (const name of names) transfer.items.add(new File([bytes], name, { type: 'image/png' }))
  const event = new DragEvent('drop', { dataTransfer: transfer, bubbles: true, cancelable: true })
  document.getElementById('drop').dispatchEvent(event)
}"""


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("spool")) as made:
        yield made


@pytest.fixture(scope="module")
def tiny(tmp_path_factory, tiny_configs):
    """A file of a small network with random weights, twice as large."""
    torch.manual_seed(0)
    network = Swin2SR(tiny_configs["direct-x2"])
    path = tmp_path_factory.mktemp("models") / "tiny.safetensors"
    save_file({k: v.contiguous() for k, v in network.state_dict().items()}, path)
    return str(path)


@pytest.fixture
def png():
    return encoded(noise(24, 16))


@pytest.fixture(scope="module")
def browser():
    with opened_browser() as browser:
        yield browser


@pytest.fixture
def open_page(browser):
    """(server, language, width) -> the page, which may neither complain nor call another host.

    Browsers log every answer of an error themselves: `refused` says that one is meant.
    """
    with quiet_pages(browser) as new_page:

        def open_(server, language="en", width=800, refused=False, path="/"):
            page = new_page(
                (server.address, f"blob:{server.address}"),
                lambda said: refused and said.startswith("Failed to load"),
                locale=language,
                viewport={"width": width, "height": 700},
                accept_downloads=True,
            )
            page.goto(server.address + path)
            return page

        yield open_


@pytest.fixture
def drop():
    """(page, bytes, *names): files of these names, all with the same bytes, on the page."""

    def drop_(page, data, *names):
        page.wait_for_selector("#model option", state="attached")
        page.evaluate(DROP, [list(names), base64.b64encode(data).decode()])

    return drop_


@pytest.fixture
def saved():
    """(page, button) -> the bytes of the file that it saves."""

    def saved_(page, button):
        with page.expect_download() as download:
            button.click()
        return download.value.path().read_bytes()

    return saved_
