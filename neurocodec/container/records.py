"""What an .ncz file holds, as plain immutable records. Ranges are enforced when it is written."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from neurocodec.container.tiling import Grid

QUALITY_STEPS = 256
"""Steps of the stored quality to one unit."""


class Mode(IntEnum):
    """The pixels that decoding returns; alpha, if there is any, comes on top."""

    L = 0
    RGB = 1


@dataclass(frozen=True)
class Group:
    """Channels that are quantized alike.

    size: channels in the group, 1 to 1024.
    levels: quantization levels of each of them, 2 to 1024.
    """

    size: int
    levels: int


@dataclass(frozen=True)
class ImportanceMap:
    """How much of the code each position keeps.

    rows, cols: size of the map in positions, at least 1; bounded by the size of the image.
    levels: number of levels, 2 to 16.
    values: rows * cols bytes, row-major, each below levels.
    """

    rows: int
    cols: int
    levels: int
    values: bytes


@dataclass(frozen=True)
class CVQNHeader:
    """What CVQN has to know to decode its streams, besides the weights.

    quality: 1 to 100, a multiple of 1/256 (see :func:`snap_quality`).
    grid_offset: shift of the grid of snapped logits, 0 to 255, in 1/256 of its step.
    groups: 1 to 8 groups in coding order; their sizes sum to C <= 1024 channels. Their levels are
    those in the middle of the model's that the file uses.
    channel_order: a permutation of range(C), or None for the order of the model.
    importance: the importance map, or None where it is uniform.
    """

    quality: float
    grid_offset: int
    groups: tuple[Group, ...]
    channel_order: tuple[int, ...] | None = None
    importance: ImportanceMap | None = None


class Arrangement(IntEnum):
    """The networks around the inner codec, and thereby the size of the image that it carries."""

    BOTH = 0  # half the width and height, of ComCNN
    REC = 1  # full size, as it came; RecCNN restores it
    COM = 2  # half the width and height, of ComCNN; only upsampled


class Inner(IntEnum):
    """The codec that carries the image between the networks."""

    DCT = 0  # this project's own
    JPEG = 1
    JPEG2000 = 2
    WEBP = 3
    AVIF = 4
    HEIC = 5


@dataclass(frozen=True)
class ComRecHeader:
    """What ComRec has to know to decode its streams, besides the weights.

    quality: 1 to 100, a multiple of 1/256 (see :func:`snap_quality`).
    arrangement: the networks that the image went through.
    inner: what the streams are coded with; any but DCT has one stream, a file of its own format.
    inner_quality: what the inner codec was asked for, 1 to 100, a multiple of 1/256.
    grid_offset: shift of the grid of snapped logits, 0 to 255; 0 where inner is not DCT.
    """

    quality: float
    arrangement: Arrangement
    inner: Inner
    inner_quality: float
    grid_offset: int = 0


@dataclass(frozen=True)
class VAEHeader:
    """What VAE has to know to decode its streams, besides the weights.

    quality: 1 to 100, a multiple of 1/256 (see :func:`snap_quality`).
    grid_offset: shift of the grid of snapped mixtures, 0 to 255.
    groups: 1 to 8 groups in coding order, of C <= 1024 channels together. Their levels are the odd
    number of integers around the mean that any symbol of the group lies within.
    """

    quality: float
    grid_offset: int
    groups: tuple[Group, ...]


Header = CVQNHeader | ComRecHeader | VAEHeader


@dataclass(frozen=True)
class Tiling:
    """A picture in tiles, each coded apart.

    width, height: of a tile in pixels, multiples of 64 up to 65536; the last column and the last
    row of tiles have what is left.
    parts: the tiles in their stored form, row by row, at least two; see ``container.tile``.
    """

    width: int
    height: int
    parts: tuple[bytes | memoryview, ...]


@dataclass(frozen=True)
class NczFile:
    """The whole content of a file, or of one tile as if it were a file.

    codec: wire id of the codec, a key of ``container.CODECS``.
    model: wire id of the model, 0 to 65535.
    model_digest: the first four bytes of the SHA-256 of the file of weights.
    width, height: in pixels, 1 to 2**31 - 1.
    mode: of the decoded image.
    header: the fields of the codec: CVQNHeader for cvqn, ComRecHeader for comrec, VAEHeader for
    vae.
    streams: 1 to 16 coded streams, each of any length; what a ComRecHeader allows. None in a file
    of tiles: they have the streams, the alpha, and what differs from tile to tile in the header.
    icc, exif, xmp: metadata as the image library gives it, at most 64 MiB each, or None.
    alpha: a PNG stream holding the alpha channel as greyscale, opaque to the container, or None.
    tiling: the tiles, or None where the picture is coded as a whole.
    """

    codec: int
    model: int
    model_digest: bytes
    width: int
    height: int
    mode: Mode
    header: Header
    streams: tuple[bytes, ...]
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    alpha: bytes | None = None
    tiling: Tiling | None = None

    @property
    def grid(self) -> Grid:
        """Where the tiles are; of a picture coded as a whole, one tile."""
        size = self.tiling or self
        return Grid(self.width, self.height, size.width, size.height)


def snap_quality(quality: float) -> float:
    """The nearest quality that a file can store.

    An encoder computes with the snapped value, so that the decoder computes with the same one.

    >>> snap_quality(33.3)
    33.30078125
    """
    return round(quality * QUALITY_STEPS) / QUALITY_STEPS
