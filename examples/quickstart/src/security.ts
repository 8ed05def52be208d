import { randomBytes } from 'node:crypto';

import { AgentSecurity, apiKey, createApiKey, httpBearer, jwt } from '@a2a-auth/server';
import { SignJWT } from 'jose';

/** Everything a caller may present to meet one requirement. */
export interface Alternative {
  readonly name: string;
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * The quickstart's security: a partner's API key, OR a tenant's API key together with a user's token. All secrets are
 * made anew with every start.
 */
export async function createSecurity(agentUrl: string) {
  const partnerKey = createApiKey('partner');
  const tenantKey = createApiKey('tenant');
  const tokenSecret = randomBytes(32);
  const issuer = 'https://users.example';

  const security = new AgentSecurity()
    // Registered before the tenant's key, so that the user is the primary principal, by whom tasks are scoped.
    .addSecurityScheme(
      'userToken',
      httpBearer({
        bearerFormat: 'JWT',
        description: 'Who the user is: a signed JWT.',
        verifier: jwt({ issuer, audience: agentUrl, secret: tokenSecret }),
      }),
    )
    .addSecurityScheme(
      'tenantKey',
      apiKey({
        in: 'header',
        name: 'X-Tenant-Key',
        description: 'Which tenant the user belongs to.',
        keys: [{ key: tenantKey, id: 'tenant-key-1', owner: 'acme' }],
      }),
    )
    .addSecurityScheme(
      'partnerKey',
      apiKey({
        in: 'header',
        name: 'X-API-Key',
        description: 'A key for partners.',
        keys: [{ key: partnerKey, id: 'partner-key-1', owner: 'example-partner' }],
      }),
    )
    .addSecurityRequirement({ partnerKey: [] })
    .addSecurityRequirement({ tenantKey: [], userToken: [] });

  const token = await new SignJWT({ name: 'Ada' })
    .setProtectedHeader({ alg: 'HS256', typ: 'at+jwt' })
    .setIssuer(issuer)
    .setAudience(agentUrl)
    .setSubject('ada')
    .setIssuedAt()
    .setExpirationTime('12h')
    .sign(tokenSecret);

  const alternatives: readonly [Alternative, ...Alternative[]] = [
    { name: 'partnerKey', headers: { 'X-API-Key': partnerKey } },
    {
      name: 'tenantKey+userToken',
      headers: { 'X-Tenant-Key': tenantKey, Authorization: `Bearer ${token}` },
    },
  ];
  return { security, alternatives };
}
