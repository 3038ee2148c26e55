"""Explanations inside other people's engines. Each module needs an extra of its own."""
