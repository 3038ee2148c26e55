"""What the site of the documentation takes from elsewhere in the repository.

`mkdocs.yml` names pages such as `README.md` by their path in the repository. They become pages of the site at that
path, and so do the files that they link to: their links hold on the site as they do in the repository.
"""

import pathlib
import re
from typing import Any

from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from audex_jax.explain import result, verdict

ROOT = pathlib.Path(__file__).parents[1]
LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")  # of Markdown, to a file
OWN = {path.name for path in pathlib.Path(__file__).parent.glob("*.md")}
SUFFIXES = {".md", ".py", ".png", ".json", ".toml", ""}  # of files that are taken in


def pages_of(nav: Any) -> list[str]:
    """Paths that the navigation names, in its order."""
    if isinstance(nav, str):
        return [nav]
    inner = nav.values() if isinstance(nav, dict) else nav
    return [path for item in inner for path in pages_of(item)]


def linked_from(page: str) -> list[str]:
    """Paths of files in the repository to which a page links."""
    text = (ROOT / page).read_text(encoding="utf-8")
    targets = ((ROOT / page).parent / link for link in LINK.findall(text))
    found = (path.resolve().relative_to(ROOT).as_posix() for path in targets if path.is_file())
    return [path for path in found if not path.startswith("docs/")]


@event_priority(100)  # before the plugins look at files
def on_files(files: Files, config: Any) -> Files:
    """Add the pages that lie outside of the site's folder, and what they link to."""
    taken = [page for page in pages_of(config.nav) if (ROOT / page).is_file()]
    for page in taken:
        taken += [path for path in linked_from(page) if path not in taken] if page.endswith(".md") else []
    for path in taken:
        if files.get_file_from_path(path) is None and pathlib.PurePath(path).suffix in SUFFIXES:
            files.append(File(path, str(ROOT), config.site_dir, config.use_directory_urls))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Put the tables in place that the package itself defines; the site's own folder is its top."""
    if page.file.src_uri in OWN:
        markdown = markdown.replace("](../", "](")
    else:
        markdown = re.sub(r"\]\(((?:\.\./)*)docs/", r"](\1", markdown)
    for name, table in TABLES.items():
        if "{{ " + name + " }}" in markdown:
            markdown = markdown.replace("{{ " + name + " }}", table())
    return markdown


def _record() -> str:
    rows = (
        f"| `{one.name}`{' *' if one.metadata['share'] else ''} | {one.metadata['unit']} | {one.metadata['meaning']} |"
        for one in result.columns()
    )
    return "\n".join(["| field | unit | meaning |", "|---|---|---|", *rows])


def _verdicts() -> str:
    rows = (f"| {shown} | `{kind}` | {verdict.MEANINGS[kind]} |" for kind, shown in verdict.KINDS.items())
    return "\n".join(["| in lists | in files | meaning |", "|---|---|---|", *rows])


TABLES = {"record": _record, "verdicts": _verdicts}
