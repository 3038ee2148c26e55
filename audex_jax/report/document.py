"""One HTML page out of a template, styles, scripts and data, without network.

A content security policy forbids the page to load anything from the network or to run any script but its own. What
comes from outside (file names, labels, settings) travels as JSON; the page's script only ever shows it as text.
"""

import base64
import hashlib
import html
import pathlib
from collections.abc import Sequence

from audex_jax.io.files import json_text


def fill(
    template: pathlib.Path,
    styles: Sequence[pathlib.Path],
    scripts: Sequence[pathlib.Path],
    parts: dict[str, str],
    beside: bool = False,
) -> str:
    """The page's text.

    Args:
        template: HTML with places `{{POLICY}}`, `{{STYLE}}`, `{{SCRIPT}}` and those of `parts`.
        styles, scripts: what goes into the page, in this order.
        parts: text for the other places; the caller has escaped it.
        beside: scripts in files beside the page may run, too.
    """
    style, script = ("\n".join(path.read_text(encoding="utf-8") for path in paths) for paths in (styles, scripts))
    files = " 'self' file:" if beside else ""
    policy = (
        f"default-src 'none'; script-src {_hash(script)}{files}; "
        f"style-src {_hash(style)}; img-src data:; base-uri 'none'; form-action 'none'"
    )
    parts = parts | {"POLICY": html.escape(policy), "STYLE": style, "SCRIPT": script}
    head, *rest = template.read_text(encoding="utf-8").split("{{")
    return head + "".join(parts[name] + text for name, text in (piece.split("}}", 1) for piece in rest))


def data_element(identifier: str, text: str) -> str:
    """The element that holds embedded JSON."""
    return f'<script type="application/json" id="{identifier}">{text}</script>'


def embed(content: dict | list) -> str:
    """JSON that cannot end the script element it stands in, nor be read as markup.

    >>> embed(["</script>"])
    '["\\\\u003c/script\\\\u003e"]'
    """
    text = json_text(content, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
