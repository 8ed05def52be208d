import { decodeJwt } from 'jose';
import { genericGrantRequest, type Configuration, type TokenEndpointResponse } from 'openid-client';

import { ClientError } from '../errors.js';
import {
  ACCESS_TOKEN,
  isSentAsAccessToken,
  TOKEN_EXCHANGE,
  type TokenTypeUri,
} from '../oauth/token-exchange.js';
import { tokensFrom, type Tokens } from '../oauth/tokens.js';
import { quote } from '../quote.js';

/** How a token is exchanged: by RFC 8693, or by RFC 7523 §2.1 at servers that have no token exchange. */
export type DelegationGrant = 'token-exchange' | 'jwt-bearer';

/** One exchange: whose token, and what for. */
export interface Exchange {
  readonly grant: DelegationGrant;
  readonly subjectToken: string;
  readonly subjectTokenType: TokenTypeUri;
  readonly actorToken: string | undefined;
  readonly audience: string | undefined;
  readonly resource: string | undefined;
  readonly scopes: readonly string[];
  /** What the `aud` of the token has to name. Left out: the audience or the resource. */
  readonly expectedAudience: string | undefined;
  /** Further parameters. */
  readonly parameters: Readonly<Record<string, string>>;
}

/** Milliseconds for which a token is used of which nobody says when it ends. */
const UNKNOWN_LIFETIME = 300_000;

/**
 * Exchanges a token, and looks whether the answer is what was asked for. Who takes the token has to verify it all the same.
 *
 * @param server how the authorization server is called in messages
 * @throws {ClientError} `TOKEN_REFUSED` when the answer is something else
 */
export async function exchangeToken(
  configuration: Configuration,
  exchange: Exchange,
  server: string,
): Promise<Tokens> {
  const response = await genericGrantRequest(
    configuration,
    grantTypes[exchange.grant],
    parametersOf(exchange),
  );
  const problem = problemOf(response, exchange);
  if (problem !== undefined) throw new ClientError('TOKEN_REFUSED', `${server} ${problem}`);
  const tokens = tokensFrom(response, server, false);
  return {
    ...tokens,
    expiresAt: tokens.expiresAt ?? Date.now() + UNKNOWN_LIFETIME,
    // It would outlive the caller's own token. The next exchange shows that one again.
    refreshToken: undefined,
    // RFC 6749 §5.1: left out where it is what was asked for.
    scopes: tokens.scopes ?? (exchange.scopes.length === 0 ? undefined : exchange.scopes),
  };
}

const grantTypes: Readonly<Record<DelegationGrant, string>> = {
  'token-exchange': TOKEN_EXCHANGE,
  'jwt-bearer': 'urn:ietf:params:oauth:grant-type:jwt-bearer',
};

/** The user's parameters come first, so that they replace none of those that say whose token is asked for. */
function parametersOf(exchange: Exchange): Record<string, string> {
  const { grant, subjectToken, subjectTokenType, actorToken, audience, resource, scopes, parameters } =
    exchange;
  const given: Readonly<Record<string, string | undefined>> = {
    ...parameters,
    scope: scopes.length === 0 ? undefined : scopes.join(' '),
    audience,
    resource,
    ...(grant === 'jwt-bearer'
      ? { assertion: subjectToken }
      : {
          subject_token: subjectToken,
          subject_token_type: subjectTokenType,
          actor_token: actorToken,
          actor_token_type: actorToken === undefined ? undefined : ACCESS_TOKEN,
          requested_token_type: ACCESS_TOKEN,
        }),
  };
  return Object.fromEntries(
    Object.entries(given).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

/** Why an answer is not what was asked for; undefined when it is. */
function problemOf(response: TokenEndpointResponse, exchange: Exchange): string | undefined {
  const { grant, subjectToken, actorToken, scopes } = exchange;
  // RFC 8693 §2.2.1: it is required.
  const { issued_token_type: issued, token_type: type, access_token: token } = response;
  if (grant === 'token-exchange' && !isSentAsAccessToken(issued)) {
    return 'exchanged the token for one that is no access token.';
  }
  if (type !== 'bearer') return 'exchanged the token for one that is no bearer token.';
  // It would be good wherever the caller's is, and the next agent could use it there.
  if (token === subjectToken || token === actorToken) return 'gave back the very token that it was shown.';
  const beyond = response.scope?.split(' ').filter((scope) => scope !== '' && !scopes.includes(scope)) ?? [];
  if (scopes.length > 0 && beyond.length > 0) {
    return `gave a token with scopes that were not asked for: ${quote(beyond.join(' '))}. Have it leave them out, or name them in scopes if the other agent may have them.`;
  }
  return audienceProblem(token, exchange);
}

/**
 * A server that passes over what it does not know may answer with a token for the agent that asks. Sent on, it would be in
 * the hands of an agent that it is not for.
 */
function audienceProblem(
  token: string,
  { audience, resource, expectedAudience }: Exchange,
): string | undefined {
  const expected = [expectedAudience ?? [audience, resource]].flat().filter((name) => name !== undefined);
  const claims = claimsOf(token);
  if (expected.length === 0 || claims === undefined) return undefined;
  const named: readonly unknown[] = [claims.aud].flat();
  return expected.some((name) => named.includes(name))
    ? undefined
    : `gave a token that is not for ${JSON.stringify(expected[0])}: its "aud" is ${shown(claims.aud)}. If that is the agent's, name it in expectedAudience.`;
}

/** The claims of a JWT, unverified; undefined for a token of any other form. */
function claimsOf(token: string): { readonly aud?: unknown } | undefined {
  try {
    return decodeJwt(token);
  } catch {
    return undefined;
  }
}

function shown(aud: unknown): string {
  return aud === undefined ? 'missing' : JSON.stringify(aud).slice(0, 200);
}
