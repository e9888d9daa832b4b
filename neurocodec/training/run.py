"""The one training loop: resumable at any step."""

from __future__ import annotations

import copy
import csv
import io
import math
import os
import pickle
import signal
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from neurocodec import memory
from neurocodec.codecs import weights
from neurocodec.device import check as check_device
from neurocodec.errors import InvalidArgument
from neurocodec.image import write_atomically
from neurocodec.plain import to_dict
from neurocodec.threads import torch_threads
from neurocodec.training import data, parallel, recipe
from neurocodec.training.comrec import ComRecSystem
from neurocodec.training.cvqn import CVQNSystem
from neurocodec.training.kernels import suits
from neurocodec.training.muon import Muon
from neurocodec.training.parallel import Team
from neurocodec.training.precision import in_bfloat16
from neurocodec.training.soap import Soap
from neurocodec.training.system import System
from neurocodec.training.vae import VAESystem

VALIDATION_CROP = 256
MOST_LOST = 20
"""Steps without a finite gradient, one after the other, that end a training."""
CURVES = ("step", "quality", "bpp", "psnr", "ms_ssim", "seconds")


def system_of(config: recipe.AnyRecipe) -> System:
    """The codec's share of the loop."""
    match config:
        case recipe.CVQNRecipe():
            return CVQNSystem(config)
        case recipe.ComRecRecipe():
            return ComRecSystem(config)
        case recipe.VAERecipe():
            return VAESystem(config)


def optimizers(
    system: System, model: nn.Module, config: recipe.OptimizerConfig
) -> list[torch.optim.Optimizer]:
    """Adam, and Muon or SOAP where the recipe says so; parameters by part, each with its rate."""
    adam: dict[str, list[nn.Parameter]] = {}
    kernels: dict[str, list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            taken = kernels if config.kernels != "adam" and suits(parameter) else adam
            taken.setdefault(system.part(name), []).append(parameter)

    def groups(parts: dict[str, list[nn.Parameter]]) -> list[dict[str, Any]]:
        rates = {part: getattr(config, part) for part in parts}
        return [{"params": parts[k], "lr": rate, "base": rate} for k, rate in rates.items()]

    made: list[torch.optim.Optimizer] = [torch.optim.Adam(groups(adam), fused=True)]
    of_kernels = {"muon": Muon, "soap": Soap}
    return [*made, of_kernels[config.kernels](groups(kernels))] if kernels else made


def learning_rate(step: int, total: int, per_epoch: int, config: recipe.OptimizerConfig) -> float:
    """Factor on every part's rate at ``step`` of ``total``."""
    warm = min((step + 1) / (config.warmup + 1), 1.0)
    if config.schedule == "cosine":
        return warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(step / total, 1.0))))
    passed = sum(step >= milestone * per_epoch for milestone in config.milestones)
    return warm * config.factor**passed


class Trainer:
    """Model, average, optimizer and data of one run. ``step`` counts finished steps.

    photographs: `data.digest` of those that it learns from, as far as it is known. lost: steps with
    no finite gradient since the last that had one; they change nothing. team: the
    processes that train together; each has batches of its own.
    """

    def __init__(
        self,
        config: recipe.AnyRecipe,
        photos: list[Tensor],
        device: str | torch.device = "cpu",
        team: Team | None = None,
    ) -> None:
        self.config = config
        self.device = torch.device(device)
        self.team = team or Team()
        self.generator = torch.Generator().manual_seed(config.seed)
        self.system = system_of(config)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.model = self.system.build().to(self.device)
        self.average = copy.deepcopy(self.model).eval().requires_grad_(False)
        if config.precision == "bfloat16":
            in_bfloat16(self.model, self.device)
        self.optimizers = optimizers(self.system, self.model, config.optimizer)
        held_out = min(config.data.validation, len(photos) // 2)
        large = [p for p in photos if min(p.shape[1:]) >= VALIDATION_CROP][:held_out]
        held = {id(p) for p in large}
        self.validation = data.centre_crops(large, VALIDATION_CROP) if large else None
        if self.validation is None and getattr(config.model, "importance", None) == "re":
            raise InvalidArgument(
                "importance re is measured on held-out photographs, of which there is none: give "
                f"two photographs or more of {VALIDATION_CROP} pixels a side"
            )
        kept = [p.to(self.device) for p in photos if id(p) not in held]
        if not kept:
            side = config.data.crop
            raise InvalidArgument(
                f"no photograph has {side} pixels a side: give larger ones, or lower data.crop"
            )
        self.crops = data.Crops(kept, config.data.crop, config.data.batch, self.generator)
        self.step = 0
        self.lost = 0
        self.photographs = ""
        self._draw_apart()

    @property
    def steps_per_epoch(self) -> int:
        return max(self.crops.steps_per_epoch // self.team.size, 1)

    @property
    def total_steps(self) -> int:
        return self.config.steps or self.config.epochs * self.steps_per_epoch

    def _draw_apart(self) -> None:
        """Other crops for all processes but the first, whose state alone is in checkpoints."""
        if not self.team.leads:
            number = self.team.rank + self.team.size * self.step
            self.generator.manual_seed(self.config.seed + 1_000_003 * number)

    def advance(self) -> dict[str, float]:
        """One optimizer step. Returns what a progress bar shows."""
        config = self.config
        x = self.crops.next(self.device).contiguous(memory_format=torch.channels_last)
        losses = self.system.loss(self.model, x, self.step, self.generator)
        self.model.zero_grad(set_to_none=True)
        losses.total.backward()
        self.team.average_gradients(self.model.parameters())
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), config.optimizer.clip)
        factor = learning_rate(self.step, self.total_steps, self.steps_per_epoch, config.optimizer)
        self.step += 1
        if norm.isfinite():
            for optimizer in self.optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = group["base"] * factor
                optimizer.step()
            self._track()
            self.lost = 0
        else:  # one such step would be in every weight and in the average for good
            self.lost += 1
            if self.lost == MOST_LOST:
                raise InvalidArgument(
                    f"no finite gradient in {MOST_LOST} steps, up to step {self.step}: lower the "
                    "rates of the recipe's optimizer"
                )
        epochs = self.step / self.steps_per_epoch
        if self.system.after_step(self.model, self.average, epochs, self.validation):
            self.team.share(self.model)
            self.team.share(self.average)
        return {
            "loss": losses.total.item(),
            "bpp": losses.bpp.mean().item(),
            "psnr": losses.psnr.mean().item(),
        }

    def _track(self) -> None:
        """Exponential moving average, shorter at the start where weights move fast."""
        decay = min(self.config.optimizer.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(
                list(self.average.parameters()), list(self.model.parameters()), 1 - decay
            )

    @torch.no_grad()
    def validate(self) -> list[dict[str, Any]]:
        """Rate and quality of the averaged model on held-out crops, a row a quality."""
        if self.validation is None:
            return []
        rows = self.system.judge(self.average, self.validation.to(self.device))
        return [{"step": self.step, **row} for row in rows]

    def state(self) -> dict:
        return {
            "recipe": to_dict(self.config),
            "step": self.step,
            "photographs": self.photographs,
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "generator": self.generator.get_state(),
        }

    def restore(self, state: dict, where: str = "checkpoint") -> None:
        """Go on from `state`. Raises InvalidArgument where it is of networks of another shape."""
        try:
            self._load(state)
        except (KeyError, RuntimeError, ValueError) as error:
            if memory.ran_out(error):
                raise
            raise InvalidArgument(
                f"{where} holds networks of another shape than the recipe's, as other releases "
                "made them: train with that release, or begin anew with --start and its weights"
            ) from error
        self.step = state["step"]
        self._draw_apart()

    def _load(self, state: dict) -> None:
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            rates = [group["base"] for group in optimizer.param_groups]  # of the recipe at hand
            optimizer.load_state_dict(saved)
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["base"] = rate
            for parameter, moments in optimizer.state.items():
                for name, moment in moments.items():
                    # Fused Adam takes it for granted that they are laid out alike.
                    if isinstance(moment, Tensor) and moment.shape == parameter.shape:
                        moments[name] = torch.empty_like(parameter).copy_(moment)
        self.generator.set_state(state["generator"])

    def begin_with(self, path: Path) -> None:
        """Take over the networks of a weights file, or the averaged ones of a checkpoint, as far as
        the codec's `System.begin` allows."""
        if path.suffix == ".pt":
            state = load_checkpoint(path)
            networks = system_of(recipe.build(state["recipe"])).build()
            try:
                networks.load_state_dict(state["average"])
            except RuntimeError as error:
                raise InvalidArgument(
                    f"{path} holds networks of another shape than its own recipe's, as other "
                    "releases made them: begin with weights of this one"
                ) from error
        else:
            networks = weights.load(path)
        for model in (self.model, self.average):
            self.system.begin(model, networks, str(path))


def load_checkpoint(path: Path) -> dict:
    """What `save` wrote, on the CPU, where a generator's state must be; networks and optimizers
    take theirs to a device. Raises InvalidArgument where the file is no such checkpoint, OSError.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        missing = {"recipe", "step", "model", "average", "optimizers", "generator"} - {*state}
    except OSError:
        raise
    except (
        AttributeError, EOFError, LookupError, RuntimeError, TypeError, ValueError,
        pickle.UnpicklingError,
    ) as error:  # fmt: skip
        reason = str(error).partition("\n")[0] or "it ends too early"
        raise InvalidArgument(
            f"{path} is no checkpoint ({reason}): train with --restart, or begin with --start"
        ) from error
    if missing:
        raise InvalidArgument(
            f"{path} is no checkpoint of a training, it lacks {', '.join(sorted(missing))}: "
            "train with --restart, or begin with --start"
        )
    return state


def check_same(state: dict, config: recipe.AnyRecipe, where: str) -> None:
    """Refuse to resume under another name, other networks, another optimizer or other photographs
    held out than a checkpoint's; the rest of a recipe, such as its steps, may have changed. Raises
    InvalidArgument."""
    theirs, ours = to_dict(recipe.build(state["recipe"], where)), to_dict(config)
    for plain in (theirs, ours):  # a crop that no photograph to be held out is too small for
        plain["data"]["crop"] = max(plain["data"]["crop"], VALIDATION_CROP)
    for field in ("name", "codec", "model", "optimizer.kernels", "data.validation", "data.crop"):
        before, now = theirs, ours
        for key in field.split("."):
            before, now = before.get(key), now.get(key)
        if before != now:
            raise InvalidArgument(
                f"{where} was trained under another {field} than the recipe's: take that recipe, "
                f"or begin anew with --start {where} and another --out"
            )


def check_photographs(state: dict, photographs: str, where: str) -> None:
    """Refuse to resume with other photographs: those held out are the first of them, and would no
    longer be those that the training has not seen. Raises InvalidArgument."""
    before = state.get("photographs")
    if before and before != photographs:
        raise InvalidArgument(
            f"{where} was trained on other photographs: give the same, or begin anew with "
            f"--start {where} and another --out"
        )


def save(trainer: Trainer, path: Path) -> None:
    """Write the checkpoint under a temporary name, then rename: a kill leaves the old one."""
    temporary = path.with_suffix(".tmp")
    with open(temporary, "wb") as file:
        torch.save(trainer.state(), file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def run(
    recipe_path: str | Path,
    data_dirs: Sequence[str | Path],
    out_dir: str | Path,
    *,
    resume: bool = True,
    start: str | Path | None = None,
    device: str = "cpu",
    max_steps: int | None = None,
    threads: int | None = None,
    progress: bool | None = None,
) -> Path:
    """Train a recipe; returns the checkpoint's path, ``out_dir/checkpoint.pt``.

    Continues from that checkpoint if it is there and ``resume``; else begins with the weights file
    ``start``, if given, under a fresh optimizer. Under torchrun its processes train together, each
    with a batch of its own, and the first of them writes. SIGINT and SIGTERM finish the step in
    hand and save; KeyboardInterrupt and SystemExit tell of them. ``max_steps`` bounds the steps of
    this call, not of the recipe. ``out_dir/curves.csv`` gains validation rows. ``progress``: None
    shows a bar on a terminal.
    """
    device = parallel.device_of(device)
    check_device(device)
    config = recipe.load(recipe_path)
    out = Path(out_dir)
    out.mkdir(parents=True, exist_ok=True)
    checkpoint = out / "checkpoint.pt"
    if device.startswith("cuda"):
        torch.backends.cudnn.benchmark = True  # crops are all of one size: trials pay
    with torch_threads(threads), parallel.team(device) as team:
        paths = data.list_photos(data_dirs)
        trainer = Trainer(config, data.decode(paths, config.data.crop), device, team)
        trainer.photographs = data.digest(paths)
        if resume and checkpoint.exists():
            state = load_checkpoint(checkpoint)
            check_same(state, config, str(checkpoint))
            check_photographs(state, trainer.photographs, str(checkpoint))
            trainer.restore(state, str(checkpoint))
        elif start is not None:
            trainer.begin_with(Path(start))
        team.share(trainer.model)
        team.share(trainer.average)
        if team.leads:
            write_atomically(out / "recipe.yaml", str(config).encode())
        _loop(trainer, out, checkpoint, max_steps, progress)
    return checkpoint


def _loop(
    trainer: Trainer, out: Path, checkpoint: Path, max_steps: int | None, progress: bool | None
) -> None:
    """Steps, curves and checkpoints until the recipe, ``max_steps`` or a signal ends them."""
    config, team = trainer.config, trainer.team
    came: list[int] = []
    previous = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            previous[number] = signal.signal(number, lambda n, _: came.append(n))
    last = trainer.total_steps
    if max_steps is not None:
        last = min(last, trainer.step + max_steps)
    started = time.monotonic()
    try:
        bar = tqdm(
            total=trainer.total_steps,
            initial=trainer.step,
            disable=not team.leads or (None if progress is None else not progress),
            unit="step",
        )
        path = out / "curves.csv" if team.leads else Path(os.devnull)
        write_curves(path, curves_until(path, trainer.step))
        with bar, open(path, "a", newline="", encoding="utf-8") as file:
            curves = csv.DictWriter(file, CURVES)
            while trainer.step < last and not team.any(bool(came), trainer.device):
                shown = trainer.advance()
                bar.set_postfix({k: f"{v:.3f}" for k, v in shown.items()}, refresh=False)
                bar.update()
                if not team.leads:
                    continue
                if trainer.step % config.validate_every == 0 or trainer.step == last:
                    seconds = round(time.monotonic() - started, 1)
                    curves.writerows({**row, "seconds": seconds} for row in trainer.validate())
                    file.flush()
                if trainer.step % config.checkpoint_every == 0:
                    save(trainer, checkpoint)
        if team.leads:
            save(trainer, checkpoint)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    if signal.SIGINT in came:
        raise KeyboardInterrupt
    if came:
        raise SystemExit(128 + came[0])


def write_curves(path: Path, rows: Sequence[dict[str, str]]) -> None:
    """A file of curves with these rows, to which a run appends its own."""
    text = io.StringIO(newline="")
    curves = csv.DictWriter(text, CURVES)
    curves.writeheader()
    curves.writerows(rows)
    write_atomically(path, text.getvalue().encode())


def curves_until(path: Path, step: int) -> list[dict[str, str]]:
    """Rows of the curves that a run has written, up to the step that it goes on from."""
    if step == 0 or not path.exists():
        return []
    with open(path, newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if int(row["step"]) <= step]
