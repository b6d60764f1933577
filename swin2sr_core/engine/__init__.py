"""Runs a plan: passes over a picture, exact or in tiles, and what is done when memory runs out."""
