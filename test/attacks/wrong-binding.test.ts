import { AgentSecurity, type SecurityScheme } from '@a2a-auth/server';
import { authenticate, contextBuilder, userBuilder } from '@a2a-auth/server/express';
import { restHandler } from '@a2a-js/sdk/server/express';
import express from 'express';
import { expect, it } from 'vitest';

import { agentCard, createAgent } from '../support/agent.js';
import { jsonRpc, message } from '../support/operations.js';
import { muteConsole } from '../support/quiet.js';
import { closeServersAfterTests, listen } from '../support/server.js';

closeServersAfterTests();
muteConsole();

/** Everybody may read tasks, and do nothing else. */
const readers: SecurityScheme<string> = {
  declaration: { type: 'apiKey', in: 'header', name: 'X-Name' },
  extract: (request) => request.header('x-name')[0],
  verify: (subject) => ({
    verified: true,
    principal: { subject },
    permits: ({ operation }) =>
      operation === 'GetTask' ? { permitted: true } : { permitted: false, detail: 'Readers read.' },
  }),
};

it('a gate for JSON-RPC, put before HTTP+JSON by mistake, lets nobody do what another operation was permitted for', async () => {
  const { url, serve } = await listen();
  const agent = createAgent(agentCard(url));
  const security = new AgentSecurity()
    .addSecurityScheme('reader', readers)
    .addSecurityRequirement({ reader: [] });
  const requestHandler = security.protect(agent.requestHandler);
  const app = express();
  app.use(
    '/a2a/rest',
    authenticate({ security, requestHandler, binding: 'JSONRPC' }),
    restHandler({ requestHandler, userBuilder, contextBuilder: contextBuilder(security) }),
  );
  serve(app);

  const response = await fetch(`${url}/a2a/rest/message:send`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'a2a-version': '1.0', 'x-name': 'ada' },
    body: JSON.stringify({ ...jsonRpc('GetTask', {}), message: message['1.0'] }),
  });
  expect(await response.text()).toContain('TASK_STATE_AUTH_REQUIRED');
  expect(agent.executor.calls).toHaveLength(0);
});
