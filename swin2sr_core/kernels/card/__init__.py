"""Kernels for graphics cards, in Triton, which is imported only where one of them may run."""
