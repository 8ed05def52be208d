import { arch, availableParallelism, cpus, platform } from 'node:os';

import type { DecisionMeasurements, DecisionTimes } from './decision.js';
import type { HttpMeasurements, HttpVariant } from './http.js';
import type { LatencyMeasurement, LatencyVariant } from './latency.js';
import { ALGORITHMS, type Effort } from './settings.js';
import { ratios, spreadOf } from './statistics.js';

interface Budget {
  readonly comparison: '≥' | '≤';
  readonly bound: number;
}

const atLeast = (bound: number): Budget => ({ comparison: '≥', bound });
const atMost = (bound: number): Budget => ({ comparison: '≤', bound });

interface Measurements {
  /** Group by group. */
  readonly http: readonly HttpMeasurements[];
  readonly latency: ReadonlyMap<LatencyVariant, LatencyMeasurement>;
  readonly decisions: DecisionMeasurements;
}

/** The results as Markdown. */
export function report(effort: Effort, { http, latency, decisions }: Measurements): string {
  return `# Benchmark results

Written by \`npm run bench\` on ${new Date().toISOString().slice(0, 10)}.

- Machine: ${cpus()[0]?.model.trim() ?? 'unknown processor'}, ${String(availableParallelism())} cores, ${platform()} ${arch()}
- Node.js ${process.version}
- ${String(effort.rounds)} rounds, each of which runs every variant once, beginning with another one each time

A ratio is taken within each round, so that what slows the whole machine down cancels out. The tables show the median
over the rounds, the quartiles, and in brackets the extremes.

## Requests per second

The same tiny agent (Express, the SDK's \`DefaultRequestHandler\`, \`SendMessage\` answered with a message at once), a
server process for each variant, which is started anew ${String(effort.lives)} times (one process is faster than another of the same
code), ${String(effort.requests)} requests a round over ten kept-alive connections, the load generator on the same machine.
What is compared with one another runs as one group, one group after the other: the first table below compares within a
group, and the second has "no auth" once for each. Without auth and with the other packages it is served by the SDK's
\`jsonRpcHandler\`; with this one by \`agentRouter\`, which calls the SDK's transport handlers directly, without the
router of its own and the ETag for each answer that \`jsonRpcHandler\` has, and which makes the requests and responses of
Express quicker to use on Node.js before 24. What that saves is more than a credential costs: the ratio is then above 1.

Tokens are signed with RS256 (2048 bits) where nothing else is said. The other packages get tokens they have never seen,
the same key, algorithm, issuer and audience. The public key is given; with "JWKS" (\`jwtFromIssuer\` here,
\`createRemoteJWKSet\` there) it is fetched from the issuer once, by HTTP. Tokens "seen before" are those of a hundred
callers; opaque ones are introspected by HTTP. Both are remembered for a minute, the default, so that in some rounds they
have to be proven again.

With HTTPS, the TLS layer asks for a client certificate with and without our scheme, and connections are kept alive. The
gRPC callers share one connection, and send the unprotected service the same credentials: to send them costs the load
generator more than the service.

${httpTable(http)}

${absoluteTable(http)}

## Latency while something happens to the issuer

The time that 99 of 100 requests stay below, with ${String(effort.latencyRequests)} requests a round and tokens never seen, otherwise as above
with a JWKS.

- Key rotation: the issuer has published another key besides, and begins to sign with it half way through each round.
  (The agent may fetch again after 10 ms then, instead of 30 s, because rounds follow one another so closely.)
- Provider outage: the issuer is gone and connections to it are refused; the agent knows its key. (Keys count as fresh for
  50 ms, instead of 10 minutes, so that the agent tries to fetch them again and again.)

${latencyTable(latency)}

${absoluteLatencyTable(latency)}

## One decision, without HTTP

\`security.authenticate(request)\`, ${String(effort.decisions)} times a round, each number of API keys in a process of its own.

A time has nothing to be divided by: whatever else the machine runs stays in it, and can only make it longer. So the budget
is held against the fastest round, as Python's \`timeit\` advises. A round is long enough to have its share of garbage
collections. The first row tells how fast the machine was, and how steadily: it is what Node's \`createHmac\` takes for one
API key.

${decisionTable(decisions)}

${decisionRatioTable(decisions)}

## One call of the client, without a network

\`authenticatingFetch\` around a fetch that answers at once, ${String(effort.decisions)} times a round. The client's part is the time with it less
the time without, and in the fastest case the fastest with it less the fastest without; its token is one it holds already.

${clientTable(decisions)}
`;
}

function httpTable(http: readonly HttpMeasurements[]): string {
  const compared = (title: string, of: HttpVariant, to: HttpVariant, budget?: Budget) =>
    row(title, ratios(...rates(http, of, to)), format(3), budget);
  return table(
    ['Requests per second', 'Ratio', 'Spread', 'Budget', 'Holds'],
    [
      compared('API key, against no auth', 'API key', 'no auth', atLeast(0.97)),
      compared('JWT seen before, against no auth', 'JWT seen before', 'no auth', atLeast(0.95)),
      compared('JWT never seen, against bare jose', 'JWT never seen', 'bare jose', atLeast(0.95)),
      compared(
        'JWT never seen, against express-oauth2-jwt-bearer',
        'JWT never seen',
        'express-oauth2-jwt-bearer',
        atLeast(1.2),
      ),
      compared('JWT never seen, against passport-jwt', 'JWT never seen', 'passport-jwt'),
      compared('JWT never seen, against no auth', 'JWT never seen', 'no auth'),
      compared('bare jose, against no auth', 'bare jose', 'no auth'),
      compared('express-oauth2-jwt-bearer, against no auth', 'express-oauth2-jwt-bearer', 'no auth'),
      compared('passport-jwt, against no auth', 'passport-jwt', 'no auth'),
      ...ALGORITHMS.flatMap((algorithm) => {
        const ours: HttpVariant = `JWT never seen, JWKS, ${algorithm}`;
        return [
          compared(`${ours}, against bare jose`, ours, `bare jose, JWKS, ${algorithm}`, atLeast(0.95)),
          compared(`${ours}, against no auth`, ours, 'no auth'),
        ];
      }),
      compared(
        '1,000 clients with a JWT each, against no auth',
        '1,000 clients with a JWT each',
        'no auth',
        atLeast(0.95),
      ),
      compared(
        'opaque token seen before, against no auth',
        'opaque token seen before',
        'no auth',
        atLeast(0.95),
      ),
      compared('mutual TLS, against HTTPS without auth', 'mutual TLS', 'HTTPS without auth', atLeast(0.95)),
      compared(
        'gRPC, API key, against the key ignored',
        'gRPC, API key',
        'gRPC, API key ignored',
        atLeast(0.95),
      ),
      compared(
        'gRPC, JWT seen before, against the JWT ignored',
        'gRPC, JWT seen before',
        'gRPC, JWT ignored',
      ),
    ],
  );
}

function absoluteTable(http: readonly HttpMeasurements[]): string {
  return table(
    ['Variant', 'Requests per second', 'Spread', 'Server processor time per request, µs'],
    http
      .flatMap((group) => [...group])
      .map(([variant, { requestsPerSecond, cpu }]) => [
        variant,
        ...spreadCells(requestsPerSecond, format(0)),
        format(0)(spreadOf(cpu).median),
      ]),
  );
}

function latencyTable(latency: ReadonlyMap<LatencyVariant, LatencyMeasurement>): string {
  const steady = latency.get('steady state')?.p99 ?? [];
  return table(
    ['p99 latency, against steady state', 'Ratio', 'Spread', 'Refused requests', 'Budget', 'Holds'],
    [...latency]
      .filter(([variant]) => variant !== 'steady state')
      .map(([variant, { p99, requests, refused }]) => [
        `During a ${variant}`,
        ...spreadCells(ratios(p99, steady), format(2)),
        `${format(0)(refused)} of ${format(0)(requests)}`,
        'none refused',
        refused === 0 ? 'yes' : 'no',
      ]),
  );
}

function absoluteLatencyTable(latency: ReadonlyMap<LatencyVariant, LatencyMeasurement>): string {
  return table(
    ['Variant', 'p99 latency, ms', 'Spread'],
    [...latency].map(([variant, { p99 }]) => [variant, ...spreadCells(p99, format(2))]),
  );
}

function decisionTable({ hmac, apiKey, seenJwt, alternatives }: DecisionMeasurements): string {
  return table(
    ['Decision', ...timeHead],
    [
      ...Object.entries(hmac).map(([name, times]) => timeRow(name, times)),
      ...Object.entries(apiKey).map(([count, times]) =>
        timeRow(`API key, ${grouped(count)} stored`, times, 5),
      ),
      ...Object.entries(seenJwt).map(([name, times]) => timeRow(name, times, 5)),
      ...Object.entries(alternatives).map(([count, times]) =>
        timeRow(`${count} ${count === '1' ? 'alternative' : 'alternatives, the last matches'}`, times),
      ),
    ],
  );
}

function decisionRatioTable({ apiKey, alternatives }: DecisionMeasurements): string {
  const compared = (title: string, times: DecisionTimes, of: string, to: string, budget?: Budget) =>
    row(title, ratios(times[of] ?? [], times[to] ?? []), format(2), budget);
  const most = Object.keys(apiKey).at(-1) ?? '';
  return table(
    ['Decision', 'Ratio', 'Spread', 'Budget', 'Holds'],
    [
      compared(`API key, ${grouped(most)} stored against 1`, apiKey, most, '1'),
      compared('10 alternatives against 1', alternatives, '10', '1', atMost(2)),
    ],
  );
}

function clientTable({ client }: DecisionMeasurements): string {
  const { 'without authentication': without = [], ...authenticated } = client;
  return table(
    ['Call', ...timeHead],
    [
      timeRow('without authentication', without),
      ...Object.entries(authenticated).map(([name, times]) =>
        timeRow(
          `${name}: the client's part`,
          times.map((time, round) => time - (without[round] ?? NaN)),
          20,
          // A difference is small also where the round without was slow.
          Math.min(...times) - Math.min(...without),
        ),
      ),
    ],
  );
}

const timeHead = ['Fastest', 'Median', 'Spread', 'Budget', 'Holds'];

/**
 * @param most microseconds that it may take when nothing disturbs it
 * @param fastest microseconds that it takes then
 */
function timeRow(
  title: string,
  times: readonly number[],
  most?: number,
  fastest = Math.min(...times),
): string[] {
  const cells = [title, microseconds(fastest), ...spreadCells(times, microseconds)];
  return most === undefined
    ? [...cells, '', '']
    : [...cells, `≤ ${String(most)} µs`, fastest <= most ? 'yes' : 'no'];
}

/** Of two variants in the group that both are in. */
function rates(
  http: readonly HttpMeasurements[],
  of: HttpVariant,
  to: HttpVariant,
): [readonly number[], readonly number[]] {
  const group = http.find((measurements) => measurements.has(of) && measurements.has(to));
  return [group?.get(of)?.requestsPerSecond ?? [], group?.get(to)?.requestsPerSecond ?? []];
}

function row(
  title: string,
  values: readonly number[],
  show: (value: number) => string,
  budget?: Budget,
): string[] {
  const { median } = spreadOf(values);
  const cells = [title, ...spreadCells(values, show)];
  if (budget === undefined) return [...cells, '', ''];
  const holds = budget.comparison === '≥' ? median >= budget.bound : median <= budget.bound;
  return [...cells, `${budget.comparison} ${String(budget.bound)}`, holds ? 'yes' : 'no'];
}

function spreadCells(values: readonly number[], show: (value: number) => string): string[] {
  const { median, lowerQuartile, upperQuartile, min, max } = spreadOf(values);
  return [show(median), `${show(lowerQuartile)} to ${show(upperQuartile)} (${show(min)} to ${show(max)})`];
}

function format(digits: number): (value: number) => string {
  return (value) =>
    value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

function grouped(count: string): string {
  return Number(count).toLocaleString('en');
}

function microseconds(value: number): string {
  return `${value.toFixed(2)} µs`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) =>
    Math.max(...[head, ...rows].map((cells) => (cells[column] ?? title).length)),
  );
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  return [line(head), `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`, ...rows.map(line)].join(
    '\n',
  );
}
