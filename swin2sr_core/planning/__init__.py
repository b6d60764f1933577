"""What is decided before a tensor moves: arithmetic on integers, without torch."""
