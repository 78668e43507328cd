"""Clean training sequences, made from a seed: crops of clips, and stills that pan, zoom, turn and hide each other.

The same seed gives the same sequence here and on the GPU host (up to the last bit of float rounding), so only
the sources and the coded versions have to travel.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")  # it warns at every raw frame
import cv2
import numpy as np
import torch
import torch.nn.functional as F

SIZE, LENGTH = 256, 32  # sequences are LENGTH frames of SIZE x SIZE
_TO_YUV = np.array([[0.2126, 0.7152, 0.0722], [-0.1146, -0.3854, 0.5], [0.5, -0.4542, -0.0458]], np.float32)


def i420(y: np.ndarray, uv: np.ndarray) -> np.ndarray:
    """Float planes [L,H,W], [L,2,H/2,W/2] -> uint8 [L,3H/2,W]."""
    planes = np.concatenate([y.reshape(len(y), -1), uv.reshape(len(y), -1)], 1)
    return np.clip(np.rint(planes), 0, 255).astype(np.uint8).reshape(len(y), -1, y.shape[2])


def planes(frames):
    """uint8 I420 [...,3H/2,W] (numpy or torch) -> views luma [...,H,W], chroma [...,2,H/2,W/2]."""
    h, w = frames.shape[-2] * 2 // 3, frames.shape[-1]
    return frames[..., :h, :], frames[..., h:, :].reshape(*frames.shape[:-2], 2, h // 2, w // 2)


def decode(path: str | Path, limit: int = 10**9) -> np.ndarray:
    """A video file -> uint8 I420 [L,3H/2,W] with OpenCV alone (the GPU host has no ffmpeg): luma is read bit-exact,
    chroma comes back from the RGB conversion, within about one step."""

    def read(raw: bool) -> list[np.ndarray]:
        capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
        capture.set(cv2.CAP_PROP_CONVERT_RGB, 0 if raw else 1)
        frames = []
        while len(frames) < limit and (got := capture.read())[0]:
            frames.append(got[1].copy())
        return frames

    bgr = np.stack(read(False)).astype(np.float32)
    b, g, r = bgr[..., 0], bgr[..., 1], bgr[..., 2]
    u, v = 128 - 0.14822 * r - 0.29099 * g + 0.43922 * b, 128 + 0.43922 * r - 0.36779 * g - 0.07143 * b
    uv = np.stack([u, v], 1)
    n, _, h, w = uv.shape
    uv = uv.reshape(n, 2, h // 2, 2, w // 2, 2).mean((3, 5))
    luma = np.stack(read(True))
    if luma.ndim != 3:  # an OpenCV that converts anyway
        luma = 16 + 0.25679 * r + 0.50413 * g + 0.09791 * b
    elif "mjpeg" in Path(path).name:  # full range, as JPEG is
        luma = 16 + luma.astype(np.float32) * (219 / 255)
    return i420(luma[:, :h], uv)


@lru_cache(maxsize=512)
def _still(path: Path) -> torch.Tensor:
    """A still as limited-range BT.709 planes at full resolution: float [3,H,W]."""
    rgb = cv2.imread(str(path))[..., ::-1].astype(np.float32)
    yuv = rgb @ _TO_YUV.T * np.array([219 / 255, 224 / 255, 224 / 255], np.float32) + np.array([16, 128, 128], np.float32)
    return torch.from_numpy(np.ascontiguousarray(yuv.transpose(2, 0, 1), dtype=np.float32))


@lru_cache(maxsize=16)
def _clip(path: Path) -> np.ndarray:
    frames = decode(path)
    while len(frames) < LENGTH:  # a short one plays to and fro
        frames = np.concatenate([frames, frames[-2::-1]])
    return frames


def _path(rng: np.random.Generator, still: bool) -> np.ndarray:
    """Positions (x, y in pixels, angle, log zoom) of LENGTH + 1 frame times."""
    t = np.arange(LENGTH + 1)[:, None]
    if still:
        return np.zeros((LENGTH + 1, 4))
    speed, heading = np.exp(rng.uniform(np.log(0.1), np.log(16))), rng.uniform(0, 2 * np.pi)
    rate = np.array([speed * np.cos(heading), speed * np.sin(heading), rng.normal(0, 0.002), rng.normal(0, 0.004)])
    path = t * rate + t**2 * rng.normal(0, 0.03, 4) * rate
    if rng.random() < 0.25:
        path[:, :2] += rng.normal(0, 0.5, (LENGTH + 1, 2))  # a shaking pole
    if rng.random() < 0.3:
        path = np.concatenate([path[:, :2].round(), 0 * path[:, 2:]], 1)  # whole pixels: nothing resampled, all stays sharp
    return path


def _view(still: torch.Tensor, path: np.ndarray, centre: np.ndarray, scale: float, blur: bool, exact: bool) -> torch.Tensor:
    """LENGTH pictures [L,3,SIZE,SIZE] of a still seen along a path."""
    _, h, w = still.shape
    if exact:
        x, y = (int(np.clip(c - SIZE / 2, 0, m - SIZE)) for c, m in zip(centre, (w, h)))
        return still[None, :, y : y + SIZE, x : x + SIZE].repeat(LENGTH, 1, 1, 1)
    steps = [0.0, 0.17, 0.33, 0.5] if blur else [0.0]
    base = torch.arange(SIZE) - SIZE / 2 + 0.5
    gy, gx = torch.meshgrid(base, base, indexing="ij")
    out = torch.zeros(LENGTH, 3, SIZE, SIZE)
    for s in steps:
        p = path[:-1] + s * np.diff(path, axis=0)
        zoom = scale * np.exp(p[:, 3])
        c, n = (torch.tensor(f(p[:, 2]) * zoom, dtype=torch.float32)[:, None, None] for f in (np.cos, np.sin))
        px = torch.tensor(centre[0] + p[:, 0], dtype=torch.float32)[:, None, None] + c * gx - n * gy
        py = torch.tensor(centre[1] + p[:, 1], dtype=torch.float32)[:, None, None] + n * gx + c * gy
        grid = torch.stack([px * 2 / w - 1, py * 2 / h - 1], -1)
        out += F.grid_sample(still.expand(LENGTH, -1, -1, -1), grid, "bicubic", "reflection", align_corners=False)
    return out / len(steps)


def _from_stills(rng: np.random.Generator, stills: list[Path]) -> tuple[np.ndarray, np.ndarray]:
    def layer(fixed: bool) -> torch.Tensor:
        still = _still(stills[rng.integers(len(stills))])
        size = np.array([still.shape[2], still.shape[1]])
        exact = fixed and min(size) >= SIZE
        # Made smaller without a low pass, moving texture is as sharp as cameras sharpen it.
        scale = np.exp(rng.uniform(0, np.log(2.2)))
        return _view(still, _path(rng, fixed), size * rng.uniform(0.4, 0.6, 2), scale, rng.random() < 0.25, exact)

    yuv = layer(fixed=rng.random() < 0.45)
    if rng.random() < 0.4:  # something passes in front
        front, path = layer(fixed=rng.random() < 0.5), _path(rng, False)
        axes, at = rng.uniform(15, 70, 2), rng.uniform(40, SIZE - 40, 2)
        gy, gx = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
        for i in range(LENGTH):
            d = ((gx - at[0] - path[i, 0]) / axes[0]) ** 2 + ((gy - at[1] - path[i, 1]) / axes[1]) ** 2
            mask = ((1 - d) * min(axes) / 2).clamp(0, 1)
            yuv[i] = yuv[i] * (1 - mask) + front[i] * mask
    return yuv[:, 0].numpy(), F.avg_pool2d(yuv[:, 1:], 2).numpy()


def _from_clips(rng: np.random.Generator, clips: list[Path]) -> tuple[np.ndarray, np.ndarray]:
    frames = _clip(clips[rng.integers(len(clips))])
    step = 2 if rng.random() < 0.2 and len(frames) >= 2 * LENGTH else 1
    first = rng.integers(len(frames) - LENGTH * step + 1)
    y, uv = planes(frames[first : first + LENGTH * step : step])
    top, left = (int(rng.integers((m - SIZE) // 2 + 1)) * 2 for m in y.shape[1:])
    y = y[:, top : top + SIZE, left : left + SIZE]
    uv = uv[:, :, top // 2 : (top + SIZE) // 2, left // 2 : (left + SIZE) // 2]
    return y.astype(np.float32), uv.astype(np.float32)


def clean_sequence(seed: int, pack: Path) -> np.ndarray:
    """The clean sequence of a seed: uint8 I420 [LENGTH, 3*SIZE/2, SIZE]."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    rng = np.random.default_rng(seed)
    if rng.random() < 0.35:
        y, uv = _from_clips(rng, sorted((pack / "clips").glob("*.mp4")))
    else:
        y, uv = _from_stills(rng, sorted((pack / "stills").glob("*.webp")))
    if rng.random() < 0.35:  # exposure, mostly towards night
        gain = rng.uniform(0.3, 1.1)
        y, uv = 16 + (y - 16) * gain, 128 + (uv - 128) * gain
    if rng.random() < 0.5:
        y, uv = y[..., ::-1], uv[..., ::-1]
    return i420(np.ascontiguousarray(y), np.ascontiguousarray(uv))
