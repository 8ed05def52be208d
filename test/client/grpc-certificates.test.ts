import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { AgentCard, TaskState } from '@a2a-js/sdk';
import { connect, mutualTls, type CredentialSource, type TlsFiles } from '@a2a-auth/client';
import { grpcTransport } from '@a2a-auth/client/grpc';
import { AgentSecurity, mutualTls as certificateScheme, principalOf } from '@a2a-auth/server';
import { ServerCredentials } from '@grpc/grpc-js';
import express from 'express';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import {
  lookAgain,
  renewedCertificate,
  writeIdentity,
  writeTlsFiles,
} from '../support/client-certificates.js';
import { request, sendForTask } from '../support/client.js';
import { closeGrpcAfterTests, startGrpcAgent, versions } from '../support/grpc.js';
import { certificateAuthority } from '../support/oauth/certificates.js';
import { closeServersAfterTests, listen } from '../support/server.js';

closeGrpcAfterTests();
closeServersAfterTests();

const authority = certificateAuthority();
const server = authority.server();
const [one, two] = [authority.client('one'), authority.client('two')];
let folder: string;
let files: TlsFiles;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'a2a-auth-'));
  files = await writeTlsFiles(folder, authority.ca, one);
});
afterEach(async () => {
  vi.restoreAllMocks();
  await rm(folder, { recursive: true });
});

/** A gRPC agent that wants a certificate, and the address of its card. */
async function start({ identity = server, trusted = [one, two], version = '1.0' } = {}) {
  const pair = { private_key: Buffer.from(identity.key), cert_chain: Buffer.from(identity.cert) };
  const security = new AgentSecurity()
    .addSecurityScheme(
      'mtls',
      certificateScheme({
        trust: {
          fingerprints: trusted.map(({ thumbprint }) => Buffer.from(thumbprint, 'base64url').toString('hex')),
        },
      }),
    )
    .addSecurityRequirement({ mtls: [] });
  const agent = await startGrpcAgent({
    security,
    credentials: ServerCredentials.createSsl(Buffer.from(authority.ca), [pair], true),
  });
  const { card } = agent;
  card.supportedInterfaces = card.supportedInterfaces.filter((entry) => entry.protocolVersion === version);
  const { serve, url } = await listen();
  serve(
    express().get('/.well-known/agent-card.json', (_request, response) => {
      response.json(AgentCard.toJSON(security.publish(card)));
    }),
  );
  const connectWith = (source: CredentialSource) =>
    connect(url, {
      credentials: [source],
      transports: [grpcTransport()],
      policy: { origins: [`https://${agent.address}`] },
    });
  const callers = () => agent.executor.calls.map((call) => principalOf(call).subject);
  return { agent, connectWith, callers };
}

it.each(versions)(
  'presents the certificate, and a new one once the files have changed (%s)',
  async (version) => {
    const { connectWith, callers } = await start({ version });
    const client = await connectWith(mutualTls(files));
    await sendForTask(client, 'hello');
    await writeIdentity(files, two);
    lookAgain();
    await sendForTask(client, 'hello');
    expect(callers()).toEqual(['one', 'two']);
  },
);

it('lets calls go on that began with the certificate before', async () => {
  const { connectWith, callers } = await start();
  const client = await connectWith(mutualTls(files));
  const stream = client.sendMessageStream(request('hold'))[Symbol.asyncIterator]();
  const first = (await stream.next()).value?.payload;
  await writeIdentity(files, two);
  lookAgain();
  await sendForTask(client, 'hello');
  if (first?.$case !== 'task') throw new Error('The first event is no task.');
  // By the first certificate: the task is its caller's.
  await writeIdentity(files, one);
  lookAgain();
  await client.cancelTask({ tenant: '', id: first.value.id, metadata: undefined });
  expect((await stream.next()).value?.payload).toMatchObject({
    $case: 'statusUpdate',
    value: { status: { state: TaskState.TASK_STATE_CANCELED } },
  });
  expect(callers()).toEqual(['one', 'two']);
});

it('presents another certificate after a refusal', async () => {
  const { connectWith, callers } = await start({ trusted: [two] });
  const source = renewedCertificate(authority.ca, one, two);
  const task = await sendForTask(await connectWith(source), 'hello');
  expect(task.status?.state).toBe(TaskState.TASK_STATE_COMPLETED);
  expect(callers()).toEqual(['two']);
});

it('speaks to no agent of another authority', async () => {
  const { agent, connectWith } = await start({ identity: certificateAuthority().server() });
  await expect(sendForTask(await connectWith(mutualTls(files)), 'hello')).rejects.toThrow();
  expect(agent.executor.calls).toEqual([]);
});
