"""Writes the conformance files. Run on purpose only: a file made anew is a new promise.

    python bitstream/conformance/make.py

Existing files are left alone. Each gets a PNG of what it decodes to (readers may differ by one
grey level) and a line in manifest.json: SHA-256 of the file and of its symbols.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import neurocodec
from neurocodec import container, zoo

HERE = Path(__file__).parent


def picture(width: int, height: int) -> Image.Image:
    """Colour gradients, an edge and some texture; the same on every machine: integers only."""
    y, x = np.mgrid[:height, :width]
    noise = (x * 7919 + y * 104729 + x * y * 31) % 23
    planes = [(x * 3 + noise) % 256, (y * 4 + 40) % 256, (x + y) * 2 % 256]
    pixels = np.stack(planes, -1).astype(np.uint8)
    pixels[height // 3 : height // 2, width // 4 : width // 2] = (250, 20, 60)
    return Image.fromarray(pixels)


def cases() -> dict[str, tuple[Image.Image, dict]]:
    alpha = picture(40, 24).convert("RGBA")
    alpha.putalpha(Image.linear_gradient("L").resize(alpha.size))
    tagged = picture(32, 32)
    tagged.info["icc_profile"] = b"a profile, opaque to the codec"
    mask = Image.new("L", (8, 8), 0)
    mask.paste(255, (0, 0, 4, 8))
    tall = alpha.resize((33, 200))
    tall.info["icc_profile"] = b"a profile, opaque to the codec"
    return {
        "cvqn-q1": (picture(48, 40), {"quality": 1}),
        "cvqn-q50": (picture(64, 48), {"quality": 50}),
        "cvqn-q100": (picture(48, 40), {"quality": 100}),
        "cvqn-odd": (picture(37, 19), {"quality": 33.5}),
        "cvqn-1x1": (picture(1, 1), {"quality": 70}),
        "cvqn-grey": (picture(48, 32).convert("L"), {"quality": 60}),
        "cvqn-alpha": (alpha, {"quality": 60}),
        "cvqn-icc": (tagged, {"quality": 40}),
        "cvqn-map": (picture(96, 64), {"quality": 60, "importance": True}),
        "cvqn-roi": (picture(96, 64), {"quality": 80, "roi": mask}),
        "comrec-q20": (picture(96, 64), {"quality": 20}),
        "comrec-q90": (picture(48, 40), {"quality": 90}),
        "comrec-odd": (picture(37, 19), {"quality": 20}),
        "comrec-1x1": (picture(1, 1), {"quality": 20}),
        "comrec-com": (picture(64, 48), {"quality": 30, "arrangement": "com"}),
        "comrec-jpeg": (picture(96, 64), {"quality": 20, "inner": "jpeg"}),
        "comrec-jpeg-rec": (picture(64, 48), {"quality": 60, "inner": "jpeg"}),
        "comrec-webp": (alpha, {"quality": 20, "inner": "webp"}),
        "vae-q1": (picture(48, 40), {"quality": 1}),
        "vae-q50": (picture(96, 64), {"quality": 50}),
        "vae-q100": (picture(48, 40), {"quality": 100}),
        "vae-odd": (picture(37, 19), {"quality": 33.5}),
        "vae-1x1": (picture(1, 1), {"quality": 70}),
        "vae-grey": (picture(48, 32).convert("L"), {"quality": 60}),
        "vae-alpha": (alpha, {"quality": 60}),
        "vae-msssim-q30": (picture(96, 64), {"quality": 30, "model": "vae-msssim"}),
        "vae-msssim-q90": (picture(48, 40), {"quality": 90, "model": "vae-msssim"}),
        "cvqn-mse-q30": (picture(96, 64), {"quality": 30, "model": "cvqn-mse"}),
        "cvqn-mse-q90": (picture(48, 40), {"quality": 90, "model": "cvqn-mse"}),
        "cvqn-tiles": (picture(70, 67), {"quality": 30, "tile_size": 64}),
        "cvqn-tiles-roi": (picture(96, 64), {"quality": 50, "roi": mask, "tile_size": 64}),
        "cvqn-tiles-alpha": (tall, {"quality": 20, "tile_size": 64}),
        "comrec-tiles": (picture(70, 67), {"quality": 20, "tile_size": 64}),
        "comrec-tiles-rec": (picture(129, 40), {"quality": 60, "tile_size": 64}),
        "comrec-jpeg-tiles": (picture(96, 64), {"quality": 20, "inner": "jpeg", "tile_size": 64}),
        "vae-tiles": (picture(129, 67), {"quality": 40, "tile_size": 64}),
    }


def model_of(file: container.NczFile) -> Any:
    """The codec that reads the file."""
    return neurocodec.load(zoo.by_wire_id(file.model).name)


def symbols_digest(codec: Any, file: container.NczFile) -> str:
    """SHA-256 over the symbols of all groups, as bytes in coded order, or over another codec's
    file; of a picture in tiles, over the digests of its tiles in hex."""
    if file.tiling is not None:
        parts = [container.tile(file, number) for number in range(len(file.grid))]
        together = "".join(symbols_digest(codec, part) for part in parts)
        return hashlib.sha256(together.encode()).hexdigest()
    header = file.header
    if isinstance(header, container.ComRecHeader) and header.inner != container.Inner.DCT:
        return hashlib.sha256(file.streams[0]).hexdigest()
    indices = codec._read_symbols(file)[0]
    data = b"".join(index.numpy().astype("<i2").tobytes() for index in indices)
    return hashlib.sha256(data).hexdigest()


def main() -> None:
    manifest_path = HERE / "manifest.json"
    manifest = json.loads(manifest_path.read_text()) if manifest_path.exists() else {}
    for name, (image, options) in cases().items():
        if name in manifest:
            continue
        data = neurocodec.encode(image, **{"model": name.partition("-")[0], **options})
        codec = model_of(container.read(data))
        (HERE / f"{name}.ncz").write_bytes(data)
        codec.decode(data).save(HERE / f"{name}.png")
        manifest[name] = {
            "file": hashlib.sha256(data).hexdigest(),
            "symbols": symbols_digest(codec, container.read(data)),
        }
    manifest_path.write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
