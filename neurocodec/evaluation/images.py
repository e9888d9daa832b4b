"""The images of a sweep: found in a folder, read as 8-bit RGB."""

from pathlib import Path

import numpy as np
from PIL import Image

from neurocodec.errors import InvalidArgument
from neurocodec.image import open_photo, readable_suffixes
from neurocodec.metrics import Pixels


def find_images(folder: Path) -> list[Path]:
    """The image files of ``folder`` itself, by name, hidden ones left out. Raises
    :class:`InvalidArgument` for none."""
    if not folder.is_dir():
        raise InvalidArgument(f"{folder} is not a folder: name one that holds images")
    images = sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in readable_suffixes()
        and path.is_file()
        and not path.name.startswith(".")  # macOS leaves ._a.png beside a.png
    )
    if not images:
        raise InvalidArgument(
            f"{folder} holds no images: expected files ending in {', '.join(readable_suffixes())}"
        )
    return images


def read_rgb(path: Path) -> Pixels:
    """Pixels (H, W, 3) uint8, orientation applied, alpha left out: codecs are compared on RGB."""
    return open_photo(path).pixels


def to_rgb(image: Image.Image) -> Pixels:
    """What a codec decoded, as (H, W, 3) uint8."""
    return np.asarray(image.convert("RGB"))
