import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { Program } from './support/program.js';

const root = join(import.meta.dirname, '..');
const timeout = 240_000;

/** The rows of the tables by the heading of their first column, each by its first cell. */
type Tables = Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;

describe('npm run bench -- --quick', () => {
  let bench: Program;
  let resultsBefore: string | undefined;
  let exitCode: number | null;
  let tables: Tables;

  beforeAll(async () => {
    resultsBefore = await writtenResults();
    bench = new Program(['--import', 'tsx', join(root, 'test/bench/main.ts'), '--quick'], {});
    exitCode = await bench.ends();
    tables = tablesOf(bench.stdout);
  }, timeout);

  afterAll(() => bench.stop());

  it('ends well and writes nothing', async () => {
    expect(exitCode, bench.stderr).toBe(0);
    expect(await writtenResults()).toBe(resultsBefore);
  });

  it('compares requests per second', () => {
    expect(Object.keys(tables['Requests per second'] ?? {})).toEqual([
      'API key, against no auth',
      'JWT seen before, against no auth',
      'JWT never seen, against bare jose',
      'JWT never seen, against express-oauth2-jwt-bearer',
      'JWT never seen, against passport-jwt',
      'JWT never seen, against no auth',
      'bare jose, against no auth',
      'express-oauth2-jwt-bearer, against no auth',
      'passport-jwt, against no auth',
      'JWT never seen, JWKS, RS256, against bare jose',
      'JWT never seen, JWKS, RS256, against no auth',
      'JWT never seen, JWKS, ES256, against bare jose',
      'JWT never seen, JWKS, ES256, against no auth',
      'JWT never seen, JWKS, EdDSA, against bare jose',
      'JWT never seen, JWKS, EdDSA, against no auth',
      '1,000 clients with a JWT each, against no auth',
      'opaque token seen before, against no auth',
      'mutual TLS, against HTTPS without auth',
      'gRPC, API key, against the key ignored',
      'gRPC, JWT seen before, against the JWT ignored',
    ]);
  });

  it('measures every variant, and latencies', () => {
    expect(Object.keys(tables.Variant ?? {})).toEqual([
      'no auth',
      'API key',
      'JWT seen before',
      'JWT never seen',
      'bare jose',
      'express-oauth2-jwt-bearer',
      'passport-jwt',
      'JWT never seen, JWKS, RS256',
      'bare jose, JWKS, RS256',
      'JWT never seen, JWKS, ES256',
      'bare jose, JWKS, ES256',
      'JWT never seen, JWKS, EdDSA',
      'bare jose, JWKS, EdDSA',
      '1,000 clients with a JWT each',
      'opaque token seen before',
      'HTTPS without auth',
      'mutual TLS',
      'gRPC, API key ignored',
      'gRPC, API key',
      'gRPC, JWT ignored',
      'gRPC, JWT seen before',
      'steady state',
      'key rotation',
      'provider outage',
    ]);
  });

  it('refuses nobody while the issuer rotates its key or is down', () => {
    const latency = tables['p99 latency, against steady state'] ?? {};
    expect(Object.keys(latency)).toEqual(['During a key rotation', 'During a provider outage']);
    for (const cells of Object.values(latency)) expect(cells).toContain('0 of 50');
  });

  it('measures decisions', () => {
    const alternatives = Array.from({ length: 9 }, (_, more) => `${more + 2} alternatives, the last matches`);
    expect(Object.keys(tables.Decision ?? {})).toEqual([
      'createHmac of an API key, nothing else',
      'API key, 1 stored',
      'API key, 100 stored',
      'JWT seen before',
      '1 alternative',
      ...alternatives,
      'API key, 100 stored against 1',
      '10 alternatives against 1',
    ]);
  });

  it('measures the client', () => {
    expect(Object.keys(tables.Call ?? {})).toEqual([
      'without authentication',
      "API key: the client's part",
      "token by client credentials: the client's part",
    ]);
  });

  it('has a number in every row', () => {
    const rows = Object.values(tables).flatMap((table) => Object.values(table));
    expect(rows).not.toEqual([]);
    for (const [number = ''] of rows) expect(number).toMatch(/^-?\d[\d,]*(\.\d+)?( µs)?$/);
  });
});

function tablesOf(markdown: string): Tables {
  const tables: Record<string, Record<string, readonly string[]>> = {};
  for (const [block] of markdown.matchAll(/(?:^\|.*\|\n)+/gm)) {
    const [[heading = ''] = [], , ...rows] = block
      .trimEnd()
      .split('\n')
      .map((line) =>
        line
          .split('|')
          .slice(1, -1)
          .map((cell) => cell.trim()),
      );
    const table = (tables[heading] ??= {});
    for (const [title = '', ...cells] of rows) table[title] = cells;
  }
  return tables;
}

function writtenResults(): Promise<string | undefined> {
  return readFile(join(root, 'bench/results.md'), 'utf8').catch(() => undefined);
}
