export const issuerUrl = 'https://issuer.example';

/** As cards declare them. */
export const endpoints = {
  authorizationUrl: `${issuerUrl}/authorize`,
  deviceAuthorizationUrl: `${issuerUrl}/device`,
  tokenUrl: `${issuerUrl}/token`,
};

const answers: Readonly<Record<string, object>> = {
  '/.well-known/openid-configuration': {
    issuer: issuerUrl,
    authorization_endpoint: endpoints.authorizationUrl,
    device_authorization_endpoint: endpoints.deviceAuthorizationUrl,
    token_endpoint: endpoints.tokenUrl,
    authorization_response_iss_parameter_supported: true,
  },
  '/device': {
    device_code: 'device',
    user_code: 'CODE',
    verification_uri: `${issuerUrl}/device`,
    expires_in: 600,
    // Nobody has to log in, so nobody has to wait.
    interval: 0.001,
  },
};

/** An authorization server that is a fetch. Whoever asks gets a token, by whatever grant. */
export function authorizationServer(issue: () => string | undefined): typeof fetch {
  return (input, init) => {
    const { pathname } = new URL(input instanceof Request ? input.url : input);
    const answer =
      pathname === '/token'
        ? {
            access_token: issue(),
            token_type: new Headers(init?.headers).has('dpop') ? 'DPoP' : 'Bearer',
            expires_in: 3600,
          }
        : answers[pathname];
    return Promise.resolve(
      answer === undefined ? new Response(null, { status: 404 }) : Response.json(answer),
    );
  };
}

/** A person who logs in at once, and is sent back to the program that waits (RFC 6749 §4.1.2, RFC 9207). */
export async function logIn(page: URL): Promise<void> {
  const { redirect_uri: redirectUri = '', state = '' } = Object.fromEntries(page.searchParams);
  const answer = new URLSearchParams({ code: 'code', state, iss: issuerUrl });
  await fetch(`${redirectUri}?${answer.toString()}`);
}
