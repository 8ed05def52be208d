export { agentFetchHandler, type AgentFetchHandlerOptions } from './agent-fetch-handler.js';
export type { CallerConnection } from './auth-request.js';
