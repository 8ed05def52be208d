import { TaskState } from '@a2a-js/sdk';
import { apiKey, bearer, connect } from '@a2a-auth/client';
import { describe, expect, it } from 'vitest';

import { collect, combinations, request, sendForTask } from '../support/client.js';
import { muteConsole } from '../support/quiet.js';
import { closeServersAfterTests, startAgent } from '../support/server.js';

closeServersAfterTests();
muteConsole();

const key = 'partner-0123456789';

describe.each(combinations)('over $binding $version', ({ binding, version }) => {
  const start = () => {
    return startAgent();
  };

  it('meets an API key, from nothing but the URL', async () => {
    const agent = await start();
    agent.card.supportedInterfaces = agent.card.supportedInterfaces.filter(
      (candidate) => candidate.protocolBinding === binding && candidate.protocolVersion === version,
    );
    const client = await connect(agent.url, { credentials: { partnerKey: apiKey(key) } });
    expect(client.protocolVersion).toBe(version);
    const task = await sendForTask(client, 'hello');
    expect(task.status?.state).toBe(TaskState.TASK_STATE_COMPLETED);
    const events = await collect(client.sendMessageStream(request('hello')));
    expect(events).toHaveLength(2);
  });

  it('meets all schemes of an AND', async () => {
    const agent = await start();
    const client = await connect(agent.url, {
      credentials: { tenantKey: apiKey('tenant-0123456789'), userToken: bearer('ada') },
    });
    const task = await sendForTask(client, 'hello');
    expect(task.status?.state).toBe(TaskState.TASK_STATE_COMPLETED);
  });
});
