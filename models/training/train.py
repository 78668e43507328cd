"""GPU host: a pack -> a trained network. The learning rate follows a cosine that ends at --seconds.

    python train.py --pack PACK --out OUT --model base --seconds 1250
    python train.py --pack PACK --out OUT --model lite --resume ../lite/weights.onnx --rate 3e-4 --seconds 200

Sequences run as they are restored: state carried, cuts and missing frames in them, half the batches from a stream's
first frame, the others with gradients only through their last frames. Every minute: the averaged weights are written
and measured on the validation clips of the pack.
"""

from __future__ import annotations

import argparse
import copy
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from batches import Batches, picture
from degrade import mjpeg
from export import weights_of
from net import BASE, LITE, Analysis, Config, Net, Synthesis
from sequences import decode, planes

MODELS = {"lite": LITE, "base": BASE}
FREE = 10  # frames that only bring the state to where it is in a running stream
PHASES = [(0.45, 5), (0.8, 8), (1.0, 12)]  # until this part of the run: frames with gradient


@contextmanager
def single() -> Iterator[None]:
    """Convolutions in full single precision, whatever the rest of training uses."""
    before, torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.allow_tf32, False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


class Unrolled(torch.nn.Module):
    """Runs the network over I420 sequences [n,t,3H/2,W] as a stream would, from no state; float out, 8-bit steps."""

    def __init__(self, net: Net, compiled: bool = False) -> None:
        super().__init__()
        self.net, self.analysis, self.synthesis = net, Analysis(), Synthesis()
        self.step = torch.compile(net, dynamic=False) if compiled else net

    def forward(self, pictures: Tensor, free: int = 0) -> Tensor:
        """The first `free` frames only bring the state up, the last ones may be lookahead; neither is in the output."""
        n, t, rows, w = pictures.shape
        c = self.net.config
        with single():
            x = self.analysis(pictures.transpose(0, 1).reshape(t * n, 1, rows, w)).contiguous(memory_format=torch.channels_last)
        state = x.new_zeros(n, c.state, *x.shape[2:]).contiguous(memory_format=torch.channels_last) if c.state else None
        x = [*[x[:n].clone() for _ in range(c.past)], *x.split(n)]  # the first frame stands for those before it

        changes = []
        with torch.no_grad():
            for i in range(free):
                _, state = self.step(x[i : i + c.window], state)
        if torch.is_grad_enabled() and state is not None:
            state.requires_grad_()  # as the later ones do, for the compiler
        for i in range(free, t - c.future):
            change, state = self.step(x[i : i + c.window], state)
            changes.append(change)
        with single():
            restored = self.synthesis(torch.stack(changes, 1).flatten(0, 1)).unflatten(0, (n, len(changes)))
        return pictures[:, free : t - c.future] + restored.reshape(n, len(changes), rows, w)


def loss_of(out: Tensor, degraded: Tensor, clean: Tensor) -> Tensor:
    """Charbonnier (luma 1, chroma 1/4) plus 1/4 of it on frame-to-frame changes, plus 0.2 of luma's logarithmic error, plus
    what luma flickers more than 92 % of what its input does, rounded as it will be. Each sequence counts relative to
    its own degradation, as decibels do, so that heavy noise does not drown light artefacts."""
    h = out.shape[2] * 2 // 3

    def charbonnier(d: Tensor, soft: float) -> Tensor:
        e = (d * d + soft * soft).sqrt() - soft
        return e[:, :, :h].mean((1, 2, 3)) + 0.25 * e[:, :, h:].mean((1, 2, 3))

    def logarithmic(d: Tensor) -> Tensor:
        return (d[:, :, :h].square().mean((2, 3)) + 1).log().mean(1)

    def flicker(error: Tensor) -> Tensor:
        return (error[:, 1:, :h] - error[:, :-1, :h]).abs().mean((1, 2, 3))

    error, harm = out - clean, degraded - clean
    rounded = error + (error.round() - error).detach()
    restless = (flicker(rounded) - 0.92 * flicker(harm)).relu() / (flicker(harm) + 0.2)
    steps = charbonnier(error, 2.0) + 0.25 * charbonnier(error[:, 1:] - error[:, :-1], 0.5)
    scale = 1 / (charbonnier(harm, 2.0) + 2)
    return (scale * steps + 0.2 * (logarithmic(error) - logarithmic(harm)) + 0.2 * restless).mean()


class Trainer:
    """A network, its narrow copy that does the arithmetic, its average, and its optimizer."""

    def __init__(self, net: Net, device: torch.device, rate: float, batches: Batches, eager: bool, dtype: torch.dtype = torch.bfloat16) -> None:
        self.device, self.batches, self.eager = device, batches, eager
        self.net = net.to(device)
        self.ema = copy.deepcopy(self.net).requires_grad_(False)
        narrow = dtype if device.type == "cuda" else torch.float32
        self.narrow = copy.deepcopy(self.net).to(narrow).to(memory_format=torch.channels_last)
        self.run = Unrolled(self.narrow, compiled=not eager).to(device)
        self.parameters = list(self.net.parameters())
        for p in self.parameters:
            p.grad = torch.zeros_like(p)
        self.rate = rate
        self.optimizer = torch.optim.AdamW(self.parameters, lr=rate, weight_decay=1e-4, betas=(0.9, 0.99), fused=device.type == "cuda")
        self.recorded: dict[tuple[int, ...], tuple] = {}
        self.steps = 0

    def _gradients(self, degraded: Tensor, clean: Tensor, loss: Tensor, free: int) -> None:
        with torch.no_grad():
            torch._foreach_copy_(list(self.narrow.parameters()), self.parameters)
        value = self.loss(degraded, clean, free)
        gradients = torch.autograd.grad(value, list(self.narrow.parameters()))
        with torch.no_grad():
            torch._foreach_copy_([p.grad for p in self.parameters], list(gradients))
            loss.copy_(value)

    def loss(self, degraded: Tensor, clean: Tensor, free: int) -> Tensor:
        """Of the frames past the first `free`."""
        of = slice(free, degraded.shape[1] - self.net.config.future)
        return loss_of(self.run(degraded, free), degraded[:, of], clean[:, of])

    def _record(self, shape: tuple[int, ...], free: int) -> tuple:
        """The work of one batch shape; on a GPU as a CUDA graph, since launching its thousands of kernels takes longer."""
        degraded, clean, loss = torch.zeros(shape, device=self.device), torch.zeros(shape, device=self.device), torch.zeros((), device=self.device)

        def work() -> None:
            with torch.enable_grad():
                self._gradients(degraded, clean, loss, free)

        if self.eager:
            return degraded, clean, loss, work
        began, side = time.time(), torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                work()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with self.batches.paused:
            torch.cuda.synchronize()
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                work()
        print(f"recorded {shape}, {free} free, in {time.time() - began:.0f} s", flush=True)
        return degraded, clean, loss, graph.replay

    def step(self, n: int, frames: int, crop: int, done: float, gen: torch.Generator) -> Tensor:
        """One batch and one step of the optimizer, at `done` (0..1) of the run; the loss, on the device."""
        free = FREE if self.steps % 2 else 0
        pictures = self.batches(n, free + frames + self.net.config.future, crop, gen, anywhere=free > 0)
        key = (*pictures[0].shape, free)
        if key not in self.recorded:
            self.recorded[key] = self._record(tuple(pictures[0].shape), free)
        degraded, clean, loss, work = self.recorded[key]
        degraded.copy_(pictures[0])
        clean.copy_(pictures[1])
        work()
        torch.nn.utils.clip_grad_norm_(self.parameters, 0.5)
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate * min(1, (self.steps + 1) / 300) * (0.5 + 0.5 * math.cos(math.pi * done)) + 1e-6
        self.optimizer.step()
        self.steps += 1
        decay = min(0.999, self.steps / (self.steps + 20))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.ema.parameters()), self.parameters, 1 - decay)
        return loss


class Validation:
    """The pack's validation clips under the reporting conditions, measured as the cards are, on luma."""

    def __init__(self, pack: Path, device: torch.device) -> None:
        self.clips = []
        gen = torch.Generator(device).manual_seed(0)
        for file in sorted((pack / "validation").glob("*.mp4")):
            clean = torch.from_numpy(decode(file, 13)).to(device).float()
            h, w = clean.shape[1] * 2 // 3 // 16 * 16, clean.shape[2] // 16 * 16
            y, uv = (p[None] for p in planes(clean))
            crop = lambda y, uv: picture(y[..., :h, :w], uv[..., : h // 2, : w // 2])  # noqa: E731
            seen = {"clean": crop(y, uv), "mjpeg": picture(*mjpeg(y[..., :h, :w], uv[..., : h // 2, : w // 2], torch.full((1,), 14.0, device=device)))}
            noisy = lambda p: (p + 11.5 * torch.randn(p.shape, device=device, generator=gen)).round().clamp(0, 255)  # noqa: E731
            seen["noise"] = crop(noisy(y), noisy(uv))
            for condition in ("lowrate", "night"):
                coded = torch.from_numpy(decode(pack / "validation" / f"{file.stem}.{condition}.mkv", 13)).to(device).float()
                seen[condition] = crop(*(p[None] for p in planes(coded)))
            self.clips.append(seen)

    @torch.no_grad()
    def __call__(self, net: Net, dtype: torch.dtype = torch.float16) -> dict[str, float]:
        """Mean and worst gain in dB (for clean, PSNR to itself), mean flicker, and how many clips flicker more."""
        run = Unrolled(copy.deepcopy(net).to(dtype if net.head.weight.is_cuda else torch.float32)).to(net.head.weight.device)
        of: dict[str, list[tuple[float, ...]]] = {}
        for seen in self.clips:
            clean = seen["clean"][:, :12]
            h = clean.shape[2] * 2 // 3

            def psnr(p: Tensor) -> float:
                return (10 * (255**2 / ((p - clean)[:, :, :h].square().mean((2, 3)) + 0.065)).log10()).mean().item()

            def flicker(p: Tensor) -> float:
                return (p - clean)[:, :, :h].diff(dim=1).abs().mean().item()

            for condition, degraded in seen.items():
                out = run(degraded[:, : 12 + net.config.future]).round().clamp(0, 255)
                degraded = degraded[:, :12]
                gain = psnr(out) - (0 if condition == "clean" else psnr(degraded))
                of.setdefault(condition, []).append((gain, float(flicker(out) > flicker(degraded)), flicker(out)))
        result = {}
        for condition, values in of.items():
            gains, restless, unrest = zip(*values)
            result |= {condition: sum(gains) / len(gains), f"{condition} worst": min(gains), f"{condition} restless": sum(restless), f"{condition} flicker": sum(unrest) / len(unrest)}
        return {k: round(v, 3) for k, v in result.items() if k != "clean restless"}


def save(path: Path, ema: Net, curve: list[dict]) -> None:
    """Writes the averaged weights, the configuration and the learning curve so far, never half."""
    torch.save({"ema": ema.state_dict(), "config": asdict(ema.config), "curve": curve}, path.with_suffix(".part"))
    path.with_suffix(".part").rename(path)


def main() -> None:
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--pack", type=Path, required=True)
    a.add_argument("--out", type=Path, required=True)
    a.add_argument("--model", choices=MODELS, default="base")
    a.add_argument("--resume", type=Path, help="a checkpoint of train.py, or a shipped weights.onnx")
    a.add_argument("--begin", type=float, default=0, help="part of the run that is already done (0..1), with --resume")
    a.add_argument("--seconds", type=float, default=600, help="from the first step on")
    a.add_argument("--steps", type=int, default=10**9)
    a.add_argument("--every", type=float, default=60, help="seconds between measurements")
    a.add_argument("--rate", type=float, default=6e-4)
    a.add_argument("--batch", type=int, default=32)
    a.add_argument("--crop", type=int, default=160)
    a.add_argument("--pool", type=int, default=3072, help="sequences kept on the device, 9.4 MB each")
    a.add_argument("--workers", type=int, default=14)
    a.add_argument("--seed", type=int, default=0)
    a.add_argument("--eager", action="store_true", help="neither compile nor record CUDA graphs")
    o = a.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark = False, True
    began = time.time()
    torch.manual_seed(o.seed)
    gen = torch.Generator().manual_seed(o.seed)
    net = Net(MODELS[o.model])
    if o.resume and o.resume.suffix == ".onnx":
        net.load_state_dict(weights_of(o.resume, net))
    elif o.resume:
        saved = torch.load(o.resume, map_location="cpu", weights_only=True)
        net = Net(Config(**saved["config"]))
        net.load_state_dict(saved["ema"])
    batches = Batches(o.pack, o.pool, o.workers, device)
    validation = Validation(o.pack, device)
    trainer = Trainer(net, device, o.rate, batches, o.eager or device.type != "cuda")
    while batches.made < min(o.pool, 256):
        time.sleep(0.1)
    print(f"{o.model}: {net.config}, {batches.made} sequences made after {time.time() - began:.0f} s", flush=True)
    o.out.mkdir(parents=True, exist_ok=True)
    started, curve, measured, spent = time.time(), [], 0.0, 0.0
    while True:
        elapsed = time.time() - started
        done = o.begin + (1 - o.begin) * max(elapsed / o.seconds, trainer.steps / o.steps)
        if done >= 1:
            break
        frames = next(frames for until, frames in PHASES if done < until)
        loss = trainer.step(o.batch, frames, o.crop, done, gen)
        if trainer.steps in (20, 200) or elapsed - measured >= o.every:
            line = {"step": trainer.steps, "seconds": round(elapsed), "sequences": batches.made, "loss": round(loss.item(), 4)}
            before = time.time()
            curve.append(line | validation(trainer.ema))
            measured, spent = elapsed, spent + time.time() - before
            print(o.model, curve[-1], f"{spent:.0f} s measuring", flush=True)
            save(o.out / f"{o.model}.pt", trainer.ema, curve)
    curve.append({"step": trainer.steps, "seconds": round(time.time() - started)} | validation(trainer.ema))
    save(o.out / f"{o.model}.pt", trainer.ema, curve)
    batches.close()
    print(o.model, "end", curve[-1], flush=True)


if __name__ == "__main__":
    main()
