"""How long rows of numbers a backend's units take: the one number by which programs differ between backends.

A TPU's matrix and vector units pad the last axis of every array to a multiple of 128, and heavily so where it is short.
Layers therefore lay several samples (`codecs.encodec.conv`) or several heads (`classifiers._attention`) side by side.
"""

import jax

LANES = {"tpu": 256}  # numbers that a row has at least, by backend; elsewhere a sample or a head is a row


def lanes() -> int:
    """Numbers that a row of the backend which is used has at least; 1 for any."""
    return LANES.get(jax.default_backend(), 1)
