import {
  AgentSecurity,
  httpBearer,
  introspection,
  jwtFromIssuer,
  oauth2FromIssuer,
  openIdConnect,
  type StepUp,
} from '@a2a-auth/server';
import { decodeJwt } from 'jose';
import { fetchProtectedResource, WWWAuthenticateChallengeError, type Configuration } from 'openid-client';
import { beforeAll, describe, expect, it } from 'vitest';

import {
  bearer,
  dataOf,
  listTasks,
  rawCall,
  readAnswer,
  sendMessage,
  startOAuthAgent,
  stateOf,
  type OAuthAgent,
} from '../support/oauth/agent.js';
import {
  PASSWORD,
  SECRET,
  SECOND_FACTOR,
  startAuthorizationServer,
  type AuthorizationServer,
} from '../support/oauth/authorization-server.js';
import { logIn, oauthClient, serviceToken } from '../support/oauth/clients.js';
import { passTime, stopClock } from '../support/oauth/clock.js';
import { closeServersAfterTests } from '../support/oauth/servers.js';
import { UserAgent } from '../support/oauth/user-agent.js';

closeServersAfterTests();
stopClock();

let server: AuthorizationServer;
let web: Configuration;

beforeAll(async () => {
  server = await startAuthorizationServer();
  web = await oauthClient(server, 'web');
});

/** @param stepUp asked for where the scope is `admin` */
async function startAgent(stepUp?: StepUp): Promise<OAuthAgent> {
  const agent = await startOAuthAgent(async (context) => {
    const oauth = await oauth2FromIssuer({
      issuer: server.issuer,
      flows: ['authorizationCode'],
      scopes: { ask: 'Ask.', admin: 'Run.' },
      audience: context.resource,
    });
    return new AgentSecurity(context)
      .addSecurityScheme('person', oauth.authorizationCode)
      .addSecurityRequirement({ person: [stepUp === undefined ? 'ask' : 'admin'] }, stepUp);
  });
  server.addResource(agent.resource);
  return agent;
}

describe('the protected resource metadata (RFC 9728)', () => {
  it('is at the address that the path of the agent goes into', async () => {
    const agent = await startAgent();
    const response = await fetch(`${agent.url}/.well-known/oauth-protected-resource/a2a`);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toContain('application/json');
    expect(await response.json()).toEqual({
      resource: agent.resource,
      authorization_servers: [server.issuer],
      scopes_supported: ['ask', 'admin'],
      bearer_methods_supported: ['header'],
    });
  });

  it.each(['/.well-known/oauth-protected-resource', '/.well-known/oauth-protected-resource/a2a/jsonrpc'])(
    'is not at %s',
    async (path) => {
      const agent = await startAgent();
      expect((await fetch(`${agent.url}${path}`)).status).toBe(404);
    },
  );

  it('is where the challenge says, with a 401 as with an auth-required task', async () => {
    const agent = await startAgent();
    for (const answer of [await listTasks(agent, {}), await sendMessage(agent, {})]) {
      const [, address = ''] = /resource_metadata="([^"]*)"/.exec(answer.challenge ?? '') ?? [];
      const metadata = (await (await fetch(address)).json()) as { resource: string };
      expect(metadata.resource).toBe(agent.resource);
    }
  });

  it('leads a client that knows the agent alone to a token', async () => {
    const agent = await startAgent();
    const { challenge } = await listTasks(agent, {});
    const [, address = ''] = /resource_metadata="([^"]*)"/.exec(challenge ?? '') ?? [];
    const [, scope = ''] = /scope="([^"]*)"/.exec(challenge ?? '') ?? [];
    const metadata = (await (await fetch(address)).json()) as {
      resource: string;
      authorization_servers: [string];
    };
    const [issuer] = metadata.authorization_servers;
    const token = await serviceToken({ issuer }, metadata.resource, scope);
    expect((await listTasks(agent, bearer(token))).status).toBe(200);
  });

  it('names each authorization server once, and those of enforced schemes alone', async () => {
    const other = await startAuthorizationServer();
    const agent = await startOAuthAgent((context) => {
      const scheme = (issuer: string) =>
        openIdConnect({
          openIdConnectUrl: `${issuer}/.well-known/openid-configuration`,
          verifier: jwtFromIssuer({ issuer: [issuer, server.issuer], audience: context.resource }),
        });
      return new AgentSecurity(context)
        .addSecurityScheme('login', scheme(other.issuer))
        .addSecurityScheme('unused', scheme('https://unused.example'))
        .addSecurityRequirement({ login: [] });
    });
    const response = await fetch(`${agent.url}/.well-known/oauth-protected-resource/a2a`);
    expect(await response.json()).toMatchObject({ authorization_servers: [other.issuer, server.issuer] });
  });
});

describe('a requirement that asks for a stronger or fresher login (RFC 9470)', () => {
  /** What the client does when it is told to: it asks for just that, in the same browser. */
  const parametersOf = (refusal: WWWAuthenticateChallengeError) => {
    const parameters: Readonly<Record<string, string | undefined>> = { ...refusal.cause[0]?.parameters };
    expect(parameters).toMatchObject({ error: 'insufficient_user_authentication' });
    const asked = ['acr_values', 'max_age', 'scope'].flatMap((name) => {
      const value = parameters[name];
      return value === undefined ? [] : [[name, value]];
    });
    return Object.fromEntries(asked) as Record<string, string>;
  };
  const present = async (agent: OAuthAgent, token: string) => {
    const { body, headers } = rawCall('SendMessage');
    const url = new URL(agent.jsonRpcUrl);
    return readAnswer(await fetchProtectedResource(web, token, url, 'POST', body, new Headers(headers)));
  };
  const refusalOf = async (agent: OAuthAgent, token: string) => {
    const refusal: unknown = await present(agent, token).catch((error: unknown) => error);
    if (!(refusal instanceof WWWAuthenticateChallengeError)) throw new Error('The call was not refused.');
    return refusal;
  };
  const login = (
    agent: OAuthAgent,
    browser: UserAgent,
    { scope = 'admin', ...parameters }: Record<string, string> = {},
  ) =>
    logIn(
      web,
      browser,
      { login: 'ada' },
      // How a person authenticates is OpenID Connect's to ask for.
      { ...parameters, scope: `openid ${scope}`, resource: agent.resource },
    );

  it('grants a login that is fresh enough, and refuses it later with max_age', async () => {
    const agent = await startAgent({ maxAge: 300 });
    const browser = new UserAgent();
    const { access_token: token } = await login(agent, browser);
    expect(stateOf(await present(agent, token))).toBe('TASK_STATE_COMPLETED');

    passTime(301);
    const answer = await listTasks(agent, bearer(token));
    expect(answer.status).toBe(401);
    expect(answer.challenge).toMatch(
      /^Bearer .*error="insufficient_user_authentication", scope="admin", max_age="300"/,
    );
    expect(answer.challenge).not.toContain('acr_values');
  });

  it('grants the fresh login that it asked for', async () => {
    const agent = await startAgent({ maxAge: 300 });
    const browser = new UserAgent();
    const { access_token: token } = await login(agent, browser);
    passTime(301);
    // Without being told, the authorization server would not ask the person to log in again.
    const { access_token: unasked } = await login(agent, browser);
    expect(decodeJwt(unasked).auth_time).toBe(decodeJwt(token).auth_time);

    const asked = parametersOf(await refusalOf(agent, unasked));
    expect(asked).toEqual({ max_age: '300', scope: 'admin' });
    const { access_token: fresh } = await login(agent, browser, asked);
    expect(stateOf(await present(agent, fresh))).toBe('TASK_STATE_COMPLETED');
  });

  it('refuses a weak login with acr_values, and grants the strong one that it asked for', async () => {
    const agent = await startAgent({ acrValues: [SECOND_FACTOR, 'urn:example:passkey'] });
    const browser = new UserAgent();
    const { access_token: weak } = await login(agent, browser);
    expect(decodeJwt(weak).acr).toBe(PASSWORD);
    const asked = parametersOf(await refusalOf(agent, weak));
    expect(asked).toEqual({ acr_values: `${SECOND_FACTOR} urn:example:passkey`, scope: 'admin' });

    const { access_token: strong } = await login(agent, browser, { ...asked, prompt: 'login' });
    expect(decodeJwt(strong).acr).toBe(SECOND_FACTOR);
    expect(stateOf(await present(agent, strong))).toBe('TASK_STATE_COMPLETED');
  });

  it('asks for both at once when both are needed', async () => {
    const agent = await startAgent({ acrValues: [SECOND_FACTOR], maxAge: 60 });
    const browser = new UserAgent();
    const { access_token: strong } = await login(agent, browser, { acr_values: SECOND_FACTOR });
    passTime(61);
    const asked = parametersOf(await refusalOf(agent, strong));
    expect(asked).toEqual({ acr_values: SECOND_FACTOR, max_age: '60', scope: 'admin' });
    const { access_token: fresh } = await login(agent, browser, asked);
    expect((await listTasks(agent, bearer(fresh))).status).toBe(200);
  });

  it('says so in the auth-required task', async () => {
    const agent = await startAgent({ acrValues: [SECOND_FACTOR] });
    const { access_token: weak } = await login(agent, new UserAgent());
    const answer = await sendMessage(agent, bearer(weak));
    expect(stateOf(answer)).toBe('TASK_STATE_AUTH_REQUIRED');
    expect(dataOf(answer)).toMatchObject({ reason: 'insufficient_authentication', missingScopes: [] });
  });

  it('names a missing scope first, which a login alone would not bring', async () => {
    const agent = await startAgent({ acrValues: [SECOND_FACTOR] });
    const { access_token: weak } = await login(agent, new UserAgent(), { scope: 'ask' });
    const answer = await listTasks(agent, bearer(weak));
    expect(answer.status).toBe(403);
    expect(answer.challenge).toContain('error="insufficient_scope"');
  });

  it('is held against opaque tokens as well, by what introspection says', async () => {
    const agent = await startOAuthAgent((context) =>
      new AgentSecurity(context)
        .addSecurityScheme(
          'person',
          httpBearer({
            verifier: introspection({
              issuer: server.issuer,
              audience: context.resource,
              clientId: 'agent',
              clientAuthentication: { method: 'client_secret_basic', clientSecret: SECRET },
              // What is remembered of a token grows old with it.
              cache: { maxAge: 3600 },
            }),
          }),
        )
        .addSecurityRequirement({ person: ['admin'] }, { acrValues: [SECOND_FACTOR], maxAge: 300 }),
    );
    server.addResource(agent.resource, { accessTokenFormat: 'opaque', jwt: undefined });
    const browser = new UserAgent();
    const { access_token: weak } = await login(agent, browser);
    const asked = parametersOf(await refusalOf(agent, weak));
    const { access_token: strong } = await login(agent, browser, { ...asked, prompt: 'login' });
    expect((await listTasks(agent, bearer(strong))).status).toBe(200);
    passTime(301);
    expect((await listTasks(agent, bearer(strong))).challenge).toContain('max_age="300"');
  });

  it('refuses a token that does not say how its bearer authenticated', async () => {
    const agent = await startAgent({ maxAge: 300 });
    const token = await serviceToken(server, agent.resource, 'admin');
    const answer = await listTasks(agent, bearer(token));
    expect(answer.status).toBe(401);
    expect(answer.challenge).toContain('error="insufficient_user_authentication"');
  });
});
