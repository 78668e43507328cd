"""What training sees: a pool of sequences on the device that worker processes keep renewing, and batches out of it.

A pool entry is a clean sequence and what an H.264 camera makes of it by day (constant QP) and at night (sensor noise,
then CRF). MJPEG, uncoded noise and sharpening are made on the device, batch by batch. H.265 comes from the pack.
"""

from __future__ import annotations

import json
import multiprocessing
import queue
import tempfile
import threading
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from degrade import mjpeg, optics, sensor_noise
from sequences import LENGTH, SIZE, clean_sequence, decode, i420, planes
from x264 import Camera

PRESETS = ["veryfast", "veryfast", "superfast", "ultrafast"]
FIRST_SEED = 10_000_000  # the pack's own seeds are far below
SLOTS = 64  # sequences on their way from the workers to the device
SHARES = {"day": 9, "night": 9, "hevc": 3, "clean": 2, "mjpeg": 4, "noise": 5}  # of a batch of 32


def picture(y: Tensor, uv: Tensor) -> Tensor:
    """Planes [n,t,H,W] and [n,t,2,H/2,W/2] -> I420 [n,t,3H/2,W]."""
    n, t, h, w = y.shape
    return torch.cat([y, uv.reshape(n, t, h // 2, w)], 2)


def camera_sequence(seed: int, pack: Path, camera: Camera) -> np.ndarray:
    """Clean, coded by day, coded at night: uint8 I420 [3, LENGTH, 3*SIZE/2, SIZE]."""
    clean = clean_sequence(seed, pack)
    rng, gen = np.random.default_rng([seed, 2]), torch.Generator().manual_seed(seed)
    y, uv = (torch.from_numpy(p.astype(np.float32))[None] for p in planes(clean))
    if rng.random() < 0.3:  # a camera's own sharpening belongs to the picture
        y = optics(y, gen)
        clean = i420(y[0].numpy(), uv[0].numpy())
    preset = PRESETS[rng.integers(len(PRESETS))]
    day = camera(clean, preset, qp=int(rng.triangular(27, 37, 43)))
    y, uv = sensor_noise(y, uv, gen, 4.0, 17.0)
    night = camera(i420(y[0].numpy(), uv[0].numpy()), preset, crf=float(rng.triangular(27, 33, 39)))
    return np.stack([clean, day, night])


def _work(pack: Path, file: str, seeds: range, free, ready) -> None:
    shared = np.memmap(file, np.uint8, "r+", shape=(SLOTS, 3, LENGTH, SIZE * 3 // 2, SIZE))
    camera = Camera(pack)
    for seed in seeds:
        made = camera_sequence(seed, pack, camera)
        slot = free.get()
        shared[slot] = made
        ready.put(slot)


def _from_pack(job: tuple[int, str, Path]) -> np.ndarray:
    seed, file, pack = job
    return np.stack([clean_sequence(seed, pack), decode(pack / "codec" / file, LENGTH)])


class Batches:
    """Sequences on `device` as uint8, `size` of them renewed oldest first while this is open."""

    def __init__(self, pack: Path, size: int, workers: int, device: torch.device) -> None:
        self.device, self.made = device, 0
        self.pool = torch.zeros(size, 3, LENGTH, SIZE * 3 // 2, SIZE, dtype=torch.uint8, device=device)
        self.paused = threading.Lock()  # hold it where nothing else may touch the device
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, context) as pool:
            jobs = [(line["seed"], line["file"], pack) for line in json.loads((pack / "index.json").read_text())]
            self.hevc = torch.from_numpy(np.stack(list(pool.map(_from_pack, jobs)))).to(device)
        self._file = tempfile.NamedTemporaryFile(prefix="sequences-")
        self._shared = np.memmap(self._file.name, np.uint8, "w+", shape=(SLOTS, *self.pool.shape[1:]))
        self._free, self._ready = context.Queue(), context.Queue()
        for slot in range(SLOTS):
            self._free.put(slot)
        for i in range(workers):
            seeds = range(FIRST_SEED + i, 2 * FIRST_SEED, workers)
            context.Process(target=_work, args=(pack, self._file.name, seeds, self._free, self._ready), daemon=True).start()
        self._closed = False
        self._feeder = threading.Thread(target=self._feed, daemon=True)
        self._feeder.start()

    def _feed(self) -> None:
        stream = torch.cuda.Stream() if self.device.type == "cuda" else None
        while not self._closed:
            try:
                slot = self._ready.get(timeout=1)
            except queue.Empty:
                continue
            with self.paused, torch.cuda.stream(stream):  # a sequence being read meanwhile is, rarely, half of each
                self.pool[self.made % len(self.pool)].copy_(torch.from_numpy(self._shared[slot]))
                if stream:
                    stream.synchronize()
            self.made += 1
            self._free.put(slot)

    def close(self) -> None:
        """Stops the feeder; the workers end with the process."""
        self._closed = True
        self._feeder.join()

    def __call__(self, n: int, frames: int, crop: int, gen: torch.Generator, anywhere: bool) -> tuple[Tensor, Tensor]:
        """Degraded and clean float I420 in 8-bit steps, [n, frames, 3*crop/2, crop]; from a sequence's first frame, or from
        `anywhere` in it, a quarter of them then with frames missing."""

        def draw(limit: int, k: int = 1) -> list[int]:
            return torch.randint(limit, (k,), generator=gen).tolist()

        counts = {kind: round(n * share / 32) for kind, share in SHARES.items()}
        counts["noise"] = n - sum(counts.values()) + counts["noise"]
        filled = min(self.made, len(self.pool))
        pairs = [(self.pool[i, 1], self.pool[i, 0]) for i in draw(filled, counts["day"])]
        pairs += [(self.pool[i, 2], self.pool[i, 0]) for i in draw(filled, counts["night"])]
        pairs += [(self.hevc[i, 1], self.hevc[i, 0]) for i in draw(len(self.hevc), counts["hevc"])]
        coded = len(pairs)
        pairs += [(self.pool[i, 0],) * 2 for i in draw(filled, n - coded)]
        cut: tuple[list[Tensor], ...] = ([], [], [], [])
        for degraded, clean in pairs:
            spare = LENGTH - frames
            first = draw(spare + 1)[0] if anywhere else 0
            times: slice | list[int] = slice(first, first + frames)
            if anywhere and draw(4)[0] == 0:
                times = sorted(torch.randperm(LENGTH, generator=gen)[:frames].tolist())
            y, x = (8 * v for v in draw((SIZE - crop) // 8 + 1, 2))
            for k, part in enumerate((degraded, clean)):
                luma, chroma = planes(part[times])
                cut[2 * k].append(luma[:, y : y + crop, x : x + crop])
                cut[2 * k + 1].append(chroma[..., y // 2 : (y + crop) // 2, x // 2 : (x + crop) // 2])
        flip = [-1] if draw(2)[0] else []
        dy, duv, y, uv = (torch.stack(part).float().flip(flip) for part in cut)
        sharp = slice(coded, n, 3)
        y[sharp] = optics(y[sharp])
        dy[sharp] = y[sharp]
        clean_end = coded + counts["clean"]
        mjpeg_end = clean_end + counts["mjpeg"]
        noisy = slice(mjpeg_end - counts["mjpeg"] // 4, n)
        dy[noisy], duv[noisy] = sensor_noise(dy[noisy], duv[noisy])
        jpeg = slice(clean_end, mjpeg_end)
        q = torch.tensor([3.0 + v for v in draw(19, counts["mjpeg"])], device=self.device)
        dy[jpeg], duv[jpeg] = mjpeg(dy[jpeg], duv[jpeg], q)
        degraded, clean = picture(dy, duv), picture(y, uv)
        for i in range(0, n, 7):  # a scene cut without a reset: the rest of the sequence is another's
            at, other = 1 + draw(frames - 1)[0], draw(n)[0]
            degraded[i, at:], clean[i, at:] = degraded[other, at:].clone(), clean[other, at:].clone()
        return degraded, clean
