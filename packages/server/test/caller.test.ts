import { callerCredential, NotAuthenticated, principalOf, principalsOf } from '@a2a-auth/server';
import { SendMessageRequest } from '@a2a-js/sdk';
import { RequestContext, ServerCallContext, UnauthenticatedUser } from '@a2a-js/sdk/server';
import { describe, expect, it } from 'vitest';

import { CallerUser } from '../src/caller.js';
import { contextOf, headerScheme, securityOf } from './support/agent.js';
import { authRequest } from './support/auth-request.js';

const security = securityOf({ tenant: headerScheme('x-tenant'), user: headerScheme('x-user') }, [
  { tenant: [], user: [] },
]);
const decide = (header: Record<string, string> = {}) => security.authenticate(authRequest({ header }));
const both = { 'x-tenant': 'acme', 'x-user': 'alice', 'x-other': 'x' };

/** What an executor gets. */
const requestContext = (context: ServerCallContext) =>
  new RequestContext(
    SendMessageRequest.fromJSON({ message: { messageId: 'm1' } }),
    'task',
    'context',
    context,
  );

describe('within a granted call', () => {
  it.each([
    ['the executor', async () => requestContext(contextOf(await decide(both)))],
    ['whoever has the call context', async () => contextOf(await decide(both))],
  ])('%s learns who calls, and all who vouch', async (_who, contextIn) => {
    const context = await contextIn();
    expect(principalOf(context).id).toBe('scheme:tenant|acme');
    expect([...principalsOf(context)].map(([id, principal]) => [id, principal.subject])).toEqual([
      ['tenant', 'acme'],
      ['user', 'alice'],
    ]);
  });

  it('the credential of each scheme is to be had, by its id', async () => {
    const context = contextOf(await decide(both));
    expect(callerCredential(context, 'user')).toBe('alice');
    expect(callerCredential(context, 'tenant')).toBe('acme');
  });

  it.each(['other', '__proto__', 'constructor', ''])('there is no credential of %j', async (schemeId) => {
    expect(callerCredential(contextOf(await decide(both)), schemeId)).toBeUndefined();
  });
});

describe.each([
  ['no user', () => Promise.resolve(new ServerCallContext())],
  [
    "the SDK's unauthenticated user",
    () => Promise.resolve(new ServerCallContext({ user: new UnauthenticatedUser() })),
  ],
  [
    'a hand-made user',
    () => Promise.resolve(new ServerCallContext({ user: { isAuthenticated: true, userName: 'alice' } })),
  ],
  ['a denied user', async () => contextOf(await decide())],
])('within a call of %s', (_who, contextIn) => {
  it('asking for the caller throws NotAuthenticated', async () => {
    const context = await contextIn();
    for (const ask of [principalOf, principalsOf, (of: ServerCallContext) => callerCredential(of, 'user')]) {
      expect(() => ask(context)).toThrow(NotAuthenticated);
      expect(() => ask(context)).toThrow(expect.objectContaining({ code: 'NOT_AUTHENTICATED' }));
    }
  });
});

describe("the SDK's user", () => {
  it('of a grant is named by the principal, so that tasks are scoped by it', async () => {
    const user = new CallerUser(await decide(both));
    expect([user.isAuthenticated, user.userName]).toEqual([true, 'scheme:tenant|acme']);
  });

  it('of a denial is nobody', async () => {
    const user = new CallerUser(await decide());
    expect([user.isAuthenticated, user.userName]).toEqual([false, '']);
  });

  it('of an anonymous grant is not authenticated', async () => {
    const user = new CallerUser(await securityOf({}, [{}]).authenticate(authRequest()));
    expect([user.isAuthenticated, user.userName]).toEqual([false, 'anonymous']);
  });
});
