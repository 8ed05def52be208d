import { randomBytes, timingSafeEqual } from 'node:crypto';

import type { AuthenticationInfo } from '@a2a-js/sdk';

import { digest } from '../oauth/digest.js';
import type { CredentialPlace, PushRegistration, PushRegistrations } from './registrations.js';

export const TOKEN_HEADER = 'X-A2A-Notification-Token';

/** A fresh credential: the id finds the registration, the secret proves it. */
export interface FreshCredential {
  readonly id: string;
  readonly digest: string;
  /** What the agent is told. */
  readonly config: { readonly token: string; readonly authentication: AuthenticationInfo | undefined };
}

/** @param signed whether the agent is asked to sign: with a bearer token of its own */
export function freshCredential(place: CredentialPlace, signed: boolean): FreshCredential {
  const id = randomBytes(16).toString('base64url');
  const secret = randomBytes(32).toString('base64url');
  const credential = `${id}.${secret}`;
  const basic = Buffer.from(`${id}:${secret}`).toString('base64');
  const authentication = {
    bearer: { scheme: 'Bearer', credentials: credential },
    basic: { scheme: 'Basic', credentials: basic },
    apiKey: { scheme: 'ApiKey', credentials: credential },
    token: signed ? { scheme: 'Bearer', credentials: '' } : undefined,
  }[place];
  return {
    id,
    digest: digest(secret),
    config: { token: place === 'token' ? credential : '', authentication },
  };
}

/** Longer than any of ours. */
const MAX_LENGTH = 512;

/**
 * The registration whose credential a request carries.
 *
 * @returns undefined when it carries none that is good
 */
export async function authenticate(
  headers: Headers,
  { registrations, apiKeyHeader }: { registrations: PushRegistrations; apiKeyHeader: string },
): Promise<{ readonly id: string; readonly registration: PushRegistration } | undefined> {
  for (const [place, value] of presented(headers, apiKeyHeader)) {
    if (value.length > MAX_LENGTH) continue;
    const [, id, secret] = /^([\w-]+)[.:]([\w-]+)$/.exec(value) ?? [];
    if (id === undefined || secret === undefined) continue;
    const registration = await registrations.find(id);
    if (registration?.place !== place || !(registration.expiresAt > Date.now())) continue;
    if (!isEqual(digest(secret), registration.digest)) continue;
    return { id, registration };
  }
  return undefined;
}

/** Digests are of one length, so that the comparison tells nothing of the secret. */
function isEqual(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)];
  return a.byteLength === b.byteLength && timingSafeEqual(a, b);
}

function presented(headers: Headers, apiKeyHeader: string): [CredentialPlace, string][] {
  const bearer = bearerToken(headers);
  const [, basic] = /^Basic +([A-Za-z0-9+/]+=*)$/i.exec(headers.get('authorization') ?? '') ?? [];
  const values: [CredentialPlace, string | undefined][] = [
    ['bearer', bearer],
    ['basic', basic === undefined ? undefined : Buffer.from(basic, 'base64').toString()],
    ['apiKey', headers.get(apiKeyHeader) ?? undefined],
    ['token', headers.get(TOKEN_HEADER) ?? undefined],
  ];
  return values.flatMap(([place, value]) => (value === undefined ? [] : [[place, value]]));
}

export function bearerToken(headers: Headers): string | undefined {
  return /^Bearer +([^\s,]+)$/i.exec(headers.get('authorization') ?? '')?.[1];
}
