import { TaskState } from '@a2a-js/sdk';
import type { Client } from '@a2a-js/sdk/client';
import type { AuthRequiredTask, ConnectOptions } from '@a2a-auth/client';
import { AgentSecurity, httpBearer } from '@a2a-auth/server';
import { describe, expect, it } from 'vitest';

import { countingSource } from '../../packages/client/test/support/source.js';
import { collect, request, sendForTask } from './client.js';

/** Security that takes these tokens, which may change, and no others. */
export function tokenSecurity(good: ReadonlySet<string>, messages: 'task' | 'http' = 'task') {
  return new AgentSecurity<string>({ denials: { messages } })
    .addSecurityScheme(
      'token',
      httpBearer({ validator: (token) => (good.has(token) ? { principal: 'ada' } : undefined) }),
    )
    .addSecurityRequirement({ token: [] });
}

/** Security that finds the login behind the first token too weak. */
function strongSecurity() {
  const acrs = new Map([
    ['token-1', 'urn:example:password'],
    ['token-2', 'urn:example:mfa'],
  ]);
  return new AgentSecurity<string>()
    .addSecurityScheme(
      'token',
      httpBearer({
        validator: (token) => ({ principal: { subject: 'ada', claims: { acr: acrs.get(token) } } }),
      }),
    )
    .addSecurityRequirement({ token: [] }, { acrValues: ['urn:example:mfa'] });
}

/** The state in which the task of a message is, in the end. */
export async function sendOne(client: Client): Promise<TaskState | undefined> {
  return (await sendForTask(client, 'hello')).status?.state;
}

/** The same, of a message whose answer is a stream. */
async function streamOne(client: Client): Promise<TaskState | undefined> {
  const last = (await collect(client.sendMessageStream(request('hello')))).at(-1)?.payload;
  return last?.$case === 'statusUpdate' || last?.$case === 'task' ? last.value.status?.state : undefined;
}

/** Both ways to send a message, by name. */
export const ways = [
  ['a message', sendOne],
  ['a stream', streamOne],
] as const;

/** An agent to which clients can be connected. */
interface Reachable {
  readonly executor: { readonly calls: readonly unknown[] };
  readonly connect: (options: ConnectOptions) => Promise<Client>;
}

/**
 * What a client does about a token that the agent does not take any more, over any transport.
 *
 * @param denied what a denial is that is no task
 */
export function describeRenewal(
  startAgent: (security: AgentSecurity<string>) => Promise<Reachable>,
  denied: object,
): void {
  async function start(messages: 'task' | 'http' = 'task') {
    const good = new Set(['token-1']);
    const { executor, connect } = await startAgent(tokenSecurity(good, messages));
    const tasks: AuthRequiredTask[] = [];
    const source = countingSource();
    const client = await connect({
      credentials: [source.source],
      onAuthRequired: (task) => tasks.push(task),
    });
    const replaceToken = () => {
      good.delete('token-1');
      good.add('token-2');
    };
    return { executor, good, replaceToken, source, client, tasks };
  }

  describe.each(['task', 'http'] as const)('when denials of messages are presented as %s', (messages) => {
    it.each(ways)('renews a token that is not taken any more, for %s', async (_name, call) => {
      const { executor, replaceToken, source, client, tasks } = await start(messages);
      await call(client);
      replaceToken();
      expect(await call(client)).toBe(TaskState.TASK_STATE_COMPLETED);
      expect(source.fetched).toBe(2);
      expect(executor.calls).toHaveLength(2);
      expect(tasks).toEqual([]);
    });

    it('renews it for other operations', async () => {
      const { replaceToken, source, client } = await start(messages);
      const { id } = await sendForTask(client, 'hello');
      replaceToken();
      expect(await client.getTask({ tenant: '', id })).toMatchObject({ id });
      expect(source.fetched).toBe(2);
    });

    it.each(ways)('gives back the second denial of %s', async (_name, call) => {
      const { executor, good, source, client, tasks } = await start(messages);
      good.clear();
      const answer: unknown = await call(client).catch((error: unknown) => error);
      if (messages === 'task') expect(answer).toBe(TaskState.TASK_STATE_AUTH_REQUIRED);
      else {
        expect(answer).toBeInstanceOf(Error);
        expect(answer).toMatchObject(denied);
      }
      expect(source.fetched).toBe(2);
      expect(executor.calls).toHaveLength(0);
      expect(tasks).toEqual([]);
    });
  });

  it.each(ways)('learns which login the agent asks for, from %s (RFC 9470)', async (_name, call) => {
    const { connect } = await startAgent(strongSecurity());
    const source = countingSource();
    const client = await connect({ credentials: [source.source] });
    expect(await call(client)).toBe(TaskState.TASK_STATE_COMPLETED);
    expect(source.refusals.map(({ challenge }) => challenge?.params)).toEqual([
      expect.objectContaining({ error: 'insufficient_user_authentication', acr_values: 'urn:example:mfa' }),
    ]);
  });

  it('lets a hundred calls that are refused at once get one new token', async () => {
    const { replaceToken, source, client } = await start();
    await sendOne(client);
    replaceToken();
    const states = await Promise.all(Array.from({ length: 100 }, () => sendOne(client)));
    expect(new Set(states)).toEqual(new Set([TaskState.TASK_STATE_COMPLETED]));
    expect(source.fetched).toBe(2);
  });
}
