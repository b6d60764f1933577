"""The sections of gpu_acceptance.py."""
