import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';

import { ClientError } from '../errors.js';
import { checkOptions } from '../options.js';
import { checkPolicy } from '../policy.js';

/** An agent that you have a name for. */
export interface ServiceAlias {
  /** The agent's origin, or the URL of its card. */
  readonly url: string;
  /** The path of a PEM file: the authorities, and no others, that its server's certificate is checked against. */
  readonly ca?: string;
}

/** An alias that was looked up. */
export interface FoundAlias {
  readonly url: string;
  readonly ca: { readonly path: string; readonly pem: string } | undefined;
}

export interface AliasOptions {
  /** Agents by name. */
  readonly aliases?: Readonly<Record<string, ServiceAlias>>;
  /**
   * A folder of agents by name, such as `known_servers`: `<name>.json` holds the JSON of an alias. Its `ca` is relative to the
   * folder; left out, it is `<name>.pem` if there is one. Looked into with each use.
   */
  readonly aliasFolder?: string;
}

/** One file name in one folder, on every operating system. */
const NAME = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$/;

/**
 * @returns finds an alias; it throws `INVALID_OPTION` when there is none of the name, or it cannot be used
 * @throws {ClientError} `INVALID_OPTION`
 */
export function aliasFinder({
  aliases = {},
  aliasFolder,
}: AliasOptions): (name: string) => Promise<FoundAlias> {
  if (aliasFolder !== undefined && (typeof aliasFolder !== 'string' || aliasFolder === '')) {
    throw invalid('aliasFolder must be the path of a folder.');
  }
  const given = new Map<string, ServiceAlias>();
  for (const [name, alias] of Object.entries(aliases)) {
    if (!NAME.test(name))
      throw invalid(`${shown(name)} is no name for an alias: letters, digits, ".", "_" and "-".`);
    given.set(name, checkAlias(`the alias ${shown(name)}`, alias));
  }

  const fromFolder = async (folder: string, name: string): Promise<FoundAlias | undefined> => {
    const path = join(folder, `${name}.json`);
    const text = await readIfThere(path);
    if (text === undefined) return undefined;
    const { url, ca } = checkAlias(path, parse(path, text));
    if (ca !== undefined) return { url, ca: await readCa(resolve(folder, ca)) };
    const beside = join(folder, `${name}.pem`);
    const pem = await readIfThere(beside);
    return { url, ca: pem === undefined ? undefined : checkCa(beside, pem) };
  };

  return async (name) => {
    const alias = given.get(name);
    if (alias !== undefined) {
      return { url: alias.url, ca: alias.ca === undefined ? undefined : await readCa(alias.ca) };
    }
    const found =
      aliasFolder !== undefined && NAME.test(name) ? await fromFolder(aliasFolder, name) : undefined;
    if (found !== undefined) return found;
    throw invalid(
      `there is no alias ${shown(name)}${aliasFolder === undefined ? '' : `, and no ${shown(`${name}.json`)} in ${aliasFolder}`}.`,
    );
  };
}

function checkAlias(what: string, alias: unknown): ServiceAlias {
  const given = (alias ?? {}) as Partial<Record<keyof ServiceAlias, unknown>>;
  // A misspelt "ca" would have every public authority trusted.
  checkOptions(what, given, { url: true, ca: true });
  const { url, ca } = given;
  if (typeof url !== 'string' || (ca !== undefined && (typeof ca !== 'string' || ca === ''))) {
    throw invalid(
      `${what} must be { url, ca }: the agent's URL, and the path of a PEM file where it needs one.`,
    );
  }
  checkPolicy(url);
  return { url, ...(ca === undefined ? {} : { ca }) };
}

function parse(path: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw invalid(`${path} holds no JSON.`);
  }
}

async function readCa(path: string): Promise<FoundAlias['ca']> {
  const pem = await readIfThere(path);
  if (pem === undefined) throw invalid(`${path} is not there.`);
  return checkCa(path, pem);
}

function checkCa(path: string, pem: string): FoundAlias['ca'] {
  try {
    new X509Certificate(pem);
  } catch {
    throw invalid(`${path} holds no certificate in PEM.`);
  }
  return { path, pem };
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const { code = 'unknown error' } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    throw invalid(`${path} cannot be read (${code}).`);
  }
}

function shown(name: string): string {
  return JSON.stringify(name.slice(0, 80));
}

function invalid(message: string): ClientError {
  return new ClientError('INVALID_OPTION', `ServiceDiscovery(): ${message}`);
}
