"""Where a workflow runs: embedded, in a ComfyUI checkout, or on a server."""
