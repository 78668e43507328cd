import type { Page } from 'playwright-core';

/** What a player in the page holds; `window.players` by name. */
interface Player {
  connection: RTCPeerConnection;
  video: HTMLVideoElement;
  location: string;
  etag: string;
  startedAt: number;
  firstPicture?: number;
  /** Of every picture shown: the RTP timestamp the page maps back to the output clock. */
  timestamps: number[];
}

declare global {
  interface Window {
    players: Record<string, Player>;
  }
}

export interface PlayOptions {
  name?: string;
  path?: string;
  audio?: boolean;
  /** Replaces the port of every candidate in the answer, to lead the connection through a test's relay. */
  port?: number;
}

/** Plays a stream in the page and resolves when the answer is applied. */
export async function play(page: Page, options: PlayOptions = {}): Promise<void> {
  await page.evaluate(async ({ name = 'main', path = '/whep/cam', audio = true, port }: PlayOptions) => {
    window.players ??= {};
    const startedAt = performance.now();
    const connection = new RTCPeerConnection();
    connection.addTransceiver('video', { direction: 'recvonly' });
    if (audio) connection.addTransceiver('audio', { direction: 'recvonly' });
    const video = document.createElement('video');
    video.autoplay = true;
    document.body.append(video);
    connection.addEventListener('track', ({ streams }) => {
      video.srcObject = streams[0]!;
    });
    await connection.setLocalDescription(await connection.createOffer());
    const response = await fetch(path, {
      method: 'POST',
      headers: { 'content-type': 'application/sdp' },
      body: connection.localDescription!.sdp,
    });
    if (response.status !== 201) throw new Error(`${response.status} ${await response.text()}`);
    let sdp = await response.text();
    if (port !== undefined) {
      sdp = sdp
        .replace(/^a=candidate:.*:.*\r\n/gm, (line) => (line.includes('::') ? '' : line))
        .replace(/^(a=candidate:\S+ 1 udp \d+ \S+) \d+/gm, `$1 ${port}`);
    }
    const player: Player = {
      connection,
      video,
      location: response.headers.get('location')!,
      etag: response.headers.get('etag')!,
      startedAt,
      timestamps: [],
    };
    window.players[name] = player;
    const shown: VideoFrameRequestCallback = (now, metadata) => {
      player.firstPicture ??= now - startedAt;
      player.timestamps.push(metadata.rtpTimestamp!);
      video.requestVideoFrameCallback(shown);
    };
    video.requestVideoFrameCallback(shown);
    await connection.setRemoteDescription({ type: 'answer', sdp });
  }, options);
}

/** Resolves when the player has shown `more` pictures from now on; gives how many it has shown. */
export async function shown(page: Page, more: number, name = 'main'): Promise<number> {
  const target = (await page.evaluate((name) => window.players[name]!.timestamps.length, name)) + more;
  await page.waitForFunction(
    ({ name, target }) => window.players[name]!.timestamps.length >= target,
    { name, target },
    { polling: 50, timeout: 60_000 },
  );
  return target;
}

/** Values of the player's statistics of one type, as getStats has them. */
export function stats(page: Page, type: string, name = 'main'): Promise<Record<string, unknown>[]> {
  return page.evaluate(
    async ({ name, type }) => {
      const report = await window.players[name]!.connection.getStats();
      return [...report.values()].filter((entry) => entry.type === type);
    },
    { name, type },
  );
}
