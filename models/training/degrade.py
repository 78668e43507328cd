"""What a cheap camera does to a picture: noise, softness, sharpening, and MJPEG. Batched, CPU or GPU.

Pictures are float planes in 8-bit steps (0..255): luma [N,L,H,W] and chroma [N,L,2,H/2,W/2]. One set of
parameters per sequence, as one camera has one gain at a time.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def _uniform(n: int, low: float, high: float, like: Tensor, gen: torch.Generator | None) -> Tensor:
    return torch.rand(n, 1, 1, 1, device=like.device, generator=gen) * (high - low) + low


def _blur(x: Tensor) -> Tensor:
    """3x3 binomial blur over the last two axes."""
    k = torch.tensor([1.0, 2.0, 1.0], device=x.device)
    kernel = (k[:, None] * k / 16).reshape(1, 1, 3, 3)
    flat = F.pad(x.reshape(-1, 1, *x.shape[-2:]), (1, 1, 1, 1), mode="replicate")
    return F.conv2d(flat, kernel).reshape(x.shape)


def _grain(shape: torch.Size, correlation: Tensor, gen: torch.Generator | None, like: Tensor) -> Tensor:
    """Unit-variance Gaussian noise, fresh in every frame, mixed with its own blur (what demosaicing leaves)."""
    white = torch.randn(shape, device=like.device, generator=gen)
    c = correlation.reshape(-1, *[1] * (len(shape) - 1))
    # The binomial kernel scales white noise to 3/8 of its deviation and correlates 2/3 with it.
    return ((1 - c) * white + c * _blur(white) / 0.375) / ((1 - c) ** 2 + c**2 + 2 * c * (1 - c) * (2 / 3)).sqrt()


def sensor_noise(y: Tensor, uv: Tensor, gen: torch.Generator | None = None, low: float = 1.5, high: float = 16.0):
    """Half the sequences: ffmpeg-like additive noise, equal on all planes. The other half: Poisson-Gaussian noise in
    linear light seen through the camera's gamma, spatially correlated, with its own chroma noise."""
    n = y.shape[0]
    sigma = _uniform(n, low, high, y, gen)
    camera = (_uniform(n, 0, 1, y, gen) < 0.5).float()
    shot = _uniform(n, 0.1, 0.9, y, gen)
    linear = ((y - 16) / 219).clamp(0.004, 1) ** 2.2
    slope = (linear / 0.2) ** (1 / 2.2 - 1)  # d(gamma)/d(linear), 1 at mid-grey
    shape = (slope * (shot * linear / 0.2 + 1 - shot).sqrt()).clamp(0.25, 2.0)
    grain = _grain(y.shape, camera * _uniform(n, 0, 0.8, y, gen), gen, y)
    noisy = y + sigma * (camera * shape + 1 - camera) * grain
    chroma = sigma * (camera * _uniform(n, 0.2, 1.2, y, gen) + 1 - camera)
    grain = _grain(uv.shape, camera * _uniform(n, 0, 1, y, gen), gen, y)
    return noisy.clamp(0, 255).round(), (uv + chroma[..., None] * grain).clamp(0, 255).round()


def optics(y: Tensor, gen: torch.Generator | None = None):
    """Mild softness (amount < 0) or sharpening halos (amount > 0) on luma."""
    amount = _uniform(y.shape[0], -0.5, 1.0, y, gen)
    return (y + amount * (y - _blur(y))).clamp(0, 255).round()


# MPEG-1's default intra matrix, which ffmpeg's MJPEG encoder scales (libavcodec/mpegvideodata.c, ISO/IEC 11172-2).
_INTRA = [
    [8, 16, 19, 22, 26, 27, 29, 34], [16, 16, 22, 24, 27, 29, 34, 37], [19, 22, 26, 27, 29, 34, 34, 38],
    [22, 22, 26, 27, 29, 34, 37, 40], [22, 26, 27, 29, 32, 35, 40, 48], [26, 27, 29, 32, 35, 40, 48, 58],
    [26, 27, 29, 34, 38, 46, 56, 69], [27, 29, 35, 38, 46, 56, 69, 83],
]  # fmt: skip


def mjpeg(y: Tensor, uv: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
    """What ffmpeg's MJPEG encoder at -q:v `q` [N] leaves of limited-range planes, through full range and back (53 dB from
    ffmpeg 5.1's own on four frames at q 14). Sides must be multiples of 16."""
    k, i = torch.arange(8, device=y.device)[:, None], torch.arange(8, device=y.device)
    dct = torch.cos(torch.pi * (i + 0.5) * k / 8) / 2
    dct[0] /= 2**0.5
    table = (torch.tensor(_INTRA, device=y.device) * q[:, None, None]).div(8).floor().clamp(1, 255)
    table[:, 0, 0] = 8

    def coded(plane: Tensor, low: float, scale: float) -> Tensor:
        full = ((plane - low) * scale).round().clamp(0, 255) - 128
        shape = full.shape
        blocks = full.reshape(shape[0], -1, shape[-2] // 8, 8, shape[-1] // 8, 8).transpose(-2, -3)
        step = table[:, None, None, None]
        level = dct @ blocks @ dct.T / step
        blocks = dct.T @ (level.sign() * (level.abs() + 0.375).floor() * step) @ dct  # ffmpeg rounds up from 5/8
        full = blocks.transpose(-2, -3).reshape(shape) + 128
        return (full.round().clamp(0, 255) / scale + low).round().clamp(0, 255)

    return coded(y, 16, 255 / 219), coded(uv, 128 - 128 * 224 / 255, 255 / 224)
