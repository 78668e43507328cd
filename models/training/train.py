"""GPU host: a pack -> a trained lite network. Resumable; the learning rate follows a cosine that ends at --seconds.

    python train.py --pack .packs/b --out OUT --seconds 400 [--resume lite.pt] [--past 1 --hidden 8 --no-fuse]

Batches mix what a camera can send: coded sequences from the pack; uncoded sensor noise and MJPEG, made on the fly; and
clean pictures that must stay as they are. Sequences run as they are restored: state carried, cuts and skipped frames in
them, in half the batches from a stream's first frame, with gradients only through the last frames.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from degrade import mjpeg, optics, sensor_noise
from net import Analysis, Config, Lite, Synthesis
from sequences import LENGTH, SIZE, clean_sequence, decode, planes

HELD_OUT = 64  # coded sequences at the end of the pack that are never trained on


def _load_one(job: tuple[int, str | None, Path]) -> tuple[np.ndarray, np.ndarray | None]:
    seed, file, pack = job
    return clean_sequence(seed, pack), decode(pack / "codec" / file, LENGTH) if file else None


class Data:
    """Every sequence of a pack on the device as uint8: `coded` pairs with the first of `clean`; the rest of `clean`
    is only ever degraded on the fly."""

    def __init__(self, pack: Path, extra: int, workers: int, device: torch.device) -> None:
        index = json.loads((pack / "index.json").read_text())
        first = index[-1]["seed"] + 1
        jobs = [(line["seed"], line["file"], pack) for line in index] + [(first + i, None, pack) for i in range(extra)]
        with ProcessPoolExecutor(workers) as pool:
            loaded = list(pool.map(_load_one, jobs, chunksize=4))
        frames = torch.from_numpy(np.stack([d for _, d in loaded if d is not None] + [c for c, _ in loaded])).to(device)
        self.coded, self.clean, self.extra = frames.split([len(index), len(index), len(frames) - 2 * len(index)])
        self.kinds = ["noisy codec" if line["noisy"] else line["file"].split(".")[1] for line in index]
        self.device = device

    def batch(self, n: int, frames: int, crop: int, gen: torch.Generator, start: int | None = None) -> tuple[Tensor, Tensor]:
        """Degraded and clean float I420 in 8-bit steps: [n, frames, 3*crop/2, crop]; from frame `start`, else anywhere."""

        def draw(limit: int, k: int = 1) -> list[int]:
            return torch.randint(limit, (k,), generator=gen).tolist()

        n_coded, n_clean, n_mjpeg = round(n * 0.5), round(n * 0.1), round(n * 0.2)
        train = len(self.coded) - HELD_OUT
        pairs = [(self.coded[i], self.clean[i]) for i in draw(train, n_coded)]
        pairs += [(self.extra[i],) * 2 for i in draw(len(self.extra), n - n_coded)]
        step = 2 if start is None and frames * 2 <= LENGTH and draw(8)[0] == 0 else 1
        span = (frames - 1) * step + 1
        cut: tuple[list[Tensor], ...] = ([], [], [], [])
        for degraded, clean in pairs:
            t = draw(LENGTH - span + 1)[0] if start is None else start
            y, x = (8 * v for v in draw((SIZE - crop) // 8 + 1, 2))
            for k, part in enumerate((degraded, clean)):
                luma, chroma = planes(part[t : t + span : step])
                cut[2 * k].append(luma[:, y : y + crop, x : x + crop])
                cut[2 * k + 1].append(chroma[..., y // 2 : (y + crop) // 2, x // 2 : (x + crop) // 2])
        flip = [-1] if draw(2)[0] else []
        dy, duv, y, uv = (torch.stack(part).float().flip(flip) for part in cut)
        sharp = slice(n_coded, n, 3)  # a camera's own sharpening belongs to the picture
        y[sharp] = optics(y[sharp])
        dy[sharp] = y[sharp]
        clean_end, mjpeg_end = n_coded + n_clean, n_coded + n_clean + n_mjpeg
        noisy = slice(mjpeg_end - n_mjpeg // 4, n)
        dy[noisy], duv[noisy] = sensor_noise(dy[noisy], duv[noisy])
        camera = slice(clean_end, mjpeg_end)
        q = torch.tensor([3.0 + v for v in draw(19, n_mjpeg)], device=self.device)
        dy[camera], duv[camera] = mjpeg(dy[camera], duv[camera], q)
        degraded, clean = picture(dy, duv), picture(y, uv)
        for i in range(0, n, 7):  # a scene cut without a reset: the rest of the sequence is another's
            at, other = 1 + draw(frames - 1)[0], draw(n)[0]
            degraded[i, at:], clean[i, at:] = degraded[other, at:].clone(), clean[other, at:].clone()
        return degraded, clean


def picture(y: Tensor, uv: Tensor) -> Tensor:
    """Planes [n,t,H,W] and [n,t,2,H/2,W/2] -> I420 [n,t,3H/2,W]."""
    n, t, h, w = y.shape
    return torch.cat([y, uv.reshape(n, t, h // 2, w)], 2)


class Unrolled(torch.nn.Module):
    """Runs the network over I420 sequences [n,t,3H/2,W] as a stream would, from no state; float out, 8-bit steps."""

    def __init__(self, net: Lite) -> None:
        super().__init__()
        self.net, self.analysis, self.synthesis = net, Analysis(), Synthesis()

    def forward(self, pictures: Tensor, half: bool = False, free: int = 0) -> Tensor:
        """The first `free` frames only bring the state to where it is in a running stream; they are not in the output."""
        n, t, rows, w = pictures.shape
        c = self.net.config
        x = self.analysis(pictures.reshape(n * t, 1, rows, w)).unflatten(0, (n, t))
        state = x.new_zeros(n, c.state, *x.shape[-2:]) if c.state else None

        def window(i: int) -> list[Tensor]:
            return [x[:, max(0, i - k)] for k in range(c.past, -1, -1)]

        changes = []
        with torch.no_grad(), torch.autocast(pictures.device.type, torch.bfloat16, enabled=half):
            for i in range(free):
                _, state = self.net(window(i), state)
        with torch.autocast(pictures.device.type, torch.bfloat16, enabled=half):
            for i in range(free, t):
                change, state = self.net(window(i), state)
                changes.append(change)
        restored = self.synthesis(torch.stack(changes, 1).flatten(0, 1)).unflatten(0, (n, t - free))
        return pictures[:, free:] + restored.reshape(n, t - free, rows, w)


def loss_of(out: Tensor, degraded: Tensor, clean: Tensor) -> Tensor:
    """Charbonnier (luma 1, chroma 1/4) plus 1/4 of the same on frame-to-frame changes, plus 0.1 of luma's logarithmic
    error. Each sequence counts relative to its own degradation, as decibels do, so that heavy noise does not drown
    light artefacts."""

    def charbonnier(d: Tensor) -> Tensor:
        e, h = (d * d + 4).sqrt() - 2, d.shape[2] * 2 // 3
        return e[:, :, :h].mean((1, 2, 3)) + 0.25 * e[:, :, h:].mean((1, 2, 3))

    def logarithmic(d: Tensor) -> Tensor:
        return (d[:, :, : d.shape[2] * 2 // 3].square().mean((2, 3)) + 1).log().mean(1)

    scale = 1 / (charbonnier(degraded - clean) + 2)
    error = out - clean
    steps = charbonnier(error) + 0.25 * charbonnier(error[:, 1:] - error[:, :-1])
    return (scale * steps + 0.1 * (logarithmic(error) - logarithmic(degraded - clean))).mean()


def psnr(a: Tensor, b: Tensor) -> Tensor:
    """Luma PSNR per sequence, mean over frames."""
    h = a.shape[2] * 2 // 3
    mse = (a[:, :, :h] - b[:, :, :h]).square().mean((2, 3)) + 0.01
    return (10 * (255**2 / mse).log10()).mean(1)


@torch.no_grad()
def held_out(net: Lite, data: Data) -> dict[str, float]:
    """Mean gain in dB on the held-out sequences, by kind; for clean, the PSNR to itself."""
    run = Unrolled(net).to(data.device)
    clean, coded = data.clean[-HELD_OUT:].float(), data.coded[-HELD_OUT:].float()
    seeded = torch.Generator(data.device).manual_seed(0)
    noisy = (clean + 11.5 * torch.randn(clean.shape, device=data.device, generator=seeded)).round().clamp(0, 255)
    jpeg = picture(*mjpeg(*planes(clean), torch.full((len(clean),), 14.0, device=data.device)))

    def gain(degraded: Tensor) -> Tensor:
        return psnr(run(degraded).clamp(0, 255), clean) - psnr(degraded, clean)

    of, kinds = gain(coded), data.kinds[-HELD_OUT:]
    result = {k: of[[i for i, s in enumerate(kinds) if s == k]].mean().item() for k in sorted(set(kinds))}
    for name, degraded in {"mjpeg": jpeg, "noise": noisy}.items():
        of = gain(degraded)
        result |= {name: of.mean().item(), f"{name} worst": of.min().item()}
    result["clean"] = psnr(run(clean), clean).mean().item()
    return result


def main() -> None:
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--pack", type=Path, required=True)
    a.add_argument("--out", type=Path, required=True)
    a.add_argument("--name", default="lite")
    a.add_argument("--resume", type=Path)
    a.add_argument("--seconds", type=float, default=400, help="of wall clock, loading included")
    a.add_argument("--steps", type=int, default=10**9, help="stop here instead, for a run that repeats exactly")
    a.add_argument("--batch", type=int, default=32)
    a.add_argument("--crop", type=int, default=160)
    a.add_argument("--frames", type=int, default=8)
    a.add_argument("--long", type=int, default=14, help="frames in the last third")
    a.add_argument("--rate", type=float, default=2e-3)
    a.add_argument("--extra", type=int, default=512)
    a.add_argument("--workers", type=int, default=14)
    a.add_argument("--seed", type=int, default=0)
    for field, value in asdict(Config()).items():
        if isinstance(value, bool):
            a.add_argument(f"--{field}", action=argparse.BooleanOptionalAction, default=value)
        else:
            a.add_argument(f"--{field}", type=int, default=value)
    o = a.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32 = True, False
    began = time.time()
    torch.manual_seed(o.seed)
    gen = torch.Generator().manual_seed(o.seed)
    config = Config(**{f: getattr(o, f) for f in asdict(Config())})
    net = Lite(config)
    if o.resume:
        saved = torch.load(o.resume, map_location="cpu", weights_only=True)
        net = Lite(Config(**saved["config"]))
        net.load_state_dict(saved["ema"])
    net = net.to(device, memory_format=torch.channels_last)
    run = Unrolled(net).to(device)
    ema = copy.deepcopy(net).requires_grad_(False)
    data = Data(o.pack, o.extra, o.workers, device)
    print(f"{o.name}: {net.config}, {len(data.coded)} coded sequences, loaded in {time.time() - began:.0f} s", flush=True)
    optimizer = torch.optim.AdamW(net.parameters(), lr=o.rate, weight_decay=1e-4, betas=(0.9, 0.99), fused=device.type == "cuda")
    o.out.mkdir(parents=True, exist_ok=True)
    started, step, curve, shown = time.time(), 0, [], 0.0
    while True:
        done = max((time.time() - started) / (began + o.seconds - started), step / o.steps)
        if done >= 1:
            break
        rate = o.rate * min(1, (step + 1) / 200) * (0.5 + 0.5 * math.cos(math.pi * done)) + 1e-6
        for group in optimizer.param_groups:
            group["lr"] = rate
        long = done > 0.66
        frames, start, free = o.long if long else o.frames, None, 0
        if step % 2:
            start, free = 0, int(torch.randint(LENGTH - frames + 1, (1,), generator=gen))
        degraded, clean = data.batch(o.batch // 2 if long else o.batch, free + frames, o.crop, gen, start)
        loss = loss_of(run(degraded, device.type == "cuda", free), degraded[:, free:], clean[:, free:])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 0.5)
        optimizer.step()
        decay = min(0.999, (step + 1) / (step + 20))
        with torch.no_grad():
            torch._foreach_lerp_(list(ema.parameters()), list(net.parameters()), 1 - decay)
        step += 1
        if done - shown >= 0.1 or step == 200:
            shown = done if step != 200 else shown
            line = {"step": step, "seconds": round(time.time() - started), "loss": round(loss.item(), 4)}
            line |= {k: round(v, 2) for k, v in held_out(ema, data).items()}
            curve.append(line)
            print(o.name, line, flush=True)
            if done > 0.35:
                save(o.out / f"{o.name}.{round(10 * done)}.pt", ema, curve)
    curve.append({"step": step, "seconds": round(time.time() - started)} | {k: round(v, 2) for k, v in held_out(ema, data).items()})
    save(o.out / f"{o.name}.pt", ema, curve)
    print(o.name, "end", curve[-1], flush=True)


def save(path: Path, ema: Lite, curve: list[dict]) -> None:
    """Writes the averaged weights, the configuration and the learning curve so far."""
    torch.save({"ema": ema.state_dict(), "config": asdict(ema.config), "curve": curve}, path)


if __name__ == "__main__":
    main()
