"""A training run: steps until the schedule ends, with checkpoints, validation and a log."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader

from swin2sr_core.errors import CheckpointError
from swin2sr_core.network.network import Swin2SR, SwinBlock

from .checkpoint import RunState, load_run, save_run
from .config import Schedule, TrainingConfig, Validation
from .dataset import Batches
from .log import RunLog
from .losses import training_loss
from .processes import Processes
from .start import starting_network
from .validation import Validator

logger = logging.getLogger(__name__)

LAST = "last.pt"
"""The checkpoint's name in a run's folder; a run that finds it there goes on from it."""


class Trainer:
    """One run in one folder. `should_stop` is asked after every step; it ends the run early."""

    def __init__(
        self,
        config: TrainingConfig,
        folder: Path,
        processes: Processes,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self.config = config
        self.folder = folder
        self.processes = processes
        self.should_stop = should_stop
        self.step = 0
        self.seconds = 0.0
        device = processes.device
        self.network = starting_network(config).to(device)
        average = get_ema_multi_avg_fn(config.optimiser.ema)
        self.average = AveragedModel(self.network, multi_avg_fn=average)
        self.optimiser = make_optimiser(self.network, config)
        if (folder / LAST).is_file():
            self._restore(load_run(folder / LAST))
        self._module: nn.Module = self.network
        if processes.count > 1:
            devices = [device.index] if device.type == "cuda" else None
            self._module = DistributedDataParallel(self.network, device_ids=devices)
        if config.compile:
            compile_blocks(self.network)

    def run(self) -> RunState:
        """Train until the schedule ends or `should_stop()` is true, and save. Returns the state."""
        config, leads = self.config, self.processes.leads
        validator = Validator(config.validation if leads else Validation(), self.scale)
        saved = last = time.monotonic()
        with RunLog(self.folder, leads) as log:
            stop = False
            for low, high in self._batches():
                share, stop = self._agreed_progress()
                if stop or share >= 1:
                    break
                values = self._train(low, high, share)
                now = time.monotonic()
                self.seconds += now - last
                last = now
                log.collect(values | {"pixels": low[:, 0].numel() * self.processes.count})
                if self.step % config.log_every == 0:
                    log.tell(self.step, self.seconds, share)
                if self.step % config.validation.every == 0:
                    self._validate(validator, log)
                if leads and now - saved > 60 * config.save_minutes:
                    saved = now
                    save_run(self.folder / LAST, self.state())
            if not stop and self.step % config.validation.every:
                self._validate(validator, log)
        if leads:
            save_run(self.folder / LAST, self.state())
        self.processes.wait()
        return self.state()

    @property
    def scale(self) -> int:
        return self.network.config.scale

    def state(self) -> RunState:
        """Everything the next step depends on."""
        return RunState(
            step=self.step,
            seconds=self.seconds,
            network=dict(self.network.state_dict()),
            average=averaged_weights(self.average),
            optimiser=self.optimiser.state_dict(),
            config=self.config.to_dict(),
        )

    def _restore(self, state: RunState) -> None:
        mine = {name: value.shape for name, value in self.network.state_dict().items()}
        if {name: value.shape for name, value in state.network.items()} != mine:
            raise CheckpointError(
                f"{self.folder / LAST} is of another network than the config describes; give the "
                "config it was made with, or another folder"
            )
        self.step, self.seconds = state.step, state.seconds
        self.network.load_state_dict(state.network)
        self.average.module.load_state_dict(state.average)
        self.average.n_averaged.fill_(state.step)
        self.optimiser.load_state_dict(state.optimiser)
        logger.info("going on after step %d, %.1f minutes", self.step, self.seconds / 60)

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches from the present step on, without end."""
        data = self.config.data
        batches = Batches(
            data, self.scale, self.config.batch, self.config.seed, self.processes.rank
        )
        loader = DataLoader(
            batches,
            batch_size=None,
            sampler=count(self.step),  # pyright: ignore[reportArgumentType]
            num_workers=data.workers,
            pin_memory=self.processes.device.type == "cuda",
            persistent_workers=data.workers > 0,
        )
        for low, high in loader:
            device = self.processes.device
            yield low.to(device, non_blocking=True), high.to(device, non_blocking=True)

    def _agreed_progress(self) -> tuple[float, bool]:
        """The share of the run that is over, and whether to stop: the leader's answers, for all."""
        share = progress(self.config.schedule, self.step, self.seconds)
        mine = torch.tensor([share, float(self.should_stop())], dtype=torch.float64)
        share, stop = self.processes.agreed(mine).tolist()
        return share, bool(stop)

    def _train(self, low: Tensor, high: Tensor, share: float) -> dict[str, Tensor | float]:
        """One step of the optimiser; the loss stays on the device."""
        config = self.config
        rate = learning_rate(config.schedule, self.step, share)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        autocast = config.precision == "bf16"
        with torch.autocast(self.processes.device.type, torch.bfloat16, enabled=autocast):
            output = self._module(low)
        loss = training_loss(output.float(), high, config.loss)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), config.optimiser.clip)
        self.optimiser.step()
        self.average.update_parameters(self.network)
        self.step += 1
        return {"loss": loss.detach(), "gradient": norm.detach(), "learning_rate": rate}

    def _validate(self, validator: Validator, log: RunLog) -> None:
        if validator.pairs and self.processes.leads:
            weights, device = averaged_weights(self.average), str(self.processes.device)
            score = validator.score(self.network.config, weights, device)
            log.validated(self.step, score)
        self.processes.wait()


def compile_blocks(network: Swin2SR) -> None:
    """Compile each transformer block: all share two compilations, shifted or not.

    Two cores: 20 s to compile, 2.3 times as fast as eager; the whole network at once takes minutes.
    """
    for module in network.modules():
        if isinstance(module, SwinBlock):
            module.compile(dynamic=False)


def make_optimiser(network: nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
    """AdamW whose weight decay leaves biases, norms and temperatures alone."""
    how = config.optimiser
    matrices = [p for p in network.parameters() if p.dim() in (2, 4)]
    others = [p for p in network.parameters() if p.dim() not in (2, 4)]
    groups = [
        {"params": matrices, "weight_decay": how.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.schedule.learning_rate, betas=how.betas)


def averaged_weights(average: AveragedModel) -> dict[str, Tensor]:
    """The moving average by official names."""
    return dict(average.module.state_dict())


def progress(schedule: Schedule, step: int, seconds: float) -> float:
    """The share of a run that is over after `step` steps and `seconds`; 1 or more is its end."""
    by_steps = step / schedule.steps if schedule.steps else 0.0
    by_clock = seconds / (60 * schedule.minutes) if schedule.minutes else 0.0
    return max(by_steps, by_clock)


def learning_rate(schedule: Schedule, step: int, share: float) -> float:
    """Linear warm-up over the first steps, times a cosine from 1 at share 0 to 0 at share 1."""
    warm = min(1.0, (step + 1) / max(1, schedule.warmup))
    return schedule.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * min(1.0, share)))
