import { join } from 'node:path';

import { afterEach, expect, it } from 'vitest';

import { sendForTask, request } from '../support/client.js';
import { connectGrpc, grpcCard, versions } from '../support/grpc.js';
import { Program } from '../support/program.js';

const main = join(import.meta.dirname, '../../examples/grpc/dist/main.js');
const running = new Set<Program>();

function start(...args: string[]): Program {
  const program = new Program([main, ...args], { PORT: '0' });
  running.add(program);
  return program;
}

afterEach(async () => {
  await Promise.all([...running].map((program) => program.stop()));
  running.clear();
});

it('shows a denied and a granted call, and ends', async () => {
  const program = start();
  expect(await program.ends()).toBe(0);
  expect(program.stdout).toMatch(
    /without credentials:\n {2}TASK_STATE_AUTH_REQUIRED: Authentication is required/,
  );
  expect(program.stdout).toMatch(/with an API key in its metadata:\n {2}You are Ada\.\n/);
  expect(program.stderr).toBe('');
});

it.each(versions)('with --serve, it goes on and serves %s', async (version) => {
  const program = start('--serve');
  const [, key = ''] = await program.prints(/The key: (\S+)\n/);
  const [, address = ''] = await program.prints(/gRPC at (\S+)\.\n/);
  const task = await sendForTask(await connectGrpc(grpcCard(address), version), 'hello');
  expect(task.status?.state).toBe(8);
  const client = await connectGrpc(grpcCard(address), version, { 'x-api-key': key });
  expect(await client.sendMessage(request('hello'))).toMatchObject({
    parts: [{ content: { $case: 'text', value: 'You are Ada.' } }],
  });
});
