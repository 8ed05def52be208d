import {
  AgentSecurity,
  dpop,
  httpBearer,
  jwtFromIssuer,
  oauth2FromIssuer,
  principalOf,
  type DpopOptions,
} from '@a2a-auth/server';
import {
  clientCredentialsGrant,
  fetchProtectedResource,
  refreshTokenGrant,
  WWWAuthenticateChallengeError,
  type Configuration,
  type DPoPHandle,
} from 'openid-client';
import { beforeAll, describe, expect, it } from 'vitest';

import {
  bearer,
  listTasks,
  rawCall,
  readAnswer,
  sendMessage,
  startOAuthAgent,
  stateOf,
  type OAuthAgent,
} from '../support/oauth/agent.js';
import {
  startAuthorizationServer,
  TOKEN_TTL,
  type AuthorizationServer,
} from '../support/oauth/authorization-server.js';
import { logIn, oauthClient, serviceToken } from '../support/oauth/clients.js';
import { passTime, stopClock } from '../support/oauth/clock.js';
import { dpopHeaders, dpopKeys } from '../support/oauth/dpop-proof.js';
import { startIntrospectingAgent } from '../support/oauth/introspecting-agent.js';
import { closeServersAfterTests } from '../support/oauth/servers.js';
import { UserAgent } from '../support/oauth/user-agent.js';

closeServersAfterTests();
stopClock();

let server: AuthorizationServer;
let nonceServer: AuthorizationServer;
let client: Configuration;

beforeAll(async () => {
  server = await startAuthorizationServer();
  nonceServer = await startAuthorizationServer({ dpopNonces: true });
  client = await oauthClient(server, 'service');
});

/** Takes tokens that are bound to a key, or the others as well. */
async function dpopAgent(
  options: DpopOptions = {},
  issuedBy: AuthorizationServer = server,
): Promise<OAuthAgent> {
  const agent = await startOAuthAgent(async (context) => {
    const oauth = await oauth2FromIssuer({
      issuer: issuedBy.issuer,
      flows: ['clientCredentials'],
      scopes: { ask: 'Ask.' },
      audience: context.resource,
      dpop: dpop(options),
    });
    return new AgentSecurity(context)
      .addSecurityScheme('service', oauth.clientCredentials)
      .addSecurityRequirement({ service: ['ask'] });
  });
  issuedBy.addResource(agent.resource);
  return agent;
}

async function boundToken(agent: OAuthAgent, by: Configuration = client) {
  const { keys, handle } = await dpopKeys(by);
  const parameters = { resource: agent.resource, scope: 'ask' };
  const tokens = await clientCredentialsGrant(by, parameters, { DPoP: handle });
  expect(tokens.token_type).toBe('dpop');
  return { token: tokens.access_token, keys, handle };
}

/** Presented by openid-client, which makes the proof, and answers when the agent asks for a nonce. */
async function present(
  agent: OAuthAgent,
  token: string,
  DPoP: DPoPHandle,
  method: 'ListTasks' | 'SendMessage' = 'ListTasks',
) {
  const { body, headers } = rawCall(method);
  const url = new URL(agent.jsonRpcUrl);
  return readAnswer(
    await fetchProtectedResource(client, token, url, 'POST', body, new Headers(headers), { DPoP }),
  );
}

const proofFor = (agent: OAuthAgent) => ({ htm: 'POST', htu: agent.jsonRpcUrl });

describe('a token that is bound to a key (RFC 9449)', () => {
  it('is granted with a proof by that key', async () => {
    const agent = await dpopAgent();
    const { token, handle } = await boundToken(agent);
    const answer = await present(agent, token, handle, 'SendMessage');
    expect(stateOf(answer)).toBe('TASK_STATE_COMPLETED');
    expect(principalOf(agent.lastCall())).toMatchObject({
      subject: 'service',
      scopes: ['ask'],
      claims: { cnf: { jkt: await handle.calculateThumbprint() } },
    });
  });

  it('is granted again and again, each time with a proof of its own', async () => {
    const agent = await dpopAgent();
    const { token, handle } = await boundToken(agent);
    for (let call = 0; call < 3; call++) expect((await present(agent, token, handle)).status).toBe(200);
  });

  it('is granted to a person who logged in, and so is the one that it is refreshed to', async () => {
    const agent = await dpopAgent();
    const web = await oauthClient(server, 'web');
    const { handle } = await dpopKeys(web);
    const parameters = { scope: 'ask', resource: agent.resource };
    const tokens = await logIn(web, new UserAgent(), { login: 'ada' }, parameters, { DPoP: handle });
    const refreshed = await refreshTokenGrant(web, tokens.refresh_token ?? '', undefined, { DPoP: handle });
    for (const { access_token: token } of [tokens, refreshed]) {
      expect((await present(agent, token, handle, 'SendMessage')).status).toBe(200);
      expect(principalOf(agent.lastCall())).toMatchObject({ subject: 'ada', clientId: 'web' });
    }
  });

  it('is granted by introspection as well', async () => {
    const agent = await startIntrospectingAgent(server, {
      scheme: (verifier) => httpBearer({ dpop: dpop(), verifier }),
    });
    const { token, handle } = await boundToken(agent);
    expect((await present(agent, token, handle)).status).toBe(200);
    expect((await listTasks(agent, bearer(token))).status).toBe(401);
    expect(agent.lastRefusal()).toContain('came as a plain bearer token');
  });

  it('is refused as a plain bearer token', async () => {
    const agent = await dpopAgent();
    const { token } = await boundToken(agent);
    const answer = await listTasks(agent, bearer(token));
    expect(answer.status).toBe(401);
    expect(answer.challenge).toContain('error="invalid_token"');
    expect(agent.lastRefusal()).toContain('came as a plain bearer token');
  });

  it('is refused where no DPoP is taken', async () => {
    const agent = await startOAuthAgent((context) =>
      new AgentSecurity(context)
        .addSecurityScheme(
          'token',
          httpBearer({ verifier: jwtFromIssuer({ issuer: server.issuer, audience: context.resource }) }),
        )
        .addSecurityRequirement({ token: ['ask'] }),
    );
    server.addResource(agent.resource);
    const { token } = await boundToken(agent);
    expect((await listTasks(agent, bearer(token))).status).toBe(401);
    expect(agent.lastRefusal()).toContain('this scheme accepts no DPoP');
  });

  it('is refused with a proof that was used before', async () => {
    const agent = await dpopAgent();
    const { token, keys } = await boundToken(agent);
    const headers = await dpopHeaders(keys, token, proofFor(agent));
    expect((await listTasks(agent, headers)).status).toBe(200);
    const answer = await listTasks(agent, headers);
    expect(answer.status).toBe(401);
    expect(answer.challenge).toMatch(/DPoP [^,]*, error="invalid_dpop_proof"/);
    expect(agent.lastRefusal()).toContain('it was used before');
  });

  it.each<[string, (agent: OAuthAgent) => { htm: string; htu: string }, string]>([
    ['another method', (agent) => ({ ...proofFor(agent), htm: 'GET' }), 'another method'],
    ['another address', (agent) => ({ ...proofFor(agent), htu: `${agent.url}/a2a/rest` }), 'its "htu" is '],
  ])('is refused with a proof for %s', async (_name, proof, detail) => {
    const agent = await dpopAgent();
    const { token, keys } = await boundToken(agent);
    expect((await listTasks(agent, await dpopHeaders(keys, token, proof(agent)))).status).toBe(401);
    expect(agent.lastRefusal()).toContain(detail);
  });

  it('is held to the address that the agent is known by, whatever the Host header says', async () => {
    const agent = await dpopAgent();
    const { token, keys } = await boundToken(agent);
    const alias = { jsonRpcUrl: agent.jsonRpcUrl.replace('127.0.0.1', 'localhost') };
    const known = await dpopHeaders(keys, token, proofFor(agent));
    expect((await listTasks(alias, known)).status).toBe(200);
    const claimed = await dpopHeaders(keys, token, { htm: 'POST', htu: alias.jsonRpcUrl });
    expect((await listTasks(alias, claimed)).status).toBe(401);
    expect(agent.lastRefusal()).toContain('its "htu" is ');
  });

  it('is refused to a thief who has the token and no key', async () => {
    const agent = await dpopAgent();
    const { token } = await boundToken(agent);
    const { keys: ofThief } = await dpopKeys(client);
    expect((await listTasks(agent, await dpopHeaders(ofThief, token, proofFor(agent)))).status).toBe(401);
    expect(agent.lastRefusal()).toContain('another key than the token is bound to');
  });

  it('is refused with a proof from too long ago', async () => {
    const agent = await dpopAgent({ maxAge: 60 });
    const { token, keys } = await boundToken(agent);
    const headers = await dpopHeaders(keys, token, proofFor(agent));
    passTime(62);
    expect((await listTasks(agent, headers)).status).toBe(401);
    expect(agent.lastRefusal()).toContain('"iat" is not recent');
  });

  it('is refused when it has ended, whatever the proof', async () => {
    const agent = await dpopAgent();
    const { token, keys } = await boundToken(agent);
    passTime(TOKEN_TTL + 6);
    expect((await listTasks(agent, await dpopHeaders(keys, token, proofFor(agent)))).status).toBe(401);
    expect(agent.lastRefusal()).toContain('The token has ended.');
  });
});

describe('a token that is bound to nothing', () => {
  it('is granted as a bearer token beside the bound ones', async () => {
    const agent = await dpopAgent();
    const token = await serviceToken(server, agent.resource);
    expect((await listTasks(agent, bearer(token))).status).toBe(200);
  });

  it('is refused as if it were bound', async () => {
    const agent = await dpopAgent();
    const { keys } = await dpopKeys(client);
    const token = await serviceToken(server, agent.resource);
    expect((await listTasks(agent, await dpopHeaders(keys, token, proofFor(agent)))).status).toBe(401);
    expect(agent.lastRefusal()).toContain('not bound to a key');
  });

  it('is refused where DPoP is required', async () => {
    const agent = await dpopAgent({ required: true });
    const token = await serviceToken(server, agent.resource);
    const answer = await listTasks(agent, bearer(token));
    expect(answer.status).toBe(401);
    expect(answer.challenge).toMatch(/^DPoP /);
    expect(answer.challenge).not.toContain('Bearer');
    expect(agent.lastRefusal()).toContain('which this scheme requires');
  });
});

describe('the challenges (RFC 9449 §7.1)', () => {
  it('of Bearer and DPoP stand side by side', async () => {
    const agent = await dpopAgent({ algorithms: ['ES256', 'EdDSA'] });
    const { challenge } = await listTasks(agent, {});
    expect(challenge).toMatch(/^Bearer realm="a2a", scope="ask", .*, DPoP realm="a2a", scope="ask", /);
    expect(challenge).toContain('algs="ES256 EdDSA"');
    expect(challenge).not.toContain('error');
  });

  it('come with a denied message as well', async () => {
    const agent = await dpopAgent();
    const answer = await sendMessage(agent, {});
    expect(stateOf(answer)).toBe('TASK_STATE_AUTH_REQUIRED');
    expect(answer.challenge).toMatch(/^Bearer .*, DPoP /);
  });
});

describe('an agent that asks for nonces (RFC 9449 §9)', () => {
  it('refuses a proof without one, and says which to use', async () => {
    const agent = await dpopAgent({ nonce: true });
    const { token, keys } = await boundToken(agent);
    const refused = await listTasks(agent, await dpopHeaders(keys, token, proofFor(agent)));
    expect(refused.status).toBe(401);
    expect(refused.challenge).toMatch(/DPoP [^,]*, error="use_dpop_nonce"/);
    const nonce = refused.headers.get('dpop-nonce') ?? '';
    expect(nonce).not.toBe('');

    const again = await listTasks(agent, await dpopHeaders(keys, token, { ...proofFor(agent), nonce }));
    expect(again.status).toBe(200);
  });

  it('is understood by openid-client, which comes back with the nonce', async () => {
    const agent = await dpopAgent({ nonce: true });
    const { token, handle } = await boundToken(agent);
    expect((await present(agent, token, handle)).status).toBe(200);
    // One refusal for want of a nonce, and then the grant.
    expect(agent.decisions.map(({ granted }) => granted)).toEqual([false, true]);
    expect((await present(agent, token, handle)).status).toBe(200);
    expect(agent.decisions).toHaveLength(3);
  });

  it('is understood when the denied call is a message, too', async () => {
    const agent = await dpopAgent({ nonce: true });
    const { token, handle } = await boundToken(agent);
    expect(stateOf(await present(agent, token, handle, 'SendMessage'))).toBe('TASK_STATE_COMPLETED');
  });

  it('asks for a new one when it has ended', async () => {
    const agent = await dpopAgent({ nonce: true });
    const { token, handle } = await boundToken(agent);
    expect((await present(agent, token, handle)).status).toBe(200);
    passTime(300);
    expect((await present(agent, token, handle)).status).toBe(200);
    expect(agent.decisions.map(({ granted }) => granted)).toEqual([false, true, false, true]);
  });

  it('accepts the nonces of its other processes, which share the secret', async () => {
    const nonce = { secret: 'a secret of at least 32 bytes, for all processes' };
    const [one, other] = [await dpopAgent({ nonce }), await dpopAgent({ nonce })];
    const { token, keys } = await boundToken(other);
    const asked = await listTasks(one, {});
    const ofOne = asked.headers.get('dpop-nonce') ?? '';
    const headers = await dpopHeaders(keys, token, { ...proofFor(other), nonce: ofOne });
    expect((await listTasks(other, headers)).status).toBe(200);
  });

  it('refuses a nonce that it never gave', async () => {
    const agent = await dpopAgent({ nonce: true });
    const { token, keys } = await boundToken(agent);
    const headers = await dpopHeaders(keys, token, { ...proofFor(agent), nonce: 'made-up' });
    expect((await listTasks(agent, headers)).challenge).toContain('error="use_dpop_nonce"');
  });
});

describe('an authorization server that asks for nonces', () => {
  it('gives openid-client a bound token, and the agent grants it', async () => {
    const agent = await dpopAgent({}, nonceServer);
    const { token, handle } = await boundToken(agent, await oauthClient(nonceServer, 'service'));
    expect((await present(agent, token, handle)).status).toBe(200);
  });

  it("has nonces that are not the agent's", async () => {
    const agent = await dpopAgent({ nonce: true }, nonceServer);
    const { token, handle } = await boundToken(agent, await oauthClient(nonceServer, 'service'));
    expect((await present(agent, token, handle)).status).toBe(200);
    expect(agent.decisions.map(({ granted }) => granted)).toEqual([false, true]);
  });
});

it('shows openid-client the challenges of a refusal', async () => {
  const agent = await dpopAgent();
  const { token } = await boundToken(agent);
  const { handle: ofThief } = await dpopKeys(client);
  const refusal = await present(agent, token, ofThief).catch((error: unknown) => error);
  expect(refusal).toBeInstanceOf(WWWAuthenticateChallengeError);
  expect((refusal as WWWAuthenticateChallengeError).cause).toMatchObject([
    { scheme: 'dpop', parameters: { error: 'invalid_dpop_proof' } },
  ]);
});
