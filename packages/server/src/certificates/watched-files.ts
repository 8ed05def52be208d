import { closeSync, constants, fstatSync, openSync, readdirSync, readSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { configurationError } from '../errors.js';

/** Files whose contents are followed as they change. */
export interface WatchedFiles<Content> {
  /** What each file holds, in the order of their paths. */
  contents(): Content[];
  /** What cannot be read of the paths that were given: not a single file in a folder. */
  readonly problem: string | undefined;
  /** Whether a file cannot be read, or not understood. */
  readonly isPartial: boolean;
  /** Looks at them again; says whether anything changed. */
  refresh(): boolean;
}

interface WatchedFilesOptions<Content> {
  /** The option that has the paths, for messages. */
  readonly option: string;
  readonly kind: 'file' | 'folder' | 'either';
  /** Of one file; of all together, eight times that. */
  readonly maxBytes: number;
  /** Throws when the content is not what it should be, with a message that may be logged. */
  readonly parse: (content: Buffer) => Content;
}

interface Entry<Content> {
  /** Changes when the file does. */
  readonly stamp: string;
  readonly content?: Content;
  readonly problem?: string;
}

const MAX_FILES = 1_000;
const MAX_FILES_FULL = 8;

/**
 * Follows files and folders. A look at them is a `readdir` and a `stat` for each file: only what changed is read. Symbolic
 * links are followed, as those of mounted Kubernetes volumes must be; names with a leading dot are passed over.
 *
 * A file that cannot be read, or not understood, is reported by a process warning, once for each change, and holds nothing.
 *
 * @throws {ConfigurationError} `INVALID_OPTION` when one of the paths itself cannot be used
 */
export function watchFiles<Content>(
  paths: readonly string[],
  { option, kind, maxBytes, parse }: WatchedFilesOptions<Content>,
): WatchedFiles<Content> {
  const roots = paths.map((path) => resolve(path));
  let entries = new Map<string, Entry<Content>>();
  let rootProblems = new Map<string, string>();
  let isPartial = false;

  function refresh(): boolean {
    const found = new Map<string, Entry<Content>>();
    const problems = new Map<string, string>();
    let total = 0;
    for (const root of roots) {
      const { files, problem } = filesOf(root, kind);
      if (problem !== undefined) problems.set(root, problem);
      for (const file of files) {
        const seen = stampOf(file);
        // Of one that is too large, nothing is read.
        total += seen.size > maxBytes ? 0 : seen.size;
        const entry =
          total > MAX_FILES_FULL * maxBytes
            ? { stamp: 'too much', problem: 'With those before it, it has too many bytes.' }
            : look(file, seen.stamp, entries.get(file), maxBytes, parse);
        found.set(file, entry);
        if (file === root && entry.problem !== undefined) problems.set(root, entry.problem);
      }
    }
    for (const [file, { stamp, problem }] of found) {
      if (problem !== undefined && entries.get(file)?.stamp !== stamp) report(option, file, problem);
    }
    for (const [root, problem] of problems) {
      if (!found.has(root) && rootProblems.get(root) !== problem) report(option, root, problem);
    }
    const hasChanged =
      found.size !== entries.size ||
      [...found].some(([file, { stamp }]) => entries.get(file)?.stamp !== stamp) ||
      JSON.stringify([...problems]) !== JSON.stringify([...rootProblems]);
    entries = found;
    rootProblems = problems;
    isPartial = [...found.values()].some(({ problem }) => problem !== undefined);
    return hasChanged;
  }

  refresh();
  const [first] = rootProblems;
  if (first !== undefined) {
    throw configurationError('INVALID_OPTION', `${option}: ${first[0]} cannot be used. ${first[1]}`);
  }
  return {
    refresh,
    contents: () => [...entries.values()].flatMap(({ content }) => (content === undefined ? [] : [content])),
    get isPartial() {
      return isPartial;
    },
    get problem() {
      const [problem] = rootProblems;
      return problem && `${problem[0]}: ${problem[1]}`;
    },
  };
}

function filesOf(
  root: string,
  kind: 'file' | 'folder' | 'either',
): { readonly files: readonly string[]; readonly problem?: string } {
  try {
    const isFolder = statSync(root).isDirectory();
    if (isFolder === (kind === 'file') && kind !== 'either') {
      return { files: [], problem: `It is ${isFolder ? 'a' : 'no'} folder.` };
    }
    if (!isFolder) return { files: [root] };
    const names = readdirSync(root)
      .filter((name) => !name.startsWith('.'))
      .sort();
    const files = names.slice(0, MAX_FILES).map((name) => join(root, name));
    return names.length > MAX_FILES ? { files, problem: `It has more than ${MAX_FILES} files.` } : { files };
  } catch (error) {
    return { files: [], problem: `It cannot be read (${codeOf(error)}).` };
  }
}

function stampOf(file: string): { readonly stamp: string; readonly size: number } {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs, mode } = statSync(file, { bigint: true });
    return { stamp: [dev, ino, size, mtimeNs, ctimeNs, mode].join(), size: Number(size) };
  } catch (error) {
    return { stamp: codeOf(error), size: 0 };
  }
}

/** @param stamp from before it is read, so that what is written in the meantime is seen at the next look */
function look<Content>(
  file: string,
  stamp: string,
  known: Entry<Content> | undefined,
  maxBytes: number,
  parse: (content: Buffer) => Content,
): Entry<Content> {
  if (known?.stamp === stamp) return known;
  try {
    return { stamp, content: parse(read(file, maxBytes)) };
  } catch (error) {
    const isOfSystem = error instanceof Error && 'syscall' in error;
    return {
      stamp,
      problem: isOfSystem
        ? `It cannot be read (${codeOf(error)}).`
        : error instanceof Error
          ? error.message
          : String(error),
    };
  }
}

function read(file: string, maxBytes: number): Buffer {
  // Without waiting for somebody to write, should it be a pipe.
  const descriptor = openSync(file, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  try {
    const stats = fstatSync(descriptor);
    if (!stats.isFile()) throw new TypeError('It is not a file.');
    if (stats.size > maxBytes) throw new TypeError(`It has more than ${maxBytes} bytes.`);
    const content = Buffer.alloc(stats.size);
    let length = 0;
    for (;;) {
      const count = readSync(descriptor, content, length, content.length - length, null);
      if (count === 0) return content.subarray(0, length);
      length += count;
    }
  } finally {
    closeSync(descriptor);
  }
}

function report(option: string, path: string, problem: string): void {
  process.emitWarning(`${option}: ${path} is not used. ${problem}`, { code: 'A2A_AUTH_TRUST_FILE' });
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
}
