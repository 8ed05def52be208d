import { inspect } from 'node:util';

import {
  apiKey,
  apiKeyDigest,
  createApiKey,
  VerifierUnavailable,
  type ApiKeyEntry,
  type ApiKeyOptions,
  type ApiKeyRecord,
  type DecisionEvent,
  type Validator,
} from '@a2a-auth/server';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { decisionBy, denied, granted, headerScheme, securityOf } from '../support/agent.js';
import { authRequest } from '../support/auth-request.js';

const NAME = 'X-API-Key';
const SECRET = 'a server secret of more than 32 bytes';
const NOW = new Date('2030-01-01T00:00:00Z');

const withKey = (key: string) => authRequest({ header: { [NAME]: key } });
const listed = (keys: readonly (string | ApiKeyEntry)[], secret?: string | Uint8Array) =>
  apiKey({ in: 'header', name: NAME, keys, ...(secret === undefined ? {} : { secret }) });
const stored = (find: (digest: string) => unknown) =>
  apiKey({
    in: 'header',
    name: NAME,
    secret: SECRET,
    store: { find: find as (digest: string) => ApiKeyRecord | undefined },
  });
const validated = (validator: (key: string) => unknown) =>
  apiKey({ in: 'header', name: NAME, validator: validator as Validator<string> });

/** The decision and how the scheme fared, as an operator sees it. */
async function reportOf(scheme: ReturnType<typeof apiKey>, key: string) {
  const events: DecisionEvent[] = [];
  const security = securityOf({ it: scheme }, undefined, { onDecision: (event) => events.push(event) });
  await security.conclude(await security.authenticate(withKey(key)), {
    operation: 'GetTask',
    binding: 'JSONRPC',
  });
  return {
    granted: events[0]?.granted,
    reason: events[0]?.reason,
    ...events[0]?.schemes[0],
    granted_to: events[0]?.principalId,
  };
}

beforeEach(() => {
  vi.useFakeTimers({ now: NOW });
});
afterEach(() => {
  vi.useRealTimers();
});

describe('where an API key is found', () => {
  const at = (place: 'header' | 'query' | 'cookie', name = 'Key') =>
    apiKey({ in: place, name, keys: ['k1'] });
  const reason = async (scheme: ReturnType<typeof apiKey>, request: ReturnType<typeof authRequest>) => {
    const decision = await decisionBy(scheme, request);
    return decision.granted ? 'granted' : decision.reason;
  };

  it.each<['header' | 'query' | 'cookie', string, string]>([
    ['header', 'Key', 'granted'],
    ['header', 'key', 'granted'],
    ['header', 'KEY', 'granted'],
    ['query', 'Key', 'granted'],
    ['query', 'key', 'missing_credential'],
    ['cookie', 'Key', 'granted'],
    ['cookie', 'key', 'missing_credential'],
  ])('declared in the %s as "Key" and sent as "%s": %s', async (place, name, expected) => {
    expect(await reason(at(place), authRequest({ [place]: { [name]: 'k1' } }))).toBe(expected);
  });

  it.each(['header', 'query', 'cookie'] as const)('repeated in the %s is malformed', async (place) => {
    expect(await reason(at(place), authRequest({ [place]: { Key: ['k1', 'k1'] } }))).toBe(
      'invalid_credential',
    );
  });

  it('declared in the header and sent in the query is malformed, also when the header has it too', async () => {
    const query = { Key: 'k1' };
    expect(await reason(at('header'), authRequest({ query }))).toBe('invalid_credential');
    expect(await reason(at('header'), authRequest({ query, header: { Key: 'k1' } }))).toBe(
      'invalid_credential',
    );
  });

  it.each([
    ['empty', ''],
    ['two words', 'k1 k1'],
    ['a list', 'k1, k1'],
    ['with a control character', 'k1\u0000'],
    ['with a line break', 'k1\n'],
    ['not ASCII', 'k1é'],
    ['4 KiB and a letter long', 'k'.repeat(4097)],
    ['64 KiB long', 'k'.repeat(65_536)],
  ])('that is %s is malformed', async (_what, value) => {
    expect(await reason(at('header'), authRequest({ header: { Key: value } }))).toBe('invalid_credential');
  });

  it.each(['__proto__', 'constructor', 'toString'])('can be named %s', async (name) => {
    // Node drops a header of the name __proto__.
    const places = (['header', 'query', 'cookie'] as const).filter(
      (place) => `${place} ${name}` !== 'header __proto__',
    );
    for (const place of places) {
      const scheme = apiKey({ in: place, name, keys: ['k1'] });
      expect(await reason(scheme, authRequest())).toBe('missing_credential');
      expect(await reason(scheme, authRequest({ [place]: { [name]: 'k1' } }))).toBe('granted');
    }
  });

  it('is published', () => {
    expect(apiKey({ in: 'cookie', name: 'Key', description: 'Ask us.', keys: ['k1'] }).declaration).toEqual({
      type: 'apiKey',
      in: 'cookie',
      name: 'Key',
      description: 'Ask us.',
    });
  });
});

describe('a list of keys', () => {
  it('lets in the holder of any of them, so that keys can be rotated', async () => {
    const scheme = listed(['old', 'new']);
    expect((await decisionBy(scheme, withKey('old'))).granted).toBe(true);
    expect((await decisionBy(scheme, withKey('new'))).granted).toBe(true);
  });

  it.each(['other', 'ol', 'oldx', 'OLD', '__proto__', 'constructor', 'toString', 'hasOwnProperty'])(
    'does not let in the holder of %j',
    async (key) => {
      expect(denied(await decisionBy(listed(['old']), withKey(key))).reason).toBe('invalid_credential');
    },
  );

  it.each(['__proto__', 'constructor'])('may have %j for a key', async (key) => {
    expect((await decisionBy(listed([key]), withKey(key))).granted).toBe(true);
  });

  it('tells two keys without an owner apart', async () => {
    const scheme = listed(['one', 'two']);
    const subjects = await Promise.all(
      ['one', 'two'].map(async (key) => granted(await decisionBy(scheme, withKey(key))).principal.subject),
    );
    expect(new Set(subjects).size).toBe(2);
  });

  it('names a key alike after a restart under the same secret', async () => {
    const [before, after] = await Promise.all(
      [listed(['one'], SECRET), listed(['one'], SECRET)].map(async (scheme) =>
        granted(await decisionBy(scheme, withKey('one'))),
      ),
    );
    expect(after?.principal.id).toBe(before?.principal.id);
  });

  it('takes the secret as bytes', async () => {
    const digest = apiKeyDigest('one', Buffer.from(SECRET));
    expect((await decisionBy(listed([{ digest, id: 'k' }], SECRET), withKey('one'))).granted).toBe(true);
  });

  it('declares the scopes that its keys carry', () => {
    const scheme = listed([{ key: 'a', scopes: ['read'] }, { key: 'b', scopes: ['read', 'write'] }, 'c']);
    expect(scheme.scopes).toEqual(['read', 'write']);
  });

  it('does not change with the list and the entries it was made from', async () => {
    const entry = { key: 'k1', id: 'k', scopes: ['read'], revoked: false };
    const keys: ApiKeyEntry[] = [entry];
    const scheme = listed(keys);
    entry.scopes.push('admin');
    keys.push({ key: 'k2' });
    expect(granted(await decisionBy(scheme, withKey('k1'))).principal.scopes).toEqual(['read']);
    expect((await decisionBy(scheme, withKey('k2'))).granted).toBe(false);
  });

  it('forgets the keys themselves', async () => {
    const literal = 'literal-key-of-a-partner';
    const scheme = listed([{ key: literal, id: 'partner' }, `${literal}-2`]);
    const security = securityOf({ it: scheme });
    granted(await security.authenticate(withKey(literal)));
    const shown = inspect([scheme, security], { depth: null, showHidden: true, getters: true });
    expect(`${shown} ${JSON.stringify([scheme, security])}`).not.toContain(literal);
  });
});

describe('an entry', () => {
  it('gives its owner as the subject, so that all keys of one owner are one caller', async () => {
    const scheme = listed([
      { key: 'k1', id: 'laptop', owner: 'acme' },
      { key: 'k2', id: 'server', owner: 'acme' },
    ]);
    const one = granted(await decisionBy(scheme, withKey('k1'))).principal;
    const other = granted(await decisionBy(scheme, withKey('k2'))).principal;
    expect(one.id).toBe('scheme:it|acme');
    expect(other.id).toBe(one.id);
  });

  it('tells which of the keys it was', async () => {
    const { principal } = granted(
      await decisionBy(listed([{ key: 'k1', id: 'laptop', owner: 'acme' }]), withKey('k1')),
    );
    expect(principal.claims).toEqual({ keyId: 'laptop' });
  });

  it('without an owner gives its id as the subject', async () => {
    const { principal } = granted(await decisionBy(listed([{ key: 'k1', id: 'laptop' }]), withKey('k1')));
    expect(principal.subject).toBe('laptop');
  });

  it('gives its scopes', async () => {
    const { principal } = granted(await decisionBy(listed([{ key: 'k1', scopes: ['read'] }]), withKey('k1')));
    expect(principal.scopes).toEqual(['read']);
  });

  it('that is revoked is refused as revoked', async () => {
    const scheme = listed([{ key: 'k1', id: 'laptop', revoked: true }]);
    expect(await reportOf(scheme, 'k1')).toMatchObject({
      granted: false,
      outcome: 'refused',
      reason: 'revoked',
    });
  });

  it('is good until it ends, and not at that moment', async () => {
    const scheme = listed([{ key: 'k1', expiresAt: NOW.getTime() / 1000 + 10 }]);
    vi.advanceTimersByTime(9_999);
    expect((await decisionBy(scheme, withKey('k1'))).granted).toBe(true);
    vi.advanceTimersByTime(1);
    expect(await reportOf(scheme, 'k1')).toMatchObject({
      granted: false,
      outcome: 'refused',
      reason: 'expired',
    });
  });

  it('may give its end as a Date', async () => {
    const scheme = listed([{ key: 'k1', expiresAt: new Date(NOW.getTime() - 1) }]);
    expect((await decisionBy(scheme, withKey('k1'))).granted).toBe(false);
  });

  it('may hold a digest in place of the key', async () => {
    const scheme = listed([{ digest: apiKeyDigest('k1', SECRET), id: 'laptop' }], SECRET);
    expect(granted(await decisionBy(scheme, withKey('k1'))).principal.subject).toBe('laptop');
  });

  it('with a digest is not met by the digest', async () => {
    const digest = apiKeyDigest('k1', SECRET);
    expect((await decisionBy(listed([{ digest, id: 'laptop' }], SECRET), withKey(digest))).granted).toBe(
      false,
    );
  });
});

describe('a key configured wrongly is refused at start-up:', () => {
  const mistyped = createApiKey('acme').replace(/.$/, (last) => (last === 'a' ? 'b' : 'a'));
  const digest = apiKeyDigest('k1', SECRET);

  it.each<[string, readonly unknown[], string | null | undefined, RegExp]>([
    ['a missing environment variable', [undefined], undefined, /Key 1 .*"X-API-Key".*environment variable/],
    ['null', ['k1', null], undefined, /Key 2 .*environment variable/],
    ['a number', [5], undefined, /Key 1 /],
    [
      'an entry whose key is missing',
      [{ key: undefined, id: 'a' }],
      undefined,
      /Key 1 .*environment variable/,
    ],
    ['an empty string', [''], undefined, /Key 1 /],
    ['a key with a space', ['k 1'], undefined, /visible ASCII/],
    ['a key with a line break, as files end', ['k1\n'], undefined, /with no space and no line break/],
    ['a key that no request could carry', ['k'.repeat(4097)], undefined, /1 to 4096/],
    ['a mistyped key', [mistyped], undefined, /Key 1 .*wrong checksum/],
    ['a key that is there twice', ['k1', 'k2', 'k1'], undefined, /Key 3 .*twice/],
    ['a key that is there as a digest too', ['k1', { digest, id: 'a' }], SECRET, /Key 2 .*twice/],
    ['a digest without the secret', [{ digest, id: 'a' }], undefined, /apiKeyDigest\(key, secret\)/],
    ['a digest in upper case', [{ digest: digest.toUpperCase(), id: 'a' }], SECRET, /apiKeyDigest/],
    ['a digest of another length', [{ digest: 'abc', id: 'a' }], SECRET, /apiKeyDigest/],
    ['a digest without an id', [{ digest }], SECRET, /The id must be/],
    ['an empty id', [{ key: 'k1', id: '' }], undefined, /The id must be/],
    ['an empty owner', [{ key: 'k1', owner: '' }], undefined, /The owner must be/],
    ['scopes in a string', [{ key: 'k1', scopes: 'read' }], undefined, /The scopes must be/],
    ['revoked as a string', [{ key: 'k1', revoked: 'no' }], undefined, /revoked must be/],
    ['revoked as null', [{ key: 'k1', revoked: null }], undefined, /revoked must be/],
    [
      'an end in milliseconds',
      [{ key: 'k1', expiresAt: NOW.getTime() }],
      undefined,
      /seconds since the epoch/,
    ],
    [
      'a field that is not known',
      [{ key: 'k1', expires: NOW }],
      undefined,
      /Key 1 .*not known: expires\. .*key, digest, id, owner, scopes, expiresAt, revoked/,
    ],
    ['an end that is a text', [{ key: 'k1', expiresAt: 'tomorrow' }], undefined, /expiresAt must be/],
    ['an end that is no date', [{ key: 'k1', expiresAt: new Date('soon') }], undefined, /valid Date/],
    ['an empty list', [], undefined, /"X-API-Key" has an empty list.*createApiKey/],
    ['a secret of 31 bytes', ['k1'], 's'.repeat(31), /at least 32 random bytes/],
    ['an empty secret', ['k1'], '', /at least 32 random bytes/],
    ['null as the secret', ['k1'], null, /at least 32 random bytes/],
  ])('%s', (_what, keys, secret, message) => {
    expect(() => listed(keys as string[], secret as string | undefined)).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringMatching(message) as string }),
    );
  });

  it.each(['k1', { k1: true }])('%j in place of the list', (keys) => {
    expect(() => listed(keys as unknown as string[])).toThrow(
      expect.objectContaining({
        code: 'INVALID_OPTION',
        message: expect.stringMatching(/"X-API-Key" must be a list/) as string,
      }),
    );
  });

  it('without the key in the message', () => {
    const literal = 'literal-key with a space';
    expect(() => listed([literal])).toThrow(
      expect.objectContaining({ message: expect.not.stringContaining(literal) as string }),
    );
  });

  it.each([
    ['a place that is no place', { in: 'body', name: NAME }, /'header', 'query' or 'cookie', not in "body"/],
    ['a prototype name for a place', { in: '__proto__', name: NAME }, /not in "__proto__"/],
    ['an empty header name', { in: 'header', name: '' }, /"" cannot be the name of the header/],
    [
      'a header name with a space',
      { in: 'header', name: 'X Key' },
      /"X Key" cannot be the name of the header/,
    ],
    [
      'a header name that ends the line',
      { in: 'header', name: 'X-Key\n' },
      /cannot be the name of the header/,
    ],
    ['a cookie name with an equals sign', { in: 'cookie', name: 'a=b' }, /cannot be the name of the cookie/],
    ['an empty query name', { in: 'query', name: '' }, /cannot be the name of the query/],
    ['no name', { in: 'query' }, /cannot be the name of the query/],
  ])('%s', (_what, place, message) => {
    expect(() => apiKey({ ...place, keys: ['k1'] } as ApiKeyOptions)).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringMatching(message) as string }),
    );
  });
});

describe('the way to verify a key', () => {
  const ways = { keys: ['k1'], store: { find: () => undefined }, validator: () => undefined };

  it.each([
    ['none', {}],
    ['undefined keys', { keys: undefined }],
    ['keys and a store', { keys: ways.keys, store: ways.store }],
    ['keys and a validator', { keys: ways.keys, validator: ways.validator }],
    ['a store and a validator', { store: ways.store, validator: ways.validator }],
    ['all three', ways],
  ])('is exactly one, not %s', (_what, given) => {
    expect(() => apiKey({ in: 'header', name: NAME, secret: SECRET, ...given } as ApiKeyOptions)).toThrow(
      expect.objectContaining({
        code: 'INVALID_OPTION',
        message: expect.stringContaining('exactly one of keys, store and validator') as string,
      }),
    );
  });

  it.each([
    ['validator', { validator: 'yes' }],
    ['validator', { validator: {} }],
    ['store', { store: {}, secret: SECRET }],
    ['store', { store: null, secret: SECRET }],
    ['validator', { validator: null }],
    ['store', { store: 'redis://', secret: SECRET }],
    ['keys', { keys: 'k1' }],
    ['keys', { keys: { k1: true } }],
  ])('is refused at start-up when it is no %s: %j', (_way, given) => {
    expect(() => apiKey({ in: 'header', name: NAME, ...given } as unknown as ApiKeyOptions)).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION' }),
    );
  });
});

describe('a way that is undefined', () => {
  it('is as if it were left out', async () => {
    const options = { in: 'header', name: NAME, keys: ['k1'], store: undefined, validator: undefined };
    expect((await decisionBy(apiKey(options as unknown as ApiKeyOptions), withKey('k1'))).granted).toBe(true);
  });
});

describe('a key store', () => {
  it('is asked for the digest, never for the key', async () => {
    const find = vi.fn(() => ({ id: 'laptop', owner: 'acme', scopes: ['read'] }));
    const { principal } = granted(await decisionBy(stored(find), withKey('k1')));
    expect(find).toHaveBeenCalledExactlyOnceWith(apiKeyDigest('k1', SECRET));
    expect(principal).toMatchObject({ subject: 'acme', scopes: ['read'] });
  });

  it('may answer asynchronously', async () => {
    expect(
      (
        await decisionBy(
          stored(() => Promise.resolve({ id: 'laptop' })),
          withKey('k1'),
        )
      ).granted,
    ).toBe(true);
  });

  it.each([
    ['undefined', undefined],
    ['null', null],
    ['true', true],
    ['a string', 'acme'],
    ['an object without id', {}],
    ['an empty id', { id: '' }],
    ['a list', [{ id: 'laptop' }]],
    ['scopes in a string', { id: 'laptop', scopes: 'read' }],
    ['an end that is no time', { id: 'laptop', expiresAt: 'tomorrow' }],
    ['an end in milliseconds', { id: 'laptop', expiresAt: NOW.getTime() + 60_000 }],
    ['null for an end', { id: 'laptop', expiresAt: null }],
  ])('that answers with %s lets nobody in', async (_what, answer) => {
    expect(
      denied(
        await decisionBy(
          stored(() => answer),
          withKey('k1'),
        ),
      ).reason,
    ).toBe('invalid_credential');
  });

  it.each([true, 'true', 'no', 1, 0, null, NOW.toISOString(), {}])(
    'that says revoked: %j means it',
    async (revoked) => {
      const report = await reportOf(
        stored(() => ({ id: 'laptop', revoked })),
        'k1',
      );
      expect(report).toMatchObject({
        granted: false,
        outcome: 'refused',
        reason: 'revoked',
        principalId: 'scheme:it|laptop',
      });
    },
  );

  it.each([false, undefined])('that says revoked: %s does not', async (revoked) => {
    expect(
      (
        await decisionBy(
          stored(() => ({ id: 'laptop', revoked })),
          withKey('k1'),
        )
      ).granted,
    ).toBe(true);
  });

  it('that says a key has ended is believed', async () => {
    const report = await reportOf(
      stored(() => ({ id: 'laptop', expiresAt: NOW })),
      'k1',
    );
    expect(report).toMatchObject({ granted: false, reason: 'expired' });
  });

  it('that fails is unavailable', async () => {
    const failing = stored(() => Promise.reject(new Error('ECONNREFUSED')));
    expect(denied(await decisionBy(failing, withKey('k1'))).reason).toBe('unavailable');
  });

  it('that throws is unavailable', async () => {
    const failing = stored(() => {
      throw new TypeError('cannot read properties');
    });
    expect(denied(await decisionBy(failing, withKey('k1'))).reason).toBe('unavailable');
  });

  it('may say itself when to come back', async () => {
    const failing = stored(() => Promise.reject(new VerifierUnavailable('busy', { retryAfter: 30 })));
    expect(denied(await decisionBy(failing, withKey('k1'))).retryAfter).toBe(30);
  });

  it('that hangs is unavailable once the time is up', async () => {
    const pending = decisionBy(
      stored(() => new Promise(() => undefined)),
      withKey('k1'),
    );
    await vi.advanceTimersByTimeAsync(10_000);
    expect(denied(await pending).reason).toBe('unavailable');
  });

  it('is not asked about a malformed key', async () => {
    const find = vi.fn();
    await decisionBy(stored(find), withKey('k 1'));
    expect(find).not.toHaveBeenCalled();
  });

  it('is refused at start-up without a secret', () => {
    expect(() =>
      apiKey({ in: 'header', name: NAME, store: { find: () => undefined } } as unknown as ApiKeyOptions),
    ).toThrow(
      expect.objectContaining({
        code: 'INVALID_OPTION',
        message: expect.stringContaining('32 random bytes') as string,
      }),
    );
  });
});

describe('a validator of keys', () => {
  it('gets the key, the scheme and the request', async () => {
    const validator = vi.fn<Validator<string>>(() => ({ principal: 'acme', scopes: ['read'] }));
    const request = withKey('k1');
    const { principal } = granted(await decisionBy(apiKey({ in: 'header', name: NAME, validator }), request));
    expect(validator).toHaveBeenCalledExactlyOnceWith('k1', { schemeId: 'it', request });
    expect(principal).toMatchObject({ id: 'scheme:it|acme', scopes: ['read'] });
  });

  it.each([
    [true],
    [{}],
    [''],
    ['acme'],
    [{ principal: '' }],
    [{ principal: undefined }],
    [{ principal: {} }],
    [undefined],
  ])('that returns %j lets nobody in', async (answer) => {
    expect(
      denied(
        await decisionBy(
          validated(() => answer),
          withKey('k1'),
        ),
      ).reason,
    ).toBe('invalid_credential');
  });

  it('declares the scopes it is given', () => {
    expect(apiKey({ in: 'header', name: NAME, validator: () => null, scopes: ['read'] }).scopes).toEqual([
      'read',
    ]);
  });
});

describe('two API keys at once', () => {
  it('are an AND of two callers, by scheme', async () => {
    const security = securityOf(
      {
        tenant: apiKey({ in: 'header', name: 'X-Tenant', keys: [{ key: 't', owner: 'acme' }] }),
        user: headerScheme('x-user'),
      },
      [{ tenant: [], user: [] }],
    );
    const decision = await security.authenticate(
      authRequest({ header: { 'X-Tenant': 't', 'X-User': 'alice' } }),
    );
    expect([...granted(decision).principals].map(([id, { subject }]) => [id, subject])).toEqual([
      ['tenant', 'acme'],
      ['user', 'alice'],
    ]);
  });
});
