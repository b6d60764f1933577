"""A network made ready for one device and precision: folded, scaled, quantised."""
