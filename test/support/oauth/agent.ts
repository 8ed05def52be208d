import { EventEmitter, once } from 'node:events';

import type { AgentSecurity, AgentSecurityOptions, DecisionEvent } from '@a2a-auth/server';
import { agentRouter } from '@a2a-auth/server/express';
import express from 'express';

import { agentCard, createAgent } from '../agent.js';
import type { Headers as CallerHeaders } from '../credentials.js';
import { jsonRpc, message } from '../operations.js';
import type { ServerIdentity } from './certificates.js';
import { listen } from './servers.js';

/** What the agent's security is made of: its own address, and somebody who writes down its decisions. */
export type AgentContext = Required<Pick<AgentSecurityOptions, 'resource' | 'onDecision'>>;
export type CalledAgent = Pick<OAuthAgent, 'jsonRpcUrl'>;
export type OAuthAgent = Awaited<ReturnType<typeof startOAuthAgent>>;

/**
 * A real agent behind `agentRouter`.
 *
 * @param identity serves https with it
 */
export async function startOAuthAgent(
  configure: (context: AgentContext) => AgentSecurity<string> | Promise<AgentSecurity<string>>,
  identity?: ServerIdentity,
) {
  const { url, serve } = await listen(identity);
  const resource = `${url}/a2a`;
  const decisions: DecisionEvent[] = [];
  const security = await configure({ resource, onDecision: (event) => decisions.push(event) });
  const { executor, requestHandler } = createAgent(agentCard(url));
  const app = express();
  app.use(agentRouter({ security, requestHandler }));
  serve(app);
  let received = 0;
  const arrivals = new EventEmitter();
  serve(() => {
    received++;
    arrivals.emit('request');
  });
  return {
    url,
    resource,
    security,
    decisions,
    jsonRpcUrl: `${resource}/jsonrpc`,
    /** Resolves when the agent has begun to authenticate so many requests. */
    async received(count: number): Promise<void> {
      while (received < count) await once(arrivals, 'request');
    },
    /** The context of the last execution. */
    lastCall() {
      const call = executor.calls.at(-1);
      if (call === undefined) throw new Error('The executor was not called.');
      return call;
    },
    /** What the operator is told of the last refusal. */
    lastRefusal(): string | undefined {
      return decisions.at(-1)?.schemes.find(({ detail }) => detail !== undefined)?.detail;
    },
  };
}

export const bearer = (token: string): CallerHeaders => ({ Authorization: `Bearer ${token}` });

/** An answer of the agent. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** The WWW-Authenticate fields, joined. */
  readonly challenge: string | null;
  readonly body: {
    readonly result?: {
      readonly task?: {
        readonly status: {
          readonly state: string;
          readonly message?: { readonly parts: readonly { readonly data?: unknown }[] };
        };
      };
    };
    readonly error?: unknown;
  };
}

const bodies = {
  ListTasks: JSON.stringify(jsonRpc('ListTasks', {})),
  SendMessage: JSON.stringify(jsonRpc('SendMessage', { message: message['1.0'] })),
};

/** The body and the headers of a call, for those who send it themselves. */
export function rawCall(method: keyof typeof bodies) {
  return { body: bodies[method], headers: { 'content-type': 'application/json', 'a2a-version': '1.0' } };
}

async function call(
  { jsonRpcUrl }: CalledAgent,
  method: keyof typeof bodies,
  headers: CallerHeaders,
  fetchImpl: typeof fetch,
): Promise<Answer> {
  const own = rawCall(method);
  const response = await fetchImpl(jsonRpcUrl, {
    method: 'POST',
    headers: { ...own.headers, ...headers },
    body: own.body,
  });
  return readAnswer(response);
}

export async function readAnswer(response: Response): Promise<Answer> {
  return {
    status: response.status,
    headers: response.headers,
    challenge: response.headers.get('www-authenticate'),
    body: (await response.json()) as Answer['body'],
  };
}

/** An operation of which a denial shows as an HTTP status. */
export function listTasks(agent: CalledAgent, headers: CallerHeaders, fetchImpl = fetch): Promise<Answer> {
  return call(agent, 'ListTasks', headers, fetchImpl);
}

/** An operation of which a denial shows as an auth-required task. */
export function sendMessage(agent: CalledAgent, headers: CallerHeaders, fetchImpl = fetch): Promise<Answer> {
  return call(agent, 'SendMessage', headers, fetchImpl);
}

export function stateOf({ body }: Answer): string | undefined {
  return body.result?.task?.status.state;
}

/** The data part of an auth-required task. */
export function dataOf({ body }: Answer): unknown {
  return body.result?.task?.status.message?.parts[1]?.data;
}
