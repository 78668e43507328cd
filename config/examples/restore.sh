#!/bin/sh
# Restores a video file with curl.
#   config/examples/restore.sh in.mp4 out.mp4 [-F denoise_strength=0.8 -F target_resolution=1080p ...]
# CLEARWAY_URL (default http://127.0.0.1:8080); CLEARWAY_TOKEN when auth is configured.
set -eu
url=${CLEARWAY_URL:-http://127.0.0.1:8080}
in=$1
out=$2
shift 2

ask() {
  # --fail-with-body: the problem+json of an error is printed, and the exit code says that it is one.
  curl --silent --show-error --fail-with-body ${CLEARWAY_TOKEN:+--header "Authorization: Bearer $CLEARWAY_TOKEN"} "$@"
}

# ?wait=true holds the answer until the file is restored. curl streams the upload from disk.
answer=$(ask --form "file=@$in" "$@" --write-out '\n%header{location}' "$url/restore/video?wait=true") || {
  echo "$answer" >&2
  exit 1
}
location=$(echo "$answer" | tail -n 1)
ask --output "$out" "$url$location/video"
