"""GET /swin2sr/plan: right answers, or one sentence; nothing loaded, nothing outside named."""

import asyncio
import builtins
import contextlib
import json
import random
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
import torch


@pytest.fixture
def plan(pack, node_list):
    """(**query) -> the answer, as the route finds it."""
    forecast = pack("nodes.plan_answer")
    return lambda **query: forecast.answer(
        forecast.Question.parse({name: str(value) for name, value in query.items()})
    )


@pytest.fixture
def errors(pack):
    return pack("swin2sr_core.errors")


@pytest.fixture(autouse=True)
def forget(pack):
    pack("nodes.plan_answer")._rows.cache_clear()
    pack("swin2sr_core.models.header")._read.cache_clear()


# -- right answers -------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["auto", "whole", "staged", "tiled"])
def test_it_is_the_plan_that_then_runs(strategy, plan, pack, compact):
    job = pack("nodes.job")
    settings = job.node_settings(scale=2.0, strategy=strategy, max_memory=0.03)
    made = job.plan_batch(job.Candidate.of(compact), 120, 200, 3, settings)
    (row,) = plan(
        width=200,
        height=120,
        frames=3,
        scale=2.0,
        strategy=strategy,
        max_memory=0.03,
        precision="fp32",
    )["rows"]
    assert row["output"] == [made.width, made.height] == [400, 240]
    assert (row["strategy"], row["forecast_bytes"]) == (
        made.plan.strategy,
        made.plan.forecast_bytes,
    )


def test_a_size_in_megapixels_is_planned_with(plan):
    (row,) = plan(width=512, height=512, megapixels=1)["rows"]
    assert row["output"] == [1024, 1024]


def test_a_limit_on_the_input_is_planned_with_and_told(plan):
    (row,) = plan(width=400, height=200, max_input_side=100)["rows"]
    assert row["output"] == [400, 200]
    assert "reduced to 100x50" in row["notes"][0]


def test_without_a_size_it_answers_for_the_usual_ones(plan):
    answer = plan()
    assert [row["width"] for row in answer["rows"]] == [512, 768, 1024]
    assert answer["model"]["name"] == "compact-x4"
    assert answer["free_bytes"] > 0
    assert json.loads(json.dumps(answer)) == answer


def test_a_model_is_known_by_its_header_as_well_as_loaded(plan, put_model, pack):
    for name in ("mine.safetensors", "mine.pth"):
        put_model(name, scale=4, head="nearest+conv", embed_dim=24)
        (row,) = plan(model=name, width=64, height=48, precision="fp32")["rows"]
        config = pack("swin2sr_core.models.checkpoint").load_checkpoint(
            pack("nodes.host").model_file(name)
        )[0]
        assert (
            pack("swin2sr_core.models.header").read_config(pack("nodes.host").model_file(name))
            == config
        )
        assert row["output"] == [256, 192]


def test_published_networks_are_those_of_their_files(pack, base):
    """The one official file that tests have; the other entries differ from it by numbers."""
    header, catalog = pack("swin2sr_core.models.header"), pack("swin2sr_core.models.catalog")
    for name in ("classical-x2", "classical-x4", "realworld-x4", "compressed-x4", "lightweight-x2"):
        config = header.published_config(catalog.find_entry(name))
        assert config.scale == catalog.find_entry(name).scale
        size = catalog.find_entry(name).size or catalog.find_entry(name).rough_size
        if size:  # the parameters in fp32, and buffers that the files carry besides
            assert 0.6 < 4 * config.parameters / size < 1


def test_a_model_that_is_not_here_says_how_to_get_it(plan, pack):
    model = plan(model="classical-x4 (download)", width=64, height=64)["model"]
    assert model["download"]["url"].endswith(model["download"]["file_name"])
    assert model["download"]["folder"] == str(pack("nodes.host").download_folder())
    assert model["download"]["state"]["phase"] == "absent"


@pytest.mark.parametrize("max_memory", [0.001, 1e-12])
def test_what_does_not_fit_is_a_right_answer(max_memory, plan):
    """However small it is, it is never taken for 0, which is all that is free."""
    (row,) = plan(width=512, height=512, max_memory=max_memory)["rows"]
    assert "smallest budget that works" in row["problem"]
    (row,) = plan(width=16384, height=16384, frames=100000)["rows"]
    assert "finished picture(s)" in row["problem"]


def test_many_that_ask_the_same_are_answered_once(plan, pack):
    rows = pack("nodes.plan_answer")._rows
    for _ in range(20):
        plan(width=100, height=100, max_memory=1)
    assert rows.cache_info().misses <= 2, "free memory may have moved once"


# -- wrong questions -----------------------------------------------------------------------------

WRONG = [
    {"width": "0", "height": "4"},
    {"width": "-1", "height": "4"},
    {"width": "16385", "height": "4"},
    {"width": "9" * 5000, "height": "4"},
    {"width": "4"},
    {"width": "4.5", "height": "4"},
    {"width": "٣", "height": "4"},
    {"frames": "0"},
    {"scale": "nan"},
    {"scale": "inf"},
    {"scale": "5"},
    {"scale": ""},
    {"max_memory": "-1"},
    {"max_memory": "1e999"},
    {"tile_size": "99999"},
    {"strategy": "fastest"},
    {"edge": "<script>"},
    {"precision": "fp8"},
    {"model": ""},
    {"model": "\x00"},
    {"model": "no such.safetensors"},
    {"colour": "red"},
]


@pytest.mark.parametrize("query", WRONG, ids=lambda query: json.dumps(query)[:30])
def test_wrong_values_are_refused_with_a_short_sentence(query, plan, errors):
    with pytest.raises(errors.InputError) as caught:
        plan(**query)
    assert len(str(caught.value)) < 300
    assert "\n" not in str(caught.value)


def test_anything_at_all_is_answered_or_refused(plan, errors):
    """Random words in random places."""
    generator = random.Random(0)
    words = [
        "",
        "0",
        "-0",
        "1",
        "64",
        "1e3",
        "auto",
        "tiled",
        "wrap",
        "fp32",
        "../x",
        "compact-x4",
        "\n",
        "None",
    ]
    names = [
        "model",
        "width",
        "height",
        "scale",
        "edge",
        "strategy",
        "tile_size",
        "overlap",
        "precision",
        "x",
    ]
    right = 0
    for _ in range(300):
        query = {
            generator.choice(names): generator.choice(words) for _ in range(generator.randint(0, 3))
        }
        with contextlib.suppress(errors.Swin2SRError):
            right += bool(plan(**query)["rows"])
    assert right > 10


# -- nothing loaded, nothing outside -------------------------------------------------------------


@pytest.fixture
def secret(base, tmp_path, put_model):
    """A model outside of the model folders, and the ways by which one might try to reach it."""
    made = put_model("made.safetensors")
    outside = base / "output" / "secret.safetensors"
    outside.write_bytes(made.read_bytes())
    yield [
        str(outside),
        "../../output/secret.safetensors",
        "..\\..\\output\\secret.safetensors",
        "sub/../../../output/secret.safetensors",
        "secret.safetensors",
        f"file://{outside}",
        f"{outside} (download)",
        "/etc/passwd",
    ]
    outside.unlink()


def test_files_outside_are_neither_read_nor_named(secret, plan, errors, monkeypatch):
    opened = []
    real = builtins.open
    monkeypatch.setattr(
        builtins, "open", lambda file, *a, **k: (opened.append(str(file)), real(file, *a, **k))[1]
    )
    for name in secret:
        with pytest.raises(errors.InputError) as caught:
            plan(model=name)
        assert "secret" not in str(caught.value)
        assert "passwd" not in str(caught.value)
    assert not [path for path in opened if "secret" in path or "passwd" in path]


def test_no_weight_is_read_and_no_model_kept(plan, put_model, pack, monkeypatch):
    put_model("big.safetensors", embed_dim=48, depths=(4, 4), num_heads=(2, 2), mlp_dim=96)
    put_model("big.pth", embed_dim=48, depths=(4, 4), num_heads=(2, 2), mlp_dim=96)
    memory = pack("swin2sr_core.machine.meter")
    alive = len(pack("nodes.load")._alive)
    with memory.PeakMeter("cpu") as meter:
        for name in ("big.safetensors", "big.pth"):
            plan(model=name, width=64, height=64)
    assert meter.peak == 0, "tensors came into being"
    assert len(pack("nodes.load")._alive) == alive


def test_a_damaged_file_is_one_sentence(plan, errors, base, put_model):
    whole = put_model("whole.safetensors").read_bytes()
    folder = base / "models" / "swin2sr"
    for number, content in enumerate(
        (whole[:100], b"", b"PK\x03\x04 no archive", whole[:8] + b"{}")
    ):
        for suffix in ("safetensors", "pth"):
            path = folder / f"damaged_{number}.{suffix}"
            path.write_bytes(content)
            try:
                with pytest.raises(errors.CheckpointError):
                    plan(model=path.name)
            finally:
                path.unlink()


# -- over HTTP -----------------------------------------------------------------------------------


@pytest.fixture
def address(pack, node_list, monkeypatch):
    """Where a web server like ComfyUI's answers, with the routes registered as there."""
    web = pytest.importorskip("aiohttp.web", reason="no aiohttp, which comes with ComfyUI")
    routes = web.RouteTableDef()
    server = SimpleNamespace(routes=routes, client_id=None, sockets={}, send_sync=lambda *_: None)
    monkeypatch.setitem(
        sys.modules, "server", SimpleNamespace(PromptServer=SimpleNamespace(instance=server))
    )
    pack("nodes.plan_route").register()
    pack("nodes.download_route").register()
    loop, ready = asyncio.new_event_loop(), threading.Event()
    found = {}

    async def serve():
        app = web.Application()
        app.add_routes(routes)
        runner = found["runner"] = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        found["port"] = runner.addresses[0][1]
        ready.set()

    def work():
        loop.run_until_complete(serve())
        loop.run_forever()
        loop.run_until_complete(found["runner"].cleanup())
        loop.close()

    thread = threading.Thread(target=work)
    thread.start()
    ready.wait()
    yield f"http://127.0.0.1:{found['port']}"
    loop.call_soon_threadsafe(loop.stop)
    thread.join()


OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def get(address, path="/swin2sr/plan", body=None, kind="application/json", **query):
    """Status and JSON."""
    request = urllib.request.Request(
        f"{address}{path}?{urllib.parse.urlencode(query)}",
        data=None if body is None else body.encode(),
        headers={} if body is None else {"Content-Type": kind},
    )
    try:
        with OPENER.open(request, timeout=60) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_over_http(address):
    status, answer = get(address, width=64, height=48)
    assert (status, answer["rows"][0]["output"]) == (200, [256, 192])
    for query in ({"width": "x", "height": "1"}, {"model": "/etc/passwd"}, {"precision": "fp8"}):
        status, answer = get(address, **query)
        assert (status, list(answer)) == (400, ["error", "words"])
        assert answer["error"] in answer["words"]


def test_a_file_that_goes_away_meanwhile(address, put_model, pack, monkeypatch):
    put_model("fleeting.safetensors")
    choice = pack("nodes.model_choice")
    find = choice.find

    def find_and_lose(name):
        path = find(name)
        path.unlink()
        return path

    monkeypatch.setattr(choice, "find", find_and_lose)
    status, answer = get(address, model="fleeting.safetensors")
    assert status == 400
    assert "cannot be read any more" in answer["error"]


def test_a_hundred_at_once(address, plan):
    def ask(number):
        if number % 4 == 3:
            return get(address, width=number, height="no")[0] == 400
        status, answer = get(address, width=8 * (1 + number % 5), height=16, precision="fp32")
        return status == 200 and answer["rows"][0]["output"] == [32 * (1 + number % 5), 64]

    with ThreadPoolExecutor(100) as pool:
        assert all(pool.map(ask, range(100)))


def test_downloads_take_names_of_the_catalog_alone(address):
    for body in (
        "",
        "[]",
        "{}",
        '{"model": 5}',
        '{"model": "../x"}',
        '{"model": "compact-x4"}',
        "\x00",
    ):
        assert get(address, "/swin2sr/download", body)[0] == 400
    named = '{"model": "classical-x4"}'
    assert get(address, "/swin2sr/download", named, "text/plain")[0] == 400
    assert get(address, "/swin2sr/download/stop", named) == (200, {"stopped": False})


def test_torch_threads_and_flags_are_left_alone(plan):
    before = torch.get_num_threads(), torch.get_default_dtype()
    plan()
    assert (torch.get_num_threads(), torch.get_default_dtype()) == before
