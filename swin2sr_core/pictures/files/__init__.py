"""Formats of picture files: what Pillow does not write as it should, and metadata."""
