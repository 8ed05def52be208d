export { agentCardRoute, type AgentCardRouteOptions } from './agent-card-route.js';
export { agentRouter, type AgentRouterOptions } from './agent-router.js';
export { toAuthRequest } from './auth-request.js';
export { authenticate, type AuthenticateOptions } from './authenticate.js';
export { protectedResourceRoute } from './protected-resource-route.js';
export { contextBuilder } from '../http/context-builder.js';
export { userBuilder } from './user-builder.js';
