"""Files of codes: each is read as it was written, or is refused in one line."""

import io
import zipfile

import numpy as np
import pytest

from audex_jax.codecs.encodec.codes import bounds_of, require_fit
from audex_jax.codecs.encodec.config import TINY
from audex_jax.io import codes

from .conftest import damaged

pytestmark = pytest.mark.attack
COUNT = 20  # mutants a test
CLIP = codes.CodedClip(
    np.random.default_rng(0).integers(0, 16, (50, 4)).astype(np.uint16),
    np.array([0, 50]),
    np.ones(1, "f4"),
    500,
    "tiny",
)
TYPES = ("u1", "u2", "u8", "i2", "i8", "f4", "f8", "c8", "?", "U4", "S3", "O", "M8[s]", [("a", "u2")])


def read(path) -> codes.CodedClip:
    clip = codes.load(path)
    require_fit(TINY, clip)
    return clip


def same(clip) -> bool:
    return all(np.array_equal(one, other) for one, other in zip(clip, CLIP, strict=True))


@pytest.mark.parametrize("seed", range(4))
def test_damaged_files(tmp_path, attack, seed):
    rng = np.random.default_rng(seed)
    path = tmp_path / "clip.npz"
    codes.save(path, CLIP)
    whole = path.read_bytes()
    assert same(read(path))
    for _ in range(COUNT):
        path.write_bytes(damaged(whole, rng))
        clip = attack(lambda: read(path))
        assert clip is None or same(clip)


@pytest.mark.parametrize("seed", range(4))
def test_other_arrays(tmp_path, attack, seed):
    rng = np.random.default_rng(seed)
    path = tmp_path / "clip.npz"
    for _ in range(COUNT):
        fields = CLIP._asdict()
        name = str(rng.choice(list(fields)))
        kind = TYPES[int(rng.integers(len(TYPES)))]
        shape = tuple(rng.integers(0, (4, 60, 300)[int(rng.integers(3))], int(rng.integers(4))))
        filling = rng.choice([0, 1, 15, 16, 50, 500, 65535])
        array = np.zeros(shape, kind) if isinstance(kind, list) or kind == "O" else np.full(shape, filling).astype(kind)
        np.savez_compressed(path, **fields | {name: array})
        clip = attack(lambda: read(path))
        if clip is not None:
            assert np.isfinite(clip.scales).all()
            assert clip.codes.max(initial=0) < TINY.codebook_size
            assert clip.bounds.tolist() == bounds_of(TINY, clip.samples)


@pytest.mark.parametrize("frames", [10**6, 2**31, 2**40])
@pytest.mark.parametrize("name", ["codes", "bounds", "scales", "model"])
def test_more_than_memory_holds(tmp_path, attack, name, frames):
    """A header that promises more than there is, and zeros that take no space."""
    kind = {"codes": "<u2", "bounds": "<i8", "scales": "<f4", "model": "<U1"}[name]
    with zipfile.ZipFile(tmp_path / "clip.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for field, value in CLIP._asdict().items():
            buffer = io.BytesIO()
            np.save(buffer, value)
            content = buffer.getvalue()
            if field == name:
                shape = (frames, 4) if name == "codes" else (frames,)
                head = io.BytesIO()
                np.lib.format.write_array_header_1_0(head, {"descr": kind, "fortran_order": False, "shape": shape})
                content = head.getvalue() + bytes(10**7)
            archive.writestr(f"{field}.npy", content)
    assert attack(lambda: read(tmp_path / "clip.npz")) is None
