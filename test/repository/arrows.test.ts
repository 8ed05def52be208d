import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ESLint } from 'eslint';
import tseslint from 'typescript-eslint';
import { describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '../..');

// The real configuration, apart from the rules that need types: the files linted here do not exist.
const eslint = new ESLint({
  cwd: root,
  overrideConfig: [
    { files: ['**/*.ts'], ...tseslint.configs.disableTypeChecked },
    { files: ['**/*.ts'], languageOptions: { parserOptions: { project: null } } },
  ],
});

async function arrowErrors(file: string, code: string): Promise<string[]> {
  const [result] = await eslint.lintText(code, { filePath: join(root, 'packages', file) });
  if (result === undefined) throw new Error(`${file} was not linted`);
  const broken = result.messages.filter(({ fatal }) => fatal);
  if (broken.length > 0) throw new Error(`${file} was not parsed: ${broken[0]?.message ?? ''}`);
  return result.messages
    .filter(({ ruleId, severity }) => ruleId === 'architecture/arrows' && severity === 2)
    .map(({ message }) => message);
}

const importing = (specifier: string) => `import { thing } from '${specifier}';\nexport const use = thing;\n`;

/** A file of each part, how a file of that part is imported from it and from any other part. */
const files = {
  engine: 'guard.ts',
  card: 'card/read.ts',
  schemes: 'schemes/bearer.ts',
  tokens: 'tokens/verify.ts',
  http: 'http/headers.ts',
  express: 'express/middleware.ts',
  grpc: 'grpc/interceptor.ts',
  fetch: 'fetch/handler.ts',
  certificates: 'certificates/trust.ts',
  tls: 'tls/serve.ts',
  addresses: 'addresses/ranges.ts',
  push: 'push/sender.ts',
  service: 'service/config.ts',
  conformance: 'conformance/cases.ts',
  index: 'index.ts',
} as const;
type Part = keyof typeof files;
const parts = Object.keys(files) as Part[];
const isFolder = (part: Part) => part !== 'engine' && part !== 'index';

function specifierOf(from: Part, to: Part): string {
  const name = to === 'index' ? 'index.js' : to === 'engine' ? 'other.js' : `${to}/other.js`;
  return isFolder(from) ? `../${name}` : `./${name}`;
}

/** Which parts each part may import. Written out again here, so that the table cannot change unnoticed. */
const permitted: Record<Part, Part[]> = {
  engine: ['engine', 'card'],
  card: ['engine', 'card'],
  schemes: ['engine', 'card', 'tokens', 'certificates', 'schemes'],
  tokens: ['engine', 'tokens'],
  http: ['engine', 'card', 'http'],
  express: ['engine', 'card', 'http', 'express'],
  grpc: ['engine', 'card', 'http', 'grpc'],
  fetch: ['engine', 'card', 'http', 'fetch'],
  certificates: ['engine', 'certificates'],
  tls: ['engine', 'certificates', 'tls'],
  addresses: ['addresses'],
  push: ['engine', 'tokens', 'addresses', 'push'],
  service: ['engine', 'card', 'schemes', 'tokens', 'service'],
  conformance: ['engine', 'card', 'conformance'],
  index: ['engine', 'card', 'schemes', 'tokens', 'certificates', 'tls', 'http', 'push', 'service', 'index'],
};

/** In which parts each npm package may be imported. */
const packages: Record<string, Part[]> = {
  express: ['express'],
  'express/lib/router': ['express'],
  'express-serve-static-core': ['express'],
  '@a2a-js/sdk/server/express': ['express'],
  '@grpc/grpc-js': ['grpc'],
  '@a2a-js/sdk/server/grpc': ['grpc'],
  jose: ['tokens', 'card', 'push'],
  'jose/jwt/verify': ['tokens', 'card', 'push'],
  'lru-cache': parts.filter((part) => part !== 'card'),
  '@a2a-js/sdk': parts,
  '@a2a-js/sdk/server': parts,
  'node:crypto': parts,
};

describe('the arrows between the parts of packages/server/src', () => {
  for (const from of parts) {
    for (const to of parts) {
      const allowed = permitted[from].includes(to);
      it(`${from} ${allowed ? 'may' : 'must not'} import ${to}`, async () => {
        const errors = await arrowErrors(`server/src/${files[from]}`, importing(specifierOf(from, to)));
        expect(errors).toHaveLength(allowed ? 0 : 1);
      });
    }
  }

  for (const [name, places] of Object.entries(packages)) {
    for (const from of parts) {
      const allowed = places.includes(from);
      it(`${from} ${allowed ? 'may' : 'must not'} import ${name}`, async () => {
        const errors = await arrowErrors(`server/src/${files[from]}`, importing(name));
        expect(errors).toHaveLength(allowed ? 0 : 1);
      });
    }
  }
});

describe('ways around the arrows', () => {
  const forms = {
    'an import of a type': `import type { Thing } from '../schemes/x.js';\nexport type Use = Thing;`,
    'a side effect': `import '../schemes/x.js';`,
    'a re-export of a name': `export { thing } from '../schemes/x.js';`,
    'a re-export of everything': `export * from '../schemes/x.js';`,
    'a dynamic import': `export const use = await import('../schemes/x.js');`,
    'a dynamic import with a template': 'export const use = await import(`../schemes/x.js`);',
    'a computed import': `export const use = (name: string): unknown => import('../' + name);`,
    'an import in a type': `export type Use = import('../schemes/x.js').Thing;`,
    'require in an import': `import thing = require('../schemes/x.js');\nexport const use = thing;`,
    'require as a call': `declare const require: (name: string) => unknown;\nexport const use = require('../schemes/x.js');`,
    'a longer path': `export * from '../http/../schemes/x.js';`,
    'the package by its own name': `export * from '@a2a-auth/server';`,
    'the tests': `export * from '../../test/helpers.js';`,
    'the sources of another package': `export * from '../../../client/src/x.js';`,
    'a folder that is not in the table': `export * from '../helpers/x.js';`,
    'the index of the package': `export * from '../index.js';`,
    'the folder above': `export * from '..';`,
  };
  for (const [title, code] of Object.entries(forms)) {
    it(`does not let ${title} through`, async () => {
      expect(await arrowErrors('server/src/express/middleware.ts', `${code}\n`)).not.toHaveLength(0);
    });
  }

  it('knows the part of a file in a folder of a folder', async () => {
    const file = 'server/src/schemes/oauth/flow.ts';
    expect(await arrowErrors(file, importing('../../tokens/x.js'))).toHaveLength(0);
    expect(await arrowErrors(file, importing('../../express/x.js'))).toHaveLength(1);
  });

  it('refuses a folder and a package that are not in the table', async () => {
    expect(await arrowErrors('server/src/helpers/x.ts', 'export const use = 1;\n')).toHaveLength(1);
    expect(await arrowErrors('other/src/x.ts', 'export const use = 1;\n')).toHaveLength(1);
  });

  it('is not switched off anywhere by a comment', () => {
    const sources = readdirSync(join(root, 'packages'), { recursive: true, encoding: 'utf8' }).filter(
      (file) => /^[^/\\]+[/\\]src[/\\].*\.ts$/.test(file) && !file.includes('node_modules'),
    );
    expect(sources).not.toHaveLength(0);
    for (const file of sources) {
      const text = readFileSync(join(root, 'packages', file), 'utf8');
      // A comment that disables has to name its rules, and none of them may be this one.
      for (const [comment] of text.matchAll(/eslint-(disable|enable)[^\n]*|eslint architecture[^\n]*/g))
        expect(comment, file).toMatch(/^eslint-(?:disable|enable)\S* (?!.*architecture)[@\w]/);
    }
  });
});

describe('packages/client', () => {
  it('may import the card vocabulary of the server package', async () => {
    expect(await arrowErrors('client/src/x.ts', importing('@a2a-auth/server/card'))).toHaveLength(0);
    expect(await arrowErrors('client/src/x.ts', importing('./schemes/y.js'))).toHaveLength(0);
  });

  for (const specifier of [
    '@a2a-auth/server',
    '@a2a-auth/server/express',
    '@a2a-auth/server/card/deep.js',
    '../../server/src/card/read.js',
  ]) {
    it(`must not import ${specifier}`, async () => {
      expect(await arrowErrors('client/src/x.ts', importing(specifier))).toHaveLength(1);
    });
  }
});
