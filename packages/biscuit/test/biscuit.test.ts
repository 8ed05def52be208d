import { VerifierUnavailable, type SecurityScheme } from '@a2a-auth/server';
import { afterEach, describe, expect, it, vi } from 'vitest';

import { denied, granted } from '../../server/test/support/agent.js';
import { decide, rights, schemeOf } from './support/decide.js';
import { issuer } from './support/issuer.js';

const authority = issuer();
const { rootKey } = authority;
const scheme = schemeOf({ rootKeys: rootKey });
const alice = authority.token('user("alice"); right("SendMessage"); right("GetTask");');

afterEach(() => {
  vi.useRealTimers();
});

/** A scheme whose caller has a client certificate. */
function peer(subject: string): SecurityScheme {
  return {
    declaration: { type: 'mutualTLS' },
    extract: () => 'certificate',
    verify: () => ({
      verified: true,
      principal: {
        subject,
        issuer: 'x509',
        certificate: {
          subject: `CN=${subject}`,
          issuer: 'CN=CA',
          fingerprint256: 'ab'.repeat(32),
          subjectAlternativeNames: [],
          validFrom: 0,
          validTo: 0,
          pem: '',
        },
      },
    }),
  };
}

describe('a biscuit', () => {
  it('is published as the bearer format of the card', () => {
    expect(schemeOf({ rootKeys: rootKey, description: 'Ask us.' }).declaration).toEqual({
      type: 'http',
      scheme: 'Bearer',
      bearerFormat: 'biscuit',
      description: 'Ask us.',
    });
  });

  it('lets the call through that it has a right to', async () => {
    const { principal } = granted((await decide(scheme, alice)).decision);
    expect(principal).toMatchObject({
      id: `biscuit:${rootKey}|alice`,
      subject: 'alice',
      issuer: `biscuit:${rootKey}`,
      schemeId: 'biscuit',
      claims: { revocationIds: authority.revocationIds(alice), blockCount: 1, keyId: undefined },
      expiresAt: undefined,
    });
  });

  it('is insufficient for any other call, and the audit event says why and who', async () => {
    const { decision, detail, event } = await decide(scheme, alice, 'CancelTask');
    expect(denied(decision)).toMatchObject({
      reason: 'not_permitted',
      challenges: [{ scheme: 'Bearer', params: { realm: 'a2a', error: 'insufficient_scope' } }],
    });
    expect(detail).toBe('No policy allows the call.');
    expect(event.schemes[0]?.principalId).toBe(`biscuit:${rootKey}|alice`);
  });

  it('of somebody else is invalid', async () => {
    const { decision, detail } = await decide(scheme, issuer().token('user("alice"); right("SendMessage");'));
    expect(denied(decision)).toMatchObject({
      reason: 'invalid_credential',
      challenges: [{ scheme: 'Bearer', params: { realm: 'a2a', error: 'invalid_token' } }],
    });
    expect(detail).toMatch(/^The token is not genuine: /);
  });

  it('that is sealed is as good as any', async () => {
    expect((await decide(scheme, authority.sealed(alice))).decision.granted).toBe(true);
  });

  it('may come without its padding', async () => {
    const unpadded = [
      alice,
      ...[1, 2, 3].map((count) => authority.token(`user("${'a'.repeat(count)}"); right("SendMessage");`)),
    ];
    expect(unpadded.some((token) => token.endsWith('='))).toBe(true);
    for (const token of unpadded) {
      expect((await decide(scheme, token.replace(/=+$/, ''))).decision.granted).toBe(true);
    }
  });

  it('cannot be asked for with scopes', () => {
    expect(scheme.scopes).toEqual([]);
  });
});

describe('the root key', () => {
  const [first, second, third] = [issuer(), issuer(), issuer()];
  const rotated = schemeOf({
    rootKeys: {
      default: first.rootKey,
      0: second.rootKey,
      4294967295: Buffer.from(third.rootKey.slice(8), 'hex'),
    },
  });
  const datalog = 'user("alice"); right("SendMessage");';

  it.each([
    ['the default for a token without an id', () => first.token(datalog), first],
    ['the one of the id 0', () => second.token(datalog, {}, 0), second],
    ['the one of the highest id', () => third.token(datalog, {}, 4294967295), third],
  ])('is %s', async (_, token, by) => {
    expect(granted((await decide(rotated, token())).decision).principal.issuer).toBe(`biscuit:${by.rootKey}`);
  });

  it.each([
    ['the id is unknown', () => first.token(datalog, {}, 7), 'The root key 7 is not known.'],
    ['the id is that of another key', () => first.token(datalog, {}, 0), /^The token is not genuine: /],
    ['the id was left out', () => second.token(datalog), /^The token is not genuine: /],
  ])('is no key when %s', async (_, token, detail) => {
    const outcome = await decide(rotated, token());
    expect(denied(outcome.decision).reason).toBe('invalid_credential');
    expect(outcome.detail).toMatch(detail);
  });

  it('is no key when there is no default and the token names none', async () => {
    const { detail } = await decide(schemeOf({ rootKeys: { 1: first.rootKey } }), first.token(datalog));
    expect(detail).toBe('The token names no root key.');
  });

  it('makes different callers of the same name under different keys', async () => {
    const ids = await Promise.all(
      [first.token(datalog), second.token(datalog, {}, 0)].map(
        async (token) => granted((await decide(rotated, token)).decision).principal.id,
      ),
    );
    expect(new Set(ids).size).toBe(2);
  });

  it('may be replaced without a new id for anybody, where the issuer has a name', async () => {
    const named = schemeOf({
      rootKeys: { default: first.rootKey, 0: second.rootKey },
      issuer: 'https://issuer.example',
    });
    const ids = await Promise.all(
      [first.token(datalog), second.token(datalog, {}, 0)].map(
        async (token) => granted((await decide(named, token)).decision).principal.id,
      ),
    );
    expect(ids).toEqual(['https://issuer.example|alice', 'https://issuer.example|alice']);
  });
});

describe('the subject', () => {
  const subjectOf = async (token: string, subject?: string) => {
    const outcome = await decide(
      schemeOf({
        rootKeys: rootKey,
        authorizer: 'allow if true',
        ...(subject === undefined ? {} : { subject }),
      }),
      token,
    );
    return outcome.decision.granted ? outcome.decision.principal.subject : outcome.detail;
  };

  it.each([
    ['a name', 'user({u})', { u: 'alice' }, 'alice'],
    ['a number', 'user(42)', {}, '42'],
    ['a name with quotes and line breaks', 'user({u})', { u: 'a"b\\\n"); user("c' }, 'a"b\\\n"); user("c'],
  ])('is %s', async (_, datalog, parameters, subject) => {
    expect(await subjectOf(authority.token(datalog, parameters))).toBe(subject);
  });

  it('is what the query finds', async () => {
    const token = authority.token('member("acme", "alice"); user("bob");');
    expect(await subjectOf(token, 'id($m) <- member("acme", $m)')).toBe('alice');
  });

  it('is the first revocation id where there is none, and the same for every attenuation', async () => {
    const nameless = authority.token('right("SendMessage");');
    const [id = ''] = authority.revocationIds(nameless);
    expect(await subjectOf(nameless)).toBe(`biscuit:${id}`);
    expect(await subjectOf(authority.attenuated(nameless, 'check if true'))).toBe(`biscuit:${id}`);
  });

  it.each([
    ['more than one', 'user("alice"); user("bob");', 'The token stands for more than one subject.'],
    ['a set', 'user(["alice"]);', /neither a string nor an integer/],
    ['a date', 'user(2030-01-01T00:00:00Z);', /neither a string nor an integer/],
    ['true', 'user(true);', /neither a string nor an integer/],
    ['empty', 'user("");', /no subject/],
    ['made to look like that of a token without a name', 'user("biscuit:00");', /begins with/],
  ])('is refused when it is %s', async (_, datalog, detail) => {
    expect(await subjectOf(authority.token(datalog))).toMatch(detail);
  });
});

describe('the authorizer', () => {
  const decided = async (authorizer: string, options: Parameters<typeof decide>[3] = {}, agent?: string) => {
    const one = schemeOf({ rootKeys: rootKey, authorizer, ...(agent === undefined ? {} : { agent }) });
    return (await decide(one, alice, 'GetTask', options)).decision.granted;
  };

  it.each([
    ['operation("GetTask")', true],
    ['operation("SendMessage")', false],
    ['principal("biscuit", $id), $id.ends_with("|alice")', true],
    ['agent($any)', false],
    ['peer($any)', false],
    ['time($now), $now > 2020-01-01T00:00:00Z', true],
  ])('knows of a request: %s is %s', async (query, isTrue) => {
    expect(await decided(`allow if ${query}`)).toBe(isTrue);
  });

  it('knows the time of the call', async () => {
    vi.useFakeTimers({ now: Date.parse('2031-02-03T04:05:06.789Z'), toFake: ['Date'] });
    expect(await decided('allow if time(2031-02-03T04:05:06Z)')).toBe(true);
  });

  it('knows the agent by its resource, or by the name it is given', async () => {
    const resource = 'https://agent.example';
    expect(await decided(`allow if agent("${resource}")`, { resource })).toBe(true);
    expect(await decided('allow if agent("weather")', { resource }, 'weather')).toBe(true);
    expect(await decided(`allow if agent("${resource}")`, { resource }, 'weather')).toBe(false);
  });

  it.each([
    'peer("x509|client")',
    'peer_subject("client")',
    `peer_fingerprint("${'ab'.repeat(32)}")`,
    'principal("mtls", "x509|client")',
  ])('knows the holder of the client certificate: %s', async (fact) => {
    expect(await decided(`allow if ${fact}`, { also: { mtls: peer('client') } })).toBe(true);
    expect(await decided(`allow if ${fact}`)).toBe(false);
    if (!fact.includes('fingerprint')) {
      expect(await decided(`allow if ${fact}`, { also: { mtls: peer('other') } })).toBe(false);
    }
  });

  it('denies by its own deny policies and checks, and says which', async () => {
    const outcome = async (authorizer: string) =>
      (await decide(schemeOf({ rootKeys: rootKey, authorizer }), alice)).detail;
    expect(await outcome('deny if user("alice"); allow if true')).toBe('The policy 0 denies the call.');
    expect(await outcome('check if user("bob"); allow if true')).toBe(
      'A check of the authorizer failed: "check if user(\\"bob\\")".',
    );
  });
});

describe('an attenuated biscuit', () => {
  const readOnly = authority.attenuated(alice, 'check if operation("GetTask")');

  it('allows what is left of it', async () => {
    const { principal } = granted((await decide(scheme, readOnly, 'GetTask')).decision);
    expect(principal).toMatchObject({ subject: 'alice', claims: { blockCount: 2 } });
  });

  it('does not allow what its holder took from it', async () => {
    const { decision, detail } = await decide(scheme, readOnly, 'SendMessage');
    expect(denied(decision).reason).toBe('not_permitted');
    expect(detail).toBe('A check of block 1 failed: "check if operation(\\"GetTask\\")".');
  });

  it('may be bound to the certificate of whom it is given to', async () => {
    const bound = authority.attenuated(alice, 'check if peer("x509|client")');
    expect(
      (await decide(scheme, bound, 'SendMessage', { also: { mtls: peer('client') } })).decision.granted,
    ).toBe(true);
    expect(
      (await decide(scheme, bound, 'SendMessage', { also: { mtls: peer('thief') } })).decision.granted,
    ).toBe(false);
    expect((await decide(scheme, bound)).decision.granted).toBe(false);
  });
});

describe('a block that somebody else signed', () => {
  const auditor = issuer();
  const trusting = schemeOf({
    rootKeys: rootKey,
    authorizer: `allow if operation($o), audited($o) trusting authority, ${auditor.rootKey}`,
  });
  const audited = authority.withBlockOf(auditor, alice, 'audited("CancelTask");');

  it('is heard by an authorizer that trusts its key', async () => {
    expect((await decide(trusting, audited, 'CancelTask')).decision.granted).toBe(true);
    expect((await decide(trusting, audited, 'GetTask')).decision.granted).toBe(false);
  });

  it('is not heard by an authorizer that does not', async () => {
    const plain = schemeOf({ rootKeys: rootKey, authorizer: 'allow if operation($o), audited($o)' });
    expect(denied((await decide(plain, audited, 'CancelTask')).decision).reason).toBe('not_permitted');
  });

  it('is not heard under another key', async () => {
    const forged = authority.withBlockOf(issuer(), alice, 'audited("CancelTask");');
    expect(denied((await decide(trusting, forged, 'CancelTask')).decision).reason).toBe('not_permitted');
  });

  it('is not heard without a signature of its own', async () => {
    const claimed = authority.attenuated(alice, 'audited("CancelTask");');
    expect(denied((await decide(trusting, claimed, 'CancelTask')).decision).reason).toBe('not_permitted');
  });
});

describe('the expiry', () => {
  const now = Date.parse('2030-01-01T00:00:00Z');
  const at = async (token: string, moment: string) => {
    vi.useFakeTimers({ now: Date.parse(moment), toFake: ['Date'] });
    return (await decide(scheme, token)).decision;
  };
  const ending = (check: string) => authority.token(`user("alice"); right("SendMessage"); ${check};`);
  const exclusive = ending('check if time($time), $time < 2030-01-01T00:00:00Z');
  const inclusive = ending('check if time($t), $t <= 2030-01-01T00:00:00Z');

  it.each([
    ['before it', exclusive, '2029-12-31T23:59:59.999Z', true],
    ['at it', exclusive, '2030-01-01T00:00:00.000Z', false],
    ['in the last second', inclusive, '2030-01-01T00:00:00.999Z', true],
    ['after the last second', inclusive, '2030-01-01T00:00:01.000Z', false],
  ])('%s', async (_, token, moment, isGood) => {
    const decision = await at(token, moment);
    expect(decision.granted).toBe(isGood);
    if (!decision.granted) {
      // The caller is told to get another one.
      expect(decision.reason).toBe('invalid_credential');
      expect(decision.challenges[0]?.params?.error).toBe('invalid_token');
    }
  });

  it('is the principal’s, and the earliest of all blocks', async () => {
    const shortened = authority.attenuated(exclusive, 'check if time($now), $now < 2029-06-01T00:00:00Z');
    const of = async (token: string) => granted(await at(token, '2029-01-01T00:00:00Z')).principal.expiresAt;
    expect(await of(exclusive)).toBe(now);
    expect(await of(inclusive)).toBe(now + 1000);
    expect(await of(shortened)).toBe(Date.parse('2029-06-01T00:00:00Z'));
  });

  it('is not prolonged by a later block', async () => {
    const prolonged = authority.attenuated(
      exclusive,
      'time(2029-01-01T00:00:00Z); check if time($time), $time < 2040-01-01T00:00:00Z',
    );
    expect((await at(prolonged, '2030-01-01T00:00:00Z')).granted).toBe(false);
  });

  it('in a form of its own is a call not permitted', async () => {
    const odd = ending('check if time($t), $t < 2030-01-01T00:00:00Z, true');
    expect(denied(await at(odd, '2030-01-01T00:00:00Z')).reason).toBe('not_permitted');
  });

  it('is none when it is farther off than any caller lives', async () => {
    const decision = granted(
      await at(ending('check if time($t), $t < 9999-12-31T00:00:00Z'), '2029-01-01T00:00:00Z'),
    );
    expect(decision.principal.expiresAt).toBeUndefined();
  });
});

describe('revocation', () => {
  const attenuated = authority.attenuated(alice, 'check if true');
  const withRevoked = (revoked: (ids: readonly string[]) => unknown) =>
    schemeOf({ rootKeys: rootKey, revoked: revoked as () => boolean });

  it('is asked by the ids of all blocks', async () => {
    const revoked = vi.fn(() => false);
    expect((await decide(withRevoked(revoked), attenuated)).decision.granted).toBe(true);
    expect(revoked).toHaveBeenCalledExactlyOnceWith(authority.revocationIds(attenuated));
    expect(authority.revocationIds(attenuated)).toHaveLength(2);
  });

  it.each([0, 1])('refuses a token whose block %i is revoked', async (block) => {
    const id = authority.revocationIds(attenuated)[block] ?? '';
    const { decision, event } = await decide(
      withRevoked(async (ids) => ids.includes(id)),
      attenuated,
    );
    expect(denied(decision).reason).toBe('invalid_credential');
    expect(event.schemes[0]?.reason).toBe('revoked');
  });

  it.each([undefined, null, 0, '', 'no', Promise.resolve(undefined)])(
    'passes nothing when the answer is %o',
    async (answer) => {
      expect(
        (
          await decide(
            withRevoked(() => answer),
            alice,
          )
        ).decision.granted,
      ).toBe(false);
    },
  );

  it.each<[string, () => unknown, number]>([
    [
      'throws',
      () => {
        throw new Error('down');
      },
      5,
    ],
    ['rejects', () => Promise.reject(new Error('down')), 5],
    ['says when', () => Promise.reject(new VerifierUnavailable('down', { retryAfter: 30 })), 30],
  ])('is unavailable when the list %s', async (_, revoked, retryAfter) => {
    expect(denied((await decide(withRevoked(revoked), alice)).decision)).toMatchObject({
      reason: 'unavailable',
      retryAfter,
    });
  });

  it('is not asked about a token that is not genuine', async () => {
    const revoked = vi.fn(() => false);
    await decide(withRevoked(revoked), issuer().token('user("alice");'));
    expect(revoked).not.toHaveBeenCalled();
  });
});

describe('the configuration', () => {
  it.each([
    ['no root key', { rootKeys: undefined }, 'rootKeys must be'],
    ['no root keys', { rootKeys: {} }, 'rootKeys must be'],
    ['a key without its algorithm', { rootKeys: rootKey.slice(8) }, 'the key default must be'],
    ['a key of another curve', { rootKeys: `secp256r1/02${rootKey.slice(8)}` }, 'the key default must be'],
    ['31 bytes', { rootKeys: { 1: new Uint8Array(31) } }, 'the key 1 must be'],
    ['bytes that are no point', { rootKeys: new Uint8Array(32).fill(2, 0, 1) }, 'no point of the curve'],
    ['an id that is no number', { rootKeys: { first: rootKey } }, '"first" is no key id'],
    ['a negative id', { rootKeys: { '-1': rootKey } }, 'no key id'],
    ['an id beyond 32 bits', { rootKeys: { 4294967296: rootKey } }, 'no key id'],
    ['no authorizer', { authorizer: undefined }, 'authorizer must be a text'],
    ['an empty authorizer', { authorizer: ' ' }, 'authorizer must be a text'],
    ['an authorizer that is no datalog', { authorizer: 'allow if' }, 'authorizer is not valid datalog'],
    [
      'an authorizer with parameters',
      { authorizer: 'allow if user({name})' },
      'authorizer is not valid datalog',
    ],
    ['an authorizer that allows nothing', { authorizer: 'deny if true' }, 'no "allow if"'],
    ['a subject that is no rule', { subject: 'user' }, 'subject is not a datalog rule'],
    ['a subject of two variables', { subject: 'a($x, $y) <- user($x), user($y)' }, 'exactly one variable'],
    ['a subject with parameters', { subject: 'a($x) <- user($x, {y})' }, 'parameters have no values'],
    ['an empty issuer', { issuer: '' }, 'issuer must be a text'],
    ['an agent that is no text', { agent: 7 }, 'agent must be a text'],
    ['revoked that is no function', { revoked: [] }, 'revoked must be a function'],
    ['a misspelt option', { revokd: () => true }, 'biscuit() has no option revokd'],
    ['a limit of 0', { limits: { time: 0 } }, 'limits.time must be'],
    ['no limit', { limits: { blocks: Infinity } }, 'limits.blocks must be'],
    ['a limit that is undefined', { limits: { facts: undefined } }, 'limits.facts must be'],
    ['an unknown limit', { limits: { depth: 3 } }, 'limits.depth is not known'],
  ])('is wrong with %s', (_, options, message) => {
    const good = { rootKeys: rootKey, authorizer: rights };
    expect(() => schemeOf({ ...good, ...options } as never)).toThrow(
      expect.objectContaining({
        name: 'ConfigurationError',
        code: 'INVALID_OPTION',
        message: expect.stringContaining(message) as string,
      }),
    );
  });
});
