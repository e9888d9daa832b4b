"""A picture cut into tiles of one size: which pixels each has, and which tiles a region touches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Box(NamedTuple):
    """A rectangle of pixels; x and y count from the top left corner."""

    x: int
    y: int
    width: int
    height: int

    @property
    def right(self) -> int:
        return self.x + self.width

    @property
    def bottom(self) -> int:
        return self.y + self.height

    @property
    def slices(self) -> tuple[slice, slice]:
        """Its rows and its columns, for an array."""
        return slice(self.y, self.bottom), slice(self.x, self.right)

    def positions(self, scale: int) -> Box:
        """What holds these pixels where each position stands for scale × scale of them; the corner
        has to be a position's.

        >>> Box(64, 32, 20, 16).positions(16)
        Box(x=4, y=2, width=2, height=1)
        """
        width, height = -(-self.width // scale), -(-self.height // scale)
        return Box(self.x // scale, self.y // scale, width, height)

    def overlap(self, other: Box) -> Box:
        """What both have; without pixels where they have nothing in common.

        >>> Box(0, 0, 5, 5).overlap(Box(3, 4, 5, 5))
        Box(x=3, y=4, width=2, height=1)
        """
        x, y = max(self.x, other.x), max(self.y, other.y)
        right, bottom = min(self.right, other.right), min(self.bottom, other.bottom)
        return Box(x, y, max(0, right - x), max(0, bottom - y))

    def grown(self, margin: int) -> Box:
        """With ``margin`` more pixels on each side."""
        both = 2 * margin
        return Box(self.x - margin, self.y - margin, self.width + both, self.height + both)

    def seen_from(self, other: Box) -> Box:
        """The same pixels, counted from the top left corner of ``other``."""
        return self._replace(x=self.x - other.x, y=self.y - other.y)


@dataclass(frozen=True)
class Grid:
    """Tiles of a picture of width × height pixels, numbered row by row from the top left.

    Those of the last column and the last row have what is left, one pixel at least.
    """

    width: int
    height: int
    tile_width: int
    tile_height: int

    @property
    def cols(self) -> int:
        return -(-self.width // self.tile_width)

    @property
    def rows(self) -> int:
        return -(-self.height // self.tile_height)

    def __len__(self) -> int:
        return self.cols * self.rows

    @property
    def picture(self) -> Box:
        return Box(0, 0, self.width, self.height)

    def box(self, number: int) -> Box:
        """The pixels of a tile."""
        row, col = divmod(number, self.cols)
        x, y = col * self.tile_width, row * self.tile_height
        return self.picture.overlap(Box(x, y, self.tile_width, self.tile_height))

    def window(self, number: int, margin: int) -> Box:
        """The pixels of a tile and its margin, as far as the picture reaches."""
        return self.picture.overlap(self.box(number).grown(margin))

    def touching(self, box: Box) -> list[int]:
        """The tiles that have pixels of a box that lies within the picture, in order.

        >>> Grid(150, 100, 64, 64).touching(Box(60, 70, 10, 10))
        [3, 4]
        """
        rows = range(box.y // self.tile_height, -(-box.bottom // self.tile_height))
        cols = range(box.x // self.tile_width, -(-box.right // self.tile_width))
        return [row * self.cols + col for row in rows for col in cols]
