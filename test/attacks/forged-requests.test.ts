import { AgentSecurity, apiKey } from '@a2a-auth/server';
import { agentRouter } from '@a2a-auth/server/express';
import { agentFetchHandler } from '@a2a-auth/server/fetch';
import express from 'express';
import { it } from 'vitest';
import { listenerOf } from '../fetch/support.js';
import { agentCard, createAgent } from '../support/agent.js';
import { exchange } from '../support/raw-http.js';
import { closeServersAfterTests, listen } from '../support/server.js';
closeServersAfterTests();
it.each(['express', 'fetch'])('%s', async (b) => {
  const { server, port, url, serve } = await listen();
  const agent = createAgent(agentCard(url));
  const security = new AgentSecurity().addSecurityScheme('s', apiKey({ in: 'cookie', name: 'session', keys: ['a-session-key'] })).addSecurityRequirement({ s: [] });
  if (b === 'express') serve(express().use(agentRouter({ security, requestHandler: agent.requestHandler })));
  else server.on('request', listenerOf(agentFetchHandler({ security, requestHandler: agent.requestHandler })));
  const done: string[] = [];
  for (const m of ['cancelTask', 'resubscribe'] as const) { const o = (agent.requestHandler as any)[m]; (agent.requestHandler as any)[m] = function (...a: any[]) { done.push(m); return o.apply(this, a); }; }
  for (const path of ['/v1/tasks/t-1:cancel', '/tasks/t-1:cancel', '/v1/tasks/t-1:subscribe'])
    for (const type of [[], [['Content-Type', 'text/plain']], [['Content-Type', 'application/x-www-form-urlencoded']]] as any) {
      done.length = 0;
      const r = await exchange(port, { method: 'POST', target: `/a2a/rest${path}`, headers: [['Cookie', 'session=a-session-key'], ['Origin', 'https://evil.example'], ['Sec-Fetch-Site', 'cross-site'], ...type], body: '' });
      console.log(b, path, JSON.stringify(type), r.status, done.join());
    }
});
