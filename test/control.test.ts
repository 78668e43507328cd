import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { StreamConfig } from '../src/config/schema.ts';
import { ConfigStore } from '../src/config/store.ts';
import type { PublishedStream } from '../src/contracts/publish.ts';
import { createControl } from '../src/control.ts';
import type { StreamRegistry } from '../src/streams/registry.ts';
import type { RestorerPool } from '../src/streams/restorer-pool.ts';
import { silentLogger } from '../src/telemetry/log.ts';
import { Metrics } from '../src/telemetry/metrics.ts';
import { temporaryDirectory } from './support/ffmpeg.ts';

const SOURCE = 'rtsp://127.0.0.1:1/camera';

/** Control over one stream in the file, `gate`, whose source came over the API. */
async function control(directory: string) {
  const path = join(directory, 'clearway.yml');
  await writeFile(path, `streams:\n  gate:\n    source: ${SOURCE}\n    origin: api\n`);
  const store = await ConfigStore.open(path, silentLogger);
  const running = new Map<string, StreamConfig>(Object.entries(store.current.streams));
  const control = createControl({
    store,
    streams: {
      get: (name: string) => (running.has(name) ? ({ status: {} } as PublishedStream) : undefined),
      config: (name: string) => running.get(name),
    } as unknown as StreamRegistry,
    restorer: {} as RestorerPool,
    metrics: new Metrics(),
    reconfigure: () => assert.fail('it is in the file'),
    rtmp: () => ({ enabled: false, host: '', port: 0 }),
  });
  return {
    control,
    store,
    running,
    written: () => readFile(path, 'utf8'),
    edit: (text: string) => writeFile(path, text),
  };
}

test('the source that a stream has, sent again, is not written: not even where the stream is gone when its turn comes', async (t) => {
  await using directory = await temporaryDirectory();
  const { control: api, store, written } = await control(directory.path);
  t.after(() => store.close());
  await Promise.all([
    api.remove('gate'),
    assert.rejects(api.update('gate', { source: SOURCE, strength: 0.5 }), { status: 400 }),
  ]);
  assert.doesNotMatch(await written(), /camera/);
});

test('nor where the file has another by now, which is its author’s', async (t) => {
  await using directory = await temporaryDirectory();
  const { control: api, store, edit } = await control(directory.path);
  t.after(() => store.close());
  await edit('streams:\n  gate:\n    source: rtsp://192.0.2.1/other\n');
  await api.update('gate', { source: SOURCE, strength: 0.5 });
  const { source, origin, strength } = store.current.streams.gate!;
  assert.deepEqual([source, origin, strength], ['rtsp://192.0.2.1/other', 'file', 0.5]);
});

test('a stream that goes while the host of its new source is looked up is not found', async (t) => {
  await using directory = await temporaryDirectory();
  const { control: api, store, running } = await control(directory.path);
  t.after(() => store.close());
  await api.remove('gate');
  const changed = api.update('gate', { source: 'rtsp://127.0.0.1:2/other' });
  running.delete('gate');
  await assert.rejects(changed, { code: 'CLEARWAY_STREAM_NOT_FOUND', status: 404 });
});
