import { isIPv4 } from 'node:net';
import { ClearwayError } from '../contracts/errors.ts';
import type { Config } from './schema.ts';

/** Whether an address to listen on is reachable from this host only. */
export function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, '').toLowerCase();
  if (bare === 'localhost' || bare === '::1' || bare === '0:0:0:0:0:0:0:1') return true;
  const v4 = bare.replace(/^::ffff:/, '');
  return isIPv4(v4) && v4.startsWith('127.');
}

/** Whether anyone must prove who they are: some user or token is configured. */
function authEnabled(config: Pick<Config, 'auth'>): boolean {
  return config.auth.users.length > 0 || config.auth.tokens.length > 0;
}

function refuse(problem: string, lines: string): never {
  throw new ClearwayError('CLEARWAY_BIND_REFUSED', `${problem} Add to the configuration:\n${lines}`, {
    status: 400,
  });
}

/**
 * Refuses to listen beyond this host without authentication: HTTP needs a user or a token; RTMP needs a key on every
 * `source: push` stream and no `allowAny`. Call before listening, with the addresses that will really be bound.
 */
export function assertBindAllowed(config: Config): void {
  const { http, rtmp } = config;
  if (!isLoopback(http.host) && !authEnabled(config)) {
    refuse(
      `http.host is ${http.host}, so anyone on the network could watch and change every stream.`,
      [
        'auth:',
        '  users:',
        '    - name: admin',
        '      password: <what `clearway hash-password` prints>',
        '      role: admin',
      ].join('\n'),
    );
  }
  if (!rtmp.enabled || isLoopback(rtmp.host)) return;
  if (rtmp.allowAny) {
    refuse(
      `rtmp.host is ${rtmp.host} and rtmp.allowAny is on, so anyone on the network could push pictures.`,
      'rtmp:\n  allowAny: false',
    );
  }
  for (const [name, stream] of Object.entries(config.streams)) {
    if (stream.source === 'push' && stream.key === undefined) {
      refuse(
        `rtmp.host is ${rtmp.host}, so anyone on the network could push to ${name}.`,
        `streams:\n  ${name}:\n    key: <a secret its publisher sends as ?key=...>`,
      );
    }
  }
}
