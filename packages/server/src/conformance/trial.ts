import { AgentSecurity } from '../agent-security.js';
import type { AuthRequest } from '../auth-request.js';
import { credentialPlace } from '../card/declaration.js';
import type { Decision } from '../decision.js';
import { MalformedCredential } from '../errors.js';
import type { PrincipalClaims } from '../principal.js';
import type { SecurityScheme, Verification } from '../scheme.js';
import type { SchemeFixture } from './fixture.js';
import { changedRequest, type Place } from './request.js';
import { show, violation } from './violation.js';

/** The id under which schemes are tried. */
export const SCHEME_ID = 'conformance';

/** Milliseconds. The engine waits as long by default. */
const PATIENCE = 10_000;

/** What `extract` did. */
export type Extraction =
  | { readonly found: true; readonly credential: unknown }
  | { readonly found: false; readonly malformed: MalformedCredential | undefined };

/** A scheme and its fixture, while a rule is tried. */
export interface Trial {
  readonly fixture: SchemeFixture;
  readonly scheme: SecurityScheme;
}

/** @throws when the fixture gives no scheme */
export async function startTrial(fixture: SchemeFixture, create = fixture.create): Promise<Trial> {
  const scheme: unknown = await create();
  const { extract, verify } = (typeof scheme === 'object' && scheme !== null ? scheme : {}) as Partial<
    Record<keyof SecurityScheme, unknown>
  >;
  if (typeof extract !== 'function' || typeof verify !== 'function') {
    throw violation(
      `create() returned ${show(scheme)}, which has no extract() or no verify().`,
      'Return an object that implements SecurityScheme.',
    );
  }
  return { fixture, scheme: scheme as SecurityScheme };
}

/** @throws when the fixture gives no request */
export async function requestOf(make: () => AuthRequest | Promise<AuthRequest>): Promise<AuthRequest> {
  const request: unknown = await make();
  if (!isRequest(request)) {
    throw violation(
      `The fixture made ${show(request)} where a request is needed.`,
      'Make it with conformanceRequest({ header: { ... } }).',
    );
  }
  return request;
}

function isRequest(value: unknown): value is AuthRequest {
  return (
    typeof value === 'object' &&
    value !== null &&
    ['header', 'query', 'cookie'].every(
      (name) => typeof (value as Record<string, unknown>)[name] === 'function',
    )
  );
}

/** @throws when `extract` does what the contract does not allow */
export function extract({ scheme }: Trial, request: AuthRequest): Extraction {
  let credential: unknown;
  try {
    credential = scheme.extract(request);
  } catch (error) {
    if (error instanceof MalformedCredential) return { found: false, malformed: error };
    throw violation(
      `extract() threw ${error instanceof Error ? error.name : typeof error}.`,
      'Throw nothing but MalformedCredential, and that only for what is in the place of the credential; catch the rest.',
    );
  }
  if (isThenable(credential)) {
    Promise.resolve(credential).catch(() => undefined);
    throw violation(
      'extract() returned a promise.',
      'Make it synchronous: it only finds the credential. What has to be waited for belongs into verify().',
    );
  }
  return credential === undefined ? { found: false, malformed: undefined } : { found: true, credential };
}

/** @throws when the request's credential is not found */
export function credentialOf(trial: Trial, request: AuthRequest, which = 'good'): unknown {
  const extraction = extract(trial, request);
  if (extraction.found) return extraction.credential;
  throw violation(
    `extract() ${extraction.malformed === undefined ? 'found nothing in' : 'takes for malformed'} the ${which} request of the fixture.`,
    'Find every well-formed credential, good or bad: only verify() tells them apart. Or correct the fixture.',
  );
}

/** The answer of `verify`, whatever it is. */
export async function answerOf(
  { scheme, fixture }: Trial,
  credential: unknown,
  request: AuthRequest,
): Promise<unknown> {
  const context = { schemeId: SCHEME_ID, request, resource: fixture.resource };
  return patiently('verify()', scheme.verify(credential, context));
}

/** @throws when the request is not verified, or in no way that the contract knows */
export async function verified(
  trial: Trial,
  request: AuthRequest,
  which = 'good',
): Promise<Verification & { verified: true }> {
  const verification = await verificationOf(trial, request, which);
  if (verification.verified) return verification;
  throw violation(
    `verify() refused the ${which} credential of the fixture (${verification.reason}).`,
    'Verify every good credential, or correct the fixture.',
  );
}

/** @throws when the request is verified, or refused in no way that the contract knows */
export async function refused(
  trial: Trial,
  request: AuthRequest,
  which = 'bad',
): Promise<Verification & { verified: false }> {
  const verification = await verificationOf(trial, request, which);
  if (!verification.verified) return verification;
  throw violation(
    `verify() accepted the ${which} credential of the fixture.`,
    'Answer { verified: false, reason, detail } unless the credential is proven to be good.',
  );
}

async function verificationOf(trial: Trial, request: AuthRequest, which: string): Promise<Verification> {
  const credential = credentialOf(trial, request, which);
  let answer: unknown;
  try {
    answer = await answerOf(trial, credential, request);
  } catch (error) {
    throw violation(
      `verify() threw ${error instanceof Error ? error.name : typeof error} over the ${which} credential of the fixture.`,
      'Answer { verified: false, reason, detail } for what is not good; throw VerifierUnavailable only when it cannot be told.',
    );
  }
  const { verified } = (typeof answer === 'object' && answer !== null ? answer : {}) as {
    verified?: unknown;
  };
  if (typeof verified === 'boolean') return answer as Verification;
  throw violation(
    `verify() answered the ${which} credential with ${typeof answer} that is no verification.`,
    'Answer { verified: true, principal } or { verified: false, reason, detail }.',
  );
}

/** What an agent decides that asks for this scheme alone. */
export function securityOf(
  { scheme, fixture }: Trial,
  scopes: readonly string[] = [],
): AgentSecurity<string> {
  return new AgentSecurity<string>(fixture.resource === undefined ? {} : { resource: fixture.resource })
    .addSecurityScheme(SCHEME_ID, scheme)
    .addSecurityRequirement({ [SCHEME_ID]: scopes });
}

export function decisionOf(
  trial: Trial,
  request: AuthRequest,
  scopes?: readonly string[],
): Promise<Decision> {
  return patiently('authenticate()', securityOf(trial, scopes).authenticate(request));
}

/** Who the principal is, as two answers can be compared. */
export function identityOf({ subject, issuer }: PrincipalClaims): string {
  return JSON.stringify([issuer, subject]);
}

/** Where the credential is put, as the declaration says; the names of headers are in lower case. */
export function declaredPlace({
  scheme,
}: Trial): { kind: Place | 'client certificate'; name: string } | undefined {
  if (scheme.declaration === undefined) return undefined;
  const place = credentialPlace(scheme.declaration);
  if (place === 'client certificate') return { kind: place, name: '' };
  const [kind = '', ...name] = place.split(' ');
  return { kind: kind as Place, name: name.join(' ') };
}

/** The auth-scheme of the Authorization header in which the credential comes, where it comes so. */
export function authSchemeOf({ scheme: { declaration } }: Trial): string | undefined {
  switch (declaration?.type) {
    case 'http':
      return declaration.scheme;
    case 'oauth2':
    case 'openIdConnect':
      return 'Bearer';
    default:
      return undefined;
  }
}

/** What is in the declared place of a request. */
export function valuesInPlace(trial: Trial, request: AuthRequest): readonly string[] {
  const place = declaredPlace(trial);
  return place === undefined || place.kind === 'client certificate' ? [] : request[place.kind](place.name);
}

/** The names under which `extract` looks for something that the request has. */
export function lookUpsOf(trial: Trial, request: AuthRequest): readonly { place: Place; name: string }[] {
  const seen = new Map<string, { place: Place; name: string }>();
  const observed = changedRequest(request, (place, name, values) => {
    if (values.length > 0) seen.set(`${place} ${name}`, { place, name });
    return values;
  });
  extract(trial, observed);
  return [...seen.values()];
}

/** What nobody may see of the request's credential. */
export function secretsOf(trial: Trial, request: AuthRequest): readonly string[] {
  const extraction = extract(trial, request);
  if (!extraction.found) return [];
  const { fixture } = trial;
  const secrets =
    fixture.secrets === undefined
      ? [...textsIn(extraction.credential), ...valuesInPlace(trial, request).flatMap(withoutAuthScheme)]
      : fixture.secrets(extraction.credential);
  return [...new Set(secrets)].filter((secret) => secret !== '');
}

function withoutAuthScheme(value: string): readonly string[] {
  return [value, value.replace(/^\S+ +/, '')];
}

/** Every text in a value, whatever holds it; keys of objects as well. */
export function textsIn(value: unknown, seen = new Set<unknown>()): readonly string[] {
  if (typeof value === 'string') return [value];
  if (typeof value !== 'object' || value === null || seen.has(value)) return [];
  seen.add(value);
  if (ArrayBuffer.isView(value)) return [];
  // An error's own message and cause are not enumerable.
  const further = value instanceof Error ? [value.message, ...textsIn(value.cause, seen)] : [];
  const parts =
    value instanceof Map || value instanceof Set
      ? [...(value as Iterable<unknown>)]
      : Object.entries(value as Record<string, unknown>).flat();
  return [...further, ...parts.flatMap((part) => textsIn(part, seen))];
}

async function patiently<T>(what: string, answer: T | Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const impatience = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(
        violation(
          `${what} did not answer within ${String(PATIENCE / 1000)} seconds.`,
          'Limit the time of everything it waits for, and throw VerifierUnavailable when it is over.',
        ),
      );
    }, PATIENCE);
  });
  try {
    return await Promise.race([answer, impatience]);
  } finally {
    clearTimeout(timer);
  }
}

function isThenable(value: unknown): boolean {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function';
}
