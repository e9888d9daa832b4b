#!/bin/bash
# Makes FOLDER/python, a Python for aarch64 with torch that runs on another Linux by way of qemu's
# user-mode emulation, for `python -m bitstream.determinism --aarch64 FOLDER/python`:
#
#     bitstream/determinism/aarch64.sh FOLDER
#
# Needs Debian's qemu-user and arm64 among apt's architectures:
#
#     dpkg --add-architecture arm64 && apt-get update && apt-get install qemu-user
#
# Nothing is installed: packages and wheels are unpacked into FOLDER (1 GB). torchac has no wheel
# and is not built, so the plain-Python coder decodes. torch 2.10 is the last whose wheel for
# aarch64 on PyPI needs no CUDA; on -cpu max of qemu 7.2 it meets an illegal instruction.
set -euo pipefail

folder=$(realpath -m "${1:?a folder to unpack into}")
mkdir -p "$folder"/{packages,wheels,system,site}

packages=(libc6 libstdc++6 libgcc-s1 libgomp1 zlib1g libexpat1 libssl3 libffi8 libbz2-1.0 liblzma5
    python3.11-minimal libpython3.11-minimal libpython3.11-stdlib)
cd "$folder/packages"
apt-get download "${packages[@]/%/:arm64}"
for package in *.deb; do dpkg -x "$package" "$folder/system"; done

wheels=(torch==2.10.0 numpy pillow safetensors click pyyaml tqdm
    typing_extensions sympy mpmath filelock jinja2 markupsafe fsspec networkx)
python3 -m pip download --no-deps --only-binary :all: --python-version 3.11 \
    --platform manylinux_2_28_aarch64 --platform manylinux_2_17_aarch64 \
    --platform manylinux2014_aarch64 --dest "$folder/wheels" "${wheels[@]}"
for wheel in "$folder"/wheels/*.whl; do python3 -m zipfile -e "$wheel" "$folder/site"; done

cat >"$folder/python" <<SCRIPT
#!/bin/bash
export PYTHONPATH="$folder/site:\${PYTHONPATH:-}"
exec qemu-aarch64 -cpu neoverse-n1 -L "$folder/system" "$folder/system/usr/bin/python3.11" "\$@"
SCRIPT
chmod +x "$folder/python"
"$folder/python" -c 'import platform, torch; print(platform.machine(), "torch", torch.__version__)'
