"""The restorers, lite and base: a recurrent network that works on a quarter-size picture; base also on an eighth.

Everything here is exported to ONNX as it stands, so it uses operators that both the CPU and the WebGPU
provider of onnxruntime run: Conv, Relu, Sigmoid, Clip, Concat, Slice, Reshape, DepthToSpace, Cast and arithmetic.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PACKED = 24  # channels of one I420 frame at quarter size: 16 luma + 4 U + 4 V


@dataclass(frozen=True)
class Config:
    """What decides the graph. `past`, `future`: older and newer frames read beside the current one; `middle`: channels
    of the residual blocks at an eighth of the size, 0 for none; `hidden`: state channels besides the picture, one of
    which says that there is a state; `fuse`: blend the previous restored picture in through a gate."""

    width: int = 48
    blocks_before: int = 1
    blocks_after: int = 1
    middle: int = 0
    blocks_middle: int = 3
    past: int = 0
    future: int = 0
    hidden: int = 8
    fuse: bool = True

    @property
    def state(self) -> int:
        """Channels of the state tensor, 0 when the network keeps none."""
        return self.hidden + PACKED if self.fuse else 0

    @property
    def window(self) -> int:
        """Frames read, the current one among them."""
        return self.past + 1 + self.future


LITE = Config(past=1)
# 151 GMAC a 1920x1088 frame.
BASE = Config(width=96, middle=192, past=1, future=1, hidden=16)


def _dct(n: int) -> Tensor:
    k, i = torch.arange(n)[:, None], torch.arange(n)
    rows = torch.cos(math.pi * (i + 0.5) * k / n) * math.sqrt(2 / n)
    rows[0] /= math.sqrt(2)
    return rows


def _basis() -> tuple[Tensor, Tensor]:
    """Orthonormal block DCT of the packed pixels (4x4 luma, 2x2 U and V), and the gain each coefficient gets.

    Noise and artefacts live in the AC coefficients, a tenth of the size of the DC ones. Without the change of basis
    and the gains the network finds no way off "change nothing" (see README.md, ablation)."""
    luma, chroma = torch.kron(_dct(4), _dct(4)), torch.kron(_dct(2), _dct(2))
    gain = torch.full((PACKED,), 8.0)
    gain[0], gain[16], gain[20] = 0.5, 1.0, 1.0
    return torch.block_diag(luma, chroma, chroma), gain


class Analysis(nn.Module):
    """Float I420 [n,1,3H/2,W] in 0..255 -> scaled coefficients [n,24,H/4,W/4], zero for mid-grey."""

    def __init__(self) -> None:
        super().__init__()
        basis, gain = _basis()
        forward = basis * gain[:, None] / 255
        chroma = torch.zeros(8, 2, 2, 2)
        chroma[:4, 0] = chroma[4:, 1] = forward[16:20, 16:20].reshape(4, 2, 2)
        self.register_buffer("luma", forward[:16, :16].reshape(16, 1, 4, 4))
        self.register_buffer("chroma", chroma)
        self.register_buffer("offset", -128 * forward.sum(1))

    def forward(self, frame: Tensor) -> Tensor:
        n, _, _, w = frame.shape
        y = frame.reshape(n, 3, -1, w)[:, :2].reshape(n, 1, -1, w)
        # A row of W bytes in the chroma part holds two rows of W/2 samples.
        uv = frame.reshape(n, 6, -1, w)[:, 4:].reshape(n, 2, -1, w // 2)
        y = F.conv2d(y, self.luma, self.offset[:16], stride=4)
        return torch.cat([y, F.conv2d(uv, self.chroma, self.offset[16:], stride=2)], 1)


class Synthesis(nn.Module):
    """A difference of coefficients -> a difference of I420 pictures in 8-bit steps [n,1,3H/2,W]."""

    def __init__(self) -> None:
        super().__init__()
        basis, gain = _basis()
        self.register_buffer("inverse", (basis / gain[:, None] * 255).T.reshape(PACKED, PACKED, 1, 1).contiguous())

    def forward(self, change: Tensor) -> Tensor:
        n, w = change.shape[0], change.shape[-1] * 4
        pixels = F.conv2d(change, self.inverse)
        y = F.pixel_shuffle(pixels[:, :16], 4).reshape(n, 1, -1, w)
        return torch.cat([y, F.pixel_shuffle(pixels[:, 16:], 2).reshape(n, 1, -1, w)], 2)


class Block(nn.Module):
    """x + conv(relu(conv(x)))."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(width, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.b(F.relu(self.a(x)))


class Net(nn.Module):
    """Coefficients of the window's frames (oldest first) and state -> change to the current frame's, next state."""

    def __init__(self, config: Config = Config()) -> None:
        super().__init__()
        c = self.config = config
        self.head = nn.Conv2d(PACKED * c.window + c.state, c.width, 3, padding=1)
        self.before = nn.Sequential(*[Block(c.width) for _ in range(c.blocks_before)])
        if c.middle:
            self.down = nn.Conv2d(c.width, c.middle, 2, stride=2)
            self.middle = nn.Sequential(*[Block(c.middle) for _ in range(c.blocks_middle)])
            self.up = nn.Conv2d(c.middle, 4 * c.width, 1)
        self.gate = nn.Conv2d(c.width, PACKED, 1) if c.fuse else None
        self.mid = nn.Conv2d(c.width + PACKED, c.width, 3, padding=1)
        self.after = nn.Sequential(*[Block(c.width) for _ in range(c.blocks_after)])
        self.tail = nn.Conv2d(c.width, PACKED + (c.hidden - 1 if c.fuse else 0), 3, padding=1)
        for conv in (m for m in self.modules() if isinstance(m, nn.Conv2d)):
            nn.init.kaiming_normal_(conv.weight)
            nn.init.zeros_(conv.bias)
        with torch.no_grad():
            for block in (m for m in self.modules() if isinstance(m, Block)):
                block.b.weight.mul_(0.1)
            if c.middle:
                self.up.weight.mul_(0.1)
            self.tail.weight[:PACKED].mul_(0.01)
            self.tail.weight[PACKED:].mul_(0.1)
            if self.gate is not None:
                self.gate.weight.mul_(0.1)
                self.gate.bias.fill_(-1.0)
        self.register_buffer("reach", 0.1 * _basis()[1].reshape(1, PACKED, 1, 1))  # of the tail's changes

    def forward(self, frames: list[Tensor], state: Tensor | None) -> tuple[Tensor, Tensor | None]:
        x = frames[self.config.past]
        change = torch.zeros_like(x)
        if self.gate is not None:
            # What the previous restored picture would change; nothing where there is no state (its last channel is 0).
            step = (state[:, :PACKED] - x) * state[:, -1:]
            frames = [*frames, step, state[:, PACKED:]]
        dtype = self.head.weight.dtype  # in training narrower than the frames' and the state's
        f = self.before(F.relu(self.head(torch.cat(frames, 1).to(dtype))))
        if self.config.middle:
            f = f + F.pixel_shuffle(self.up(self.middle(F.relu(self.down(f)))), 2)
        if self.gate is not None:
            change = torch.sigmoid(self.gate(f).to(step.dtype)) * step
        g = self.after(F.relu(self.mid(torch.cat([f, (x + change).to(dtype)], 1))))
        tail = self.tail(g).to(x.dtype)
        change = change + self.reach * tail[:, :PACKED]
        if self.gate is None:
            return change, None
        return change, torch.cat([x + change, tail[:, PACKED:].clamp(-1.0, 1.0), torch.ones_like(x[:, :1])], 1)


class Graph(nn.Module):
    """The shipped graph: uint8 in, uint8 out, strength, state (see the Model contract in DESIGN.md). `dtype` is that of
    the weights, the state and all arithmetic."""

    def __init__(self, net: Net, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.net, self.analysis, self.synthesis = copy.deepcopy(net), Analysis(), Synthesis()
        with torch.no_grad():  # fold the reach into the last convolution
            reach = self.net.reach.reshape(-1)
            self.net.tail.weight[:PACKED] *= reach[:, None, None, None]
            self.net.tail.bias[:PACKED] *= reach
            self.net.reach.fill_(1.0)
        self.dtype = dtype
        self.to(dtype)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        c = self.net.config
        frames = [f.to(self.dtype) for f in inputs[: c.window]]
        strength, state = inputs[c.window].to(self.dtype), inputs[c.window + 1] if c.state else None
        change, state = self.net([self.analysis(f) for f in frames], state)
        # Adding one half and truncating in the cast is rounding; strength 0 leaves the input's bits.
        out = (frames[c.past] + strength * self.synthesis(change) + 0.5).clamp(0.0, 255.5)
        return (out.to(torch.uint8),) + ((state,) if c.state else ())
