import { describe, expect, it, vi } from 'vitest';

import { granted } from '../support/credentials.js';
import { muteConsole } from '../support/quiet.js';
import { closeServersAfterTests, startAgent } from '../support/server.js';

closeServersAfterTests();
muteConsole();

const asked = [
  ['GET', '/tasks/t-1', 'getTask'],
  ['GET', '/tasks', 'listTasks'],
  ['GET', '/tasks/t-1:subscribe', 'resubscribe'],
  ['POST', '/tasks/t-1:cancel', 'cancelTask'],
  ['GET', '/tasks/t-1/pushNotificationConfigs', 'listTaskPushNotificationConfigs'],
  ['GET', '/tasks/t-1/pushNotificationConfigs/c-1', 'getTaskPushNotificationConfig'],
  ['DELETE', '/tasks/t-1/pushNotificationConfigs/c-1', 'deleteTaskPushNotificationConfig'],
  ['GET', '/extendedAgentCard', 'getAuthenticatedExtendedAgentCard'],
] as const;

describe('the tenant of the path', () => {
  it.each(asked)('of %s %s gets to the agent, also past one in the query', async (method, path, name) => {
    const agent = await startAgent();
    const called = vi.spyOn(agent.requestHandler, name);
    for (const query of ['', '?tenant=yours']) {
      await fetch(`${agent.restUrl}/mine${path}${query}`, {
        method,
        headers: { 'A2A-Version': '1.0', ...granted.partner },
      });
      expect(called.mock.lastCall?.[0]).toMatchObject({ tenant: 'mine' });
    }
    expect(called).toHaveBeenCalledTimes(2);
  });
});
