import { AgentSecurity, apiKey } from '@a2a-auth/server';
import { agentRouter } from '@a2a-auth/server/express';
import { agentFetchHandler } from '@a2a-auth/server/fetch';
import express from 'express';
import { describe, expect, it, vi } from 'vitest';

import { listenerOf } from '../fetch/support.js';
import { agentCard, createAgent } from '../support/agent.js';
import { muteConsole } from '../support/quiet.js';
import { exchange } from '../support/raw-http.js';
import { closeServersAfterTests, listen } from '../support/server.js';

closeServersAfterTests();
muteConsole();

// A browser sends the caller's cookies, password and client certificate with whatever another site asks it for, and it
// asks the agent first (CORS) only where the request has something that no form could have. Bodies have to be JSON; some
// operations need none.

const victim = [['Cookie', 'session=a-session-key']] as const;
const anotherSite = [['Origin', 'https://evil.example']] as const;
const json = [['Content-Type', 'application/json']] as const;
const version = [['A2A-Version', '1.0']] as const;

type Fields = readonly (readonly [string, string])[];

describe.each(['express', 'fetch'] as const)('with %s, a POST without a body', (binding) => {
  async function start() {
    const { server, port, url, serve } = await listen();
    const { requestHandler } = createAgent(agentCard(url));
    const security = new AgentSecurity()
      .addSecurityScheme('session', apiKey({ in: 'cookie', name: 'session', keys: ['a-session-key'] }))
      .addSecurityRequirement({ session: [] });
    const cancelTask = vi.spyOn(requestHandler, 'cancelTask');
    if (binding === 'express') serve(express().use(agentRouter({ security, requestHandler })));
    else server.on('request', listenerOf(agentFetchHandler({ security, requestHandler })));
    const ask = (path: string, headers: Fields) =>
      exchange(port, { method: 'POST', target: `/a2a/rest${path}`, headers, body: '' });
    return { ask, cancelTask };
  }

  const paths = ['/v1/tasks/t-1:cancel', '/tasks/t-1:cancel', '/mine/tasks/t-1:cancel'];

  it.each(paths)('of another site cancels no task: %s', async (path) => {
    const { ask, cancelTask } = await start();
    for (const type of ['', 'text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data']) {
      for (const origin of ['https://evil.example', 'null']) {
        const fields: Fields = [
          ...victim,
          ['Origin', origin],
          ...(type === '' ? [] : [['Content-Type', type] as const]),
        ];
        expect((await ask(path, fields)).status).toBe(415);
      }
    }
    expect(cancelTask).not.toHaveBeenCalled();
  });

  it.each<[string, string, Fields]>([
    ['a program', '/v1/tasks/t-1:cancel', []],
    ['a page that was allowed to name a type', '/v1/tasks/t-1:cancel', [...anotherSite, ...json]],
    ['a page that was allowed to name a version', '/tasks/t-1:cancel', [...anotherSite, ...version]],
  ])('of %s does', async (_who, path, headers) => {
    const { ask, cancelTask } = await start();
    // There is no such task.
    expect((await ask(path, [...victim, ...headers])).status).toBe(404);
    expect(cancelTask).toHaveBeenCalledOnce();
  });

  it('of another site that has no cookie is denied like any other', async () => {
    const { ask } = await start();
    expect((await ask('/v1/tasks/t-1:cancel', anotherSite)).status).toBe(401);
  });
});
