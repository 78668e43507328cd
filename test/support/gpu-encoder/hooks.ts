import { registerHooks } from 'node:module';

/** Loaded before a process's own code (`--import`): what opens encoders finds a GPU. */
registerHooks({
  resolve(specifier, context, next) {
    if (specifier === 'node-av/lib' && /\/src\/codec\/[\w-]+\.ts$/.test(context.parentURL ?? ''))
      return { url: new URL('./node-av.ts', import.meta.url).href, shortCircuit: true };
    return next(specifier, context);
  },
});
