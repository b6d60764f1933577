"""The bundled network, as the tests of exported files take it."""

import pytest

from swin2sr_core.models.catalog import resolve_model
from swin2sr_core.models.checkpoint import load_checkpoint
from swin2sr_core.network.network import Swin2SR


@pytest.fixture(scope="session")
def bundled() -> Swin2SR:
    """compact-x4 in fp32."""
    config, state = load_checkpoint(resolve_model("compact-x4"))
    network = Swin2SR(config)
    network.load_state_dict({name: value.float() for name, value in state.items()})
    return network.eval().requires_grad_(False)
