"""The demo clips: each is known by its name, and one that fails is called so."""

from audex_jax.data.inputs import DEMO, demo_clips
from audex_jax.io.audio import duration


def test_demo_clips_are_short_and_attributed():
    clips, card = demo_clips(), (DEMO / "README.md").read_text(encoding="utf-8")
    assert len(clips) == 4
    assert [clip.stem for clip in clips if clip.stem.endswith("-fails")] == ["stop-fails"]
    assert "Creative Commons Attribution 4.0" in card
    for clip in clips:
        assert f"`{clip.name}`" in card
        assert 0.5 < duration(clip, 5.0) <= 1.0
