import { execFile, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect as connectSocket } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';

import { TaskState } from '@a2a-js/sdk';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import { textOf } from './support/agent.js';
import { combinations, connect, sendForTask } from './support/client.js';
import type { Headers } from './support/credentials.js';
import { connectGrpc, grpcCard, versions } from './support/grpc.js';
import { jsonRpc } from './support/operations.js';
import { freePorts, Program } from './support/program.js';

const main = join(import.meta.dirname, '../examples/quickstart/dist/main.js');

const whoAmI = { messageId: 'm-1', role: 'ROLE_USER', parts: [{ text: 'Who am I?' }] };

interface Description {
  readonly cardUrl: string;
  readonly endpoints: Readonly<Record<string, string>>;
  readonly mtls: Readonly<Record<'endpoint' | 'ca' | 'certificate' | 'key', string>>;
  readonly alternatives: readonly { readonly name: string; readonly headers: Headers }[];
}

const running = new Set<Program>();

async function startQuickstart(...args: string[]) {
  const port = await freePorts();
  const program = new Program([main, ...args], { PORT: String(port) });
  running.add(program);
  return { program, url: `http://localhost:${String(port)}` };
}

/** The one line of JSON, as soon as it is there. */
async function describedBy(program: Program): Promise<Description> {
  const [line] = await program.prints(/^.*\n/);
  return JSON.parse(line) as Description;
}

describe('the quickstart with --json', () => {
  let program: Program;
  let url: string;
  let description: Description;
  beforeAll(async () => {
    ({ program, url } = await startQuickstart('--json'));
    description = await describedBy(program);
  });
  afterAll(async () => {
    running.delete(program);
    await program.stop();
  });

  it('says where the card and the endpoints are, and how to get in', () => {
    expect(description).toMatchObject({
      cardUrl: `${url}/.well-known/agent-card.json`,
      endpoints: { JSONRPC: `${url}/a2a/jsonrpc`, 'HTTP+JSON': `${url}/a2a/rest` },
    });
    const names = description.alternatives.map(({ name }) => name);
    expect(names.slice(0, 2)).toEqual(['partnerKey', 'tenantKey+userToken']);
    expect(Object.keys(description.alternatives[1]?.headers ?? {})).toEqual([
      'X-Tenant-Key',
      'Authorization',
    ]);
  });

  it('serves the card, with the alternatives on it', async () => {
    const response = await fetch(description.cardUrl, { headers: { 'A2A-Version': '1.0' } });
    const card = (await response.json()) as { securityRequirements: { schemes: Record<string, unknown> }[] };
    const onCard = card.securityRequirements.map(({ schemes }) => Object.keys(schemes).sort().join('+'));
    for (const { name } of description.alternatives) expect(onCard).toContain(name);
  });

  describe.each(combinations)('over $binding $version', (combination) => {
    const ask = async (headers: Headers) => {
      const task = await sendForTask(await connect(url, combination, headers), 'Who am I?');
      return { state: task.status?.state, text: textOf(task.status?.message) };
    };

    it("lets in whoever sends an alternative's headers, and says who they are", async () => {
      for (const { name, headers } of description.alternatives) {
        const { state, text } = await ask(headers);
        expect(state, name).toBe(TaskState.TASK_STATE_COMPLETED);
        expect(text).toMatch(/^You are .+ \(by .+\)/);
      }
      const [partner, tenantAndUser] = description.alternatives;
      expect((await ask(partner?.headers ?? {})).text).toContain('example-partner (by partnerKey)');
      expect((await ask(tenantAndUser?.headers ?? {})).text).toContain(
        'ada (by https://users.example) and acme (by tenantKey)',
      );
    });

    it('lets in nobody who sends a part of an alternative, or nothing', async () => {
      const parts = description.alternatives.flatMap(({ headers }) =>
        Object.keys(headers).map((left) =>
          Object.fromEntries(Object.entries(headers).filter(([name]) => name !== left)),
        ),
      );
      expect(parts.length).toBeGreaterThanOrEqual(3);
      for (const headers of parts) {
        expect((await ask(headers)).state).toBe(TaskState.TASK_STATE_AUTH_REQUIRED);
      }
    });
  });

  it('lets in whoever has the client certificate, at the address for that', async () => {
    const { body } = await askWithCertificate(description.mtls);
    expect(body).toContain('TASK_STATE_COMPLETED');
    expect(body).toContain('You are example-client (by ');
  });

  it('does not even connect to whoever has none there', async () => {
    const { endpoint, ca } = description.mtls;
    await expect(askWithCertificate({ endpoint, ca })).rejects.toThrow();
  });

  it.each(versions)('answers by gRPC, protocol %s', async (version) => {
    const { endpoints, alternatives } = description;
    const state = async (headers: Headers) =>
      (await sendForTask(await connectGrpc(grpcCard(endpoints.GRPC ?? ''), version, headers), 'Who am I?'))
        .status?.state;
    expect(await state({})).toBe(TaskState.TASK_STATE_AUTH_REQUIRED);
    for (const { name, headers } of alternatives) {
      expect(await state(headers), name).toBe(TaskState.TASK_STATE_COMPLETED);
    }
  });

  it('has printed exactly one line', () => {
    expect(program.stdout).toBe(`${JSON.stringify(description)}\n`);
  });
});

describe('the quickstart at SIGTERM', () => {
  afterEach(stopAll);

  it('ends at once, and well, when nothing is going on', async () => {
    const { program } = await startQuickstart('--json');
    await describedBy(program);
    program.child.kill('SIGTERM');
    expect(await program.ends()).toBe(0);
    expect(program.stdout.trimEnd().split('\n')).toHaveLength(1);
  });

  it(
    'takes no new calls, lets an open stream come to its end, and ends well',
    { timeout: 60_000 },
    async () => {
      const { program } = await startQuickstart('--json');
      const { endpoints, alternatives } = await describedBy(program);
      const endpoint = endpoints.JSONRPC ?? '';
      const response = await fetch(endpoint, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', 'A2A-Version': '1.0', ...alternatives[0]?.headers },
        body: JSON.stringify(
          jsonRpc('SendStreamingMessage', {
            message: { messageId: 'm-1', role: 'ROLE_USER', parts: [{ text: 'count' }] },
          }),
        ),
      });
      const pieces = response.body?.pipeThrough(new TextDecoderStream());
      let received = '';
      let signaled = false;
      for await (const chunk of pieces ?? []) {
        received += chunk;
        if (!signaled) {
          signaled = true;
          program.child.kill('SIGTERM');
          await untilRefused(Number(new URL(endpoint).port));
        }
      }
      for (const number of ['1', '2', '3', '4', '5']) expect(received).toContain(`"text":"${number}"`);
      expect(received).toContain('TASK_STATE_COMPLETED');
      expect(await program.ends()).toBe(0);
    },
  );
});

describe('the quickstart for people', () => {
  afterEach(stopAll);

  it(
    'prints curl lines that do what they say, and lets the official client try',
    { timeout: 60_000 },
    async () => {
      const { program, url } = await startQuickstart();
      const [, deniedCall = '', grantedCall = ''] = await program.prints(
        /A denied call:\n(curl [^]*?)\n\nA granted call:\n(curl [^]*?)\n\n/,
      );
      expect(program.stdout).toContain(`The agent card: ${url}/.well-known/agent-card.json\n`);

      const answerToDenied = await runCurl(deniedCall);
      expect(answerToDenied).toMatch(/^HTTP\/1\.1 200 /);
      expect(answerToDenied).toMatch(/^www-authenticate: /im);
      expect(answerToDenied).toContain('TASK_STATE_AUTH_REQUIRED');

      const answerToGranted = await runCurl(grantedCall);
      expect(answerToGranted).toMatch(/^HTTP\/1\.1 200 /);
      expect(answerToGranted).toContain('TASK_STATE_COMPLETED');
      expect(answerToGranted).toContain('You are example-partner (by partnerKey).');

      await program.prints(/with no credentials:\n {2}TASK_STATE_AUTH_REQUIRED: /i);
      await program.prints(
        /with partnerKey:\n {2}TASK_STATE_COMPLETED: You are example-partner \(by partnerKey\)\./,
      );
      await program.prints(/with tenantKey\+userToken:\n {2}TASK_STATE_COMPLETED: You are ada /);
    },
  );
});

async function askWithCertificate(mtls: Partial<Description['mtls']>) {
  const { endpoint = '', ca = '', certificate, key } = mtls;
  const request = httpsRequest(endpoint, {
    method: 'POST',
    ca: await readFile(ca),
    ...(certificate === undefined ? {} : { cert: await readFile(certificate) }),
    ...(key === undefined ? {} : { key: await readFile(key) }),
    headers: { 'content-type': 'application/json', 'a2a-version': '1.0' },
  });
  request.end(JSON.stringify(jsonRpc('SendMessage', { message: whoAmI })));
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  return { status: response.statusCode, body: await text(response) };
}

/** Resolves once nobody listens at a port. */
async function untilRefused(port: number): Promise<void> {
  for (;;) {
    const socket = connectSocket({ port, host: 'localhost' });
    try {
      await once(socket, 'connect');
    } catch {
      return;
    } finally {
      socket.destroy();
    }
  }
}

async function stopAll(): Promise<void> {
  await Promise.all([...running].map((program) => program.stop()));
  running.clear();
}

/** As if pasted into a shell; where there is no curl, what it would send. */
async function runCurl(command: string): Promise<string> {
  const { status } = spawnSync('sh', ['-c', 'command -v curl']);
  if (status === 0) return (await promisify(execFile)('sh', ['-c', command])).stdout;
  const [, url = ''] = /^curl -i (\S+) /.exec(command) ?? [];
  const [, body = ''] = /-d '(.*)'$/.exec(command) ?? [];
  const headers = [...command.matchAll(/-H '([^:]+): ([^']*)'/g)].map(
    ([, name = '', value = '']): [string, string] => [name, value],
  );
  const response = await fetch(url, { method: 'POST', headers, body });
  const fields = [...response.headers].map(([name, value]) => `${name}: ${value}`);
  return [`HTTP/1.1 ${String(response.status)} `, ...fields, '', await response.text()].join('\n');
}
