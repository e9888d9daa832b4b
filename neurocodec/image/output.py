"""Images and bytes to files, whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import IO, Any

from PIL import Image, PngImagePlugin

from neurocodec.errors import InvalidArgument
from neurocodec.image.colour import to_srgb
from neurocodec.image.formats import PNG, Format, format_for, format_named
from neurocodec.image.metadata import EXIF_PREFIX, icc_for, is_bomb, is_exif, tiff_tags
from neurocodec.image.reading import one_line


def save(
    image: Image.Image, target: str | os.PathLike[str] | IO[bytes], format: str | None = None
) -> None:
    """Write an image of mode L, LA, RGB or RGBA to a path or a binary file object.

    format: Pillow's name of it; None goes by the extension, and is PNG for a file object. Carried
    along are ICC, EXIF and XMP from ``info``, as far as the format has room for them. A format
    without alpha shows the image on white.

    Raises InvalidArgument where the format is unknown or cannot hold the image,
    MissingDependency, OSError.
    """
    if isinstance(target, str | os.PathLike):
        chosen = format_named(format) if format else format_for(target)
        write_atomically(target, _render(image, chosen))
    else:
        target.write(_render(image, format_named(format) if format else PNG))


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file so that nobody ever sees a part of it: another name first, then renamed.

    The other name is hidden and ends in .tmp: ``.ncz-*.tmp`` are what killed processes left, safe
    to remove. A link is followed; a device or a pipe is written to directly. Raises OSError.
    """
    given = Path(path)
    # Asked before it is resolved: /dev/stdout, where it is a pipe, resolves to no path at all.
    if given.exists() and not given.is_file() and not given.is_dir():
        given.write_bytes(data)
        return
    final = given.resolve()
    temporary = final.with_name(f".ncz-{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, "xb") as file:
            if final.exists():
                shutil.copymode(final, temporary)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())  # else a power cut can leave the new name with no content
        os.replace(temporary, final)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            error.filename, error.filename2 = str(path), None  # the name that the caller knows
        raise


def _render(image: Image.Image, format: Format) -> bytes:
    carried: dict[str, Any] = {
        key: image.info[key] for key in format.metadata if _fits(key, image.info.get(key), format)
    }
    grey_icc = icc_for("L", carried.get("icc_profile"))
    if grey_icc is not None and image.mode in ("L", "LA") and "L" not in format.modes:
        image = _coloured(image, grey_icc)
    image = _convert(image, format)
    mode = "L" if image.mode in ("L", "LA") else "RGB"
    icc = icc_for(mode, carried.pop("icc_profile", None))
    options: dict[str, Any] = {**format.options, **carried}
    if icc is not None:
        options["icc_profile"] = icc
    if "exif" in options:
        options["exif"] = EXIF_PREFIX + options["exif"].removeprefix(EXIF_PREFIX)
    if "xmp" in options and format.name == "PNG":
        options["pnginfo"] = PngImagePlugin.PngInfo()
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", options.pop("xmp").decode(errors="ignore"))
    if format.name == "TIFF":
        options["exif"] = tiff_tags(options.get("exif"), options.pop("xmp", None))
    stream = BytesIO()
    try:
        image.save(stream, format.name, **options)
    except MemoryError:
        raise
    except Exception as error:  # each writer has its own limits and its own way to say so
        raise InvalidArgument(
            f"an image of {image.width}x{image.height} cannot be written as {format.name}: "
            f"{one_line(error)}; use another format"
        ) from error
    return stream.getvalue()


def on_white(image: Image.Image) -> Image.Image:
    """An image of mode LA or RGBA as it looks on white, RGBA; others as they are."""
    if image.mode not in ("LA", "RGBA"):
        return image
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image.convert("RGBA"))


def _coloured(image: Image.Image, icc: bytes) -> Image.Image:
    """Grey in sRGB, for a format that has no grey, and hence no room for the profile of it."""
    converted = to_srgb(image.convert("L"), icc)
    if converted is None:
        return image
    if image.mode == "LA":
        converted.putalpha(image.getchannel("A"))
    return converted


def _fits(key: str, value: Any, format: Format) -> bool:
    if not isinstance(value, bytes):
        return False
    if key == "exif" and (not is_exif(value) or is_bomb(value)):
        return False
    limit = None if key == "icc_profile" else format.largest_segment  # JPEG cuts profiles up
    return limit is None or len(value) <= limit


def _convert(image: Image.Image, format: Format) -> Image.Image:
    """A copy without ``info``, of the nearest mode that the format holds."""
    if image.mode not in ("L", "LA", "RGB", "RGBA"):
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    mode = image.mode
    if mode.endswith("A") and not any(held.endswith("A") for held in format.modes):
        image = on_white(image)
        mode = mode.removesuffix("A")
    if mode not in format.modes:
        mode = {"L": "RGB", "LA": "RGBA", "RGB": "L"}[mode]
    image = image.copy() if image.mode == mode else image.convert(mode)
    image.info = {}
    return image
