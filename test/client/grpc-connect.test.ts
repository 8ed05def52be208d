import { AgentCard, TaskState } from '@a2a-js/sdk';
import { apiKey, bearer, connect, type ConnectOptions } from '@a2a-auth/client';
import { grpcTransport } from '@a2a-auth/client/grpc';
import { AgentSecurity, httpBearer } from '@a2a-auth/server';
import express from 'express';
import { describe, expect, it } from 'vitest';

import { countingSource } from '../../packages/client/test/support/source.js';
import { collect, request, sendForTask } from '../support/client.js';
import {
  closeGrpcAfterTests,
  startGrpcAgent,
  versions,
  type RunningGrpcAgent,
  type StartGrpcOptions,
} from '../support/grpc.js';
import { muteConsole } from '../support/quiet.js';
import { describeRenewal, sendOne, tokenSecurity, ways } from '../support/renewal.js';
import { closeServersAfterTests, listen, startAgent } from '../support/server.js';

closeGrpcAfterTests();
closeServersAfterTests();
muteConsole();

const legacyCard = {
  protocolVersion: '0.3.0',
  name: 'Old agent',
  description: 'Answers.',
  version: '1.0.0',
  capabilities: { streaming: true },
  defaultInputModes: ['text/plain'],
  defaultOutputModes: ['text/plain'],
  skills: [],
};
const partnerKey = 'partner-0123456789';
const tenantKey = 'tenant-0123456789';

/** A gRPC agent whose card is served over HTTP, as cards are. */
async function startWithCard(options: StartGrpcOptions & { readonly version?: string } = {}) {
  const agent = await startGrpcAgent(options);
  const { card, security, address } = agent;
  const { version = '1.0' } = options;
  card.supportedInterfaces = card.supportedInterfaces.filter(
    ({ protocolVersion }) => protocolVersion === version,
  );
  const url = await serveCard(() => AgentCard.toJSON(security.publish(card)));
  return { ...agent, url, origin: `http://${address}` };
}

async function serveCard(card: () => unknown): Promise<string> {
  const { serve, url } = await listen();
  serve(
    express().get('/.well-known/agent-card.json', (_request, response) => {
      response.json(card());
    }),
  );
  return url;
}

type Started = RunningGrpcAgent & { readonly url: string; readonly origin: string };

/** Connects to where the agent's card and its gRPC are. */
const connectTo = ({ url, origin }: Pick<Started, 'url' | 'origin'>, options: ConnectOptions) =>
  connect(url, { transports: [grpcTransport()], policy: { origins: [origin] }, ...options });

describe.each(versions)('over gRPC %s', (version) => {
  it('calls a protected agent, from nothing but the URL of its card', async () => {
    const agent = await startWithCard({ version });
    const client = await connectTo(agent, { credentials: { partnerKey: apiKey(partnerKey) } });
    expect([client.transport.protocolName, client.protocolVersion]).toEqual(['GRPC', version]);
    const task = await sendForTask(client, 'hello');
    expect(task.status?.state).toBe(TaskState.TASK_STATE_COMPLETED);
    expect(await collect(client.sendMessageStream(request('hello')))).toHaveLength(2);
    expect(await client.getTask({ tenant: '', id: task.id })).toMatchObject({ id: task.id });
  });

  it('meets all schemes of an AND', async () => {
    const agent = await startWithCard({ version });
    const credentials = { tenantKey: apiKey(tenantKey), userToken: bearer('ada') };
    expect(await sendOne(await connectTo(agent, { credentials }))).toBe(TaskState.TASK_STATE_COMPLETED);
  });

  it('gets the extended card', async () => {
    const agent = await startWithCard({ version });
    const client = await connectTo(agent, { credentials: { partnerKey: apiKey(partnerKey) } });
    expect((await client.getAgentCard()).description).toBe('Answers trusted callers.');
  });

  describeRenewal(
    async (security) => {
      const agent = await startWithCard({ version, security });
      return { executor: agent.executor, connect: (options) => connectTo(agent, options) };
    },
    { cause: { code: 16, metadata: expect.anything() as unknown } },
  );
});

it.each(ways)('asks for the scopes that %s lacks, where policy allows', async (_name, call) => {
  const verify = (token: string) => ({
    verified: true as const,
    principal: { subject: 'ada', issuer: 'https://users.example' },
    scopes: token.split('.'),
  });
  const security = new AgentSecurity<string>()
    .addSecurityScheme('token', httpBearer({ verifier: { verify } }))
    .addSecurityRequirement({ token: ['read', 'write'] });
  const agent = await startWithCard({ security });
  const card = { ...(AgentCard.toJSON(security.publish(agent.card)) as object) };
  const url = await serveCard(() => ({
    ...card,
    securityRequirements: [{ schemes: { token: { list: ['read'] } } }],
  }));
  const token = bearer(({ scopes }) => scopes.join('.'));
  const client = await connectTo(
    { ...agent, url },
    { credentials: [token], policy: { origins: [agent.origin], stepUpScopes: ['write'] } },
  );
  expect(await call(client)).toBe(TaskState.TASK_STATE_COMPLETED);
});

it('uses nothing with an agent that wants nothing', async () => {
  const agent = await startWithCard({ security: new AgentSecurity({ allowAnonymous: true }) });
  expect(await sendOne(await connectTo(agent, { credentials: {} }))).toBe(TaskState.TASK_STATE_COMPLETED);
});

it.each(ways)('throws what a source throws, for %s', async (_name, call) => {
  const agent = await startWithCard({ security: tokenSecurity(new Set()) });
  const failure = new Error('No other token.');
  const { source } = countingSource({ renew: () => Promise.reject(failure) });
  const client = await connectTo(agent, { credentials: [source] });
  await expect(call(client)).rejects.toBe(failure);
});

describe('the interface', () => {
  const credentials = { partnerKey: apiKey(partnerKey) };
  /** A card with JSON-RPC first and gRPC after it, and the origin of the latter. */
  const start = async () => {
    const grpc = await startWithCard();
    const agent = await startAgent();
    agent.card.supportedInterfaces = [
      ...agent.card.supportedInterfaces.slice(0, 1),
      ...grpc.card.supportedInterfaces,
    ];
    return { agent, url: agent.url, origin: grpc.origin };
  };

  it('is the first of the card that is spoken', async () => {
    const { agent, ...at } = await start();
    expect((await connectTo(at, { credentials })).transport.protocolName).toBe('JSONRPC');
    agent.card.supportedInterfaces.reverse();
    const client = await connectTo(at, { credentials });
    expect(client.transport.protocolName).toBe('GRPC');
    expect(await sendOne(client)).toBe(TaskState.TASK_STATE_COMPLETED);
    const without = await connectTo(at, { credentials, transports: [] });
    expect(without.transport.protocolName).toBe('JSONRPC');
  });

  it('is the one that the user prefers', async () => {
    const client = await connectTo(await start(), { credentials, preferredTransports: ['GRPC'] });
    expect(client.transport.protocolName).toBe('GRPC');
  });

  it('is another one when gRPC has no place for the credential, or policy does not name its origin', async () => {
    const { agent, ...at } = await start();
    agent.card.supportedInterfaces.reverse();
    const unnamed = await connect(at.url, { credentials, transports: [grpcTransport()] });
    expect(unnamed.transport.protocolName).toBe('JSONRPC');
    const url = await serveCard(() => ({
      ...(AgentCard.toJSON(agent.card) as object),
      securitySchemes: { key: { apiKeySecurityScheme: { location: 'query', name: 'key' } } },
      securityRequirements: [{ schemes: { key: {} } }],
    }));
    const placeless = await connect(url, {
      credentials: { key: apiKey('k') },
      transports: [grpcTransport()],
      policy: { origins: [at.url, at.origin] },
    });
    expect(placeless.transport.protocolName).toBe('JSONRPC');
  });

  it('is of 1.0 where the card has both versions at one address', async () => {
    const agent = await startWithCard({ version: '0.3' });
    const [legacy] = agent.card.supportedInterfaces;
    if (legacy !== undefined) agent.card.supportedInterfaces.push({ ...legacy, protocolVersion: '1.0' });
    const client = await connectTo(agent, { credentials });
    expect(client.protocolVersion).toBe('1.0');
    expect(await sendOne(client)).toBe(TaskState.TASK_STATE_COMPLETED);
  });

  it('is read from a card of 0.3', async () => {
    const agent = await startWithCard({ version: '0.3' });
    const { address } = agent;
    const url = await serveCard(() => ({
      ...legacyCard,
      url: address,
      preferredTransport: 'GRPC',
      securitySchemes: { key: { type: 'apiKey', in: 'header', name: 'X-API-Key' } },
      security: [{ key: [] }],
    }));
    const client = await connectTo({ ...agent, url }, { credentials: { key: apiKey(partnerKey) } });
    expect(client.protocolVersion).toBe('0.3');
    expect(await sendOne(client)).toBe(TaskState.TASK_STATE_COMPLETED);
  });

  it.each(['http://127.0.0.1:PORT', '127.0.0.1:PORT', 'http://127.0.0.1:PORT/a2a/grpc', 'localhost:PORT'])(
    'may be written as %s',
    async (form) => {
      const agent = await startWithCard();
      const url = form.replace('PORT', String(agent.port));
      agent.card.supportedInterfaces = agent.card.supportedInterfaces.map((one) => ({ ...one, url }));
      const origins = [agent.origin, `http://localhost:${String(agent.port)}`];
      const client = await connectTo(agent, { credentials, policy: { origins } });
      expect(await sendOne(client)).toBe(TaskState.TASK_STATE_COMPLETED);
    },
  );

  it('belongs to a tenant where the card says so', async () => {
    const agent = await startWithCard();
    agent.card.supportedInterfaces = agent.card.supportedInterfaces.map((one) => ({
      ...one,
      tenant: 'acme',
    }));
    await sendOne(await connectTo(agent, { credentials }));
    expect(agent.executor.calls[0]?.context).toMatchObject({ tenant: 'acme' });
  });

  it('is asked for by an option, which the error names', async () => {
    const agent = await startWithCard();
    await expect(connectTo(agent, { credentials, transports: [] })).rejects.toMatchObject({
      code: 'CARD_INVALID',
      message: expect.stringContaining('transports: [grpcTransport()]') as string,
    });
    await expect(
      connectTo(agent, { credentials, transports: grpcTransport() as never }),
    ).rejects.toMatchObject({
      code: 'INVALID_OPTION',
    });
  });

  it('is refused with the origin that policy would have to name', async () => {
    const agent = await startWithCard();
    await expect(connect(agent.url, { credentials, transports: [grpcTransport()] })).rejects.toMatchObject({
      code: 'ADDRESS_REFUSED',
      message: expect.stringContaining(`policy.origins, as ${agent.origin}`) as string,
    });
  });
});
