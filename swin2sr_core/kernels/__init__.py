"""What the time goes into: a block on a band of windows, and the products in it."""
