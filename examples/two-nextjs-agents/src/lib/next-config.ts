import { join } from 'node:path';

/** What both apps tell Next.js. */
export const nextConfig = {
  // The packages of a workspace are links that lead out of the app.
  turbopack: { root: join(import.meta.dirname, '../../../..') },
  poweredByHeader: false,
  // A build asks nobody whether there is a newer Next.js.
  experimental: { agentUpgrade: false },
};
