import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RtpHeader } from 'werift';
import { ntp, RtpStream } from '../../../src/publish/webrtc/rtp-stream.ts';

const FORMAT = { payloadType: 96, rtxPayloadType: 97, remb: true, absSendTime: 2 };
const SOURCES = { ssrc: 10, rtxSsrc: 20 };

function record(format = FORMAT) {
  const sent: { payload: Buffer; header: RtpHeader }[] = [];
  const stream = new RtpStream(format, 90_000, SOURCES, (payload, header) => sent.push({ payload, header }));
  return { stream, sent };
}

const payload = (text: string) => ({ data: Buffer.from(text), marker: true });

test('packets are numbered without gaps and carry timestamp, marker and send time', () => {
  const { stream, sent } = record();
  for (let i = 0; i < 3; i++) stream.send(payload('a'), 1000);
  const numbers = sent.map(({ header }) => header.sequenceNumber);
  assert.deepEqual(numbers, [numbers[0]!, numbers[0]! + 1, numbers[0]! + 2]);
  assert.ok(sent.every(({ header }) => header.timestamp === 1000 && header.marker && header.ssrc === 10));
  assert.deepEqual(
    sent.map(({ header }) => header.extensions[0]?.id),
    [2, 2, 2],
  );
});

test('a lost packet of a whole keyframe ago is sent again on the RTX stream, once per interval', () => {
  const { stream, sent } = record();
  for (let i = 0; i < 1000; i++) stream.send(payload(`packet ${i}`), i);
  const { sequenceNumber } = sent[0]!.header;
  stream.resend(sequenceNumber, 100);
  stream.resend(sequenceNumber, 101);
  assert.equal(sent.length, 1001);
  const { payload: resent, header } = sent.at(-1)!;
  assert.equal(header.payloadType, 97);
  assert.equal(header.ssrc, 20);
  assert.equal(header.timestamp, 0);
  assert.equal(resent.readUInt16BE(0), sequenceNumber, 'original sequence number, RFC 4588');
  assert.equal(resent.subarray(2).toString(), 'packet 0');
  stream.resend(sequenceNumber, 200);
  assert.equal(sent.length, 1002);
});

test('unknown packets are not resent, nor anything without RTX, nor a flood', () => {
  const { stream, sent } = record();
  stream.send(payload('a'), 0);
  stream.resend((sent[0]!.header.sequenceNumber + 1) & 0xffff, 100);
  assert.equal(sent.length, 1);
  for (let now = 100; now < 100_000; now += 50) stream.resend(sent[0]!.header.sequenceNumber, now);
  assert.equal(sent.length, 1 + 512);

  const plain = record({ payloadType: 96, remb: true, absSendTime: 2 } as typeof FORMAT);
  plain.stream.send(payload('a'), 0);
  plain.stream.resend(plain.sent[0]!.header.sequenceNumber, 100);
  assert.equal(plain.sent.length, 1);
});

test('sequence numbers and history go on over the 16-bit wrap', () => {
  const { stream, sent } = record();
  for (let i = 0; i < 70_000; i++) stream.send(payload(String(i)), i);
  const numbers = sent.map(({ header }) => header.sequenceNumber);
  assert.ok(numbers.every((n, i) => i === 0 || n === ((numbers[i - 1]! + 1) & 0xffff)));
  stream.resend(numbers.at(-500)!, 100);
  assert.equal(sent.at(-1)!.payload.subarray(2).toString(), String(70_000 - 500));
});

test('sender reports map Unix time to the stream clock alike for picture and sound', () => {
  const now = 1_795_415_872_603.25;
  const video = new RtpStream(FORMAT, 90_000, SOURCES, () => {}).report(now, 'c')[0].senderInfo;
  const audio = new RtpStream(FORMAT, 48_000, SOURCES, () => {}).report(now, 'c')[0].senderInfo;
  assert.equal(video.rtpTimestamp, Math.round(now * 90) % 2 ** 32);
  assert.equal(audio.rtpTimestamp, Math.round(now * 48) % 2 ** 32);
  assert.equal(video.ntpTimestamp, audio.ntpTimestamp);
});

test('NTP timestamps are seconds since 1900 in 32.32 fixed point', () => {
  assert.equal(ntp(0), 2_208_988_800n << 32n);
  assert.equal(ntp(1500), (2_208_988_801n << 32n) | 0x8000_0000n);
});
