"""A torch program computes what the network computes, at any size, and tells nothing of where."""

import io
import zipfile

import pytest
import torch

from swin2sr_core.errors import InputError
from swin2sr_core.export.contract import Contract
from swin2sr_core.export.program import program_bytes, program_run


def contract_of(network, precision="fp32") -> Contract:
    return Contract.of(
        network.config, model="tiny", precision=precision, licence="MIT", weights_sha256="0" * 64
    )


def test_it_computes_the_same_at_every_size_and_keeps_its_contract(
    make_config, make_network, make_image
):
    network = make_network(make_config(depths=(2,), num_heads=(2,)))
    content = program_bytes(network, contract_of(network))
    run = program_run(content)
    for batch, rows, columns in ((1, 2, 2), (3, 2, 3), (1, 6, 2), (2, 3, 4)):
        image = make_image(3, 8 * rows, 8 * columns, batch)
        assert torch.equal(run(image), network(image))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        texts = {name: archive.read(name) for name in archive.namelist()}
    assert any(name.endswith("swin2sr.contract.json") for name in texts)
    assert not any(b"network.py" in text or b".forward(" in text for text in texts.values())


def test_other_precisions_are_refused(make_config, make_network):
    network = make_network(make_config())
    with pytest.raises(InputError, match=r"fp32, got fp16.*\.onnx"):
        program_bytes(network, contract_of(network, "fp16"))
