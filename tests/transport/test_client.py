"""The HTTP client against real servers that are slow, endless, or lead elsewhere."""

import socket
import threading
import time

import pytest
from raw_server import raw_server, repeats, says

from swin2sr_core.transport import limits
from swin2sr_core.transport.client import (
    ConnectionBroken,
    RedirectRefused,
    Reply,
    TooLong,
    _followed,
    request,
)

OK = b"HTTP/1.1 200 OK\r\n"
PATIENCE = 0.3
"""Seconds that servers get here."""


def body(url, most=1 << 20, timeout=PATIENCE, **options):
    with request(url, {}, timeout, **options) as response:
        return response.body(most)


def blocks(url, timeout=PATIENCE, **options):
    with request(url, {}, timeout, **options) as response:
        return b"".join(response.blocks())


def test_an_answer_comes_whole():
    with raw_server(says(OK + b"Content-Length: 5\r\nX-A: b\r\n\r\nhello")) as url:
        assert body(url) == blocks(url) == b"hello"
        with request(url, {}, 5) as response:
            assert response.reply == Reply(200, "OK", {"content-length": "5", "x-a": "b"})


@pytest.mark.parametrize("status", [404, 500, 204, 304])
def test_every_status_is_an_answer(status):
    with (
        raw_server(says(f"HTTP/1.1 {status} Odd\r\nContent-Length: 0\r\n\r\n".encode())) as url,
        request(url, {}, 5) as response,
    ):
        assert response.reply.status == status


def test_what_is_sent_arrives_in_blocks():
    got = []

    def talk(connection, head):
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        content = head.partition(b"\r\n\r\n")[2]
        while len(content) < length:
            content += connection.recv(65536)
        got.append((head.partition(b" ")[0], content))
        connection.sendall(OK + b"Content-Length: 2\r\n\r\n{}")

    with raw_server(talk) as url:
        assert body(url, timeout=5, body=b"a" * 600_000) == b"{}"
        assert body(url, timeout=5, body=iter([b"b" * 10, b"c"]), length=11) == b"{}"
    assert got == [(b"POST", b"a" * 600_000), (b"POST", b"b" * 10 + b"c")]


SLOW = {
    "nothing": repeats(b"", b"", 0.05),
    "a byte of the head now and then": repeats(b"HTTP/1.1 200 OK\r\nA: ", b"x", 0.05),
    "headers without end": repeats(OK, b"A: b\r\n", 0.02),
    "interim replies without end": repeats(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.02),
    "a byte of the body now and then": repeats(OK + b"\r\n", b"x", 0.05),
    "chunks' extensions without end": repeats(
        OK + b"Transfer-Encoding: chunked\r\n\r\n5;", b"x", 0.05
    ),
    "trailers without end": repeats(
        OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n", b"A: b\r\n", 0.05
    ),
}


@pytest.mark.parametrize("read", [body, blocks])
@pytest.mark.parametrize("talk", SLOW.values(), ids=SLOW.keys())
def test_slow_servers_are_left(talk, read):
    """Each of them sends something in good time, so that no single read is ever silent."""
    with raw_server(talk) as url, pytest.raises(ConnectionBroken, match=r"silent|fewer than"):
        read(url)


FAST = {
    "headers": repeats(OK, b"A: " + b"b" * 60_000 + b"\r\n"),
    "interim replies": repeats(b"", b"HTTP/1.1 100 Continue\r\nA: " + b"b" * 60_000 + b"\r\n\r\n"),
    "a line of the head": repeats(b"HTTP/1.1 200 ", b"x" * 65536),
}


@pytest.mark.parametrize("talk", FAST.values(), ids=FAST.keys())
def test_heads_without_end_are_left(talk):
    """At once, and not when the time is up."""
    told = r"headers do not end|more than 65536 bytes"
    with raw_server(talk) as url, pytest.raises(ConnectionBroken, match=told):
        body(url, timeout=20)


def test_a_body_without_end_is_left():
    with raw_server(repeats(OK + b"\r\n", b"x" * 65536)) as url:
        with pytest.raises(TooLong, match="more than 1 MiB"):
            body(url, timeout=20)
        with request(url, {}, 20) as response:
            assert len(response.start_of_body(100_000)) == 100_000


def test_the_body_of_a_redirect_is_not_read():
    with (
        raw_server(repeats(b"HTTP/1.1 302 x\r\nLocation: ftp://x\r\n\r\n", b"x" * 65536)) as url,
        pytest.raises(RedirectRefused),
    ):
        body(url, timeout=20)


def test_a_body_that_ends_early_is_broken():
    with raw_server(says(OK + b"Content-Length: 9\r\n\r\nhello")) as url:
        for read in (body, blocks):
            with pytest.raises(ConnectionBroken, match="ended at byte 5 of 9") as caught:
                read(url, timeout=5)
            assert caught.value.connected


def test_all_has_to_be_over_by_then():
    """`until` counts in the middle of an answer that is in time otherwise."""
    with raw_server(repeats(OK + b"\r\n", b"x" * 2000, 0.05)) as url:
        with pytest.raises(ConnectionBroken):
            blocks(url, timeout=1000, until=time.monotonic() + 0.4)
        with pytest.raises(ConnectionBroken):
            body(url, timeout=1000, until=time.monotonic())


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\x00" * 100,
        b"HTTP/1.1 x\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n-1\r\nx",
        OK + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\nx",
    ],
)
def test_what_is_no_http_is_broken(answer):
    with raw_server(says(answer)) as url, pytest.raises(ConnectionBroken) as caught:
        body(url, timeout=5)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("length", ["9" * 5000, "-1", "²", "x", "1_0", ""])
def test_lengths_that_are_none_are_not_believed(length):
    head = OK + f"Content-Length: {length}\r\n\r\nhello".encode("latin-1")
    with raw_server(says(head)) as url, request(url, {}, 5) as response:
        assert response.reply.length() is None
        assert response.reply.total() is None
        assert Reply(206, "", {"content-range": f"bytes {length}-/{length}"}).total() is None
        assert Reply(206, "", {"content-range": f"bytes {length}-"}).start() is None


def test_nobody_there_is_told_apart():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(ConnectionBroken) as caught:
            body(f"http://127.0.0.1:{free.getsockname()[1]}")
    assert not caught.value.connected


def redirecting(place, status=302):
    """Leads from / to `place`, and says what came at every other path."""

    def talk(connection, head):
        if head.split()[1] == b"/":
            connection.sendall(
                f"HTTP/1.1 {status} x\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n".encode()
            )
        else:
            connection.sendall(OK + b"Connection: close\r\n\r\n" + head)

    return talk


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("place", ["/x y", "x%20y", "?/../x", "/ä"])
def test_redirects_on_the_same_host_are_followed(place, status):
    with (
        raw_server(redirecting(place, status)) as url,
        request(url + "/", {"Authorization": "secret"}, 5) as response,
    ):
        assert b"secret" in response.body(1 << 16)


@pytest.mark.parametrize(
    ("place", "why"),
    [
        ("file:///etc/passwd", "only http: and https:"),
        ("ftp://127.0.0.1/x", "only http: and https:"),
        ("data:,x", "only http: and https:"),
        ("http://localhost:1/x", "another host"),
        ("http://127.0.0.1:1/x", "another host"),  # another port is another program
        ("http://127.0.0.1.example.com/x", "another host"),
        ("http://[::1", "no address"),
        ("http://127.0.0.1:99999/x", "no address"),
        ("/\x1b]0;x", "it is the last of"),
    ],
)
def test_redirects_elsewhere_are_refused(place, why):
    def talk(connection, _head):
        connection.sendall(
            f"HTTP/1.1 302 x\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n".encode()
        )

    with raw_server(talk) as url, pytest.raises(RedirectRefused, match=why) as caught:
        body(url, timeout=5)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("anywhere", [False, True])
def test_redirects_never_lead_out_of_https(anywhere):
    with pytest.raises(RedirectRefused, match="https: stays https:"):
        _followed("https://example.com/a", "http://example.com/b", anywhere)
    for came in ("http", "https"):
        target = "https://example.com/b"
        assert _followed(f"{came}://example.com/a", target, anywhere) == target


def test_a_circle_of_redirects_ends():
    seen = []

    def talk(connection, _head):
        seen.append(1)
        connection.sendall(b"HTTP/1.1 302 x\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n")

    with raw_server(talk) as url, pytest.raises(RedirectRefused, match="the last of 6"):
        body(url, timeout=5)
    assert len(seen) == limits.MOST_REDIRECTS + 1


def test_what_is_sent_is_not_sent_elsewhere():
    with raw_server(redirecting("/x", 307)) as url, pytest.raises(RedirectRefused, match="once"):
        body(url + "/", timeout=5, body=b"{}")


def test_downloads_may_go_anywhere_but_secrets_stay():
    with raw_server(redirecting("/never")) as other:
        place = other.replace("127.0.0.1", "localhost") + "/x"
        with (
            raw_server(redirecting(place)) as url,
            request(
                url + "/", {"Authorization": "secret", "Range": "bytes=1-"}, 5, anywhere=True
            ) as response,
        ):
            told = response.body(1 << 16)
            assert response.url == place
    assert b"bytes=1-" in told
    assert b"secret" not in told


def test_a_tls_handshake_has_a_deadline():
    with raw_server(repeats(b"", b"", 0.05)) as url, pytest.raises(ConnectionBroken):
        body(url.replace("http:", "https:"))


def test_no_thread_and_no_connection_is_left():
    closed = threading.Event()

    def talk(connection, _head):
        connection.sendall(OK + b"Content-Length: 1000000\r\n\r\nx")
        while connection.recv(100):
            pass
        closed.set()

    with raw_server(talk) as url:
        with request(url, {}, 20) as response:
            assert next(response.blocks()) == b"x"
        assert closed.wait(20)
