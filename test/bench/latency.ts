import type { KeySetOptions } from '@a2a-auth/server';
import type { JWK } from 'jose';

import { Child } from './child.js';
import { load, type LoadResult } from './load.js';
import { ALGORITHM, type Effort, type IssuerSettings } from './settings.js';
import { quantile, rotated } from './statistics.js';
import { bearers, createTokenIssuer } from './tokens.js';

export type LatencyVariant = 'steady state' | 'key rotation' | 'provider outage';

export interface LatencyMeasurement {
  /** Milliseconds that 99 of 100 requests stayed below, round by round. */
  readonly p99: number[];
  requests: number;
  /** Of these requests, over all rounds. */
  refused: number;
}

/** The issuer goes on to another key: it has published both, and signs with the second from half of the tokens on. */
interface Rotation {
  readonly keys: readonly JWK[];
  readonly tokens: readonly string[];
}

/**
 * How long callers wait whose tokens have never been seen, while nothing happens to the issuer, while it rotates its
 * key, and while it cannot be reached. Each in a process of its own that lives through all rounds.
 */
export async function measureLatency(
  effort: Effort,
): Promise<ReadonlyMap<LatencyVariant, LatencyMeasurement>> {
  const issuer = createTokenIssuer(ALGORITHM, 'lasting');
  const lasting = { keys: [issuer.jwk] };
  const tokens = issuer.issue(effort.warmUpRequests + effort.rounds * effort.latencyRequests);
  const rotations = prepareRotations(effort).values();

  const children: Child[] = [];
  const start = async (file: string, settings: unknown) => {
    const child = new Child(`servers/${file}`, settings);
    children.push(child);
    const { port } = await child.message<{ port: number }>();
    return { child, port };
  };
  const startAgent = async (provider: { port: number }, keys: KeySetOptions) => {
    const jwksUri = `http://127.0.0.1:${String(provider.port)}/keys/bench`;
    const settings: IssuerSettings = { algorithm: ALGORITHM, jwksUri, keys };
    return (await start('a2a-auth-issuer', settings)).port;
  };
  try {
    const steadyProvider = await start('provider', { bench: lasting });
    const steady = await startAgent(steadyProvider, {});
    const steadyHeaders = bearers(tokens);

    const rotatingProvider = await start('provider', {});
    // A round follows the one before sooner than a key would follow another.
    const rotating = await startAgent(rotatingProvider, { cooldown: 0.01 });

    const lostProvider = await start('provider', { bench: lasting });
    // So that it keeps trying to fetch.
    const cutOff = await startAgent(lostProvider, { maxAge: 0.05, cooldown: 0.05 });
    const cutOffHeaders = bearers(tokens);

    const variants: { variant: LatencyVariant; run: (requests: number) => Promise<LoadResult> }[] = [
      { variant: 'steady state', run: (requests) => load(steady, requests, steadyHeaders) },
      {
        variant: 'key rotation',
        async run(requests) {
          const { keys, tokens } = rotations.next().value as Rotation;
          await rotatingProvider.child.ask({ bench: { keys } });
          return load(rotating, requests, bearers(tokens));
        },
      },
      { variant: 'provider outage', run: (requests) => load(cutOff, requests, cutOffHeaders) },
    ];
    for (const { variant, run } of variants) {
      const { refused } = await run(effort.warmUpRequests);
      if (refused > 0)
        throw new Error(`${String(refused)} requests were refused while warming up: ${variant}.`);
    }
    await lostProvider.child.stop();

    const measurements = new Map(
      variants.map(({ variant }): [LatencyVariant, LatencyMeasurement] => [
        variant,
        { p99: [], requests: 0, refused: 0 },
      ]),
    );
    for (let round = 0; round < effort.rounds; round++) {
      for (const { variant, run } of rotated(variants, round)) {
        const { latencies, refused } = await run(effort.latencyRequests);
        const measurement = measurements.get(variant);
        if (measurement === undefined) continue;
        measurement.p99.push(quantile(latencies, 0.99));
        measurement.requests += effort.latencyRequests;
        measurement.refused += refused;
      }
    }
    return measurements;
  } finally {
    await Promise.all(children.map((child) => child.stop()));
  }
}

/** One for warming up, and one a round. */
function prepareRotations(effort: Effort): Rotation[] {
  let issuer = createTokenIssuer(ALGORITHM, 'key-0');
  return Array.from({ length: effort.rounds + 1 }, (_, index) => {
    const requests = index === 0 ? effort.warmUpRequests : effort.latencyRequests;
    const half = Math.floor(requests / 2);
    const next = createTokenIssuer(ALGORITHM, `key-${String(index + 1)}`);
    const tokens = [...issuer.issue(half), ...next.issue(requests - half)];
    const keys = [issuer.jwk, next.jwk];
    issuer = next;
    return { keys, tokens };
  });
}
