// Restores a video file from a page of yours. The gateway lets pages of other origins ask when http.corsOrigins names
// them ('*' is not enough here), and asks for a token then. restore.html uses it.

/**
 * @param {File} file
 * @param {object} options
 * @param {string} options.gateway e.g. https://clearway.example
 * @param {string} [options.token] when auth is configured
 * @param {Record<string, string>} [options.settings] denoise_strength, target_resolution, ...: see /docs
 * @param {(stage: string, share: number | undefined) => void} [options.onProgress] share 0..1
 * @param {AbortSignal} [options.signal]
 * @returns {Promise<Blob>} the restored video
 */
export async function restore(file, { gateway, token, settings = {}, onProgress = () => {}, signal }) {
  const headers = token ? { authorization: `Bearer ${token}` } : {};
  const ask = async (path, init = {}) => check(await fetch(gateway + path, { headers, signal, ...init }));

  const form = new FormData();
  for (const [name, value] of Object.entries(settings)) form.set(name, value);
  form.set('file', file);
  onProgress('sending', undefined);
  let job = await (await ask('/restore/video', { method: 'POST', body: form })).json();
  while (job.state === 'queued' || job.state === 'running') {
    await new Promise((resolve) => setTimeout(resolve, 500));
    job = await (await ask(job.urls.self)).json();
    const { frames, total } = job.progress ?? {};
    onProgress(job.progress?.stage ?? job.state, total ? frames / total : undefined);
  }
  // A job that failed answers with its error.
  return (await ask(job.urls.video)).blob();
}

/** Throws what the gateway says about an error (problem+json). */
async function check(answer) {
  if (answer.ok) return answer;
  const { code, detail } = await answer.json();
  throw new Error(`${code}: ${detail}`);
}
