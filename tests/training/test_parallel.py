"""Training in two processes, which talk over the loopback."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import yaml

from neurocodec.training import data, parallel, recipe, run
from neurocodec.training.parallel import Team
from neurocodec.training.run import Trainer
from tests.training.conftest import TINY

ROOT = Path(__file__).parents[2]


def trainer_of(rank: int, folder: str) -> Trainer:
    return Trainer(
        recipe.build(TINY), data.decode(data.list_photos([folder]), 176), team=Team(rank, 2)
    )


def gradients_of(trainer: Trainer) -> dict[str, torch.Tensor]:
    """Those of the step that was just made, clipped as they were."""
    named = trainer.model.named_parameters()
    return {name: p.grad.clone() for name, p in named if p.grad is not None}


def one_step(rank: int, folder: str, out: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{out}/meet", rank=rank, world_size=2)
    trainer = trainer_of(rank, folder)
    with torch.no_grad():
        for parameter in trainer.model.parameters():
            parameter += rank  # as devices that round unlike each other would have it
    trainer.team.share(trainer.model)
    trainer.advance()
    found = {"gradients": gradients_of(trainer), "model": trainer.model.state_dict()}
    torch.save(found, f"{out}/{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.slow
def test_two_processes_take_the_mean_of_their_gradients(photos, tmp_path):
    torch.multiprocessing.spawn(one_step, (str(photos), str(tmp_path)), nprocs=2)
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    for part in ("gradients", "model"):
        assert all(torch.equal(first[part][name], second[part][name]) for name in first[part])

    # The same by hand, in this process: each batch by itself, then their mean, clipped.
    seen: list[dict[str, torch.Tensor]] = []

    class Watched(Team):
        def average_gradients(self, parameters):
            seen.append(gradients_of(trainer))

    for rank in (0, 1):
        trainer = trainer_of(rank, str(photos))
        trainer.team = Watched(rank, 2)
        trainer.advance()
    assert not torch.equal(seen[0]["encoder.tail.weight"], seen[1]["encoder.tail.weight"])
    mean = {name: (seen[0][name] + seen[1][name]) / 2 for name in seen[0]}
    norm = torch.stack([gradient.norm() for gradient in mean.values()]).norm()
    factor = min(1.0, float(trainer.config.optimizer.clip / norm))
    for name, gradient in mean.items():
        torch.testing.assert_close(
            first["gradients"][name], factor * gradient, rtol=1e-3, atol=1e-5, msg=name
        )


@pytest.mark.slow
def test_torchrun_trains_once_and_one_process_goes_on(photos, tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump({**TINY, "steps": 3, "validate_every": 1}))
    done = subprocess.run(
        [
            sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
            "-m", "neurocodec", "train", str(path), "--data", str(photos),
            "--out", str(tmp_path / "run"), "--max-steps", "2", "--threads", "1",
        ],
        cwd=ROOT, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    checkpoint = tmp_path / "run" / "checkpoint.pt"
    assert done.stdout.split() == [str(checkpoint)]
    assert torch.load(checkpoint, weights_only=True)["step"] == 2
    run(path, [photos], tmp_path / "run", threads=1)
    assert torch.load(checkpoint, weights_only=True)["step"] == 3
    with open(tmp_path / "run" / "curves.csv") as file:
        assert [row["step"] for row in csv.DictReader(file)] == ["1"] * 5 + ["2"] * 5 + ["3"] * 5


def test_alone_there_is_nothing_to_average(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with parallel.team("cpu") as team:
        assert team == Team()
        weight = torch.nn.Parameter(torch.ones(2))
        team.average_gradients([weight])
        assert weight.grad is None
        assert team.any(True, torch.device("cpu"))
        assert not team.any(False, torch.device("cpu"))


def test_all_begin_with_the_weights_of_the_first(monkeypatch):
    def broadcast(tensor, source):
        assert source == 0
        assert tensor.is_contiguous()  # what gloo takes
        tensor.fill_(7)

    monkeypatch.setattr(parallel.dist, "broadcast", broadcast)
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    model.to(memory_format=torch.channels_last)
    before = model[0].weight.clone()
    Team(1, 1).share(model)
    assert torch.equal(model[0].weight, before)
    Team(1, 2).share(model)
    assert all((tensor == 7).all() for tensor in model.state_dict().values())
    assert model[0].weight.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_mean_moves_weights_of_any_layout_as_one_process_does(layout, monkeypatch):
    """Fused Adam takes a gradient of another layout than its weights' for another gradient."""
    monkeypatch.setattr(dist, "all_reduce", lambda together: together.mul_(2))  # the other: alike
    generator = torch.Generator().manual_seed(3)
    kernel, *gradients = (torch.randn(4, 3, 3, 3, generator=generator) for _ in range(3))
    weights = [torch.nn.Parameter(kernel.clone(memory_format=layout)) for _ in range(2)]
    for team, weight in zip((Team(), Team(0, 2)), weights, strict=True):
        adam = torch.optim.Adam([weight], fused=True)
        for gradient in gradients:
            weight.grad = gradient.clone(memory_format=layout)
            team.average_gradients([weight])
            adam.step()
    assert not torch.equal(weights[0], kernel)
    torch.testing.assert_close(weights[0], weights[1])


def test_what_has_no_gradient_anywhere_stays_without(monkeypatch):
    """Zeros would let Adam move it by what it learned before."""
    monkeypatch.setattr(dist, "all_reduce", lambda together: None)  # the other process: nothing
    weights = [torch.nn.Parameter(torch.ones(2)) for _ in range(3)]
    weights[1].grad = torch.tensor([4.0, 8.0])
    Team(0, 2).average_gradients(weights)
    assert weights[0].grad is weights[2].grad is None
    assert weights[1].grad.tolist() == [2.0, 4.0]


@pytest.mark.parametrize(
    ("name", "local", "expected"),
    [
        ("cuda", "3", "cuda:3"),
        ("cuda", None, "cuda"),
        ("cuda:1", "3", "cuda:1"),
        ("cpu", "3", "cpu"),
    ],
)
def test_each_process_has_a_gpu_of_its_own(name, local, expected, monkeypatch):
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    if local is not None:
        monkeypatch.setenv("LOCAL_RANK", local)
    assert parallel.device_of(name) == expected


@pytest.mark.parametrize(("rank", "expected"), [(None, True), ("0", True), ("1", False)])
def test_the_first_process_speaks(rank, expected, monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    if rank is not None:
        monkeypatch.setenv("RANK", rank)
    assert parallel.is_first() == expected
