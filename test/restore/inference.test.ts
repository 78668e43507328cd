import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { Inference, type Job } from '../../src/restore/inference.ts';
import { temporaryDirectory } from '../support/ffmpeg.ts';
import { pipedModel } from '../support/piped-model.ts';

const WIDTH = 64;
const HEIGHT = 64;
const BYTES = (WIDTH * HEIGHT * 3) / 2;

test('the earliest deadline runs first, but a stream keeps its order, and one result comes before the next run', async () => {
  const inference = new Inference(
    { models: join(import.meta.dirname, '../fixtures/models'), provider: 'cpu', threads: 1 },
    (error) => assert.fail(error),
  );
  await inference.ready;
  const log: string[] = [];
  const finished = Promise.withResolvers<void>();
  const job = (stream: string, number: number, deadline: number): Job => ({
    stream,
    deadline,
    dispatch() {
      log.push(`run ${stream}${number}`);
      return {
        model: 'brighten',
        picture: new ArrayBuffer(BYTES),
        out: new ArrayBuffer(BYTES),
        source: undefined,
        request: { width: WIDTH, height: HEIGHT, strength: 1, smoothing: 0, restore: true, fresh: false },
      };
    },
    done() {
      log.push(`done ${stream}${number}`);
      if (log.length === 10) finished.resolve();
    },
    cancelled: () => assert.fail('nothing was withdrawn'),
  });
  // Runs at once; the others wait. A B-frame (a2, a3) came earlier than the picture it is shown after.
  inference.submit(job('a', 0, 1000));
  inference.submit(job('a', 1, 1120));
  inference.submit(job('a', 2, 1040));
  inference.submit(job('a', 3, 1080));
  inference.submit(job('b', 0, 1050));
  await finished.promise;
  await inference.close();
  assert.deepEqual(
    log,
    ['a0', 'b0', 'a1', 'a2', 'a3'].flatMap((name) => [`run ${name}`, `done ${name}`]),
  );
});

test('a stream that has much time is not passed over for ever by one that has little', async () => {
  const inference = new Inference(
    { models: join(import.meta.dirname, '../fixtures/models'), provider: 'cpu', threads: 1 },
    (error) => assert.fail(error),
  );
  await inference.ready;
  const served = Promise.withResolvers<void>();
  let urgent = 0;
  const job = (stream: string, budget: number, done: () => void): Job => ({
    stream,
    deadline: performance.timeOrigin + performance.now() + budget,
    dispatch: () => ({
      model: 'brighten',
      picture: new ArrayBuffer(BYTES),
      out: new ArrayBuffer(BYTES),
      source: undefined,
      request: { width: WIDTH, height: HEIGHT, strength: 1, smoothing: 0, restore: true, fresh: false },
    }),
    done,
    cancelled() {},
  });
  let over = false;
  // Each of the urgent stream's frames is followed by two: it never leaves the accelerator free.
  const another = () => {
    if (over || ++urgent > 20_000) return;
    inference.submit(job('urgent', 10, another));
    if (urgent < 10) inference.submit(job('urgent', 10, another));
  };
  another();
  inference.submit(job('patient', 60_000, served.resolve));
  await served.promise;
  over = true;
  assert.ok(urgent < 20_000);
  await inference.close();
});

test('a step of work on a file runs only when no frame waits, and is dropped with its file', async () => {
  const inference = new Inference(
    { models: join(import.meta.dirname, '../fixtures/models'), provider: 'cpu', threads: 1 },
    (error) => assert.fail(error),
  );
  await inference.ready;
  const log: string[] = [];
  const frame = (name: string): Job => ({
    stream: 'live',
    deadline: performance.timeOrigin + performance.now() + 60_000,
    dispatch: () => ({
      model: 'brighten',
      picture: new ArrayBuffer(BYTES),
      out: new ArrayBuffer(BYTES),
      source: undefined,
      request: { width: WIDTH, height: HEIGHT, strength: 1, smoothing: 0, restore: true, fresh: false },
    }),
    done: () => log.push(name),
    cancelled: () => assert.fail('nothing was withdrawn'),
  });
  const advance = (file: number) =>
    inference.step({
      t: 'file-advance',
      file,
      model: 'brighten',
      width: WIDTH,
      height: HEIGHT,
      picture: new ArrayBuffer(BYTES),
      fresh: true,
    });
  // The first runs at once; what waits then is sorted.
  inference.submit(frame('first'));
  const step = advance(1).then(() => log.push('step'));
  const dropped = assert.rejects(advance(2), /given up/);
  inference.submit(frame('second'));
  inference.submit(frame('third'));
  inference.forgetFile(2);
  await Promise.all([step, dropped]);
  assert.deepEqual(log, ['first', 'second', 'third', 'step']);
  await inference.close();
});

/** Streams whose pictures say how many frames of their scene the window has seen, and who of them runs. */
function counted(inference: Inference) {
  const running = new Set<string>();
  const frame = (stream: string, fresh = false) =>
    new Promise<number>((resolve) => {
      inference.submit({
        stream,
        deadline: performance.timeOrigin + performance.now() + 60_000,
        dispatch() {
          running.add(stream);
          return {
            model: 'count',
            picture: new Uint8Array(BYTES).fill(50).buffer,
            out: new ArrayBuffer(BYTES),
            source: undefined,
            request: { width: WIDTH, height: HEIGHT, strength: 1, smoothing: 0, restore: true, fresh },
          };
        },
        done({ out }) {
          running.delete(stream);
          resolve(new Uint8Array(out)[0]! - 50);
        },
        cancelled: () => assert.fail('nothing was withdrawn'),
      });
    });
  return { running, frame };
}

test('streams of two lanes run at the same time, each with its own windows, and are shared out again when some leave', async (t) => {
  const tried: string[] = [];
  const inference = new Inference(
    { models: join(import.meta.dirname, '../fixtures/models'), provider: 'cpu', threads: 1, lanes: 2 },
    (error) => assert.fail(error),
    (provider) => tried.push(provider),
  );
  t.after(() => inference.close());
  assert.equal((await inference.ready).lanes, 2);
  assert.equal(await inference.widen(), 2);
  assert.deepEqual(tried, ['cpu', 'cpu']);
  const { running, frame } = counted(inference);
  const [a, b] = [frame('a', true), frame('b', true)];
  assert.deepEqual([...running], ['a', 'b']);
  const [a1, c] = [frame('a'), frame('c', true)];
  assert.deepEqual([...running], ['a', 'b'], 'each lane does one run at a time');
  assert.deepEqual(await Promise.all([a, b, a1, c]), [0, 0, 1, 0]);
  // Frames of a and c are in one lane, b's are in the other.
  const [c1, a2, b1] = [frame('c'), frame('a'), frame('b')];
  assert.deepEqual([...running], ['c', 'b']);
  assert.deepEqual(await Promise.all([c1, a2, b1]), [1, 2, 1]);
  const [a3, c2, d] = [frame('a'), frame('c'), frame('d', true)];
  assert.deepEqual([...running], ['a', 'd'], 'a new one comes where the fewest are');
  assert.deepEqual(await Promise.all([a3, c2, d]), [3, 2, 0]);
  // What was in a lane with c's windows goes on with them in the other.
  const c3 = frame('c');
  for (const gone of ['b', 'd']) inference.forget(gone);
  const [c4, a4] = [frame('c'), frame('a')];
  assert.deepEqual(await Promise.all([c3, c4, a4]), [3, 4, 4]);
  const [c5, a5] = [frame('c'), frame('a')];
  assert.deepEqual([...running], ['c', 'a']);
  assert.deepEqual(await Promise.all([c5, a5]), [5, 5]);

  // One that leaves on its way has left its windows, too.
  assert.deepEqual(await Promise.all([frame('e', true), frame('e'), frame('e')]), [0, 1, 2]);
  inference.forget('c');
  inference.forget('e');
  assert.deepEqual(await Promise.all([frame('e'), frame('a')]), [0, 6]);
  assert.deepEqual(await Promise.all([frame('e'), frame('a')]), [1, 7]);
});

test('frames are restored as soon as the first lane is open; another takes its share of the streams, not of a file', async (t) => {
  await using directory = await temporaryDirectory();
  const { models, pipe, open } = await pipedModel(directory.path, 'count');
  const inference = new Inference({ models, provider: 'cpu', threads: 1, lanes: 2 }, (error) =>
    assert.fail(error),
  );
  t.after(() => inference.close());
  assert.equal((await inference.ready).lanes, 2);
  await pipe();
  const wide = inference.widen();
  const { running, frame } = counted(inference);
  const [a, b] = [frame('a', true), frame('b', true)];
  assert.deepEqual([...running], ['a'], 'there is one lane');
  assert.deepEqual(await Promise.all([a, b]), [0, 0]);
  const size = { width: WIDTH, height: HEIGHT };
  const picture = new ArrayBuffer(BYTES);
  await inference.step({ t: 'file-advance', file: 1, model: 'count', ...size, picture, fresh: true });

  await open();
  assert.equal(await wide, 2);
  assert.deepEqual(await Promise.all([frame('a'), frame('b')]), [1, 1]);
  const [a2, b2] = [frame('a'), frame('b')];
  assert.deepEqual([...running], ['a', 'b']);
  assert.deepEqual(await Promise.all([a2, b2]), [2, 2]);
  const collected = await inference.step({ t: 'file-collect', file: 1, out: new ArrayBuffer(BYTES) });
  assert.equal(collected.error, undefined);
});

test('a lane that cannot open the models is done without', async (t) => {
  await using directory = await temporaryDirectory();
  const { models, pipe, open } = await pipedModel(directory.path, 'count');
  const inference = new Inference({ models, provider: 'cpu', threads: 1, lanes: 2 }, (error) =>
    assert.fail(error),
  );
  t.after(() => inference.close());
  await inference.ready;
  const { frame } = counted(inference);
  assert.deepEqual(await Promise.all([frame('a', true), frame('b', true)]), [0, 0]);
  await pipe();
  const wide = inference.widen();
  await open(new Uint8Array(16));
  assert.equal(await wide, 1);
  assert.deepEqual(await Promise.all([frame('a'), frame('b')]), [1, 1]);
});
