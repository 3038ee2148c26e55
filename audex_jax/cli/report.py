"""`audex report`: one HTML page of everything that `audex explain` or `audex batch` left behind."""

import argparse
import pathlib
import sys

EXAMPLE = """
The page needs no network and no server: open it with any browser, send it by mail, keep it with a paper. It lets you
hear original, reconstruction, explanation and residual in turn at the same position, and says what to believe. With
many recordings it has a list to search, sort and filter. Sounds above 64 MB are put in a folder beside the page.

`audex explain INPUT --out DIR --report` explains and makes the page in one go, and prepares the slider over how much
is kept (5, 10, 20 and 40 %).

examples:
  audex explain recordings/ --out explained --report
  audex report explained
  audex report results/parts/part-000017.parquet
  audex report gs://my-bucket/results --out results.html
  audex report explained --out paper/figure-3.html --title "Figure 3"
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `audex report` to its parser."""
    from audex_jax.cli.options import positive

    parser.epilog = EXAMPLE
    parser.add_argument("source", metavar="DIR|FILE", help="the --out folder of audex explain or batch, or a .parquet")
    parser.add_argument("--out", metavar="FILE", help="page to write, .html (default: DIR/report.html)")
    parser.add_argument(
        "--most", type=positive, default=5000, metavar="N", help="largest number of recordings (default: 5000)"
    )
    parser.add_argument(
        "--assets", action="store_true", help="write the sounds to a folder beside the page, not into it"
    )
    parser.add_argument("--title", help="heading of the page (default: from the folder's name)")
    parser.add_argument("--quiet", action="store_true", help="hide progress")


def run(arguments: argparse.Namespace) -> int:
    """Carry out `audex report`; the exit code."""
    from audex_jax.cli import UsageError
    from audex_jax.cli.bundles import require_suffix
    from audex_jax.io.remote import is_address

    source = arguments.source if is_address(arguments.source) else pathlib.Path(arguments.source)
    if arguments.out is not None:
        require_suffix(arguments.out, (".html", ".htm"))
    if arguments.out is not None:
        page = pathlib.Path(arguments.out)
    elif isinstance(source, pathlib.Path):
        page = (source.parent if source.is_file() else source) / "report.html"
    else:
        raise UsageError(f"{source}: say with --out where to write the page")
    said, faults = make_page(source, page, arguments.assets, arguments.title, arguments.quiet, arguments.most)
    print(said)
    return 1 if faults else 0


def make_page(
    source: str | pathlib.Path,
    page: pathlib.Path,
    beside: bool = False,
    title: str | None = None,
    quiet: bool = False,
    most: int | None = None,
) -> tuple[str, int]:
    """Write the page; returns what to say about it, and how many records could not be used."""
    from audex_jax.io.progress import Bar
    from audex_jax.report.page import count, write_report

    total = min(count(source), most or sys.maxsize)
    with Bar("writing the report", total, quiet or total < 20) as bar:
        written = write_report(source, page, most=most, beside=beside, title=title, seen=bar.update)
    for fault in written.faults:
        print(f"audex report: {fault}", file=sys.stderr)
    sounds = "inside" if written.assets is None else f"in {written.assets}"
    size = page.stat().st_size / 1e6
    return f"{page}: {written.clips} recordings, {size:.1f} MB, sounds {sounds}", len(written.faults)
