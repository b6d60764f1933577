"""What this machine has, and what went wrong on it: `swin2sr doctor` and `swin2sr report`."""
