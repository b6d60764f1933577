"""Workflows without a browser: read, converted, checked, and run by one of three hosts."""
