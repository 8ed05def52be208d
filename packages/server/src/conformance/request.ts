import type { AuthRequest, PresentedCertificate } from '../auth-request.js';
import { checkOptions } from '../options.js';

/** Values by name; a list stands for a repeated one. */
type Values = Readonly<Record<string, string | readonly string[]>>;

/** What a request consists of. */
export interface RequestParts {
  /** Names are matched without regard to case. */
  readonly header?: Values;
  /** Decoded. They are added to the URL. */
  readonly query?: Values;
  /** Decoded. They are added to the Cookie header. */
  readonly cookie?: Values;
  readonly clientCertificate?: PresentedCertificate;
  /** Default `POST`. */
  readonly method?: string;
  /** Default `https://agent.example/a2a`. */
  readonly url?: string;
  readonly remoteAddress?: string;
}

type Pair = readonly [name: string, value: string];

/** A request as a binding hands it to a scheme. */
export function conformanceRequest(parts: RequestParts = {}): AuthRequest {
  checkOptions('conformanceRequest()', parts, {
    header: 'object',
    query: 'object',
    cookie: 'object',
    clientCertificate: 'object',
    method: 'string',
    url: 'string',
    remoteAddress: 'string',
  });
  const { method = 'POST', url = 'https://agent.example/a2a', remoteAddress, clientCertificate } = parts;
  const target = URL.canParse(url) ? new URL(url) : undefined;
  const query: Pair[] = [...(target?.searchParams ?? []), ...pairs(parts.query)];
  for (const [name, value] of pairs(parts.query)) target?.searchParams.append(name, value);
  const cookies = pairs(parts.cookie);
  const cookieField = cookies.map(([name, value]) => `${name}=${encodeCookie(value)}`).join('; ');
  const headers: Pair[] = [
    ...pairs(parts.header),
    ...(cookieField === '' ? [] : [['cookie', cookieField] as const]),
  ].map(([name, value]) => [name.toLowerCase(), value]);
  return {
    method,
    url: target?.href ?? url,
    remoteAddress,
    peerAddress: remoteAddress,
    clientCertificate,
    header: (name) => valuesOf(headers, name.toLowerCase()),
    query: (name) => valuesOf(query, name),
    cookie: (name) => valuesOf(cookies, name),
  };
}

/** What may be looked up in a request by name. */
export type Place = 'header' | 'query' | 'cookie';

/** The same request with what a look-up finds put through a function; `name` is in lower case for headers. */
export function changedRequest(
  request: AuthRequest,
  change: (place: Place, name: string, values: readonly string[]) => readonly string[],
): AuthRequest {
  const { method, url, remoteAddress, peerAddress } = request;
  return {
    method,
    url,
    remoteAddress,
    peerAddress,
    get clientCertificate() {
      return request.clientCertificate;
    },
    header: (name) => change('header', name.toLowerCase(), request.header(name)),
    query: (name) => change('query', name, request.query(name)),
    cookie: (name) => change('cookie', name, request.cookie(name)),
  };
}

function pairs(values: Values = {}): readonly Pair[] {
  return Object.entries(values).flatMap(([name, value]) => [value].flat().map((one): Pair => [name, one]));
}

/** Frozen: a scheme that changes what it is given fails. */
function valuesOf(from: readonly Pair[], wanted: string): readonly string[] {
  return Object.freeze(from.filter(([name]) => name === wanted).map(([, value]) => value));
}

/** As `encodeURIComponent`, which throws on what is no Unicode. */
function encodeCookie(value: string): string {
  return encodeURIComponent(Buffer.from(value).toString());
}
