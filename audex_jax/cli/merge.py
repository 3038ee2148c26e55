"""`audex merge`: join the results of `audex batch` into one Parquet file."""

import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `audex merge` to its parser."""
    parser.epilog = "\nexample:\n  audex merge explained --out explained.parquet\n"
    parser.add_argument("results", metavar="DIR", help="folder that `audex batch` wrote; the job is finished")
    parser.add_argument("--out", required=True, metavar="FILE", help="file to write, .parquet")


def run(arguments: argparse.Namespace) -> int:
    """Carry out `audex merge`; the exit code."""
    from audex_jax.batch.merge import merge
    from audex_jax.batch.store import load_store
    from audex_jax.cli import bundles

    bundles.require_suffix(arguments.out, (".parquet",))
    rows = merge(load_store(arguments.results), arguments.out)
    print(f"{arguments.out}: {rows} rows")
    return 0
