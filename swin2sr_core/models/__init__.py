"""Model files: the catalog, downloads, checkpoints, and what is loaded of them."""
