import { AgentSecurity, principalOf, type DecisionEvent } from '@a2a-auth/server';
import { agentRouter } from '@a2a-auth/server/express';
import { passportScheme } from '@a2a-auth/passport';
import express, { type Express } from 'express';
import { Strategy as BearerStrategy } from 'passport-http-bearer';
import request from 'supertest';
import { beforeEach, describe, expect, it } from 'vitest';

import { agentCard, createAgent } from '../../../test/support/agent.js';
import { muteConsole } from '../../../test/support/quiet.js';

muteConsole();

const TOKEN = 'token-0123456789-abcdefghijkl';

describe('an agent with a Passport strategy', () => {
  let app: Express;
  let agent: ReturnType<typeof createAgent>;
  let events: DecisionEvent[];

  beforeEach(() => {
    events = [];
    agent = createAgent(agentCard('https://agent.example'));
    const strategy = new BearerStrategy((token, done) => {
      if (token === 'down') done(new Error('connect ECONNREFUSED'));
      else
        done(null, token === TOKEN ? { id: 'alice', passwordHash: 'h' } : false, {
          scope: 'ask',
          message: 'x',
        });
    });
    const security = new AgentSecurity({ onDecision: (event) => events.push(event) })
      .addSecurityScheme('bearer', passportScheme(strategy, { type: 'http', scheme: 'Bearer' }))
      .addSecurityRequirement({ bearer: ['ask'] });
    app = express();
    app.use(agentRouter({ security, requestHandler: agent.requestHandler }));
  });

  const call = (method: string, params: object, field?: string, url = '/a2a/jsonrpc') =>
    request(app)
      .post(url)
      .set('A2A-Version', '1.0')
      .set(field === undefined ? {} : { Authorization: field })
      .send({ jsonrpc: '2.0', id: 1, method, params });
  const ask = (field?: string, url?: string) =>
    call(
      'SendMessage',
      { message: { messageId: 'm', role: 'ROLE_USER', parts: [{ text: 'Hi' }] } },
      field,
      url,
    );

  it('lets its users in, and shows the executor who they are and nothing else', async () => {
    await ask(`Bearer ${TOKEN}`).expect(200);
    const [context] = agent.executor.calls;
    if (context === undefined) throw new Error('The executor was not called.');
    expect(principalOf(context)).toMatchObject({ id: 'scheme:bearer|alice', scopes: ['ask'], claims: {} });
    expect(JSON.stringify(context)).not.toContain(TOKEN);
  });

  it('asks everybody else for a token', async () => {
    const response = await ask().expect(200);
    expect(response.headers['www-authenticate']).toBe('Bearer realm="a2a", scope="ask"');
    expect(response.body).toMatchObject({
      result: { task: { status: { state: 'TASK_STATE_AUTH_REQUIRED' } } },
    });
    expect(agent.executor.calls).toEqual([]);
  });

  it('refuses a wrong token, with the code of RFC 6750', async () => {
    const response = await call('GetTask', { id: 't' }, 'Bearer wrong').expect(401);
    expect(response.headers['www-authenticate']).toBe(
      'Bearer realm="a2a", error="invalid_token", scope="ask"',
    );
    expect(events.at(-1)?.schemes).toMatchObject([{ outcome: 'refused', reason: 'invalid' }]);
  });

  it('takes no token from the query or the body', async () => {
    await call('GetTask', { id: 't' }, undefined, `/a2a/jsonrpc?access_token=${TOKEN}`).expect(401);
    await request(app)
      .post('/a2a/jsonrpc')
      .send({ jsonrpc: '2.0', id: 1, method: 'GetTask', params: { id: 't' }, access_token: TOKEN })
      .expect(401);
    expect(events.map(({ reason }) => reason)).toEqual(['missing_credential', 'missing_credential']);
  });

  it('answers 503 while the strategy cannot tell', async () => {
    const response = await ask('Bearer down').expect(503);
    expect(response.headers['retry-after']).toBe('5');
    expect(response.text).not.toContain('ECONNREFUSED');
  });

  it('publishes the declaration', async () => {
    const response = await request(app)
      .get('/.well-known/agent-card.json')
      .set('A2A-Version', '1.0')
      .expect(200);
    expect(response.body).toMatchObject({
      securitySchemes: { bearer: { httpAuthSecurityScheme: { scheme: 'Bearer' } } },
    });
  });
});
