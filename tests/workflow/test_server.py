"""The host that is a server, against servers that misbehave in every way, on localhost."""

import json
import socket
import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from raw_server import raw_server, repeats, says

from swin2sr_headless.workflow.document.graph import parse_api
from swin2sr_headless.workflow.hosts import http_client, prompt_run
from swin2sr_headless.workflow.hosts.address import Address
from swin2sr_headless.workflow.hosts.messages import Timeline
from swin2sr_headless.workflow.hosts.socket_progress import following
from swin2sr_headless.workflow.runner import Session, make_host, run_workflow

OBJECT_INFO = {
    "LoadImage": {
        "input": {"required": {"image": [["a.png"], {"image_upload": True}]}},
        "output": ["IMAGE", "MASK"],
        "output_node": False,
    },
    "ImageInvert": {"input": {"required": {"image": ["IMAGE"]}}, "output": ["IMAGE"]},
    "SaveImage": {
        "input": {"required": {"images": ["IMAGE"], "filename_prefix": ["STRING", {}]}},
        "output": [],
        "output_node": True,
    },
}
HISTORY = {
    "status": {
        "status_str": "success",
        "messages": [
            ["execution_start", {"timestamp": 1}],
            ["execution_cached", {"nodes": ["1"], "timestamp": 1}],
            ["execution_success", {"timestamp": 2}],
        ],
    },
    "outputs": {
        "3": {"images": [{"filename": "x_00001_.png", "subfolder": "made", "type": "output"}]}
    },
}
GOOD = {
    "/object_info": OBJECT_INFO,
    "/upload/image": {"name": "example.png", "subfolder": "sub", "type": "input"},
    "/prompt": {"prompt_id": "p1", "number": 1, "node_errors": {}},
    "/history/p1": {"p1": HISTORY},
    "/queue": {"queue_running": [[0, "p1"]], "queue_pending": []},
    "/view": b"the picture",
    "/interrupt": b"",
}


class Server:
    """Answers with what `answers` has: JSON, bytes, an exception to die of, or (status, JSON)."""

    def __init__(self, answers: dict) -> None:
        self.answers, self.asked = answers, []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self):
                length = int(self.headers.get("Content-Length") or 0)
                path = self.path.partition("?")[0]
                body = self.rfile.read(length)
                outer.asked.append((path, body))
                outer.send(self, outer.answers.get(path, (404, {})))

            do_GET = do_POST = answer

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()

    def send(self, handler, answer) -> None:
        if answer == "die":
            handler.close_connection = True
            self.close()
            return
        status, content = answer if isinstance(answer, tuple) else (200, answer)
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body) + (9 if body == b"short" else 0)))
        handler.end_headers()
        handler.wfile.write(body)

    def close(self) -> None:
        self.http.socket.close()
        threading.Thread(target=self.http.shutdown, daemon=True).start()


@pytest.fixture(autouse=True)
def little_patience(monkeypatch):
    """Minutes are for servers that come back."""
    monkeypatch.setattr(prompt_run, "_PATIENCE", 0.5)


@pytest.fixture
def serve():
    """(path=answer, ...) -> a server that is good otherwise."""
    made = []

    def start(changes=None):
        made.append(Server(GOOD | (changes or {})))
        return made[-1]

    yield start
    for each in made:
        each.close()


@pytest.fixture
def run(inverted, make_picture, tmp_path):
    """(url) -> the report of a small workflow there."""

    def go(url, **options):
        inputs = {"example.png": make_picture()}
        return run_workflow(inverted, server=url, inputs=inputs, out=tmp_path / "out", **options)

    return go


def test_a_good_server(serve, run, tmp_path):
    server = serve()
    report = run(server.url)
    assert report.ok, report
    assert (report.ran, report.cached) == ({"2", "3"}, {"1"})
    assert report.files == [tmp_path / "out" / "made" / "x_00001_.png"]
    assert report.files[0].read_bytes() == b"the picture"
    sent = json.loads(dict(server.asked)["/prompt"])["prompt"]
    assert sent["1"]["inputs"]["image"] == "sub/example.png"


def test_what_is_there_is_not_overwritten(serve, run, tmp_path):
    url = serve().url
    names = [run(url).files[0].name for _ in range(3)]
    assert names == ["x_00001_.png", "x_00001_ (2).png", "x_00001_ (3).png"]


def test_a_server_that_is_not_there(run):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    report = run(url)
    assert (report.status, report.exit_code) == ("no_host", 3)
    assert str(report.errors[0]) == (
        f"the ComfyUI server at {url} cannot be reached (Connection refused); start it, or check "
        "--server"
    )


def test_a_server_that_dies_in_the_middle(serve, run, monkeypatch):
    monkeypatch.setattr(prompt_run, "_PAUSE", 0.05)
    report = run(serve({"/history/p1": "die"}).url)
    assert (report.status, report.exit_code) == ("no_host", 3)
    assert "the server died while the workflow ran" in str(report.errors[0])


def test_a_hiccup_is_survived(serve, run, monkeypatch):
    monkeypatch.setattr(prompt_run, "_PAUSE", 0.3)
    server = serve({"/history/p1": (503, {})})
    threading.Timer(0.2, lambda: server.answers.update({"/history/p1": {"p1": HISTORY}})).start()
    assert run(server.url).ok


GARBAGE = [
    ("/object_info", b"<html>hello</html>", "its answer to /object_info is not valid JSON"),
    ("/object_info", ["a"], "its answer to /object_info is a list, no object"),
    ("/object_info", {"a": 5}, "it names no node that could save anything"),
    ("/object_info", {"SaveImage": [1]}, "it names no node that could save anything"),
    ("/object_info", (500, {}), "answered /object_info with HTTP 500; is it a ComfyUI?"),
    ("/upload/image", {}, "its answer to /upload/image has no name for the upload"),
    ("/upload/image", (413, {}), "did not take the input example.png: HTTP 413"),
    ("/prompt", {}, "it gave no id to the workflow"),
    ("/prompt", b"\x00\xff", "its answer to /prompt is not valid JSON"),
    ("/prompt", (500, b"oops"), "answered the workflow with HTTP 500: oops"),
    ("/history/p1", {"p1": {"status": 3}}, "its history has no outputs"),
    ("/history/p1", {"p1": {"outputs": 3}}, "its history has no outputs"),
    ("/view", b"short", "broke off while it sent x_00001_.png"),
    ("/view", (404, b""), "does not give out x_00001_.png: HTTP 404"),
]


@pytest.mark.parametrize(("path", "answer", "sentence"), GARBAGE)
def test_a_server_that_answers_garbage(path, answer, sentence, serve, run, tmp_path):
    report = run(serve({path: answer}).url)
    assert (report.status, report.exit_code) == ("no_host", 3), report
    assert sentence in str(report.errors[0])
    assert "\n" not in str(report.errors[0])
    assert not list(tmp_path.glob("out/**/*.png"))


def test_a_queue_that_is_none(serve, run, monkeypatch):
    monkeypatch.setattr(prompt_run, "_PAUSE", 0.01)
    report = run(serve({"/history/p1": {}, "/queue": {"queue_running": 4}}).url)
    assert report.status == "no_host"
    assert "its queue has no lists" in str(report.errors[0])


@pytest.mark.parametrize("name", ["../x.png", "/x.png", "a/../../x.png", "C:\\x.png"])
def test_outputs_that_lead_out_are_not_taken(name, serve, run, tmp_path):
    history = {**HISTORY, "outputs": {"3": {"images": [{"filename": name, "type": "output"}]}}}
    report = run(serve({"/history/p1": {"p1": history}}).url)
    assert report.status == "no_host"
    assert "names an output that was not taken" in str(report.errors[0])
    assert not [path for path in tmp_path.rglob("x.png") if path.is_file()]


def test_a_forgotten_workflow(serve, run):
    empty = {"queue_running": [], "queue_pending": []}
    report = run(serve({"/history/p1": {}, "/queue": empty}).url, timeout=20)
    assert report.status == "no_host"
    assert "does not know the workflow any more" in str(report.errors[0])


def test_a_refusal_is_told_node_by_node(serve, run):
    errors = {
        "3": {
            "class_type": "SaveImage",
            "errors": [{"type": "missing", "message": "Required input is missing", "details": "a"}],
        }
    }
    answer = {"error": {"message": "Prompt outputs failed validation"}, "node_errors": errors}
    report = run(serve({"/prompt": (400, answer)}).url)
    assert (report.status, report.exit_code) == ("refused", 2)
    assert str(report.errors[0]) == "node 3 (SaveImage): Required input is missing: a"


def test_a_workflow_of_which_a_part_is_refused_does_not_run(serve, run):
    errors = {"3": {"class_type": "SaveImage", "errors": [{"message": "no", "details": ""}]}}
    server = serve({"/prompt": {"prompt_id": "p1", "node_errors": errors}})
    assert run(server.url).status == "refused"
    assert ("/queue", b'{"delete": ["p1"]}') in server.asked
    assert ("/interrupt", b'{"prompt_id": "p1"}') in server.asked


def test_a_failure_is_told_with_its_node(serve, run):
    error = {
        "node_id": "2",
        "node_type": "ImageInvert",
        "exception_type": "torch.OutOfMemoryError",
        "exception_message": "no memory\nleft\n",
        "executed": ["1"],
    }
    history = {
        "status": {"messages": [["execution_error", error]]},
        "outputs": {},
    }
    report = run(serve({"/history/p1": {"p1": history}}).url)
    assert (report.status, report.exit_code) == ("failed", 1)
    assert str(report.errors[0]) == "node 2 (ImageInvert): no memory left"
    assert report.errors[0].kind == "OutOfMemoryError"
    assert {node.id: node.state for node in report.nodes} == {
        "1": "ran",
        "2": "failed",
        "3": "skipped",
    }


def test_time_runs_out_and_the_server_is_told(serve, run):
    server = serve({"/history/p1": {}})
    report = run(server.url, timeout=0.3)
    assert (report.status, report.exit_code) == ("timeout", 124)
    assert ("/interrupt", b'{"prompt_id": "p1"}') in server.asked


def test_events_come_over_the_websocket():
    sync_server = pytest.importorskip("websockets.sync.server")
    events = [
        {"type": "executing", "data": {"node": "2", "prompt_id": "p"}},
        {"type": "progress", "data": {"value": 1, "max": 4, "node": "2"}},
        {"type": "executing", "data": {"node": None, "prompt_id": "p"}},
    ]

    def talk(socket):
        socket.send(b"a preview picture")
        for event in events:
            socket.send(json.dumps(event))
        for _ in socket:
            pass

    told, enough = [], threading.Event()

    def tell(*event):
        told.append(event)
        if len(told) == len(events):
            enough.set()

    with sync_server.serve(talk, "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.socket.getsockname()[1]}"
        with following(Address(url), "me", tell):
            assert enough.wait(30)
        server.shutdown()
    assert told == [(event["type"], event["data"]) for event in events]
    timeline = Timeline(parse_api({"2": {"class_type": "X", "inputs": {}}}))
    for event in told:
        timeline.message(*event)
    timeline.message("execution_success", {})
    (node,) = timeline.nodes()
    assert node.state == "ran"
    assert node.seconds is not None


def test_others_are_not_interrupted(serve, run):
    queue = {"queue_running": [[0, "somebody"]], "queue_pending": [[1, "p1"]]}
    server = serve({"/history/p1": {}, "/queue": queue})
    assert run(server.url, timeout=0.3).status == "timeout"
    assert "/interrupt" not in dict(server.asked)


@pytest.mark.parametrize(
    "answer", [b"", b"SSH-2.0-OpenSSH_9.6\r\n", b"\x00" * 100, b"HTTP/1.1 x\r\n"]
)
def test_something_that_does_not_speak_http(answer, run):
    with raw_server(says(answer)) as url:
        report = run(url)
    assert report.status == "no_host"
    assert f"the ComfyUI server at {url} cannot be reached" in str(report.errors[0])


@contextmanager
def partly(path, talk, answers=None):
    """A good server that answers `path` as `talk` does, on the bare connection."""

    class Partly(Server):
        def send(self, handler, answer):
            if handler.path.partition("?")[0] != path:
                super().send(handler, answer)
                return
            handler.close_connection = True
            with suppress(OSError):
                talk(handler.connection, b"")

    server = Partly(GOOD | (answers or {}))
    yield server
    server.close()


PATHS = ["/object_info", "/history/p1", "/view", "/prompt", "/upload/image"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("status", [200, 500])
def test_answers_without_end_are_left(path, status, run, monkeypatch, tmp_path):
    for limit in ("MOST_JSON_BYTES", "MOST_ERROR_BYTES", "MOST_OUTPUT_BYTES"):
        monkeypatch.setattr(http_client, limit, 1 << 22)
    head = f"HTTP/1.1 {status} x\r\n\r\n".encode()
    with partly(path, repeats(head + b'{"a": "', b" " * (1 << 16))) as server:
        report = run(server.url)
    assert report.status == "no_host"
    assert not [each for each in tmp_path.rglob("*") if each.suffix == ".tmp"]


SLOW = {
    "silence": repeats(b"", b"", 0.05),
    "a slow head": repeats(b"HTTP/1.1 200 OK\r\nA: ", b"x", 0.05),
    "a slow body": repeats(b"HTTP/1.1 200 OK\r\n\r\n", b" ", 0.05),
    "a slow error": repeats(b"HTTP/1.1 500 No\r\n\r\n", b" ", 0.05),
    "a steady body": repeats(b"HTTP/1.1 200 OK\r\n\r\n", b" " * 2000, 0.05),
}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("talk", SLOW.values(), ids=SLOW.keys())
def test_the_time_limit_counts_in_the_middle_of_an_answer(path, talk, run, tmp_path):
    """`timeout` is for the whole run: no answer of a server may hold it up."""
    with partly(path, talk) as server:
        report = run(server.url, timeout=0.6)
    assert (report.status, report.exit_code) == ("timeout", 124), report
    assert not [each for each in tmp_path.rglob("*") if each.suffix in (".tmp", ".part")]


def test_a_run_that_is_out_of_time_is_told_to_the_server_though_it_is_slow(run):
    with partly("/history/p1", SLOW["silence"]) as server:
        assert run(server.url, timeout=0.6).status == "timeout"
    assert ("/interrupt", b'{"prompt_id": "p1"}') in server.asked


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "ftp://127.0.0.1:1/x", "http://localhost:1/x"]
)
def test_redirects_stay_on_the_host(target, run):
    answer = f"HTTP/1.1 302 x\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n".encode()
    with raw_server(says(answer)) as url:
        report = run(url)
    assert report.status == "no_host"
    assert f"redirects to {target}, which is not followed" in str(report.errors[0])


UGLY = "\x1b]0;owned\x07\x00\u202e\ud800\r\nforged"


@pytest.mark.parametrize(
    "answers",
    [
        {"/prompt": (400, {"error": {"message": UGLY, "type": UGLY}})},
        {"/prompt": (400, {"error": UGLY, "node_errors": {UGLY: {"class_type": UGLY}}})},
        {"/prompt": (500, {"error": UGLY})},
        {"/prompt": (500, UGLY.encode("utf-8", "replace"))},
        {"/upload/image": {"name": UGLY}, "/prompt": (500, {})},
        {"/history/p1": {"p1": {"outputs": {"3": {"images": [{"filename": UGLY}]}}}}},
        {"/history/p1": {"p1": {**HISTORY, "status": {"messages": [["execution_error", {
            "node_id": UGLY, "node_type": UGLY, "exception_type": UGLY, "exception_message": UGLY
        }]]}}}},
    ],
)  # fmt: skip
def test_what_a_server_says_is_printed_harmless(answers, serve, run):
    report = run(serve(answers).url)
    assert not report.ok
    for error in report.errors:
        assert str(error).isprintable()


def test_texts_of_a_server_are_printed_harmless(serve, inverted, make_picture, tmp_path, swin2sr):
    """On the terminal; the JSON has them as they came."""
    shown = {"3": {"text": [UGLY, "plain"]}}
    history = {"/history/p1": {"p1": {**HISTORY, "outputs": HISTORY["outputs"] | shown}}}
    (tmp_path / "w.json").write_text(json.dumps(inverted))
    make_picture()
    done = swin2sr(
        "run", "w.json", "--server", serve(history).url, "--input", "example.png=example.png"
    )
    assert done.returncode in (0, 1), done.stderr
    lines = (done.stdout + done.stderr).splitlines()
    assert all(line.isprintable() for line in lines), lines
    assert not any(line.startswith("forged") for line in lines)


@pytest.mark.parametrize("name", ["a\0b.png", "\ud800.png", "x" * 300 + ".png", "a/" * 900 + "b"])
def test_outputs_with_names_that_no_file_has_are_not_taken(name, serve, run):
    history = {**HISTORY, "outputs": {"3": {"images": [{"filename": name, "type": "output"}]}}}
    report = run(serve({"/history/p1": {"p1": history}}).url)
    assert report.status == "no_host"
    assert "no name that a file could have" in str(report.errors[0])


def test_an_output_that_cannot_be_kept_is_told_with_its_node(serve, run, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "made").write_text("a file where the folder has to be")
    report = run(serve().url)
    assert (report.status, report.exit_code) == ("failed", 1)
    assert str(report.errors[0]).startswith("node 3 (SaveImage): its output cannot be kept")


def test_a_changed_input_of_the_same_name_is_uploaded_again(
    serve, inverted, make_picture, tmp_path
):
    """And one that did not change is not; both in one session."""
    server = serve()
    folders = [tmp_path / name for name in "ab"]
    for seed, folder in enumerate(folders):
        folder.mkdir()
        make_picture(seed=seed, folder=folder)
    with Session(make_host(server=server.url)) as session:
        for folder in (folders[0], folders[0], folders[1]):
            inputs = {"example.png": folder / "example.png"}
            assert session.run(inverted, inputs=inputs, out=tmp_path / "out").ok
    sent = [body for path, body in server.asked if path == "/upload/image"]
    assert len(sent) == 2
    for body, folder in zip(sent, folders, strict=True):
        assert (folder / "example.png").read_bytes() in body
