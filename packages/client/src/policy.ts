import { ClientError } from './errors.js';
import { checkOptions } from './options.js';
import { isScope } from './scopes.js';
import { isSecure } from './secure-url.js';

/** What the user allows, whatever a card says. */
export interface ClientPolicy {
  /** Origins, besides the card's own, to which credentials may go, such as `https://api.example`. Default: none. */
  readonly origins?: readonly string[] | undefined;
  /** The scopes that may be asked for. Default: those that the card's requirements name. */
  readonly scopes?: readonly string[] | undefined;
  /** The scopes that may be asked for when the agent says, after a call, that they lack. Default: none. */
  readonly stepUpScopes?: readonly string[] | undefined;
}

export const POLICY_OPTIONS = {
  origins: true,
  scopes: true,
  stepUpScopes: true,
} as const satisfies Record<keyof ClientPolicy, true>;

/** A policy that was checked. */
export interface Policy {
  /** The agent's URL first, then `origins`. */
  readonly own: readonly URL[];
  readonly scopes: readonly string[] | undefined;
  readonly stepUpScopes: readonly string[];
}

/**
 * @param url where the user says that the agent is
 * @throws {ClientError} `INVALID_OPTION`
 */
export function checkPolicy(url: string | URL, options: ClientPolicy = {}): Policy {
  checkOptions('policy', options, POLICY_OPTIONS);
  const { origins = [], scopes, stepUpScopes = [] } = options;
  for (const [name, value] of Object.entries({ scopes: scopes ?? [], stepUpScopes })) {
    if (!Array.isArray(value) || !value.every(isScope))
      throw invalid(`policy.${name} must be a list of scopes (RFC 6749 §3.3).`);
  }
  if (!Array.isArray(origins)) throw invalid('policy.origins must be a list of origins.');
  return { own: [parseUrl(url), ...origins.map(parseOrigin)], scopes, stepUpScopes };
}

function parseUrl(value: string | URL): URL {
  const url = parse(String(value));
  if (url === undefined || !isSecure(url) || url.username !== '' || url.password !== '') {
    throw invalid(
      "The agent's url must be an https URL, or an http one of the loopback, without user name and password.",
    );
  }
  return url;
}

function parse(value: string): URL | undefined {
  return URL.canParse(value) ? new URL(value) : undefined;
}

function parseOrigin(value: unknown): URL {
  const url = typeof value === 'string' ? parse(value) : undefined;
  if (url === undefined || !isSecure(url) || url.href !== `${url.origin}/`) {
    throw invalid(
      'policy.origins takes origins of https URLs, or of http ones of the loopback, such as https://api.example.',
    );
  }
  return url;
}

function invalid(message: string): ClientError {
  return new ClientError('INVALID_OPTION', message);
}

/** Whether credentials may go to this address: to an origin that the user named. None of those is insecure. */
export function isAllowedDestination({ own }: Policy, url: URL): boolean {
  // A blob: URL has the origin of what is in it.
  const isSame = ({ origin, protocol }: URL) => origin === url.origin && protocol === url.protocol;
  return url.username === '' && url.password === '' && own.some(isSame);
}
