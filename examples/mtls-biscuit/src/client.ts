import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';

import type { CertificateFiles } from '@a2a-auth/server';
import { Role, TaskState, taskStateToJSON, type Message } from '@a2a-js/sdk';
import {
  ClientFactory,
  DefaultAgentCardResolver,
  JsonRpcTransportFactory,
  type Client,
} from '@a2a-js/sdk/client';
import { Agent, fetch as undiciFetch } from 'undici';

export interface Credentials {
  readonly certificate?: CertificateFiles;
  readonly biscuit?: string;
}

export interface Connection {
  readonly client: Client;
  /** The WWW-Authenticate field of the last response: what the agent asks for. */
  challenge(): string | undefined;
}

/** The official client of the SDK, with a certificate in its connections and a biscuit in its requests. */
export async function connect(
  url: string,
  ca: string,
  { certificate, biscuit }: Credentials,
): Promise<Connection> {
  const dispatcher = new Agent({
    connect: {
      ca: await readFile(ca),
      ...(certificate === undefined
        ? {}
        : { cert: await readFile(certificate.certificate), key: await readFile(certificate.key) }),
    },
  });
  const authorization = biscuit === undefined ? {} : { Authorization: `Bearer ${biscuit}` };
  let challenge: string | undefined;
  const fetchImpl = async (input: unknown, init: RequestInit = {}): Promise<Response> => {
    const response = await undiciFetch(String(input), {
      ...(init as object),
      dispatcher,
      headers: { ...(init.headers as Record<string, string>), ...authorization },
    });
    challenge = response.headers.get('www-authenticate') ?? undefined;
    return response;
  };
  const factory = new ClientFactory({
    transports: [new JsonRpcTransportFactory({ fetchImpl })],
    cardResolver: new DefaultAgentCardResolver({ fetchImpl }),
  });
  return { client: await factory.createFromUrl(url), challenge: () => challenge };
}

/** What the agent answers, in a line. */
export async function ask(client: Client): Promise<string> {
  const answer = await client.sendMessage({
    tenant: '',
    message: message('Who am I?'),
    configuration: undefined,
    metadata: undefined,
  });
  if (!('status' in answer)) return textOf(answer);
  const { state = TaskState.TASK_STATE_UNSPECIFIED, message: said } = answer.status ?? {};
  return `${taskStateToJSON(state)}: ${said === undefined ? '' : textOf(said)}`;
}

/** What comes of another operation, in a line. */
export async function cancel(client: Client): Promise<string> {
  try {
    await client.cancelTask({ tenant: '', id: randomUUID(), metadata: undefined });
    return 'Canceled.';
  } catch (error) {
    return problemOf(error);
  }
}

/** The innermost cause of an error: that of a connection is wrapped twice. */
export function problemOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? problemOf(error.cause) : error.message;
}

function message(text: string): Message {
  return {
    messageId: randomUUID(),
    taskId: '',
    contextId: '',
    role: Role.ROLE_USER,
    parts: [
      { content: { $case: 'text', value: text }, mediaType: 'text/plain', filename: '', metadata: undefined },
    ],
    metadata: undefined,
    extensions: [],
    referenceTaskIds: [],
  };
}

function textOf({ parts }: Message): string {
  return parts.map(({ content }) => (content?.$case === 'text' ? content.value : '')).join('');
}
