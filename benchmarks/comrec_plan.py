"""What benchmarks.comrec measures: the codecs, at which qualities, under which names."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

import neurocodec
from neurocodec import zoo
from neurocodec.codecs.inner import INNERS
from neurocodec.codecs.search import highest_within
from neurocodec.errors import NczError
from neurocodec.evaluation.peers import Peer, select
from neurocodec.evaluation.sweep import Entrant

QUALITIES: tuple[float, ...] = (1, 6, 12, 18, 24, 30, 36, 42, 48, 56, 70, 100)
JPEG_SIZES = (5, 10)
"""JPEG's qualities whose file sizes ours must keep to."""

BARE = {
    "jpeg": ("jpeg", (5, 6, 8, 10, 12, 14, 16, 18, 20, 22)),
    "jpeg2000": ("jpeg2000", (240, 160, 120, 100, 84, 72, 60, 54, 48)),
    "webp": ("webp", (0, 1, 2, 4, 6, 10, 15, 20, 25, 30)),
    "avif": ("avif", (4, 8, 12, 16, 20, 24, 28, 32, 36, 40)),
    "heic": ("heic444", (10, 12, 14, 16, 20, 24, 28, 32)),
}
"""The peer behind an inner codec, and its qualities at these rates; `dct` is held against JPEG."""
INSIDE = {
    "jpeg": (3, 4, 5, 6, 8, 10, 12, 15, 18, 22),
    "webp": (1, 1.5, 2, 3, 5, 7, 11, 16, 21, 26, 31),
}
"""Inner codecs that have settings of their own inside of ours, and their qualities alone."""


@dataclass(frozen=True)
class Through:
    """The codec with its options fixed, as a sweep calls it."""

    codec: Any
    inner: str
    arrangement: str

    def encode(self, image: Image.Image, quality: float) -> bytes:
        return self.codec.encode(image, quality, inner=self.inner, arrangement=self.arrangement)

    def encode_within(self, image: Image.Image, size: int) -> bytes:
        return self.codec.encode(
            image, target_size=size, inner=self.inner, arrangement=self.arrangement
        )

    def decode(self, data: bytes) -> Image.Image:
        return self.codec.decode(data)


@dataclass(frozen=True)
class Inside:
    """An inner codec at the settings that it has inside of ours, with no network around it."""

    inner: str

    def encode(self, image: Image.Image, quality: float) -> bytes:
        return INNERS[self.inner].encode(np.asarray(image.convert("RGB")), quality)

    def encode_within(self, image: Image.Image, size: int) -> bytes:
        return highest_within(lambda quality: self.encode(image, quality), len, size, "target size")

    def decode(self, data: bytes) -> Image.Image:
        return Image.open(BytesIO(data), formats=[self.inner.upper()])


@dataclass(frozen=True)
class AtSizeOf:
    """A codec at the size that ``peer`` takes: quality is the peer's."""

    peer: Peer
    codec: Through | Inside

    def encode(self, image: Image.Image, quality: float) -> bytes:
        size = len(self.peer.encode(image, quality))
        data = self.codec.encode_within(image, size)
        if len(data) > size:
            raise NczError(f"{len(data)} bytes for a target of {size}: mend the codec's search")
        return data

    def decode(self, data: bytes) -> Image.Image:
        return self.codec.decode(data)


@dataclass(frozen=True)
class Plan:
    """What to measure. The first arrangement is the one that has to keep what was asked."""

    inners: tuple[str, ...]
    arrangements: tuple[str, ...]
    qualities: tuple[float, ...] = QUALITIES
    model: str = "comrec"

    def bare(self, inner: str) -> str:
        """Name of the codec that an inner codec's curves are held against."""
        return BARE[inner if inner in BARE else "jpeg"][0]

    def ours(self, inner: str, arrangement: str | None = None) -> str:
        return f"comrec {inner} {arrangement or self.arrangements[0]}"

    @staticmethod
    def inside(inner: str) -> str:
        return f"{inner}, settings of comrec"

    def at_size(self, name: str) -> str:
        return f"{name}, at the size of jpeg"

    def through(self, inner: str, arrangement: str | None = None) -> Through:
        codec = neurocodec.load(zoo.with_inner(self.model, inner).name)
        return Through(codec, inner, arrangement or self.arrangements[0])

    def entrants(self) -> list[Entrant]:
        """The bare codecs, then ours, inner codec by inner codec."""
        needed = dict.fromkeys(inner if inner in BARE else "jpeg" for inner in self.inners)
        peers = {peer.name: peer for peer in select([BARE[inner][0] for inner in needed])}
        entrants = [
            Entrant(name, peers[name], qualities, peers[name].version)
            for name, qualities in (BARE[inner] for inner in needed)
        ]
        for inner in self.inners:
            bare = peers[self.bare(inner)]
            # The weights, and the library whose files are inside.
            version = f"{zoo.with_inner(self.model, inner).digest[:16]}, {bare.version}"
            if inner in INSIDE:
                inside = Inside(inner)
                name = self.inside(inner)
                entrants.append(Entrant(name, inside, INSIDE[inner], bare.version))
            if inner == "jpeg":
                for name, codec, own in (
                    (self.inside(inner), inside, bare.version),
                    (self.ours(inner), self.through(inner), version),
                ):
                    sized = AtSizeOf(bare, codec)
                    entrants.append(Entrant(self.at_size(name), sized, JPEG_SIZES, own))
            entrants += [
                Entrant(self.ours(inner, a), self.through(inner, a), self.qualities, version)
                for a in self.arrangements
            ]
        return entrants
