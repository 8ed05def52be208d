export {
  agentFetchHandler,
  type AgentFetchHandlerOptions,
  type CallerConnection,
} from './agent-fetch-handler.js';
