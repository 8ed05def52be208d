import { jwtBearer, tokenExchange, type TokenExchangeOptions } from '@a2a-auth/client';
import { AgentSecurity, oauth2FromIssuer, principalOf } from '@a2a-auth/server';
import { decodeJwt } from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';

import { bearer, sendMessage, startOAuthAgent, type OAuthAgent } from '../support/oauth/agent.js';
import {
  SECRET,
  startAuthorizationServer,
  TOKEN_TTL,
  type AuthorizationServer,
} from '../support/oauth/authorization-server.js';
import { logIn, oauthClient, serviceToken } from '../support/oauth/clients.js';
import { passTime, stopClock } from '../support/oauth/clock.js';
import { closeServersAfterTests } from '../support/oauth/servers.js';
import { JWT_BEARER, TOKEN_EXCHANGE } from '../support/oauth/token-exchange.js';
import { UserAgent } from '../support/oauth/user-agent.js';
import { failure, requestFor, scriptedServer, tokenAnswer, tokenOf } from './support.js';

closeServersAfterTests();
stopClock();

const first = 'https://first.example';
const lasting = 'https://lasting.example';
let server: AuthorizationServer;
let agent: OAuthAgent;

beforeAll(async () => {
  server = await startAuthorizationServer({
    tokenExchange: true,
    clients: [
      {
        client_id: 'first-agent',
        client_secret: SECRET,
        grant_types: [TOKEN_EXCHANGE, JWT_BEARER],
        redirect_uris: [],
        response_types: [],
      },
    ],
  });
  agent = await startOAuthAgent(async (context) => {
    const oauth = await oauth2FromIssuer({
      issuer: server.issuer,
      flows: ['clientCredentials'],
      scopes: { ask: 'Ask.', admin: 'Run.' },
      audience: context.resource,
    });
    return new AgentSecurity(context)
      .addSecurityScheme('token', oauth.clientCredentials)
      .addSecurityRequirement({ token: ['ask'] });
  });
  server.addResource(agent.resource);
  server.addResource(first);
  server.addResource(lasting, { accessTokenTTL: 10 * TOKEN_TTL });
});

async function personToken(login: string): Promise<string> {
  const client = await oauthClient(server, 'web');
  const tokens = await logIn(client, new UserAgent(), { login }, { scope: 'ask', resource: first });
  return tokens.access_token;
}

const exchanging = (subjectToken: () => string, changes: Partial<TokenExchangeOptions> = {}) =>
  tokenExchange({
    issuer: server.issuer,
    clientId: 'first-agent',
    clientSecret: SECRET,
    subjectToken,
    ...changes,
  });
const wanted = () => requestFor(agent.resource);

describe('tokenExchange', () => {
  it('gets a token of the person for the next agent, that says who acts', async () => {
    const token = await personToken('ada');
    const exchanged = await tokenOf(
      exchanging(() => token),
      wanted(),
    );
    expect(decodeJwt(exchanged)).toMatchObject({
      sub: 'ada',
      aud: agent.resource,
      scope: 'ask',
      act: { sub: 'first-agent' },
    });
    expect((await sendMessage(agent, bearer(exchanged))).status).toBe(200);
    expect(principalOf(agent.lastCall())).toMatchObject({ subject: 'ada' });
  });

  it('names another actor', async () => {
    const [token, actor] = [await personToken('ada'), await serviceToken(server, first)];
    const exchanged = await tokenOf(
      exchanging(() => token, { actorToken: () => actor }),
      wanted(),
    );
    expect(decodeJwt(exchanged).act).toEqual({ sub: 'service' });
  });

  it('exchanges each token once, and never gives one subject the token of another', async () => {
    const tokens = [await personToken('ada'), await personToken('bob')] as const;
    let current: string = tokens[0];
    const source = exchanging(() => current);
    const before = server.calls('/token');
    const ofAda = await Promise.all(Array.from({ length: 50 }, () => tokenOf(source, wanted())));
    current = tokens[1];
    const ofBob = await tokenOf(source, wanted());
    current = tokens[0];
    expect(await tokenOf(source, wanted())).toBe(ofAda[0]);
    expect(new Set(ofAda).size).toBe(1);
    expect(decodeJwt(ofBob).sub).toBe('bob');
    expect(server.calls('/token')).toBe(before + 2);
  });

  it('keeps the subjects of concurrent calls apart', async () => {
    const tokens = [await personToken('ada'), await personToken('bob')];
    let turn = 0;
    const source = exchanging(() => tokens[turn++ % 2] ?? '');
    const given = await Promise.all(Array.from({ length: 20 }, () => tokenOf(source, wanted())));
    expect(given.map((token) => decodeJwt(token).sub)).toEqual(
      Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? 'ada' : 'bob')),
    );
  });

  it('exchanges again before the exchanged token ends', async () => {
    const subject = await serviceToken(server, lasting);
    const source = exchanging(() => subject);
    const token = await tokenOf(source, wanted());
    passTime(TOKEN_TTL - 60);
    expect(await tokenOf(source, wanted())).toBe(token);
    passTime(40);
    expect(await tokenOf(source, wanted())).not.toBe(token);
  });

  it('cannot get more scopes than the subject has', async () => {
    const token = await personToken('ada');
    const source = exchanging(() => token);
    const error = await failure(tokenOf(source, { ...wanted(), scopes: ['admin'] }), token, SECRET);
    expect(error).toMatchObject({ code: 'TOKEN_REFUSED' });
  });

  it('says that a subject token is not good, without showing it', async () => {
    const error = await failure(
      tokenOf(
        exchanging(() => 'subject-token-1234'),
        wanted(),
      ),
      'subject-token',
    );
    expect(error).toMatchObject({ code: 'TOKEN_REFUSED' });
  });

  it('asks nobody when there is no subject', async () => {
    const before = server.calls('/token');
    expect(
      await failure(
        tokenOf(
          exchanging(() => ''),
          wanted(),
        ),
      ),
    ).toMatchObject({ code: 'LOGIN_REQUIRED' });
    expect(server.calls('/token')).toBe(before);
  });

  it.each([
    ['of another kind', { issued_token_type: 'urn:ietf:params:oauth:token-type:refresh_token' }],
    [
      'that is no access token',
      { issued_token_type: 'urn:ietf:params:oauth:token-type:access_token', token_type: 'N_A' },
    ],
    ['of no kind', {}],
  ])('refuses a token %s', async (_, changes) => {
    const scripted = await scriptedServer({
      '/token': tokenAnswer({ access_token: 'other-token', ...changes }),
    });
    const source = exchanging(() => 'subject', { issuer: scripted.url });
    expect(await failure(tokenOf(source, wanted()), 'other-token')).toMatchObject({ code: 'TOKEN_REFUSED' });
  });
});

describe('jwtBearer', () => {
  it('gets a token for the assertion of a caller', async () => {
    const token = await personToken('ada');
    const source = jwtBearer({
      issuer: server.issuer,
      clientId: 'first-agent',
      clientSecret: SECRET,
      assertion: () => Promise.resolve(token),
      tokenParameters: { requested_token_use: 'on_behalf_of' },
    });
    const given = await tokenOf(source, wanted());
    expect(decodeJwt(given)).toMatchObject({ sub: 'ada', aud: agent.resource });
    expect(await tokenOf(source, wanted())).toBe(given);
  });

  it('has its options checked', () => {
    const options = { issuer: server.issuer, clientId: 'a', clientSecret: 'b' };
    expect(() => jwtBearer({ ...options, assertion: 'text' as never })).toThrow(/assertion/);
    expect(() => tokenExchange({ ...options, subjectToken: 'text' as never })).toThrow(/subjectToken/);
  });
});
