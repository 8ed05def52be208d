import {
  AgentSecurity,
  type AgentSecurityOptions,
  type AuthRequest,
  type Decision,
  type Denied,
  type Granted,
  type SecurityScheme,
  type Verification,
} from '@a2a-auth/server';
import { AgentCard } from '@a2a-js/sdk';
import { ServerCallContext } from '@a2a-js/sdk/server';

import { CallerUser } from '../../src/caller.js';

type Schemes = Readonly<Record<string, SecurityScheme>>;
type Requirement = Readonly<Record<string, readonly string[]>>;

/** An agent's security with these schemes, and with these requirements; left out: each scheme alone suffices. */
export function securityOf(
  schemes: Schemes,
  requirements: readonly Requirement[] = Object.keys(schemes).map((id) => ({ [id]: [] })),
  options: AgentSecurityOptions = {},
): AgentSecurity<string> {
  const security = new AgentSecurity<string>(options);
  for (const [id, scheme] of Object.entries(schemes)) security.addSecurityScheme(id, scheme);
  for (const requirement of requirements) security.addSecurityRequirement(requirement);
  return security;
}

/** What an agent that asks for this scheme alone decides. */
export function decisionBy(scheme: SecurityScheme, request: AuthRequest): Promise<Decision> {
  return securityOf({ it: scheme }).authenticate(request);
}

/** @throws when the decision is a denial */
export function granted(decision: Decision): Granted {
  if (!decision.granted) throw new Error(`Denied: ${decision.reason}`);
  return decision;
}

/** @throws when the decision is a grant */
export function denied(decision: Decision): Denied {
  if (decision.granted) throw new Error(`Granted to ${decision.principal.id}`);
  return decision;
}

/** A scheme that finds its credential in the header of this name, and verifies it as told. */
export function headerScheme(
  name: string,
  verify: SecurityScheme<string>['verify'] = (subject): Verification => ({
    verified: true,
    principal: { subject },
  }),
  rest: Partial<SecurityScheme<string>> = {},
): SecurityScheme<string> {
  return {
    declaration: { type: 'apiKey', in: 'header', name },
    extract: (request) => request.header(name)[0],
    verify,
    ...rest,
  };
}

/** The SDK's context of a call by whom this decision was made. */
export function contextOf(decision: Decision): ServerCallContext {
  return new ServerCallContext({ user: new CallerUser(decision) });
}

/** An agent card without security. */
export function agentCard(fields: Readonly<Record<string, unknown>> = {}): AgentCard {
  return AgentCard.fromJSON({
    name: 'Test agent',
    description: 'An agent for tests.',
    version: '1.0.0',
    supportedInterfaces: [
      { url: 'https://agent.example/a2a/jsonrpc', protocolBinding: 'JSONRPC', protocolVersion: '1.0' },
      { url: 'https://agent.example/a2a/jsonrpc', protocolBinding: 'JSONRPC', protocolVersion: '0.3' },
    ],
    capabilities: {},
    defaultInputModes: ['text/plain'],
    defaultOutputModes: ['text/plain'],
    skills: [],
    ...fields,
  });
}
