import { once } from 'node:events';
import { connect as connectSocket, createServer } from 'node:net';
import { join } from 'node:path';

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import { jsonRpc } from './support/operations.js';
import { freePorts, Program } from './support/program.js';

const main = join(import.meta.dirname, '../examples/two-nextjs-agents/dist/main.js');

/** The first run builds both apps. */
const PATIENCE_MS = 240_000;
/** Of the longest conversation there is. */
const TURNS = 20;

interface Run {
  readonly program: Program;
  readonly port: number;
  readonly north: string;
  readonly south: string;
}

async function start(...args: string[]): Promise<Run> {
  const port = await freePorts();
  const program = new Program([main, ...args], { PORT: String(port) });
  return {
    program,
    port,
    north: `http://localhost:${String(port)}`,
    south: `http://localhost:${String(port + 1)}`,
  };
}

/** The token of the line that is printed for people, once all is running. */
async function invitedWith({ program }: Run): Promise<string> {
  const [, token = ''] = await program.prints(/Authorization: Bearer ([^']+)'[^]*-d '.*'\n/);
  return token;
}

describe('the example of two Next.js apps', () => {
  let run: Run;
  let code: number | null;
  beforeAll(async () => {
    run = await start();
    code = await run.program.ends();
  }, PATIENCE_MS);
  afterAll(() => run.program.stop());

  const denied = (what: string) => {
    const [, answers = ''] = run.program.stdout.split('\nDenied:\n');
    const [, answer = ''] = answers.split(`  ${what}:\n`);
    return /^(?: {4}.*\n)*/.exec(answer)?.[0] ?? '';
  };

  it('ends well', () => {
    expect(code, run.program.stderr).toBe(0);
  });

  it('has the agents take turns, and each know who asks it', () => {
    const lines = run.program.stdout.split('\n').filter((line) => /^ {2}turn/.test(line));
    expect(lines).toEqual([
      '  turn 1: north, asked by referee: I am available for this turn.',
      '  turn 2: south, asked by north: I am available for this turn.',
      '  turn 3: north, asked by south: I am available for this turn.',
      '  turn 4: south, asked by north: I am available for this turn.',
    ]);
  });

  it('answers a message without a token with a task in auth-required', () => {
    expect(denied('A message to south without a token')).toMatch(
      /HTTP 200\n {4}TASK_STATE_AUTH_REQUIRED\n {4}Bearer realm="a2a", scope="south:turn"/,
    );
  });

  it('answers any other call without a token with 401', () => {
    expect(denied('Any other call of south without a token')).toMatch(/HTTP 401\n {4}Bearer /);
  });

  it.each([
    ['south', 'north'],
    ['north', 'south'],
  ])('has %s refuse a token that is for %s', (agent, other) => {
    expect(denied(`A message to ${agent} with a token for ${other}`)).toMatch(
      /TASK_STATE_AUTH_REQUIRED\n {4}Bearer realm="a2a", error="invalid_token"/,
    );
  });

  it('has the authorization server give a client no token but for the other agent', () => {
    expect(denied("A token for north, asked for by north's client")).toBe('    HTTP 400, invalid_scope\n');
  });

  it('shows no token', () => {
    expect(run.program.stdout + run.program.stderr).not.toMatch(/eyJ/);
  });

  it('leaves nothing that listens', async () => {
    await untilRefused(run);
  });
});

describe('the example of two Next.js apps, serving', () => {
  let run: Run;
  let token: string;
  beforeAll(async () => {
    run = await start('--serve');
    token = await invitedWith(run);
  }, PATIENCE_MS);
  afterAll(() => run.program.stop());

  const call = (method: string, params: object, signal?: AbortSignal) =>
    fetch(`${run.north}/a2a/jsonrpc`, {
      method: 'POST',
      headers: {
        'Content-Type': 'application/json',
        'A2A-Version': '1.0',
        Authorization: `Bearer ${token}`,
      },
      body: JSON.stringify(jsonRpc(method, params)),
      ...(signal === undefined ? {} : { signal }),
    });

  const stream = async (signal?: AbortSignal) => {
    const data = { turn: 1, turns: TURNS };
    const message = { messageId: 'm-1', role: 'ROLE_USER', parts: [{ data }] };
    const { body } = await call('SendStreamingMessage', { message }, signal);
    if (body === null) throw new Error('The answer is empty.');
    return body.pipeThrough(new TextDecoderStream());
  };

  it.each(['north', 'south'] as const)('has a card for %s that wants tokens for it alone', async (agent) => {
    const response = await fetch(`${run[agent]}/.well-known/agent-card.json`);
    expect(await response.json()).toMatchObject({
      name: agent,
      supportedInterfaces: [{ url: `${run[agent]}/a2a/jsonrpc` }, { url: `${run[agent]}/a2a/rest` }],
      securityRequirements: [
        { schemes: { [agent === 'north' ? 'callers' : 'partners']: { list: [`${agent}:turn`] } } },
      ],
    });
    const metadata = await fetch(`${run[agent]}/.well-known/oauth-protected-resource/a2a`);
    expect(await metadata.json()).toMatchObject({ resource: `${run[agent]}/a2a` });
  });

  it('streams each turn as it is taken', { timeout: 60_000 }, async () => {
    let received = '';
    let atFirstTurn: string | undefined;
    for await (const piece of await stream()) {
      received += piece;
      if (received.includes('turn 1:')) atFirstTurn ??= received;
    }
    expect(atFirstTurn).not.toContain(`turn ${String(TURNS)}:`);
    for (let turn = 1; turn <= TURNS; turn++) expect(received).toContain(`turn ${String(turn)}:`);
    expect(received).toContain('TASK_STATE_COMPLETED');
  });

  it(
    'goes on with its work when a caller leaves the stream, and says nothing of it',
    { timeout: 60_000 },
    async () => {
      const saidBefore = run.program.stderr.length;
      const leaving = new AbortController();
      let taskId = '';
      await expect(async () => {
        let received = '';
        for await (const piece of await stream(leaving.signal)) {
          received += piece;
          taskId = /"task":\{"id":"([^"]+)"/.exec(received)?.[1] ?? taskId;
          if (received.includes('turn 1:')) leaving.abort();
        }
      }).rejects.toThrow(/abort/);
      await expect
        .poll(async () => (await call('GetTask', { id: taskId })).text(), { timeout: 30_000, interval: 200 })
        .toMatch(/TASK_STATE_COMPLETED.*turn 20:/);
      expect(run.program.stderr.slice(saidBefore)).toBe('');
    },
  );

  it.each([
    { turn: 1, turns: TURNS + 1 },
    { turn: 2, turns: 1 },
    { turn: 0, turns: 1 },
    { turn: '1', turns: 1 },
    null,
  ])('has no conversation that would not end: %j', async (data) => {
    const message = { messageId: 'm-1', role: 'ROLE_USER', parts: [{ data }] };
    expect(await (await call('SendMessage', { message })).text()).toContain('TASK_STATE_REJECTED');
  });

  it('ends at SIGTERM, and leaves nothing that listens', async () => {
    run.program.child.kill('SIGTERM');
    expect(await run.program.ends()).toBe(0);
    await untilRefused(run);
  });
});

describe('the example of two Next.js apps, when it goes wrong', () => {
  let run: Run | undefined;
  afterEach(() => run?.program.stop());

  it('leaves nothing that listens when it is killed', { timeout: PATIENCE_MS }, async () => {
    run = await start('--serve');
    await invitedWith(run);
    run.program.child.kill('SIGKILL');
    await run.program.ends();
    await untilRefused(run);
  });

  it('stops all when one app cannot be started', { timeout: PATIENCE_MS }, async () => {
    const taken = createServer((socket) => socket.destroy());
    const port = await freePorts();
    await once(taken.listen(port + 1, 'localhost'), 'listening');
    try {
      const program = new Program([main], { PORT: String(port) });
      run = { program, port, north: '', south: '' };
      expect(await program.ends()).toBe(1);
      expect(program.stderr).toContain('The app south ended');
    } finally {
      await once(taken.close(), 'close');
    }
    await untilRefused(run);
  });
});

/** Resolves once nobody listens at any port of a run. */
async function untilRefused({ port }: Run): Promise<void> {
  for (const each of [port, port + 1, port + 2]) {
    await expect.poll(() => isRefused(each), { timeout: 10_000 }).toBe(true);
  }
}

async function isRefused(port: number): Promise<boolean> {
  const socket = connectSocket({ port, host: 'localhost' });
  try {
    await once(socket, 'connect');
    return false;
  } catch {
    return true;
  } finally {
    socket.destroy();
  }
}
