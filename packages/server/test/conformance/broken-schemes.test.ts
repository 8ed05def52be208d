import { createHash } from 'node:crypto';

import {
  MalformedCredential,
  VerifierUnavailable,
  type AuthRequest,
  type SecurityScheme,
  type Verification,
} from '@a2a-auth/server';
import { conformanceRequest, schemeConformance, type SchemeFixture } from '@a2a-auth/server/conformance';
import { describe, expect, it } from 'vitest';

const GOOD = 'good-key-0123456789-abcdefgh';
const OTHER = 'other-key-0123456789-abcdefg';
const BAD = 'bad-key-0123456789-abcdefghi';
const holders = new Map([
  [GOOD, 'alice'],
  [OTHER, 'bob'],
]);

const keyed = (...values: string[]) => conformanceRequest({ header: { 'X-Key': values } });
const bearer = (value: string) => conformanceRequest({ header: { authorization: `Bearer ${value}` } });
const invalid = { verified: false, reason: 'invalid', detail: 'No such key.' } as const;

function extractKey(request: AuthRequest): string | undefined {
  const [value, ...more] = request.header('X-Key');
  if (value === undefined) return undefined;
  if (more.length > 0 || !/^[\w-]{1,64}$/.test(value))
    throw new MalformedCredential('X-Key is no single key.');
  return value;
}

function verifyKey(key: string): Verification {
  const subject = holders.get(key);
  return subject === undefined ? invalid : { verified: true, principal: { subject }, scopes: ['ask'] };
}

/** A scheme without fault, but for what is given. */
const scheme = (changes: Partial<SecurityScheme<string>> = {}): SecurityScheme<string> => ({
  declaration: { type: 'apiKey', in: 'header', name: 'X-Key' },
  scopes: ['ask', 'admin'],
  extract: extractKey,
  verify: verifyKey,
  challenge: ({ realm }) => ({ scheme: 'Key', params: { realm } }),
  ...changes,
});

const down = () => Promise.reject(new VerifierUnavailable('The store is down.'));

const sound: SchemeFixture<string> = {
  create: () => scheme(),
  good: () => keyed(GOOD),
  other: () => keyed(OTHER),
  bad: () => keyed(BAD),
  malformed: () => [keyed(''), keyed('no key')],
  refused: {},
  scopes: ['ask'],
  unavailable: { create: () => scheme({ verify: down }), request: () => keyed(GOOD) },
};

const broken = (changes: Partial<SecurityScheme<string>>, fixture: Partial<SchemeFixture<string>> = {}) => ({
  ...sound,
  create: () => scheme(changes),
  ...fixture,
});

/** The same, for a bearer token in the Authorization header. */
const token = (extract: SecurityScheme<string>['extract']) =>
  broken(
    { declaration: { type: 'http', scheme: 'Bearer' }, extract },
    {
      good: () => bearer(GOOD),
      other: () => bearer(OTHER),
      bad: () => bearer(BAD),
      malformed: () => [bearer('no key')],
    },
  );

const verifying = (verify: (key: string) => unknown) =>
  broken({ verify: verify as SecurityScheme<string>['verify'] });
const unavailable = (verify: () => unknown): SchemeFixture<string> => ({
  ...sound,
  unavailable: {
    create: () => scheme({ verify: verify as SecurityScheme<string>['verify'] }),
    request: () => keyed(GOOD),
  },
});
const permitting = (
  permits: (call: { operation: string }) => unknown,
  expected: SchemeFixture['permits'] = { allowed: ['GetTask'], forbidden: ['SendMessage'] },
) => ({
  ...verifying((key) => ({ ...verifyKey(key), ...(holders.has(key) ? { permits } : {}) })),
  permits: expected,
});
const declared = (declaration: object) =>
  broken({ declaration: declaration as NonNullable<SecurityScheme['declaration']> });
const challenging = (challenge: unknown) =>
  broken({ challenge: challenge as NonNullable<SecurityScheme['challenge']> });

async function failuresOf(fixture: SchemeFixture<string>): Promise<ReadonlyMap<string, string>> {
  const failures = new Map<string, string>();
  for (const { title, run } of schemeConformance(fixture)) {
    await run().catch((error: unknown) => failures.set(title, (error as Error).message));
  }
  return failures;
}

const globalKey = /^[\w-]{1,64}$/g;
let latest = '';

/** What is wrong, the rule that finds it, and what its message says. */
const mistakes: readonly (readonly [
  what: string,
  rule: string,
  message: RegExp,
  fixture: SchemeFixture<string>,
])[] = [
  [
    'is asynchronous',
    'extract() finds good and bad credentials alike, at once',
    /returned a promise.*synchronous/,
    broken({ extract: (request) => Promise.resolve(extractKey(request)) as unknown as string }),
  ],
  [
    'verifies while it extracts',
    'extract() finds good and bad credentials alike, at once',
    /found nothing in the bad request.*only verify\(\) tells/,
    broken({
      extract: (request) => {
        const key = extractKey(request);
        return key !== undefined && holders.has(key) ? key : undefined;
      },
    }),
  ],
  [
    'throws over a bad credential while it extracts',
    'extract() finds good and bad credentials alike, at once',
    /takes for malformed the bad request/,
    broken({
      extract: (request) => {
        const key = extractKey(request);
        if (key !== undefined && !holders.has(key)) throw new MalformedCredential('No such key.');
        return key;
      },
    }),
  ],
  [
    'takes an absent credential for an empty one',
    'extract() finds nothing in a request without its credential',
    /returned something for an empty request/,
    broken({ extract: (request) => request.header('X-Key')[0] ?? '' }),
  ],
  [
    'takes an absent credential for malformed',
    'extract() finds nothing in a request without its credential',
    /takes for malformed an empty request/,
    broken({
      extract: (request) => {
        const key = extractKey(request);
        if (key === undefined) throw new MalformedCredential('X-Key is missing.');
        return key;
      },
    }),
  ],
  [
    'takes any auth-scheme for its own',
    'extract() finds nothing in a request without its credential',
    /takes for malformed a request with another auth-scheme/,
    token((request) => {
      const [field] = request.header('authorization');
      if (field === undefined) return undefined;
      const match = /^Bearer ([\w-]+)$/i.exec(field);
      if (match === null) throw new MalformedCredential('No bearer token.');
      return match[1];
    }),
  ],
  [
    'keeps a state in a regular expression',
    'extract() finds the same in the same request',
    /found something else|found nothing/,
    broken({
      extract: (request) => {
        const [value = ''] = request.header('X-Key');
        return globalKey.test(value) ? value : undefined;
      },
    }),
  ],
  [
    'makes something new of the same credential',
    'extract() finds the same in the same request',
    /found something else/,
    broken({
      extract: (request) => {
        const key = extractKey(request);
        return key === undefined ? undefined : `${key}${String(Math.random())}`;
      },
    }),
  ],
  [
    'picks the first of several',
    'extract() takes a repeated credential for malformed',
    /picked one of two values of the header "x-key"/,
    broken({ extract: (request) => request.header('X-Key')[0] }),
  ],
  [
    'passes over several',
    'extract() takes a repeated credential for malformed',
    /passed over two values/,
    broken({
      extract: (request) => (request.header('X-Key').length > 1 ? undefined : extractKey(request)),
    }),
  ],
  [
    'picks the first of several in a header that it does not declare',
    'extract() takes a repeated credential for malformed',
    /picked one of two values of the header "x-other"/,
    broken(
      { extract: (request) => request.header('X-Other')[0], secretHeaders: ['X-Other'] },
      {
        good: () => conformanceRequest({ header: { 'X-Other': GOOD } }),
        bad: () => conformanceRequest({ header: { 'X-Other': BAD } }),
      },
    ),
  ],
  [
    'takes a key from the query as well',
    'extract() looks into the declared place alone',
    /found the credential in the parameter "X-Key"/,
    broken({ extract: (request) => extractKey(request) ?? request.query('X-Key')[0] }),
  ],
  [
    'takes a key from the Authorization header as well',
    'extract() looks into the declared place alone',
    /found the credential in the header "Authorization"/,
    broken({
      extract: (request) =>
        extractKey(request) ?? request.header('authorization')[0]?.replace(/^Bearer /, ''),
    }),
  ],
  [
    'takes a bearer token from the query as well',
    'extract() looks into the declared place alone',
    /found the credential in the parameter "access_token"/,
    token(
      (request) =>
        /^Bearer ([\w-]+)$/i.exec(request.header('authorization')[0] ?? '')?.[1] ??
        request.query('access_token')[0],
    ),
  ],
  [
    'takes a certificate from a header that anybody can send',
    'extract() looks into the declared place alone',
    /found the credential in the header "x-forwarded-client-cert"/,
    {
      create: () => ({
        declaration: { type: 'mutualTLS' },
        extract: (request) =>
          request.clientCertificate === undefined
            ? request.header('x-forwarded-client-cert')[0]
            : Buffer.from(request.clientCertificate.der).toString(),
        verify: verifyKey,
      }),
      good: () => conformanceRequest({ clientCertificate: { der: Buffer.from(GOOD) } }),
      bad: () => conformanceRequest({ clientCertificate: { der: Buffer.from(BAD) } }),
    },
  ],
  [
    'heeds the case of the auth-scheme',
    'extract() reads the name of the HTTP auth-scheme whole, and without regard to case',
    /does not find the credential after "bearer"/,
    token((request) => /^Bearer ([\w-]+)$/.exec(request.header('authorization')[0] ?? '')?.[1]),
  ],
  [
    'compares the beginning of the auth-scheme',
    'extract() reads the name of the HTTP auth-scheme whole, and without regard to case',
    /takes "Bearerx" for Bearer/,
    token((request) => /^Bearer\S* ([\w-]+)$/i.exec(request.header('authorization')[0] ?? '')?.[1]),
  ],
  [
    'throws what is no MalformedCredential',
    'extract() answers garbage with nothing but MalformedCredential',
    /About broken percent encoding: extract\(\) threw URIError/,
    broken({
      extract: (request) => {
        const [value, ...more] = request.header('X-Key');
        if (more.length > 0) throw new MalformedCredential('Twice.');
        return value === undefined ? undefined : decodeURIComponent(value);
      },
    }),
  ],
  [
    'lets malformed credentials through',
    'extract() takes what is no credential for malformed',
    /found a credential in malformed request 2/,
    broken({
      extract: (request) => {
        const [value, ...more] = request.header('X-Key');
        if (value === '' || more.length > 0) throw new MalformedCredential('X-Key is no single key.');
        return value;
      },
    }),
  ],
  [
    'knows nobody',
    'verify() accepts the good credential, and says whose it is',
    /refused the good credential/,
    verifying(() => invalid),
  ],
  [
    'has no subject',
    'verify() accepts the good credential, and says whose it is',
    /a principal that is none\. The principal has no subject/,
    verifying((key) => (holders.has(key) ? { verified: true, principal: { name: 'alice' } } : invalid)),
  ],
  [
    'answers with more than the contract knows',
    'verify() accepts the good credential, and says whose it is',
    /"roles", which the contract does not know/,
    verifying((key) => ({ ...verifyKey(key), roles: ['admin'] })),
  ],
  [
    'answers yes',
    'verify() accepts the good credential, and says whose it is',
    /boolean that is no verification/,
    verifying((key) => holders.has(key)),
  ],
  [
    'gives an end in milliseconds',
    'verify() accepts the good credential, and says whose it is',
    /expiresAt must be/,
    verifying((key) =>
      holders.has(key)
        ? { verified: true, principal: { subject: 'a', expiresAt: Date.now() * 1000 } }
        : invalid,
    ),
  ],
  [
    'gives an end that is over',
    'verify() accepts the good credential, and says whose it is',
    /has ended already/,
    verifying((key) =>
      holders.has(key) ? { verified: true, principal: { subject: 'a', expiresAt: 1 } } : invalid,
    ),
  ],
  [
    'gives claims that are none',
    'verify() accepts the good credential, and says whose it is',
    /claims of the principal are/,
    verifying((key) =>
      holders.has(key) ? { verified: true, principal: { subject: 'a', claims: ['admin'] } } : invalid,
    ),
  ],
  [
    'throws over a bad credential',
    'verify() refuses the bad credential, and says why',
    /threw Error over the bad credential/,
    verifying((key) => {
      if (!holders.has(key)) throw new Error('No such key.');
      return verifyKey(key);
    }),
  ],
  [
    'lets everyone in',
    'verify() refuses the bad credential, and says why',
    /accepted the bad credential/,
    verifying(() => ({ verified: true, principal: { subject: 'alice' } })),
  ],
  [
    'gives a reason of its own',
    'verify() refuses the bad credential, and says why',
    /for the reason "unknown_key".*Use one of invalid, expired/,
    verifying((key) => (holders.has(key) ? verifyKey(key) : { ...invalid, reason: 'unknown_key' })),
  ],
  [
    'gives no detail',
    'verify() refuses the bad credential, and says why',
    /without a detail/,
    verifying((key) => (holders.has(key) ? verifyKey(key) : { verified: false, reason: 'invalid' })),
  ],
  [
    'gives an error code that is none',
    'verify() refuses the bad credential, and says why',
    /the error code 42/,
    verifying((key) => (holders.has(key) ? verifyKey(key) : { ...invalid, error: 42 })),
  ],
  [
    'takes a wrong credential for a genuine one',
    'verify() refuses the bad credential, and says why',
    /not_permitted of the bad credential/,
    verifying((key) => (holders.has(key) ? verifyKey(key) : { ...invalid, reason: 'not_permitted' })),
  ],
  [
    'gives the wrong reason',
    'verify() gives the reason of each refusal',
    /says "invalid".*gives as "expired"/,
    { ...sound, refused: { expired: () => keyed('ended-key-0123456789') } },
  ],
  [
    'lets in whoever has no credential',
    'verify() accepts nothing that extract() would not return',
    /accepted the credential undefined/,
    verifying((key) =>
      key === undefined ? { verified: true, principal: { subject: 'x' } } : verifyKey(key),
    ),
  ],
  [
    'finds garbage in an object that has everything',
    'verify() never accepts garbage',
    /accepted a name that every object has/,
    verifying((key) => {
      const known: Record<string, string> = Object.fromEntries(holders);
      return known[key] === undefined ? invalid : { verified: true, principal: { subject: 'alice' } };
    }),
  ],
  [
    'gives a new name each time',
    'verify() answers the same credential alike',
    /found another subject or other scopes/,
    verifying((key) =>
      holders.has(key) ? { verified: true, principal: { subject: String(Math.random()) } } : invalid,
    ),
  ],
  [
    'accepts twice what is good once',
    'verify() answers the same credential alike',
    /accepted the used credential/,
    { ...sound, singleUse: true },
  ],
  [
    'keeps the caller on the scheme',
    'verify() keeps concurrent callers apart',
    /answered otherwise when several/,
    verifying(async (key) => {
      latest = key;
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
      return verifyKey(latest);
    }),
  ],
  [
    'gives everyone one name',
    'different callers have different ids',
    /Two callers have one id/,
    verifying((key) => (holders.has(key) ? { verified: true, principal: { subject: 'partner' } } : invalid)),
  ],
  [
    'gives the scopes as a text',
    'verify() says which scopes the credential carries',
    /with the scopes "ask admin"/,
    verifying((key) => ({ ...verifyKey(key), scopes: 'ask admin' })),
  ],
  [
    'gives scopes that the credential does not carry',
    'verify() says which scopes the credential carries',
    /found the scopes \["ask","admin"\], and the fixture says \["ask"\]/,
    verifying((key) => ({ ...verifyKey(key), ...(holders.has(key) ? { scopes: ['ask', 'admin'] } : {}) })),
  ],
  [
    'refuses while it cannot tell',
    'verify() throws VerifierUnavailable when it cannot tell',
    /answered \(not verified\)/,
    unavailable(() => invalid),
  ],
  [
    'lets everyone in while it cannot tell',
    'verify() throws VerifierUnavailable when it cannot tell',
    /answered \(verified\)/,
    unavailable(() => ({ verified: true, principal: { subject: 'alice' } })),
  ],
  [
    'throws any error while it cannot tell',
    'verify() throws VerifierUnavailable when it cannot tell',
    /let Error through.*\{ cause \}/,
    unavailable(() => {
      throw new Error('ECONNREFUSED');
    }),
  ],
  [
    'says to try again never',
    'verify() throws VerifierUnavailable when it cannot tell',
    /try again after/,
    unavailable(() => {
      throw new VerifierUnavailable('Down.', { retryAfter: NaN });
    }),
  ],
  [
    'permits by a plain yes',
    'permits() says exactly which calls are allowed',
    /permits\(\) answered true to SendMessage/,
    permitting(() => true),
  ],
  [
    'forbids without a detail',
    'permits() says exactly which calls are allowed',
    /permits\(\) answered \{"permitted":false\}/,
    permitting(() => ({ permitted: false })),
  ],
  [
    'permits what the credential forbids',
    'permits() says exactly which calls are allowed',
    /SendMessage is granted.*says not_permitted/,
    permitting(() => ({ permitted: true })),
  ],
  [
    'forbids what the credential permits',
    'permits() says exactly which calls are allowed',
    /GetTask is not_permitted.*says granted/,
    permitting(() => ({ permitted: false, detail: 'Nothing is.' })),
  ],
  [
    'has no permits',
    'permits() says exactly which calls are allowed',
    /answered without permits/,
    { ...sound, permits: { allowed: ['GetTask'], forbidden: [] } },
  ],
  [
    'names the caller by the key',
    'no answer of verify() holds a secret',
    /to the good credential holds the credential/,
    verifying((key) => (holders.has(key) ? { verified: true, principal: { subject: key } } : invalid)),
  ],
  [
    'puts the key into the claims, encoded',
    'no answer of verify() holds a secret',
    /to the good credential holds the credential, or a part/,
    verifying((key) =>
      holders.has(key)
        ? {
            verified: true,
            principal: { subject: 'alice', claims: { raw: [Buffer.from(key).toString('base64')] } },
          }
        : invalid,
    ),
  ],
  [
    'quotes a part of the bad key',
    'no answer of verify() holds a secret',
    /to the bad credential holds/,
    verifying((key) =>
      holders.has(key) ? verifyKey(key) : { ...invalid, detail: `No key ${key.slice(0, 20)}…` },
    ),
  ],
  [
    'throws the key',
    'what verify() throws when it cannot tell holds no secret',
    /What verify\(\) threw holds/,
    unavailable(() => {
      throw new VerifierUnavailable('Down.', { cause: new Error(`GET /keys/${GOOD} failed`) });
    }),
  ],
  [
    'quotes what is malformed',
    'no MalformedCredential holds what was sent',
    /The MalformedCredential of extract\(\) holds/,
    broken({
      extract: (request) => {
        const values = request.header('X-Key');
        try {
          return extractKey(request);
        } catch {
          throw new MalformedCredential(`${values.join()} is no key.`);
        }
      },
    }),
  ],
  [
    'asks for the key it was given last',
    'neither the declaration nor a challenge holds a secret',
    /a challenge holds/,
    broken({
      verify: (key) => {
        latest = key;
        return verifyKey(key);
      },
      challenge: ({ realm }) => ({ scheme: 'Key', params: { realm, hint: `not ${latest}` } }),
    }),
  ],
  [
    'publishes a key as an example',
    'neither the declaration nor a challenge holds a secret',
    /the declaration holds/,
    declared({ type: 'apiKey', in: 'header', name: 'X-Key', description: `Such as ${GOOD}` }),
  ],
  [
    'shows the executor a header with a secret',
    'the executor sees no header with a secret',
    /from the header "x-other", which would reach the executor.*secretHeaders/,
    broken(
      { extract: (request) => request.header('X-Other')[0] },
      {
        good: () => conformanceRequest({ header: { 'X-Other': GOOD } }),
        bad: () => conformanceRequest({ header: { 'X-Other': BAD } }),
      },
    ),
  ],
  [
    'shows the executor a header with a secret in disguise',
    'the executor sees no header with a secret',
    /from the header "x-other"/,
    broken(
      {
        extract: (request) => {
          const [value] = request.header('X-Other');
          return value === undefined ? undefined : Buffer.from(value, 'base64').toString();
        },
      },
      {
        good: () => conformanceRequest({ header: { 'X-Other': Buffer.from(GOOD).toString('base64') } }),
        bad: () => conformanceRequest({ header: { 'X-Other': Buffer.from(BAD).toString('base64') } }),
      },
    ),
  ],
  [
    'declares what one of the card versions has no place for',
    'the declaration can be published on cards of both versions, and nothing of it is lost',
    /has "example", for which A2A 1\.0 has no place/,
    declared({ type: 'apiKey', in: 'header', name: 'X-Key', example: 'abc' }),
  ],
  [
    'declares a flow that no card knows',
    'the declaration can be published on cards of both versions, and nothing of it is lost',
    /the type "implicit".*Use one of authorizationCode/,
    declared({
      type: 'oauth2',
      flow: { type: 'implicit', authorizationUrl: 'https://x.example', scopes: {} },
    }),
  ],
  [
    'declares a URL that is none',
    'the declaration can be published on cards of both versions, and nothing of it is lost',
    /"tokenUrl" of the flow is "\/token".*absolute URL/,
    declared({ type: 'oauth2', flow: { type: 'clientCredentials', tokenUrl: '/token', scopes: {} } }),
  ],
  [
    'declares something new each time',
    'the declaration can be published on cards of both versions, and nothing of it is lost',
    /another one each time/,
    {
      ...sound,
      create: () => ({
        ...scheme(),
        get declaration() {
          return { type: 'apiKey', in: 'header', name: 'X-Key', description: String(Math.random()) } as const;
        },
      }),
    },
  ],
  [
    'declares two scopes in one text',
    'requirements can ask for every declared scope',
    /scopes of the scheme are \["ask admin"\]/,
    broken({ scopes: ['ask admin'] }),
  ],
  [
    'declares a scope twice',
    'requirements can ask for every declared scope',
    /Name each scope once/,
    broken({ scopes: ['ask', 'ask'] }),
  ],
  [
    'offers scopes on the card that it does not know',
    'requirements can ask for every declared scope',
    /offers the scopes \["write"\]/,
    broken({
      declaration: {
        type: 'oauth2',
        flow: { type: 'clientCredentials', tokenUrl: 'https://as.example/token', scopes: { write: '' } },
      },
    }),
  ],
  [
    'gives one secret header instead of a list',
    'the optional members are what the contract says',
    /secretHeaders is "x-other"/,
    broken({ secretHeaders: 'x-other' as unknown as string[] }),
  ],
  [
    'names an authorization server that is no URL',
    'the optional members are what the contract says',
    /authorizationServers is \["as"\]/,
    broken({ authorizationServers: ['as'] }),
  ],
  [
    'says yes in another way',
    'the optional members are what the contract says',
    /provenByConnection is 1/,
    broken({ provenByConnection: 1 as unknown as boolean }),
  ],
  [
    'fails to warm up',
    'the optional members are what the contract says',
    /warmUp\(\) failed with TypeError/,
    broken({ warmUp: () => Promise.reject(new TypeError('fetch failed')) }),
  ],
  [
    'has a challenge that is none',
    'challenge() phrases a well-formed challenge for every denial',
    /answered "Key realm=x" to "missing"/,
    challenging(() => 'Key realm=x'),
  ],
  [
    'starts a header of its own',
    'challenge() phrases a well-formed challenge for every denial',
    /to "missing"/,
    challenging(() => ({ scheme: 'Key', headers: { 'x-hint': 'a\r\nSet-Cookie: b=c' } })),
  ],
  [
    'has a promise of a challenge',
    'challenge() phrases a well-formed challenge for every denial',
    /answered/,
    challenging(() => Promise.resolve({ scheme: 'Key' })),
  ],
  [
    'fails to phrase a challenge',
    'challenge() phrases a well-formed challenge for every denial',
    /threw TypeError about "missing"/,
    challenging(({ stepUp }: { stepUp: { maxAge: number } }) => ({
      scheme: 'Key',
      params: { age: String(stepUp.maxAge) },
    })),
  ],
  [
    'has no challenge for some denials',
    'challenge() phrases a well-formed challenge for every denial',
    /no challenge for "missing"/,
    challenging(({ reason }: { reason: string }) => (reason === 'missing' ? [] : { scheme: 'Key' })),
  ],
  [
    'asks for another realm',
    'challenge() names the realm it is given, or none',
    /names the realm "Users"/,
    challenging(() => ({ scheme: 'Key', params: { realm: 'Users' } })),
  ],
  [
    'is given a good credential that is none',
    'an agent lets the good credential in',
    /decides "invalid_credential" about the good request/,
    { ...sound, good: () => keyed(BAD) },
  ],
  [
    'is given a bad credential that is good',
    'an agent denies the bad credential as invalid',
    /decides "granted" about the bad request/,
    { ...sound, bad: () => keyed(GOOD) },
  ],
  [
    'knows everyone by the connection',
    'an agent denies a request without a credential as missing it',
    /decides "granted" about an empty request/,
    broken({ extract: () => GOOD }),
  ],
  [
    'passes over malformed credentials',
    'an agent denies malformed credentials as invalid',
    /decides "missing_credential" about a malformed request/,
    broken({
      extract: (request) => {
        const [value, ...more] = request.header('X-Key');
        return more.length > 0 || !/^[\w-]{1,64}$/.test(value ?? '') ? undefined : value;
      },
    }),
  ],
  [
    'gives scopes in a form that nobody can check',
    'an agent denies a good credential that lacks a scope as insufficient',
    /decides "invalid_credential".*asked for the scope "ask"/,
    verifying((key) => ({ ...verifyKey(key), scopes: { includes: () => true } })),
  ],
  [
    'denies while it cannot tell',
    'an agent that cannot tell says so',
    /decides "invalid_credential"/,
    unavailable(() => invalid),
  ],
];

describe('schemeConformance()', () => {
  it('finds no fault in a scheme without one', async () => {
    expect([...(await failuresOf(sound))]).toEqual([]);
  });

  it.each(mistakes)('finds a scheme that %s', async (_, rule, message, fixture) => {
    const failures = await failuresOf(fixture);
    expect([...failures.keys()]).toContain(rule);
    expect(failures.get(rule)).toMatch(message);
  });

  it('has no rule that cannot fail', () => {
    const everything = { ...sound, permits: { allowed: [], forbidden: [] } };
    const found = new Set(mistakes.map(([, rule]) => rule));
    expect(
      schemeConformance(everything)
        .map(({ title }) => title)
        .filter((title) => !found.has(title)),
    ).toEqual([]);
  });

  it('leaves out the rules that the fixture gives nothing for', () => {
    const { create, good, bad } = sound;
    const titles = schemeConformance({ create, good, bad }).map(({ title }) => title);
    expect(titles).not.toContain('verify() throws VerifierUnavailable when it cannot tell');
    expect(titles).toContain('an agent lets the good credential in');
  });

  it('has no title twice', () => {
    const titles = schemeConformance(sound).map(({ title }) => title);
    expect(new Set(titles).size).toBe(titles.length);
  });

  it.each([
    ['no request', { good: () => 'GET /' as unknown as AuthRequest }, /made "GET \/".*conformanceRequest/],
    ['no scheme', { create: () => ({}) as unknown as SecurityScheme<string> }, /create\(\) returned \{\}/],
  ])('says that a fixture gives %s', async (_, changes, message) => {
    const failures = await failuresOf({ ...sound, ...changes });
    expect(failures.get('an agent lets the good credential in')).toMatch(message);
  });

  it('does not quote the credential in its own messages', async () => {
    const hash = createHash('sha256').update(GOOD).digest('hex');
    for (const [, , , fixture] of mistakes) {
      for (const message of (await failuresOf(fixture)).values()) {
        expect(message).not.toContain(GOOD);
        expect(message).not.toContain(hash);
      }
    }
  });
});
