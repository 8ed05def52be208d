import { EventEmitter } from 'node:events';

import type { StreamResponse } from '@a2a-js/sdk';
import { ServerCallContext, type A2ARequestHandler } from '@a2a-js/sdk/server';
import type { ServerUnaryCall } from '@grpc/grpc-js';
import { beforeEach, expect, it, vi } from 'vitest';

import { CallerUser } from '../../src/caller.js';
import { admit, userBuilder } from '../../src/grpc/caller.js';
import { followCall } from '../../src/grpc/follow-call.js';
import { authRequest } from '../support/auth-request.js';
import { granted, headerScheme, securityOf } from '../support/agent.js';

const call = Object.assign(new EventEmitter(), { cancelled: false });
const ended = vi.fn();
beforeEach(() => {
  call.cancelled = false;
  ended.mockClear();
});

/** Three events; the caller leaves while the second is on its way. */
async function* events(): AsyncGenerator<StreamResponse, void, undefined> {
  try {
    yield {};
    call.cancelled = true;
    yield {};
    yield {};
    ended('all read');
  } finally {
    ended('ended');
  }
}

const handler = followCall({
  sendMessageStream: () => events(),
  resubscribe: () => events(),
} as Partial<A2ARequestHandler> as A2ARequestHandler);

async function contextOfCaller(): Promise<ServerCallContext> {
  const security = securityOf({ key: headerScheme('X-Key') });
  const decision = await security.authenticate(authRequest({ header: { 'X-Key': 'ada' } }));
  const grpcCall = call as unknown as ServerUnaryCall<unknown, unknown>;
  admit(grpcCall, granted(decision));
  return new ServerCallContext({ user: await userBuilder(grpcCall) });
}

async function count(stream: AsyncIterable<unknown>): Promise<number> {
  const seen: unknown[] = [];
  for await (const event of stream) seen.push(event);
  return seen.length;
}

it('hands on nothing to a caller who left, but reads the events of a message to their end', async () => {
  const stream = handler.sendMessageStream(
    { tenant: '', message: undefined, configuration: undefined, metadata: undefined },
    await contextOfCaller(),
  );
  expect(await count(stream)).toBe(1);
  expect(ended.mock.calls).toEqual([['all read'], ['ended']]);
});

it('ends the subscription of a caller who left', async () => {
  const stream = handler.resubscribe({ tenant: '', id: 't-1' }, await contextOfCaller());
  expect(await count(stream)).toBe(1);
  expect(ended.mock.calls).toEqual([['ended']]);
});

it('tells whatever is done for a caller that the call has ended', async () => {
  const context = await contextOfCaller();
  handler.resubscribe({ tenant: '', id: 't-1' }, context);
  const told = vi.fn();
  CallerUser.whenLeft(context.user, told);
  expect(told).not.toHaveBeenCalled();
  call.emit('cancelled');
  expect(told).toHaveBeenCalledOnce();
});

it('hands on everything to whoever is no caller of ours', async () => {
  const stream = handler.resubscribe({ tenant: '', id: 't-1' }, new ServerCallContext());
  expect(await count(stream)).toBe(3);
});
