// Checks every package as its users will get it: packs it, examines the tarball, installs the tarball into
// empty projects next to the peers it supports, imports every export and compiles a small consumer.
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { exitWith, prepare, root, withLock } from './prepare.mjs';

const exec = promisify(execFile);
const readJson = async (path) => JSON.parse(await readFile(path, 'utf8'));
const require = createRequire(import.meta.url);
const attw = join(require.resolve('@arethetypeswrong/cli/package.json'), '..', 'dist', 'index.js');
const tsc = require.resolve('typescript/bin/tsc');
const npmOptions = ['--loglevel=error', '--no-audit', '--no-fund'];

let passed = 0;
let failed = 0;

/** One step: says what it does, and what went wrong if it fails. */
async function step(title, work) {
  try {
    const remark = await work();
    passed += 1;
    console.log(`  ok    ${title}${remark ? ` (${remark})` : ''}`);
    return true;
  } catch (error) {
    failed += 1;
    const details = [error.stdout, error.stderr].filter(Boolean).join('\n') || error.message;
    console.log(`  FAIL  ${title}\n${details.trim().replace(/^/gm, '          ')}`);
    return false;
  }
}

function requireThat(condition, message) {
  if (!condition) throw new Error(message);
}

const npm = (args, cwd) =>
  exec('npm', [...args, ...npmOptions], { cwd, shell: process.platform === 'win32', maxBuffer: 2 ** 26 });

/** The public packages of this repository. */
async function publicPackages() {
  const folders = await readdir(join(root, 'packages'));
  const all = await Promise.all(
    folders.map(async (folder) => {
      const dir = join(root, 'packages', folder);
      return { dir, manifest: await readJson(join(dir, 'package.json')) };
    }),
  );
  return all.filter(({ manifest }) => !manifest.private);
}

const exportsOf = ({ manifest }) =>
  Object.keys(manifest.exports)
    .filter((path) => path !== './package.json')
    .map((path) => manifest.name + path.slice(1));

async function buildFromNothing(packages) {
  console.log('building from nothing, so that no file of a deleted source is packed');
  await withLock(async () => {
    for (const { dir } of packages) await rm(join(dir, 'dist'), { recursive: true, force: true });
  });
  await prepare();
}

async function pack({ dir, manifest }, temp) {
  console.log(`${manifest.name}: packing`);
  const { stdout } = await npm(['pack', '--json', '--pack-destination', temp], dir);
  const report = JSON.parse(stdout);
  const [{ filename, files }] = Array.isArray(report) ? report : Object.values(report);
  return { tarball: join(temp, filename), files: files.map(({ path }) => path) };
}

async function checkTarball(one, { tarball, files }) {
  const { dir, manifest } = one;
  console.log(`${manifest.name}: the tarball ${basename(tarball)}`);
  await step('holds the compiled files, README.md, LICENSE and package.json, and nothing else', () => {
    for (const name of ['README.md', 'LICENSE', 'package.json'])
      requireThat(files.includes(name), `${name} is missing`);
    const extra = files.filter(
      (file) =>
        !['README.md', 'LICENSE', 'package.json'].includes(file) &&
        (!/^dist\/.+\.(js|d\.ts)$/.test(file) ||
          /(^|\/)(tests?|bench|__tests__)\/|\.(test|spec)\./.test(file)),
    );
    requireThat(extra.length === 0, `these should not be there: ${extra.join(', ')}`);
    return `${files.length} files`;
  });
  await step('has the licence of the repository', async () => {
    const [own, shared] = await Promise.all(
      [dir, root].map((place) => readFile(join(place, 'LICENSE'), 'utf8')),
    );
    requireThat(own === shared, 'LICENSE differs from the one in the root');
  });
  await step('is accepted by publint (strict)', async () => {
    const data = await readFile(tarball);
    const { messages, pkg } = await publint({
      pack: { tarball: data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength) },
      strict: true,
    });
    requireThat(
      messages.length === 0,
      messages.map((m) => formatMessage(m, pkg, { color: false })).join('\n'),
    );
  });
  await step('is accepted by arethetypeswrong (ESM only)', async () => {
    await exec(process.execPath, [attw, tarball, '--profile', 'esm-only', '--no-color', '--no-emoji']);
  });
}

/** The version of a package the lock file of this repository pins, to compile the consumer with. */
async function pinned(name) {
  const { packages } = await readJson(join(root, 'package-lock.json'));
  return `${name}@${packages[`node_modules/${name}`].version}`;
}

const importAll = (specifiers) => `
for (const specifier of ${JSON.stringify(specifiers)}) {
  const names = Object.keys(await import(specifier));
  if (names.length === 0) throw new Error(specifier + ' exports nothing');
  console.log(specifier + ' exports ' + names.length);
}
`;

async function checkInstalled(title, temp, packages, tarballs, { peers, specifiers, types }) {
  console.log(`installed with ${title}`);
  const dir = join(temp, `installed-with-${title.replace(/\W+/g, '-')}`);
  await mkdir(dir);
  await writeFile(join(dir, 'package.json'), JSON.stringify({ private: true, type: 'module' }));
  const installs = await step(`npm install of the tarballs and ${peers.join(', ')}`, async () => {
    await npm(['install', '--strict-peer-deps', ...tarballs, ...peers, ...types], dir);
    for (const { manifest } of packages) {
      const { version } = await readJson(join(dir, 'node_modules', manifest.name, 'package.json'));
      requireThat(version === manifest.version, `${manifest.name} is ${version}, not ${manifest.version}`);
    }
    const express = peers.find((peer) => peer.startsWith('express@'))?.slice('express@'.length);
    const found = await readJson(join(dir, 'node_modules', 'express', 'package.json')).catch(() => undefined);
    if (express === undefined) requireThat(found === undefined, 'express came along by itself');
    else requireThat(found?.version.startsWith(express), `express is ${found?.version}, not ${express}`);
  });
  if (!installs) return;
  await step(`imports ${specifiers.join(', ')}`, async () => {
    await writeFile(join(dir, 'import.js'), importAll(specifiers));
    const { stdout } = await exec(process.execPath, ['import.js'], { cwd: dir });
    return stdout.trim().replaceAll('\n', ', ');
  });
  if (types.length === 0) return;
  await step('compiles a strict TypeScript consumer, library types included', async () => {
    const imports = specifiers.map((name, n) => `import * as part${n} from '${name}';`);
    const uses = specifiers.map(
      (_, n) => `export const names${n}: readonly string[] = Object.keys(part${n});`,
    );
    // A namespace whose types were not found would be `any`; that must not pass.
    const typed = specifiers.map(
      (_, n) => `export const typed${n}: 0 extends 1 & typeof part${n} ? never : true = true;`,
    );
    await writeFile(join(dir, 'consumer.ts'), [...imports, ...uses, ...typed, ''].join('\n'));
    const compilerOptions = {
      strict: true,
      noEmit: true,
      target: 'ES2023',
      lib: ['ES2023'],
      types: ['node'],
      module: 'NodeNext',
      moduleResolution: 'NodeNext',
      exactOptionalPropertyTypes: true,
      skipLibCheck: false,
    };
    await writeFile(join(dir, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['consumer.ts'] }));
    await exec(process.execPath, [tsc, '-p', '.'], { cwd: dir });
  });
}

async function main() {
  await prepare();
  const temp = await mkdtemp(join(tmpdir(), 'a2a-auth-packages-'));
  try {
    const packages = await publicPackages();
    requireThat(packages.length > 0, 'there is no package to check');
    await buildFromNothing(packages);
    const tarballs = [];
    for (const one of packages) {
      const packed = await pack(one, temp);
      await checkTarball(one, packed);
      tarballs.push(packed.tarball);
    }
    const peerDependencies = Object.assign({}, ...packages.map(({ manifest }) => manifest.peerDependencies));
    const peer = (name) => `${name}@${peerDependencies[name]}`;
    const sdk = peer('@a2a-js/sdk');
    const grpc = ['@grpc/grpc-js', '@bufbuild/protobuf'].map(peer);
    const keyring = peer('@napi-rs/keyring');
    const specifiers = packages.flatMap(exportsOf);
    const types = await Promise.all(['@types/node', '@types/express'].map(pinned));
    const check = (title, options) => checkInstalled(title, temp, packages, tarballs, options);
    await check('Express 5', { peers: [sdk, ...grpc, keyring, 'express@5'], specifiers, types });
    await check('Express 4', { peers: [sdk, ...grpc, 'express@4.21.2'], specifiers, types: [] });
    await check('neither Express nor gRPC', {
      peers: [sdk],
      specifiers: specifiers.filter((name) => !/\/(?:express|grpc)$/.test(name)),
      types: [],
    });
  } finally {
    await rm(temp, { recursive: true, force: true });
  }
  console.log(`check:packages: ${passed} passed, ${failed} failed`);
  if (failed > 0) process.exitCode = 1;
}

await main().catch(exitWith);
