import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';

import { agentRouter } from '@a2a-auth/server/express';
import express from 'express';

import { createRequestHandler } from './agent.js';
import { runDemo } from './demo.js';
import { createSecurity, type Alternative } from './security.js';

/** What a stream that is still open at SIGTERM has, to come to its end. */
const DRAIN_MS = 10_000;

const port = Number(process.env['PORT'] ?? 41_241);
const baseUrl = `http://localhost:${String(port)}`;
const endpoints = { JSONRPC: `${baseUrl}/a2a/jsonrpc`, 'HTTP+JSON': `${baseUrl}/a2a/rest` };
const cardUrl = `${baseUrl}/.well-known/agent-card.json`;

const { security, alternatives } = await createSecurity(baseUrl);

const app = express();
app.disable('x-powered-by');
app.use(agentRouter({ security, requestHandler: createRequestHandler(endpoints) }));

const server = createServer(app).listen(port);
await once(server, 'listening');
stopOnSignal(server);

if (process.argv.includes('--json')) {
  console.log(JSON.stringify({ cardUrl, endpoints, alternatives }));
} else {
  console.log(`The agent card: ${cardUrl}\n`);
  console.log(`A denied call:\n${curl({})}\n`);
  console.log(`A granted call:\n${curl(alternatives[0].headers)}\n`);
  await runDemo(baseUrl, alternatives);
  console.log('\nStop with Ctrl+C.');
}

function curl(headers: Alternative['headers']): string {
  const all = { 'Content-Type': 'application/json', 'A2A-Version': '1.0', ...headers };
  const body = {
    jsonrpc: '2.0',
    id: 1,
    method: 'SendMessage',
    params: { message: { messageId: 'm1', role: 'ROLE_USER', parts: [{ text: 'Who am I?' }] } },
  };
  const flags = Object.entries(all).map(([name, value]) => `  -H '${name}: ${value}' \\`);
  return [`curl -i ${endpoints.JSONRPC} \\`, ...flags, `  -d '${JSON.stringify(body)}'`].join('\n');
}

/** Takes no new calls, lets open streams come to their end, and leaves. */
function stopOnSignal(server: Server): void {
  let stopping = false;
  const stop = () => {
    if (stopping) return;
    stopping = true;
    const idle = setInterval(() => {
      server.closeIdleConnections();
    }, 100);
    server.close(() => {
      clearInterval(idle);
      process.exit(0);
    });
    void wait(DRAIN_MS).then(() => {
      server.closeAllConnections();
    });
  };
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
}
