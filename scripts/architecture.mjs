// Who may import whom, as an ESLint rule. The table is the architecture; docs and review refer to it.
//
// The rule looks at the text of the import only (not at the file it leads to), so it judges an import of a
// file that does not exist yet, and nothing is let through because it could not be resolved.
import { builtinModules } from 'node:module';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const packagesDir = fileURLToPath(new URL('../packages', import.meta.url));

/**
 * The parts of each package: a part is a folder directly in `src`; `engine` is the files directly in `src`
 * apart from `index.ts`; `index` is that file. `mayImport` lists other parts (its own it may always import).
 * `packages`, where given, lists all the npm packages the part may import.
 */
const architecture = {
  server: {
    engine: { mayImport: ['card'] },
    card: { mayImport: ['engine'], packages: ['@a2a-js/sdk', 'jose'] },
    schemes: { mayImport: ['engine', 'card', 'tokens', 'certificates'] },
    tokens: { mayImport: ['engine'] },
    certificates: { mayImport: ['engine'] },
    tls: { mayImport: ['engine', 'certificates'] },
    http: { mayImport: ['engine', 'card'] },
    express: { mayImport: ['engine', 'card', 'http'] },
    grpc: { mayImport: ['engine', 'card', 'http'] },
    fetch: { mayImport: ['engine', 'card', 'http'] },
    addresses: { mayImport: [] },
    push: { mayImport: ['engine', 'tokens', 'addresses'] },
    service: { mayImport: ['engine', 'card', 'schemes', 'tokens'] },
    conformance: { mayImport: ['engine', 'card'] },
    index: {
      mayImport: ['engine', 'card', 'schemes', 'tokens', 'certificates', 'tls', 'http', 'push', 'service'],
    },
  },
  client: { otherPackages: ['@a2a-auth/server/card', '@a2a-auth/server/addresses'] },
  passport: { otherPackages: ['@a2a-auth/server', '@a2a-auth/server/express'] },
  biscuit: { otherPackages: ['@a2a-auth/server'] },
};

/** npm packages that belong to certain parts of the server package only. */
const reserved = [
  { only: ['express'], is: (name) => /^(@types\/)?express(-|\/|$)/.test(name), title: 'express' },
  {
    only: ['express'],
    is: (name) => /^@a2a-js\/sdk\/.*\bexpress\b/.test(name),
    title: 'the express part of the SDK',
  },
  { only: ['grpc'], is: (name) => /^@grpc\//.test(name), title: '@grpc/*' },
  { only: ['grpc'], is: (name) => /^@a2a-js\/sdk\/.*\bgrpc\b/.test(name), title: 'the gRPC part of the SDK' },
  { only: ['tokens', 'card', 'push'], is: (name) => /^jose(\/|$)/.test(name), title: 'jose' },
];

const isBuiltin = (name) => name.startsWith('node:') || builtinModules.includes(name);
const isOf = (name, owner) => name === owner || name.startsWith(`${owner}/`);

function partOf(parts) {
  if (parts.length > 1) return parts[0];
  return /^index\.[cm]?[jt]s$/.test(parts[0]) ? 'index' : 'engine';
}

/** Where in packages/<name>/src a path lies, or undefined if nowhere there. */
function locate(path) {
  const [name, src, ...parts] = relative(packagesDir, path).split(sep);
  if (name === '..' || src !== 'src' || parts.length === 0) return undefined;
  return { name, part: partOf(parts) };
}

/** Says what is wrong with an import, or undefined. */
function judge(file, specifier) {
  const from = locate(file);
  const parts = architecture[from.name];
  if (parts === undefined) return `packages/${from.name} is not in the table in scripts/architecture.mjs`;
  const own = parts[from.part];
  const isServer = from.name === 'server';
  if (isServer && own === undefined) return `${from.part}/ is not in the table in scripts/architecture.mjs`;

  if (/^\.{0,2}\//.test(specifier) || specifier === '.' || specifier === '..') {
    const to = locate(join(dirname(file), specifier));
    if (to === undefined || to.name !== from.name)
      return 'an import must not leave the src folder of its package';
    if (!isServer || to.part === from.part) return undefined;
    if (own.mayImport.includes(to.part)) return undefined;
    return `${from.part} may import ${['itself', ...own.mayImport].join(', ')}, but not ${to.part}`;
  }
  if (isOf(specifier, '@a2a-auth')) {
    if (isOf(specifier, `@a2a-auth/${from.name}`)) return 'a package must not import itself by its name';
    if (parts.otherPackages?.includes(specifier)) return undefined;
    return `${from.name} must not import ${specifier}`;
  }
  if (!isServer || isBuiltin(specifier)) return undefined;
  if (specifier.startsWith('#'))
    return 'imports by "#" names are not used here: the architecture rule cannot see through them';
  const rule = reserved.find(({ is }) => is(specifier));
  if (rule && !rule.only.includes(from.part))
    return `${rule.title} may be imported only in ${rule.only.join(' and ')}, not in ${from.part}`;
  if (own.packages && !own.packages.some((name) => isOf(specifier, name)))
    return `${from.part} may import only the packages ${own.packages.join(' and ')}, not ${specifier}`;
  return undefined;
}

const arrows = {
  meta: {
    type: 'problem',
    schema: [],
    messages: {
      arrow: '{{reason}}',
      computed: 'an import whose target is computed escapes the architecture rule',
    },
  },
  create(context) {
    const check = (node, source) => {
      if (source == null) return;
      const literal = source.type === 'TSLiteralType' ? source.literal : source;
      const specifier =
        literal.type === 'TemplateLiteral' && literal.quasis.length === 1
          ? literal.quasis[0].value.cooked
          : literal.value;
      if (typeof specifier !== 'string') {
        context.report({ node, messageId: 'computed' });
        return;
      }
      const reason = judge(context.filename, specifier);
      if (reason) context.report({ node, messageId: 'arrow', data: { reason } });
    };
    const source = (node) => check(node, node.source);
    return {
      ImportDeclaration: source,
      ExportNamedDeclaration: source,
      ExportAllDeclaration: source,
      ImportExpression: source,
      TSImportType: source,
      TSExternalModuleReference: (node) => check(node, node.expression),
      'CallExpression[callee.name="require"]': (node) => check(node, node.arguments[0]),
      Program(node) {
        // A file in an unknown package or folder fails even while it imports nothing.
        const reason = judge(context.filename, 'node:fs');
        if (reason) context.report({ node, messageId: 'arrow', data: { reason } });
      },
    };
  },
};

export default { meta: { name: 'architecture' }, rules: { arrows } };
