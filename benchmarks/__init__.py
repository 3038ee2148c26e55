"""Benchmarks: each module opens with the question that it answers."""
