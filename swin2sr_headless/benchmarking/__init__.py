"""Timing and what limits it; shared by `swin2sr bench` and `benchmarks/`."""
