import { readFileSync, readdirSync } from 'node:fs';
import { join, posix } from 'node:path';
import { defineConfig } from 'vitest/config';
import { programReporter, systemSuites } from './test/system/programs.js';

/** The packages of this repository are tested from their sources: each export in dist stands for a file in src. */
const alias = readdirSync(join(import.meta.dirname, 'packages')).flatMap((folder) => {
  const dir = join(import.meta.dirname, 'packages', folder);
  const { name, exports } = JSON.parse(readFileSync(join(dir, 'package.json'), 'utf8')) as {
    name: string;
    exports: Record<string, string | { default: string }>;
  };
  return Object.entries(exports).flatMap(([path, target]) =>
    typeof target === 'string'
      ? []
      : {
          find: new RegExp(`^${posix.join(name, path)}$`),
          replacement: join(dir, target.default.replace('./dist/', 'src/').replace(/\.js$/, '.ts')),
        },
  );
});

const suites = systemSuites();
const testTimeout = 30_000;
const hookTimeout = 30_000;

export default defineConfig({
  test: {
    reporters: ['default', programReporter(suites)],
    projects: [
      {
        resolve: { alias },
        test: {
          name: 'unit',
          include: ['packages/*/test/**/*.test.ts', 'test/**/*.test.ts'],
          exclude: ['test/system/**'],
          env: { A2A_AUTH_EXPRESS: '5' },
          testTimeout,
          hookTimeout,
        },
      },
      {
        // The same Express suites with Express 4. Inlining is what lets the alias apply within the SDK too.
        resolve: { alias: [...alias, { find: /^express$/, replacement: 'express4' }] },
        test: {
          name: 'express4',
          include: ['packages/*/test/express/**/*.test.ts', 'test/express/**/*.test.ts'],
          env: { A2A_AUTH_EXPRESS: '4' },
          server: { deps: { inline: [/@a2a-js\/sdk/, /@a2a-auth\//] } },
          testTimeout,
          hookTimeout,
        },
      },
      {
        resolve: { alias },
        test: {
          name: 'system',
          include: suites.runnable.map(({ file }) => file),
          testTimeout,
          hookTimeout,
        },
      },
    ],
  },
});
