import pathlib
import re

import audex_jax.attribution

TEXT = (pathlib.Path(audex_jax.attribution.__file__).parent / "README.md").read_text(encoding="utf-8")


def test_the_example_runs(capsys):
    (example,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    exec(compile(example, "README.md", "exec"), {})
    assert capsys.readouterr().out.startswith("Converged: after 9 points")


def test_the_guide_names_only_what_there_is():
    names = re.findall(r"`(\w+)`", TEXT[TEXT.index("## Which method when") : TEXT.index("## Baselines")])
    assert len(names) > 10
    assert [name for name in names if not hasattr(audex_jax.attribution, name)] == []
