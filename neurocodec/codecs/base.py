"""What all codecs do alike: options and targets of an encoding, and the file around the streams."""

from __future__ import annotations

import inspect
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, SupportsIndex

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from neurocodec import container, zoo
from neurocodec.codecs import target, tiles
from neurocodec.codecs.attempt import Attempt
from neurocodec.codecs.symbols import RateReport
from neurocodec.container import Box, Grid
from neurocodec.errors import InvalidArgument, ModelMismatch
from neurocodec.image import Photo, open_photo, to_pil, unpack_alpha
from neurocodec.limits import MAX_PIXELS, PIECE
from neurocodec.memory import memory_for


class Codec(ABC):
    """Encodes and decodes with one set of weights; safe to share between threads.

    wire_id, digest: what a file names the weights by, the first four bytes of their SHA-256.
    """

    codec_id: int
    block: int
    """Sides are padded to multiples of this before the networks see them."""
    margin: int | None = None
    """Pixels around a tile that the networks see of its neighbours, a multiple of ``block``, part
    of the format. None: this codec codes every picture as a whole, and lacks the parts of it."""

    has_map = False
    """Whether these networks have an importance map."""

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
        """All that does not depend on quality. Raises InvalidArgument for options it lacks.

        With a ``margin``, ``inside`` is among the options: the Box of the photo to be coded, whose
        corner lies on a multiple of ``block``; the networks may look at all of it.
        """

    @abstractmethod
    def attempt(self, prepared: Any, quality: float) -> Attempt:
        """A prepared picture at ``quality``, a value that a file can store."""

    def read_latent(self, file: container.NczFile) -> Tensor:
        """What the synthesis starts from: (1, C, h, w) float, decoded from the streams of a parsed
        file that is known to be this model's. Each position stands for `cell` pixels a side."""
        raise NotImplementedError

    def synthesise(self, latent: Tensor, header: container.Header) -> Tensor:
        """Picture (1, 3, H, W), not clipped, of a file's latent or of a part of it."""
        raise NotImplementedError

    def cell(self, header: container.Header) -> int:
        """Pixels a side of one position of the latent; divides ``margin``."""
        return self.block

    def estimate(self, file: container.NczFile) -> float:
        """Bits that the streams should take by the model's own probabilities."""
        raise NotImplementedError

    def agree(self, samples: Sequence[Any], quality: float) -> dict[str, Any]:
        """Options that all tiles of a picture have to share, chosen on some prepared tiles."""
        return {}

    # Built on these.

    def told(self, quality: float) -> Tensor:
        """A quality as the networks take it: (1,) float32, exact for what a file can store."""
        return torch.tensor([quality], dtype=torch.float32, device=self.device)

    def exactly(self) -> torch.autocast:
        """A block in which a caller's autocast to fewer bits is off: decoders would differ."""
        return torch.autocast(self.device.type, enabled=False)

    def read_pixels(self, file: container.NczFile) -> np.ndarray:
        """The pixels (H, W, 3) uint8 of a parsed file that is known to be this model's."""
        return self.render(self.read_latent(file), file.header)[: file.height, : file.width]

    @torch.no_grad()
    def render(self, latent: Tensor, header: container.Header) -> np.ndarray:
        """A latent or a part of one -> pixels (H, W, 3) uint8."""
        return to_pixels(self.synthesise(latent, header))

    def rate_report(self, data: bytes) -> RateReport:
        """Estimated, coded and file bits of an .ncz file. Of a stream that is another codec's own
        file, the estimate is its size."""
        file = container.read(data)
        self.check(file)
        parts = tiles.parts(file) if file.tiling else [file]
        coded = sum(len(stream) for part in parts for stream in part.streams)
        return RateReport(sum(map(self.estimate, parts)), 8 * coded, 8 * len(data))

    # Encoding.

    def check_options(
        self, *, roi: Any = None, importance: bool | None = None, tile_size: int | None = None
    ) -> None:
        """Raises InvalidArgument for options of `encode` that no picture could be encoded with."""
        tiles.layout(1, 1, tile_size)
        if (roi is not None or importance) and not self.has_map:
            raise InvalidArgument(
                f"model {self.name} has no importance map: encode without a region of interest, "
                f"or with --model {zoo.WITH_MAP}"
            )

    def encode(
        self,
        image: Any,
        quality: float = 50,
        *,
        target_bpp: float | None = None,
        target_size: int | None = None,
        target_psnr: float | None = None,
        target_msssim: float | None = None,
        tile_size: int | None = None,
        **options: Any,
    ) -> bytes:
        """An image (see `open_photo`) -> the bytes of an .ncz file.

        quality: 1 to 100; at most one target replaces it: target_bpp in file bits per pixel,
        target_size in bytes (never exceeded), target_psnr in dB over RGB, target_msssim in (0, 1).
        tile_size: a picture of more than tile_size² pixels is coded in tiles of about that many; a
        multiple of 64, 0 for never, None for 1024.
        options: those of the codec, see its ``prepare``.
        Raises InvalidArgument for values out of range or targets out of reach.
        """
        wanted = target.only(
            {
                target.BPP: target_bpp,
                target.SIZE: target_size,
                target.PSNR: target_psnr,
                target.MS_SSIM: target_msssim,
            }
        )
        if wanted is None and not 1 <= quality <= 100:
            raise InvalidArgument(f"quality {quality} is out of range: use 1 to 100")
        self._check_names(options)
        photo = open_photo(image)
        height, width = photo.pixels.shape[:2]
        grid = tiles.layout(width, height, tile_size)
        remedy = "encode in tiles, or in smaller ones (--tile-size)"
        if self.margin is None:
            grid, remedy = None, f"scale it down, model {self.name} has no tiles"
        tiles.check_piece(grid or Grid(width, height, width, height), self.block, PIECE, remedy)
        with memory_for(width, height, remedy), self.exactly():
            return self._encode(photo, quality, wanted, grid, options)

    def _check_names(self, options: Iterable[str]) -> None:
        """Raises InvalidArgument for options that this codec does not have."""
        parameters = inspect.signature(self.prepare).parameters
        if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            return
        known = [name for name in parameters if name not in ("photo", "inside")]
        for name in options:
            if name not in known:
                raise InvalidArgument(
                    f"model {self.name} has no option {name!r}: use {', '.join(known)}"
                )

    def _encode(
        self,
        photo: Photo,
        quality: float,
        wanted: target.Target | None,
        grid: Grid | None,
        options: dict[str, Any],
    ) -> bytes:
        """At ``quality`` or for a target, ``wanted``; in the tiles of ``grid`` if there is one."""
        code: Callable[[float], Attempt]
        if grid is None:
            code, tiled = partial(self.attempt, self.prepare(photo, **options)), None
        else:
            tiled = tiles.Tiled(self, photo, grid, options, several=wanted is not None)
            code = tiled.attempt

        def attempt(quality: float) -> Attempt:
            return code(container.snap_quality(quality))

        if wanted is None:
            return attempt(quality).data
        return target.meet(wanted, photo, attempt, tiled)

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
            alpha=photo.packed_alpha,
        )
        return container.write(file)

    # Decoding.

    def decode(
        self,
        source: container.Source | container.NczFile,
        *,
        max_pixels: int = MAX_PIXELS,
        crop: tuple[int, int, int, int] | None = None,
        best_effort: bool = False,
    ) -> Image.Image:
        """An .ncz file (bytes, path or binary file object, or parsed) -> a PIL image. Raises
        NczError where it is none, OSError where a path cannot be opened.

        crop: x, y, width and height of the part to decode, in pixels. best_effort: fill damaged
        tiles with grey; their boxes (x, y, width, height in the whole picture) are in
        ``info["damaged"]``.
        """
        if isinstance(source, container.NczFile):
            file = source
        else:
            most = max_pixels if crop is None else sys.maxsize
            data = container.read_bytes(source) if crop is None else container.map_bytes(source)
            file = container.read(data, max_pixels=most, best_effort=best_effort)
        box = None if crop is None else tiles.check_crop(crop, file)
        if file.tiling is None or box is None:
            tiles.check_pixels(file.width, file.height, self.block, max_pixels)
        else:
            tiles.check_pixels(box.width, box.height, 1, max_pixels)
            tiles.check_tiles(file.grid, max_pixels)
        remedy = "raise max_pixels (--max-pixels) if the file is trusted"
        tiles.check_piece(file.grid, self.block, max(PIECE, max_pixels // 8), remedy)
        return self.decode_file(file, crop=box, best_effort=best_effort)

    def decode_file(
        self, file: container.NczFile, *, crop: Box | None = None, best_effort: bool = False
    ) -> Image.Image:
        """A parsed file -> a PIL image, metadata in ``info`` and alpha merged."""
        self.check(file)
        lost: tuple[int, ...] = ()
        with self.exactly():
            if file.tiling is None:
                pixels, alpha = self.read_pixels(file), None
                if file.alpha is not None:
                    alpha = unpack_alpha(file.alpha, file.width, file.height)
                photo = Photo(pixels, file.mode.name, alpha)
                photo = photo if crop is None else photo.cut(*crop)
            else:
                decoded = tiles.decode(self, file, crop, best_effort)
                lost = decoded.lost
                photo = Photo(decoded.pixels, file.mode.name, decoded.alpha)
        image = to_pil(replace(photo, icc=file.icc, exif=file.exif, xmp=file.xmp))
        if lost:
            image.info["damaged"] = tuple(tuple(file.grid.box(number)) for number in lost)
        return image

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
