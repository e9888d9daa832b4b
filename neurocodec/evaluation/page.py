"""A page of the same crops of several images, side by side, enlarged without smoothing."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from neurocodec.errors import InvalidArgument
from neurocodec.metrics import Pixels

Box = tuple[int, int, int, int]
"""x, y, width, height in pixels."""

_CROP = 192
_ZOOM = 2
_GAP = 12
_CAPTION = 64
_COLUMN = 260  # at the least: what a caption takes


@dataclass(frozen=True)
class Panel:
    """One column of the page."""

    name: str
    caption: str
    pixels: Pixels


def draw_page(panels: Sequence[Panel], crops: Sequence[Box] | None = None) -> Image.Image:
    """A column for each panel, a line for each crop, captions on top; the first is the original."""
    truth = panels[0].pixels
    boxes = list(crops) if crops is not None else default_crops(truth, [p.pixels for p in panels])
    for box in boxes:
        _check(box, truth)
    column = max([_COLUMN, *(_ZOOM * width for _, _, width, _ in boxes)])
    lines = [_ZOOM * height for _, _, _, height in boxes]
    size = (
        _GAP + len(panels) * (column + _GAP),
        _CAPTION + sum(line + _GAP for line in lines),
    )
    page = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(page)
    font = ImageFont.load_default(size=14)
    for i, panel in enumerate(panels):
        x = _GAP + i * (column + _GAP)
        text = f"{_shorten(panel.name, column, font)}\n{panel.caption}"
        draw.multiline_text((x, 6), text, fill="black", font=font)
        y = _CAPTION
        for box, line in zip(boxes, lines, strict=True):
            page.paste(_enlarge(panel.pixels, box), (x, y))
            y += line + _GAP
    return page


def default_crops(truth: Pixels, copies: Sequence[Pixels]) -> list[Box]:
    """The middle, and the window where the copies differ most from ``truth`` (sum of squares)."""
    height, width = truth.shape[:2]
    w, h = min(_CROP, width), min(_CROP, height)
    middle = ((width - w) // 2, (height - h) // 2, w, h)
    error = np.zeros((height + 1, width + 1))
    for copy in copies:
        difference = truth.astype(np.float64) - copy
        error[1:, 1:] += np.square(difference).sum(2)
    area = error.cumsum(0).cumsum(1)
    sums = area[h:, w:] - area[:-h, w:] - area[h:, :-w] + area[:-h, :-w]
    y, x = np.unravel_index(int(sums.argmax()), sums.shape)
    worst = (int(x), int(y), w, h)
    return [middle] if worst == middle else [middle, worst]


def _enlarge(pixels: Pixels, box: Box) -> Image.Image:
    x, y, width, height = box
    crop = Image.fromarray(np.ascontiguousarray(pixels[y : y + height, x : x + width]))
    return crop.resize((_ZOOM * width, _ZOOM * height), Image.Resampling.NEAREST)


def _shorten(name: str, width: int, font: ImageFont.ImageFont | ImageFont.FreeTypeFont) -> str:
    """``name`` cut from the left until it fits: the end of a file name tells more."""
    cut = name
    while len(cut) > 1 and font.getlength(cut) > width:
        cut = "…" + cut[2:]
    return cut


def _check(box: Box, truth: Pixels) -> None:
    x, y, width, height = box
    if not (0 <= x < x + width <= truth.shape[1] and 0 <= y < y + height <= truth.shape[0]):
        raise InvalidArgument(
            f"the crop {x},{y},{width},{height} is not inside the image of "
            f"{truth.shape[1]}x{truth.shape[0]}: give x,y,width,height in pixels"
        )
