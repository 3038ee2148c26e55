"""How long does a newcomer wait: for the first explanation, for the next one, for an import, for the help?

    python -m benchmarks.coldstart [--repeats 5] [--json FILE]

Every run is a process of its own. `cold` starts with an empty compilation cache, `warm` finds the programs of the run
before it. The floor is what Python itself and `import jax` take.
"""

import functools
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence

from benchmarks.measure import in_turns, parser_for, report, show

AUDEX = (sys.executable, "-m", "audex_jax.cli")


def run(command: Sequence[str], **environment: str) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=os.environ | environment)


def explain(cache: str) -> None:
    with tempfile.TemporaryDirectory() as out:
        run([*AUDEX, "explain", "demo", "--out", f"{out}/explained"], AUDEX_CACHE=cache)


def explain_cold() -> None:
    with tempfile.TemporaryDirectory() as cache:
        explain(cache)


def main(argv: list[str] | None = None) -> None:
    arguments = parser_for("coldstart", __doc__).parse_args(argv)
    commands = {
        "python": [sys.executable, "-c", "pass"],
        "import jax": [sys.executable, "-c", "import jax"],
        "import audex_jax": [sys.executable, "-c", "import audex_jax"],
        "audex --help": [*AUDEX, "--help"],
    }
    found = in_turns({name: functools.partial(run, words) for name, words in commands.items()}, arguments.repeats)
    if not arguments.small:
        with tempfile.TemporaryDirectory() as cache:
            found |= in_turns({"audex explain demo, warm": lambda: explain(cache)}, arguments.repeats)
        found |= in_turns({"audex explain demo, cold": explain_cold}, min(arguments.repeats, 3))
    rows = [{"what": name, **timing.record()} for name, timing in found.items()]
    show("seconds", rows)
    report(arguments, {"rows": rows})


if __name__ == "__main__":
    main()
