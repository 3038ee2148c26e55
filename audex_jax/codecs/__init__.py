"""Codecs: a file or folder here is a family, and its `FAMILY` a class that implements `core.protocols.Codec`."""

NOISE_RMS = 0.05  # of the white noise that fills, for codecs that keep the level: that of quiet speech
