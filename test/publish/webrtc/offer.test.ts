import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { ClearwayError } from '../../../src/contracts/errors.ts';
import { writeAnswer } from '../../../src/publish/webrtc/answer.ts';
import { parseOffer } from '../../../src/publish/webrtc/offer.ts';
import { CHROME, FIREFOX, SAFARI } from './offers.ts';

const accepted = (sdp: string, kind: string) => parseOffer(sdp).media.find((m) => m.kind === kind)?.accepted;

test('of every browser the constrained baseline format with packetization-mode 1 is chosen, and its RTX', () => {
  assert.deepEqual(accepted(CHROME, 'video'), {
    payloadType: 108,
    rtxPayloadType: 109,
    fmtp: 'level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f',
    remb: true,
    absSendTime: 2,
  });
  assert.equal(accepted(FIREFOX, 'video')?.payloadType, 126);
  assert.equal(accepted(FIREFOX, 'video')?.rtxPayloadType, 127);
  assert.equal(accepted(FIREFOX, 'video')?.absSendTime, 4);
  assert.equal(accepted(SAFARI, 'video')?.payloadType, 98);
  assert.equal(accepted(SAFARI, 'video')?.absSendTime, 14);
  for (const [sdp, opus] of [
    [CHROME, 111],
    [FIREFOX, 109],
    [SAFARI, 111],
  ] as const) {
    assert.equal(accepted(sdp, 'audio')?.payloadType, opus);
    assert.equal(accepted(sdp, 'audio')?.rtxPayloadType, undefined);
  }
});

test('only UDP candidates with an address are kept, and session-level attributes count', () => {
  assert.deepEqual(parseOffer(CHROME).candidates, [], 'mDNS names are not resolved');
  const firefox = parseOffer(FIREFOX);
  assert.deepEqual(firefox.candidates, ['0 1 udp 2122252543 192.0.2.77 41234 typ host']);
  assert.equal(firefox.fingerprint.algorithm, 'sha-256');
  assert.equal(firefox.ice.ufrag, '0fd2d9bb');
});

test('a session is answered section by section, rejected ones with port 0', () => {
  const offer = parseOffer(
    `${CHROME.replace('BUNDLE 0 1', 'BUNDLE 0 1 2')}m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:2\r\n`,
  );
  const answer = writeAnswer(offer, {
    transport: {
      ice: { ufrag: 'abcd', pwd: 'x'.repeat(22) },
      fingerprint: { algorithm: 'sha-256', value: 'AA' },
      setup: 'passive',
      candidates: ['1 1 udp 1 192.0.2.1 50000 typ host'],
    },
    cname: 'c',
    sources: { video: { ssrc: 1, rtxSsrc: 2 }, audio: { ssrc: 3, rtxSsrc: 4 } },
  });
  const lines = answer.split('\r\n');
  assert.deepEqual(
    lines.filter((line) => line.startsWith('m=')),
    [
      'm=video 9 UDP/TLS/RTP/SAVPF 108 109',
      'm=audio 9 UDP/TLS/RTP/SAVPF 111',
      'm=application 0 UDP/DTLS/SCTP 0',
    ],
  );
  assert.ok(lines.includes('a=group:BUNDLE 0 1'));
  assert.equal(
    lines.filter((line) => line.startsWith('a=candidate:')).length,
    1,
    'one bundle, one transport',
  );
  assert.deepEqual(
    lines.filter((line) => line.startsWith('a=msid:')).map((line) => line.split(' ')[0]),
    ['a=msid:clearway', 'a=msid:clearway'],
    'one MediaStream',
  );
});

test('without RTX no NACK is asked for', () => {
  const offer = parseOffer(CHROME.replace(/a=rtpmap:109 rtx\/90000\r\n/, ''));
  assert.equal(offer.media[0]?.accepted?.rtxPayloadType, undefined);
});

const malformed: [why: string, sdp: string][] = [
  ['empty', ''],
  ['not SDP', 'hello'],
  ['JSON', JSON.stringify({ sdp: CHROME })],
  ['no media', CHROME.slice(0, CHROME.indexOf('m='))],
  ['a line that is none', CHROME.replace('s=-', 'whatever')],
  ['no mid', CHROME.replace('a=mid:0\r\n', '')],
  ['one mid twice', CHROME.replace('a=mid:1', 'a=mid:0').replace('BUNDLE 0 1', 'BUNDLE 0')],
  ['no ICE credentials', CHROME.replaceAll(/a=ice-(ufrag|pwd).*\r\n/g, '')],
  ['short password', CHROME.replaceAll(/a=ice-pwd:.*\r\n/g, 'a=ice-pwd:short\r\n')],
  ['no fingerprint', CHROME.replaceAll(/a=fingerprint.*\r\n/g, '')],
  ['bad fingerprint', CHROME.replaceAll(/a=fingerprint.*\r\n/g, 'a=fingerprint:md5 00\r\n')],
  ['no setup', CHROME.replaceAll(/a=setup.*\r\n/g, '')],
  ['100 sections', CHROME + 'm=video 0 UDP/TLS/RTP/SAVPF 96\r\na=mid:x\r\n'.repeat(100)],
  ['truncated', CHROME.slice(0, 300)],
  ['NUL bytes', CHROME.replace('v=0', 'v=0\0')],
];
for (const [why, sdp] of malformed) {
  test(`an offer is malformed: ${why}`, () => {
    assert.throws(
      () => parseOffer(sdp),
      (error) =>
        error instanceof ClearwayError && error.code === 'CLEARWAY_SDP_INVALID' && error.status === 400,
    );
  });
}

const unsupported: [why: string, sdp: string][] = [
  ['no H.264', CHROME.replaceAll('H264/90000', 'VP9/90000')],
  ['packetization-mode 0 only', CHROME.replaceAll('packetization-mode=1', 'packetization-mode=0')],
  ['sendonly', CHROME.replaceAll('a=recvonly', 'a=sendonly')],
  ['no bundle', CHROME.replace('a=group:BUNDLE 0 1\r\n', '')],
  ['plain RTP', CHROME.replaceAll('UDP/TLS/RTP/SAVPF', 'RTP/AVP')],
  ['switched off', CHROME.replaceAll('m=video 9', 'm=video 0')],
];
for (const [why, sdp] of unsupported) {
  test(`an offer cannot be served: ${why}`, () => {
    assert.throws(
      () => parseOffer(sdp),
      (error) =>
        error instanceof ClearwayError && error.code === 'CLEARWAY_OFFER_UNSUPPORTED' && error.status === 422,
    );
  });
}

/** Runs in a thread of its own, so that what takes for ever can be ended. */
async function parse(t: TestContext, parser: 'parseOffer' | 'parseFragment', texts: string[]): Promise<void> {
  const module = new URL(
    `../../../src/publish/webrtc/${parser === 'parseOffer' ? 'offer' : 'fragment'}.ts`,
    import.meta.url,
  );
  const program = `
    const { workerData, parentPort } = require('node:worker_threads');
    import('${module}').then(({ ${parser} }) => {
      for (const text of workerData) ${parser}(text);
      parentPort.postMessage('done');
    });`;
  const worker = new Worker(program, { eval: true, workerData: texts });
  t.after(() => worker.terminate());
  assert.deepEqual(await once(worker, 'message', { signal: t.signal }), ['done']);
}

test('a body full of lines, or of spaces, holds nobody up', { timeout: 30_000 }, async (t) => {
  const [media = ''] = /m=video.*\r\n/.exec(CHROME)!;
  const [, type] = /m=video \d+ \S+ (\d+)/.exec(media)!;
  const lines = `a=rtpmap:${type} H264/90000\r\n`.repeat(4500) + 'a=fmtp:1 x\r\n'.repeat(9000);
  await parse(t, 'parseOffer', Array(50).fill(CHROME.replace(media, media + lines)));
  const credentials = /a=ice-ufrag.*\r\na=ice-pwd.*\r\n/.exec(CHROME)![0];
  await parse(t, 'parseFragment', [`${credentials}a=candidate:${' '.repeat(250_000)}x\r\n`]);
});
