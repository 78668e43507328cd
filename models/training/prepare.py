"""CPU host: sources + seeds -> a pack that travels: the sources as they are, libx264 for the H.264 that the GPU host
makes while it trains, H.265 versions as real bitstreams, and some validation clips to draw learning curves on.

    python prepare.py --data /work/shared/data/train --validation /work/shared/data/validation/clips --pack ../../.packs/c
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch

import x264
from evaluate import DEGRADE
from degrade import sensor_noise
from sequences import SIZE, clean_sequence, i420, planes


def encode(seed: int, pack: Path) -> dict:
    """Writes the H.265 version of a seed's sequence; returns its line of the index."""
    frames = clean_sequence(seed, pack)
    rng, gen = np.random.default_rng([seed, 1]), torch.Generator().manual_seed(seed)
    rate, noisy = int(rng.triangular(28, 34, 40)), bool(rng.random() < 0.5)
    if noisy:
        y, uv = (torch.from_numpy(p.astype(np.float32))[None] for p in planes(frames))
        y, uv = sensor_noise(y, uv, gen, 4.0, 17.0)
        frames = i420(y[0].numpy(), uv[0].numpy())
    file = f"{seed}.hevc.mkv"
    command = ["ffmpeg", "-v", "error", "-y", "-threads", "1", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", f"{SIZE}x{SIZE}", "-r", "25"]
    command += ["-i", "-", "-c:v", "libx265", "-preset", "ultrafast", "-tune", "zerolatency"]
    command += ["-x265-params", f"crf={rate}:bframes=0:keyint=50:log-level=none:pools=none", str(pack / "codec" / file)]
    subprocess.run(command, input=frames.tobytes(), check=True)
    return {"seed": seed, "file": file, "noisy": noisy, "bytes": (pack / "codec" / file).stat().st_size}


def validate_on(clips: list[Path], frames: int, out: Path) -> None:
    """Puts clips and the H.264 versions of their first `frames` frames beside each other; noise and MJPEG are made there."""
    out.mkdir(exist_ok=True)
    for clip in clips:
        subprocess.run(["bash", DEGRADE, str(clip), str(out), str(frames)], check=True)
        shutil.copyfile(clip, out / clip.name)
        for condition in ("ref", "noise", "mjpeg"):
            (out / f"{clip.stem}.{condition}.mkv").unlink()


def main() -> None:
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("--data", type=Path, required=True)
    a.add_argument("--validation", type=Path, help="clean clips; every second one travels")
    a.add_argument("--pack", type=Path, required=True)
    a.add_argument("--seed", type=int, default=3)
    a.add_argument("--megabytes", type=float, default=6, help="coded bytes to stop at")
    a.add_argument("--limit", type=int, default=2000, help="coded sequences to stop at")
    a.add_argument("--workers", type=int, default=2)
    a.add_argument("--prefix", type=Path, default=Path("/usr"), help="where libx264-dev is installed")
    o = a.parse_args()
    for sub in ("clips", "stills", "codec"):
        (o.pack / sub).mkdir(parents=True, exist_ok=True)
        for file in (o.data / sub).glob("*") if sub != "codec" else []:
            shutil.copyfile(file, o.pack / sub / file.name)
    x264.build(o.pack, o.prefix)
    if o.validation:
        validate_on(sorted(c for c in o.validation.glob("*.mp4") if "_raw_" not in c.name)[::2], 13, o.pack / "validation")
    index, total, first = [], 0, o.seed * 1_000_000
    with ProcessPoolExecutor(o.workers) as pool:
        while total < o.megabytes * 1e6 and len(index) < o.limit:
            for line in pool.map(encode, range(first, first + 32), [o.pack] * 32):
                index.append(line)
                total += line["bytes"]
            first += 32
            print(f"{len(index)} sequences, {total / 1e6:.1f} MB", flush=True)
    (o.pack / "index.json").write_text(json.dumps(index))


if __name__ == "__main__":
    main()
