import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';

import { AgentCard, generateAgentCardSignature, TaskState } from '@a2a-js/sdk';
import { jsonRpcHandler, UserBuilder } from '@a2a-js/sdk/server/express';
import { apiKey, bearer, connect } from '@a2a-auth/client';
import { AgentSecurity } from '@a2a-auth/server';
import express from 'express';
import { exportJWK, generateKeyPair } from 'jose';
import { describe, expect, it, onTestFinished } from 'vitest';

import { agentCard, createAgent } from '../support/agent.js';
import { renewedCertificate } from '../support/client-certificates.js';
import { collect, combinations, request, sendForTask, type Combination } from '../support/client.js';
import { certificateAuthority } from '../support/oauth/certificates.js';
import { muteConsole } from '../support/quiet.js';
import { describeRenewal, sendOne } from '../support/renewal.js';
import { closeServersAfterTests, listen, startAgent } from '../support/server.js';

closeServersAfterTests();
muteConsole();

const partnerKey = 'partner-0123456789';
const tenantKey = 'tenant-0123456789';

/** The agent, with this one interface on its card. */
async function startWith({ binding, version }: Combination, options: Parameters<typeof startAgent>[0] = {}) {
  const agent = await startAgent(options);
  agent.card.supportedInterfaces = agent.card.supportedInterfaces.filter(
    (candidate) => candidate.protocolBinding === binding && candidate.protocolVersion === version,
  );
  return agent;
}

describe.each(combinations)('over $binding $version', (combination) => {
  it('calls a protected agent, from nothing but its URL', async () => {
    const agent = await startWith(combination);
    const client = await connect(agent.url, { credentials: { partnerKey: apiKey(partnerKey) } });
    expect([client.transport.protocolName, client.protocolVersion]).toEqual([
      combination.binding,
      combination.version,
    ]);
    const task = await sendForTask(client, 'hello');
    expect(task.status?.state).toBe(TaskState.TASK_STATE_COMPLETED);
    expect(await collect(client.sendMessageStream(request('hello')))).toHaveLength(2);
    expect(await client.getTask({ tenant: '', id: task.id })).toMatchObject({ id: task.id });
  });

  it('meets all schemes of an AND', async () => {
    const agent = await startWith(combination);
    const credentials = { tenantKey: apiKey(tenantKey), userToken: bearer('ada') };
    const task = await sendForTask(await connect(agent.url, { credentials }), 'hello');
    expect(task.status?.state).toBe(TaskState.TASK_STATE_COMPLETED);
  });

  it('gets the extended card', async () => {
    const agent = await startWith(combination);
    const client = await connect(agent.url, { credentials: { partnerKey: apiKey(partnerKey) } });
    expect((await client.getAgentCard()).description).toBe('Answers trusted callers.');
  });

  describeRenewal(async (security) => {
    const agent = await startWith(combination, { security });
    return { executor: agent.executor, connect: (options) => connect(agent.url, options) };
  }, {});
});

it('uses nothing with an agent that wants nothing', async () => {
  const security = new AgentSecurity({ allowAnonymous: true });
  const agent = await startAgent({ security });
  expect(await sendOne(await connect(agent.url, { credentials: {} }))).toBe(TaskState.TASK_STATE_COMPLETED);
});

it('takes the URL of the card itself', async () => {
  const agent = await startAgent();
  const client = await connect(agent.cardUrl, { credentials: { partnerKey: apiKey(partnerKey) } });
  expect(await sendOne(client)).toBe(TaskState.TASK_STATE_COMPLETED);
});

it("prefers a binding as the SDK's factory does, and passes its configuration on", async () => {
  const agent = await startAgent();
  const clientConfig = { polling: true };
  const client = await connect(agent.url, {
    credentials: { partnerKey: apiKey(partnerKey) },
    preferredTransports: ['HTTP+JSON'],
    clientConfig,
  });
  expect(client.transport.protocolName).toBe('HTTP+JSON');
  expect(client.config).toBe(clientConfig);
});

it('says which alternatives there are when none can be met', async () => {
  const agent = await startAgent();
  await expect(connect(agent.url, { credentials: { tenantKey: apiKey(tenantKey) } })).rejects.toMatchObject({
    code: 'NO_ALTERNATIVE',
    message: expect.stringMatching(/"partnerKey": .+ Or "userToken": /) as string,
  });
});

describe('an interface of another origin', () => {
  const start = async () => {
    const agent = await startAgent();
    const card = await listen();
    agent.card.supportedInterfaces = agent.card.supportedInterfaces.slice(0, 1);
    card.serve(
      express().get('/.well-known/agent-card.json', (_request, response) => {
        response.json(AgentCard.toJSON(agent.security.publish(agent.card)));
      }),
    );
    return { agent, url: card.url };
  };
  const credentials = { partnerKey: apiKey(partnerKey) };

  it('is refused', async () => {
    const { url } = await start();
    await expect(connect(url, { credentials })).rejects.toMatchObject({ code: 'ADDRESS_REFUSED' });
  });

  it('is called when policy names its origin', async () => {
    const { agent, url } = await start();
    const client = await connect(url, { credentials, policy: { origins: [agent.url] } });
    expect(await sendOne(client)).toBe(TaskState.TASK_STATE_COMPLETED);
  });
});

it('presents a client certificate, and another one after a refusal', async () => {
  const authority = certificateAuthority();
  const { key, cert, ca } = authority.server();
  const server = createServer({ key, cert, ca, requestCert: true, rejectUnauthorized: true });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const url = `https://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
  const card = agentCard(url);
  const callers: string[] = [];
  const app = express()
    .get('/.well-known/agent-card.json', (_request, response) => {
      response.json({
        ...(AgentCard.toJSON(card) as object),
        securitySchemes: { mtls: { mtlsSecurityScheme: {} } },
        securityRequirements: [{ schemes: { mtls: {} } }],
      });
    })
    .use('/a2a/jsonrpc', ({ socket }, response, next) => {
      const { subject } = (socket as TLSSocket).getPeerCertificate();
      callers.push(String(subject.CN));
      if (subject.CN === 'old') response.status(401).end();
      else next();
    })
    .use(
      '/a2a/jsonrpc',
      jsonRpcHandler({
        requestHandler: createAgent(card).requestHandler,
        userBuilder: UserBuilder.noAuthentication,
      }),
    );
  server.on('request', app);

  const [old, fresh] = [authority.client('old'), authority.client('fresh')];
  const client = await connect(url, { credentials: [renewedCertificate(ca, old, fresh)] });
  expect(await sendOne(client)).toBe(TaskState.TASK_STATE_COMPLETED);
  expect(callers).toEqual(['old', 'fresh']);
});

describe('a signed card', () => {
  const start = async () => {
    const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
    const key = { ...(await exportJWK(publicKey)), kid: 'key-1' };
    const agent = await startAgent();
    const card = await listen();
    const own = agentCard(agent.url);
    const sign = generateAgentCardSignature(privateKey, { alg: 'ES256', kid: 'key-1', typ: 'JOSE' });
    const signed = await sign(AgentCard.toJSON(agent.security.publish(own)) as AgentCard);
    let served: object = signed;
    card.serve(
      express().get('/.well-known/agent-card.json', (_request, response) => {
        response.json(served);
      }),
    );
    return {
      connect: (keys = [key]) =>
        connect(card.url, {
          credentials: { partnerKey: apiKey(partnerKey) },
          policy: { origins: [agent.url] },
          requireSignedCard: { keys },
        }),
      serve: (changes: object) => {
        served = { ...signed, ...changes };
      },
    };
  };

  it('is taken', async () => {
    const agent = await start();
    expect(await sendOne(await agent.connect())).toBe(TaskState.TASK_STATE_COMPLETED);
  });

  it('is refused when it was changed, or is not signed', async () => {
    const agent = await start();
    agent.serve({ name: 'Evil agent' });
    await expect(agent.connect()).rejects.toMatchObject({ code: 'CARD_SIGNATURE_INVALID' });
    agent.serve({ signatures: [] });
    await expect(agent.connect()).rejects.toMatchObject({ code: 'CARD_UNSIGNED' });
  });

  it('is read without what somebody added to it', async () => {
    const agent = await start();
    agent.serve({ url: 'https://evil.example', security: [{ evil: [] }], skills: [] });
    expect(await sendOne(await agent.connect())).toBe(TaskState.TASK_STATE_COMPLETED);
  });
});
