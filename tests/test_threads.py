"""Torch's number of threads, set by blocks that nest and that overlap."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from neurocodec.threads import torch_threads

USUAL = 2


def in_new_thread(call):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(call).result(timeout=60)


@pytest.fixture(autouse=True)
def _usual_number():
    before = torch.get_num_threads()
    torch.set_num_threads(USUAL)
    yield
    torch.set_num_threads(before)


def test_blocks_nest():
    with torch_threads(3):
        with torch_threads(1):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == in_new_thread(torch.get_num_threads) == 3
        with torch_threads(None):
            assert torch.get_num_threads() == 3
    assert torch.get_num_threads() == in_new_thread(torch.get_num_threads) == USUAL


@pytest.mark.parametrize("first_out", ["early", "late"])
def test_blocks_of_two_threads_overlap(first_out):
    """Threads that are new to torch: it gives the later one the number that the earlier one set."""
    entered = {name: threading.Event() for name in ("early", "late")}
    left = threading.Event()

    def work(name, other, count):
        if name == "late":
            assert entered["early"].wait(60)
        with torch_threads(count):
            entered[name].set()
            assert entered[other].wait(60)
            with torch_threads(count + 1):
                assert torch.get_num_threads() == count + 1
            if name != first_out:
                assert left.wait(60)
            assert torch.get_num_threads() == count
        left.set()
        return torch.get_num_threads()

    with ThreadPoolExecutor(2) as pool:
        early = pool.submit(work, "early", "late", 1)
        late = pool.submit(work, "late", "early", 4)
        assert (early.result(60), late.result(60)) == (USUAL, USUAL)
    assert torch.get_num_threads() == in_new_thread(torch.get_num_threads) == USUAL
