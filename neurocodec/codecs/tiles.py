"""Pictures of any size, one tile at a time: what of every codec's work is done tile by tile.

The networks see a tile with a margin of its neighbours, of their pixels when it is analysed and of
their decoded latents when it is synthesised, so that they see at its border what they would see
inside of one large picture. What they pool over is that window. Coded are the symbols of the tile
alone.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from neurocodec import container
from neurocodec.codecs.attempt import Attempt
from neurocodec.codecs.roi import luma
from neurocodec.container import Box, Grid, NczFile, Tiling
from neurocodec.container.layout import MAX_TILES
from neurocodec.errors import ImageTooLarge, InvalidArgument, MissingDependency, NczError
from neurocodec.image import Photo, unpack_alpha
from neurocodec.progress import tell

if TYPE_CHECKING:
    from neurocodec.codecs.base import Codec

SIZE = 1024
"""Side of a tile in pixels unless the caller says otherwise: about 1 GB of memory."""

UNIT = 64
"""Sides of tiles are multiples of this."""

SAMPLES = 6
"""Tiles that a search for a target codes again and again, instead of the whole picture."""

HELD = 2**25
"""Pixels of a picture whose tiles stay analysed while qualities are tried: 4 to 6 bytes each with
the latents that ship, 12 with `comrec`. Of a larger one, all but the samples are analysed each
time."""

GREY = 128
"""What a damaged tile is filled with."""


def layout(width: int, height: int, size: int | None = None) -> Grid | None:
    """How a picture is cut: into tiles of about one size, at most ``size`` pixels a side.

    None where it is coded as a whole: up to size² pixels, or where size is 0. size None is `SIZE`.
    Raises InvalidArgument for a size that is no multiple of 64 up to 65536, or that would make
    more tiles than the format can hold.

    >>> layout(1100, 1100)
    Grid(width=1100, height=1100, tile_width=576, tile_height=576)
    """
    size = SIZE if size is None else size
    if size % UNIT or not 0 <= size <= 2**16:
        raise InvalidArgument(f"tile size {size}: use a multiple of {UNIT} up to {2**16}, or 0")
    if size == 0 or width * height <= size**2:
        return None
    grid = Grid(width, height, _share(width, size), _share(height, size))
    if len(grid) > MAX_TILES:
        raise InvalidArgument(
            f"tile size {size} cuts {width}x{height} pixels into {len(grid)} tiles, more than "
            f"{MAX_TILES}: use larger ones"
        )
    return grid


def _share(side: int, size: int) -> int:
    """A multiple of 64 that divides ``side`` into as few parts as ``size`` would."""
    parts = -(-side // size)
    return -(-side // (parts * UNIT)) * UNIT


# Encoding.


class Tiled:
    """A picture cut up, to be coded at any quality: at one, or at ``several``, where the analysis
    of up to `HELD` pixels is kept for the next."""

    def __init__(
        self, codec: Codec, photo: Photo, grid: Grid, options: Mapping[str, Any], several: bool
    ) -> None:
        assert codec.margin is not None
        self.codec, self.photo, self.grid, self.margin = codec, photo, grid, codec.margin
        self.options = dict(options)
        roi = self.options.pop("roi", None)
        self.mask = None if roi is None else _mask(roi, grid, codec.block)
        whole = [n for n in range(len(grid)) if grid.box(n)[2:] == grid.box(0)[2:]]
        chosen = np.linspace(0, len(whole) - 1, min(SAMPLES, len(whole))).round().astype(int)
        self.samples = {whole[i]: self.prepare(whole[i]) for i in chosen}
        self.original = np.concatenate([photo.cut(*grid.box(n)).pixels for n in self.samples])
        """Pixels of the sample, its tiles one below the other."""
        self._held = dict(self.samples)
        self._hold = several and grid.width * grid.height <= HELD
        self._agreement: tuple[float, dict[str, Any]] | None = None

    def prepare(self, number: int, **agreed: Any) -> Any:
        """A tile, as the codec prepares it."""
        box, window = self.grid.box(number), self.grid.window(number, self.margin)
        options = {**self.options, **agreed}
        if self.mask is not None:
            part = box.positions(self.codec.block)
            options["roi"] = self.mask.crop((part.x, part.y, part.right, part.bottom))
        return self.codec.prepare(self.photo.cut(*window), inside=box.seen_from(window), **options)

    def sample(self, quality: float) -> Attempt:
        """Some of the tiles; what decodes from each without its neighbours. ``data`` is no file."""
        tried = self._attempts(quality, tuple(self.samples))
        return Attempt(
            b"".join(attempt.data for attempt in tried),
            quality,
            lambda: np.concatenate([attempt.pixels() for attempt in tried]),
        )

    def attempt(self, quality: float) -> Attempt:
        """The whole picture."""
        first, parts = None, []
        for number in range(len(self.grid)):
            tell(number, len(self.grid))
            (attempt,) = self._attempts(quality, (number,))
            file = container.read(attempt.data)
            first = first or file
            parts.append(container.write_tile(number, file))
        tell(len(self.grid), len(self.grid))
        assert first is not None
        tiling = Tiling(self.grid.tile_width, self.grid.tile_height, tuple(parts))
        photo = self.photo
        file = replace(
            container.shared(first, tiling), width=self.grid.width, height=self.grid.height,
            icc=photo.icc, exif=photo.exif, xmp=photo.xmp,
        )  # fmt: skip
        return Attempt(container.write(file), quality, lambda: decode(self.codec, file).pixels)

    def _attempts(self, quality: float, numbers: Sequence[int]) -> list[Attempt]:
        agreed = self._agreed(quality)
        prepared = (self._prepared(number, agreed) for number in numbers)
        return [self.codec.attempt(one, quality) for one in prepared]

    def _prepared(self, number: int, agreed: dict[str, Any]) -> Any:
        if agreed:  # an option of each quality; with one, analysis costs next to nothing
            return self.prepare(number, **agreed)
        found = self._held.get(number) or self.prepare(number)
        if self._hold:
            self._held[number] = found
        return found

    def _agreed(self, quality: float) -> dict[str, Any]:
        if self._agreement is None or self._agreement[0] != quality:
            agreed = self.codec.agree(list(self.samples.values()), quality)
            self._agreement = quality, agreed
        return self._agreement[1]


def _mask(roi: Any, grid: Grid, block: int) -> Image.Image:
    """A region of interest scaled to one value a block."""
    size = (-(-grid.width // block), -(-grid.height // block))
    return luma(roi).resize(size, Image.Resampling.BOX)


# Decoding.


@dataclass(frozen=True)
class Decoded:
    """pixels (H, W, 3) uint8 and alpha (H, W) or None of a region; the damaged tiles that it shows,
    grey or, where that is all they lack, opaque, and those whose neighbours it shows, within the
    codec's margin."""

    pixels: np.ndarray
    alpha: np.ndarray | None
    lost: tuple[int, ...]


def check_crop(crop: tuple[int, int, int, int], file: NczFile) -> Box:
    """Raises InvalidArgument unless the region has pixels, and only those of the picture."""
    try:
        box = Box(*map(operator.index, crop))
    except TypeError as error:
        raise InvalidArgument(f"crop {crop!r} is not four integers x, y, width, height") from error
    if min(box.width, box.height) < 1 or box.overlap(file.grid.picture) != box:
        raise InvalidArgument(
            f"crop {','.join(map(str, crop))} (x, y, width, height) does not lie within the "
            f"picture of {file.width}x{file.height} pixels: give a region of it"
        )
    return box


def check_pixels(width: int, height: int, block: int, most: int) -> None:
    """Raises ImageTooLarge for more pixels than ``most``, or where the networks would make more
    than four times as many: a picture one pixel wide is padded to a block."""
    padded = -(-width // block) * -(-height // block) * block**2
    if width * height > most or padded > 4 * max(most, block**2):
        raise ImageTooLarge(
            f"{width}x{height} pixels, {padded} when padded, are above the limit of {most}: "
            "raise max_pixels if the file is trusted"
        )


def check_piece(grid: Grid, block: int, limit: int, remedy: str) -> None:
    """Raises ImageTooLarge where what is worked on at once, a tile or a picture that is not cut,
    has more pixels than ``limit`` when padded to blocks: the memory that it needs does not depend
    on what is in it, and a file of a few bytes could ask for it."""
    piece = grid.box(0)
    padded = -(-piece.width // block) * -(-piece.height // block) * block**2
    if padded > limit:
        raise ImageTooLarge(
            f"{piece.width}x{piece.height} pixels in one piece are above the limit of {limit}: "
            f"{remedy}"
        )


def check_tiles(grid: Grid, most: int) -> None:
    """Raises ImageTooLarge where a tile and its neighbours, which its margin may need, have more
    pixels than ``most``: however small a region is, they are decoded for it."""
    width, height = min(3 * grid.tile_width, grid.width), min(3 * grid.tile_height, grid.height)
    if width * height > max(most, 9 * UNIT**2):
        raise ImageTooLarge(
            f"tiles of {grid.tile_width}x{grid.tile_height} pixels have {width * height} with "
            f"their neighbours, above the limit of {most}: raise max_pixels if the file is trusted"
        )


def parts(file: NczFile) -> list[NczFile]:
    """Every tile as a file of its own. Raises where one is damaged."""
    return [container.tile(file, number) for number in range(len(file.grid))]


def decode(
    codec: Codec, file: NczFile, crop: Box | None = None, best_effort: bool = False
) -> Decoded:
    """A region of a file of tiles, all of it by default, from as few tiles as it needs.

    best_effort: a tile that cannot be decoded is grey, opaque, and beyond its border the latents
    of the neighbours go on as they are there.
    """
    grid = file.grid
    region = crop or grid.picture
    wanted = grid.touching(region)
    margin = codec.margin
    if margin is None:
        raise InvalidArgument(f"model {codec.name} has no tiles: the file was not made by it")
    # Along the shorter side, so that few tiles are held at a time: three rows or columns of them.
    across = len({number % grid.cols for number in wanted})
    along = len(wanted) // across
    if along < across:
        wanted = sorted(wanted, key=lambda number: (number % grid.cols, number))
    first, last = grid.box(min(wanted)), grid.box(max(wanted))
    whole = Box(first.x, first.y, last.right - first.x, last.bottom - first.y)
    needed = grid.touching(grid.picture.overlap(whole.grown(margin)))
    tiles = _Reader(codec, file, needed, held=3 * min(across, along) + 9, best_effort=best_effort)

    pixels = np.full((region.height, region.width, 3), GREY, np.uint8)
    alpha = np.full((region.height, region.width), 255, np.uint8) if tiles.has_alpha else None
    cell = codec.cell(file.header)
    for done, number in enumerate(wanted):
        tell(done, len(wanted))
        if tiles.latent_of(number) is None:
            continue
        box, window = grid.box(number), grid.window(number, margin)
        common = box.overlap(region)
        target, source = common.seen_from(region).slices, common.seen_from(box).slices
        around = {
            other: latent for other in grid.touching(window)
            if (latent := tiles.latent_of(other)) is not None
        }  # fmt: skip
        latent = _assemble(grid, number, window, around, cell)
        inner = box.seen_from(window).slices
        pixels[target] = codec.render(latent, file.header)[inner][source]
        if alpha is not None and (stored := tiles.alpha_of(number)) is not None:
            alpha[target] = stored[source]
    tell(len(wanted), len(wanted))
    seen = grid.touching(grid.picture.overlap(region.grown(margin)))
    return Decoded(pixels, alpha, tuple(sorted(tiles.lost.intersection(seen))))


class _Reader:
    """What is in some tiles of a file; ``held`` latents are kept. Notes in ``lost`` which of them
    are damaged or, without ``best_effort``, raises what `container.tile` and the codec do."""

    def __init__(
        self, codec: Codec, file: NczFile, numbers: Sequence[int], held: int, best_effort: bool
    ) -> None:
        self._codec, self._best_effort = codec, best_effort
        self.lost: set[int] = set()
        self._found: dict[int, NczFile] = {}
        for number in numbers:
            with self._trying(number):
                part = container.tile(file, number)
                codec.check(part)
                self._found[number] = part
        self.latent_of = lru_cache(maxsize=held)(self._latent_of)

    @property
    def has_alpha(self) -> bool:
        return any(part.alpha is not None for part in self._found.values())

    def _latent_of(self, number: int) -> Tensor | None:
        """None for a tile that is lost, or was not asked for."""
        if number in self._found:
            with self._trying(number):
                return self._codec.read_latent(self._found[number])
        return None

    def alpha_of(self, number: int) -> np.ndarray | None:
        """(H, W) uint8; None where the tile is opaque, or its alpha lost."""
        part = self._found[number]
        if part.alpha is not None:
            with self._trying(number):
                return unpack_alpha(part.alpha, part.width, part.height)
        return None

    @contextmanager
    def _trying(self, number: int) -> Iterator[None]:
        try:
            yield
        except (MissingDependency, InvalidArgument):
            raise  # no damage: every tile would be lost to it
        except NczError:
            if not self._best_effort:
                raise
            self.lost.add(number)


def _assemble(
    grid: Grid, number: int, window: Box, latents: Mapping[int, Tensor], cell: int
) -> Tensor:
    """The latent of a window from those of the tiles that it touches; a missing one is the
    nearest position of the tile itself."""
    whole = window.positions(cell)
    own = grid.box(number).positions(cell).seen_from(whole)
    sides = (own.x, whole.width - own.right, own.y, whole.height - own.bottom)
    out = F.pad(latents[number], sides, mode="replicate")
    for other, latent in latents.items():
        box = grid.box(other).positions(cell)
        common = box.overlap(whole)
        part = latent[(..., *common.seen_from(box).slices)]
        out[(..., *common.seen_from(whole).slices)] = part
    return out
