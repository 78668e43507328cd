"""What a cheap camera does to a picture before its codec: noise, softness, sharpening. Batched, CPU or GPU.

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
