"""Small models and small files, so that a fuzzer decodes hundreds a second.

The networks have random weights: what they say is noise, but it is the same noise for writer and
reader, so the files are real ones. They stand beside the shipped models, in a folder of their own.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch
import yaml
from PIL import Image, ImageCms

import neurocodec
from neurocodec import zoo
from neurocodec.codecs import weights
from neurocodec.codecs.inner import INNERS
from neurocodec.nets.block_dct import BlockDCTConfig
from neurocodec.nets.comrec import ComRec, ComRecConfig
from neurocodec.nets.context import ContextConfig
from neurocodec.nets.cvqn import CVQN, CVQNConfig
from neurocodec.nets.vae import VAE, VAEConfig

EXIF = b"II*\0\x08\0\0\0\1\0\x10\x01\x03\0\1\0\0\0\x07\0\0\0\0\0\0\0"
XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>" * 3
FOREIGN = [name for name, codec in INNERS.items() if codec.missing() is None]


def networks() -> dict[str, tuple[int, torch.nn.Module, list[str]]]:
    """Name: wire id, networks, inner codecs."""
    context = ContextConfig(passes=(2, 1), features=2, hidden=4, rank=2)
    cvqn = CVQNConfig(
        channels=5, encoder_features=(1, 1, 2, 2), decoder_features=(1, 1, 2, 2), groups=(2, 3),
        levels=(31, 15), importance="se", map_levels=4, context=context, gdn=False,
        decoder_blocks=(1, 2, 1, 1), quality_input=True,
    )  # fmt: skip
    dct = BlockDCTConfig(context=ContextConfig((1, 1, 1, 1, 1), features=2, hidden=4, rank=2))
    vae = VAEConfig(
        groups=(2, 3), passes=(2, 1), hyper=2, features=2, hidden=4, analysis=(2, 2),
        synthesis=(2, 2), blocks=(1, 1),
    )  # fmt: skip
    features = {"com_features": 4, "rec_features": 4, "rec_blocks": 1}
    return {
        "small-cvqn": (60001, CVQN(cvqn), []),
        "small-comrec": (60002, ComRec(ComRecConfig("dct", dct=dct, **features)), ["dct"]),
        "small-foreign": (60003, ComRec(ComRecConfig("webp", dct=dct, **features)), FOREIGN),
        "small-vae": (60004, VAE(vae), []),
    }


def install(folder: Path) -> None:
    """Writes the models into ``folder`` and makes them, with the shipped ones, this process's."""
    shipped = zoo.folder()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for name, (wire_id, network, inner) in networks().items():
            data = weights.to_bytes(network)
            record = {
                "name": name, "codec": name.split("-")[1].replace("foreign", "comrec"),
                "wire_id": wire_id, "digest": hashlib.sha256(data).hexdigest(), "inner": inner,
                "licence": "none", "encoder": {}, "scores": {},
            }  # fmt: skip
            (folder / name).mkdir(parents=True, exist_ok=True)
            (folder / name / zoo.WEIGHTS).write_bytes(data)
            (folder / name / "model.yaml").write_text(yaml.safe_dump(record))
    for path in shipped.glob("*/model.yaml"):
        if not (link := folder / path.parent.name).exists():
            link.symlink_to(path.parent.resolve())
    zoo.folder = lambda: folder
    zoo.models.cache_clear()


def picture(width: int, height: int) -> Image.Image:
    """Gradients, an edge, some texture."""
    y, x = np.mgrid[:height, :width]
    planes = [(x * 9 + x * y * 31 % 23) % 256, (y * 11 + 40) % 256, (x + y) * 5 % 256]
    pixels = np.stack(planes, -1).astype(np.uint8)
    pixels[height // 3 : height // 2, width // 4 : width // 2] = (250, 20, 60)
    return Image.fromarray(pixels)


def files() -> dict[str, bytes]:
    """Valid files of every codec, inner codec, arrangement, section and mode, by name."""
    alpha = picture(24, 20).convert("RGBA")
    alpha.putalpha(Image.linear_gradient("L").resize(alpha.size))
    tagged = picture(17, 33)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    tagged.info = {"icc_profile": profile, "exif": b"Exif\0\0" + EXIF, "xmp": XMP}
    mask = Image.new("L", (8, 8), 0)
    mask.paste(255, (0, 0, 4, 8))
    grey, plain, dot = picture(19, 18).convert("L"), picture(40, 24), picture(1, 1)
    made: dict[str, bytes] = {}

    def add(name: str, image: Image.Image, model: str, quality: float, **options: object) -> None:
        made[name] = neurocodec.encode(image, model, quality, **options)

    add("cvqn", plain, "small-cvqn", 50)
    add("cvqn-map", picture(64, 40), "small-cvqn", 80, roi=mask)
    add("cvqn-alpha", alpha, "small-cvqn", 30)
    add("cvqn-metadata", tagged, "small-cvqn", 70)
    add("cvqn-grey", grey, "small-cvqn", 100)
    add("cvqn-dot", dot, "small-cvqn", 1)
    add("cvqn-few-levels", plain, "small-cvqn", 1)
    add("vae", plain, "small-vae", 50)
    add("vae-alpha", alpha, "small-vae", 90)
    add("vae-dot", dot, "small-vae", 1)
    add("comrec-tagged-alpha", alpha, "small-comrec", 30)
    add("comrec-dot", dot, "small-comrec", 30)
    for arrangement in ("both", "rec", "com"):
        add(f"comrec-{arrangement}", plain, "small-comrec", 40, arrangement=arrangement)
        for inner in FOREIGN:
            options = {"arrangement": arrangement, "inner": inner}
            add(f"{inner}-{arrangement}", plain, "small-foreign", 40, **options)
    add("cvqn-tiles", picture(66, 70), "small-cvqn", 50, tile_size=64)
    tagged_alpha = picture(130, 40).convert("RGBA")
    tagged_alpha.putalpha(Image.linear_gradient("L").resize(tagged_alpha.size))
    tagged_alpha.info = tagged.info
    add("cvqn-tiles-all", tagged_alpha, "small-cvqn", 70, tile_size=64, roi=mask)
    add("cvqn-tiles-few-levels", picture(66, 70), "small-cvqn", 1, tile_size=64)
    add("vae-tiles", picture(70, 60), "small-vae", 50, tile_size=64)
    add("comrec-tiles", picture(66, 64), "small-comrec", 40, tile_size=64, arrangement="both")
    for inner in FOREIGN:
        options = {"arrangement": "rec", "inner": inner, "tile_size": 64}
        add(f"{inner}-tiles", picture(66, 64), "small-foreign", 40, **options)
    add("jpeg-metadata", tagged, "small-foreign", 60, inner="jpeg", arrangement="rec")
    add("shipped-cvqn", picture(32, 32), "cvqn", 40)
    add("shipped-vae", picture(32, 32), "vae", 40)
    add("shipped-comrec", picture(32, 32), "comrec", 40)
    add("shipped-jpeg", picture(32, 32), "comrec-jpeg", 40)
    add("shipped-webp", picture(32, 32), "comrec-webp", 40)
    return made
