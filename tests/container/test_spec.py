"""bitstream/SPEC.md says what the code does."""

import re
from pathlib import Path

import pytest

from neurocodec.container import (
    CODECS,
    MAGIC,
    TILED_VERSION,
    VERSION,
    Arrangement,
    Inner,
    NczFile,
    write,
)
from neurocodec.container.fields import Field, Int, Records
from neurocodec.container.layout import (
    CODEC,
    COMREC_HEADER,
    CVQN_HEADER,
    GRID_OFFSET,
    IMAGE,
    LEVELS,
    MAP,
    MAX_TILES,
    SIZE,
    TILE,
)
from neurocodec.container.sections import SECTIONS

from .samples import COMPACT, MIXED, PLAIN, TILED

BITSTREAM = Path(__file__).parents[2] / "bitstream"
SPEC = (BITSTREAM / "SPEC.md").read_text()


def row(field: Field) -> str:
    """The start of a field's row in the tables of SPEC.md."""
    if isinstance(field, Records):
        return f"| number of {field.name} | u8 | {field.low} to {field.high} |"
    if isinstance(field, Int):
        form = {0: "varint", 1: "u8", 2: "u16"}[field.size]
        return f"| {field.label} | {form} | {field.low} to {field.high} |"
    return f"| {field.label} | 4 bytes | |"


@pytest.mark.parametrize(
    "field", [CODEC, *IMAGE, *CVQN_HEADER, SIZE, LEVELS, *MAP], ids=lambda f: f.label
)
def test_every_field_is_in_the_spec(field: Field) -> None:
    assert row(field) in SPEC


def test_the_header_of_comrec_is_in_the_spec_in_its_order() -> None:
    table = SPEC.split("#### Header of codec 2")[1].split("\n\n")[1]
    rows = [re.match(r"\| \w+ \| \w+ \| \d+ to \d+ \|", line) for line in table.splitlines()]
    assert [found.group() for found in rows if found] == [row(field) for field in COMREC_HEADER]


def test_arrangements_and_inner_codecs_are_in_the_spec() -> None:
    rows = re.findall(r"^\| (\d) \| (both|rec|com) \|", SPEC, re.MULTILINE)
    assert rows == [(str(item.value), item.name.lower()) for item in Arrangement]
    listed = re.search(r"The inner codec is (.*?)\.", SPEC).group(1)
    numbered = re.findall(r"(\d) (\w+(?: 2000)?)", listed)
    names = {int(number): name.replace(" ", "").upper() for number, name in numbered}
    assert names == {item.value: item.name for item in Inner}


def test_every_section_is_in_the_spec_and_no_other() -> None:
    table = SPEC[SPEC.index("### Sections") : SPEC.index("#### Channel order")]
    rows = re.findall(r"^\| (\d+) \| (\w+) \| (\w+) \|", table, re.MULTILINE)
    assert rows == [
        (str(section.id), section.name, str(section.codec or "all")) for section in SECTIONS
    ]


def test_the_constants_are_in_the_spec() -> None:
    assert f"`{MAGIC.hex(' ')}`" in SPEC
    assert f"| version | u8 | {VERSION} |" in SPEC
    assert f"| version | u8 | {TILED_VERSION} |" in SPEC
    assert f", 2 to {MAX_TILES} of them" in SPEC
    for field in TILE:
        low, high = field.low * field.unit, field.high * field.unit
        assert f"| {field.label} | varint | {low} to {high}, " in SPEC
    assert row(GRID_OFFSET) in SPEC
    for number, name in CODECS.items():
        assert f"Codec {number} is `{name}`." in SPEC


@pytest.mark.parametrize(
    ("heading", "file"),
    [
        ("An example", PLAIN),
        ("An example of codec 2", COMPACT),
        ("An example of codec 3", MIXED),
        ("An example of tiles", TILED),
    ],
)
def test_the_examples_of_the_spec(heading: str, file: NczFile) -> None:
    example = SPEC.split(f"### {heading}\n")[1].split("```")[1]
    parts = [re.split(r" {3,}", line)[0] for line in example.strip().splitlines()]
    assert bytes.fromhex("".join(parts)) == write(file)
