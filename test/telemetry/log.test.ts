import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { describe, it } from 'node:test';
import { createLogger, type Logger, type LogOptions } from '../../src/telemetry/log.ts';
import { redact } from '../../src/telemetry/redact.ts';
import { temporaryDirectory } from '../support/ffmpeg.ts';
import { mountSmallDisk } from '../support/small-disk.ts';

describe('redact', () => {
  for (const [given, expected] of [
    ['rtsp://user:hunter2@cam:554/1', 'rtsp://***@cam:554/1'],
    ['rtsp://hunter2@cam/1', 'rtsp://***@cam/1'],
    ['rtsp://user:hun@ter2@cam/1', 'rtsp://***@cam/1'],
    ['rtsp://user:hun/ter2@cam/1', 'rtsp://***@cam/1'],
    ['RTSPS://U:hunter2@[::1]:322/a', 'RTSPS://***@[::1]:322/a'],
    ['rtmp://h/live/a?key=hunter2', 'rtmp://h/live/a?key=***'],
    ['http://h/x?a=1&token=hunter2&b=2', 'http://h/x?a=1&token=***&b=2'],
    ['rtsp://h/user=admin_password=hunter2', 'rtsp://h/user=admin_password=***'],
    ['srt://h:9000?passphrase=hunter2', 'srt://h:9000?passphrase=***'],
    ['srt://h:9000?streamid=read:cam:u:hunter2', 'srt://h:9000?streamid=read:cam:***'],
    ['from rtsp://u:hunter2@a/ to rtmp://u:hunter2@b/', 'from rtsp://***@a/ to rtmp://***@b/'],
    ['rtsp://cam/1 failed: ask admin@example.org', 'rtsp://cam/1 failed: ask admin@example.org'],
    ['http://[::1]:8080/whep/a', 'http://[::1]:8080/whep/a'],
    ['http://h:8080/a mail b@c', 'http://h:8080/a mail b@c'],
  ] as const) {
    it(given, () => assert.equal(redact(given), expected));
  }

  it('stays linear on hostile text', { timeout: 20_000 }, () => {
    for (const text of [
      'a'.repeat(500_000),
      '://'.repeat(150_000),
      '://a:'.repeat(100_000),
      '?key='.repeat(100_000),
    ]) {
      redact(text);
    }
  });
});

describe('createLogger', () => {
  function record(options: Partial<LogOptions>, use: (logger: Logger) => void): string {
    const out = new PassThrough();
    use(createLogger({ level: 'info', format: 'json', ...options }, out));
    return String(out.read() ?? '');
  }

  it('writes JSON lines with level, time and its base fields', () => {
    const line = JSON.parse(
      record({ base: { process: 'restorer' } }, (logger) => logger.info({ stream: 'gate' }, 'live')),
    );
    assert.deepEqual([line.process, line.stream, line.msg], ['restorer', 'gate', 'live']);
    assert.match(line.time, /^\d{4}-\d\d-\d\dT/);
  });

  it('is quiet below its level', () => {
    assert.equal(
      record({ level: 'warn' }, (logger) => logger.info('nothing')),
      '',
    );
  });

  for (const format of ['json', 'pretty'] as const) {
    it(`redacts messages, fields, errors and children (${format})`, () => {
      const text = record({ format }, (logger) => {
        const url = 'rtsp://user:hunter2@cam/1';
        logger.warn({ url, nested: { url }, err: new Error(`cannot open ${url}`) }, `lost ${url}`);
        logger.child({ source: url }).info('child');
      });
      assert.match(text, /child/);
      assert.match(text, /\*\*\*@cam/);
      assert.doesNotMatch(text, /hunter2/);
    });
  }

  it('gives a terminal nothing to obey, and says the rest as it is', () => {
    const text = record({ format: 'pretty' }, (logger) => {
      const said = 'a\u001b[2Jb\u009b31mc\b\rd\u202ee C:\\u001b "f"';
      logger.warn({ name: said, err: new Error(said) }, said);
    });
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    assert.doesNotMatch(text, /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202e]/);
    assert.match(text, /: a\?\[2Jb\?31mc\?\?d\?e C:\\u001b "f"$/m);
  });

  for (const format of ['json', 'pretty'] as const) {
    it(`outlives a full disk (${format})`, async (t) => {
      await using directory = await temporaryDirectory();
      using disk = mountSmallDisk(directory.path, 64);
      if ('missing' in disk) return t.skip(disk.missing);
      const path = join(disk.path, 'log');
      const file = openSync(path, 'a');
      const module = new URL('../../src/telemetry/log.ts', import.meta.url);
      const program = `
        import { createLogger } from '${module}';
        const logger = createLogger({ level: 'info', format: '${format}' });
        process.on('message', (text) => {
          for (let i = 0; i < 100; i++) logger.info(text + ' ' + 'x'.repeat(100));
          process.send(text);
        });`;
      const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
        stdio: ['ignore', file, 'inherit', 'ipc'],
      });
      closeSync(file);
      const exited = once(child, 'exit');
      const say = async (text: string) => {
        child.send(text);
        assert.deepEqual(await Promise.race([once(child, 'message'), exited]), [text, undefined]);
      };
      await say('before');
      disk.fill();
      await say('meanwhile');
      disk.makeRoom();
      await say('after');
      child.disconnect();
      await exited;
      assert.match(readFileSync(path, 'utf8'), /before.*after/s);
    });
  }
});
