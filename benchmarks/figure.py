"""Regenerates docs/comparison.png: original, neurocodec, and JPEG of at least as many bytes.

python -m benchmarks.figure
"""

from __future__ import annotations

import tempfile
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

import neurocodec
from neurocodec.evaluation import compare

DOCS = Path(__file__).parents[1] / "docs"
QUALITY = 14


def jpeg_of(image: Image.Image, size: int) -> bytes:
    """The smallest optimized progressive JPEG of at least ``size`` bytes."""
    for quality in range(1, 96):
        buffer = BytesIO()
        image.save(buffer, "JPEG", quality=quality, optimize=True, progressive=True)
        if len(buffer.getvalue()) >= size:
            break
    return buffer.getvalue()


def main() -> None:
    with Image.open(DOCS / "astronaut.png") as opened:  # without its ICC profile
        image = Image.fromarray(np.asarray(opened.convert("RGB")))
    with tempfile.TemporaryDirectory() as folder:
        original, ours, jpeg = (Path(folder, f"photo.{x}") for x in ("png", "ncz", "jpg"))
        image.save(original)
        ours.write_bytes(neurocodec.encode(image, quality=QUALITY))
        jpeg.write_bytes(jpeg_of(image, ours.stat().st_size))
        for row in compare(original, [ours, jpeg], page=DOCS / "comparison.png"):
            print(row)


if __name__ == "__main__":
    main()
