import { AgentCard } from '@a2a-js/sdk';

/** The card without any word of security: that is published by `AgentSecurity`. */
export function agentCard(name: string, url: string): AgentCard {
  return AgentCard.fromJSON({
    name,
    description: `Is ${name}, and takes turns with another agent.`,
    version: '1.0.0',
    supportedInterfaces: [
      { url: `${url}/a2a/jsonrpc`, protocolBinding: 'JSONRPC', protocolVersion: '1.0' },
      { url: `${url}/a2a/rest`, protocolBinding: 'HTTP+JSON', protocolVersion: '1.0' },
    ],
    capabilities: { streaming: true },
    defaultInputModes: ['text/plain', 'application/json'],
    defaultOutputModes: ['text/plain'],
    skills: [
      {
        id: 'take-turn',
        name: 'Take a turn',
        description: 'Says whether it is available for a turn, and asks the other agent about the next one.',
        tags: ['conversation'],
      },
    ],
  });
}
