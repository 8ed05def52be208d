import { joinCredentials, type RequestCredentials } from './apply-credentials.js';
import type { AgentResponse, Credential, CredentialRequest, ReceivedChallenge } from './credential-source.js';
import type { Denial } from './denial.js';
import type { AuthenticationStep } from './plan.js';
import type { Policy } from './policy.js';

/** The request that is to be authenticated. */
export interface HttpTarget {
  readonly method: string;
  readonly url: string;
  readonly signal?: AbortSignal | undefined;
}

/** What was added to a request, and by whom. */
export interface Authentication {
  readonly credentials: RequestCredentials;
  readonly given: readonly { readonly request: CredentialRequest; readonly credential: Credential }[];
}

/** Meets the chosen alternative of a plan, request after request; knows no transport. */
export interface Authenticator {
  /** @param scopes to be asked for besides those of the requirement */
  authenticate(target: HttpTarget, scopes?: readonly string[]): Promise<Authentication>;
  /**
   * Lets the sources get other credentials after a refusal.
   *
   * @returns the scopes to authenticate with once more; undefined when that makes no sense
   */
  improve(refused: Authentication, denial: Denial): Promise<readonly string[] | undefined>;
  /** From now on, these scopes are asked for at once: they were enough. */
  keepScopes(scopes: readonly string[]): void;
  observe(response: AgentResponse): void;
}

export function createAuthenticator(
  steps: readonly AuthenticationStep[],
  policy: Policy,
  resource: string | undefined,
): Authenticator {
  /** The scopes of a step-up, for the one step that has scopes. Bounded by policy. */
  const kept = new Set<string>();

  const request = (
    step: AuthenticationStep,
    { method, url, signal }: HttpTarget,
    scopes: readonly string[],
  ): CredentialRequest => ({
    schemeId: step.schemeId,
    scheme: step.scheme,
    scopes: hasScopes(step) ? [...new Set([...step.scopes, ...kept, ...scopes])] : step.scopes,
    resource,
    http: { method, url },
    signal,
  });

  return {
    async authenticate(target, scopes = []) {
      const given = await Promise.all(
        steps.map(async (step) => {
          const asked = request(step, target, scopes);
          return { request: asked, credential: await step.source.credential(asked) };
        }),
      );
      return { given, credentials: joinCredentials(given.map(({ credential }) => credential)) };
    },

    async improve({ given }, denial) {
      switch (denial.kind) {
        case 'forbidden':
          return undefined;
        case 'insufficient_scope': {
          const required = steps.flatMap(({ scopes }) => scopes);
          const asked = given.flatMap(({ request: { scopes } }) => scopes);
          const lacking = denial.scopes.filter((scope) => !asked.includes(scope));
          const allowed = [...policy.stepUpScopes, ...required];
          return lacking.length > 0 &&
            steps.some(hasScopes) &&
            lacking.every((scope) => allowed.includes(scope))
            ? lacking
            : undefined;
        }
        case 'unauthenticated': {
          const renewals = await Promise.all(
            steps.map(async ({ source }, index) => {
              const part = given[index];
              if (part === undefined || source.renew === undefined) return false;
              const { request: asked, credential } = part;
              return source.renew({
                ...asked,
                refused: credential,
                challenge: challengeFor(asked, credential, denial.challenges),
              });
            }),
          );
          return renewals.includes(true) ? [] : undefined;
        }
      }
    },

    keepScopes(scopes) {
      for (const scope of scopes) kept.add(scope);
    },

    observe(response) {
      for (const { source } of steps) source.observe?.(response);
    },
  };
}

/** At most one step of an alternative: all of these go into one header. */
function hasScopes({ scheme }: AuthenticationStep): boolean {
  return scheme.type !== 'apiKey' && scheme.type !== 'mutualTLS';
}

/**
 * The challenge that is about this credential: of several of one name, that which says what is wrong. A proof of possession
 * is asked for by a name of its own (RFC 9449 §7.1).
 */
function challengeFor(
  { scheme }: CredentialRequest,
  { headers }: Credential,
  challenges: readonly ReceivedChallenge[],
): ReceivedChallenge | undefined {
  const named = (...names: readonly string[]) =>
    names
      .map((name) => challenges.filter((challenge) => challenge.scheme === name))
      .map((found) => found.find(({ params }) => params.error !== undefined) ?? found[0])
      .find(Boolean);
  switch (scheme.type) {
    case 'apiKey':
      return challenges.find(
        (challenge) => challenge.scheme === 'apikey' && challenge.params.name === scheme.name,
      );
    case 'mutualTLS':
      return named('mutualtls');
    case 'http':
      if (scheme.scheme.toLowerCase() !== 'bearer') return named(scheme.scheme.toLowerCase());
      break;
    case 'oauth2':
    case 'openIdConnect':
      break;
  }
  return headers?.dpop === undefined ? named('bearer', 'dpop') : named('dpop', 'bearer');
}
