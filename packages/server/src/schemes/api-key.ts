import { randomBytes } from 'node:crypto';

import type { AuthRequest } from '../auth-request.js';
import type { ApiKeyDeclaration } from '../card/declaration.js';
import { configurationError, MalformedCredential, TooManyAttempts, VerifierUnavailable } from '../errors.js';
import { checkOptions, unknownNames } from '../options.js';
import { toEpochMilliseconds } from '../principal.js';
import type { SecurityScheme, Verification } from '../scheme.js';
import { verifyWith, type Validator } from '../validator.js';
import { digestUnder, MAX_KEY_LENGTH, MIN_SECRET_BYTES, type DigestOfKey } from './api-key-digest.js';
import { isMistypedApiKey } from './api-key-format.js';
import { digestMap } from './digest-map.js';

/** What is known about an API key besides the key. */
export interface ApiKeyRecord {
  /** Names the key in audit events, and its holder when there is no `owner`. Never the key itself. */
  readonly id: string;
  /** Whom the key belongs to: the principal's subject, so that all keys of one owner are one caller. */
  readonly owner?: string | undefined;
  /** The scopes the key carries. Left out: none. */
  readonly scopes?: readonly string[] | undefined;
  /** When the key ends: seconds since the epoch, or a Date. Left out: it does not. */
  readonly expiresAt?: number | Date | undefined;
  /** A revoked key is refused, and the audit event says so. */
  readonly revoked?: boolean | undefined;
}

/** A key in the configuration: literally, or as the digest that {@link apiKeyDigest} makes of it. */
export type ApiKeyEntry =
  | (Omit<ApiKeyRecord, 'id'> & {
      readonly key: string;
      /** Default: a part of the key's digest, which is stable only under a given `secret`. */
      readonly id?: string | undefined;
    })
  | (ApiKeyRecord & { readonly digest: string });

/** Where keys are kept when they are not in the configuration. */
export interface ApiKeyStore {
  /**
   * Finds a key by its digest: HMAC-SHA-256 under the scheme's `secret`, as lower-case hex. An exception counts as
   * unavailable.
   */
  find(digest: string): ApiKeyRecord | undefined | null | Promise<ApiKeyRecord | undefined | null>;
}

export type ApiKeyOptions = {
  /** Header names are matched without regard to case; query and cookie names are case-sensitive. */
  readonly in: 'header' | 'query' | 'cookie';
  readonly name: string;
  /** Published. */
  readonly description?: string;
} & (
  | {
      /**
       * The keys that are good now. To rotate, append the new key, deploy, and remove the old one. A key given as a string
       * is its own owner, under a name made from its digest, which changes with every start unless `secret` is given.
       */
      readonly keys: readonly (string | ApiKeyEntry)[];
      /**
       * The server secret under which keys are hashed, at least 32 bytes. Default: random, and new with every start. Needed
       * with `digest` entries.
       */
      readonly secret?: string | Uint8Array;
    }
  | {
      readonly store: ApiKeyStore;
      /** The server secret under which the store's digests were made, at least 32 bytes. */
      readonly secret: string | Uint8Array;
      /** The scopes that requirements may ask for. Left out: any. */
      readonly scopes?: readonly string[];
    }
  | {
      readonly validator: Validator<string>;
      /** The scopes that requirements may ask for. Left out: any. */
      readonly scopes?: readonly string[];
    }
);

/** In the place of the record of a key given as a string: its digest says it all, and a million need no record each. */
const OF_DIGEST = 'of digest';
const FIELDS_OF_ENTRY = ['key', 'digest', 'id', 'owner', 'scopes', 'expiresAt', 'revoked'];
const UNKNOWN_KEY: Verification = { verified: false, reason: 'invalid', detail: 'No such key is known.' };

/**
 * API keys in a header, the query or a cookie. Keys are kept only as HMAC-SHA-256 under a server secret and found by
 * that digest, so that the look-up takes the same time for any number of keys and tells nothing about any of them.
 *
 * @throws {ConfigurationError} when there is no way to verify a key, or a key, the name or the secret is not usable
 */
export function apiKey(options: ApiKeyOptions): SecurityScheme<string> {
  checkOptions('apiKey()', options, {
    in: 'any',
    name: 'any',
    description: 'string',
    keys: 'any',
    secret: 'any',
    store: 'any',
    validator: 'any',
    scopes: 'strings',
  });
  const declaration: ApiKeyDeclaration = {
    type: 'apiKey',
    in: options.in,
    name: options.name,
    description: options.description,
  };
  assertPlace(declaration);
  const { verify, scopes } = verification(options);
  return { declaration, scopes, extract: (request) => extractKey(request, declaration), verify };
}

function verification(options: ApiKeyOptions): Pick<SecurityScheme<string>, 'verify' | 'scopes'> {
  const ways = ['keys', 'store', 'validator'].filter(
    (way) => (options as unknown as Record<string, unknown>)[way] !== undefined,
  );
  if (ways.length !== 1) {
    throw configurationError(
      'INVALID_OPTION',
      `The API key scheme "${options.name}" needs exactly one of keys, store and validator (given: ${ways.join(', ') || 'none'}): without one, nobody could tell a good key from a bad one.`,
    );
  }
  const [way] = ways;
  if (way === 'validator' && 'validator' in options) {
    assertFunction('validator', options.validator);
    return { scopes: options.scopes, verify: verifyWith(options.validator) };
  }
  if (way === 'store' && 'store' in options) {
    assertFunction('store.find', (options.store as { find?: unknown } | null)?.find);
    const digestOf = digestUnder(options.secret);
    return {
      scopes: options.scopes,
      verify: (key) => verifyFromStore(options.store, digestOf(key)),
    };
  }
  const { name, keys, secret } = options as Extract<ApiKeyOptions, { readonly keys: unknown }>;
  return verificationByList(name, keys, secret);
}

function assertFunction(option: string, value: unknown): void {
  if (typeof value !== 'function') {
    throw configurationError('INVALID_OPTION', `The ${option} of an API key scheme must be a function.`);
  }
}

function verificationByList(
  name: string,
  entries: readonly (string | ApiKeyEntry)[],
  givenSecret: string | Uint8Array | undefined,
): Pick<SecurityScheme<string>, 'verify' | 'scopes'> {
  const given: unknown = entries;
  if (!Array.isArray(given)) {
    throw configurationError(
      'INVALID_OPTION',
      `The keys of the API key scheme "${name}" must be a list of strings and entries.`,
    );
  }
  if (given.length === 0) {
    throw configurationError(
      'INVALID_OPTION',
      `The API key scheme "${name}" has an empty list of keys, so no caller could ever meet it. Add a key; createApiKey() makes one.`,
    );
  }
  const secretGiven = givenSecret !== undefined;
  const digestOf = digestUnder(secretGiven ? givenSecret : randomBytes(MIN_SECRET_BYTES));
  const records = digestMap<ApiKeyRecord | typeof OF_DIGEST>(entries.length);
  const scopes = new Set<string>();
  for (const [index, entry] of entries.entries()) {
    const [digest, record] = hashEntry(`Key ${String(index + 1)} of the API key scheme "${name}"`, entry, {
      digestOf,
      secretGiven,
    });
    if (!records.add(digest, record)) {
      throw configurationError(
        'INVALID_OPTION',
        `Key ${String(index + 1)} of the API key scheme "${name}" is in the list twice. Remove one of the two.`,
      );
    }
    if (record !== OF_DIGEST) record.scopes?.forEach((scope) => scopes.add(scope));
  }
  return {
    scopes: [...scopes],
    verify(key) {
      const digest = digestOf(key);
      const record = records.get(digest);
      return verifyRecord(record === OF_DIGEST ? { id: idOf(digest) } : record);
    },
  };
}

/** How a key is called that was given without an id: by 128 bits, so that no two of a million are ever called the same. */
function idOf(digest: string): string {
  return `key-${digest.slice(0, 32)}`;
}

/** The entry without the literal key, which nothing refers to from here on. */
function hashEntry(
  culprit: string,
  entry: string | ApiKeyEntry,
  { digestOf, secretGiven }: { digestOf: DigestOfKey; secretGiven: boolean },
): [digest: string, record: ApiKeyRecord | typeof OF_DIGEST] {
  // Null and undefined come from missing environment variables, in JavaScript or past a `!`.
  const isEntry = typeof entry === 'object' && (entry as unknown) !== null && isPlain(entry);
  const given = (isEntry ? entry : { key: entry }) as ApiKeyEntry;
  const unknown = unknownNames(given, FIELDS_OF_ENTRY);
  if (unknown.length > 0) {
    // With a misspelt end or revocation, it would be good for ever.
    throw configurationError(
      'INVALID_OPTION',
      `${culprit} has fields that are not known: ${unknown.join(', ')}. There are ${FIELDS_OF_ENTRY.join(', ')}.`,
    );
  }
  if ('digest' in given) {
    if (!secretGiven || !/^[0-9a-f]{64}$/.test(given.digest)) {
      throw configurationError(
        'INVALID_OPTION',
        `${culprit} is given as a digest, which must be what apiKeyDigest(key, secret) returns, together with the same secret.`,
      );
    }
    return [given.digest, checkedRecord(culprit, given, given.id)];
  }
  if (typeof given.key !== 'string' || !isKey(given.key)) {
    throw configurationError(
      'INVALID_OPTION',
      `${culprit} is not a string of 1 to ${String(MAX_KEY_LENGTH)} visible ASCII characters, with no space and no line break. Was it read from a file, or is an environment variable missing?`,
    );
  }
  if (isMistypedApiKey(given.key)) {
    throw configurationError(
      'INVALID_OPTION',
      `${culprit} has a wrong checksum: it was mistyped. Copy it again.`,
    );
  }
  const digest = digestOf(given.key);
  return [
    digest,
    typeof entry === 'string' ? OF_DIGEST : checkedRecord(culprit, given, given.id ?? idOf(digest)),
  ];
}

function isPlain(entry: object): boolean {
  return !Array.isArray(entry) && !ArrayBuffer.isView(entry);
}

function checkedRecord(culprit: string, record: Omit<ApiKeyRecord, 'id'>, id: string): ApiKeyRecord {
  const { owner, scopes, expiresAt, revoked } = record;
  try {
    if (typeof id !== 'string' || id === '') throw new TypeError('The id must be a non-empty string.');
    if (owner !== undefined && (typeof owner !== 'string' || owner === '')) {
      throw new TypeError('The owner must be a non-empty string.');
    }
    if (
      scopes !== undefined &&
      !(Array.isArray(scopes) && scopes.every((scope) => typeof scope === 'string'))
    ) {
      throw new TypeError('The scopes must be a list of strings.');
    }
    if (revoked !== undefined && typeof revoked !== 'boolean')
      throw new TypeError('revoked must be true or false.');
    if (expiresAt !== undefined) toEpochMilliseconds(expiresAt);
  } catch (error) {
    throw configurationError('INVALID_OPTION', `${culprit} is not usable. ${(error as Error).message}`);
  }
  return { id, owner, scopes: scopes && [...scopes], expiresAt, revoked };
}

async function verifyFromStore(store: ApiKeyStore, digest: string): Promise<Verification> {
  let record: ApiKeyRecord | undefined | null;
  try {
    record = await store.find(digest);
  } catch (error) {
    if (error instanceof VerifierUnavailable || error instanceof TooManyAttempts) throw error;
    throw new VerifierUnavailable(
      `The API key store failed: ${error instanceof Error ? error.message : String(error)}`,
      { cause: error },
    );
  }
  const id: unknown = record?.id;
  if (record && (typeof id !== 'string' || id === '')) {
    return { verified: false, reason: 'invalid', detail: 'The API key store gave a record without an id.' };
  }
  return verifyRecord(record ?? undefined);
}

function verifyRecord(record: ApiKeyRecord | undefined): Verification {
  if (record === undefined) return UNKNOWN_KEY;
  const principal = {
    subject: record.owner ?? record.id,
    claims: Object.freeze({ keyId: record.id }),
    expiresAt: record.expiresAt,
  };
  // A store written by hand may say "revoked" in any way it likes; only a plain no lets the key pass.
  const revoked: unknown = record.revoked;
  if (revoked !== undefined && revoked !== false) {
    return { verified: false, reason: 'revoked', detail: `The key "${record.id}" is revoked.`, principal };
  }
  if (record.expiresAt !== undefined && toEpochMilliseconds(record.expiresAt) <= Date.now()) {
    return { verified: false, reason: 'expired', detail: `The key "${record.id}" has ended.`, principal };
  }
  // Keys of one owner are one caller. The log tells which is still in use.
  const detail = record.owner === undefined ? undefined : `The key is "${record.id}".`;
  return { verified: true, principal, scopes: record.scopes, detail };
}

function extractKey(request: AuthRequest, { in: place, name }: ApiKeyDeclaration): string | undefined {
  const values = request[place](name);
  if (place === 'header' && request.query(name).length > 0) {
    throw new MalformedCredential(`The key belongs into the header ${name}, but is in the query.`);
  }
  const [value] = values;
  if (value === undefined) return undefined;
  if (values.length > 1) throw new MalformedCredential(`The ${place} ${name} is repeated.`);
  if (!isKey(value)) throw new MalformedCredential(`The ${place} ${name} holds no well-formed key.`);
  return value;
}

function isKey(value: string): boolean {
  return value.length <= MAX_KEY_LENGTH && /^[\x21-\x7e]+$/.test(value);
}

function assertPlace({ in: place, name }: ApiKeyDeclaration): void {
  if (!['header', 'query', 'cookie'].includes(place)) {
    throw configurationError(
      'INVALID_OPTION',
      `An API key can be in 'header', 'query' or 'cookie', not in ${JSON.stringify(place)}.`,
    );
  }
  // RFC 9110 §5.6.2 and RFC 6265 §4.1.1: header and cookie names are tokens.
  const usable =
    place === 'query'
      ? typeof name === 'string' && name !== ''
      : typeof name === 'string' &&
        /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name) &&
        // Node drops a header of the first name; keys in cookies have a place of their own.
        !(place === 'header' && ['__proto__', 'cookie'].includes(name.toLowerCase()));
  if (!usable) {
    throw configurationError(
      'INVALID_OPTION',
      `${JSON.stringify(name)} cannot be the name of the ${place} that holds an API key.`,
    );
  }
}
