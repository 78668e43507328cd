#!/usr/bin/env python3
"""Restores a video file, with requests (Debian: python3-requests).

    config/examples/restore.py in.mp4 out.mp4 [--denoise-strength 0.8] [--target-resolution 1080p]

CLEARWAY_URL (default http://127.0.0.1:8080); CLEARWAY_TOKEN when auth is configured. The file goes up as a resumable
upload (tus 1.0): it is read from disk as it is sent, and goes on where it stopped when the network fails.
"""

import argparse
import base64
import os
import sys
import time

import requests

GATEWAY = os.environ.get("CLEARWAY_URL", "http://127.0.0.1:8080")
TUS = {"Tus-Resumable": "1.0.0"}
ATTEMPTS = 5


def ask(session: requests.Session, method: str, path: str, **options) -> requests.Response:
    """One request; an error is raised with what the gateway says about it."""
    answer = session.request(method, GATEWAY + path, timeout=60, **options)
    if answer.status_code >= 400:
        try:
            problem = answer.json()
        except ValueError:
            answer.raise_for_status()
            raise
        raise SystemExit(f"{problem['code']}: {problem['detail']}")
    return answer


def upload(session: requests.Session, path: str) -> str:
    """Sends a file; returns the id of the upload."""
    name = base64.b64encode(os.path.basename(path).encode()).decode()
    headers = {**TUS, "Upload-Length": str(os.path.getsize(path)), "Upload-Metadata": f"filename {name}"}
    where = ask(session, "POST", "/restore/uploads", headers=headers).headers["Location"]
    for attempt in range(ATTEMPTS):
        offset = int(ask(session, "HEAD", where, headers=TUS).headers["Upload-Offset"])
        with open(path, "rb") as file:
            file.seek(offset)
            part = {"Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
            try:
                ask(session, "PATCH", where, headers={**TUS, **part}, data=file)
                return where.rsplit("/", 1)[1]
            except requests.ConnectionError:
                time.sleep(2**attempt)
    raise SystemExit("The upload was interrupted too often.")


def main() -> None:
    parser = argparse.ArgumentParser(description="Restores a video file.")
    parser.add_argument("input")
    parser.add_argument("output")
    parser.add_argument("--denoise-strength", type=float)
    parser.add_argument("--target-resolution", choices=["source", "480p", "720p", "1080p", "2160p"])
    arguments = parser.parse_args()
    settings = {
        name: value
        for name, value in vars(arguments).items()
        if name not in ("input", "output") and value is not None
    }
    with requests.Session() as session:
        if token := os.environ.get("CLEARWAY_TOKEN"):
            session.headers["Authorization"] = f"Bearer {token}"
        request = {"upload": upload(session, arguments.input), **settings}
        job = ask(session, "POST", "/restore/video", json=request).json()
        while job["state"] in ("queued", "running"):
            time.sleep(0.5)
            job = ask(session, "GET", job["urls"]["self"]).json()
            if progress := job.get("progress"):
                print(f"{progress['frames']} of {progress.get('total', '?')} frames", file=sys.stderr)
        with ask(session, "GET", job["urls"]["video"], stream=True) as video, open(arguments.output, "wb") as file:
            for chunk in video.iter_content(1 << 20):
                file.write(chunk)


if __name__ == "__main__":
    main()
