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

/** Plays a stream in the page and resolves with the port of the gateway's IPv4 candidate, the answer applied. */
export function play(page: Page, options: PlayOptions = {}): Promise<number> {
  return page.evaluate(async ({ name = 'main', path = '/whep/cam', audio = true, port }: PlayOptions) => {
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
    const offered = Number(/^a=candidate:\S+ 1 udp \d+ [\d.]+ (\d+)/m.exec(sdp)![1]);
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
    return offered;
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

/** How long ago, in ms, what the player plays now arrived at the gateway, from its RTP timestamps alone. */
export function ages(page: Page): Promise<{ audio: number; video: number }> {
  return page.evaluate(() => {
    const age = (kind: string, clock: number) => {
      const receivers = window.players.main!.connection.getReceivers();
      const receiver = receivers.find(({ track }) => track.kind === kind)!;
      const { timestamp, rtpTimestamp } = receiver.getSynchronizationSources()[0]!;
      const wrap = 2 ** 32 / clock;
      const behind = timestamp - rtpTimestamp / clock;
      return behind - Math.round(behind / wrap) * wrap;
    };
    return { audio: age('audio', 48), video: age('video', 90) };
  });
}

/** Restarts ICE as draft-ietf-wish-whep-04 has it: new credentials by PATCH, the answer's put into the description. */
export function restartIce(page: Page): Promise<{ status: number; before: string; etag: string }> {
  return page.evaluate(async () => {
    const player = window.players.main!;
    const { connection } = player;
    const answer = connection.remoteDescription!.sdp;
    await connection.setLocalDescription(await connection.createOffer({ iceRestart: true }));
    const offer = connection.localDescription!.sdp;
    const wanted = /^(a=ice-ufrag|a=ice-pwd|a=candidate|m=|a=mid)/;
    const section = offer.slice(offer.indexOf('m='), offer.indexOf('m=', offer.indexOf('m=') + 2));
    const body = section
      .split('\r\n')
      .filter((line) => wanted.test(line))
      .join('\r\n');
    const response = await fetch(player.location, {
      method: 'PATCH',
      headers: { 'content-type': 'application/trickle-ice-sdpfrag', 'if-match': '"*"' },
      body,
    });
    const fragment = await response.text();
    const value = (name: string) => new RegExp(`a=${name}:(\\S+)`).exec(fragment)![1]!;
    const candidates = fragment.match(/a=candidate:.*\r\n/g)!.join('');
    const sdp = answer
      .replace(/a=candidate:.*\r\n/g, '')
      .replace(/a=ice-ufrag:.*/g, `a=ice-ufrag:${value('ice-ufrag')}`)
      .replace(/a=ice-pwd:.*/g, `a=ice-pwd:${value('ice-pwd')}`)
      .replace(/a=mid:0\r\n/, (mid) => `${mid}${candidates}`);
    await connection.setRemoteDescription({ type: 'answer', sdp });
    return { status: response.status, before: player.etag, etag: response.headers.get('etag')! };
  });
}
