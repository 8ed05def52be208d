import {
  authorizationCredentials,
  checkOptions,
  ConfigurationError,
  httpBearer,
  MalformedCredential,
  TooManyAttempts,
  VerifierUnavailable,
  type ApiKeyDeclaration,
  type AuthRequest,
  type PrincipalClaims,
  type SecurityScheme,
  type Validated,
  type Verification,
  type VerifyContext,
} from '@a2a-auth/server';

import { describe } from './describe.js';
import { runStrategy, type PassportStrategy, type StrategyOutcome } from './run-strategy.js';
import { bareRequest, strategyRequest, type PassportDeclaration } from './strategy-request.js';
import { defaultPrincipalOf, UnusableUser } from './user.js';

export type { PassportDeclaration } from './strategy-request.js';

export interface PassportSchemeOptions<User = unknown, Info = unknown> {
  /**
   * Who the strategy's user is to the agent; nothing when it is nobody. Default: the user's `id`, or else its `sub` (with
   * its `iss`), or else its `username`, with the scopes in `info.scope` or `user.scope`.
   */
  readonly principalOf?: (
    user: User,
    info: Info,
  ) => Validated | undefined | null | Promise<Validated | undefined | null>;
  /** The scopes that requirements may ask for. Default: those of the declared OAuth flow; for others, any. */
  readonly scopes?: readonly string[];
}

/** Longer keys are no keys. */
const MAX_LENGTH = 16_384;

/**
 * A Passport strategy as a security scheme. The scheme finds the credential where the declaration says, and the strategy
 * proves it: it sees a request that holds this credential and nothing else of what the caller sent.
 *
 * `success` lets the caller in, `fail` and `pass` refuse, `error` is a 503. To find strategies that log people in, or let
 * everybody in, the strategy is asked once at creation about a request without a credential.
 *
 * @param strategy an instance, as `passport.use()` takes it
 * @param declaration what the card says: where the credential is
 * @throws {ConfigurationError} `INVALID_OPTION` when it is no strategy, when it answers a request without a credential
 *   by `redirect` or `success`, or when no caller could meet the declaration
 */
export function passportScheme<User = unknown, Info = unknown>(
  strategy: PassportStrategy,
  declaration: PassportDeclaration,
  options: PassportSchemeOptions<User, Info> = {},
): SecurityScheme<string> {
  checkOptions<PassportSchemeOptions<User, Info>>('passportScheme()', options, {
    principalOf: 'any',
    scopes: 'strings',
  });
  const { principalOf, scopes = scopesOf(declaration) } = options;
  assertStrategy(strategy);
  const declared = checkedDeclaration(declaration);
  if (principalOf !== undefined && typeof principalOf !== 'function') {
    throw invalid('principalOf must be a function (user, info) that says who the user is.');
  }
  const nameUser = (principalOf ?? defaultPrincipalOf) as (
    user: unknown,
    info: unknown,
  ) => Validated | undefined | null | Promise<Validated | undefined | null>;
  assertTokenStrategy(strategy);

  let hasWarned = false;
  function warnOnce(): void {
    if (hasWarned) return;
    hasWarned = true;
    process.emitWarning(
      `${nameOf(strategy)} answered a call by a redirect, and the call was refused: agents do not follow logins. Use a strategy that verifies a credential, such as a bearer strategy.`,
      { code: 'A2A_AUTH_PASSPORT_REDIRECT' },
    );
  }

  async function verify(credential: string, { request }: VerifyContext): Promise<Verification> {
    // JavaScript, or a test, may call this with anything.
    if (typeof credential !== 'string' || credential === '') return refusal('There is no credential.');
    const outcome = await new Promise<StrategyOutcome>((resolve) => {
      runStrategy(strategy, strategyRequest(request, declared, credential), resolve);
    });
    if (outcome.called === 'redirect') warnOnce();
    const secrets = secretsOf(declared, credential);
    return outcome.called === 'success'
      ? principalFor(outcome, secrets, nameUser)
      : verificationOf(outcome, secrets);
  }

  const isBearer =
    declared.type !== 'apiKey' && (declared.type !== 'http' || /^bearer$/i.test(declared.scheme));
  // As the built-in one: its form of a token, its challenges, and tokens that are bound to their sender (`cnf`).
  if (isBearer) return { ...httpBearer({ verifier: { verify } }), declaration: declared, scopes };
  return {
    declaration: declared,
    scopes,
    extract: (request) =>
      declared.type === 'apiKey'
        ? extractKey(request, declared)
        : extractCredentials(request, declared.scheme),
    verify: async (credential, context) => unbound(await verify(credential, context)),
  };
}

/** Only bearer tokens are held to what they are bound to. */
function unbound(verification: Verification): Verification {
  const isBound = verification.verified && (verification.principal.claims?.cnf ?? undefined) !== undefined;
  return isBound
    ? refusal('The credential is bound to its sender (cnf), to which only bearer tokens are held.')
    : verification;
}

/** What no log may hold: the credential itself first, and the password in it where it is that of Basic (RFC 7617). */
function secretsOf(declaration: PassportDeclaration, credential: string): [string, ...string[]] {
  if (declaration.type !== 'http' || !/^basic$/i.test(declaration.scheme)) return [credential];
  const [, password] = /^[^:]*:(.+)$/s.exec(Buffer.from(credential, 'base64').toString()) ?? [];
  return password === undefined ? [credential] : [credential, password];
}

/** What a strategy's answer means, unless it is `success`. */
function verificationOf(
  outcome: Exclude<StrategyOutcome, { called: 'success' }>,
  secrets: readonly string[],
): Verification {
  switch (outcome.called) {
    case 'fail':
      return failure(outcome.challenge, outcome.status, secrets);
    case 'error':
      throwIfTold(outcome.error);
      throw new VerifierUnavailable(`The strategy reported an error. ${describe(outcome.error, secrets)}`);
    case 'throw':
      throwIfTold(outcome.error);
      return refusal(`The strategy threw. ${describe(outcome.error, secrets)}`);
    case 'redirect':
      return refusal('The strategy answered by a redirect, which agents do not follow.');
    case 'pass':
      return refusal('The strategy passed, and so did not say whose the credential is.');
  }
}

/** Strategies say in the challenge, in an error or by the status what was wrong. */
function failure(challenge: unknown, status: unknown, secrets: readonly string[]): Verification {
  throwIfTold(challenge);
  const said = describe(challenge, secrets);
  const detail = said === '' ? 'The strategy refused.' : `The strategy refused: ${said}`;
  const code = typeof challenge === 'string' ? errorCodeIn(challenge) : undefined;
  if (status === 403 || code === 'insufficient_scope') {
    return { verified: false, reason: 'not_permitted', detail, error: code ?? 'insufficient_scope' };
  }
  // The error that the library behind passport-jwt has for this.
  const isExpired = challenge instanceof Error && challenge.name === 'TokenExpiredError';
  return { verified: false, reason: isExpired ? 'expired' : 'invalid', detail, error: code };
}

/** The `error` of a challenge (RFC 6750 §3): a name, or nothing. */
function errorCodeIn(challenge: string): string | undefined {
  const [, quoted, bare] =
    /(?:^|[\s,])error=(?:"([a-z_]{1,64})"|([a-z_]{1,64})(?![^\s,]))/.exec(challenge) ?? [];
  return quoted ?? bare;
}

async function principalFor(
  { user, info }: StrategyOutcome & { called: 'success' },
  secrets: readonly [string, ...string[]],
  principalOf: (
    user: unknown,
    info: unknown,
  ) => Validated | undefined | null | Promise<Validated | undefined | null>,
): Promise<Verification> {
  if (user === undefined || user === null || user === false)
    return refusal('The strategy succeeded without a user.');
  let validated: Validated | undefined | null;
  try {
    validated = await principalOf(user, info);
  } catch (error) {
    throwIfTold(error);
    return refusal(
      error instanceof UnusableUser
        ? `${error.message} Say with principalOf who it is.`
        : `principalOf threw. ${describe(error, secrets)}`,
    );
  }
  const claims = claimsOf(validated);
  if (claims === undefined) return refusal('principalOf did not say who the user is.');
  if (isNamedBy(claims.subject, secrets[0])) {
    return refusal(
      'The user is named by the credential itself, which would show it to the agent and its logs.',
    );
  }
  return { verified: true, principal: claims, scopes: validated?.scopes };
}

function isNamedBy(subject: string, credential: string): boolean {
  // A short one, as in a test, may be a part of a name by chance.
  return subject === credential || (credential.length >= 16 && subject.includes(credential));
}

/** Only an object that names a principal is a yes: `true`, a text or `{}` is not. */
function claimsOf(validated: unknown): PrincipalClaims | undefined {
  if (typeof validated !== 'object' || validated === null) return undefined;
  const { principal, expiresAt } = validated as Partial<Validated>;
  const claims = typeof principal === 'string' ? { subject: principal } : (principal ?? { subject: '' });
  if (typeof claims.subject !== 'string' || claims.subject === '') return undefined;
  return { ...claims, expiresAt: expiresAt ?? claims.expiresAt };
}

/** What is thrown in the words of this library is meant so, wherever it comes from. */
function throwIfTold(error: unknown): void {
  if (error instanceof VerifierUnavailable || error instanceof TooManyAttempts) throw error;
}

function refusal(detail: string): Verification {
  return { verified: false, reason: 'invalid', detail };
}

function extractKey(request: AuthRequest, { in: place, name }: ApiKeyDeclaration): string | undefined {
  const [value, ...more] = request[place](name);
  if (value === undefined) return undefined;
  if (more.length > 0) throw new MalformedCredential(`The ${place} ${name} is repeated.`);
  if (!isPrintable(value)) throw new MalformedCredential(`The ${place} ${name} holds no well-formed key.`);
  return value;
}

function extractCredentials(request: AuthRequest, authScheme: string): string | undefined {
  const credentials = authorizationCredentials(request, authScheme);
  if (credentials !== undefined && !isPrintable(credentials)) {
    throw new MalformedCredential('The Authorization header holds no well-formed credentials.');
  }
  return credentials;
}

/** ASCII, with blanks inside: some strategies have keys with a prefix. */
function isPrintable(value: string): boolean {
  return value.length <= MAX_LENGTH && /^[\x21-\x7e]+(?: +[\x21-\x7e]+)*$/.test(value);
}

function scopesOf(declaration: PassportDeclaration): readonly string[] | undefined {
  return declaration?.type === 'oauth2' ? Object.keys(declaration.flow?.scopes ?? {}) : undefined;
}

function checkedDeclaration(declaration: PassportDeclaration): PassportDeclaration {
  const { type } = (declaration ?? {}) as { type?: unknown };
  if (type === 'mutualTLS') {
    throw invalid(
      'A Passport strategy does not get the client certificate. Use mutualTls() of @a2a-auth/server for that.',
    );
  }
  if (!['apiKey', 'http', 'oauth2', 'openIdConnect'].includes(String(type))) {
    throw invalid(
      "passportScheme needs a declaration that says where the credential is, such as { type: 'http', scheme: 'Bearer' }.",
    );
  }
  const { scheme } = declaration as { scheme?: unknown };
  if (type === 'http' && typeof scheme === 'string' && /^(?:digest|negotiate|ntlm)$/i.test(scheme)) {
    throw invalid(
      `${scheme} begins with a challenge of the strategy's own, which callers of an agent would never get. Use a strategy whose credential is complete by itself.`,
    );
  }
  return Object.freeze({ ...declaration });
}

function assertStrategy(strategy: unknown): void {
  const isObject = typeof strategy === 'object' && strategy !== null;
  if (isObject && typeof (strategy as Partial<PassportStrategy>).authenticate === 'function') return;
  throw invalid(
    'passportScheme needs an instance of a Passport strategy, as passport.use() takes it: new Strategy(...), not its name or its class.',
  );
}

/**
 * Login strategies redirect whoever has no credential; their classes do not tell, since some token strategies are made of
 * them. So it is tried: on a request without a credential a strategy has nothing to verify. What it does later is not
 * waited for, and shows when it is used.
 */
function assertTokenStrategy(strategy: PassportStrategy): void {
  let called: StrategyOutcome['called'] | undefined;
  runStrategy(strategy, bareRequest(), (outcome) => {
    called ??= outcome.called;
  });
  switch (called) {
    case 'redirect':
      throw invalid(
        `${nameOf(strategy)} logs people in by a redirect, which agents do not follow. Use a strategy that verifies a credential (such as passport-http-bearer or passport-jwt), and let clients get theirs by oauth2FromIssuer() or the like.`,
      );
    case 'success':
      throw invalid(
        `${nameOf(strategy)} lets in a caller without a credential. Use a strategy that verifies one, or the anonymous alternative: addSecurityRequirement({}).`,
      );
    default:
  }
}

function nameOf({ name }: PassportStrategy): string {
  return typeof name === 'string' ? `The Passport strategy "${name}"` : 'The Passport strategy';
}

function invalid(message: string): ConfigurationError {
  return new ConfigurationError([{ code: 'INVALID_OPTION', message }]);
}
