// The container's health check: exit code 0 when /health answers 200. Set CLEARWAY_HEALTH_URL when the port is
// another or TLS is on.
import http from 'node:http';
import https from 'node:https';

const url = new URL(process.env.CLEARWAY_HEALTH_URL ?? 'http://127.0.0.1:8080/health');
// It asks this very container over loopback, so the certificate's name cannot match and need not.
const request = url.protocol === 'https:' ? https.get(url, { rejectUnauthorized: false }) : http.get(url);
request.setTimeout(4000, () => request.destroy(new Error('no answer within 4 s')));
request.on('response', (response) => process.exit(response.statusCode === 200 ? 0 : 1));
request.on('error', (error) => {
  process.stderr.write(`${url.href}: ${error.message}\n`);
  process.exit(1);
});
