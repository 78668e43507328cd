import assert from 'node:assert/strict';
import { test } from 'node:test';
import { shown } from '../publish/webrtc/player.ts';
import { launchBrowser } from '../support/browser.ts';
import { installFaultyGpu } from '../support/faulty-gpu/faulty-gpu.ts';
import { temporaryDirectory } from '../support/ffmpeg.ts';
import { patientStream, startGateway } from '../support/gateway.ts';
import { FIXTURE_MODELS } from '../support/restoring.ts';
import { startRtspCamera } from '../support/rtsp-camera.ts';
import { openPage, watchWhep } from './viewer.ts';

test('the GPU is lost in the middle of a stream: the next provider is taken and named, the viewer stays', {
  timeout: 120_000,
}, async () => {
  await using directory = await temporaryDirectory();
  const setGpu = installFaultyGpu(directory.path);
  await using camera = await startRtspCamera({});
  await using gateway = await startGateway({
    restorer: { provider: 'cuda', models: FIXTURE_MODELS },
    streams: { cam: patientStream(camera.url, { model: 'blend' }) },
  });
  await using browser = await launchBrowser();
  const page = await openPage(browser, gateway);
  await watchWhep(page, gateway, 'cam', { audio: false });
  await shown(page, 10);
  await gateway.until('cam', ({ restoration }) => restoration?.provider === 'cuda');

  setGpu('lost');
  await gateway.until('cam', ({ state, restoration }) => state === 'live' && restoration?.provider === 'cpu');
  await shown(page, 10);
  const refused = await gateway.logged(
    ({ msg, provider }) => msg === 'inference provider does not work here' && provider === 'cuda',
  );
  assert.match(String(refused.detail), /the NVIDIA driver sees no GPU/);
  assert.equal(await page.evaluate(() => window.players.main!.connection.connectionState), 'connected');
  assert.equal((await gateway.status('cam')).viewers.webrtc, 1);
  const joined = gateway.log.filter(({ msg }) => msg === 'viewer joined');
  assert.equal(joined.length, 1, 'one WHEP session all along');
});
