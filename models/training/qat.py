"""GPU host: lite on bytes, for CPUs, trained from the shipped graph with that as its teacher.

    python qat.py --pack PACK --out OUT --seconds 550

`ByteNet` computes what the integer graph of `export_bytes.py` computes. Activations are unsigned bytes with a step for
every channel and a zero point for every tensor; weights are signed bytes with a step for every output channel. An
activation's steps are folded into the weights on both of its sides, so a convolution has one scale for what it reads.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from batches import Batches
from export import weights_of
from net import LITE, PACKED, Net
from train import Trainer, Unrolled, Validation, loss_of

SHIPPED = Path(__file__).parent.parent / "lite" / "weights.onnx"
LUMA = 16  # coefficients of luma, the first of PACKED
PARTS = 16  # of a step, in a luma coefficient's second byte; at 128 hardly a weight of these would differ from 0
ZERO = 64  # zero point of what `mid` reads
FRAMES = 8  # with gradient


def rounded(x: Tensor) -> Tensor:
    """To the nearest, half to even; its gradient is that of x."""
    return x + (x.round() - x).detach()


class Bytes(nn.Module):
    """A tensor's steps and zero point. `forward`: real values -> whole steps from zero, as floats; `* step` leads back.
    At zero point 0 negative values become 0, as a ReLU makes them. No step becomes smaller than `least`."""

    def __init__(self, channels: int, zero: int) -> None:
        super().__init__()
        self.zero = zero
        self.log_step = nn.Parameter(torch.zeros(channels))
        self.register_buffer("least", torch.zeros(channels))
        self.seen: list[tuple[Tensor, Tensor]] | None = None  # while calibrating: smallest and largest of each channel

    @property
    def step(self) -> Tensor:
        return self.log_step.exp2().maximum(self.least)

    def forward(self, x: Tensor) -> Tensor:
        return self.clip(x / self.step.reshape(-1, 1, 1))

    def clip(self, steps: Tensor) -> Tensor:
        if self.seen is not None:
            values = steps.transpose(0, 1).flatten(1)
            spare = max(1, values.shape[1] // 20000)  # a few outliers are clipped
            self.seen.append((values.kthvalue(spare, 1)[0], values.kthvalue(values.shape[1] + 1 - spare, 1)[0]))
            return steps if self.zero else steps.relu()
        return rounded(steps.clamp(-self.zero, 255 - self.zero))

    def reach(self) -> Tensor:
        """Steps that hold what was seen."""
        low, high = (torch.stack(part) for part in zip(*self.seen))
        low, high = low.amin(0), high.amax(0)
        return torch.maximum(high / (255 - self.zero), -low / self.zero if self.zero else high * 0).clamp(min=1e-5)


class ByteConv(nn.Module):
    """A convolution of whole steps. Its sums are exact in float32, and in TF32, whose mantissa holds a byte."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(weight.detach().clone()), nn.Parameter(bias.detach().clone())

    def whole(self, step: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Weights and bias in whole steps for an input of `step`, and how large these are [out]."""
        weight = self.weight * step.reshape(-1, 1, 1)
        scale = weight.detach().abs().amax((1, 2, 3)) / 127
        return rounded(weight / scale.reshape(-1, 1, 1, 1)), rounded(self.bias / scale), scale

    def forward(self, x: Tensor, step: Tensor) -> Tensor:
        weight, bias, scale = self.whole(step)
        return F.conv2d(x, weight, bias, padding=weight.shape[2] // 2) * scale.reshape(-1, 1, 1)


class ByteNet(nn.Module):
    """Net of lite's configuration on bytes. Two things differ: `mid` reads a second byte of luma coefficients, a part of
    a step each; and `after.b` and `tail`, both linear, are one 3x3 convolution that reads what both of them read, so that
    no sum has to fit into a byte."""

    def __init__(self, net: Net) -> None:
        super().__init__()
        assert net.config == LITE
        self.config, width, after = net.config, net.config.width, net.after[0]
        for name, conv in (("head", net.head), ("before_a", net.before[0].a), ("before_b", net.before[0].b), ("gate", net.gate), ("after_a", after.a)):
            setattr(self, name, ByteConv(conv.weight, conv.bias))
        self.mid = ByteConv(torch.cat([net.mid.weight, net.mid.weight[:, width : width + LUMA]], 1), net.mid.bias)
        # 5x5, of which the middle is a beginning
        both = F.conv2d(after.b.weight.transpose(0, 1), net.tail.weight.flip(2, 3), padding=2).transpose(0, 1)
        bias = net.tail.bias + net.tail.weight.sum((2, 3)) @ after.b.bias
        self.tail = ByteConv(torch.cat([net.tail.weight, both[:, :, 1:4, 1:4]], 1), bias)
        self.register_buffer("reach", torch.cat([net.reach.reshape(-1), torch.ones(net.config.hidden - 1)]))
        self.seen, self.picture = Bytes(net.head.in_channels, 128), Bytes(PACKED, ZERO)
        self.headed, self.before, self.middle, self.after = (Bytes(width, 0) for _ in range(4))
        # QLinearAdd has one scale for each side: these steps are factors to those of `headed`.
        self.added, self.sum = Bytes(1, 128), Bytes(1, ZERO)
        self.gated, self.changed = Bytes(PACKED, 128), Bytes(net.tail.out_channels, 128)
        for dc in (0, LUMA, LUMA + 4):  # black and white are not clipped
            self.picture.least[dc] = 256 / 255 / ZERO
            self.seen.least[[dc, PACKED + dc]] = 256 / 255 / 128

    def steps(self) -> dict[str, Tensor]:
        """Of the input of each convolution."""
        f, picture = self.headed.step * self.sum.step, self.picture.step
        return {
            "head": self.seen.step,
            "before_a": self.headed.step,
            "before_b": self.before.step,
            "gate": f,
            "mid": torch.cat([f, picture, picture[:LUMA] / PARTS]),
            "after_a": self.middle.step,
            "tail": torch.cat([self.middle.step, self.after.step]),
        }

    def forward(self, frames: list[Tensor], state: Tensor) -> tuple[Tensor, Tensor]:
        x, steps = frames[-1], self.steps()
        step = (state[:, :PACKED] - x) * state[:, -1:]
        seen = self.seen(torch.cat([*frames, step, state[:, PACKED:]], 1))
        headed = self.headed(self.head(seen, steps["head"]))
        before = self.before_b(self.before(self.before_a(headed, steps["before_a"])), steps["before_b"])
        added = self.added(before / self.headed.step.reshape(-1, 1, 1))
        f = self.sum(headed + added * self.added.step)
        gate = self.gated(self.gate(f, steps["gate"])) * self.gated.step.reshape(-1, 1, 1)
        change = torch.sigmoid(gate) * step
        picture = (x + change) / self.picture.step.reshape(-1, 1, 1)
        luma = picture[:, :LUMA]
        parts = rounded((luma - rounded(luma)) * PARTS)
        middle = self.middle(self.mid(torch.cat([f, self.picture.clip(picture), parts], 1), steps["mid"]))
        after = self.after(self.after_a(middle, steps["after_a"]))
        tail = self.changed(self.tail(torch.cat([middle, after], 1), steps["tail"])) * (self.changed.step * self.reach).reshape(-1, 1, 1)
        change = change + tail[:, :PACKED]
        return change, torch.cat([x + change, tail[:, PACKED:].clamp(-1.0, 1.0), torch.ones_like(x[:, :1])], 1)


@torch.no_grad()
def calibrate(net: ByteNet, sequences: list[Tensor]) -> None:
    """Sets every step so that what sequences show fits into a byte."""
    every = [m for m in net.modules() if isinstance(m, Bytes)]
    for m in every:
        m.seen = []
    for pictures in sequences:
        Unrolled(net).to(pictures.device)(pictures)
    # The summands' steps are in one proportion: where the second needs more, the first gives way.
    first, second = net.headed.reach(), net.added.reach()
    share = (second / first).quantile(0.7)
    first = torch.maximum(first, second / share)
    steps = {net.headed: first, net.added: share, net.sum: (net.sum.reach() / first).max()}
    for m in every:
        m.log_step.copy_(steps.get(m, m.reach()).log2())
    for m in every:
        m.seen = None


def teaching(out: Tensor, taught: Tensor, degraded: Tensor, clean: Tensor) -> Tensor:
    """How far `out` is from the teacher's pictures and how much more it flickers, relative as in `loss_of`."""
    h = out.shape[2] * 2 // 3

    def flicker(error: Tensor) -> Tensor:
        return rounded(error)[:, :, :h].diff(dim=1).abs().mean((1, 2, 3))

    def charbonnier(d: Tensor, soft: float) -> Tensor:
        e = (d * d + soft * soft).sqrt() - soft
        return e[:, :, :h].mean((1, 2, 3)) + 0.25 * e[:, :, h:].mean((1, 2, 3))

    harm = degraded - clean
    restless = (flicker(out - clean) - flicker(taught - clean)).relu() / (flicker(harm) + 0.2)
    return (0.5 * charbonnier(out - taught, 0.5) / (charbonnier(harm, 2.0) + 2) + 0.3 * restless).mean()


class ByteTrainer(Trainer):
    """Trains a ByteNet, with the network it began from as teacher."""

    def __init__(self, net: ByteNet, teacher: Net, device: torch.device, rate: float, batches: Batches) -> None:
        eager = device.type != "cuda"
        super().__init__(net, device, rate, batches, eager, torch.float32)
        narrow = teacher.to(torch.float32 if eager else torch.float16).to(memory_format=torch.channels_last).requires_grad_(False)
        self.teacher = Unrolled(narrow, compiled=not eager).to(device)

    def loss(self, degraded: Tensor, clean: Tensor, free: int) -> Tensor:
        with torch.no_grad():
            taught = self.teacher(degraded, free)
        out, degraded, clean = self.run(degraded, free), degraded[:, free:], clean[:, free:]
        return loss_of(out, degraded, clean) + teaching(out, taught, degraded, clean)


def main() -> None:
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--pack", type=Path, required=True)
    a.add_argument("--out", type=Path, required=True, help="where bytes.pt is written")
    a.add_argument("--shipped", type=Path, default=SHIPPED)
    a.add_argument("--resume", type=Path, help="an earlier bytes.pt")
    a.add_argument("--seconds", type=float, default=550, help="compilation included")
    a.add_argument("--steps", type=int, default=10**9)
    a.add_argument("--every", type=float, default=60, help="seconds between measurements")
    a.add_argument("--rate", type=float, default=4e-4)
    a.add_argument("--batch", type=int, default=32)
    a.add_argument("--crop", type=int, default=160)
    a.add_argument("--pool", type=int, default=2048)
    a.add_argument("--workers", type=int, default=14)
    a.add_argument("--seed", type=int, default=0)
    o = a.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.benchmark = True
    torch.manual_seed(o.seed)
    gen = torch.Generator().manual_seed(o.seed)
    teacher = Net(LITE)
    teacher.load_state_dict(weights_of(o.shipped, teacher))
    net = ByteNet(teacher).to(device)
    batches = Batches(o.pack, o.pool, o.workers, device)
    validation = Validation(o.pack, device)
    while batches.made < min(o.pool, 256):
        time.sleep(0.1)
    if o.resume:
        net.load_state_dict(torch.load(o.resume, map_location=device, weights_only=True)["ema"])
    else:
        calibrate(net, [batches(o.batch, 6, o.crop, gen, anywhere=False)[0] for _ in range(4)])
    print("shipped", validation(teacher.to(device)), flush=True)
    print("before training", validation(net, torch.float32), flush=True)
    trainer = ByteTrainer(net, teacher, device, o.rate, batches)
    o.out.mkdir(parents=True, exist_ok=True)
    started, curve, measured, done = time.time(), [], 0.0, 0.0
    while done < 1:
        trainer.step(o.batch, FRAMES, o.crop, done, gen)
        elapsed = time.time() - started
        done = max(elapsed / o.seconds, trainer.steps / o.steps)
        if done >= 1 or trainer.steps == 200 or elapsed - measured >= o.every:
            curve.append({"step": trainer.steps, "seconds": round(elapsed)} | validation(trainer.ema, torch.float32))
            measured = elapsed
            print(curve[-1], flush=True)
            path = o.out / "bytes.pt"
            torch.save({"ema": trainer.ema.state_dict(), "curve": curve}, path.with_suffix(".part"))
            path.with_suffix(".part").rename(path)
    batches.close()


if __name__ == "__main__":
    main()
