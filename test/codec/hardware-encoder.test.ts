import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { CodecContext } from 'node-av/lib';
import { HARDWARE } from '../../src/codec/encoder-kinds.ts';
import { tryHardwareEncoders } from '../../src/codec/hardware-encoder.ts';
import { encoderNamed } from '../../src/codec/libav.ts';
import { HARDWARE_ENCODERS, type HardwareEncoderName } from '../../src/contracts/restorer.ts';
import { temporaryDirectory } from '../support/ffmpeg.ts';
import { type EncoderState, installGpuEncoder } from '../support/gpu-encoder/gpu-encoder.ts';

const directory = await temporaryDirectory();
after(() => directory[Symbol.asyncDispose]());

test('the FFmpeg of node-av has each hardware encoder, and knows the options it is given', () => {
  for (const { codec: name, options } of Object.values(HARDWARE)) {
    const context = new CodecContext();
    context.allocContext3(encoderNamed(name));
    for (const [option, value] of Object.entries(options))
      assert.equal(context.setOption(option, value), 0, `${name} ${option}=${value}`);
    context.freeContext();
  }
});

test('without a driver each hardware encoder is refused, with the reason', async () => {
  const trials = await tryHardwareEncoders(0);
  assert.deepEqual(
    trials.map(({ method }) => method),
    HARDWARE_ENCODERS,
  );
  for (const { works, detail } of trials)
    assert.match(
      detail,
      works ? /encodes a clip/ : /Cannot load|No available render device|OpenEncodeSession/,
    );
});

test('what a hardware encoder must do before it is used', async (t) => {
  const set = installGpuEncoder(directory.path);
  t.after(() => {
    delete process.env.NODE_OPTIONS;
  });
  const TRIALS: [HardwareEncoderName, EncoderState, RegExp][] = [
    ['nvenc', 'works', /^encodes a clip as live streams need it$/],
    ['vaapi', 'works', /^encodes a clip as live streams need it$/],
    ['nvenc', 'hangs', /no answer in 1.5 s/],
    ['nvenc', 'deadly', /took its process down \(SIGSEGV\)/],
    ['nvenc', 'full', /Cannot allocate memory/],
    ['nvenc', 'fails', /Input\/output error/],
    ['nvenc', 'delays', /Resource temporarily unavailable/],
    ['nvenc', 'no keyframes', /other keyframes than it is asked for/],
    ['nvenc', 'no headers', /NAL units 5 of a keyframe/],
    ['vaapi', 'garbles', /another picture than went in/],
    ['nvenc', 'unbounded', /keeps to no bitrate/],
    ['nvenc', 'main profile', /profile 77/],
  ];
  for (const [name, state, detail] of TRIALS)
    await t.test(`${name} ${state}`, async () => {
      set(name, state);
      const trials = await tryHardwareEncoders(0, state === 'hangs' ? 1500 : undefined);
      const trial = trials.find(({ method }) => method === name)!;
      assert.match(trial.detail, detail);
      assert.equal(trial.works, state === 'works');
      assert.ok(trials.every((other) => other === trial || !other.works));
    });
});
