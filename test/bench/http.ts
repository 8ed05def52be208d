import { createApiKey } from '@a2a-auth/server';

import { Child } from './child.js';
import { load } from './load.js';
import { API_KEY_HEADER, type Effort, type ServerSettings } from './settings.js';
import { rotated } from './statistics.js';
import { createTokenIssuer } from './tokens.js';

/** How many callers come again and again in the variant with tokens seen before. */
const KNOWN_CALLERS = 100;

export type HttpVariant =
  | 'no auth'
  | 'API key'
  | 'JWT seen before'
  | 'JWT never seen'
  | 'bare jose'
  | 'express-oauth2-jwt-bearer'
  | 'passport-jwt';

export interface HttpMeasurement {
  /** Round by round. */
  readonly requestsPerSecond: number[];
  /** Processor time of the server for one request in microseconds, round by round. */
  readonly cpu: number[];
}

/**
 * The same agent behind different doors, each in a process of its own that lives through all rounds. The load comes
 * from this process.
 */
export async function measureHttp(effort: Effort): Promise<ReadonlyMap<HttpVariant, HttpMeasurement>> {
  const issuer = createTokenIssuer();
  const settings: ServerSettings = { apiKey: createApiKey('bench'), publicKey: issuer.publicKey };

  // Every server sees each of these once; that another one has seen it before makes no difference to it.
  const unseen = issuer.issue(effort.warmUpRequests + effort.rounds * effort.requests);
  const seen = issuer.issue(KNOWN_CALLERS);

  const bearer = (tokens: readonly string[]) => {
    let next = 0;
    return () => ({ authorization: `Bearer ${tokens[next++ % tokens.length] ?? ''}` });
  };
  const servers: Record<HttpVariant, { file: string; headers: () => Record<string, string> }> = {
    'no auth': { file: 'no-auth', headers: () => ({}) },
    'API key': { file: 'a2a-auth', headers: () => ({ [API_KEY_HEADER]: settings.apiKey }) },
    'JWT seen before': { file: 'a2a-auth', headers: bearer(seen) },
    'JWT never seen': { file: 'a2a-auth', headers: bearer(unseen) },
    'bare jose': { file: 'jose', headers: bearer(unseen) },
    'express-oauth2-jwt-bearer': { file: 'express-oauth2-jwt-bearer', headers: bearer(unseen) },
    'passport-jwt': { file: 'passport-jwt', headers: bearer(unseen) },
  };

  const running = (Object.keys(servers) as HttpVariant[]).map((variant) => {
    const { file, headers } = servers[variant];
    const measurement: HttpMeasurement = { requestsPerSecond: [], cpu: [] };
    return { variant, child: new Child(`servers/${file}`, settings), headers, measurement };
  });
  try {
    const warm = [];
    for (const server of running) {
      const { port } = await server.child.message<{ port: number }>();
      await load(port, effort.warmUpRequests, server.headers);
      warm.push({ ...server, port });
    }
    for (let round = 0; round < effort.rounds; round++) {
      for (const { child, port, headers, measurement } of rotated(warm, round)) {
        const before = await child.ask<{ cpuMicroseconds: number }>('cpu');
        measurement.requestsPerSecond.push(await load(port, effort.requests, headers));
        const after = await child.ask<{ cpuMicroseconds: number }>('cpu');
        measurement.cpu.push((after.cpuMicroseconds - before.cpuMicroseconds) / effort.requests);
      }
    }
  } finally {
    await Promise.all(running.map(({ child }) => child.stop()));
  }
  return new Map(running.map(({ variant, measurement }) => [variant, measurement]));
}
