import { biscuit, type BiscuitOptions } from '@a2a-auth/biscuit';
import {
  AgentSecurity,
  type Decision,
  type DecisionEvent,
  type Operation,
  type SecurityScheme,
} from '@a2a-auth/server';

import { authorization } from '../../../server/test/support/auth-request.js';

/** What an agent decides that asks for a biscuit, and what the audit event tells of it. */
export interface Outcome {
  readonly decision: Decision;
  /** Why the biscuit was refused. */
  readonly detail: string | undefined;
  readonly event: DecisionEvent;
}

/** The default: whoever has a right to the operation may. Slow machines have time. */
export const rights = 'allow if operation($operation), right($operation)';

export function schemeOf(
  options: Partial<BiscuitOptions> & Pick<BiscuitOptions, 'rootKeys'>,
): SecurityScheme<string> {
  return biscuit({ authorizer: rights, ...options, limits: { time: 5000, ...options.limits } });
}

export async function decide(
  scheme: SecurityScheme<string>,
  token: string,
  operation: Operation = 'SendMessage',
  {
    resource,
    also = {},
  }: { readonly resource?: string; readonly also?: Readonly<Record<string, SecurityScheme>> } = {},
): Promise<Outcome> {
  const events: DecisionEvent[] = [];
  const security = new AgentSecurity<string>({
    ...(resource === undefined ? {} : { resource }),
    onDecision: (event) => void events.push(event),
  });
  const schemes: Readonly<Record<string, SecurityScheme>> = { ...also, biscuit: scheme };
  for (const [id, one] of Object.entries(schemes)) security.addSecurityScheme(id, one);
  security.addSecurityRequirement(Object.fromEntries(Object.keys(schemes).map((id) => [id, []])));
  const provisional = await security.authenticate(authorization(`Bearer ${token}`));
  const decision = await security.conclude(provisional, { operation, binding: 'JSONRPC' });
  const [event] = events;
  if (event === undefined) throw new Error('There was no audit event.');
  return { decision, event, detail: event.schemes.find(({ schemeId }) => schemeId === 'biscuit')?.detail };
}
