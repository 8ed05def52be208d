import { MalformedCredential, type Operation, type SecurityScheme } from '@a2a-auth/server';
import { describe, expect, it, onTestFinished, vi } from 'vitest';

import { denied, granted } from '../../server/test/support/agent.js';
import { authorization } from '../../server/test/support/auth-request.js';
import { decide, schemeOf } from './support/decide.js';
import { issuer } from './support/issuer.js';

const authority = issuer();
const { rootKey } = authority;
const scheme = schemeOf({ rootKeys: rootKey });
const alice = authority.token('user("alice"); right("SendMessage");');
const quotes = [
  'a"); peer("admin',
  'a\\"); peer("admin',
  'a"),\npeer("admin")\n//',
  '{v0}',
  '$x',
  '\0',
  '',
  'ü😀',
];

/** A scheme that lets in whoever it is made for. */
function caller(subject: string): SecurityScheme {
  const certificate = {
    subject: `CN=${subject}`,
    issuer: 'CN=CA',
    fingerprint256: subject,
    subjectAlternativeNames: [],
    validFrom: 0,
    validTo: 0,
    pem: '',
  };
  return {
    declaration: { type: 'mutualTLS' },
    extract: () => 'certificate',
    verify: () => ({ verified: true, principal: { subject, certificate } }),
  };
}

describe('a block that the holder of a token adds', () => {
  it.each([
    ['a fact', 'right("CancelTask"); user("mallory");'],
    ['a rule', 'right($o) <- operation($o); user("mallory") <- operation($o);'],
    ['a rule over all blocks before', 'right($o) <- operation($o) trusting previous;'],
    ['a request of its own', 'operation("SendMessage"); peer("admin"); time(1970-01-01T00:00:00Z);'],
  ])('adds no right by %s', async (_, datalog) => {
    const token = authority.attenuated(alice, datalog);
    expect(denied((await decide(scheme, token, 'CancelTask')).decision).reason).toBe('not_permitted');
    expect(granted((await decide(scheme, token, 'SendMessage')).decision).principal.subject).toBe('alice');
  });

  it('satisfies no check of an earlier block', async () => {
    const readOnly = authority.attenuated(alice, 'check if operation("GetTask")');
    const widened = authority.attenuated(readOnly, 'operation("GetTask");');
    expect(denied((await decide(scheme, widened, 'SendMessage')).decision).reason).toBe('not_permitted');
  });

  it('names nobody where the authority named nobody', async () => {
    const nameless = authority.attenuated(authority.token('right("SendMessage");'), 'user("root");');
    const { subject } = granted((await decide(scheme, nameless)).decision).principal;
    expect(subject).toBe(`biscuit:${String(authority.revocationIds(nameless)[0])}`);
  });
});

describe('a name that is datalog', () => {
  it.each(quotes.filter((name) => name !== ''))('is a name: %j', async (name) => {
    const also = { mtls: caller(name) };
    const guarded = schemeOf({
      rootKeys: rootKey,
      authorizer: 'allow if peer("admin"); allow if peer_subject("admin")',
    });
    expect(denied((await decide(guarded, alice, 'GetTask', { also })).decision).reason).toBe('not_permitted');
    const known = authority.token('user("alice"); expected({name});', { name });
    const exact = schemeOf({
      rootKeys: rootKey,
      authorizer: 'allow if expected($name), peer_subject($name), peer_fingerprint($name)',
    });
    expect((await decide(exact, known, 'GetTask', { also })).decision.granted).toBe(true);
  });

  it.each(quotes)('is an operation that nobody has a right to: %j', async (operation) => {
    const verification = await scheme.verify(alice, {
      schemeId: 'biscuit',
      request: authorization(`Bearer ${alice}`),
      resource: 'a"); right("CancelTask',
    });
    if (!verification.verified) throw new Error(verification.detail);
    const permits = (name: string) =>
      verification.permits?.({ operation: name as Operation, principals: new Map() });
    expect(await permits(operation)).toMatchObject({ permitted: false });
    expect(await permits('CancelTask')).toMatchObject({ permitted: false });
    expect(await permits('SendMessage')).toEqual({ permitted: true });
  });

  it.each(['ed25519/00', 'hex:00', '2030-01-01T00:00:00Z', '7', 'true', '["a"]'])(
    'is a text, and no term of another type: %s',
    async (name) => {
      const typed = schemeOf({
        rootKeys: rootKey,
        authorizer: `allow if peer_subject($s), $s.length() == ${String(name.length)}, $s.starts_with("${name.slice(0, 1).replaceAll('"', '')}")`,
      });
      expect((await decide(typed, alice, 'GetTask', { also: { mtls: caller(name) } })).decision.granted).toBe(
        true,
      );
    },
  );

  it('is refused when UTF-8 would make it that of somebody else', async () => {
    const open = schemeOf({ rootKeys: rootKey, authorizer: 'allow if true' });
    const { decision, detail } = await decide(open, alice, 'GetTask', { also: { mtls: caller('a\ud800') } });
    expect(denied(decision).reason).toBe('not_permitted');
    expect(detail).toBe('A name in the request is no Unicode text.');
  });
});

describe('a token that costs', () => {
  /** Matches the facts with one another, 40 to the power of `terms` times. */
  const bomb = (terms: number, head = 'b($v0)') =>
    [
      ...Array.from({ length: 40 }, (_, index) => `a(${String(index)});`),
      `${head} <- ${Array.from({ length: terms }, (_, index) => `a($v${String(index)})`).join(', ')}, $v0 == -1;`,
    ].join(' ');

  it('without end is ended, holds nobody up, and does no harm to the next', async () => {
    const limited = schemeOf({ rootKeys: rootKey, limits: { time: 100 } });
    const endless = authority.attenuated(alice, bomb(12));
    let isDecided = false;
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const timers = vi.spyOn(globalThis, 'setTimeout');
    onTestFinished(() => {
      timers.mockRestore();
      vi.useRealTimers();
    });
    const isEvaluated = () => timers.mock.calls.filter(([, delay]) => delay === 200).length === 2;
    const deciding = decide(limited, endless).finally(() => (isDecided = true));
    // Once it was read, it is evaluated for as long as the clock stands still, and this goes on meanwhile.
    await expect.poll(() => isEvaluated() || isDecided, { interval: 0, timeout: 20_000 }).toBe(true);
    vi.advanceTimersByTime(199);
    await new Promise(setImmediate);
    expect(isDecided).toBe(false);
    vi.advanceTimersByTime(1);
    const { decision, detail } = await deciding;
    expect(denied(decision).reason).toBe('invalid_credential');
    expect(detail).toMatch(/ended after 200 ms/);
    expect((await decide(scheme, alice)).decision.granted).toBe(true);
  });

  it('without end in a check is a call not permitted', async () => {
    const limited = schemeOf({ rootKeys: rootKey, limits: { time: 400 } });
    const terms = Array.from({ length: 12 }, (_, index) => `a($v${String(index)})`).join(', ');
    const endless = authority.attenuated(alice, `${bomb(1)} check if ${terms}, $v0 == -1;`);
    const { decision, detail } = await decide(limited, endless);
    expect(denied(decision).reason).toBe('not_permitted');
    expect(detail).toMatch(/Timeout|ended after/);
    expect((await decide(scheme, alice)).decision.granted).toBe(true);
  });

  it('too many facts', async () => {
    const limited = schemeOf({ rootKeys: rootKey, limits: { facts: 100 } });
    const { detail } = await decide(
      limited,
      authority.attenuated(alice, 'n(1); n(2); n(3); n(4); n(5); p($a, $b, $c) <- n($a), n($b), n($c);'),
    );
    expect(detail).toMatch(/TooManyFacts/);
  });

  it('too many rounds of rules', async () => {
    const limited = schemeOf({ rootKeys: rootKey, limits: { iterations: 3 } });
    const chain = Array.from(
      { length: 10 },
      (_, index) => `next(${String(index)}, ${String(index + 1)});`,
    ).join(' ');
    const { detail } = await decide(
      limited,
      authority.attenuated(alice, `${chain} to(0); to($y) <- to($x), next($x, $y);`),
    );
    expect(detail).toMatch(/TooManyIterations/);
  });

  it('too many blocks is not looked at', async () => {
    const limited = schemeOf({ rootKeys: rootKey, limits: { blocks: 2 } });
    const second = authority.attenuated(alice, 'check if true');
    expect((await decide(limited, second)).decision.granted).toBe(true);
    expect((await decide(limited, authority.attenuated(second, 'check if true'))).detail).toBe(
      'The token has too many blocks.',
    );
  });

  it('too many characters is not looked at', async () => {
    const limited = schemeOf({ rootKeys: rootKey, limits: { tokenLength: alice.length - 1 } });
    expect((await decide(limited, alice)).detail).toBe('The token is too long.');
    expect((await decide(scheme, authority.token('user({long});', { long: 'x'.repeat(7000) }))).detail).toBe(
      'The token is too long.',
    );
  });

  it('says little in the audit event, however long its checks are', async () => {
    const { detail } = await decide(
      scheme,
      authority.attenuated(alice, `check if says("${'x'.repeat(3000)}");`.repeat(2)),
    );
    expect(detail?.length).toBeLessThan(1100);
  });
});

describe('the envelope of a token', () => {
  const bytes = [...Buffer.from(alice, 'base64url')];
  const authorityField = () => bytes.slice(0, 3 + ((bytes[1] ?? 0) & 0x7f) + (bytes[2] ?? 0) * 128);
  const encode = (...parts: readonly number[][]) => Buffer.from(parts.flat()).toString('base64url');

  it('is read as it was made', async () => {
    expect((await decide(scheme, encode(bytes))).decision.granted).toBe(true);
  });

  it.each([
    ['two authority blocks', () => encode(authorityField(), bytes)],
    ['two proofs', () => encode(bytes, bytes.slice(authorityField().length))],
    ['no proof', () => encode(authorityField())],
    ['no authority block', () => encode(bytes.slice(authorityField().length))],
    ['two key ids', () => encode([8, 1, 8, 1], bytes)],
    ['a key id beyond 32 bits', () => encode([8, 0x80, 0x80, 0x80, 0x80, 0x10], bytes)],
    ['a key id without end', () => encode([8, 0xff, 0xff, 0xff, 0xff, 0xff, 1], bytes)],
    ['a key id as bytes', () => encode([10, 1, 1], bytes)],
    ['an unknown field', () => encode(bytes, [0x2a, 1, 0])],
    ['a group', () => encode([0x0b, 0x0c], bytes)],
    ['a length beyond its end', () => encode(bytes, [0x1a, 0x7f])],
    ['a length of 4 GiB', () => encode([0x1a, 0xff, 0xff, 0xff, 0xff, 0x0f], bytes)],
    ['half a tag', () => encode(bytes, [0x80])],
    ['the other base64', () => `${alice.slice(0, 40)}+${alice.slice(41)}`],
    ['a dot', () => `${alice}.`],
  ])('with %s is that of no biscuit', async (_, token) => {
    const { decision, detail } = await decide(scheme, token());
    expect(denied(decision).reason).toBe('invalid_credential');
    expect(detail).toBe('The token is no biscuit.');
  });

  it('cannot lose a block', async () => {
    const attenuated = Buffer.from(authority.attenuated(alice, 'check if false'), 'base64url');
    const first = authorityField();
    const length = attenuated[first.length + 1] ?? 0;
    expect(attenuated[first.length]).toBe(0x1a);
    // A length of two bytes.
    const skipped =
      length < 0x80 ? 2 + length : 3 + (length & 0x7f) + (attenuated[first.length + 2] ?? 0) * 128;
    const without = encode(first, [...attenuated.subarray(first.length + skipped)]);
    expect((await decide(scheme, without)).detail).toMatch(/^The token is not genuine: /);
  });

  it('cannot have another revocation id by another form of the same signature', async () => {
    // RFC 8032 §5.1.7: S must be below the order of the group, else S + L would do as well.
    const order = 2n ** 252n + 27742317777372353535851937790883648493n;
    const end = authorityField().length;
    const forged = Uint8Array.from(bytes);
    const little = (from: Uint8Array) => BigInt(`0x${Buffer.from(from).reverse().toString('hex')}`);
    const s = little(forged.subarray(end - 32, end)) + order;
    forged.set(Buffer.from(s.toString(16).padStart(64, '0'), 'hex').reverse(), end - 32);
    expect((await decide(scheme, encode([...forged]))).detail).toMatch(/^The token is not genuine: /);
  });

  it('holds one token', () => {
    expect(() => scheme.extract(authorization(`Bearer ${alice} ${alice}`))).toThrow(MalformedCredential);
    expect(() => scheme.extract(authorization(`Bearer ${alice}`, `Bearer ${alice}`))).toThrow(
      MalformedCredential,
    );
  });
});
