import { decodeJwt } from 'jose';
import type { TokenEndpointResponse } from 'openid-client';

import { ClientError } from '../errors.js';

/** What a token endpoint gave. */
export interface Tokens {
  readonly accessToken: string;
  readonly tokenType: 'Bearer' | 'DPoP';
  /** Milliseconds since the epoch; undefined when nobody says. */
  readonly expiresAt: number | undefined;
  readonly refreshToken: string | undefined;
  /** Granted, where the server said so. */
  readonly scopes: readonly string[] | undefined;
}

/**
 * @param bound whether the token has to be bound to a DPoP key
 * @throws {ClientError} `TOKEN_REFUSED` when it is not what was asked for, or cannot be sent
 */
export function tokensFrom(response: TokenEndpointResponse, server: string, bound: boolean): Tokens {
  const { access_token: accessToken, refresh_token: refreshToken } = response;
  // A line break would be a header of its own.
  if (!/^[\x21-\x7e]+$/.test(accessToken)) {
    throw new ClientError('TOKEN_REFUSED', `${server} gave an access token that no header can carry.`);
  }
  const isDpop = response.token_type === 'dpop';
  if (bound && !isDpop) {
    throw new ClientError(
      'TOKEN_REFUSED',
      `${server} gave a token that is not bound to the DPoP key. Leave out dpop(), or have the server bind tokens.`,
    );
  }
  if (isDpop && !bound) {
    throw new ClientError('TOKEN_REFUSED', `${server} gave a DPoP token. Put dpop() around the source.`);
  }
  return {
    accessToken,
    tokenType: isDpop ? 'DPoP' : 'Bearer',
    expiresAt: finite(
      response.expires_in === undefined ? endOf(accessToken) : Date.now() + response.expires_in * 1000,
    ),
    refreshToken,
    scopes: response.scope?.split(' ').filter((scope) => scope !== ''),
  };
}

/** The end of a JWT that its issuer kept silent about. It is not verified: who lies gets refused by the agent. */
function endOf(accessToken: string): number | undefined {
  const { exp } = claimsOf(accessToken);
  return typeof exp === 'number' ? exp * 1000 : undefined;
}

/** What is beyond all numbers is no end, and no store could keep it. */
function finite(time: number | undefined): number | undefined {
  return Number.isFinite(time) ? time : undefined;
}

/** What a JWT says, unverified; nothing for an opaque token. */
function claimsOf(token: string): Readonly<Record<string, unknown>> {
  try {
    return decodeJwt(token);
  } catch {
    return {};
  }
}

/** Whether a token says that it is bound to no certificate (RFC 8705 §3.1). An opaque one says nothing. */
export function isSurelyUnbound(accessToken: string): boolean {
  if (accessToken.split('.').length !== 3) return false;
  const { cnf } = claimsOf(accessToken);
  return typeof cnf !== 'object' || cnf === null || !('x5t#S256' in cnf);
}
