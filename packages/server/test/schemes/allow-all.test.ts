import { allowAll } from '@a2a-auth/server';
import { afterEach, beforeEach, describe, expect, it, vi, type MockInstance } from 'vitest';

import { agentCard, granted, headerScheme, securityOf } from '../support/agent.js';
import { authRequest } from '../support/auth-request.js';

describe('allowAll', () => {
  let warnings: MockInstance;
  beforeEach(() => {
    warnings = vi.spyOn(process, 'emitWarning').mockReturnValue();
  });
  afterEach(() => {
    warnings.mockRestore();
    vi.unstubAllEnvs();
  });

  it('lets every caller in, by one name', async () => {
    const decision = await securityOf({ dev: allowAll() }).authenticate(authRequest());
    expect(granted(decision).principal.id).toBe('scheme:dev|developer');
  });

  it('warns when it is constructed', () => {
    allowAll();
    expect(warnings).toHaveBeenCalledExactlyOnceWith(expect.stringContaining('development only'), {
      code: 'A2A_AUTH_ALLOW_ALL',
    });
  });

  it('refuses to exist in production: FORBIDDEN_IN_PRODUCTION', () => {
    vi.stubEnv('NODE_ENV', 'production');
    expect(() => allowAll()).toThrow(
      expect.objectContaining({
        code: 'FORBIDDEN_IN_PRODUCTION',
        message: expect.stringContaining('Register a real security scheme') as string,
      }),
    );
  });

  it('is not published', () => {
    const card = securityOf({ dev: allowAll(), key: headerScheme('x-a') }).publish(agentCard());
    expect(Object.keys(card.securitySchemes)).toEqual(['key']);
    expect(JSON.stringify(card)).not.toContain('dev');
  });

  it('grants no scopes', async () => {
    const decision = await securityOf({ dev: allowAll() }, [{ dev: ['admin'] }]).authenticate(authRequest());
    expect(decision.granted).toBe(false);
  });
});
