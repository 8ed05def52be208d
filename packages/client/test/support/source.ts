import type { Credential, CredentialRequest, CredentialSource, Refusal } from '@a2a-auth/client';

/** A source of numbered tokens, which counts how often it had to get one. */
export function countingSource(options: Partial<CredentialSource> = {}) {
  let number = 0;
  let current: Promise<string> | undefined;
  const requests: CredentialRequest[] = [];
  const refusals: Refusal[] = [];
  const fetchToken = async () => {
    await new Promise((resolve) => setImmediate(resolve));
    return `token-${String(++number)}`;
  };
  const source: CredentialSource = {
    interactive: false,
    unfitFor: ({ type }) => (type === 'http' || type === 'oauth2' ? undefined : 'Only tokens.'),
    async credential(request): Promise<Credential> {
      requests.push(request);
      current ??= fetchToken();
      return { headers: { authorization: `Bearer ${await current}` } };
    },
    async renew(refusal) {
      refusals.push(refusal);
      const { authorization } = refusal.refused.headers ?? {};
      if (current !== undefined && `Bearer ${await current}` === authorization) current = undefined;
      return true;
    },
    ...options,
  };
  return {
    source,
    requests,
    refusals,
    /** How many tokens were got. */
    get fetched() {
      return number;
    },
  };
}
