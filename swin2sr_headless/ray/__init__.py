"""Workers on the nodes of a Ray cluster: the extra `ray`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING

from swin2sr_core.errors import InputError

if TYPE_CHECKING:
    from .pool import RayPool


def ray_pool(
    address: str,
    sources: Mapping[str, str],
    precision: str,
    device: str,
    count: int,
    max_memory: int | None,
) -> RayPool:
    """A pool on a cluster. With device "cpu" a worker takes as many CPUs as OMP_NUM_THREADS says
    (else one), otherwise a GPU. max_memory: of each worker's device, in bytes.

    Raises InputError where Ray is not installed.
    """
    if find_spec("ray") is None:
        raise InputError("--ray needs ray; install it with pip install 'swin2sr[ray]'")
    from .pool import RayPool

    threads = os.environ.get("OMP_NUM_THREADS", "1")
    cpus = int(threads) if threads.isdigit() else 1
    return RayPool(
        address,
        sources,
        precision,
        device,
        count,
        cpus=cpus,
        gpus=0 if device == "cpu" else 1,
        max_memory=max_memory,
        environment={"OMP_NUM_THREADS": str(cpus)},
    )
