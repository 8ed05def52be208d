import type { RequestHandler } from 'express';
import passport from 'passport';
import { ExtractJwt, Strategy } from 'passport-jwt';

import { ALGORITHM, AUDIENCE, ISSUER, type GivenSettings } from '../settings.js';
import { agentBehind, serve, settings, userNamed } from './agent.js';

passport.use(
  new Strategy(
    {
      jwtFromRequest: ExtractJwt.fromAuthHeaderAsBearerToken(),
      secretOrKey: settings<GivenSettings>().publicKey,
      algorithms: [ALGORITHM],
      issuer: ISSUER,
      audience: AUDIENCE,
    },
    (payload: { sub?: string }, done: (error: unknown, user: { sub?: string }) => void) => {
      done(null, payload);
    },
  ),
);

await serve(
  agentBehind([passport.authenticate('jwt', { session: false }) as RequestHandler], (req) =>
    userNamed((req.user as { sub?: string } | undefined)?.sub),
  ),
);
