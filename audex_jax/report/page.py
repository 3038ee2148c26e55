"""The HTML report: one page for one recording or thousands, without network, with the sounds inside or beside it.

The page is put together from the files in `page/`. Everything that comes from outside (file names, labels, settings)
travels as JSON, and the page's script only ever shows it as text.
"""

import html
import itertools
import os
import pathlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from audex_jax.io.atomic import replacing
from audex_jax.report import table
from audex_jax.report.document import data_element, embed, fill
from audex_jax.report.folder import ReportClip, explained, read_clip
from audex_jax.report.index import Index
from audex_jax.report.record import ReportError

INSIDE_BYTES = 64 * 2**20  # sounds beyond this, as base64, go beside the page: a browser would not open it in 2 s
TOGETHER = 64  # records read at a time
PAGE = pathlib.Path(__file__).parent / "page"
STYLES = ("base.css", "page.css")
SCRIPTS = (
    "dom.js", "audio.js", "pictures.js", "words.js", "clip.js", "controls.js", "confusion.js", "list.js"
)  # fmt: skip


class Written(NamedTuple):
    """A report: its number of clips, the folder of its sounds if not inside, a line for each unusable record."""

    clips: int
    assets: pathlib.Path | None
    faults: tuple[str, ...]


def write_report(
    source: table.Table,
    page: pathlib.Path,
    *,
    most: int | None = None,
    beside: bool = False,
    title: str | None = None,
    seen: Callable[[int], None] = lambda done: None,
) -> Written:
    """Write the report of everything that `audex explain` or `audex batch` left behind; whole or not at all.

    Args:
        source: the `--out` of `audex explain` or `audex batch`, a Parquet table of the latter, or an address.
        page: HTML file to write.
        most: take only as many recordings from the start; None for all.
        beside: put the sounds in a folder beside the page, which opens faster, instead of into it. Sounds that would
            make the page larger than 64 MB are put there in any case.
        title: heading of the page; default: from the source's name.
        seen: called with the number of records read so far.

    Raises:
        ReportError: nothing usable there; or a folder of something else where the sounds should go.
    """
    faults: list[str] = []
    index = Index()
    inside: list[str] = []
    assets = page.with_name(page.stem + "_files")
    size = 0
    with tempfile.TemporaryDirectory(prefix=f".{assets.name[:40]}.", dir=page.parent) as scratch:
        files = pathlib.Path(scratch) / "files"
        files.mkdir()
        for done, result in enumerate(itertools.islice(clips_of(source), most), start=1):
            seen(done)
            if isinstance(result, ReportError):
                faults.append(str(result))
                continue
            text = embed(index.add(result))
            size += len(text)
            inside.append(text)
            beside = beside or size > INSIDE_BYTES
            if beside:
                first = len(index.rows) - len(inside)
                for number, content in enumerate(inside, start=first):
                    (files / f"{number}.js").write_text(
                        f"audexClip({number},{content})", encoding="utf-8", errors="replace"
                    )
                inside = []
        if not index.rows:
            raise ReportError(f"{source}: none of its {len(faults)} explanations can be read; {faults[0]}")
        heading = title or f"Explanations in {os.path.basename(os.path.realpath(source))}"
        if beside:
            _replace_folder(assets, files)
        with replacing(page) as temporary:
            written = document(heading, index.content(assets.name if beside else None), inside)
            temporary.write_text(written, encoding="utf-8", errors="replace")
    return Written(len(index.rows), assets if beside else None, tuple(faults))


def document(title: str, index: dict, inside: list[str]) -> str:
    """The page's text."""
    styles, scripts = [PAGE / name for name in STYLES], [PAGE / name for name in SCRIPTS]
    data = [data_element("index", embed(index))]
    data += [data_element(f"clip-{n}", text) for n, text in enumerate(inside)]
    parts = {"TITLE": html.escape(title), "INDEX": data[0], "CLIPS": "\n".join(data[1:])}
    return fill(PAGE / "page.html", styles, scripts, parts, beside=True)


def count(source: table.Table) -> int:
    """Records of `audex explain`, or rows of tables of `audex batch`.

    Raises:
        ReportError: there are none.
    """
    tables = table.parts(source)
    return table.count(tables) if tables else len(explained(pathlib.Path(source)))


def clips_of(source: table.Table) -> Iterator[ReportClip | ReportError]:
    """Everything that was explained there, in order; an error stands for what cannot be read."""
    tables = table.parts(source)
    return table.read_clips(tables) if tables else _read_all(explained(pathlib.Path(source)))


def _read_all(records: list[pathlib.Path]) -> Iterator[ReportClip | ReportError]:
    def read(path: pathlib.Path) -> ReportClip | ReportError:
        try:
            return read_clip(path)
        except ReportError as error:
            return error

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(records), TOGETHER):
            yield from pool.map(read, records[start : start + TOGETHER])


def _replace_folder(assets: pathlib.Path, files: pathlib.Path) -> None:
    """Put the new sounds in the place of those of an earlier report, and of nothing else."""
    if assets.exists():
        if not assets.is_dir() or any(path.suffix != ".js" or not path.stem.isdigit() for path in assets.iterdir()):
            raise ReportError(f"{assets}: it is in the way and holds more than a report's sounds; choose another --out")
        shutil.rmtree(assets)
    os.replace(files, assets)
