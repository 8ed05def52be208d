import { DelegationClient, ServiceDiscovery } from '@a2a-auth/client';
import {
  agentServiceConfig,
  callerCredential,
  principalOf,
  type Actor,
  type Principal,
} from '@a2a-auth/server';
import { agentRouter } from '@a2a-auth/server/express';
import { Role } from '@a2a-js/sdk';
import {
  AgentEvent,
  DefaultRequestHandler,
  InMemoryTaskStore,
  type RequestContext,
} from '@a2a-js/sdk/server';
import express, { type Express } from 'express';

import { ask, textMessage, textOf } from './messages.js';

export const scopes = { ask: 'Ask the agent something.' };

export interface AgentOptions {
  readonly name: string;
  readonly url: string;
  readonly issuer: string;
  readonly clientSecret: string;
  /** The other agents, by the names that this one has for them. */
  readonly others: Readonly<Record<string, { readonly url: string }>>;
  /** Who may act for others here, and through how many hands. */
  readonly allowedActors?: readonly string[];
  readonly maxDelegationDepth?: number;
}

/**
 * An agent that passes messages on: the first word is the agent to ask next, on behalf of the same person. Asked nothing, it
 * says who called.
 */
export async function createAgent({ name, others, ...options }: AgentOptions): Promise<Express> {
  const { card, security, delegation } = await agentServiceConfig({
    name,
    description: 'Asks other agents on behalf of its callers.',
    clientId: name,
    scopes,
    flows: ['authorizationCode'],
    ...options,
  });
  const delegate = new DelegationClient({
    ...delegation,
    discovery: new ServiceDiscovery({ aliases: others }),
  });

  async function answer(context: RequestContext): Promise<string> {
    const [next, ...rest] = textOf(context.userMessage).split(' ');
    if (next === undefined || next === '') return describe(principalOf(context));
    const client = await delegate.connect(next, {
      subjectToken: callerCredential(context, 'authorizationCode'),
      resource: resourceOf(others[next]?.url ?? ''),
    });
    return ask(client, rest.join(' '));
  }

  const requestHandler = new DefaultRequestHandler(card, new InMemoryTaskStore(), {
    async execute(context, eventBus) {
      const text = await answer(context);
      eventBus.publish(AgentEvent.message(textMessage(Role.ROLE_AGENT, text, context.contextId)));
      eventBus.finished();
    },
    cancelTask: () => Promise.resolve(),
  });
  return express().use(agentRouter({ security, requestHandler }));
}

/** What tokens for an agent are asked for by. */
export function resourceOf(url: string): string {
  return `${url}/a2a`;
}

/** The whole chain: `ada, for whom agent-a acts`. */
function describe({ subject, actor }: Principal): string {
  const actors: string[] = [];
  for (let current: Actor | undefined = actor; current !== undefined; current = current.actor) {
    actors.push(`for whom ${current.subject} acts`);
  }
  return [subject, ...actors.reverse()].join(', ');
}
