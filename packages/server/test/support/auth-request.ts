import type { AuthRequest, PresentedCertificate } from '@a2a-auth/server';

/** Values by name; a list stands for a repeated one. */
type Values = Readonly<Record<string, string | readonly string[]>>;

interface FakeRequest {
  readonly header?: Values;
  readonly query?: Values;
  readonly cookie?: Values;
  readonly remoteAddress?: string;
  readonly method?: string;
  readonly url?: string;
  readonly clientCertificate?: PresentedCertificate;
}

/** A request as a binding hands it to the engine. */
export function authRequest(request: FakeRequest = {}): AuthRequest {
  const { header, query, cookie, remoteAddress, clientCertificate } = request;
  return {
    method: request.method ?? 'POST',
    url: request.url ?? 'https://agent.example/a2a',
    remoteAddress,
    clientCertificate,
    header: lookUp(header, (name) => name.toLowerCase()),
    query: lookUp(query, (name) => name),
    cookie: lookUp(cookie, (name) => name),
  };
}

/** A request with these Authorization fields. */
export function authorization(...fields: string[]): AuthRequest {
  return authRequest({ header: { authorization: fields } });
}

function lookUp(
  values: Values = {},
  normalise: (name: string) => string,
): (name: string) => readonly string[] {
  const byName = new Map<string, string[]>();
  for (const [name, value] of Object.entries(values)) {
    byName.set(normalise(name), [...(byName.get(normalise(name)) ?? []), ...[value].flat()]);
  }
  return (name) => byName.get(normalise(name)) ?? [];
}
