import { defaultServerCallContextBuilder, type ServerCallContextBuilder } from '@a2a-js/sdk/server';

import type { AgentSecurity } from '../agent-security.js';

/**
 * A `contextBuilder` for the SDK that keeps credentials out of the executor's `state`: the SDK's own puts all headers
 * there. Everything else is as in the SDK's.
 */
export function contextBuilder(security: AgentSecurity<string>): ServerCallContextBuilder {
  return (options) => {
    const { secretHeaders } = security;
    const headers: typeof options.headers = {};
    for (const name of Object.keys(options.headers)) {
      if (!secretHeaders.has(name.toLowerCase())) headers[name] = options.headers[name];
    }
    return defaultServerCallContextBuilder({ ...options, headers });
  };
}
