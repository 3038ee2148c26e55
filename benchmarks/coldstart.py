"""How long does a newcomer wait: for the first explanation, for the next one, for an import, for the help?

    python -m benchmarks.coldstart [--repeats 5] [--json FILE]

Every run is a process of its own. `cold` starts with an empty compilation cache, `warm` finds the programs of a run
before it. The floor is what Python itself and `import jax` take.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence

from benchmarks.measure import in_turns, parser_for, report, show

AUDEX = (sys.executable, "-c", "import sys; from audex_jax.cli import main; sys.exit(main())")


def run(command: Sequence[str], **environment: str) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=os.environ | environment)


def explain(cache: str) -> None:
    with tempfile.TemporaryDirectory() as out:
        run([*AUDEX, "explain", "demo", "--out", f"{out}/explained"], AUDEX_CACHE=cache)


def explain_cold() -> None:
    with tempfile.TemporaryDirectory() as cache:
        explain(cache)


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def main(argv: list[str] | None = None) -> None:
    parser = parser_for("benchmarks.coldstart", __doc__)
    arguments = parser.parse_args(argv)
    runs = {
        "python": lambda: run(python("pass")),
        "import jax": lambda: run(python("import jax")),
        "import audex_jax": lambda: run(python("import audex_jax")),
        "audex --help": lambda: run([*AUDEX, "--help"]),
    }
    found = in_turns(runs, arguments.repeats)
    if not arguments.small:
        with tempfile.TemporaryDirectory() as cache:
            found |= in_turns({"audex explain demo, warm": lambda: explain(cache)}, arguments.repeats)
        found |= in_turns({"audex explain demo, cold": explain_cold}, min(arguments.repeats, 3))
    rows = [{"what": name, **timing.record()} for name, timing in found.items()]
    show("seconds", rows)
    report(arguments, {"rows": rows})


if __name__ == "__main__":
    main()
