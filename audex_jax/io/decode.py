"""Recordings as blocks of samples, whatever the format; what a file promises and does not hold is an error.

libsndfile reads most formats. Three things it does not tell are looked after here: an MP3 without a Xing frame, of
which it would guess the length; a WAV whose recorder was stopped, whose header says that it is empty; an Ogg file
with a second stream behind the first. Containers of video (`CONTAINERS`) are read by PyAV, an optional package.
"""

import contextlib
import importlib.util
import io
import itertools
import os
import pathlib
import re
import struct
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import soundfile

from audex_jax.core.errors import AudioError
from audex_jax.io.files import FileError, opened
from audex_jax.io.remote import StoreError

SNDFILE = (
    ".wav", ".wave", ".bwf", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".mp2", ".aif", ".aiff", ".aifc", ".au", ".snd",
    ".caf", ".w64", ".rf64", ".voc", ".sph", ".nist", ".ircam", ".sf", ".pvf", ".paf", ".avr", ".8svx", ".svx", ".iff",
    ".sds", ".sd2", ".htk", ".xi", ".wve",
)  # fmt: skip
CONTAINERS = (
    ".m4a", ".m4b", ".mp4", ".mov", ".3gp", ".aac", ".webm", ".weba", ".mkv", ".mka", ".wma", ".asf", ".amr", ".ac3",
    ".ape", ".wv", ".tta", ".avi", ".flv", ".ts",
)  # fmt: skip
SUFFIXES = SNDFILE + CONTAINERS
# demuxers that PyAV may use: none that opens other files, or reads from the network
DEMUXERS = "mov,mp4,m4a,3gp,3g2,mj2,aac,matroska,webm,asf,amr,ac3,ape,wv,tta,avi,flv,mpegts"
BLOCK = 2**18  # samples of all channels that are decoded at once
RATES = (100, 4_000_000)  # Hz
UNKNOWN = 0x7FFF_F000  # sizes from here on, and 0, stand for "not known" in headers of streams
PROMISED = re.compile(r"(?:data|SSND|Data Size|riff|Riff size)\s*: (\d+) \(should be (\d+)\)")
TOLERANCE = 0.3  # seconds by which a container may end early
STRETCH = 64  # an MP3 without a Xing frame is said to be so much longer; bit rates differ by a factor of 40


class Decoded(NamedTuple):
    """A recording that is being read.

    Attributes:
        rate: samples per second.
        channels: their number.
        seconds: length that the header promises; None if it does not.
        blocks: float32 samples `[n, channels]`, one block after the other.
    """

    rate: int
    channels: int
    seconds: float | None
    blocks: Iterator[np.ndarray]


def reads_containers() -> bool:
    """Whether PyAV is installed."""
    try:
        return importlib.util.find_spec("av") is not None
    except ValueError:  # it was made impossible to import
        return False


@contextlib.contextmanager
def decoding(source: str | os.PathLike | bytes, name: str | None = None) -> Iterator[Decoded]:
    """Open a recording, a path or the bytes of a file; errors name it `name`.

    Raises:
        AudioError: missing, empty, no regular file, not audio, or shorter than its header promises.
        StoreError: it is in a store that cannot be read, which says nothing about the recording.
    """
    name = str(source) if name is None and not isinstance(source, bytes) else name or "audio"
    try:
        file = io.BytesIO(source) if isinstance(source, bytes) else opened(source)
    except FileError as error:
        raise AudioError(error) from None
    with file:
        try:
            if not file.seek(0, os.SEEK_END):
                raise AudioError(f"{name}: the file is empty; record or copy it again")
            file.seek(0)
            suffix = "" if isinstance(source, bytes) else pathlib.Path(source).suffix.lower()
            with (_container if suffix in CONTAINERS else _sndfile)(file, name) as decoded:
                least, most = RATES
                if not least <= decoded.rate <= most:
                    raise AudioError(f"{name}: {decoded.rate} Hz is no rate of a recording; from {least} to {most} are")
                yield decoded
        except soundfile.LibsndfileError as error:
            reason = str(error.error_string).rstrip(".")
            raise AudioError(f"{name}: not readable as audio ({reason}); convert it to WAV or FLAC") from None
        finally:
            if fault := getattr(file, "fault", None):  # what decoders took for the end of the file
                raise fault


@contextlib.contextmanager
def _sndfile(file: Any, name: str) -> Iterator[Decoded]:
    """Through libsndfile."""
    with _opened(file) as found:
        kind, log, frames = found.format, found.extra_info, found.frames
    known = True
    if kind == "MP3" and not _has_xing(file):
        file, known = _Altered(file, stretch=STRETCH), False
    elif kind in ("WAV", "WAVEX") and frames == 0 and (at := _unfinished(file)) is not None:
        file = _Altered(file, patch=(at, b"\xff\xff\xff\xff"))
    elif kind == "OGG" and (streams := _ogg_streams(file)) > 1:
        raise AudioError(f"{name}: {streams} Ogg streams one after the other; join them into one, or cut them apart")
    promised = PROMISED.search(log)
    if promised and 0 < int(promised[1]) < UNKNOWN and int(promised[1]) > int(promised[2]) + 8:
        there, said = int(promised[2]), int(promised[1])
        raise AudioError(f"{name}: shorter than promised, {there} of {said} bytes are there; copy or export it again")
    with _opened(file) as sound:
        seconds = sound.frames / sound.samplerate if known and sound.frames < UNKNOWN * 2**16 else None
        yield Decoded(sound.samplerate, sound.channels, seconds, _checked(sound, known, name))


def _opened(file: Any) -> soundfile.SoundFile:
    """A file on the disk as libsndfile reads it by itself, another through `_Altered`, which never raises."""
    if not isinstance(file, io.BufferedReader | _Altered):
        file = _Altered(file)
    file.seek(0)
    source: Any = file if isinstance(file, _Altered) else file.fileno()
    return soundfile.SoundFile(source, closefd=False)


def _checked(sound: Any, known: bool, name: str) -> Iterator[np.ndarray]:
    """The blocks of a file, and an error if they are fewer than its header says."""
    size, read = max(1, BLOCK // sound.channels), 0
    while len(block := sound.read(size, dtype="float32", always_2d=True)):
        read += len(block)
        yield block
    if known and read < sound.frames < UNKNOWN * 2**16:
        seconds, promised = read / sound.samplerate, sound.frames / sound.samplerate
        raise AudioError(
            f"{name}: shorter than promised, {seconds:.2f} of {promised:.2f} s can be read; copy or export it again"
        )


def _has_xing(file: BinaryIO) -> bool:
    """Whether the first frame of an MP3, behind its tags, tells the number of frames."""
    file.seek(0)
    head = file.read(10)
    size = 0
    if head[:3] == b"ID3" and len(head) == 10:
        size = 10 + sum((byte & 127) << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True))
    file.seek(size)
    first = file.read(4096)
    return any(mark in first for mark in (b"Xing", b"Info", b"VBRI"))


def _unfinished(file: BinaryIO) -> int | None:
    """Where a WAV says that it has no samples, if samples follow nevertheless: its recorder was stopped."""
    file.seek(0)
    at = file.read(2**16).find(b"data\0\0\0\0")
    file.seek(max(at, 0) + 8)
    following = file.read(8)
    if at < 0 or len(following) < 8:
        return None
    chunk, size = following[:4], struct.unpack("<I", following[4:])[0]
    left = file.seek(0, os.SEEK_END) - at - 16
    return None if chunk.isalnum() and size <= left else at + 4


def _ogg_streams(file: BinaryIO) -> int:
    """How many Ogg streams stand one after the other; those that begin together count as one."""
    file.seek(0)
    streams, beginning = 0, False
    while len(page := file.read(27)) == 27 and page[:4] == b"OggS":
        first = bool(page[5] & 2)
        streams += first and not beginning
        beginning = first
        lacing = file.read(page[26])
        file.seek(sum(lacing), os.SEEK_CUR)
    return streams


class _Altered(io.RawIOBase):
    """A file with some bytes replaced, or that seems `stretch` times as long; it ends where it ends."""

    def __init__(self, file: BinaryIO, patch: tuple[int, bytes] = (0, b""), stretch: int = 1):
        self.file, self.patch, self.at = file, patch, 0
        self.length = file.seek(0, os.SEEK_END) * stretch
        self.tag = self.length - 128 if stretch > 1 else self.length  # where readers look for a tag of an MP3: none

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self.at = max(0, offset + (0, self.at, self.length)[whence])
        return self.at

    def tell(self) -> int:
        return self.at

    def readinto(self, buffer: Any) -> int:
        wanted = len(buffer)
        if self.at >= self.tag:
            found = bytes(min(wanted, max(0, self.length - self.at)))
        else:
            self.file.seek(self.at)
            try:
                found = self.file.read(wanted)
            except StoreError:  # the file remembers it
                found = b""
        for i, byte in enumerate(self.patch[1], start=self.patch[0] - self.at):
            if 0 <= i < len(found):
                found = found[:i] + bytes([byte]) + found[i + 1 :]
        buffer[: len(found)] = found
        self.at += len(found)
        return len(found)

    def write(self, content: Any) -> int:
        raise io.UnsupportedOperation("write")


@contextlib.contextmanager
def _container(file: BinaryIO, name: str) -> Iterator[Decoded]:
    """Through PyAV: the first audio stream."""
    try:
        import av
        from av.error import FFmpegError
    except ImportError:
        raise AudioError(
            f"{name}: this format needs PyAV: pip install 'audex-jax[formats]'; or convert it to WAV or FLAC"
        ) from None
    try:
        with av.open(file, options={"format_whitelist": DEMUXERS}) as container:
            if not container.streams.audio:
                raise AudioError(f"{name}: no audio in it; give a recording")
            stream = container.streams.audio[0]
            yield Decoded(int(stream.rate or 0), stream.channels, None, _frames(av, container, stream, name))
    except FFmpegError as error:
        raise AudioError(f"{name}: not readable as audio ({error.strerror}); convert it to WAV or FLAC") from None


def _frames(av: Any, container: Any, stream: Any, name: str) -> Iterator[np.ndarray]:
    """Samples of every frame of a stream, and an error if they are fewer than its header says."""
    resampler, read = av.AudioResampler(format="fltp", layout=stream.layout, rate=stream.rate), 0
    for frame in itertools.chain(container.decode(stream), (None,)):
        for part in resampler.resample(frame):
            read += part.samples
            yield part.to_ndarray().T
    promised = 0.0
    if stream.duration and container.format.name.startswith("mov"):
        promised = float(stream.duration * stream.time_base)
    elif container.duration and container.format.name.startswith("matroska") and not container.streams.video:
        promised = container.duration / 1e6
    if read / stream.rate < promised - TOLERANCE:
        seconds = read / stream.rate
        raise AudioError(f"{name}: shorter than promised, {seconds:.2f} of {promised:.2f} s can be read; copy it again")
