"""What a measurement ran on, to be named beside every published time."""

import os
import platform
from pathlib import Path


def describe(device: str = "cpu", threads: int | None = None) -> dict[str, str]:
    """CPU model, cores, threads, system, and the versions of Python, torch and Pillow."""
    import PIL
    import torch

    facts = {
        "cpu": cpu_model(),
        "cores": str(os.cpu_count()),
        "threads": str(threads or torch.get_num_threads()),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "pillow": PIL.__version__,
        "device": device,
    }
    if device.startswith("cuda"):
        facts["gpu"] = torch.cuda.get_device_name(device)
    return facts


def cpu_model() -> str:
    """The processor's own name, as far as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not Linux
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
