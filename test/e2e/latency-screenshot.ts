// node test/e2e/latency-screenshot.ts [FILE.png]: docs/latency-by-stage.png, the page's chart of a camera's latency.
import { launchBrowser } from '../support/browser.ts';
import { patientStream, startGateway } from '../support/gateway.ts';
import { startRtspCamera } from '../support/rtsp-camera.ts';

/** Seconds the chart goes back, part of them. */
const WATCHED = 45;

await using camera = await startRtspCamera({ width: 640, height: 360, rate: 15 });
await using gateway = await startGateway({ streams: { gate: patientStream(camera.url, { height: 180 }) } });
await using browser = await launchBrowser();
const page = await browser.context.newPage();
await page.goto(`${gateway.url}/streams/gate`);
await page.getByText('From capture by the camera’s clock').waitFor();
await new Promise((resolve) => setTimeout(resolve, WATCHED * 1000));
await page.locator('section.latency').screenshot({
  path: process.argv[2] ?? new URL('../../docs/latency-by-stage.png', import.meta.url).pathname,
});
