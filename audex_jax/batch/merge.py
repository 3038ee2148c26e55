"""What became of a job: its state in numbers, and all parts as one file."""

import os

import pyarrow as pa
import pyarrow.parquet as pq

from audex_jax.batch.sealed import FORM, unsealed
from audex_jax.batch.store import Store, StoreError, together
from audex_jax.io.marks import MARK
from audex_jax.io.places import writing


def status(store: Store) -> dict:
    """How far a job is, all processes together."""
    counts = [found for found in together(lambda shard: store.counts(shard, whole=False), range(store.shards)) if found]
    total = {key: sum(found[key] for found in counts) for key in ("clips", "rows", "rejects")}
    return {
        "shards": store.shards,
        "shards_done": len(counts),
        "clips": store.run["manifest"]["clips"],
        "clips_done": total["clips"],
        "rows": total["rows"],
        "rejects": total["rejects"],
    }


def merge(store: Store, out: str | os.PathLike) -> int:
    """Write the rows of all parts into one Parquet file, in the order of the list of clips; returns their number.

    A few parts are in memory at a time.

    Args:
        store: the job's.
        out: a path, or an address in an object store.

    Raises:
        StoreError: the job is not finished, a part is damaged, a row stands twice, or the file cannot be written.
    """
    done = together(lambda shard: store.counts(shard) is not None, range(store.shards))
    if not all(done):
        raise StoreError(
            f"{store.place}: {done.count(False)} of {store.shards} shards are not done, or damaged (such as "
            f"{store.part(done.index(False))}); give the command of the job again, then merge"
        )

    def opened(shard: int) -> pq.ParquetFile:
        return unsealed(store.place.read(store.part(shard)), store.place.address(store.part(shard)))

    rows, last = 0, ("", -1)
    schema = opened(0).schema_arrow
    metadata = {k: v for k, v in (schema.metadata or {}).items() if k != b"audex"} | {b"made_by": MARK.encode()}
    schema = schema.with_metadata(metadata)
    try:
        with writing(out) as file, pq.ParquetWriter(file, schema, **FORM) as writer:
            for shard in range(store.shards):
                part = opened(shard)
                for group in range(part.num_row_groups):
                    table = part.read_row_group(group).replace_schema_metadata(metadata)
                    for place in zip(table["id"].to_pylist(), table["segment"].to_pylist(), strict=True):
                        if place <= last:  # rows are sorted like the list of clips, whose ids are unique
                            raise StoreError(f"{store.part(shard)}: the row {place} stands twice or out of order")
                        last = place
                    writer.write_table(table)
                    rows += len(table)
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"{out}: cannot write there ({error}); choose another file") from None
    return rows
