import { TaskState } from '@a2a-js/sdk';
import { AgentSecurity, callerCredential, oauth2FromIssuer, principalOf } from '@a2a-auth/server';
import { refreshTokenGrant, type Configuration } from 'openid-client';
import { beforeAll, describe, expect, it } from 'vitest';

import { connect, sendForTask } from '../support/client.js';
import { bearer, listTasks, startOAuthAgent, type OAuthAgent } from '../support/oauth/agent.js';
import {
  PASSWORD,
  startAuthorizationServer,
  TOKEN_TTL,
  type AuthorizationServer,
} from '../support/oauth/authorization-server.js';
import { logIn, logInOnDevice, oauthClient, serviceToken, type Tokens } from '../support/oauth/clients.js';
import { closeServersAfterTests } from '../support/oauth/servers.js';
import { UserAgent } from '../support/oauth/user-agent.js';

closeServersAfterTests();

let server: AuthorizationServer;
let agent: OAuthAgent;

beforeAll(async () => {
  server = await startAuthorizationServer();
  agent = await startOAuthAgent(async (context) => {
    const oauth = await oauth2FromIssuer({
      issuer: server.issuer,
      flows: ['clientCredentials', 'authorizationCode', 'deviceCode'],
      scopes: { ask: 'Ask the agent.', admin: 'Run the agent.' },
      audience: context.resource,
    });
    return new AgentSecurity(context)
      .addSecurityScheme('service', oauth.clientCredentials)
      .addSecurityScheme('person', oauth.authorizationCode)
      .addSecurityScheme('device', oauth.deviceCode)
      .addSecurityRequirement({ service: ['ask'] });
  });
  server.addResource(agent.resource);
});

/** The official client sends a message with this token, and the executor sees who calls. */
async function callerWith(token: string) {
  const client = await connect(agent.url, { binding: 'JSONRPC', version: '1.0' }, bearer(token));
  const task = await sendForTask(client, 'hello');
  expect(task.status?.state).toBe(TaskState.TASK_STATE_COMPLETED);
  const context = agent.lastCall();
  expect(callerCredential(context, 'service')).toBe(token);
  return principalOf(context);
}

const inSeconds = (milliseconds: number | undefined) => (milliseconds ?? Number.NaN) / 1000;

describe('client credentials', () => {
  it('let the client in as itself', async () => {
    const before = Date.now();
    const principal = await callerWith(await serviceToken(server, agent.resource));
    expect(principal).toMatchObject({
      id: `${server.issuer}|service`,
      subject: 'service',
      issuer: server.issuer,
      schemeId: 'service',
      clientId: 'service',
      scopes: ['ask'],
      claims: { iss: server.issuer, aud: agent.resource, client_id: 'service', scope: 'ask' },
    });
    const { exp } = principal.claims;
    // The verifier lets clocks differ by five seconds.
    expect(inSeconds(principal.expiresAt)).toBe((exp as number) + 5);
    expect(exp).toBeGreaterThanOrEqual(Math.floor(before / 1000) + TOKEN_TTL);
    expect(principal.authenticatedAt).toBeGreaterThanOrEqual(before);
  });
});

describe.each<{ flow: string; clientId: string; login: (client: Configuration) => Promise<Tokens> }>([
  {
    flow: 'the authorization code flow with PKCE',
    clientId: 'web',
    login: (client) =>
      logIn(client, new UserAgent(), { login: 'ada' }, { scope: 'openid ask', resource: agent.resource }),
  },
  {
    flow: 'the device flow',
    clientId: 'terminal',
    login: (client) =>
      logInOnDevice(client, new UserAgent(), { login: 'ada' }, { scope: 'ask', resource: agent.resource }),
  },
])('$flow', ({ clientId, login }) => {
  it('lets the person in who logged in and consented', async () => {
    const tokens = await login(await oauthClient(server, clientId));
    const principal = await callerWith(tokens.access_token);
    expect(principal).toMatchObject({
      id: `${server.issuer}|ada`,
      subject: 'ada',
      issuer: server.issuer,
      clientId,
      scopes: ['ask'],
      claims: { aud: agent.resource, client_id: clientId, acr: PASSWORD },
    });
    expect(typeof principal.claims.auth_time).toBe('number');
    expect(inSeconds(principal.expiresAt)).toBe((principal.claims.exp as number) + 5);
  });

  it('gives a refresh token, which gives a new token that works', async () => {
    const client = await oauthClient(server, clientId);
    const tokens = await login(client);
    const refreshed = await refreshTokenGrant(client, tokens.refresh_token ?? '');
    expect(refreshed.access_token).not.toBe(tokens.access_token);

    const principal = await callerWith(refreshed.access_token);
    expect(principal).toMatchObject({ id: `${server.issuer}|ada`, clientId, scopes: ['ask'] });
    // The token from before goes on until it ends.
    expect((await listTasks(agent, bearer(tokens.access_token))).status).toBe(200);
  });
});

it('asks for the consent that was not given yet, and not again', async () => {
  const client = await oauthClient(server, 'web');
  const browser = new UserAgent();
  const first = await logIn(client, browser, { login: 'bob' }, { scope: 'ask', resource: agent.resource });
  const second = await logIn(client, browser, { login: 'bob' }, { scope: 'admin', resource: agent.resource });
  expect((await callerWith(first.access_token)).scopes).toEqual(['ask']);
  expect((await listTasks(agent, bearer(second.access_token))).status).toBe(403);
});
