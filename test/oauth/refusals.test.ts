import { createHash } from 'node:crypto';

import {
  AgentSecurity,
  httpBearer,
  jwtFromIssuer,
  oauth2AuthorizationCode,
  oauth2ClientCredentials,
  oauth2FromIssuer,
  openIdConnect,
  principalOf,
  type JwtFromIssuerOptions,
} from '@a2a-auth/server';
import { decodeJwt, decodeProtectedHeader, importJWK, SignJWT, type JWTPayload } from 'jose';
import { tokenRevocation } from 'openid-client';
import { beforeAll, describe, expect, it } from 'vitest';

import {
  bearer,
  dataOf,
  listTasks,
  sendMessage,
  startOAuthAgent,
  stateOf,
  type AgentContext,
  type OAuthAgent,
} from '../support/oauth/agent.js';
import {
  signingKey,
  startAuthorizationServer,
  TOKEN_TTL,
  type AuthorizationServer,
} from '../support/oauth/authorization-server.js';
import { logIn, oauthClient, serviceToken } from '../support/oauth/clients.js';
import { passTime, stopClock } from '../support/oauth/clock.js';
import { startIntrospectingAgent } from '../support/oauth/introspecting-agent.js';
import { closeServersAfterTests } from '../support/oauth/servers.js';
import { UserAgent } from '../support/oauth/user-agent.js';

closeServersAfterTests();
stopClock();

const providerKey = await signingKey();
let server: AuthorizationServer;

beforeAll(async () => {
  server = await startAuthorizationServer();
  server.publishKeys([providerKey]);
});

/** Takes JWT access tokens of the authorization server. */
async function jwtAgent(options: Partial<JwtFromIssuerOptions> = {}): Promise<OAuthAgent> {
  const agent = await startOAuthAgent((context) =>
    new AgentSecurity(context)
      .addSecurityScheme(
        'token',
        httpBearer({
          verifier: jwtFromIssuer({ issuer: server.issuer, audience: context.resource, ...options }),
        }),
      )
      .addSecurityRequirement({ token: ['ask'] }),
  );
  server.addResource(agent.resource);
  return agent;
}

/** Asks the authorization server about opaque tokens. */
const introspectingAgent = (maxAge: number, revoked?: (id: string) => boolean): Promise<OAuthAgent> =>
  startIntrospectingAgent(server, { cache: { maxAge }, revoked });

const expectRefusal = async (agent: OAuthAgent, token: string, detail: string) => {
  const answer = await listTasks(agent, bearer(token));
  expect(answer.status).toBe(401);
  expect(answer.challenge).toContain('error="invalid_token"');
  expect(agent.lastRefusal()).toContain(detail);
  // The caller learns that it failed, and not why.
  expect(JSON.stringify(answer.body)).not.toContain(detail);
};

const webLogin = async (agent: OAuthAgent, clientId = 'web') =>
  logIn(
    await oauthClient(server, clientId),
    new UserAgent(),
    { login: 'ada' },
    { scope: 'openid ask', resource: agent.resource },
  );

describe('a token that lacks a scope', () => {
  const scopes = { ask: 'Ask.', admin: 'Run.' };
  const demanding = async () => {
    const agent = await startOAuthAgent(async (context) => {
      const { clientCredentials } = await oauth2FromIssuer({
        issuer: server.issuer,
        flows: ['clientCredentials'],
        scopes,
        audience: context.resource,
      });
      return new AgentSecurity(context)
        .addSecurityScheme('service', clientCredentials)
        .addSecurityRequirement({ service: ['ask', 'admin'] });
    });
    server.addResource(agent.resource);
    return agent;
  };

  it('gets an auth-required task that names what is missing, and the challenge of RFC 6750 with it', async () => {
    const agent = await demanding();
    const answer = await sendMessage(agent, bearer(await serviceToken(server, agent.resource, 'ask')));
    expect(answer.status).toBe(200);
    expect(stateOf(answer)).toBe('TASK_STATE_AUTH_REQUIRED');
    expect(dataOf(answer)).toMatchObject({
      reason: 'insufficient_scope',
      missingScopes: ['admin'],
      alternatives: [{ service: ['ask', 'admin'] }],
    });
    expect(answer.challenge).toMatch(/^Bearer .*error="insufficient_scope", scope="ask admin"/);
  });

  it('gets 403 and Bearer error="insufficient_scope" for any other operation', async () => {
    const agent = await demanding();
    const answer = await listTasks(agent, bearer(await serviceToken(server, agent.resource, 'ask')));
    expect(answer.status).toBe(403);
    expect(answer.challenge).toMatch(/^Bearer .*error="insufficient_scope", scope="ask admin"/);
  });

  it('is let in once it has both', async () => {
    const agent = await demanding();
    const token = await serviceToken(server, agent.resource, 'ask admin');
    expect(stateOf(await sendMessage(agent, bearer(token)))).toBe('TASK_STATE_COMPLETED');
  });
});

describe('a token of the right issuer that is not for this', () => {
  it('is refused when it is for another resource', async () => {
    const [agent, other] = [await jwtAgent(), await jwtAgent()];
    const token = await serviceToken(server, other.resource);
    expect((await listTasks(other, bearer(token))).status).toBe(200);
    await expectRefusal(agent, token, 'which does not name this agent');
  });

  it('is refused when it is for another resource, and opaque', async () => {
    const [agent, other] = [await introspectingAgent(30), await introspectingAgent(30)];
    const token = await serviceToken(server, other.resource);
    expect((await listTasks(other, bearer(token))).status).toBe(200);
    await expectRefusal(agent, token, 'which does not name this agent');
  });

  it('is refused when it is an ID token, by its type', async () => {
    const agent = await jwtAgent();
    const { id_token: idToken = '' } = await webLogin(agent);
    await expectRefusal(agent, idToken, 'instead of at+jwt');
  });

  it('is refused when it is an ID token, also where any JWT is an access token', async () => {
    const agent = await jwtAgent({ anyJwt: true, audience: 'web' });
    const { id_token: idToken = '' } = await webLogin(agent);
    expect(decodeJwt(idToken).aud).toBe('web');
    await expectRefusal(agent, idToken, 'it is an ID token, which is no access token');
  });

  it('is refused when it is a refresh token', async () => {
    const agent = await jwtAgent();
    const { refresh_token: refreshToken = '' } = await webLogin(agent);
    await expectRefusal(agent, refreshToken, 'it is not a JWT');
  });

  it('is refused when it is a refresh token, though introspection says that it is active', async () => {
    const agent = await introspectingAgent(30);
    const { access_token: token, refresh_token: refreshToken = '' } = await webLogin(agent);
    expect((await listTasks(agent, bearer(token))).status).toBe(200);
    await expectRefusal(agent, refreshToken, 'which does not name this agent');
  });

  it('is refused when it is opaque and a JWT is wanted', async () => {
    const agent = await jwtAgent();
    server.addResource(agent.resource, { accessTokenFormat: 'opaque', jwt: undefined });
    await expectRefusal(agent, await serviceToken(server, agent.resource), 'it is not a JWT');
  });

  it('is refused when it is a JWT and introspection knows no such token', async () => {
    const agent = await introspectingAgent(30);
    server.addResource(agent.resource);
    await expectRefusal(agent, await serviceToken(server, agent.resource), 'not active');
  });
});

describe('an ID token', () => {
  /** The OAuth client of the agent is `web`. */
  const oidcAgent = () =>
    startOAuthAgent((context) =>
      new AgentSecurity(context)
        .addSecurityScheme(
          'login',
          openIdConnect({
            openIdConnectUrl: `${server.issuer}/.well-known/openid-configuration`,
            verifier: jwtFromIssuer({ issuer: server.issuer, audience: 'web', accept: 'id_token' }),
          }),
        )
        .addSecurityRequirement({ login: [] }),
    );
  const target = () => jwtAgent();

  it('is accepted where a scheme says so, for its own client', async () => {
    const agent = await oidcAgent();
    const { id_token: idToken = '' } = await webLogin(await target());
    expect(stateOf(await sendMessage(agent, bearer(idToken)))).toBe('TASK_STATE_COMPLETED');
    expect(principalOf(agent.lastCall())).toMatchObject({
      id: `${server.issuer}|ada`,
      subject: 'ada',
      schemeId: 'login',
      scopes: [],
      claims: { aud: 'web' },
    });
  });

  it('is refused when it was issued to another client', async () => {
    const agent = await oidcAgent();
    const { id_token: idToken = '' } = await webLogin(await target(), 'other-web');
    await expectRefusal(agent, idToken, 'which does not name this agent');
  });

  it('takes the place of the access token, which is refused there', async () => {
    const agent = await oidcAgent();
    const { access_token: token } = await webLogin(await target());
    await expectRefusal(agent, token, 'which is no ID token');
  });

  describe('OpenID Connect Core §3.1.3.7', () => {
    /** As the authorization server issued it, but with other claims, signed with its key. */
    const issuedAgain = async (changes: JWTPayload) => {
      const { id_token: idToken = '' } = await webLogin(await target());
      const { alg = '', kid = '' } = decodeProtectedHeader(idToken);
      return new SignJWT({ ...decodeJwt(idToken), ...changes })
        .setProtectedHeader({ alg, kid })
        .sign(await importJWK(providerKey, alg));
    };

    it.each([
      ['the client as its azp', { azp: 'web' }],
      ['several audiences, and the client as its azp', { aud: ['web', 'other-web'], azp: 'web' }],
    ])('accepts one with %s', async (_name, changes) => {
      const agent = await oidcAgent();
      expect((await listTasks(agent, bearer(await issuedAgain(changes)))).status).toBe(200);
    });

    it.each([
      ['another azp', { azp: 'other-web' }, 'its "azp" is another client'],
      ['several audiences and no azp', { aud: ['web', 'other-web'] }, 'several "aud" and no "azp"'],
      [
        'several audiences and another azp',
        { aud: ['web', 'other-web'], azp: 'other-web' },
        'its "azp" is another client',
      ],
    ])('refuses one with %s', async (_name, changes, detail) => {
      await expectRefusal(await oidcAgent(), await issuedAgain(changes), detail);
    });
  });
});

describe('a token that has ended', () => {
  it('is refused as soon as its exp and the tolerated difference of clocks are over', async () => {
    const agent = await jwtAgent();
    const token = await serviceToken(server, agent.resource);
    passTime(TOKEN_TTL + 3);
    expect((await listTasks(agent, bearer(token))).status).toBe(200);
    passTime(3);
    await expectRefusal(agent, token, 'The token has ended.');
  });

  it('is refused though it was good a moment ago, and remembered for longer than it lives', async () => {
    const agent = await jwtAgent({ cache: { maxAge: 10 * TOKEN_TTL } });
    const token = await serviceToken(server, agent.resource);
    expect((await listTasks(agent, bearer(token))).status).toBe(200);
    passTime(TOKEN_TTL + 6);
    await expectRefusal(agent, token, 'The token has ended.');
  });
});

describe('a token that was revoked at the authorization server (RFC 7009)', () => {
  const revoke = async (token: string) => tokenRevocation(await oauthClient(server, 'service'), token);

  it('is refused after at most the time for which answers are remembered', async () => {
    const agent = await introspectingAgent(30);
    const token = await serviceToken(server, agent.resource);
    expect((await listTasks(agent, bearer(token))).status).toBe(200);
    await revoke(token);
    passTime(30);
    await expectRefusal(agent, token, 'not active');
  });

  it('is refused at once when nothing is remembered of it', async () => {
    const agent = await introspectingAgent(30);
    const token = await serviceToken(server, agent.resource);
    await revoke(token);
    await expectRefusal(agent, token, 'not active');
  });

  it('is refused at once by the revoked hook, which is asked by the digest of an opaque token', async () => {
    const revokedIds = new Set<string>();
    const agent = await introspectingAgent(30, (tokenId) => revokedIds.has(tokenId));
    const token = await serviceToken(server, agent.resource);
    expect((await listTasks(agent, bearer(token))).status).toBe(200);

    revokedIds.add(createHash('sha256').update(token).digest('base64url'));
    await expectRefusal(agent, token, 'The token is revoked.');
  });

  it('is refused at once by the revoked hook, which is asked by jti', async () => {
    const revokedIds = new Set<unknown>();
    const agent = await jwtAgent({ revoked: (tokenId) => revokedIds.has(tokenId) });
    const [token, other] = [
      await serviceToken(server, agent.resource),
      await serviceToken(server, agent.resource),
    ];
    expect((await listTasks(agent, bearer(token))).status).toBe(200);

    revokedIds.add(decodeJwt(token).jti);
    await expectRefusal(agent, token, 'The token is revoked.');
    expect((await listTasks(agent, bearer(other))).status).toBe(200);
  });
});

describe('schemes declared by hand', () => {
  const byHand = (context: AgentContext) => {
    const common = {
      tokenUrl: `${server.issuer}/token`,
      scopes: { ask: 'Ask.' },
      verifier: jwtFromIssuer({ issuer: server.issuer, audience: context.resource }),
    };
    return new AgentSecurity(context)
      .addSecurityScheme('service', oauth2ClientCredentials(common))
      .addSecurityScheme(
        'person',
        oauth2AuthorizationCode({ ...common, authorizationUrl: `${server.issuer}/auth` }),
      )
      .addSecurityRequirement({ person: ['ask'] })
      .addSecurityRequirement({ service: ['ask'] });
  };

  it('take the same tokens', async () => {
    const agent = await startOAuthAgent(byHand);
    server.addResource(agent.resource);
    const { access_token: token } = await webLogin(agent);
    for (const good of [token, await serviceToken(server, agent.resource)]) {
      expect((await listTasks(agent, bearer(good))).status).toBe(200);
    }
    expect((await listTasks(agent, {})).challenge).toMatch(/^Bearer realm="a2a", scope="ask"/);
  });
});
