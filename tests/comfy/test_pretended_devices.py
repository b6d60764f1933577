"""Plans for devices that are not here: what else has to be there is no room for them."""

import dataclasses
from types import SimpleNamespace

import pytest
import torch

MISSING = 1000
"""Bytes of weights that are still to be loaded."""


GB = 1 << 30


@pytest.fixture
def there(pack, monkeypatch):
    """(compute device, device of pictures, bytes free on each) -> the rooms that plans ask for."""

    def have(compute, output, free=16 * GB):
        host, budget = pack("nodes.host"), pack("swin2sr_core.planning.budget")
        monkeypatch.setattr(host, "compute_device", lambda: torch.device(compute))
        monkeypatch.setattr(host, "output_device", lambda: torch.device(output))
        monkeypatch.setattr(host, "free_bytes", lambda device: free)
        monkeypatch.setattr(host, "available_bytes", lambda device: 16 * GB)
        rooms, room = [], budget.Room
        monkeypatch.setattr(host, "Room", lambda *a: rooms.append(room(*a)) or rooms[-1])
        return rooms

    return have


@pytest.mark.parametrize(("compute", "output"), [("cpu", "cpu"), ("cuda", "cpu"), ("cuda", "cuda")])
def test_a_batch_is_planned_beside_its_results_and_the_weights_to_come(
    there, pack, compact, compute, output
):
    """Finished frames count where they are kept."""
    job = pack("nodes.job")
    candidate = dataclasses.replace(job.Candidate.of(compact), missing_bytes=MISSING)
    rooms = there(compute, output)
    job.plan_batch(candidate, 32, 48, 2, job.node_settings())
    finished = 2 * (4 * 32) * (4 * 48) * 4 * 4
    (room,) = rooms
    assert room.taken == MISSING + (finished if compute == output else 0)
    assert room.host == (None if compute == "cpu" else 16 * GB - finished * (output == "cpu"))
    assert room.resident == (output == "cuda")


def test_where_comfyui_unloads_anyway_nothing_is_saved_by_less(there, pack, compact):
    """It keeps a minimum free for every model that it loads."""
    host = pack("nodes.host")
    (reserve, minimum) = (host.mm.extra_reserved_memory(), host.mm.minimum_inference_memory())
    there("cuda", "cpu", free=int(minimum) - 1)
    assert host.room().free == 0
    there("cuda", "cpu", free=4 * GB)
    assert host.room(GB).free == 4 * GB - reserve


def test_faces_are_planned_beside_the_weights_to_come(there, pack, compact, monkeypatch):
    job, face_run = pack("nodes.job"), pack("nodes.face_run")
    candidate = dataclasses.replace(job.Candidate.of(compact), missing_bytes=MISSING)
    monkeypatch.setattr(face_run.Candidate, "of", lambda _model: candidate)
    rooms = there("cpu", "cpu")
    (run,) = [each for each in vars(face_run).values() if hasattr(each, "plan_for")]
    run.plan_for(SimpleNamespace(model=compact), compact.core, 32, 32, 4, 1)
    assert [room.taken for room in rooms] == [MISSING]
