/** A message that quotes the credential, as a careless verifier's may, must not carry it into a log. */
export function redact(text: string, credential: unknown): string {
  const values: unknown[] =
    typeof credential === 'object' && credential !== null ? Object.values(credential) : [credential];
  const texts = values.filter((value) => typeof value === 'string');
  const secrets = texts
    // No spelling is shorter than the secret.
    .filter((secret) => secret !== '' && secret.length <= text.length)
    .flatMap(spellings);
  // User name and password, as they are sent (RFC 7617).
  if (secrets.length > 0 && texts.length > 1) secrets.push(base64(texts.join(':')));
  const quoted = secrets
    .filter((secret) => text.includes(secret))
    .sort((one, other) => other.length - one.length) // A password may begin with the user name.
    .map((secret) => secret.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'));
  return quoted.length === 0 ? text : text.replace(new RegExp(quoted.join('|'), 'g'), '[credential]');
}

/** As it is, and as a message may quote it: in JSON, in a URL, in base64. */
function spellings(secret: string): string[] {
  // encodeURIComponent throws for half a surrogate pair, which a Buffer replaces.
  const inUrl = encodeURIComponent(Buffer.from(secret).toString());
  return [secret, JSON.stringify(secret).slice(1, -1), inUrl, base64(secret)];
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}
