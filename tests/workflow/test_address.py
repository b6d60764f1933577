"""Addresses with secrets in them: what is sent, and what is printed."""

import base64

import pytest

from swin2sr_headless.workflow.hosts.address import parse_address
from swin2sr_headless.workflow.problems import WorkflowError


@pytest.mark.parametrize(
    ("text", "url", "path"),
    [
        ("127.0.0.1:8188", "http://127.0.0.1:8188", "http://127.0.0.1:8188/x"),
        ("https://a.b/sub/", "https://a.b/sub", "https://a.b/sub/x"),
        ("http://a/?token=t%20k&b", "http://a", "http://a/x?token=t%20k&b"),
        ("http://[::1]:1", "http://[::1]:1", "http://[::1]:1/x"),
        ("http://me:pa%40ss@a:5/?k=v", "http://a:5", "http://a:5/x?k=v"),
    ],
)
def test_what_is_asked_and_what_is_printed(text, url, path):
    address = parse_address(text)
    assert address.url == url
    assert address.of("/x") == path
    joined = address.of("/x?y=1")
    assert joined == (f"{url}/x?y=1" + (f"&{address.query}" if address.query else ""))


def test_a_password_becomes_a_header_and_nothing_else():
    address = parse_address("http://me:pa%40ss@a?token=tok", ["X-Key: k3y"])
    assert address.headers["X-Key"] == "k3y"
    scheme, _, token = address.headers["Authorization"].partition(" ")
    assert (scheme, base64.b64decode(token)) == ("Basic", b"me:pa@ss")
    told = f"at {address.of('/x')} with pa@ss, pa%40ss, {token}, k3y"
    for secret in ("pa@ss", "pa%40ss", token, "tok&", "=tok", "k3y"):
        assert secret not in address.scrubbed(told)
    assert "pa" not in address.url


def test_a_header_of_ones_own_comes_before_the_password():
    address = parse_address("http://me:secret@a", ["Authorization: Bearer b"])
    assert address.headers["Authorization"] == "Bearer b"


@pytest.mark.parametrize(
    "text", ["ftp://me:secret@a?token=secret", "http://me:secret@", "me:secret@a:99999", "http://"]
)
def test_an_address_that_is_none_is_told_without_secrets(text):
    with pytest.raises(WorkflowError, match="--server wants an address") as caught:
        parse_address(text)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("header", ["nothing", "a b: c", ": c", "Key: line\r\nOther: x"])
def test_headers_that_are_none(header):
    with pytest.raises(WorkflowError, match="--header wants"):
        parse_address("http://a", [header])
