"""Builds models/smoother: temporal smoothing that leaves moving things alone. No training; constants chosen on the
validation clips.

    python smoother.py ../smoother --commit $(git rev-parse --short HEAD)

    smoothed = restored + strength * (1 - reset) * BLEND * area gate * pixel gate * (previous - restored)

The area gate looks at 12x12 luma areas: the mean absolute change must be small (else: motion, or noise too strong to
tell) and so must the mean signed change, which averages noise away and shows even a faint thing that moves or a
light that dims. The pixel gate takes out single pixels that changed more than noise does.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BLEND = 0.6  # share of the previous picture where nothing happens
ABSOLUTE = (0.4, 0.9)  # 8-bit steps: the gate is open below the first, closed above the second
SIGNED = (0.15, 0.35)
PIXEL = (2.0, 4.0)


def _bilinear(factor: int) -> Tensor:
    """Weights of a 3x3 convolution that gives the factor*factor phases of bilinear enlargement."""
    at = (torch.arange(factor) + 0.5) / factor - 0.5
    line = torch.stack([(-at).clamp(min=0), 1 - at.abs(), at.clamp(min=0)], 1)
    return torch.einsum("ai,bj->abij", line, line).reshape(factor * factor, 1, 3, 3)


def _open(x: Tensor, limits: tuple[float, float]) -> Tensor:
    low, high = limits
    return ((high - x) * (1 / (high - low))).clamp(0.0, 1.0)


class Smoother(nn.Module):
    """uint8 I420 `restored`, `previous`; float `strength`, `reset` -> uint8 `smoothed`."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("to_luma", _bilinear(4))
        self.register_buffer("to_chroma", _bilinear(2))
        self.register_buffer("mean4", torch.full((1, 1, 4, 4), 1 / 16))
        self.register_buffer("mean3", torch.full((2, 1, 3, 3), 1 / 9))

    def forward(self, restored: Tensor, previous: Tensor, strength: Tensor, reset: Tensor) -> Tensor:
        w = restored.shape[-1]
        now = restored.float()
        change = previous.float() - now
        size = change.abs()

        def luma(x: Tensor) -> Tensor:
            return x.reshape(1, 3, -1, w)[:, :2].reshape(1, 1, -1, w)

        areas = torch.cat([F.conv2d(luma(size), self.mean4, stride=4), F.conv2d(luma(change), self.mean4, stride=4)], 1)
        areas = F.conv2d(areas, self.mean3, padding=1, groups=2)
        still = _open(areas[:, :1], ABSOLUTE) * _open(areas[:, 1:].abs(), SIGNED)
        for_luma = F.pixel_shuffle(F.conv2d(still, self.to_luma, padding=1), 4)
        for_chroma = F.pixel_shuffle(F.conv2d(still, self.to_chroma, padding=1), 2).reshape(1, 1, -1, w)
        gate = torch.cat([for_luma, for_chroma, for_chroma], 2) * _open(size, PIXEL)
        amount = strength.clamp(0.0, 1.0) * (1 - reset) * BLEND
        return (now + amount * (gate * change) + 0.5).clamp(0.0, 255.5).to(torch.uint8)


def main() -> None:
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("out", type=Path)
    a.add_argument("--version", default="0.1.0")
    a.add_argument("--date", default="2026-11-23")
    a.add_argument("--commit", default="")
    o = a.parse_args()
    o.out.mkdir(parents=True, exist_ok=True)
    frame = torch.zeros(1, 1, 96, 96, dtype=torch.uint8)
    path = o.out / "weights.onnx"
    axes = {n: {2: "rows", 3: "width"} for n in ("restored", "previous", "smoothed")}
    names = ["restored", "previous", "strength", "reset"]
    torch.onnx.export(
        Smoother().eval(), (frame, frame, torch.ones(1), torch.zeros(1)), str(path),
        input_names=names, output_names=["smoothed"], dynamic_axes=axes, opset_version=17, dynamo=False,
    )  # fmt: skip
    manifest = {
        "kind": "smoother",
        "name": "smoother",
        "version": o.version,
        "licence": "Apache-2.0",
        "description": "Blends each frame with the previous smoothed one where nothing moves and the change is no more than noise.",
        "file": "weights.onnx",
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "scale": 1,
        "alignment": 8,
        "color": {"range": "limited", "matrix": "bt709"},
        "provenance": {"training": "models/training/smoother.py", "data": "none: a fixed graph", "date": o.date, "commit": o.commit},
    }
    (o.out / "model.json").write_text(json.dumps(manifest, indent=2) + "\n")


if __name__ == "__main__":
    main()
