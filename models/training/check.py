"""Contract checks on the shipped graphs: exact at strength 0 and at reset, sizes, cuts, extremes, trails.

    python check.py --models .. --name base
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from evaluate import Restorer, session


def run_smoother(run, restored: np.ndarray, previous: np.ndarray, strength: float = 1.0, reset: float = 0.0) -> np.ndarray:
    feed = {"restored": restored[None, None], "previous": previous[None, None]}
    feed |= {"strength": np.array([strength], np.float32), "reset": np.array([reset], np.float32)}
    return run.run(None, feed)[0][0, 0]


def scene(h: int, w: int, count: int, seed: int, speed: float = 0.0, contrast: float = 40.0, noise: float = 0.0) -> np.ndarray:
    """A soft background with a box that moves over it: uint8 I420."""
    rng = np.random.default_rng(seed)
    yy, xx = np.mgrid[0:h, 0:w]
    ground = 110 + 30 * np.sin(xx / (17 + seed)) * np.cos(yy / 23)
    frames = []
    for t in range(count):
        y = ground.copy()
        left = int(w / 8 + speed * t)
        y[h // 3 : h // 3 + h // 4, left : left + w // 6] += contrast
        y = y + noise * rng.standard_normal((h, w))
        uv = 128 + noise * 0.5 * rng.standard_normal((h // 2, w))
        frames.append(np.concatenate([y, uv]).round().clip(0, 255).astype(np.uint8))
    return np.stack(frames)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / max(1e-9, ((a.astype(float) - b) ** 2).mean())))


def main() -> None:
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--models", type=Path, default=Path(".."))
    a.add_argument("--name", default="lite")
    o = a.parse_args()
    model, smoother = Restorer(o.models / o.name), session(o.models / "smoother" / "weights.onnx")
    rng = np.random.default_rng(0)
    for h, w in [(16, 16), (72, 104), (360, 640), (264, 1000)]:
        random = rng.integers(0, 256, (3, h * 3 // 2, w), dtype=np.uint8)
        restored = np.stack(model.clip(random, 0.0)[0])
        assert np.array_equal(restored, random[: len(restored)]), f"{o.name} at strength 0"
        assert np.array_equal(run_smoother(smoother, random[0], random[1], 0.0), random[0]), "smoother at strength 0"
        assert np.array_equal(run_smoother(smoother, random[0], random[1], 1.0, 1.0), random[0]), "smoother at reset"
    print("strength 0 and reset: exact at four sizes")
    if "half" in model.manifest:
        noisy = scene(96, 160, 8, 1, 2.0, noise=11.5)
        pairs = zip(model.clip(noisy)[0], Restorer(o.models / o.name, half=True).clip(noisy)[0])
        steps = max(int(np.abs(a.astype(int) - b).max()) for a, b in pairs)
        print(f"half precision: at most {steps} steps from single")
        assert steps <= 1
    for value in (16, 128, 235, 255):
        flat = np.full((20, 540, 640), 128, np.uint8)
        flat[:, :360] = value
        change = np.abs(np.stack(model.clip(flat)[0]).astype(int) - flat[0])[:, :360]
        print(f"flat luma {value}: changes by at most {change[:, 40:-40, 40:-40].max()}, at the picture's border {change.max()}")
    clean, noisy = scene(360, 640, 24, 1, 2.0), scene(360, 640, 24, 1, 2.0, noise=11.5)
    out = np.stack(model.clip(noisy)[0])
    print(f"synthetic, noise 11.5: {psnr(noisy[8:, :360], clean[8:, :360]):.2f} -> {psnr(out[8:, :360], clean[8 : len(out), :360]):.2f} dB")
    other, target = scene(360, 640, 12, 5, noise=11.5), scene(360, 640, 1, 5)[0]
    cut = model.clip(np.concatenate([noisy[:12], other]))[0][12]
    cold = model.clip(other)[0][0]
    print(f"first frame after a cut: {psnr(cut[:360], target[:360]):.2f} dB, cold start {psnr(cold[:360], target[:360]):.2f} dB")
    still = scene(360, 640, 24, 1, noise=0.6)
    steady = [still[0]]
    for frame in still[1:]:
        steady.append(run_smoother(smoother, frame, steady[-1]))
    unrest = [float(np.abs(np.diff(np.stack(f)[4:, :360].astype(float), axis=0)).mean()) for f in (still, steady)]
    print(f"still scene, noise 0.6: frame-to-frame change {unrest[0]:.2f} -> {unrest[1]:.2f}")
    for contrast in (40.0, 8.0, 3.0):
        moving = scene(360, 640, 24, 1, 6.0, contrast, 0.3)
        previous, worst = moving[0], 0.0
        for t in range(1, len(moving)):
            smoothed = run_smoother(smoother, moving[t], previous)
            left = int(80 + 6 * t)  # what the box uncovered in the last four frames
            area = np.s_[126:204, left - 24 : left]
            worst = max(worst, abs(float((smoothed[area].astype(float) - moving[t][area]).mean())))
            previous = smoothed
        print(f"trail behind a box of contrast {contrast:.0f}: at most {worst:.2f} steps")


if __name__ == "__main__":
    main()
