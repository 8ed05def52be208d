export { agentServices, type AgentService, type AgentServicesOptions } from './agent-services.js';
