export {
  agentSecurityStrategy,
  type AgentSecurityStrategy,
  type RouteGrant,
} from './agent-security-strategy.js';
export { passportScheme, type PassportDeclaration, type PassportSchemeOptions } from './passport-scheme.js';
export type { PassportStrategy } from './run-strategy.js';
export type { StrategyRequest } from './strategy-request.js';
