import { defineConfig } from 'vite';

/** The page people watch. Everything is its own file: the gateway's CSP allows neither inline code nor inline styles. */
export default defineConfig({
  root: 'src/web',
  base: '/',
  // No subtitles, DRM or alternative audio here: the build without them is 200 KB smaller.
  resolve: { alias: { 'hls.js': 'hls.js/light' } },
  build: {
    outDir: '../../dist/web',
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // hls.js is one chunk of 370 KB, loaded only where WebRTC gave no picture.
    chunkSizeWarningLimit: 450,
  },
});
