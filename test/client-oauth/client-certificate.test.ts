import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { clientCredentials, mutualTlsFetch, type TlsFiles } from '@a2a-auth/client';
import { AgentSecurity, oauth2FromIssuer } from '@a2a-auth/server';
import { decodeJwt } from 'jose';
import { afterAll, beforeAll, expect, it } from 'vitest';

import { writeTlsFiles } from '../support/client-certificates.js';
import { listTasks, startOAuthAgent } from '../support/oauth/agent.js';
import { startAuthorizationServer, type AuthorizationServer } from '../support/oauth/authorization-server.js';
import { certificateAuthority } from '../support/oauth/certificates.js';
import { httpsFetch } from '../support/oauth/https-fetch.js';
import { closeServersAfterTests } from '../support/oauth/servers.js';
import { failure, requestFor, tokenOf } from './support.js';

closeServersAfterTests();

const authority = certificateAuthority();
const identity = authority.server();
const client = authority.client('service');
let folder: string;
let files: TlsFiles;
let server: AuthorizationServer;
let aliasServer: AuthorizationServer;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'a2a-auth-'));
  files = await writeTlsFiles(folder, authority.ca, client);
  const clients = [
    {
      client_id: 'bound-service',
      token_endpoint_auth_method: 'tls_client_auth' as const,
      tls_client_auth_subject_dn: 'CN=service',
      tls_client_certificate_bound_access_tokens: true,
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
    },
  ];
  server = await startAuthorizationServer({ identity, clients });
  aliasServer = await startAuthorizationServer({ identity, clients, mtlsAliases: true });
});
afterAll(() => rm(folder, { recursive: true }));

it('gets a token that is bound to the certificate, and presents it to the agent too', async () => {
  const agent = await startOAuthAgent(async (context) => {
    const oauth = await oauth2FromIssuer({
      issuer: server.issuer,
      flows: ['clientCredentials'],
      scopes: { ask: 'Ask.' },
      audience: context.resource,
      keys: { fetch: httpsFetch(authority.ca) },
    });
    return new AgentSecurity(context)
      .addSecurityScheme('service', oauth.clientCredentials)
      .addSecurityRequirement({ service: ['ask'] });
  }, identity);
  server.addResource(agent.resource);
  const source = clientCredentials({ issuer: server.issuer, clientId: 'bound-service', tls: files });
  const { headers, tls } = await source.credential(requestFor(agent.resource));
  const token = headers?.authorization?.split(' ')[1] ?? '';
  expect(decodeJwt(token).cnf).toEqual({ 'x5t#S256': client.thumbprint });
  expect(tls).toEqual({ certificate: client.cert, key: client.key, ca: authority.ca });

  const sent = { Authorization: headers?.authorization ?? '' };
  expect((await listTasks(agent, sent, mutualTlsFetch(files))).status).toBe(200);
  expect((await listTasks(agent, sent, httpsFetch(authority.ca))).status).toBe(401);
});

it('uses the address that the server has for certificates', async () => {
  aliasServer.addResource('https://agent.example');
  const source = clientCredentials({ issuer: aliasServer.issuer, clientId: 'bound-service', tls: files });
  expect(await tokenOf(source, requestFor('https://agent.example'))).not.toBe('');
});

it('says which file is missing', async () => {
  const source = clientCredentials({
    issuer: server.issuer,
    clientId: 'bound-service',
    tls: { ...files, key: join(folder, 'none.key') },
  });
  expect(await failure(source.credential(requestFor('https://agent.example')))).toMatchObject({
    code: 'INVALID_OPTION',
    message: expect.stringContaining('none.key') as string,
  });
});
