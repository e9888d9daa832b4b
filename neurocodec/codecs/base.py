"""What all codecs do alike: options and targets of an encoding, and the file around the streams."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, SupportsIndex

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from neurocodec import container, zoo
from neurocodec.codecs import search
from neurocodec.codecs.symbols import RateReport
from neurocodec.errors import ImageTooLarge, InvalidArgument, ModelMismatch
from neurocodec.image import Photo, open_photo, pack_alpha, to_pil, unpack_alpha


@dataclass(frozen=True)
class Attempt:
    """A picture coded at one quality: the file, and what decodes from it, (H, W, 3) uint8."""

    data: bytes
    quality: float
    pixels: Callable[[], np.ndarray]


class Codec(ABC):
    """Encodes and decodes with one set of weights; safe to share between threads.

    wire_id, digest: what a file names the weights by, the first four bytes of their SHA-256.
    """

    codec_id: int
    block: int
    """Sides are padded to multiples of this before the networks see them."""

    def __init__(
        self, *, name: str, wire_id: int, digest: bytes, device: str | torch.device
    ) -> None:
        self.name, self.wire_id, self.digest = name, wire_id, digest
        self.device = torch.device(device)

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        """Pickles a shipped codec as what identifies it, loaded again where it arrives (a copy in
        the same process is the codec itself); any other codec as a whole."""
        return zoo.reference(self) or super().__reduce_ex__(protocol)

    # What a codec has to say.

    @abstractmethod
    def prepare(self, photo: Photo, **options: Any) -> Any:
        """All that does not depend on quality. Raises InvalidArgument for options it lacks."""

    @abstractmethod
    def attempt(self, prepared: Any, quality: float) -> Attempt:
        """A prepared picture at ``quality``, a value that a file can store."""

    @abstractmethod
    def read_pixels(self, file: container.NczFile) -> np.ndarray:
        """The pixels (H, W, 3) uint8 of a parsed file that is known to be this model's."""

    @abstractmethod
    def rate_report(self, data: bytes) -> RateReport:
        """Estimated, coded and file bits of an .ncz file."""

    # Encoding.

    def encode(
        self,
        image: Any,
        quality: float = 50,
        *,
        target_bpp: float | None = None,
        target_size: int | None = None,
        target_psnr: float | None = None,
        target_msssim: float | None = None,
        **options: Any,
    ) -> bytes:
        """An image (see `open_photo`) -> the bytes of an .ncz file.

        quality: 1 to 100; at most one target replaces it: target_bpp in file bits per pixel,
        target_size in bytes (never exceeded), target_psnr in dB over RGB, target_msssim in (0, 1).
        options: those of the codec, see its ``prepare``.
        Raises InvalidArgument for values out of range or targets out of reach.
        """
        targets = {
            "target bpp": target_bpp,
            "target size": target_size,
            "target PSNR": target_psnr,
            "target MS-SSIM": target_msssim,
        }
        chosen = [(name, value) for name, value in targets.items() if value is not None]
        if len(chosen) > 1:
            raise InvalidArgument(f"{chosen[0][0]} and {chosen[1][0]} exclude each other: give one")
        if not chosen and not 1 <= quality <= 100:
            raise InvalidArgument(f"quality {quality} is out of range: use 1 to 100")
        if chosen and not chosen[0][1] > 0:
            raise InvalidArgument(f"{chosen[0][0]} {chosen[0][1]} must be positive")
        photo = open_photo(image)
        prepared = self.prepare(photo, **options)

        def attempt(quality: float) -> Attempt:
            return self.attempt(prepared, container.snap_quality(quality))

        if not chosen:
            return attempt(quality).data
        name, target = chosen[0]
        if name == "target size":
            return search.highest_within(attempt, lambda a: len(a.data), target, name).data
        if name == "target bpp":
            pixels = photo.pixels.shape[0] * photo.pixels.shape[1]
            most = target * pixels / 8
            return search.highest_within(attempt, lambda a: len(a.data), most, "file size").data
        from neurocodec.evaluation import metrics

        metric = metrics.psnr if name == "target PSNR" else metrics.ms_ssim
        return search.lowest_reaching(
            attempt, lambda a: metric(photo.pixels, a.pixels()), target, name
        ).data

    def pack(
        self,
        photo: Photo,
        header: container.Header,
        streams: tuple[bytes, ...],
    ) -> bytes:
        """The bytes of the file that holds them."""
        file = container.NczFile(
            codec=self.codec_id,
            model=self.wire_id,
            model_digest=self.digest,
            width=photo.pixels.shape[1],
            height=photo.pixels.shape[0],
            mode=container.Mode[photo.mode],
            header=header,
            streams=streams,
            icc=photo.icc,
            exif=photo.exif,
            xmp=photo.xmp,
            alpha=None if photo.alpha is None else pack_alpha(photo.alpha),
        )
        return container.write(file)

    # Decoding.

    def decode(self, data: bytes, *, max_pixels: int = 2**28) -> Image.Image:
        """The bytes of an .ncz file -> a PIL image. Raises NczError where they are not one."""
        file = container.read(data, max_pixels=max_pixels)
        padded = (-(-file.height // self.block)) * (-(-file.width // self.block)) * self.block**2
        if padded > max(max_pixels, 4 * self.block**2):
            # A picture one pixel wide is padded to a block: the header's product is not the cost.
            raise ImageTooLarge(
                f"{file.width}x{file.height} pixels become {padded} when padded, above the limit "
                f"of {max_pixels}: raise max_pixels if the file is trusted"
            )
        return self.decode_file(file)

    def decode_file(self, file: container.NczFile) -> Image.Image:
        """A parsed file -> a PIL image, metadata in ``info`` and alpha merged."""
        self.check(file)
        pixels = self.read_pixels(file)
        photo = Photo(
            pixels=pixels, mode=file.mode.name, alpha=None, icc=file.icc, exif=file.exif,
            xmp=file.xmp,
        )  # fmt: skip
        if file.alpha is not None:
            photo = replace(photo, alpha=unpack_alpha(file.alpha, file.width, file.height))
        return to_pil(photo)

    def check(self, file: container.NczFile) -> None:
        """Refuse what was made with another model or other weights."""
        if (file.codec, file.model) != (self.codec_id, self.wire_id):
            raise ModelMismatch(
                f"the file was made with model {file.model} of codec {file.codec}, not with "
                f"{self.name} ({self.wire_id}): load that model"
            )
        if file.model_digest != self.digest:
            raise ModelMismatch(
                f"the file was made with weights {file.model_digest.hex()} of model {self.name}, "
                f"installed are {self.digest.hex()}: install the release it was made with"
            )


# Between the networks and the picture.


def to_tensor(photo: Photo, device: torch.device) -> Tensor:
    """The pixels of a photo as (1, 3, H, W) float32 in [0, 1]."""
    pixels = torch.from_numpy(photo.pixels.copy()).to(device)
    return pixels.permute(2, 0, 1)[None].float() / 255


def to_pixels(x: Tensor) -> np.ndarray:
    """(1, 3, H, W), clipped to [0, 1] -> (H, W, 3) uint8."""
    levels = x[0].clamp(0, 1).mul(255).round().to(torch.uint8)
    return levels.permute(1, 2, 0).contiguous().cpu().numpy()


def pad(x: Tensor, multiple: int) -> Tensor:
    """Replicate the last row and column up to multiples of ``multiple``: (1, 3, H, W)."""
    return F.pad(x, (0, -x.shape[3] % multiple, 0, -x.shape[2] % multiple), mode="replicate")
