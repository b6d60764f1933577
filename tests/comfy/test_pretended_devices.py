"""Plans for devices that are not here: what else has to be there is no room for them."""

import dataclasses
from types import SimpleNamespace

import pytest
import torch

MISSING = 1000
"""Bytes of weights that are still to be loaded."""


@pytest.fixture
def asked(pack, monkeypatch):
    """What plans asked `host.room` for, on a device of 16 GiB."""
    taken = []
    room = pack("swin2sr_core.planning.budget").Room

    def told(bytes_taken=0):
        taken.append(bytes_taken)
        return room(16 << 30, None, bytes_taken)

    monkeypatch.setattr(pack("nodes.host"), "room", told)
    return taken


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_batch_is_planned_beside_its_results_and_the_weights_to_come(
    device, asked, pack, compact, monkeypatch
):
    """Finished frames count where they lie on the device that computes."""
    job, host = pack("nodes.job"), pack("nodes.host")
    candidate = dataclasses.replace(job.Candidate.of(compact), missing_bytes=MISSING)
    monkeypatch.setattr(host, "compute_device", lambda: torch.device(device))
    settings = pack("swin2sr_core.planning.picture_plan").PictureSettings(scale=4)
    job.plan_batch(candidate, 32, 48, 2, settings)
    finished = 2 * (4 * 32) * (4 * 48) * 4 * 4 if device == "cpu" else 0
    assert asked == [MISSING + finished]


def test_faces_are_planned_beside_the_weights_to_come(asked, pack, compact, monkeypatch):
    job, face_run = pack("nodes.job"), pack("nodes.face_run")
    candidate = dataclasses.replace(job.Candidate.of(compact), missing_bytes=MISSING)
    monkeypatch.setattr(face_run.Candidate, "of", lambda _model: candidate)
    (run,) = [each for each in vars(face_run).values() if hasattr(each, "plan_for")]
    run.plan_for(SimpleNamespace(model=compact), compact.core, 32, 32, 4, 1)
    assert asked == [MISSING]
