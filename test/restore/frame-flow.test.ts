import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FrameFlow } from '../../src/restore/frame-flow.ts';
import { Inference } from '../../src/restore/inference.ts';
import { Ladder } from '../../src/restore/ladder.ts';
import { pictureBytes } from '../../src/restore/picture.ts';
import { PictureProbe } from '../../src/restore/picture-probe.ts';
import { Renditions } from '../../src/restore/renditions.ts';
import { RunningCost } from '../../src/restore/running-cost.ts';
import { Snapshots } from '../../src/restore/snapshots.ts';
import { Reporter } from '../../src/restore/stream-report.ts';
import { silentLogger } from '../../src/telemetry/log.ts';
import { FIXTURE_MODELS } from '../support/restoring.ts';

test('a stream whose new size is not restored any more leaves its windows and its place among the others', async (t) => {
  const inference = new Inference({ models: FIXTURE_MODELS, provider: 'cpu', threads: 1 }, (error) =>
    assert.fail(error),
  );
  const { speeds } = await inference.ready;
  t.after(() => inference.close());
  const forget = t.mock.method(inference, 'forget').mock;
  const ladder = new Ladder(['brighten']);
  let published = Promise.withResolvers<string>();
  const flow = new FrameFlow({
    stream: 'cam',
    inference,
    cost: new RunningCost(speeds),
    renditions: new Renditions({ threads: 1 }),
    snapshots: new Snapshots(() => {}),
    probe: new PictureProbe(),
    report: new Reporter(0),
    logger: silentLogger,
    settings: () => ({ model: 'brighten', height: 'auto', strength: 1, smoothing: 0, latencyBudget: 60_000 }),
    ladder: () => ladder,
    fps: () => 25,
    // As where the larger pictures find no room.
    resized: () => ladder.moveTo(flow.size.height === 64 ? 0 : 1),
    inEncoderTurn: (work) => void work(),
    publish: async ({ outcome }) => published.resolve(outcome),
  });
  const push = (size: number, pts: number): Promise<string> => {
    published = Promise.withResolvers();
    const now = performance.timeOrigin + performance.now();
    const meta = { width: size, height: size, pts, arrival: now, captured: undefined, decoded: now };
    flow.push(meta, flow.allocate(pictureBytes(size, size)).buffer);
    return published.promise;
  };
  assert.equal(await push(64, 0), 'restored');
  assert.equal(forget.callCount(), 0);
  assert.equal(await push(128, 3600), 'passthrough');
  assert.deepEqual(
    forget.calls.map(({ arguments: [stream] }) => stream),
    ['cam'],
  );
});
