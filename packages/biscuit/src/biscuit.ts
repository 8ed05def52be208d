import {
  checkOptions,
  httpBearer,
  TooManyAttempts,
  VerifierUnavailable,
  type Permission,
  type PermittedCall,
  type RefusalReason,
  type SecurityScheme,
  type Verification,
  type VerifyContext,
} from '@a2a-auth/server';

import { configurationError } from './configuration-error.js';
import { createEngine, EngineUnavailable, type Engine } from './engine.js';
import type { Signed } from './engine-jobs.js';
import { readEnvelope } from './envelope.js';
import { requestFacts } from './request-facts.js';
import { keyName, readRootKeys, type BiscuitRootKeys, type KeyById } from './root-keys.js';

export interface BiscuitOptions {
  /** Who may issue tokens. A token under another key, or that names an unknown key id, is refused. */
  readonly rootKeys: BiscuitRootKeys;
  /**
   * Datalog: the policies that allow or deny a call, and checks and rules with them. Runs for every call, with the facts of
   * the request, together with the token's own checks.
   */
  readonly authorizer: string;
  /**
   * A datalog rule whose head has one variable: who the token stands for, a string or an integer. As any rule, it sees only
   * facts of the authority block unless it says `trusting`. Default `subject($user) <- user($user)`. Where it finds
   * nothing, the subject is `biscuit:` and the revocation id of the authority block, the same for all attenuations.
   */
  readonly subject?: string;
  /**
   * The authority that all the root keys belong to, so that callers keep their ids when a key is replaced. Default: each
   * key is an authority by itself, `biscuit:ed25519/<hex>`.
   */
  readonly issuer?: string;
  /** The value of the fact `agent(...)`. Default: the `resource` of the `AgentSecurity`; without one, no such fact. */
  readonly agent?: string;
  /**
   * Asked with every token, by the revocation ids of all its blocks in lower-case hex, the authority block's first. Only
   * `false` lets the token pass; when it throws, the caller gets 503. Left out: nothing is revoked.
   */
  readonly revoked?: (revocationIds: readonly string[]) => boolean | Promise<boolean>;
  readonly limits?: BiscuitLimits;
  /** Published. */
  readonly description?: string;
}

/** A token that meets a limit is refused. */
export interface BiscuitLimits {
  /** Milliseconds of one evaluation. One that goes on for 100 more is ended with its thread. Default 200. */
  readonly time?: number;
  /** Facts that an evaluation may work with, those of the token and the request included. Default 1000. */
  readonly facts?: number;
  /** Rounds of rules. Default 100. */
  readonly iterations?: number;
  /** Blocks, the authority block included. Default 16. */
  readonly blocks?: number;
  /** Characters of the token. Default 8192. */
  readonly tokenLength?: number;
}

const defaultLimits: Required<BiscuitLimits> = {
  time: 200,
  facts: 1000,
  iterations: 100,
  blocks: 16,
  tokenLength: 8192,
};

/** What the library is given besides `limits.time`, to notice by itself that it is over. */
const GRACE = 100;

interface Settings {
  readonly keys: KeyById;
  readonly authorizer: string;
  readonly subject: string;
  readonly issuer: string | undefined;
  readonly agent: string | undefined;
  readonly revoked: BiscuitOptions['revoked'];
  readonly limits: Required<BiscuitLimits>;
  readonly engine: Engine;
}

/** A token whose signatures are proven. */
interface Genuine extends Signed {
  readonly keyId: number | undefined;
  readonly blocks: number;
  readonly revocationIds: readonly string[];
  readonly expiresAt: number | undefined;
}

let engine: Engine | undefined;

/**
 * Biscuit tokens (biscuitsec.org) as HTTP bearer tokens. Who calls is known from the token's signatures and facts; whether
 * it may is asked of the authorizer and the token's checks, call by call.
 *
 * ```ts
 * const security = new AgentSecurity()
 *   .addSecurityScheme(
 *     'biscuit',
 *     biscuit({
 *       rootKeys: 'ed25519/acdd6d5b53bfee478bf689f8e012fe7988bf755e3d7c5152947abc149bc20189',
 *       authorizer: 'allow if operation($operation), right($operation)',
 *     }),
 *   )
 *   .addSecurityRequirement({ biscuit: [] });
 * ```
 *
 * @throws {ConfigurationError} `INVALID_OPTION`
 */
export function biscuit(options: BiscuitOptions): SecurityScheme<string> {
  const settings = settingsOf(options);
  const { description } = options;
  return httpBearer({
    bearerFormat: 'biscuit',
    scopes: [],
    ...(description === undefined ? {} : { description }),
    verifier: { verify: (token, context) => verify(settings, token, context) },
  });
}

function settingsOf(options: BiscuitOptions): Settings {
  checkOptions('biscuit()', options, {
    rootKeys: 'any',
    authorizer: 'any',
    subject: 'any',
    issuer: 'any',
    agent: 'any',
    revoked: 'any',
    limits: 'object',
    description: 'string',
  });
  const { rootKeys, authorizer, issuer, agent, revoked } = options;
  const { subject = 'subject($user) <- user($user)', limits } = options;
  const keys = readRootKeys(rootKeys);
  assertText('authorizer', authorizer, 'Without one, nobody could tell which calls a token allows');
  assertText('subject', subject, 'Leave it out for user($user)');
  if (issuer !== undefined) assertText('issuer', issuer, "Leave it out for the key's name");
  if (agent !== undefined) assertText('agent', agent, 'Leave it out for the resource');
  if (revoked !== undefined && typeof revoked !== 'function') {
    throw configurationError('revoked must be a function from revocation ids to a boolean.');
  }
  engine ??= createEngine();
  const checked = engine.askNow('check', { keys: [...keys.values()], authorizer, subject });
  const problems = checked.status === 'done' ? checked.value : [checked.detail];
  if (problems.length > 0) throw configurationError(problems.join(' '));
  return { keys, authorizer, subject, issuer, agent, revoked, limits: readLimits(limits), engine };
}

function assertText(option: string, value: unknown, mend: string): void {
  if (typeof value === 'string' && value.trim() !== '') return;
  throw configurationError(`${option} must be a text. ${mend}.`);
}

function readLimits(given: BiscuitLimits = {}): Required<BiscuitLimits> {
  const limits = { ...defaultLimits, ...given };
  for (const [name, limit] of Object.entries(limits)) {
    if (!Object.hasOwn(defaultLimits, name)) {
      throw configurationError(
        `limits.${name} is not known. The limits are ${Object.keys(defaultLimits).join(', ')}.`,
      );
    }
    if (!(Number.isSafeInteger(limit) && limit > 0 && limit <= 1_000_000)) {
      throw configurationError(`limits.${name} must be a whole number from 1 to 1 000 000.`);
    }
  }
  return limits;
}

async function verify(settings: Settings, token: string, context: VerifyContext): Promise<Verification> {
  const { keys, limits, engine } = settings;
  if (token.length > limits.tokenLength) return refuse('The token is too long.');
  const envelope = readEnvelope(token);
  if (envelope === undefined) return refuse('The token is no biscuit.');
  const { bytes, keyId, blocks } = envelope;
  if (blocks > limits.blocks) return refuse('The token has too many blocks.');
  const key = keys.get(keyId);
  if (key === undefined) {
    return refuse(
      keyId === undefined ? 'The token names no root key.' : `The root key ${String(keyId)} is not known.`,
    );
  }
  const read = await asked(engine.ask('read', { token: bytes, key }, limits.time + GRACE));
  if (read.status === 'refused') return refuse(`The token is not genuine: ${read.detail}`);
  const genuine: Genuine = { token: bytes, key, keyId, blocks, ...read.value };
  if (await isRevoked(settings, genuine)) return refuse('A block of the token is revoked.', 'revoked');
  if (genuine.expiresAt !== undefined && genuine.expiresAt * 1000 <= Date.now()) {
    return refuse('The token has ended.', 'expired');
  }
  return identify(settings, genuine, context);
}

async function isRevoked({ revoked }: Settings, { revocationIds }: Genuine): Promise<boolean> {
  if (revoked === undefined) return false;
  try {
    const answer: unknown = await revoked(revocationIds);
    return answer !== false;
  } catch (error) {
    if (error instanceof VerifierUnavailable || error instanceof TooManyAttempts) throw error;
    throw new VerifierUnavailable('Whether the biscuit is revoked cannot be told now.', { cause: error });
  }
}

async function identify(settings: Settings, genuine: Genuine, context: VerifyContext): Promise<Verification> {
  const { subject: query, issuer, limits, engine } = settings;
  const { token, key, keyId, blocks, revocationIds, expiresAt } = genuine;
  const found = await asked(engine.ask('subjects', { token, key, query, limits }, limits.time + GRACE));
  if (found.status === 'refused') return refuse(`Who the token stands for cannot be told: ${found.detail}`);
  const [name, ...others] = found.value;
  if (others.length > 0) return refuse('The token stands for more than one subject.');
  // Else a name could be that of a token without a name.
  if (name?.startsWith('biscuit:') === true) return refuse('The subject begins with "biscuit:".');
  return {
    verified: true,
    principal: {
      subject: name ?? `biscuit:${String(revocationIds[0])}`,
      issuer: issuer ?? `biscuit:${keyName(key)}`,
      claims: { revocationIds, blockCount: blocks, keyId },
      expiresAt,
    },
    permits: (call) => permits(settings, genuine, call, context),
  };
}

async function permits(
  { authorizer, agent, limits, engine }: Settings,
  { token, key }: Genuine,
  call: PermittedCall,
  { resource }: VerifyContext,
): Promise<Permission> {
  const facts = requestFacts(call, agent ?? resource, Date.now());
  if (facts === undefined) return { permitted: false, detail: 'A name in the request is no Unicode text.' };
  const job = { token, key, authorizer, facts, limits };
  const answer = await asked(engine.ask('authorize', job, limits.time + GRACE));
  if (answer.status === 'refused') return { permitted: false, detail: answer.detail };
  const { value } = answer;
  return value.allowed ? { permitted: true } : { permitted: false, detail: value.detail };
}

async function asked<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (!(error instanceof EngineUnavailable)) throw error;
    throw new VerifierUnavailable(error.message, { cause: error });
  }
}

function refuse(detail: string, reason: RefusalReason = 'invalid'): Verification {
  return { verified: false, reason, detail };
}
