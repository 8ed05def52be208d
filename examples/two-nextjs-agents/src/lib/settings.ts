/** Who an app is and whom it calls. Read when the app runs, so that no secret gets into its build. */
export interface Settings {
  /** The app's own origin, and that of the other one. */
  readonly url: string;
  readonly peerUrl: string;
  /** The authorization server, and what this app is called there. */
  readonly issuer: string;
  readonly clientId: string;
  readonly clientSecret: string;
}

export function settings(): Settings {
  return {
    url: required('AGENT_URL'),
    peerUrl: required('PEER_URL'),
    issuer: required('ISSUER'),
    clientId: required('CLIENT_ID'),
    clientSecret: required('CLIENT_SECRET'),
  };
}

/** The variables of the environment from which an app reads its settings. */
export function toEnvironment(settings: Settings): Readonly<Record<string, string>> {
  return {
    AGENT_URL: settings.url,
    PEER_URL: settings.peerUrl,
    ISSUER: settings.issuer,
    CLIENT_ID: settings.clientId,
    CLIENT_SECRET: settings.clientSecret,
  };
}

function required(name: string): string {
  const value = process.env[name];
  if (value === undefined || value === '') throw new Error(`The environment variable ${name} is missing.`);
  return value;
}

/** The identifier by which tokens are for the agent at an origin, and for no other (RFC 8707). */
export function resourceOf(url: string): string {
  return `${url}/a2a`;
}
