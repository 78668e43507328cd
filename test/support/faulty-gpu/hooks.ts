import { registerHooks } from 'node:module';

/** Loaded before a process's own code (`--import`): its GPU and its CUDA runtime are the faulty ones. */
const REPLACED: [importer: RegExp, specifier: string, by: string][] = [
  [/\/src\/restore\/inference-thread\.ts$/, './providers.ts', './providers.ts'],
  [/\/src\/restore\/device\/cuda-runtime\.ts$/, 'koffi', './libcudart.ts'],
];

registerHooks({
  resolve(specifier, context, next) {
    for (const [importer, replaced, by] of REPLACED)
      if (specifier === replaced && importer.test(context.parentURL ?? ''))
        return { url: new URL(by, import.meta.url).href, shortCircuit: true };
    return next(specifier, context);
  },
});
