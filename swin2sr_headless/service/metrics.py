"""GET /metrics: what Prometheus collects."""

from __future__ import annotations

from collections.abc import Iterator

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from .admission import wait_seconds
from .dispatcher import Dispatcher

router = APIRouter()
_SECONDS = (0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 300, 1800)
_RATIOS = (0.25, 0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0)


class Metrics:
    """Of one server, in a registry of its own."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "swin2sr_requests", "Requests by status", ["method", "code"], registry=self.registry
        )
        self.inference = Histogram(
            "swin2sr_inference_seconds",
            "In the network, for each picture",
            ["model"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.overhead = Histogram(
            "swin2sr_overhead_seconds",
            "In a worker besides the network's and those that another picture had it",
            ["model"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.pixels = Counter(
            "swin2sr_pixels", "Pixels of results", ["model"], registry=self.registry
        )
        self.ratio = Histogram(
            "swin2sr_measured_to_forecast",
            "Measured by forecast bytes of the network, on devices that count them",
            ["model"],
            buckets=_RATIOS,
            registry=self.registry,
        )
        self.peak = Gauge(
            "swin2sr_peak_bytes", "The most that a worker has had", ["of"], registry=self.registry
        )
        self._most: dict[str, float] = {}
        self.registry.register(_State(dispatcher))

    def made(self, model: str, done: dict, seconds: float) -> None:
        """A picture is finished; `seconds` since its turn came, less those for the device's."""
        report = done["report"]
        self.inference.labels(model).observe(done["seconds"])
        self.overhead.labels(model).observe(max(0.0, seconds - done["seconds"]))
        width, height = report["output_size"]
        self.pixels.labels(model).inc(width * height * report["frames"])
        of, peak = report["peak_memory_of"], (report["peak_memory_gb"] or 0.0) * 2**30
        self._most[of] = max(peak, self._most.get(of, 0.0))
        self.peak.labels(of).set(self._most[of])
        measured, forecast = report["measured_bytes"], report["forecast_bytes"]
        if of == "device" and measured and forecast:  # a process keeps what it has once had
            self.ratio.labels(model).observe(measured / forecast)


class _State(Collector):
    """What is so at the moment of asking."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher

    def collect(self) -> Iterator[Metric]:
        dispatcher = self._dispatcher
        state, counts = dispatcher.state(), dispatcher.counts
        for name, text, value in (
            ("queue_length", "Pictures that wait", len(state.waiting)),
            ("queue_seconds", "Until a new picture would start", wait_seconds(state)),
            ("queue_bytes", "Of the files that wait", state.upload_bytes),
            ("running", "Pictures at work", len(dispatcher.running)),
            ("held_bytes", "That they take, by forecast", dispatcher.held_bytes),
            ("workers", "Pictures that can be computed at once", state.workers),
            ("workers_ready", "Of these, with their models", dispatcher.ready),
            ("draining", "Whether a shutdown has begun", int(state.draining)),
        ):
            yield GaugeMetricFamily(f"swin2sr_{name}", text, value)
        for name, text, value in (
            ("retries", "Pictures begun again as their worker had died", counts.retries),
            ("poison", "Pictures that ended two workers", counts.died),
            ("cancels", "Pictures that were stopped", counts.cancels),
            ("worker_restarts", "Workers that were replaced", dispatcher.pool.restarts),
        ):
            yield CounterMetricFamily(f"swin2sr_{name}", text, value)


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(request: Request) -> Response:
    """In Prometheus' text format."""
    text = generate_latest(request.app.state.metrics.registry)
    return Response(text, media_type=CONTENT_TYPE_LATEST)
