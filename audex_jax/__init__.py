"""Hear why an audio classifier decided as it did."""

__version__ = "0.1.0"
