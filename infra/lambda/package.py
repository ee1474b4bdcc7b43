"""Packs the Lambda's zip: the handler, the files of Chrono that it loads, and pinned wheels for its Linux.

Which files it loads is asked of a fresh Python, so that the zip holds no more. The versions and hashes of
packages are those of requirements/core.txt. boto3 is not packed: Lambda's Python runtimes bring it.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).resolve().parent
ROOT: Final = FOLDER.parents[1]
PLATFORMS: Final = {"x86_64": "manylinux2014_x86_64", "arm64": "manylinux2014_aarch64"}
UNPACKED_MAX: Final = 250 * 1024 * 1024
"""Lambda's own bound for a zip's content."""

_LOADED: Final = """
import sys
sys.path[:0] = [{edge!r}, {root!r}]
import core.twin.app, core.snapshot.s3
for module in list(sys.modules.values()):
    if (getattr(module, "__file__", None) or "").startswith({root!r}):
        if module.__name__.partition(".")[0] in ("core", "chrono"):
            print(module.__name__, module.__file__)
"""
_UNUSED: Final = ("Crypto/SelfTest", "bin")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--arch", choices=PLATFORMS, default="arm64", help="Lambda's processor")
    parser.add_argument("--python", default="3.13", help="Lambda's Python")
    parser.add_argument("--out", type=Path, default=ROOT / "dist" / "chrono-lambda.zip")
    asked = parser.parse_args()
    zipped, unpacked = pack(asked.out, asked.python, asked.arch)
    print(f"{asked.out}: {zipped / 1e6:.1f} MB, unpacked {unpacked / 1e6:.1f} MB")
    return 0


def pack(out: Path, python: str, arch: str) -> tuple[int, int]:
    """Write the zip; the sizes of the zip and of its content in bytes."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        install(folder, python, arch)
        add_sources(folder)
        return write_zip(folder, out)


def write_zip(folder: Path, out: Path) -> tuple[int, int]:
    """Pack the folder; the sizes of the zip and of its content in bytes."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    unpacked = sum(path.stat().st_size for path in files)
    if unpacked > UNPACKED_MAX:
        raise SystemExit(f"the package unpacks to {unpacked} bytes; Lambda takes {UNPACKED_MAX}")
    out.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files:
            entry = zipfile.ZipInfo(str(path.relative_to(folder)))  # of 1980: the same bytes each time
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, path.read_bytes())
    return out.stat().st_size, unpacked


def install(folder: Path, python: str, arch: str) -> None:
    """Put the pinned packages into the folder, as wheels for Lambda's Linux."""
    requirements = folder / "requirements.txt"
    requirements.write_text(pinned())
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--require-hashes", "--no-compile", "--only-binary=:all:"]
    command += ["--platform", PLATFORMS[arch], "--python-version", python, "--implementation", "cp"]
    subprocess.run([*command, "--target", str(folder), "-r", str(requirements)], check=True)
    requirements.unlink()


def add_sources(folder: Path) -> None:
    """Put the handler and Chrono's own files beside the packages, and leave out what no answer needs."""
    for unused in _UNUSED:
        shutil.rmtree(folder / unused, ignore_errors=True)
    for module, file in _loaded():
        path = folder / module.replace(".", "/")
        path = path / "__init__.py" if file.name == "__init__.py" else path.with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, path)
    shutil.copyfile(FOLDER / "handler.py", folder / "handler.py")


def pinned() -> str:
    """The lines of requirements/core.txt for the Lambda's packages, hashes included."""
    text = (ROOT / "requirements" / "core.txt").read_text("utf-8")
    blocks = {}
    for block in re.split(r"\n(?=\S)", text):
        found = re.match(r"([A-Za-z0-9._-]+)(\[[^]]*\])?==", block)
        if found:
            blocks[found.group(1).lower()] = block.replace(found.group(2) or "", "", 1)
    names = (FOLDER / "packages.txt").read_text("utf-8").split()
    absent = [name for name in names if name not in blocks]
    if absent:
        raise SystemExit(f"not in requirements/core.txt: {', '.join(absent)}")
    return "\n".join(blocks[name].rstrip() for name in names) + "\n"


def _loaded() -> list[tuple[str, Path]]:
    code = _LOADED.format(edge=str(ROOT / "edge"), root=str(ROOT))
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    pairs = (line.split(" ", 1) for line in done.stdout.splitlines())
    return [(module, Path(file)) for module, file in pairs]


if __name__ == "__main__":
    sys.exit(main())
