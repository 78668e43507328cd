import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { quiet, Stop, say } from './run.mjs';

/** Where a command is on the PATH, or undefined. */
export function which(command) {
  return (process.env.PATH ?? '')
    .split(delimiter)
    .map((dir) => join(dir, command))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

/** The Chromium the browser tests drive. */
export function findChromium() {
  const named = process.env.CHROMIUM;
  if (named) return existsSync(named) ? named : undefined;
  return which('chromium') ?? which('chromium-browser') ?? which('google-chrome-stable');
}

/** What the RTSP test server imports and the elements its pipelines are made of. */
const RTSP_SERVER_PROBE = `
import gi
gi.require_version('Gst', '1.0'); gi.require_version('GstRtspServer', '1.0')
from gi.repository import Gst, GstRtspServer
Gst.init(None)
missing = [e for e in ('videotestsrc', 'x264enc', 'x265enc', 'jpegenc', 'rtph264pay', 'avenc_aac') if not Gst.ElementFactory.find(e)]
raise SystemExit(1 if missing else 0)
`;

const runs = (command) =>
  quiet(command).then(
    () => true,
    () => false,
  );

/**
 * A program of the host that npm cannot bring.
 * @typedef {{ name: string, present: () => boolean | Promise<boolean>, packages: Record<string, string[]> }} Tool
 */

/** @type {Tool} */
export const FFMPEG = {
  name: 'ffmpeg',
  present: () => which('ffmpeg') !== undefined,
  packages: { apt: ['ffmpeg'], dnf: ['ffmpeg-free'], pacman: ['ffmpeg'], brew: ['ffmpeg'] },
};

/** What only the tests need. @type {Tool[]} */
export const TEST_TOOLS = [
  {
    name: 'chromium',
    present: () => findChromium() !== undefined,
    packages: { apt: ['chromium'], dnf: ['chromium'], pacman: ['chromium'], brew: ['--cask', 'chromium'] },
  },
  {
    name: 'prometheus',
    present: () => which('prometheus') !== undefined && which('promtool') !== undefined,
    packages: {
      apt: ['prometheus'],
      dnf: ['golang-github-prometheus'],
      pacman: ['prometheus'],
      brew: ['prometheus'],
    },
  },
  {
    name: 'alertmanager',
    present: () => (which('prometheus-alertmanager') ?? which('alertmanager')) !== undefined,
    packages: {
      apt: ['prometheus-alertmanager'],
      dnf: ['golang-github-prometheus-alertmanager'],
      pacman: ['alertmanager'],
      brew: ['alertmanager'],
    },
  },
  {
    name: 'openssl',
    present: () => which('openssl') !== undefined,
    packages: { apt: ['openssl'], dnf: ['openssl'], pacman: ['openssl'], brew: ['openssl'] },
  },
  {
    name: 'redis',
    present: () => which('redis-server') !== undefined,
    packages: { apt: ['redis-server'], dnf: ['redis'], pacman: ['redis'], brew: ['redis'] },
  },
  {
    name: 'curl',
    present: () => which('curl') !== undefined,
    packages: { apt: ['curl'], dnf: ['curl'], pacman: ['curl'], brew: ['curl'] },
  },
  {
    name: 'requests and httpx for Python',
    present: () => runs(['/usr/bin/python3', '-c', 'import requests, httpx']),
    packages: {
      apt: ['python3-requests', 'python3-httpx'],
      dnf: ['python3-requests', 'python3-httpx'],
      pacman: ['python-requests', 'python-httpx'],
      brew: [],
    },
  },
  {
    name: 'the GStreamer RTSP server',
    // The distribution's own Python: a pyenv one has no gi module.
    present: () => runs(['/usr/bin/python3', '-c', RTSP_SERVER_PROBE]),
    packages: {
      apt: [
        'gir1.2-gst-rtsp-server-1.0',
        'python3-gi',
        ...['base', 'good', 'bad', 'ugly'].map((set) => `gstreamer1.0-plugins-${set}`),
        'gstreamer1.0-libav',
      ],
      dnf: [
        'gstreamer1-rtsp-server',
        'python3-gobject',
        ...['base', 'good', 'bad-free', 'ugly-free'].map((set) => `gstreamer1-plugins-${set}`),
        'gstreamer1-plugin-libav',
      ],
      pacman: [
        'gst-rtsp-server',
        'python-gobject',
        ...['base', 'good', 'bad', 'ugly'].map((set) => `gst-plugins-${set}`),
        'gst-libav',
      ],
      brew: ['gstreamer', 'pygobject3'],
    },
  },
];

const MANAGERS = [
  {
    id: 'apt',
    command: 'apt-get',
    steps: [
      ['apt-get', 'update', '-qq'],
      ['apt-get', 'install', '-y', '-qq', '--no-install-recommends'],
    ],
  },
  { id: 'dnf', command: 'dnf', steps: [['dnf', 'install', '-y', '-q']] },
  { id: 'pacman', command: 'pacman', steps: [['pacman', '-Sy', '--noconfirm', '--needed']] },
  { id: 'brew', command: 'brew', steps: [['brew', 'install', '--quiet']], unprivileged: true },
];

/**
 * Installs the tools that are missing through the host's package manager, when root or passwordless sudo allows it.
 * @param {Tool[]} tools
 * @throws {Stop} saying what to install
 */
export async function ensureTools(tools) {
  const present = await Promise.all(tools.map((tool) => tool.present()));
  const missing = tools.filter((_, index) => !present[index]);
  if (missing.length === 0) return;
  const names = missing.map((tool) => tool.name).join(', ');

  const manager = MANAGERS.find(({ command }) => which(command));
  if (!manager) throw new Stop(`missing: ${names}. Install with your system's package manager and try again`);
  const packages = missing.flatMap((tool) => tool.packages[manager.id]);
  const byHand = [...manager.steps.at(-1).filter((word) => !word.startsWith('-')), ...packages].join(' ');

  const root = process.getuid() === 0;
  const allowed = manager.unprivileged ? !root : root || (await runs(['sudo', '-n', 'true']));
  if (!allowed)
    throw new Stop(`missing: ${names}. Install with: ${manager.unprivileged ? '' : 'sudo '}${byHand}`);

  say(`installing ${names} (${manager.command})...`);
  for (const [index, step] of manager.steps.entries()) {
    const last = index === manager.steps.length - 1;
    const prefix = root || manager.unprivileged ? [] : ['sudo', '-n'];
    await quiet([...prefix, ...step, ...(last ? packages : [])], { DEBIAN_FRONTEND: 'noninteractive' });
  }
  for (const tool of missing) {
    if (!(await tool.present())) throw new Stop(`${tool.name} is still missing after: ${byHand}`);
  }
}
