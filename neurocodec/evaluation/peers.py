"""The codecs people use, each at the settings of DESIGN 9, behind one small protocol.

All run through Pillow, HEIC and JPEG XL by way of optional packages. One that is not installed is
reported by :func:`absent`, never skipped in silence.
"""

import importlib.metadata
import importlib.util
import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import PIL
from PIL import Image, features

from neurocodec.errors import InvalidArgument, MissingDependency
from neurocodec.extras import require


class Codec(Protocol):
    """What a sweep needs of a codec. ``quality`` is on the codec's own scale."""

    name: str
    qualities: tuple[float, ...]

    def encode(self, image: Image.Image, quality: float) -> bytes: ...

    def decode(self, data: bytes) -> Image.Image: ...


@dataclass(frozen=True)
class Peer:
    """A codec of the field. ``encode`` takes an RGB image; ``decode`` returns one."""

    name: str
    title: str
    """Name and settings, for tables."""
    qualities: tuple[float, ...]
    """Settings of its curve: from about 0.1 to 2 bpp on photographs."""
    save: Callable[[Image.Image, io.BytesIO, float], None]
    open: Callable[[io.BytesIO], Image.Image]
    feature: str | None = None
    """Name of the part of Pillow that it needs."""
    package: str | None = None
    """Distribution that it needs."""

    def encode(self, image: Image.Image, quality: float) -> bytes:
        file = io.BytesIO()
        self.save(image.convert("RGB"), file, quality)
        return file.getvalue()

    def decode(self, data: bytes) -> Image.Image:
        return self.open(io.BytesIO(data)).convert("RGB")

    def missing(self) -> str | None:
        """Why it cannot run here, and what would change that; None where it can."""
        if self.package and not importlib.util.find_spec(_MODULES[self.package]):
            return f"{self.package} is not installed: pip install {self.package}"
        if self.feature and not features.check(self.feature):
            return f"this Pillow was built without {self.feature}: pip install a newer Pillow"
        return None

    @property
    def version(self) -> str:
        """Of the library that does the work."""
        if self.package:
            return f"{self.package} {importlib.metadata.version(self.package)}"
        return f"Pillow {PIL.__version__}, {self.feature} {features.version(self.feature or '')}"


_MODULES = {"pillow-heif": "pillow_heif", "pillow-jxl-plugin": "pillow_jxl"}


def through_pillow(
    format: str, options: Callable[[float], dict[str, Any]], plugin: str | None = None
) -> dict[str, Any]:
    """``save`` and ``open`` of a format that Pillow knows, or knows once ``plugin`` is imported."""

    def save(image: Image.Image, file: io.BytesIO, quality: float) -> None:
        if plugin:
            require(plugin)
        image.save(file, format, **options(quality))

    def open_(file: io.BytesIO) -> Image.Image:
        if plugin:
            require(plugin)
        return Image.open(file, formats=[format])

    return {"save": save, "open": open_}


def _save_heic(image: Image.Image, file: io.BytesIO, quality: float) -> None:
    require("pillow_heif").from_pillow(image).save(file, quality=int(quality), chroma=444)


def _open_heic(file: io.BytesIO) -> Image.Image:
    image: Image.Image = require("pillow_heif").open_heif(file).to_pillow()
    return image


PEERS: tuple[Peer, ...] = (
    Peer(
        "jpeg",
        "JPEG (optimized, progressive)",
        (5, 10, 15, 20, 30, 40, 50, 60, 70, 80, 85, 90, 95),
        **through_pillow(
            "JPEG", lambda q: {"quality": int(q), "optimize": True, "progressive": True}
        ),
        feature="jpg",
    ),
    Peer(
        "jpeg2000",  # its quality is the compression ratio
        "JPEG 2000 (irreversible, mct)",
        (240, 160, 100, 72, 48, 36, 24, 18, 12),
        **through_pillow(
            "JPEG2000",
            lambda q: {
                "quality_mode": "rates",
                "quality_layers": [q],
                "irreversible": True,
                "mct": 1,
            },
        ),
        feature="jpg_2000",
    ),
    Peer(
        "webp",
        "WebP (method 6)",
        (1, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95),
        **through_pillow("WEBP", lambda q: {"quality": q, "method": 6}),
        feature="webp",
    ),
    Peer(
        "heic444",
        "HEIC 4:4:4 (x265)",
        (4, 8, 12, 18, 24, 30, 36, 42, 48, 54, 60, 68),
        save=_save_heic,
        open=_open_heic,
        package="pillow-heif",
    ),
    Peer(
        "avif",
        "AVIF 4:4:4 (speed 6)",
        (12, 20, 28, 36, 44, 52, 60, 68, 78),
        **through_pillow("AVIF", lambda q: {"quality": int(q), "subsampling": "4:4:4", "speed": 6}),
        feature="avif",
    ),
    Peer(
        "jxl",
        "JPEG XL (effort 7)",
        (10, 20, 30, 40, 50, 60, 70, 80, 88, 93),
        **through_pillow("JXL", lambda q: {"quality": int(q), "effort": 7}, plugin="pillow_jxl"),
        package="pillow-jxl-plugin",
    ),
)


def installed() -> tuple[Peer, ...]:
    """The peers that can run here."""
    return tuple(peer for peer in PEERS if peer.missing() is None)


def absent() -> dict[str, str]:
    """Name -> reason, of the peers that cannot run here."""
    reasons = {peer.name: peer.missing() for peer in PEERS}
    return {name: reason for name, reason in reasons.items() if reason}


def select(names: Iterable[str] | None) -> tuple[Peer, ...]:
    """The peers of these names; None for all that are installed.

    Raises :class:`InvalidArgument` for an unknown name, :class:`MissingDependency` for one that
    is not installed.
    """
    if names is None:
        return installed()
    known = {peer.name: peer for peer in PEERS}
    chosen = []
    for name in names:
        if name not in known:
            raise InvalidArgument(f"no peer is called {name!r}: choose from {', '.join(known)}")
        if reason := known[name].missing():
            raise MissingDependency(f"the peer {name} cannot run: {reason}")
        chosen.append(known[name])
    return tuple(chosen)
