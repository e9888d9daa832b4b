"""A codec with nothing learned about it, whose .ncz files are real: to test what is around."""

import hashlib
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np

from neurocodec import container, zoo
from neurocodec.errors import InvalidArgument, UnknownModel
from neurocodec.image import Photo, open_photo, pack_alpha, to_pil, unpack_alpha

DIGEST = hashlib.sha256(b"fake").hexdigest()

MODEL = zoo.ModelInfo(
    name="fake",
    codec="cvqn",
    wire_id=7,
    digest=DIGEST,
    bytes=1234567,
    licence="Apache-2.0",
    scores={"psnr": 30.5},
    default_quality=50.0,
    default_map=False,
    folder=Path("nowhere"),
)


class FakeCodec:
    """Lossless. Notes the options of each call; the header has the quality and, with a roi, a map.

    ``during``: called while encoding and while decoding.
    """

    name = "fake"

    def __init__(self):
        self.calls = []
        self.during = lambda: None

    def encode(self, image, quality=50, **options):
        self.calls.append({"quality": quality, **options})
        self.during()
        if options.get("target_size") == 1:
            raise InvalidArgument("target size 1 is out of reach: the smallest file has 100 bytes")
        photo = open_photo(image)
        height, width = photo.pixels.shape[:2]
        header = container.LearnedHeader(
            quality=container.snap_quality(quality),
            grid_offset=3,
            groups=(container.Group(2, 3), container.Group(1, 5)),
        )
        if options.get("roi") is not None:
            mask = open_photo(options["roi"]).pixels[0, 0, 0]
            importance = container.ImportanceMap(1, 2, 3, bytes([int(mask > 127), 2]))
            header = replace(header, importance=importance, channel_order=(2, 0, 1))
        return container.write(
            container.NczFile(
                codec=1,
                model=MODEL.wire_id,
                model_digest=bytes.fromhex(DIGEST)[:4],
                width=width,
                height=height,
                mode=container.Mode[photo.mode],
                header=header,
                streams=(zlib.compress(photo.pixels.tobytes()), b"end"),
                icc=photo.icc,
                exif=photo.exif,
                xmp=photo.xmp,
                alpha=None if photo.alpha is None else pack_alpha(photo.alpha),
            )
        )

    def decode(self, data, *, max_pixels=2**28):
        self.calls.append({"max_pixels": max_pixels})
        self.during()
        file = container.read(data, max_pixels=max_pixels)
        pixels = np.frombuffer(zlib.decompress(file.streams[0]), np.uint8)
        alpha = file.alpha and unpack_alpha(file.alpha, file.width, file.height)
        pixels = pixels.reshape(file.height, file.width, 3)
        return to_pil(Photo(pixels, file.mode.name, alpha, file.icc, file.exif, file.xmp))


def install(monkeypatch):
    """Make it the only model there is; returns the codec."""
    codec = FakeCodec()

    def load(name, device="cpu"):
        codec.calls.append({"load": name, "device": device})
        if name != MODEL.name:
            raise UnknownModel(f"no model is called {name!r}: use one of fake")
        return codec

    monkeypatch.setattr(zoo, "models", lambda: (MODEL,))
    monkeypatch.setattr(zoo, "load", load)
    monkeypatch.setattr(zoo, "DEFAULT", MODEL.name)
    return codec
