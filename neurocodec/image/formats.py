"""Image formats: the extensions of those that are read; what those that are written can hold.

Lossless where the format can be, else near it: the picture has been through one lossy codec.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from PIL import Image

from neurocodec.errors import InvalidArgument, MissingDependency

_HEIF_PLUGIN = ("pillow_heif", "pillow-heif")
_JXL_PLUGIN = ("pillow_jxl", "pillow-jxl-plugin")
"""Modules, and the packages that they are of."""

_ALL_METADATA = ("icc_profile", "exif", "xmp")


@dataclass(frozen=True)
class Format:
    """One format as Pillow writes it.

    name: Pillow's. suffixes: lower case, with the dot. modes: of the images it can hold. metadata:
    keys of an image's ``info`` that it can hold. options: keywords for saving. largest_segment:
    limit of EXIF and XMP in bytes. plugin: module that Pillow needs for it, and its package.
    """

    name: str
    suffixes: tuple[str, ...]
    modes: tuple[str, ...]
    metadata: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    largest_segment: int | None = None
    plugin: tuple[str, str] | None = None

    def require(self) -> None:
        """Make Pillow able to write it. Raises MissingDependency."""
        if self.plugin is None:
            return
        module, package = self.plugin
        if find_spec(module) is None:
            raise MissingDependency(
                f"{self.name} needs the package {package}: pip install {package}"
            )
        register_plugins()


PNG = Format("PNG", (".png",), ("L", "LA", "RGB", "RGBA"), _ALL_METADATA)

FORMATS = (
    PNG,
    Format(
        "JPEG", (".jpg", ".jpeg"), ("L", "RGB"), _ALL_METADATA,
        {"quality": 95, "subsampling": 0, "optimize": True}, largest_segment=65533 - 29,
    ),
    Format(
        "WEBP", (".webp",), ("RGB", "RGBA"), _ALL_METADATA,
        {"lossless": True, "exact": True},
    ),
    Format(
        "AVIF", (".avif",), ("RGB", "RGBA"), _ALL_METADATA,
        {"quality": 95, "subsampling": "4:4:4"},
    ),
    # Not compressed: Pillow cannot write EXIF into a compressed TIFF.
    Format("TIFF", (".tif", ".tiff"), ("L", "LA", "RGB", "RGBA"), _ALL_METADATA),
    Format("JPEG2000", (".jp2",), ("L", "LA", "RGB", "RGBA")),
    Format("BMP", (".bmp",), ("L", "RGB")),
    Format("PPM", (".ppm",), ("RGB",)),
    Format("PPM", (".pgm",), ("L",)),
    Format("QOI", (".qoi",), ("RGB", "RGBA")),
    Format(
        "HEIF", (".heic", ".heif"), ("RGB", "RGBA"), _ALL_METADATA,
        {"quality": 95, "chroma": 444}, plugin=_HEIF_PLUGIN,
    ),
    Format(
        "JXL", (".jxl",), ("L", "LA", "RGB", "RGBA"), ("exif", "xmp"),
        {"lossless": True}, plugin=_JXL_PLUGIN,
    ),
)  # fmt: skip


def suffixes() -> tuple[str, ...]:
    """The file name extensions that can be written, lower case, with the dot."""
    return tuple(suffix for format in FORMATS for suffix in format.suffixes)


_ALSO_READ = (".gif", ".jfif", ".jpe", ".j2k", ".pbm", ".pnm", ".tga")


def readable_suffixes() -> tuple[str, ...]:
    """Those of images in a folder: what can be written, and what is only read, by its content."""
    return (*suffixes(), *_ALSO_READ)


def format_for(path: str | os.PathLike[str]) -> Format:
    """The format that a file name asks for; PNG for a device or pipe, which has no extension.

    Raises InvalidArgument, and MissingDependency where the format needs a package.
    """
    path = Path(path)
    for format in FORMATS:
        if path.suffix.lower() in format.suffixes:
            format.require()
            return format
    if path.exists() and not path.is_file() and not path.is_dir():
        return PNG
    ending = f"ends in {path.suffix}" if path.suffix else "has no extension"
    raise InvalidArgument(
        f"{path} {ending}, which is no image format: use one of {', '.join(suffixes())}"
    )


def format_named(name: str) -> Format:
    """The format of a name, as Pillow calls it. Raises InvalidArgument, MissingDependency."""
    for format in FORMATS:
        if format.name == name.upper():
            format.require()
            return format
    known = ", ".join(dict.fromkeys(format.name for format in FORMATS))
    raise InvalidArgument(f"{name!r} is no image format: use one of {known}")


def check_plugin_for(data: bytes, name: str) -> None:
    """Raises MissingDependency where the data are of a format whose package is not there: what
    Pillow then says of them, that they are no image, is not so."""
    if data[4:8] == b"ftyp" and data[8:12] in _HEIF_BRANDS:
        kind, (module, package) = "HEIF", _HEIF_PLUGIN
    elif data.startswith(_JXL_BEGINNINGS):
        kind, (module, package) = "JPEG XL", _JXL_PLUGIN
    else:
        return
    if find_spec(module) is None:
        raise MissingDependency(
            f"{name} is {kind}, for which the package {package} is needed: pip install {package}"
        )


_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
"""Major brands (ISO/IEC 23008-12, annex B)."""
_JXL_BEGINNINGS = (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")
"""Of a bare codestream and of a container (ISO/IEC 18181-2)."""


@functools.cache
def register_plugins() -> bool:
    """Bring HEIF and JPEG XL into Pillow, where their packages are there. True if any is."""
    before = set(Image.OPEN)
    with suppress(ImportError):
        import_module("pillow_heif").register_heif_opener()
    with suppress(ImportError):
        import_module("pillow_jxl")  # registers itself
    return set(Image.OPEN) != before
