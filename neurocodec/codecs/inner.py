"""The block codecs that ComRec can carry its picture in, each writing its own file through Pillow.

Quality is 1 to 100 for all of them, with the meaning it has in the codec but for three: `jpeg`
scales flatter tables than those of the standard and rounds with a dead zone, worth 1.2 dB of PSNR
at the size of JPEG's quality 10 (Kodak), `webp` spreads the error evenly where it can (see
`_save_webp`) and begins at 0, and `jpeg2000`, which has no quality of its own, aims at a PSNR.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, features

from neurocodec.codecs import dead_zone, plainest
from neurocodec.errors import CorruptStream, ImageTooLarge, InvalidArgument, MissingDependency
from neurocodec.image.reading import check_size, one_line, read_image

# Quality, and the dead zone at it: fine steps gain nothing, and eight bits blur what they tell. At
# low rates 0.15, 0.2 and 0.25 take 7.6, 7.9 and 7.8 % fewer bytes at equal PSNR than none.
DEAD_ZONE = ((50, 80), (0.2, 0.0))

WEBP_METHOD = 6  # the slowest, which makes the smallest files


@dataclass(frozen=True)
class Inner:
    """``save`` writes an RGB image; ``check`` looks at the structure of a file, see `plainest`;
    ``open`` reads what it wrote, and raises ImageTooLarge before it decodes more pixels than it is
    told to; ``largest`` side it can hold."""

    name: str
    save: Callable[[Image.Image, io.BytesIO, float], None]
    check: Callable[[bytes, int, int], None]
    open: Callable[[bytes, int], Image.Image]
    missing: Callable[[], str | None]
    largest: int

    def encode(self, pixels: np.ndarray, quality: float) -> bytes:
        """pixels (H, W, 3) uint8 -> the codec's own file.

        Raises MissingDependency where the codec is not installed, InvalidArgument where the
        picture is larger than it allows, or of a shape that it refuses (x265: thin strips), or
        where its file is not in the plainest form.
        """
        self._require()
        if max(pixels.shape[:2]) > self.largest:
            raise InvalidArgument(
                f"{self.name} holds pictures of at most {self.largest} pixels a side, this one has "
                f"{pixels.shape[1]}x{pixels.shape[0]}: use another inner codec"
            )
        file = io.BytesIO()
        try:
            self.save(Image.fromarray(pixels), file, quality)
        except MemoryError:
            raise
        except Exception as error:  # whatever the library does with what it cannot hold
            raise InvalidArgument(
                f"{self.name} cannot hold a picture of {pixels.shape[1]}x{pixels.shape[0]} "
                f"({one_line(error)}): use another inner codec"
            ) from error
        data = file.getvalue()
        try:
            self.check(data, pixels.shape[1], pixels.shape[0])
        except (ValueError, ImageTooLarge) as error:  # it could not be decoded
            raise InvalidArgument(
                f"this build of {self.name} writes files that the format does not carry ({error}): "
                "use another inner codec"
            ) from error
        return data

    def decode(self, data: bytes, width: int, height: int) -> np.ndarray:
        """The codec's file -> pixels (height, width, 3) uint8.

        Raises CorruptStream where it is damaged or holds a picture of another size,
        MissingDependency.
        """
        self._require()
        try:
            self.check(data, width, height)
            image = self.open(data, width * height)
            if image.size == (width, height):
                return np.asarray(image.convert("RGB"))
        except MemoryError:
            raise
        except ImageTooLarge as error:
            raise CorruptStream(
                f"the {self.name} stream holds more pixels than {width}x{height}: "
                "re-encode the picture"
            ) from error
        except Exception as error:  # whatever the library does with damaged bytes
            raise CorruptStream(
                f"the {self.name} stream cannot be decoded ({one_line(error)}): "
                "re-encode the picture"
            ) from error
        raise CorruptStream(
            f"the {self.name} stream holds {image.size[0]}x{image.size[1]} pixels, expected "
            f"{width}x{height}: re-encode the picture"
        )

    def _require(self) -> None:
        reason = self.missing()
        if reason:
            raise MissingDependency(f"inner codec {self.name}: {reason}")


def jpeg_tables(quality: float) -> list[list[int]]:
    """Quantization tables of luma and chroma, 64 entries each in natural order.

    Step s·(1 + 0.4·(u + v)), chroma 0.6 of it, s falling with quality as libjpeg's scale does.
    Slope and ratio were chosen on photographs of the training set, for PSNR over RGB.
    """
    percent = 5000 / quality if quality < 50 else 200 - 2 * quality
    frequency = np.add.outer(np.arange(8), np.arange(8)).ravel()
    luma = percent / 100 * 10 * (1 + 0.4 * frequency)
    return [np.clip(np.rint(table), 1, 255).astype(int).tolist() for table in (luma, 0.6 * luma)]


def _save_jpeg(image: Image.Image, file: io.BytesIO, quality: float) -> None:
    """With a dead zone. Baseline or progressive, whichever is smaller: small pictures drown in the
    many tables of the latter."""
    tables = jpeg_tables(quality)
    zone = float(np.interp(quality, *DEAD_ZONE))
    if zone:
        image = dead_zone.quantized(image, tables, zone)
    attempts = []
    for progressive in (False, True):
        attempt = io.BytesIO()
        image.save(
            attempt, "JPEG", qtables=tables, subsampling="4:2:0", optimize=True,
            progressive=progressive,
        )  # fmt: skip
        attempts.append(attempt.getvalue())
    file.write(min(attempts, key=len))


def _save_webp(image: Image.Image, file: io.BytesIO, quality: float) -> None:
    """Without spatial noise shaping, which hides error in busy places at the cost of squared error.

    Pillow does not have this setting, the package webp does; without it, as Pillow saves. WebP's
    own quality begins at 0, and between 0 and 1 the size doubles.
    """
    quality = (quality - 1) * 100 / 99
    try:
        import webp
    except ImportError:
        image.save(file, "WEBP", quality=quality, method=WEBP_METHOD)
        return
    config = webp.WebPConfig.new(quality=quality, method=WEBP_METHOD)
    config.ptr.sns_strength = 0
    file.write(webp.WebPPicture.from_pil(image).encode(config).buffer())


def _save_heic(image: Image.Image, file: io.BytesIO, quality: float) -> None:
    import pillow_heif

    pillow_heif.from_pillow(image).save(file, quality=round(quality), chroma=444)


def _open_heic(data: bytes, most: int) -> Image.Image:
    import pillow_heif

    file = pillow_heif.open_heif(io.BytesIO(data))
    width, height = file.size
    check_size(width, height, "the stream", most)
    return file.to_pillow()


def _saving(format: str, options: Callable[[float], dict[str, Any]]) -> Any:
    return lambda image, file, quality: image.save(file, format, **options(quality))


def _opening(format: str) -> Any:
    # Image.open would hold large pictures for bombs; `read_image` has limits of its own.
    return lambda data, most: read_image(data, "the stream", most, (format,))


def _feature(name: str) -> Callable[[], str | None]:
    reason = f"this Pillow was built without {name}: pip install a newer Pillow"
    return lambda: None if features.check(name) else reason


def _no_heif() -> str | None:
    import importlib.util

    if importlib.util.find_spec("pillow_heif"):
        return None
    return "pillow-heif is not installed: pip install pillow-heif"


INNERS = {
    inner.name: inner
    for inner in (
        Inner("jpeg", _save_jpeg, plainest.jpeg, _opening("JPEG"), _feature("jpg"), 65500),
        Inner(
            "jpeg2000",
            _saving(
                "JPEG2000",
                lambda q: {
                    "quality_mode": "dB",
                    "quality_layers": [20 + 0.22 * q],
                    "irreversible": True,
                    "mct": 1,
                    "no_jp2": True,
                },
            ),
            plainest.jpeg2000,
            _opening("JPEG2000"),
            _feature("jpg_2000"),
            2**31 - 1,
        ),
        Inner(
            "webp",
            _save_webp,
            plainest.webp,
            _opening("WEBP"),
            _feature("webp"),
            16383,
        ),
        Inner(
            "avif",
            _saving("AVIF", lambda q: {"quality": round(q), "subsampling": "4:4:4", "speed": 6}),
            plainest.avif,
            _opening("AVIF"),
            _feature("avif"),
            32768,  # libavif writes larger ones, and then refuses to read them
        ),
        Inner("heic", _save_heic, plainest.heic, _open_heic, _no_heif, 16384),
    )
}
