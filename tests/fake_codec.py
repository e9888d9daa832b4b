"""Codecs with nothing learned about them, whose .ncz files are real: to test what is around."""

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
    encoder={},
    folder=Path("nowhere"),
)

AROUND = replace(MODEL, name="around", codec="comrec", wire_id=8, inner=("dct", "webp"))
AROUND_OTHERS = replace(AROUND, name="around-others", wire_id=9, inner=("jpeg", "webp", "avif"))


class FakeCodec:
    """Lossless. Notes the options of each call; the header has the quality and, with a roi, a map.

    ``during``: called while encoding and while decoding.
    """

    def __init__(self, model=MODEL):
        self.model = model
        self.name = model.name
        self.calls = []
        self.during = lambda: None

    def check_options(self, **options):
        """It has them all."""

    def encode(self, image, quality=50, **options):
        self.calls.append({"quality": quality, **options})
        self.during()
        if options.get("target_size") == 1:
            raise InvalidArgument("target size 1 is out of reach: the smallest file has 100 bytes")
        photo = open_photo(image)
        height, width = photo.pixels.shape[:2]
        header, *more = self.header_and_more_streams(container.snap_quality(quality), options)
        return container.write(
            container.NczFile(
                codec=2 if self.model.codec == "comrec" else 1,
                model=self.model.wire_id,
                model_digest=bytes.fromhex(DIGEST)[:4],
                width=width,
                height=height,
                mode=container.Mode[photo.mode],
                header=header,
                streams=(zlib.compress(photo.pixels.tobytes()), *more),
                icc=photo.icc,
                exif=photo.exif,
                xmp=photo.xmp,
                alpha=None if photo.alpha is None else pack_alpha(photo.alpha),
            )
        )

    def header_and_more_streams(self, quality, options):
        header = container.CVQNHeader(
            quality=quality,
            grid_offset=3,
            groups=(container.Group(2, 3), container.Group(1, 5)),
        )
        if options.get("roi") is not None:
            mask = open_photo(options["roi"]).pixels[0, 0, 0]
            importance = container.ImportanceMap(1, 2, 3, bytes([int(mask > 127), 2]))
            header = replace(header, importance=importance, channel_order=(2, 0, 1))
        return header, b"end"

    def decode(self, source, *, max_pixels=2**28):
        self.calls.append({"max_pixels": max_pixels})
        self.during()
        file = source
        if not isinstance(source, container.NczFile):
            file = container.read(source, max_pixels=max_pixels)
        pixels = np.frombuffer(zlib.decompress(file.streams[0]), np.uint8)
        alpha = file.alpha and unpack_alpha(file.alpha, file.width, file.height)
        pixels = pixels.reshape(file.height, file.width, 3)
        return to_pil(Photo(pixels, file.mode.name, alpha, file.icc, file.exif, file.xmp))


class FakeComRec(FakeCodec):
    """One around inner codecs, of which it takes the name: half the quality asked for is theirs."""

    def header_and_more_streams(self, quality, options):
        inner = container.Inner[options.get("inner", self.model.inner[0]).upper()]
        arrangement = options.get("arrangement", "auto")
        header = container.ComRecHeader(
            quality=quality,
            arrangement=container.Arrangement[
                "BOTH" if arrangement == "auto" else arrangement.upper()
            ],
            inner=inner,
            inner_quality=container.snap_quality(max(1, quality / 2)),
            grid_offset=3 if inner is container.Inner.DCT else 0,
        )
        return (header, b"end") if inner is container.Inner.DCT else (header,)


def install(monkeypatch):
    """Make it the only model there is; returns the codec."""
    codec = FakeCodec()
    _install(monkeypatch, codec)
    return codec


def install_family(monkeypatch):
    """The fake one, and two models around inner codecs; returns the codecs by name."""
    codecs = (FakeCodec(), FakeComRec(AROUND), FakeComRec(AROUND_OTHERS))
    _install(monkeypatch, *codecs)
    return {codec.name: codec for codec in codecs}


def _install(monkeypatch, *codecs):
    """The first one is the default."""
    known = {codec.name: codec for codec in codecs}

    def load(name, device="cpu"):
        if name not in known:
            raise UnknownModel(f"no model is called {name!r}: use one of {', '.join(known)}")
        known[name].calls.append({"load": name, "device": device})
        return known[name]

    monkeypatch.setattr(zoo, "models", lambda: tuple(codec.model for codec in codecs))
    monkeypatch.setattr(zoo, "load", load)
    for default in ("DEFAULT", "WITH_MAP"):
        monkeypatch.setattr(zoo, default, codecs[0].name)
