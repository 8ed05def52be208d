/** It has no types of its own. */
declare module 'passport-oauth2' {
  interface Options {
    readonly authorizationURL: string;
    readonly tokenURL: string;
    readonly clientID: string;
    readonly clientSecret?: string;
    readonly callbackURL?: string;
    readonly state?: boolean;
  }
  class OAuth2Strategy {
    constructor(options: Options, verify: (...args: never[]) => void);
    readonly name: string;
    authenticate(request: unknown, options?: object): void;
  }
  export default OAuth2Strategy;
}
