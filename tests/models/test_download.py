"""Downloads from a real HTTP server on localhost that misbehaves in every way a network can."""

import errno
import hashlib
import http.server
import json
import os
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from swin2sr_core.errors import DownloadError, Interrupted
from swin2sr_core.models.catalog import CatalogEntry, find_entry, resolve_model, verify
from swin2sr_core.models.checksums import RECORD_NAME, record_sha256
from swin2sr_core.models.download import download
from swin2sr_core.models.lock import held

ROOT = Path(__file__).resolve().parents[2]
FILE = "weights.pth"
CONTENT = bytes(range(256)) * 4096  # 1 MiB
OTHER = CONTENT[::-1]


@dataclass
class Server:
    """What the server does; `requests` is what it saw: (method, path, headers)."""

    content: bytes = CONTENT
    etag: str | None = '"v1"'
    last_modified: str | None = None
    ranges: bool = True
    shift: int = 0  # how far beside the asked-for start it begins
    status: int = 200
    claims: int | None = None  # a Content-Length of its own, in place of the real one
    length_header: bool = True
    content_type: str = "application/octet-stream"
    redirect: str | None = None
    cuts: list[int] = field(default_factory=list)  # bytes sent before each next reply breaks off
    statuses: list[int] = field(default_factory=list)  # of the next replies; 0: no reply at all
    released: threading.Event | None = None  # silent until then
    silent_after: int | None = None  # bytes sent before falling silent until `released`
    chunk: int = 1 << 16
    pause: float = 0.0
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)  # bytes of the body, by request
    url: str = ""

    def ranges_asked(self) -> list[str | None]:
        return [headers.get("range") for _, _, headers in self.requests]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    does: Server

    def do_GET(self) -> None:
        does = self.does
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.number = len(does.requests)
        does.requests.append((self.command, self.path, headers))
        does.sent.append(0)
        if does.redirect and self.path.endswith("/old"):
            return self.answer(302, {"Location": does.redirect, "Content-Length": "0"})
        status = does.statuses.pop(0) if does.statuses else does.status
        if status == 0:
            self.close_connection = True
            return None
        if status != 200:
            return self.answer(status, {"Content-Length": "0"})
        if does.released and does.silent_after is None:
            does.released.wait(30)
        return self.send_content(headers)

    def do_CONNECT(self) -> None:
        self.does.requests.append((self.command, self.path, {}))
        self.answer(502, {"Content-Length": "0"})

    def answer(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def send_content(self, asked: dict[str, str]) -> None:
        does, size = self.does, len(self.does.content)
        start = self.start_of(asked)
        headers = {"Content-Type": does.content_type}
        if does.etag:
            headers["ETag"] = does.etag
        if does.last_modified:
            headers["Last-Modified"] = does.last_modified
        if start >= size:
            return self.answer(416, {"Content-Range": f"bytes */{size}", "Content-Length": "0"})
        body = does.content[start:]
        if start:
            headers["Content-Range"] = f"bytes {start}-{size - 1}/{size}"
        if does.length_header:
            headers["Content-Length"] = str(len(body) if does.claims is None else does.claims)
        else:
            self.close_connection = True
        self.answer(206 if start else 200, headers)
        return self.send_body(body)

    def start_of(self, asked: dict[str, str]) -> int:
        does = self.does
        current = asked.get("if-range") in (None, does.etag, does.last_modified)
        if not does.ranges or not current or "range" not in asked:
            return 0
        return int(asked["range"].removeprefix("bytes=").removesuffix("-")) + does.shift

    def send_body(self, body: bytes) -> None:
        does = self.does
        cut = does.cuts.pop(0) if does.cuts else None
        end = len(body) if cut is None else cut
        for at in range(0, end, does.chunk):
            if does.silent_after is not None and does.released and at >= does.silent_after:
                does.released.wait(30)
            piece = body[at : min(at + does.chunk, end)]
            try:
                self.wfile.write(piece)
            except ConnectionError:  # a client that was told to stop
                self.close_connection = True
                return
            does.sent[self.number] += len(piece)
            time.sleep(does.pause)
        if cut is not None or does.claims is not None:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """The server keeps quiet: its requests are on record."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    does = Server()
    handler = type("BoundHandler", (Handler,), {"does": does})
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    running.daemon_threads = True
    does.url = f"http://127.0.0.1:{running.server_address[1]}"
    # A short poll, or each test would wait half a second for its server to end.
    thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield does
    if does.released:
        does.released.set()
    running.shutdown()
    running.server_close()


@pytest.fixture
def entry(server: Server) -> CatalogEntry:
    return CatalogEntry(
        name="weights-x4",
        file_name=FILE,
        url=f"{server.url}/{FILE}",
        size=len(CONTENT),
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        licence="CC0-1.0",
        purpose="tests",
        scale=4,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "not" / "there" / "yet"


def get(entry: CatalogEntry, folder: Path, **options: object) -> Path:
    """A download without pauses between attempts."""
    return download(entry, folder, **{"backoff": 0.0, "timeout": 5.0, **options})  # pyright: ignore[reportArgumentType]


def visible(folder: Path) -> set[str]:
    """The folder's files but the empty locks, which stay on some systems."""
    return {p.name for p in folder.iterdir() if not p.name.endswith(".lock")}


def interrupt(entry: CatalogEntry, folder: Path, at: int = 200_000) -> None:
    """Stops a download in the middle, when `at` bytes have arrived."""
    arrived = [0]

    def progress(done: int, _total: int) -> None:
        arrived[0] = done

    with pytest.raises(Interrupted, match="weights-x4 stopped"):
        get(entry, folder, progress=progress, should_stop=lambda: arrived[0] >= at)
    assert visible(folder) == {FILE + ".part", FILE + ".part.json"}
    assert at <= (folder / (FILE + ".part")).stat().st_size < len(CONTENT)


def test_a_whole_file_arrives_under_its_name(server: Server, entry: CatalogEntry, folder: Path):
    assert get(entry, folder) == folder / FILE
    assert (folder / FILE).read_bytes() == CONTENT
    assert visible(folder) == {FILE}
    assert "swin2sr" in server.requests[0][2]["user-agent"]


def test_progress_runs_from_nothing_to_all(entry: CatalogEntry, folder: Path):
    seen: list[tuple[int, int]] = []
    get(entry, folder, progress=lambda done, total: seen.append((done, total)))
    done = [d for d, _ in seen]
    assert done == sorted(done)
    assert (done[0], done[-1], len(done) > 2) == (0, len(CONTENT), True)
    assert {total for _, total in seen} == {len(CONTENT)}


def test_a_file_that_is_there_is_not_fetched_again(
    server: Server, entry: CatalogEntry, folder: Path
):
    get(entry, folder)
    seen: list[tuple[int, int]] = []
    assert get(entry, folder, progress=lambda *p: seen.append(p)) == folder / FILE
    assert len(server.requests) == 1
    assert seen == [(len(CONTENT), len(CONTENT))]


@pytest.mark.parametrize("damage", [b"short", OTHER], ids=["size", "bytes"])
def test_a_damaged_file_is_fetched_again(entry: CatalogEntry, folder: Path, damage: bytes):
    folder.mkdir(parents=True)
    (folder / FILE).write_bytes(damage)
    get(entry, folder)
    assert (folder / FILE).read_bytes() == CONTENT


def test_cut_connections_go_on_where_they_broke(server: Server, entry: CatalogEntry, folder: Path):
    server.cuts = [300_000, 100_000, 0, 500_000]
    get(entry, folder)
    assert (folder / FILE).read_bytes() == CONTENT
    assert server.ranges_asked() == [
        None,
        "bytes=300000-",
        "bytes=400000-",
        "bytes=400000-",
        "bytes=900000-",
    ]
    assert sum(server.sent) == len(CONTENT)


def test_a_server_that_always_cuts_is_given_up(server: Server, entry: CatalogEntry, folder: Path):
    server.cuts = [1000] + [0] * 50
    with pytest.raises(DownloadError) as caught:
        get(entry, folder, retries=3)
    assert len(server.requests) == 4
    text = str(caught.value)
    assert "broke off" in text
    assert "1,000 bytes are kept" in text
    assert f"put {FILE} into {folder}" in text
    assert visible(folder) == {FILE + ".part", FILE + ".part.json"}


def test_a_server_that_always_cuts_and_starts_at_zero_is_given_up(
    server: Server, entry: CatalogEntry, folder: Path
):
    server.cuts, server.ranges = [1000] * 50, False
    with pytest.raises(DownloadError, match="broke off"):
        get(entry, folder, retries=3)
    assert len(server.requests) == 4


def test_a_stopped_download_goes_on_later(server: Server, entry: CatalogEntry, folder: Path):
    server.pause = 0.005
    interrupt(entry, folder)
    arrived = (folder / (FILE + ".part")).stat().st_size
    server.pause = 0.0
    seen: list[int] = []
    get(entry, folder, progress=lambda done, _total: seen.append(done))
    assert (folder / FILE).read_bytes() == CONTENT
    assert server.requests[-1][2]["range"] == f"bytes={arrived}-"
    assert server.requests[-1][2]["if-range"] == '"v1"'
    assert (server.sent[-1], seen[0]) == (len(CONTENT) - arrived, arrived)
    assert visible(folder) == {FILE}


def test_the_date_of_change_serves_where_there_is_no_strong_etag(
    server: Server, entry: CatalogEntry, folder: Path
):
    server.etag, server.last_modified = 'W/"v1"', "Sat, 01 Oct 2022 10:00:00 GMT"
    server.cuts = [300_000]
    get(entry, folder)
    assert server.requests[-1][2]["if-range"] == server.last_modified
    assert sum(server.sent) == len(CONTENT)


def test_without_any_version_it_starts_again(server: Server, entry: CatalogEntry, folder: Path):
    server.etag = None
    server.cuts = [300_000]
    get(entry, folder)
    assert server.ranges_asked() == [None, None]
    assert (folder / FILE).read_bytes() == CONTENT


def test_a_server_that_ignores_range_starts_again(
    server: Server, entry: CatalogEntry, folder: Path
):
    server.cuts, server.ranges = [300_000], False
    get(entry, folder)
    assert server.ranges_asked() == [None, "bytes=300000-"]
    assert (folder / FILE).read_bytes() == CONTENT


def test_a_file_that_changed_meanwhile_starts_again(
    server: Server, entry: CatalogEntry, folder: Path
):
    server.pause = 0.005
    interrupt(entry, folder)
    server.content, server.etag, server.pause = OTHER, '"v2"', 0.0
    get(replace(entry, sha256=hashlib.sha256(OTHER).hexdigest()), folder)
    assert (folder / FILE).read_bytes() == OTHER


def test_a_part_from_another_address_is_not_mixed_in(
    server: Server, entry: CatalogEntry, folder: Path
):
    server.pause = 0.005
    interrupt(entry, folder)
    server.pause = 0.0
    get(replace(entry, url=f"{server.url}/mirror/{FILE}"), folder)
    assert server.ranges_asked()[-1] is None
    assert (folder / FILE).read_bytes() == CONTENT


@pytest.mark.parametrize("note", ["", "{", "[]", "{}", None])
def test_a_part_without_a_sound_note_is_not_trusted(
    server: Server, entry: CatalogEntry, folder: Path, note: str | None
):
    folder.mkdir(parents=True)
    (folder / (FILE + ".part")).write_bytes(OTHER[:5000])
    if note is not None:
        (folder / (FILE + ".part.json")).write_text(note)
    get(entry, folder)
    assert (folder / FILE).read_bytes() == CONTENT


def part_of(entry: CatalogEntry, folder: Path, content: bytes, total: int = len(CONTENT)) -> None:
    folder.mkdir(parents=True)
    (folder / (FILE + ".part")).write_bytes(content)
    note = {"url": entry.url, "validator": '"v1"', "total": total}
    (folder / (FILE + ".part.json")).write_text(json.dumps(note))


def test_a_part_that_is_whole_is_only_checked(server: Server, entry: CatalogEntry, folder: Path):
    part_of(entry, folder, CONTENT)
    get(entry, folder)
    assert (folder / FILE).read_bytes() == CONTENT
    assert server.sent == [0]


def test_a_part_longer_than_the_file_starts_again(
    server: Server, entry: CatalogEntry, folder: Path
):
    part_of(entry, folder, CONTENT + b"more")
    get(entry, folder)
    assert (folder / FILE).read_bytes() == CONTENT


def test_a_part_of_a_file_of_another_length_starts_again(entry: CatalogEntry, folder: Path):
    part_of(entry, folder, OTHER[:5000], total=len(CONTENT) + 10)
    get(entry, folder)
    assert (folder / FILE).read_bytes() == CONTENT


def test_a_rest_that_begins_elsewhere_is_not_joined(
    server: Server, entry: CatalogEntry, folder: Path
):
    server.cuts, server.shift = [300_000], -7
    get(entry, folder)
    assert (folder / FILE).read_bytes() == CONTENT


def test_a_part_that_went_bad_is_removed(entry: CatalogEntry, folder: Path):
    part_of(entry, folder, b"bad" + CONTENT[3:9000])
    with pytest.raises(DownloadError, match="sha256"):
        get(entry, folder)
    assert visible(folder) == set()
    get(entry, folder)
    assert (folder / FILE).read_bytes() == CONTENT


def test_a_wrong_length_is_refused_at_once(server: Server, entry: CatalogEntry, folder: Path):
    seen: list[tuple[int, int]] = []
    with pytest.raises(DownloadError, match=r"holds 1,048,576 bytes, expected 1,048,575"):
        get(replace(entry, size=len(CONTENT) - 1), folder, progress=lambda *p: seen.append(p))
    assert (visible(folder), seen) == (set(), [])
    assert len(server.requests) == 1


def test_a_wrong_length_that_shows_at_the_end_is_refused(
    server: Server, entry: CatalogEntry, folder: Path
):
    server.length_header = False
    with pytest.raises(DownloadError, match=r"holds 1,048,576 bytes, expected 1,048,575"):
        get(replace(entry, size=len(CONTENT) - 1, sha256=None), folder)
    assert visible(folder) == set()


def test_a_body_shorter_than_its_length_is_never_taken(
    server: Server, entry: CatalogEntry, folder: Path
):
    server.claims = len(CONTENT) + 10
    with pytest.raises(DownloadError, match="broke off"):
        get(replace(entry, size=None, sha256=None), folder, retries=1)
    assert not (folder / FILE).exists()


def test_a_wrong_hash_is_refused_and_deleted(entry: CatalogEntry, folder: Path):
    with pytest.raises(DownloadError) as caught:
        get(replace(entry, sha256="0" * 64), folder)
    assert f"sha256 {entry.sha256}, but the catalog expects {'0' * 64}" in str(caught.value)
    assert visible(folder) == set()


def test_a_wrong_hash_leaves_the_old_file(entry: CatalogEntry, folder: Path):
    folder.mkdir(parents=True)
    (folder / FILE).write_bytes(b"old")
    with pytest.raises(DownloadError):
        get(replace(entry, sha256="0" * 64), folder)
    assert (folder / FILE).read_bytes() == b"old"


def test_404_says_so_and_what_to_do(server: Server, entry: CatalogEntry, folder: Path):
    server.status = 404
    with pytest.raises(DownloadError, match=r"no such file any more \(404\): http") as caught:
        get(entry, folder)
    assert f"put it into {folder}" in str(caught.value)
    assert (len(server.requests), visible(folder)) == (1, set())


def test_a_refusal_is_passed_on(server: Server, entry: CatalogEntry, folder: Path):
    server.status = 403
    with pytest.raises(DownloadError, match="answered 403 Forbidden"):
        get(entry, folder)
    assert len(server.requests) == 1


def test_a_busy_server_is_asked_again(server: Server, entry: CatalogEntry, folder: Path):
    server.statuses = [503, 429, 200]
    get(entry, folder)
    assert len(server.requests) == 3


def test_a_connection_closed_without_a_reply_is_tried_again(
    server: Server, entry: CatalogEntry, folder: Path
):
    server.statuses = [0, 200]
    get(entry, folder)
    assert len(server.requests) == 2


def test_a_server_that_stays_busy_is_given_up(server: Server, entry: CatalogEntry, folder: Path):
    server.status = 503
    with pytest.raises(DownloadError, match="503 Service Unavailable"):
        get(entry, folder, retries=2)
    assert len(server.requests) == 3


def test_redirects_are_followed_also_when_resuming(
    server: Server, entry: CatalogEntry, folder: Path
):
    server.redirect = f"{server.url}/{FILE}"
    server.cuts = [300_000]
    get(replace(entry, url=f"{server.url}/old"), folder)
    assert (folder / FILE).read_bytes() == CONTENT
    assert [path for _, path, _ in server.requests] == ["/old", f"/{FILE}"] * 2
    assert server.requests[-1][2]["range"] == "bytes=300000-"


@pytest.mark.parametrize("target", ["ftp://127.0.0.1/weights.pth", "file:///etc/hostname"])
def test_redirects_away_from_http_are_refused(
    server: Server, entry: CatalogEntry, folder: Path, target: str
):
    server.redirect = target
    with pytest.raises(DownloadError, match="which is not followed: only http"):
        get(replace(entry, url=f"{server.url}/old"), folder)
    assert visible(folder) == set()


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://127.0.0.1/w", "data:,x"])
def test_only_http_addresses_are_opened(entry: CatalogEntry, folder: Path, url: str):
    with pytest.raises(DownloadError, match="expected http: or https:"):
        get(replace(entry, url=url), folder)
    assert not folder.exists()


def test_a_web_page_is_not_a_model(server: Server, entry: CatalogEntry, folder: Path):
    server.content_type = "text/html; charset=utf-8"
    with pytest.raises(DownloadError, match="web page"):
        get(replace(entry, sha256=None, size=None), folder)
    assert visible(folder) == set()


def test_offline_says_at_once_which_file_to_put_where(
    entry: CatalogEntry, folder: Path, caplog: pytest.LogCaptureFixture
):
    caplog.set_level("INFO")
    with socket.socket() as unused:  # bound and not listening: connections are refused
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/{FILE}"
        with pytest.raises(DownloadError) as caught:
            get(replace(entry, url=url), folder)
    text = str(caught.value)
    assert "could not be made" in text
    assert f"fetch {url} in any other way and put {FILE} into {folder}" in text
    assert "trying again" not in caplog.text


def test_a_silent_server_times_out(server: Server, entry: CatalogEntry, folder: Path):
    server.released = threading.Event()
    with pytest.raises(DownloadError, match=r"silent for 0\.1 s"):
        get(entry, folder, timeout=0.1, retries=1)
    assert len(server.requests) == 2


def test_a_server_silent_in_the_middle_times_out_and_goes_on(
    server: Server, entry: CatalogEntry, folder: Path
):
    server.released, server.silent_after = threading.Event(), 1 << 18
    seen: list[int] = []

    def progress(done: int, _total: int) -> None:
        seen.append(done)
        if len(server.requests) == 2 and server.released:
            server.released.set()

    get(entry, folder, timeout=0.2, progress=progress)
    assert (folder / FILE).read_bytes() == CONTENT
    assert server.ranges_asked() == [None, f"bytes={1 << 18}-"]


@pytest.mark.parametrize("silent_after", [None, 1 << 18], ids=["before", "amid"])
def test_should_stop_is_asked_while_the_server_is_silent(
    server: Server, entry: CatalogEntry, folder: Path, silent_after: int | None
):
    server.released, server.silent_after = threading.Event(), silent_after
    arrived, asked = [0], [0]

    def should_stop() -> bool:
        # The first question of the silence comes with the last chunk, the second within it.
        asked[0] += len(server.requests) == 1 and arrived[0] == (silent_after or 0)
        return asked[0] >= 3

    def progress(done: int, _total: int) -> None:
        arrived[0] = done

    with pytest.raises(Interrupted):  # not asked, it would be DownloadError after the timeout
        get(entry, folder, progress=progress, should_stop=should_stop, timeout=10.0, retries=0)


def test_should_stop_is_asked_between_attempts(server: Server, entry: CatalogEntry, folder: Path):
    server.status = 503
    with pytest.raises(Interrupted):
        get(entry, folder, backoff=3600.0, should_stop=lambda: len(server.requests) > 0)


def test_an_unpublished_hash_is_recorded_and_said(
    entry: CatalogEntry, folder: Path, caplog: pytest.LogCaptureFixture
):
    unknown = replace(entry, size=None, sha256=None)
    get(unknown, folder)
    record = json.loads((folder / RECORD_NAME).read_text())
    assert record == {FILE: entry.sha256}
    assert "recorded the one that arrived" in caplog.text
    assert str(entry.sha256) in caplog.text
    assert verify(unknown, folder).status == "ok"
    (folder / FILE).write_bytes(OTHER)
    assert verify(unknown, folder).status == "damaged"


def test_a_recorded_hash_binds_later_downloads(server: Server, entry: CatalogEntry, folder: Path):
    unknown = replace(entry, size=None, sha256=None)
    get(unknown, folder)
    (folder / FILE).unlink()
    server.content, server.etag = OTHER, '"v2"'
    with pytest.raises(DownloadError, match=f"{RECORD_NAME} expects {entry.sha256}"):
        get(unknown, folder)
    assert visible(folder) == {RECORD_NAME}


def test_an_unmarked_end_is_refused_where_nothing_else_could_tell(
    server: Server, entry: CatalogEntry, folder: Path
):
    server.length_header = False
    with pytest.raises(DownloadError, match="does not say how long"):
        get(replace(entry, size=None, sha256=None), folder)
    get(replace(entry, size=None), folder)
    assert (folder / FILE).read_bytes() == CONTENT


def test_a_file_larger_than_the_disk_is_refused_before_it_comes(
    server: Server, entry: CatalogEntry, folder: Path
):
    server.claims = 1 << 60
    with pytest.raises(DownloadError, match=r"disk full: .* needs 1,152,921,504,606,846,976 more"):
        get(replace(entry, size=None), folder)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, the always full disk")
def test_a_disk_that_fills_up_is_named(entry: CatalogEntry, folder: Path):
    folder.mkdir(parents=True)
    try:
        os.mknod(folder / (FILE + ".part"), 0o666 | stat.S_IFCHR, Path("/dev/full").stat().st_rdev)
    except PermissionError:
        pytest.skip("needs the right to make a device that is always full")
    with pytest.raises(DownloadError, match=f"disk full: {FILE} does not fit into"):
        get(entry, folder)


def test_a_folder_that_is_a_file_is_named(entry: CatalogEntry, tmp_path: Path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(DownloadError, match="cannot be written into"):
        get(entry, tmp_path / "file")


def test_the_default_folder_is_the_models_folder(
    entry: CatalogEntry, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SWIN2SR_MODELS_DIR", str(folder))
    assert download(entry) == folder / FILE


def test_the_bundled_model_needs_no_network():
    assert download(find_entry("compact-x4")) == resolve_model("compact-x4")


def test_http_proxy_is_honoured(
    server: Server, entry: CatalogEntry, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("http_proxy", server.url)
    url = f"http://models.invalid/{FILE}"
    get(replace(entry, url=url), folder)
    assert server.requests[0][:2] == ("GET", url)
    assert (folder / FILE).read_bytes() == CONTENT


def test_https_proxy_is_honoured(
    server: Server, entry: CatalogEntry, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("https_proxy", server.url)
    with pytest.raises(DownloadError, match="502"):
        get(replace(entry, url=f"https://models.invalid/{FILE}"), folder)
    assert server.requests == [("CONNECT", "models.invalid:443", {})]


CHILD = f"""
import sys, types
from pathlib import Path
package = types.ModuleType("swin2sr_core")  # a stub: these files are enough
package.__path__ = [{str(ROOT / "swin2sr_core")!r}]
sys.modules["swin2sr_core"] = package
from swin2sr_core.models.catalog import CatalogEntry
from swin2sr_core.models.download import download
url, folder, sha256 = sys.argv[1:]
entry = CatalogEntry("weights-x4", {FILE!r}, url, None, sha256 or None, "CC0-1.0", "tests", 4)
print(download(entry, Path(folder)))
"""


@pytest.mark.parametrize("published", [True, False])
def test_two_processes_share_one_download(
    server: Server, entry: CatalogEntry, folder: Path, published: bool
):
    server.pause = 0.02
    arguments = [str(entry.url), str(folder), entry.sha256 if published else ""]
    children = [
        subprocess.Popen(
            [sys.executable, "-c", CHILD, *map(str, arguments)],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ,
        )
        for _ in range(2)
    ]
    said = [child.communicate(timeout=60)[0].strip() for child in children]
    assert said == [str(folder / FILE)] * 2
    assert (folder / FILE).read_bytes() == CONTENT
    assert len(server.requests) == 1
    assert visible(folder) == ({FILE} if published else {FILE, RECORD_NAME})


def test_many_threads_share_one_download(server: Server, entry: CatalogEntry, folder: Path):
    server.pause = 0.01
    paths: list[Path] = []
    threads = [threading.Thread(target=lambda: paths.append(get(entry, folder))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert paths == [folder / FILE] * 6
    assert len(server.requests) == 1


def test_a_lock_keeps_others_out_until_it_is_released(tmp_path: Path):
    inside, worst, count = 0, 0, 0
    guard = threading.Lock()

    def enter() -> None:
        nonlocal inside, worst, count
        for _ in range(20):
            with held(tmp_path / "lock", lambda: time.sleep(0.0001)):
                with guard:
                    inside += 1
                    worst = max(worst, inside)
                time.sleep(0.0001)
                with guard:
                    inside -= 1
                    count += 1

    threads = [threading.Thread(target=enter) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (worst, count) == (1, 100)


@pytest.mark.skipif(sys.platform == "win32", reason="an open file cannot be removed on Windows")
def test_a_lock_leaves_no_file_behind(tmp_path: Path):
    with held(tmp_path / "lock", lambda: None):
        assert (tmp_path / "lock").exists()
    assert not (tmp_path / "lock").exists()


def test_waiting_for_a_lock_can_be_given_up(tmp_path: Path):
    def give_up() -> None:
        raise Interrupted("enough")

    with (
        held(tmp_path / "lock", give_up),
        pytest.raises(Interrupted, match="enough"),
        held(tmp_path / "lock", give_up),
    ):
        pytest.fail("the lock was held twice")


def test_a_process_that_dies_leaves_no_lock(tmp_path: Path):
    script = CHILD.split("from swin2sr_core.models.catalog")[0] + (
        "from swin2sr_core.models.lock import held\n"
        "with held(Path(sys.argv[1]), lambda: None):\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ,
    )
    assert child.stdout and child.stdout.readline() == "held\n"
    waits: list[int] = []

    def wait() -> None:
        waits.append(1)
        child.kill()
        child.communicate()

    with held(tmp_path / "lock", wait):
        assert waits == [1]


@pytest.mark.skipif(sys.platform == "win32", reason="there is no flock there")
@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_without_locks_it_goes_on_and_says_so(code, tmp_path, monkeypatch, caplog):
    def flock(*_: object) -> None:
        raise OSError(code, "no locks here")

    monkeypatch.setattr("fcntl.flock", flock)
    with held(tmp_path / "lock", lambda: pytest.fail("nobody holds it")):
        pass
    assert "has no locks" in caplog.text


def test_a_lock_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "lock").mkdir()
    with pytest.raises(OSError, match="lock"), held(tmp_path / "lock", lambda: None):
        pytest.fail("there is no lock")


def test_a_published_hash_beats_a_recorded_one(entry: CatalogEntry, folder: Path):
    folder.mkdir(parents=True)
    record_sha256(folder / FILE, hashlib.sha256(OTHER).hexdigest())
    get(entry, folder)
    assert (folder / FILE).read_bytes() == CONTENT
    (folder / FILE).write_bytes(OTHER)
    get(entry, folder)
    assert (folder / FILE).read_bytes() == CONTENT


def test_no_thread_is_left_when_a_download_is_stopped(
    server: Server, entry: CatalogEntry, folder: Path
):
    """The thread that reads ends although nobody takes what it has read."""
    server.chunk = 1 << 12
    interrupt(entry, folder, at=1)
    reading = [each for each in threading.enumerate() if each.name == "swin2sr-download"]
    for each in reading:
        each.join(30)
    assert not any(each.is_alive() for each in reading)


def test_a_body_without_end_stops_at_the_known_size(
    server: Server, entry: CatalogEntry, folder: Path
):
    server.content, server.length_header = CONTENT * 64, False
    with pytest.raises(DownloadError, match="it is not the file that this version knows"):
        get(entry, folder)
    assert sum(server.sent) < len(CONTENT) * 32
    assert visible(folder) == set()
