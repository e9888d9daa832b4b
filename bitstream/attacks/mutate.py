"""One mutant of a file: edits that know the structure, behind lengths and checksums made right."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from random import Random

import forge

from neurocodec.container import Grid, layout
from neurocodec.container.fields import Int, get_all
from neurocodec.container.wire import Cursor, varint
from neurocodec.errors import NczError

EDGES = (0, 1, 2, 3, 0x7F, 0x80, 0x81, 0xFE, 0xFF)
SIDES = (1, 2, 7, 8, 15, 16, 17, 31, 64, 65, 128, 2**14, 2**16, 2**28, 2**31 - 1)
MOST = 1 << 17
"""Mutants do not grow beyond this many bytes."""


def havoc(data: bytes, random: Random) -> bytes:
    """A few bytes flipped, replaced, cut out, repeated or put in, anywhere."""
    out = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 4, 8))):
        start = random.randrange(len(out) + 1)
        length = random.choice((1, 1, 1, 2, 4, 16))
        edit = random.randrange(6)
        if edit == 0 and start < len(out):
            out[start] ^= 1 << random.randrange(8)
        elif edit == 1:
            out[start : start + length] = random.randbytes(length)
        elif edit == 2:
            out[start : start + length] = bytes([random.choice(EDGES)]) * length
        elif edit == 3:
            del out[start : start + length]
        elif edit == 4:
            out[start:start] = out[start : start + length] * random.choice((1, 2, 30))
        elif length <= len(out) - start:  # an integer up or down by a little, either byte order
            order = random.choice(("little", "big"))
            value = int.from_bytes(out[start : start + length], order) + random.randint(-4, 4)
            out[start : start + length] = (value % 256**length).to_bytes(length, order)
    return bytes(out[:MOST])


def _image(parts: forge.Parts, random: Random) -> None:
    """One of the fields of the image: within its range, or any bytes. A tile has none."""
    if not parts.image:
        return
    cursor = Cursor(parts.image)
    places = []
    for entry in (layout.CODEC, *layout.IMAGE):
        start = cursor.position
        entry.get(cursor)
        places.append((entry, start, cursor.position))
    entry, start, end = random.choice(places)
    new = havoc(parts.image[start:end], random)
    if entry.name in ("width", "height"):
        new = varint(random.choice((random.randint(1, 96), random.choice(SIDES))))
    elif type(entry) is Int and random.random() < 0.8:
        between = random.randint(entry.low, entry.high)
        new = entry.put(random.choice((entry.low, entry.high, between)))
    parts.image = parts.image[:start] + new + parts.image[end:]


def _header(parts: forge.Parts, random: Random) -> None:
    parts.header = havoc(parts.header, random)


def _section(parts: forge.Parts, random: Random) -> None:
    """A section's payload; what is compressed in it is changed before compression, or after."""
    if not parts.sections:
        return
    place = random.randrange(len(parts.sections))
    number, payload = parts.sections[place]
    if random.random() < 0.5:
        payload = havoc(payload, random)
    elif number == forge.MAP:
        fields, values = forge.split_map(payload)
        if random.random() < 0.3:
            fields = havoc(fields, random)
        payload = fields + forge.gzip_member(havoc(values, random))
    elif number == forge.ALPHA and (chunks := forge.png_chunks(payload)):
        which = random.randrange(len(chunks))
        chunks[which] = (chunks[which][0], havoc(chunks[which][1], random))
        payload = forge.png(chunks)
    elif number in forge.METADATA:
        payload = forge.metadata(havoc(payload, random))
    parts.sections[place] = (number, payload)


def _sections(parts: forge.Parts, random: Random, other: forge.Parts) -> None:
    """Sections left out, doubled, reordered, renumbered, taken from another file."""
    edit = random.randrange(5)
    if edit == 0:
        parts.sections += other.sections
        parts.sections = sorted(dict(parts.sections).items())
    elif edit == 1:
        payload = random.randbytes(random.randrange(20))
        parts.sections.append((random.randrange(256), payload))
    elif parts.sections:
        place = random.randrange(len(parts.sections))
        if edit == 2:
            del parts.sections[place]
        elif edit == 3:
            parts.sections.insert(place, random.choice(parts.sections))
        else:
            parts.sections[place] = (random.randrange(1, 132), parts.sections[place][1])


def _stream(parts: forge.Parts, random: Random) -> None:
    """The bytes of one stream: what an entropy decoder, or the codec of others, has to take."""
    if parts.streams:
        place = random.randrange(len(parts.streams))
        parts.streams[place] = havoc(parts.streams[place], random)


def _stream_byte(parts: forge.Parts, random: Random) -> None:
    """One bit, nothing moved: the mutant that gets furthest."""
    if parts.streams and (stream := bytearray(random.choice(parts.streams))):
        place = parts.streams.index(bytes(stream))
        stream[random.randrange(len(stream))] ^= 1 << random.randrange(8)
        parts.streams[place] = bytes(stream)


def _streams(parts: forge.Parts, random: Random, other: forge.Parts) -> None:
    """Streams cut, extended, emptied, swapped, left out, taken from another file."""
    edit = random.randrange(6)
    if edit == 0:
        parts.streams = list(other.streams)
    elif edit == 1:
        parts.streams.append(random.randbytes(random.randrange(40)))
    elif parts.streams:
        place = random.randrange(len(parts.streams))
        stream = parts.streams[place]
        if edit == 2:
            stream = stream[: random.randrange(len(stream) + 1)]
        elif edit == 3:
            stream += random.randbytes(random.choice((1, 2, 9)))
        elif edit == 4:
            stream = random.choice(parts.streams)
        else:
            del parts.streams[place]
            return
        parts.streams[place] = stream


def _model(parts: forge.Parts, random: Random, other: forge.Parts) -> None:
    """The size of this file and the rest of another, or the other way round."""
    if random.random() < 0.5:
        parts.header, parts.streams = other.header, list(other.streams)
    parts.image = other.image if random.random() < 0.5 else parts.image


def _tiles(parts: forge.Parts, random: Random) -> None:
    """Tiles damaged, cut, emptied, exchanged, left out, doubled."""
    assert parts.tiles is not None
    if not parts.tiles:
        return
    place, other = (random.randrange(len(parts.tiles)) for _ in range(2))
    edit = random.randrange(6)
    stored = parts.stored()[place]
    if edit == 0:
        parts.tiles[place] = havoc(stored, random)
    elif edit == 1:
        parts.tiles[place] = stored[: random.randrange(len(stored) + 1)]
    elif edit == 2:
        parts.tiles[place] = random.choice((b"", bytes(3), bytes(4), bytes(5)))
    elif edit == 3:
        parts.tiles[place], parts.tiles[other] = parts.tiles[other], parts.tiles[place]
    elif edit == 4:
        del parts.tiles[place]
    else:
        parts.tiles.insert(place, parts.tiles[other])


def _index(parts: forge.Parts, random: Random) -> None:
    """Lengths of tiles that lie, with the right sum or another."""
    lengths = list(map(len, parts.stored())) or [0]
    place, other = (random.randrange(len(lengths)) for _ in range(2))
    by = random.choice((1, 2, lengths[place], 2**31))
    lengths[place] = max(0, lengths[place] - by)
    if random.random() < 0.7:
        lengths[other] += by
    parts.index = b"".join(map(varint, lengths))


def _grid(parts: forge.Parts, random: Random) -> None:
    """Another size of the picture, in as many tiles as that needs, if they are not too many."""
    assert parts.tiles is not None
    _image(parts, random)
    cursor = Cursor(parts.image, 1)
    image = get_all(layout.IMAGE, cursor)
    count = len(Grid(image["width"], image["height"], 64, 64))
    if parts.tiles and count < 100:
        parts.tiles = [parts.tiles[number % len(parts.tiles)] for number in range(count)]


Alone = Callable[[forge.Parts, Random], None]
Paired = Callable[[forge.Parts, Random, forge.Parts], None]
ALONE: dict[Alone, int] = {_image: 2, _header: 2, _section: 3, _stream: 4, _stream_byte: 4}
PAIRED: dict[Paired, int] = {_sections: 1, _streams: 2, _model: 1}
TILED: dict[Alone, int] = {_tiles: 2, _index: 1, _grid: 1}


def mutate(data: bytes, random: Random, others: Sequence[bytes] = ()) -> bytes:
    """A mutant of ``data``, which may be anything; ``others`` are files to borrow parts from."""
    if random.random() < 0.01:
        return havoc(data, random)  # as damage in transit would leave it
    try:
        parts = forge.take_apart(data)
    except ValueError:  # no file any more
        return forge.seal(havoc(_body(data), random))
    more = random.random() < 0.3
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        paired = bool(others) and random.random() < 0.25
        other = forge.take_apart(random.choice(others)) if paired else None
        try:
            _edit(parts, random, other)
        except (ValueError, struct.error, NczError):  # what was to be edited is not there any more
            more = True
    body = parts.body()
    body = havoc(body, random) if more else body
    return forge.seal(body) if parts.tiles is None else forge.seal_tiles(body, parts.stored())


def _edit(parts: forge.Parts, random: Random, other: forge.Parts | None) -> None:
    """One edit, of the file or of one of its tiles; ``other`` is to borrow from."""
    if parts.tiles is not None and random.random() < 0.8:
        tile = random.choice(parts.tiles) if parts.tiles else b""
        if random.random() < 0.3 or isinstance(tile, bytes):
            random.choices(list(TILED), list(TILED.values()))[0](parts, random)
            return
        if other is not None and other.tiles:
            lent = random.choice(other.tiles)
            other = None if isinstance(lent, bytes) else lent
        _edit(tile, random, other)
    elif other is not None:
        random.choices(list(PAIRED), list(PAIRED.values()))[0](parts, random, other)
    else:
        random.choices(list(ALONE), list(ALONE.values()))[0](parts, random)


def _body(data: bytes) -> bytes:
    try:
        return forge.unseal(data)
    except ValueError:
        return data
