"""Fetching a checkpoint: one file, whole and unchanged, resumed where it was cut off."""
