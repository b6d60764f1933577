"""The `swin2sr` command: a file for each sub-command, named like it."""
