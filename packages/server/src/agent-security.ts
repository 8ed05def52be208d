import type { AgentCard } from '@a2a-js/sdk';
import type { A2ARequestHandler } from '@a2a-js/sdk/server';

import type { AuthRequest } from './auth-request.js';
import type { SecurityRequirementDeclaration, SecuritySchemeDeclaration } from './card/declaration.js';
import { publishSecurity, type PublishedSecurity } from './card/publish.js';
import { compilePolicy, secretHeaders, type RegisteredRequirement } from './configuration.js';
import { decide, decideCall, denyAnonymous, isConditional } from './decide.js';
import { Denied, Granted, isFinal, isMadeBy, sign, type Decision } from './decision.js';
import { hasDecisionListeners, publishDecision, type DecisionListener } from './decision-event.js';
import { configurationError } from './errors.js';
import { checkOptions } from './options.js';
import {
  certificateForwarding,
  type CertificateForwarding,
  type ForwardedCertificateOptions,
} from './forwarded-certificate.js';
import type { Operation } from './operation.js';
import { denialOf } from './denial.js';
import type { Policy, RegisteredScheme } from './policy.js';
import { protectRequestHandler } from './protect.js';
import { protectedResourceMetadata, type ProtectedResourceMetadata } from './protected-resource.js';
import type { SecurityScheme, StepUp } from './scheme.js';
import { MAX_TIMEOUT } from './timeout.js';

export interface AgentSecurityOptions {
  /**
   * Lets every caller in when no requirement is registered. Default false: an agent without a requirement is a
   * configuration error, so that no agent opens because a line was forgotten.
   */
  readonly allowAnonymous?: boolean;
  /** The protection space named in challenges (RFC 9110 §11.5). Default `a2a`. */
  readonly realm?: string;
  /** How denials are presented. */
  readonly denials?: DenialPresentation;
  /** Called with every decision, after it was made and before it takes effect. */
  readonly onDecision?: DecisionListener;
  /** Milliseconds that one verification may take before it counts as unavailable. Default 10 000. */
  readonly verificationTimeout?: number;
  /**
   * Where the agent card is, for auth-required tasks. Default: the well-known path at the origin of the card's first
   * interface.
   */
  readonly agentCardUrl?: string;
  /**
   * The URL by which clients name this agent when they ask for a token (RFC 8707), usually also the audience of its
   * tokens. Given, its protected resource metadata is published (RFC 9728) and named in challenges, and DPoP proofs are
   * checked against its origin instead of the Host header.
   */
  readonly resource?: string;
  /**
   * Takes client certificates from the headers of these proxies. From anybody else the headers are ignored, which the
   * decision event tells. Default: no header means anything, and client certificates come from the TLS connection.
   */
  readonly forwardedCertificate?: ForwardedCertificateOptions;
}

export interface DenialPresentation {
  /**
   * What a denied SendMessage or SendStreamingMessage gets: `task`, an auth-required task with HTTP 200, or `http`, the
   * status 401 or 403. Default `task`.
   */
  readonly messages?: 'task' | 'http';
  /**
   * What a denied JSON-RPC call of any other operation gets: `http`, the status 401 or 403, or `jsonrpc`, the JSON-RPC
   * error with HTTP 200. Default `http`.
   */
  readonly others?: 'http' | 'jsonrpc';
}

/**
 * The security of one agent: register schemes and requirements once, and they are published on its card and enforced
 * on every binding.
 *
 * ```ts
 * const security = new AgentSecurity()
 *   .addSecurityScheme('partnerKey', apiKey({ in: 'header', name: 'X-API-Key', keys: [key] }))
 *   .addSecurityRequirement({ partnerKey: [] });
 * ```
 *
 * Requirements are alternatives (OR); the schemes inside one are all needed (AND). The configuration is checked when
 * the object is first used, and frozen from then on.
 */
export class AgentSecurity<Ids extends string = never> {
  readonly #options: AgentSecurityOptions;
  readonly #forwarding: CertificateForwarding | undefined;
  readonly #schemes: RegisteredScheme[] = [];
  readonly #requirements: RegisteredRequirement[] = [];
  #policy: Policy | undefined;
  #hasWarned = false;
  #secretHeaders: ReadonlySet<string> | undefined;

  constructor(options: AgentSecurityOptions = {}) {
    checkOptions('AgentSecurity', options, {
      allowAnonymous: 'boolean',
      realm: 'string',
      denials: 'object',
      onDecision: 'function',
      verificationTimeout: 'number',
      agentCardUrl: 'any',
      resource: 'any',
      forwardedCertificate: 'object',
    });
    checkOptions('AgentSecurity, denials', options.denials ?? {}, { messages: 'any', others: 'any' });
    const { verificationTimeout = 10_000, denials: { messages = 'task', others = 'http' } = {} } = options;
    if (!(verificationTimeout > 0 && verificationTimeout <= MAX_TIMEOUT)) {
      throw configurationError(
        'INVALID_OPTION',
        `verificationTimeout must be a positive number of milliseconds, at most ${String(MAX_TIMEOUT)}.`,
      );
    }
    if (!['task', 'http'].includes(messages) || !['http', 'jsonrpc'].includes(others)) {
      throw configurationError(
        'INVALID_OPTION',
        `denials must be { messages: 'task' | 'http', others: 'http' | 'jsonrpc' }, not ${JSON.stringify(options.denials)}.`,
      );
    }
    if (options.agentCardUrl !== undefined && !URL.canParse(options.agentCardUrl)) {
      throw configurationError(
        'INVALID_OPTION',
        `agentCardUrl must be an absolute URL, not ${JSON.stringify(options.agentCardUrl)}.`,
      );
    }
    this.#options = { ...options, verificationTimeout, denials: { messages, others } };
    this.#forwarding = options.forwardedCertificate && certificateForwarding(options.forwardedCertificate);
  }

  /** Publishes a scheme on the card. It is enforced by the requirements that name it. */
  addSecurityScheme<Id extends string, Credential>(
    id: Id,
    scheme: SecurityScheme<Credential>,
  ): AgentSecurity<Ids | Id> {
    this.#assertOpen('addSecurityScheme');
    this.#schemes.push({ id, scheme });
    return this;
  }

  /**
   * Enforces an alternative: all of its schemes, each with its scopes. `{}` is the explicit anonymous alternative,
   * which is tried after all others.
   *
   * @param stepUp how strongly, or how lately, the caller must have authenticated (RFC 9470), as the `acr` and `auth_time`
   *   of one of the alternative's tokens tell. The card has no place for it; the challenge says it.
   */
  addSecurityRequirement(
    requirement: Readonly<Partial<Record<Ids, readonly string[]>>>,
    stepUp?: StepUp,
  ): this {
    this.#assertOpen('addSecurityRequirement');
    this.#requirements.push({ schemes: requirement as SecurityRequirementDeclaration, stepUp });
    return this;
  }

  /**
   * Checks the configuration and freezes it; done by every first use as well.
   *
   * @throws {ConfigurationError} naming everything that is wrong, each with its mend
   */
  validate(): this {
    this.#frozenPolicy();
    return this;
  }

  /**
   * Authenticates a request by what its credentials say, before its body is read. Used by bindings; the decision is
   * not final before {@link conclude}.
   */
  authenticate(request: AuthRequest): Promise<Decision> {
    const policy = this.#frozenPolicy();
    const startedAt = hasDecisionListeners(this.#options.onDecision) ? performance.now() : undefined;
    return decide(policy, this.#forwarding?.view(request) ?? request, this, startedAt);
  }

  /**
   * Decides about a request to something else than the agent, such as another route of the same application, and tells
   * whoever listens (`operation` is `unknown`). It takes a caller with a name, so the anonymous alternative is not met; a
   * credential that allows some calls and not others (`permits`) is denied as `not_permitted`. The decision opens
   * nothing at the agent itself.
   *
   * @param binding what the event is to name in `binding`, such as `HTTP`
   */
  async authenticateElsewhere(request: AuthRequest, binding: string): Promise<Decision> {
    const policy = this.#frozenPolicy();
    const decision = await this.authenticate(request);
    const elsewhere =
      decision.granted && isConditional(policy, decision)
        ? await decideCall(policy, decision, undefined)
        : decision;
    const final = await requireCaller(policy, elsewhere);
    publishDecision(final, { operation: 'unknown', binding }, policy.schemes, this.#options.onDecision);
    return final;
  }

  /**
   * Makes a decision final once the operation is known, and tells whoever listens. Used by bindings, once a call.
   *
   * @param binding `JSONRPC`, `HTTP+JSON` or `GRPC`
   * @throws {TypeError} when another `AgentSecurity` made the decision
   */
  async conclude(
    decision: Decision,
    call: { readonly operation: Operation; readonly binding: string },
  ): Promise<Decision> {
    if (!isMadeBy(decision, this)) throw new TypeError('This decision was made by another AgentSecurity.');
    const policy = this.#frozenPolicy();
    const ofCall =
      decision.granted && isConditional(policy, decision)
        ? await decideCall(policy, decision, call.operation)
        : decision;
    // The extended card always needs an authenticated caller (A2A 1.0 §13.3), also on an agent that is open to everyone.
    const final = call.operation === 'GetExtendedAgentCard' ? await requireCaller(policy, ofCall) : ofCall;
    // A grant by another agent's security opens nothing here, nor does one for another operation.
    sign(final, this, true, final === decision ? undefined : call.operation);
    publishDecision(final, call, policy.schemes, this.#options.onDecision);
    if (final.granted) Granted.release(final);
    return final;
  }

  /**
   * Wraps the SDK's request handler, for use on every binding. The wrapper publishes the security on the agent card and
   * answers only calls that carry a decision of this library: with a forgotten middleware the agent is shut, not open.
   */
  protect(requestHandler: A2ARequestHandler): A2ARequestHandler {
    this.#frozenPolicy();
    return protectRequestHandler(
      {
        by: this,
        recognise: (decision, operation) =>
          decision !== undefined && isFinal(decision, this, operation) ? decision : undefined,
        denyUnauthenticated: (operation) => this.#denyUnauthenticated(operation),
        publish: (card) => this.publish(card),
        agentCardUrl: this.agentCardUrl,
        denials: this.denials,
      },
      requestHandler,
    );
  }

  /**
   * The card with the registered schemes and requirements on it.
   *
   * @throws {ConfigurationError} when the card says something else already, or is signed
   */
  publish(card: AgentCard): AgentCard {
    return publishSecurity(card, this.published);
  }

  /** What the card says about this agent's security. */
  get published(): PublishedSecurity {
    const policy = this.#frozenPolicy();
    const declared = this.#schemes.flatMap(({ id, scheme }): [string, SecuritySchemeDeclaration][] =>
      scheme.declaration === undefined ? [] : [[id, scheme.declaration]],
    );
    return { schemes: new Map(declared), requirements: policy.published };
  }

  /** The metadata of RFC 9728, when the agent has a `resource`. */
  get protectedResource(): ProtectedResourceMetadata | undefined {
    const { resource, schemes } = this.#frozenPolicy();
    return resource === undefined ? undefined : protectedResourceMetadata(resource, schemes);
  }

  /**
   * Fetches ahead of traffic whatever the schemes will need, such as the keys of an issuer.
   *
   * @throws {VerifierUnavailable} when something cannot be had now; the agent can serve all the same, and will try again
   */
  async warmUp(): Promise<void> {
    await Promise.all(this.#frozenPolicy().schemes.map(({ scheme }) => Promise.resolve(scheme.warmUp?.())));
  }

  /** How denials are presented, with the defaults filled in. */
  get denials(): Required<DenialPresentation> {
    return this.#options.denials as Required<DenialPresentation>;
  }

  /** As configured; see {@link AgentSecurityOptions.agentCardUrl}. */
  get agentCardUrl(): string | undefined {
    return this.#options.agentCardUrl;
  }

  /** The names of the headers in which callers send secrets, and proxies certificates, in lower case. */
  get secretHeaders(): ReadonlySet<string> {
    this.#frozenPolicy();
    this.#secretHeaders ??= new Set([...secretHeaders(this.#schemes), ...(this.#forwarding?.headers ?? [])]);
    return this.#secretHeaders;
  }

  #frozenPolicy(): Policy {
    this.#policy ??= compilePolicy({
      schemes: this.#schemes,
      requirements: this.#requirements,
      allowAnonymous: this.#options.allowAnonymous === true,
      realm: this.#options.realm ?? 'a2a',
      resource: this.#options.resource,
      verificationTimeout: this.#options.verificationTimeout as number,
    });
    return this.#policy;
  }

  #denyUnauthenticated(operation: Operation): Denied {
    const policy = this.#frozenPolicy();
    const evaluation = { request: undefined, credentials: [], outcomes: [], durationMs: undefined };
    const denied = new Denied(denialOf(policy, 'missing_credential', []), evaluation);
    publishDecision(denied, { operation, binding: 'none' }, policy.schemes, this.#options.onDecision);
    if (!this.#hasWarned) {
      this.#hasWarned = true;
      process.emitWarning(
        'A call reached a protected agent past every binding and was denied. Is authenticate() missing before a handler of the SDK, or its userBuilder?',
        { code: 'A2A_AUTH_UNAUTHENTICATED_CALL' },
      );
    }
    return denied;
  }

  #assertOpen(method: string): void {
    if (this.#policy === undefined) return;
    throw configurationError(
      'FROZEN',
      `${method} was called after this AgentSecurity was first used. Register everything before creating handlers from it.`,
    );
  }
}

/** The anonymous alternative lets nobody in here. */
function requireCaller(policy: Policy, decision: Decision): Decision | Promise<Decision> {
  return decision.granted && decision.isAnonymous ? denyAnonymous(policy, decision) : decision;
}

/** @throws {ConfigurationError} `INVALID_OPTION` where something else was given, or nothing */
export function assertSecurity(culprit: string, security: AgentSecurity<string>): void {
  if (security instanceof AgentSecurity) return;
  throw configurationError('INVALID_OPTION', `${culprit}: security must be an AgentSecurity.`);
}
