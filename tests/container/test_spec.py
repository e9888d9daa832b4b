"""bitstream/SPEC.md and bitstream/attacks/README.md say what the code does."""

import importlib
import re
from pathlib import Path

import pytest

from neurocodec.container import CODECS, MAGIC, VERSION, write
from neurocodec.container.fields import Field, Int, Records
from neurocodec.container.layout import CODEC, GROUP, IMAGE, LEARNED, MAP
from neurocodec.container.sections import SECTIONS

from .samples import PLAIN

BITSTREAM = Path(__file__).parents[2] / "bitstream"
SPEC = (BITSTREAM / "SPEC.md").read_text()
ATTACKS = (BITSTREAM / "attacks" / "README.md").read_text()


def row(field: Field) -> str:
    """The start of a field's row in the tables of SPEC.md."""
    if isinstance(field, Records):
        return f"| number of {field.name} | u8 | {field.low} to {field.high} |"
    if isinstance(field, Int):
        form = {0: "varint", 1: "u8", 2: "u16"}[field.size]
        return f"| {field.label} | {form} | {field.low} to {field.high} |"
    return f"| {field.label} | 4 bytes | |"


@pytest.mark.parametrize("field", [CODEC, *IMAGE, *LEARNED, *GROUP, *MAP], ids=lambda f: f.label)
def test_every_field_is_in_the_spec(field: Field) -> None:
    assert row(field) in SPEC


def test_every_section_is_in_the_spec_and_no_other() -> None:
    table = SPEC[SPEC.index("### Sections") : SPEC.index("#### Channel order")]
    rows = re.findall(r"^\| (\d+) \| (\w+) \|", table, re.MULTILINE)
    assert rows == [(str(section.id), section.name) for section in SECTIONS]


def test_the_constants_are_in_the_spec() -> None:
    assert f"`{MAGIC.hex(' ')}`" in SPEC
    assert f"| version | u8 | {VERSION} |" in SPEC
    assert f"Codec 1 is `{CODECS[1]}`." in SPEC


def test_the_example_of_the_spec() -> None:
    example = SPEC.split("### An example")[1].split("```")[1]
    parts = [re.split(r" {3,}", line)[0] for line in example.strip().splitlines()]
    assert bytes.fromhex("".join(parts)) == write(PLAIN)


def test_every_attack_has_its_test() -> None:
    items = re.findall(r"^(\d+)\. (.*)$", ATTACKS, re.MULTILINE)
    assert [int(number) for number, _ in items] == list(range(1, len(items) + 1))
    for _, text in items:
        named = re.findall(r"`(test_\w+)\.py::(test_\w+)`", text)
        assert named, text
        for module, test in named:
            assert callable(getattr(importlib.import_module(f"{__package__}.{module}"), test))
