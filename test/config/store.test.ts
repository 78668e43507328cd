import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { lstat, mkdir, mkdtemp, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { ConfigDiff } from '../../src/config/diff.ts';
import type { Config } from '../../src/config/schema.ts';
import { ConfigStore } from '../../src/config/store.ts';
import { createLogger, silentLogger } from '../../src/telemetry/log.ts';

const FILE = `# my cameras
http:
  port: 9000        # behind nginx

streams:
  # the gate
  gate:
    source: "rtsp://user:pass@cam/1"   # main stream
    strength: 0.5   # less is more

  yard: { source: demo }
# the end
`;

describe('ConfigStore', { timeout: 120_000 }, () => {
  let directory: string;
  let path: string;
  let store: ConfigStore | undefined;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'clearway-config-'));
    path = join(directory, 'clearway.yml');
    await writeFile(path, FILE);
  });
  afterEach(async () => {
    store?.close();
    store = undefined;
    await rm(directory, { recursive: true, force: true });
  });

  async function open(): Promise<ConfigStore> {
    store = await ConfigStore.open(path, silentLogger);
    return store;
  }
  function nextChange(from: ConfigStore): Promise<[Config, Config, ConfigDiff]> {
    return once(from, 'change') as Promise<[Config, Config, ConfigDiff]>;
  }

  it('takes a file that was emptied for one that is being written, not for the end of every stream', async () => {
    const store = await open();
    await writeFile(path, '\n');
    await assert.rejects(store.reload(), {
      code: 'CLEARWAY_CONFIG_INVALID',
      message: /is empty.*streams: \{\}/,
    });
    assert.deepEqual(Object.keys(store.current.streams), ['gate', 'yard']);
    await assert.rejects(store.setStream('gate', { strength: 1 }), { status: 409 });
    await writeFile(path, 'streams: {}\n');
    await store.reload();
    assert.deepEqual(Object.keys(store.current.streams), []);
  });

  describe('opening', () => {
    it('says what to do about a file that is not there', async () => {
      await assert.rejects(ConfigStore.open(join(directory, 'none.yml'), silentLogger), {
        code: 'CLEARWAY_CONFIG_INVALID',
        message: /no configuration file .*none\.yml: copy config\/clearway\.yml there/,
      });
    });

    for (const [what, make, reason] of [
      ['a directory', (file: string) => mkdir(file), /is not a file|cannot be read/],
      ['a pipe', async (file: string) => void execFileSync('mkfifo', [file]), /is not a file/],
      ['binary', (file: string) => writeFile(file, Buffer.from([0xff, 0xfe, 0, 1])), /not UTF-8/],
      ['text with NULs', (file: string) => writeFile(file, 'a\0b'), /not UTF-8/],
      ['10 MB', (file: string) => writeFile(file, Buffer.alloc(10_000_000, 32)), /larger than 512 KiB/],
    ] as const) {
      it(`refuses ${what}`, async () => {
        const odd = join(directory, 'odd.yml');
        await make(odd);
        await assert.rejects(ConfigStore.open(odd, silentLogger), {
          code: 'CLEARWAY_CONFIG_INVALID',
          message: reason,
        });
      });
    }

    it('refuses to bind the network without auth', async () => {
      await writeFile(path, 'http: {host: 0.0.0.0}');
      await assert.rejects(open(), { code: 'CLEARWAY_BIND_REFUSED' });
    });
  });

  describe('writing back', () => {
    it('adds a stream and keeps every comment and the order', async () => {
      const config = await open();
      const changed = nextChange(config);
      const stream = await config.setStream('door', { source: 'push', key: 'k' });
      assert.equal(stream.model, 'auto');
      const [, , diff] = await changed;
      assert.deepEqual(diff, { added: ['door'], removed: [], changed: [], global: [] });
      const text = await readFile(path, 'utf8');
      for (const comment of [
        '# my cameras',
        '# behind nginx',
        '# the gate',
        '# main stream',
        '# less is more',
        '# the end',
      ]) {
        assert.ok(text.includes(comment), `${comment} is gone from:\n${text}`);
      }
      assert.ok(
        text.indexOf('gate:') < text.indexOf('yard:') && text.indexOf('yard:') < text.indexOf('door:'),
      );
      assert.equal((await ConfigStore.open(path, silentLogger).then(closed)).streams.door?.source, 'push');
    });

    it('changes one setting and reports just that', async () => {
      const config = await open();
      const changed = nextChange(config);
      await config.setStream('gate', { strength: 0.8 });
      const [next, previous, diff] = await changed;
      assert.deepEqual(diff.changed, [{ name: 'gate', fields: ['strength'] }]);
      assert.equal(previous.streams.gate?.strength, 0.5);
      assert.equal(next.streams.gate?.strength, 0.8);
      assert.match(await readFile(path, 'utf8'), /strength: 0\.8 +# less is more/);
    });

    it('merges bitrate and takes a null out of the file', async () => {
      const config = await open();
      await config.setStream('gate', { bitrate: { min: 400_000 }, strength: null });
      const stream = await config.setStream('gate', { bitrate: { max: 900_000 } });
      assert.deepEqual(stream.bitrate, { min: 400_000, start: 900_000, max: 900_000 });
      assert.equal(stream.strength, 1);
      assert.doesNotMatch(await readFile(path, 'utf8'), /strength/);
    });

    it('opens up the empty map that the reference ends with, and closes it again', async () => {
      await writeFile(path, '# top\nstreams: {}\n');
      const config = await open();
      await config.setStream('gate', { source: 'demo' });
      assert.equal(await readFile(path, 'utf8'), '# top\nstreams:\n  gate:\n    source: demo\n');
      await config.removeStream('gate');
      assert.equal(await readFile(path, 'utf8'), '# top\nstreams: {}\n');
      await config.removeStream('gate');
    });

    it('writes into a file that has nothing in it', async () => {
      await writeFile(path, '');
      const config = await open();
      await config.setStream('gate', { source: 'demo' });
      assert.equal(await readFile(path, 'utf8'), 'streams:\n  gate:\n    source: demo\n');
    });

    it('refuses a setting that is not valid and changes nothing', async () => {
      const config = await open();
      await assert.rejects(config.setStream('gate', { strength: 9 }), {
        code: 'CLEARWAY_CONFIG_INVALID',
        message: /streams\.gate\.strength: must be 0 to 1/,
      });
      await assert.rejects(config.setStream('../x', { source: 'demo' }), { code: 'CLEARWAY_CONFIG_INVALID' });
      assert.equal(config.current.streams.gate?.strength, 0.5);
      assert.equal(await readFile(path, 'utf8'), FILE);
    });

    it('changes no other stream that takes its settings by an alias', async () => {
      const text = 'streams:\n  gate: {source: &where demo, strength: 1}\n  yard: {source: *where}\n';
      await writeFile(path, text);
      const store = await open();
      await assert.rejects(store.setStream('gate', { source: 'push' }), {
        code: 'CLEARWAY_CONFIG_INVALID',
        status: 409,
        message: /yard.*by hand/,
      });
      assert.equal(store.current.streams.yard?.source, 'demo');
      assert.equal(await readFile(path, 'utf8'), text);
      await store.setStream('gate', { strength: 0.5 });
      assert.equal(store.current.streams.gate?.strength, 0.5);
    });

    it('changes no setting of the gateway that is taken from a stream by an alias', async () => {
      const text = 'streams:\n  gate: {source: push, key: &same 127.0.0.1}\nhttp: {host: *same}\n';
      await writeFile(path, text);
      const store = await open();
      await assert.rejects(store.setStream('gate', { key: 'localhost' }), {
        status: 409,
        message: /http\.host too/,
      });
      assert.equal(await readFile(path, 'utf8'), text);
      assert.equal(store.current.http.host, '127.0.0.1');
    });

    it('survives many writers at once', async () => {
      const config = await open();
      await Promise.all(Array.from({ length: 20 }, (_, i) => config.setStream(`s${i}`, { source: 'demo' })));
      const onDisk = await ConfigStore.open(path, silentLogger).then(closed);
      assert.equal(Object.keys(onDisk.streams).length, 22);
      assert.deepEqual(onDisk.streams, config.current.streams);
    });

    it('follows a symbolic link and keeps the mode', async () => {
      const real = join(directory, 'real');
      await mkdir(real);
      await rename(path, join(real, 'c.yml'));
      await writeFile(join(real, 'c.yml'), FILE, { mode: 0o640 });
      execFileSync('chmod', ['640', join(real, 'c.yml')]);
      await symlink(join(real, 'c.yml'), path);
      const config = await open();
      await config.setStream('door', { source: 'push' });
      assert.match(await readFile(join(real, 'c.yml'), 'utf8'), /door:/);
      assert.equal((await stat(join(real, 'c.yml'))).mode & 0o777, 0o640);
      assert.ok((await lstat(path)).isSymbolicLink());
    });

    it('takes in what a person has just saved before it writes', async () => {
      const config = await open();
      await writeFile(path, FILE.replace('strength: 0.5', 'strength: 0.25'));
      await config.setStream('door', { source: 'push' });
      assert.equal(config.current.streams.gate?.strength, 0.25);
      await writeFile(path, 'streams: [');
      await assert.rejects(config.setStream('door2', { source: 'push' }), {
        status: 409,
        message: /correct it first/,
      });
      assert.equal(await readFile(path, 'utf8'), 'streams: [');
    });
  });

  describe('a disk that does not take the file', {
    skip: process.getuid?.() !== 0 && 'mounting needs root',
  }, () => {
    let mount: string;
    let mounted = false;
    beforeEach(async () => {
      mount = join(directory, 'disk');
      await mkdir(mount);
      try {
        execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8k', 'tmpfs', mount], { stdio: 'ignore' });
        mounted = true;
      } catch {
        // A container without the right to mount: the tests below say that they were skipped.
      }
      path = join(mount, 'clearway.yml');
      await writeFile(path, FILE);
    });
    afterEach(() => {
      store?.close();
      if (mounted) execFileSync('umount', ['-l', mount]);
      mounted = false;
    });

    it('a full disk is named, and nothing changes', async (context) => {
      if (!mounted) return context.skip('this host does not let us mount');
      const config = await open();
      await writeFile(join(mount, 'filler'), Buffer.alloc(4096)).catch(() => undefined);
      await assert.rejects(config.setStream('door', { source: 'push' }), {
        code: 'CLEARWAY_DISK_FULL',
        status: 507,
      });
      assert.equal(config.current.streams.door, undefined);
      assert.equal(await readFile(path, 'utf8'), FILE);
    });

    it('a read-only disk is named, and nothing changes', async (context) => {
      if (!mounted) return context.skip('this host does not let us mount');
      const config = await open();
      execFileSync('mount', ['-o', 'remount,ro', mount]);
      await assert.rejects(config.setStream('door', { source: 'push' }), {
        code: 'CLEARWAY_CONFIG_READONLY',
      });
      assert.equal(config.current.streams.door, undefined);
    });

    it('a file that is itself a mount point is written in place', async (context) => {
      if (!mounted) return context.skip('this host does not let us mount');
      const point = join(directory, 'mounted.yml');
      await writeFile(point, '');
      execFileSync('mount', ['--bind', path, point]);
      try {
        path = point;
        const config = await open();
        await config.setStream('gate', { strength: null });
        await config.removeStream('yard');
        assert.equal(await readFile(join(mount, 'clearway.yml'), 'utf8'), await readFile(point, 'utf8'));
        assert.deepEqual(Object.keys((await ConfigStore.open(point, silentLogger).then(closed)).streams), [
          'gate',
        ]);
      } finally {
        store?.close();
        execFileSync('umount', ['-l', point]);
      }
    });
  });

  describe('watching', () => {
    it('notices an edit and tells what changed', async () => {
      const config = await open();
      const changed = nextChange(config);
      await writeFile(
        path,
        FILE.replace('9000', '9001').replace('  yard: { source: demo }\n', '  shed: {source: demo}\n'),
      );
      const [next, , diff] = await changed;
      assert.deepEqual(diff, { added: ['shed'], removed: ['yard'], changed: [], global: ['http.port'] });
      assert.equal(config.current, next);
    });

    it('notices an editor that saves by rename', async () => {
      const config = await open();
      for (const strength of ['0.6', '0.7']) {
        const changed = nextChange(config);
        await writeFile(`${path}~`, FILE.replace('strength: 0.5', `strength: ${strength}`));
        await rename(`${path}~`, path);
        await changed;
        assert.equal(config.current.streams.gate?.strength, Number(strength));
      }
    });

    it('does not report its own write a second time', async () => {
      const out = new PassThrough();
      const config = await ConfigStore.open(path, createLogger({ level: 'info', format: 'json' }, out));
      store = config;
      let changes = 0;
      config.on('change', () => changes++);
      await config.setStream('gate', { strength: 0.9 });
      await config.reload();
      assert.equal(out.read(), null);
      const edited = nextChange(config);
      await writeFile(path, (await readFile(path, 'utf8')).replace('0.9', '0.4'));
      await edited;
      assert.equal(changes, 2);
    });

    it('is silent about an edit of comments only, and keeps them', async () => {
      const config = await open();
      let changes = 0;
      config.on('change', () => changes++);
      await writeFile(path, `# a new note\n${FILE}`);
      await config.reload();
      assert.equal(changes, 0);
      await config.setStream('gate', { strength: 0.9 });
      assert.match(await readFile(path, 'utf8'), /^# a new note/);
    });

    it('refuses a bad edit with line and reason, runs on, and recovers', async () => {
      const out = new PassThrough();
      store = await ConfigStore.open(path, createLogger({ level: 'info', format: 'json' }, out));
      const before = store.current;
      const logged = once(out, 'data') as Promise<[Buffer]>;
      await writeFile(path, FILE.replace('strength: 0.5', 'strength: 50'));
      const line = JSON.parse(String((await logged)[0])) as { msg: string; reason: string };
      assert.equal(line.msg, 'configuration edit refused');
      assert.match(line.reason, /clearway\.yml:9:15 streams\.gate\.strength: must be 0 to 1/);
      assert.equal(store.current, before);
      assert.equal(store.lastError?.code, 'CLEARWAY_CONFIG_INVALID');
      const recovered = once(out, 'data') as Promise<[Buffer]>;
      await writeFile(path, FILE);
      await store.reload();
      assert.equal(JSON.parse(String((await recovered)[0])).msg, 'configuration is good again');
      assert.equal(store.lastError, undefined);
    });

    it('runs on without its file, and refuses an edit that would open it to the network', async () => {
      const config = await open();
      await rm(path);
      await assert.rejects(config.reload(), { message: /no configuration file/ });
      await writeFile(path, 'http: {host: 0.0.0.0}');
      await assert.rejects(config.reload(), { code: 'CLEARWAY_BIND_REFUSED' });
      assert.equal(config.current.http.port, 9000);
    });
  });
});

function closed(store: ConfigStore): Config {
  store.close();
  return store.current;
}
