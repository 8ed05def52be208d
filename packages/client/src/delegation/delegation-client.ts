import type { Client } from '@a2a-js/sdk/client';

import { authenticatingFetch } from '../authenticating-fetch.js';
import { isObject, type JsonObject } from '../card/json.js';
import { readCard } from '../card/read-card.js';
import { verifyCard, type CardTrust } from '../card/verify-card.js';
import { clientForCard } from '../client-for-card.js';
import type { ConnectOptions } from '../connect.js';
import type { CredentialSource } from '../credential-source.js';
import { ClientError } from '../errors.js';
import { CLIENT_AUTHENTICATION_OPTIONS } from '../oauth/client-authentication.js';
import type { Tokens } from '../oauth/tokens.js';
import { checkOptions } from '../options.js';
import { planFor, type AuthenticationPlan } from '../plan.js';
import { checkPolicy } from '../policy.js';
import { mutualTls } from '../tls/mutual-tls.js';
import {
  delegatedTokens,
  type DelegatedTokens,
  type DelegationOptions,
  type DelegationTarget,
} from './delegated-tokens.js';
import { place, ServiceDiscovery } from './service-discovery.js';

export interface DelegationClientOptions extends DelegationOptions {
  /** Finds agents by their aliases, and keeps their cards. Default: one of its own, without aliases. */
  readonly discovery?: ServiceDiscovery;
}

export interface ExchangeOptions extends DelegationTarget {
  /** What the token is good for; never more than the caller's own. Default: what the server gives. */
  readonly scopes?: readonly string[] | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A token for another agent, that speaks for the caller. A secret. */
export type DelegatedToken = Pick<Tokens, 'accessToken' | 'expiresAt' | 'scopes'>;

export interface DelegatedConnectOptions
  extends
    DelegationTarget,
    Pick<
      ConnectOptions,
      'clientConfig' | 'onAuthRequired' | 'policy' | 'preferredTransports' | 'requireSignedCard' | 'signal'
    > {
  /** What the token is good for, in place of the scopes that the card requires. */
  readonly scopes?: readonly string[] | undefined;
  /** What the agent wants besides the token, such as `apiKey(key)`. */
  readonly credentials?: readonly CredentialSource[] | undefined;
}

/** The names of what says for whom, and for which agent. */
const TARGET_OPTIONS = {
  subjectToken: true,
  audience: true,
  resource: true,
  expectedAudience: true,
} as const satisfies Record<keyof DelegationTarget, true>;

/**
 * Calls other agents on behalf of one's own callers: exchanges a caller's token for one that is meant for the other agent,
 * and says who acts (RFC 8693). To be made once; its tokens are kept by caller, actor, agent and scopes, a thousand at
 * most, until shortly before they end. No caller ever gets the token of another.
 *
 * ```ts
 * const client = await delegation.connect(url, { subjectToken: callerCredential(context, 'user') });
 * ```
 */
export class DelegationClient {
  readonly #tokens: DelegatedTokens;
  readonly #discovery: ServiceDiscovery;
  readonly #hasCertificate: boolean;

  /** @throws {ClientError} `INVALID_OPTION` */
  constructor(options: DelegationClientOptions) {
    checkOptions('DelegationClient()', options, {
      discovery: true,
      issuer: true,
      tokenEndpoint: true,
      ...CLIENT_AUTHENTICATION_OPTIONS,
      grant: true,
      actor: true,
      subjectTokenType: true,
      tokenParameters: true,
      timeout: true,
      fetch: true,
    });
    const { discovery = new ServiceDiscovery(), ...rest } = options;
    if (!(discovery instanceof ServiceDiscovery)) {
      throw new ClientError('INVALID_OPTION', 'DelegationClient(): discovery must be a ServiceDiscovery.');
    }
    this.#tokens = delegatedTokens(rest);
    this.#discovery = discovery;
    this.#hasCertificate = rest.tls !== undefined;
  }

  /**
   * The exchange alone, from memory where the same was exchanged before.
   *
   * @throws {ClientError} `LOGIN_REQUIRED` when the caller has no token, `TOKEN_REFUSED` when the server exchanges it not, or
   *   for something else; `PROVIDER_UNAVAILABLE`, `ISSUER_NOT_TRUSTED`, `INVALID_OPTION`
   */
  async exchange(options: ExchangeOptions): Promise<DelegatedToken> {
    checkOptions('exchange()', options, { ...TARGET_OPTIONS, scopes: true, signal: true });
    const { scopes = [], signal, ...target } = options;
    const { accessToken, expiresAt, scopes: granted } = await this.#tokens.get(target, scopes, signal);
    return { accessToken, expiresAt, scopes: granted };
  }

  /**
   * A credential source for one caller and one agent, for `connect`, `authenticatingFetch` or gRPC.
   *
   * @throws {ClientError} `LOGIN_REQUIRED` when the caller has no token, `INVALID_OPTION`
   */
  source(options: Omit<ExchangeOptions, 'signal'>): CredentialSource {
    checkOptions('source()', options, { ...TARGET_OPTIONS, scopes: true });
    const { scopes, ...target } = options;
    return this.#tokens.source(target, scopes);
  }

  /**
   * The SDK's client for another agent, authenticated for one caller. It is for that caller alone: make another for the
   * next one. Cards and connections are shared.
   *
   * @param agent an alias; or the agent's origin, whose card is at the well-known path; or the card's own URL. As you
   *   know it: an address that you have from somebody else is to be resolved by `ServiceDiscovery` first.
   * @param options `resource` is the agent's URL, where neither `audience` nor `resource` is given.
   * @throws {ClientError} `LOGIN_REQUIRED` when the caller has no token; `NO_ALTERNATIVE` when the card has none that a token
   *   for the caller is part of; what `connect` throws. The client throws what `exchange` does.
   */
  async connect(agent: string | URL, options: DelegatedConnectOptions): Promise<Client> {
    checkOptions('connect()', options, {
      ...TARGET_OPTIONS,
      scopes: true,
      credentials: true,
      clientConfig: true,
      onAuthRequired: true,
      policy: true,
      preferredTransports: true,
      requireSignedCard: true,
      signal: true,
    });
    const {
      subjectToken,
      audience,
      expectedAudience,
      scopes,
      credentials = [],
      requireSignedCard,
      ...rest
    } = options;
    const { clientConfig, onAuthRequired, policy: allowed, preferredTransports, signal } = rest;
    const { url, tls, fetch, card } = await this.#discovery[place](agent, originsOf(agent, allowed));
    const resource = rest.resource ?? (audience === undefined ? url : undefined);
    const caller = this.source({ subjectToken, audience, resource, expectedAudience, scopes });

    const policy = checkPolicy(url, allowed);
    const verified = await cardBy(requireSignedCard, await card(signal));
    const security = readCard(verified);
    const sources = [caller, ...credentials, ...(tls === undefined ? [] : [mutualTls(tls)])];
    const plan = actingFor(caller, planFor(security, sources, policy));
    const presentsCertificate =
      this.#hasCertificate || plan.chosen?.steps.some(({ scheme }) => scheme.type === 'mutualTLS') === true;
    const session = { url, plan, policy: allowed, onAuthRequired };
    return clientForCard({
      card: verified,
      security,
      session,
      fetch: authenticatingFetch({ ...session, ...(presentsCertificate ? {} : { fetch }) }),
      clientConfig,
      preferredTransports,
    });
  }
}

/** The origins that the user named here. */
function originsOf(agent: string | URL, policy: ConnectOptions['policy']): readonly URL[] {
  const isUrl = agent instanceof URL || agent.includes('://');
  const { own } = checkPolicy(isUrl ? agent : 'https://any.example', policy);
  return isUrl ? own : own.slice(1);
}

async function cardBy(trust: CardTrust | undefined, card: JsonObject): Promise<JsonObject> {
  const verified: unknown = trust === undefined ? card : await verifyCard(card, trust);
  if (!isObject(verified)) throw new ClientError('CARD_INVALID', 'The agent card is no JSON object.');
  return verified;
}

/** Without the caller's token, this agent would be called in its own name, or in nobody's. */
function actingFor(caller: CredentialSource, { alternatives }: AuthenticationPlan): AuthenticationPlan {
  const meetable = alternatives.filter((alternative) => alternative.meetable);
  const acting = meetable.filter(({ steps }) => steps.some(({ source }) => source === caller));
  const chosen = acting.find(({ interactive }) => !interactive) ?? acting[0];
  if (chosen === undefined && meetable.length > 0) {
    throw new ClientError(
      'NO_ALTERNATIVE',
      'The agent card can be met without a token for the caller, and then the call would not be for the caller. ' +
        "For calls in this agent's own name there is connect().",
    );
  }
  return { chosen, alternatives };
}
