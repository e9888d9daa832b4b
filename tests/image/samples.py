"""Small images and profiles, made here."""

import functools
import io
import struct

import numpy as np
from PIL import Image, ImageCms


def rgb(height=3, width=4, seed=0):
    """(height, width, 3) uint8 noise: no two orientations of it are alike."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def encoded(image, format="PNG", **options):
    """The bytes of a PIL image in a file format."""
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


@functools.cache  # the profile has the time in it
def srgb_profile():
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def grey_profile():
    """A header is all that is looked at."""
    return bytes(16) + b"GRAY" + bytes(108)


def linear_grey_profile():
    """A grey profile, version 2, whose samples are light itself."""
    curve = b"curv" + bytes(4) + struct.pack(">I", 0)
    return profile(b"mntrGRAYXYZ ", b"kTRC", curve)


def profile(kind, tag, content):
    """An ICC profile, version 2, of one tag and the white point (ICC.1:2001-04)."""
    white_point = b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)
    start = 128 + 4 + 2 * 12
    tags = struct.pack(">I", 2)
    tags += tag + struct.pack(">II", start, len(content))
    tags += b"wtpt" + struct.pack(">II", start + len(content), len(white_point))
    size = start + len(content) + len(white_point)
    header = struct.pack(">I4sI", size, b"none", 0x02400000) + kind
    header += bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + tags + content + white_point


def grey_tiff(samples, bits, *, white_is_zero=False):
    """A TIFF of one row of grey samples of 12 or 16 bits, which Pillow does not write so."""
    text = "".join(f"{sample:0{bits}b}" for sample in samples)
    if bits == 16:
        data = struct.pack(f"<{len(samples)}H", *samples)
    else:  # packed, the first sample in the highest bits
        data = int(text.ljust(-(-len(text) // 8) * 8, "0"), 2).to_bytes(-(-len(text) // 8), "big")
    fields = {
        256: len(samples), 257: 1, 258: bits, 259: 1, 262: 0 if white_is_zero else 1,
        273: 8 + 2 + 9 * 12 + 4, 277: 1, 278: 1, 279: len(data),
    }  # fmt: skip
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in fields.items())
    return b"II*\0" + struct.pack("<IH", 8, len(fields)) + entries + bytes(4) + data


def cmyk_profile():
    """A CMYK profile, version 2: cyan ink looks pure red, black ink black, all else is white.

    Nothing like it exists, so that a conversion which ignores the profile is found out.
    """
    white, red, black = (255, 128, 128), (135, 208, 195), (0, 128, 128)  # CIELAB in 8 bits
    # The grid is that of no ink and full ink, cyan varying slowest and black fastest.
    clut = b"".join(bytes(black if i % 2 else red if i >= 8 else white) for i in range(16))
    identity = struct.pack(">9i", *(65536 * (i % 4 == 0) for i in range(9)))
    ramp = bytes(range(256))
    lut = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + identity + ramp * 4 + clut + ramp * 3
    return profile(b"prtrCMYKLab ", b"A2B0", lut)


def exif_block(*entries, order="<", trailer=b""):
    """A TIFF block of one directory with SHORT entries (tag, value), then ``trailer``."""
    magic = b"II*\0" if order == "<" else b"MM\0*"
    body = b"".join(struct.pack(order + "HHIHH", tag, 3, 1, value, 0) for tag, value in entries)
    count = struct.pack(order + "H", len(entries))
    return magic + struct.pack(order + "I", 8) + count + body + bytes(4) + trailer


def exif_bomb(kind, number, *, behind=False):
    """A TIFF block with a hundred values of 1000 bytes that are the same.

    kind, number: what each value is, and how many. behind: whether they stand in the Exif
    directory of one that is cut off, and whose other directory lies outside.
    """
    entries = [struct.pack("<HHII", 0x9000 + i, kind, number, 8) for i in range(100)]
    directory = struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)
    if not behind:
        return b"II*\0" + struct.pack("<I", 8) + directory
    pointers = struct.pack("<HHHIIHHII", 2, 0x8769, 4, 1, 8, 0x8825, 4, 1, 10**6)
    return b"II*\0" + struct.pack("<I", 8 + len(directory)) + directory + pointers


def oriented(pixels, orientation, format="PNG", **options):
    """The file of an image whose EXIF says that ``pixels`` are its upright form."""
    undo = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    image = Image.fromarray(pixels)
    if undo is not None:
        image = image.transpose(undo)
    exif = b"Exif\0\0" + exif_block((0x0112, orientation))
    return encoded(image, format, exif=exif, **options)
