"""The .ncz file: records in, bytes out, and back. Specified in ``bitstream/SPEC.md``.

>>> from neurocodec import container
>>> file = container.NczFile(
...     codec=1, model=1, model_digest=bytes(4), width=5, height=3, mode=container.Mode.RGB,
...     header=container.CVQNHeader(50.0, grid_offset=0, groups=(container.Group(8, 5),)),
...     streams=(b"coded",),
... )
>>> container.read(container.write(file)) == file
True

Imports neither torch nor numpy, so that ``ncz info`` answers at once.
"""

from neurocodec.container.file import Bytes, describe, read, sizes, write
from neurocodec.container.layout import CODECS, MAGIC, TILED_VERSION, VERSION
from neurocodec.container.records import (
    Arrangement,
    ComRecHeader,
    CVQNHeader,
    Group,
    Header,
    ImportanceMap,
    Inner,
    Mode,
    NczFile,
    Tiling,
    VAEHeader,
    snap_quality,
)
from neurocodec.container.source import Source, map_bytes, read_bytes
from neurocodec.container.tiled import shared, tile, write_tile
from neurocodec.container.tiling import Box, Grid

__all__ = [
    "CODECS",
    "MAGIC",
    "TILED_VERSION",
    "VERSION",
    "Arrangement",
    "Box",
    "Bytes",
    "CVQNHeader",
    "ComRecHeader",
    "Grid",
    "Group",
    "Header",
    "ImportanceMap",
    "Inner",
    "Mode",
    "NczFile",
    "Source",
    "Tiling",
    "VAEHeader",
    "describe",
    "map_bytes",
    "read",
    "read_bytes",
    "shared",
    "sizes",
    "snap_quality",
    "tile",
    "write",
    "write_tile",
]
