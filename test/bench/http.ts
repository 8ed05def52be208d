import { randomBytes } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import type { ConnectionOptions } from 'node:tls';

import { createApiKey, createDevelopmentPki, type DevelopmentPki } from '@a2a-auth/server';

import { Child } from './child.js';
import { grpcLoad } from './grpc-load.js';
import { load } from './load.js';
import {
  ALGORITHM,
  ALGORITHMS,
  API_KEY_HEADER,
  type Algorithm,
  type Effort,
  type GivenSettings,
  type IntrospectionSettings,
  type IssuerSettings,
  type PublishedKeys,
  type TlsSettings,
} from './settings.js';
import { rotated } from './statistics.js';
import { bearers, createTokenIssuer, type TokenIssuer } from './tokens.js';

/** How many callers come again and again in the variants with tokens seen before. */
const KNOWN_CALLERS = 100;
const MANY_CLIENTS = 1_000;

export type HttpVariant =
  | 'no auth'
  | 'API key'
  | 'JWT seen before'
  | 'JWT never seen'
  | 'bare jose'
  | 'express-oauth2-jwt-bearer'
  | 'passport-jwt'
  | `JWT never seen, JWKS, ${Algorithm}`
  | `bare jose, JWKS, ${Algorithm}`
  | 'HTTPS without auth'
  | 'mutual TLS'
  | 'gRPC, API key'
  | 'gRPC, API key ignored'
  | 'gRPC, JWT seen before'
  | 'gRPC, JWT ignored'
  | '1,000 clients with a JWT each'
  | 'opaque token seen before';

interface HttpMeasurement {
  /** Round by round. */
  readonly requestsPerSecond: number[];
  /** Processor time of the server for one request in microseconds, round by round. */
  readonly cpu: number[];
}

interface Door {
  readonly variant: HttpVariant;
  readonly file: string;
  readonly settings?: GivenSettings | IssuerSettings | IntrospectionSettings | TlsSettings;
  readonly headers: () => Record<string, string>;
  /** Left out: JSON-RPC over plain HTTP. */
  readonly by?: 'gRPC' | { readonly tls: ConnectionOptions };
}

export type HttpMeasurements = ReadonlyMap<HttpVariant, HttpMeasurement>;

/** What is compared with one another. Each group is measured by itself, so that few other processes are about. */
const GROUPS: readonly (readonly HttpVariant[])[] = [
  [
    'no auth',
    'API key',
    'JWT seen before',
    'JWT never seen',
    'bare jose',
    'express-oauth2-jwt-bearer',
    'passport-jwt',
  ],
  ...ALGORITHMS.map((algorithm): HttpVariant[] => [
    'no auth',
    `JWT never seen, JWKS, ${algorithm}`,
    `bare jose, JWKS, ${algorithm}`,
  ]),
  ['no auth', '1,000 clients with a JWT each', 'opaque token seen before'],
  ['HTTPS without auth', 'mutual TLS'],
  ['gRPC, API key ignored', 'gRPC, API key'],
  ['gRPC, JWT ignored', 'gRPC, JWT seen before'],
];

/** The same agent behind different doors, each in a process of its own. The load comes from this process. */
export async function measureHttp(effort: Effort): Promise<readonly HttpMeasurements[]> {
  const issuers = Object.fromEntries(
    ALGORITHMS.map((algorithm) => [algorithm, createTokenIssuer(algorithm)]),
  ) as Record<Algorithm, TokenIssuer>;
  const keys: PublishedKeys = Object.fromEntries(
    ALGORITHMS.map((algorithm) => [algorithm, { keys: [issuers[algorithm].jwk] }]),
  );
  const pki = await createDevelopmentPki({ clients: ['client'] });
  const provider = new Child('servers/provider', keys);
  try {
    const { port } = await provider.message<{ port: number }>();
    const all = doors(effort, issuers, `http://127.0.0.1:${String(port)}`, await tlsOf(pki));
    const measurements: HttpMeasurements[] = [];
    for (const group of GROUPS) {
      measurements.push(
        await measureGroup(
          effort,
          all.filter(({ variant }) => group.includes(variant)),
        ),
      );
    }
    return measurements;
  } finally {
    await rm(pki.folder, { recursive: true });
    await provider.stop();
  }
}

/**
 * Starts every server anew several times: what one process makes of its code, and where it has it in memory, makes it
 * faster or slower for as long as it lives.
 */
async function measureGroup(effort: Effort, group: readonly Door[]): Promise<HttpMeasurements> {
  const measurements = new Map(
    group.map(({ variant }): [HttpVariant, HttpMeasurement] => [variant, { requestsPerSecond: [], cpu: [] }]),
  );
  for (let life = 0; life < effort.lives; life++) {
    await measureLife(effort, group, measurements);
  }
  return measurements;
}

async function measureLife(
  effort: Effort,
  group: readonly Door[],
  measurements: HttpMeasurements,
): Promise<void> {
  const children: Child[] = [];
  try {
    const servers = [];
    for (const door of group) {
      const child = new Child(`servers/${door.file}`, door.settings);
      children.push(child);
      const { port } = await child.message<{ port: number }>();
      await throughput(port, effort.warmUpRequests, door);
      servers.push({ door, child, port });
    }
    for (let round = 0; round < roundsOfALife(effort); round++) {
      for (const { door, child, port } of rotated(servers, round)) {
        const measurement = measurements.get(door.variant);
        const before = await child.ask<{ cpuMicroseconds: number }>('cpu');
        measurement?.requestsPerSecond.push(await throughput(port, effort.requests, door));
        const after = await child.ask<{ cpuMicroseconds: number }>('cpu');
        measurement?.cpu.push((after.cpuMicroseconds - before.cpuMicroseconds) / effort.requests);
      }
    }
  } finally {
    await Promise.all(children.map((child) => child.stop()));
  }
}

function roundsOfALife({ rounds, lives }: Effort): number {
  return rounds / lives;
}

async function tlsOf(pki: DevelopmentPki): Promise<{ settings: TlsSettings; client: ConnectionOptions }> {
  const read = (path = '') => readFile(path, 'utf8');
  const { server, clients, knownClients } = pki;
  const ca = await read(pki.ca);
  return {
    settings: {
      certificate: await read(server.certificate),
      key: await read(server.key),
      ca,
      files: server,
      trust: knownClients,
    },
    client: {
      ca,
      cert: await read(clients.client?.certificate),
      key: await read(clients.client?.key),
    },
  };
}

function doors(
  effort: Effort,
  issuers: Record<Algorithm, TokenIssuer>,
  provider: string,
  { settings: tlsSettings, client }: Awaited<ReturnType<typeof tlsOf>>,
): Door[] {
  const given: GivenSettings = { apiKey: createApiKey('bench'), publicKey: issuers[ALGORITHM].publicKey };
  const keysOf = (algorithm: Algorithm): IssuerSettings => ({
    algorithm,
    jwksUri: `${provider}/keys/${algorithm}`,
  });

  // Every process sees each of these once; that another one has seen it before makes no difference to it.
  const unseenCount = effort.warmUpRequests + roundsOfALife(effort) * effort.requests;
  const unseen = issuers[ALGORITHM].issue(unseenCount);
  const seen = issuers[ALGORITHM].issue(KNOWN_CALLERS);
  const opaque = Array.from({ length: KNOWN_CALLERS }, () => randomBytes(32).toString('base64url'));

  return [
    { variant: 'no auth', file: 'no-auth', headers: () => ({}) },
    {
      variant: 'API key',
      file: 'a2a-auth',
      settings: given,
      headers: () => ({ [API_KEY_HEADER]: given.apiKey }),
    },
    { variant: 'JWT seen before', file: 'a2a-auth', settings: given, headers: bearers(seen) },
    { variant: 'JWT never seen', file: 'a2a-auth', settings: given, headers: bearers(unseen) },
    { variant: 'bare jose', file: 'jose', settings: given, headers: bearers(unseen) },
    {
      variant: 'express-oauth2-jwt-bearer',
      file: 'express-oauth2-jwt-bearer',
      settings: given,
      headers: bearers(unseen),
    },
    { variant: 'passport-jwt', file: 'passport-jwt', settings: given, headers: bearers(unseen) },
    ...ALGORITHMS.flatMap((algorithm): Door[] => {
      const settings = keysOf(algorithm);
      const tokens = algorithm === ALGORITHM ? unseen : issuers[algorithm].issue(unseenCount);
      return [
        {
          variant: `JWT never seen, JWKS, ${algorithm}`,
          file: 'a2a-auth-issuer',
          settings,
          headers: bearers(tokens),
        },
        { variant: `bare jose, JWKS, ${algorithm}`, file: 'jose-jwks', settings, headers: bearers(tokens) },
      ];
    }),
    {
      variant: '1,000 clients with a JWT each',
      file: 'a2a-auth-issuer',
      settings: keysOf(ALGORITHM),
      headers: bearers(issuers[ALGORITHM].issue(MANY_CLIENTS)),
    },
    {
      variant: 'opaque token seen before',
      file: 'a2a-auth-introspection',
      settings: { endpoint: `${provider}/introspection` },
      headers: bearers(opaque),
    },
    {
      variant: 'HTTPS without auth',
      file: 'tls',
      settings: tlsSettings,
      headers: () => ({}),
      by: { tls: client },
    },
    {
      variant: 'mutual TLS',
      file: 'a2a-auth-mutual-tls',
      settings: tlsSettings,
      headers: () => ({}),
      by: { tls: client },
    },
    {
      variant: 'gRPC, API key ignored',
      file: 'grpc',
      headers: () => ({ [API_KEY_HEADER]: given.apiKey }),
      by: 'gRPC',
    },
    { variant: 'gRPC, JWT ignored', file: 'grpc', headers: bearers(seen), by: 'gRPC' },
    {
      variant: 'gRPC, API key',
      file: 'a2a-auth-grpc',
      settings: given,
      headers: () => ({ [API_KEY_HEADER]: given.apiKey }),
      by: 'gRPC',
    },
    {
      variant: 'gRPC, JWT seen before',
      file: 'a2a-auth-grpc',
      settings: given,
      headers: bearers(seen),
      by: 'gRPC',
    },
  ];
}

async function throughput(port: number, requests: number, { variant, headers, by }: Door): Promise<number> {
  if (by === 'gRPC') return grpcLoad(port, requests, headers);
  const { requestsPerSecond, refused } = await load(port, requests, headers, by?.tls);
  if (refused > 0) throw new Error(`${String(refused)} requests were refused: ${variant}.`);
  return requestsPerSecond;
}
