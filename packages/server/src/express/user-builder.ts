import {
  defaultServerCallContextBuilder,
  UnauthenticatedUser,
  type ServerCallContextBuilder,
  type User,
} from '@a2a-js/sdk/server';
import type { Request } from 'express';

import type { AgentSecurity } from '../agent-security.js';
import { CallerUser } from '../caller.js';
import { grantOf } from './authenticate.js';

/** The SDK's `userBuilder`: the caller whom `authenticate` let in. Whoever did not pass it is nobody. */
export function userBuilder(req: Request): Promise<User> {
  const granted = grantOf(req);
  return Promise.resolve(granted === undefined ? new UnauthenticatedUser() : new CallerUser(granted));
}

/**
 * A `contextBuilder` for the SDK that keeps credentials out of the executor's `state`: the SDK's own puts all headers
 * there. Everything else is as in the SDK's.
 */
export function contextBuilder(security: AgentSecurity<string>): ServerCallContextBuilder {
  return (options) => {
    const { secretHeaders } = security;
    const headers: typeof options.headers = {};
    for (const [name, value] of Object.entries(options.headers)) {
      if (!secretHeaders.has(name.toLowerCase())) headers[name] = value;
    }
    return defaultServerCallContextBuilder({ ...options, headers });
  };
}
