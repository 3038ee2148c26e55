"""Explanations for people: figures, verdicts in words, and the HTML report."""
