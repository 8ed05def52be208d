import { UnauthenticatedUser, type User } from '@a2a-js/sdk/server';
import type { Request } from 'express';

import { CallerUser } from '../caller.js';
import { grantOf } from './authenticate.js';

/** The SDK's `userBuilder`: the caller whom `authenticate` let in. Whoever did not pass it is nobody. */
export function userBuilder(req: Request): Promise<User> {
  const granted = grantOf(req);
  if (granted === undefined) return Promise.resolve(new UnauthenticatedUser());
  const user = new CallerUser(granted);
  const leave = () => {
    CallerUser.leave(user);
  };
  // Who hung up while the credential was verified has closed already.
  if (req.res?.destroyed === true) leave();
  else req.res?.once('close', leave);
  return Promise.resolve(user);
}
