"""Models share a worker's memory: what was used least recently leaves when bytes are short."""

import pytest
from http_service import encoded, noise, serving

from swin2sr_core.models.model import load_model
from swin2sr_headless.cli.main import main
from swin2sr_headless.service.shelf import Shelf, weight_bytes


@pytest.fixture
def shelf():
    return Shelf(lambda name: load_model(name, "fp32", "cpu"))


def test_both_stay_while_there_is_room(shelf, tiny):
    with shelf.model("compact-x4"), shelf.model(tiny):
        pass
    assert shelf.names == ("compact-x4", tiny)
    with shelf.model("compact-x4"):
        assert shelf.names == (tiny, "compact-x4")


def test_the_least_recently_used_leaves(shelf, tiny):
    with shelf.model("compact-x4") as model:
        shelf.most = weight_bytes(model)
    with shelf.model(tiny):
        assert shelf.names == (tiny,)
    with shelf.model("compact-x4"):
        assert shelf.names == ("compact-x4",)


def test_pictures_need_room_too_and_what_is_in_use_stays(shelf, tiny):
    with shelf.model("compact-x4"), shelf.model(tiny):
        shelf.most = shelf.weight_bytes + 1000
    with shelf.model(tiny, 1000):
        assert shelf.names == ("compact-x4", tiny)
    with shelf.model("compact-x4", 1000), shelf.model(tiny, 1000):
        assert set(shelf.names) == {"compact-x4", tiny}
    with shelf.model("compact-x4", 1001):
        assert shelf.names == ("compact-x4",)


def test_a_model_that_cannot_be_loaded_takes_no_room(shelf, tiny):
    with pytest.raises(Exception, match="nothing-x4"), shelf.model("nothing-x4", 1000):
        pass
    with shelf.model(tiny) as model:
        shelf.most = weight_bytes(model)
    with shelf.model(tiny):
        assert shelf.names == (tiny,)


def test_served_in_turn_with_little_memory(tiny, tmp_path):
    picture = encoded(noise(24, 16))
    source = tmp_path / "a.in"
    source.write_bytes(picture)
    with serving(tmp_path / "spool", "--model", f"compact-x4,{tiny}", "--max-memory", "700MB") as s:
        names = {row["name"]: row["loaded"] for row in s.client.get("/models").json()["models"]}
        assert names == {"compact-x4": True, "tiny": True}, "where a file lies is nobody's concern"
        for model, name in (("compact-x4",) * 2, (tiny, "tiny")) * 2:
            output = tmp_path / "b.png"
            words = ["upscale", source, "-o", output, "--model", model, "--overwrite"]
            words += ["--device", "cpu", "--precision", "fp32", "--strip-metadata"]
            assert main([*map(str, words)]) == 0
            answer = s.client.post("/upscale", files={"image": picture}, data={"model": name})
            assert answer.content == output.read_bytes()
