"""Explanations for people: figures."""
