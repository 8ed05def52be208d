import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { AgentSecurity, principalOf, type DecisionEvent } from '@a2a-auth/server';
import { conformanceRequest, schemeConformance } from '@a2a-auth/server/conformance';
import { agentRouter } from '@a2a-auth/server/express';
import { AgentCard, Message } from '@a2a-js/sdk';
import { AgentEvent, DefaultRequestHandler, InMemoryTaskStore, type AgentExecutor } from '@a2a-js/sdk/server';
import express from 'express';
import request from 'supertest';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { signCall, signedCall } from './custom-scheme.js';

const root = join(import.meta.dirname, '..', '..');
const agentUrl = 'https://agent.example/a2a/jsonrpc';
const secret = randomBytes(32);

describe('the page on writing a scheme', () => {
  it('shows the file that these tests run, to the letter', async () => {
    const page = await readFile(join(root, 'docs', 'writing-a-scheme.md'), 'utf8');
    const file = await readFile(join(import.meta.dirname, 'custom-scheme.ts'), 'utf8');
    const blocks = [...page.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => code);
    expect(blocks).toContain(file);
  });
});

describe('the scheme of the page', () => {
  let events: DecisionEvent[];
  let app: express.Express;

  beforeEach(() => {
    events = [];
    app = express();
    app.use(
      agentRouter({
        security: new AgentSecurity({ onDecision: (event) => events.push(event) })
          .addSecurityScheme('signed', signedCall(agentUrl, new Map([['billing', secret]])))
          .addSecurityRequirement({ signed: [] }),
        requestHandler: new DefaultRequestHandler(card, new InMemoryTaskStore(), whoAmI),
      }),
    );
  });

  afterEach(() => {
    vi.useRealTimers();
  });

  const call = (method: string, params: object) =>
    request(app)
      .post('/a2a/jsonrpc')
      .set('A2A-Version', '1.0')
      .send({ jsonrpc: '2.0', id: 1, method, params });
  const ask = () =>
    call('SendMessage', { message: { messageId: 'm1', role: 'ROLE_USER', parts: [{ text: 'Who am I?' }] } });
  const getTask = (header: string) => call('GetTask', { id: 'none' }).set('X-Signature', header);

  it('lets a signed call in, as the holder of the key', async () => {
    const response = await ask()
      .set('X-Signature', signCall('billing', secret, agentUrl))
      .expect(200);
    expect(response.body).toMatchObject({
      result: { message: { parts: [{ text: 'scheme:signed|billing' }] } },
    });
  });

  it('answers a call without a signature with an auth-required task and a challenge', async () => {
    const response = await ask().expect(200);
    expect(response.headers['www-authenticate']).toBe('ApiKey realm="a2a", in="header", name="X-Signature"');
    expect(response.body).toMatchObject({
      result: { task: { status: { state: 'TASK_STATE_AUTH_REQUIRED' } } },
    });
    expect(events.at(-1)).toMatchObject({ reason: 'missing_credential', schemes: [{ outcome: 'absent' }] });
  });

  it.each([
    ['an unknown key id', () => signCall('other', secret, agentUrl)],
    ['a key id that every object has', () => signCall('constructor', secret, agentUrl)],
    ['another secret', () => signCall('billing', randomBytes(32), agentUrl)],
    ['a signature for another agent', () => signCall('billing', secret, 'https://other.example')],
    [
      'a changed time',
      () => signCall('billing', secret, agentUrl).replace(/\d{10}/, (time) => String(Number(time) + 1)),
    ],
  ])('refuses %s', async (_, header) => {
    await getTask(header()).expect(401);
    expect(events.at(-1)?.schemes).toMatchObject([{ outcome: 'refused', reason: 'invalid' }]);
  });

  it.each([
    ['long before', -120_000],
    ['long after', 120_000],
  ])('refuses a call signed %s', async (_, shift) => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + shift });
    const header = signCall('billing', secret, agentUrl);
    vi.useRealTimers();
    await getTask(header).expect(401);
    expect(events.at(-1)?.schemes).toMatchObject([
      { outcome: 'refused', reason: 'expired', principalId: 'scheme:signed|billing' },
    ]);
  });

  it.each([
    ['empty', ''],
    ['in no known form', 'hello'],
    ['with a short signature', `billing.1700000000.${'0'.repeat(63)}`],
    ['with something after it', `billing.1700000000.${'0'.repeat(64)}, more`],
  ])('refuses a header that is %s, as malformed', async (_, header) => {
    await getTask(header).expect(401);
    expect(events.at(-1)?.schemes).toMatchObject([{ outcome: 'malformed' }]);
  });

  it('refuses a repeated header, as malformed', async () => {
    const header = signCall('billing', secret, agentUrl);
    await call('GetTask', { id: 'none' })
      .set('X-Signature', [header, header] as unknown as string)
      .expect(401);
    expect(events.at(-1)?.schemes).toMatchObject([{ outcome: 'malformed' }]);
  });

  it('is published on the card', async () => {
    const response = await request(app)
      .get('/.well-known/agent-card.json')
      .set('A2A-Version', '1.0')
      .expect(200);
    expect(response.body).toMatchObject({
      securitySchemes: { signed: { apiKeySecurityScheme: { location: 'header', name: 'X-Signature' } } },
      securityRequirements: [{ schemes: { signed: {} } }],
    });
  });

  it('does not construct without a secret, or with a short one', () => {
    expect(() => signedCall(agentUrl, new Map())).toThrow(RangeError);
    expect(() => signedCall(agentUrl, new Map([['billing', randomBytes(31)]]))).toThrow(RangeError);
  });
});

describe('the scheme of the page, by the conformance kit', () => {
  const signed = (keyId: string, key: Buffer) =>
    conformanceRequest({ header: { 'X-Signature': signCall(keyId, key, agentUrl) } });
  const cases = schemeConformance({
    create: () =>
      signedCall(
        agentUrl,
        new Map([
          ['billing', secret],
          ['support', secret],
        ]),
      ),
    good: () => signed('billing', secret),
    other: () => signed('support', secret),
    bad: () => signed('billing', randomBytes(32)),
    malformed: () => [conformanceRequest({ header: { 'X-Signature': 'hello' } })],
    secrets: ([, , signature = '']) => [signature],
  });
  for (const { title, run } of cases) it(title, run);
});

const card = AgentCard.fromJSON({
  name: 'Who am I',
  description: 'Tells its callers who they are.',
  version: '1.0.0',
  supportedInterfaces: [{ url: agentUrl, protocolBinding: 'JSONRPC', protocolVersion: '1.0' }],
});

const whoAmI: AgentExecutor = {
  execute(context, eventBus) {
    const { contextId } = context;
    const parts = [{ text: principalOf(context).id }];
    eventBus.publish(
      AgentEvent.message(Message.fromJSON({ messageId: 'm2', contextId, role: 'ROLE_AGENT', parts })),
    );
    eventBus.finished();
    return Promise.resolve();
  },
  cancelTask: () => Promise.resolve(),
};
