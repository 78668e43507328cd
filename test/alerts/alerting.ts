import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { temporaryDirectory } from '../support/ffmpeg.ts';
import { freePort } from '../support/ports.ts';
import { writeOverlay } from './overlay.ts';

/** One alert as Alertmanager's webhook delivers it. */
export interface Delivered {
  status: 'firing' | 'resolved';
  labels: Record<string, string>;
  annotations: Record<string, string>;
}

export interface Alerting extends AsyncDisposable {
  /** Everything delivered so far, oldest first. */
  readonly delivered: readonly Delivered[];
  /** Forgets what was delivered: only what comes from now on counts. */
  forget(): void;
  /** Resolves with the first alert, delivered or to come, that meets a condition. */
  alert(condition: (alert: Delivered) => boolean): Promise<Delivered>;
  /** The values of a PromQL expression now; rejects when it is none. */
  query(expression: string): Promise<{ labels: Record<string, string>; value: number }[]>;
  /** Resolves once an expression has a value. */
  until(expression: string): Promise<void>;
}

/** Debian's Prometheus and Alertmanager on the project's own rules, watching a gateway, until disposed. */
export async function startAlerting(gatewayPort: number, speed: number): Promise<Alerting> {
  await using stack = new AsyncDisposableStack();
  const { path: directory } = stack.use(await temporaryDirectory());
  const delivered: Delivered[] = [];
  const events = new EventEmitter<{ alert: [] }>();
  const receiver = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    delivered.push(...(JSON.parse(body) as { alerts: Delivered[] }).alerts);
    response.end();
    events.emit('alert');
  }).listen(0, '127.0.0.1');
  await once(receiver, 'listening');
  stack.defer(() => {
    receiver.closeAllConnections();
    receiver.close();
  });

  const [port, alertmanagerPort] = [await freePort(), await freePort()];
  const webhook = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`;
  const files = await writeOverlay({ directory, speed, gatewayPort, alertmanagerPort, webhook });
  stack.use(
    await startServer(['prometheus-alertmanager', 'alertmanager'], alertmanagerPort, [
      `--config.file=${files.alertmanager}`,
      `--storage.path=${directory}/alertmanager`,
      `--web.listen-address=127.0.0.1:${alertmanagerPort}`,
      '--cluster.listen-address=',
    ]),
  );
  stack.use(
    await startServer(['prometheus'], port, [
      `--config.file=${files.prometheus}`,
      `--storage.tsdb.path=${directory}/prometheus`,
      `--web.listen-address=127.0.0.1:${port}`,
    ]),
  );

  const query: Alerting['query'] = async (expression) => {
    const url = `http://127.0.0.1:${port}/api/v1/query?query=${encodeURIComponent(expression)}`;
    const { data, error } = (await (await fetch(url)).json()) as {
      error?: string;
      data: { result: { metric: Record<string, string>; value: [number, string] }[] };
    };
    if (error !== undefined) throw new Error(`${expression}: ${error}`);
    return data.result.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }));
  };
  const owned = stack.move();
  return {
    delivered,
    query,
    forget() {
      delivered.length = 0;
    },
    async alert(condition) {
      for (;;) {
        const found = delivered.find(condition);
        if (found) return found;
        await once(events, 'alert');
      }
    },
    async until(expression) {
      while ((await query(expression)).length === 0) await pause(200);
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Starts the first of these programs that is installed and waits until it says it is ready. */
export async function startServer(names: string[], port: number, args: string[]): Promise<AsyncDisposable> {
  for (const name of names) {
    const child = spawn(name, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    let log = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      log = (log + text).slice(-4000);
    });
    const exited = once(child, 'exit').catch(() => {});
    const spawned = await once(child, 'spawn').then(
      () => true,
      () => false,
    );
    if (!spawned) continue;
    const stop = async () => {
      child.kill('SIGKILL');
      await exited;
    };
    while (!(await isReady(port))) {
      if (child.exitCode !== null) throw new Error(`${name} ended: ${log}`);
      await pause(50);
    }
    return { [Symbol.asyncDispose]: stop };
  }
  throw new Error(`none of these is installed: ${names.join(', ')}`);
}

async function isReady(port: number): Promise<boolean> {
  try {
    return (await fetch(`http://127.0.0.1:${port}/-/ready`)).ok;
  } catch {
    return false;
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
