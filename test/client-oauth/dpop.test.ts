import { AgentCard } from '@a2a-js/sdk';
import type { Client } from '@a2a-js/sdk/client';
import {
  authorizationCode,
  clientCredentials,
  connect,
  dpop,
  fileTokenStore,
  mutualTls,
  type CredentialSource,
} from '@a2a-auth/client';
import { grpcTransport } from '@a2a-auth/client/grpc';
import { AgentSecurity, dpop as serverDpop, oauth2FromIssuer, type DecisionEvent } from '@a2a-auth/server';
import { agentServices } from '@a2a-auth/server/grpc';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { calculateJwkThumbprint, decodeJwt, decodeProtectedHeader, EmbeddedJWK, jwtVerify } from 'jose';
import { randomDPoPKeyPair } from 'openid-client';
import { beforeAll, describe, expect, it } from 'vitest';

import { createAgent } from '../support/agent.js';
import { collect, request } from '../support/client.js';
import { closeGrpcAfterTests, grpcCard, listenGrpc, versions } from '../support/grpc.js';
import { listTasks, startOAuthAgent, type OAuthAgent } from '../support/oauth/agent.js';
import {
  SECRET,
  startAuthorizationServer,
  type AuthorizationServer,
} from '../support/oauth/authorization-server.js';
import { closeServersAfterTests } from '../support/oauth/servers.js';
import { UserAgent } from '../support/oauth/user-agent.js';
import { failure, oauthScheme, requestFor, scriptedServer, tokenAnswer, tokenOf } from './support.js';

closeGrpcAfterTests();
closeServersAfterTests();

let server: AuthorizationServer;
let nonceServer: AuthorizationServer;

beforeAll(async () => {
  server = await startAuthorizationServer();
  nonceServer = await startAuthorizationServer({ dpopNonces: true });
});

async function startAgent(issuedBy: AuthorizationServer, nonces = false): Promise<OAuthAgent> {
  const agent = await startOAuthAgent(async (context) => {
    const oauth = await oauth2FromIssuer({
      issuer: issuedBy.issuer,
      flows: ['clientCredentials'],
      scopes: { ask: 'Ask.' },
      audience: context.resource,
      dpop: serverDpop({ required: true, ...(nonces ? { nonce: true as const } : {}) }),
    });
    return new AgentSecurity(context)
      .addSecurityScheme('service', oauth.clientCredentials)
      .addSecurityRequirement({ service: ['ask'] });
  });
  issuedBy.addResource(agent.resource);
  return agent;
}

const service = (issuedBy: AuthorizationServer) =>
  clientCredentials({ issuer: issuedBy.issuer, clientId: 'service', clientSecret: SECRET });

const wantedAt = ({ resource, jsonRpcUrl }: OAuthAgent) =>
  requestFor(resource, { http: { method: 'POST', url: jsonRpcUrl } });

/** Calls an agent as the client does: once more after a refusal that the source has an answer to. */
async function callAgent(agent: OAuthAgent, source: CredentialSource) {
  const request = wantedAt(agent);
  const once = async () => {
    const credential = await source.credential(request);
    const answer = await listTasks(agent, { ...credential.headers });
    source.observe?.({ url: agent.jsonRpcUrl, status: answer.status, headers: answer.headers });
    return { credential, answer };
  };
  const first = await once();
  if (first.answer.status !== 401) return [first.answer.status];
  const [, error = ''] = /DPoP[^,]*.*?error="([a-z_]+)"/.exec(first.answer.challenge ?? '') ?? [];
  const again = await source.renew?.({
    ...request,
    refused: first.credential,
    challenge: { scheme: 'dpop', params: { error } },
  });
  return again === true ? [401, (await once()).answer.status] : [401];
}

it('gets a token that is bound, and proves the key with each request', async () => {
  const agent = await startAgent(server);
  const source = dpop(service(server));
  expect(await callAgent(agent, source)).toEqual([200]);
  expect(await callAgent(agent, source)).toEqual([200]);

  const { headers } = await source.credential(wantedAt(agent));
  const token = headers?.authorization?.split(' ')[1] ?? '';
  const { jwk, typ } = decodeProtectedHeader(headers?.dpop ?? '');
  expect(headers?.authorization).toMatch(/^DPoP /);
  expect(typ).toBe('dpop+jwt');
  expect(jwk).not.toHaveProperty('d');
  expect(decodeJwt(token).cnf).toEqual({ jkt: await calculateJwkThumbprint(jwk ?? {}) });
});

it('writes the proof for this request alone', async () => {
  const agent = await startAgent(server);
  const source = dpop(service(server));
  const request = wantedAt(agent);
  const proofOf = async (url: string, method = 'POST') => {
    const { headers } = await source.credential({ ...request, http: { method, url } });
    return decodeJwt(headers?.dpop ?? '');
  };
  const one = await proofOf('https://agent.example/a?b=c#d');
  const two = await proofOf('https://agent.example/a?b=c#d', 'GET');
  expect(one).toMatchObject({ htm: 'POST', htu: 'https://agent.example/a' });
  expect(two).toMatchObject({ htm: 'GET' });
  expect(one.jti).not.toBe(two.jti);
});

it('learns the nonces of the agent', async () => {
  const agent = await startAgent(server, true);
  const source = dpop(service(server));
  expect(await callAgent(agent, source)).toEqual([401, 200]);
  expect(await callAgent(agent, source)).toEqual([200]);
});

describe.each(versions)('over gRPC %s', (version) => {
  it.each([
    ['a message', (client: Client) => client.sendMessage(request('hello'))],
    ['a stream', (client: Client) => collect(client.sendMessageStream(request('hello')))],
    ['another operation', (client: Client) => client.getTask({ tenant: '', id: 'none' })],
  ])('learns the nonces of the agent from the refusal of %s', async (_name, call) => {
    const { server: listener, address } = await listenGrpc();
    const resource = `http://${address}`;
    const oauth = await oauth2FromIssuer({
      issuer: server.issuer,
      flows: ['clientCredentials'],
      scopes: { ask: 'Ask.' },
      audience: resource,
      dpop: serverDpop({ required: true, nonce: true }),
    });
    const decisions: string[] = [];
    const onDecision = ({ granted }: DecisionEvent) => decisions.push(granted ? 'granted' : 'denied');
    const security = new AgentSecurity({ resource, onDecision })
      .addSecurityScheme('service', oauth.clientCredentials)
      .addSecurityRequirement({ service: ['ask'] });
    server.addResource(resource);
    const card = grpcCard(address);
    card.supportedInterfaces = card.supportedInterfaces.filter((one) => one.protocolVersion === version);
    const { requestHandler } = createAgent(card);
    for (const { definition, implementation } of agentServices({ security, requestHandler }))
      listener.addService(definition, implementation);

    const client = await connect(resource, {
      credentials: [dpop(service(server))],
      transports: [grpcTransport()],
      resource,
      fetch: async () => Response.json(AgentCard.toJSON(security.publish(card))),
    });
    await call(client).catch((error: unknown) => {
      expect(error).toMatchObject({ name: 'TaskNotFoundError' });
    });
    await client.sendMessage(request('hello'));
    expect(decisions).toEqual(['denied', 'granted', 'granted']);
  });
});

it('learns the nonces of the authorization server', async () => {
  const agent = await startAgent(nonceServer);
  const source = dpop(service(nonceServer));
  const before = nonceServer.calls('/token');
  expect(await callAgent(agent, source)).toEqual([200]);
  expect(nonceServer.calls('/token')).toBe(before + 2);
});

it('does not try again with the nonce that was refused', async () => {
  const agent = await startAgent(server, true);
  const source = dpop(service(server));
  await callAgent(agent, source);
  const request = wantedAt(agent);
  const challenge = { scheme: 'dpop', params: { error: 'use_dpop_nonce' } };
  const refused = await source.credential(request);
  expect(await source.renew?.({ ...request, refused, challenge })).toBe(false);
});

it('does not send the nonce of one agent to another', async () => {
  const source = dpop(service(server));
  const headers = new Headers({ 'dpop-nonce': 'of-one' });
  source.observe?.({ url: 'https://one.example/', status: 401, headers });
  const agent = await startAgent(server);
  const at = async (url: string) =>
    decodeJwt(
      (await source.credential({ ...wantedAt(agent), http: { method: 'POST', url } })).headers?.dpop ?? '',
    );
  expect((await at('https://one.example/x')).nonce).toBe('of-one');
  expect((await at('https://other.example/x')).nonce).toBeUndefined();
});

it('refuses a token that is not bound', async () => {
  const scripted = await scriptedServer({ '/token': tokenAnswer({ access_token: 'unbound-token' }) });
  const source = dpop(clientCredentials({ issuer: scripted.url, clientId: 'a', clientSecret: 'b' }));
  expect(await failure(tokenOf(source, requestFor('https://agent.example')), 'unbound-token')).toMatchObject({
    code: 'TOKEN_REFUSED',
  });
});

it.each(['ES256', 'ES384', 'PS256', 'RS256', 'Ed25519'] as const)('signs with %s', async (algorithm) => {
  const scripted = await scriptedServer({ '/token': tokenAnswer({ token_type: 'DPoP' }) });
  const source = dpop(clientCredentials({ issuer: scripted.url, clientId: 'a', clientSecret: 'b' }), {
    algorithm,
  });
  const { headers } = await source.credential(requestFor('https://agent.example'));
  for (const proof of [headers?.dpop, scripted.callsOf('/token')[0]?.headers.dpop]) {
    const { protectedHeader } = await jwtVerify(String(proof), EmbeddedJWK, { typ: 'dpop+jwt' });
    expect(protectedHeader.alg).toBe(algorithm);
  }
});

describe('with a store', () => {
  it('takes up tokens of the same key, and of no other', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'a2a-auth-'));
    const keyPair = await randomDPoPKeyPair('ES256');
    const agent = await startAgent(server);
    let logins = 0;
    const login = () =>
      authorizationCode({
        issuer: server.issuer,
        clientId: 'native',
        store: fileTokenStore({ folder }),
        openBrowser: async (url) => {
          logins++;
          await new UserAgent().visit(url, { login: 'ada' });
        },
      });
    const request = { ...wantedAt(agent), scheme: oauthScheme('authorizationCode') };
    const first = await tokenOf(dpop(login(), { keyPair }), request);
    expect(await tokenOf(dpop(login(), { keyPair }), request)).toBe(first);
    expect(logins).toBe(1);
    expect(await tokenOf(dpop(login()), request)).not.toBe(first);
    expect(await tokenOf(login(), request)).not.toBe(first);
    expect(logins).toBe(3);
    await rm(folder, { recursive: true });
  });
});

it('goes around sources of OAuth tokens alone', async () => {
  const files = { certificate: 'a', key: 'b' };
  expect(() => dpop(mutualTls(files))).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }) as Error);
  const { publicKey } = await randomDPoPKeyPair('ES256');
  expect(() => dpop(service(server), { keyPair: { publicKey, privateKey: publicKey } })).toThrow(/keyPair/);
});
