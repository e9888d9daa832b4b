"""The format as data: constants and tables. The prose that goes with them is bitstream/SPEC.md."""

from __future__ import annotations

from neurocodec.container.fields import Choice, Field, Fixed, Int, Multiple, Odd, Raw, Records
from neurocodec.container.records import (
    Arrangement,
    ComRecHeader,
    CVQNHeader,
    Group,
    Header,
    Inner,
    Mode,
    VAEHeader,
)

MAGIC = b"\x89NCZ"
"""Signature. Its first byte is no text in any encoding and does not survive a 7-bit transfer."""

VERSION, TILED_VERSION = 5, 6
"""Of a file that holds its picture as a whole, and of one in tiles. Versions 1 to 4, of before the
first release, had other lengths of streams, and all levels of the model in every file of cvqn."""

CVQN, COMREC, VAE = 1, 2, 3
CODECS = {CVQN: "cvqn", COMREC: "comrec", VAE: "vae"}
"""Wire ids of the codecs. Append only; SPEC.md has those that are reserved."""

VARINT = 0
"""Size of an Int that is stored as a varint."""

MAX_SIDE = 2**31 - 1
MAX_CHANNELS = 1024
MAX_STREAMS = 16
MAX_TILES = 2**16
MAX_MAP_POSITIONS = 2**24
MAX_METADATA_BYTES = 2**26
CHECKSUM_BYTES = 4

CODEC = Int("codec", 1, 0, 255)

IMAGE = (
    Int("model", VARINT, 0, 0xFFFF),
    Raw("model_digest", 4),
    Int("width", VARINT, 1, MAX_SIDE),
    Int("height", VARINT, 1, MAX_SIDE),
    Choice("mode", 1, 0, 1, Mode),
)
"""Attributes of NczFile, in the order of the file. Before them comes the codec."""

SIZE = Int("size", VARINT, 1, MAX_CHANNELS, of="group")
LEVELS = Int("levels", VARINT, 2, 1024, of="group")
ODD_LEVELS = Odd("levels", VARINT, 1, 511, of="group")
"""Attributes of Group; of VAEHeader, the levels are odd."""

CVQN_HEADER = (
    Fixed("quality", 2, 256, 25600),
    Int("grid_offset", 1, 0, 255),
    Records("groups", 1, 8, Group, (SIZE, LEVELS)),
)
"""Attributes of CVQNHeader that are always there."""

VAE_HEADER = (*CVQN_HEADER[:-1], Records("groups", 1, 8, Group, (SIZE, ODD_LEVELS)))
"""Attributes of VAEHeader."""

COMREC_HEADER = (
    Fixed("quality", 2, 256, 25600),
    Choice("arrangement", 1, 0, 2, Arrangement),
    Choice("inner", 1, 0, 5, Inner),
    Fixed("inner_quality", 2, 256, 25600),
    Int("grid_offset", 1, 0, 255),
)
"""Attributes of ComRecHeader."""

HEADERS: dict[int, tuple[type[Header], tuple[Field, ...]]] = {
    CVQN: (CVQNHeader, CVQN_HEADER),
    COMREC: (ComRecHeader, COMREC_HEADER),
    VAE: (VAEHeader, VAE_HEADER),
}
"""The header of each codec: its record, and what of it is always there."""

MAP = (
    Int("rows", VARINT, 1, MAX_SIDE, of="importance map"),
    Int("cols", VARINT, 1, MAX_SIDE, of="importance map"),
    Int("levels", 1, 2, 16, of="importance map"),
)
"""Attributes of ImportanceMap, before its values."""

TILE = (
    Multiple("width", VARINT, 1, 1024, 64, of="tile"),
    Multiple("height", VARINT, 1, 1024, 64, of="tile"),
)
"""Attributes of Tiling, before its parts."""

GRID_OFFSET = Int("grid_offset", 1, 0, 255, of="tile")
"""That of a tile; the header of the file has 0."""

LEVELS_BY_TILE = {CVQN: LEVELS, VAE: ODD_LEVELS}
"""Codecs of which each tile has group levels of its own, and how it stores them; the header of the
file has `FEWEST_LEVELS`."""

FEWEST_LEVELS = 3

STREAM_COUNT = Int("number of streams", 1, 1, MAX_STREAMS)

END_OF_SECTIONS = 0
FIRST_SKIPPABLE_SECTION = 128
"""An unknown section from this id on may be skipped; an unknown one below it may not. Those below
belong to the picture and are found in tiles, the others to the file."""
