import { UnauthenticatedUser, type User } from '@a2a-js/sdk/server';
import type { Request } from 'express';

import { CallerUser } from '../caller.js';
import { grantOf } from './authenticate.js';

/** The SDK's `userBuilder`: the caller whom `authenticate` let in. Whoever did not pass it is nobody. */
export function userBuilder(req: Request): Promise<User> {
  const granted = grantOf(req);
  return Promise.resolve(granted === undefined ? new UnauthenticatedUser() : new CallerUser(granted));
}
