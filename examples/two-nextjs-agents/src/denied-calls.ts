import { question } from './lib/turn.js';
import { Message } from '@a2a-js/sdk';

interface OAuthClient {
  readonly client_id: string;
  readonly client_secret: string;
}

/** Asks the authorization server for a token, and gives its answer whatever it is. */
export async function requestToken(
  issuer: string,
  { client_id, client_secret }: OAuthClient,
  parameters: { readonly resource: string; readonly scope: string },
): Promise<{ readonly token: string } | { readonly refused: string }> {
  const response = await fetch(`${issuer}/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${btoa(`${client_id}:${client_secret}`)}` },
    body: new URLSearchParams({ grant_type: 'client_credentials', ...parameters }),
  });
  const answer = (await response.json()) as Readonly<Record<string, unknown>>;
  return typeof answer.access_token === 'string'
    ? { token: answer.access_token }
    : { refused: `HTTP ${String(response.status)}, ${String(answer.error)}` };
}

const calls = {
  SendMessage: { message: Message.toJSON(question({ turn: 1, turns: 1 })) },
  GetTask: { id: 'a-task' },
};

/** Calls an agent without any client of A2A, and tells what it answers: status, state of the task, challenge. */
export async function callDirectly(
  agent: string,
  method: keyof typeof calls,
  token?: string,
): Promise<string> {
  const response = await fetch(`${agent}/a2a/jsonrpc`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'a2a-version': '1.0',
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: calls[method] }),
  });
  const [state] = /TASK_STATE_\w+/.exec(await response.text()) ?? [];
  return [`HTTP ${String(response.status)}`, state, response.headers.get('www-authenticate')]
    .filter((part) => part !== undefined && part !== null)
    .join('\n    ');
}
