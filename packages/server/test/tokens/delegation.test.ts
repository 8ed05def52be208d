import { jwt, type Actor, type DelegationOptions } from '@a2a-auth/server';
import { describe, expect, it } from 'vitest';

import { authRequest } from '../support/auth-request.js';
import { AUDIENCE, ISSUER, SECRET, token } from '../support/token.js';

const context = { schemeId: 'it', request: authRequest(), resource: undefined };

const verifierOf = (options: DelegationOptions = {}) =>
  jwt({ issuer: ISSUER, audience: AUDIENCE, secret: SECRET, ...options });
const verify = async (claims: Record<string, unknown>, options?: DelegationOptions) =>
  verifierOf(options).verify(token(claims), context);

/** The first acts now, and the others acted before. */
const actors = (...subjects: string[]): unknown =>
  subjects.reduceRight<unknown>(
    (behind, sub) => ({ sub, ...(behind === undefined ? {} : { act: behind }) }),
    undefined,
  );

const accepted = expect.objectContaining({ verified: true }) as unknown;
const refused = expect.objectContaining({ verified: false, reason: 'invalid' }) as unknown;

describe('a token by which one party acts for another', () => {
  it('names the chain of actors, the nearest first', async () => {
    expect(await verify({ act: { sub: 'agent-b', iss: ISSUER, act: { sub: 'agent-a' } } })).toMatchObject({
      verified: true,
      principal: {
        subject: 'alice',
        actor: { subject: 'agent-b', issuer: ISSUER, actor: { subject: 'agent-a' } },
      },
    });
  });

  it('may name an actor by its client id', async () => {
    expect(await verify({ act: { client_id: 'agent-a' } })).toMatchObject({
      principal: { actor: { subject: 'agent-a' } },
    });
  });

  it('has no actor when nobody acts', async () => {
    expect(await verify({})).toMatchObject({ principal: { actor: undefined } });
  });

  it.each<[string, unknown]>([
    ['a string', 'agent-a'],
    ['null', null],
    ['an empty object', {}],
    ['a list', [{ sub: 'agent-a' }]],
    ['an actor without a name', { sub: '' }],
    ['an actor whose name is a number', { sub: 1 }],
    ['an actor whose issuer is no string', { sub: 'agent-a', iss: {} }],
    ['an actor behind which there is none', { sub: 'agent-b', act: {} }],
  ])('is refused when its act is %s', async (_, act) => {
    expect(await verify({ act })).toEqual(refused);
  });
});

describe('maxDelegationDepth', () => {
  it.each([
    [4, undefined, accepted],
    [5, undefined, refused],
    [1, 1, accepted],
    [2, 1, refused],
    [1, 0, refused],
  ])('a chain of %i actors, where %s are the most', async (length, maxDelegationDepth, expected) => {
    const act = actors(...Array.from({ length }, (_, index) => `agent-${String(index)}`));
    expect(await verify({ act }, { maxDelegationDepth })).toEqual(expected);
  });

  it('of 0 lets plain tokens through', async () => {
    expect(await verify({}, { maxDelegationDepth: 0 })).toEqual(accepted);
  });
});

describe('allowedActors', () => {
  it('accepts the ones named, and asks of the nearest alone', async () => {
    const options = { allowedActors: ['agent-a'] };
    expect(await verify({ act: actors('agent-a', 'agent-z') }, options)).toEqual(accepted);
    expect(await verify({ act: actors('agent-z', 'agent-a') }, options)).toEqual(refused);
  });

  it('names actors of the issuer of the token: one of the same name elsewhere is another', async () => {
    const options = { allowedActors: ['agent-a'] };
    expect(await verify({ act: { sub: 'agent-a', iss: ISSUER } }, options)).toEqual(accepted);
    expect(await verify({ act: { sub: 'agent-a', iss: 'https://other.example' } }, options)).toEqual(refused);
  });

  it('does not concern tokens by which nobody acts', async () => {
    expect(await verify({}, { allowedActors: [] })).toEqual(accepted);
  });

  it('may be a function, of which only true is a yes', async () => {
    const isAgentA = ({ subject }: Actor) => subject === 'agent-a';
    expect(await verify({ act: actors('agent-a') }, { allowedActors: isAgentA })).toEqual(accepted);
    expect(await verify({ act: actors('agent-z') }, { allowedActors: isAgentA })).toEqual(refused);
    const always = (() => Promise.resolve(true)) as unknown as () => boolean;
    expect(await verify({ act: actors('agent-z') }, { allowedActors: always })).toEqual(refused);
  });
});

describe('may_act', () => {
  it.each<[string, unknown, unknown]>([
    ['the actor', { sub: 'agent-a' }, accepted],
    ['the actor and its issuer', { sub: 'agent-a', iss: ISSUER }, accepted],
    ['another actor', { sub: 'agent-b' }, refused],
    ['the actor of another issuer', { sub: 'agent-a', iss: 'https://other.example' }, refused],
    ['nothing', {}, refused],
    ['something that is no object', 'agent-a', refused],
    ['something that is no string', { sub: { sub: 'agent-a' } }, refused],
  ])('that names %s', async (_, condition, expected) => {
    expect(await verify({ act: { sub: 'agent-a' }, may_act: condition })).toEqual(expected);
  });

  it('says nothing about a token by which nobody acts', async () => {
    expect(await verify({ may_act: { sub: 'agent-b' } })).toEqual(accepted);
  });
});

it.each<[string, unknown]>([
  ['a negative depth', { maxDelegationDepth: -1 }],
  ['a depth that is no integer', { maxDelegationDepth: 1.5 }],
  ['actors that are no list', { allowedActors: 'agent-a' }],
  ['actors that are no strings', { allowedActors: [1] }],
])('%s is a configuration error', (_, options) => {
  expect(() => verifierOf(options as DelegationOptions)).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringContaining('jwt()') as unknown }),
  );
});
