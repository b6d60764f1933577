"""/jobs: what is asked for is done once, told as it goes, and survives the server."""

import io
import json
import zipfile

from http_service import encoded, noise, serving
from PIL import Image

PATIENT = {"image": encoded(noise(256, 256))}


def events_of(client, job, last=0):
    """(number, kind, data) until the stream ends."""
    found, headers = [], {"last-event-id": str(last)}
    with client.stream("GET", f"/jobs/{job}/events", headers=headers) as stream:
        block = {}
        for line in stream.iter_lines():
            if line:
                key, _, value = line.partition(": ")
                block[key] = value
            elif "id" in block:
                found.append((int(block["id"]), block["event"], json.loads(block["data"])))
                block = {}
    return found


def test_many_pictures_become_a_zip(server, png):
    files = [
        ("file", ("a.png", png)),
        ("file", ("a.png", encoded(noise(16, 24)))),
        ("file", ("bad.png", b"nothing")),
    ]
    made = server.client.post("/jobs", files=files, data={"scale": "2"})
    assert made.status_code == 202
    job = made.json()["id"]
    assert made.headers["location"] == f"/jobs/{job}"
    events = events_of(server.client, job)
    kinds = [kind for _, kind, _ in events if kind != "progress"]
    assert kinds == ["queued", *["planned", "picture-done"] * 2, "picture-failed", "done"]
    document = server.client.get(f"/jobs/{job}").json()
    assert [each["state"] for each in document["pictures"]] == ["done", "done", "failed"]
    assert document["pictures"][2]["problem"]["status"] == 422
    archive = zipfile.ZipFile(io.BytesIO(server.client.get(f"/jobs/{job}/result").content))
    assert archive.testzip() is None
    sizes = {name: Image.open(archive.open(name)).size for name in archive.namelist()}
    assert sizes == {"a_x2.png": (48, 32), "02_a_x2.png": (32, 48)}
    part = server.client.get(f"/jobs/{job}/result/2", headers={"range": "bytes=0-7"})
    assert (part.status_code, part.content) == (206, b"\x89PNG\r\n\x1a\n")
    assert server.client.delete(f"/jobs/{job}").status_code == 409
    middle = events[2][0]
    assert events_of(server.client, job, middle) == events[3:]


def test_a_key_means_one_job(server, png):
    def post(picture):
        headers = {"idempotency-key": "k1", "prefer": "respond-async"}
        return server.client.post("/upscale", files={"image": picture}, headers=headers)

    first, second = post(png), post(png)
    assert first.json()["id"] == second.json()["id"]
    assert post(encoded(noise(8, 8))).status_code == 422
    events_of(server.client, first.json()["id"])
    assert not list((server.spool / "uploads").iterdir())


def test_a_job_is_cancelled_and_the_worker_is_free(server, png):
    files = [("file", PATIENT["image"]), ("file", png), ("file", png)]
    job = server.client.post("/jobs", files=files).json()["id"]
    while server.client.get(f"/jobs/{job}").json()["state"] == "queued":
        pass
    assert server.client.delete(f"/jobs/{job}").status_code == 202
    assert events_of(server.client, job)[-1][1] == "cancelled"
    pictures = server.client.get(f"/jobs/{job}").json()["pictures"]
    assert [each["state"] for each in pictures] == ["cancelled"] * 3
    assert not list((server.spool / "uploads").iterdir())
    assert server.client.get(f"/jobs/{job}/result").status_code == 409
    assert server.client.post("/upscale", files={"image": png}).status_code == 200


def test_a_job_that_is_cancelled_at_once_is_not_made(server):
    """Also where nobody has looked at its picture yet."""
    for _ in range(3):
        job = server.client.post("/jobs", files=PATIENT).json()["id"]
        server.client.delete(f"/jobs/{job}")
        names = [name for _, name, *_ in events_of(server.client, job)]
        assert names[-1] == "cancelled" and "picture-done" not in names


def test_jobs_go_on_in_the_next_process(tmp_path, png):
    with serving(tmp_path) as server:
        files = [("file", PATIENT["image"]), ("file", png)]
        job = server.client.post("/jobs", files=files).json()["id"]
        server.process.kill()
        server.process.wait()
    with serving(tmp_path) as server:
        assert events_of(server.client, job)[-1][1] == "done"
        answer = server.client.get(f"/jobs/{job}/result/2")
        assert Image.open(io.BytesIO(answer.content)).size == (96, 64)
