import http from 'node:http';
import https from 'node:https';
import { json } from 'node:stream/consumers';
import type { Config } from '../config/schema.ts';

const TIMEOUT = 2000;

/** Seconds that a gateway with this configuration has been running on this host; undefined when none answers. */
export async function gatewayUptime({ host, port, tls }: Config['http']): Promise<number | undefined> {
  const local = { '0.0.0.0': '127.0.0.1', '::': '::1' }[host] ?? host;
  const options = { host: local, port, path: '/health', timeout: TIMEOUT };
  const { promise, resolve } = Promise.withResolvers<number | undefined>();
  // Over loopback the name in the certificate cannot match, and need not.
  const request = tls ? https.get({ ...options, rejectUnauthorized: false }) : http.get(options);
  request.on('response', (response) => {
    json(response).then(
      (health) => resolve((health as { uptime?: number } | null)?.uptime),
      () => resolve(undefined),
    );
  });
  request.on('timeout', () => request.destroy());
  request.on('error', () => resolve(undefined));
  return promise;
}
