import { readFileSync } from 'node:fs';
import { createSecureContext, type Server } from 'node:tls';
import { watchForChange } from '../config/watch.ts';
import { ClearwayError } from '../contracts/errors.ts';
import type { Logger } from '../telemetry/log.ts';

export interface TlsFiles {
  /** Paths of PEM files: the certificate with its chain, and its private key. */
  cert: string;
  key: string;
}

export interface TlsPair {
  cert: Buffer;
  key: Buffer;
}

/** Reads certificate and key and checks that they belong together. Throws CLEARWAY_CONFIG_INVALID. */
export function readTls(files: TlsFiles): TlsPair {
  try {
    const pair = { cert: readFileSync(files.cert), key: readFileSync(files.key) };
    createSecureContext(pair);
    return pair;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new ClearwayError(
      'CLEARWAY_CONFIG_INVALID',
      `http.tls: ${files.cert} and ${files.key} cannot be used (${why}): name a PEM certificate and its key.`,
      { cause },
    );
  }
}

/** Takes renewed certificate files into use without a restart; bad ones are logged and the old kept. */
export function followTls(
  server: Pick<Server, 'setSecureContext'>,
  files: TlsFiles,
  logger: Logger,
): () => void {
  let current = readTls(files);
  const reload = () => {
    try {
      const next = readTls(files);
      if (next.cert.equals(current.cert) && next.key.equals(current.key)) return;
      server.setSecureContext(next);
      current = next;
      logger.info({ cert: files.cert }, 'certificate reloaded');
    } catch (error) {
      // Certificate and key are replaced one after the other; in between they do not match.
      logger.warn({ err: error }, 'certificate not reloaded; the one in use stays');
    }
  };
  const stops = [watchForChange(files.cert, reload), watchForChange(files.key, reload)];
  return () => {
    for (const stop of stops) stop();
  };
}
