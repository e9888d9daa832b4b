"""The public functions. Everything heavy is imported by the call that needs it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from neurocodec import container, zoo
from neurocodec.container import (
    Arrangement,
    ComRecHeader,
    Group,
    Header,
    Inner,
    Source,
    VAEHeader,
)
from neurocodec.container.layout import MAX_SIDE
from neurocodec.device import check as check_device
from neurocodec.errors import InvalidArgument, NczError, UnknownModel
from neurocodec.limits import MAX_PIXELS
from neurocodec.memory import memory_for
from neurocodec.threads import torch_threads

if TYPE_CHECKING:
    from PIL import Image

ARRANGEMENTS = ("auto", *(arrangement.name.lower() for arrangement in Arrangement))
"""How a codec may be put around its inner codec: its own choice, or one by name."""

_SMALLER = "decode on a machine with more, or lower max_pixels (--max-pixels) to refuse such images"

INNER_CODECS = tuple(inner.name.lower() for inner in Inner)
"""Names of the inner codecs that the format knows; models know some of them."""

METADATA = ("all", "icc", "none")
"""What of its metadata may travel with a picture: see `encode`."""


@dataclass(frozen=True)
class MapSummary:
    """An importance map in numbers: its size, and how many positions have each level."""

    rows: int
    cols: int
    levels: int
    positions: tuple[int, ...]


@dataclass(frozen=True)
class Info:
    """What an .ncz file says of itself.

    version: of the container's format, 5, or 6 for tiles.
    codec, codec_id: of the codec. model, model_id: of the weights; model is None where this
    release does not have them. model_digest: the first 8 hex digits of their SHA-256.
    width, height: in pixels. mode: "L" or "RGB", without alpha. alpha: whether there is one.
    quality: 1 to 100. grid_offset: shift of the grid of snapped logits, 0 to 255.
    groups: channel groups in coding order. channel_order: None for the model's own.
    importance: None where uniform. streams: length of each coded stream in bytes.
    sections: bytes of each part of the file; their sum is ``bytes``. bpp: file bits per pixel.
    arrangement: "both", "rec" or "com", the networks around the inner codec. inner: its name, of
    ``INNER_CODECS``. inner_quality: what it was asked for, 1 to 100.

    tile_width, tile_height: of a tile in pixels, 0 where the picture is coded as a whole. tiles:
    bytes of each that are there, row by row. damaged: numbers of those whose checksum is wrong or
    that the file ends before.

    What a codec does not have is empty or None: arrangement and the two after it are comrec's
    alone, which has no groups; channel_order and importance are cvqn's. What differs from tile to
    tile is too: importance, channel_order, streams; grid_offset is then 0, a group's levels are 3.
    """

    codec: str
    codec_id: int
    model: str | None
    model_id: int
    model_digest: str
    width: int
    height: int
    mode: str
    alpha: bool
    quality: float
    grid_offset: int
    groups: tuple[Group, ...]
    channel_order: tuple[int, ...] | None
    importance: MapSummary | None
    streams: tuple[int, ...]
    sections: dict[str, int]
    bytes: int
    bpp: float
    arrangement: str | None = None
    inner: str | None = None
    inner_quality: float | None = None
    tile_width: int = 0
    tile_height: int = 0
    tiles: tuple[int, ...] = ()
    damaged: tuple[int, ...] = ()
    version: int = container.VERSION


def encode(
    image: Any,
    model: str | None = None,
    quality: float = 50,
    *,
    device: str = "cpu",
    threads: int | None = None,
    target_bpp: float | None = None,
    target_size: int | None = None,
    target_psnr: float | None = None,
    target_msssim: float | None = None,
    roi: Any = None,
    importance: bool | None = None,
    inner: str | None = None,
    arrangement: str | None = None,
    tile_size: int | None = None,
    metadata: str = "all",
) -> bytes:
    """An image to the bytes of an .ncz file.

    image: a path, a binary file object, bytes, a PIL image, a uint8 array (H, W, 3), (H, W, 4) or
    (H, W), or a torch tensor (3, H, W); see ``neurocodec.image.open_photo``.
    model: name of a shipped model, None for the default: ``zoo.DEFAULT``, or ``zoo.WITH_MAP`` where
    roi or importance asks for an importance map. quality: 1 to 100.
    target_*: at most one, instead of quality: file bits per pixel, file bytes (not exceeded), dB
    over RGB, or MS-SSIM. roi: an image, bright where detail matters, scaled to the size of the
    picture. importance: whether to use the learned importance map, None for the model's default.
    inner: name of the inner codec, of those in ``models()``, None for the model's default; another
    model of the same codec is taken where that takes one. arrangement: of the networks around it:
    "both", "rec" (RecCNN alone, at full size), "com" (ComCNN alone) or "auto", by quality; None
    for the codec's default.
    tile_size: pictures of more than tile_size² pixels are coded in tiles, one at a time; a multiple
    of 64, 0 for never, None for 1024.
    metadata: what travels of ICC profile, EXIF and XMP: "all", "icc" or "none". Without a profile
    the colours are taken for those of sRGB.
    threads: for torch during this call.

    Raises NczError, OSError where a path cannot be opened.
    """
    from neurocodec.image import open_photo

    # Before torch is imported: what is no image is refused at once.
    photo = open_photo(image)
    if metadata not in METADATA:
        raise InvalidArgument(f"metadata is {metadata!r}: use one of {', '.join(METADATA)}")
    if metadata != "all":
        photo = replace(photo, icc=photo.icc if metadata == "icc" else None, exif=None, xmp=None)
    mask = None if roi is None else open_photo(roi)
    # Codecs without these options never see them.
    given = {"inner": inner, "arrangement": arrangement, "tile_size": tile_size}
    around = {option: value for option, value in given.items() if value is not None}
    with torch_threads(threads):
        codec = codec_for(
            model, device, roi=mask, importance=importance, inner=inner, arrangement=arrangement,
            tile_size=tile_size,
        )  # fmt: skip
        return codec.encode(
            photo,
            quality,
            target_bpp=target_bpp,
            target_size=target_size,
            target_psnr=target_psnr,
            target_msssim=target_msssim,
            roi=mask,
            importance=importance,
            **around,
        )


def decode(
    source: Source,
    *,
    device: str = "cpu",
    threads: int | None = None,
    max_pixels: int = MAX_PIXELS,
    crop: tuple[int, int, int, int] | None = None,
    best_effort: bool = False,
) -> Image.Image:
    """An .ncz file (bytes, path or binary file object) to a PIL image of mode L, LA, RGB or RGBA.

    ICC profile, EXIF and XMP are in its ``info``. max_pixels: refuse larger images with
    ImageTooLarge before anything is allocated; so are tiles, and images without tiles, of more
    than an eighth of it, at least `limits.PIECE`. threads: as for :func:`encode`.
    crop: x, y, width and height of the part to decode, in pixels; of a picture in tiles, only those
    that it needs are read and decoded, and max_pixels is the limit of the part, and of a tile with
    its neighbours.
    best_effort: fill the damaged or missing tiles of a picture in tiles with grey, and missing
    alpha with opaque; their boxes (x, y, width, height in the whole picture) are then in
    ``info["damaged"]``, as are those of tiles beside the part, whose border they spoil.

    Raises NczError, of which ImageTooLarge also where memory runs out; OSError where a path cannot
    be opened.
    """
    # Codecs that cannot do it never see it.
    given = {"crop": crop, "best_effort": best_effort or None}
    part = {option: value for option, value in given.items() if value is not None}
    data = container.read_bytes(source) if crop is None else container.map_bytes(source)
    most = max_pixels if crop is None else MAX_SIDE**2  # the codec knows what it will decode
    file = container.read(data, max_pixels=most, best_effort=best_effort)
    name = zoo.by_wire_id(file.model).name
    with torch_threads(threads), memory_for(file.width, file.height, _SMALLER):
        return load(name, device).decode(file, max_pixels=max_pixels, **part)


def info(source: Source) -> Info:
    """What an .ncz file (bytes, path or binary file object) says of itself; no weights needed.

    Of a file in tiles, some may be damaged or missing; see ``damaged``.

    Raises NczError, OSError where a path cannot be opened.
    """
    data = container.read_bytes(source)
    # It allocates no pixels.
    file = container.read(data, max_pixels=MAX_SIDE**2, best_effort=True)
    parts, damaged = _tiles(file) if file.tiling else ([file], ())
    return Info(
        codec=container.CODECS[file.codec],
        codec_id=file.codec,
        model=_model_name(file.model),
        model_id=file.model,
        model_digest=file.model_digest.hex(),
        width=file.width,
        height=file.height,
        mode=file.mode.name,
        alpha=any(part.alpha is not None for part in parts),
        quality=file.header.quality,
        grid_offset=file.header.grid_offset,
        streams=tuple(map(len, file.streams)),
        sections=container.sizes(data, best_effort=True),
        bytes=len(data),
        bpp=8 * len(data) / (file.width * file.height),
        tile_width=file.tiling.width if file.tiling else 0,
        tile_height=file.tiling.height if file.tiling else 0,
        tiles=tuple(map(len, file.tiling.parts)) if file.tiling else (),
        damaged=damaged,
        version=container.TILED_VERSION if file.tiling else container.VERSION,
        **_of_the_codec(file.header),
    )


def choose_model(
    model: str | None,
    inner: str | None = None,
    arrangement: str | None = None,
    *,
    with_map: bool = False,
) -> zoo.ModelInfo:
    """The model that :func:`encode` takes for these options. Loads nothing.

    with_map: a region of interest or an importance map is asked for.

    Raises UnknownModel, InvalidArgument.
    """
    chosen = zoo.with_inner(model or (zoo.WITH_MAP if with_map else zoo.DEFAULT), inner)
    if arrangement is not None:
        zoo.inner_codecs(chosen, "arrangement")
        if arrangement not in ARRANGEMENTS:
            known = ", ".join(ARRANGEMENTS)
            raise InvalidArgument(f"arrangement is {arrangement!r}: use one of {known}")
    return chosen


def codec_for(
    model: str | None,
    device: str = "cpu",
    *,
    roi: Any = None,
    importance: bool | None = None,
    inner: str | None = None,
    arrangement: str | None = None,
    tile_size: int | None = None,
) -> Any:
    """The codec that :func:`encode` takes for these options, which are checked as far as they can
    be without a picture.

    Raises UnknownModel, ModelMismatch, InvalidArgument.
    """
    with_map = roi is not None or bool(importance)
    codec = load(choose_model(model, inner, arrangement, with_map=with_map).name, device)
    codec.check_options(roi=roi, importance=importance, tile_size=tile_size)
    return codec


def load(name: str | None = None, device: str = "cpu") -> Any:
    """The codec of a shipped model, weights loaded once: ``encode(image, quality)``, ``decode``.

    Safe to share between threads. Raises UnknownModel, ModelMismatch, InvalidArgument for a
    device that torch does not have.
    """
    check_device(device)
    return zoo.load(name or zoo.DEFAULT, device)


def models() -> tuple[zoo.ModelInfo, ...]:
    """The shipped models by wire id."""
    return zoo.models()


def _tiles(file: container.NczFile) -> tuple[list[container.NczFile], tuple[int, ...]]:
    """The tiles that can be read, and the numbers of those that cannot."""
    found, damaged = [], []
    for number in range(len(file.grid)):
        try:
            found.append(container.tile(file, number, inflate=False))
        except NczError:
            damaged.append(number)
    return found, tuple(damaged)


def _model_name(wire_id: int) -> str | None:
    try:
        return zoo.by_wire_id(wire_id).name
    except UnknownModel:
        return None


def _of_the_codec(header: Header) -> dict[str, Any]:
    """The fields of Info that not every codec has."""
    if isinstance(header, ComRecHeader):
        return {
            "groups": (),
            "channel_order": None,
            "importance": None,
            "arrangement": header.arrangement.name.lower(),
            "inner": header.inner.name.lower(),
            "inner_quality": header.inner_quality,
        }
    if isinstance(header, VAEHeader):
        return {"groups": header.groups, "channel_order": None, "importance": None}
    return {
        "groups": header.groups,
        "channel_order": header.channel_order,
        "importance": _summary(header.importance),
    }


def _summary(importance: container.ImportanceMap | None) -> MapSummary | None:
    if importance is None:
        return None
    count = Counter(importance.values)
    positions = tuple(count[level] for level in range(importance.levels))
    return MapSummary(importance.rows, importance.cols, importance.levels, positions)
