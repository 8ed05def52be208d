import { once } from 'node:events';
import type { AddressInfo } from 'node:net';

import { AgentSecurity, httpBearer } from '@a2a-auth/server';
import { authenticate, userBuilder } from '@a2a-auth/server/express';
import type { User } from '@a2a-js/sdk/server';
import express, { type Response } from 'express';
import { expect, it, onTestFinished, vi } from 'vitest';

import { CallerUser } from '../src/caller.js';
import { agentCard } from './support/agent.js';

it('tells of a caller who hung up while the credential was verified that it has left', async () => {
  const hangingUp = new AbortController();
  const app = express();
  // The first middleware sees the response whose connection the caller closes.
  const closed = new Promise<void>((resolve) => {
    app.use((_req, res: Response, next) => {
      res.once('close', resolve);
      next();
    });
  });
  const validator = async () => {
    hangingUp.abort();
    await closed;
    return { principal: 'alice' };
  };
  const security = new AgentSecurity()
    .addSecurityScheme('token', httpBearer({ validator }))
    .addSecurityRequirement({ token: [] });
  const requestHandler = security.protect({ getAgentCard: () => Promise.resolve(agentCard()) } as never);
  const user = new Promise<User>((resolve) => {
    app.use(authenticate({ security, requestHandler, binding: 'JSONRPC' }), (req) => {
      resolve(userBuilder(req));
    });
  });
  const server = app.listen(0, '127.0.0.1');
  onTestFinished(() => {
    server.close();
  });
  await once(server, 'listening');
  const call = fetch(`http://127.0.0.1:${String((server.address() as AddressInfo).port)}`, {
    method: 'POST',
    headers: { authorization: 'Bearer t', 'content-type': 'application/json', 'A2A-Version': '1.0' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'GetTask', params: { id: 't' } }),
    signal: hangingUp.signal,
  });
  await expect(call).rejects.toThrow();
  const left = vi.fn();
  CallerUser.whenLeft(await user, left);
  expect(left).toHaveBeenCalledOnce();
});
