/** Milliseconds for people: `7.4`, `84`, `1 240`. */
export function ms(value: number | undefined): string {
  if (value === undefined || !Number.isFinite(value)) return '–';
  return value >= 0.05 && value < 9.95 ? value.toFixed(1) : grouped(value);
}

/** A whole number with thin spaces between thousands. */
export function grouped(value: number): string {
  return Math.round(value)
    .toString()
    .replace(/\B(?=(\d{3})+(?!\d))/g, '\u2009');
}

export function fps(value: number | undefined): string {
  if (value === undefined || !Number.isFinite(value)) return '–';
  return value >= 100 || Math.abs(value - Math.round(value)) < 0.05 ? value.toFixed(0) : value.toFixed(1);
}

/** Bits per second as `640 kbit/s` or `2.4 Mbit/s`. */
export function bitrate(bps: number | undefined): string {
  if (bps === undefined || !Number.isFinite(bps)) return '–';
  return bps < 1e6 ? `${Math.round(bps / 1e3)} kbit/s` : `${(bps / 1e6).toFixed(1)} Mbit/s`;
}

/** A share 0..1 as a percentage that says 100 only when nothing is missing. */
export function percent(share: number | undefined): string {
  if (share === undefined || !Number.isFinite(share)) return '–';
  const value = share * 100;
  if (value === 100 || value === 0) return `${value}`;
  return value > 99 ? (Math.floor(value * 10) / 10).toFixed(1) : value.toFixed(value < 1 ? 1 : 0);
}

/** Time from an ISO instant to `now`, Unix ms: `12 s`, `4 min`, `3 h`, `2 d`. */
export function since(iso: string, now: number): string {
  const seconds = Math.max(0, Math.round((now - Date.parse(iso)) / 1000));
  if (!Number.isFinite(seconds)) return '';
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

/** A codec name as people write it. */
export function codec(name: string): string {
  const known: Record<string, string> = {
    h264: 'H.264',
    hevc: 'H.265',
    h265: 'H.265',
    mjpeg: 'MJPEG',
    av1: 'AV1',
  };
  return known[name.toLowerCase()] ?? name.toUpperCase();
}

/** Bytes as `640 KB`, `12.4 MB` or `3.1 GB`, in powers of 1000 as file managers count. */
export function bytes(value: number): string {
  const units = ['bytes', 'KB', 'MB', 'GB', 'TB'];
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit < 2 || value >= 99.95 ? value.toFixed(0) : value.toFixed(1)} ${units[unit]}`;
}

/** A duration in words: `8 s`, `1 min 24 s`, `2 h 5 min`. */
export function duration(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  const [small, large] = s < 3600 ? [s, 'min'] : [Math.round(s / 60), 'h'];
  const [whole, rest, unit] = [Math.floor(small / 60), small % 60, s < 3600 ? 's' : 'min'];
  if (whole === 0) return `${rest} ${unit}`;
  return rest === 0 ? `${whole} ${large}` : `${whole} ${large} ${rest} ${unit}`;
}

/** A place in a video: `0:04.80`, `1:02:03.40`. */
export function timecode(seconds: number): string {
  const hundredths = Math.max(0, Math.floor(seconds * 100 + 1e-6));
  const two = (value: number): string => String(value).padStart(2, '0');
  const minutes = Math.floor(hundredths / 6000);
  const rest = `${two(Math.floor(hundredths / 100) % 60)}.${two(hundredths % 100)}`;
  return minutes < 60 ? `${minutes}:${rest}` : `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${rest}`;
}
