"""libx264 in this process, for training: frames in, what a decoder would show out. `python x264.py DIR` builds it.

The library is built where libx264's headers are (Debian: libx264-dev) and travels in the pack with libx264, so
that the GPU host, which has no ffmpeg, makes coded sequences while it trains.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

LIBRARY = "libcamera264.so"


def build(pack: Path, prefix: Path = Path("/usr")) -> None:
    """Compiles `pack`/libcamera264.so against `prefix`/include and puts `prefix`/lib's libx264 beside it."""
    library = next(prefix.glob("lib/**/libx264.so.*"))
    shutil.copyfile(library, pack / library.name)
    source = Path(__file__).with_name("x264.c")
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", f"-I{prefix}/include", str(source), str(pack / library.name), "-Wl,-rpath,$ORIGIN", "-o", str(pack / LIBRARY)], check=True)


class Camera:
    """The encoder of a cheap camera: no B-frames, one slice, GOP 50."""

    def __init__(self, pack: Path) -> None:
        self.run = ctypes.CDLL(str(pack / LIBRARY)).camera
        self.run.argtypes = [ctypes.c_void_p, *[ctypes.c_int] * 3, ctypes.c_char_p, ctypes.c_int, ctypes.c_float]

    def __call__(self, frames: np.ndarray, preset: str, qp: int = -1, crf: float = 0.0) -> np.ndarray:
        """uint8 I420 [L,3H/2,W] -> the same shape, coded at constant `qp`, or at `crf` where qp < 0."""
        coded = np.ascontiguousarray(frames).copy()
        length, rows, width = coded.shape
        if self.run(coded.ctypes.data, length, width, rows * 2 // 3, preset.encode(), qp, crf):
            raise RuntimeError(f"x264 refused {length} frames of {width}x{rows * 2 // 3}, preset {preset}")
        return coded


if __name__ == "__main__":
    build(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else Path("/usr"))
