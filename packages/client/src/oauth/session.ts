import { notice } from '../notice.js';
import type { Tokens } from './tokens.js';

/** Tokens, and what they were asked for. */
export interface Session extends Tokens {
  /** When the access token came, in milliseconds since the epoch. */
  readonly obtainedAt: number;
  /** The scopes that were asked for; undefined when nobody knows what the refresh token is good for. */
  readonly asked: readonly string[] | undefined;
  readonly resource: string | undefined;
}

/** Milliseconds before its end at which a token is renewed, so that it does not end on its way. */
const MARGIN = 30_000;

/** Whether it is good for what is wanted, whatever its age. */
export function covers(
  session: Session,
  wanted: { readonly scopes: readonly string[]; readonly resource: string | undefined },
): boolean {
  return session.resource === wanted.resource && allows(session, wanted.scopes);
}

/** Whether a refresh can give these scopes: never more than the login had (RFC 6749 §6). */
export function allows({ asked }: Session, scopes: readonly string[]): boolean {
  return asked === undefined || scopes.every((scope) => asked.includes(scope));
}

/** Whether the access token lasts for some time yet. Short-lived ones are used for most of their life. */
export function isFresh({ expiresAt, obtainedAt }: Session): boolean {
  if (expiresAt === undefined) return true;
  return Date.now() < expiresAt - Math.min(MARGIN, (expiresAt - obtainedAt) / 5);
}

export function hasEnded({ expiresAt }: Session): boolean {
  return expiresAt !== undefined && Date.now() >= expiresAt;
}

export function writeSession(session: Session): string {
  return JSON.stringify({ version: 1, ...session });
}

/** What cannot be read counts as nothing: a new login writes it anew, and a wrong token opens nothing. */
export function readSession(text: string | undefined): Session | undefined {
  if (text === undefined) return undefined;
  try {
    const { version, accessToken, tokenType, expiresAt, obtainedAt, refreshToken, scopes, asked, resource } =
      JSON.parse(text) as Record<string, unknown>;
    if (
      version === 1 &&
      typeof accessToken === 'string' &&
      /^[\x21-\x7e]+$/.test(accessToken) &&
      (tokenType === 'Bearer' || tokenType === 'DPoP') &&
      isOptional(isNumber, expiresAt) &&
      isNumber(obtainedAt) &&
      isOptional(isText, refreshToken) &&
      isOptional(isTexts, scopes) &&
      isOptional(isTexts, asked) &&
      isOptional(isText, resource)
    ) {
      return { accessToken, tokenType, expiresAt, obtainedAt, refreshToken, scopes, asked, resource };
    }
  } catch {
    // Said below.
  }
  notice('UNREADABLE_SESSION', 'The token store holds a session that cannot be read. It is not used.');
  return undefined;
}

const isText = (value: unknown): value is string => typeof value === 'string';
const isNumber = (value: unknown): value is number => Number.isFinite(value);
const isTexts = (value: unknown): value is string[] => Array.isArray(value) && value.every(isText);

function isOptional<T>(is: (value: unknown) => value is T, value: unknown): value is T | undefined {
  return value === undefined || is(value);
}
