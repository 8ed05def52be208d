import { AgentSecurity, oauth2FromIssuer, principalOf } from '@a2a-auth/server';
import type { ClientMetadata } from 'oidc-provider';
import { clientCredentialsGrant, refreshTokenGrant, TlsClientAuth } from 'openid-client';
import { beforeAll, describe, expect, it } from 'vitest';

import {
  bearer,
  listTasks,
  sendMessage,
  startOAuthAgent,
  stateOf,
  type OAuthAgent,
} from '../support/oauth/agent.js';
import {
  noGrants,
  REDIRECT_URI,
  startAuthorizationServer,
  type AuthorizationServer,
} from '../support/oauth/authorization-server.js';
import { certificateAuthority } from '../support/oauth/certificates.js';
import { logIn, oauthClient } from '../support/oauth/clients.js';
import { httpsFetch } from '../support/oauth/https-fetch.js';
import { startIntrospectingAgent } from '../support/oauth/introspecting-agent.js';
import { closeServersAfterTests } from '../support/oauth/servers.js';
import { UserAgent } from '../support/oauth/user-agent.js';

closeServersAfterTests();

const authority = certificateAuthority();
const identity = authority.server();
const [ofService, ofAgent, ofOther] = ['service', 'agent', 'other'].map((name) => authority.client(name));
if (ofService === undefined || ofAgent === undefined || ofOther === undefined)
  throw new Error('No certificates.');

const asService = httpsFetch(authority.ca, ofService);
const asAgent = httpsFetch(authority.ca, ofAgent);
const asOther = httpsFetch(authority.ca, ofOther);
const asNobody = httpsFetch(authority.ca);

const byCertificate = (commonName: string) => ({
  token_endpoint_auth_method: 'tls_client_auth' as const,
  tls_client_auth_subject_dn: `CN=${commonName}`,
});

let server: AuthorizationServer;
let aliasServer: AuthorizationServer;

const clients: readonly ClientMetadata[] = [
  {
    client_id: 'bound-service',
    ...byCertificate('service'),
    tls_client_certificate_bound_access_tokens: true,
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
  },
  {
    client_id: 'bound-web',
    ...byCertificate('service'),
    tls_client_certificate_bound_access_tokens: true,
    grant_types: ['authorization_code', 'refresh_token'],
    redirect_uris: [REDIRECT_URI],
    response_types: ['code'],
  },
  { client_id: 'tls-agent', ...byCertificate('agent'), ...noGrants },
];

beforeAll(async () => {
  server = await startAuthorizationServer({ identity, clients });
  aliasServer = await startAuthorizationServer({ identity, clients, mtlsAliases: true });
});

/** Proves tokens as JWTs, with keys from the provider behind the private authority. */
async function jwtAgent(): Promise<OAuthAgent> {
  const agent = await startOAuthAgent(async (context) => {
    const oauth = await oauth2FromIssuer({
      issuer: server.issuer,
      flows: ['clientCredentials'],
      scopes: { ask: 'Ask.' },
      audience: context.resource,
      keys: { fetch: asNobody },
    });
    return new AgentSecurity(context)
      .addSecurityScheme('service', oauth.clientCredentials)
      .addSecurityRequirement({ service: ['ask'] });
  }, identity);
  server.addResource(agent.resource);
  return agent;
}

/** Asks about opaque tokens, as the client that its certificate says. */
const introspectingAgent = (fetchImpl: typeof fetch, issuedBy = server): Promise<OAuthAgent> =>
  startIntrospectingAgent(issuedBy, {
    identity,
    clientId: 'tls-agent',
    clientAuthentication: { method: 'tls_client_auth' },
    fetch: fetchImpl,
  });

async function boundToken(agent: OAuthAgent, issuedBy = server): Promise<string> {
  const client = await oauthClient(issuedBy, 'bound-service', {
    authentication: TlsClientAuth(),
    fetch: asService,
    metadata: { use_mtls_endpoint_aliases: true },
  });
  return (await clientCredentialsGrant(client, { resource: agent.resource, scope: 'ask' })).access_token;
}

describe.each([
  ['a JWT', jwtAgent],
  ['opaque', () => introspectingAgent(asAgent)],
])('a token that is bound to a certificate (RFC 8705), and is %s', (_name, start) => {
  it('is granted over TLS with that certificate', async () => {
    const agent = await start();
    const token = await boundToken(agent);
    const answer = await sendMessage(agent, bearer(token), asService);
    expect(stateOf(answer)).toBe('TASK_STATE_COMPLETED');
    expect(principalOf(agent.lastCall())).toMatchObject({
      subject: 'bound-service',
      claims: { cnf: { 'x5t#S256': ofService.thumbprint } },
    });
  });

  it('is refused with another certificate', async () => {
    const agent = await start();
    const token = await boundToken(agent);
    expect((await listTasks(agent, bearer(token), asService)).status).toBe(200);
    const answer = await listTasks(agent, bearer(token), asOther);
    expect(answer.status).toBe(401);
    expect(answer.challenge).toContain('error="invalid_token"');
    expect(agent.lastRefusal()).toContain('bound to another client certificate');
  });

  it('is refused without a certificate', async () => {
    const agent = await start();
    const token = await boundToken(agent);
    expect((await listTasks(agent, bearer(token), asService)).status).toBe(200);
    const answer = await listTasks(agent, bearer(token), asNobody);
    expect(answer.status).toBe(401);
    expect(agent.lastRefusal()).toContain('the connection has none');
  });

  it('is refused when the certificate is in a header, which anybody can write', async () => {
    const agent = await start();
    const token = await boundToken(agent);
    const headers = { ...bearer(token), 'X-Forwarded-Client-Cert': encodeURIComponent(ofService.cert) };
    expect((await listTasks(agent, headers, asNobody)).status).toBe(401);
  });
});

describe("a person's token that is bound to the certificate of the client", () => {
  it('is granted with it, and so is the one that it is refreshed to', async () => {
    const agent = await jwtAgent();
    const client = await oauthClient(server, 'bound-web', {
      authentication: TlsClientAuth(),
      fetch: asService,
    });
    const browser = new UserAgent(asNobody);
    const tokens = await logIn(client, browser, { login: 'ada' }, { scope: 'ask', resource: agent.resource });
    const refreshed = await refreshTokenGrant(client, tokens.refresh_token ?? '');
    for (const { access_token: token } of [tokens, refreshed]) {
      expect((await sendMessage(agent, bearer(token), asService)).status).toBe(200);
      expect(principalOf(agent.lastCall())).toMatchObject({ subject: 'ada', clientId: 'bound-web' });
      expect((await listTasks(agent, bearer(token), asOther)).status).toBe(401);
    }
  });
});

describe('introspection with tls_client_auth', () => {
  it.each([
    ['another certificate than the one it is registered with', asOther],
    ['no certificate', asNobody],
  ])('has no answer for an agent with %s', async (_name, fetchImpl) => {
    const agent = await introspectingAgent(fetchImpl);
    const answer = await listTasks(agent, bearer(await boundToken(agent)), asService);
    expect(answer.status).toBe(503);
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
  });

  it('happens at the address that is there for it, where there is one', async () => {
    const agent = await introspectingAgent(asAgent, aliasServer);
    const token = await boundToken(agent, aliasServer);
    expect((await listTasks(agent, bearer(token), asService)).status).toBe(200);
    expect((await listTasks(agent, bearer(token), asOther)).status).toBe(401);
  });
});
