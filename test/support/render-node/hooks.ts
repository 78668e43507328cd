import { registerHooks } from 'node:module';

/** Loaded before a process's own code (`--import`): what looks for GPUs sees a render node of one. */
registerHooks({
  resolve(specifier, context, next) {
    if (specifier === 'node:fs' && context.parentURL?.endsWith('/src/restore/providers.ts'))
      return { url: new URL('./fs.ts', import.meta.url).href, shortCircuit: true };
    return next(specifier, context);
  },
});
