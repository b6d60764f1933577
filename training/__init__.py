"""Trains Swin2SR networks; run from the checkout as `python -m training`, never installed.

    python -m training fit training/recipes/compact_x4.json --out runs/compact
    python -m training export runs/compact/last.pt compact.safetensors

Whatever a picture, a crop or a step needs of chance follows from the seed and the step's number
alone, so an interrupted run goes on exactly where it stopped.
"""
