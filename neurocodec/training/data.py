"""Photographs for training: decoded once into memory, cropped at random."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from torch import Tensor

from neurocodec.errors import InvalidArgument
from neurocodec.image import open_photo, readable_suffixes


def list_photos(folders: Sequence[str | Path]) -> list[Path]:
    """All photographs below the folders, hidden ones left out, in an order that depends on their
    names alone; where names are equal, on the order of the folders and what they are called below
    them. Raises InvalidArgument where a folder has none."""
    found = []
    for folder in folders:
        paths = [
            path
            for path in Path(folder).rglob("*")
            if path.suffix.lower() in readable_suffixes()
            and path.is_file()
            and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        ]
        if not paths:
            raise InvalidArgument(f"no photographs below {folder}: give folders that hold some")
        found += sorted(paths)
    return sorted(found, key=lambda p: hashlib.sha256(os.fsencode(p.name)).digest())


def digest(paths: Sequence[Path]) -> str:
    """SHA-256 over names and sizes: names the data set in a model card."""
    entries = sorted((os.fsencode(path.name), path.stat().st_size) for path in paths)
    lines = b"".join(b"%s %d\n" % entry for entry in entries)
    return hashlib.sha256(lines).hexdigest()


def decode(paths: Sequence[Path], smallest: int, workers: int | None = None) -> list[Tensor]:
    """Each photograph as (3, H, W) uint8; those with a side below ``smallest`` are dropped.

    workers: threads that decode, as many as there are cores by default.
    """

    def one(path: Path) -> Tensor | None:
        pixels = open_photo(path).pixels
        if min(pixels.shape[:2]) < smallest:
            return None
        return torch.from_numpy(pixels.transpose(2, 0, 1).copy())

    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        return [photo for photo in pool.map(one, paths) if photo is not None]


class Crops:
    """Random square crops, flipped and turned; an epoch is one crop of each photograph."""

    def __init__(
        self, photos: list[Tensor], crop: int, batch: int, generator: torch.Generator
    ) -> None:
        self.photos, self.crop, self.batch, self.generator = photos, crop, batch, generator

    @property
    def steps_per_epoch(self) -> int:
        return max(len(self.photos) // self.batch, 1)

    def _below(self, limit: int) -> int:
        return int(torch.randint(limit, (1,), generator=self.generator))

    def next(self, device: torch.device) -> Tensor:
        """(B, 3, crop, crop) float32 in [0, 1]."""
        out = []
        for _ in range(self.batch):
            photo = self.photos[self._below(len(self.photos))].to(device)
            top = self._below(photo.shape[1] - self.crop + 1)
            left = self._below(photo.shape[2] - self.crop + 1)
            patch = photo[:, top : top + self.crop, left : left + self.crop]
            turn = self._below(8)
            patch = torch.rot90(patch, turn % 4, (1, 2))
            out.append(patch.flip(2) if turn >= 4 else patch)
        return torch.stack(out).float() / 255


def centre_crops(photos: list[Tensor], size: int) -> Tensor:
    """The middle of each photograph: (N, 3, size, size) float32 in [0, 1]."""
    crops = []
    for photo in photos:
        top, left = (photo.shape[1] - size) // 2, (photo.shape[2] - size) // 2
        crops.append(photo[:, top : top + size, left : left + size])
    return torch.stack(crops).float() / 255
