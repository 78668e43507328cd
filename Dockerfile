# Clearway in a container. `docker build -t clearway .` makes the CPU image;
# `docker build --build-arg ACCELERATOR=cuda -t clearway:cuda .` the one for NVIDIA GPUs (CUDA 13, cuDNN 9: driver 580 or newer).
# How to run it: README.md, "Deploy it".
ARG ACCELERATOR=cpu

# The page. No install scripts: the image's own Node is used, not the one of the npm package `node`.
FROM node:24-bookworm-slim AS page
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY vite.config.ts ./
COPY src src
RUN npm run build:web

# What the gateway needs at run time, for Linux only.
FROM node:24-bookworm-slim AS modules
ARG ACCELERATOR
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund \
    && rm -rf node_modules/onnxruntime-node/bin/napi-v6/darwin node_modules/onnxruntime-node/bin/napi-v6/win32 \
    && if [ "$ACCELERATOR" = cuda ]; then \
         apt-get update && apt-get install -y --no-install-recommends python3-pip \
         && python3 -m pip download --no-deps --only-binary=:all: --python-version 3.12 --implementation cp \
              --platform manylinux_2_28_x86_64 --dest /tmp/wheel \
              "onnxruntime-gpu==$(node -p 'require("onnxruntime-node/package.json").version')" \
         && python3 -m zipfile -e /tmp/wheel/*.whl /tmp/wheel \
         && cp /tmp/wheel/onnxruntime/capi/libonnxruntime_providers_*.so node_modules/onnxruntime-node/bin/napi-v6/linux/x64/ \
         && rm -rf /tmp/wheel; \
       fi

FROM node:24-bookworm-slim AS base-cpu

FROM nvidia/cuda:13.0.1-cudnn-runtime-ubuntu24.04 AS base-cuda
COPY --from=page /usr/local/bin/node /usr/local/bin/node
# The image asks for compute and utility only; video brings NVDEC and NVENC in.
ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility,video

FROM base-${ACCELERATOR}
# tini reaps the ffmpeg children of a restorer that crashed; node as process 1 would leave them as zombies.
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ffmpeg tini ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --no-create-home --home-dir /config clearway \
    && install -d -o clearway /config \
    && install -d /app \
    && ln -s /config /app/config
WORKDIR /app
COPY --from=modules /app/node_modules node_modules
COPY --from=page /app/dist/web dist/web
COPY package.json LICENSE NOTICE ./
COPY scripts/healthcheck.mjs scripts/healthcheck.mjs
COPY src src
COPY models models
COPY --chown=clearway config /config
# What Node compiled at one start is there for the next, of the gateway and of a restorer.
ENV NODE_ENV=production NODE_COMPILE_CACHE=/tmp/compiled
USER clearway
VOLUME /config
# HTTP (page, API, WHEP, HLS, metrics), RTMP, WebRTC media.
EXPOSE 8080 1935 50000-50999/udp
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["node", "scripts/healthcheck.mjs"]
ENTRYPOINT ["tini", "--", "node", "src/main.ts"]
CMD ["serve", "--config", "/config/clearway.yml"]
