// Type-checks every ```ts block of the documentation against the packages as built, and checks that relative
// links lead to a file. A block is a module of its own; "```ts continue" adds to the block before it.
import { existsSync } from 'node:fs';
import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import ts from 'typescript';
import { exitWith, prepare, root } from './prepare.mjs';

const work = join(root, '.docs-check');

/** The pages whose code is checked, and those of which only the links are. */
async function findPages() {
  const list = async (folder) => (existsSync(join(root, folder)) ? readdir(join(root, folder)) : []);
  const docs = (await list('docs')).filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`);
  const readmes = (await list('packages')).map((name) => `packages/${name}/README.md`);
  const code = ['README.md', ...docs, ...readmes];
  const top = (await list('.')).filter((name) => name.endsWith('.md') && name !== 'README.md');
  return { code, links: [...code, ...top] };
}

/** Splits a page into its fenced blocks and its other lines; line numbers count from 1. */
function parse(text) {
  const blocks = [];
  const prose = [];
  let open;
  text.split('\n').forEach((line, index) => {
    const fence = /^(\s*)(`{3,}|~{3,})(.*)$/.exec(line);
    if (open) {
      if (fence && fence[2].startsWith(open.fence) && fence[3].trim() === '') open = undefined;
      else open.lines.push({ text: line, number: index + 1 });
    } else if (fence) {
      open = { fence: fence[2], info: fence[3].trim(), number: index + 1, lines: [] };
      blocks.push(open);
    } else prose.push({ text: line, number: index + 1 });
  });
  return { blocks, prose, unclosed: open };
}

/** Turns the blocks of a page into modules: lists of lines that remember where they stand. */
function modulesOf(page, { blocks, unclosed }, problems) {
  const modules = [];
  if (unclosed) problems.push(`${page}:${unclosed.number}: this block is never closed`);
  for (const { info, number, lines } of blocks) {
    const [language, ...words] = info.split(/\s+/);
    if (/^(typescript|tsx?)$/i.test(language) && language !== 'ts')
      problems.push(`${page}:${number}: write "ts" rather than "${language}", so that the code is checked`);
    if (language !== 'ts') continue;
    if (words.length === 0) modules.push({ page, lines: [...lines] });
    else if (words.join(' ') !== 'continue')
      problems.push(`${page}:${number}: "ts ${words.join(' ')}" is not known; only "ts continue" is`);
    else if (modules.length === 0) problems.push(`${page}:${number}: there is no block to continue`);
    else modules.at(-1).lines.push(...lines);
  }
  return modules;
}

function checkLinks(page, { prose }, problems) {
  let links = 0;
  for (const { text, number } of prose) {
    const plain = text.replace(/`[^`]*`/g, '');
    const targets = [
      ...plain.matchAll(/\]\(\s*<?([^)\s>]+)>?[^)]*\)/g),
      ...plain.matchAll(/^\s*\[[^\]]+\]:\s*<?([^\s>]+)/g),
      ...plain.matchAll(/\b(?:src|href)="([^"]+)"/g),
    ];
    for (const [, target] of targets) {
      if (/^([a-z][a-z0-9+.-]*:|\/\/|#)/i.test(target)) continue;
      links += 1;
      const path = decodeURIComponent(target.replace(/[?#].*$/, ''));
      const file = path.startsWith('/') ? join(root, path) : join(root, dirname(page), path);
      if (!existsSync(file)) problems.push(`${page}:${number}: the link ${target} leads nowhere`);
    }
  }
  return links;
}

async function writeModules(modules) {
  await rm(work, { recursive: true, force: true });
  await mkdir(work);
  return Promise.all(
    modules.map(async (module) => {
      const name = `${module.page.replace(/\W+/g, '-')}-${module.lines[0]?.number ?? 0}.ts`;
      const text = [...module.lines.map((line) => line.text), 'export {};', ''].join('\n');
      await writeFile(join(work, name), text);
      return [join(work, name), module];
    }),
  );
}

/** The options of the packages, with unused variables allowed (an example need not use what it makes). */
function compilerOptions() {
  const { config, error } = ts.readConfigFile(join(root, 'tsconfig.base.json'), ts.sys.readFile);
  if (error) throw new Error(ts.flattenDiagnosticMessageText(error.messageText, '\n'));
  const { options } = ts.parseJsonConfigFileContent({ ...config, files: [] }, ts.sys, root);
  return {
    ...options,
    composite: false,
    declaration: false,
    noEmit: true,
    noUnusedLocals: false,
    noUnusedParameters: false,
  };
}

function typeCheck(files, problems) {
  const program = ts.createProgram([...files.keys()], compilerOptions());
  for (const { file, start, messageText } of ts.getPreEmitDiagnostics(program)) {
    const message = ts.flattenDiagnosticMessageText(messageText, '\n    ');
    const module = file && files.get(join(file.fileName));
    if (module) {
      const line = file.getLineAndCharacterOfPosition(start).line;
      const { number } = module.lines[line] ?? module.lines.at(-1) ?? { number: 1 };
      problems.push(`${module.page}:${number}: ${message}`);
    } else problems.push(`${file ? relative(root, file.fileName) : 'tsconfig'}: ${message}`);
  }
}

async function main() {
  await prepare();
  const pages = await findPages();
  const problems = [];
  const modules = [];
  let links = 0;
  for (const page of pages.links) {
    const text = await readFile(join(root, page), 'utf8').catch(() => undefined);
    if (text === undefined) {
      problems.push(`${page}: there is no such page`);
      continue;
    }
    const parsed = parse(text);
    links += checkLinks(page, parsed, problems);
    if (pages.code.includes(page)) modules.push(...modulesOf(page, parsed, problems));
  }
  try {
    typeCheck(new Map(await writeModules(modules)), problems);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  for (const problem of problems) console.error(problem);
  console.log(
    `check:docs: ${pages.links.length} pages, ${modules.length} modules of code, ${links} relative links, ` +
      `${problems.length} problems`,
  );
  if (problems.length > 0) process.exitCode = 1;
}

await main().catch(exitWith);
