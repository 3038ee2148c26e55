"""Explanations of millions of clips: fixed shards, every device busy, results that data tools read as they are.

manifest   which clips, in which order; cut into shards whose content never changes
read       recordings off the disk and decoded, by grain's threads
stream     clips in, explanations out, on all devices of this process
rows       explanation to table row; `schema` says what the columns mean
store      the folder of results: a part a shard, there as a whole or not at all
plan       what is asked for, without JAX
job        all of it together: skips what is done, survives being killed at any instant
"""
