"""Pixels in and out: whatever holds a photograph becomes a :class:`Photo`, and back.

Colour: an ICC profile of an RGB or grey image is carried to the output and not applied, but for
that of a grey image to a format without grey. CMYK is converted to sRGB, through its profile where
it has one.
"""

from neurocodec.image.alpha import pack_alpha, unpack_alpha
from neurocodec.image.formats import Format, format_for, readable_suffixes, suffixes
from neurocodec.image.output import on_white, save, write_atomically
from neurocodec.image.photo import Photo, as_mode, to_pil
from neurocodec.image.source import open_photo

__all__ = [
    "Format",
    "Photo",
    "as_mode",
    "format_for",
    "on_white",
    "open_photo",
    "pack_alpha",
    "readable_suffixes",
    "save",
    "suffixes",
    "to_pil",
    "unpack_alpha",
    "write_atomically",
]
