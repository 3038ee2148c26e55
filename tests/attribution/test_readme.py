import pathlib
import re

import audex_jax.attribution


def test_the_example_runs(capsys):
    text = (pathlib.Path(audex_jax.attribution.__file__).parent / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(compile(example, "README.md", "exec"), {})
    assert capsys.readouterr().out.startswith("Converged: after 9 points")


def test_the_guide_names_only_what_there_is():
    text = (pathlib.Path(audex_jax.attribution.__file__).parent / "README.md").read_text(encoding="utf-8")
    guide = text[text.index("## Which method when") : text.index("## Baselines")]
    names = re.findall(r"`(\w+)`", guide)
    assert len(names) > 10
    assert [name for name in names if not hasattr(audex_jax.attribution, name)] == []
