import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import WebSocket from 'ws';
import { stringify } from 'yaml';
import { readLines } from '../../src/codec/lines.ts';
import type { ConfigInput, StreamConfigInput } from '../../src/config/schema.ts';
import type { ServerEvent } from '../../src/contracts/events.ts';
import type { StreamStatus } from '../../src/contracts/stream.ts';
import { temporaryDirectory } from './ffmpeg.ts';
import { freePort } from './ports.ts';
import { descendants, isRunning, type ProcessFacts } from './processes.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

export interface LogLine {
  level: number;
  msg: string;
  [field: string]: unknown;
}

export interface RunningGateway extends AsyncDisposable {
  readonly url: string;
  readonly rtmpPort: number;
  readonly pid: number;
  /** The configuration file, to be edited as an operator would. */
  readonly configPath: string;
  readonly log: readonly LogLine[];
  /** Calls the HTTP API. */
  api(method: string, path: string, body?: unknown): Promise<{ status: number; body: unknown }>;
  status(name: string): Promise<StreamStatus>;
  /** Resolves with the stream's status as soon as it meets a condition; told by `WS /events`. */
  until(name: string, condition: (status: StreamStatus) => boolean): Promise<StreamStatus>;
  /** Resolves with the first line of the log, past or to come, that meets a condition. */
  logged(condition: (line: LogLine) => boolean): Promise<LogLine>;
  /** The restorer and the decoders, found in /proc. */
  children(): Promise<ProcessFacts[]>;
  restorer(): Promise<number>;
  /** The ffmpeg child that reads a URL. */
  decoder(url: string): Promise<number>;
  /** SIGKILL; resolves when its children are gone too. */
  kill(): Promise<void>;
  /** SIGTERM; resolves with how it ended once it is gone. */
  stop(): Promise<{ code: number | null; ms: number }>;
}

/**
 * `clearway serve` as a process of its own on free ports.
 * @param where directory of its configuration file; one of its own when absent
 * @param token what may read it, when it asks who somebody is
 */
export async function startGateway(
  config: ConfigInput,
  where?: string,
  token?: string,
): Promise<RunningGateway> {
  await using stack = new AsyncDisposableStack();
  const directory = stack.use(await temporaryDirectory());
  const configPath = join(where ?? directory.path, 'clearway.yml');
  const rtmpPort = await freePort();
  await writeFile(configPath, stringify(withFreePorts(config, rtmpPort)));
  const gateway = new GatewayProcess(configPath, rtmpPort, token);
  stack.defer(() => gateway.kill());
  await gateway.ready();
  stack.move();
  gateway.onDispose = () => directory[Symbol.asyncDispose]();
  return gateway;
}

/** Runs `clearway serve` with a configuration that it is expected to refuse; gives exit code and what it said. */
export async function refusedStart(configPath: string): Promise<{ code: number | null; stderr: string }> {
  const child = spawn(process.execPath, [MAIN, 'serve', '--config', configPath, '--log-level', 'silent'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stderr };
}

/**
 * Ports of this process's own, so that test files may run side by side: below those of `freePort`, and of the sockets
 * that ask for any port.
 */
export function withFreePorts(config: ConfigInput, rtmpPort: number): ConfigInput {
  const first = 10_000 + (process.pid % 200) * 50;
  const { streams, ...settings } = config;
  return {
    ...settings,
    http: { port: 0, ...config.http },
    rtmp: { port: rtmpPort, ...config.rtmp },
    webrtc: { workers: 1, portRange: [first, first + 49], ...config.webrtc },
    // Last, so that a test may append one.
    streams: streams ?? {},
  };
}

interface GatewayEvents {
  line: [line: LogLine];
  status: [status: StreamStatus];
  exit: [];
}

class GatewayProcess implements RunningGateway {
  url = '';
  readonly rtmpPort: number;
  readonly configPath: string;
  readonly log: LogLine[] = [];
  onDispose: () => PromiseLike<void> = async () => {};
  readonly #child;
  readonly #events = new EventEmitter<GatewayEvents>();
  #socket: WebSocket | undefined;
  #stderr = '';
  readonly #headers: Record<string, string>;

  constructor(configPath: string, rtmpPort: number, token?: string) {
    this.#headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    this.configPath = configPath;
    this.rtmpPort = rtmpPort;
    this.#events.setMaxListeners(0);
    this.#child = spawn(process.execPath, [MAIN, 'serve', '--config', configPath, '--log-format', 'json'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child.once('exit', () => this.#events.emit('exit'));
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-4000);
    });
    readLines(this.#child.stdout, (text) => {
      if (process.env.CLEARWAY_TEST_LOG) process.stderr.write(`${text}\n`);
      const line = JSON.parse(text) as LogLine;
      this.log.push(line);
      this.#events.emit('line', line);
    });
  }

  get pid(): number {
    return this.#child.pid!;
  }

  get #gone(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** Resolves once it serves and its restorer has opened and timed the models. */
  async ready(): Promise<void> {
    const { url } = await this.logged(({ msg }) => msg.startsWith('Clearway is ready'));
    this.url = String(url);
    this.#socket = new WebSocket(`${this.url.replace('http', 'ws')}/events`, { headers: this.#headers });
    this.#socket.on('message', (data) => {
      const event = JSON.parse(String(data)) as ServerEvent;
      if (event.type === 'stream') this.#events.emit('status', event.stream);
      if (event.type === 'streams') for (const stream of event.streams) this.#events.emit('status', stream);
    });
    this.#socket.on('error', () => {});
    await once(this.#socket, 'open');
    while ((await this.api('GET', '/ready')).status !== 200) await nextTurn(50);
  }

  async api(method: string, path: string, body?: unknown): Promise<{ status: number; body: unknown }> {
    const response = await fetch(`${this.url}${path}`, {
      method,
      headers: { ...this.#headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    const isJson = /json/.test(response.headers.get('content-type') ?? '');
    return { status: response.status, body: isJson ? JSON.parse(text) : text };
  }

  async status(name: string): Promise<StreamStatus> {
    const { status, body } = await this.api('GET', `/api/v1/streams/${name}`);
    assert.equal(status, 200, JSON.stringify(body));
    return body as StreamStatus;
  }

  async until(name: string, condition: (status: StreamStatus) => boolean): Promise<StreamStatus> {
    let last: StreamStatus | undefined;
    const met = this.#first(
      'status',
      (status) => {
        if (status.name === name) last = status;
        return status.name === name && condition(status);
      },
      () => `${name} never got there; last ${JSON.stringify(last)}`,
    );
    const now = await this.api('GET', `/api/v1/streams/${name}`);
    if (now.status === 200 && condition(now.body as StreamStatus)) {
      met.catch(() => {});
      return now.body as StreamStatus;
    }
    return met;
  }

  async logged(condition: (line: LogLine) => boolean): Promise<LogLine> {
    return this.log.find(condition) ?? this.#first('line', condition, () => 'the log never said so');
  }

  children(): Promise<ProcessFacts[]> {
    return descendants(this.pid);
  }

  async restorer(): Promise<number> {
    const found = (await this.children()).find(({ command }) =>
      command.some((argument) => argument.endsWith('restorer-process.ts')),
    );
    assert.ok(found, 'the restorer runs');
    return found.pid;
  }

  async decoder(url: string): Promise<number> {
    const found = (await this.children()).find(
      ({ command }) => /ffmpeg$/.test(command[0]!) && command.includes(url),
    );
    assert.ok(found, `a decoder reads ${url}`);
    return found.pid;
  }

  async stop(): Promise<{ code: number | null; ms: number }> {
    const began = performance.now();
    const exited = this.#gone ? undefined : once(this.#events, 'exit');
    this.#child.kill('SIGTERM');
    await exited;
    return { code: this.#child.exitCode, ms: performance.now() - began };
  }

  async kill(): Promise<void> {
    this.#socket?.terminate();
    if (this.#gone) return;
    const children = await this.children();
    const exited = once(this.#events, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
    for (const { pid } of children) while (await isRunning(pid)) await nextTurn(20);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await this.onDispose();
  }

  #first<E extends 'line' | 'status'>(
    event: E,
    condition: (value: GatewayEvents[E][0]) => boolean,
    complaint: () => string,
  ): Promise<GatewayEvents[E][0]> {
    return new Promise((resolve, reject) => {
      const settle = (action: () => void) => {
        clearTimeout(timer);
        this.#events.off(event, seen as never);
        this.#events.off('exit', gone);
        action();
      };
      const seen = (value: GatewayEvents[E][0]) => {
        if (condition(value)) settle(() => resolve(value));
      };
      const gone = () =>
        settle(() => reject(new Error(`the gateway ended (${this.#child.exitCode}): ${this.#stderr}`)));
      // Only bounds a hang.
      const timer = setTimeout(() => settle(() => reject(new Error(complaint()))), 90_000);
      this.#events.on(event, seen as never);
      this.#events.once('exit', gone);
    });
  }
}

function nextTurn(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** A stream that is only connected while a test watches it, restored by the shipped model whatever it costs here. */
export function patientStream(source: string, settings: Partial<StreamConfigInput> = {}): StreamConfigInput {
  // Tests share their cores: a deadline as tight as a camera's would measure the neighbours.
  return { source, model: 'lite', latencyBudget: '1m', ...settings };
}
