#!/usr/bin/env python3
"""Restores several video files at a time, with httpx and asyncio (Debian: python3-httpx).

    config/examples/restore_async.py one.mp4 two.mov three.mkv

Each result is written beside its original, as one-restored.mp4. CLEARWAY_URL (default http://127.0.0.1:8080);
CLEARWAY_TOKEN when auth is configured.
"""

import asyncio
import os
import sys
from pathlib import Path

import httpx

GATEWAY = os.environ.get("CLEARWAY_URL", "http://127.0.0.1:8080")
SETTINGS = {"target_resolution": "source", "denoise_strength": "0.8"}


async def check(answer: httpx.Response) -> httpx.Response:
    """Raises what the gateway says about an error (problem+json)."""
    if answer.is_error:
        await answer.aread()
        problem = answer.json()
        raise RuntimeError(f"{problem['code']}: {problem['detail']}")
    return answer


async def restore(client: httpx.AsyncClient, path: Path) -> Path:
    with path.open("rb") as file:
        answer = await check(await client.post("/restore/video", data=SETTINGS, files={"file": (path.name, file)}))
    job = answer.json()
    while job["state"] in ("queued", "running"):
        await asyncio.sleep(0.5)
        job = (await check(await client.get(job["urls"]["self"]))).json()
    # A job that failed answers with its error.
    async with client.stream("GET", job["urls"]["video"]) as video:
        await check(video)
        output = path.with_name(f"{path.stem}-restored.{job['settings']['container']}")
        with output.open("wb") as file:
            async for chunk in video.aiter_bytes():
                file.write(chunk)
    return output


async def main(paths: list[Path]) -> int:
    token = os.environ.get("CLEARWAY_TOKEN")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with httpx.AsyncClient(base_url=GATEWAY, headers=headers, timeout=60) as client:
        results = await asyncio.gather(*(restore(client, path) for path in paths), return_exceptions=True)
    for path, result in zip(paths, results):
        print(f"{path}: {result}", file=sys.stderr if isinstance(result, Exception) else sys.stdout)
    return 1 if any(isinstance(result, Exception) for result in results) else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main([Path(name) for name in sys.argv[1:]])))
